"""A visit to a run: somebody has a page open that shows it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

from dashboard.hosting import queue
from dashboard.hosting.owners import OWNER_FILE
from rnn_core.errors import UserError
from rnn_core.runs import Run

RECORD_SECONDS = 5.0
"""How often visits are written down, however many pages show the same run."""

_recorded: dict[Path, float] = {}
_lock = threading.Lock()


def record_visit(run: Run) -> None:
    """Somebody looks at this run: its training goes on, its place in the queue is kept, and its deletion is put off.

    Cheap enough to be called by every page at every look.
    """
    now = time.monotonic()
    with _lock:
        if now - _recorded.get(run.folder, -RECORD_SECONDS) < RECORD_SECONDS:
            return
        if len(_recorded) > 1000:
            _recorded.clear()
        _recorded[run.folder] = now
    with contextlib.suppress(OSError):
        os.utime(run.folder / OWNER_FILE, follow_symlinks=False)
    with contextlib.suppress(UserError):
        state = run.status().state
        if state == "queued":
            queue.refresh(run.folder.parent, run.id)
        elif state in ("running", "paused"):
            run.watch()
