"""Experiments about what a network has learnt: which units follow what, and how far back it uses what it reads."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts import line_ends
from dashboard.charts.common import FAINT, once
from dashboard.charts.specification import specification, stacked

HEIGHT = 300
DROPPED, SHUFFLED = "left out", "in another order"
LEAST_RISE = 1e-3
"""What rises less than this, or falls, is drawn at the foot of the logarithm's axis."""


@specification
def followers_chart(series: tuple[str, ...], threshold: float) -> alt.LayerChart:
    """Of a table (feature, x |correlation| of the unit that follows it best, series, seed) a point for each row, and a
    dashed line where following begins.
    """
    axis = alt.Axis(tickCount=5, format=".1f")
    x = alt.X("x:Q", title="|correlation| of the best unit", scale=alt.Scale(domain=[0, 1]), axis=axis)
    y = alt.Y("feature:N", title=None, sort=None, axis=alt.Axis(labelLimit=180, grid=True))
    colour = alt.Color(
        "series:N",
        title=None,
        scale=alt.Scale(domain=list(series)),
        legend=alt.Legend(orient="top", symbolType="circle"),
    )
    offset = alt.YOffset("series:N", scale=alt.Scale(domain=list(series)))
    tooltip = ["feature:N", "series:N", "seed:Q", alt.Tooltip("x:Q", title="|correlation|", format=".2f")]
    marks = alt.Chart().mark_point(filled=True, size=70, opacity=0.75)
    begins = once().mark_rule(strokeDash=[5, 4], color=FAINT).encode(x=alt.datum(threshold))
    return stacked(begins, marks.encode(x=x, y=y, yOffset=offset, color=colour, tooltip=tooltip), height=HEIGHT - 60)


def context_table(lengths: Sequence[int], dropped: npt.ArrayLike, shuffled: npt.ArrayLike) -> pd.DataFrame:
    """lengths (K,) n; dropped, shuffled (K,): by how much, as a share, the perplexity rises without the words further
    back than n, or with them in another order -> long table (series, x, y, shown).
    """
    rises = {DROPPED: np.asarray(dropped, float), SHUFFLED: np.asarray(shuffled, float)}
    parts = [
        pd.DataFrame({"series": name, "x": lengths, "y": values, "shown": np.maximum(values, LEAST_RISE)})
        for name, values in rises.items()
    ]
    return line_ends.with_names(pd.concat(parts), "x", "shown", "series", height=HEIGHT, log=True)


@specification
def context_chart(lengths: tuple[int, ...], tolerance: float) -> alt.LayerChart:
    """By how much the perplexity rises over the nearest words that are left, and a dashed line where a rise counts."""
    x = alt.X("x:Q", title="nearest words left as they are", scale=alt.Scale(type="log", nice=False))
    x = line_ends.room(x.axis(grid=False, format="d", values=list(lengths)), (DROPPED, SHUFFLED))
    axis = alt.Axis(format="~%", values=[0.001, 0.01, 0.1, 1, 10])
    y = alt.Y("shown:Q", title="rise of the perplexity", scale=alt.Scale(type="log", nice=False), axis=axis)
    colour = alt.Color("series:N", scale=alt.Scale(domain=[DROPPED, SHUFFLED]), legend=None)
    base = alt.Chart().encode(x=x, y=y, color=colour)
    tooltip = ["series:N", alt.Tooltip("x:Q", title="nearest words"), alt.Tooltip("y:Q", title="rise", format=".1%")]
    return stacked(
        once().mark_rule(strokeDash=[5, 4], color=FAINT).encode(y=alt.datum(tolerance)),
        base.mark_line(strokeWidth=2.2),
        base.mark_point(filled=True, size=34).encode(tooltip=tooltip),
        line_ends.names(base, "series"),
        height=HEIGHT,
    )
