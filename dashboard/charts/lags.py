"""What each lag adds to the gradient of W, and what a truncation leaves of it."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.common import FAINT, logarithmic
from dashboard.charts.specification import (
    FLOOR,
    in_order,
    lag_bars,
    only,
    plottable,
    series,
    specification,
    stacked,
)
from rnn_core.diagnostics import (
    GradientByLag,
)

USED, UNUSED, WHOLE = "used in training", "cut off by truncation", "‖Σ G(j)‖, all together"


def gradient_by_lag_table(found: GradientByLag) -> pd.DataFrame:
    """One row a lag: ‖G_j‖, whether training uses it, the foot of its bar; and one with the norm of the whole."""
    lags = np.arange(len(found.norms))
    bars = series(USED, lag=lags, norm=found.norms)
    bars["series"] = np.where(found.used, USED, UNUSED)
    whole = series(WHOLE, lag=[0], norm=[found.total_norm])
    table = plottable(pd.concat([bars, whole], ignore_index=True), "norm")
    foot = 10.0 ** np.floor(np.log10(table["norm"].min())) if len(table) else 1.0
    # A bar needs a foot, and a logarithmic axis has no zero: the power of ten below the shortest.
    return table.assign(foot=foot)


@specification
def gradient_by_lag(unit: str, truncated: bool) -> alt.LayerChart:
    """What each distance adds to the gradient of W, beside what all of them make together."""
    names = [USED, UNUSED, WHOLE] if truncated else [USED, WHOLE]
    y = logarithmic("norm", "‖G(j)‖ (nats per token, per unit of weight)")
    color = alt.Color(
        "series:N",
        title=None,
        scale=in_order(*names),
        legend=alt.Legend(orient="top", columns=2, labelLimit=180),
    )
    tooltip = [
        alt.Tooltip("lag:Q", title=f"{unit}s back"),
        alt.Tooltip("norm:Q", title="‖G‖", format=".3e"),
        alt.Tooltip("series:N", title="what"),
    ]
    bars = (
        alt.Chart()
        .mark_bar(cornerRadiusEnd=2)
        .encode(x=lag_bars(unit), y=y, y2="foot:Q", color=color, tooltip=tooltip)
        .transform_filter(only(USED, UNUSED))
    )
    whole = (
        alt.Chart()
        .mark_rule(strokeWidth=2, strokeDash=[5, 4])
        .encode(y=y, color=color, tooltip=[alt.Tooltip("norm:Q", title="‖Σ G(j)‖", format=".3e")])
        .transform_filter(only(WHOLE))
    )
    return stacked(bars, whole, height=320)


COSINE, ERROR = "cosine", "relative error"


def truncation_table(found: GradientByLag, truncate: int | None) -> pd.DataFrame:
    """One row a K: cosine and relative error of the gradient cut at K, and whether training cuts there."""
    cuts = np.arange(len(found.cosine))
    chosen = len(cuts) - 1 if truncate is None else min(truncate, len(cuts) - 1)
    return pd.DataFrame(
        {"K": cuts, COSINE: found.cosine, ERROR: found.relative_error, "chosen": cuts == chosen}
    ).replace([np.inf, -np.inf], np.nan)


@specification
def truncation(which: str, unit: str) -> alt.LayerChart:
    """How a gradient that looks back at most K steps compares with the whole one; the training's own K is marked."""
    x = alt.X("K:Q", title=f"K ({unit}s back at most)", axis=alt.Axis(tickMinStep=1, format="d", grid=False))
    if which == COSINE:
        # A cosine close to 1 is the rule; its axis begins where the data does.
        y = alt.Y(f"{COSINE}:Q", title="cosine with the whole", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))
    else:
        y = logarithmic(ERROR, "relative error")
    base = alt.Chart().encode(x=x, y=y)
    tooltip = [
        alt.Tooltip("K:Q"),
        alt.Tooltip(f"{COSINE}:Q", format=".6f"),
        alt.Tooltip(f"{ERROR}:Q", format=".3e"),
    ]
    lines = base.mark_line(strokeWidth=2.2, point=alt.OverlayMarkDef(size=26))
    touch = base.mark_point(size=70, opacity=0, filled=True).encode(tooltip=tooltip)
    own = alt.Chart().mark_rule(strokeDash=[5, 4], strokeWidth=1.6, color=FAINT).encode(x=x)
    if which == ERROR:
        drawable = f"datum['{ERROR}'] > {FLOOR}"
        lines, touch = lines.transform_filter(drawable), touch.transform_filter(drawable)
    return stacked(lines, own.transform_filter("datum.chosen"), touch, height=200)
