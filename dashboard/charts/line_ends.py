"""Each line's name at the line's end, in the line's colour: the eye need not travel to a legend and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

AT = "name_at"
"""The column that says how high a line's name stands; missing but in the last row of each line."""

_LETTER, _APART, _SIZE = 6.6, 15, 12  # pixels: a letter's width, from one name to the next, of the letters
_AXIS = 80  # pixels of a chart's height that its lower axis takes


def with_names(
    table: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    *,
    height: int,
    log: bool = False,
    among: Sequence[str] | None = None,
    domain: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """A long table, with the column `AT` for `names`: where each line ends, moved as little as keeps names apart.

    height is the chart's in pixels; `log` that of its y axis; `domain` the y axis' own, where it is not the data's;
    `among` the lines that take a name, in column `by`; all of them by default.
    """
    table = table.reset_index(drop=True)
    at = np.full(len(table), np.nan)
    values = table[y].to_numpy(dtype=float)
    known = np.isfinite(values) & ((values > 0) | (not log))
    if not known.any():
        return table.assign(**{AT: at})
    scaled = np.full(len(values), np.nan)
    scaled[known] = np.log10(values[known]) if log else values[known]
    low, high = (scaled[known].min(), scaled[known].max()) if domain is None else domain
    if log and domain is not None:
        low, high = np.log10(low), np.log10(high)
    lines = table[known] if among is None else table[known & table[by].isin(list(among)).to_numpy()]
    rows = np.array([group[x][::-1].idxmax() for _, group in lines.groupby(by, sort=False)], dtype=int)
    rows = rows[np.argsort(scaled[rows], kind="stable")]
    places = apart(np.clip(scaled[rows], low, high), _APART / (height - _AXIS) * max(high - low, 1e-9), low, high)
    at[rows] = 10.0**places if log else places
    return table.assign(**{AT: at})


def apart(places: npt.ArrayLike, gap: float, low: float, high: float) -> npt.NDArray[np.float64]:
    """Ascending places (n,) -> those nearest to them in squared distance that are `gap` apart, between low and high.

    Less i * gap this is an isotonic regression; neighbours that violate the order are pooled (Barlow et al. 1972).
    """
    places = np.asarray(places, dtype=float)
    offsets = gap * np.arange(len(places))
    pools: list[list[float]] = []  # each: mean, number of places
    for place in places - offsets:
        pools.append([float(place), 1])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            mean, count = pools.pop()
            pools[-1] = [(pools[-1][0] * pools[-1][1] + mean * count) / (pools[-1][1] + count), pools[-1][1] + count]
    pooled = np.repeat([mean for mean, _ in pools], [int(count) for _, count in pools])
    return np.clip(pooled, low, max(low, high - offsets[-1] if len(offsets) else high)) + offsets


def room(x: alt.X, names: Sequence[str]) -> alt.X:
    """The axis, ended early enough that the longest of these names has room beside it (at most two fifths)."""
    pixels = round(_LETTER * max(map(len, names), default=0) + 12)
    given = x["scale"]  # a dictionary where it was set by a method
    scale = {} if given is alt.Undefined else given if isinstance(given, dict) else given.to_dict()
    return x.scale(**scale | {"range": [0, {"expr": f"max(0.6 * width, width - {pixels})"}]})


def names(base: alt.Chart, by: str, *, y: str | None = None, **encodings: Any) -> alt.Chart:
    """The layer that writes them; `base` encodes x, y and colour as the lines do, and keeps its axes."""
    given = base.encoding.y
    axis = given.copy() if y is None else alt.Y(y)
    axis["shorthand"] = f"{AT}:Q"
    return (
        base.mark_text(align="left", dx=6, fontSize=_SIZE, limit=220)
        .encode(y=axis, text=f"{by}:N", **encodings)
        .transform_filter(f"isValid(datum.{AT})")
    )
