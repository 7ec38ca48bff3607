"""What can be asked of a race, how far it is, and why a network dropped out."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard import hosting
from dashboard.components import errors, formatting, widgets
from dashboard.components.race_pictures import Race
from dashboard.services import library, trainings, worker
from dashboard.state import session
from dashboard.text import general as common_wording
from dashboard.text import hosting as hosting_wording
from dashboard.text import race as wording
from rnn_core.errors import UserError
from rnn_core.runs import Run, RunStatus

PAGE = "race"


def draw(lanes: list[Run], statuses: list[RunStatus]) -> None:
    """Pause, stop, go on: asked of all networks together."""
    with st.container(horizontal=True, vertical_alignment="center"):
        states = {status.state for status in statuses}
        shown = next((state for state in ("running", "paused", "queued") if state in states), statuses[0].state)
        widgets.state_badge(shown)
        alive = [run for run, status in zip(lanes, statuses, strict=True) if status.alive]
        waiting = [run for run, status in zip(lanes, statuses, strict=True) if status.state == "queued"]
        if not library.mine(lanes[0]):
            st.caption(hosting_wording.ONLY_LOOKING)
        elif alive:
            paused = all(status.state == "paused" for status in statuses if status.alive)
            _request_button(alive, *(("resume", "Resume", "play_arrow") if paused else ("pause", "Pause", "pause")))
            _request_button(alive, "stop", "Stop", "stop")
        elif waiting and hosting.current_caps() is not None:
            if st.button("Leave the queue", icon=":material/logout:", key=session.key(PAGE, "leave")):
                _each(waiting, worker.leave_queue, "It is still in the queue")
        else:
            resumable = [run for run, status in zip(lanes, statuses, strict=True) if status.resumable]
            busy = any(worker.working(run) for run in resumable)
            if resumable and st.button(
                "Resume", type="primary", icon=":material/play_arrow:", disabled=busy, key=session.key(PAGE, "go on")
            ):
                _go_on(resumable)
            if all(status.state == "finished" for status in statuses):
                _further(lanes)
        if st.button("New race", icon=":material/add:", key=session.key(PAGE, "new")):
            session.close_race()
            st.rerun()
    if waiting and hosting.current_caps() is not None:
        st.info(wording.IN_QUEUE, icon=":material/hourglass_top:")


def progress(race: Race) -> None:
    """How far the race is, and how long it still takes."""
    total = max(status.total_steps or 0 for status in race.statuses)
    if not total:
        return
    step = max(status.step for status in race.statuses)
    text = f"step {step:,} of {total:,}"
    if any(status.state == "running" for status in race.statuses):
        # Each network's own clock stands while the others have their turn.
        lefts = [
            history.seconds_left(total)
            for history, status in zip(race.networks.values(), race.statuses, strict=True)
            if status.state == "running"
        ]
        if all(left is not None for left in lefts):
            text += f" · {formatting.duration(sum(left for left in lefts if left is not None))} left"
    st.progress(min(1.0, step / total), text=text)


def explanations(race: Race) -> None:
    """Why a network dropped out."""
    for name, status in zip(race.networks, race.statuses, strict=True):
        if status.state in ("failed", "diverged", "dead"):
            errors.problem(f"{name}: {common_wording.STATE_HELP[status.state]}", status.message)


def _request_button(lanes: list[Run], kind: str, label: str, icon: str) -> None:
    """A button that asks every network of the race for the same."""
    if st.button(label, icon=f":material/{icon}:", key=session.key(PAGE, kind), help=wording.HELP.get(kind)):
        for run in lanes:
            try:
                library.request(run, kind)
            except UserError as error:
                errors.problem("One of the networks did not accept this request", error)


def _each(lanes: list[Run], act: Callable[[Run], None], headline: str) -> None:
    with errors.action(headline):
        for run in lanes:
            act(run)


def _go_on(lanes: list[Run]) -> None:
    with errors.action("The race could not go on"):
        worker.start(*lanes)


def _further(lanes: list[Run]) -> None:
    """Networks that came to the same end may go on together, as long again."""
    ends = {run.config.training.steps for run in lanes}
    steps = ends.pop()
    if ends or steps is None:
        return
    label = f"Train {steps:,} more steps"
    if st.button(label, icon=":material/forward:", help=wording.HELP["further"], key=session.key(PAGE, "further")):
        with errors.action("The race could not go on"):
            trainings.go_further(steps, *lanes)
