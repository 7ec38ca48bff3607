"""How a command prints: progress and notes on standard error, its result on standard output."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm


def program() -> str:
    """What to type to run this again: `see-bptt`, or `python -m rnn_core` where it was started so."""
    return "see-bptt" if Path(sys.argv[0]).stem == "see-bptt" else "python -m rnn_core"


def print_status(line: str) -> None:
    """Print one line to standard error, past the progress bar."""
    tqdm.write(line, file=sys.stderr)


def one_line(text: str) -> str:
    """A text with all white space as single spaces."""
    return " ".join(text.split())


def refresh_seconds() -> float:
    """Seconds between two updates of a progress bar: few in a file or a pipe, where each is a line of its own."""
    return 0.2 if sys.stderr.isatty() else 5.0


def show(options: argparse.Namespace, values: dict[str, Any], lines: Sequence[str]) -> None:
    """Print the result: with --json `values` as one JSON object, else `lines`."""
    print(json.dumps(values, allow_nan=False) if options.json else "\n".join(lines))


def finite(value: float | None) -> float | None:
    """A number, or None in the place of infinity and nan, which JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None
