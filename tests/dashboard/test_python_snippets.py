""" "The same in Python": what a page offers runs as it stands, and gives the page's numbers."""

from __future__ import annotations

import contextlib
import io
import re
import shutil

import pytest

from dashboard.services import python_snippets
from dashboard.text import hosting as wording
from rnn_core import runs
from rnn_core.config import ModelConfig, SamplingSettings, TaskSettings, TrainingSettings
from rnn_core.runs import Run
from rnn_core.runs.creation import create_task_run
from rnn_core.runs.worker import Limits, work
from tests.dashboard.test_generate import sentences


def output(code: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "the same in Python", "exec"), {})
    return printed.getvalue()


def offered(app) -> str:
    """The lines that a page offers."""
    (code,) = [element.value for element in app.code if "from rnn_core" in element.value]
    return code


def metric(app, label: str) -> str:
    return next(element.value for element in app.metric if element.label == label)


def printed_steps(text: str) -> list[list[float]]:
    return [[float(number) for number in line.split()] for line in text.splitlines() if line[0].isdigit()]


def test_train_offers_the_training_itself_with_every_change_by_hand(open_page, new_run):
    run = new_run(epochs=None, steps=9, truncate=3)
    work(run.folder, limits=Limits(steps=4))
    for setting, value in (("learning_rate", 0.01), ("clip", None), ("truncate", None)):
        run.request(setting, **{setting: value})
    work(run.folder)
    app = open_page("train", run.id)
    printed = output(offered(app))
    metrics = run.metrics()
    columns = [metrics[name].tolist() for name in ("step", "loss_nats", "gradient_norm")]
    assert printed_steps(printed) == [list(row) for row in zip(*columns, strict=True)]
    assert printed.splitlines()[0] == f"recorded [9] {metrics['loss_nats'][-1:]} {metrics['gradient_norm'][-1:]}"
    assert float(metric(app, "Gradient norm")) == pytest.approx(metrics["gradient_norm"][-1], rel=0.01)


def test_a_training_on_a_task_is_offered_as_well(tmp_path):
    training = TrainingSettings(steps=5, epochs=None, batch_size=4)
    run = create_task_run(
        tmp_path / "it's a task", "", TaskSettings("adding", 12), ModelConfig(hidden_size=6), training
    )
    work(run.folder)
    losses = [row[1] for row in printed_steps(output(python_snippets.training(run)))]
    assert losses == run.metrics()["loss_nats"].tolist()


def test_gradients_offers_the_flow_of_the_sentence_that_is_on_the_page(open_page, trained_run):
    app = open_page("gradients", trained_run.id)
    app.text_input[0].set_value("the \"queen\" lost ''' her \\ ring\n\")").run()
    first, *rows = output(offered(app)).splitlines()
    half_life, loss, norm = first.split()
    assert f"{float(loss):.3f} nats" == metric(app, "Loss of this sentence")
    assert float(metric(app, "Gradient of W")) == pytest.approx(float(norm), rel=0.01)
    if half_life != "None":
        assert f"{float(half_life):.2f} words" == metric(app, "Half-life")
    assert rows[0].startswith("<s> ")


def test_generate_offers_the_sentences_that_are_on_the_page(open_page, trained_run):
    app = open_page("generate", trained_run.id)
    app.text_input[0].set_value('the queen "').run()
    (shown,) = sentences(app)
    assert len(shown) == 5
    assert output(offered(app)).splitlines() == shown


@pytest.mark.parametrize("text", ['"""', "'''\nraise SystemExit #", "\\", "{}", "\N{LINE SEPARATOR}import os"])
def test_what_a_user_writes_stays_a_string_in_what_is_offered(text, trained_run, runs_folder):
    folder = shutil.copytree(trained_run.folder, runs_folder / "it's 'a' \"run\"")
    run, step = Run.open(folder), trained_run.moments()[-1]
    output(python_snippets.gradients(run, step, [text], 0))
    output(python_snippets.generation(run, step, text, 1, SamplingSettings(max_tokens=3), 0))


def test_of_a_fork_the_curves_are_offered_and_no_training_that_would_be_another(trained_run, runs_folder):
    step = trained_run.checkpoint_steps()[-1]
    fork = runs.fork_run(trained_run.folder, runs_folder / "fork", step=step, changes={"epochs": 9})
    code = python_snippets.training(fork)
    assert "train(" not in code
    assert re.match(rf"recorded \[{step}\]", output(code))


def test_a_guest_is_offered_nothing_that_only_the_owner_can_run(open_page, trained_run, monkeypatch):
    monkeypatch.setenv("SEE_BPTT_HOSTED", "1")
    monkeypatch.setattr("dashboard.hosting.stay_offline", lambda: None)
    assert python_snippets.training(trained_run).count(str(trained_run.folder)) == 0
    app = open_page("train", trained_run.id)
    assert not [element for element in app.code if "from rnn_core" in element.value]
    assert wording.ONLY_LOOKING in "".join(element.value for element in app.caption)
