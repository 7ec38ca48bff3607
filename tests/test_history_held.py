"""A program that holds a run's history for as long as it likes costs the training nothing."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import differences, ending, tiny_run

from rnn_core.cli.progress import held_history
from rnn_core.errors import RunError
from rnn_core.runs import Run, checkpoints, history_writer, locked
from rnn_core.runs.events import HistoryHeld
from rnn_core.runs.layout import checkpoint_specs
from rnn_core.runs.stop_signals import StopSignals
from rnn_core.runs.worker import Limits, Steps, Worker, work
from rnn_core.training import Event

ROOM = 16 * 1024  # A quarter of what a checkpoint has for rows while the history is held,
STEPS = 200  # and more steps than fill it.


class Training:
    """A worker that is driven step by step, as a race drives it, and a second connection to its history."""

    def __init__(self, run: Run) -> None:
        self.run, self.signals, self.events = run, StopSignals(), list[Event]()
        self.worker = Worker(run, self.signals, Limits(), self.events.append)
        self.steps: Steps = self.worker.steps()
        self.intruder = sqlite3.connect(run.folder / "events.sqlite", isolation_level=None)

    def until_step(self, step: int) -> None:
        next(self.steps)
        while self.worker.state.step < step:
            next(self.steps)

    def hold_history(self) -> None:
        self.worker.writer.commit()  # However slow the machine is, all of the room is there for what waits from now on.
        self.intruder.execute("BEGIN EXCLUSIVE")

    def until_it_waits(self) -> None:
        """Until it makes no step more, for want of room for what it would have to record."""
        stood, seen = 0, -1
        while stood < 5:
            next(self.steps)
            stood = stood + 1 if self.worker.state.step == seen else 0
            seen = self.worker.state.step

    def until_the_end(self) -> Any:
        with contextlib.suppress(StopIteration):
            while True:
                next(self.steps)


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Training]:
    monkeypatch.setattr(history_writer, "PATIENCE_MILLISECONDS", 1)
    monkeypatch.setattr(history_writer, "PENDING_LIMIT_BYTES", ROOM)
    with at_work(tiny_run(tmp_path / "run", steps=STEPS, validate_every=100)) as training:
        yield training


@contextlib.contextmanager
def at_work(run: Run) -> Iterator[Training]:
    with locked(run.folder):
        training = Training(run)
        yield training
        training.steps.close()
        training.intruder.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    run = tiny_run(tmp_path_factory.mktemp("undisturbed") / "run", steps=STEPS, validate_every=100)
    work(run.folder)
    return ending(run)


def test_a_training_goes_on_stores_itself_and_then_waits_while_its_history_is_held(
    training: Training, undisturbed: dict[str, Any]
) -> None:
    training.until_step(3)
    training.hold_history()
    training.until_it_waits()
    assert 30 < training.worker.state.step < STEPS
    newest = checkpoints.load_newest(training.run.folder, checkpoint_specs(training.run.config))
    assert newest is not None
    assert newest.step == training.worker.state.step
    training.intruder.execute("COMMIT")
    training.until_the_end()
    assert training.run.status().state == "finished"
    assert differences(ending(training.run), undisturbed) == []


def test_a_checkpoint_has_room_for_as_many_rows_as_ever_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_writer, "PATIENCE_MILLISECONDS", 1)
    with at_work(tiny_run(tmp_path / "run", steps=10_000, epochs=None, validate_every=100)) as training:
        training.until_step(3)
        training.hold_history()
        training.until_it_waits()
        newest = checkpoints.load_newest(training.run.folder, checkpoint_specs(training.run.config))
        assert newest is not None
        assert newest.step == training.worker.state.step > 100


def test_it_says_that_its_history_is_held_and_for_how_long_it_was(training: Training) -> None:
    training.until_step(3)
    training.hold_history()
    training.until_it_waits()
    training.intruder.execute("COMMIT")
    training.until_the_end()
    (recorded,) = training.run.events(kinds=["history_held"])
    began, ended = (event for event in training.events if isinstance(event, HistoryHeld))
    assert began.seconds is None
    assert ended.seconds is not None
    assert ended.seconds >= recorded["seconds"] > 0
    assert "another program holds the history" in held_history(began)
    assert "free again" in held_history(ended)


def test_a_kill_while_the_history_is_held_loses_neither_steps_nor_history(
    training: Training, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    training.until_step(3)
    training.hold_history()
    training.until_it_waits()
    killed = shutil.copytree(training.run.folder, tmp_path / "killed")  # The files are what a kill leaves.
    assert len(Run.open(killed).metrics()["step"]) < 10, "the rows have to come from the checkpoint"
    work(killed)
    assert differences(ending(Run.open(killed)), undisturbed) == []


def test_a_signal_ends_it_at_once_with_a_checkpoint_while_the_history_is_held(
    training: Training, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    training.until_step(3)
    training.hold_history()
    training.until_it_waits()
    training.signals.received = signal.SIGTERM
    with pytest.raises(RunError, match=rf"nothing is lost: .* goes on from step {training.worker.state.step}"):
        training.until_the_end()
    training.intruder.execute("COMMIT")
    stopped = shutil.copytree(training.run.folder, tmp_path / "stopped")  # whose lock is free
    status = Run.open(stopped).status()
    assert status.resumable
    work(stopped)
    assert differences(ending(Run.open(stopped)), undisturbed) == []


def test_the_end_of_a_training_waits_for_its_history(training: Training, undisturbed: dict[str, Any]) -> None:
    training.until_step(STEPS - 5)
    training.hold_history()
    while training.worker.state.step < STEPS or training.worker.history.held_since is None:
        next(training.steps)
    for _ in range(5):
        next(training.steps)
    assert training.run.status().state == "running"
    training.intruder.execute("COMMIT")
    training.until_the_end()
    assert training.run.status().state == "finished"
    assert differences(ending(training.run), undisturbed) == []


def test_a_request_is_answered_once_although_the_answer_has_to_wait(training: Training) -> None:
    training.until_step(3)
    training.run.request("pause")
    while not training.worker.paused:
        next(training.steps)
    training.run.request("step")
    step = training.worker.state.step
    open_requests = training.worker.history.open_requests

    def then_hold() -> Any:
        found = open_requests()
        if found and not training.intruder.in_transaction:
            training.hold_history()
        return found

    training.worker.history.open_requests = then_hold  # type: ignore[method-assign]
    while training.worker.state.step == step:
        next(training.steps)
    for _ in range(10):
        next(training.steps)
    assert training.worker.state.step == step + 1
    training.intruder.execute("COMMIT")
    for _ in range(10):
        next(training.steps)
    assert training.worker.state.step == step + 1
    assert training.worker.history.open_requests() == []


@pytest.mark.parametrize(
    "history",
    [
        {"event_id": -1},
        {"event_id": True},
        {"event_id": 2**63},
        {"event_id": 1e30},
        {"event_id": 0, "metrics": {}},
        {"event_id": 0, "metrics": [[1, 2, 3]]},
        {"event_id": 0, "metrics": [[1, 0, 8, "low", 1.0, 1.0, 0.1, 9.0, 0.1]]},
        {"event_id": 0, "metrics": [[1, 0, 8, float("nan"), 1.0, 1.0, 0.1, 9.0, 0.1]]},
        {"event_id": 0, "events": [[1, 2.0, "validated"]]},
        {"event_id": 0, "events": [[2**64, 2.0, "validated", "{}"]]},
        {"event_id": 0, "events": [[1, 2.0, "validated", "[]"]]},
        {"event_id": 0, "events": [[1, 2.0, "validated", '{"a": "\ud800"}']]},
        {"event_id": 0, "events": [[1, 2.0, "validated", "{"]]},
    ],
)
def test_what_a_stranger_wrote_into_a_checkpoint_never_gets_into_the_history(history: dict[str, Any]) -> None:
    with pytest.raises(RunError, match="makes no sense"):
        history_writer._read_pending(history)
