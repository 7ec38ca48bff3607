"""How a page starts a process that outlives it: the command line, in a session of its own; its errors go to a file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dashboard.hosting.folder import open_private

LOG = "worker.log"
NICENESS = 5
"""How far the page goes before what it started: it stays quick, and a training alone still gets the whole machine."""


def start(
    folder: Path, arguments: Sequence[str], slot: int | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start `python -m rnn_core` with these arguments; what it says on standard error is in the folder's LOG.

    It inherits the file descriptor `slot`, and of the environment what is not given otherwise. Raises OSError.
    """
    with open(open_private(folder / LOG, os.O_WRONLY | os.O_TRUNC), "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "rnn_core", *arguments, "--nice", str(NICENESS)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            # A session of its own: Ctrl-C in the server's terminal ends the server, not what it has started.
            start_new_session=True,
            pass_fds=[] if slot is None else [slot],
            env={**os.environ, **(environment or {})},
        )
