"""What several charts need: thinning of long series, and words as labels of an axis."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

POINTS = 1000
"""Points a live chart may hold: a browser redraws 1,000 in 0.16 s, 10,000 in 0.39 s."""


def thin(values: npt.ArrayLike, limit: int = POINTS) -> npt.NDArray[np.intp]:
    """values (n,) -> at most `limit` ascending indices that keep the outline: first, last, every bucket's extremes.

    A mean or every n-th point would hide a spike, and spikes are what one looks for. NaN counts as an extreme.
    """
    series = np.asarray(values, dtype=float)
    count = len(series)
    if count <= limit:
        return np.arange(count)
    edges = np.linspace(0, count, max(1, (limit - 2) // 2) + 1).astype(int)
    kept = {0, count - 1}
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        kept.add(start + int(np.argmin(series[start:stop])))
        kept.add(start + int(np.argmax(series[start:stop])))
    return np.array(sorted(kept))


def smooth(values: npt.ArrayLike, window: int) -> npt.NDArray[np.float64]:
    """values (n,) -> the mean of the last `window` values at each place (of fewer at the start)."""
    series = np.asarray(values, dtype=float)
    sums = np.concatenate([[0.0], np.cumsum(series)])
    ends = np.arange(1, len(series) + 1)
    starts = np.maximum(0, ends - max(1, window))
    return (sums[ends] - sums[starts]) / (ends - starts)


def numbered(words: Sequence[str], limit: int = 18) -> list[str]:
    """Words -> unique axis labels "1 the", "2 man", …: a word may stand twice in a sentence, a label must not."""
    width = len(str(len(words)))
    return [f"{place:>{width}} {word[:limit]}{'…' if len(word) > limit else ''}" for place, word in enumerate(words, 1)]


def counted(title: str) -> alt.X:
    """An axis of whole numbers from 0 (steps), labelled 500, 1k, 1.5k, …"""
    return alt.X(
        "step:Q",
        title=title,
        axis=alt.Axis(labelExpr="format(datum.value, '~s')", tickMinStep=1, tickCount=6, grid=False),
    )


def layered(table: pd.DataFrame, *layers: alt.Chart, height: int) -> alt.LayerChart:
    """Layers on top of each other, all of them drawn from one table."""
    chart = alt.layer(*layers, data=table)
    assert isinstance(chart, alt.LayerChart)  # Altair says "or a facet", for the sake of charts that have one
    return chart.properties(height=height)
