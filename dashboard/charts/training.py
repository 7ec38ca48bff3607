"""What a training shows of itself: the loss and the size of its gradient, step by step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts.common import counted, layered, logarithmic, smooth
from dashboard.charts.thinning import thin

TRAINING, VALIDATION, UNIGRAM, UNIFORM = "training", "validation", "unigram", "ln(vocabulary)"
BEFORE, AFTER, LIMIT = "before clipping", "after clipping", "limit"

# One table carries every line: `series` says whose it is, `line` how it is drawn.
RAW, MEAN, DOTS, REFERENCE = "raw", "mean", "dots", "reference"


def loss_table(
    steps: npt.NDArray[np.floating],
    losses: npt.NDArray[np.floating],
    validation: Mapping[int, float],
    references: Mapping[str, float],
) -> pd.DataFrame:
    """steps (n,), losses (n,) in nats, validation {step: nats}, references {UNIGRAM | UNIFORM: nats}
    -> long table (series, line, step, nats) of at most 504 rows, for `loss_chart`."""
    parts = []
    if len(steps):
        outline = thin(losses, 300)
        parts.append(_part(TRAINING, RAW, steps[outline], losses[outline]))
        running = smooth(losses, len(losses) // 60)
        places = np.unique(np.linspace(0, len(steps) - 1, 120).astype(int))
        parts.append(_part(TRAINING, MEAN, steps[places], running[places]))
    if validation:
        known = np.array(sorted(validation))
        nats = np.array([validation[int(step)] for step in known])
        kept = thin(nats, 80)
        parts.append(_part(VALIDATION, DOTS, known[kept], nats[kept]))
    last = max([1.0, *steps[-1:], *validation])
    parts += [_part(series, REFERENCE, [0, last], [nats, nats]) for series, nats in references.items()]
    return pd.concat(parts, ignore_index=True)


def _part(series: str, line: str, steps: npt.ArrayLike, nats: npt.ArrayLike) -> pd.DataFrame:
    return pd.DataFrame(
        {"series": series, "line": line, "step": np.asarray(steps, float), "nats": np.asarray(nats, float)}
    )


def loss_chart(table: pd.DataFrame, unit: str) -> alt.LayerChart:
    """Loss in nats per `unit` over the step, beside what a guesser without memory would lose."""
    base = alt.Chart().encode(
        x=counted("step"),
        y=alt.Y("nats:Q", title=f"loss (nats per {unit})", scale=alt.Scale(zero=False, nice=True)),
        color=alt.Color(
            "series:N",
            title=None,
            scale=alt.Scale(domain=[TRAINING, VALIDATION, UNIGRAM, UNIFORM]),
            legend=alt.Legend(orient="top", columns=2, symbolType="stroke", symbolOpacity=1, labelLimit=160),
        ),
    )
    tooltip = [alt.Tooltip("series:N"), alt.Tooltip("step:Q", format=","), alt.Tooltip("nats:Q", format=".4f")]
    return layered(
        table,
        base.mark_line(strokeWidth=1, opacity=0.3).transform_filter(f"datum.line == '{RAW}'"),
        base.mark_line(strokeWidth=1.6, strokeDash=[5, 4]).transform_filter(f"datum.line == '{REFERENCE}'"),
        base.mark_line(strokeWidth=2.4).transform_filter(f"datum.line == '{MEAN}'"),
        base.mark_line(strokeWidth=1.6, point=alt.OverlayMarkDef(size=28)).transform_filter(f"datum.line == '{DOTS}'"),
        # Each of these is an element of the page: the outline has too many of them, and says little in a tooltip.
        base.mark_point(size=80, opacity=0, filled=True)
        .encode(tooltip=tooltip)
        .transform_filter(f"datum.line != '{RAW}'"),
        height=320,
    )


Curve = tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]
"""Steps (n,) and values (n,)."""


ClipLimits = Sequence[tuple[int, float | None]]
"""(step, norm): after this step gradients are clipped at this norm; None: not at all. In the order of the steps."""


def limit_at(limits: ClipLimits, steps: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The limit of each of these steps (n,), inf where there was none -> (n,)."""
    found = np.full(len(steps), np.inf)
    for start, limit in limits:
        found[steps > start] = np.inf if limit is None else limit
    return found


def limit_line(limits: ClipLimits, last_step: float) -> Curve:
    """The limits as a line of steps and norms up to `last_step`; nan between two parts of it."""
    steps: list[float] = []
    norms: list[float] = []
    ends = [*(start for start, _ in limits[1:]), last_step]
    for (start, limit), end in zip(limits, ends, strict=True):
        steps += [start, end]
        norms += [math.nan if limit is None else limit] * 2
    known = not np.isnan(norms).all()
    return (np.array(steps), np.array(norms)) if known else (np.empty(0), np.empty(0))


def gradient_norm_table(before: Curve, after: Curve, limits: ClipLimits) -> pd.DataFrame:
    """Norms before and after clipping, and its limits -> long table (series, step, norm): 300 rows and the limits'."""
    parts = []
    for series, (steps, norms) in ((BEFORE, before), (AFTER, after)):
        # A log axis has no place for zero or for what is not finite.
        usable = np.flatnonzero(np.isfinite(norms) & (norms > 0))
        places = usable[thin(np.log(norms[usable]), 150)]
        parts.append(pd.DataFrame({"series": series, "step": steps[places], "norm": norms[places]}))
    steps = before[0]
    if limits and len(steps):
        at, norms = limit_line(limits, steps[-1])
        parts.append(pd.DataFrame({"series": LIMIT, "step": at, "norm": norms}))
    return pd.concat(parts, ignore_index=True)


def gradient_norm_chart(table: pd.DataFrame) -> alt.LayerChart:
    """The gradient's global L2 norm over the step, before and after clipping, log axis."""
    order = [BEFORE, AFTER, LIMIT]
    base = alt.Chart().encode(
        x=counted("step"),
        y=logarithmic("norm", "gradient norm"),
        color=alt.Color(
            "series:N",
            title=None,
            scale=alt.Scale(domain=order),
            legend=alt.Legend(orient="top", columns=2, symbolType="stroke", labelLimit=120),
        ),
    )
    tooltip = [alt.Tooltip("series:N"), alt.Tooltip("step:Q", format=","), alt.Tooltip("norm:Q", format=".4g")]
    # What clipping changed nothing of is one curve: the later one covers the earlier.
    return layered(
        table,
        base.mark_line(strokeWidth=1.4).transform_filter(f"datum.series == '{BEFORE}'"),
        base.mark_line(strokeWidth=1.4).transform_filter(f"datum.series == '{AFTER}'"),
        base.mark_line(strokeWidth=1.4, strokeDash=[5, 4]).transform_filter(f"datum.series == '{LIMIT}'"),
        base.mark_point(size=80, opacity=0, filled=True).encode(tooltip=tooltip),
        height=320,
    )
