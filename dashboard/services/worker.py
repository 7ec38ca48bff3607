"""Starts training processes and waits for the ones that ended. A training outlives the page, the tab and the server.

The process is the command line's own `resume`: it takes the run's lock, so that two can never write one run, and reads
the requests (pause, step, stop, …) that the page leaves in the run's folder. On a hosted server it may have to wait for
its turn (`hosting.dispatch`), and is told how long it may train.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from dashboard import hosting
from dashboard.hosting import Caps
from dashboard.services import library, processes, racing
from rnn_core.errors import RunError, UserError
from rnn_core.runs import Run

DISPATCH_SECONDS = 1.0
SWEEP_SECONDS = 60.0
ENDING_SECONDS = 30.0

_children: dict[Path, subprocess.Popen[bytes]] = {}
_ended: list[Path] = []
_lock = threading.Lock()
_dispatcher: threading.Thread | None = None


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


def wait_for_end(together: Sequence[Run]) -> None:
    """Wait until the processes that trained these runs have ended: until then none is started for them. RunError where
    one does not end.
    """
    for run in together:
        with _lock:
            child = _children.get(run.folder)
        if child is not None:
            try:
                child.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                raise RunError("the process that trained it has not ended yet; try again in a moment.") from None


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
