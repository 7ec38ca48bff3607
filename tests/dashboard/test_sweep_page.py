"""The Sweep page: a grid, its trainings as runs like any other, and within a hosted server's caps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from waiting import wait_for

from dashboard import hosting
from dashboard.charts import sweep as charts
from dashboard.services import library, sweeps, worker
from rnn_core.config import ModelConfig, TaskSettings, TrainingSettings
from rnn_core.errors import UserError
from rnn_core.experiments.sweep import FILE, Sweep
from rnn_core.runs import Run, delete_run

OpenPage = Callable[..., AppTest]
TASK = TaskSettings(task="latching", task_steps=6, validation_sequences=20)


def plan(steps: int = 5, **grid: list[object]) -> Sweep:
    training = TrainingSettings(steps=steps, epochs=None, batch_size=4, horizon_every_seconds=None)
    return Sweep(grid or {"cell": ["tanh", "gru"]}, 1, ModelConfig(hidden_size=4), training, TASK, beside=True)


def texts(app: AppTest) -> str:
    kinds = (app.text, app.markdown, app.caption, app.error, app.info)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def is_over(sweep_id: str) -> bool:
    return not sweeps.at_work(sweep_id, sweeps.opened(sweep_id)[1])


@pytest.mark.process
@pytest.mark.slow
def test_a_sweep_is_made_on_the_page_and_its_best_training_can_be_opened(
    open_page: OpenPage, runs_folder: Path
) -> None:
    link = {"learn": "task", "task": "latching", "task_steps": "6", "validation_sequences": "20", "steps": "5"}
    app = open_page("sweep", **link)
    assert not app.error
    assert "9 trainings" in texts(app)
    app.text_input(key="sweep: values of hidden_size").set_value("3, 4").run()
    app.number_input(key="sweep: seeds").set_value(1).run()
    next(button for button in app.button if button.label == "Start the sweep").click().run()
    assert not app.error
    (file,) = runs_folder.glob(f"*/{FILE}")
    sweep_id = file.parent.name
    wait_for(lambda: is_over(sweep_id), "the end of the sweep")
    assert [Run.open(folder).status().state for folder in runs_folder.glob(f"{sweep_id}-point-*")] == ["finished"] * 2
    app = open_page("sweep", sweep=sweep_id)
    assert not app.error
    assert "The best: Hidden units" in texts(app)
    app.button(key="sweep: best").click().run()
    assert not app.exception


def test_values_that_make_no_sense_are_told_and_start_nothing(open_page: OpenPage, runs_folder: Path) -> None:
    app = open_page("sweep", learn="task")
    app.text_input(key="sweep: values of hidden_size").set_value("many").run()
    assert "whole number" in texts(app)
    assert next(button for button in app.button if button.label == "Start the sweep").disabled
    assert not list(runs_folder.iterdir())


@pytest.mark.parametrize("link", ["no-such-sweep", "../etc"])
def test_a_link_to_no_sweep_opens_none(open_page: OpenPage, link: str) -> None:
    assert not open_page("sweep", sweep=link).exception


@pytest.mark.process
@pytest.mark.slow
def test_a_sweep_is_stopped_and_goes_on(open_page: OpenPage, runs_folder: Path) -> None:
    sweep_id = sweeps.begin(plan(steps=1_000_000), None)
    wait_for(lambda: any(result.step > 0 for result in sweeps.opened(sweep_id)[1]), "a training at work")
    app = open_page("sweep", sweep=sweep_id)
    app.button(key="sweep: stop").click().run()
    wait_for(lambda: is_over(sweep_id), "the end of all trainings")
    app = open_page("sweep", sweep=sweep_id)
    assert app.button(key="sweep: go on")
    assert "0 of 2 trainings done" in [bar.proto.text for bar in app.get("progress")][0]


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "stay_offline", lambda: None)  # which would hold for the tests that follow
    monkeypatch.setattr(worker, "start_dispatcher", lambda: None)
    monkeypatch.setattr(library, "visitor", lambda: "a" * 64)
    monkeypatch.setenv("SEE_BPTT_HOSTED", "trainings_per_visitor=2 runs_per_visitor=4 trainings=1 steps=100")


@pytest.mark.process
@pytest.mark.slow
def test_on_a_hosted_server_each_training_waits_its_turn_and_the_caps_hold(hosted: None, runs_folder: Path) -> None:
    for too_much in (plan(hidden_size=[2, 3, 4]), plan(steps=101)):
        with pytest.raises(UserError, match="are the most here|server allows"):
            sweeps.begin(too_much, None)
    assert not list(runs_folder.glob("*-point-*"))
    sweep_id = sweeps.begin(plan(), None)
    runs = [Run.open(folder) for folder in runs_folder.glob(f"{sweep_id}-point-*")]
    assert all(hosting.owner_of(run.folder) == "a" * 64 for run in runs)

    def served() -> bool:
        worker._dispatch(runs_folder, hosting.current_caps() or hosting.Caps())
        return all(run.status().state == "finished" for run in runs)

    wait_for(served, "the turn of both")
    for run in runs:
        delete_run(run.folder)
    second = sweeps.begin(plan(), None)
    assert [file.parent.name for file in runs_folder.glob(f"*/{FILE}")] == [second]  # the first left nothing behind


def test_in_the_picture_the_best_line_ends_lowest_and_values_are_in_their_order() -> None:
    points = [({"clip": None, "size": 8}, 0.5), ({"clip": 1.0, "size": 16}, 0.25), ({"clip": 1.0, "size": 8}, 1.0)]
    table = charts.parallel_table(points, "error rate")
    lines = table[table["kind"] == "training"]
    assert lines.groupby("point").size().tolist() == [3, 3, 3]
    ends = lines[lines["axis"] == "error rate"].sort_values("point")
    assert ends["place"].tolist() == pytest.approx([1 / 3, 0, 1])
    assert lines[lines["best"]]["point"].unique().tolist() == [1]
    labels = table[(table["kind"] == "value") & (table["axis"] == "size")].sort_values("place")
    assert labels["label"].tolist() == ["8", "16"]
    fields = re.findall(r'"field": "(\w+)"', json.dumps(charts.parallel("clip", "size", "error rate")))
    assert set(fields) <= set(table.columns)
