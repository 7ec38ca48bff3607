"""Sentences that the network wrote, with how sure it was of each word."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.common import numbered

MANY = 45
"""Words beside each other whose labels still can be read."""


def probabilities(
    words: Sequence[str], probability: Sequence[float], given: Sequence[bool], likeliest: Sequence[str]
) -> alt.Chart:
    """The words of one sentence, the network's probability of each, whether the prompt gave it, and what it thought
    likeliest there -> bars in reading order."""
    table = pd.DataFrame(
        {
            "place": np.arange(1, len(words) + 1),
            "word": numbered(words),
            "probability": np.asarray(probability, dtype=float),
            "from": np.where(np.asarray(given, dtype=bool), "prompt", "network"),
            "likeliest": list(likeliest),
        }
    )
    return (
        alt.Chart(table)
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=alt.X(
                "word:N",
                title=None,
                sort=None,
                axis=alt.Axis(labelAngle=-50, labelLimit=120, labelOverlap=len(words) > MANY),
            ),
            y=alt.Y(
                "probability:Q",
                title="probability",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", tickCount=3),
            ),
            color=alt.Color(
                "from:N",
                title=None,
                scale=alt.Scale(domain=["network", "prompt"]),
                legend=alt.Legend(orient="top") if any(given) else None,
            ),
            tooltip=[
                alt.Tooltip("word:N"),
                alt.Tooltip("probability:Q", format=".3%"),
                alt.Tooltip("likeliest:N", title="likeliest here"),
                alt.Tooltip("from:N"),
            ],
        )
        .properties(height=160)
    )
