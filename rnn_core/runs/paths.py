"""Names: of runs, and of the files that belong to one."""

from __future__ import annotations

import os
import re
import secrets
import time
from pathlib import Path

from rnn_core.errors import RunError

RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{2,63}")


# Files that belong to a run; whatever else lies in its folder is somebody's own.
OWN_FILES = re.compile(
    r"(config\.json|vocabulary\.json|corpus\.safetensors|(model(-\d{1,18})?|weights-\d{1,18})\.safetensors)(\.tmp)?"
    r"|events\.sqlite(-wal|-shm|-journal)?|lock|worker\.log|owner"
)


ROOT_VARIABLE = "SEE_BPTT_RUNS"


def runs_root() -> Path:
    """The folder that holds every run where none is named: $SEE_BPTT_RUNS, or ./runs."""
    return Path(os.environ.get(ROOT_VARIABLE) or "runs").absolute()


def new_run_id() -> str:
    """A name for a folder that nobody can guess: 80 random bits, after the day, so that folders sort by age."""
    return f"{time.strftime('%Y%m%d')}-{secrets.token_hex(10)}"


def run_folder(root: str | Path, run_id: str) -> Path:
    """The folder of the run `run_id`, which may come from a link: nothing but an id of ours gets to the file system.

    Raises RunError where there is no such run.
    """
    if not RUN_ID.fullmatch(run_id):
        raise RunError("this is not the name of a run; it has 3 to 64 small letters, digits and hyphens.")
    folder = Path(root) / run_id
    if folder.is_symlink() or not folder.is_dir():
        raise RunError("there is no such run; it may have been deleted.")
    return folder


def is_run(folder: Path) -> bool:
    """Whether this folder, which must not be a link, says that it is a run. Whether a good one, `Run.open` tells."""
    return not os.path.islink(folder) and os.path.lexists(folder / "config.json")


def places_of(folder: Path) -> set[Path]:
    """Where a path leads: as it is written, and with its links followed. Raises RunError for one that leads nowhere."""
    try:
        return {folder.absolute(), folder.resolve()}
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL character, a link to itself
        raise RunError(f"{folder} cannot be written: {getattr(error, 'strerror', None) or error}.") from None


def check_outside_of_runs(folder: Path) -> None:
    """Raises RunError for a place in the folder of a run, at any depth: it would be deleted with the run."""
    for place in places_of(folder):
        if any(map(is_run, place.parents)):
            raise RunError(f"{folder} lies in the folder of a run; choose one outside for this.")
