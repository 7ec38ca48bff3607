"""Weights on disk: safetensors, written whole or not at all, and read with no trust in who wrote them.

The format (https://huggingface.co/docs/safetensors): 8 bytes with the header's length N, little-endian; N bytes of
JSON, `{name: {"dtype", "shape", "data_offsets"}, "__metadata__": {str: str}}`; then the bare numbers. It can hold no
code, unlike a pickle, and a reader knows from the header alone how many bytes must follow.

Our files are stricter than the format. What a file must contain follows from the run's settings, so the reader computes
the only table of names, types, shapes and offsets that it will accept and compares; nothing is allocated before the
file's size has been found right. A SHA-256 over the metadata and the numbers finds every flipped bit; numbers must be
finite.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnn_core.errors import CheckpointError

SCHEMA = 1
NEWEST = "model.safetensors"
OLDER = re.compile(r"model-\d{1,18}\.safetensors")
KEEP_OLDER = 2
HEADER_LIMIT_BYTES = 256 * 1024
CHUNK_BYTES = 4 * 1024 * 1024

DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Spec:
    """What an array must be: its type and its shape."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        count = 1  # in Python's integers: a shape from a stranger's settings must not overflow
        for size in self.shape:
            count *= size
        return count * self.dtype.itemsize


Specs = Mapping[str, Spec]


def specs_of(arrays: Arrays) -> dict[str, Spec]:
    return {name: Spec(array.dtype.newbyteorder("<"), array.shape) for name, array in arrays.items()}


# --- JSON without surprises -------------------------------------------------------------------------------------------


def parse_json(data: bytes) -> Any:
    """JSON in UTF-8; ValueError for duplicate keys, NaN and infinities, and nesting too deep for Python."""

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise ValueError("a key stands twice in the same object")
        return result

    def no_constants(word: str) -> Any:
        raise ValueError(f"{word} is not a number in JSON")

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=no_duplicates, parse_constant=no_constants)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


# --- writing ----------------------------------------------------------------------------------------------------------


class SystemCalls:
    """Every system call of a write, in one place: a test can let each one fail, or kill the process around it."""

    open = staticmethod(os.open)
    write = staticmethod(os.write)
    fsync = staticmethod(os.fsync)
    close = staticmethod(os.close)
    rename = staticmethod(os.replace)
    unlink = staticmethod(os.unlink)


system = SystemCalls()


def sync_folder(folder: Path) -> None:
    """A rename is durable once the folder that holds the names is on the disk."""
    descriptor = system.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        system.fsync(descriptor)
    finally:
        system.close(descriptor)


def write_temporary(path: Path, chunks: Iterable[bytes | memoryview]) -> Path:
    """Write and fsync `<path>.tmp`, beside `path`, so that a rename can put it in place; a failure leaves nothing
    behind.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        descriptor = system.open(temporary, flags, 0o666)
        try:
            for chunk in chunks:
                rest = memoryview(chunk).cast("B")
                while rest:
                    rest = rest[system.write(descriptor, rest[:CHUNK_BYTES]) :]
            system.fsync(descriptor)
        finally:
            system.close(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            system.unlink(temporary)
        raise
    return temporary


def write_whole(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: afterwards the old contents are there, or the new, never a part. Raises OSError."""
    system.rename(write_temporary(path, [data]), path)
    sync_folder(path.parent)


def encode_tensors(arrays: Arrays, metadata: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file, without copying the arrays. Metadata gets a `sha256`; see `read_tensors`."""
    ordered = {name: np.asarray(arrays[name], order="C") for name in _order(specs_of(arrays))}
    digest = _metadata_digest(metadata)
    for array in ordered.values():
        digest.update(_bytes_of(array))
    header: dict[str, Any] = {"__metadata__": {**metadata, "sha256": digest.hexdigest()}}
    header |= _table(specs_of(ordered))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    text += b" " * (-len(text) % 8)  # The numbers begin at a multiple of 8, as the format asks.
    if len(text) > HEADER_LIMIT_BYTES:
        raise CheckpointError(f"the header would take {len(text)} bytes; at most {HEADER_LIMIT_BYTES} are allowed.")
    yield len(text).to_bytes(8, "little") + text
    for array in ordered.values():
        yield _bytes_of(array)


def write_tensors(path: Path, arrays: Arrays, metadata: Mapping[str, str]) -> None:
    """Write a safetensors file whole or not at all. Raises OSError (the disk), CheckpointError (not finite)."""
    check_finite(path.name, arrays)
    system.rename(write_temporary(path, encode_tensors(arrays, metadata)), path)
    sync_folder(path.parent)


# --- reading ----------------------------------------------------------------------------------------------------------


def read_tensors(path: Path, specs: Specs) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The arrays and the metadata of a file that must hold exactly `specs`, as `write_tensors` lays them out.

    Time and memory are bounded by `specs`. Raises CheckpointError with what is wrong.
    """
    with _opened(path) as descriptor:
        header, metadata, start = _read_header(descriptor, path)
        table = _table({name: specs[name] for name in _order(specs)})
        if json.dumps(header, sort_keys=True) != json.dumps(table, sort_keys=True):  # to JSON, 1 is not true
            raise CheckpointError(f"{path.name} {_difference(header, table)}.")
        expected_bytes = start + sum(spec.nbytes for spec in specs.values())
        actual_bytes = os.fstat(descriptor).st_size
        if actual_bytes != expected_bytes:
            raise CheckpointError(
                f"{path.name} has {actual_bytes} bytes where these settings need {expected_bytes}: it is cut short "
                "or does not belong to this run."
            )
        checksum = metadata.pop("sha256", None)
        digest = _metadata_digest(metadata)
        arrays = {}
        for name in _order(specs):
            arrays[name] = np.empty(specs[name].shape, specs[name].dtype)
            view = _bytes_of(arrays[name])
            while view:
                count = os.readv(descriptor, [view[:CHUNK_BYTES]])
                if count == 0:
                    raise CheckpointError(f"{path.name} is cut short.")
                digest.update(view[:count])
                view = view[count:]
        if digest.hexdigest() != checksum:
            raise CheckpointError(f"{path.name} is damaged: its checksum does not fit its contents.")
        check_finite(path.name, arrays)
    return arrays, metadata


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata alone, cheaply; the checksum is not verified. Raises CheckpointError."""
    with _opened(path) as descriptor:
        return _read_header(descriptor, path)[1]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A descriptor of a regular file: no link out of the folder, no pipe that would never answer."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise CheckpointError(f"{path.name} is missing.") from None
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be opened: {error.strerror}.") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CheckpointError(f"{path.name} is not a regular file.")
        yield descriptor
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror}.") from None
    finally:
        os.close(descriptor)


def _read_header(descriptor: int, path: Path) -> tuple[dict[str, Any], dict[str, str], int]:
    """The table of arrays, the metadata, and where the numbers begin."""
    size = os.fstat(descriptor).st_size
    length = int.from_bytes(os.read(descriptor, 8), "little")
    if not 2 <= length <= min(HEADER_LIMIT_BYTES, size - 8):
        raise CheckpointError(f"{path.name} is not a safetensors file of ours: its header has no sensible length.")
    try:
        header = parse_json(os.read(descriptor, length))
    except ValueError as error:
        raise CheckpointError(f"{path.name} has a header that cannot be read: {error}.") from None
    metadata = header.pop("__metadata__", None) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{path.name} is not a safetensors file of ours: its metadata is missing.")
    return header, metadata, 8 + length


def _order(specs: Specs) -> list[str]:
    """Wide types first, so that every array is aligned; then by name."""
    return sorted(specs, key=lambda name: (-specs[name].dtype.itemsize, name))


def _table(specs: Specs) -> dict[str, dict[str, Any]]:
    table, end = {}, 0
    for name, spec in specs.items():
        begin, end = end, end + spec.nbytes
        table[name] = {"dtype": NAMES[spec.dtype], "shape": list(spec.shape), "data_offsets": [begin, end]}
    return table


def _difference(header: dict[str, Any], table: dict[str, Any]) -> str:
    """The first thing in which a header differs from the only table that its settings allow."""
    if missing := sorted(table.keys() - header.keys()):
        return f"lacks the array {missing[0]!r}"
    if extra := sorted(header.keys() - table.keys()):
        return f"has an array {extra[0][:40]!r} that these settings do not have"
    name = next(
        name for name in table if json.dumps(header[name], sort_keys=True) != json.dumps(table[name], sort_keys=True)
    )
    found, wanted = header[name], table[name]
    if not isinstance(found, dict) or found.keys() != wanted.keys():
        return f"describes {name!r} in a way that is not safetensors"
    key = next(key for key in wanted if json.dumps(found[key]) != json.dumps(wanted[key]))
    return f"has {key} {str(found[key])[:60]} for {name!r} where these settings need {wanted[key]}"


def _metadata_digest(metadata: Mapping[str, str]) -> Any:
    """SHA-256 begun with the metadata: a checkpoint's counters matter as much as its weights."""
    return hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode("utf-8"))


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def check_finite(file: str, arrays: Arrays) -> None:
    """Raises CheckpointError where an array holds an inf or a nan; `file` is what the message calls it."""
    for name, array in arrays.items():
        flat = array.reshape(-1)
        if flat.dtype.kind == "f" and not all(
            np.isfinite(flat[start : start + CHUNK_BYTES]).all() for start in range(0, flat.size, CHUNK_BYTES)
        ):
            raise CheckpointError(f"{file} holds numbers in {name!r} that are not finite.")


# --- checkpoints of a run ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checkpoint:
    """arrays: everything a bit-exact continuation needs; state: its counters, as JSON; rejected: newer files that were
    damaged, with the reason."""

    step: int
    arrays: dict[str, NDArray[Any]]
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
    temporary = write_temporary(newest, encode_tensors(arrays, metadata))
    if previous is not None and previous != step:
        # Between these two renames there is no model.safetensors; a reader then takes the newest of the others.
        with contextlib.suppress(FileNotFoundError):
            system.rename(newest, older_path(folder, previous))
    system.rename(temporary, newest)
    sync_folder(folder)
    # After a fall back to an old checkpoint there may be files of later steps: of a future that did not happen.
    older = [path for path in _older(folder) if _step_in_name(path) < step]
    for path in set(_older(folder)).difference(older[:KEEP_OLDER]):
        system.unlink(path)


def load_newest(folder: Path, specs: Specs) -> Checkpoint | None:
    """The newest checkpoint that is whole; None where there is no file at all.

    Raises CheckpointError where there are files and every one is damaged.
    """
    rejected: list[str] = []
    for path in candidates(folder):
        try:
            checkpoint = load(path, specs)
        except CheckpointError as error:
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
        step = int(metadata["step"])
    except (KeyError, ValueError):
        raise CheckpointError(f"{path.name} is no checkpoint of a run: its metadata makes no sense.") from None
    if not isinstance(state, dict) or step < 0:
        raise CheckpointError(f"{path.name} is no checkpoint of a run: its metadata makes no sense.")
    return Checkpoint(step, arrays, state, path)


def step_of(path: Path) -> int | None:
    """The step a checkpoint was written at, from its header alone; None if that cannot be read."""
    try:
        return int(read_metadata(path).get("step", ""))
    except (CheckpointError, ValueError):
        return None


def older_path(folder: Path, step: int) -> Path:
    return folder / f"model-{step}.safetensors"


def candidates(folder: Path) -> list[Path]:
    """Every checkpoint file, the newest first."""
    newest = folder / NEWEST
    return [path for path in [newest] if os.path.lexists(path)] + _older(folder)


def _older(folder: Path) -> list[Path]:
    paths = [path for path in folder.glob("model-*.safetensors") if OLDER.fullmatch(path.name)]
    return sorted(paths, key=_step_in_name, reverse=True)


def _step_in_name(path: Path) -> int:
    return int(path.name[len("model-") : -len(".safetensors")])
