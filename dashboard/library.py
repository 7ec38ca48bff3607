"""The folder of runs: where it is, and what is in it."""

from __future__ import annotations

import os
from pathlib import Path

from rnn_core import runs
from rnn_core.runs import Run, RunSummary

ROOT_VARIABLE = "SEE_BPTT_RUNS"


def root() -> Path:
    """The folder that holds every run: $SEE_BPTT_RUNS, or ./runs."""
    return Path(os.environ.get(ROOT_VARIABLE) or "runs").absolute()


def open_run(run_id: str) -> Run:
    """The run with this id, which may come from a link. RunError where there is none or it is damaged."""
    return Run.open(runs.run_folder(root(), run_id))


def summaries() -> list[RunSummary]:
    """Every run in the folder, newest first; one that cannot be read is listed with the reason."""
    return runs.list_runs(root())
