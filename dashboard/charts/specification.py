"""What the charts of a network's gradient share: a specification that is built once, axes of lags and of words."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts.common import logarithmic

Specification = dict[str, Any]
Floats = npt.NDArray[np.floating]

FLOOR = 1e-30
"""What a logarithmic axis shows at the least: below lies rounding, far below any use."""


def specification(build: Callable[..., alt.LayerChart]) -> Callable[..., Specification]:
    """A chart's specification by what it depends on, built once: Altair takes longer for it than NumPy for the numbers.

    The table comes later, beside it: a live chart then keeps its canvas and swaps its numbers, where a changed
    specification would tear it down and build it anew.
    """

    @wraps(build)
    def fresh(*arguments: Any) -> Specification:
        specification: Specification = json.loads(_built(build, *arguments))
        return specification

    return fresh


@lru_cache(maxsize=256)
def _built(build: Callable[..., alt.LayerChart], *arguments: Any) -> str:
    """JSON, of which each asker makes a dictionary of its own: a changed one changes no other's."""
    return json.dumps(_without_table(build(*arguments)))


def _without_table(chart: alt.Chart | alt.LayerChart) -> Specification:
    """The specification of a chart whose table is sent beside it."""
    bare = chart.copy(deep=False)
    # Without a name for it each layer would get a table of Altair's own, with one empty row in it.
    bare.data = alt.NamedData("table")
    specification: Specification = bare.to_dict(validate=False)
    del specification["data"]
    return specification


MANY_WORDS = 18
"""So many slanted labels still have room beside each other; of more, those that would collide are left out."""

# With a character that no text of ours has, so that nothing else in a specification is taken for it.
_SOME_WORD = "\N{REPLACEMENT CHARACTER} word"


def specification_over_words(build: Callable[..., alt.LayerChart]) -> Callable[..., Specification]:
    """The same for a chart with the words of a sentence along its axis, its first argument: not built anew for each.

    It is built with some other words in their place; the sentence's own are put there in the finished JSON.
    """

    @wraps(build)
    def fresh(words: tuple[str, ...], *arguments: Any) -> Specification:
        some = (_SOME_WORD,) * (MANY_WORDS + 1 if len(words) > MANY_WORDS else 1)
        text = _built(build, some, *arguments).replace(json.dumps(some), json.dumps(words))
        specification: Specification = json.loads(text)
        return specification

    return fresh


def plottable(table: pd.DataFrame, field: str) -> pd.DataFrame:
    """The rows of which a logarithmic axis has a place: what is finite, above 0 and no rounding."""
    values = table[field].to_numpy(dtype=float)
    return table[np.isfinite(values) & (values > FLOOR)].reset_index(drop=True)


def decades(values: npt.ArrayLike, lowest: float) -> Floats:
    """log10 of values, for a colour: what is 0 (or less than `lowest` allows) takes the page's colour."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = np.log10(np.asarray(values, dtype=float))
    return np.where(np.isnan(logarithms), lowest, np.clip(logarithms, lowest, 300.0))


def highest_decade(values: npt.ArrayLike, least: float) -> float:
    """The whole power of ten above the largest finite value, at least `least`: steady while the numbers move."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    top = known.max(initial=0.0)
    return max(least, float(np.ceil(np.log10(top)))) if top > 0 else least


def tidy_reach(value: float, least: float = 1.0) -> float:
    """An end of an axis that does not tremble with the numbers: the next of 1, 1.5, 2, 3, 5, 7 times a power of ten."""
    value = max(value, least)
    if not (np.isfinite(value) and value > 0):
        return max(least, 1.0)
    power = 10.0 ** np.floor(np.log10(value))
    return float(
        next(
            step * power for step in (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0) if step * power >= 1.05 * value or step == 10
        )
    )


def lag_axis(unit: str) -> alt.X:
    """The distance in words between a loss and where its gradient is measured."""
    title = f"lag j ({unit}s back)"
    return alt.X("lag:Q", title=title, axis=alt.Axis(tickMinStep=1, format="d", grid=False, tickCount=10))


def lag_bars(unit: str) -> alt.X:
    """A bar for each lag."""
    axis = alt.Axis(labelAngle=0, labelOverlap=True, grid=False)
    return alt.X("lag:O", title=f"lag j ({unit}s back)", axis=axis)


def in_order(*names: str) -> alt.Scale:
    """Series in the order in which they take the theme's colours."""
    return alt.Scale(domain=list(names))


WIDTH_OF_LABELS = 62
"""Pixels for the labels of a vertical axis, so that pictures over the same words stand exactly below each other."""


def words_below(words: tuple[str, ...], title: str = "word k") -> alt.X:
    """Numbered words from left to right, as many labels as have room."""
    return alt.X(
        "word:N",
        title=title,
        scale=alt.Scale(domain=list(words)),
        axis=alt.Axis(labelAngle=-50, labelLimit=100, labelOverlap=len(words) > MANY_WORDS, grid=False),
    )


def aligned(title: str, **options: Any) -> alt.Axis:
    """A vertical axis of a width that does not depend on its labels."""
    return alt.Axis(title=title, minExtent=WIDTH_OF_LABELS, maxExtent=WIDTH_OF_LABELS, **options)


def aligned_decades(field: str, title: str) -> alt.Y:
    """`logarithmic`, on such an axis."""
    y = logarithmic(field, title)
    axis = y["axis"].copy()
    axis["minExtent"] = axis["maxExtent"] = WIDTH_OF_LABELS
    return y.axis(axis)


def series(name: str, **columns: Any) -> pd.DataFrame:
    """Part of a long table: one named curve."""
    return pd.DataFrame({"series": name, **columns})


def stacked(
    *layers: alt.Chart | alt.LayerChart | alt.FacetChart, height: int, shared_colour: bool = True
) -> alt.LayerChart:
    """Layers on top of each other, all of them drawn from the one table that comes beside the specification."""
    chart = alt.layer(*layers)
    assert isinstance(chart, alt.LayerChart)  # Altair says "or a facet", for the sake of charts that have one
    if not shared_colour:
        chart = chart.resolve_scale(color="independent")
    return chart.properties(height=height)


def only(*names: str) -> str:
    """A filter: the rows of these series."""
    return " || ".join(f"datum.series == '{name}'" for name in names)
