"""Snapshots: what is kept of a training's way, what is given up, and that the training does not notice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import differences, ending, tiny_run

from rnn_core.errors import CheckpointError
from rnn_core.runs import delete_run, snapshots
from rnn_core.runs.worker import work
from rnn_core.training import HorizonMeasured
from rnn_core.training import loop as training

ALL = {"horizon_every_seconds": 0.0, "batch_size": 16, "epochs": 2}


@pytest.fixture
def always(monkeypatch):
    """Measure the horizon before every step, and keep the weights each time."""
    monkeypatch.setattr(snapshots, "SHARE", np.inf)
    monkeypatch.setattr(training, "HORIZON_SHARE", np.inf)


@given(st.sets(st.integers(0, 10**6), min_size=3, max_size=80), st.integers(2, 40))
def test_thinning_keeps_the_first_the_newest_and_as_many_as_there_is_room_for(steps, keep):
    present = sorted(steps)
    given_up = snapshots.superfluous(present, keep)
    left = sorted(set(present) - set(given_up))
    assert len(left) == min(len(present), keep)
    assert (left[0], left[-1]) == (present[0], present[-1])


def test_a_long_training_stays_covered_from_its_beginning_to_its_end():
    kept: list[int] = []
    for step in range(0, 20_000, 10):
        kept.append(step)
        for given_up in snapshots.superfluous(kept, 40):
            kept.remove(given_up)
    gaps = np.diff(np.sqrt(kept))
    assert len(kept) == 40
    assert gaps.max() < 3.5 * np.sqrt(20_000) / 40


def test_the_weights_of_every_measured_moment_can_be_looked_at_again(tmp_path, always):
    run = tiny_run(tmp_path / "run", **ALL)
    measured: list[int] = []
    work(run.folder, on_event=lambda event: measured.append(event.step) if isinstance(event, HorizonMeasured) else None)
    assert snapshots.steps(run.folder) == measured
    assert len(measured) > 3
    first, last = run.load_model(0), run.load_model(measured[-1])
    assert not np.array_equal(first.params["W"], last.params["W"])
    assert set(run.checkpoint_steps()) <= set(run.moments())


@pytest.mark.parametrize(("nbytes", "most"), [(80, 40), (32 * 2**20, 2), (33 * 2**20, 0)])
def test_there_are_at_most_40_and_64_megabytes_of_them(tmp_path, always, nbytes, most):
    store = snapshots.SnapshotStore(tmp_path, nbytes, "words")
    for step in range(50):
        store.take(step, {"W": np.zeros(20, np.float32)})
    assert len(snapshots.steps(tmp_path)) == most


def test_a_training_with_snapshots_ends_in_the_same_bits_as_one_without(tmp_path, always):
    with_them = tiny_run(tmp_path / "with", **ALL)
    without = tiny_run(tmp_path / "without", **ALL | {"horizon_every_seconds": None})
    work(with_them.folder)
    work(without.folder)
    assert snapshots.steps(with_them.folder)
    assert not snapshots.steps(without.folder)
    assert differences(ending(with_them), ending(without)) == []


def test_a_snapshot_is_what_the_checkpoint_of_its_step_holds(tmp_path, always):
    run = tiny_run(tmp_path / "run", **ALL | {"checkpoint_every_seconds": 0.0})
    work(run.folder)
    both = set(run.checkpoint_steps()) & set(snapshots.steps(run.folder))
    for step in both:
        from_snapshot = run.load_model(step)
        snapshots.path_of(run.folder, step).unlink()
        from_checkpoint = run.load_model(step)
        assert all(np.array_equal(from_snapshot.params[k], from_checkpoint.params[k]) for k in from_snapshot.params)


def test_what_a_resumed_training_takes_back_has_no_snapshot_either(tmp_path):
    snapshot_store = snapshots.SnapshotStore(tmp_path, 10, "digest")
    for step in (0, 5, 9):
        snapshots.path_of(tmp_path, step).touch()
    snapshot_store.drop_after(5)
    assert snapshots.steps(tmp_path) == [0, 5]


def test_weights_that_are_not_finite_and_networks_too_large_leave_no_snapshot(tmp_path):
    snapshots.SnapshotStore(tmp_path, 10, "digest").take(3, {"model/W": np.array([[np.nan]], np.float32)})
    snapshots.SnapshotStore(tmp_path, snapshots.LIMIT_BYTES, "digest").take(3, {"model/W": np.ones((1, 1), np.float32)})
    assert list(tmp_path.iterdir()) == []


def test_snapshots_come_no_more_often_than_their_share_of_the_time(tmp_path, monkeypatch):
    snapshot_store = snapshots.SnapshotStore(tmp_path, 10, "digest")
    monkeypatch.setattr(snapshots, "SHARE", 1e-9)
    for step in range(5):
        snapshot_store.take(step, {"model/W": np.ones((1, 1), np.float32)})
    assert snapshots.steps(tmp_path) == [0]


def test_a_snapshot_that_was_cut_short_is_refused(tmp_path, always):
    run = tiny_run(tmp_path / "run", **ALL)
    work(run.folder)
    path = snapshots.path_of(run.folder, 0)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CheckpointError):
        run.load_model(0)


def test_deleting_a_run_deletes_its_snapshots(tmp_path, always):
    run = tiny_run(tmp_path / "run", **ALL)
    work(run.folder)
    delete_run(run.folder)
    assert not run.folder.exists()
