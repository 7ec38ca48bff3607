"""Where the gradient is lost: W against phi' at every word; in gated cells the carry against the path through W."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts import line_ends
from dashboard.charts.common import SEAMLESS, logarithmic, numbered
from dashboard.charts.specification import (
    Floats,
    aligned,
    aligned_decades,
    in_order,
    lag_axis,
    plottable,
    series,
    specification,
    specification_over_words,
    stacked,
    words_below,
)
from rnn_core.diagnostics import (
    TwoPaths,
    WhereLost,
)

PARTS = {
    "W": "through W",
    "above": "from the layer above",
    "phi'": "through φ′",
    "carry": "kept by the carry",
    "hidden": "through h and W",
}


def where_lost_table(sources: Sequence[str], found: WhereLost) -> pd.DataFrame:
    """One row a part of each backward step: at which word, which part, from and to (log10), and the factor it makes.

    Steps at which a length is 0 or not finite have no logarithm and are left out.
    """
    labels = numbered(sources)
    rows = []
    for index, k in enumerate(found.positions):
        level = float(found.log_norms[index])
        for name, change in found.parts.items():
            after = level + float(change[index])
            if np.isfinite(level) and np.isfinite(after):
                rows.append((int(k) + 1, labels[k], PARTS[name], level / np.log(10), after / np.log(10), after - level))
            level = after
    columns = ["k", "word", "part", "from", "to", "change"]
    table = pd.DataFrame(rows, columns=columns).sort_values("k", kind="stable", ignore_index=True)
    return table.assign(factor=np.exp(table["change"].clip(-700, 700)))


@specification_over_words
def where_lost(words: tuple[str, ...], state: bool, parts: tuple[str, ...]) -> alt.LayerChart:
    """A waterfall along the sentence, from the loss at its right end back to its first word."""
    names = [PARTS[name] for name in parts]
    what = "‖∂E(t)/∂state(k)‖" if state else "‖δ(t,k)‖"
    x = words_below(words, "← back to word k")
    bars = (
        alt.Chart()
        .mark_bar(cornerRadius=1)
        .encode(
            x=x,
            # Read from right to left, as the gradient goes: what comes first stands rightmost.
            xOffset=alt.XOffset("part:N", scale=in_order(*reversed(names))),
            y=alt.Y("from:Q", title=f"log10 {what}", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6)),
            y2="to:Q",
            color=alt.Color(
                "part:N", title=None, scale=in_order(*names), legend=alt.Legend(orient="top", labelLimit=200, columns=2)
            ),
            tooltip=[
                alt.Tooltip("word:N", title="arriving at"),
                alt.Tooltip("part:N"),
                alt.Tooltip("factor:Q", title="times", format=".3g"),
                alt.Tooltip("to:Q", title="log10 after", format=".2f"),
            ],
        )
    )
    return stacked(bars, height=300)


def path_shares_table(sources: Sequence[str], found: WhereLost) -> pd.DataFrame:
    """Of each backward step, which path the result lies along: (k, word, path, share); shares of a word add up to 1."""
    labels = numbered(sources)
    rows = [
        (int(k) + 1, labels[k], path, float(share[index]))
        for index, k in enumerate(found.positions)
        for path, share in found.shares.items()
        if np.isfinite(share[index])
    ]
    table = pd.DataFrame(rows, columns=["k", "word", "path", "share"])
    return table.sort_values("k", kind="stable", ignore_index=True)


@specification_over_words
def path_shares(words: tuple[str, ...], paths: tuple[str, ...]) -> alt.LayerChart:
    """Stacked: what each path contributes to the gradient that arrives; below 0 it works against the others."""
    bars = (
        alt.Chart()
        .mark_bar()
        .encode(
            x=words_below(words, "arriving at word k"),
            y=alt.Y("share:Q", title="share of the path", axis=alt.Axis(format="%", tickCount=5)),
            color=alt.Color(
                "path:N", title=None, scale=in_order(*paths), legend=alt.Legend(orient="top", columns=3, labelLimit=120)
            ),
            tooltip=[alt.Tooltip("word:N"), alt.Tooltip("path:N"), alt.Tooltip("share:Q", format=".1%")],
        )
    )
    return stacked(bars, height=300)


LAGS_HEIGHT = 300

TOTAL, CARRY, REST = "all of it", "carry path", "hidden path (W)"


def paths_table(sources: Sequence[str], paths: TwoPaths, chosen: int) -> pd.DataFrame:
    """One loss's gradient at every earlier word by path: (series, k, word, value). Later words have none."""
    labels = numbered(sources)
    matrices = ((TOTAL, paths.total), (CARRY, paths.carry), (REST, paths.rest))
    parts = [
        series(name, k=np.arange(1, len(labels) + 1), word=labels, value=matrix[chosen]) for name, matrix in matrices
    ]
    return plottable(pd.concat(parts, ignore_index=True), "value")


@specification_over_words
def paths(words: tuple[str, ...], state: str) -> alt.LayerChart:
    """The gradient along the carry and through W, word by word, over the same words as the gates below."""
    title = f"‖∂E(t)/∂{state}(k)‖ (nats per unit)"
    base = alt.Chart().encode(
        x=words_below(words).axis(labels=False, ticks=False, title=None, grid=False),
        y=aligned_decades("value", title),
        color=alt.Color(
            "series:N",
            title=None,
            scale=in_order(TOTAL, CARRY, REST),
            legend=alt.Legend(orient="top", symbolType="stroke", labelLimit=180, columns=2),
        ),
    )
    tooltip = [alt.Tooltip("word:N"), alt.Tooltip("series:N", title="path"), alt.Tooltip("value:Q", format=".3e")]
    return stacked(
        base.mark_line(strokeWidth=2.2),
        base.mark_point(size=60, opacity=0, filled=True).encode(tooltip=tooltip),
        height=270,
    )


def path_lags_table(paths: TwoPaths) -> pd.DataFrame:
    """Medians over all losses of the share that is left j words back, by path: (series, lag, value)."""
    curves = ((TOTAL, paths.lag_total), (CARRY, paths.lag_carry), (REST, paths.lag_rest))
    parts = [series(name, lag=np.arange(len(values)), value=values) for name, values in curves]
    table = plottable(pd.concat(parts, ignore_index=True), "value")
    return line_ends.with_names(table, "lag", "value", "series", height=LAGS_HEIGHT, log=True)


@specification
def path_lags(unit: str) -> alt.LayerChart:
    """What is left j words back along each path, the median over all losses."""
    paths = (TOTAL, CARRY, REST)
    base = alt.Chart().encode(
        x=line_ends.room(lag_axis(unit), paths),
        y=logarithmic("value", "what is left (median, relative)"),
        color=alt.Color("series:N", scale=in_order(*paths), legend=None),
    )
    tooltip = [
        alt.Tooltip("series:N", title="path"),
        alt.Tooltip("lag:Q", title=f"{unit}s back"),
        alt.Tooltip("value:Q", title="left", format=".3e"),
    ]
    return stacked(
        base.mark_line(strokeWidth=2.2),
        line_ends.names(base, "series"),
        base.mark_point(size=60, opacity=0, filled=True).encode(tooltip=tooltip),
        height=LAGS_HEIGHT,
    )


MOST_UNITS = 128
MOST_GATE_CELLS = 1350
"""Each thousand cells takes the browser about 50 ms: so many units are shown as fit in here, and all are taken home."""


def shown_units(words: int, units: int) -> int:
    """How many units of a layer the heat map of a gate has room for, over so many words."""
    return max(1, min(units, MOST_UNITS, MOST_GATE_CELLS // words))


def gate_table(sources: Sequence[str], values: Floats) -> pd.DataFrame:
    """values (T, H) of one gate -> one row a cell, (row, unit, k, word, value): units sorted by their mean over the
    sentence, row 1 the most open."""
    units = np.argsort(-values.mean(axis=0), kind="stable")
    rows, places = (grid.ravel() for grid in np.indices(values.T.shape, dtype=np.int16))
    return pd.DataFrame(
        {
            "row": rows + 1,
            "unit": (units[rows] + 1).astype(np.int16),
            "k": places + 1,
            "word": np.array(numbered(sources), dtype=object)[places],
            "value": values[places, units[rows]],
        }
    )


def thinned_gate(table: pd.DataFrame) -> pd.DataFrame:
    """Of `gate_table` what there is room for: units that lie evenly in its order, the first and the last among them;
    in the digits that can be seen."""
    words, units = table["k"].iloc[-1], table["row"].iloc[-1]
    kept = np.linspace(1, units, shown_units(words, units)).round().astype(np.int16)
    return table[table["row"].isin(kept)].drop(columns="k").astype({"value": np.float32})


@specification_over_words
def gate(words: tuple[str, ...], name: str, shown: int, units: int) -> alt.LayerChart:
    """The value of one gate in every unit at every word, its most open units on top."""
    signed = name == "candidate"
    order = "largest mean first" if signed else "most open first"
    title = f"{units} units, {order}" if shown == units else f"{shown} of {units:,} units, {order}"
    scale = alt.Scale(domain=[-1, 1], range="diverging") if signed else alt.Scale(domain=[0, 1])
    cells = (
        alt.Chart()
        # Thousands of cells: a description of each would take the browser longer than drawing it. Rows of two pixels
        # overlap by one, for the same reason as wider ones do by less.
        .mark_rect(aria=False, width=SEAMLESS, height=alt.RelativeBandSize(band=1.5))
        .encode(
            x=words_below(words),
            y=alt.Y("row:O", axis=aligned(title, labels=False, ticks=False)),
            color=alt.Color(
                "value:Q",
                title="candidate" if signed else f"{name} gate: 0 shut, 1 open",
                scale=scale,
                legend=alt.Legend(orient="top", gradientLength=200, titleLimit=240, tickCount=3),
            ),
            tooltip=[
                alt.Tooltip("word:N"),
                alt.Tooltip("unit:Q"),
                alt.Tooltip("value:Q", title=name, format=".3f"),
                alt.Tooltip("row:Q", title=f"place by its mean, of {units:,}"),
            ],
        )
    )
    return stacked(cells, height=480)
