"""Where a command may write what somebody asked for: never over the files of a run, a sweep or an experiment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from rnn_core.errors import RunError, SettingsError
from rnn_core.runs.paths import OWN_FILES, check_outside_of_runs, places_of

KINDS = {
    "config.json": ("run", OWN_FILES),
    "sweep.json": ("sweep", re.compile(r"sweep\.json|stop|lock|worker\.log|owner")),
    "result.json": ("experiment", re.compile(r"result\.json|pid|lock|worker\.log")),
}
"""By the file that says what a folder is: what it is called, and which of its files belong to it."""


def check_output_path(path: str | Path) -> Path:
    """The path, if a command may write a new file there. SettingsError, with what to do, for a folder, for a place in
    no folder, and for a file that belongs to a run, a sweep or an experiment, also where a link leads to it.
    """
    path = Path(path)
    try:
        places = (path.absolute(), path.resolve())
        if path.is_dir():
            inside = path / "exported.safetensors"
            better = f"{path}.safetensors" if "config.json" in _markers(path) else inside
            raise SettingsError(f"{path} is a folder; give the name of a file, such as {better}.")
        if path.exists() and not path.is_file():
            raise SettingsError(f"{path} is no file but a device or a pipe; give the name of a file.")
        if not path.absolute().parent.is_dir():
            raise SettingsError(f"there is no folder {path.parent}; make it first, or choose another place.")
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL character, a link to itself
        raise SettingsError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.") from None
    for place in places:
        for kind, own in map(KINDS.__getitem__, _markers(place.parent)):
            if own.fullmatch(place.name):
                raise SettingsError(
                    f"{path} belongs to the {kind} in {place.parent}, which needs it; choose another name or another "
                    "folder."
                )
    return path


def check_output_folder(folder: Path, marker: str) -> None:
    """Raises RunError where a new folder of this kind may not be: in the folder of a run or at it, at the folder of
    another kind, or at something that is no path.

    `marker`: the file that says of which kind a folder is, `sweep.json` or `result.json`.
    """
    check_outside_of_runs(folder)
    for place in places_of(folder):
        for name in _markers(place):
            if name != marker:
                raise RunError(f"{folder} is the folder of a {KINDS[name][0]}; choose one of its own for this.")


def _markers(folder: Path) -> Iterator[str]:
    return (name for name in KINDS if os.path.lexists(folder / name))
