"""Reading the table `metrics`: one row for each training step, or an outline of them in few rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rnn_core.arrays import Array
from rnn_core.runs import database
from rnn_core.runs.database import METRICS

_OUTLINED = ("step", "tokens", "loss_nats", "gradient_norm", "elapsed_seconds")
# MAX of every column, also where a mean is asked for: SQLite counts a text among numbers (a damaged file) as 0 in a
# mean, but as larger than any number, so that `_column` sees it.
_OUTLINE_COLUMNS = (
    *(f"MAX({name})" for name in _OUTLINED),
    "SUM(tokens)",
    "AVG(loss_nats)",
    "AVG(gradient_norm)",
)
_OUTLINE = f"SELECT {', '.join(_OUTLINE_COLUMNS)} FROM metrics WHERE step > ? AND step <= ?"


def read(folder: Path, after_step: int, limit: int | None, stride: int) -> dict[str, Array]:
    """See `Run.metrics`."""
    query = f"SELECT {', '.join(METRICS)} FROM metrics WHERE step > ? AND step % ? = 0 ORDER BY step LIMIT ?"
    with database.reading(folder) as history:
        rows = history.execute(query, (after_step, stride, -1 if limit is None else limit)).fetchall()
        columns = zip(*rows, strict=True) if rows else [()] * len(METRICS)
        return {name: _column(name, column) for name, column in zip(METRICS, columns, strict=True)}


def outline(folder: Path, points: int) -> dict[str, Array]:
    """See `Run.outline`."""
    with database.reading(folder) as history:
        (last,) = history.execute("SELECT MAX(step) FROM metrics").fetchone()
        (last,) = _column("step", [last or 0])
        ends = np.linspace(0, int(last), min(points, int(last)) + 1).astype(np.int64).tolist()
        found = (history.execute(_OUTLINE, span).fetchone() for span in pairwise(ends))
        rows = [row for row in found if row[0] is not None]  # a damaged history may have gaps
        columns = dict(zip(_OUTLINE_COLUMNS, zip(*rows, strict=True), strict=True)) if rows else {}
        column = {name: _column(name, columns.get(f"MAX({name})", ())) for name in _OUTLINED}
        for name in ("loss_nats", "gradient_norm"):
            column[name] = _column(name, columns.get(f"AVG({name})", ()))
        column["tokens"] = np.cumsum(_column("tokens", columns.get("SUM(tokens)", ())))
        return column


def _column(name: str, values: Sequence[Any]) -> Array:
    """(rows,) of one column. Raises ValueError where a value is of another kind, or not finite."""
    kind = np.dtype(METRICS[name])
    column = np.array(values) if len(values) else np.zeros(0, kind)
    if column.dtype.kind not in ("i" if kind.kind == "i" else "if") or not np.isfinite(column).all():
        raise ValueError(f"{name} in its metrics is not a number")
    return column.astype(kind)
