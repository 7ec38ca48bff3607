"""Experiments of the literature, run live: each a process of its own, and one result for all who look at this server.

The process is the command line's `reproduce`. It holds the lock of its folder and stores the result after each trial,
so a refresh, a closed tab or a restarted server loses nothing. On a hosted server it takes a slot like a training, if
one is free, and is ended when its minutes are over.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from dashboard import hosting
from dashboard.services import library, processes
from rnn_core.errors import RunError, UserError
from rnn_core.experiments.base import Experiment
from rnn_core.experiments.results import FILE, Result, load, process_of, shipped
from rnn_core.runs import worker_alive

FOLDER = ".experiments"
"""Beside the runs; no run's id begins with a dot."""

_children: dict[Path, subprocess.Popen[bytes]] = {}


def folder_of(experiment: Experiment) -> Path:
    """Where its live result is."""
    return library.root() / FOLDER / experiment.name


def live(experiment: Experiment) -> Result | None:
    """What was made here; None where there is nothing of this version."""
    try:
        return load(experiment, folder_of(experiment) / FILE)
    except UserError:
        return None  # of an earlier version


def shown(experiment: Experiment) -> tuple[Result | None, bool]:
    """The result to show, and whether it was made here: a whole one, or one that is being made; else what came with
    the package.
    """
    ours = live(experiment)
    if ours is not None and ours.finished and (ours.whole or at_work(experiment)):
        return ours, True
    return shipped(experiment), False


def at_work(experiment: Experiment) -> bool:
    """Whether a process computes it."""
    folder = folder_of(experiment)
    child = _children.get(folder)
    if child is not None and child.poll() is None:
        return True
    _children.pop(folder, None)
    return worker_alive(folder)


def refusal(experiment: Experiment) -> str:
    """Why it cannot be run here; "" where it can."""
    caps = hosting.current_caps()
    if caps is None:
        return ""
    last = shipped(experiment)
    if last is None or last.minutes > caps.minutes:
        takes = "" if last is None else f" This experiment takes about {last.minutes:.0f}."
        return f"This server gives a computation {caps.minutes:g} minutes.{takes} Run it on your own machine."
    return ""


def start(experiment: Experiment) -> None:
    """Begin, or go on; nothing where it is at work. Raises RunError with the reason where it cannot be."""
    if reason := refusal(experiment):
        raise RunError(reason)
    if at_work(experiment):
        return
    folder, caps = folder_of(experiment), hosting.current_caps()
    arguments = ["reproduce", experiment.name, "--dir", str(folder), "--quiet"]
    slot = None
    if caps is not None:
        slot = hosting.take_spare_slot(library.root(), caps)
        if slot is None:
            raise RunError("all places of this server are taken by trainings. Try again in a few minutes.")
        arguments += ["--max-minutes", str(caps.minutes)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ours = live(experiment)
        if ours is None or ours.whole:
            (folder / FILE).unlink(missing_ok=True)  # a whole one is made anew
        _children[folder] = processes.start(folder, arguments, slot)
    except OSError as error:
        raise RunError(f"no process could be started in {folder}: {error.strerror or error}.") from error
    finally:
        if slot is not None:
            os.close(slot)


def stop(experiment: Experiment) -> None:
    """End its process; what has been done stays. On a hosted server nobody may: it is everybody's."""
    if hosting.current_caps() is not None:
        return
    folder = folder_of(experiment)
    child = _children.pop(folder, None)
    if child is not None:
        child.terminate()
        child.wait()
    elif worker_alive(folder):
        # Started by an earlier server. The lock is held, so the number in the file is still that process's.
        pid = process_of(folder)
        if pid is not None:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)
