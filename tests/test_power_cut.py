"""A power cut at any moment of a training loses nothing that was promised; and this is a test that can fail."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from power_cut import Recorder, Sync, crash_states, faults_after_resuming, faults_of, record_training

from rnn_core.runs import checkpoints, creation, files, run_config
from rnn_core.runs.history_writer import HistoryWriter
from rnn_core.runs.run_writer import RunWriter


@pytest.mark.slow
def test_after_a_power_cut_at_any_moment_nothing_that_was_promised_is_lost(tmp_path: Path) -> None:
    record = record_training(tmp_path, steps=4, longer=5)
    states = list(crash_states(record.operations))
    assert len(states) >= 500
    assert [fault for state in states for fault in faults_of(state, record, tmp_path)] == []
    assert [fault for state in states[::50] for fault in faults_after_resuming(state, record, tmp_path, 5)] == []


class Careless:
    """The module `files` for one other module, without the fsync of a folder."""

    def __getattr__(self, name: str) -> Any:
        return getattr(files, name)

    def fsync_folder(self, folder: Path) -> None:
        pass

    def atomic_write(self, path: Path, chunks: Any) -> None:
        files.system.rename(files.write_temporary(path, chunks), path)


real_commit, real_checkpoint, real_fsync = HistoryWriter.commit, RunWriter.checkpoint, Recorder.fsync


def fsync_of_folders_alone(self: Recorder, descriptor: int) -> None:
    real_fsync(self, descriptor)
    if isinstance(self.operations[-1], Sync):
        self.operations.pop()


def commit_without_waiting(self: HistoryWriter, status: Any, durable: bool) -> bool:
    return real_commit(self, status, durable=False)


def checkpoint_before_the_history(self: RunWriter) -> None:
    with patch.object(self, "commit", lambda *args, **options: True):
        real_checkpoint(self)
    self.commit(durable=True)


MISTAKES: dict[str, tuple[Callable[[], AbstractContextManager[Any]], str]] = {
    "a checkpoint whose folder is not fsynced": (
        lambda: patch.object(checkpoints, "files", Careless()),
        "lost: the checkpoint",
    ),
    "a run whose place among the others is not fsynced": (
        lambda: patch.object(creation, "files", Careless()),
        "lost: the run",
    ),
    "settings whose folder is not fsynced": (
        lambda: patch.object(run_config, "files", Careless()),
        "lost: the run's new name",
    ),
    "files that are not fsynced before they are renamed": (
        lambda: patch.object(Recorder, "fsync", fsync_of_folders_alone),
        "unreadable: ",
    ),
    "a history that does not wait for the disk": (
        lambda: patch.object(HistoryWriter, "commit", commit_without_waiting),
        "lost: steps of the history",
    ),
    "a checkpoint that is written before the history": (
        lambda: patch.object(RunWriter, "checkpoint", checkpoint_before_the_history),
        "lost: steps of the history",
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
@pytest.mark.slow
def test_the_simulation_notices(what: str, tmp_path: Path) -> None:
    mistake, fault = MISTAKES[what]
    with mistake():
        record = record_training(tmp_path, steps=3, longer=4)
    states = reversed(list(crash_states(record.operations)))
    assert any(found.startswith(fault) for state in states for found in faults_of(state, record, tmp_path))
