"""A training that another program makes: its loss, and how many of its units are saturated, over its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts import line_ends
from dashboard.charts.common import counted, smooth
from dashboard.charts.specification import specification, stacked
from rnn_core.training import HorizonMeasured

TRAINING, VALIDATION = "training", "validation"
LOSS, SATURATED = "loss", "share that is saturated"
MOST_POINTS = 160
HEIGHT = 320


def loss_table(
    steps: npt.NDArray[np.floating], losses: npt.NDArray[np.floating], validation: Mapping[int, float]
) -> pd.DataFrame:
    """steps (n,), losses (n,), validation {step: loss} -> long table (series, step, value), the losses smoothed."""
    places = np.unique(np.linspace(0, max(len(steps) - 1, 0), min(len(steps), MOST_POINTS)).astype(int))
    known = sorted(validation)
    running = smooth(losses, len(losses) // 60)
    parts = [
        _line(TRAINING, steps[places], running[places]),
        _line(VALIDATION, known, [validation[step] for step in known]),
    ]
    return _named(parts)


def saturation_table(measured: Mapping[int, HorizonMeasured], signals: Sequence[str]) -> pd.DataFrame:
    """Share of each of these signals of the top layer that is saturated -> long table (series, step, value)."""
    steps = sorted(measured)
    steps = [steps[place] for place in np.unique(np.linspace(0, len(steps) - 1, MOST_POINTS).astype(int))]
    shares = [dict(zip(measured[step].signals, measured[step].saturated, strict=False)) for step in steps]
    parts = [_line(name, steps, [share.get(name, np.nan) for share in shares]) for name in signals]
    return _named(parts, domain=(0.0, 1.0))


def _named(parts: Sequence[pd.DataFrame], domain: tuple[float, float] | None = None) -> pd.DataFrame:
    table = pd.concat(parts, ignore_index=True)
    return line_ends.with_names(table, "step", "value", "series", height=HEIGHT, domain=domain)


def _line(series: str, steps: npt.ArrayLike, values: npt.ArrayLike) -> pd.DataFrame:
    return pd.DataFrame({"series": series, "step": np.asarray(steps, float), "value": np.asarray(values, float)})


@specification
def over_steps(title: str, *names: str) -> alt.LayerChart:
    """A line for each of the named series over the step, with `title` (LOSS or SATURATED) at the axis."""
    share = title == SATURATED
    form = ".1%" if share else ".4f"
    base = alt.Chart().encode(
        x=line_ends.room(counted("step"), names),
        y=alt.Y(
            "value:Q",
            title=title,
            scale=alt.Scale(domain=[0, 1]) if share else alt.Scale(zero=False, nice=True),
            axis=alt.Axis(format="%") if share else alt.Axis(),
        ),
        color=alt.Color("series:N", scale=alt.Scale(domain=list(names)), legend=None),
    )
    tooltip = [alt.Tooltip("series:N"), alt.Tooltip("step:Q", format=","), alt.Tooltip("value:Q", format=form)]
    return stacked(
        base.mark_line(strokeWidth=2.4),
        line_ends.names(base, "series"),
        base.mark_point(size=60, opacity=0, filled=True).encode(tooltip=tooltip),
        height=HEIGHT,
    )
