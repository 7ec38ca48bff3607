"""The list of runs in a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rnn_core.errors import UserError
from rnn_core.runs.paths import RUN_ID, is_run
from rnn_core.runs.run import Run
from rnn_core.runs.run_config import RunConfig
from rnn_core.runs.status import RunStatus


@dataclass(frozen=True)
class RunSummary:
    """One line of the list of runs. A folder that cannot be read has an `error` and neither config nor status."""

    id: str
    folder: Path
    config: RunConfig | None
    status: RunStatus | None
    error: str = ""


def list_runs(root: str | Path, wanted: Callable[[Path], bool] = lambda folder: True) -> list[RunSummary]:
    """Every run in a folder of runs whose folder is `wanted`, the newest first. One that is damaged is listed with its
    error, not left out.
    """
    summaries = []
    root = Path(root)
    for folder in root.iterdir() if root.is_dir() else ():
        if not RUN_ID.fullmatch(folder.name) or not is_run(folder):
            continue
        if not wanted(folder):
            continue
        try:
            run = Run.open(folder)
            summaries.append(RunSummary(folder.name, folder, run.config, run.status()))
        except UserError as error:
            summaries.append(RunSummary(folder.name, folder, None, None, str(error)))
    return sorted(summaries, key=lambda summary: summary.config.created if summary.config else 0.0, reverse=True)
