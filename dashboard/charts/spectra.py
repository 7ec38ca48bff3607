"""Spectra: eigenvalues of W, singular values of a sentence's Jacobians, Lyapunov exponents on a dial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts import line_ends
from dashboard.charts.common import FAINT, counted, logarithmic
from dashboard.charts.specification import (
    in_order,
    lag_axis,
    only,
    plottable,
    series,
    specification,
    stacked,
)
from dashboard.charts.thinning import thin
from rnn_core.diagnostics import (
    BlockSpectrum,
    Lyapunov,
    ProductSpectrum,
)
from rnn_core.training import HorizonMeasured

CIRCLE = "unit circle"


def eigenvalue_table(blocks: Sequence[BlockSpectrum]) -> pd.DataFrame:
    """Eigenvalues of the blocks of one layer's W, and the unit circle to compare: (series, re, im, size)."""
    room = 900 // max(1, len(blocks))
    parts = []
    for block in blocks:
        values = block.eigenvalues
        # Largest first: these say whether a gradient vanishes or explodes. Of a very wide layer the smallest are left
        # out, since a browser is slow with more points.
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


def reach_of(blocks: Sequence[BlockSpectrum]) -> float:
    """How far the axes must reach for nearly all eigenvalues: one that lies far out must not make the others a dot."""
    sizes = np.sort(np.abs(np.concatenate([block.eigenvalues for block in blocks])))[::-1]
    typical = float(sizes[min(len(sizes) - 1, max(1, len(sizes) // 50))])
    return float(sizes[0]) if sizes[0] <= 3 * max(typical, 1.0) else max(typical, 1.0)


PRODUCT_HEIGHT = 300

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
    table = line_ends.with_names(table, "lag", "log10", "series", height=PRODUCT_HEIGHT)
    with np.errstate(under="ignore", over="ignore"):
        return table.assign(value=10.0 ** table["log10"].to_numpy(dtype=float))


@specification
def product(unit: str) -> alt.LayerChart:
    """What j steps do to a gradient, direction by direction: the longest and the shortest that can come out."""
    base = alt.Chart().encode(
        x=line_ends.room(lag_axis(unit), RANKS),
        y=alt.Y("log10:Q", title="log10 singular value of J…J", axis=alt.Axis(tickCount=6)),
        color=alt.Color("series:N", scale=in_order(*RANKS), legend=None),
    )
    tooltip = [
        alt.Tooltip("series:N", title="rank"),
        alt.Tooltip("lag:Q", title="steps"),
        alt.Tooltip("value:Q", title="singular value", format=".3e"),
    ]
    return stacked(
        base.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=26)),
        line_ends.names(base, "series"),
        base.mark_point(size=70, opacity=0, filled=True).encode(tooltip=tooltip),
        height=PRODUCT_HEIGHT,
    )


RADIUS, NORM = "ρ(W)", "‖W‖"
SPECTRA_HEIGHT = 300


def _line(name: str, gate: str) -> str:
    return f"{name} {gate}" if gate else name


def spectra_table(measured: Mapping[int, HorizonMeasured], blocks: Sequence[int], gates: Sequence[str]) -> pd.DataFrame:
    """Spectral radius and norm of these blocks of W over the training: (series, gate, step, value, line), 1,000 rows,
    and where the lines' names stand.
    """
    steps = _steps_with(measured, blocks)
    if not steps:
        return pd.DataFrame({name: [] for name in ("series", "gate", "step", "value", "line", line_ends.AT)})
    parts = []
    for block, gate in zip(blocks, gates, strict=True):
        for name, field in ((RADIUS, "radii"), (NORM, "norms")):
            values = np.array([getattr(measured[step], field)[block] for step in steps])
            kept = thin(values, 900 // (2 * len(blocks)))
            parts.append(
                series(name, gate=gate or "W", step=np.array(steps)[kept], value=values[kept], line=_line(name, gate))
            )
    table = plottable(pd.concat(parts, ignore_index=True), "value")
    return line_ends.with_names(table, "step", "value", "line", height=SPECTRA_HEIGHT, log=True)


def _steps_with(measured: Mapping[int, HorizonMeasured], blocks: Sequence[int]) -> list[int]:
    """The training steps, ascending, at which these blocks of W were measured."""
    return [step for step in sorted(measured) if len(measured[step].radii) > max(blocks, default=0)]


def largest_radius(measured: Mapping[int, HorizonMeasured], blocks: Sequence[int]) -> tuple[list[float], list[float]]:
    """The training steps at which these blocks of W were measured, and the largest of their spectral radii."""
    steps = _steps_with(measured, blocks)
    return [float(step) for step in steps], [max(measured[step].radii[block] for block in blocks) for step in steps]


@specification
def spectra(gates: tuple[str, ...]) -> alt.LayerChart:
    """How training moves the spectral radius and the norm of W."""
    names = list(gates) if gates != ("",) else ["W"]
    lines = [_line(name, gate) for name in (RADIUS, NORM) for gate in gates]
    base = alt.Chart().encode(
        x=line_ends.room(counted("training step"), lines),
        y=logarithmic("value", "ρ(W), ‖W‖"),
        color=alt.Color("gate:N", scale=in_order(*names), legend=None),
        strokeDash=alt.StrokeDash(
            "series:N", scale=alt.Scale(domain=[RADIUS, NORM], range=[[1, 0], [5, 4]]), legend=None
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
        line_ends.names(base, "line"),
        base.mark_point(size=14, filled=True, opacity=1),
        base.mark_point(size=60, opacity=0, filled=True).encode(tooltip=tooltip),
        height=SPECTRA_HEIGHT,
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
