"""Where a run stands."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rnn_core.runs.database import TABLES
from rnn_core.runs.reading import LAST_MOMENT

State = Literal["created", "queued", "running", "paused", "stopped", "finished", "failed", "diverged", "dead"]

COLUMNS = tuple(column for column in TABLES["status"] if column != "only_row")
LONGEST_MESSAGE = 4000


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands. `dead`: its worker vanished without a word (killed, power cut); it can be resumed."""

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
    """A row of the table `status`, checked, as it is told to everybody."""
    values = {name: value for name, value in row.items() if name not in ("heartbeat", "watched")}
    if row["state"] not in ("running", "paused"):
        values["pid"] = None
    heartbeat = row["heartbeat"]
    return RunStatus(
        heartbeat_age_seconds=None if heartbeat is None else max(0.0, time.time() - heartbeat),
        **values,
    )
