"""A sweep in one picture: parallel coordinates, a line for each training through the values of its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.common import FAINT
from dashboard.charts.specification import specification, stacked

HEIGHT = 380
_LINE, _TICK = "training", "value"


def parallel_table(points: Sequence[tuple[Mapping[str, Any], float]], measure: str) -> pd.DataFrame:
    """points: (settings, measured), all with the same settings; -> long table (kind, point, axis, place, label,
    measured, best): a row for each point on each axis, and one for each label of an axis.

    place is from 0 at the foot to 1; on the last axis, `measure`, the smallest is at the foot.
    """
    names = list(points[0][0])
    measured = np.array([value for _, value in points])
    rows: list[dict[str, Any]] = []
    for name in names:
        values = list(dict.fromkeys(settings[name] for settings, _ in points))
        # Numbers ascending, then None, then words.
        values.sort(key=lambda value: (isinstance(value, str), value is None, value if value is not None else 0))
        places = {value: (place + 0.5) / len(values) for place, value in enumerate(values)}
        rows += [
            {"kind": _LINE, "point": point, "axis": name, "place": places[settings[name]], "label": _label(settings)}
            for point, (settings, _) in enumerate(points)
        ]
        rows += [{"kind": _TICK, "axis": name, "place": place, "label": _word(v)} for v, place in places.items()]
    low, high = float(measured.min()), float(measured.max())
    heights = (measured - low) / (high - low) if high > low else np.full(len(measured), 0.5)
    rows += [
        {"kind": _LINE, "point": point, "axis": measure, "place": heights[point], "label": _label(settings)}
        for point, (settings, _) in enumerate(points)
    ]
    ends = {low: 0.0, high: 1.0} if high > low else {low: 0.5}
    rows += [{"kind": _TICK, "axis": measure, "place": place, "label": f"{v:.3g}"} for v, place in ends.items()]
    table = pd.DataFrame(rows)
    table["measured"] = [np.nan if np.isnan(p) else measured[int(p)] for p in table["point"]]
    table["best"] = table["point"] == int(measured.argmin())
    return table


@specification
def parallel(*axes: str) -> alt.LayerChart:
    """A line for each training; the best one stands out, and pointing at one tells its settings and what it reached.

    axes: the settings, and last what was measured.
    """
    measure = axes[-1]
    x = alt.X("axis:N", sort=list(axes), title=None, axis=alt.Axis(labelAngle=0, orient="top", domain=False))
    y = alt.Y("place:Q", axis=None, scale=alt.Scale(domain=[-0.03, 1.03]))
    base = alt.Chart().encode(x=x, y=y)
    lines = base.encode(
        detail="point:N", tooltip=[alt.Tooltip("label:N"), alt.Tooltip("measured:Q", title=measure, format=".4g")]
    )
    return stacked(
        base.mark_rule(color=FAINT, opacity=0.5)
        .encode(y=alt.value(0), y2=alt.value(HEIGHT))
        .transform_filter(f"datum.kind == '{_TICK}'"),
        lines.mark_line(strokeWidth=1.2, opacity=0.45).transform_filter(f"datum.kind == '{_LINE}' && !datum.best"),
        lines.mark_line(strokeWidth=3.5).transform_filter(f"datum.kind == '{_LINE}' && datum.best"),
        base.mark_text(align="left", dx=6, dy=-9, fontSize=13, color=FAINT)
        .encode(text="label:N")
        .transform_filter(f"datum.kind == '{_TICK}'"),
        height=HEIGHT,
    )


def _word(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _label(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_word(value)}" for name, value in settings.items())
