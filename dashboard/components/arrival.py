"""The unrolled network of a run, small and live beside its curves; and the cure of a gradient that vanishes."""

from __future__ import annotations

import contextlib

import streamlit as st

from dashboard.components import formatting, pictures
from dashboard.components.unrolled import picture_data, unrolled_network, unrolled_picture
from dashboard.services import demo, library, run_sentence, trainings
from dashboard.services.run_sentence import ArrivingGradients, Sentence
from dashboard.state import session
from dashboard.text import general as common_wording
from dashboard.text import training as wording
from rnn_core.config.choices import CELLS
from rnn_core.errors import RunError, UserError
from rnn_core.runs import Run

VANISHED = 0.1
"""Of the gradient: when less arrives at the word that matters, the cure is offered."""


def draw(run: Run, page: str) -> None:
    """How far the gradient gets in the newest network; pale beside it: before training, or in the run it is to cure."""
    try:
        moments = run.moments()
        sentence = run_sentence.sentence_of(run, common_wording.EXAMPLE_SENTENCE) if moments else None
        if sentence is None or not sentence.tokens:
            return
        newest = run_sentence.gradients(str(run.folder), moments[-1], sentence.tokens)
    except UserError:
        return  # Damaged, or a newer one took its place between two looks: the page itself says what is wrong.
    key = session.key(page, "unrolled network")
    drawing = unrolled_picture(newest.words, newest.norms, key=key)
    pictures.heading(wording.ARRIVES_TITLE, [drawing], about=wording.ARRIVES_HELP, level=2)
    before, name = _before(run, moments, sentence)
    unrolled_network(
        picture_data(
            newest.words,
            newest.norms,
            chosen=sentence.asked,
            controller=sentence.controller,
            bound=newest.bound,
            truncate=run.config.training.truncate,
            before=None if before is None else before.norms,
            before_name=name,
            unknown=newest.unknown,
            unit=formatting.unit(run.config.text.unit),
            size="compact",
        ),
        key=key,
    )
    _cure(run, newest, sentence, page)


def _before(run: Run, moments: list[int], sentence: Sentence) -> tuple[ArrivingGradients | None, str]:
    """What stands pale beside it, and its name: the run that this one is the cure of, else the first moment kept."""
    cured = session.run_before()
    if cured is not None:
        with contextlib.suppress(UserError):
            other = library.open_run(cured)
            if other.config.corpus == run.config.corpus and other.moments():
                found = run_sentence.gradients(str(other.folder), other.moments()[-1], sentence.tokens)
                return found, wording.BEFORE_CURE.format(cell=CELLS[other.config.model.cell].label)
    if len(moments) > 1:
        with contextlib.suppress(RunError):
            first = run_sentence.gradients(str(run.folder), moments[0], sentence.tokens)
            return first, wording.BEFORE_STEP.format(step=moments[0])
    return None, ""


def _cure(run: Run, newest: ArrivingGradients, sentence: Sentence, page: str) -> None:
    """One click from a gradient that vanishes to a training of the cell that lets it pass."""
    cure = demo.cure_of(run.config.model)
    far = sentence.controller if sentence.controller is not None else 1
    if cure is None or far >= sentence.asked or not library.mine(run):
        return
    own, left = float(newest.norms[sentence.asked, sentence.asked]), float(newest.norms[sentence.asked, far])
    if own > 0 and left / own < VANISHED:
        st.button(
            wording.CELL_CURE,
            help=wording.CELL_CURE_HELP,
            icon=":material/healing:",
            on_click=_begin_cure,
            args=(run,),
            key=session.key(page, "cure"),
        )


def _begin_cure(run: Run) -> None:
    """Train the cure on the same text in the same way, and look at it with this run pale beside it."""
    cure = demo.cure_of(run.config.model)
    assert cure is not None  # else there was no button
    config = run.config
    try:
        library.check_mine(run)
        if run.status().alive:
            run.request("stop")
        begun = trainings.begin(f"{config.name}, cured", run.corpus(), config.text, cure, config.training)
    except UserError as error:
        session.push_problem(error)
        return
    session.open_run(begun, before=run.id)
