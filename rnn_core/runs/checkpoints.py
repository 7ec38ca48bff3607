"""Checkpoints of a run: everything a bit-exact continuation needs, the newest in `model.safetensors`, two before it.

Wherever a write is cut off, by a kill, a full disk or a power cut, the folder holds a whole checkpoint, and
`load_newest` finds the newest that is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnn_core.arrays import Array
from rnn_core.errors import CheckpointError
from rnn_core.runs import files
from rnn_core.runs.strict_json import parse_json
from rnn_core.runs.tensors import Arrays, Specs, check_finite, encode_tensors, read_metadata, read_tensors

SCHEMA = 1
NEWEST = "model.safetensors"
STEP = re.compile(r"[0-9]{1,18}")
OLDER = re.compile(rf"model-{STEP.pattern}\.safetensors")
KEEP_OLDER = 2


@dataclass(frozen=True)
class Checkpoint:
    """arrays: everything a bit-exact continuation needs; state: its counters, as JSON; rejected: newer files that were
    damaged, with the reason."""

    step: int
    arrays: dict[str, Array]
    state: dict[str, Any]
    path: Path
    rejected: tuple[str, ...] = ()


def save(folder: Path, step: int, arrays: Arrays, state: Mapping[str, Any], previous: int | None) -> None:
    """Write the newest checkpoint of a run, and keep the two before it.

    The newest so far, of step `previous`, becomes `model-<previous>.safetensors`; None: it is damaged, or there is
    none, and is overwritten. Wherever this is cut off, the folder holds a whole checkpoint. Raises OSError,
    CheckpointError.
    """
    check_finite(NEWEST, arrays)
    metadata = {"schema": str(SCHEMA), "step": str(step), "state": json.dumps(state, allow_nan=False)}
    newest = folder / NEWEST
    temporary = files.write_temporary(newest, encode_tensors(arrays, metadata))
    if previous is not None and previous != step:
        # Between these two renames there is no model.safetensors; a reader then takes the newest of the others.
        with contextlib.suppress(FileNotFoundError):
            files.system.rename(newest, older_path(folder, previous))
    files.system.rename(temporary, newest)
    files.fsync_folder(folder)
    # Where the training went on from an old checkpoint, files of later steps are of a future that it did not continue.
    older = [path for path in _older(folder) if _step_in_name(path) < step]
    for path in set(_older(folder)).difference(older[:KEEP_OLDER]):
        files.system.unlink(path)


def load_newest(folder: Path, specs: Specs) -> Checkpoint | None:
    """The newest checkpoint that is whole; None where there is no file at all.

    Raises CheckpointError where there are files and every one is damaged.
    """
    rejected: list[str] = []
    found = _identities(folder)
    for path, _ in found:
        try:
            checkpoint = load(path, specs)
        except CheckpointError as error:
            if _identities(folder) != found:
                # A training renamed them meanwhile (`save`): this one lies whole under its new name.
                return load_newest(folder, specs)
            rejected.append(str(error))
            continue
        return Checkpoint(checkpoint.step, checkpoint.arrays, checkpoint.state, path, tuple(rejected))
    if rejected:
        raise CheckpointError(
            f"no checkpoint of this run can be used ({' '.join(rejected)}) To start it again from the first step, "
            "delete its model*.safetensors files."
        )
    return None


def load(path: Path, specs: Specs) -> Checkpoint:
    """One checkpoint file. Raises CheckpointError."""
    arrays, metadata = read_tensors(path, specs)
    try:
        if int(metadata["schema"]) > SCHEMA:
            raise CheckpointError(f"{path.name} was written by a newer version of this program; update it first.")
        state = parse_json(metadata["state"].encode("utf-8"))
        step = _read_step(metadata["step"])
    except (KeyError, ValueError):
        raise CheckpointError(f"{path.name} is no checkpoint of a run: its metadata makes no sense.") from None
    if not isinstance(state, dict):
        raise CheckpointError(f"{path.name} is no checkpoint of a run: its metadata makes no sense.")
    return Checkpoint(step, arrays, state, path)


def _read_step(text: str) -> int:
    """A step as a file's name and SQLite have room for it. Raises ValueError."""
    if not STEP.fullmatch(text):
        raise ValueError
    return int(text)


def step_of(path: Path) -> int | None:
    """The step a checkpoint was written at, from its header alone; None if that cannot be read."""
    try:
        return _read_step(read_metadata(path).get("step", ""))
    except (CheckpointError, ValueError):
        return None


def older_path(folder: Path, step: int) -> Path:
    """Where the checkpoint of this step lies once there is a newer one."""
    return folder / f"model-{step}.safetensors"


def candidates(folder: Path) -> list[Path]:
    """Every checkpoint file, the newest first."""
    newest = folder / NEWEST
    return [path for path in [newest] if os.path.lexists(path)] + _older(folder)


def _identities(folder: Path) -> list[tuple[Path, int]]:
    """Each checkpoint file with the number of what lies there, which a rename moves along."""
    found = []
    for path in candidates(folder):
        with contextlib.suppress(FileNotFoundError):
            found.append((path, path.lstat().st_ino))
    return found


def _older(folder: Path) -> list[Path]:
    paths = [path for path in folder.glob("model-*.safetensors") if OLDER.fullmatch(path.name)]
    return sorted(paths, key=_step_in_name, reverse=True)


def _step_in_name(path: Path) -> int:
    return int(path.name[len("model-") : -len(".safetensors")])
