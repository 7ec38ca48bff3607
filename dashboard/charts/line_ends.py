"""What a curve is called, where it ends; what a setting became, where it changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.common import FAINT

MOST_MARKS = 24
"""Changes of settings that are drawn; of more the newest."""

END, CHANGE = "end", "change"
"""The rows of a chart's table that are drawn by this file, in its column `line`."""


def apart(wanted: Sequence[float], least: float) -> list[float]:
    """Places as close as can be (in the least squares) to those `wanted`, in the same order, `least` or more apart."""
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    # With its rank taken off each, the places only have to ascend: pool those that do not (Barlow et al. 1972).
    pools: list[tuple[float, int]] = []
    for rank, place in enumerate(order):
        mean, count = wanted[place] - rank * least, 1
        while pools and pools[-1][0] >= mean:
            other, others = pools.pop()
            mean, count = (mean * count + other * others) / (count + others), count + others
        pools.append((mean, count))
    ascending = [mean for mean, count in pools for _ in range(count)]
    places = [0.0] * len(wanted)
    for rank, place in enumerate(order):
        places[place] = ascending[rank] + rank * least
    return places


def names(
    ends: Mapping[str, float], step: float, low: float, high: float, field: str, room: int, log: bool = False
) -> pd.DataFrame:
    """By curve: the value at its end -> rows (series, line, step, `field`): where its name stands, none over another.

    low, high: what the axis reaches from and to. room: so many names fit above each other. log: the axis is
    logarithmic, and all values above 0.
    """
    to, back = (math.log, math.exp) if log else (float, float)
    gap = (to(high) - to(low)) / room if high > low else 1.0
    places = apart([to(value) for value in ends.values()], gap)
    return pd.DataFrame({"series": list(ends), "line": END, "step": float(step), field: [back(at) for at in places]})


def marks(changes: Sequence[tuple[int, str]]) -> pd.DataFrame:
    """(step, label) of changes of settings -> rows (line, step, label); those after one step share a line."""
    together: dict[int, list[str]] = {}
    for step, label in changes:
        together.setdefault(step, []).append(label)
    newest = list(together.items())[-MOST_MARKS:]
    return pd.DataFrame(
        {
            "line": CHANGE,
            "step": np.array([step for step, _ in newest], float),
            "label": pd.array([" · ".join(labels) for _, labels in newest], dtype=object),
        }
    )


def name_layer(field: str, color: alt.Color | None) -> alt.Chart:
    """Each curve's name to the right of where it ends, in its colour; None: in grey."""
    base = alt.Chart().mark_text(align="left", dx=6, fontSize=12)
    encoded = base.encode(x="step:Q", y=f"{field}:Q", text="series:N")
    return encoded.encode(color=alt.value(FAINT) if color is None else color)


def mark_lines() -> alt.Chart:
    """A line down the chart where settings changed."""
    tooltip = [alt.Tooltip("label:N", title="from here"), alt.Tooltip("step:Q", format=",")]
    rules = _marks().mark_rule(color=FAINT, strokeWidth=1.2, strokeDash=[2, 3])
    return rules.encode(tooltip=tooltip)


def mark_layers() -> list[alt.Chart]:
    """The same, with what they became written along it."""
    return [
        mark_lines(),
        _marks()
        .mark_text(color=FAINT, angle=270, align="right", baseline="bottom", dx=-3, dy=-3, fontSize=11)
        .encode(y=alt.value(0), text="label:N"),
    ]


def _marks() -> alt.Chart:
    return alt.Chart().encode(x="step:Q").transform_filter(f"datum.line == '{CHANGE}'")
