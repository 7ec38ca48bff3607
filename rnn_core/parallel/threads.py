"""How many cores this process may use, work shared among threads on them, and BLAS held to one thread inside.

Matrix products of a small recurrent network lose by BLAS's own threads: they are too short to share, and the threads of
two libraries fight for the same cores. So the work is cut one level higher. `RNN_CORE_THREADS` overrides the number of
threads; several trainings at once set it to share the machine.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from threading import Lock, Thread, local

import numpy as np
from threadpoolctl import ThreadpoolController

from rnn_core.arrays import Array

# Floating-point operations below which waking another thread costs more than it saves. (It comes 0.02 ms late where its
# core is awake, and up to 0.4 ms in a virtual machine whose idle core must be woken first.)
WORTH_A_THREAD = 60_000_000

# Numbers, times passes over them, that an element-wise update must touch before another thread is worth waking.
NUMBERS_WORTH_A_THREAD = 6_000_000
# Numbers of a block that an update passes over several times: few enough to stay in the cache with their companions,
# and so many that the threads seldom meet at Python's lock between two calls.
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
        pass  # No cgroup v2 here: the affinity mask is all there is to know.
    return max(1, cores)


_limits = local()


def thread_count() -> int:
    """Threads to compute with: `RNN_CORE_THREADS` where it is set to a positive number, else `usable_cores()`; no more
    than `limited_threads` allows here.
    """
    wish = os.environ.get("RNN_CORE_THREADS", "")
    count = int(wish) if wish.isdigit() and int(wish) > 0 else usable_cores()
    return min(count, getattr(_limits, "threads", count))


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Within this block the calling thread computes with so many threads at the most: other processes have the rest."""
    before = dict(vars(_limits))
    _limits.threads = threads
    try:
        yield
    finally:
        vars(_limits).clear()
        vars(_limits).update(before)


def threads_for(operations: int) -> int:
    """Threads that this much arithmetic deserves: 1 where it is over before another thread is awake."""
    return thread_count() if operations >= WORTH_A_THREAD else 1


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


class _BlasLimit:
    """BLAS's number of threads belongs to the whole process: the first who comes sets it to one, the last who leaves
    sets it back. (Each for himself, two at a time would leave it where the slower one found it: at one.)
    """

    def __init__(self) -> None:
        self._guard, self._users = Lock(), 0

    def __enter__(self) -> None:
        with self._guard:
            self._users += 1
            if self._users == 1:
                self._limit = _blas().limit(limits=1, user_api="blas")

    def __exit__(self, *problem: object) -> None:
        with self._guard:
            self._users -= 1
            if not self._users:
                self._limit.restore_original_limits()


_blas_limit = _BlasLimit()


def one_blas_thread() -> AbstractContextManager[object]:
    """Within this block BLAS computes on the calling thread alone."""
    return _blas_limit


class Meeting:
    """Where threads wait until all have come; several times in a row. `threading.Barrier` with a fifth of its latency.

    After `cancel`, nobody waits any more: a thread that failed must not keep the others.
    """

    def __init__(self, threads: int) -> None:
        self._threads, self._guard, self._waiting, self._cancelled = threads, Lock(), list[Lock](), False

    def wait(self) -> None:
        own = Lock()
        with self._guard:
            if self._cancelled:
                return
            if len(self._waiting) == self._threads - 1:
                self._release()
                return
            own.acquire()
            self._waiting.append(own)
        own.acquire()

    def cancel(self) -> None:
        with self._guard:
            self._cancelled = True
            self._release()

    def _release(self) -> None:
        for lock in self._waiting:
            lock.release()
        self._waiting = []


class _Helper:
    """A thread that waits for one piece of work after the other. Handing over is far quicker than through a queue."""

    def __init__(self) -> None:
        self._work: Callable[[], None] = _nothing
        self._given, self._done = Lock(), Lock()
        self._given.acquire()
        self._done.acquire()
        Thread(target=self._serve, name="rnn_core", daemon=True).start()

    def start(self, work: Callable[[], None]) -> None:
        self._work = work
        self._given.release()

    def join(self) -> None:
        """Wait for the end of the work. A Ctrl-C meanwhile is raised after it: a helper must not be left half-used."""
        interruption: BaseException | None = None
        while True:
            try:
                self._done.acquire()
                break
            except BaseException as raised:
                interruption = raised
        if interruption is not None:
            raise interruption

    def _serve(self) -> None:
        while True:
            self._given.acquire()
            self._work()
            self._work = _nothing  # What the work held on to, it lets go.
            self._done.release()


def _nothing() -> None:
    pass


class _Crew:
    """The helpers of this process, made when first needed. One caller at a time has them; others wait."""

    def __init__(self) -> None:
        self.free = Lock()
        self.helpers: list[_Helper] = []

    def of(self, count: int) -> list[_Helper]:
        while len(self.helpers) < count:
            self.helpers.append(_Helper())
        return self.helpers[:count]


_crew = _Crew()


def _new_crew() -> None:
    global _crew
    _crew = _Crew()


if hasattr(os, "register_at_fork"):
    # Threads do not survive a fork; a child that computes makes its own.
    os.register_at_fork(after_in_child=_new_crew)


def run_parallel(work: Callable[[int], None], threads: int, meeting: Meeting | None = None) -> None:
    """Call work(0), …, work(threads - 1) at the same time, the first on the calling thread, one BLAS thread in each.

    An exception in any of them is raised here, once all have ended. Work must not call this again.
    """
    if threads == 1:
        work(0)
        return
    failures: list[BaseException] = []

    def guarded(thread: int) -> None:
        try:
            # A new thread has NumPy's own error settings; overflow is found by looking at the loss, not by a warning.
            with np.errstate(all="ignore"):
                work(thread)
        except BaseException as failure:
            failures.append(failure)
            if meeting is not None:
                meeting.cancel()

    crew = _crew
    with crew.free, one_blas_thread():
        started: list[_Helper] = []
        try:
            for number, helper in enumerate(crew.of(threads - 1), start=1):
                started.append(helper)
                helper.start(partial(guarded, number))
            guarded(0)
        except BaseException:
            if meeting is not None:
                meeting.cancel()
            raise
        finally:
            for helper in started:
                helper.join()
    if failures:
        raise failures[0]


def even_slice(count: int, number: int, parts: int) -> slice:
    """The `number`-th, from 0, of `parts` parts of 0 .. count - 1 that are as equal as can be."""
    return slice(count * number // parts, count * (number + 1) // parts)


def matmul(left: Array, right: Array, out: Array | None = None) -> Array:
    """left (..., M, K) @ right (..., K, P) -> (..., M, P), as `numpy.matmul` has it; the threads share the M rows of a
    large product.
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
    """Call work(rows) for blocks of rows of `array` small enough to stay in the cache, shared among the threads.

    For updates that wait for memory; `passes` says about how often the work touches each number.
    """
    row = array[0].size if len(array) else 1
    rows_per_block = max(1, CACHED_NUMBERS // row)
    blocks = -(-len(array) // rows_per_block)
    threads = min(thread_count() if passes * array.size >= NUMBERS_WORTH_A_THREAD else 1, max(1, blocks))

    def share(thread: int) -> None:
        own = even_slice(blocks, thread, threads)
        for block in range(own.start, own.stop):
            work(slice(block * rows_per_block, (block + 1) * rows_per_block))

    run_parallel(share, threads)
