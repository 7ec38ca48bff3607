"""Any number of trainings in one picture: a line each, its name at its end; pointing at one makes the others faint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts import line_ends
from dashboard.charts.common import FAINT, SHORT, logarithmic
from dashboard.charts.specification import in_order, specification, stacked

COLOURS = 6
"""Lines that have a colour of their own; the others share a grey."""

MOST_POINTS = 6000
"""Of all lines together: of so many the browser marks one while the pointer moves."""

FEWEST_POINTS = 60
"""Of each line, however many there are: enough to show its shape."""

NAMED = 14
"""Lines whose names stand at their ends; those of the others appear when one points at them."""

HEIGHT = 440
_LETTER = 16 / (HEIGHT - 80)
"""The height of a name, as a share of what the picture has beside its axis."""

LONGEST_NAME = 32
"""Letters of a name that have room beside the picture, where it is wide enough."""

_HUES = [str(place) for place in range(COLOURS)]


@dataclass(frozen=True)
class Curve:
    """x, y, and for a band low and high: (points,), at least one. The label is unique, and may be a user's."""

    label: str
    x: npt.NDArray[np.floating]
    y: npt.NDArray[np.floating]
    low: npt.NDArray[np.floating] | None = None
    high: npt.NDArray[np.floating] | None = None


def compare_table(curves: Sequence[Curve], *, log: bool) -> pd.DataFrame:
    """-> long table (line, hue, x, y, low, high, name at, named): `name at` is where the name of the line stands, in
    the row of its last point only.
    """
    parts = []
    most = max(FEWEST_POINTS, MOST_POINTS // len(curves))
    named = min(len(curves), NAMED)
    ends = np.array([float(curve.y[-1]) for curve in curves])
    heights = np.concatenate([spread(ends[:named], _extent(curves), log=log), ends[named:]])
    for place, curve in enumerate(curves):
        kept = np.unique(np.linspace(0, len(curve.x) - 1, most).astype(int))
        at = np.full(len(kept), np.nan)
        at[-1] = heights[place]
        low, high = (np.full(len(kept), np.nan) if end is None else end[kept] for end in (curve.low, curve.high))
        columns = {"x": curve.x[kept], "y": curve.y[kept], "low": low, "high": high, "name at": at}
        hue = str(place) if place < COLOURS else "rest"
        parts.append(pd.DataFrame({"line": curve.label, "hue": hue, **columns, "named": place < named}))
    return pd.concat(parts, ignore_index=True)


def _extent(curves: Sequence[Curve]) -> tuple[float, float]:
    values = np.concatenate([np.asarray(part) for c in curves for part in (c.y, c.low, c.high) if part is not None])
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - max(abs(low), 1e-9) / 2, high + max(abs(high), 1e-9) / 2)


def spread(values: npt.ArrayLike, extent: tuple[float, float], *, log: bool) -> npt.NDArray[np.float64]:
    """Where names may stand that belong at `values` (names,): at least a letter's height apart, in their order, as
    near as that allows. `extent`: what the axis shows, from its foot to its top.
    """
    heights, ends = np.asarray(values, dtype=float), np.array(extent)
    if log:
        heights, ends = np.log(heights), np.log(ends)
    shares = (heights - ends[0]) / (ends[1] - ends[0])
    order = np.argsort(shares, kind="stable")
    found = np.empty(len(shares))
    found[order] = line_ends.apart(shares[order], _LETTER, _LETTER / 2, 1.0)
    shown = ends[0] + found * (ends[1] - ends[0])
    return np.exp(shown) if log else shown


def compare_chart(curves: Sequence[Curve], x_title: str, y_title: str, *, log: bool) -> dict[str, object]:
    """The specification for a table of these curves."""
    bands = any(curve.low is not None for curve in curves)
    low, high = _extent(curves)
    margin = 0.02 * (high - low)
    domain = (low / 1.05, high * 1.05) if log else (low - margin, high + margin)
    reach = max(float(curve.x[-1]) for curve in curves) or 1.0
    letters = min(LONGEST_NAME, max(len(curve.label) for curve in curves))
    return _built(x_title, y_title, log, bands, domain, reach, letters)


@specification
def _built(
    x_title: str, y_title: str, log: bool, bands: bool, domain: tuple[float, float], reach: float, letters: int
) -> alt.LayerChart:
    axis = alt.Axis(labelExpr=SHORT, tickCount=8, tickMinStep=1, grid=False)
    x = alt.X("x:Q", title=x_title, scale=alt.Scale(domain=[0, reach], nice=False), axis=axis)
    x = line_ends.room(x, ["n" * letters])
    scale = alt.Scale(type="log" if log else "linear", domain=list(domain), nice=False, zero=False)
    y = logarithmic("y", y_title).scale(scale) if log else alt.Y("y:Q", title=y_title, scale=scale)
    hue = alt.Color("hue:N", scale=in_order(*_HUES), legend=None)
    colour = alt.condition("datum.hue == 'rest'", alt.value(FAINT), hue)
    pointed = alt.selection_point(name="pointed", fields=["line"], on="pointerover", clear="pointerout")
    base = alt.Chart().encode(x=x, y=y, detail="line:N", color=colour)
    faint = alt.condition(pointed, alt.value(1.0), alt.value(0.12))
    # Those without a colour of their own lie behind, thin. They stay as they are: the pointer would wait for a browser
    # that gives them all another opacity, so the one that is pointed at is drawn once more.
    rest = base.mark_line(strokeWidth=1, opacity=0.35)
    again = base.mark_line(strokeWidth=2).transform_filter(pointed, empty=False)
    lines = base.mark_line(strokeWidth=2).encode(opacity=faint)
    # What the pointer touches is wider than what is seen.
    reachable = base.mark_line(strokeWidth=13, opacity=0.001).encode(tooltip="line:N").add_params(pointed)
    names = (
        base.mark_text(align="left", dx=7, fontSize=12.5, limit=alt.expr("width - range('x')[1] - 8"))
        .encode(y=alt.Y("name at:Q", scale=scale, title=y_title), text="line:N", tooltip="line:N")
        .transform_filter("isValid(datum['name at'])")
    )
    shown_when_pointed = alt.condition(pointed, alt.value(1.0), alt.value(0.0), empty=False)
    layers = [
        rest.transform_filter("datum.hue == 'rest'"),
        again.transform_filter("datum.hue == 'rest'"),
        lines.transform_filter("datum.hue != 'rest'"),
        names.transform_filter("datum.named").encode(opacity=faint),
        names.transform_filter("!datum.named").encode(opacity=shown_when_pointed),
        reachable,
    ]
    if bands:
        area = base.encode(y=alt.Y("low:Q", scale=scale, title=y_title), y2="high:Q")
        area = area.transform_filter("isValid(datum.low)")
        bright = area.mark_area().encode(opacity=alt.condition(pointed, alt.value(0.2), alt.value(0.04)))
        layers.insert(0, bright.transform_filter("datum.hue != 'rest'"))
        layers.insert(0, area.mark_area(opacity=0.06).transform_filter("datum.hue == 'rest'"))
    return stacked(*layers, height=HEIGHT)
