"""What a training shows of itself: its loss, the size of its gradient and how far that reaches, step by step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts import changes as setting_changes
from dashboard.charts import line_ends
from dashboard.charts.common import FAINT, counted, logarithmic, loss_title, smooth
from dashboard.charts.specification import specification, stacked
from dashboard.charts.thinning import thin
from rnn_core.training import HorizonMeasured

TRAINING, VALIDATION = "training", "validation"
BEFORE, AFTER, LIMIT = "before clipping", "after clipping", "limit"
HALF_LIFE = "half-life"

LOSS_HEIGHT, NORM_HEIGHT = 400, 210
LONGEST_NAME = ("uniform, unigram",)
"""Room for what a curve beside the loss may be called."""

# One table carries every line of a chart, in two columns: `series` is what it shows (training, validation, …), `line`
# how it is drawn.
RAW, MEAN, DOTS, REFERENCE, NAME = "raw", "mean", "dots", "reference", "name"

Changes = Sequence[tuple[int, str]]
"""(step, label) of settings that changed on the way."""


def loss_table(
    steps: npt.NDArray[np.floating],
    losses: npt.NDArray[np.floating],
    validation: Mapping[int, float],
    references: Mapping[str, float],
    changes: Changes = (),
) -> pd.DataFrame:
    """steps (n,), losses (n,) in nats, validation {step: nats}, references {what guesses without memory: nats}
    -> long table (series, line, step, nats, label) for `loss_chart`: at most 508 rows and one a change."""
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
    if validation:
        # Its name stands beside the others, and not over the curve that has gone on since.
        parts.append(_part(VALIDATION, NAME, [last], nats[-1:]))
    parts += [_part(series, REFERENCE, [0, last], [nats, nats]) for series, nats in references.items()]
    table = line_ends.with_names(pd.concat(parts, ignore_index=True), "step", "nats", "series", height=LOSS_HEIGHT)
    return pd.concat([table, setting_changes.marks(changes)], ignore_index=True)


def _part(series: str, line: str, steps: npt.ArrayLike, nats: npt.ArrayLike) -> pd.DataFrame:
    return pd.DataFrame(
        {"series": series, "line": line, "step": np.asarray(steps, float), "nats": np.asarray(nats, float)}
    )


@specification
def loss_chart(unit: str) -> alt.LayerChart:
    """Loss in nats per `unit` ("": it is a squared error) over the step, beside what guessers without a memory of their
    own would lose.
    """
    base = alt.Chart().encode(
        x=line_ends.room(counted("step"), LONGEST_NAME),
        y=alt.Y("nats:Q", title=loss_title(unit), scale=alt.Scale(zero=False, nice=True)),
    )
    color = alt.Color("series:N", scale=alt.Scale(domain=[TRAINING, VALIDATION]), legend=None)
    curves = base.encode(color=color)
    own = f"(datum.series == '{TRAINING}' || datum.series == '{VALIDATION}')"
    tooltip = [alt.Tooltip("series:N"), alt.Tooltip("step:Q", format=","), alt.Tooltip("nats:Q", format=".4f")]
    return stacked(
        *setting_changes.mark_layers(),
        base.mark_line(strokeWidth=1.4, strokeDash=[5, 4], color=FAINT)
        .encode(detail="series:N")
        .transform_filter(f"datum.line == '{REFERENCE}'"),
        curves.mark_line(strokeWidth=1, opacity=0.3).transform_filter(f"datum.line == '{RAW}'"),
        curves.mark_line(strokeWidth=2.4).transform_filter(f"datum.line == '{MEAN}'"),
        curves.mark_line(strokeWidth=1.6, point=alt.OverlayMarkDef(size=28)).transform_filter(
            f"datum.line == '{DOTS}'"
        ),
        line_ends.names(curves, "series").transform_filter(own),
        line_ends.names(base, "series", color=alt.value(FAINT)).transform_filter(f"!{own}"),
        # Each of these is an element of the page: the outline has too many of them, and says little in a tooltip.
        base.mark_point(size=80, opacity=0, filled=True)
        .encode(tooltip=tooltip)
        .transform_filter(f"indexof(['{MEAN}', '{DOTS}', '{REFERENCE}'], datum.line) >= 0"),
        height=LOSS_HEIGHT,
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


def gradient_norm_table(before: Curve, after: Curve, limits: ClipLimits, changes: Changes = ()) -> pd.DataFrame:
    """Norms before and after clipping, and its limits -> long table (series, line, step, norm, label): 303 rows, the
    limits' and one a change.
    """
    parts = []
    for series, (steps, norms) in ((BEFORE, before), (AFTER, after)):
        # A log axis has no place for zero or for what is not finite.
        usable = np.flatnonzero(np.isfinite(norms) & (norms > 0))
        places = usable[thin(np.log(norms[usable]), 150)]
        parts.append(pd.DataFrame({"series": series, "line": MEAN, "step": steps[places], "norm": norms[places]}))
    steps = before[0]
    if limits and len(steps):
        at, norms = limit_line(limits, float(steps[-1]))
        parts.append(pd.DataFrame({"series": LIMIT, "line": REFERENCE, "step": at, "norm": norms}))
    table = pd.concat(parts, ignore_index=True)
    table = line_ends.with_names(table, "step", "norm", "series", height=NORM_HEIGHT, log=True)
    return pd.concat([table, setting_changes.marks(changes)], ignore_index=True)


@specification
def gradient_norm_chart() -> alt.LayerChart:
    """The gradient's global L2 norm over the step, before and after clipping, log axis."""
    color = alt.Color("series:N", scale=alt.Scale(domain=[BEFORE, AFTER]), legend=None)
    x = line_ends.room(counted("step"), (BEFORE, AFTER, LIMIT))
    base = alt.Chart().encode(x=x, y=logarithmic("norm", "gradient norm"))
    tooltip = [alt.Tooltip("series:N"), alt.Tooltip("step:Q", format=","), alt.Tooltip("norm:Q", format=".4g")]
    # What clipping changed nothing of is one curve: the later one covers the earlier.
    curves = [
        base.mark_line(strokeWidth=1.4)
        .encode(color=color)
        .transform_filter(f"datum.series == '{series}' && datum.line == '{MEAN}'")
        for series in (BEFORE, AFTER)
    ]
    return stacked(
        *setting_changes.mark_layers(),
        *curves,
        base.mark_line(strokeWidth=1.4, strokeDash=[5, 4], color=FAINT).transform_filter(
            f"datum.line == '{REFERENCE}'"
        ),
        line_ends.names(base.encode(color=color), "series").transform_filter(f"datum.series != '{LIMIT}'"),
        line_ends.names(base, "series", color=alt.value(FAINT)).transform_filter(f"datum.series == '{LIMIT}'"),
        base.mark_point(size=80, opacity=0, filled=True)
        .encode(tooltip=tooltip)
        .transform_filter(f"datum.line == '{MEAN}' || datum.line == '{REFERENCE}'"),
        height=NORM_HEIGHT,
    )


def half_life_table(measured: Mapping[int, HorizonMeasured], changes: Changes = ()) -> pd.DataFrame:
    """The horizon at each measured step -> (line, step, half_life, beyond, label), at most 150 rows and one a change.

    beyond: the half-life is longer than the sentences it was measured on, and at least the number that stands there.
    """
    steps = np.array(sorted(measured))
    found = [measured[step].half_life for step in steps]
    beyond = np.array([one is None for one in found], dtype=bool)
    reach = [len(measured[step].median) - 1 if one is None else one for step, one in zip(steps, found, strict=True)]
    values = np.array(reach, dtype=float)
    kept = thin(values, 150)
    curve = pd.DataFrame({"step": steps[kept].astype(float), "half_life": values[kept], "beyond": beyond[kept]})
    return pd.concat([curve.assign(line=MEAN), setting_changes.marks(changes)], ignore_index=True)


@specification
def half_life_chart(unit: str) -> alt.LayerChart:
    """After how many steps back half of a gradient is left, over the training; rings: at least so many."""
    base = (
        alt.Chart()
        .encode(
            x=counted("step"),
            y=alt.Y(
                "half_life:Q",
                title=f"{unit}s back",
                scale=alt.Scale(zero=True, nice=True),
                axis=alt.Axis(tickCount=4, tickMinStep=1),
            ),
        )
        .transform_filter(f"datum.line == '{MEAN}'")
    )
    tooltip = [
        alt.Tooltip("step:Q", format=","),
        alt.Tooltip("half_life:Q", title=HALF_LIFE, format=".2f"),
        alt.Tooltip("beyond:N", title="or more"),
    ]
    return stacked(
        setting_changes.mark_lines(),
        base.mark_line(strokeWidth=2),
        base.mark_point(size=26, opacity=1).encode(tooltip=tooltip).transform_filter("datum.beyond"),
        base.mark_point(size=60, opacity=0, filled=True).encode(tooltip=tooltip),
        height=170,
    )
