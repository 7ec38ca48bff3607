"""Find the cause: blame, saturation, spectrum with its Lyapunov dial, two paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts.common import FAINT, SEAMLESS, counted, logarithmic, numbered
from dashboard.charts.laboratory import (
    MANY_WORDS,
    Floats,
    in_order,
    lag_axis,
    only,
    plottable,
    series,
    specification,
    specification_over_words,
    stacked,
)
from dashboard.charts.thinning import thin
from rnn_core.diagnostics import (
    HISTOGRAM_EDGES,
    Blame,
    BlockSpectrum,
    Lyapunov,
    ProductSpectrum,
    SignalStatistics,
    TwoPaths,
    activation_curve,
)
from rnn_core.training.loop import HorizonMeasured

WIDTH_OF_LABELS = 62
"""Pixels for the labels of a vertical axis, so that pictures over the same words stand exactly below each other."""


def words_below(words: tuple[str, ...], title: str = "word k") -> alt.X:
    """Numbered words from left to right, as many labels as have room."""
    return alt.X(
        "word:N",
        title=title,
        scale=alt.Scale(domain=list(words)),
        axis=alt.Axis(labelAngle=-50, labelLimit=100, labelOverlap=len(words) > MANY_WORDS, grid=False),
    )


def aligned(title: str, **options: Any) -> alt.Axis:
    """A vertical axis of a width that does not depend on its labels."""
    return alt.Axis(title=title, minExtent=WIDTH_OF_LABELS, maxExtent=WIDTH_OF_LABELS, **options)


def aligned_decades(field: str, title: str) -> alt.Y:
    """`logarithmic`, on such an axis."""
    y = logarithmic(field, title)
    axis = y["axis"].copy()
    axis["minExtent"] = axis["maxExtent"] = WIDTH_OF_LABELS
    return y.axis(axis)


# --- blame ------------------------------------------------------------------------------------------------------------

PARTS = {
    "W": "gain by W",
    "above": "from the layer above",
    "phi'": "damping by φ′",
    "carry": "kept by the carry",
    "hidden": "through W",
}


def blame_table(sources: Sequence[str], blame: Blame) -> pd.DataFrame:
    """One row a part of each backward step: at which word, which part, from and to (log10), and the factor it makes.

    Steps at which a length is 0 or not finite have no logarithm and are left out.
    """
    labels = numbered(sources)
    rows = []
    for index, k in enumerate(blame.positions):
        level = float(blame.log_norms[index])
        for name, change in blame.parts.items():
            after = level + float(change[index])
            if np.isfinite(level) and np.isfinite(after):
                rows.append((int(k) + 1, labels[k], PARTS[name], level / np.log(10), after / np.log(10), after - level))
            level = after
    columns = ["k", "word", "part", "from", "to", "change"]
    table = pd.DataFrame(rows, columns=columns).sort_values("k", kind="stable", ignore_index=True)
    return table.assign(factor=np.exp(table["change"].clip(-700, 700)))


@specification_over_words
def blame(words: tuple[str, ...], state: bool, parts: tuple[str, ...]) -> alt.LayerChart:
    """A waterfall along the sentence, from the loss at its right end back to its first word."""
    names = [PARTS[name] for name in parts]
    what = "‖∂E(t)/∂state(k)‖" if state else "‖δ(t,k)‖"
    x = words_below(words, "← back to word k")
    bars = (
        alt.Chart()
        .mark_bar(cornerRadius=1)
        .encode(
            x=x,
            # Read from right to left, as the gradient goes: what comes first stands rightmost.
            xOffset=alt.XOffset("part:N", scale=in_order(*reversed(names))),
            y=alt.Y("from:Q", title=f"log10 {what}", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6)),
            y2="to:Q",
            color=alt.Color(
                "part:N", title=None, scale=in_order(*names), legend=alt.Legend(orient="top", labelLimit=200, columns=2)
            ),
            tooltip=[
                alt.Tooltip("word:N", title="arriving at"),
                alt.Tooltip("part:N"),
                alt.Tooltip("factor:Q", title="times", format=".3g"),
                alt.Tooltip("to:Q", title="log10 after", format=".2f"),
            ],
        )
    )
    return stacked(bars, height=300)


PATHS = ("carry", "output", "input", "forget", "candidate", "reset", "update")


def shares_table(sources: Sequence[str], blame: Blame) -> pd.DataFrame:
    """Of each backward step, which path the result lies along: (k, word, path, share); shares of a word add up to 1."""
    labels = numbered(sources)
    rows = [
        (int(k) + 1, labels[k], path, float(share[index]))
        for index, k in enumerate(blame.positions)
        for path, share in blame.shares.items()
        if np.isfinite(share[index])
    ]
    table = pd.DataFrame(rows, columns=["k", "word", "path", "share"])
    return table.sort_values("k", kind="stable", ignore_index=True)


@specification_over_words
def shares(words: tuple[str, ...], cell: str) -> alt.LayerChart:
    """Stacked: what each gate's path contributes to the gradient that arrives; below 0 it works against the others."""
    names = ["carry", "output", "input", "forget", "candidate"]
    if cell == "gru":
        names = ["carry", "reset", "update", "candidate"]
    bars = (
        alt.Chart()
        .mark_bar()
        .encode(
            x=words_below(words, "arriving at word k"),
            y=alt.Y("share:Q", title="share of the path", axis=alt.Axis(format="%", tickCount=5)),
            color=alt.Color(
                "path:N", title=None, scale=in_order(*names), legend=alt.Legend(orient="top", columns=3, labelLimit=120)
            ),
            tooltip=[alt.Tooltip("word:N"), alt.Tooltip("path:N"), alt.Tooltip("share:Q", format=".1%")],
        )
    )
    return stacked(bars, height=300)


# --- saturation -------------------------------------------------------------------------------------------------------


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


def curve_table(phi: str, histogram: npt.NDArray[Any]) -> pd.DataFrame:
    """φ and φ' over a, and under them where the network's own pre-activations lie (share of them in each bin)."""
    curve = activation_curve(phi, points=97)
    total = max(1, int(histogram.sum()))
    inside = np.abs(curve.pre) <= HISTOGRAM_EDGES[-1]
    return pd.concat(
        [
            series(VALUE, a=curve.pre[inside], value=curve.value[inside]),
            series(SLOPE, a=curve.pre[inside], value=curve.slope[inside]),
            series(UNITS, a=HISTOGRAM_EDGES[:-1], until=HISTOGRAM_EDGES[1:], share=histogram / total),
        ],
        ignore_index=True,
    )


@specification
def curve(phi: str) -> alt.LayerChart:
    """An activation function and its slope, with a histogram of what the network gives to it."""
    low, high = {"tanh": (-1.05, 1.05), "sigmoid": (0.0, 1.05), "relu": (0.0, 3.0)}[phi]
    x = alt.X("a:Q", title="pre-activation a (the end bars hold all beyond)", axis=alt.Axis(grid=False, tickCount=7))
    color = alt.Color(
        "series:N",
        title=None,
        scale=in_order(VALUE, SLOPE),
        legend=alt.Legend(orient="top", symbolType="stroke"),
    )
    y = alt.Y(
        "value:Q", title="φ(a), φ′(a)", scale=alt.Scale(domain=[low, high], clamp=True), axis=alt.Axis(tickCount=5)
    )
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
    lines = (
        alt.Chart()
        .mark_line(strokeWidth=2.2, clip=True)
        .encode(x=x, y=y, color=color)
        .transform_filter(only(VALUE, SLOPE))
    )
    return stacked(lines, bars, height=270).resolve_scale(y="independent")


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


# --- spectrum ---------------------------------------------------------------------------------------------------------

CIRCLE = "unit circle"


def eigenvalue_table(blocks: Sequence[BlockSpectrum]) -> pd.DataFrame:
    """Eigenvalues of the blocks of one layer's W, and the unit circle to compare: (series, re, im, size)."""
    room = 900 // max(1, len(blocks))
    parts = []
    for block in blocks:
        values = block.eigenvalues
        # The largest decide; of a very wide layer the smallest are left out.
        values = values[:room]
        name = block.gate or "W"
        parts.append(series(name, re=values.real, im=values.imag, size=np.abs(values), order=0.0))
    around = np.linspace(0, 2 * np.pi, 73)
    parts.append(series(CIRCLE, re=np.cos(around), im=np.sin(around), size=1.0, order=around))
    return pd.concat(parts, ignore_index=True)


@specification
def eigenvalues(gates: tuple[str, ...], reach: float) -> alt.LayerChart:
    """Where W's eigenvalues lie: inside the unit circle a linear network forgets, outside it explodes."""
    scale = alt.Scale(domain=[-reach, reach], nice=False)
    x = alt.X("re:Q", title="real part", scale=scale, axis=alt.Axis(tickCount=5))
    y = alt.Y("im:Q", title="imaginary part", scale=scale, axis=alt.Axis(tickCount=5))
    names = list(gates) if gates != ("",) else ["W"]
    color = alt.Color(
        "series:N",
        title=None,
        scale=in_order(*names),
        legend=alt.Legend(orient="top", columns=2) if len(names) > 1 else None,
    )
    circle = alt.Chart().mark_line(strokeWidth=1.4, color=FAINT).encode(x=x, y=y, order="order:Q")
    points = (
        alt.Chart()
        .mark_point(size=32, filled=True, opacity=0.7)
        .encode(
            x=x,
            y=y,
            color=color,
            tooltip=[
                alt.Tooltip("series:N", title="block"),
                alt.Tooltip("re:Q", format=".3f"),
                alt.Tooltip("im:Q", format=".3f"),
                alt.Tooltip("size:Q", title="| |", format=".3f"),
            ],
        )
    )
    chart = stacked(circle.transform_filter(only(CIRCLE)), points.transform_filter(f"!({only(CIRCLE)})"), height=300)
    return chart.properties(width=260, height=260, autosize=alt.AutoSizeParams(type="pad", contains="padding"))


RANKS = ("largest", "upper quarter", "middle", "lower quarter", "smallest")


def product_table(product: ProductSpectrum) -> pd.DataFrame:
    """Singular values of the Jacobian product over the lag, at five ranks: (series, lag, log10, value)."""
    logs = product.log10
    if not logs.size:
        return pd.DataFrame({name: [] for name in ("series", "lag", "log10", "value")})
    last = logs.shape[1] - 1
    places = [0, round(last / 4), round(last / 2), round(3 * last / 4), last]
    parts = [series(name, lag=product.lags, log10=logs[:, place]) for name, place in zip(RANKS, places, strict=True)]
    table = pd.concat(parts, ignore_index=True)
    table = table[np.isfinite(table["log10"])].reset_index(drop=True)
    with np.errstate(under="ignore", over="ignore"):
        return table.assign(value=10.0 ** table["log10"].to_numpy(dtype=float))


@specification
def product(unit: str) -> alt.LayerChart:
    """What j steps do to a gradient, direction by direction: the longest and the shortest that can come out."""
    base = alt.Chart().encode(
        x=lag_axis(unit),
        y=alt.Y("log10:Q", title="log10 singular value of J…J", axis=alt.Axis(tickCount=6)),
        color=alt.Color(
            "series:N",
            title=None,
            sort=list(RANKS),
            scale=in_order(*RANKS),
            legend=alt.Legend(orient="top", columns=2, symbolType="stroke"),
        ),
    )
    tooltip = [
        alt.Tooltip("series:N", title="rank"),
        alt.Tooltip("lag:Q", title="steps"),
        alt.Tooltip("value:Q", title="singular value", format=".3e"),
    ]
    return stacked(
        base.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=26)),
        base.mark_point(size=70, opacity=0, filled=True).encode(tooltip=tooltip),
        height=300,
    )


RADIUS, NORM = "ρ, spectral radius", "‖ ‖₂, norm"


def spectra_table(measured: Mapping[int, HorizonMeasured], blocks: Sequence[int], gates: Sequence[str]) -> pd.DataFrame:
    """Spectral radius and norm of these blocks of W over the training: (series, gate, step, value), 1,000 rows."""
    steps = [step for step in sorted(measured) if len(measured[step].radii) > max(blocks)]
    if not steps:
        return pd.DataFrame({name: [] for name in ("series", "gate", "step", "value", "line")})
    parts = []
    for block, gate in zip(blocks, gates, strict=True):
        for name, field in ((RADIUS, "radii"), (NORM, "norms")):
            values = np.array([getattr(measured[step], field)[block] for step in steps])
            kept = thin(values, 900 // (2 * len(blocks)))
            parts.append(
                series(name, gate=gate or "W", step=np.array(steps)[kept], value=values[kept], line=f"{name} {gate}")
            )
    return plottable(pd.concat(parts, ignore_index=True), "value")


@specification
def spectra(gates: tuple[str, ...]) -> alt.LayerChart:
    """How training moves the spectral radius and the norm of W."""
    names = list(gates) if gates != ("",) else ["W"]
    base = alt.Chart().encode(
        x=counted("training step"),
        y=logarithmic("value", "ρ(W), ‖W‖"),
        color=alt.Color(
            "gate:N",
            title=None,
            scale=in_order(*names),
            legend=alt.Legend(orient="top", columns=2, symbolType="stroke") if len(names) > 1 else None,
        ),
        strokeDash=alt.StrokeDash(
            "series:N",
            title=None,
            scale=alt.Scale(domain=[RADIUS, NORM], range=[[1, 0], [5, 4]]),
            legend=alt.Legend(orient="bottom", symbolType="stroke"),
        ),
        detail="line:N",
    )
    tooltip = [
        alt.Tooltip("gate:N", title="block"),
        alt.Tooltip("series:N"),
        alt.Tooltip("step:Q", format=","),
        alt.Tooltip("value:Q", format=".4g"),
    ]
    return stacked(
        base.mark_line(strokeWidth=2),
        alt.Chart().mark_point(size=14, filled=True, opacity=1).encode(x="step:Q", y="value:Q", color="gate:N"),
        alt.Chart()
        .mark_point(size=60, opacity=0, filled=True)
        .encode(x="step:Q", y=logarithmic("value", "ρ(W), ‖W‖"), tooltip=tooltip),
        height=300,
    )


TEXT, SENTENCE = "over the corpus", "over this sentence"
VANISH, EDGE, EXPLODE = "vanish", "edge", "explode"
DIAL_END, EDGE_END = 1.5, 0.05


def dial_table(text: float, sentence: float) -> pd.DataFrame:
    """Two exponents in nats per step -> arcs, needles, words: (series, kind, x, y, order, value, label), in units of
    the dial's radius."""

    def angle(value: float) -> float:
        return float(np.pi / 2 * (1 - np.clip(value / DIAL_END, -1, 1)))

    def around(name: str, kind: str, radius: float, at: npt.ArrayLike, **more: Any) -> pd.DataFrame:
        turned = np.array([angle(value) for value in np.atleast_1d(at)])
        return series(name, kind=kind, x=radius * np.cos(turned), y=radius * np.sin(turned), **more)

    parts = []
    for zone, start, end in (
        (VANISH, -DIAL_END, -EDGE_END),
        (EDGE, -EDGE_END, EDGE_END),
        (EXPLODE, EDGE_END, DIAL_END),
    ):
        places = np.linspace(start, end, 5 if zone == EDGE else 40)
        parts.append(around(zone, "arc", 1.0, places, order=np.arange(len(places)), label=""))
        if zone != EDGE:
            parts.append(around(zone, "zone", 0.7, [(start + end) / 2], order=0, label=zone))
    for name, value in ((TEXT, text), (SENTENCE, sentence)):
        if np.isfinite(value):
            tip = around(name, "needle", 0.88, [value], order=1, value=value, label="")
            parts += [tip.assign(x=0.0, y=0.0, order=0), tip]
    marks = np.array([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5])
    labels = [EDGE if mark == 0 else f"{mark:+g}".replace("-", "−") for mark in marks]
    parts.append(around("mark", "mark", 1.17, marks, order=0, label=labels))
    return pd.concat(parts, ignore_index=True)


@specification
def dial() -> alt.LayerChart:
    """The largest Lyapunov exponent as a needle between vanishing and exploding: thick over the corpus, thin here."""
    x = alt.X("x:Q", title=None, scale=alt.Scale(domain=[-1.4, 1.4], nice=False), axis=None)
    y = alt.Y("y:Q", title=None, scale=alt.Scale(domain=[-0.1, 1.3], nice=False), axis=None)
    base = alt.Chart().encode(x=x, y=y, order="order:Q", detail="series:N")
    zones = alt.Color("series:N", scale=in_order(VANISH, EXPLODE, EDGE), legend=None)
    tooltip = [alt.Tooltip("series:N"), alt.Tooltip("value:Q", title="λ, nats a step", format="+.4f")]

    def needle(name: str, width: float) -> alt.Chart:
        drawn = base.mark_line(strokeWidth=width, strokeCap="round", color=FAINT).encode(tooltip=tooltip)
        return drawn.transform_filter(f"datum.kind == 'needle' && ({only(name)})")

    def text(kind: str, size: int) -> alt.Chart:
        words = alt.Chart().mark_text(fontSize=size, color=FAINT).encode(x=x, y=y, text="label:N")
        return words.transform_filter(f"datum.kind == '{kind}'")

    chart = stacked(
        base.mark_line(strokeWidth=14, opacity=0.8).encode(color=zones).transform_filter("datum.kind == 'arc'"),
        needle(SENTENCE, 2),
        needle(TEXT, 6),
        text("mark", 11),
        text("zone", 12),
        height=160,
    )
    pad = alt.AutoSizeParams(type="pad", contains="padding")
    return chart.properties(width=320, autosize=pad).configure_view(strokeWidth=0)


def exponents_table(text: Lyapunov, sentence: Lyapunov) -> pd.DataFrame:
    """The leading exponents of both, largest first: (series, rank, exponent)."""
    parts = [
        series(name, rank=np.arange(1, len(found.exponents) + 1), exponent=found.exponents)
        for name, found in ((TEXT, text), (SENTENCE, sentence))
    ]
    table = pd.concat(parts, ignore_index=True)
    return table[np.isfinite(table["exponent"])].reset_index(drop=True)


# --- two paths --------------------------------------------------------------------------------------------------------

TOTAL, CARRY, REST = "all of it", "carry path", "hidden path (W)"


def paths_table(sources: Sequence[str], paths: TwoPaths, asked: int) -> pd.DataFrame:
    """One loss's gradient at every earlier word by path: (series, k, word, value). Later words have none."""
    labels = numbered(sources)
    matrices = ((TOTAL, paths.total), (CARRY, paths.carry), (REST, paths.rest))
    parts = [
        series(name, k=np.arange(1, len(labels) + 1), word=labels, value=matrix[asked]) for name, matrix in matrices
    ]
    return plottable(pd.concat(parts, ignore_index=True), "value")


@specification_over_words
def paths(words: tuple[str, ...], state: str) -> alt.LayerChart:
    """The gradient along the carry and through W, word by word, over the same words as the gates below."""
    title = f"‖∂E(t)/∂{state}(k)‖ (nats per unit)"
    base = alt.Chart().encode(
        x=words_below(words).axis(labels=False, ticks=False, title=None, grid=False),
        y=aligned_decades("value", title),
        color=_path_colour(),
    )
    tooltip = [alt.Tooltip("word:N"), alt.Tooltip("series:N", title="path"), alt.Tooltip("value:Q", format=".3e")]
    return stacked(
        base.mark_line(strokeWidth=2.2),
        base.mark_point(size=60, opacity=0, filled=True).encode(tooltip=tooltip),
        height=270,
    )


def _path_colour() -> alt.Color:
    return alt.Color(
        "series:N",
        title=None,
        scale=in_order(TOTAL, CARRY, REST),
        legend=alt.Legend(orient="top", symbolType="stroke", labelLimit=180, columns=2),
    )


def path_lags_table(paths: TwoPaths) -> pd.DataFrame:
    """Medians over all losses of the share that is left j words back, by path: (series, lag, value)."""
    curves = ((TOTAL, paths.lag_total), (CARRY, paths.lag_carry), (REST, paths.lag_rest))
    parts = [series(name, lag=np.arange(len(values)), value=values) for name, values in curves]
    return plottable(pd.concat(parts, ignore_index=True), "value")


@specification
def path_lags(unit: str) -> alt.LayerChart:
    """What is left j words back along each path, the median over all losses."""
    base = alt.Chart().encode(
        x=lag_axis(unit), y=logarithmic("value", "what is left (median, relative)"), color=_path_colour()
    )
    tooltip = [
        alt.Tooltip("series:N", title="path"),
        alt.Tooltip("lag:Q", title=f"{unit}s back"),
        alt.Tooltip("value:Q", title="left", format=".3e"),
    ]
    return stacked(
        base.mark_line(strokeWidth=2.2),
        base.mark_point(size=60, opacity=0, filled=True).encode(tooltip=tooltip),
        height=300,
    )


MOST_UNITS = 128
MOST_GATE_CELLS = 1350
"""Each thousand cells takes the browser about 50 ms: so many units are shown as fit in here, and all are taken home."""


def shown_units(words: int, units: int) -> int:
    """How many units of a layer the heat map of a gate has room for, over so many words."""
    return max(1, min(units, MOST_UNITS, MOST_GATE_CELLS // words))


def gate_table(sources: Sequence[str], values: Floats) -> pd.DataFrame:
    """values (T, H) of one gate -> one row a cell, (row, unit, k, word, value): units sorted by their mean over the
    sentence, row 1 the most open."""
    units = np.argsort(-values.mean(axis=0), kind="stable")
    rows, places = (grid.ravel() for grid in np.indices(values.T.shape, dtype=np.int16))
    return pd.DataFrame(
        {
            "row": rows + 1,
            "unit": (units[rows] + 1).astype(np.int16),
            "k": places + 1,
            "word": np.array(numbered(sources), dtype=object)[places],
            "value": values[places, units[rows]],
        }
    )


def thinned_gate(table: pd.DataFrame) -> pd.DataFrame:
    """Of `gate_table` what there is room for: units that lie evenly in its order, the first and the last among them;
    in the digits that can be seen."""
    words, units = table["k"].iloc[-1], table["row"].iloc[-1]
    kept = np.linspace(1, units, shown_units(words, units)).round().astype(np.int16)
    return table[table["row"].isin(kept)].drop(columns="k").astype({"value": np.float32})


@specification_over_words
def gate(words: tuple[str, ...], name: str, shown: int, units: int) -> alt.LayerChart:
    """The value of one gate in every unit at every word, its most open units on top."""
    signed = name == "candidate"
    order = "largest mean first" if signed else "most open first"
    title = f"{units} units, {order}" if shown == units else f"{shown} of {units:,} units, {order}"
    scale = alt.Scale(domain=[-1, 1], range="diverging") if signed else alt.Scale(domain=[0, 1])
    cells = (
        alt.Chart()
        # Thousands of cells: a description of each would take the browser longer than drawing it. Rows of two pixels
        # overlap by one, for the same reason as wider ones do by less.
        .mark_rect(aria=False, width=SEAMLESS, height=alt.RelativeBandSize(band=1.5))
        .encode(
            x=words_below(words),
            y=alt.Y("row:O", axis=aligned(title, labels=False, ticks=False)),
            color=alt.Color(
                "value:Q",
                title="candidate" if signed else f"{name} gate: 0 shut, 1 open",
                scale=scale,
                legend=alt.Legend(orient="top", gradientLength=200, titleLimit=240, tickCount=3),
            ),
            tooltip=[
                alt.Tooltip("word:N"),
                alt.Tooltip("unit:Q"),
                alt.Tooltip("value:Q", title=name, format=".3f"),
                alt.Tooltip("row:Q", title=f"place by its mean, of {units:,}"),
            ],
        )
    )
    return stacked(cells, height=480)
