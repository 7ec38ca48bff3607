"""The lock of a run: held by the one process that may write it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from rnn_core.errors import RunError
from rnn_core.runs.files import PRIVATE
from rnn_core.runs.reading import disk_error


def worker_alive(folder: Path) -> bool:
    """Whether a process holds the run's lock. Exact at once after a kill: the kernel frees a dead process's locks."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[float]:
    """Hold a run's lock within the block; yields the time (unix seconds) just before it was taken.

    Raises RunError where another process has it, or the folder cannot be written.
    """
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, PRIVATE)
    except OSError as error:
        raise disk_error(error, folder) from error
    try:
        for attempt in range(40):
            before = time.time()
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            # A call of `worker_alive` holds the lock for microseconds, a worker for as long as it lives.
            time.sleep(0.005 * (attempt > 0))
        else:
            raise RunError("a training is at work on this run already; watch it, or stop it first.")
        yield before
    finally:
        os.close(descriptor)
