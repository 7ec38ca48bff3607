"""Gradients: one argument in five steps and a verdict, for any sentence and any moment of a training."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.charts.common import numbered
from dashboard.components import demo, errors, formatting, polling, python_popover, widgets
from dashboard.components.linked import link_charts
from dashboard.components.opened_run import no_weights, opened_run
from dashboard.laboratory import allowed, arrives, cost, figures, lost, refresh, units, view_state
from dashboard.laboratory.sentence_analysis import SentenceAnalysis, analyse
from dashboard.laboratory.task_analysis import MOST_STEPS, TaskAnalysis, analyse_task
from dashboard.laboratory.verdict import divergence, verdict
from dashboard.laboratory.view_state import ViewState
from dashboard.services import library, measurements, network, python_snippets
from dashboard.services.history import History
from dashboard.services.network import Loaded, LoadedNetwork
from dashboard.state import link, session
from dashboard.text import general as common_wording
from dashboard.text import laboratory as wording
from rnn_core.data import detokenize
from rnn_core.errors import RunError, UserError
from rnn_core.runs import Run, RunStatus
from rnn_core.training import read_prompt

LONGEST_SENTENCE, MOST_WORDS = 1000, 60
MOST_SEQUENCES = 1000

AnyLoaded = TypeVar("AnyLoaded", bound=LoadedNetwork)


def page() -> None:
    st.title("Gradients", anchor=False)
    run = opened_run()
    if run is None:
        demo.offer("gradients")
        return
    live = polling.at_work(run)
    newest = refresh.newest(run, run.moments(), live)
    st.fragment(errors.error_boundary(argument))(run, live)
    link_charts(figures.key("linked"))
    if live:
        # Apart from the pictures, which cost more to send again than to look whether there is anything new to send.
        st.fragment(errors.error_boundary(pulse), run_every=refresh.LOOK_SECONDS)(run, newest)


def pulse(run: Run, drawn: int | None) -> None:
    """Look every few seconds whether the pictures have grown old, or the training has ended."""
    if not polling.at_work(run) or refresh.newest(run, run.moments(), live=True) != drawn:
        st.rerun()


def argument(run: Run, live: bool) -> None:
    """Choose sentence, loss and moment; then the five steps and the verdict, all of them of one sentence."""
    started = time.thread_time()
    moments = run.moments()
    if not moments:
        if run.config.task is None:
            network.newest(run)  # Where there are weights that cannot be read, this says why.
        no_weights(run)
        return
    history = session.history(run)
    history.update()
    explanation(run, run.status())
    view = choose(run, moments, live)
    if view is None:
        return
    for place, (name, draw) in enumerate(STEPS.items(), start=1):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"## {place} {wording.STEPS[name]}", anchors=False, width="content")
            if place == 1 and library.mine(run):
                st.space("stretch")
                python_popover.draw(same_in_python(view), "gradients")
        draw(view, history)
    st.markdown(f"## {wording.VERDICT}", anchors=False)
    numbers(view)
    verdict(view)
    if isinstance(view.analysis.loaded, Loaded):  # The report is of a sentence.
        sentence = detokenize(view.analysis.words, view.analysis.loaded.vocabulary.unit)
        widgets.report_button(lambda: library.report(run, sentence), run.id, key=figures.key("report"))
    refresh.spent(run, moments, time.thread_time() - started)


def same_in_python(view: ViewState) -> str:
    step, analysis = view.analysis.loaded.step, view.analysis
    if isinstance(analysis, TaskAnalysis):
        return python_snippets.gradients_of_task(view.run, step, analysis.number, view.chosen)
    return python_snippets.gradients(view.run, step, analysis.words, view.chosen)


STEPS: dict[str, Callable[[ViewState, History], None]] = {
    "arrives": arrives.draw,
    "allowed": allowed.draw,
    "lost": lost.draw,
    "units": units.draw,
    "cost": cost.draw,
}


def choose(run: Run, moments: list[int], live: bool) -> ViewState | None:
    """One compact row: the sentence, the loss that is followed, the moment of the training, the layer."""
    if run.config.task is not None:
        return choose_sequence(run, moments, live)
    default = network.example_sentence(str(run.folder), common_wording.EXAMPLE_SENTENCE)
    link.prefill(figures.key("sentence"), "sentence", link.words(LONGEST_SENTENCE))
    session.suggest(figures.key("sentence"), default)
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with row:
        sentence = st.text_input(
            "Sentence",
            max_chars=LONGEST_SENTENCE,
            help=wording.HELP["sentence"],
            key=figures.key("sentence"),
            persist_state="session",
            width=380,
        )
    link.write("sentence", None if sentence == default else sentence)
    loss_place = row.container(width=170)
    with row:
        step, following = choose_moment(run, moments, live)
    try:
        loaded = weights(network.at, run, moments, step, following)
    except UserError as error:
        errors.problem("The weights of this moment cannot be read", error)
        return None
    try:
        read = read_prompt(loaded.vocabulary, sentence or "")
        tokens = list(read.tokens[:MOST_WORDS])
        analysis = analyse(run, loaded.step, tokens)
    except UserError as error:
        errors.problem("This sentence cannot be read", error)
        return None
    chosen, relative, layer = choose_view(row, loss_place, analysis)
    if read.explanation:
        st.text(read.explanation)
    if len(read.tokens) > MOST_WORDS:
        st.caption(f"Only the first {MOST_WORDS} are shown.")
    unit = formatting.unit(loaded.vocabulary.unit)
    return ViewState(run, analysis, chosen, relative, unit, moments, layer, network_before(tokens))


def choose_sequence(run: Run, moments: list[int], live: bool) -> ViewState | None:
    """The same where a task is learnt: which of its sequences, in the place of a sentence."""
    steps = len(measurements.task_sequence(str(run.folder), 0)[1].inputs)
    if steps > MOST_STEPS:
        st.info(wording.TOO_LONG.format(steps=steps, most=MOST_STEPS), icon=":material/straighten:")
        return None
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with row:
        number = int(
            st.number_input(
                "Sequence",
                min_value=1,
                max_value=MOST_SEQUENCES,
                **link.field(figures.key("sequence"), "sequence", link.whole(1, MOST_SEQUENCES), 1),
            )
        )
    loss_place = row.container(width=170)
    with row:
        step, following = choose_moment(run, moments, live)
    try:
        loaded = weights(network.of_any, run, moments, step, following)
        analysis = analyse_task(run, loaded.step, number - 1)
    except UserError as error:
        errors.problem("The weights of this moment cannot be read", error)
        return None
    chosen, relative, layer = choose_view(row, loss_place, analysis)
    return ViewState(run, analysis, chosen, relative, "step", moments, layer, sequence_before(run, number - 1))


def sequence_before(run: Run, number: int) -> SentenceAnalysis | None:
    """The same sequence in the newest weights of the run that the open one is to cure, where both are still there."""
    cured = session.run_before()
    if cured is None:
        return None
    with contextlib.suppress(UserError):
        before = library.open_run(cured)
        moments = before.moments()
        if moments and before.config.task == run.config.task:
            return analyse_task(before, moments[-1], number)
    return None


def network_before(tokens: list[str]) -> SentenceAnalysis | None:
    """The same sentence in the newest weights of the run that the open one is to cure, where both are still there."""
    cured = session.run_before()
    if cured is None:
        return None
    with contextlib.suppress(UserError):
        before = library.open_run(cured)
        moments = before.moments()
        return analyse(before, moments[-1], tokens) if moments else None
    return None


def weights(
    read: Callable[[str, int], AnyLoaded], run: Run, moments: list[int], step: int, following: bool
) -> AnyLoaded:
    """The network of this moment; where the page follows the training, of the last before it that can be read."""
    earlier = [moment for moment in reversed(moments) if moment < step] if following else []
    try:
        return read(str(run.folder), step)
    except RunError:
        for moment in earlier:
            with contextlib.suppress(RunError):
                return read(str(run.folder), moment)
        raise


def explanation(run: Run, status: RunStatus) -> None:
    """Why a training ended before its time; after a divergence, the cure stands first."""
    if status.state == "diverged":
        divergence(run, status)
    elif status.state in ("failed", "dead"):
        errors.problem(common_wording.STATE_HELP[status.state], status.message)


def choose_moment(run: Run, moments: list[int], live: bool) -> tuple[int, bool]:
    """The training step whose weights are in the pictures, and whether that is the newest."""
    held = view_state.held(run, moments)
    link.write("moment", None if held is None else str(held))
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
            width=260,
            format_func=lambda step: f"step {step:,}",
            help=wording.HELP["moment"],
            key=view_state.MOMENT,
            on_change=lambda: view_state.hold(run, session.value(view_state.MOMENT, step), moments),
        )
    return step, held is None


def choose_view(row: DeltaGenerator, loss_place: DeltaGenerator, analysis: SentenceAnalysis) -> tuple[int, bool, int]:
    """Whose loss is followed back, whether rows are relative to their own norms, and which layer's units are shown."""
    with loss_place:
        chosen = choose_loss(analysis)
    with row:
        relative = st.toggle(
            "Relative", help=wording.HELP["relative"], **link.toggle(figures.key("relative"), "relative")
        )
        return chosen, relative, choose_layer(analysis)


def choose_loss(analysis: SentenceAnalysis) -> int:
    """The position of the word whose loss is followed back. In a new sentence its last word, not its end."""
    task = analysis.run.config.task is not None
    words = [place for place, word in enumerate(analysis.words) if any(map(str.isalnum, word))]
    default = analysis.asked[-1] if task else words[-1] if words else 0
    of = session.value(view_state.CHOSEN_OF, None)
    if of != analysis.words or session.value(view_state.CHOSEN, None) is None:
        # The link speaks of the sentence with which the page was opened; in a later one nobody has chosen yet.
        linked = {str(place): place for place in analysis.asked}.get(link.read("loss")) if of is None else None
        session.put(view_state.CHOSEN, default if linked is None else linked)
        session.put(view_state.CHOSEN_OF, analysis.words)
    labels = numbered(analysis.targets)
    chosen: int = st.selectbox(
        "Loss at answer" if task else "Loss at word",
        analysis.asked,
        format_func=labels.__getitem__,
        help=wording.HELP["chosen"],
        key=view_state.CHOSEN,
    )
    link.write("loss", None if chosen == default else str(chosen))
    return chosen


def choose_layer(analysis: SentenceAnalysis) -> int:
    """The layer, counted from 0, of those pictures that are of one layer."""
    if analysis.layers == 1:
        return 0
    return figures.choose("layer", "Layer", list(range(1, analysis.layers + 1)), analysis.layers) - 1


def numbers(view: ViewState) -> None:
    """Figures of the whole sentence."""
    flow, unit = view.analysis.flow, view.unit
    reach = len(view.analysis.words)
    losses = flow.losses_nats[flow.mask]
    with st.container(horizontal=True, gap="medium"):
        widgets.number(
            "Half-life",
            reach if flow.half_life is None else flow.half_life,
            f"> {{:.0f}} {unit}s" if flow.half_life is None else f"{{:.2f}} {unit}s",
            help="How far back the median gradient of this sentence has fallen to one half.",
        )
        loss = float(np.mean(losses))
        nats = " nats" if view.analysis.model.loss_function.in_nats else ""
        what = "sentence" if view.run.config.task is None else "sequence"
        widgets.number(f"Loss of this {what}", loss, ("{:.3f}" if loss < 1e4 else "{:.3g}") + nats)
        name = flow.recurrent[0]
        about = f"Norm of dE/d{name} for this sentence."
        widgets.number(f"Gradient of {name}", flow.full_gradient_norm, "{:.3g}", help=about)
        widgets.number("Weights of step", float(view.analysis.loaded.step), "{:,.0f}")


page()
