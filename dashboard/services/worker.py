"""Starts training processes and waits for the ones that ended. A training outlives the page, the tab and the server.

The process is the command line's own `resume`: it takes the run's lock, so that two can never write one run, and reads
the requests (pause, step, stop, …) that the page leaves in the run's folder. On a hosted server it may have to wait for
its turn (`hosting.dispatch`), and is told how long it may train.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dashboard import hosting
from dashboard.hosting import Caps
from dashboard.services import library, processes, racing
from rnn_core import runs
from rnn_core.config import ModelConfig, TaskSettings, TextSettings, TrainingSettings
from rnn_core.data import PreparedCorpus
from rnn_core.data.tasks import make_task
from rnn_core.errors import RunError, UserError
from rnn_core.runs import Run

DISPATCH_SECONDS = 1.0
SWEEP_SECONDS = 60.0
ENDING_SECONDS = 30.0

_children: dict[Path, subprocess.Popen[bytes]] = {}
_ended: list[Path] = []
_lock = threading.Lock()
_dispatcher: threading.Thread | None = None


# --- making and starting ----------------------------------------------------------------------------------------------


def begin(name: str, corpus: PreparedCorpus, text: TextSettings, model: ModelConfig, training: TrainingSettings) -> str:
    """Make a run of these settings and start its training -> its id. UserError with the reason where that fails; no
    folder is left then.
    """
    run_id = runs.new_run_id()
    _begin({run_id: (name, model)}, corpus, text, training)
    return run_id


def begin_task(name: str, task: TaskSettings, model: ModelConfig, training: TrainingSettings) -> str:
    """As `begin`, on a task in the place of a text."""
    run_id = runs.new_run_id()
    _begin({run_id: (name, model)}, task, TextSettings(), training)
    return run_id


def begin_race(
    entrants: Mapping[str, ModelConfig],
    data: PreparedCorpus | TaskSettings,
    text: TextSettings,
    training: TrainingSettings,
) -> str:
    """Make a run for each of these networks, by name, and start them side by side -> the id of the race."""
    race_id = racing.new_race_id()
    lanes = {racing.lane_id(race_id, place): entrant for place, entrant in enumerate(entrants.items(), 1)}
    _begin(lanes, data, text, training)
    return race_id


def _begin(
    entrants: Mapping[str, tuple[str, ModelConfig]],
    data: PreparedCorpus | TaskSettings,
    text: TextSettings,
    training: TrainingSettings,
) -> None:
    """Make runs, given as {id: (name, network)}, that share one process, and start it. All of them, or none."""
    root = library.root()
    with _admission() as caps:
        if caps is not None:
            for _, model in entrants.values():
                on = make_task(data) if isinstance(data, TaskSettings) else data
                hosting.check_training(on, model, training, caps, len(entrants))
            hosting.check_run_count(root, library.visitor(), caps, len(entrants))
            hosting.check_room(root, library.visitor(), caps)
        made: list[Run] = []
        try:
            for run_id, (name, model) in entrants.items():
                if isinstance(data, TaskSettings):
                    made.append(runs.create_task_run(root / run_id, name, data, model, training))
                else:
                    made.append(runs.create_run(root / run_id, name, data, model, training, text))
                if caps is not None:
                    hosting.set_owner(made[-1].folder, library.visitor())
            start(*made)
        except UserError:
            for run in made:
                with contextlib.suppress(UserError):
                    runs.delete_run(run.folder)
            raise


def fork(run: Run, step: int, changes: Mapping[str, Any]) -> str:
    """Make a run that goes on from a stored moment of this one with other settings, and start it -> its id. UserError
    with the reason where that fails; no folder is left then.
    """
    library.check_mine(run)
    root, run_id = library.root(), runs.new_run_id()
    with _admission() as caps:
        if caps is not None:
            hosting.check_run_count(root, library.visitor(), caps)
            hosting.check_room(root, library.visitor(), caps)
        made = runs.fork_run(run.folder, root / run_id, step=step, changes=changes)
        try:
            if caps is not None:
                hosting.check_training(made.data(), made.config.model, made.config.training, caps)
                hosting.set_owner(made.folder, library.visitor())
            start(made)
        except UserError:
            with contextlib.suppress(UserError):
                runs.delete_run(made.folder)
            raise
    return run_id


def go_further(more: int, *together: Run) -> None:
    """Train finished runs for so many epochs more, or steps if that is what their length is counted in. UserError with
    the reason where that is not possible; they stay as long as they were then.
    """
    for run in together:
        library.check_mine(run)
    with _admission() as caps:
        if caps is not None:
            for run in together:
                longer = longer_by(run.config.training, more)
                hosting.check_training(run.data(), run.config.model, longer, caps, len(together))
            hosting.check_room(library.root(), library.visitor(), caps)
        lengthened: list[Run] = []
        try:
            for run in together:
                lengthened.append(runs.lengthen_run(run.folder, longer_by(run.config.training, more)))
            _await_end(lengthened)
            start(*lengthened)
        except UserError:
            for run in together[: len(lengthened)]:
                with contextlib.suppress(UserError):
                    runs.lengthen_run(run.folder, run.config.training)
            raise


def _await_end(together: Sequence[Run]) -> None:
    """A process that has let go of its runs takes a moment to end, and until then none is started for them."""
    for run in together:
        with _lock:
            child = _children.get(run.folder)
        if child is not None:
            try:
                child.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                raise RunError("the process that trained it has not ended yet; try again in a moment.") from None


def longer_by(training: TrainingSettings, more: int) -> TrainingSettings:
    """The settings of a training with its end so many epochs, or steps, later."""
    if training.steps is not None:
        return dataclasses.replace(training, steps=training.steps + more)
    assert training.epochs is not None  # one of the two is the end
    return dataclasses.replace(training, epochs=training.epochs + more)


def start(*together: Run) -> None:
    """Begin or go on with a run's training, or with several of one race, in one process; on a hosted server when it is
    its turn. RunError if none can be started.

    Does nothing for those that this server already has a process at work on.
    """
    for run in together:
        library.check_mine(run)
    idle = [run for run in together if not working(run)]
    if not idle:
        return
    caps, first = hosting.current_caps(), idle[0]
    for run in idle:
        run.queue()
    if caps is None:
        _launch(first)
        return
    try:
        hosting.enqueue(first.folder.parent, first.id, library.visitor(), caps)
    except UserError as error:
        for run in idle:
            run.unqueue(str(error))
        raise
    _dispatch(first.folder.parent, caps)


def leave_queue(run: Run) -> None:
    """Give up the place in the queue of a run that waits."""
    library.check_mine(run)
    hosting.leave(run.folder.parent, run.id)
    run.unqueue("it left the queue.")


@contextlib.contextmanager
def _admission() -> Iterator[Caps | None]:
    """The caps of this server. On a hosted one no other tab of this visitor begins anything until the block has ended:
    what was counted in it still holds when it is acted on.
    """
    caps = hosting.current_caps()
    if caps is None:
        yield None
        return
    with hosting.one_at_a_time(library.root(), library.visitor()):
        yield caps


# --- processes --------------------------------------------------------------------------------------------------------


def working(run: Run) -> bool:
    """Whether a process that this server started is still at work on the run (it may not have taken the lock yet)."""
    with _lock:
        _reap()
        return run.folder in _children


def last_words(run: Run, limit: int = 2000) -> str:
    """The end of what the run's process wrote to standard error: why it ended, if it could not say so in the run."""
    try:
        with open(os.open(run.folder / processes.LOG, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - limit))
            return log.read().decode("utf-8", errors="replace").strip()
    except OSError:
        return ""


def start_dispatcher() -> None:
    """Keep the queue moving and the folder swept, for as long as this server lives and is a hosted one."""
    global _dispatcher
    with _lock:
        if _dispatcher is None or not _dispatcher.is_alive():
            _dispatcher = threading.Thread(target=_dispatch_forever, name="dispatcher", daemon=True)
            _dispatcher.start()


def _dispatch_forever() -> None:
    swept = -SWEEP_SECONDS
    refreshed: set[Path] = set()
    while (caps := hosting.current_caps()) is not None:
        root = library.root()
        try:
            if root not in refreshed:
                hosting.refresh_all(root)
                refreshed.add(root)
            _dispatch(root, caps)
            if time.monotonic() - swept >= SWEEP_SECONDS:
                hosting.sweep(root, caps)
                swept = time.monotonic()
        except Exception:
            # The queue must move on whatever happened to one of those in it.
            logging.getLogger(__name__).exception("the queue of trainings could not be served")
        time.sleep(DISPATCH_SECONDS)


def _dispatch(root: Path, caps: Caps) -> None:
    with _lock:
        _reap()
        ended, _ended[:] = _ended[:], []
    for folder in ended:
        hosting.leave(folder.parent, folder.name)
    hosting.dispatch(root, caps, lambda folder, slot: _launch(Run.open(folder), caps, slot))


def _launch(run: Run, caps: Caps | None = None, slot: int | None = None) -> None:
    """Start the run's process, which inherits the file descriptor `slot`, and which also trains every other run of its
    race that waits to be started.
    """
    together = racing.waiting_with(run)
    folder = run.folder
    arguments = ["resume" if racing.race_of(run.id) is None else "race", *(str(member.folder) for member in together)]
    environment = {}
    if caps is not None:
        arguments += ["--quiet", "--max-minutes", str(caps.minutes), "--max-steps", str(caps.steps)]
        arguments += ["--stop-if-unwatched", str(caps.unwatched_minutes)]
        environment["RNN_CORE_THREADS"] = str(caps.threads_each)
    with _lock:
        if folder in _children:
            return
        try:
            child = processes.start(folder, arguments, slot, environment)
        except OSError as error:
            message = (
                f"no training process could be started ({error.strerror or error}). "
                "Check that the folder of runs can be written and that the machine has memory left, then try again."
            )
            for member in together:
                member.fail(message)
            raise RunError(message) from error
        _children.update({member.folder: child for member in together})


def _reap() -> None:
    """Collect the children that ended, so that none stays a zombie, and say so of one that never got to work."""
    for folder in [folder for folder, child in _children.items() if child.poll() is not None]:
        code = _children.pop(folder).returncode
        _ended.append(folder)
        with contextlib.suppress(UserError):  # deleted meanwhile: there is nothing left to tell it of
            run = Run.open(folder)
            if run.status().state == "queued":
                end = f"its process ended with code {code} before it began"
                run.fail(last_words(run) or f"{end}; resume it to try again.")
