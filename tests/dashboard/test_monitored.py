"""A training that another program makes is shown live on the Train page, and every other page says what it lacks."""

from __future__ import annotations

import io

import pytest

from dashboard.services import library
from dashboard.text import general as wording
from rnn_core import runs
from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.data import CorpusReport, PreparedCorpus, Vocabulary
from rnn_core.data.vocabulary import SPECIALS
from rnn_core.runs import Run
from rnn_core.runs.history_writer import HistoryWriter
from rnn_core.training import HorizonMeasured, StepDone, Validated

from .conftest import HOSTILE


@pytest.fixture
def monitored(runs_folder) -> Run:
    """What the Monitor leaves, which needs PyTorch to run."""
    corpus = PreparedCorpus(Vocabulary((*SPECIALS, "–")), [], [], "–", CorpusReport(format="none"))
    model = ModelConfig(cell="lstm", vocabulary_size=4, hidden_size=8, embedding_size=4, layers=2)
    folder = runs_folder / runs.new_run_id()
    run = runs.create_run(folder, HOSTILE, corpus, model, TrainingSettings(clip=None), TextSettings(), monitored=True)
    history = HistoryWriter(folder)
    history.restore(0, {}, 0.0)
    signals = ("output", "input", "forget", "candidate", "cell", HOSTILE)
    for step in range(1, 31):
        history.record(StepDone(step, 0, 100, 4.0 / step, 2.0, 1.0, 0.001, 1e4, step / 10))
    for step in (1, 11):
        curves = [(1.0, 0.6, 0.3)] * 3
        radii = (0.5,) * 8
        history.record(HorizonMeasured(step, *curves, 1.25, radii, radii, signals, (0.1,) * len(signals)))
    history.record(Validated(30, 0, 0.2, 1.2))
    history.commit({"state": "finished", "step": 30, "message": "", "train_loss_nats": 0.2}, durable=True)
    history.close()
    return run


@pytest.mark.parametrize("page", ["gradients", "generate", "runs", "race", "evaluate", "units", "compare", "sweep"])
def test_every_page_opens_it(page, monitored, open_page):
    app = open_page(page, monitored.id)
    assert not app.error
    if page in ("gradients", "generate"):
        assert wording.MONITORED_NO_WEIGHTS in [info.value for info in app.info]


def test_the_train_page_shows_what_was_measured_and_offers_nothing_that_trains(monitored, open_page):
    app = open_page("train", monitored.id)
    assert not app.error
    values = {metric.label: metric.value for metric in app.metric}
    assert values["Half-life"] == "1.2 steps"
    assert values["Validation loss"] == "0.200"
    assert {button.label for button in app.button}.isdisjoint({"Start", "Resume", "Pause", "Stop"})


def test_it_travels_like_any_run(monitored):
    packed = io.BytesIO()
    library.write_zip(monitored, packed)
    arrived = library.import_zip(packed)
    assert arrived.config == monitored.config
    assert arrived.events(kinds=["horizon_measured"])[0]["saturated"]
