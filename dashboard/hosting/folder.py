"""The folder beside the runs in which hosted mode keeps its own files, for nobody's eyes but the server's."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from rnn_core.runs import RUN_ID

FOLDER = ".hosting"
"""No run's id begins with a dot."""


def private_folder(root: Path) -> Path:
    """The folder, made where it is missing. Raises OSError."""
    folder = root / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def open_private(path: Path, flags: int) -> int:
    """A file descriptor of a file that is the server's alone; nothing that a link leads to, and no waiting for a FIFO.
    Raises OSError.
    """
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of this file: one thread of one process at a time, and the kernel frees it if that dies."""
    descriptor = open_private(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """An open file that holds the lock for as long as anybody has it open; None where somebody else has it."""
    descriptor = open_private(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def run_folders(root: Path) -> list[Path]:
    """Every run's folder; nothing that only looks like one, and no link."""
    try:
        return [
            folder
            for folder in root.iterdir()
            if RUN_ID.fullmatch(folder.name) and not folder.is_symlink() and (folder / "config.json").exists()
        ]
    except OSError:
        return []
