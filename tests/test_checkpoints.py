"""Weights on disk: whole or not at all, and no file can harm who reads it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_runs import tiny_run
from waiting import HANG_SECONDS

from rnn_core.errors import CheckpointError, RunError
from rnn_core.runs import Run, checkpoints, files
from rnn_core.runs.checkpoints import load_newest, save
from rnn_core.runs.reading import check_regular, disk_error
from rnn_core.runs.tensors import Spec, encode_tensors, read_tensors, specs_of, write_tensors
from rnn_core.runs.worker import work

ARRAYS = {
    "W": np.arange(6, dtype=np.float32).reshape(2, 3),
    "count": np.array(7),
    "b": np.array([0.5, -0.25], np.float32),
}
SPECS = specs_of(ARRAYS)


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one
    )


# --- a file -----------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    write_tensors(tmp_path / "file", ARRAYS, {"note": "hello"})
    arrays, metadata = read_tensors(tmp_path / "file", SPECS)
    assert equal(arrays, ARRAYS)
    assert metadata == {"note": "hello"}


def test_the_safetensors_library_reads_our_files(tmp_path: Path) -> None:
    write_tensors(tmp_path / "file", ARRAYS, {"format": "np"})
    assert equal(safetensors.numpy.load_file(tmp_path / "file"), ARRAYS)


def test_a_file_without_our_checksum_is_refused(tmp_path: Path) -> None:
    ordered = {name: ARRAYS[name] for name in ("count", "W", "b")}
    safetensors.numpy.save_file(ordered, tmp_path / "file", {"note": "hello"})
    with pytest.raises(CheckpointError, match="checksum"):
        read_tensors(tmp_path / "file", SPECS)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_single_flipped_bit_anywhere_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("bits") / "file"
    write_tensors(path, ARRAYS, {"note": "hello"})
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        arrays, metadata = read_tensors(path, SPECS)
    except CheckpointError:
        return
    # Only bits that mean nothing may flip unnoticed: blanks of the header.
    assert equal(arrays, ARRAYS)
    assert metadata == {"note": "hello"}


@settings(max_examples=60, deadline=None)
@given(junk=st.binary(max_size=400))
def test_random_bytes_are_refused_in_words(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    path = tmp_path_factory.mktemp("junk") / "file"
    path.write_bytes(junk)
    with pytest.raises(CheckpointError):
        read_tensors(path, SPECS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_neither_written_nor_read(tmp_path: Path, value: float) -> None:
    bad = {**ARRAYS, "b": np.array([0.5, value], np.float32)}
    with pytest.raises(CheckpointError, match="not finite"):
        write_tensors(tmp_path / "file", bad, {})
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_bytes(b"".join(encode_tensors(bad, {})))
    with pytest.raises(CheckpointError, match="not finite"):
        read_tensors(tmp_path / "file", SPECS)


@pytest.mark.parametrize("call", ["open", "write", "fsync", "close", "rename"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    write_tensors(tmp_path / "file", ARRAYS, {})

    class Full(files.SystemCalls):
        pass

    def fail(*arguments: Any) -> Any:
        if call == "close":
            os.close(arguments[0])
        raise OSError(errno.ENOSPC, "No space left on device")

    setattr(Full, call, staticmethod(fail))
    monkeypatch.setattr(files, "system", Full())
    with pytest.raises(OSError, match="No space"):
        write_tensors(tmp_path / "file", {**ARRAYS, "count": np.array(8)}, {})
    monkeypatch.undo()
    assert equal(read_tensors(tmp_path / "file", SPECS)[0], ARRAYS)
    if call != "rename":
        assert [path.name for path in tmp_path.iterdir()] == ["file"]


# --- checkpoints of a run ---------------------------------------------------------------------------------------------


def save_steps(folder: Path, *steps: int) -> None:
    previous = None
    for step in steps:
        save(folder, step, {**ARRAYS, "count": np.array(step)}, {"step": step}, previous)
        previous = step


def test_the_newest_checkpoint_and_the_two_before_it_are_kept(tmp_path: Path) -> None:
    save_steps(tmp_path, 1, 2, 3, 4, 5)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["model-3.safetensors", "model-4.safetensors", "model.safetensors"]
    checkpoint = load_newest(tmp_path, SPECS)
    assert checkpoint is not None
    assert (checkpoint.step, checkpoint.state, checkpoint.rejected) == (5, {"step": 5}, ())


def test_a_second_checkpoint_of_the_same_step_replaces_the_first(tmp_path: Path) -> None:
    save_steps(tmp_path, 1, 2, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model-1.safetensors", "model.safetensors"]


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    save_steps(tmp_path, 1, 2, 3)
    newest = tmp_path / checkpoints.NEWEST
    newest.write_bytes(newest.read_bytes()[:-1])
    checkpoint = load_newest(tmp_path, SPECS)
    assert checkpoint is not None
    assert checkpoint.step == 2
    assert "cut short" in checkpoint.rejected[0]


def test_between_the_two_renames_of_a_checkpoint_the_one_before_is_read(tmp_path: Path) -> None:
    save_steps(tmp_path, 1, 2)
    os.rename(tmp_path / checkpoints.NEWEST, tmp_path / "model-2.safetensors")
    checkpoint = load_newest(tmp_path, SPECS)
    assert checkpoint is not None
    assert checkpoint.step == 2


def test_a_checkpoint_that_is_renamed_while_it_is_read_is_found_under_its_new_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_steps(tmp_path, 1)
    load = checkpoints.load

    def just_after_the_first_rename(path: Path, specs: dict[str, Spec]) -> checkpoints.Checkpoint:
        monkeypatch.setattr(checkpoints, "load", load)
        (tmp_path / "model.safetensors").rename(tmp_path / "model-1.safetensors")
        return load(path, specs)

    monkeypatch.setattr(checkpoints, "load", just_after_the_first_rename)
    found = load_newest(tmp_path, SPECS)
    assert found is not None
    assert (found.step, found.rejected) == (1, ())


def test_where_every_checkpoint_is_damaged_the_error_says_what_to_do(tmp_path: Path) -> None:
    save_steps(tmp_path, 1, 2)
    for path in tmp_path.iterdir():
        path.write_bytes(b"x")
    with pytest.raises(CheckpointError, match="delete its model"):
        load_newest(tmp_path, SPECS)


def test_older_checkpoints_are_ordered_by_their_steps_as_numbers(tmp_path: Path) -> None:
    for step in (9, 100, 10):
        checkpoints.older_path(tmp_path, step).touch()
    assert checkpoints.candidates(tmp_path) == [checkpoints.older_path(tmp_path, step) for step in (100, 10, 9)]


def test_a_checkpoint_of_a_newer_version_says_so(tmp_path: Path) -> None:
    arrays = {"W": np.zeros((2, 2), np.float32)}
    write_tensors(tmp_path / checkpoints.NEWEST, arrays, {"schema": "2", "step": "5", "state": "{}"})
    with pytest.raises(CheckpointError, match="newer version of this program"):
        checkpoints.load(tmp_path / checkpoints.NEWEST, specs_of(arrays))


def test_what_another_library_opens_is_a_file_or_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_regular(tmp_path / "file")
    check_regular(tmp_path / "none", missing_ok=True)
    for path, said in (("none", "none is missing."), ("file/x", "x cannot be opened: Not a directory.")):
        with pytest.raises(RunError, match=f"^{said}$"):
            check_regular(tmp_path / path)
    with pytest.raises(RunError, match="not a regular file"):
        check_regular(tmp_path)


def test_weights_that_say_no_step_are_no_checkpoint(tmp_path: Path) -> None:
    """Such as other programs write."""
    path = checkpoints.older_path(tmp_path, 5)
    safetensors.numpy.save_file({"W": np.zeros((2, 2), np.float32)}, path)
    assert checkpoints.step_of(path) is None
    safetensors.numpy.save_file({"W": np.zeros((2, 2), np.float32)}, path, {"step": "five"})
    assert checkpoints.step_of(path) is None


def test_what_the_system_says_of_a_disk_is_told_with_its_place(tmp_path: Path) -> None:
    assert str(disk_error(OSError(errno.EIO, "Input/output error", "a"), tmp_path)) == "a: Input/output error."
    assert str(disk_error(OSError("odd"), tmp_path)) == f"{tmp_path}: odd."
    for number, said in (
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EROFS, "make it"),
    ):
        assert said in str(disk_error(OSError(number, os.strerror(number)), tmp_path))


def test_a_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert load_newest(tmp_path, SPECS) is None


def test_checkpoints_of_a_future_that_did_not_happen_are_cleared_away(tmp_path: Path) -> None:
    save_steps(tmp_path, 10, 20, 30)
    # 30 and 20 were damaged, so the training went on from 10.
    save(tmp_path, 15, ARRAYS, {}, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model-10.safetensors", "model.safetensors"]


# --- hostile files ----------------------------------------------------------------------------------------------------

READ_ALL_UNDER_A_LIMIT = """
import resource, sys, time
from pathlib import Path
from rnn_core.errors import CheckpointError
from rnn_core.runs import Run
from rnn_core.runs.layout import checkpoint_specs
from rnn_core.runs import checkpoints

folder = Path(sys.argv[1])
specs = checkpoint_specs(Run.open(folder).config)
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 32 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sorted((folder / "hostile").iterdir()):
    started = time.process_time()  # of this process alone: others may be busy
    try:
        checkpoints.load(path, specs)
        verdict = "read"
    except CheckpointError as error:
        verdict = f"refused: {error}"
    except BaseException as error:
        verdict = f"{type(error).__name__}: {error}"
    print(f"{path.name}\\t{time.process_time() - started:.3f}\\t{verdict}")
"""


def split_file(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join_file(header: Any, data: bytes, sign: bool = True) -> bytes:
    """A file with this header; signed with a checksum that fits, as a stranger could do it."""
    if sign and isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        metadata = {key: value for key, value in header["__metadata__"].items() if key != "sha256"}
        digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode() + data).hexdigest()
        header = {**header, "__metadata__": {**metadata, "sha256": digest}}
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def hostile_files(good: bytes) -> dict[str, bytes]:
    header, data = split_file(good)
    names = [name for name in header if name != "__metadata__"]
    first, second = names[0], names[1]
    last = names[-1]

    def changed(change: Callable[[dict[str, Any]], None], data: bytes = data, sign: bool = True) -> bytes:
        copy = json.loads(json.dumps(header))
        change(copy)
        return join_file(copy, data, sign)

    def entry(name: str, **values: Any) -> Callable[[dict[str, Any]], None]:
        return lambda copy: copy[name].update(values)

    def metadata(**values: Any) -> Callable[[dict[str, Any]], None]:
        return lambda copy: copy["__metadata__"].update(values)

    text = json.dumps(header).encode()
    floats = bytearray(data)
    floats[-4:] = np.array([np.nan], np.float32).tobytes()
    twice = text.replace(f'"{last}":'.encode(), f'"{first}":'.encode(), 1)
    return {
        "empty": b"",
        "seven bytes": good[:7],
        "eight bytes": good[:8],
        "header length beyond the file": (2**63 - 1).to_bytes(8, "little") + good[8:],
        "header length of all ones": b"\xff" * 8 + good[8:],
        "header length zero": bytes(8) + good[8:],
        "header of 100 MB": (10**8).to_bytes(8, "little") + b" " * (10**8),
        "header of brackets": join_file(b"[" * 200_000, data),
        "header of open objects": join_file(b'{"a":' * 40_000, data),
        "header not JSON": join_file(b"hello, world", data),
        "header not UTF-8": join_file(b"\xff\xfe" * 20, data),
        "header a list": join_file([1, 2], data),
        "header a number of a million digits": join_file(b"1" * 200_000, data),
        "header with NaN": join_file(text.replace(b"[0,", b"[NaN,", 1).replace(b"[0, ", b"[NaN, ", 1), data),
        "the same array twice": join_file(twice, data),
        "metadata twice": join_file(text[:-1] + b', "__metadata__": {}}', data),
        "no metadata": join_file({name: header[name] for name in names}, data),
        "metadata of numbers": changed(metadata(step=3), sign=False),
        "an array missing": changed(lambda copy: copy.pop(last)),
        "an array too many": changed(lambda copy: copy.update(extra=copy[last])),
        "another type": changed(entry(last, dtype="F64")),
        "a type nobody knows": changed(entry(last, dtype="PICKLE")),
        "another shape": changed(entry(first, shape=[10**9, 10**9])),
        "a negative shape": changed(entry(last, shape=[-1])),
        "a shape that is true": changed(entry(last, shape=[True])),
        "a shape of floats": changed(entry(last, shape=[8.0])),
        "offsets swapped": changed(lambda copy: copy[first].update(data_offsets=header[second]["data_offsets"])),
        "offsets beyond the end": changed(entry(last, data_offsets=[0, 2**60])),
        "offsets backwards": changed(entry(last, data_offsets=[8, 0])),
        "offsets that overlap": changed(entry(last, data_offsets=header[names[-2]]["data_offsets"])),
        "offsets negative": changed(entry(last, data_offsets=[-8, 0])),
        "cut short": good[:-1],
        "cut in half": good[: len(good) // 2],
        "too long": good + b"x",
        "a sparse terabyte": b"",  # made by truncating, below
        "numbers changed": good[:-5] + bytes([good[-5] ^ 1]) + good[-4:],
        "checksum missing": changed(lambda copy: copy["__metadata__"].pop("sha256"), sign=False),
        "not finite, signed": join_file(header, bytes(floats)),
        "state not JSON": changed(metadata(state="[[")),
        "state a list": changed(metadata(state="[]")),
        "state nested deeply": changed(metadata(state="[" * 100_000)),
        "step not a number": changed(metadata(step="many")),
        "step negative": changed(metadata(step="-3")),
        "a schema of tomorrow": changed(metadata(schema="99")),
        "a pickle": b"\x80\x04\x95" + b"cos\nsystem\n(S'true'\ntR." * 20,
        "a zip": b"PK\x03\x04" + bytes(1000),
    }


@pytest.mark.process
def test_hostile_checkpoints_are_refused_within_a_second_under_a_memory_limit(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    tiny_run(folder, steps=1)
    work(folder)
    good = (folder / checkpoints.NEWEST).read_bytes()
    hostile = folder / "hostile"
    hostile.mkdir()
    files = hostile_files(good)
    assert len(files) >= 20
    for name, content in files.items():
        (hostile / name).write_bytes(content)
    with open(hostile / "a sparse terabyte", "r+b") as file:
        file.write(good)
        file.truncate(2**40)
    os.mkfifo(hostile / "a pipe")
    (hostile / "a link").symlink_to(folder / checkpoints.NEWEST)
    (hostile / "a folder").mkdir()
    (hostile / "~ the good one").write_bytes(good)
    result = subprocess.run(
        [sys.executable, "-c", READ_ALL_UNDER_A_LIMIT, str(folder)],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert len(lines) == len(files) + 4, result.stderr
    *refused, last = lines
    assert last[0] == "~ the good one"
    assert last[2] == "read", "the reader has to accept what is good"
    for name, seconds, verdict in refused:
        assert verdict.startswith("refused"), (name, verdict)
        assert float(seconds) < 1.0, (name, seconds)


def signed_with_counters(good: bytes, **counters: Any) -> bytes:
    header, data = split_file(good)
    state = json.loads(header["__metadata__"]["state"])
    state["training"].update(counters)
    header["__metadata__"]["state"] = json.dumps(state)
    return join_file(header, data)


@pytest.mark.parametrize(
    "counters",
    [
        {"position": 5},
        {"epoch": -2},
        {"step": "many"},
        {"step": True},
        {"valid_loss_nats": [1]},
        {"schedule": {}},
        {"schedule": {"rate": None, "last_loss": None}},
        {"schedule": {"rate": "fast", "last_loss": None}},
    ],
)
def test_counters_that_make_no_sense_are_refused_when_the_run_is_resumed(tmp_path: Path, counters: Any) -> None:
    tiny_run(tmp_path / "run", steps=2)
    work(tmp_path / "run")
    path = tmp_path / "run" / checkpoints.NEWEST
    path.write_bytes(signed_with_counters(path.read_bytes(), **counters))
    with pytest.raises(CheckpointError, match="makes no sense"):
        work(tmp_path / "run", steps=4)


def test_a_run_whose_settings_ask_for_a_giant_allocates_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    tiny_run(folder, steps=1)
    work(folder)
    config = json.loads((folder / "config.json").read_text())
    config["model"]["hidden_size"] = 10**7
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="hidden|shape"):
        Run.open(folder).load_model()


def test_a_resumed_run_says_which_checkpoint_it_had_to_skip(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    tiny_run(folder, steps=4)
    work(folder)
    shutil.copy(folder / checkpoints.NEWEST, folder / "model-3.safetensors")  # of step 4, under another name
    (folder / checkpoints.NEWEST).write_bytes(b"damaged")
    work(folder, steps=6)
    rejected = Run.open(folder).events(kinds=["checkpoint_rejected"])
    assert [event["used"] for event in rejected] == ["model-3.safetensors"]
    assert Run.open(folder).status().step == 6


def test_specs_count_in_integers_that_cannot_overflow() -> None:
    assert Spec(np.dtype("<f4"), (2**40, 2**40)).nbytes == 2**82
