"""What a network loses without a unit, and a text with a unit's values under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts.common import FAINT
from dashboard.charts.specification import in_order, specification, stacked
from rnn_core.diagnostics import AblationCost, Unit

ELSEWHERE = "elsewhere"
COLUMNS = 72


def name_of(unit: Unit, layers: int = 1, signals: bool = True) -> str:
    """ "unit 33 (c)"; of several layers "unit 33 of layer 1 (c)". Both count from 0, as arrays do."""
    layer = f" of layer {unit.layer}" if layers > 1 else ""
    return f"unit {unit.number}{layer}" + (f" ({unit.signal})" if signals else "")


def ablation_table(costs: Mapping[str, AblationCost], at_ends: str) -> pd.DataFrame:
    """Long: (unit, where, cost, places)."""
    rows = []
    for name, cost in costs.items():
        rows.append({"unit": name, "where": at_ends, "cost": cost.at_ends, "places": cost.ends})
        rows.append({"unit": name, "where": ELSEWHERE, "cost": cost.elsewhere, "places": cost.others})
    return pd.DataFrame(rows)


@specification
def ablation(units: int, at_ends: str) -> alt.LayerChart:
    """What the loss rises by without each unit, where the feature ends and elsewhere."""
    y = alt.Y("unit:N", title=None, sort=None, axis=alt.Axis(labelLimit=160, labelOverlap=False))
    offset = alt.YOffset("where:N", scale=in_order(at_ends, ELSEWHERE))
    color = alt.Color(
        "where:N",
        title=None,
        scale=in_order(at_ends, ELSEWHERE),
        legend=alt.Legend(orient="top", columns=1, labelLimit=260),
    )
    x = alt.X("cost:Q", title="rise of the loss (nats a prediction)", axis=alt.Axis(tickCount=5))
    tooltip = [
        alt.Tooltip("unit:N"),
        alt.Tooltip("where:N"),
        alt.Tooltip("cost:Q", title="nats", format="+.4f"),
        alt.Tooltip("places:Q", format=","),
    ]
    bars = alt.Chart().mark_bar(cornerRadiusEnd=2).encode(x=x, y=y, yOffset=offset, color=color, tooltip=tooltip)
    zero = alt.Chart().mark_rule(color=FAINT).encode(x=alt.datum(0))
    return stacked(bars, zero, height=100 + 60 * units)


def strengths(values: npt.ArrayLike, whole: npt.ArrayLike | None = None) -> npt.NDArray[np.float64]:
    """Values (n,) of a unit -> from -1 to 1: how far each is from the unit's mean, over what is far for it (its 99th
    percentile); both over the `whole` text, where that is more than the values.
    """
    values = np.asarray(values, np.float64)
    whole = values if whole is None else np.asarray(whole, np.float64)
    centre = whole.mean()
    far = np.quantile(np.abs(whole - centre), 0.99) or 1.0
    return np.clip((values - centre) / far, -1, 1)


def text_table(tokens: Sequence[str], values: npt.ArrayLike, columns: int = COLUMNS) -> pd.DataFrame:
    """One row a token: its line, first and last column on a page of `columns` letters; a line break begins a line."""
    width = 0 if all(len(token) == 1 or token == "<s>" for token in tokens) else 1
    line = column = 0
    rows: list[dict[str, object]] = []
    for token, value in zip(tokens, np.asarray(values, np.float64).tolist(), strict=True):
        shown = "↵" if token in ("\n", "<s>", "</s>") else token
        if rows and (token in ("\n", "<s>") or column + len(shown) > columns):
            line, column = line + 1, 0
        rows.append({"token": shown, "line": line, "start": column, "end": column + len(shown), "value": value})
        column += len(shown) + width
    return pd.DataFrame(rows)
