"""Up to four networks in one picture: their losses, their horizons, and what they remember over which distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts import line_ends
from dashboard.charts.common import ACCURACIES, FAINT, counted, logarithmic, loss_title, once, smooth
from dashboard.charts.specification import specification, stacked
from dashboard.text.race_verdict import Agreement

POINTS_OF_A_LANE = 240
_HEIGHT = 300
_SHARES = (0.0, 1.0)
_DASHES = [[1, 0], [7, 3], [2, 2], [9, 3, 2, 3]]
"""Colour is not the only thing that tells four lines apart."""


def loss_table(losses: Mapping[str, tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]]) -> pd.DataFrame:
    """By network: steps (n,) and losses (n,) in nats -> long table (network, step, nats), smoothed, at most
    POINTS_OF_A_LANE rows a network."""
    parts = []
    for network, (steps, nats) in losses.items():
        if len(steps):
            places = np.unique(np.linspace(0, len(steps) - 1, POINTS_OF_A_LANE).astype(int))
            running = smooth(nats, len(nats) // 50)  # over 2 % of the steps on either side
            parts.append(pd.DataFrame({"network": network, "step": steps[places], "nats": running[places]}))
    return _named(_joined(parts, ("network", "step", "nats")), "step", "nats")


@specification
def loss_chart(networks: tuple[str, ...], unit: str) -> alt.LayerChart:
    """Training loss in nats per `unit` ("": it is a squared error) over the step, a line for each network."""
    base = alt.Chart().encode(
        x=counted("step"), y=alt.Y("nats:Q", title=loss_title(unit), scale=alt.Scale(zero=False, nice=True))
    )
    return _lines(base, networks, [alt.Tooltip("step:Q", format=","), alt.Tooltip("nats:Q", format=".4f")])


def course_table(courses: Mapping[str, Mapping[int, float]], domain: tuple[float, float] | None = None) -> pd.DataFrame:
    """By network, by step: what was measured -> long table (network, step, measured), for an axis of this domain."""
    parts = [
        pd.DataFrame({"network": network, "step": list(course), "measured": list(course.values())})
        for network, course in courses.items()
        if course
    ]
    return _named(_joined(parts, ("network", "step", "measured")), "step", "measured", domain=domain)


@specification
def accuracy_race(networks: tuple[str, ...], total_steps: int, learned: float) -> alt.LayerChart:
    """Share of right words over the steps, a line for each network, between the coin and what counts as learned."""
    shares = alt.Scale(domain=list(ACCURACIES), nice=False, clamp=True)
    values = alt.Axis(format="~%", values=[0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    base = alt.Chart().encode(
        x=counted("step").scale(domain=[0, total_steps]),
        y=alt.Y("measured:Q", title="right word likelier", scale=shares, axis=values),
    )
    rules = [
        once().mark_rule(strokeDash=[5, 4], color=FAINT).encode(alt.YDatum(share, scale=shares))
        for share in (0.5, learned)
    ]
    return _lines(
        base,
        networks,
        [alt.Tooltip("step:Q", format=","), alt.Tooltip("measured:Q", format=".1%")],
        *rules,
        points=True,
    )


def error_domain(baseline: float) -> tuple[float, float]:
    """The axis of a task's metric: from 0 to a little above `baseline`, the best answer that ignores the input. What is
    worse is drawn at the edge.
    """
    return 0.0, 1.2 * baseline


@specification
def error_race(
    networks: tuple[str, ...], total_steps: int, metric: str, baseline: float, learned: float
) -> alt.LayerChart:
    """A task's metric over the steps, a line for each network, between the answer that does not look at the input and
    what counts as learned.
    """
    errors = alt.Scale(domain=list(error_domain(baseline)), nice=False, clamp=True)
    base = alt.Chart().encode(
        x=counted("step").scale(domain=[0, total_steps]), y=alt.Y("measured:Q", title=metric, scale=errors)
    )

    def named(name: str, error: float, step: int, **place: Any) -> tuple[alt.Chart, alt.Chart]:
        y = alt.YDatum(error, scale=errors)
        text = once().mark_text(color=FAINT, **place).encode(x=alt.XDatum(step), y=y, text=alt.value(name))
        return once().mark_rule(strokeDash=[5, 4], color=FAINT).encode(y), text

    # The names stand where the fewest lines are: what learns nothing wavers about the upper one, and at the start
    # nothing is learned.
    behind = (
        *named("without looking at the input", baseline, total_steps, align="right", dy=18),
        *named("learned", learned, 0, align="left", dy=-8),
    )
    return _lines(
        base,
        networks,
        [alt.Tooltip("step:Q", format=","), alt.Tooltip("measured:Q", title=metric, format=".3g")],
        *behind,
        points=True,
    )


@specification
def validation_race(networks: tuple[str, ...], total_steps: int, unit: str) -> alt.LayerChart:
    """Loss on the held-out sentences over the steps, a line for each network."""
    base = alt.Chart().encode(
        x=counted("step").scale(domain=[0, total_steps]),
        y=alt.Y("measured:Q", title=f"validation loss (nats per {unit})", scale=alt.Scale(zero=False, nice=True)),
    )
    return _lines(
        base, networks, [alt.Tooltip("step:Q", format=","), alt.Tooltip("measured:Q", format=".4f")], points=True
    )


def horizon_table(medians: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """By network: median of ||delta_{t,t-j}|| / ||delta_{t,t}|| over j -> long table (network, lag, share)."""
    parts = []
    for network, median in medians.items():
        shares = np.asarray(median, dtype=float)
        # A log axis has no place for zero or for what is not finite.
        lags = np.flatnonzero(np.isfinite(shares) & (shares > 0))
        parts.append(pd.DataFrame({"network": network, "lag": lags, "share": shares[lags]}))
    return _named(_joined(parts, ("network", "lag", "share")), "lag", "share", log=True)


@specification
def horizon_chart(networks: tuple[str, ...], unit: str) -> alt.LayerChart:
    """How much of a gradient is left j words back, log axis, a line for each network."""
    base = alt.Chart().encode(
        x=alt.X("lag:Q", title=f"lag j ({unit}s back)", axis=alt.Axis(tickMinStep=1, format="d", grid=False)),
        y=logarithmic("share", "‖δ(t, t−j)‖ / ‖δ(t, t)‖, median"),
    )
    tooltip = [alt.Tooltip("lag:Q", title=f"{unit}s back"), alt.Tooltip("share:Q", format=".3e")]
    return _lines(base, networks, tooltip)


def agreement_table(measured: Mapping[str, Agreement]) -> pd.DataFrame:
    """By network -> long table (network, gap, accuracy, sentences)."""
    parts = [
        pd.DataFrame({"network": network, "gap": found.gaps, "accuracy": found.accuracy, "sentences": found.items})
        for network, found in measured.items()
    ]
    return _named(_joined(parts, ("network", "gap", "accuracy", "sentences")), "gap", "accuracy", domain=_SHARES)


@specification
def agreement_chart(networks: tuple[str, ...]) -> alt.LayerChart:
    """Share of right words over the words in between, beside the coin."""
    base = alt.Chart().encode(
        x=alt.X(
            "gap:Q",
            title="words in between",
            scale=alt.Scale(zero=False, nice=False, padding=8),
            axis=alt.Axis(tickMinStep=1, format="d", grid=False),
        ),
        y=alt.Y(
            "accuracy:Q", title="right word likelier", scale=alt.Scale(domain=list(_SHARES)), axis=alt.Axis(format="~%")
        ),
    )
    tooltip = [
        alt.Tooltip("gap:Q", title="words in between"),
        alt.Tooltip("accuracy:Q", format=".1%"),
        alt.Tooltip("sentences:Q"),
    ]
    coin = once().mark_rule(strokeDash=[5, 4], color=FAINT).encode(y=alt.datum(0.5))
    return _lines(base, networks, tooltip, coin, points=True)


def _lines(
    base: alt.Chart,
    networks: tuple[str, ...],
    tooltip: list[alt.Tooltip],
    *behind: alt.Chart,
    points: bool = False,
) -> alt.LayerChart:
    base = base.encode(x=line_ends.room(base.encoding.x, networks))
    colour = alt.Color("network:N", scale=alt.Scale(domain=list(networks)), legend=None)
    dash = alt.StrokeDash(
        "network:N", scale=alt.Scale(domain=list(networks), range=_DASHES[: len(networks)]), legend=None
    )
    lines = base.mark_line(strokeWidth=2.2).encode(color=colour, strokeDash=dash)
    marks = base.mark_point(filled=True, size=34, opacity=1.0 if points else 0.0).encode(
        color=colour, tooltip=[alt.Tooltip("network:N"), *tooltip]
    )
    return stacked(*behind, lines, marks, line_ends.names(base, "network", color=colour), height=_HEIGHT)


def _named(
    table: pd.DataFrame, x: str, y: str, *, log: bool = False, domain: tuple[float, float] | None = None
) -> pd.DataFrame:
    return line_ends.with_names(table, x, y, "network", height=_HEIGHT, log=log, domain=domain)


def _joined(parts: list[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: [] for name in columns})
