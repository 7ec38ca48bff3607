"""Visitors' runs that nobody used for days are deleted, and the longest unused ones sooner where space runs out."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from dashboard.hosting import queue
from dashboard.hosting.caps import Caps
from dashboard.hosting.folder import run_folders
from dashboard.hosting.owners import OWNER_FILE, owner_of
from rnn_core.errors import UserError
from rnn_core.runs import delete_run

STAGING = ".new-run-"
"""How a folder is called while `create_run` fills it."""

STAGING_SECONDS = 3600.0

CLOCK_JUMP_SECONDS = 3600.0
"""By how much the date may run ahead of the time that passed before it counts as set by somebody."""

_last_sweep: dict[Path, tuple[float, float]] = {}
"""Of a folder of runs: (unix seconds, monotonic seconds)."""


def sweep(root: Path, caps: Caps) -> list[str]:
    """Delete visitors' runs that nobody used for `caps.days`, and the longest unused ones where all together take more
    than `caps.total_megabytes`. Returns their ids. A run at work, in the queue, or without an owner is left alone.
    """
    now = time.time()
    owned = [folder for folder in run_folders(root) if owner_of(folder) is not None]
    if _clock_was_set(root):
        # By the new date every run may look unused for years; since when it really is is unknown, so count it from now.
        for folder in owned:
            with contextlib.suppress(OSError):
                os.utime(folder / OWNER_FILE, (now, now), follow_symlinks=False)
    queued = queue.runs_in_queue(root)
    entries = []
    total = 0
    for folder in owned:
        size, used = _size_and_use(folder)
        total += size
        if folder.name not in queued:
            entries.append((used, size, folder))
    swept = []
    for used, size, folder in sorted(entries):
        if now - used < caps.days * 86400 and total <= caps.total_megabytes * 10**6:
            break
        with contextlib.suppress(UserError):  # at work, or gone already
            delete_run(folder)
            swept.append(folder.name)
            total -= size
    for folder in root.glob(f"{STAGING}*"):  # of a server that died while it made a run
        with contextlib.suppress(OSError):
            if now - folder.stat().st_mtime > STAGING_SECONDS and not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)
    return swept


def _clock_was_set(root: Path) -> bool:
    """Whether the machine's date has jumped ahead since the sweep before."""
    date, passed = time.time(), time.monotonic()
    date_before, passed_before = _last_sweep.get(root, (date, passed))
    _last_sweep[root] = date, passed
    return (date - date_before) - (passed - passed_before) > CLOCK_JUMP_SECONDS


def _size_and_use(folder: Path) -> tuple[int, float]:
    """(bytes, unix seconds of the last training of a run or visit to it)."""
    size, used = 0, 0.0
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            facts = entry.stat(follow_symlinks=False)
            # SQLite makes these two anew for whoever reads the history: that alone is no visit.
            if not entry.name.endswith(("-wal", "-shm")):
                size, used = size + facts.st_size, max(used, facts.st_mtime)
    return size, used
