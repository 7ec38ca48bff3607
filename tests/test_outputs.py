"""No command writes over a run's own files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tiny_runs import tiny_run

from rnn_core.cli.main import main
from rnn_core.errors import SettingsError
from rnn_core.runs import check_output_path
from rnn_core.runs.worker import work


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tiny_run(tmp_path_factory.mktemp("made") / "run", steps=2)
    work(run.folder)
    return run.folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


OWN = ["model.safetensors", "model-0.safetensors", "config.json", "vocabulary.json", "corpus.safetensors"]
OWN += ["events.sqlite", "events.sqlite-wal", "lock", "owner", "worker.log", "model-7.safetensors", "config.json.tmp"]


@pytest.mark.parametrize("name", OWN)
def test_an_export_over_a_runs_own_file_is_refused(folder: Path, name: str, capsys) -> None:
    before = contents(folder)
    assert main(["export", str(folder), str(folder / name)]) == 2
    assert "belongs to the run" in capsys.readouterr().err
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("marker", "name"),
    [("sweep.json", "sweep.json"), ("sweep.json", "stop"), ("sweep.json", "lock"), ("result.json", "result.json")],
)
@pytest.mark.parametrize("command", ["export", "report"])
def test_a_file_of_a_sweep_or_an_experiment_is_not_written_over(
    folder: Path, tmp_path: Path, marker: str, name: str, command: str, capsys
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / marker).write_text("{}")
    before = contents(tmp_path / "kept")
    assert main([command, str(folder), str(tmp_path / "kept" / name)]) == 2
    assert "which needs it" in capsys.readouterr().err
    assert contents(tmp_path / "kept") == before


@pytest.mark.parametrize("place", ["run", "run/inside", "run/far/inside", "other", "a\0b"])
@pytest.mark.parametrize(
    ("command", "marker"),
    [
        (["sweep", "--task", "latching", "--grid", "hidden=2,3", "--quiet"], "result.json"),
        (["reproduce", "cliff", "--seeds", "1", "--quiet"], "sweep.json"),
    ],
    ids=["sweep", "reproduce"],
)
def test_a_sweep_or_an_experiment_takes_no_folder_of_another_kind(
    folder: Path, tmp_path: Path, command: list[str], marker: str, place: str, capsys
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / marker).write_text("{}")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert main([*command, "--dir", str(tmp_path / place)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("place", ["run/inside", "run/far/inside"])
def test_no_run_is_made_in_the_folder_of_a_run(folder: Path, tmp_path: Path, place: str, capsys) -> None:
    before = contents(folder)
    for command in (["train", "--task", "latching", "--run"], ["fork", str(folder), "--epochs", "9", "--run"]):
        assert main([*command, str(tmp_path / place)]) == 2
        assert "lies in the folder of a run" in capsys.readouterr().err
    assert contents(folder) == before


@pytest.mark.parametrize("place", ["loop", "loop/inside"])
def test_a_link_to_itself_is_no_place_for_anything(folder: Path, tmp_path: Path, place: str, capsys) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for command in (
        ["train", "--task", "latching", "--run"],
        ["fork", str(folder), "--epochs", "9", "--run"],
        ["sweep", "--task", "latching", "--grid", "hidden=2,3", "--quiet", "--dir"],
    ):
        assert main([*command, str(tmp_path / place)]) == 2
        assert "cannot be written" in capsys.readouterr().err


def test_a_link_to_a_runs_own_file_is_refused_too(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder / "model.safetensors")
    (tmp_path / "same").symlink_to(folder)
    for place in (tmp_path / "link", tmp_path / "same" / "model.safetensors"):
        with pytest.raises(SettingsError, match="belongs to the run"):
            check_output_path(place)


def test_what_an_error_advises_may_be_done(folder: Path, tmp_path: Path, capsys) -> None:
    for place in (folder, tmp_path):
        assert main(["export", str(folder), str(place)]) == 2
        advised = capsys.readouterr().err.strip().split("such as ")[1].removesuffix(".")
        assert main(["export", str(folder), advised]) == 0
        capsys.readouterr()


@pytest.mark.parametrize("name", ["x" * 400, "a\0b", "no/such/folder/out"])
def test_a_place_that_cannot_be_is_refused_in_a_sentence(folder: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError):
        check_output_path(tmp_path / name)


def test_other_names_and_other_folders_are_free(folder: Path, tmp_path: Path) -> None:
    assert check_output_path(folder / "exported.safetensors") == folder / "exported.safetensors"
    assert check_output_path(tmp_path / "model.safetensors") == tmp_path / "model.safetensors"


def test_a_device_or_a_pipe_is_never_replaced_by_a_file(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(SettingsError, match="a device or a pipe"):
            check_output_path(place)


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "/".join(["d" * 200] * 30), "/dev/zero/x"])
@pytest.mark.parametrize("command", ["resume", "generate", "gradients", "export", "evaluate", "race", "train"])
def test_a_path_that_cannot_be_is_refused_by_every_command(tmp_path: Path, path: str, command: str, capsys) -> None:
    (tmp_path / "text.txt").write_text("the queen saw her dog .\n" * 20)
    text = str(tmp_path / "text.txt")
    more = {"gradients": ["--text", "the"], "export": [str(tmp_path / "out")], "evaluate": [text]}
    arguments = [text, "--run", path, "--quiet"] if command == "train" else [path, *more.get(command, [])]
    assert main([command, *arguments]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("error: ")
