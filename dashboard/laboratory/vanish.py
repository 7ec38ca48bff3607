"""See it vanish: triangle, one of its rows, horizon, horizon film."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.charts import laboratory_vanish as charts
from dashboard.charts.laboratory import highest_decade
from dashboard.laboratory import frames, readings
from dashboard.laboratory.looking import Looking
from dashboard.services.history import History
from dashboard.services.measurements import probe_horizon
from rnn_core import diagnostics
from rnn_core.training.loop import HorizonMeasured


def group(looking: Looking, history: History) -> None:
    """The three pictures of one moment, and the one of all moments."""
    left, right = st.columns([6, 5], gap="large")
    with left:
        triangle(looking)
    with right:
        row(looking)
    left, right = st.columns([6, 5], gap="large")
    with left:
        horizon(looking, history)
    with right:
        film(looking, history)


def triangle(looking: Looking) -> None:
    subject, norms = looking.subject, looking.subject.flow.delta_norms
    frames.heading("triangle", readings.triangle(subject.sources, subject.targets, norms, looking.asked, looking.unit))
    shown = diagnostics.triangle(subject.flow, looking.relative)
    table = charts.triangle_table(subject.sources, subject.targets, shown, looking.asked)
    ceiling = highest_decade(table["norm"], 0.0 if looking.relative else 1.0)
    frames.chart(
        "triangle",
        charts.triangle(len(norms), ceiling, looking.relative),
        table,
        step=subject.loaded.step,
        alt_text="Norm of the gradient of each word's loss with respect to each earlier step",
        on_select=looking.ask_clicked_row,
    )
    frames.behind("triangle")


def row(looking: Looking) -> None:
    subject, flow = looking.subject, looking.subject.flow
    decay = subject.row(looking.asked)
    frames.heading("row", readings.row(subject.targets, looking.asked, decay, looking.unit))
    table = charts.row_table(
        subject.targets,
        flow.delta_norms,
        looking.asked,
        decay,
        diagnostics.median_by_lag(flow.relative_decay),
        flow.half_life,
        looking.relative,
    )
    frames.chart(
        "row",
        charts.row(looking.relative, decay.fixed_bound is not None, looking.unit),
        table,
        step=subject.loaded.step,
        alt_text="The gradient of one word's loss over the distance in words, beside its bounds",
    )
    frames.behind("row")


def horizon(looking: Looking, history: History) -> None:
    subject = looking.subject
    probe = probe_of(looking, history)
    frames.heading("horizon", readings.horizon(probe, subject.horizon, looking.unit))
    table = charts.horizon_table(probe, subject.horizon)
    frames.chart(
        "horizon",
        charts.horizon(subject.gated, looking.unit),
        table,
        step=subject.loaded.step,
        alt_text="What is left of the gradient over the distance in words, beside three bounds and powers",
    )
    frames.behind("horizon")


def probe_of(looking: Looking, history: History) -> HorizonMeasured:
    """The probe's horizon at the moment on the screen: as the training measured it, else measured now."""
    step = looking.subject.loaded.step
    return history.horizons.get(step) or probe_horizon(str(looking.subject.run.folder), step)


def film(looking: Looking, history: History) -> None:
    measured = history.horizons
    frames.heading("film", readings.film([measured[step] for step in sorted(measured)], looking.unit))
    if not measured:
        return
    table = charts.film_table(measured, looking.subject.loaded.step)
    frames.chart(
        "film",
        charts.film(highest_decade(np.minimum(table["left"], 1e12), 0.0), looking.unit),
        table,
        step=looking.subject.loaded.step,
        alt_text="What is left of the gradient, over the training step and the distance in words",
        on_select=looking.hold_clicked_moment,
    )
    frames.behind("film")
