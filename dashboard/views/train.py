"""Train: choose a network, start it, watch it learn."""

from __future__ import annotations

import contextlib
import time
from typing import Any, NamedTuple

import streamlit as st

from dashboard import hosting
from dashboard.components import (
    arrival,
    chosen_text,
    demo,
    fork_form,
    monitored,
    python_popover,
    settings_form,
    steering,
    task_form,
    training_curves,
    widgets,
)
from dashboard.components.setting_fields import say_beside
from dashboard.laboratory.verdict import divergence
from dashboard.services import library, python_snippets, racing, references, worker
from dashboard.services.history import History
from dashboard.state import session
from dashboard.text import general as wording
from rnn_core.config import CELLS, OPTIMIZERS, ModelConfig, TrainingSettings
from rnn_core.errors import UserError
from rnn_core.nn.parameters import parameter_count
from rnn_core.runs import Run, RunStatus, memory
from rnn_core.training import goes_on_exactly

PAGE = "train"
YOUNG_SECONDS = 20.0
POLL_SECONDS = 1.0
"""Between two looks at a training while it is young."""

STATE_SECONDS, CURVES_SECONDS = 3.0, 8.0
"""The same once it is older, and its curves change slowly: a browser takes a tenth of a second of a core to draw the
numbers anew and a fifth for the curves, which the training misses."""

ANSWER_SECONDS = 0.25
MOST_FURTHER = 10_000_000


def page() -> None:
    st.title("Train", anchor=False)
    widgets.notice()
    run = widgets.opened_run()
    if run is None:
        set_up()
    elif run.config.monitored:
        monitored.draw(run)
    else:
        watch(run)


# --- a new training ---------------------------------------------------------------------------------------------------


def set_up() -> None:
    caps = hosting.current_caps()
    if caps is None:
        st.markdown(wording.TRAIN_INTRO)
    else:
        st.markdown(wording.hosted_training(caps.minutes, caps.steps, caps.unwatched_minutes))
    if task_form.choose_kind() == "task":
        task_form.set_up()
        return
    settings_form.fill_from_link(PAGE)
    chosen = chosen_text.find()
    if chosen is None:
        demo.offer(PAGE)
        return
    chosen_text.show(chosen)
    limits = {} if caps is None else caps.of_settings()
    form = settings_form.draw(PAGE, len(chosen.corpus.vocabulary), len(chosen.corpus.train), limits)
    model, training = form.model, form.training
    usual_name = f"{CELLS[model.cell].label}, {model.hidden_size} units"
    name = settings_form.name_field(PAGE, usual_name)
    refusal = form.report() or refused(chosen, model, training)
    if refusal is not None:
        widgets.problem("This cannot be trained", refusal)
    else:
        optimizer, rate = OPTIMIZERS[training.optimizer].label, training.initial_learning_rate
        st.caption(f"{parameter_count(model):,} parameters · {optimizer} with learning rate {rate:g}")
    if st.button("Start training", type="primary", icon=":material/play_arrow:", disabled=refusal is not None):
        begin(name, chosen, model, training)


def refused(chosen: session.ChosenCorpus, model: ModelConfig, training: TrainingSettings) -> UserError | None:
    """Why this is more than the machine can hold, or a hosted server allows; None where it will do."""
    try:
        memory.check(chosen.corpus, model, training)
        caps = hosting.current_caps()
        if caps is not None:
            hosting.check_training(chosen.corpus, model, training, caps)
    except UserError as reason:
        return reason
    return None


def begin(name: str, chosen: session.ChosenCorpus, model: ModelConfig, training: TrainingSettings) -> None:
    """Make the run's folder, start its process and look at it."""
    try:
        begun = worker.begin(name, chosen.corpus, chosen.settings, model, training)
        settings_form.leave_link(PAGE)
        chosen_text.leave_link()
        session.open_run(begun)
    except UserError as error:
        widgets.problem("This training could not be started", error)
        return
    st.rerun()


# --- a training that is under way, or over ----------------------------------------------------------------------------


def watch(run: Run) -> None:
    seconds = looks_at_curves(run)
    st.fragment(widgets.error_boundary(state))(run)
    st.fragment(widgets.error_boundary(course), run_every=seconds)(run, seconds)
    if library.mine(run) and hosting.current_caps() is not None:
        st.caption(wording.SHARE)


def looks(run: Run, later: float) -> float | None:
    """Seconds between two looks: often at a young training, or one that pauses and makes a step now and then; every
    `later` seconds at an older one; None: it is over.
    """
    young = session.history(run).latest.get("elapsed_seconds", 0.0) < YOUNG_SECONDS
    often = widgets.at_work(run) and (young or run.status().state == "paused")
    return widgets.poll_seconds(run, POLL_SECONDS if often else later)


def looks_at_curves(run: Run) -> float | None:
    """The same for its curves, which may also wait for a line beside them that is still being counted."""
    _, counted = references.losses(run)
    return looks(run, CURVES_SECONDS) or (None if counted else POLL_SECONDS)


def state(run: Run) -> None:
    """How the run stands, and what can be asked of it: drawn again when that changes, or after a click."""
    try:
        status = run.status()
        drawn = standing(run, status)
    except UserError as error:
        widgets.problem("This training cannot be read", error)
        return
    st.text(run.config.name)
    fork_form.origin(run.config)
    if status.state == "diverged":
        divergence(run, status)
    controls(run, status)
    if library.mine(run) and (status.alive or status.resumable):
        steering.draw(run, dict(drawn.dials), PAGE)
    unheard = session.take_problem()
    if unheard is not None:
        widgets.problem("The training did not hear this", unheard)
    explanation(run, status)
    seconds = looks(run, STATE_SECONDS)
    st.fragment(widgets.error_boundary(pulse), run_every=seconds)(run, drawn, seconds)
    onwards(run, status)


class Standing(NamedTuple):
    """What `state` draws of a run, the numbers aside."""

    state: str
    message: str
    has_weights: bool
    queue: hosting.QueuePosition | None
    dials: tuple[tuple[str, Any], ...]


def standing(run: Run, status: RunStatus) -> Standing:
    """Reads on in the history."""
    dials = steering.standing(run, session.history(run))
    place = queue_position(run, status)
    return Standing(status.state, status.message, status.checkpoint_step is not None, place, tuple(dials.items()))


def pulse(run: Run, drawn: Standing, seconds: float | None) -> None:
    """One look at the run: how far it is, and its numbers. Again and again while it moves."""
    try:
        status = run.status()
        now = standing(run, status)
    except UserError as error:
        widgets.problem("This training cannot be read", error)
        return
    if now != drawn or seconds != looks(run, STATE_SECONDS):
        st.rerun()
    history = session.history(run)
    progress(status, history)
    training_curves.numbers(run, history)


def course(run: Run, seconds: float | None) -> None:
    """What it has gone through so far: its curves, and what it wrote. Drawn again less often: it costs more."""
    if seconds != looks_at_curves(run):
        st.rerun()
    history = session.history(run)
    if run.config.task is None:
        arrival.draw(run, PAGE)
    training_curves.curves(run, history)
    training_curves.words(history)
    training_curves.particulars(run, history)


def controls(run: Run, status: RunStatus) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        widgets.state_badge(status.state)
        if not library.mine(run):
            st.caption(wording.ONLY_LOOKING)
        elif queue_position(run, status) is not None:
            if st.button("Leave the queue", icon=":material/logout:", key=session.key(PAGE, "leave")):
                leave_queue(run)
        elif status.alive:
            paused = status.state == "paused"
            ask(run, *(("resume", "Resume", "play_arrow") if paused else ("pause", "Pause", "pause")))
            ask(run, "step", "One step", "skip_next", disabled=not paused, help=wording.ONE_STEP_HELP)
            ask(run, "stop", "Stop", "stop")
        elif status.resumable:
            label = "Start" if status.state == "created" else "Resume"
            if st.button(
                label,
                # The same again would diverge again: then the cure above comes first.
                type="secondary" if status.state == "diverged" else "primary",
                icon=":material/play_arrow:",
                disabled=worker.working(run),
                key=session.key(PAGE, "start"),
            ):
                start(run)
        if st.button("New training", icon=":material/add:", key=session.key(PAGE, "new")):
            session.close_run()
            st.rerun()


def ask(run: Run, kind: str, label: str, icon: str, disabled: bool = False, help: str | None = None) -> None:
    """A button that leaves a request for the training process."""
    st.button(
        label,
        icon=f":material/{icon}:",
        disabled=disabled,
        help=help,
        key=session.key(PAGE, kind),
        on_click=leave_request,
        args=(run, kind),
    )


def leave_request(run: Run, kind: str) -> None:
    """Ask, and wait a moment for what it changes: what is drawn next then shows it."""
    try:
        before = run.status()
        library.request(run, kind)
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline and (now := run.status()).state == before.state:
            if before.state == "paused" and now.step != before.step:
                return
            time.sleep(0.01)
    except UserError as error:
        session.leave_problem(error)


def start(run: Run) -> None:
    try:
        worker.start(run)
    except UserError as error:
        widgets.problem("This training could not be resumed", error)
        return
    st.rerun()


def queue_position(run: Run, status: RunStatus) -> hosting.QueuePosition | None:
    """The place of a run that waits for its turn on a hosted server; the networks of a race have one together."""
    if status.state != "queued" or hosting.current_caps() is None:
        return None
    positions = (hosting.position(member.folder.parent, member.id) for member in racing.waiting_with(run))
    return next((found for found in positions if found is not None), None)


def leave_queue(run: Run) -> None:
    try:
        worker.leave_queue(run)
    except UserError as error:
        widgets.problem("It is still in the queue", error)
        return
    st.rerun()


def explanation(run: Run, status: RunStatus) -> None:
    """Why a run that does not train stands still, where there is something to say."""
    place = queue_position(run, status)
    if place is not None:
        number = f"It is number {place.position} of {place.waiting} in the queue"
        ahead = "It is next" if place.position == 1 else number
        st.info(
            f"{ahead}; {widgets.count(place.training, 'training')} at work on this server. {wording.KEEP_OPEN}",
            icon=":material/hourglass_top:",
        )
    elif status.state == "queued" and hosting.current_caps() is not None and not worker.working(run):
        st.text(wording.NOT_IN_QUEUE)
    elif status.state in ("failed", "dead"):
        widgets.problem(wording.STATE_HELP[status.state], status.message)
    elif status.message and status.state != "diverged":
        st.text(status.message)


def progress(status: RunStatus, history: History) -> None:
    if not status.total_steps:
        return
    text = f"step {status.step:,} of {status.total_steps:,} · {widgets.count(status.epoch, 'epoch')} done"
    left = history.seconds_left(status.total_steps) if status.state == "running" else None
    if left is not None:
        text += f" · {widgets.duration(left)} left"
    st.progress(min(1.0, status.step / status.total_steps), text=text)


def onwards(run: Run, status: RunStatus) -> None:
    """What can be done with it next: look into it, and once it is over, train it for longer."""
    if status.checkpoint_step is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.page_link("views/gradients.py", label="See its gradients", icon=":material/gradient:")
            if run.config.task is None:
                st.page_link("views/generate.py", label="Let it write", icon=":material/edit_note:")
            st.page_link(
                "views/compare.py",
                label="Compare with…",
                icon=":material/stacked_line_chart:",
                query_params=session.comparison(relatives(run)),
            )
            if library.mine(run):
                fork_form.draw(run, PAGE, type="tertiary")
                python_popover.draw(python_snippets.training(run), PAGE)
    if status.state == "finished" and library.mine(run):
        further(run)


def relatives(run: Run) -> list[str]:
    """The run, what it was forked from, and what it is the cure of, as far as they are still there."""
    parent = None if run.config.forked is None else run.config.forked.run
    related = [run.id]
    for identifier in (parent, session.run_before()):
        if identifier is not None:
            with contextlib.suppress(UserError):
                related.append(library.open_run(identifier).id)
    return related


def further(run: Run) -> None:
    """A finished training goes on for as many epochs, or steps, as one likes."""
    training = run.config.training
    unit, usual = ("epoch", 10) if training.steps is None else ("step", training.steps)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            more = st.number_input(
                f"More {unit}s",
                value=usual,
                help=wording.FURTHER_HELP,
                key=session.key(PAGE, f"more of {run.id}"),
                width=160,
            )
            possible = 1 <= more <= MOST_FURTHER
            label = f"Train {more:,} more {unit}{'' if more == 1 else 's'}" if possible else "Train further"
            if st.button(label, icon=":material/forward:", disabled=not possible, key=session.key(PAGE, "further")):
                go_further(run, int(more))
        if not possible:
            say_beside(f"from 1 to {MOST_FURTHER:,} {unit}s.")
        exact = goes_on_exactly(training, run.config.plan())
        st.caption(wording.FURTHER_EXACT if exact else wording.FURTHER_OTHERWISE[training.schedule])


def go_further(run: Run, more: int) -> None:
    try:
        worker.go_further(more, run)
    except UserError as error:
        widgets.problem("This training could not go on", error)
        return
    st.rerun()


page()
