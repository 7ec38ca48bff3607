"""Whatever is wrong in a run's folder, everybody who reads it gets a sentence, soon; and the good runs are listed.

The long form, with the pages: python tests/fuzz_runs.py --folders 2000.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from damaged_runs import DAMAGES
from fuzz_runs import OWNER, Fuzz, good_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard import hosting
from dashboard.services import library
from rnn_core.errors import RunError
from rnn_core.runs import Run, checkpoints, database, list_runs, reading, rename_run, status, tensors
from rnn_core.runs.layout import checkpoint_specs
from rnn_core.runs.strict_json import parse_json
from rnn_core.runs.worker import work


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return good_run(tmp_path_factory.mktemp("good"))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (library.ROOT_VARIABLE, hosting.VARIABLE):
        monkeypatch.setenv(variable, "")
    monkeypatch.setattr(library, "_secret", lambda: OWNER)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(damages=st.lists(st.sampled_from(DAMAGES), min_size=1, max_size=3), seed=st.integers(0, 2**32))
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_a_damaged_run_is_read_in_every_way_without_a_traceback_or_a_wait(good: Path, damages, seed: int) -> None:
    # Minutes, not seconds: on a busy machine everything takes long, and only what hangs takes for ever.
    fuzz = Fuzz(hang_seconds=120.0, longest_seconds=120.0)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as room:
        fuzz.folder(good, Path(room), seed, pages=False, damages=damages)
    assert fuzz.faults == []


def status_row(folder: Path) -> dict[str, Any]:
    with database.reading(folder) as history:
        values = history.execute(f"SELECT {', '.join(status.COLUMNS)} FROM status").fetchone()
    return dict(zip(status.COLUMNS, values, strict=True))


@pytest.mark.parametrize(("state", "pid"), [("running", 7), ("paused", 7), ("stopped", None), ("finished", None)])
def test_a_process_is_told_of_while_it_is_at_work_and_no_beat_of_the_future(good: Path, state: str, pid: Any) -> None:
    told = status.from_row(status_row(good) | {"state": state, "pid": 7, "heartbeat": time.time() + 3600})
    assert (told.state, told.pid, told.heartbeat_age_seconds) == (state, pid, 0.0)


def test_a_file_is_read_up_to_its_bound_and_damage_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"[1]")
    assert reading.read_json(tmp_path / "a.json", 3) == [1]
    with pytest.raises(RunError, match=r"^a\.json is larger than 2 bytes"):
        reading.read_json(tmp_path / "a.json", 2)
    (tmp_path / "a.json").write_bytes(b"[1")
    with pytest.raises(RunError, match=r"^a\.json is damaged: "):
        reading.read_json(tmp_path / "a.json", 3)


def test_a_status_that_no_worker_writes_is_refused_column_by_column(good: Path) -> None:
    row = status_row(good)
    status.check_row(row)
    moments = {"heartbeat", "watched"}
    wrong: dict[str, list[object]] = {"state": ["dreaming", None, 1], "message": [None, 3, "x" * 4001]}
    for name, declared in database.TABLES["status"].items():
        if name in row and declared.startswith("INTEGER"):
            wrong[name] = [-1, 1.5, "1", True, b"1"]
        elif name in row and declared.startswith("REAL"):
            wrong[name] = [-1.0, "1", math.nan, math.inf, *([reading.LAST_MOMENT] if name in moments else [])]
    assert wrong.keys() == row.keys()
    nothing = {name: None for name in row if name not in ("state", "message", "step", "epoch")}
    status.check_row(row | nothing)
    for name, refused in wrong.items():
        for value in refused:
            with pytest.raises(ValueError, match="status"):
                status.check_row(row | nothing | {name: value})


@pytest.mark.parametrize(
    "name", ["config.json", "vocabulary.json", "corpus.safetensors", checkpoints.NEWEST, "events.sqlite"]
)
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_whole_file_at_the_other_end_of_a_link_is_not_read_and_a_pipe_not_waited_for(
    good: Path, tmp_path: Path, name: str, kind: str
) -> None:
    folder = Path(shutil.copytree(good, tmp_path / "run"))
    for older in folder.glob("*-*.safetensors"):
        older.unlink()
    (folder / name).rename(tmp_path / name)
    if kind == "link":
        (folder / name).symlink_to(tmp_path / name)
    else:
        os.mkfifo(folder / name)

    def read_all() -> None:
        run = Run.open(folder)
        run.corpus()
        run.load_model()
        run.events()

    with pytest.raises(RunError, match=f"{name}.* is (a link|not a regular file)"):
        read_all()


@pytest.mark.parametrize(
    "text",
    [
        *("NaN", "[Infinity]", "1e999", "9" * 30, '{"a": 1, "a": 1}', '"\\ud800"', "[" * 40 + "]" * 40, "[" * 10**6),
        *("", "{", "\ufeff{}", "9" * 10**6),
    ],
)
def test_json_with_a_surprise_in_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        parse_json(text.encode())


def test_a_pipe_in_the_place_of_any_file_keeps_nobody_waiting(good: Path, tmp_path: Path) -> None:
    names = [path.name for path in good.iterdir()] + ["events.sqlite-wal", "events.sqlite-journal"]
    for name in names:
        folder = Path(shutil.copytree(good, tmp_path / f"run-{len(os.listdir(tmp_path))}"))
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
    shutil.copytree(good, tmp_path / "good")
    listed = list_runs(tmp_path)
    assert len(listed) == len(names) + 1
    assert [summary.error for summary in listed if summary.id == "good"] == [""]
    assert sum(bool(summary.error) for summary in listed) >= 4
    for summary in listed:
        for read in ("corpus", "metrics", "events", "status", "load_weights"):
            try:
                getattr(Run.open(summary.folder), read)()
            except RunError as error:
                assert "regular file" in str(error) or "no checkpoint" in str(error)  # noqa: PT017


def test_a_pipe_in_the_place_of_a_file_that_is_being_written_keeps_nobody_waiting(good: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(good, tmp_path / "run"))
    os.mkfifo(folder / "config.json.tmp")
    rename_run(folder, "other")
    assert Run.open(folder).config.name == "other"
    assert not (folder / "config.json.tmp").exists()


def test_a_folder_in_the_place_of_the_owner_is_nobody(good: Path, tmp_path: Path) -> None:
    (tmp_path / "owner").mkdir()
    assert hosting.owner_of(tmp_path) is None


@pytest.mark.parametrize("step", ["9" * 30, "-1", "1e3", "9" * 5000, ""])
def test_a_checkpoint_of_a_step_that_cannot_be_is_refused(good: Path, tmp_path: Path, step: str) -> None:
    folder = Path(shutil.copytree(good, tmp_path / "run"))
    run = Run.open(folder)
    path = folder / checkpoints.NEWEST
    arrays, metadata = tensors.read_tensors(path, checkpoint_specs(run.config))
    metadata.pop("sha256", None)
    path.write_bytes(b"".join(tensors.encode_tensors(arrays, {**metadata, "step": step})))
    assert checkpoints.step_of(path) is None
    assert run.load_weights().damaged


@pytest.mark.parametrize("state", ['{"training": 7}', '{"training": []}', "{}", '{"history": 7}'])
def test_a_checkpoint_whose_state_is_none_stops_a_resumption_with_a_sentence(
    good: Path, tmp_path: Path, state: str
) -> None:
    folder = Path(shutil.copytree(good, tmp_path / "run"))
    path = folder / checkpoints.NEWEST
    arrays, metadata = tensors.read_tensors(path, checkpoint_specs(Run.open(folder).config))
    metadata.pop("sha256", None)
    path.write_bytes(b"".join(tensors.encode_tensors(arrays, {**metadata, "state": state})))
    with pytest.raises(RunError, match="make no sense|makes no sense"):
        work(folder, steps=20)


def test_a_schema_that_is_no_text_is_a_damaged_history(good: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(good, tmp_path / "run"))
    path = folder / "events.sqlite"
    content = path.read_bytes()
    assert b"CREATE TABLE metrics" in content
    path.write_bytes(content.replace(b"CREATE TABLE metrics", b"CREATE T\xceBLE metrics"))
    for read in (Run.open(folder).status, lambda: work(folder, steps=20), Run.open(folder).watch):
        with pytest.raises(RunError, match=r"events\.sqlite"):
            read()
    (summary,) = list_runs(tmp_path)
    assert "events.sqlite" in summary.error
