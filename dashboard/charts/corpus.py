"""What was read: how much of it the vocabulary covers, which words are frequent, how long sentences are."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts.common import FAINT, SHORT, once
from dashboard.charts.specification import specification, stacked


def sizes(least: int, most: int, stops: int = 40) -> list[int]:
    """Whole numbers from `least` to `most`, evenly spaced on a log axis, rounded to two figures but for the last."""
    places = np.geomspace(least, most, stops)
    rounded = {int(float(f"{place:.2g}")) for place in places[:-1]}
    return [*sorted(size for size in rounded if least <= size < most), most]


def coverage_table(counts: npt.NDArray[np.integer], points: int = 300) -> pd.DataFrame:
    """counts (n,) of the distinct words, most frequent first -> (words, covered): share of the running text that the
    first `words` of them cover, at no more than `points` places, evenly spaced on a log axis."""
    total = counts.sum()
    if not total:
        return pd.DataFrame({"words": [], "covered": []})
    places = np.unique(np.geomspace(1, len(counts), points).round().astype(int))
    return pd.DataFrame({"words": places, "covered": np.cumsum(counts)[places - 1] / total})


@specification
def coverage(chosen: int, unit: str) -> alt.LayerChart:
    """Share of the running text that is in the vocabulary, over its size; the chosen size is marked."""
    area = (
        alt.Chart()
        .mark_area(opacity=0.25, line={"strokeWidth": 2})
        .encode(
            x=alt.X(
                "words:Q",
                title=f"{unit}s in the vocabulary",
                scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(format="~s", grid=False, tickCount=6),
            ),
            y=alt.Y("covered:Q", title="text covered", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        )
    )
    touch = (
        alt.Chart()
        .mark_point(size=60, opacity=0, filled=True)
        .encode(
            x="words:Q",
            y="covered:Q",
            tooltip=[alt.Tooltip("words:Q", format=","), alt.Tooltip("covered:Q", format=".1%")],
        )
    )
    mark = once().mark_rule(strokeDash=[5, 4], strokeWidth=1.5, color=FAINT).encode(x=alt.datum(chosen))
    return stacked(area, touch, mark, height=240)


def frequencies_table(words: Sequence[str], counts: Sequence[int]) -> pd.DataFrame:
    """Words, most frequent first, and how often each occurs -> (rank, word, count)."""
    return pd.DataFrame({"rank": np.arange(1, len(words) + 1), "word": list(words), "count": list(counts)})


@specification
def frequencies(words: int) -> alt.LayerChart:
    """So many words with their counts, as bars, most frequent on top."""
    bars = (
        alt.Chart()
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=alt.X("count:Q", title="times in the text", axis=alt.Axis(labelExpr=SHORT, tickCount=5)),
            y=alt.Y("word:N", title=None, sort=None, axis=alt.Axis(labelLimit=140, labelOverlap=False)),
            tooltip=[alt.Tooltip("rank:Q"), alt.Tooltip("word:N"), alt.Tooltip("count:Q", format=",")],
        )
    )
    return stacked(bars, height=max(120, 18 * words))


def lengths_table(lengths: npt.NDArray[np.integer], bins: int = 40) -> pd.DataFrame:
    """lengths (n,) of sentences -> histogram (from, to, sentences) with whole-number edges."""
    if not len(lengths):
        return pd.DataFrame({"from": [], "to": [], "sentences": []})
    low, high = int(lengths.min()), int(lengths.max()) + 1
    width = max(1, -(-(high - low) // bins))
    edges = np.arange(low, high + width, width)
    numbers, _ = np.histogram(lengths, bins=edges)
    return pd.DataFrame({"from": edges[:-1], "to": edges[1:], "sentences": numbers})


@specification
def lengths(unit: str) -> alt.LayerChart:
    """How many sentences have how many words (or characters)."""
    bars = (
        alt.Chart()
        .mark_rect()
        .encode(
            x=alt.X(
                "from:Q",
                title=f"{unit}s in a sentence",
                scale=alt.Scale(nice=False),
                axis=alt.Axis(tickMinStep=1, grid=False, format="d"),
            ),
            x2="to:Q",
            y=alt.Y("sentences:Q", title="sentences", axis=alt.Axis(tickMinStep=1, labelExpr=SHORT, tickCount=5)),
            y2=alt.datum(0),
            tooltip=[
                alt.Tooltip("from:Q", title=f"{unit}s, from"),
                alt.Tooltip("to:Q", title="to below"),
                alt.Tooltip("sentences:Q", format=","),
            ],
        )
    )
    return stacked(bars, height=240)
