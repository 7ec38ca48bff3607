"""Which earlier words a prediction depends on: by its gradient, and by replacing them."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.common import FAINT, SEAMLESS, numbered
from dashboard.charts.specification import (
    aligned,
    in_order,
    only,
    series,
    specification_over_words,
    stacked,
    words_below,
)
from rnn_core.diagnostics import (
    WhichWordsMattered,
)

REALLY, PROMISED = "what really happens", "what the gradient promises"
UNKNOWN, OTHERS = "<unk>", "other words"


def influence_table(sources: Sequence[str], found: WhichWordsMattered, replaced_by: str) -> pd.DataFrame:
    """Words up to the chosen one: gradient, and the change of log p when it is replaced, in truth and as promised.

    Long: (series, k, word, gradient, change, low, high); the error bars are a standard error to either side.
    """
    count = len(found.gradient)
    labels = numbered(sources)[:count]
    if replaced_by == UNKNOWN:
        really, promised, error = found.unknown, found.unknown_predicted, np.zeros(count)
    else:
        really, promised, error = found.expected, found.expected_predicted, found.expected_error
    error = np.where(np.isfinite(error), error, 0.0)
    shared = {"k": np.arange(1, count + 1), "word": labels, "gradient": found.gradient}
    return pd.concat(
        [
            series(REALLY, **shared, change=really, low=really - error, high=really + error),
            series(PROMISED, **shared, change=promised, low=promised, high=promised),
        ],
        ignore_index=True,
    )


@specification_over_words
def shades(words: tuple[str, ...], ceiling: float) -> alt.LayerChart:
    """The earlier words, shaded by how strongly the prediction depends on each, to first order."""
    cells = (
        alt.Chart()
        .mark_rect(width=SEAMLESS)
        .encode(
            x=words_below(words).axis(labels=False, ticks=False, title=None),
            y=alt.Y("foot:Q", title=None, axis=aligned("gradient", labels=False, ticks=False, grid=False)),
            y2="top:Q",
            color=alt.Color(
                "gradient:Q",
                title="‖∂ log p/∂x(k)‖ (nats per unit of x)",
                scale=alt.Scale(domain=[0, ceiling], clamp=True),
                legend=alt.Legend(orient="top", gradientLength=180, titleLimit=260, tickCount=3, format="~g"),
            ),
            tooltip=[alt.Tooltip("word:N"), alt.Tooltip("gradient:Q", format=".3e")],
        )
        .transform_filter(only(REALLY))
        .transform_calculate(foot="0", top="1")
    )
    return stacked(cells, height=150)


@specification_over_words
def changes(words: tuple[str, ...]) -> alt.LayerChart:
    """What happens to log p when each word is replaced, beside what the gradient promises."""
    x = words_below(words, "replaced word k")
    offset = alt.XOffset("series:N", scale=in_order(REALLY, PROMISED))
    title = "change of log p (nats)"
    y = alt.Y("change:Q", title=title, axis=aligned(title, tickCount=6))
    color = alt.Color(
        "series:N",
        title=None,
        scale=in_order(REALLY, PROMISED),
        legend=alt.Legend(orient="top", columns=1, labelLimit=220),
    )
    tooltip = [
        alt.Tooltip("word:N", title="replaced"),
        alt.Tooltip("series:N"),
        alt.Tooltip("change:Q", title="nats", format="+.4f"),
    ]
    bars = alt.Chart().mark_bar().encode(x=x, xOffset=offset, y=y, color=color, tooltip=tooltip)
    errors = (
        alt.Chart()
        .mark_rule(strokeWidth=1.4, color=FAINT)
        .encode(x=x, xOffset=offset, y="low:Q", y2="high:Q")
        .transform_filter("datum.high > datum.low")
    )
    return stacked(bars, errors, height=280)
