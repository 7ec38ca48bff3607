"""Where the gradient of one word's loss comes from: word by word, and over the distance."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts.common import FAINT, layered, logarithmic, numbered

FADED = -8.0
"""log10 at which the colour has reached the page's background: a hundred-millionth."""

MEDIAN, ROW, HALF_LIFE = "median of all rows", "one row", "half-life"


def triangle_table(
    sources: Sequence[str], targets: Sequence[str], delta_norms: npt.NDArray[np.floating], relative: bool = False
) -> pd.DataFrame:
    """sources, targets: T words each; delta_norms (T, T), row t, column k <= t: ||delta_{t,k}|| for E_t in nats.

    -> one row a pair (t, k <= t): labels, places, the norm and its log10. `relative` divides each row by its diagonal.
    """
    norms = np.asarray(delta_norms, dtype=float)
    rows, columns = np.tril_indices(len(norms))
    values = norms[rows, columns]
    if relative:
        diagonal = norms[rows, rows]
        values = np.divide(values, diagonal, out=np.zeros_like(values), where=diagonal > 0)
    with np.errstate(divide="ignore"):
        logarithms = np.log10(values)
    source_labels, target_labels = np.array(numbered(sources)), np.array(numbered(targets))
    return pd.DataFrame(
        {
            "t": rows + 1,
            "k": columns + 1,
            "lag": rows - columns,
            "loss word": target_labels[rows],
            "source word": source_labels[columns],
            "norm": values,
            # What is exactly zero has no logarithm: it takes the colour of the page.
            "log10": np.where(np.isfinite(logarithms), logarithms, -400.0),
        }
    )


def triangle(table: pd.DataFrame, ceiling: float = 1.0) -> alt.Chart:
    """Loss word by source word, colour log10 ||delta_{t,k}||; what lies below 1e-8 has faded into the page."""
    count = int(table["t"].max()) if len(table) else 1
    side = int(np.clip(25 * count + 170, 300, 900))
    return (
        alt.Chart(table)
        .mark_rect()
        .encode(
            x=alt.X(
                "source word:N",
                title="word k, where it arrives",
                sort=None,
                axis=alt.Axis(labelAngle=-60, labelLimit=130, labelOverlap=False),
            ),
            y=alt.Y(
                "loss word:N",
                title="word t, whose loss is asked",
                sort=None,
                axis=alt.Axis(labelLimit=130, labelOverlap=False),
            ),
            color=alt.Color(
                "log10:Q",
                title="log10 of the norm",
                scale=alt.Scale(domain=[FADED, ceiling], clamp=True),
                legend=alt.Legend(orient="top", gradientLength=220, titleLimit=240, format="d", tickCount=5),
            ),
            tooltip=[
                alt.Tooltip("loss word:N"),
                alt.Tooltip("source word:N"),
                alt.Tooltip("lag:Q", title="words back"),
                alt.Tooltip("norm:Q", format=".3e"),
            ],
        )
        .properties(height=side)
    )


def decay_table(
    targets: Sequence[str], delta_norms: npt.NDArray[np.floating], half_life: float | None = None
) -> pd.DataFrame:
    """targets: T words; delta_norms (T, T) -> long table (kind, row, lag, share), one series a loss word and their
    median over the lag, and the half-life at its own lag; share = ||delta_{t,t-j}|| / ||delta_{t,t}||."""
    norms = np.asarray(delta_norms, dtype=float)
    count = len(norms)
    labels = numbered(targets)
    shares = np.full((count, count), np.nan)
    for t in range(count):
        if norms[t, t] > 0:
            shares[t, : t + 1] = norms[t, t::-1] / norms[t, t]
    rows, lags = np.nonzero(shares > 0)
    lines = pd.DataFrame(
        {"kind": ROW, "row": np.array(labels, dtype=object)[rows], "lag": lags, "share": shares[rows, lags]}
    )
    medians = [
        (lag, float(np.median(column[~np.isnan(column)])))
        for lag, column in enumerate(shares.T)
        if (~np.isnan(column)).any()
    ]
    middle = pd.DataFrame(
        {
            "kind": MEDIAN,
            "row": MEDIAN,
            "lag": [lag for lag, share in medians if share > 0],
            "share": [share for _, share in medians if share > 0],
        }
    )
    half = pd.DataFrame({"kind": HALF_LIFE, "row": HALF_LIFE, "lag": [half_life], "share": [0.5]})
    return pd.concat([lines, middle, *([] if half_life is None else [half])], ignore_index=True)


def decay(table: pd.DataFrame, unit: str = "word") -> alt.LayerChart:
    """What is left of a word's gradient, j words back: each row of the triangle and their median, log axis."""
    base = alt.Chart().encode(
        x=alt.X("lag:Q", title=f"lag j ({unit}s back)", axis=alt.Axis(tickMinStep=1, format="d", grid=False)),
        y=logarithmic("share", "‖δ(t, t−j)‖ / ‖δ(t, t)‖"),
    )
    color = alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=[MEDIAN, HALF_LIFE]),
        legend=alt.Legend(orient="top", symbolType="stroke", labelLimit=200),
    )
    tooltip = [
        alt.Tooltip("row:N", title="loss word"),
        alt.Tooltip("lag:Q", title=f"{unit}s back"),
        alt.Tooltip("share:Q", format=".3e"),
    ]
    return layered(
        table,
        base.mark_line(strokeWidth=1, opacity=0.4, color=FAINT)
        .encode(detail="row:N")
        .transform_filter(f"datum.kind == '{ROW}'"),
        base.mark_line(strokeWidth=3).encode(color=color).transform_filter(f"datum.kind == '{MEDIAN}'"),
        alt.Chart()
        .mark_rule(strokeDash=[5, 4], strokeWidth=1.6)
        .encode(x="lag:Q", color=color)
        .transform_filter(f"datum.kind == '{HALF_LIFE}'"),
        base.mark_point(size=60, opacity=0, filled=True).encode(tooltip=tooltip),
        height=400,
    )
