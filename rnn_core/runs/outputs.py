"""Where a command may write what somebody asked for: never over a run's own files."""

from __future__ import annotations

import os
from pathlib import Path

from rnn_core.errors import SettingsError
from rnn_core.runs.paths import OWN_FILES


def check_output_path(path: str | Path) -> Path:
    """The path, if a command may write a new file there. SettingsError, with what to do, for a folder, for a place in
    no folder, and for a file that belongs to a run, also where a link leads to it.
    """
    path = Path(path)
    try:
        places = (path.absolute(), path.resolve())
        if path.is_dir():
            inside = path / "exported.safetensors"
            better = f"{path}.safetensors" if _is_run(path) else inside
            raise SettingsError(f"{path} is a folder; give the name of a file, such as {better}.")
        if path.exists() and not path.is_file():
            raise SettingsError(f"{path} is no file but a device or a pipe; give the name of a file.")
        if not path.absolute().parent.is_dir():
            raise SettingsError(f"there is no folder {path.parent}; make it first, or choose another place.")
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL character, a link to itself
        raise SettingsError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.") from None
    for place in places:
        if OWN_FILES.fullmatch(place.name) and _is_run(place.parent):
            raise SettingsError(
                f"{path} belongs to the run in {place.parent}, which needs it; choose another name or another folder."
            )
    return path


def _is_run(folder: Path) -> bool:
    return os.path.lexists(folder / "config.json")
