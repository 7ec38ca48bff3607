"""Settings that change while a network trains: recorded, bit for bit, whatever happens to the process."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import Workers, tiny_run, wait_for

from rnn_core.errors import RunError, SettingsError
from rnn_core.runs import Run, checkpoints
from rnn_core.runs.layout import checkpoint_specs, parameters_of
from rnn_core.runs.worker import Limits, work
from rnn_core.training import Event, Plan, StepDone, TrainingState, check_change, new_model, train

CHANGED = {"learning_rate_changed": "learning_rate", "clipping_changed": "clip", "truncation_changed": "truncate"}
RECORDED = ("validated", "epoch_done", *CHANGED)
CHANGES = [
    {"learning_rate": 0.01},
    {"truncate": 2},
    {"clip": 0.05},
    {"truncate": None},
    {"clip": None},
    {"learning_rate": 0.003},
]
STEPS = 100_000
"""More than a worker gets to before its kill, however late that comes; `Limits` end the last worker's training."""


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers()
    yield made
    made.close()


def ask(run: Run, change: dict[str, Any]) -> None:
    (setting,) = change
    run.request(setting, **change)


def trained_with_kills(run: Run, workers: Workers, seed: int) -> None:
    """One change after the other, at moments of chance, with a kill before or after most of them."""
    rng = random.Random(seed)
    for number, change in enumerate(CHANGES):
        due = run.status().step + rng.randrange(60)
        pid = workers.start(run.folder)
        wait_for(lambda due=due: run.status().step > due)
        ask(run, change)
        if rng.random() < 0.5:
            wait_for(lambda count=number + 1: len(changes_by_hand(run)) >= count)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: run.status().state == "dead")
    assert work(run.folder, limits=Limits(steps=run.status().step + 60)).state == "stopped"


def changes_by_hand(run: Run) -> list[dict[str, Any]]:
    return [event for event in run.events(kinds=[*CHANGED]) if by_hand(event)]


def by_hand(event: dict[str, Any]) -> bool:
    return bool(event.get("why") == "set by hand")


def trained_at_once(run: Run) -> tuple[dict[str, Any], list[StepDone], dict[str, Any]]:
    """Parameters, steps and state of a training in this process that makes the CHANGES where they were recorded.

    (What was asked for, and not what was recorded: a schedule rounds the rate that it is given.)
    """
    settings, corpus = run.config.training, run.corpus()
    model = new_model(run.config.model, settings)
    state = TrainingState.fresh(model, settings, Plan.for_corpus(settings, corpus))
    recorded = run.events(kinds=RECORDED)
    wanted, last = [value for change in CHANGES for value in change.values()], run.status().step
    steps: list[StepDone] = []
    for event in train(model, corpus, settings, state):
        if isinstance(event, StepDone):
            steps.append(event)
        elif event.kind in RECORDED:
            assert same(event, recorded.pop(0))
        while recorded and by_hand(recorded[0]) and recorded[0]["step"] == state.step:
            values = recorded.pop(0)
            change = state.change(CHANGED[values["kind"]], wanted.pop(0), values["why"])
            assert change is not None
            assert same(change, values)
        if state.step == last and not recorded:
            break
    assert not recorded
    return model.params, steps, state.to_json()


def same(event: Event, recorded: dict[str, Any]) -> bool:
    by_the_clock = ("id", "time", "elapsed_seconds")
    values = event.to_json()
    return all(values[name] == value for name, value in recorded.items() if name not in by_the_clock)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["halve", "cosine"])
def test_a_training_that_is_steered_and_killed_ends_like_one_that_was_left_alone(
    tmp_path: Path, workers: Workers, schedule: str
) -> None:
    run = tiny_run(
        tmp_path / "run", epochs=None, steps=STEPS, schedule=schedule, batching="stream", checkpoint_every_seconds=0.2
    )
    trained_with_kills(run, workers, seed=len(schedule))
    for event, wanted in zip(changes_by_hand(run), CHANGES, strict=True):
        ((setting, value),) = wanted.items()
        assert setting == CHANGED[event["kind"]]
        # A schedule rounds the rate that it is given.
        assert event["new"] == (value if value is None else pytest.approx(value, rel=1e-9))
    params, steps, counters = trained_at_once(run)
    checkpoint = checkpoints.load_newest(run.folder, checkpoint_specs(run.config))
    assert checkpoint is not None
    for name, value in parameters_of(checkpoint.arrays).items():
        np.testing.assert_array_equal(value, params[name], err_msg=name)
    metrics = run.metrics()
    for column in ("loss_nats", "gradient_norm", "clipped_norm", "learning_rate"):
        assert metrics[column].tolist() == [getattr(step, column) for step in steps]
    stored = checkpoint.state["training"]
    assert {**stored, "elapsed_seconds": 0} == {**counters, "elapsed_seconds": 0}


def test_a_change_is_an_event_with_the_old_and_the_new_value(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", steps=6, epochs=None)
    work(run.folder, limits=Limits(steps=2))
    for change in ({"clip": 0.1}, {"truncate": 3}):
        ask(run, change)
    work(run.folder)
    assert [(at.clip, at.truncate) for at in map(run.training_at, (1, 2, 3, 6))] == [(5, None)] * 2 + [(0.1, 3)] * 2
    changes = run.events(kinds=["clipping_changed", "truncation_changed"])
    assert [(event["step"], event["old"], event["new"]) for event in changes] == [(2, 5.0, 0.1), (2, None, 3)]
    metrics = run.metrics()
    assert (metrics["clipped_norm"][:2] > 0.1).all()
    assert (metrics["clipped_norm"][2:] <= 0.1).all()


def test_of_two_values_asked_for_at_once_the_last_one_counts(tmp_path: Path) -> None:
    """The first would train nothing; and the order is safe to repeat after a kill."""
    run = tiny_run(tmp_path / "run", steps=4, epochs=None)
    work(run.folder, limits=Limits(steps=2))
    for limit in (0.5, None, 5.0, 0.25):
        ask(run, {"clip": limit})
    work(run.folder)
    (change,) = run.events(kinds=["clipping_changed"])
    assert (change["old"], change["new"]) == (5.0, 0.25)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("learning_rate", None),
        ("learning_rate", -1),
        ("learning_rate", "fast"),
        ("clip", 0),
        ("clip", "tight"),
        ("truncate", -1),
        ("truncate", 1.5),
        ("truncate", True),
    ],
)
def test_a_value_that_a_setting_cannot_have_is_refused(tmp_path: Path, setting: str, value: Any) -> None:
    run = tiny_run(tmp_path / "run")
    with pytest.raises(RunError):
        run.request(setting, **{setting: value})
    with pytest.raises(SettingsError):
        check_change(run.config.model, run.config.training, setting, value)


def test_truncation_that_omega_excludes_is_refused(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", model={"cell": "tanh"}, omega=0.1)
    with pytest.raises(RunError, match="Omega"):
        run.request("truncate", truncate=4)


def test_a_request_that_names_another_setting_is_refused(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run")
    with pytest.raises(RunError, match="say what clip is to become"):
        run.request("clip", truncate=4)
