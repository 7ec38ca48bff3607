"""The worker: the one process that trains a run.

It holds the run's lock, iterates over the events of `training.train`, answers requests, and has what happens written
(`run_writer`). A kill at any moment costs at most the time since the last checkpoint: a checkpoint says where the
history stood when it was taken, and the next worker deletes what was recorded after it before it makes the same steps
again (`Worker.begin`).
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

from rnn_core.errors import RunError, SettingsError, UserError
from rnn_core.runs.checkpoints import Checkpoint
from rnn_core.runs.events import CheckpointRejected, Paused, Resumed, Stopped, ThreadsChanged, WorkerStarted
from rnn_core.runs.history_writer import HistoryWriter
from rnn_core.runs.lock import locked
from rnn_core.runs.reading import disk_error
from rnn_core.runs.run import Run
from rnn_core.runs.run_config import write_config
from rnn_core.runs.run_writer import RunWriter
from rnn_core.runs.starting_point import StartingPoint, starting_point
from rnn_core.runs.status import State
from rnn_core.runs.stop_signals import StopSignals
from rnn_core.threads import thread_count
from rnn_core.training import (
    BY_HAND,
    STEERABLE,
    Diverged,
    Event,
    Finished,
    StepDone,
    check_change,
    perplexity,
    train,
)

POLL_SECONDS = 0.04  # between two looks for requests


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

    `epochs` or `steps` set a new end, counted from the very beginning; `learning_rate` is set before the first step. It
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
        while True:  # There is nothing else to do between the steps; a race has other runs.
            try:
                next(steps_of_worker)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome


Steps = Generator[None, bool | None, Outcome]
"""Gives up control between steps, and takes True where the next step has to wait for others; see `Worker.steps`."""


class _Stop(Exception):
    """Raised between two steps to end the training here, with a checkpoint."""

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
        self.pause_after_step = False
        self.total_steps = 0
        self.tokens, self.busy_seconds = 0, 0.0  # of this worker, in steps alone

    @property
    def paused(self) -> bool:
        """Whether it waits, by request, for another request."""
        return self.writer.run_state == "paused"

    def steps(self) -> Steps:
        """The whole of the work, as a generator that gives up control before the first step, after each step, and now
        and then while it is paused or waits. Sent True, it makes no step and only polls for requests.
        """
        if self.run.config.monitored:
            raise RunError("this run records a training of another program, which alone can go on with it.")
        self.history = HistoryWriter(self.folder)
        try:
            start = self.prepare()
            if self.run.status().state == "finished" and self.state.step >= self.total_steps:
                return self.outcome("finished", "it was finished already; more epochs or steps would train it longer.")
            self.source = self.run.source()
            self.begin(start.checkpoint)
            return (yield from self.iterate(train(self.model, self.source, start.settings, self.state)))
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
            raise  # What was asked for makes no sense; the run has not changed, and its status says nothing of it.
        except UserError as error:
            self.history.record_failure("failed", str(error))
            raise
        except Exception as error:
            self.history.record_failure("failed", f"a mistake in this program: {type(error).__name__}: {error}")
            raise
        finally:
            self.history.close()

    def prepare(self) -> StartingPoint:
        """The model and the state to begin from; the run's settings get the new end."""
        rate = self.new_learning_rate
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise SettingsError("the learning rate must be a number above 0.")
        for unfinished in self.folder.glob("*.safetensors.tmp"):  # by a worker that was killed while it wrote
            with contextlib.suppress(OSError):
                unfinished.unlink()
        start = starting_point(self.run, self.new_epochs, self.new_steps)
        self.model, self.state, self.total_steps = start.model, start.state, start.total_steps
        if start.settings != self.run.config.training:
            write_config(self.folder, dataclasses.replace(self.run.config, training=start.settings))
        return start

    def begin(self, checkpoint: Checkpoint | None) -> None:
        """Delete what was recorded after the checkpoint, since it is about to happen again, and record the start."""
        self.writer = RunWriter(
            self.run, self.history, self.model, self.state, self.total_steps, checkpoint, self.on_event
        )
        history = {} if checkpoint is None else checkpoint.state.get("history", {})
        self.history.restore(self.state.step, history if isinstance(history, dict) else {}, self.since)
        self.writer.snapshots.drop_after(self.state.step)
        if checkpoint is not None:
            for reason in checkpoint.rejected:
                self.history.record(CheckpointRejected(self.state.step, reason, checkpoint.path.name))
            before, today = checkpoint.state.get("threads"), thread_count()
            if before != today:
                # The threads' partial sums are added in another order: the same training, but not the same bits.
                self.history.record(ThreadsChanged(self.state.step, before, today))
        self.history.record(WorkerStarted(self.state.step, os.getpid()))
        self.next_poll = time.monotonic()
        self.writer.commit()
        if checkpoint is None:
            self.writer.checkpoint()  # so that there are weights to look at from the first moment
        if self.new_learning_rate is not None:
            self.change_settings({"learning_rate": self.new_learning_rate})
            self.writer.checkpoint()

    def iterate(self, events: Iterator[Event]) -> Steps:
        """The training, event by event."""
        try:
            yield from self.yield_control()
            before = time.monotonic()
            for event in events:
                if not isinstance(event, (Finished, Diverged)):
                    self.writer.record(event)
                elif self.on_event is not None:
                    self.on_event(event)
                now = time.monotonic()
                if isinstance(event, StepDone):
                    self.tokens, self.busy_seconds = self.tokens + event.tokens, self.busy_seconds + now - before
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
            self.history.record(Stopped(self.state.step, stop.message))
            return (yield from self.end("stopped", stop.message))
        raise AssertionError("a training ends with Finished or Diverged")

    def yield_control(self) -> Generator[None, bool | None, float]:
        """Let the caller do something else -> the seconds that took, which are no part of a step."""
        started = time.monotonic()
        while (yield):
            if time.monotonic() >= self.next_poll or self.signals.received is not None:
                yield from self.poll()
        return time.monotonic() - started

    def poll(self) -> Generator[None, bool | None, float]:
        """Handle what is due (requests, limits, commits, checkpoints) -> seconds spent waiting, no part of a step."""
        started = time.monotonic()
        self.handle_requests()
        waited = self.paused or self.history.full
        while self.paused:
            self.check_limits()
            if time.monotonic() >= self.writer.next_heartbeat:
                self.writer.commit()
            yield from self.sleep()
            self.handle_requests()
        if self.history.full:
            self.writer.checkpoint()
            while not self.writer.commit():
                self.check_limits()
                yield from self.sleep()
        self.check_limits()
        now = time.monotonic()
        if now >= self.writer.next_commit or waited:
            self.writer.commit()
        if now >= self.writer.next_checkpoint:
            self.writer.checkpoint()
        self.next_poll = now + POLL_SECONDS
        return now - started if waited else 0.0

    def sleep(self) -> Generator[None, bool | None, None]:
        time.sleep(POLL_SECONDS / 2)
        yield

    def handle_requests(self) -> None:
        """Do what `Run.request` asked for. Raises _Stop."""
        done, wanted = [], dict[str, Any]()
        for number, kind, payload in self.history.open_requests():
            done.append(number)
            if kind in STEERABLE and kind in payload:
                wanted[kind] = payload[kind]  # The last of several values is the one that the next step sees.
            elif kind == "pause" and not self.paused:
                self.pause("by request")
            elif kind == "step":
                # While it runs, "step" means one step and then a pause too.
                self.writer.run_state, self.pause_after_step = "running", True
            elif kind == "resume" and self.paused:
                self.writer.run_state = "running"
                self.history.record(Resumed(self.state.step, "by request"))
            elif kind == "stop":
                self.change_settings(wanted)
                self.history.answer(done)
                raise _Stop("by request")
        if self.change_settings(wanted):
            # Before the request is marked as done: a kill in between loses neither the request nor its effect, and
            # the next worker finds that the setting has this value already.
            self.writer.checkpoint()
        if done:
            self.history.answer(done)
            self.writer.commit()

    def change_settings(self, wanted: Mapping[str, Any]) -> bool:
        """Change settings from the next step on -> whether any was changed. A value that a setting cannot have changes
        nothing (`Run.request` refuses it, so something else wrote the request).
        """
        changed = False
        for setting, value in wanted.items():
            with contextlib.suppress(SettingsError):
                check_change(self.run.config.model, self.run.config.training, setting, value)
                change = self.state.change(setting, value, BY_HAND)
                if change is not None:
                    self.writer.record(change)
                    changed = True
        return changed

    def pause(self, why: str) -> None:
        self.writer.run_state, self.pause_after_step = "paused", False
        self.history.record(Paused(self.state.step, why))
        self.writer.commit()
        self.writer.checkpoint()

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

    def end(self, state: State, message: str, last: Event | None = None) -> Steps:
        """Store everything, and how it ended. Raises RunError where a signal leaves no time to wait for the history."""
        self.writer.message = message
        self.writer.checkpoint()
        # Recorded after the checkpoint, so that a worker that resumes from it deletes this end, and comes to its own.
        if last is not None:
            self.history.record(last)
        self.writer.run_state = state
        while not self.writer.commit(durable=True):
            if self.signals.received is not None:
                raise RunError(
                    f"another program holds {self.folder / 'events.sqlite'}; nothing is lost: close that program, and "
                    f"`resume {self.folder}` goes on from step {self.writer.saved_step}."
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
