"""What a training shows of itself: the loss and the size of its gradient, step by step."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts.common import layered, smooth, thin
from rnn_core.training import TrainingSettings

TRAINING, SMOOTHED, VALIDATION, UNIGRAM, UNIFORM = (
    "training",
    "training, smoothed",
    "validation",
    "unigram",
    "ln(vocabulary)",
)
BEFORE, AFTER, THRESHOLD = "before clipping", "after clipping", "threshold"


def loss_table(
    steps: npt.NDArray[np.floating],
    losses: npt.NDArray[np.floating],
    validation: Mapping[int, float],
    references: Mapping[str, float],
) -> pd.DataFrame:
    """steps (n,), losses (n,) in nats, validation {step: nats}, references {UNIGRAM | UNIFORM: nats}
    -> long table (series, step, nats) of at most 1,000 rows, for `loss_chart`."""
    parts = []
    if len(steps):
        outline = thin(losses, 560)
        parts.append(pd.DataFrame({"series": TRAINING, "step": steps[outline], "nats": losses[outline]}))
        running = smooth(losses, max(1, len(losses) // 50))
        places = np.unique(np.linspace(0, len(steps) - 1, 280).astype(int))
        parts.append(pd.DataFrame({"series": SMOOTHED, "step": steps[places], "nats": running[places]}))
    if validation:
        known = np.array(sorted(validation))
        known = known[thin([validation[step] for step in known], 150)]
        parts.append(
            pd.DataFrame({"series": VALIDATION, "step": known, "nats": [validation[int(step)] for step in known]})
        )
    last = int(steps[-1]) if len(steps) else 1
    for series, nats in references.items():
        parts.append(pd.DataFrame({"series": series, "step": [0, last], "nats": [nats, nats]}))
    if not parts:
        return pd.DataFrame({"series": [], "step": [], "nats": []})
    return pd.concat(parts, ignore_index=True)


def loss_chart(table: pd.DataFrame, unit: str) -> alt.LayerChart:
    """Loss in nats per `unit` over the step, beside what a guesser without memory would lose."""
    order = [SMOOTHED, VALIDATION, UNIGRAM, UNIFORM, TRAINING]
    base = alt.Chart().encode(
        x=alt.X("step:Q", title="step", axis=alt.Axis(format="~s", tickMinStep=1, grid=False)),
        y=alt.Y("nats:Q", title=f"loss (nats per {unit})", scale=alt.Scale(zero=False, nice=True)),
        color=alt.Color(
            "series:N",
            title=None,
            scale=alt.Scale(domain=order),
            legend=alt.Legend(orient="top", columns=3, symbolType="stroke", labelLimit=220),
        ),
    )
    lines = base.mark_line(interpolate="linear", strokeWidth=2, clip=True).encode(
        strokeDash=alt.StrokeDash(
            "series:N", scale=alt.Scale(domain=order, range=[[1, 0], [1, 0], [6, 4], [2, 3], [1, 0]]), legend=None
        ),
        opacity=alt.Opacity("series:N", scale=alt.Scale(domain=order, range=[1.0, 1.0, 0.9, 0.9, 0.4]), legend=None),
        strokeWidth=alt.StrokeWidth(
            "series:N", scale=alt.Scale(domain=order, range=[2.4, 2.0, 1.6, 1.6, 1.0]), legend=None
        ),
    )
    dots = (
        base.mark_point(size=36, filled=True, opacity=1)
        .encode(
            tooltip=[alt.Tooltip("series:N"), alt.Tooltip("step:Q", format=","), alt.Tooltip("nats:Q", format=".4f")]
        )
        .transform_filter(f"datum.series === '{VALIDATION}'")
    )
    touch = base.mark_point(size=80, opacity=0, filled=True).encode(
        tooltip=[alt.Tooltip("series:N"), alt.Tooltip("step:Q", format=","), alt.Tooltip("nats:Q", format=".4f")]
    )
    return layered(table, lines, dots, touch, height=320)


Curve = tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]
"""Steps (n,) and values (n,)."""


def threshold(settings: TrainingSettings) -> float | None:
    """The norm at which this training clips; None where it does not, or not by the norm."""
    return settings.clip if settings.clip_mode == "norm" else None


def gradient_norm_table(before: Curve, after: Curve, threshold: float | None) -> pd.DataFrame:
    """Norms before and after clipping, and the limit -> long table (series, step, norm) of at most 1,000 rows."""
    parts = []
    for series, (steps, norms) in ((BEFORE, before), (AFTER, after)):
        # A log axis has no place for zero or for what is not finite.
        usable = np.flatnonzero(np.isfinite(norms) & (norms > 0))
        places = usable[thin(np.log(norms[usable]), 480)]
        parts.append(pd.DataFrame({"series": series, "step": steps[places], "norm": norms[places]}))
    steps = before[0]
    if threshold is not None and len(steps):
        ends = [steps[0], steps[-1]]
        parts.append(pd.DataFrame({"series": THRESHOLD, "step": ends, "norm": [threshold, threshold]}))
    return pd.concat(parts, ignore_index=True)


def gradient_norm_chart(table: pd.DataFrame) -> alt.LayerChart:
    """The gradient's global L2 norm over the step, before and after clipping, log axis."""
    order = [AFTER, BEFORE, THRESHOLD]
    base = alt.Chart().encode(
        x=alt.X("step:Q", title="step", axis=alt.Axis(format="~s", tickMinStep=1, grid=False)),
        y=alt.Y(
            "norm:Q",
            title="gradient norm",
            scale=alt.Scale(type="log", nice=False),
            axis=alt.Axis(format="~g", tickCount=5),
        ),
        color=alt.Color(
            "series:N",
            title=None,
            scale=alt.Scale(domain=order),
            legend=alt.Legend(orient="top", symbolType="stroke", labelLimit=220),
        ),
    )
    lines = base.mark_line(strokeWidth=1.4, clip=True).encode(
        strokeDash=alt.StrokeDash(
            "series:N", scale=alt.Scale(domain=order, range=[[1, 0], [1, 0], [5, 4]]), legend=None
        ),
    )
    touch = base.mark_point(size=80, opacity=0, filled=True).encode(
        tooltip=[alt.Tooltip("series:N"), alt.Tooltip("step:Q", format=","), alt.Tooltip("norm:Q", format=".4g")]
    )
    return layered(table, lines, touch, height=240)
