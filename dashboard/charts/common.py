"""What several charts need: smooth lines, and words as labels of an axis."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import numpy.typing as npt

FAINT = "#868b90"
"""A grey that can be read on paper and on ink."""

SHORT = "format(datum.value, '~s')"
"""Each label by itself: 500, 1k, 1.5k. Given as a format, all would take one unit: 0.5k, 1k, 1.5k."""


SEAMLESS = alt.RelativeBandSize(band=1.12)
"""Cells of a heat map that overlap a little: else the page shines through where two of them share a pixel."""


def smooth(values: npt.ArrayLike, half_window: int) -> npt.NDArray[np.float64]:
    """values (n,) -> the mean at each place over `half_window` values on either side.

    Near the start, where losses fall fast, over equally many on both sides, so that the curve does not lag behind; near
    the end over as many as there are, so that it is as calm there as elsewhere.
    """
    series = np.asarray(values, dtype=float)
    sums = np.concatenate([[0.0], np.cumsum(series)])
    places = np.arange(len(series))
    before = np.minimum(places, half_window)
    after = np.minimum(before, places[::-1])
    return (sums[places + after + 1] - sums[places - before]) / (before + after + 1)


def numbered(words: Sequence[str], limit: int = 18) -> list[str]:
    """Words -> unique axis labels "1 the", "2 man", …: a word may stand twice in a sentence, a label must not."""
    width = len(str(len(words)))
    return [f"{place:>{width}} {word[:limit]}{'…' if len(word) > limit else ''}" for place, word in enumerate(words, 1)]


def counted(title: str) -> alt.X:
    """An axis of whole numbers from 0 (steps), labelled 500, 1k, 1.5k, …"""
    return alt.X(
        "step:Q",
        title=title,
        axis=alt.Axis(labelExpr="format(datum.value, '~s')", tickMinStep=1, tickCount=6, grid=False),
    )


def loss_title(unit: str) -> str:
    """Of an axis of losses in nats per `unit`; "": they are squared errors."""
    return f"loss (nats per {unit})" if unit else "squared error"


_EXTREME = "datum.value >= 1e6 || datum.value < 9e-4"
_WHOLE_POWER = "abs(log(datum.value) / LN10 - round(log(datum.value) / LN10)) < 1e-6"


def logarithmic(field: str, title: str) -> alt.Y:
    """A log axis whose powers of ten stand out from the lines between them."""
    grid = alt.condition(_WHOLE_POWER, alt.value(1.0), alt.value(0.25))
    return alt.Y(
        f"{field}:Q",
        title=title,
        scale=alt.Scale(type="log", nice=False),
        # Where ~g would write 10000000000 or 0.0000001.
        axis=alt.Axis(
            format="~g",
            labelExpr=f"datum.label && ({_EXTREME}) ? format(datum.value, '.0e') : datum.label",
            tickCount=5,
            gridOpacity=grid,
        ),
    )


ACCURACIES = (0.4, 1.02)
"""The axis of accuracies: from a little below a coin's half to a little above 1: marks at the ends are whole."""


def once() -> alt.Chart:
    """A layer that is drawn once: not for every row of the table, and also where the table has none yet."""
    return alt.Chart(alt.sequence(0, 1))
