"""What the units do: where on their curve they work, and how much of a gradient their slopes let pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts import line_ends
from dashboard.charts.common import FAINT, numbered
from dashboard.charts.specification import (
    Floats,
    aligned,
    aligned_decades,
    in_order,
    only,
    plottable,
    series,
    specification,
    specification_over_words,
    stacked,
    words_below,
)
from dashboard.charts.thinning import thin
from rnn_core.diagnostics import (
    HISTOGRAM_EDGES,
    SignalStatistics,
    activation_curve,
)
from rnn_core.nn.activations import ACTIVATIONS


def quantile_table(sources: Sequence[str], quantiles: Floats) -> pd.DataFrame:
    """quantiles (T, 5): 5, 25, 50, 75, 95 % -> one row a word."""
    names = ["q5", "q25", "q50", "q75", "q95"]
    columns = {name: quantiles[:, place] for place, name in enumerate(names)}
    return pd.DataFrame({"k": np.arange(1, len(quantiles) + 1), "word": numbered(sources), **columns})


@specification_over_words
def quantiles(words: tuple[str, ...], title: str, low: float | None, high: float | None) -> alt.LayerChart:
    """The spread of a quantity over the units, word by word."""
    scale = alt.Scale(domain=[low, high]) if low is not None else alt.Scale(zero=True)
    base = alt.Chart().encode(x=words_below(words))
    tooltip = [
        alt.Tooltip("word:N"),
        *(alt.Tooltip(f"q{q}:Q", title=f"{q} %", format=".3f") for q in (5, 25, 50, 75, 95)),
    ]

    def y(name: str) -> alt.Y:
        return alt.Y(f"{name}:Q", title=title, scale=scale, axis=aligned(title, tickCount=5))

    return stacked(
        base.mark_area(opacity=0.18).encode(y=y("q5"), y2="q95"),
        base.mark_area(opacity=0.3).encode(y=y("q25"), y2="q75"),
        base.mark_line(strokeWidth=2.4).encode(y=y("q50")),
        base.mark_point(size=60, opacity=0, filled=True).encode(y=y("q50"), tooltip=tooltip),
        height=270,
    )


VALUE, SLOPE, UNITS = "φ(a)", "φ′(a)", "pre-activations here"
CURVE_HEIGHT = 270
UNBOUNDED_HEIGHT = 3.0


def _heights(phi: str) -> tuple[float, float]:
    """The ends of the axis: a little beyond the bounds of φ, as far as it has any."""
    low, high = ACTIVATIONS[phi].low, ACTIVATIONS[phi].high
    return 1.05 * max(low, -UNBOUNDED_HEIGHT), 1.05 * high if np.isfinite(high) else UNBOUNDED_HEIGHT


def curve_table(phi: str, histogram: npt.NDArray[Any]) -> pd.DataFrame:
    """φ and φ' over a, and under them where the network's own pre-activations lie (share of them in each bin)."""
    curve = activation_curve(phi, points=97)
    total = max(1, int(histogram.sum()))
    inside = np.abs(curve.pre) <= HISTOGRAM_EDGES[-1]
    table = pd.concat(
        [
            series(VALUE, a=curve.pre[inside], value=curve.value[inside]),
            series(SLOPE, a=curve.pre[inside], value=curve.slope[inside]),
            series(UNITS, a=HISTOGRAM_EDGES[:-1], until=HISTOGRAM_EDGES[1:], share=histogram / total),
        ],
        ignore_index=True,
    )
    return line_ends.with_names(
        table, "a", "value", "series", height=CURVE_HEIGHT, among=(VALUE, SLOPE), domain=_heights(phi)
    )


@specification
def curve(phi: str) -> alt.LayerChart:
    """An activation function and its slope, with a histogram of what the network gives to it."""
    x = alt.X("a:Q", title="pre-activation a (the end bars hold all beyond)", axis=alt.Axis(grid=False, tickCount=7))
    x = line_ends.room(x, (VALUE, SLOPE))
    color = alt.Color("series:N", scale=in_order(VALUE, SLOPE), legend=None)
    scale = alt.Scale(domain=list(_heights(phi)), clamp=True)
    y = alt.Y("value:Q", title="φ(a), φ′(a)", scale=scale, axis=alt.Axis(tickCount=5))
    bars = (
        alt.Chart()
        .mark_bar(color=FAINT, opacity=0.45)
        .encode(
            x=x,
            x2="until:Q",
            y=alt.Y(
                "share:Q",
                title="share of units and words",
                axis=alt.Axis(format="%", grid=False, tickCount=4, orient="right"),
            ),
            y2=alt.datum(0),
            tooltip=[
                alt.Tooltip("a:Q", title="a from"),
                alt.Tooltip("until:Q", title="to"),
                alt.Tooltip("share:Q", format=".2%"),
            ],
        )
        .transform_filter(only(UNITS))
    )
    base = alt.Chart().encode(x=x, y=y, color=color).transform_filter(only(VALUE, SLOPE))
    lines = alt.layer(base.mark_line(strokeWidth=2.2, clip=True), line_ends.names(base, "series"))
    return stacked(lines, bars, height=CURVE_HEIGHT).resolve_scale(y="independent")


LEFT, RIGHT = "low end", "high end"


def ends_table(sources: Sequence[str], signal: SignalStatistics) -> pd.DataFrame:
    """Fractions of units at the flat ends, word by word, long: (series, k, word, fraction)."""
    labels, places = numbered(sources), np.arange(1, len(sources) + 1)
    return pd.concat(
        [
            series(LEFT, k=places, word=labels, fraction=signal.left),
            series(RIGHT, k=places, word=labels, fraction=signal.right),
        ],
        ignore_index=True,
    )


@specification_over_words
def ends(words: tuple[str, ...], low: str, high: str) -> alt.LayerChart:
    """How many of the units are saturated at each word."""
    base = alt.Chart().encode(
        x=words_below(words),
        y=alt.Y("fraction:Q", scale=alt.Scale(domain=[0, 1]), axis=aligned("units saturated", format="%", tickCount=5)),
        color=alt.Color(
            "series:N",
            title=f"low end: {low}, high end: {high}" if high else f"low end: {low}",
            scale=in_order(LEFT, RIGHT),
            legend=alt.Legend(orient="top", symbolType="stroke", titleLimit=300),
        ),
    )
    tooltip = [alt.Tooltip("word:N"), alt.Tooltip("series:N"), alt.Tooltip("fraction:Q", format=".1%")]
    return stacked(
        base.mark_line(strokeWidth=2.2),
        base.mark_point(size=60, opacity=0, filled=True).encode(tooltip=tooltip),
        height=270,
    )


def units_table(signal: SignalStatistics) -> pd.DataFrame:
    """Each unit's fractions of words at which it is at its low and at its high end; at most 1,000 units."""
    kept = thin(signal.unit_left + signal.unit_right)
    return pd.DataFrame({"unit": kept + 1, "low": signal.unit_left[kept], "high": signal.unit_right[kept]})


@specification
def units() -> alt.LayerChart:
    """Units by how often they are saturated low and high (after Karpathy, Johnson & Fei-Fei 2015, figure 3)."""
    axis = alt.Axis(format="%", tickCount=5)
    points = (
        alt.Chart()
        .mark_point(size=45, filled=True, opacity=0.55)
        .encode(
            x=alt.X("low:Q", title="words at the low end (each dot a unit)", scale=alt.Scale(domain=[0, 1]), axis=axis),
            y=alt.Y("high:Q", scale=alt.Scale(domain=[0, 1]), axis=aligned("at the high end", format="%", tickCount=5)),
            tooltip=[alt.Tooltip("unit:Q"), alt.Tooltip("low:Q", format=".1%"), alt.Tooltip("high:Q", format=".1%")],
        )
    )
    return stacked(points, height=270)


def steps_table(sources: Sequence[str], norms: Floats) -> pd.DataFrame:
    """norms (T,): ||J_t||_2 of the joint state at each word."""
    table = pd.DataFrame({"k": np.arange(1, len(norms) + 1), "word": numbered(sources), "norm": norms, "one": 1.0})
    return plottable(table, "norm")


@specification_over_words
def steps(words: tuple[str, ...]) -> alt.LayerChart:
    """The most that reading each word can do to a gradient that passes; below 1 it must shrink."""
    y = aligned_decades("norm", "‖J(k)‖ of the joint state")
    base = alt.Chart().encode(x=words_below(words), y=y)
    tooltip = [alt.Tooltip("word:N"), alt.Tooltip("norm:Q", title="‖J‖", format=".4g")]
    return stacked(
        alt.Chart().mark_rule(strokeDash=[5, 4], color=FAINT).encode(y="one:Q"),
        base.mark_line(strokeWidth=2.2, point=alt.OverlayMarkDef(size=26)),
        base.mark_point(size=60, opacity=0, filled=True).encode(tooltip=tooltip),
        height=270,
    )
