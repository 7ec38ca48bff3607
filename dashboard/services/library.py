"""The folder of runs: where it is, what is in it, and on a hosted server whose."""

from __future__ import annotations

import os
from pathlib import Path

from dashboard.hosting import hosted as hosting
from dashboard.state import session
from rnn_core import runs
from rnn_core.errors import RunError
from rnn_core.runs import Run, RunSummary

ROOT_VARIABLE = "SEE_BPTT_RUNS"


def root() -> Path:
    """The folder that holds every run: $SEE_BPTT_RUNS, or ./runs."""
    return Path(os.environ.get(ROOT_VARIABLE) or "runs").absolute()


def open_run(run_id: str) -> Run:
    """The run with this id, which may come from a link. RunError where there is none or it is damaged.

    On a hosted server too: who knows the id may look. What changes a run calls `check_mine` first.
    """
    return Run.open(runs.run_folder(root(), run_id))


def summaries() -> list[RunSummary]:
    """Every run in the folder that is this visitor's, newest first; one that cannot be read is listed with the
    reason.
    """
    if hosting.caps() is None:
        return runs.list_runs(root())
    owner = visitor()
    return runs.list_runs(root(), lambda folder: hosting.owner_of(folder) == owner)


def visitor() -> str:
    """The mark by which a hosted server knows this visitor's runs."""
    return hosting.mark(session.secret())


def mine(run: Run) -> bool:
    """Whether this visitor may change the run: always, but on a hosted server only its owner."""
    return hosting.caps() is None or hosting.owner_of(run.folder) == visitor()


def check_mine(run: Run) -> None:
    """Raises RunError where this visitor may only look."""
    if not mine(run):
        raise RunError("this training belongs to somebody else; the link lets you look at it. Start one of your own.")
