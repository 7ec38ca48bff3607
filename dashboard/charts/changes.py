"""Lines down a chart where a setting changed while the training ran, and what it became."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.common import FAINT

MOST_MARKS = 24
"""Changes of settings that are drawn; of more the newest."""

CHANGE = "change"
"""The rows of a chart's table that are drawn by this file, in its column `line`."""


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
