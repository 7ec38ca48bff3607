"""JSON without surprises, for files that a stranger may have written."""

from __future__ import annotations

import json
import math
from typing import Any

DEPTH_LIMIT = 32  # of lists and objects in each other; ours have four
INTEGER_LIMIT = 2**63  # as in SQLite and NumPy


def parse_json(data: bytes) -> Any:
    """JSON in UTF-8, as the standard has it and no more.

    ValueError, with the reason, for duplicate keys, NaN and infinities (also by overflow, 1e999), integers beyond 64
    bits, half a character (a lone surrogate, which no file and no page can show), and nesting that is too deep.
    """
    try:
        values = _DECODER.decode(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check_depth(values, DEPTH_LIMIT)
    if b"\\u" in data:  # Only an escape can bring in a lone surrogate: UTF-8 has no bytes for one.
        try:
            json.dumps(values, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("it holds half a character (a lone surrogate)") from None
    return values


def json_bytes(values: Any) -> bytes:
    """Values as JSON in UTF-8, indented for people. Raises ValueError for numbers that are not finite and for lone
    surrogates.
    """
    return (json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice in the same object")
    return result


def _no_constants(word: str) -> Any:
    raise ValueError(f"{word} is not a number in JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _short(text: str) -> int:
    # 64 bits are at most 19 digits. Python takes quadratic time for long ones, so their length is looked at first.
    if len(text) > 20 or not -INTEGER_LIMIT <= (value := int(text)) < INTEGER_LIMIT:
        raise ValueError("a whole number is too large")
    return value


def _check_depth(values: Any, left: int) -> None:
    if isinstance(values, (dict, list)):
        if not left:
            raise ValueError("it is nested too deeply")
        for part in values.values() if isinstance(values, dict) else values:
            if isinstance(part, (dict, list)):
                _check_depth(part, left - 1)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_no_duplicates, parse_constant=_no_constants, parse_float=_finite, parse_int=_short
)  # json.loads would make one for each row of a history
