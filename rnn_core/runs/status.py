"""Where a run stands."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from rnn_core.errors import RunError
from rnn_core.runs import database
from rnn_core.runs.database import TABLES
from rnn_core.runs.lock import worker_alive
from rnn_core.runs.reading import LAST_MOMENT

State = Literal["created", "queued", "running", "paused", "stopped", "finished", "failed", "diverged", "dead"]

COLUMNS = tuple(column for column in TABLES["status"] if column != "only_row")
LONGEST_MESSAGE = 4000


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands. `dead`: its worker ended without saying so (killed, power cut); it can be resumed."""

    state: State
    pid: int | None  # of the worker at work, else None
    step: int
    total_steps: int | None
    epoch: int  # epochs completed
    message: str  # one line for people: why it stopped, what went wrong, or ""
    heartbeat_age_seconds: float | None  # None: no worker ever began
    train_loss_nats: float | None = None  # mean over the current epoch so far, or the last one
    valid_loss_nats: float | None = None  # newest validation
    tokens_per_second: float | None = None
    checkpoint_step: int | None = None  # of the newest checkpoint: what a kill now would fall back to

    @property
    def alive(self) -> bool:
        """A worker is at work on it (running, or waiting while paused)."""
        return self.state in ("running", "paused")

    @property
    def resumable(self) -> bool:
        """`see-bptt resume` would go on with it."""
        return not self.alive and self.state != "finished"


def read(folder: Path, monitored: bool) -> RunStatus:
    """Where the run in this folder stands. Raises RunError where its history is damaged."""
    row = _read_row(folder)
    if row["state"] in ("running", "paused") and not worker_alive(folder):
        # The lock was free just now. A worker that ends in good order records its end before it releases the lock, so
        # a second look sees that; "running", still, by the same process, was written by one that is dead.
        again = _read_row(folder)
        if again["state"] in ("running", "paused") and again["pid"] == row["pid"]:
            rest = f"; resume it to go on from step {again['checkpoint_step'] or 0}."
            again |= {
                "state": "dead",
                "message": "its process ended unexpectedly (killed, or the power went)" + ("." if monitored else rest),
            }
        row = again
    return from_row(row)


def _read_row(folder: Path) -> dict[str, Any]:
    with database.reading(folder) as history:
        row = history.execute(f"SELECT {', '.join(COLUMNS)} FROM status").fetchone()
        if row is None:
            raise RunError(f"{folder / database.FILE} has lost its status; delete it to go on without history.")
        values = dict(zip(COLUMNS, row, strict=True))
        check_row(values)
        return values


def check_row(row: Mapping[str, Any]) -> None:
    """Raises ValueError where a row of the table `status` holds what no worker writes."""
    if row["state"] not in get_args(State):
        raise ValueError("its status is none that a run can have")
    if not isinstance(row["message"], str) or len(row["message"]) > LONGEST_MESSAGE:
        raise ValueError("the message in its status is no text of ordinary length")
    for name, declared in TABLES["status"].items():
        if declared.startswith(("INTEGER", "REAL")) and name in row:
            value = row[name]
            if value is None and "NOT NULL" not in declared:
                continue
            whole = declared.startswith("INTEGER")
            fits = type(value) is int if whole else type(value) in (int, float) and math.isfinite(value)
            if not fits or value < 0:
                raise ValueError(f"{name} in its status makes no sense")
    for name in ("heartbeat", "watched"):
        if row[name] is not None and row[name] >= LAST_MOMENT:
            raise ValueError(f"{name} in its status is no moment")


def from_row(row: Mapping[str, Any]) -> RunStatus:
    """The status that a checked row of the table `status` stands for."""
    values = {name: value for name, value in row.items() if name not in ("heartbeat", "watched")}
    if row["state"] not in ("running", "paused"):
        values["pid"] = None
    heartbeat = row["heartbeat"]
    return RunStatus(
        heartbeat_age_seconds=None if heartbeat is None else max(0.0, time.time() - heartbeat),
        **values,
    )
