"""Networks that learn a task, on every page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from waiting import wait_for

from dashboard import hosting
from dashboard.laboratory.task_analysis import analyse_task
from dashboard.services import comparing, python_snippets, worker
from rnn_core import runs
from rnn_core.config import TASKS, ModelConfig, TaskSettings, TrainingSettings
from rnn_core.runs import Run
from rnn_core.runs.worker import work

OpenPage = Callable[..., AppTest]


def texts(app: AppTest) -> str:
    kinds = (app.text, app.markdown, app.caption, app.error, app.info)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def task_run(root: Path, task: TaskSettings, **model: object) -> Run:
    training = TrainingSettings(steps=20, epochs=None, batch_size=8, horizon_every_seconds=0.0, clip=0.01)
    config = ModelConfig(hidden_size=6, **model)  # type: ignore[arg-type]
    run = runs.create_task_run(root / runs.new_run_id(), "", task, config, training)
    work(run.folder)
    return run


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.slow
def test_every_picture_of_the_gradient_is_drawn_of_a_sequence_of_every_task(
    name: str, open_page: OpenPage, runs_folder: Path
) -> None:
    task = TaskSettings(task=name, validation_sequences=20, most_nouns=2 if name == "agreement" else 4)
    short = {"task_steps": 12} if "task_steps" in TASKS[name].settings else {}
    short |= {"delay": 4, "copied": 2} if name == "copy_memory" else {}
    run = task_run(runs_folder, TaskSettings(**{**task.to_json(), **short}), cell="lstm", layers=2)
    app = open_page("gradients", run.id)
    assert not app.error
    assert not app.exception
    (sequence,) = (field for field in app.number_input if field.label == "Sequence")
    before = texts(app)
    sequence.set_value(2).run()
    assert not app.error
    assert texts(app) != before
    assert any(box.label == "Loss at answer" for box in app.selectbox)


def test_the_lines_of_python_print_what_the_page_shows(runs_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = task_run(runs_folder, TaskSettings(task="temporal_order", task_steps=12, validation_sequences=20))
    found = analyse_task(run, 20, 3)
    exec(python_snippets.gradients_of_task(run, 20, 3, 11), {})
    lines = capsys.readouterr().out.splitlines()[-12:]
    assert [line.split()[0] for line in lines] == found.sources
    assert [float(line.split()[1]) for line in lines] == found.flow.delta_norms[11].tolist()


def test_a_sequence_that_is_too_long_to_draw_is_said_to_be(open_page: OpenPage, runs_folder: Path) -> None:
    run = task_run(runs_folder, TaskSettings(task="latching", task_steps=101, validation_sequences=5))
    app = open_page("gradients", run.id)
    assert not app.error
    assert "101 steps" in texts(app)


@pytest.mark.parametrize("view", ["train", "compare", "runs", "generate", "units", "home", "corpus"])
@pytest.mark.slow
def test_every_other_page_shows_it_or_says_why_not(view: str, open_page: OpenPage, runs_folder: Path) -> None:
    run = task_run(runs_folder, TaskSettings(task="adding", task_steps=6, validation_sequences=20))
    app = open_page(view, run.id)
    assert not app.error
    assert not app.exception
    if view in ("generate", "units"):
        assert "no text" in texts(app)
    if view == "train":
        labels = {metric.label: metric.value for metric in app.metric}
        assert float(labels["Mean squared error"]) > 0
        assert "Perplexity" not in labels


def test_runs_on_a_task_are_compared_by_its_error_and_not_with_another_task(
    open_page: OpenPage, runs_folder: Path
) -> None:
    parity, adding = (
        task_run(runs_folder, TaskSettings(task=name, task_steps=6, validation_sequences=20))
        for name in ("prefix_parity", "adding")
    )
    errors = [event["metric"] for event in parity.events(kinds=["validated"])]
    (line,) = comparing.lines([parity], "metric", "steps", bits=False, seeds=False)
    assert line.y.tolist() == errors
    app = open_page("compare", runs=parity.id, quantity="metric")
    assert not app.error
    assert f"ends at {errors[-1]:.4g}." in texts(app)
    app = open_page("compare", runs=f"{parity.id},{adding.id}", quantity="metric")
    assert "do not compare" in texts(app)


@pytest.mark.process
@pytest.mark.slow
def test_a_task_is_chosen_set_up_and_trained_on_the_train_page(open_page: OpenPage, runs_folder: Path) -> None:
    app = open_page("train", learn="task")
    assert not app.error
    app.selectbox(key="task: task").set_value("latching").run()
    app.number_input(key="task: task_steps").set_value(9.0)
    app.number_input(key="train task: epochs").set_value(1.0).run()
    assert not app.error
    link = {name: "".join(app.query_params[name]) for name in ("learn", "task", "task_steps", "epochs")}
    assert open_page("train", **link).number_input(key="task: task_steps").value == 9
    app.button(key="train task: start").click().run()
    (folder,) = runs_folder.iterdir()
    run = Run.open(folder)
    assert "task_steps" not in app.query_params
    assert run.config.task == TaskSettings(task="latching", task_steps=9)
    assert (run.config.training.schedule, run.config.training.epochs) == ("constant", 1)
    wait_for(lambda: run.status().state == "finished", "the end of the training")


def test_a_task_that_makes_no_sense_cannot_be_started(open_page: OpenPage, runs_folder: Path) -> None:
    app = open_page("train", learn="task")
    app.number_input(key="task: task_steps").set_value(5.0).run()
    assert "at least 10 steps" in texts(app)
    assert app.button(key="train task: start").disabled


def test_a_hosted_server_bounds_a_task_as_it_does_a_text(
    open_page: OpenPage, runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "stay_offline", lambda: None)  # which would hold for the tests that follow
    monkeypatch.setattr(worker, "start_dispatcher", lambda: None)
    monkeypatch.setenv("SEE_BPTT_HOSTED", "steps=100")
    app = open_page("train", learn="task")
    assert "you ask for 5,000" in texts(app)
    assert app.button(key="train task: start").disabled
