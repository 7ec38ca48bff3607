"""Weights in one file: safetensors, with a checksum, and read with no trust in who wrote them.

The format (https://huggingface.co/docs/safetensors): 8 bytes with the header's length N, little-endian; N bytes of
JSON, `{name: {"dtype", "shape", "data_offsets"}, "__metadata__": {str: str}}`; then the bare numbers. It can hold no
code, unlike a pickle, and a reader knows from the header alone how many bytes must follow.

Our files are stricter than the format. What a file must contain follows from the run's settings, so the reader computes
the only table of names, types, shapes and offsets that it will accept and compares; nothing is allocated before the
file's size has been found right. A SHA-256 over the metadata and the numbers finds every flipped bit; numbers must be
finite.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnn_core.arrays import Array
from rnn_core.errors import CheckpointError
from rnn_core.runs import files
from rnn_core.runs.files import CHUNK_BYTES, PRIVATE
from rnn_core.runs.reading import opened
from rnn_core.runs.strict_json import parse_json

HEADER_LIMIT_BYTES = 256 * 1024

DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}

Arrays = Mapping[str, Array]


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
    """Name, type and shape of each array, as they are stored."""
    return {name: Spec(array.dtype.newbyteorder("<"), array.shape) for name, array in arrays.items()}


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


def write_tensors(path: Path, arrays: Arrays, metadata: Mapping[str, str], mode: int = PRIVATE) -> None:
    """Write a safetensors file whole or not at all. Raises OSError (the disk), CheckpointError (not finite)."""
    check_finite(path.name, arrays)
    files.atomic_write(path, encode_tensors(arrays, metadata), mode)


def read_tensors(path: Path, specs: Specs) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays and the metadata of a file that must hold exactly `specs`, as `write_tensors` lays them out.

    Time and memory are bounded by `specs`. Raises CheckpointError with what is wrong.
    """
    with opened(path, CheckpointError) as descriptor:
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
    with opened(path, CheckpointError) as descriptor:
        return _read_header(descriptor, path)[1]


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


def _bytes_of(array: Array) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def check_finite(file: str, arrays: Arrays) -> None:
    """Raises CheckpointError where an array holds an inf or a nan; `file` is what the message calls it."""
    for name, array in arrays.items():
        flat = array.reshape(-1)
        if flat.dtype.kind == "f" and not all(
            np.isfinite(flat[start : start + CHUNK_BYTES]).all() for start in range(0, flat.size, CHUNK_BYTES)
        ):
            raise CheckpointError(f"{file} holds numbers in {name!r} that are not finite.")
