"""JSON without surprises, for files that a stranger may have written."""

from __future__ import annotations

import json
from typing import Any


def parse_json(data: bytes) -> Any:
    """JSON in UTF-8; ValueError for duplicate keys, NaN and infinities, and nesting too deep for Python."""

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise ValueError("a key stands twice in the same object")
        return result

    def no_constants(word: str) -> Any:
        raise ValueError(f"{word} is not a number in JSON")

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=no_duplicates, parse_constant=no_constants)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def json_bytes(values: Any) -> bytes:
    return (json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
