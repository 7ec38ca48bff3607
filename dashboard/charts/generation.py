"""Sentences that the network wrote, with how sure it was of each word."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.common import FAINT, numbered
from dashboard.charts.specification import specification, stacked

FEW, MANY = 16, 45
"""Words beside each other whose figures, and whose labels, can still be read."""


def probabilities_table(
    words: Sequence[str], probability: Sequence[float], given: Sequence[bool], likeliest: Sequence[str]
) -> pd.DataFrame:
    """The words of one sentence, the network's probability of each, whether the prompt gave it, and what it thought
    likeliest there -> (place, word, probability, from, likeliest), in reading order.
    """
    return pd.DataFrame(
        {
            "place": np.arange(1, len(words) + 1),
            "word": numbered(words),
            "probability": np.asarray(probability, dtype=float),
            "from": np.where(np.asarray(given, dtype=bool), "prompt", "network"),
            "likeliest": list(likeliest),
        }
    )


@specification
def probabilities(words: int, prompted: bool) -> alt.LayerChart:
    """How probable each of so many words was, as bars; `prompted`: the first were given."""
    base = alt.Chart().encode(
        x=alt.X(
            "word:N",
            title=None,
            sort=None,
            axis=alt.Axis(labelAngle=-50, labelLimit=90, labelOverlap=words > MANY),
        ),
        # The root makes room for the small probabilities of a large vocabulary; above 1 a bar's figure has its place.
        y=alt.Y(
            "probability:Q",
            title="probability",
            scale=alt.Scale(type="sqrt", domain=[0, 1.2], nice=False),
            axis=alt.Axis(format="~%", values=[0.01, 0.1, 0.5, 1]),
        ),
    )
    bars = base.mark_bar(cornerRadiusEnd=2, width=alt.expr("min(28, 0.8 * bandwidth('x'))")).encode(
        color=alt.Color(
            "from:N",
            title=None,
            scale=alt.Scale(domain=["network", "prompt"]),
            legend=alt.Legend(orient="top") if prompted else None,
        ),
        tooltip=[
            alt.Tooltip("word:N"),
            alt.Tooltip("probability:Q", format=".3%"),
            alt.Tooltip("likeliest:N", title="likeliest here"),
            alt.Tooltip("from:N"),
        ],
    )
    figures = base.mark_text(dy=-7, fontSize=10, color=FAINT).encode(text=alt.Text("probability:Q", format=".2~p"))
    layers = (bars, figures) if words <= FEW else (bars,)
    return stacked(*layers, height=180)
