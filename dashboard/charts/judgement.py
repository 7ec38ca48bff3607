"""A network judged on held-out text: beside counting, by position, how far back, how much is copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts import line_ends
from dashboard.charts.common import FAINT
from dashboard.charts.specification import in_order, series, specification, stacked
from dashboard.text.training import REFERENCES
from rnn_core.data import Copies
from rnn_core.diagnostics import LossByPosition, Reach

NETWORK, COUNTED = "the network", "counting"
CONTEXT, GRADIENT = "what it uses", "what it could learn from"
WRITTEN, PEOPLE = "written by the network", "the text above"
LEAST_PREDICTIONS = 20
"""A mean over fewer says little of a place in the sentence."""

_REACH_HEIGHT = 300


def perplexity_table(network: float, counted: Mapping[str, float]) -> pd.DataFrame:
    """One row a predictor, the best first: (name, who, perplexity)."""
    rows = [(NETWORK, NETWORK, network)] + [(REFERENCES[name], COUNTED, value) for name, value in counted.items()]
    rows = sorted((row for row in rows if np.isfinite(row[2])), key=lambda row: row[2])
    return pd.DataFrame(rows, columns=["name", "who", "perplexity"])


@specification
def perplexities(bars: int) -> alt.LayerChart:
    """The network's perplexity beside those of counting, logarithmic from 1: what a perfect predictor has."""
    scale = alt.Scale(type="log", domainMin=1, nice=False)
    x = alt.X("perplexity:Q", title="perplexity", scale=scale, axis=alt.Axis(tickCount=5, format="~s"))
    y = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=180, labelOverlap=False))
    tooltip = [alt.Tooltip("name:N"), alt.Tooltip("perplexity:Q", format=",.2f")]
    base = alt.Chart().encode(x=x, y=y, tooltip=tooltip)
    # Grey, as the same references are beside a training's loss.
    bar = base.encode(x2=alt.datum(1))
    own = bar.mark_bar(cornerRadiusEnd=2, height=16).transform_filter(f"datum.who == '{NETWORK}'")
    counted = bar.mark_bar(cornerRadiusEnd=2, height=16, color=FAINT).transform_filter(f"datum.who == '{COUNTED}'")
    numbers = base.mark_text(align="left", dx=5, fontSize=12, color=FAINT).encode(
        text=alt.Text("perplexity:Q", format=",.1f")
    )
    return stacked(own, counted, numbers, height=60 + 30 * bars)


def position_table(found: LossByPosition) -> pd.DataFrame:
    """One row a place, from 1: (place, perplexity, low, high, tokens); low and high a standard error to either side."""
    enough = np.flatnonzero(found.tokens >= min(LEAST_PREDICTIONS, found.tokens.max()))
    error = np.nan_to_num(found.error_nats[enough])
    nats = found.loss_nats[enough]
    with np.errstate(over="ignore"):
        return pd.DataFrame(
            {
                "place": enough + 1,
                "perplexity": np.exp(nats),
                "low": np.exp(nats - error),
                "high": np.exp(nats + error),
                "tokens": found.tokens[enough],
            }
        ).replace(np.inf, np.nan)


@specification
def by_position(unit: str) -> alt.LayerChart:
    """Perplexity at each place in the sentence, with its standard error."""
    axis = alt.Axis(tickMinStep=1, format="d", grid=False)
    x = alt.X("place:Q", title=f"{unit} of the sentence", scale=alt.Scale(zero=False, nice=False), axis=axis)
    scale = alt.Scale(type="log", nice=False)
    y = alt.Y("perplexity:Q", title="perplexity", scale=scale, axis=alt.Axis(tickCount=5, format="~g"))
    tooltip = [
        alt.Tooltip("place:Q", title=unit),
        alt.Tooltip("perplexity:Q", format=",.2f"),
        alt.Tooltip("tokens:Q", title="predictions", format=","),
    ]
    band = (
        alt.Chart().mark_area(opacity=0.2).encode(x=x, y=alt.Y("low:Q", title="perplexity", scale=scale), y2="high:Q")
    )
    base = alt.Chart().encode(x=x, y=y)
    touch = base.mark_point(size=70, opacity=0, filled=True).encode(tooltip=tooltip)
    return stacked(band, base.mark_line(strokeWidth=2.2), touch, height=260)


def reach_table(found: Reach) -> pd.DataFrame:
    """Long: (series, back, share, half); half: where the curve comes to one half, the same in all rows of a series."""
    lags = np.arange(len(found.gradient.median))
    known = np.isfinite(found.gradient.median) & (lags <= found.context.lengths[-1])
    table = pd.concat(
        [
            series(
                CONTEXT, back=found.context.lengths.astype(float), share=found.context_share, half=found.context_half
            ),
            series(
                GRADIENT, back=lags[known].astype(float), share=found.gradient.median[known], half=found.gradient_half
            ),
        ],
        ignore_index=True,
    )
    table["half"] = table["half"].astype(float)
    return line_ends.with_names(table, "back", "share", "series", height=_REACH_HEIGHT)


@specification
def reach(unit: str) -> alt.LayerChart:
    """The share of the context's use, and of the gradient, that lies further back than so many words."""
    x = alt.X("back:Q", title=f"{unit}s back", scale=alt.Scale(type="symlog"), axis=alt.Axis(format="d", grid=False))
    x = line_ends.room(x, (CONTEXT, GRADIENT))
    y = alt.Y("share:Q", title="share that is left", axis=alt.Axis(format="%", tickCount=5))
    color = alt.Color("series:N", scale=in_order(CONTEXT, GRADIENT), legend=None)
    base = alt.Chart().encode(x=x, y=y, color=color)
    tooltip = [
        alt.Tooltip("series:N"),
        alt.Tooltip("back:Q", title=f"{unit}s back"),
        alt.Tooltip("share:Q", format=".1%"),
    ]
    halves = (
        alt.Chart()
        .mark_rule(strokeDash=[5, 4], strokeWidth=1.6)
        .encode(
            x=alt.X("half:Q", title=f"{unit}s back"),
            color=color,
            tooltip=["series:N", alt.Tooltip("half:Q", format=".1f")],
        )
        .transform_filter("isValid(datum.half)")
    )
    return stacked(
        halves,
        base.mark_line(strokeWidth=2.2),
        line_ends.names(base, "series"),
        base.mark_point(size=60, opacity=0, filled=True).encode(tooltip=tooltip),
        height=_REACH_HEIGHT,
    )


def copies_table(of_network: Copies, of_people: Copies, lengths: Sequence[int], unit: str) -> pd.DataFrame:
    """Long: (least, who, share)."""
    return pd.DataFrame(
        [
            {"least": f"{least} {unit}s or more", "who": who, "share": found.share(least)}
            for least in lengths
            for who, found in ((WRITTEN, of_network), (PEOPLE, of_people))
        ]
    )


@specification
def copies(bars: int) -> alt.LayerChart:
    """What of the sentences stands verbatim in the training text, by the length of the span."""
    y = alt.Y("least:N", title=None, sort=None, axis=alt.Axis(labelLimit=180, labelOverlap=False))
    offset = alt.YOffset("who:N", scale=in_order(WRITTEN, PEOPLE))
    color = alt.Color("who:N", title=None, scale=in_order(WRITTEN, PEOPLE), legend=alt.Legend(orient="top", columns=1))
    x = alt.X("share:Q", title="share that stands in the training text", axis=alt.Axis(format="%", tickCount=5))
    tooltip = [alt.Tooltip("who:N"), alt.Tooltip("least:N"), alt.Tooltip("share:Q", format=".1%")]
    marks = alt.Chart().mark_bar(cornerRadiusEnd=2).encode(x=x, y=y, yOffset=offset, color=color, tooltip=tooltip)
    return stacked(marks, height=100 + 44 * bars)
