"""What the units do: where on their curves they work, and what the map does to a gradient in the long run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.charts import activations, spectra
from dashboard.charts.common import numbered
from dashboard.charts.specification import Specification, tidy_reach
from dashboard.components.pictures import Chart
from dashboard.laboratory import captions, figures
from dashboard.laboratory.figures import chart, figure
from dashboard.laboratory.view_state import ViewState
from dashboard.services import measurements
from dashboard.services.history import History
from dashboard.text import laboratory as wording
from rnn_core.diagnostics import activation_curve
from rnn_core.nn.activations import ACTIVATIONS, Activation

_VIEWS = {
    "The curve": ("Curve", "Units"),
    "Word by word": ("Values", "Slopes"),
    "Ends and steps": ("Saturated", "Step norms"),
}


def draw(view: ViewState, history: History) -> None:
    """The fourth of the five."""
    saturation(view)
    spectrum(view)
    if figures.more("units"):
        product(view)
        spectra_over_training(view, history)


def saturation(view: ViewState) -> None:
    analysis, statistics = view.analysis, view.analysis.saturation(view.layer)
    norms, names = analysis.step_norms(view.layer), list(statistics)
    place = st.container()
    with st.container(horizontal=True, gap="medium"):
        name = names[0]
        if len(names) > 1:
            name = figures.choose("signal", "Values of", names, analysis.model.cell.carry_gate or names[0])
        chosen = figures.choose("look", "Look at", list(_VIEWS), "The curve")
    drawings = _drawings(view, name)
    with place:
        figure(
            "saturation",
            captions.saturation(name, statistics[name], norms),
            *(_drawn(part, drawings) for part in _VIEWS[chosen]),
            step=analysis.loaded.step,
            layout="beside",
        )


def _drawn(part: str, drawings: dict[str, Callable[[], tuple[Specification, pd.DataFrame, str]]]) -> Chart:
    # Only what is looked at is worked out and drawn: six charts at once are more than one can read.
    return chart(f"saturation {part}", *drawings[part]())


def _ends(phi: Activation) -> tuple[str, str]:
    """What counts as saturated, low and high, for people; "" where there is no such bound."""
    low = f"at {phi.low:g}" if phi.kink else f"below {phi.low + phi.margin:g}".replace("-", "−")
    return low, f"above {phi.high - phi.margin:g}" if np.isfinite(phi.high) else ""


def _drawings(view: ViewState, name: str) -> dict[str, Callable[[], tuple[Specification, pd.DataFrame, str]]]:
    analysis = view.analysis
    signal, norms, sources = analysis.saturation(view.layer)[name], analysis.step_norms(view.layer), analysis.sources
    words = tuple(numbered(sources))
    phi = ACTIVATIONS[signal.phi]
    bounds = (phi.low, phi.high) if np.isfinite(phi.high - phi.low) else (None, None)
    steepest = float(activation_curve(signal.phi).slope.max())
    return {
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
            activations.ends(words, *_ends(phi)),
            activations.ends_table(sources, signal),
            "Fraction of saturated units word by word",
        ),
        "Step norms": lambda: (
            activations.steps(words),
            activations.steps_table(sources, norms),
            "Norm of the joint state's Jacobian word by word",
        ),
    }


def spectrum(view: ViewState) -> None:
    """Where W's eigenvalues lie, and on the dial what the network does to a gradient in the long run."""
    analysis = view.analysis
    folder, step = str(view.run.folder), analysis.loaded.step
    text = measurements.text_lyapunov(folder, step)
    blocks = [block for block in measurements.spectrum(folder, step) if block.layer == view.layer]
    dial = chart(
        "dial",
        spectra.dial(),
        spectra.dial_table(float(text.exponents[0]), float(analysis.lyapunov.exponents[0])),
        "The largest Lyapunov exponent on a dial from vanishing to exploding",
        numbers=spectra.exponents_table(text, analysis.lyapunov),
        stretch=False,
    )
    caption = captions.spectrum(blocks, text, analysis.lyapunov, view.run.config.task is not None)
    if not blocks:
        figure("spectrum", caption, dial, step=step)
        return
    gates = tuple(block.gate for block in blocks)
    eigenvalues = chart(
        "eigenvalues",
        spectra.eigenvalues(gates, tidy_reach(spectra.reach_of(blocks))),
        spectra.eigenvalue_table(blocks),
        "Eigenvalues of W in the complex plane, beside the unit circle",
        stretch=False,
    )
    figure("spectrum", caption, dial, eigenvalues, step=step, layout="beside")


def product(view: ViewState) -> None:
    found = view.analysis.product(view.layer)
    figure(
        "product",
        captions.product(found),
        chart(
            "product",
            spectra.product(view.unit),
            spectra.product_table(found),
            "Singular values of the product of the sentence's Jacobians over the number of steps",
        ),
        step=view.analysis.loaded.step,
    )


def spectra_over_training(view: ViewState, history: History) -> None:
    everywhere = measurements.spectrum(str(view.run.folder), view.analysis.loaded.step)
    here = [place for place, block in enumerate(everywhere) if block.layer == view.layer]
    gates = tuple(everywhere[place].gate for place in here)
    table = spectra.spectra_table(history.horizons, here, gates) if here else pd.DataFrame()
    if not len(table):
        st.caption(wording.NO_SPECTRA)
        return
    figure(
        "spectra",
        captions.spectra(*spectra.largest_radius(history.horizons, here)),
        chart("spectra", spectra.spectra(gates), table, "Spectral radius and norm of W over the training"),
        step=view.analysis.loaded.step,
    )
