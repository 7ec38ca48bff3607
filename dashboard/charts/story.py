"""The pictures of the first story: the loss, the accuracy, what each lag pays, ten seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts.common import ACCURACIES, FAINT, counted, logarithmic, once, smooth
from dashboard.charts.specification import specification, stacked

FADED = 1e-6
"""A share of the gradient whose bar has no height any more."""

_ACCURACY_SCALE = alt.Scale(domain=list(ACCURACIES), nice=False, clamp=True)


def loss_table(steps: npt.NDArray[np.floating], nats: npt.NDArray[np.floating]) -> pd.DataFrame:
    """Smoothed, at most 300 rows (step, nats)."""
    places = np.unique(np.linspace(0, len(steps) - 1, 300).astype(int)) if len(steps) else np.empty(0, dtype=int)
    return pd.DataFrame({"step": steps[places], "nats": smooth(nats, len(nats) // 60)[places]})


@specification
def loss(total_steps: int) -> alt.LayerChart:
    """Training loss over the steps."""
    base = alt.Chart().encode(
        x=_steps(total_steps),
        y=alt.Y("nats:Q", title="loss (nats per word)", scale=alt.Scale(zero=False, nice=True)),
        tooltip=[alt.Tooltip("step:Q", format=","), alt.Tooltip("nats:Q", format=".3f")],
    )
    return stacked(base.mark_line(strokeWidth=2.4), base.mark_point(size=60, opacity=0), height=260)


def accuracy_table(accuracies: Mapping[int, float]) -> pd.DataFrame:
    """By step -> (step, accuracy)."""
    return pd.DataFrame({"step": list(accuracies), "accuracy": list(accuracies.values())}, dtype=float)


@specification
def accuracy(total_steps: int) -> alt.LayerChart:
    """How often the right word is likelier, over the training, beside a coin."""
    base = alt.Chart().encode(
        x=_steps(total_steps),
        y=alt.Y(
            "accuracy:Q",
            title="right word likelier",
            scale=_ACCURACY_SCALE,
            axis=alt.Axis(format="~%", values=[0.5, 0.75, 1.0]),
        ),
        tooltip=[alt.Tooltip("step:Q", format=","), alt.Tooltip("accuracy:Q", format=".1%")],
    )
    return stacked(
        _coin("y"), base.mark_line(strokeWidth=2.4), base.mark_point(size=26, filled=True, opacity=1), height=260
    )


def _steps(total_steps: int) -> alt.X:
    return counted("step").scale(domain=[0, total_steps])


def _coin(axis: str) -> alt.Chart:
    # A rule without the scale of the others would pull the axis down to zero.
    channel = alt.YDatum(0.5, scale=_ACCURACY_SCALE) if axis == "y" else alt.XDatum(0.5, scale=_ACCURACY_SCALE)
    return once().mark_rule(strokeDash=[5, 4], color=FAINT).encode(channel)


def lag_shares_table(shares: npt.NDArray[np.floating]) -> pd.DataFrame:
    """(lag, share, foot) of every lag that pays anything; bars stand on FADED."""
    lags = np.flatnonzero(shares > FADED)
    return pd.DataFrame({"lag": lags, "share": shares[lags], "foot": FADED})


@specification
def lag_shares(lags: int, gap: int) -> alt.LayerChart:
    """What each distance pays into the gradient of W; the queen's distance is marked."""
    places = alt.Scale(domain=[-0.7, lags - 0.3], nice=False)
    share = logarithmic("share", "‖G(j)‖ / ‖∂E/∂W‖").scale(type="log", domain=[FADED, 2], nice=False, clamp=True)
    bars = (
        alt.Chart()
        .mark_bar(cornerRadiusEnd=2, width=alt.expr(f"max(3, 0.62 * width / {lags})"))
        .encode(
            x=alt.X("lag:Q", title="lag j (words back)", scale=places, axis=alt.Axis(tickMinStep=1, grid=False)),
            y=share,
            y2="foot:Q",
            tooltip=[alt.Tooltip("lag:Q", title="words back"), alt.Tooltip("share:Q", format=".2e")],
        )
    )
    queen = once().mark_rule(strokeDash=[5, 4], strokeWidth=1.6, color=FAINT).encode(alt.XDatum(gap, scale=places))
    name = (
        once()
        .mark_text(text="queen", align="left", baseline="top", dx=5, dy=2, color=FAINT, fontSize=12)
        .encode(alt.XDatum(gap, scale=places), y=alt.value(0))
    )
    return stacked(bars, queen, name, height=260)


BEFOREHAND, THIS_RUN = "seeds of the benchmark", "this run"


def seeds_table(beforehand: Sequence[int], now: float | None) -> pd.DataFrame:
    """Accuracies in % of the benchmark's seeds, and this run's in [0, 1] -> (whose, seed, accuracy)."""
    rows = [(BEFOREHAND, f"seed {seed}", accuracy / 100) for seed, accuracy in enumerate(beforehand)]
    rows += [] if now is None else [(THIS_RUN, "", now)]
    return pd.DataFrame(rows, columns=["whose", "seed", "accuracy"])


@specification
def seeds() -> alt.LayerChart:
    """Where ten seeds ended, and where this run did."""
    base = alt.Chart().encode(
        x=alt.X(
            "accuracy:Q",
            title="right word likelier, after the last step",
            scale=_ACCURACY_SCALE,
            axis=alt.Axis(format="~%", values=[0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], grid=False),
        ),
        y=alt.Y(
            "whose:N",
            title=None,
            sort=[BEFOREHAND, THIS_RUN],
            axis=None,
            scale=alt.Scale(domain=[BEFOREHAND, THIS_RUN]),
        ),
        color=alt.Color(
            "whose:N", title=None, scale=alt.Scale(domain=[BEFOREHAND, THIS_RUN]), legend=alt.Legend(orient="top")
        ),
        tooltip=[alt.Tooltip("whose:N"), alt.Tooltip("seed:N"), alt.Tooltip("accuracy:Q", format=".0%")],
    )
    dots = base.mark_point(filled=True, size=130, opacity=0.55).transform_filter(f"datum.whose == '{BEFOREHAND}'")
    own = base.mark_point(filled=True, size=190, opacity=1, shape="diamond").transform_filter(
        f"datum.whose == '{THIS_RUN}'"
    )
    return stacked(_coin("x"), dots, own, height=200)
