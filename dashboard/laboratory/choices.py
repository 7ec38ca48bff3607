"""The row above the pictures: which sentence, the loss that is followed, the moment of the training, the layer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.charts.common import numbered
from dashboard.components import errors, formatting
from dashboard.laboratory import figures, refresh, view_state
from dashboard.laboratory.sentence_analysis import SentenceAnalysis, analyse
from dashboard.laboratory.task_analysis import MOST_STEPS, analyse_task
from dashboard.laboratory.view_state import ViewState
from dashboard.services import library, measurements, network
from dashboard.services.network import LoadedNetwork
from dashboard.state import link, session
from dashboard.text import general as common_wording
from dashboard.text import laboratory as wording
from rnn_core.errors import RunError, UserError
from rnn_core.runs import Run
from rnn_core.training import read_prompt

LONGEST_SENTENCE, MOST_WORDS = 1000, 60
MOST_SEQUENCES = 1000

AnyLoaded = TypeVar("AnyLoaded", bound=LoadedNetwork)


def draw(run: Run, moments: list[int], live: bool) -> ViewState | None:
    """Choose, and analyse what was chosen. None, after showing why, where it cannot be."""
    if run.config.task is not None:
        return _choose_sequence(run, moments, live)
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
        step, following = _choose_moment(run, moments, live)
    try:
        loaded = _weights(network.at, run, moments, step, following)
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
    chosen, relative, layer = _choose_view(row, loss_place, analysis)
    if read.explanation:
        st.text(read.explanation)
    if len(read.tokens) > MOST_WORDS:
        st.caption(f"Only the first {MOST_WORDS} are shown.")
    unit = formatting.unit(loaded.vocabulary.unit)
    return ViewState(run, analysis, chosen, relative, unit, moments, layer, _network_before(tokens))


def _choose_sequence(run: Run, moments: list[int], live: bool) -> ViewState | None:
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
        step, following = _choose_moment(run, moments, live)
    try:
        loaded = _weights(network.of_any, run, moments, step, following)
        analysis = analyse_task(run, loaded.step, number - 1)
    except UserError as error:
        errors.problem("The weights of this moment cannot be read", error)
        return None
    chosen, relative, layer = _choose_view(row, loss_place, analysis)
    return ViewState(run, analysis, chosen, relative, "step", moments, layer, _sequence_before(run, number - 1))


def _sequence_before(run: Run, number: int) -> SentenceAnalysis | None:
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


def _network_before(tokens: list[str]) -> SentenceAnalysis | None:
    """The same sentence in the newest weights of the run that the open one is to cure, where both are still there."""
    cured = session.run_before()
    if cured is None:
        return None
    with contextlib.suppress(UserError):
        before = library.open_run(cured)
        moments = before.moments()
        return analyse(before, moments[-1], tokens) if moments else None
    return None


def _weights(
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


def _choose_moment(run: Run, moments: list[int], live: bool) -> tuple[int, bool]:
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


def _choose_view(row: DeltaGenerator, loss_place: DeltaGenerator, analysis: SentenceAnalysis) -> tuple[int, bool, int]:
    """Whose loss is followed back, whether rows are relative to their own norms, and which layer's units are shown."""
    with loss_place:
        chosen = _choose_loss(analysis)
    with row:
        relative = st.toggle(
            "Relative", help=wording.HELP["relative"], **link.toggle(figures.key("relative"), "relative")
        )
        return chosen, relative, _choose_layer(analysis)


def _choose_loss(analysis: SentenceAnalysis) -> int:
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


def _choose_layer(analysis: SentenceAnalysis) -> int:
    """The layer, counted from 0, of those pictures that are of one layer."""
    if analysis.layers == 1:
        return 0
    return figures.choose("layer", "Layer", list(range(1, analysis.layers + 1)), analysis.layers) - 1
