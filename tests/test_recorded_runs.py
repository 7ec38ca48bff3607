"""Runs that version 1.0 of this program left half trained: they open, they are listed, and they go on to the same end.

`tests/recorded/run-*.zip` are such folders, stopped on their way. What they ended with there is written below; between
machines the last bits of a sum may differ, and so may these losses by a little.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from rnn_core.runs import Run, list_runs
from rnn_core.runs.worker import work

RECORDED = Path(__file__).parent / "recorded"
# name, step at which it was stopped, last step, training and validation loss at the end
ENDINGS = {
    "lstm": (9, 16, 2.9621310655583333, 2.9444338044812604),
    "tanh": (12, 30, 2.9103477795918784, 2.8342987497647605),
}


@pytest.fixture(params=ENDINGS)
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    with zipfile.ZipFile(RECORDED / f"run-{request.param}.zip") as archive:
        archive.extractall(tmp_path)
    return Run.open(tmp_path / request.param)


def test_a_recorded_run_opens_with_all_that_is_in_it(recorded: Run) -> None:
    stopped_at = ENDINGS[recorded.id][0]
    assert len(recorded.vocabulary()) == recorded.config.model.vocabulary_size == 20
    assert len(recorded.corpus().train) == recorded.config.corpus.train_sentences
    assert recorded.status().state == "stopped"
    assert recorded.metrics()["step"].tolist() == list(range(1, stopped_at + 1))
    assert [event["kind"] for event in recorded.events()][-1] == "stopped"
    for moment in recorded.moments():
        assert all(np.isfinite(value).all() for value in recorded.load_model(moment).params.values())


def test_a_recorded_run_is_listed(recorded: Run) -> None:
    (summary,) = list_runs(recorded.folder.parent)
    assert summary.error == ""
    assert summary.status is not None
    assert summary.status.state == "stopped"


def test_a_recorded_run_goes_on_to_the_end_it_had_then(recorded: Run) -> None:
    _, last_step, train_loss_nats, valid_loss_nats = ENDINGS[recorded.id]
    outcome = work(recorded.folder)
    assert (outcome.state, outcome.step) == ("finished", last_step)
    assert outcome.train_loss_nats == pytest.approx(train_loss_nats, rel=1e-5)
    assert outcome.valid_loss_nats == pytest.approx(valid_loss_nats, rel=1e-5)
