"""Gradients: the laboratory. For any sentence and any moment of a training: see it vanish, find the cause, cure it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import streamlit as st

from dashboard.charts.common import numbered
from dashboard.components import widgets
from dashboard.laboratory import cause, cost, figures, refresh, vanish, view_state
from dashboard.laboratory.sentence_analysis import SentenceAnalysis, analyse
from dashboard.laboratory.view_state import ViewState
from dashboard.services import library, network, worker
from dashboard.services.history import History
from dashboard.services.network import Loaded
from dashboard.state import session
from dashboard.text import general as wording_common
from dashboard.text import laboratory as wording
from rnn_core.errors import RunError, UserError
from rnn_core.runs import Run, RunStatus
from rnn_core.training import read_prompt

MOST_WORDS = 60


def page() -> None:
    st.title("Gradients", anchor=False)
    run = widgets.opened_run()
    if run is None:
        widgets.no_run()
        return
    st.markdown(wording.INTRO)
    try:
        sentence = choose_sentence(run)
    except UserError as error:
        widgets.problem("This training cannot be read", error)
        return
    live = widgets.at_work(run)
    newest = refresh.newest(run, run.moments(), live)
    st.fragment(widgets.error_boundary(laboratory))(run, live, sentence)
    if live:
        # Apart from the pictures, which cost more to send again than to look whether there is anything new to send.
        st.fragment(widgets.error_boundary(pulse), run_every=refresh.LOOK_SECONDS)(run, newest)


def pulse(run: Run, drawn: int | None) -> None:
    """Look every few seconds whether the pictures have grown old, or the training has ended."""
    if not widgets.at_work(run) or refresh.newest(run, run.moments(), live=True) != drawn:
        st.rerun()


def choose_sentence(run: Run) -> str:
    usual = network.example_sentence(str(run.folder), wording_common.EXAMPLE_SENTENCE)
    session.suggest(figures.key("sentence"), usual)
    sentence = st.text_input(
        "Sentence", max_chars=1000, help=wording.HELP["sentence"], key=figures.key("sentence"), persist_state="session"
    )
    return sentence or ""


def laboratory(run: Run, live: bool, sentence: str) -> None:
    """All of one visitor's pictures."""
    started = time.thread_time()
    try:
        moments = run.moments()
        if not moments:
            network.newest(run)  # Where there are weights that cannot be read, this says why.
            st.info(wording_common.NO_CHECKPOINT, icon=":material/hourglass_top:")
            return
        history = session.history(run)
        history.update()
        status = run.status()
    except UserError as error:
        widgets.problem("This training cannot be read", error)
        return
    explanation(run, status)
    step, following = choose_moment(run, moments, live)
    try:
        loaded = weights(run, moments, step, following)
    except UserError as error:
        widgets.problem("The weights of this moment cannot be read", error)
        return
    try:
        read = read_prompt(loaded.vocabulary, sentence)
        if read.explanation:
            st.text(read.explanation)
        if len(read.tokens) > MOST_WORDS:
            st.caption(f"Only the first {MOST_WORDS} are shown.")
        chosen = analyse(run, loaded.step, list(read.tokens[:MOST_WORDS]))
    except UserError as error:
        widgets.problem("This sentence cannot be read", error)
        return
    unit = widgets.unit(loaded.vocabulary.unit)
    numbers(chosen, unit)
    group = st.segmented_control(
        "Pictures",
        list(GROUPS),
        default="vanish",
        required=True,
        format_func=wording.GROUPS.__getitem__,
        label_visibility="collapsed",
        key=figures.key("group"),
        persist_state="session",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        asked = choose_asked(chosen)
        relative = group == "vanish" and st.toggle(
            "Relative to each row", help=wording.HELP["relative"], key=figures.key("relative"), persist_state="session"
        )
    GROUPS[group](ViewState(run, chosen, asked, relative, unit, moments), history)
    refresh.spent(run, moments, time.thread_time() - started)


def weights(run: Run, moments: list[int], step: int, following: bool) -> Loaded:
    """The network of this moment; where the page follows the training, of the last before it that can be read."""
    earlier = [moment for moment in reversed(moments) if moment < step] if following else []
    try:
        return network.at(str(run.folder), step)
    except RunError:
        for moment in earlier:
            with contextlib.suppress(RunError):
                return network.at(str(run.folder), moment)
        raise


def explanation(run: Run, status: RunStatus) -> None:
    """Why a training ended before its time, and the cure of an explosion, if it has not been taken."""
    if status.state not in ("failed", "diverged", "dead"):
        return
    widgets.problem(wording_common.STATE_HELP[status.state], status.message)
    if status.state != "diverged":
        return
    st.markdown(wording.DIVERGED)
    # Who only looks on must not come to the whole corpus by training a copy of the run.
    curable = run.config.training.clip is None and library.mine(run)
    if curable and st.button(wording.CURE_BUTTON, help=wording.CURE_HELP, icon=":material/healing:"):
        cure(run)


def cure(run: Run) -> None:
    """Train the same again, with the gradient's norm held down."""
    config = run.config
    training = replace(config.training, clip=wording.CURE_LIMIT, clip_mode="norm")
    try:
        begun = worker.begin(f"{config.name}, clipped", run.corpus(), config.text, config.model, training)
    except UserError as error:
        widgets.problem("This training could not be started", error)
        return
    session.open_run(begun)
    st.rerun()


def choose_moment(run: Run, moments: list[int], live: bool) -> tuple[int, bool]:
    """The training step whose weights are in the pictures, and whether that is the newest."""
    held = view_state.held(run, moments)
    step = held
    if step is None:
        step = refresh.newest(run, moments, live) or moments[-1]
    if len(moments) < 2:
        st.caption(wording.ONE_MOMENT)
    else:
        session.put(view_state.MOMENT, step)
        st.select_slider(
            "Moment of the training",
            moments,
            format_func=lambda step: f"step {step:,}",
            help=wording.HELP["moment"],
            key=view_state.MOMENT,
            on_change=lambda: view_state.hold(run, session.value(view_state.MOMENT, step), moments),
        )
    return step, held is None


def choose_asked(chosen: SentenceAnalysis) -> int:
    """The position of the word whose loss is followed back. In a new sentence its last word, not its end."""
    count = len(chosen.targets)
    if session.value(view_state.ASKED_OF, None) != chosen.words or session.value(view_state.ASKED, None) is None:
        session.put(view_state.ASKED_OF, chosen.words)
        words = [place for place, word in enumerate(chosen.words) if any(map(str.isalnum, word))]
        session.put(view_state.ASKED, words[-1] if words else 0)
    labels = numbered(chosen.targets)
    asked: int = st.selectbox(
        "Word whose loss is asked",
        range(count),
        format_func=labels.__getitem__,
        help=wording.HELP["asked"],
        key=view_state.ASKED,
        width=260,
    )
    return asked


def numbers(chosen: SentenceAnalysis, unit: str) -> None:
    flow = chosen.flow
    reach = len(chosen.words)
    with st.container(horizontal=True, gap="medium"):
        widgets.number(
            "Half-life",
            reach if flow.half_life is None else flow.half_life,
            f"> {{:.0f}} {unit}s" if flow.half_life is None else f"{{:.2f}} {unit}s",
            help="How far back the median gradient of this sentence has fallen to one half.",
        )
        loss = float(np.mean(flow.losses_nats))
        widgets.number("Loss of this sentence", loss, "{:.3f} nats" if loss < 1e4 else "{:.3g} nats")
        name = flow.recurrent[0]
        about = f"Norm of dE/d{name} for this sentence."
        widgets.number(f"Gradient of {name}", flow.full_gradient_norm, "{:.3g}", help=about)
        widgets.number("Weights of step", float(chosen.loaded.step), "{:,.0f}")


GROUPS: dict[str, Callable[[ViewState, History], None]] = {
    "vanish": vanish.group,
    "cause": cause.group,
    "cost": cost.group,
}


page()
