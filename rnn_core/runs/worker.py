"""The worker: one process trains one run, and survives what processes do not.

It holds the run's lock, iterates the events of `training.train`, writes them down, answers requests, and stores
checkpoints. A kill at any moment costs at most the time since the last checkpoint, and nothing else: a checkpoint says
where the history stood when it was taken, and the next worker takes back what was recorded after it before it makes the
same steps again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from rnn_core.config import TrainingSettings, check_together
from rnn_core.errors import CheckpointError, RunError, SettingsError, UserError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.parallel.threads import thread_count
from rnn_core.runs import checkpoints, snapshots
from rnn_core.runs.database import METRICS, connect, create_tables, drop_old_requests, explained
from rnn_core.runs.layout import (
    checkpoint_arrays,
    checkpoint_specs,
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
from rnn_core.training.evaluation import perplexity
from rnn_core.training.loop import (
    Diverged,
    Event,
    Finished,
    HorizonMeasured,
    Plan,
    Started,
    StepDone,
    TrainingState,
    Validating,
    new_model,
    train,
)

LOOK_SECONDS = 0.04  # how often requests are looked for
COMMIT_SECONDS = 0.25  # how often new rows become visible
HEARTBEAT_SECONDS = 1.0
CHECKPOINT_SHARE = 0.05  # Checkpoints may cost so much of the time: on a slow disk they come less often.


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
    with locked(Run.open(folder).folder), StopSignals() as signals:
        turns = Worker(
            Run.open(folder), signals, limits or Limits(), on_event, epochs=epochs, steps=steps, rate=learning_rate
        ).turns()
        while True:
            try:
                next(turns)
            except StopIteration as last:
                outcome: Outcome = last.value
                return outcome


Turns = Generator[None, bool | None, Outcome]


class _Stop(Exception):
    """The training ends before its end, in good order."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class StopSignals:
    """Ctrl-C, SIGTERM and a closed terminal, turned into a flag for as long as the block lasts.

    A second Ctrl-C does not wait for the step to end: it raises KeyboardInterrupt.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.received: int | None = None
        self.before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:  # `nohup` wants a hang-up to be ignored
                    self.before[number] = signal.signal(number, self.receive)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number


class Worker:
    """One process's work on one run, whose lock it must hold. `turns` does the work, for `work` or for a race."""

    def __init__(
        self,
        run: Run,
        signals: StopSignals,
        limits: Limits,
        on_event: Callable[[Event], None] | None = None,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        rate: float | None = None,
    ) -> None:
        self.run, self.limits, self.on_event, self.signals = run, limits, on_event, signals
        self.wishes = (epochs, steps, rate)
        self.folder = run.folder
        self.lock_taken = time.time()
        self.paused = self.pause_after_step = False
        self.message = ""
        self.total_steps = 0
        self.tokens_per_second: float | None = None
        self.tokens, self.busy_seconds = 0, 0.0  # of this worker, in steps alone

    # -- before the first step --

    def turns(self) -> Turns:
        """The whole of the work. Stops for a moment before the first step, after each step, and now and then while it
        is paused, so that others may have a turn; sent True, it lets a step wait and only looks after its requests.
        """
        self.recorder = _Recorder(self.folder)
        try:
            settings, plan, checkpoint = self.prepare()
            if self.run.status().state == "finished" and self.state.step >= plan.total_steps:
                return self.outcome("finished", "it was finished already; more epochs or steps would train it longer.")
            self.corpus = self.run.corpus()
            self.begin(checkpoint)
            return (yield from self.iterate(train(self.model, self.corpus, settings, self.state)))
        except KeyboardInterrupt:
            self.recorder.last_words("stopped", "interrupted before its last steps could be stored.")
            raise
        except MemoryError:
            error = RunError("there is not enough memory; choose a smaller network, vocabulary or batch size.")
            self.recorder.last_words("failed", str(error))
            raise error from None
        except OSError as error:
            explained = disk_error(error, self.folder)
            self.recorder.last_words("failed", str(explained))
            raise explained from error
        except SettingsError:
            raise  # What was asked for makes no sense; the run is what it was.
        except UserError as error:
            self.recorder.last_words("failed", str(error))
            raise
        except Exception as error:
            self.recorder.last_words("failed", f"a mistake in this program: {type(error).__name__}: {error}")
            raise
        finally:
            self.recorder.close()

    def prepare(self) -> tuple[TrainingSettings, Plan, checkpoints.Checkpoint | None]:
        """The model and the state as the newest good checkpoint has them, and the settings with the new end."""
        config = self.run.config
        epochs, steps, rate = self.wishes
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise SettingsError("the learning rate must be a number above 0.")
        settings = config.training
        if steps is not None:
            settings = dataclasses.replace(settings, steps=steps)
        elif epochs is not None:
            settings = dataclasses.replace(settings, epochs=epochs, steps=None)
        check_together(config.model, settings)
        plan = Plan.of(settings, config.corpus.train_sentences, config.corpus.train_tokens)
        with contextlib.suppress(FileNotFoundError):  # of a worker that was killed while writing
            os.unlink(self.folder / (checkpoints.NEWEST + ".tmp"))
        checkpoint = checkpoints.load_newest(self.folder, checkpoint_specs(config))
        if checkpoint is None:
            self.model = new_model(config.model, settings)
            self.state = TrainingState.fresh(self.model, settings, plan)
        else:
            self.model = LanguageModel(config.model, params=parameters_of(checkpoint.arrays))
            self.state = TrainingState.fresh(self.model, settings, plan)
            self.state.load(checkpoint.arrays, checkpoint.state.get("training", {}), plan)
        self.album = snapshots.Album(self.folder, sum(spec.nbytes for spec in parameter_specs(config.model).values()))
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
        """Take back what was recorded after the checkpoint: it is about to happen again."""
        history = {} if checkpoint is None else checkpoint.state.get("history", {})
        last_event = history.get("event_id", 0) if isinstance(history, dict) else 0
        self.recorder.roll_back(self.state.step, last_event if type(last_event) is int else 0, self.lock_taken)
        # Only a file that is whole, and under the newest name, may become the one before.
        whole_newest = checkpoint is not None and checkpoint.path.name == checkpoints.NEWEST
        self.newest_step = self.state.step if whole_newest else None
        self.saved_step = None if checkpoint is None else checkpoint.step
        self.album.forget_after(self.state.step)
        if checkpoint is not None:
            for reason in checkpoint.rejected:
                self.recorder.note(self.state.step, "checkpoint_rejected", reason=reason, used=checkpoint.path.name)
            before, today = checkpoint.state.get("threads"), thread_count()
            if before != today:
                # Sums over the threads' shares are rounded in another order: the same training, but not the same bits.
                self.recorder.note(self.state.step, "threads_changed", before=before, now=today)
        self.recorder.note(self.state.step, "started", pid=os.getpid())
        now = time.monotonic()
        self.next_look = self.next_commit = self.next_heartbeat = now
        self.next_checkpoint = now + self.run.config.training.checkpoint_every_seconds
        self.recorder.watched()
        self.commit("running", now)
        if checkpoint is None:
            self.checkpoint()  # so that there are weights to look at from the first moment
        rate = self.wishes[2]
        if rate is not None:
            self.set_learning_rate(rate)
            self.checkpoint()

    # -- between the steps --

    def iterate(self, events: Iterator[Event]) -> Turns:
        try:
            yield from self.hand_over()
            before = time.monotonic()
            for event in events:
                if not isinstance(event, (Finished, Diverged)):
                    self.tell(event)
                elif self.on_event is not None:
                    self.on_event(event)
                now = time.monotonic()
                if isinstance(event, StepDone):
                    self.tokens, self.busy_seconds = self.tokens + event.tokens, self.busy_seconds + now - before
                    self.tokens_per_second = event.tokens_per_second
                    if self.pause_after_step:
                        self.pause("one step was made")
                elif isinstance(event, Finished):
                    return self.end("finished", "", event)
                elif isinstance(event, Diverged):
                    return self.end("diverged", event.cause, event)
                before = now
                at_limit = self.limits.steps is not None and self.state.step >= self.limits.steps
                if now >= self.next_look or self.signals.received is not None or self.paused or at_limit:
                    before += yield from self.attend()
                if isinstance(event, StepDone):
                    before += yield from self.hand_over()
        except _Stop as stop:
            self.recorder.note(self.state.step, "stopped", why=stop.message)
            return self.end("stopped", stop.message)
        raise AssertionError("a training ends with Finished or Diverged")

    def tell(self, event: Event) -> None:
        """Write an event down, and pass it on."""
        self.recorder.record(event)
        if self.on_event is not None:
            self.on_event(event)
        if isinstance(event, HorizonMeasured):
            self.album.take(event.step, named_parameters(self.model.params))

    def hand_over(self) -> Generator[None, bool | None, float]:
        """Let whoever drives this worker do something else. Returns the seconds that took, which count as nobody's."""
        started = time.monotonic()
        while (yield):
            if time.monotonic() >= self.next_look or self.signals.received is not None:
                yield from self.attend()
        return time.monotonic() - started

    def attend(self) -> Generator[None, bool | None, float]:
        """Everything that is not training. Returns the seconds spent paused, which count as nobody's."""
        started = time.monotonic()
        self.handle_requests()
        waited = self.paused
        while self.paused:
            self.check_limits()
            now = time.monotonic()
            if now >= self.next_heartbeat:
                self.commit("paused", now)
            time.sleep(LOOK_SECONDS / 2)
            yield
            self.handle_requests()
        self.check_limits()
        now = time.monotonic()
        if now >= self.next_commit or waited:
            self.commit("running", now)
        if now >= self.next_checkpoint:
            self.checkpoint()
        self.next_look = now + LOOK_SECONDS
        return now - started if waited else 0.0

    def handle_requests(self) -> None:
        done, turned = [], False
        for number, kind, payload in self.recorder.open_requests():
            done.append(number)
            if kind == "learning_rate":
                turned = self.set_learning_rate(payload.get("learning_rate")) or turned
            elif kind == "pause" and not self.paused:
                self.pause("by request")
            elif kind == "step":
                # While it runs, one step and then a pause is what a press on "step" means too.
                self.paused, self.pause_after_step = False, True
            elif kind == "resume" and self.paused:
                self.paused = False
                self.recorder.note(self.state.step, "resumed", why="by request")
            elif kind == "stop":
                self.recorder.answer(done)
                raise _Stop("by request")
        if turned:
            # Before the answer, so that a kill in between forgets neither the wish nor its effect.
            self.checkpoint()
        if done:
            self.recorder.answer(done)
            self.commit("paused" if self.paused else "running", time.monotonic())

    def set_learning_rate(self, rate: Any) -> bool:
        if not isinstance(rate, (int, float)) or not (math.isfinite(rate) and rate > 0):
            return False
        if rate == self.state.learning_rate:
            return False
        self.tell(self.state.set_learning_rate(float(rate), "set by hand"))
        return True

    def pause(self, why: str) -> None:
        self.paused, self.pause_after_step = True, False
        self.recorder.note(self.state.step, "paused", why=why)
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
        if limits.unwatched_minutes is not None:
            age = self.recorder.seconds_unwatched()
            if age >= 60 * limits.unwatched_minutes:
                raise _Stop(f"nobody had watched it for {limits.unwatched_minutes:g} minutes")

    # -- writing --

    def commit(self, state: State, now: float, durable: bool = False) -> None:
        """Rows and status, in one transaction."""
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
        self.recorder.commit(status, durable)
        self.next_commit, self.next_heartbeat = now + COMMIT_SECONDS, now + HEARTBEAT_SECONDS

    def checkpoint(self) -> None:
        """Store the weights and the state, and with them where the history stood."""
        started = time.monotonic()
        # The history reaches the disk first: a checkpoint never knows of more than the history does.
        self.commit("paused" if self.paused else "running", started, durable=True)
        arrays = checkpoint_arrays(self.model.params, self.state)
        state = checkpoint_state(self.state, self.recorder.last_event())
        try:
            checkpoints.save(self.folder, self.state.step, arrays, state, self.newest_step)
        except CheckpointError:
            return  # Weights that are not finite: the next step is about to say so, and the last good ones stay.
        self.newest_step = self.saved_step = self.state.step
        now = time.monotonic()
        pause = max(self.run.config.training.checkpoint_every_seconds, (now - started) / CHECKPOINT_SHARE)
        self.next_checkpoint = now + pause

    def end(self, state: State, message: str, last: Event | None = None) -> Outcome:
        self.message = message
        self.checkpoint()
        # After the checkpoint: whoever resumes from it, to go further or to try again, has not come to this end yet.
        if last is not None:
            self.recorder.record(last)
        self.commit(state, time.monotonic(), durable=True)
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
            None if valid is None else perplexity(valid),
            self.tokens / self.busy_seconds if self.busy_seconds else None,
            self.model.parameter_count,
            message,
            self.signals.received,
        )


class _Recorder:
    """The worker's end of events.sqlite. Rows wait in memory for the next commit: no step waits for the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metrics: list[tuple[Any, ...]] = []
        self.events: list[tuple[Any, ...]] = []
        with explained(folder):
            self.database = connect(folder, "rwc")
            if not self.database.execute("SELECT 1 FROM sqlite_master WHERE name = 'status'").fetchone():
                create_tables(self.database)  # somebody deleted a damaged history

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.database.close()

    def record(self, event: Event) -> None:
        """An event of the training."""
        if isinstance(event, StepDone):
            self.metrics.append(tuple(getattr(event, column) for column in METRICS))
        elif not isinstance(event, (Started, Validating)):
            payload = event.to_json()
            self.note(payload.pop("step"), payload.pop("kind"), **payload)

    def note(self, step: int, kind: str, **payload: Any) -> None:
        self.events.append((step, time.time(), kind, json.dumps(payload, allow_nan=False)))

    def commit(self, status: Mapping[str, Any], durable: bool) -> None:
        """All rows so far and the status. `durable`: also after a power cut, not only after a kill."""
        with explained(self.folder):
            self.database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self.database.execute("BEGIN IMMEDIATE")
            try:
                marks = ", ".join("?" * len(METRICS))
                self.database.executemany(f"INSERT INTO metrics VALUES ({marks})", self.metrics)
                self.database.executemany(
                    "INSERT INTO events (step, time, kind, payload) VALUES (?, ?, ?, ?)", self.events
                )
                columns = ", ".join(f"{name} = ?" for name in status)
                self.database.execute(f"UPDATE status SET {columns}", tuple(status.values()))
                self.database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self.database.execute("ROLLBACK")
                raise
        self.metrics.clear()
        self.events.clear()

    def roll_back(self, step: int, last_event: int, lock_taken: float) -> None:
        """Forget what was recorded after a checkpoint, and requests to a worker that was gone before."""
        with explained(self.folder):
            self.database.execute("BEGIN IMMEDIATE")
            self.database.execute("DELETE FROM metrics WHERE step > ?", (step,))
            self.database.execute("DELETE FROM events WHERE id > ?", (last_event,))
            (state,) = self.database.execute("SELECT state FROM status").fetchone()
            if state not in ("created", "queued"):  # What was asked while it was queued is meant for this worker.
                drop_old_requests(self.database, lock_taken)
            self.database.execute("COMMIT")

    def last_event(self) -> int:
        with explained(self.folder):
            return int(self.database.execute("SELECT COALESCE(MAX(id), 0) FROM events").fetchone()[0])

    def open_requests(self) -> list[tuple[int, str, dict[str, Any]]]:
        with explained(self.folder):
            rows = self.database.execute(
                "SELECT id, kind, payload FROM requests WHERE done IS NULL ORDER BY id"
            ).fetchall()
        return [(number, kind, json.loads(payload)) for number, kind, payload in rows]

    def answer(self, numbers: Sequence[int]) -> None:
        with explained(self.folder):
            self.database.executemany(
                "UPDATE requests SET done = ? WHERE id = ?", [(time.time(), number) for number in numbers]
            )

    def watched(self) -> None:
        with explained(self.folder):
            self.database.execute("UPDATE status SET watched = ?", (time.time(),))

    def seconds_unwatched(self) -> float:
        with explained(self.folder):
            (watched,) = self.database.execute("SELECT watched FROM status").fetchone()
        return max(0.0, time.time() - watched)

    def last_words(self, state: State, message: str) -> None:
        """Why it ended, if even that can still be written."""
        with contextlib.suppress(sqlite3.Error):
            if self.database.in_transaction:
                self.database.execute("ROLLBACK")
            self.database.execute("UPDATE status SET state = ?, message = ?", (state, message))
