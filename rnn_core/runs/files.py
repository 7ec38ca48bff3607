"""Every write to a run's folder, so that a crash or a power cut leaves old contents or new ones and never a part.

A file is written beside its place, fsynced, and renamed (POSIX: a rename is atomic). The fsync comes first because a
file system may write the name to the disk before the contents; the folder is fsynced last because until then the rename
itself may be lost. Only SQLite writes past this module; it does the same in its own way.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

CHUNK_BYTES = 4 * 1024 * 1024
PRIVATE = 0o600  # A run holds somebody's text: its files are for nobody else to read.


class SystemCalls:
    """Every system call of a write, in one place: a test can let each one fail, or kill the process around it."""

    open = staticmethod(os.open)
    write = staticmethod(os.write)
    fsync = staticmethod(os.fsync)
    close = staticmethod(os.close)
    rename = staticmethod(os.replace)
    unlink = staticmethod(os.unlink)


system = SystemCalls()


def fsync_folder(folder: Path) -> None:
    """A rename is durable once the folder that holds the names is on the disk."""
    descriptor = system.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        system.fsync(descriptor)
    finally:
        system.close(descriptor)


def write_temporary(path: Path, chunks: Iterable[bytes | memoryview], mode: int = PRIVATE) -> Path:
    """Write and fsync `<path>.tmp`, so that a rename can put it in place; a failure leaves nothing behind."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        # A new file, whatever lies there: one that a kill left, or a pipe that somebody put in its place, is removed.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            descriptor = system.open(temporary, flags, mode)
        except FileExistsError:
            system.unlink(temporary)
            descriptor = system.open(temporary, flags, mode)
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


def atomic_write(path: Path, chunks: Iterable[bytes | memoryview], mode: int = PRIVATE) -> None:
    """Replace `path` by these bytes: afterwards the old contents are there, or the new, never a part; once this has
    returned, the new ones, also after a power cut. Raises OSError.
    """
    system.rename(write_temporary(path, chunks, mode), path)
    fsync_folder(path.parent)
