"""See it vanish: triangle, one of its rows, horizon, horizon film."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.charts import arrives
from dashboard.charts.specification import highest_decade
from dashboard.laboratory import captions, figures
from dashboard.laboratory.view_state import ViewState
from dashboard.services.history import History
from dashboard.services.measurements import probe_horizon
from rnn_core import diagnostics
from rnn_core.training import HorizonMeasured


def group(view: ViewState, history: History) -> None:
    """The three pictures of one moment, and the one of all moments."""
    left, right = st.columns([6, 5], gap="large")
    with left:
        triangle(view)
    with right:
        row(view)
    left, right = st.columns([6, 5], gap="large")
    with left:
        horizon(view, history)
    with right:
        film(view, history)


def triangle(view: ViewState) -> None:
    analysis, norms = view.analysis, view.analysis.flow.delta_norms
    figures.heading("triangle", captions.triangle(analysis.sources, analysis.targets, norms, view.asked, view.unit))
    shown = diagnostics.triangle(analysis.flow, view.relative)
    table = arrives.triangle_table(analysis.sources, analysis.targets, shown, view.asked)
    ceiling = highest_decade(table["norm"], 0.0 if view.relative else 1.0)
    figures.chart(
        "triangle",
        arrives.triangle(len(norms), ceiling, view.relative),
        table,
        step=analysis.loaded.step,
        alt_text="Norm of the gradient of each word's loss with respect to each earlier step",
        on_select=view.ask_clicked_row,
    )
    figures.behind("triangle")


def row(view: ViewState) -> None:
    analysis, flow = view.analysis, view.analysis.flow
    decay = analysis.row(view.asked)
    figures.heading("row", captions.row(analysis.targets, view.asked, decay, view.unit))
    table = arrives.row_table(
        analysis.targets,
        flow.delta_norms,
        view.asked,
        decay,
        diagnostics.median_by_lag(flow.relative_decay),
        flow.half_life,
        view.relative,
    )
    figures.chart(
        "row",
        arrives.row(view.relative, decay.fixed_bound is not None, view.unit),
        table,
        step=analysis.loaded.step,
        alt_text="The gradient of one word's loss over the distance in words, beside its bounds",
    )
    figures.behind("row")


def horizon(view: ViewState, history: History) -> None:
    analysis = view.analysis
    probe = probe_of(view, history)
    figures.heading("horizon", captions.horizon(probe, analysis.horizon, view.unit))
    table = arrives.horizon_table(probe, analysis.horizon)
    figures.chart(
        "horizon",
        arrives.horizon(analysis.gated, view.unit),
        table,
        step=analysis.loaded.step,
        alt_text="What is left of the gradient over the distance in words, beside three bounds and powers",
    )
    figures.behind("horizon")


def probe_of(view: ViewState, history: History) -> HorizonMeasured:
    """The probe's horizon at the moment on the screen: as the training measured it, else measured now."""
    step = view.analysis.loaded.step
    return history.horizons.get(step) or probe_horizon(str(view.analysis.run.folder), step)


def film(view: ViewState, history: History) -> None:
    measured = history.horizons
    figures.heading("film", captions.film([measured[step] for step in sorted(measured)], view.unit))
    if not measured:
        return
    table = arrives.film_table(measured, view.analysis.loaded.step)
    figures.chart(
        "film",
        arrives.film(highest_decade(np.minimum(table["left"], 1e12), 0.0), view.unit),
        table,
        step=view.analysis.loaded.step,
        alt_text="What is left of the gradient, over the training step and the distance in words",
        on_select=view.hold_clicked_moment,
    )
    figures.behind("film")
