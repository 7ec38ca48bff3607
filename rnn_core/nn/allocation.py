"""How arrays are allocated: freed memory is kept for the next step, and matrices begin at a cache line.

A training step allocates some megabytes and frees them. Where malloc returns them to the system each time, the system
clears every page anew for the next step, which took a third of the time of a small LSTM.

BLAS reads a matrix of a small product in place, 64 bytes at a time. Where the matrix does not begin at a cache line, as
three of four arrays do not, each read takes two lines, and a product of 32 rows with the recurrent matrix of 128 units
took half as long again.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from rnn_core.arrays import Array

CACHE_LINE = 64  # bytes: also the widest that a processor loads at once (AVX-512)

# glibc's DEFAULT_MMAP_THRESHOLD_MAX is 32 MiB, with the block's own header.
LARGEST_THAT_COUNTS = 31 * 2**20


@cache
def keep_freed_memory() -> None:
    """Make glibc keep freed memory, once a process: it keeps up to twice the largest block that it has seen freed
    (mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD), so one is allocated and freed here, without its pages being
    touched. On other allocators this has no effect.
    """
    np.empty(LARGEST_THAT_COUNTS, np.uint8)


def aligned_copy(array: Array) -> Array:
    """The same numbers, row by row, in memory that begins at a cache line."""
    memory = np.empty(array.nbytes + CACHE_LINE, np.uint8)
    start = -memory.__array_interface__["data"][0] % CACHE_LINE
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
