"""Starts training processes and waits for the ones that ended. A training outlives the page, the tab and the server.

The process is the command line's own `resume`: it takes the run's lock, so that two can never write one run, and reads
the requests (pause, step, stop, …) that the page leaves in the run's folder.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

from dashboard import library
from rnn_core import runs
from rnn_core.errors import RunError, UserError
from rnn_core.model import ModelConfig
from rnn_core.runs import Run
from rnn_core.text import PreparedCorpus, TextSettings
from rnn_core.training import TrainingSettings

LOG = "worker.log"
NICENESS = 5
"""How far the page goes before the training: it stays quick, and a training alone still gets the whole machine."""

_children: dict[Path, subprocess.Popen[bytes]] = {}
_lock = threading.Lock()


def begin(name: str, corpus: PreparedCorpus, text: TextSettings, model: ModelConfig, training: TrainingSettings) -> str:
    """Make a run of these settings and start its training -> its id. UserError with the reason where that fails."""
    run = runs.create_run(library.root() / runs.new_run_id(), name, corpus, model, training, text)
    start(run)
    return run.id


def start(run: Run) -> None:
    """Begin or go on with a run's training, in a process of its own. RunError if none can be started.

    Does nothing where this server already has one at work on it.
    """
    folder = run.folder
    with _lock:
        _reap()
        if folder in _children:
            return
        run.queue()
        try:
            with open(folder / LOG, "wb") as log:
                child = subprocess.Popen(
                    [sys.executable, "-m", "rnn_core", "resume", str(folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    # A session of its own: Ctrl-C in the server's terminal ends the server, not the training.
                    start_new_session=True,
                )
        except OSError as error:
            message = (
                f"no training process could be started ({error.strerror or error}). "
                "Check that the folder of runs can be written and that the machine has memory left, then try again."
            )
            run.fail(message)
            raise RunError(message) from error
        _children[folder] = child
        with contextlib.suppress(OSError):  # it may have ended already; nothing depends on its priority
            os.setpriority(os.PRIO_PROCESS, child.pid, NICENESS)


def working(run: Run) -> bool:
    """Whether a process that this server started is still at work on the run (it may not have taken the lock yet)."""
    with _lock:
        _reap()
        return run.folder in _children


def last_words(run: Run, limit: int = 2000) -> str:
    """The end of what the run's process wrote to standard error: why it ended, if it could not say so in the run."""
    try:
        with open(run.folder / LOG, "rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - limit))
            return log.read().decode("utf-8", errors="replace").strip()
    except OSError:
        return ""


def _reap() -> None:
    """Collect the children that ended, so that none stays a zombie, and say so of one that never got to work."""
    for folder in [folder for folder, child in _children.items() if child.poll() is not None]:
        code = _children.pop(folder).returncode
        with contextlib.suppress(UserError):  # deleted meanwhile: there is nothing left to tell it of
            run = Run.open(folder)
            if run.status().state == "queued":
                end = f"its process ended with code {code} before it began"
                run.fail(last_words(run) or f"{end}; resume it to try again.")
