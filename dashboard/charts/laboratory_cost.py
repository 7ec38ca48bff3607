"""What it costs: lag ledger, truncation meter, clip forensics, who mattered."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.common import FAINT, SEAMLESS, counted, logarithmic, numbered
from dashboard.charts.laboratory import (
    Floats,
    in_order,
    only,
    plottable,
    series,
    specification,
    specification_over_words,
    stacked,
)
from dashboard.charts.laboratory_cause import aligned, words_below
from dashboard.charts.thinning import thin
from dashboard.charts.training import AFTER, BEFORE, LIMIT
from dashboard.services.history import Series
from rnn_core.diagnostics import ClipForensics, LagLedger, WhoMattered

# --- lag ledger -------------------------------------------------------------------------------------------------------

USED, UNUSED, WHOLE = "used in training", "cut off by truncation", "‖∂E/∂W‖, all together"


def ledger_table(ledger: LagLedger) -> pd.DataFrame:
    """One row a lag: ‖G_j‖, whether training uses it, the foot of its bar; and one with the norm of the whole."""
    lags = np.arange(len(ledger.norms))
    bars = series(USED, lag=lags, norm=ledger.norms)
    bars["series"] = np.where(ledger.used, USED, UNUSED)
    whole = series(WHOLE, lag=[0], norm=[ledger.total_norm])
    table = plottable(pd.concat([bars, whole], ignore_index=True), "norm")
    foot = 10.0 ** np.floor(np.log10(table["norm"].min())) if len(table) else 1.0
    # A bar needs a foot, and a logarithmic axis has no zero: the power of ten below the shortest.
    return table.assign(foot=foot)


def lag_bars(unit: str) -> alt.X:
    """A bar for each lag."""
    axis = alt.Axis(labelAngle=0, labelOverlap=True, grid=False)
    return alt.X("lag:O", title=f"lag j ({unit}s back)", axis=axis)


@specification
def ledger(unit: str, truncated: bool) -> alt.LayerChart:
    """How much each distance pays into the gradient of W, beside what all of them make together."""
    names = [USED, UNUSED, WHOLE] if truncated else [USED, WHOLE]
    y = logarithmic("norm", "‖G(j)‖ (nats per token, per unit of W)")
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
        .encode(y=y, color=color, tooltip=[alt.Tooltip("norm:Q", title="‖∂E/∂W‖", format=".3e")])
        .transform_filter(only(WHOLE))
    )
    return stacked(bars, whole, height=320)


# --- truncation meter -------------------------------------------------------------------------------------------------

COSINE, ERROR = "cosine", "relative error"


def meter_table(ledger: LagLedger, truncate: int | None) -> pd.DataFrame:
    """One row a K: cosine and relative error of the gradient cut at K, and whether training cuts there."""
    cuts = np.arange(len(ledger.cosine))
    chosen = len(cuts) - 1 if truncate is None else min(truncate, len(cuts) - 1)
    return pd.DataFrame(
        {"K": cuts, COSINE: ledger.cosine, ERROR: ledger.relative_error, "chosen": cuts == chosen}
    ).replace([np.inf, -np.inf], np.nan)


@specification
def meter(which: str, unit: str) -> alt.LayerChart:
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
        drawable = f"datum['{ERROR}'] > 1e-30"
        lines, touch = lines.transform_filter(drawable), touch.transform_filter(drawable)
    return stacked(lines, own.transform_filter("datum.chosen"), touch, height=200)


# --- clip forensics ---------------------------------------------------------------------------------------------------


def clipping_table(before: Series, after: Series, limit: float | None, chosen: int | None) -> pd.DataFrame:
    """Gradient norms over the training, at most 1,000 points, spikes kept: (series, step, norm, chosen)."""
    parts = []
    for name, one, room in ((BEFORE, before, 620), (AFTER, after, 360)):
        usable = np.flatnonzero(np.isfinite(one.values) & (one.values > 0))
        places = usable[thin(np.log(one.values[usable]), room)]
        parts.append(series(name, step=one.steps[places], norm=one.values[places]))
    if limit is not None and len(before.steps):
        parts.append(series(LIMIT, step=[before.steps[0], before.steps[-1]], norm=[limit, limit]))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(chosen=(table["step"] == chosen) & (table["series"] == BEFORE))


@specification
def clipping() -> alt.LayerChart:
    """The gradient's norm over the training, before and after clipping; a click chooses a step."""
    base = alt.Chart().encode(
        x=counted("training step"),
        y=logarithmic("norm", "gradient norm, all parameters"),
        color=alt.Color(
            "series:N",
            title=None,
            scale=in_order(BEFORE, AFTER, LIMIT),
            legend=alt.Legend(orient="top", columns=2, symbolType="stroke", labelLimit=120),
        ),
    )
    tooltip = [alt.Tooltip("series:N"), alt.Tooltip("step:Q", format=","), alt.Tooltip("norm:Q", format=".4g")]
    ring = alt.Chart().mark_point(size=160, strokeWidth=2.4, filled=False)
    return stacked(
        base.mark_line(strokeWidth=1.4).transform_filter(only(BEFORE)),
        base.mark_line(strokeWidth=1.4).transform_filter(only(AFTER)),
        base.mark_line(strokeWidth=1.4, strokeDash=[5, 4]).transform_filter(only(LIMIT)),
        ring.encode(x="step:Q", y="norm:Q", color=alt.datum(BEFORE)).transform_filter("datum.chosen"),
        base.mark_point(size=90, opacity=0, filled=True)
        .encode(tooltip=tooltip)
        .transform_filter(only(BEFORE))
        .add_params(alt.selection_point(name="spike", fields=["step"], on="click", nearest=True, toggle=False)),
        height=300,
    )


def culprits_table(found: ClipForensics, sentences: Sequence[str] | None, most: int = 8) -> pd.DataFrame:
    """The sentences of a batch by their share in its gradient, the largest first; None: known by their number alone."""
    names = sentences or [f"sentence {number}" for number in range(1, len(found.shares) + 1)]
    order = np.argsort(-found.shares, kind="stable")[:most]
    return pd.DataFrame(
        {
            "sentence": [names[place] for place in order],
            "share": found.shares[order],
            "norm": found.norms[order],
            "tokens": found.tokens[order],
        }
    )


def lag_table(norms: Floats) -> pd.DataFrame:
    """||G_j|| of one sentence over the lag, with the foot of each bar."""
    table = plottable(pd.DataFrame({"lag": np.arange(len(norms)), "norm": norms}), "norm")
    return table.assign(foot=10.0 ** np.floor(np.log10(table["norm"].min())) if len(table) else 1.0)


@specification
def lags(unit: str) -> alt.LayerChart:
    """Over which distance the worst sentence's gradient came."""
    bars = (
        alt.Chart()
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=lag_bars(unit),
            y=logarithmic("norm", "‖G(j)‖ of that sentence"),
            y2="foot:Q",
            tooltip=[alt.Tooltip("lag:Q", title=f"{unit}s back"), alt.Tooltip("norm:Q", format=".3e")],
        )
    )
    return stacked(bars, height=240)


# --- who mattered -----------------------------------------------------------------------------------------------------

REALLY, PROMISED = "what really happens", "what the gradient promises"
UNKNOWN, OTHERS = "<unk>", "other words"


def who_table(sources: Sequence[str], found: WhoMattered, replaced_by: str) -> pd.DataFrame:
    """Words up to the asked one: gradient, and the change of log p when it is replaced, in truth and as promised.

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
