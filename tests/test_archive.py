"""A run in a zip: out of one folder and into another, whoever packed it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sqlite3
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import differences, ending, tiny_run

from rnn_core.errors import RunError
from rnn_core.runs import Run, archive, checkpoints, import_run, layout, tensors, zip_run
from rnn_core.runs.worker import Limits, work


@pytest.fixture(scope="module")
def packed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tiny_run(tmp_path_factory.mktemp("packed") / "packed-run", epochs=2)
    work(run.folder, limits=Limits(steps=9))
    return run.folder


@pytest.fixture
def run(packed_run: Path, tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(packed_run, tmp_path / "packed-run"))


def packed(run: Run) -> io.BytesIO:
    buffer = io.BytesIO()
    zip_run(run.folder, buffer)
    return buffer


def modes(folder: Path) -> set[str]:
    return {oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()}


# --- out --------------------------------------------------------------------------------------------------------------


def test_an_imported_run_goes_on_bit_for_bit(run: Run, tmp_path: Path) -> None:
    copy = import_run(packed(run), tmp_path / "copy")
    assert copy.config == run.config
    assert differences(ending(copy), ending(run)) == []
    for folder in (copy.folder, run.folder):
        work(folder)
    assert differences(ending(copy), ending(run)) == []


@pytest.mark.parametrize("state", ["running", "paused", "queued"])
def test_a_copy_is_in_nobodys_hands(run: Run, state: str, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(run.folder / "events.sqlite")) as history:
        history.execute("UPDATE status SET state = ?, pid = 7, heartbeat = 1, watched = 1", (state,))
        history.execute("INSERT INTO requests (time, kind, payload) VALUES (1, 'stop', '{}')")
        history.commit()
    with zipfile.ZipFile(packed(run)) as unpacked:
        unpacked.extractall(tmp_path / "elsewhere")
    copy = Run.open(tmp_path / "elsewhere" / run.id)
    assert (copy.status().state, copy.status().pid) == ("stopped", None)
    assert "copied while it was being trained" in copy.status().message
    assert work(copy.folder).state == "finished"  # nobody's old request stops it


@pytest.mark.parametrize("name", ["config.json", "vocabulary.json", "corpus.safetensors", "model.safetensors"])
def test_a_link_in_a_run_is_never_packed(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes((run.folder / name).read_bytes())
    (run.folder / name).unlink()
    (run.folder / name).symlink_to(tmp_path / "secret")
    with pytest.raises(RunError, match="link"):
        packed(run)


def test_nothing_but_a_runs_own_files_is_packed(run: Run) -> None:
    (run.folder / "notes.txt").write_text("mine")
    shutil.copy(run.folder / "model.safetensors", run.folder / "weights-2.safetensors")
    names = sorted(name.partition("/")[2] for name in zipfile.ZipFile(packed(run)).namelist())
    assert names == ["config.json", "corpus.safetensors", "events.sqlite", "model.safetensors", "vocabulary.json"]


def test_whatever_a_run_writes_is_for_nobody_else_to_read(run: Run, tmp_path: Path) -> None:
    made = tiny_run(tmp_path / "made", steps=4, horizon_every_seconds=0.0)
    work(made.folder)
    (made.folder / "events.sqlite").unlink()
    work(made.folder, steps=6)
    copy = import_run(packed(run), tmp_path / "copy")
    for folder in (made.folder, copy.folder):
        assert modes(folder) == {"0o600"}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


# --- in ---------------------------------------------------------------------------------------------------------------


def repacked(run: Run, change: Callable[[dict[str, bytes]], object]) -> io.BytesIO:
    """The archive of a run with its files changed."""
    with zipfile.ZipFile(packed(run)) as source:
        files = {name: source.read(name) for name in source.namelist()}
    change(files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return buffer


def refused(file: io.BytesIO, tmp_path: Path, sentence: str, **limits: int) -> None:
    """Refused with this sentence, in one line, and nothing is left of it."""
    room = tmp_path / "room"
    room.mkdir()
    with pytest.raises(RunError, match=sentence) as error:
        import_run(file, room / "copy", **limits)
    assert "\n" not in str(error.value)
    assert ".new-run-" not in str(error.value)
    assert list(room.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"room", "packed-run"}


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/cron.d/evil",
        "packed-run/../../evil",
        "packed-run\\..\\evil",
        "packed-run/deep/config.json",
        "other/model.safetensors",
        "packed-run/evil.py",
        "packed-run/model-1.safetensors.tmp",
        "packed-run/events.sqlite-wal",
        "..\\..\\config.json",
    ],
)
def test_a_name_that_no_file_of_a_run_has_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    refused(repacked(run, lambda files: files.update({name: b"x"})), tmp_path, "is no file of a run")


def test_a_link_in_an_archive_is_refused(run: Run, tmp_path: Path) -> None:
    buffer = packed(run)
    with zipfile.ZipFile(buffer, "a") as target:
        entry = zipfile.ZipInfo(f"{run.id}/model-1.safetensors")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        target.writestr(entry, "/etc/passwd")
    refused(buffer, tmp_path, "holds a link")


def test_what_is_packed_unpacks_as_files_for_nobody_else_to_read(run: Run) -> None:
    packed = io.BytesIO()
    zip_run(run.folder, packed)
    with zipfile.ZipFile(packed) as archive:
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {stat.S_IFREG | 0o600}
        size = sum(entry.file_size for entry in archive.infolist())
    import_run(packed, run.folder.with_name("just-small-enough"), limit_bytes=size)
    with pytest.raises(RunError, match="are allowed here"):
        import_run(packed, run.folder.with_name("too-large"), limit_bytes=size - 1)


def test_a_bomb_is_refused_before_it_is_unpacked(run: Run, tmp_path: Path) -> None:
    bomb = repacked(run, lambda files: files.update({f"{run.id}/model-1.safetensors": bytes(30_000_000)}))
    assert len(bomb.getvalue()) < 200_000
    refused(bomb, tmp_path, "unpacks to", limit_bytes=10_000_000)


def test_a_bomb_that_lies_about_its_size_is_refused(run: Run, tmp_path: Path) -> None:
    bomb = repacked(run, lambda files: files.update({f"{run.id}/model-1.safetensors": bytes(3_000_000)}))
    size = (3_000_000).to_bytes(4, "little")
    content = bomb.getvalue()
    assert content.count(size) >= 2
    refused(io.BytesIO(content.replace(size, (1000).to_bytes(4, "little"))), tmp_path, "no zip archive|longer|shorter")


def test_a_run_of_a_newer_version_is_refused(run: Run, tmp_path: Path) -> None:
    def newer(files: dict[str, bytes]) -> None:
        name = f"{run.id}/config.json"
        files[name] = json.dumps({**json.loads(files[name]), "schema": 99}).encode()

    refused(repacked(run, newer), tmp_path, "made by a newer version")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(run: Run, tmp_path: Path, value: float) -> None:
    checkpoint = run.load_checkpoint()
    assert checkpoint is not None
    arrays = {
        name: np.full_like(array, value) if array.dtype.kind == "f" else array
        for name, array in checkpoint.arrays.items()
    }
    state = {"schema": "1", "step": "9", "state": json.dumps(checkpoint.state)}
    content = b"".join(tensors.encode_tensors(arrays, state))
    changed = repacked(run, lambda files: files.update({f"{run.id}/model.safetensors": content}))
    refused(changed, tmp_path, "that are not finite")


def test_words_of_another_run_are_refused(run: Run, tmp_path: Path) -> None:
    def swap(files: dict[str, bytes]) -> None:
        name = f"{run.id}/vocabulary.json"
        words = json.loads(files[name])
        words["words"][3:] = reversed(words["words"][3:])
        files[name] = json.dumps(words).encode()

    refused(repacked(run, swap), tmp_path, "is not the word list")


@pytest.mark.parametrize("name", [*archive.REQUIRED, *archive.TEXT_FILES])
def test_a_run_without_one_of_its_files_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    refused(repacked(run, lambda files: files.pop(f"{run.id}/{name}")), tmp_path, f"it has no {name}")


@pytest.mark.parametrize("name", [*archive.REQUIRED, checkpoints.NEWEST])
@pytest.mark.parametrize("damage", ["empty", "cut", "junk"])
def test_a_damaged_file_is_named(run: Run, tmp_path: Path, name: str, damage: str) -> None:
    def spoil(files: dict[str, bytes]) -> None:
        whole = files[f"{run.id}/{name}"]
        files[f"{run.id}/{name}"] = {"empty": b"", "cut": whole[: len(whole) // 2], "junk": os.urandom(5000)}[damage]

    refused(repacked(run, spoil), tmp_path, name)


def test_a_history_with_a_trigger_is_refused(run: Run, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(run.folder / "events.sqlite")) as history:
        history.execute("CREATE TRIGGER evil AFTER UPDATE ON status BEGIN DELETE FROM metrics; END")
        history.commit()
    content = (run.folder / "events.sqlite").read_bytes()
    shutil.rmtree(run.folder)
    whole = tiny_run(run.folder, epochs=2)
    changed = repacked(whole, lambda files: files.update({f"{whole.id}/events.sqlite": content}))
    refused(changed, tmp_path, "holds a view or a trigger")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip", bytes(1000)])
def test_what_is_no_archive_is_refused(run: Run, tmp_path: Path, content: bytes) -> None:
    refused(io.BytesIO(content), tmp_path, "no zip archive of a run")


def test_a_folder_packed_by_hand_is_taken_without_what_is_of_its_place_alone(run: Run, tmp_path: Path) -> None:
    (run.folder / "owner").write_text("somebody")
    (run.folder / "worker.log").write_text("a line")
    file = shutil.make_archive(str(tmp_path / "by-hand"), "zip", run.folder.parent, run.id)
    copy = import_run(file, tmp_path / "copy")
    assert not (copy.folder / "owner").exists()
    assert copy.load_weights().step == run.load_weights().step


def test_an_archive_is_never_unpacked_over_something(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds a run already"):
        import_run(packed(run), run.folder)


def test_the_names_that_are_taken_are_those_of_a_run() -> None:
    assert layout.VOCABULARY_FILE in archive.TEXT_FILES
    assert archive.ACCEPTED.fullmatch("weights-12.safetensors")
    assert not archive.ACCEPTED.fullmatch("weights-12.safetensors.tmp")
