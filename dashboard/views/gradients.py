"""Gradients: for any sentence, how much of each word's loss arrives at every word before it."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from dashboard import network, session, widgets, wording
from dashboard.charts import gradients as charts
from dashboard.network import Loaded
from rnn_core import GradientFlow, gradient_flow
from rnn_core.errors import UserError
from rnn_core.runs import Run
from rnn_core.sampling import read_prompt
from rnn_core.text import END, START

PAGE = "gradients"
POLL_SECONDS = 2.0
MOST_WORDS = 60


def page() -> None:
    st.title("Gradients", anchor=False)
    run = widgets.opened_run()
    if run is None:
        widgets.no_run()
        return
    st.markdown(wording.GRADIENTS_INTRO)
    try:
        sentence, relative = choose(run)
    except UserError as error:
        widgets.problem("This training cannot be read", error)
        return
    live = widgets.at_work(run)
    st.fragment(pictures, run_every=POLL_SECONDS if live else None)(run, live, sentence, relative)


def choose(run: Run) -> tuple[str, bool]:
    """The sentence, and whether rows are compared in relation to themselves."""
    session.suggest(session.key(PAGE, "sentence"), network.example_sentence(str(run.folder), wording.EXAMPLE_SENTENCE))
    sentence = st.text_input(
        "Sentence",
        max_chars=1000,
        help=wording.GRADIENT_HELP["sentence"],
        key=session.key(PAGE, "sentence"),
        persist_state="session",
    )
    relative = st.toggle(
        "Relative to each row",
        help=wording.GRADIENT_HELP["relative"],
        key=session.key(PAGE, "relative"),
        persist_state="session",
    )
    return sentence or "", relative


def pictures(run: Run, live: bool, sentence: str, relative: bool) -> None:
    """All pictures of one sentence, for the newest weights. Drawn again every two seconds while training goes on."""
    if live != widgets.at_work(run):
        st.rerun()
    loaded = network.newest(run)
    if loaded is None:
        st.info(wording.NO_CHECKPOINT, icon=":material/hourglass_top:")
        return
    try:
        read = read_prompt(loaded.vocabulary, sentence)
    except UserError as error:
        widgets.problem("This sentence cannot be read", error)
        return
    if read.explanation:
        st.text(read.explanation)
    words = list(read.tokens)
    if len(words) > MOST_WORDS:
        st.caption(f"Only the first {MOST_WORDS} are shown.")
        words = words[:MOST_WORDS]
    flow = flow_of(loaded, words)
    sources, targets = [START, *words], [*words, END]
    numbers(run, loaded, flow)
    left, right = st.columns([6, 5], gap="large")
    with left:
        triangle(sources, targets, flow, relative)
    with right:
        decay(targets, flow, widgets.unit(loaded.vocabulary.unit))


def flow_of(loaded: Loaded, words: list[str]) -> GradientFlow:
    """The gradient flow of <s> words </s> through the network."""
    ids = loaded.vocabulary.encode_sentence(words)
    return gradient_flow(loaded.model, ids[:-1], ids[1:])


def numbers(run: Run, loaded: Loaded, flow: GradientFlow) -> None:
    unit = widgets.unit(loaded.vocabulary.unit)
    with st.container(horizontal=True, gap="medium"):
        widgets.number(
            "Half-life",
            flow.half_life,
            f"{{:.2f}} {unit}s",
            help="How far back the median gradient has fallen to one half.",
        )
        widgets.number("Loss of this sentence", float(np.mean(flow.losses_nats)), "{:.3f} nats")
        widgets.number("Gradient of W", flow.full_gradient_norm, "{:.3g}", help="Norm of dE/dW for this sentence.")
        widgets.number("Weights of step", float(loaded.step), "{:,.0f}")


def triangle(sources: list[str], targets: list[str], flow: GradientFlow, relative: bool) -> None:
    st.subheader("Triangle", anchor=False)
    st.markdown(wording.TRIANGLE)
    table = charts.triangle_table(sources, targets, flow.delta_norms, relative)
    highest = table["norm"].max()
    ceiling = max(1.0, math.ceil(math.log10(highest))) if highest > 0 and not relative else 0.0 if relative else 1.0
    widgets.chart(
        charts.triangle(table, ceiling),
        alt_text="Norm of the gradient of each word's loss with respect to each earlier step",
        key="triangle",
    )
    with st.expander("The equation"):
        st.latex(wording.TRIANGLE_EQUATION)


def decay(targets: list[str], flow: GradientFlow, unit: str) -> None:
    st.subheader("Decay", anchor=False)
    st.markdown(wording.DECAY)
    widgets.chart(
        charts.decay(charts.decay_table(targets, flow.delta_norms, flow.half_life), unit),
        alt_text="What is left of the gradient over the distance in words",
        key="decay",
    )


page()
