"""Freed memory stays with the process: the next training step wants it back.

A step allocates some megabytes and frees them. Where malloc hands them back to the system each time, the system clears
every page anew for the next step, which took a third of the time of a small LSTM.
"""

from __future__ import annotations

from functools import cache

import numpy as np

# glibc's DEFAULT_MMAP_THRESHOLD_MAX is 32 MiB, with the block's own header.
LARGEST_THAT_COUNTS = 31 * 2**20


@cache
def keep_freed_memory() -> None:
    """Once a process. glibc keeps up to twice the largest block that it has seen freed (mallopt(3), M_MMAP_THRESHOLD
    and M_TRIM_THRESHOLD): it is shown one, which is never touched. Other allocators take no notice.
    """
    np.empty(LARGEST_THAT_COUNTS, np.uint8)
