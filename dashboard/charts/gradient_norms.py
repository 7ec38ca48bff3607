"""The gradient's norm over the training, before and after clipping, and whose gradient a peak was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts import line_ends
from dashboard.charts.common import counted, logarithmic
from dashboard.charts.specification import (
    Floats,
    in_order,
    lag_bars,
    only,
    plottable,
    series,
    specification,
    stacked,
)
from dashboard.charts.thinning import thin
from dashboard.charts.training import AFTER, BEFORE, LIMIT, ClipLimits, limit_line
from rnn_core.diagnostics import (
    GradientBySentence,
)


class Series(Protocol):
    """A value for each of some training steps."""

    @property
    def steps(self) -> Floats:
        """(n,) ascending."""

    @property
    def values(self) -> Floats:
        """(n,)."""


CLIPPING_HEIGHT = 300


def clipping_table(before: Series, after: Series, limits: ClipLimits, chosen: int | None) -> pd.DataFrame:
    """Gradient norms over the training, at most 1,000 points, spikes kept: (series, step, norm, chosen)."""
    parts = []
    for name, one, room in ((BEFORE, before, 620), (AFTER, after, 360)):
        usable = np.flatnonzero(np.isfinite(one.values) & (one.values > 0))
        places = usable[thin(np.log(one.values[usable]), room)]
        parts.append(series(name, step=one.steps[places], norm=one.values[places]))
    if limits and len(before.steps):
        steps, norms = limit_line(limits, before.steps[-1])
        parts.append(series(LIMIT, step=steps, norm=norms))
    table = pd.concat(parts, ignore_index=True)
    table = line_ends.with_names(table, "step", "norm", "series", height=CLIPPING_HEIGHT, log=True)
    return table.assign(chosen=(table["step"] == chosen) & (table["series"] == BEFORE))


@specification
def clipping(limited: bool) -> alt.LayerChart:
    """The gradient's norm over the training, before and after clipping; a click chooses a step."""
    names = (BEFORE, AFTER, *((LIMIT,) if limited else ()))
    base = alt.Chart().encode(
        x=line_ends.room(counted("training step"), names),
        y=logarithmic("norm", "gradient norm, all parameters"),
        color=alt.Color("series:N", scale=in_order(*names), legend=None),
    )
    tooltip = [alt.Tooltip("series:N"), alt.Tooltip("step:Q", format=","), alt.Tooltip("norm:Q", format=".4g")]
    ring = alt.Chart().mark_point(size=160, strokeWidth=2.4, filled=False)
    return stacked(
        base.mark_line(strokeWidth=1.4).transform_filter(only(BEFORE)),
        base.mark_line(strokeWidth=1.4).transform_filter(only(AFTER)),
        base.mark_line(strokeWidth=1.4, strokeDash=[5, 4]).transform_filter(only(LIMIT)),
        line_ends.names(base, "series"),
        ring.encode(x="step:Q", y="norm:Q", color=alt.datum(BEFORE)).transform_filter("datum.chosen"),
        base.mark_point(size=90, opacity=0, filled=True)
        .encode(tooltip=tooltip)
        .transform_filter(only(BEFORE))
        .add_params(alt.selection_point(name="spike", fields=["step"], on="click", nearest=True, toggle=False)),
        height=CLIPPING_HEIGHT,
    )


def culprits_table(found: GradientBySentence, sentences: Sequence[str] | None, most: int = 8) -> pd.DataFrame:
    """The sentences of a batch by their share in its gradient, the largest first; None: known by their number alone."""
    names = sentences or [f"sentence {number}" for number in range(1, len(found.shares) + 1)]
    order = np.argsort(-found.shares, kind="stable")[:most]
    return pd.DataFrame(
        {
            "sentence": [names[place] for place in order],
            "share": found.shares[order],
            "norm": found.norms[order],
            "tokens": found.tokens[order],
        }
    )


def lag_table(norms: Floats) -> pd.DataFrame:
    """||G_j|| of one sentence over the lag, with the foot of each bar."""
    table = plottable(pd.DataFrame({"lag": np.arange(len(norms)), "norm": norms}), "norm")
    return table.assign(foot=10.0 ** np.floor(np.log10(table["norm"].min())) if len(table) else 1.0)


@specification
def lags(unit: str) -> alt.LayerChart:
    """Over which distance the worst sentence's gradient came."""
    bars = (
        alt.Chart()
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=lag_bars(unit),
            y=logarithmic("norm", "‖G(j)‖ of that sentence"),
            y2="foot:Q",
            tooltip=[alt.Tooltip("lag:Q", title=f"{unit}s back"), alt.Tooltip("norm:Q", format=".3e")],
        )
    )
    return stacked(bars, height=240)
