"""The worker: the one process that trains a run.

It holds the run's lock, iterates over the events of `training.train`, records them in the history, answers requests,
and writes checkpoints. A kill at any moment costs at most the time since the last checkpoint: a checkpoint says where
the history stood when it was taken, and the next worker takes back what was recorded after it before it makes the same
steps again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnn_core.config import NetworkConfig, TrainingSettings, check
from rnn_core.errors import CheckpointError, RunError, SettingsError, UserError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network
from rnn_core.parallel.threads import thread_count
from rnn_core.runs import checkpoints, snapshots
from rnn_core.runs.history_writer import HistoryWriter
from rnn_core.runs.layout import (
    checkpoint_arrays,
    checkpoint_state,
    named_parameters,
    parameter_specs,
    parameters_of,
)
from rnn_core.runs.lock import locked
from rnn_core.runs.reading import disk_error
from rnn_core.runs.run import Run
from rnn_core.runs.run_config import write_config
from rnn_core.runs.status import State
from rnn_core.runs.stop_signals import StopSignals
from rnn_core.training import (
    BY_HAND,
    STEERABLE,
    Diverged,
    Event,
    Finished,
    HorizonMeasured,
    Plan,
    StepDone,
    TrainingState,
    check_change,
    new_model,
    new_network,
    perplexity,
    train,
)

POLL_SECONDS = 0.04  # between two looks for requests
COMMIT_SECONDS = 0.25  # between two commits, which make new rows visible
HEARTBEAT_SECONDS = 1.0
CHECKPOINT_SHARE = 0.05  # of the time; on a slow disk checkpoints come less often


@dataclass(frozen=True)
class Limits:
    """What a host allows a training; None: no limit. When one is reached, the run is stopped and can be resumed
    elsewhere.
    """

    minutes: float | None = None  # of training in all, over every resumption
    steps: int | None = None
    unwatched_minutes: float | None = None  # since the last `Run.watch()`


@dataclass(frozen=True)
class Outcome:
    """What `work` reports when it ends; the JSON of `train` and `resume`."""

    state: State  # finished | stopped | diverged
    run: str
    step: int
    epoch: int  # epochs completed
    train_loss_nats: float | None
    valid_loss_nats: float | None
    valid_perplexity: float | None
    tokens_per_second: float | None
    parameters: int
    message: str = ""
    signal: int | None = None  # the signal that stopped it, if one did
    valid_metric: float | None = None  # a task's


def work(
    folder: str | Path,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    learning_rate: float | None = None,
    limits: Limits | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Outcome:
    """Train a run, from its newest good checkpoint to its last step, as the one worker that may write it.

    `epochs` or `steps` set a new end, counted from the very beginning; `learning_rate` turns that dial first. The call
    returns when the run is finished, has diverged, or was stopped: by a request, by SIGINT, SIGTERM or SIGHUP (which
    are caught while it works, if it works on the main thread), or by `limits`. In all of these cases, and at intervals,
    it writes a checkpoint. Raises RunError where the folder is in use, damaged or cannot be written, and SettingsError.
    """
    with locked(Run.open(folder).folder) as since, StopSignals() as signals:
        worker = Worker(
            Run.open(folder),
            signals,
            limits or Limits(),
            on_event,
            epochs=epochs,
            steps=steps,
            learning_rate=learning_rate,
            since=since,
        )
        steps_of_worker = worker.steps()
        while True:
            try:
                next(steps_of_worker)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome


Steps = Generator[None, bool | None, Outcome]
"""Gives up control between steps, and takes True where the next step has to wait for others; see `Worker.steps`."""


@dataclass(frozen=True)
class HistoryHeld(Event):
    """Another program holds events.sqlite; training goes on and its rows wait. seconds: how long, once it is over."""

    seconds: float | None


class _Stop(Exception):
    """The training ends before its last step, with a checkpoint."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Worker:
    """One process's work on one run, whose lock it must hold. `steps` does the work, for `work` or for a race.

    since: the time just before the lock was taken (now). What was asked earlier was meant for another worker; what is
    asked as soon as this one shows as alive is not.
    """

    def __init__(
        self,
        run: Run,
        signals: StopSignals,
        limits: Limits,
        on_event: Callable[[Event], None] | None = None,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        learning_rate: float | None = None,
        since: float | None = None,
    ) -> None:
        self.run, self.limits, self.on_event, self.signals = run, limits, on_event, signals
        self.new_epochs, self.new_steps, self.new_learning_rate = epochs, steps, learning_rate
        self.folder = run.folder
        self.since = time.time() if since is None else since
        self.paused = self.pause_after_step = False
        self.message = ""
        self.total_steps = 0
        self.tokens_per_second: float | None = None
        self.tokens, self.busy_seconds = 0, 0.0  # of this worker, in steps alone

    def steps(self) -> Steps:
        """The whole of the work, as a generator that gives up control before the first step, after each step, and now
        and then while it is paused or waits. Sent True, it makes no step and only polls for requests.
        """
        if self.run.config.monitored:
            raise RunError("this run records a training of another program, which alone can go on with it.")
        self.history = HistoryWriter(self.folder)
        try:
            settings, plan, checkpoint = self.prepare()
            if self.run.status().state == "finished" and self.state.step >= plan.total_steps:
                return self.outcome("finished", "it was finished already; more epochs or steps would train it longer.")
            self.source = self.run.source()
            self.begin(checkpoint)
            return (yield from self.iterate(train(self.model, self.source, settings, self.state)))
        except KeyboardInterrupt:
            self.history.record_failure("stopped", "interrupted before its last steps could be stored.")
            raise
        except MemoryError:
            error = RunError("there is not enough memory; choose a smaller network, vocabulary or batch size.")
            self.history.record_failure("failed", str(error))
            raise error from None
        except OSError as error:
            explained = disk_error(error, self.folder)
            self.history.record_failure("failed", str(explained))
            raise explained from error
        except SettingsError:
            raise  # What was asked for makes no sense; the run is what it was.
        except UserError as error:
            self.history.record_failure("failed", str(error))
            raise
        except Exception as error:
            self.history.record_failure("failed", f"a mistake in this program: {type(error).__name__}: {error}")
            raise
        finally:
            self.history.close()

    def prepare(self) -> tuple[TrainingSettings, Plan, checkpoints.Checkpoint | None]:
        """The model and the state as the newest good checkpoint has them, and the settings with the new end."""
        config = self.run.config
        epochs, steps, rate = self.new_epochs, self.new_steps, self.new_learning_rate
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise SettingsError("the learning rate must be a number above 0.")
        settings = config.training
        if steps is not None:
            settings = dataclasses.replace(settings, steps=steps)
        elif epochs is not None:
            settings = dataclasses.replace(settings, epochs=epochs, steps=None)
        check(config.model, settings)
        plan = config.plan(settings)
        for unfinished in self.folder.glob("*.safetensors.tmp"):  # by a worker that was killed while it wrote
            with contextlib.suppress(OSError):
                unfinished.unlink()
        checkpoint = self.run.load_checkpoint()
        self.digest = self.run.digest()
        self.model: Network
        if checkpoint is None:
            if isinstance(config.model, NetworkConfig):
                self.model = new_network(config.model, settings)
            else:
                self.model = new_model(config.model, settings)
            self.state = TrainingState.fresh(self.model, settings, plan)
        else:
            kind = LanguageModel if config.task is None else Network
            self.model = kind(config.model, params=parameters_of(checkpoint.arrays))
            self.state = TrainingState.fresh(self.model, settings, plan)
            self.state.load(checkpoint.arrays, checkpoint.state.get("training", {}), plan)
        snapshot_bytes = sum(spec.nbytes for spec in parameter_specs(config.model).values())
        self.snapshots = snapshots.SnapshotStore(self.folder, snapshot_bytes, self.digest)
        self.total_steps = plan.total_steps
        if plan.total_steps < self.state.step:
            raise SettingsError(
                f"this run has {self.state.step} steps ({self.state.epoch} epochs) behind it already, and the end is "
                "counted from the beginning; ask for more."
            )
        if settings != config.training:
            write_config(self.folder, dataclasses.replace(config, training=settings))
        return settings, plan, checkpoint

    def begin(self, checkpoint: checkpoints.Checkpoint | None) -> None:
        """Take back what was recorded after the checkpoint, since it is about to happen again."""
        history = {} if checkpoint is None else checkpoint.state.get("history", {})
        self.history.restore(self.state.step, history if isinstance(history, dict) else {}, self.since)
        # Only a whole file, and the newest, may be kept as the checkpoint before the next.
        newest_is_whole = checkpoint is not None and checkpoint.path.name == checkpoints.NEWEST
        self.newest_step = self.state.step if newest_is_whole else None
        self.saved_step = None if checkpoint is None else checkpoint.step
        self.snapshots.drop_after(self.state.step)
        if checkpoint is not None:
            for reason in checkpoint.rejected:
                self.history.add_event(self.state.step, "checkpoint_rejected", reason=reason, used=checkpoint.path.name)
            before, today = checkpoint.state.get("threads"), thread_count()
            if before != today:
                # The threads' partial sums are added in another order: the same training, but not the same bits.
                self.history.add_event(self.state.step, "threads_changed", before=before, now=today)
        self.history.add_event(self.state.step, "started", pid=os.getpid())
        now = time.monotonic()
        self.next_poll = self.next_commit = self.next_heartbeat = now
        self.next_checkpoint = now + self.run.config.training.checkpoint_every_seconds
        self.commit("running", now)
        if checkpoint is None:
            self.checkpoint()  # so that there are weights to look at from the first moment
        if self.new_learning_rate is not None:
            self.change_settings({"learning_rate": self.new_learning_rate})
            self.checkpoint()

    def iterate(self, events: Iterator[Event]) -> Steps:
        """The training, event by event."""
        try:
            yield from self.yield_control()
            before = time.monotonic()
            for event in events:
                if not isinstance(event, (Finished, Diverged)):
                    self.record(event)
                elif self.on_event is not None:
                    self.on_event(event)
                now = time.monotonic()
                if isinstance(event, StepDone):
                    self.tokens, self.busy_seconds = self.tokens + event.tokens, self.busy_seconds + now - before
                    self.tokens_per_second = event.tokens_per_second
                    if self.pause_after_step:
                        self.pause("one step was made")
                elif isinstance(event, Finished):
                    return (yield from self.end("finished", "", event))
                elif isinstance(event, Diverged):
                    return (yield from self.end("diverged", event.cause, event))
                before = now
                at_limit = self.limits.steps is not None and self.state.step >= self.limits.steps
                if now >= self.next_poll or self.signals.received is not None or self.paused or at_limit:
                    before += yield from self.poll()
                if isinstance(event, StepDone):
                    before += yield from self.yield_control()
        except _Stop as stop:
            self.history.add_event(self.state.step, "stopped", why=stop.message)
            return (yield from self.end("stopped", stop.message))
        raise AssertionError("a training ends with Finished or Diverged")

    def record(self, event: Event) -> None:
        """Record an event of the training, and pass it to `on_event`."""
        self.history.record(event)
        if self.on_event is not None:
            self.on_event(event)
        if isinstance(event, HorizonMeasured):
            self.snapshots.take(event.step, named_parameters(self.model.params))

    def yield_control(self) -> Generator[None, bool | None, float]:
        """Let the caller do something else -> the seconds that took, which count as no step's."""
        started = time.monotonic()
        while (yield):
            if time.monotonic() >= self.next_poll or self.signals.received is not None:
                yield from self.poll()
        return time.monotonic() - started

    def poll(self) -> Generator[None, bool | None, float]:
        """Requests, limits, commits and checkpoints -> the seconds spent waiting, which count as no step's."""
        started = time.monotonic()
        self.handle_requests()
        waited = self.paused or self.history.full
        while self.paused:
            self.check_limits()
            if time.monotonic() >= self.next_heartbeat:
                self.commit("paused", time.monotonic())
            yield from self.sleep()
            self.handle_requests()
        if self.history.full:
            self.checkpoint()
            while not self.commit("running", time.monotonic()):
                self.check_limits()
                yield from self.sleep()
        self.check_limits()
        now = time.monotonic()
        if now >= self.next_commit or waited:
            self.commit("running", now)
        if now >= self.next_checkpoint:
            self.checkpoint()
        self.next_poll = now + POLL_SECONDS
        return now - started if waited else 0.0

    def sleep(self) -> Generator[None, bool | None, None]:
        time.sleep(POLL_SECONDS / 2)
        yield

    def handle_requests(self) -> None:
        """Do what the run is asked for. Raises _Stop."""
        done, wanted = [], dict[str, Any]()
        for number, kind, payload in self.history.open_requests():
            done.append(number)
            if kind in STEERABLE and kind in payload:
                wanted[kind] = payload[kind]  # The last of several values is the one that the next step sees.
            elif kind == "pause" and not self.paused:
                self.pause("by request")
            elif kind == "step":
                # While it runs, "step" means one step and then a pause too.
                self.paused, self.pause_after_step = False, True
            elif kind == "resume" and self.paused:
                self.paused = False
                self.history.add_event(self.state.step, "resumed", why="by request")
            elif kind == "stop":
                self.change_settings(wanted)
                self.history.answer(done)
                raise _Stop("by request")
        if self.change_settings(wanted):
            # Before the request is marked as done: a kill in between loses neither the request nor its effect, and
            # the next worker finds that the setting has this value already.
            self.checkpoint()
        if done:
            self.history.answer(done)
            self.commit("paused" if self.paused else "running", time.monotonic())

    def change_settings(self, wanted: Mapping[str, Any]) -> bool:
        """Change settings of the training that goes on -> whether any was changed. A value that a setting cannot have
        (`Run.request` refuses it, so a stranger has written the request) changes nothing.
        """
        changed = False
        for setting, value in wanted.items():
            with contextlib.suppress(SettingsError):
                check_change(self.run.config.model, self.run.config.training, setting, value)
                change = self.state.change(setting, value, BY_HAND)
                if change is not None:
                    self.record(change)
                    changed = True
        return changed

    def pause(self, why: str) -> None:
        self.paused, self.pause_after_step = True, False
        self.history.add_event(self.state.step, "paused", why=why)
        self.commit("paused", time.monotonic())
        self.checkpoint()

    def check_limits(self) -> None:
        """Raises _Stop where a signal or a limit says so."""
        if self.signals.received is not None:
            raise _Stop(f"by signal {signal.Signals(self.signals.received).name}")
        limits = self.limits
        if limits.minutes is not None and self.state.elapsed_seconds >= 60 * limits.minutes:
            raise _Stop(f"the {limits.minutes:g} minutes of training that this server allows are over")
        if limits.steps is not None and self.state.step >= limits.steps:
            raise _Stop(f"the {limits.steps:,} steps that this server allows are over")
        unwatched = limits.unwatched_minutes
        if unwatched is not None and self.history.seconds_unwatched() >= 60 * unwatched:
            raise _Stop(f"nobody had watched it for {unwatched:g} minutes")

    def commit(self, state: State, now: float, durable: bool = False) -> bool:
        """Rows and status, in one transaction -> False where another program holds the history; then they wait."""
        status = {
            "state": state,
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
        self.commit("paused" if self.paused else "running", started, durable=True)
        arrays = checkpoint_arrays(self.model.params, self.state)
        state = checkpoint_state(self.state, self.history.pending(), self.digest)
        try:
            checkpoints.save(self.folder, self.state.step, arrays, state, self.newest_step)
        except CheckpointError:
            return  # Weights that are not finite: the next step is about to say so, and the last good ones stay.
        self.newest_step = self.saved_step = self.state.step
        now = time.monotonic()
        pause = max(self.run.config.training.checkpoint_every_seconds, (now - started) / CHECKPOINT_SHARE)
        self.next_checkpoint = now + pause

    def end(self, state: State, message: str, last: Event | None = None) -> Steps:
        """Store everything, and how it ended. Raises RunError where a signal leaves no time to wait for the history."""
        self.message = message
        self.checkpoint()
        # After the checkpoint: whoever resumes from it, to go further or to try again, has not come to this end yet.
        if last is not None:
            self.history.record(last)
        while not self.commit(state, time.monotonic(), durable=True):
            if self.signals.received is not None:
                raise RunError(
                    f"another program holds {self.folder / 'events.sqlite'}; nothing is lost: close that program, and "
                    f"`resume {self.folder}` goes on from step {self.saved_step}."
                )
            yield from self.sleep()
        return self.outcome(state, message)

    def outcome(self, state: State, message: str) -> Outcome:
        valid = self.state.valid_loss_nats
        return Outcome(
            state,
            str(self.folder),
            self.state.step,
            self.state.epoch,
            self.state.train_loss_nats,
            valid,
            None if valid is None or not self.model.loss_function.in_nats else perplexity(valid),
            self.tokens / self.busy_seconds if self.busy_seconds else None,
            self.model.parameter_count,
            message,
            self.signals.received,
            self.state.valid_metric,
        )
