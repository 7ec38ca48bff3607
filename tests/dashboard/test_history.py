"""A page reads each row of a run's history once, and forgets what a killed training took back."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_runs import tiny_run

from dashboard.services import history
from dashboard.services.history import History, Series
from rnn_core.runs.events import WorkerStarted
from rnn_core.runs.worker import Limits, work
from rnn_core.training import Event


def test_reading_in_parts_gives_what_reading_at_once_gives(trained_run, monkeypatch):
    whole = History(trained_run)
    whole.update()
    monkeypatch.setattr(history, "ROWS_A_READ", 7)
    parts = History(trained_run)
    parts.update()
    np.testing.assert_array_equal(parts.loss.steps, whole.loss.steps)
    np.testing.assert_array_equal(parts.loss.values, trained_run.metrics()["loss_nats"])
    assert parts.validation == whole.validation != {}
    assert parts.latest == whole.latest


def test_a_second_look_reads_nothing_that_is_not_new(trained_run, monkeypatch):
    seen = History(trained_run)
    seen.update()
    before = len(seen.loss.values)
    asked = []
    original = type(trained_run).metrics

    def metrics(self, after_step=0, limit=None, **options):
        asked.append(after_step)
        return original(self, after_step, limit, **options)

    monkeypatch.setattr(type(trained_run), "metrics", metrics)
    seen.update()
    assert asked == [trained_run.status().step]
    assert len(seen.loss.values) == before


def test_a_series_of_any_length_stays_small_and_keeps_its_spikes():
    series = Series()
    generator = np.random.default_rng(0)
    for part in range(30):
        values = generator.random(5000)
        if part == 3:
            values[77] = 50.0
        series.append(np.arange(5000) + 5000 * part, values)
        assert len(series.values) <= history.MOST
    assert series.values.max() == 50.0
    assert series.steps[0] == 0
    assert series.steps[-1] == 149_999


class Rewound:
    """A run whose training was killed after step 5 and went on from its checkpoint at step 3."""

    def __init__(self) -> None:
        self.folder = None
        self.last, self.rows = 0, [9.0, 8.0, 7.0, 6.0, 5.0]

    def metrics(self, after_step: int, limit: int) -> dict[str, np.ndarray]:
        steps = np.arange(after_step + 1, len(self.rows) + 1)
        values = np.array(self.rows[after_step:])
        names = ("loss_nats", "gradient_norm", "clipped_norm", "elapsed_seconds")
        return {"step": steps, **dict.fromkeys(names, values)}

    def recorded(self, _: type[Event], after_id: int = 0) -> dict[int, Event]:
        events = {1: WorkerStarted(0, 7)} | ({9: WorkerStarted(3, 7)} if self.last else {})
        return {number: event for number, event in events.items() if number > after_id}


def test_what_a_killed_training_took_back_disappears_from_the_curves():
    run = Rewound()
    seen = History(run)
    seen.update()
    assert list(seen.loss.values) == [9.0, 8.0, 7.0, 6.0, 5.0]
    run.last, run.rows = 1, [9.0, 8.0, 7.0, 6.5]
    seen.update()
    assert list(seen.loss.values) == [9.0, 8.0, 7.0, 6.5]


def test_the_time_left_follows_the_pace_of_the_last_steps(trained_run):
    seen = History(trained_run)
    assert seen.seconds_left(10) is None
    seen.clock.append(np.arange(1.0, 11), 2.0 * np.arange(1.0, 11))
    assert seen.seconds_left(15) == pytest.approx(10.0)


def test_settings_that_were_changed_by_hand_are_told_and_the_limits_of_clipping_follow(tmp_path):
    run = tiny_run(tmp_path / "run", steps=6, epochs=None, clip=5.0)
    work(run.folder, limits=Limits(steps=2))
    for setting, value in (("clip", None), ("truncate", 3), ("learning_rate", 0.5)):
        run.request(setting, **{setting: value})
    work(run.folder)
    seen = History(run)
    seen.update()
    assert [(change.step, change.text, change.label) for change in seen.changes] == [
        (2, "clipping 5 → off", "clip off"),
        (2, "truncation none → 3", "K 3"),
        (2, "learning rate 0.002 → 0.5", "lr 0.5"),
    ]
    assert seen.steered(1) == {"learning_rate": 0.002, "clip": 5.0, "truncate": None}
    assert seen.steered() == {"learning_rate": 0.5, "clip": None, "truncate": 3}
    assert seen.clip_limits == [(0, 5.0), (2, None)]
