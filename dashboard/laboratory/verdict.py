"""The verdict: what the numbers of the five steps come to, before and after, and buttons that train the cure."""

from __future__ import annotations

import dataclasses

import streamlit as st

from dashboard.components import errors
from dashboard.laboratory import captions, figures
from dashboard.laboratory.cures import Cure, after_divergence, cures
from dashboard.laboratory.view_state import ViewState
from dashboard.services import library, trainings
from dashboard.state import session
from dashboard.text import general as common_wording
from dashboard.text import laboratory as wording
from rnn_core import diagnostics
from rnn_core.errors import UserError
from rnn_core.runs import Run, RunStatus

AFTER_DIVERGENCE = "after divergence"


def verdict(view: ViewState) -> None:
    """In words and figures, computed from the flow that all pictures above show; then the remedies."""
    analysis = view.analysis
    if len(analysis.sources) < 2:
        st.text(wording.NO_WAY_BACK)
        return
    try:
        found = diagnostics.verdict(analysis.flow, view.chosen)
    except ValueError as nothing:
        st.text(str(nothing))
        return
    st.text(captions.verdict(found, analysis.targets[view.chosen], view.unit))
    if view.before is not None:
        then = diagnostics.verdict(view.before.flow, view.chosen)
        st.text(captions.cured(then, found, view.unit))
    remedies(view.run, cures(found, view.run.config, len(analysis.sources)))


def divergence(run: Run, status: RunStatus) -> None:
    """What became of a training that diverged, with the cure before all else."""
    errors.problem(common_wording.STATE_HELP["diverged"], status.message)
    st.markdown(wording.DIVERGED)
    # By what it had come to: clipping may have been switched off on the way.
    came_to = dataclasses.replace(run.config, training=run.training_at(status.step + 1))
    remedies(run, after_divergence(came_to), AFTER_DIVERGENCE)


def remedies(run: Run, offered: list[Cure], place: str = "verdict") -> None:
    """A button for each; who trains one comes back here with the run that it is to cure behind it."""
    if not offered:
        return
    # Who only looks on must not come to the whole corpus by training a copy of the run.
    if not library.mine(run):
        st.caption(wording.NOT_YOUR_CURE)
        return
    st.markdown(wording.CURES)
    for column, remedy in zip(st.columns(3, gap="medium"), offered, strict=False):
        with column.container(border=True):
            if st.button(
                remedy.label,
                type="primary" if place == AFTER_DIVERGENCE and remedy is offered[0] else "secondary",
                icon=":material/healing:",
                key=figures.key(f"{place}: {remedy.label}"),
            ):
                train(run, remedy)
            st.caption(remedy.why)


def train(run: Run, remedy: Cure) -> None:
    """Train the same text with the remedy, and come back here with this network drawn pale behind it."""
    try:
        name = f"{run.config.name}, {remedy.label}"
        if run.config.task is not None:
            begun = trainings.begin_task(name, run.config.task, remedy.model, remedy.training)
        else:
            begun = trainings.begin(name, run.corpus(), run.config.text, remedy.model, remedy.training)
    except UserError as error:
        errors.problem("This training could not be started", error)
        return
    session.open_run(begun, before=run.id)
    st.rerun()
