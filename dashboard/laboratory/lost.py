"""Where it is lost: W against phi' at every word; in a gated cell the carry against the path through W."""

from __future__ import annotations

import streamlit as st

from dashboard.charts import lost
from dashboard.charts.common import numbered
from dashboard.laboratory import captions, figures
from dashboard.laboratory.figures import chart, figure
from dashboard.laboratory.view_state import ViewState
from dashboard.services.history import History
from dashboard.text import laboratory as wording


def draw(view: ViewState, history: History) -> None:
    """The third of the five."""
    where_lost(view)
    if not view.analysis.gated:
        st.caption(wording.NO_GATES)
        return
    two_paths(view)
    if figures.more("lost"):
        path_shares(view)
        gate(view)


def where_lost(view: ViewState) -> None:
    analysis, found = view.analysis, view.analysis.where_lost(view.chosen)
    caption = captions.where_lost(analysis.sources, analysis.targets, view.chosen, found, view.unit)
    table = lost.where_lost_table(analysis.sources, found)
    if not len(table):
        st.text(caption)
        return
    words = tuple(numbered(analysis.sources)[: view.chosen])
    figure(
        "where lost",
        caption,
        chart(
            "where lost",
            lost.where_lost(words, found.quantity == "state", tuple(found.parts)),
            table,
            "Gain and damping of the gradient at every word on its way back, as a waterfall",
        ),
        step=analysis.loaded.step,
    )


def two_paths(view: ViewState) -> None:
    analysis, layer = view.analysis, view.layer
    found, (_, state) = analysis.two_paths(layer), analysis.carry_gate
    words = tuple(numbered(analysis.sources))
    figure(
        "two paths",
        captions.two_paths(analysis.sources, analysis.targets, view.chosen, found, state),
        chart(
            "paths",
            lost.paths(words, state),
            lost.paths_table(analysis.sources, found, view.chosen),
            "The gradient along the carry and through W at every word",
        ),
        chart(
            "path lags",
            lost.path_lags(view.unit),
            lost.path_lags_table(found),
            "What is left of the gradient along each path over the distance in words",
        ),
        step=analysis.loaded.step,
        layout="beside",
        symbols=_carry(view),
    )


def path_shares(view: ViewState) -> None:
    analysis, found = view.analysis, view.analysis.where_lost(view.chosen)
    table = lost.path_shares_table(analysis.sources, found)
    if not len(table):
        st.text(captions.path_shares(found))
        return
    figure(
        "path shares",
        captions.path_shares(found),
        chart(
            "path shares",
            lost.path_shares(tuple(numbered(analysis.sources)[: view.chosen]), tuple(found.shares)),
            table,
            "Share of each gate's path in the gradient that arrives at every word",
        ),
        step=analysis.loaded.step,
    )


def gate(view: ViewState) -> None:
    """The gate that lets the gradient pass, unit by unit."""
    analysis = view.analysis
    found, (carry_gate, _) = analysis.two_paths(view.layer), analysis.carry_gate
    name = figures.choose("gate", "Gate", list(found.gates), carry_gate)
    values = found.gates[name]
    cells = lost.gate_table(analysis.sources, values)
    words = tuple(numbered(analysis.sources))
    figure(
        "gate",
        captions.gate(name, values, view.unit),
        chart(
            "gate",
            lost.gate(words, name, lost.shown_units(*values.shape), values.shape[1]),
            lost.thinned_gate(cells),
            "Values of the gate in every unit at every word",
            numbers=cells,
        ),
        step=analysis.loaded.step,
        symbols=_carry(view),
    )


def _carry(view: ViewState) -> str:
    """What this network's cell carries on, and how: whether an open gate keeps it or replaces it differs by cell."""
    cell = view.analysis.model.cell
    if not cell.carry_equation:
        return ""
    return wording.CARRY.format(cell=cell.label, carry=cell.carry, equation=cell.carry_equation)
