"""Which unit carries the number of the subject over the gap, and what happens without it."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.common import FAINT
from dashboard.charts.specification import in_order, specification, stacked
from rnn_core.diagnostics import Carriers

WHOLE, WITHOUT = "the whole network", "without one unit"
SHOWN = 6
COIN = 0.5


def over_gap_table(found: Carriers) -> pd.DataFrame:
    """One row a word, the subject's own first: (words, correlation)."""
    return pd.DataFrame({"words": np.arange(len(found.over_gap)), "correlation": np.abs(found.over_gap)})


@specification
def over_gap() -> alt.LayerChart:
    """How well the best unit tells the two kinds of sentence apart, word by word after the subject."""
    x = alt.X("words:Q", title="words after the subject", axis=alt.Axis(tickMinStep=1, format="d", grid=False))
    y = alt.Y("correlation:Q", title="|correlation|", scale=alt.Scale(domain=[0, 1]))
    tooltip = [alt.Tooltip("words:Q"), alt.Tooltip("correlation:Q", format=".2f")]
    base = alt.Chart().encode(x=x, y=y, tooltip=tooltip)
    return stacked(base.mark_line(strokeWidth=2.2, point=alt.OverlayMarkDef(size=40)), height=240)


def without_table(found: Carriers, layers: int) -> pd.DataFrame:
    """(name, who, accuracy): of the whole network, and without each of the units that are missed most."""
    worst = sorted(found.without.items(), key=lambda item: item[1])[:SHOWN]
    rows = [(WHOLE, WHOLE, found.accuracy)]
    for (layer, number), accuracy in worst:
        rows.append((f"unit {number}" + (f" of layer {layer}" if layers > 1 else ""), WITHOUT, accuracy))
    return pd.DataFrame(rows, columns=["name", "who", "accuracy"])


@specification
def without(bars: int) -> alt.LayerChart:
    """Share of right answers without each unit, beside the whole network and a coin."""
    x = alt.X("accuracy:Q", title="right answers", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    y = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=180, labelOverlap=False))
    color = alt.Color("who:N", scale=in_order(WHOLE, WITHOUT), legend=None)
    tooltip = [alt.Tooltip("name:N"), alt.Tooltip("accuracy:Q", format=".1%")]
    marks = alt.Chart().mark_bar(cornerRadiusEnd=2, height=16).encode(x=x, y=y, color=color, tooltip=tooltip)
    coin = alt.Chart().mark_rule(strokeDash=[5, 4], color=FAINT).encode(x=alt.datum(COIN))
    return stacked(marks, coin, height=60 + 30 * bars)
