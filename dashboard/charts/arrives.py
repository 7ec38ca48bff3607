"""What arrives: the triangle and one of its rows."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts import line_ends
from dashboard.charts.common import FAINT, SEAMLESS, logarithmic, numbered
from dashboard.charts.specification import (
    Floats,
    decades,
    in_order,
    lag_axis,
    only,
    plottable,
    series,
    specification,
    stacked,
)
from rnn_core.diagnostics import RowDecay

MOST_FAINT = 600
"""Most points of the faint rows in `row`: what a browser draws without delay."""

FADED = -8.0
"""log10 at which the colour has reached the page's background: a hundred-millionth."""

LOWEST = -40.0
"""log10 that stands for all that is less, and for what is exactly zero."""


def triangle_table(sources: Sequence[str], targets: Sequence[str], norms: Floats, chosen: int) -> pd.DataFrame:
    """sources, targets: T words each; norms (T, T), row t, column k <= t: `diagnostics.triangle`, absolute or relative.

    -> one row a pair (t, k <= t) whose loss counts: labels, places, the norm, its log10, and whether t is the row of
    the loss at position `chosen` (from 0).
    """
    rows, columns = np.tril_indices(len(norms))
    counts = ~np.isnan(np.diagonal(norms))[rows]
    rows, columns = rows[counts], columns[counts]
    values = norms[rows, columns]
    source_labels, target_labels = np.array(numbered(sources)), np.array(numbered(targets))
    return pd.DataFrame(
        {
            "t": rows + 1,
            "k": columns + 1,
            "lag": rows - columns,
            "loss word": target_labels[rows],
            "source word": source_labels[columns],
            "norm": values,
            "log10": decades(values, LOWEST),
            "chosen": rows == chosen,
        }
    )


@specification
def triangle(count: int, ceiling: float, relative: bool) -> alt.LayerChart:
    """Loss word by source word, colour log10 ||delta_{t,k}||; what lies below 1e-8 has faded into the page."""
    x = alt.X("source word:N", sort=None, axis=alt.Axis(labelAngle=-60, labelLimit=130, labelOverlap=count > 24))
    y = alt.Y("loss word:N", sort=None, axis=alt.Axis(labelLimit=130, labelOverlap=False))
    cells = (
        alt.Chart()
        .mark_rect(width=SEAMLESS, height=SEAMLESS)
        .encode(
            x=x.title("word k, where it arrives"),
            y=y.title("loss at word t"),
            color=alt.Color(
                "log10:Q",
                title="log10 ‖δ(t,k)‖ / ‖δ(t,t)‖" if relative else "log10 ‖δ(t,k)‖ (nats per unit of a)",
                scale=alt.Scale(domain=[FADED, ceiling], clamp=True),
                legend=alt.Legend(orient="top", gradientLength=220, titleLimit=300, format="d", tickCount=5),
            ),
            tooltip=[
                alt.Tooltip("loss word:N"),
                alt.Tooltip("source word:N"),
                alt.Tooltip("lag:Q", title="words back"),
                alt.Tooltip("norm:Q", title="share of its own" if relative else "norm", format=".3e"),
            ],
        )
        .add_params(alt.selection_point(name="row", fields=["t"], on="click", toggle=False))
    )
    frame = (
        alt.Chart()
        .mark_rect(fillOpacity=0, strokeWidth=1.2, stroke=FAINT)
        .encode(x=x, y=y)
        .transform_filter("datum.chosen")
    )
    return stacked(cells, frame, height=int(np.clip(20 * count + 150, 280, 860)))


HEIGHT = 400

ROW, OTHER, STEPS_BOUND, WEIGHTS_BOUND = "this row", "other rows", "bound: steps", "bound: weights"
MEDIAN, HALF_LIFE = "median of rows", "half-life"


def row_table(
    targets: Sequence[str],
    norms: Floats,
    chosen: int,
    decay: RowDecay,
    median: Floats,
    half_life: float | None,
    relative: bool,
) -> pd.DataFrame:
    """norms (T, T), row t, column k <= t; decay: of row `chosen`; median (T,) of the relative decay over the lag
    -> long table (series, word, lag, value): the row, its bounds, the others, and, if relative, median and half-life.
    """
    labels = np.array(numbered(targets), dtype=object)
    count = len(norms)
    others = np.delete(np.arange(count), chosen)
    kept = max(1, MOST_FAINT // max(1, count // 2))  # a row has count / 2 points on average
    others = others[np.unique(np.linspace(0, len(others) - 1, kept).astype(int))] if len(others) else others
    parts = []
    with np.errstate(divide="ignore", invalid="ignore"):
        shown = norms / np.diagonal(norms)[:, None] if relative else norms
    for name, places in ((OTHER, others), (ROW, np.array([chosen]))):
        rows, lags = np.nonzero(np.arange(count) <= places[:, None])
        t = places[rows]
        parts.append(series(name, word=labels[t], lag=lags, value=shown[t, t - lags]))
    own = decay.norms[0] if relative else 1.0
    for name, bound in ((WEIGHTS_BOUND, decay.fixed_bound), (STEPS_BOUND, decay.data_bound)):
        if bound is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                value = np.asarray(bound / own)
            parts.append(series(name, word=name, lag=np.arange(len(bound)), value=value))
    if relative:
        parts.append(series(MEDIAN, word=MEDIAN, lag=np.arange(len(median)), value=median))
        if half_life is not None:
            parts.append(series(HALF_LIFE, word=HALF_LIFE, lag=[half_life], value=[0.5]))
    table = plottable(pd.concat(parts, ignore_index=True), "value")
    named = (ROW, WEIGHTS_BOUND, STEPS_BOUND, MEDIAN)
    return line_ends.with_names(table, "lag", "value", "series", height=HEIGHT, log=True, among=named)


@specification
def row(relative: bool, bounded: bool, unit: str) -> alt.LayerChart:
    """One loss's gradient on its way back, beside what bounds it; the other rows lie faintly behind."""
    names = [ROW, *((WEIGHTS_BOUND, STEPS_BOUND) if bounded else ()), *((MEDIAN, HALF_LIFE) if relative else ())]
    title = "‖δ(t, t−j)‖ / ‖δ(t, t)‖" if relative else "‖δ(t, t−j)‖ (nats per unit of a)"
    color = alt.Color("series:N", scale=in_order(*names), legend=None)
    base = alt.Chart().encode(x=line_ends.room(lag_axis(unit), names), y=logarithmic("value", title))
    tooltip = [
        alt.Tooltip("series:N"),
        alt.Tooltip("word:N", title="loss word"),
        alt.Tooltip("lag:Q", title=f"{unit}s back"),
        alt.Tooltip("value:Q", format=".3e"),
    ]
    return stacked(
        base.mark_line(strokeWidth=1, opacity=0.3, color=FAINT).encode(detail="word:N").transform_filter(only(OTHER)),
        base.mark_line(strokeWidth=1.8, strokeDash=[5, 4])
        .encode(color=color)
        .transform_filter(only(WEIGHTS_BOUND, STEPS_BOUND)),
        base.mark_line(strokeWidth=2).encode(color=color).transform_filter(only(MEDIAN)),
        base.mark_line(strokeWidth=3, point=alt.OverlayMarkDef(size=24))
        .encode(color=color)
        .transform_filter(only(ROW)),
        *half_life_rule(color),
        line_ends.names(base, "series", color=color),
        base.mark_point(size=60, opacity=0, filled=True).encode(tooltip=tooltip),
        height=HEIGHT,
    )


def half_life_rule(color: alt.Color) -> tuple[alt.Chart, alt.Chart]:
    """A rule at the half-life, and its name at the rule's head."""
    base = alt.Chart().encode(x="lag:Q", color=color).transform_filter(only(HALF_LIFE))
    name = base.mark_text(align="left", baseline="top", dx=5, dy=2, fontSize=12).encode(y=alt.value(0), text="series:N")
    return base.mark_rule(strokeDash=[2, 3], strokeWidth=1.8), name
