"""Threads that share one matrix product or one update, with BLAS held to one thread in each of them.

BLAS's own threads lose on the matrix products of a small recurrent network: the products are too short to share, and
the threads of two libraries compete for the same cores. So the work is cut one level higher, here. The environment
variable `RNN_CORE_THREADS` sets the number of threads; several trainings at once set it to share the machine.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from queue import SimpleQueue
from threading import Event, Lock, Thread, local

import numpy as np
from threadpoolctl import ThreadpoolController

from rnn_core.arrays import Array

# Floating-point operations below which waking another thread costs more than it saves. (It starts 0.05 ms late where
# its core is awake, and up to 0.4 ms in a virtual machine whose idle core must be woken first.)
WORTH_A_THREAD = 60_000_000

# Numbers, times passes over them, that an element-wise update must touch before another thread is worth waking.
NUMBERS_WORTH_A_THREAD = 6_000_000
# Numbers in a block that an update passes over several times: few enough for the block and the arrays beside it to
# stay in the cache, and so many that the threads seldom compete for Python's global lock between two calls.
CACHED_NUMBERS = 128 * 1024


@cache
def usable_cores() -> int:
    """Cores this process may run on: its affinity mask and its container's CPU quota, not what the machine has."""
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
        pass  # No cgroup v2, so no quota.
    return max(1, cores)


_limits = local()


def thread_count() -> int:
    """Threads to compute with: `RNN_CORE_THREADS` where it is set to a positive number, else `usable_cores()`; no more
    than `limited_threads` allows here.
    """
    requested = os.environ.get("RNN_CORE_THREADS", "")
    count = int(requested) if requested.isdigit() and int(requested) > 0 else usable_cores()
    return min(count, getattr(_limits, "threads", count))


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Within this block the calling thread computes with at most this many threads: the other cores are taken."""
    before = dict(vars(_limits))
    _limits.threads = threads
    try:
        yield
    finally:
        vars(_limits).clear()
        vars(_limits).update(before)


def threads_for(operations: int) -> int:
    """How many threads to share this many floating-point operations among: 1 where they are done before a second
    thread has started.
    """
    return thread_count() if operations >= WORTH_A_THREAD else 1


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


class _BlasLimit:
    """BLAS's number of threads belongs to the whole process: the first to enter sets it to one, the last to leave sets
    it back. (If each entry saved and restored it, two that overlap could leave it at one for good.)
    """

    def __init__(self) -> None:
        self._lock, self._users = Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._limit = _blas().limit(limits=1, user_api="blas")

    def __exit__(self, *problem: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._limit.restore_original_limits()


_blas_limit = _BlasLimit()


def one_blas_thread() -> AbstractContextManager[object]:
    """Within this block BLAS computes on the calling thread alone."""
    return _blas_limit


# Not a `concurrent.futures` pool: to hand over work and learn of its end takes 0.06 ms instead of 0.09, where a
# training step takes from 1 to 50.
@cache
def _tasks(workers: int) -> SimpleQueue[Callable[[], None]]:
    """The queue from which so many threads take their work."""
    tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
    for _ in range(workers):
        Thread(target=_run_tasks, args=(tasks,), name="rnn_core", daemon=True).start()
    return tasks


def _run_tasks(tasks: SimpleQueue[Callable[[], None]]) -> None:
    while True:
        tasks.get()()


# One caller at a time has the threads. If two had some of them each, both could wait for events that never come.
_one_caller = Lock()


def _forget_threads() -> None:
    global _one_caller
    _one_caller = Lock()
    _tasks.cache_clear()


if hasattr(os, "register_at_fork"):
    # Threads do not survive a fork: a child that computes makes its own.
    os.register_at_fork(after_in_child=_forget_threads)


def run_parallel(work: Callable[[int], None], threads: int, awaited: Iterable[Event] = ()) -> None:
    """Call work(0), ..., work(threads - 1) at the same time, the first on the calling thread, one BLAS thread in each.

    An exception in any of them is raised here once all have ended. `awaited` are the events by which they wait for each
    other: a failure sets them all, so that no thread waits for ever. `work` must not call this function again.
    """
    if threads == 1:
        work(0)
        return
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def stop_waiting() -> None:
        for event in awaited:
            event.set()

    def attempt(thread: int) -> None:
        try:
            # A new thread has NumPy's own error settings; overflow is found by looking at the loss, not by a warning.
            with np.errstate(all="ignore"):
                work(thread)
        except BaseException as failure:
            ended.put(failure)
            stop_waiting()
        else:
            ended.put(None)

    with _one_caller, one_blas_thread():
        try:
            for thread in range(1, threads):
                _tasks(threads - 1).put(partial(attempt, thread))
            attempt(0)
            failures = [failure for _ in range(threads) if (failure := ended.get()) is not None]
        except BaseException:  # Ctrl-C between the calls
            stop_waiting()
            raise
    if failures:
        raise failures[0]


def even_slice(count: int, number: int, parts: int) -> slice:
    """Slice number `number`, from 0, of 0 .. count - 1 cut into `parts` slices as equal as can be."""
    return slice(count * number // parts, count * (number + 1) // parts)


def matmul(left: Array, right: Array, out: Array | None = None) -> Array:
    """left (..., M, K) @ right (..., K, P) -> (..., M, P), as `numpy.matmul`; the threads share the M rows of a large
    product.
    """
    *_, count, columns = left.shape
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    shape = (*stack, count, right.shape[-1])
    out = np.empty(shape, np.result_type(left, right)) if out is None else out
    threads = min(threads_for(2 * math.prod(shape) * columns), max(1, count))

    def work(thread: int) -> None:
        rows = even_slice(count, thread, threads)
        np.matmul(left[..., rows, :], right, out=out[..., rows, :])

    run_parallel(work, threads)
    return out


def for_row_blocks(array: Array, work: Callable[[slice], None], passes: int = 1) -> None:
    """Call work(rows) for blocks of rows of `array` that fit the cache, shared among the threads.

    For updates whose speed is that of the memory; `passes`: about how often the work touches each number.
    """
    row = array[0].size if len(array) else 1
    rows_per_block = max(1, CACHED_NUMBERS // row)
    blocks = -(-len(array) // rows_per_block)
    threads = min(thread_count() if passes * array.size >= NUMBERS_WORTH_A_THREAD else 1, max(1, blocks))

    def blocks_of(thread: int) -> None:
        own = even_slice(blocks, thread, threads)
        for block in range(own.start, own.stop):
            work(slice(block * rows_per_block, (block + 1) * rows_per_block))

    run_parallel(blocks_of, threads)
