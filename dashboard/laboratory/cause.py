"""Find the cause: blame, saturation, spectrum, two paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.charts import activations, lost, spectra
from dashboard.charts.common import numbered
from dashboard.charts.specification import Specification, tidy_reach
from dashboard.laboratory import captions, figures
from dashboard.laboratory.view_state import ViewState
from dashboard.services import measurements
from dashboard.services.history import History
from dashboard.text import laboratory as wording
from rnn_core.diagnostics import activation_curve

T = TypeVar("T")

_ENDS = {"tanh": ("below −0.9", "above 0.9"), "sigmoid": ("below 0.1", "above 0.9"), "relu": ("at 0", "")}


def group(view: ViewState, history: History) -> None:
    blame(view)
    layer = choose_layer(view)
    saturation(view, layer)
    place = spectrum(view, history, layer)
    two_paths(view, layer)
    # What takes longest comes last: the browser draws all others in the meantime.
    with place:
        product(view, layer)


def choose_layer(view: ViewState) -> int:
    """The layer, counted from 0, of those pictures that are of one layer."""
    if view.analysis.layers == 1:
        return 0
    return choose("layer", "Layer", list(range(1, view.analysis.layers + 1)), view.analysis.layers) - 1


def choose(name: str, label: str, options: list[T], usual: T) -> T:
    """One of a few; the names are ours."""
    chosen: T = st.segmented_control(
        label,
        options,
        default=usual if usual in options else options[0],
        required=True,
        help=wording.HELP[name],
        key=figures.key(f"{name} of {len(options)}"),
        persist_state="session",
    )
    return chosen


# --- blame ------------------------------------------------------------------------------------------------------------


def blame(view: ViewState) -> None:
    analysis, found = view.analysis, view.analysis.blame(view.asked)
    state = found.quantity == "state"
    left, right = st.columns([6, 5], gap="large") if analysis.gated else (st.container(), None)
    table = lost.where_lost_table(analysis.sources, found)
    words = tuple(numbered(analysis.sources)[: view.asked])
    with left:
        figures.heading("blame", captions.blame(analysis.sources, analysis.targets, view.asked, found))
        if len(table):
            figures.chart(
                "blame",
                lost.where_lost(words, state, tuple(found.parts)),
                table,
                step=analysis.loaded.step,
                alt_text="Gain and damping of the gradient at every word on its way back, as a waterfall",
            )
        figures.behind("blame")
    if right is None:
        return
    with right:
        figures.heading("shares", captions.shares(found))
        table = lost.path_shares_table(analysis.sources, found)
        if len(table):
            figures.chart(
                "shares",
                lost.path_shares(words, tuple(found.shares)),
                table,
                step=analysis.loaded.step,
                alt_text="Share of each gate's path in the gradient that arrives at every word",
            )
        figures.behind("shares")


# --- saturation -------------------------------------------------------------------------------------------------------


_SATURATION_VIEWS = {
    "The curve": ("Curve", "Units"),
    "Word by word": ("Values", "Slopes"),
    "Ends and steps": ("Saturated", "Step norms"),
}


def saturation(view: ViewState, layer: int) -> None:
    analysis, statistics = view.analysis, view.analysis.saturation(layer)
    norms, names = analysis.step_norms(layer), list(statistics)
    place = st.empty()
    name = names[0]
    if len(names) > 1:
        name = choose("signal", "Values of", names, analysis.model.cell.carry_gate or names[0])
    signal = statistics[name]
    with place.container():
        figures.heading("saturation", captions.saturation(name, signal, norms))
    sources = analysis.sources
    words = tuple(numbered(sources))
    bounds = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "relu": (None, None)}[signal.phi]
    steepest = float(activation_curve(signal.phi).slope.max())
    # Only what is looked at is worked out and drawn: six charts at once are more than one can read.
    drawings: dict[str, Callable[[], tuple[Specification, pd.DataFrame, str]]] = {
        "Curve": lambda: (
            activations.curve(signal.phi),
            activations.curve_table(signal.phi, signal.histogram),
            "The activation function and its slope, over a histogram of what it is given",
        ),
        "Units": lambda: (
            activations.units(),
            activations.units_table(signal),
            "Units by how often they are saturated low and high",
        ),
        "Values": lambda: (
            activations.quantiles(words, "φ(a) over the units", *bounds),
            activations.quantile_table(sources, signal.values),
            "Activations word by word",
        ),
        "Slopes": lambda: (
            activations.quantiles(words, "φ′(a) over the units", 0.0, steepest),
            activations.quantile_table(sources, signal.slopes),
            "Slopes word by word",
        ),
        "Saturated": lambda: (
            activations.ends(words, *_ENDS[signal.phi]),
            activations.ends_table(sources, signal),
            "Fraction of saturated units word by word",
        ),
        "Step norms": lambda: (
            activations.steps(words),
            activations.steps_table(sources, norms),
            "Norm of the joint state's Jacobian word by word",
        ),
    }
    chosen = choose("saturation view", "Look at", list(_SATURATION_VIEWS), "The curve")
    for column, part in zip(st.columns(2, gap="large"), _SATURATION_VIEWS[chosen], strict=True):
        specification, table, alt_text = drawings[part]()
        with column:
            figures.chart(f"saturation {part}", specification, table, step=analysis.loaded.step, alt_text=alt_text)
    figures.behind("saturation")


# --- spectrum ---------------------------------------------------------------------------------------------------------


def spectrum(view: ViewState, history: History, layer: int) -> DeltaGenerator:
    """All of it but one chart; -> the place for that."""
    analysis = view.analysis
    folder, step = str(analysis.run.folder), analysis.loaded.step
    text = measurements.text_lyapunov(folder, step)
    everywhere = measurements.spectrum(folder, step)
    here = [place for place, block in enumerate(everywhere) if block.layer == layer]
    blocks = [everywhere[place] for place in here]
    gates = tuple(block.gate for block in blocks)
    figures.heading("spectrum", captions.spectrum(blocks, text, analysis.lyapunov))
    radii = spectra.spectra_table(history.horizons, here, gates)
    left, right = st.columns(2, gap="large")
    with left:
        figures.chart(
            "dial",
            spectra.dial(),
            spectra.dial_table(float(text.exponents[0]), float(analysis.lyapunov.exponents[0])),
            numbers=spectra.exponents_table(text, analysis.lyapunov),
            step=analysis.loaded.step,
            alt_text="The largest Lyapunov exponent on a dial from vanishing to exploding",
            stretch=False,
        )
        if blocks:
            figures.chart(
                "eigenvalues",
                spectra.eigenvalues(gates, tidy_reach(max(block.radius for block in blocks))),
                spectra.eigenvalue_table(blocks),
                step=analysis.loaded.step,
                alt_text="Eigenvalues of W in the complex plane, beside the unit circle",
                stretch=False,
            )
    with right:
        place = st.container()
        if blocks and len(radii):
            figures.chart(
                "spectra",
                spectra.spectra(gates),
                radii,
                step=analysis.loaded.step,
                alt_text="Spectral radius and norm of W over the training",
            )
        else:
            st.caption(wording.NO_SPECTRA)
    figures.behind("spectrum")
    return place


def product(view: ViewState, layer: int) -> None:
    analysis, found = view.analysis, view.analysis.product(layer)
    st.text(captions.product(found))
    figures.chart(
        "product",
        spectra.product(view.unit),
        spectra.product_table(found),
        step=analysis.loaded.step,
        alt_text="Singular values of the product of the sentence's Jacobians over the number of steps",
    )


# --- two paths --------------------------------------------------------------------------------------------------------


def two_paths(view: ViewState, layer: int) -> None:
    analysis = view.analysis
    if not analysis.gated:
        figures.heading("paths", wording.NO_GATES)
        return
    found = analysis.two_paths(layer)
    cell = analysis.model.cell
    assert cell.carry is not None
    assert cell.carry_gate is not None
    usual, state = cell.carry_gate, cell.carry
    figures.heading("paths", captions.two_paths(analysis.sources, analysis.targets, view.asked, found, usual, state))
    gate = choose("gate", "Gate", list(found.gates), usual)
    values = found.gates[gate]
    cells = lost.gate_table(analysis.sources, values)
    words = tuple(numbered(analysis.sources))
    left, right = st.columns([6, 5], gap="large")
    with left:
        figures.chart(
            "paths",
            lost.paths(words, state),
            lost.paths_table(analysis.sources, found, view.asked),
            step=analysis.loaded.step,
            alt_text="The gradient along the carry and through W at every word",
        )
        figures.chart(
            "gate",
            lost.gate(words, gate, lost.shown_units(*values.shape), values.shape[1]),
            lost.thinned_gate(cells),
            numbers=cells,
            step=analysis.loaded.step,
            alt_text="Values of the gate in every unit at every word",
        )
    with right:
        figures.chart(
            "path lags",
            lost.path_lags(view.unit),
            lost.path_lags_table(found),
            step=analysis.loaded.step,
            alt_text="What is left of the gradient along each path over the distance in words",
        )
    figures.behind("paths")
