"""Find the cause: blame, saturation, spectrum, two paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.charts import laboratory_cause as charts
from dashboard.charts.common import numbered
from dashboard.charts.laboratory import Specification, tidy_reach
from dashboard.laboratory import frames, readings
from dashboard.laboratory.looking import Looking
from dashboard.services import measurements
from dashboard.services.history import History
from dashboard.text import laboratory as wording
from rnn_core.diagnostics import activation_curve

T = TypeVar("T")

_ENDS = {"tanh": ("below −0.9", "above 0.9"), "sigmoid": ("below 0.1", "above 0.9"), "relu": ("at 0", "")}


def group(looking: Looking, history: History) -> None:
    blame(looking)
    layer = choose_layer(looking)
    saturation(looking, layer)
    place = spectrum(looking, history, layer)
    two_paths(looking, layer)
    # What takes longest comes last: the browser draws all others in the meantime.
    with place:
        product(looking, layer)


def choose_layer(looking: Looking) -> int:
    """The layer, counted from 0, of those pictures that are of one layer."""
    if looking.subject.layers == 1:
        return 0
    return choose("layer", "Layer", list(range(1, looking.subject.layers + 1)), looking.subject.layers) - 1


def choose(name: str, label: str, options: list[T], usual: T) -> T:
    """One of a few; the names are ours."""
    chosen: T = st.segmented_control(
        label,
        options,
        default=usual if usual in options else options[0],
        required=True,
        help=wording.HELP[name],
        key=frames.key(f"{name} of {len(options)}"),
        persist_state="session",
    )
    return chosen


# --- blame ------------------------------------------------------------------------------------------------------------


def blame(looking: Looking) -> None:
    subject, found = looking.subject, looking.subject.blame(looking.asked)
    state = found.quantity == "state"
    left, right = st.columns([6, 5], gap="large") if subject.gated else (st.container(), None)
    table = charts.blame_table(subject.sources, found)
    words = tuple(numbered(subject.sources)[: looking.asked])
    with left:
        frames.heading("blame", readings.blame(subject.sources, subject.targets, looking.asked, found))
        if len(table):
            frames.chart(
                "blame",
                charts.blame(words, state, tuple(found.parts)),
                table,
                step=subject.loaded.step,
                alt_text="Gain and damping of the gradient at every word on its way back, as a waterfall",
            )
        frames.behind("blame")
    if right is None:
        return
    with right:
        frames.heading("shares", readings.shares(found))
        table = charts.shares_table(subject.sources, found)
        if len(table):
            frames.chart(
                "shares",
                charts.shares(words, subject.model.config.cell),
                table,
                step=subject.loaded.step,
                alt_text="Share of each gate's path in the gradient that arrives at every word",
            )
        frames.behind("shares")


# --- saturation -------------------------------------------------------------------------------------------------------


_SATURATION_VIEWS = {
    "The curve": ("Curve", "Units"),
    "Word by word": ("Values", "Slopes"),
    "Ends and steps": ("Saturated", "Step norms"),
}


def saturation(looking: Looking, layer: int) -> None:
    subject, statistics = looking.subject, looking.subject.saturation(layer)
    norms, names = subject.step_norms(layer), list(statistics)
    place = st.empty()
    name = names[0]
    if len(names) > 1:
        name = choose("signal", "Values of", names, "forget" if "forget" in names else "update")
    signal = statistics[name]
    with place.container():
        frames.heading("saturation", readings.saturation(name, signal, norms))
    sources = subject.sources
    words = tuple(numbered(sources))
    bounds = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "relu": (None, None)}[signal.phi]
    steepest = float(activation_curve(signal.phi).slope.max())
    # Only what is looked at is worked out and drawn: six charts at once are more than one can read.
    drawings: dict[str, Callable[[], tuple[Specification, pd.DataFrame, str]]] = {
        "Curve": lambda: (
            charts.curve(signal.phi),
            charts.curve_table(signal.phi, signal.histogram),
            "The activation function and its slope, over a histogram of what it is given",
        ),
        "Units": lambda: (
            charts.units(),
            charts.units_table(signal),
            "Units by how often they are saturated low and high",
        ),
        "Values": lambda: (
            charts.quantiles(words, "φ(a) over the units", *bounds),
            charts.quantile_table(sources, signal.values),
            "Activations word by word",
        ),
        "Slopes": lambda: (
            charts.quantiles(words, "φ′(a) over the units", 0.0, steepest),
            charts.quantile_table(sources, signal.slopes),
            "Slopes word by word",
        ),
        "Saturated": lambda: (
            charts.ends(words, *_ENDS[signal.phi]),
            charts.ends_table(sources, signal),
            "Fraction of saturated units word by word",
        ),
        "Step norms": lambda: (
            charts.steps(words),
            charts.steps_table(sources, norms),
            "Norm of the joint state's Jacobian word by word",
        ),
    }
    view = choose("saturation view", "Look at", list(_SATURATION_VIEWS), "The curve")
    for column, part in zip(st.columns(2, gap="large"), _SATURATION_VIEWS[view], strict=True):
        specification, table, alt_text = drawings[part]()
        with column:
            frames.chart(f"saturation {part}", specification, table, step=subject.loaded.step, alt_text=alt_text)
    frames.behind("saturation")


# --- spectrum ---------------------------------------------------------------------------------------------------------


def spectrum(looking: Looking, history: History, layer: int) -> DeltaGenerator:
    """All of it but one chart; -> the place for that."""
    subject = looking.subject
    folder, step = str(subject.run.folder), subject.loaded.step
    text = measurements.text_lyapunov(folder, step)
    everywhere = measurements.spectrum(folder, step)
    here = [place for place, block in enumerate(everywhere) if block.layer == layer]
    blocks = [everywhere[place] for place in here]
    gates = tuple(block.gate for block in blocks)
    frames.heading("spectrum", readings.spectrum(blocks, text, subject.lyapunov))
    radii = charts.spectra_table(history.horizons, here, gates)
    left, right = st.columns(2, gap="large")
    with left:
        frames.chart(
            "dial",
            charts.dial(),
            charts.dial_table(float(text.exponents[0]), float(subject.lyapunov.exponents[0])),
            numbers=charts.exponents_table(text, subject.lyapunov),
            step=subject.loaded.step,
            alt_text="The largest Lyapunov exponent on a dial from vanishing to exploding",
            stretch=False,
        )
        frames.chart(
            "eigenvalues",
            charts.eigenvalues(gates, tidy_reach(max(block.radius for block in blocks))),
            charts.eigenvalue_table(blocks),
            step=subject.loaded.step,
            alt_text="Eigenvalues of W in the complex plane, beside the unit circle",
            stretch=False,
        )
    with right:
        place = st.container()
        if len(radii):
            frames.chart(
                "spectra",
                charts.spectra(gates),
                radii,
                step=subject.loaded.step,
                alt_text="Spectral radius and norm of W over the training",
            )
        else:
            st.caption(wording.NO_SPECTRA)
    frames.behind("spectrum")
    return place


def product(looking: Looking, layer: int) -> None:
    subject, found = looking.subject, looking.subject.product(layer)
    st.text(readings.product(found))
    frames.chart(
        "product",
        charts.product(looking.unit),
        charts.product_table(found),
        step=subject.loaded.step,
        alt_text="Singular values of the product of the sentence's Jacobians over the number of steps",
    )


# --- two paths --------------------------------------------------------------------------------------------------------


def two_paths(looking: Looking, layer: int) -> None:
    subject = looking.subject
    if not subject.gated:
        frames.heading("paths", wording.NO_GATES)
        return
    found = subject.two_paths(layer)
    lstm = subject.model.config.cell == "lstm"
    usual, state = ("forget", "c") if lstm else ("update", "h")
    frames.heading("paths", readings.two_paths(subject.sources, subject.targets, looking.asked, found, usual, state))
    gate = choose("gate", "Gate", list(found.gates), usual)
    values = found.gates[gate]
    cells = charts.gate_table(subject.sources, values)
    words = tuple(numbered(subject.sources))
    left, right = st.columns([6, 5], gap="large")
    with left:
        frames.chart(
            "paths",
            charts.paths(words, state),
            charts.paths_table(subject.sources, found, looking.asked),
            step=subject.loaded.step,
            alt_text="The gradient along the carry and through W at every word",
        )
        frames.chart(
            "gate",
            charts.gate(words, gate, charts.shown_units(*values.shape), values.shape[1]),
            charts.thinned_gate(cells),
            numbers=cells,
            step=subject.loaded.step,
            alt_text="Values of the gate in every unit at every word",
        )
    with right:
        frames.chart(
            "path lags",
            charts.path_lags(looking.unit),
            charts.path_lags_table(found),
            step=subject.loaded.step,
            alt_text="What is left of the gradient along each path over the distance in words",
        )
    frames.behind("paths")
