"""A run's folder whose training is on a task."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import differences, ending, tiny_run

from rnn_core.cli.main import main
from rnn_core.config import ModelConfig, TaskSettings, TrainingSettings
from rnn_core.data.tasks import TASKS, make_task
from rnn_core.errors import RunError, SettingsError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.runs import Run, create_task_run, import_run, zip_run
from rnn_core.runs.race import race
from rnn_core.runs.worker import Limits, work
from rnn_core.training import TaskSource, evaluate_task

SHORT = TaskSettings(task="temporal_order", task_steps=12, validation_sequences=50)


def task_run(folder: Path, task: TaskSettings = SHORT, model: dict[str, Any] | None = None, **training: Any) -> Run:
    usual = {
        "batch_size": 8,
        "epochs": None,
        "steps": 20,
        "validate_every": 7,
        "horizon_every_seconds": None,
        "schedule": "constant",
    }
    config = ModelConfig(**{"hidden_size": 8, **(model or {})})
    return create_task_run(folder, "", task, config, TrainingSettings(**{**usual, **training}))


@pytest.mark.parametrize("name", TASKS)
def test_a_run_on_any_task_says_how_well_it_is_done(tmp_path: Path, name: str) -> None:
    task = TaskSettings(task=name, validation_sequences=50)
    outcome = work(task_run(tmp_path / "run", task, steps=2).folder)
    run = Run.open(tmp_path / "run")
    assert run.config.task == task
    network = run.load_network().model
    assert not isinstance(network, LanguageModel)
    assert outcome.valid_metric == evaluate_task(network, make_task(task), 50).metric
    assert [event["metric"] for event in run.events(kinds=["validated"])][-1] == outcome.valid_metric
    assert run.config.corpus.name == TASKS[name].label


@pytest.mark.parametrize("stop", [1, 7, 13])
def test_a_run_on_a_task_that_was_stopped_ends_with_the_bits_of_one_that_was_left_alone(
    tmp_path: Path, stop: int
) -> None:
    alone, stopped = task_run(tmp_path / "alone"), task_run(tmp_path / "stopped")
    work(alone.folder)
    assert work(stopped.folder, limits=Limits(steps=stop)).state == "stopped"
    work(stopped.folder)
    assert differences(ending(alone), ending(stopped)) == []


def test_a_solved_run_is_finished_before_its_last_step_and_stays_so(tmp_path: Path) -> None:
    run = task_run(tmp_path / "run", stop_below=0.99)
    outcome = work(run.folder)
    assert (outcome.state, outcome.step) == ("finished", 0)
    assert work(run.folder).step == 0


def test_a_run_on_a_task_travels_as_a_zip(tmp_path: Path) -> None:
    run = task_run(tmp_path / "run")
    work(run.folder)
    packed = io.BytesIO()
    zip_run(run.folder, packed)
    again = import_run(packed, tmp_path / "again")
    assert differences(ending(run), ending(again)) == []
    assert isinstance(again.source(), TaskSource)


def test_what_needs_words_says_that_there_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = task_run(tmp_path / "run")
    work(run.folder)
    for words in (run.vocabulary, run.corpus, run.load_model, run.load_weights):
        with pytest.raises(RunError, match="the task Temporal order"):
            words()
    text = tmp_path / "text.txt"
    text.write_text("The cat sat. " * 20)
    for command in (["generate"], ["evaluate", str(text)], ["gradients", "--text", "a"]):
        assert main([command[0], str(run.folder), *command[1:]]) == 2
        assert "it has no words" in capsys.readouterr().err


def test_weights_of_another_task_are_refused(tmp_path: Path) -> None:
    run = task_run(tmp_path / "run")
    work(run.folder)
    path = run.folder / "config.json"
    config = json.loads(path.read_text())
    config["task"]["task_steps"] = 13
    path.write_text(json.dumps(config))
    with pytest.raises(RunError, match="another task"):
        Run.open(run.folder).load_network()
    config["task"]["task_steps"] = 3
    path.write_text(json.dumps(config))
    with pytest.raises(RunError, match="damaged: Temporal order needs at least 10 steps"):
        Run.open(run.folder)
    config["task"] = {"task": "prefix_parity"}
    path.write_text(json.dumps(config))
    with pytest.raises(RunError, match="damaged: the task Prefix parity needs a network"):
        Run.open(run.folder)


def test_networks_race_on_a_task_and_only_on_the_same(tmp_path: Path) -> None:
    runs = [task_run(tmp_path / cell, model={"cell": cell}) for cell in ("tanh", "lstm")]
    alone = task_run(tmp_path / "alone", model={"cell": "lstm"})
    work(alone.folder)
    outcomes = race([run.folder for run in runs])
    assert [outcome.step for outcome in outcomes if not isinstance(outcome, Exception)] == [20, 20]
    assert differences(ending(alone), ending(runs[1])) == []
    assert runs[0].events(kinds=["horizon_measured"])
    other = task_run(tmp_path / "other", dataclasses.replace(SHORT, task_steps=13))
    text = tiny_run(tmp_path / "text", epochs=None, steps=20, model={"cell": "tanh"})
    for stranger in (other, text):
        with pytest.raises(SettingsError, match="the same task"):
            race([runs[0].folder, stranger.folder])


def test_train_on_a_task_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    arguments = "train --task latching --task-steps 8 --noise 0.1 --validation-sequences 40 --hidden 6 --steps 3"
    assert main([*arguments.split(), "--run", str(folder), "--quiet", "--json"]) == 0
    values = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert values["metric_name"] == "error rate"
    assert values["baseline"] == 0.5
    assert 0 <= values["metric"] <= 1
    config = Run.open(folder).config
    assert config.task == TaskSettings(task="latching", task_steps=8, noise=0.1, validation_sequences=40)
    assert config.training.schedule == "constant"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("", "give one of the two"),
        ("text.txt --task adding", "give one of the two"),
        ("text.txt --delay 5", "--delay has no meaning for a text"),
        ("--task adding --unit char", "--unit has no meaning for a task"),
        ("--task adding --validation x.txt", "--validation has no meaning for a task"),
        ("--task adding --delay 5", "only Copy memory"),
        ("--task temporal_order --task-steps 5", "at least 10 steps"),
        ("--task adding --embedding 5", "embedding"),
        ("--task adding --batching stream", "one by one"),
    ],
)
def test_a_task_on_the_command_line_that_makes_no_sense_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str, why: str
) -> None:
    assert main(["train", *arguments.split(), "--run", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert why in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    weights = []
    for name, seed in (("one", 3), ("again", 3), ("other", 4)):
        run = task_run(tmp_path / name, seed=seed, steps=5)
        work(run.folder)
        weights.append(run.load_network().model.params["W"])
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])
