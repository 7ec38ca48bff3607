"""Arrays in memory that several processes share."""

from __future__ import annotations

import math
import os
import tempfile
import weakref
from mmap import mmap

import numpy as np
from numpy.typing import DTypeLike

from rnn_core.arrays import Array

ALIGNMENT = 64  # bytes: a cache line


class SharedBuffers:
    """`sets` sets of arrays of these names and shapes, in the memory behind the file descriptor `file`.

    The memory has no name and is gone with the last process that holds it, however that ends. (The segments of
    `multiprocessing.shared_memory` have names, which outlive a killed process, and lie in /dev/shm, which containers
    commonly keep at 64 MB.) Raises OSError where there is no memory left.
    """

    def __init__(
        self, shapes: dict[str, tuple[int, ...]], dtype: DTypeLike, sets: int, file: int | None = None
    ) -> None:
        self.shapes, self.dtype, self.sets = shapes, np.dtype(dtype), sets
        self.offsets: dict[str, int] = {}
        self.bytes_per_set = 0
        for name, shape in shapes.items():
            self.offsets[name] = self.bytes_per_set
            self.bytes_per_set += -(-math.prod(shape) * self.dtype.itemsize // ALIGNMENT) * ALIGNMENT
        size = sets * self.bytes_per_set
        self.file = _anonymous_file(size) if file is None else file
        self.memory = mmap(self.file, size)
        weakref.finalize(self, os.close, self.file)  # The arrays keep the memory itself.

    def arrays(self, number: int) -> dict[str, Array]:
        """The arrays of set `number`, from 0."""
        start = number * self.bytes_per_set
        return {
            name: np.ndarray(shape, self.dtype, self.memory, start + self.offsets[name])
            for name, shape in self.shapes.items()
        }


def _anonymous_file(size: int) -> int:
    """In memory where the system has such files (Linux), else a temporary file that has lost its name."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("rnn_core")
    else:
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    os.ftruncate(file, size)
    return file
