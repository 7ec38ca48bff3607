"""What can be asked of a training on the Train page, and why one that does not train stands still."""

from __future__ import annotations

import time

import streamlit as st

from dashboard import hosting
from dashboard.components import errors, formatting, widgets
from dashboard.services import library, racing, worker
from dashboard.state import session
from dashboard.text import general as common_wording
from dashboard.text import hosting as hosting_wording
from dashboard.text import training as wording
from rnn_core.errors import UserError
from rnn_core.runs import Run, RunStatus

PAGE = "train"
"""Whose widgets these are."""

ANSWER_SECONDS = 0.25
"""How long a click waits for the training's answer, so that what is drawn next shows it."""


def draw(run: Run, status: RunStatus) -> None:
    """The run's state, and a button for each thing that can be asked of it now."""
    with st.container(horizontal=True, vertical_alignment="center"):
        widgets.state_badge(status.state)
        if not library.mine(run):
            st.caption(hosting_wording.ONLY_LOOKING)
        elif queue_position(run, status) is not None:
            if st.button("Leave the queue", icon=":material/logout:", key=session.key(PAGE, "leave")):
                _leave_queue(run)
        elif status.alive:
            paused = status.state == "paused"
            _ask(run, *(("resume", "Resume", "play_arrow") if paused else ("pause", "Pause", "pause")))
            _ask(run, "step", "One step", "skip_next", disabled=not paused, help=wording.ONE_STEP_HELP)
            _ask(run, "stop", "Stop", "stop")
        elif status.resumable:
            label = "Start" if status.state == "created" else "Resume"
            if st.button(
                label,
                # As it is it would diverge again: the remedies that the page offers are the better click.
                type="secondary" if status.state == "diverged" else "primary",
                icon=":material/play_arrow:",
                disabled=worker.working(run),
                key=session.key(PAGE, "start"),
            ):
                _start(run)
        if st.button("New training", icon=":material/add:", key=session.key(PAGE, "new")):
            session.close_run()
            st.rerun()


def _ask(run: Run, kind: str, label: str, icon: str, disabled: bool = False, help: str | None = None) -> None:
    """A button that leaves a request for the training process."""
    st.button(
        label,
        icon=f":material/{icon}:",
        disabled=disabled,
        help=help,
        key=session.key(PAGE, kind),
        on_click=_leave_request,
        args=(run, kind),
    )


def _leave_request(run: Run, kind: str) -> None:
    """Ask, and wait a moment for what it changes: what is drawn next then shows it."""
    try:
        before = run.status()
        library.request(run, kind)
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline and (now := run.status()).state == before.state:
            # "One step" leaves a paused training paused; its step is the answer.
            if before.state == "paused" and now.step != before.step:
                return
            time.sleep(0.01)
    except UserError as error:
        session.push_problem(error)


def _start(run: Run) -> None:
    with errors.action("This training could not be resumed"):
        worker.start(run)


def queue_position(run: Run, status: RunStatus) -> hosting.QueuePosition | None:
    """The place of a run that waits for its turn on a hosted server; the networks of a race have one together."""
    if status.state != "queued" or hosting.current_caps() is None:
        return None
    positions = (hosting.position(member.folder.parent, member.id) for member in racing.waiting_with(run))
    return next((found for found in positions if found is not None), None)


def _leave_queue(run: Run) -> None:
    with errors.action("It is still in the queue"):
        worker.leave_queue(run)


def explanation(run: Run, status: RunStatus) -> None:
    """Why a run that does not train stands still, where there is something to say."""
    place = queue_position(run, status)
    if place is not None:
        number = f"It is number {place.position} of {place.waiting} in the queue"
        ahead = "It is next" if place.position == 1 else number
        others = f"{formatting.count(place.training, 'training')} at work on this server"
        st.info(f"{ahead}; {others}. {hosting_wording.KEEP_OPEN}", icon=":material/hourglass_top:")
    elif status.state == "queued" and hosting.current_caps() is not None and not worker.working(run):
        st.text(hosting_wording.NOT_IN_QUEUE)
    elif status.state in ("failed", "dead"):
        errors.problem(common_wording.STATE_HELP[status.state], status.message)
    elif status.message and status.state != "diverged":
        st.text(status.message)
