"""A sweep: every combination once, whatever happens to its processes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from tiny_runs import differences, ending, tiny_corpus
from waiting import HANG_SECONDS, wait_for

from rnn_core.cli.main import main
from rnn_core.config import ModelConfig, TaskSettings, TextSettings, TrainingSettings
from rnn_core.errors import RunError, SettingsError
from rnn_core.experiments.grid import find_setting, parse_grid
from rnn_core.experiments.points import Point, PointResult, bands
from rnn_core.experiments.sweep import Sweep, ask_to_stop
from rnn_core.experiments.sweep_runner import _corpus_of, corpus_digest, go_on, sweep
from rnn_core.runs import Run, lengthen_run, worker_alive
from rnn_core.runs.worker import work

TASK = TaskSettings(task="latching", task_steps=6, validation_sequences=20)
MODEL = ModelConfig(hidden_size=4)
GRID = {"cell": ["tanh", "lstm"], "learning_rate": [0.01, 0.02]}


def training(**values: Any) -> TrainingSettings:
    quiet = {"sample_every_seconds": None, "horizon_every_seconds": None, "batch_size": 4, "schedule": "constant"}
    return TrainingSettings(**{**quiet, "steps": 6, "epochs": None, **values})


def same_runs(one: Path, other: Path, plan: Sweep) -> None:
    for point in plan.points:
        assert differences(ending(Run.open(one / point.name)), ending(Run.open(other / point.name))) == []


# --- what is swept over -----------------------------------------------------------------------------------------------


def test_every_combination_is_a_point_with_every_seed_and_settings_of_its_own() -> None:
    plan = Sweep({"hidden_size": [4, 8], "clip": [None, 1.0], "noise": [0.1, 0.3]}, 3, MODEL, training(), TASK)
    assert len(plan.points) == len({point.name for point in plan.points}) == 24
    found = set()
    for point in plan.points:
        task, model, how = plan.settings(point)
        assert task is not None
        found.add((model.hidden_size, how.clip, task.noise, how.seed))
    assert found == {(h, c, n, s) for h in (4, 8) for c in (None, 1.0) for n in (0.1, 0.3) for s in range(3)}
    assert [point.seed for point in plan.points] == sorted(point.seed for point in plan.points)


def test_a_point_has_its_name_by_its_values_however_they_are_written() -> None:
    values: list[tuple[Any, ...]] = [(1, 2), (1.0, 2.0), tuple(np.float32([1, 2]))]
    names = {tuple(point.name for point in Sweep({"clip": list(v)}, 2, MODEL, training()).points) for v in values}
    assert len(names) == 1
    turned = Sweep({"cell": ["tanh"], "clip": [1.0]}, 1, MODEL, training()).points
    assert turned[0].name == Point({"clip": 1.0, "cell": "tanh"}, 0).name


def test_a_grid_is_read_as_the_command_line_writes_it() -> None:
    texts = ["hidden=50,100", "clip=none,1", "--cell=tanh , lstm", "bias=yes,no", "truncate=full,4"]
    with pytest.raises(SettingsError, match="no setting '--cell'"):
        parse_grid(texts, of_task=False)
    texts[2] = "cell=tanh , lstm"
    assert parse_grid(texts, of_task=False) == {
        "hidden_size": [50, 100],
        "clip": [None, 1.0],
        "cell": ["tanh", "lstm"],
        "bias": [True, False],
        "truncate": [None, 4],
    }
    assert find_setting("delay", of_task=True).name == "delay"


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["nothing=1"], "no setting 'nothing'"),
        (["seed=1,2"], "--seeds"),
        (["delay=5"], "no setting 'delay'"),
        (["hidden=many"], "whole number"),
        (["bias=perhaps"], "yes or no"),
        (["hidden=4", "hidden_size=5"], "twice"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(texts: list[str], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        parse_grid(texts, of_task=False)


@pytest.mark.parametrize(
    ("grid", "seeds", "why"),
    [
        ({"hidden_size": []}, 1, "which values"),
        ({"hidden_size": [4, 4]}, 1, "twice"),
        ({"hidden_size": ["four"]}, 1, "cannot be"),
        ({"learning_rate": [0.1, math.nan]}, 1, "learning_rate cannot be nan"),
        ({"clip": [None, math.inf]}, 1, "clip cannot be inf"),
        ({"hidden_size": [4]}, 0, "at least 1 seed"),
        ({"hidden_size": list(range(1, 5002))}, 2, "10,002 points"),
        ({"hidden_size": [4]}, 10**12, "1,000,000,000,000 points"),  # counted, not made
        ({name: list(range(1, 1000)) for name in ("hidden_size", "batch_size", "truncate", "layers")}, 1, "points"),
        ({"clip": [1, 1.0]}, 1, "twice"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(grid: dict[str, Any], seeds: int, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        Sweep(grid, seeds, MODEL, training())


def test_bands_are_over_the_seeds_and_the_best_is_first() -> None:
    def result(size: int, seed: int, metric: float | None, state: str = "finished") -> PointResult:
        return PointResult(Point({"hidden_size": size}, seed), state, valid_loss_nats=9.0, metric=metric)

    found = bands(
        [
            *(result(4, seed, value) for seed, value in enumerate((0.5, 0.3))),
            *(result(8, seed, value) for seed, value in enumerate((0.1, 0.2))),
            result(8, 2, 0.0, "diverged"),
            result(16, 0, None, "failed"),
        ]
    )
    assert [(band.settings["hidden_size"], band.seeds, band.failed) for band in found] == [(8, 2, 1), (4, 2, 0)]
    assert (found[0].mean, found[0].low, found[0].high) == (pytest.approx(0.15), 0.1, 0.2)


# --- on this machine --------------------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.slow
def test_each_point_is_the_run_that_it_would_be_alone_and_a_failed_one_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tiny_corpus()
    told: list[float] = []
    results = sweep(
        corpus,
        tmp_path / "sweep",
        {"cell": ["tanh", "lstm"], "omega": [0.0, 1.0]},
        model=MODEL,
        training=training(),
        progress=lambda found: told.append(sum(result.fraction for result in found)),
    )
    states = {(result.point.settings["cell"], result.point.settings["omega"]): result for result in results}
    assert states.pop(("lstm", 1.0)).message.startswith("Omega is defined for the plain recurrent network")
    assert all(result.state == "finished" for result in states.values())
    assert told == sorted(told)
    assert told[-1] == 4
    monkeypatch.setenv("RNN_CORE_THREADS", "1")
    plan = Sweep.read(tmp_path / "sweep")
    for result in states.values():
        alone = plan.create_run(tmp_path / result.point.name, result.point, corpus)
        work(alone.folder)
        assert differences(ending(alone), ending(Run.open(tmp_path / "sweep" / result.point.name))) == []
        assert result.measured == alone.status().valid_loss_nats


@pytest.mark.process
def test_what_is_done_is_not_done_again_and_a_sweep_can_be_enlarged(tmp_path: Path) -> None:
    first = sweep(TASK, tmp_path, {"cell": ["tanh"]}, model=MODEL, training=training(), jobs=1)
    before = (tmp_path / first[0].point.name / "events.sqlite").stat().st_mtime_ns
    both = sweep(TASK, tmp_path, {"cell": ["tanh", "lstm"]}, seeds=2, model=MODEL, training=training(), jobs=99)
    assert [result.state for result in both] == ["finished"] * 4
    assert (tmp_path / first[0].point.name / "events.sqlite").stat().st_mtime_ns == before
    with pytest.raises(RunError, match="other settings"):
        sweep(TASK, tmp_path, {"cell": ["tanh"]}, model=MODEL, training=training(batch_size=5))


def test_a_folder_that_is_somebody_elses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="not empty"):
        sweep(TASK, tmp_path, GRID, model=MODEL, training=training())
    with pytest.raises(RunError, match="is not a sweep"):
        Sweep.read(tmp_path)
    (tmp_path / "sweep.json").write_text('{"grid": {"nothing": [1]}}')
    with pytest.raises(RunError, match="damaged"):
        Sweep.read(tmp_path)


PLAN = Sweep({"hidden_size": [2, 3]}, 1, MODEL, training(steps=1), TASK)

DAMAGES: dict[str, Any] = {
    "schema": [2, 10**9, True, "1", None],
    "seeds": [0, -1, True, "2", 1.5, 1e300, 10**9, None, [1]],
    "grid": [None, [], 3, {"hidden_size": 5}, {"hidden_size": "23"}, {"hidden_size": [[2]]}, {"hidden_size": [{}]}],
    "model": [None, [], {"cell": 3}, {"cell": []}],
    "training": [None, "x", {"batch_size": "8"}],
    "task": ["adding", [], {"task": "no such"}],
    "text": [None, 3],
    "corpus": [None, 1, ["x"]],
    "beside": ["no", 0, None],
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_sweeps_file_of_the_wrong_kind_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    PLAN.write(tmp_path)
    good = json.loads((tmp_path / "sweep.json").read_text())
    without = {key: value for key, value in good.items() if key != name}
    for damaged in (without, *(good | {name: value} for value in DAMAGES[name])):
        (tmp_path / "sweep.json").write_text(json.dumps(damaged))
        with pytest.raises(RunError, match=r"sweep\.json is damaged|newer version"):
            Sweep.read(tmp_path)


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_a_sweeps_file_that_is_none_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    PLAN.write(tmp_path / "other")
    folder = tmp_path / "sweep"
    folder.mkdir()
    if kind == "fifo":
        os.mkfifo(folder / "sweep.json")
    elif kind == "link":
        (folder / "sweep.json").symlink_to(tmp_path / "other" / "sweep.json")
    else:
        (folder / "sweep.json").mkdir()
    with pytest.raises(RunError, match="is a link|not a regular file"):
        Sweep.read(folder)


def test_a_run_that_is_another_points_is_neither_counted_nor_trained(tmp_path: Path) -> None:
    """Put into a point's folder, it would pass for what the folder's name says."""
    first, second = PLAN.points
    PLAN.write(tmp_path)
    work(PLAN.create_run(tmp_path / second.name, second, None).folder)
    (tmp_path / second.name).rename(tmp_path / first.name)
    found = PLAN.result(tmp_path, first)
    assert (found.state, found.measured) == ("failed", None)
    assert "other settings" in found.message
    before = (tmp_path / first.name / "events.sqlite").read_bytes()
    found, other = go_on(tmp_path, jobs=1)
    assert (found.state, other.state) == ("failed", "finished")
    assert (tmp_path / first.name / "events.sqlite").read_bytes() == before


def test_a_point_that_went_on_for_longer_is_still_the_point(tmp_path: Path) -> None:
    point = PLAN.points[0]
    PLAN.write(tmp_path)
    work(PLAN.create_run(tmp_path / point.name, point, None).folder)
    work(tmp_path / point.name, steps=3)
    found = PLAN.result(tmp_path, point)
    assert (found.state, found.step) == ("finished", 3)


def test_a_sweep_goes_on_with_its_own_text_alone(tmp_path: Path) -> None:
    corpus = tiny_corpus()
    other = dataclasses.replace(corpus, train=corpus.train[::-1])
    model = dataclasses.replace(MODEL, vocabulary_size=len(corpus.vocabulary))
    plan = Sweep({"hidden_size": [2, 3]}, 1, model, training(steps=1), corpus=corpus_digest(corpus))
    plan.write(tmp_path)
    plan.create_run(tmp_path / plan.points[0].name, plan.points[0], other)
    with pytest.raises(RunError, match="has its text"):
        go_on(tmp_path, jobs=1)
    plan.create_run(tmp_path / plan.points[1].name, plan.points[1], corpus)
    assert _corpus_of(plan, tmp_path).train[0].tolist() == corpus.train[0].tolist()


def test_a_sweep_of_which_no_point_makes_sense_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Omega is defined"):
        sweep(TASK, tmp_path / "new", {"omega": [1.0, 2.0]}, model=ModelConfig(cell="lstm"), training=training())
    assert not (tmp_path / "new").exists()


ARGUMENTS = """
    sweep --task latching --task-steps 6 --validation-sequences 20 --hidden 4 --batch 4 --steps 400
    --grid cell=tanh,gru --grid learning-rate=0.01,0.02 --horizon-every-seconds never
    --checkpoint-every-seconds 0 --quiet --json --jobs 2
"""


@contextlib.contextmanager
def command(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a process group of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rnn_core", *ARGUMENTS.split(), "--dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def killed_when(folder: Path, happened: Callable[[list[PointResult]], bool]) -> None:
    """Start the command, and kill all its processes at once when this has happened; no harm if it has ended by then."""
    with command(folder) as process:

        def now() -> bool:
            ended = process.poll() is not None
            if (folder / "sweep.json").exists() and happened(list(Sweep.read(folder).results(folder))):
                return True
            assert not ended, process.communicate()
            return False

        wait_for(now, "the moment to kill the sweep")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(HANG_SECONDS)
    runs = [folder / point.name for point in Sweep.read(folder).points]
    wait_for(lambda: not any(map(worker_alive, runs)), "the end of all processes")


@pytest.mark.process
@pytest.mark.slow
def test_a_sweep_that_was_killed_and_resumed_has_the_bits_of_one_that_was_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ARGUMENTS.split(), "--dir", str(tmp_path / "alone"), "--jobs", "1"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["dir"] == str(tmp_path / "alone")
    assert len(values["points"]) == 4
    for point in values["points"]:
        assert point.keys() == {"settings", "seed", "run", "metrics"}
        assert point["metrics"]["state"] == "finished"
        assert Run.open(tmp_path / "alone" / point["run"]).status().step == 400

    killed = tmp_path / "killed"
    killed_when(killed, lambda points: any(point.step > 0 for point in points))
    killed_when(killed, lambda points: any(point.state == "finished" for point in points))
    with command(killed) as process:
        process.communicate(timeout=HANG_SECONDS)
        assert process.returncode == 0
    same_runs(tmp_path / "alone", killed, Sweep.read(killed))


@pytest.mark.process
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.slow
def test_a_signal_stops_a_sweep_with_a_checkpoint_of_every_point(tmp_path: Path, jobs: int) -> None:
    options = f"--task latching --hidden 4 --grid cell=tanh,gru,relu --jobs {jobs} --quiet --json --steps 1000000"
    process = subprocess.Popen(
        [sys.executable, "-m", "rnn_core", "sweep", *options.split(), "--dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def at_work() -> bool:
        if not (tmp_path / "sweep.json").exists():
            return False
        return any(point.state == "running" and point.step > 0 for point in Sweep.read(tmp_path).results(tmp_path))

    wait_for(at_work, "a point at work")
    process.terminate()
    output, _ = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 2
    states = [point["metrics"]["state"] for point in json.loads(output.splitlines()[-1])["points"]]
    assert states[0] == "stopped"
    assert states[jobs:] == ["waiting"] * (3 - jobs)


@pytest.mark.process
@pytest.mark.slow
def test_a_sweep_is_asked_to_stop_by_a_file_and_goes_on_from_its_folder_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, folder = tiny_corpus(), tmp_path / "a-sweep"
    model = dataclasses.replace(MODEL, vocabulary_size=len(corpus.vocabulary))
    endless = training(steps=10**6)
    plan = Sweep({"cell": ["tanh", "gru"]}, 1, model, endless, corpus=corpus_digest(corpus), beside=True)
    plan.write(folder)
    with pytest.raises(RunError, match="has its text"):
        go_on(folder)
    runs = [plan.create_run(plan.run_folder(folder, point), point, corpus) for point in plan.points]
    assert [run.folder.parent for run in runs] == [tmp_path] * 2

    process = subprocess.Popen([sys.executable, "-m", "rnn_core", "sweep", "--dir", str(folder), "--quiet"])
    wait_for(lambda: any(run.status().state == "running" for run in runs), "the sweep at work")
    with pytest.raises(RunError, match="at work"):
        go_on(folder)
    ask_to_stop(folder)
    assert process.wait(HANG_SECONDS) == 2
    assert not any(map(worker_alive, (folder, *(run.folder for run in runs))))

    for run in runs:  # from here on their end is near
        lengthen_run(run.folder, training(steps=run.status().step + 2))
    assert main(["sweep", "--dir", str(folder), "--json", "--jobs", "1", "--quiet"]) == 0
    points = json.loads(capsys.readouterr().out)["points"]
    assert [point["metrics"]["state"] for point in points] == ["finished", "finished"]
    assert main(["sweep", "--dir", str(folder), "--dask", "here"]) == 2


def test_the_command_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, why in (
        ("--task latching --grid nothing=1", "no setting 'nothing'"),
        ("--grid cell=tanh", "give one of the two"),
        ("--task latching --grid cell=tanh --jobs 0", "at least 1 process"),
        ("--task latching --grid cell=tanh --jobs 1 --dask here", "not allowed"),
    ):
        assert main(["sweep", *arguments.split(), "--dir", str(tmp_path / "new")]) == 2
        error = capsys.readouterr().err
        assert why in error
        assert error.count("\n") == 1


# --- on a cluster -----------------------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_loses_no_point(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    corpus, steps = tiny_corpus(), training(steps=400)
    grid = {"cell": ["tanh", "gru"], "learning_rate": [0.01, 0.02]}
    alone = sweep(corpus, tmp_path / "alone", grid, model=MODEL, training=steps, jobs=1)
    assert all(result.state == "finished" for result in alone)

    with (
        mock.patch.dict(os.environ),  # where a cluster leaves what its workers are to find: one thread, other malloc
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path)
        ) as cluster,
    ):
        killed: list[int] = []

        def kill_one(results: list[PointResult]) -> None:
            """Once something came back: the worker that was started first is at work on something else."""
            if not killed and any(result.state == "finished" for result in results):
                # What came back is no more on the cluster, where it would be computed again.
                wait_for(lambda: len(cluster.scheduler.tasks) < 1 + len(results), "the release of what came back")
                killed.append(cluster.workers[0].pid)
                os.kill(killed[0], signal.SIGKILL)

        results = sweep(
            corpus,
            tmp_path / "far",
            grid,
            model=MODEL,
            training=steps,
            dask=cluster.scheduler_address,
            progress=kill_one,
        )
    assert killed
    assert all(result.state == "finished" for result in results), results
    same_runs(tmp_path / "alone", tmp_path / "far", Sweep.read(tmp_path / "far"))


def test_a_scheduler_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(RunError, match="no Dask scheduler"):
        sweep(TASK, tmp_path, GRID, model=MODEL, training=training(), dask="nowhere://127.0.0.1:1")


def test_a_scheduler_that_is_gone_in_the_middle_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")

    class Client(contextlib.nullcontext):
        def __init__(self, *address: str, timeout: str) -> None:
            super().__init__(self)

        def submit(self, *task: Any, pure: bool) -> object:
            return object()

    def wait(*tasks: Any, **options: Any) -> None:
        raise distributed.CancelledError

    monkeypatch.setattr(distributed, "Client", Client)
    monkeypatch.setattr(distributed, "wait", wait)
    with pytest.raises(RunError, match="the same command goes on"):
        sweep(TASK, tmp_path, GRID, model=MODEL, training=training(), dask="tcp://127.0.0.1:1")


def test_without_dask_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RunError, match=r"see-bptt\[dask\]"):
        sweep(TASK, tmp_path, GRID, model=MODEL, training=training(), text=TextSettings(), dask="tcp://127.0.0.1:1")
