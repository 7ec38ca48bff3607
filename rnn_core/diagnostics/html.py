"""What a notebook shows of a result that is a cell's last line: a sentence and a small table.

Jupyter asks an object for `_repr_html_` (https://ipython.readthedocs.io/en/stable/config/integrating.html) and draws
what it gets, so whatever is not ours is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from rnn_core.arrays import Array

MOST_ROWS = 10


def few(count: int) -> Array:
    """At most MOST_ROWS of the places 0 .. count - 1, with both ends: close together at first, then ever farther."""
    if count <= MOST_ROWS:
        return np.arange(count)
    return np.unique(np.geomspace(1, count, MOST_ROWS).round().astype(int)) - 1


def table(sentence: str, columns: Mapping[str, Sequence[object] | Array]) -> str:
    """A sentence and, under the names of the columns, their values in rows."""
    heads = "".join(f"<th>{escape(name)}</th>" for name in columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(_text(value))}</td>' for value in row)}</tr>"
        for row in zip(*columns.values(), strict=True)
    )
    return f"<p>{escape(sentence)}</p><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def steps(half_life: float | None, reach: int) -> str:
    """A half-life in words; `reach` is the longest lag that there was."""
    return f"more than {reach} steps" if half_life is None else f"{half_life:.2g} steps"


def number(value: float) -> str:
    """Three digits; a dash for what is not known."""
    return "–" if np.isnan(value) else f"{value:.3g}"


def _text(value: object) -> str:
    return number(float(value)) if isinstance(value, float | np.floating) else str(value)
