"""How many cores this process may use, a small pool of threads on them, and BLAS held to one thread inside.

Matrix products of a small recurrent network lose by BLAS's own threads: they are too short to share, and the threads of
two libraries fight for the same cores. So the work is cut one level higher, into blocks of rows that know nothing of
each other. `RNN_CORE_THREADS` overrides the number; several trainings at once set it to share the machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Result = TypeVar("Result")


def usable_cores() -> int:
    """Cores this process may run on: its affinity mask and its container's CPU quota, not what the machine has; at
    least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass  # No cgroup v2 here: the affinity mask is all there is to know.
    return max(1, cores)


def thread_count() -> int:
    """Threads to compute with: `RNN_CORE_THREADS` where it is set to a positive number, else `usable_cores()`."""
    wish = os.environ.get("RNN_CORE_THREADS", "")
    return int(wish) if wish.isdigit() and int(wish) > 0 else usable_cores()


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="rnn_core")


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within this block BLAS computes on the calling thread alone."""
    with _blas().limit(limits=1, user_api="blas"):
        yield


def run_side_by_side(jobs: list[Callable[[], Result]]) -> list[Result]:
    """Run the jobs at the same time, the first on the calling thread; results in order. An exception of any job is
    raised.
    """
    if len(jobs) == 1:
        return [jobs[0]()]
    pool = _pool(len(jobs) - 1)
    others = [pool.submit(job) for job in jobs[1:]]
    return [jobs[0](), *(other.result() for other in others)]
