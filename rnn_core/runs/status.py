"""Where a run stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["created", "queued", "running", "paused", "stopped", "finished", "failed", "diverged", "dead"]


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
        """`python -m rnn_core resume` would go on with it."""
        return not self.alive and self.state != "finished"
