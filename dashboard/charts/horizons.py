"""How far the gradient goes: the horizon of a probe, and the horizon over the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts import line_ends
from dashboard.charts.arrives import FADED, HALF_LIFE, LOWEST, STEPS_BOUND, WEIGHTS_BOUND, half_life_rule
from dashboard.charts.common import FAINT, counted, logarithmic
from dashboard.charts.specification import (
    FLOOR,
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
from rnn_core.diagnostics import Horizon
from rnn_core.training import HorizonMeasured

MOST_CELLS, MOST_COLUMNS = 1600, 40
"""Most cells and columns of `film`: what a browser draws without delay."""

HEIGHT = 340

PROBE = "probe: median"
SENTENCE, JOINT = "this sentence", "its joint state"
RADIUS = "ρ(W)^j"


def horizon_table(probe: HorizonMeasured, sentence: Horizon) -> pd.DataFrame:
    """The probe's recorded quantiles over the lag, and the sentence's own median with its bounds
    -> long table (series, lag, value, low, high).

    The product of the steps' norms bounds the deltas of a simple cell, and the joint state's gradient of a gated one;
    so beside it stands what it bounds.
    """
    lags = np.arange(len(probe.median))
    quantiles = {"value": np.array(probe.median), "low": np.array(probe.low), "high": np.array(probe.high)}
    parts = [series(PROBE, lag=lags, **quantiles)]
    reach = max(len(lags), 2)
    own, name = (sentence.median, SENTENCE) if sentence.fixed_bound is not None else (sentence.state_median, JOINT)
    curves = {
        name: own,
        STEPS_BOUND: sentence.data_bound,
        WEIGHTS_BOUND: sentence.fixed_bound,
        RADIUS: sentence.radius_power,
    }
    for name, values in curves.items():
        if values is not None:
            parts.append(series(name, lag=np.arange(len(values))[:reach], value=values[:reach]))
    if probe.half_life is not None:
        parts.append(series(HALF_LIFE, lag=[probe.half_life], value=[0.5]))
    table = plottable(pd.concat(parts, ignore_index=True), "value")
    named = (PROBE, *curves)
    table = line_ends.with_names(table, "lag", "value", "series", height=HEIGHT, log=True, among=named)
    return table.assign(low=np.maximum(table["low"], FLOOR))


@specification
def horizon(gated: bool, unit: str) -> alt.LayerChart:
    """How much of a loss's gradient is left j words back, beside what the weights promise and what they allow."""
    # A curve has the same colour as in `row`, also where a gated cell has no bound of the weights.
    names = [PROBE, WEIGHTS_BOUND, STEPS_BOUND, RADIUS, JOINT if gated else SENTENCE, HALF_LIFE]
    base = alt.Chart().encode(
        x=line_ends.room(lag_axis(unit), names), y=logarithmic("value", "what is left of it (relative, log)")
    )
    color = alt.Color("series:N", scale=in_order(*names), legend=None)
    tooltip = [
        alt.Tooltip("series:N"),
        alt.Tooltip("lag:Q", title=f"{unit}s back"),
        alt.Tooltip("value:Q", title="left", format=".3e"),
        alt.Tooltip("low:Q", title="10 %", format=".3e"),
        alt.Tooltip("high:Q", title="90 %", format=".3e"),
    ]
    return stacked(
        base.mark_area(opacity=0.22)
        .encode(y=logarithmic("low", "what is left of it (relative, log)"), y2="high:Q")
        .transform_filter(only(PROBE)),
        base.mark_line(strokeWidth=1.8, strokeDash=[5, 4])
        .encode(color=color)
        .transform_filter(only(STEPS_BOUND, WEIGHTS_BOUND, RADIUS)),
        base.mark_line(strokeWidth=1.6).encode(color=color).transform_filter(only(SENTENCE, JOINT)),
        base.mark_line(strokeWidth=3).encode(color=color).transform_filter(only(PROBE)),
        *half_life_rule(color),
        line_ends.names(base, "series", color=color),
        base.mark_point(size=60, opacity=0, filled=True).encode(tooltip=tooltip),
        height=HEIGHT,
    )


def film_table(measured: Mapping[int, HorizonMeasured], chosen: int) -> pd.DataFrame:
    """The horizon at each measured step -> one row a cell (step, until, lag, left, log10, half-life, chosen).

    At most `MOST_CELLS` cells; of a long training's columns those are kept that lie evenly.
    """
    steps = sorted(measured)
    reach = max((len(measured[step].median) for step in steps), default=1)
    most = max(2, min(MOST_COLUMNS, MOST_CELLS // reach))
    if len(steps) > most:
        steps = [steps[place] for place in np.unique(np.linspace(0, len(steps) - 1, most).round().astype(int))]
    width = max(1, int(np.median(np.diff(steps)))) if len(steps) > 1 else 1
    ends = [*steps[1:], steps[-1] + width] if steps else []
    lags = [len(measured[step].median) for step in steps]

    def column(values: Sequence[float]) -> Floats:
        return np.repeat(np.array(values, dtype=float), lags)

    def curves(name: str) -> Floats:
        return np.concatenate([np.empty(0), *(getattr(measured[step], name) for step in steps)])

    left = curves("median")
    table = pd.DataFrame(
        {
            "step": column(steps),
            "until": column(ends),
            "lag": np.concatenate([np.empty(0, int), *(np.arange(count) for count in lags)]),
            "left": left,
            "low": curves("low"),
            "high": curves("high"),
            "log10": decades(left, LOWEST),
            "half_life": column([np.nan if (half := measured[step].half_life) is None else half for step in steps]),
        }
    )
    return table.assign(above=table["lag"] - 0.5, below=table["lag"] + 0.5, chosen=float(chosen))


@specification
def film(ceiling: float, unit: str) -> alt.LayerChart:
    """Training step by lag: what is left of a gradient, and on top of it the half-life and the chosen moment."""
    cells = (
        alt.Chart()
        # The cells overlap by a hair: else the page shines through where two of them share a pixel.
        .mark_rect(x2Offset=0.6, y2Offset=0.6)
        .encode(
            x=counted("training step"),
            x2="until:Q",
            y=alt.Y(
                "above:Q",
                title=f"lag j ({unit}s back)",
                scale=alt.Scale(reverse=True, nice=False, zero=False),
                axis=alt.Axis(grid=False, format="d", tickMinStep=1),
            ),
            y2="below:Q",
            color=alt.Color(
                "log10:Q",
                title="log10 of what is left (median of the probe)",
                scale=alt.Scale(domain=[FADED, ceiling], clamp=True),
                legend=alt.Legend(orient="top", gradientLength=220, titleLimit=300, format="d", tickCount=5),
            ),
            tooltip=[
                alt.Tooltip("step:Q", format=","),
                alt.Tooltip("lag:Q", title=f"{unit}s back"),
                alt.Tooltip("left:Q", title="median", format=".3e"),
                alt.Tooltip("low:Q", title="10 %", format=".3e"),
                alt.Tooltip("high:Q", title="90 %", format=".3e"),
                alt.Tooltip("half_life:Q", title="half-life", format=".2f"),
            ],
        )
        .add_params(alt.selection_point(name="moment", fields=["step"], on="click", toggle=False))
    )
    half = (
        alt.Chart()
        .mark_line(strokeWidth=2, interpolate="step-after")
        .encode(
            x="step:Q",
            y="half_life:Q",
            # The second of the theme's colours, which no sequential ramp comes near.
            color=alt.Color("line:N", scale=in_order(" ", HALF_LIFE), legend=None),
        )
        .transform_filter("datum.lag == 0 && isValid(datum.half_life)")
        .transform_calculate(line=f"'{HALF_LIFE}'")
    )
    now = (
        alt.Chart()
        .mark_rule(strokeWidth=1.6, strokeDash=[4, 3], color=FAINT)
        .encode(x="chosen:Q")
        .transform_filter("datum.lag == 0")
        .transform_aggregate(chosen="max(chosen)")
    )
    return stacked(cells, half, now, height=300, shared_colour=False)
