"""Whose run it is: whoever made it, known by a secret in a cookie. The run's folder holds only the secret's hash.

Who has nothing but the run's unguessable id, that is the link, is a guest: they may look, and no more.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from dashboard.hosting.caps import Caps
from dashboard.hosting.folder import exclusive, open_private, private_folder, run_folders
from rnn_core.errors import RunError
from rnn_core.runs import disk_error
from rnn_core.runs.reading import opened

OWNER_FILE = "owner"
"""In the run's folder."""

COOKIE = "see_bptt_visitor"

SECRET = re.compile(r"[0-9a-f]{64}")
"""What a visitor's cookie holds: 256 random bits."""


def owner_id(secret: str) -> str:
    """By what a run's folder knows the visitor with this secret: of no use to a reader. SHA-256, 64 hexadecimals."""
    return hashlib.sha256(f"see-bptt {secret}".encode()).hexdigest()


def set_owner(folder: Path, owner: str) -> None:
    """Let the run in `folder` belong to this visitor. Raises RunError where that cannot be written."""
    try:
        with open(open_private(folder / OWNER_FILE, os.O_WRONLY | os.O_TRUNC), "w", encoding="ascii") as file:
            file.write(owner)
    except OSError as error:
        raise disk_error(error, folder) from error


def owner_of(folder: Path) -> str | None:
    """The id of a run's owner; None for a run that nobody made on a hosted server: the host's own."""
    try:
        # A folder from a stranger may hold a link, a FIFO or another folder in the file's place.
        with opened(folder / OWNER_FILE) as descriptor:
            return os.read(descriptor, 64).decode("ascii", errors="replace")
    except RunError:
        return None


def runs_of(root: Path, owner: str) -> list[Path]:
    """The folders of a visitor's runs."""
    return [folder for folder in run_folders(root) if owner_of(folder) == owner]


@contextlib.contextmanager
def one_at_a_time(root: Path, owner: str) -> Iterator[None]:
    """A visitor's tabs make and start runs one after the other, so that what was counted still holds when it is made.

    Other visitors do not wait, but for one in 256. Raises RunError where the folder of runs cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive(private_folder(root) / f"visitors-{owner[:2]}.lock"))
        except OSError as error:
            raise disk_error(error, root) from error
        yield


def check_run_count(root: Path, owner: str, caps: Caps, more: int = 1) -> None:
    """Raises RunError where so many more are more runs than a visitor may have. Call it under `one_at_a_time`."""
    count = len(runs_of(root, owner))
    if count + more > caps.runs_per_visitor:
        raise RunError(
            f"you have {count} trainings here, and this server keeps {caps.runs_per_visitor} for one visitor. "
            "Delete one on the Runs page (download it first if you want to keep it)."
        )
