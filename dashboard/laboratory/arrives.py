"""What arrives: the unrolled network beside the triangle, then the horizon, now and over the training."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.charts import arrives, horizons
from dashboard.charts.specification import highest_decade
from dashboard.components import pictures
from dashboard.components.unrolled import picture_data, unrolled_network, unrolled_picture
from dashboard.laboratory import captions, figures
from dashboard.laboratory.figures import chart, figure
from dashboard.laboratory.view_state import UNROLLED, ViewState
from dashboard.services import measurements
from dashboard.services.history import History
from rnn_core import diagnostics
from rnn_core.training import HorizonMeasured


def draw(view: ViewState, history: History) -> None:
    """The first of the page's five steps."""
    left, right = st.columns([4, 3], gap="medium")
    with left:
        unrolled(view)
    with right:
        triangle(view)
    horizon(view, history)
    if figures.more("arrives"):
        film(view, history)


def unrolled(view: ViewState) -> None:
    """The sentence, and the gradient of the chosen loss on its way back; pale behind it, the network before a cure."""
    analysis = view.analysis
    words, norms = [*analysis.sources, analysis.targets[-1]], analysis.flow.delta_norms
    figures.heading("unrolled", unrolled_picture(words, norms, key=UNROLLED), step=analysis.loaded.step)
    unrolled_network(
        picture_data(
            words,
            norms,
            chosen=view.chosen,
            bound=diagnostics.fixed_step_bound(analysis.model),
            truncate=view.analysis.truncate,
            before=None if view.before is None else view.before.flow.delta_norms,
            before_name="before the cure",
            unknown=analysis.unknown,
            unit=view.unit,
        ),
        key=UNROLLED,
        on_choose=view.choose_clicked_word,
    )


def triangle(view: ViewState) -> None:
    """The norm of each loss's gradient at each earlier step."""
    analysis, norms = view.analysis, view.analysis.flow.delta_norms
    shown = diagnostics.triangle(analysis.flow, view.relative)
    table = arrives.triangle_table(analysis.sources, analysis.targets, shown, view.chosen)
    ceiling = highest_decade(table["norm"], 0.0 if view.relative else 1.0)
    drawn = chart(
        "triangle",
        arrives.triangle(len(analysis.asked), ceiling, view.relative),
        table,
        "Norm of the gradient of each word's loss with respect to each earlier step",
        on_select=view.choose_clicked_row,
    )
    figures.heading("triangle", drawn, step=analysis.loaded.step)
    pictures.draw(drawn)
    st.text(captions.triangle(analysis.sources, analysis.targets, norms, view.chosen, view.unit))


def horizon(view: ViewState, history: History) -> None:
    """What is left of a gradient over the lag, beside its bounds."""
    analysis = view.analysis
    probe = probe_of(view, history)
    figure(
        "horizon",
        captions.horizon(probe, analysis.horizon, view.unit),
        chart(
            "horizon",
            horizons.horizon(analysis.gated, view.unit),
            horizons.horizon_table(probe, analysis.horizon),
            "What is left of the gradient over the distance in words, beside three bounds and powers",
        ),
        step=analysis.loaded.step,
    )


def probe_of(view: ViewState, history: History) -> HorizonMeasured:
    """The probe's horizon at the moment on the screen: as the training measured it, else measured now."""
    step = view.analysis.loaded.step
    return history.horizons.get(step) or measurements.probe_horizon(str(view.run.folder), step)


def film(view: ViewState, history: History) -> None:
    """A heat map: training step by lag, coloured by what is left of the gradient."""
    measured = history.horizons
    caption = captions.film([measured[step] for step in sorted(measured)], view.unit)
    if not measured:
        st.text(caption)
        return
    table = horizons.film_table(measured, view.analysis.loaded.step)
    figure(
        "film",
        caption,
        chart(
            "film",
            # A gradient that has exploded must not take the whole range of colours.
            horizons.film(highest_decade(np.minimum(table["left"], 1e12), 0.0), view.unit),
            table,
            "What is left of the gradient, over the training step and the distance in words",
            on_select=view.hold_clicked_moment,
        ),
        step=view.analysis.loaded.step,
    )
