"""What a worker writes into its run's folder: history, checkpoints and snapshots, in an order that survives a kill."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from rnn_core.errors import CheckpointError
from rnn_core.nn.network import Network
from rnn_core.runs import checkpoints, snapshots
from rnn_core.runs.checkpoints import Checkpoint
from rnn_core.runs.events import HistoryHeld
from rnn_core.runs.history_writer import HistoryWriter
from rnn_core.runs.layout import checkpoint_arrays, checkpoint_state, named_parameters, parameter_specs
from rnn_core.runs.run import Run
from rnn_core.runs.status import State
from rnn_core.training import Event, HorizonMeasured, StepDone, TrainingState

COMMIT_SECONDS = 0.25  # between two commits, which make new rows visible
HEARTBEAT_SECONDS = 1.0
CHECKPOINT_SHARE = 0.05  # of the time; on a slow disk checkpoints come less often


class RunWriter:
    """Writes what happens in a training, whose `model` and `state` it reads, into the folder of its run.

    run_state, message  what the run's status says from the next commit on
    saved_step          the step of the newest checkpoint; None: there is none yet
    next_commit, next_heartbeat, next_checkpoint  when each is due, by the monotonic clock
    """

    def __init__(
        self,
        run: Run,
        history: HistoryWriter,
        model: Network,
        state: TrainingState,
        total_steps: int,
        checkpoint: Checkpoint | None,
        on_event: Callable[[Event], None] | None,
    ) -> None:
        """checkpoint: the one that the training goes on from; on_event: is called with every event as well."""
        self.folder, self.history, self.model, self.state = run.folder, history, model, state
        self.total_steps, self.on_event = total_steps, on_event
        self.checkpoint_every_seconds = run.config.training.checkpoint_every_seconds
        self.digest = run.digest()
        snapshot_bytes = sum(spec.nbytes for spec in parameter_specs(run.config.model).values())
        self.snapshots = snapshots.SnapshotStore(self.folder, snapshot_bytes, self.digest)
        self.run_state: State = "running"
        self.message = ""
        self.tokens_per_second: float | None = None
        self.saved_step = None if checkpoint is None else checkpoint.step
        # Only a whole file, and the newest, may be kept as the checkpoint before the next.
        newest_is_whole = checkpoint is not None and checkpoint.path.name == checkpoints.NEWEST
        self.newest_step = state.step if newest_is_whole else None
        now = time.monotonic()
        self.next_commit = self.next_heartbeat = now
        self.next_checkpoint = now + self.checkpoint_every_seconds

    def record(self, event: Event) -> None:
        """Record an event of the training, and pass it to `on_event`."""
        self.history.record(event)
        if self.on_event is not None:
            self.on_event(event)
        if isinstance(event, StepDone):
            self.tokens_per_second = event.tokens_per_second
        if isinstance(event, HorizonMeasured):
            self.snapshots.take(event.step, named_parameters(self.model.params))

    def commit(self, durable: bool = False) -> bool:
        """Rows and status, in one transaction -> False where another program holds the history; then they wait."""
        status = {
            "state": self.run_state,
            "pid": os.getpid(),
            "heartbeat": time.time(),
            "step": self.state.step,
            "total_steps": self.total_steps,
            "epoch": self.state.epoch,
            "message": self.message,
            "train_loss_nats": self.state.train_loss_nats,
            "valid_loss_nats": self.state.valid_loss_nats,
            "tokens_per_second": self.tokens_per_second,
            "checkpoint_step": self.saved_step,
        }
        now = time.monotonic()
        self.next_commit, self.next_heartbeat = now + COMMIT_SECONDS, now + HEARTBEAT_SECONDS
        held_since = self.history.held_since
        committed = self.history.commit(status, durable)
        if self.on_event is not None and committed != (held_since is None):
            self.on_event(HistoryHeld(self.state.step, time.monotonic() - held_since if held_since else None))
        return committed

    def checkpoint(self) -> None:
        """Store weights and state, and with them where the history stands."""
        started = time.monotonic()
        # The history reaches the disk first, so that a checkpoint never knows of rows that a power cut takes from the
        # history. Where another program holds the history, the checkpoint itself has the rows that wait.
        self.commit(durable=True)
        arrays = checkpoint_arrays(self.model.params, self.state)
        state = checkpoint_state(self.state, self.history.pending(), self.digest)
        try:
            checkpoints.save(self.folder, self.state.step, arrays, state, self.newest_step)
        except CheckpointError:
            return  # Weights that are not finite: the next step ends the training as diverged; the last good ones stay.
        self.newest_step = self.saved_step = self.state.step
        now = time.monotonic()
        self.next_checkpoint = now + max(self.checkpoint_every_seconds, (now - started) / CHECKPOINT_SHARE)
