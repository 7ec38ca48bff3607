"""Train: choose a network, start it, watch it learn."""

from __future__ import annotations

from typing import Any, NamedTuple

import streamlit as st

from dashboard import hosting
from dashboard.components import (
    arrival,
    errors,
    fork_form,
    formatting,
    monitored,
    page_frame,
    polling,
    steering,
    training_controls,
    training_curves,
    training_onwards,
    training_setup,
)
from dashboard.components.opened_run import opened_run
from dashboard.laboratory.verdict import divergence
from dashboard.services import library, references
from dashboard.services.history import History
from dashboard.state import session
from dashboard.text import hosting as hosting_wording
from rnn_core.errors import UserError
from rnn_core.runs import Run, RunStatus

PAGE = "train"
YOUNG_SECONDS = 20.0
POLL_SECONDS = 1.0
"""Between two looks at a training while it is young."""

STATE_SECONDS, CURVES_SECONDS = 3.0, 8.0
"""The same once it is older, and its curves change slowly: a browser takes a tenth of a second of a core to draw the
numbers anew and a fifth for the curves, which the training misses."""


def page() -> None:
    st.title("Train", anchor=False)
    page_frame.notice()
    run = opened_run()
    if run is None:
        training_setup.draw()
    elif run.config.monitored:
        monitored.draw(run)
    else:
        watch(run)


def watch(run: Run) -> None:
    seconds = curves_poll_seconds(run)
    st.fragment(errors.error_boundary(overview))(run)
    st.fragment(errors.error_boundary(curves), run_every=seconds)(run, seconds)
    if library.mine(run) and hosting.current_caps() is not None:
        st.caption(hosting_wording.SHARE)


def poll_seconds(run: Run, later: float) -> float | None:
    """Seconds between two looks: often at a young training, or one that pauses and makes a step now and then; every
    `later` seconds at an older one; None: it is over.
    """
    young = session.history(run).latest.get("elapsed_seconds", 0.0) < YOUNG_SECONDS
    often = polling.at_work(run) and (young or run.status().state == "paused")
    return polling.poll_seconds(run, POLL_SECONDS if often else later)


def curves_poll_seconds(run: Run) -> float | None:
    """The same for its curves, which may also wait for a line beside them that is still being counted."""
    _, counted = references.losses(run)
    return poll_seconds(run, CURVES_SECONDS) or (None if counted else POLL_SECONDS)


def overview(run: Run) -> None:
    """How the run stands, and what can be asked of it: drawn again when that changes, or after a click."""
    try:
        status = run.status()
        drawn = shown(run, status)
    except UserError as error:
        errors.problem("This training cannot be read", error)
        return
    st.text(run.config.name)
    fork_form.origin(run.config)
    if status.state == "diverged":
        divergence(run, status)
    training_controls.draw(run, status)
    if library.mine(run) and (status.alive or status.resumable):
        steering.draw(run, dict(drawn.dials), PAGE)
    problem = session.pop_problem()
    if problem is not None:
        errors.problem("The change was not accepted", problem)
    training_controls.explanation(run, status)
    seconds = poll_seconds(run, STATE_SECONDS)
    st.fragment(errors.error_boundary(live_numbers), run_every=seconds)(run, drawn, seconds)
    training_onwards.draw(run, status)


class Shown(NamedTuple):
    """What `overview` draws of a run, the numbers aside."""

    state: str
    message: str
    has_weights: bool
    queue: hosting.QueuePosition | None
    dials: tuple[tuple[str, Any], ...]


def shown(run: Run, status: RunStatus) -> Shown:
    """Reads on in the history."""
    dials = steering.dial_values(run, session.history(run))
    place = training_controls.queue_position(run, status)
    return Shown(status.state, status.message, status.checkpoint_step is not None, place, tuple(dials.items()))


def live_numbers(run: Run, drawn: Shown, seconds: float | None) -> None:
    """One look at the run: how far it is, and its numbers. Again and again while it moves."""
    try:
        status = run.status()
        now = shown(run, status)
    except UserError as error:
        errors.problem("This training cannot be read", error)
        return
    if now != drawn or seconds != poll_seconds(run, STATE_SECONDS):
        st.rerun()
    history = session.history(run)
    progress(status, history)
    training_curves.numbers(run, history)


def curves(run: Run, seconds: float | None) -> None:
    """What it has gone through so far: its curves, and what it wrote. Drawn again less often: it costs more."""
    if seconds != curves_poll_seconds(run):
        st.rerun()
    history = session.history(run)
    if run.config.task is None:
        arrival.draw(run, PAGE)
    training_curves.curves(run, history)
    training_curves.words(history)
    training_curves.particulars(run, history)


def progress(status: RunStatus, history: History) -> None:
    if not status.total_steps:
        return
    text = f"step {status.step:,} of {status.total_steps:,} · {formatting.count(status.epoch, 'epoch')} done"
    left = history.seconds_left(status.total_steps) if status.state == "running" else None
    if left is not None:
        text += f" · {formatting.duration(left)} left"
    st.progress(min(1.0, status.step / status.total_steps), text=text)


page()
