"""Renaming, tagging, lengthening and deleting a run."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rnn_core.config import TrainingSettings, check
from rnn_core.errors import RunError
from rnn_core.runs.lock import locked
from rnn_core.runs.paths import OWN_FILES, is_run
from rnn_core.runs.reading import disk_error
from rnn_core.runs.run import Run
from rnn_core.runs.run_config import clean_name, clean_tags, write_config


def rename_run(folder: str | Path, name: str) -> None:
    """Give a run another name; its id, and links to it, stay."""
    _rewrite(Run.open(folder), name=clean_name(name))


def tag_run(folder: str | Path, tags: Iterable[str]) -> None:
    """Give a run these tags in the place of those that it had."""
    _rewrite(Run.open(folder), tags=clean_tags(tags))


def _rewrite(run: Run, **changed: Any) -> Run:
    """Write config.json with these fields changed -> the run with its new settings. Raises RunError."""
    config = dataclasses.replace(run.config, **changed)
    try:
        write_config(run.folder, config)
    except OSError as error:
        raise disk_error(error, run.folder) from error
    return Run(run.folder, config)


def lengthen_run(folder: str | Path, training: TrainingSettings) -> Run:
    """Store these settings, which have a later end, in a run; whoever resumes it trains until then.

    Raises RunError while a worker is at work on it, SettingsError for settings that do not go together.
    """
    run = Run.open(folder)
    check(run.config.model, training)
    with locked(run.folder):
        return _rewrite(run, training=training)


def delete_run(folder: str | Path) -> None:
    """Delete a run's own files, and its folder if nothing else is in it. Raises RunError while a worker is at work."""
    folder = Path(folder)
    if not is_run(folder):
        raise RunError("there is no such run; it may have been deleted already.")
    with locked(folder):
        try:
            # config.json first: without it the folder is no run, so that an interruption leaves no half of one.
            for path in [folder / "config.json", *folder.iterdir()]:
                if OWN_FILES.fullmatch(path.name) and (path.is_symlink() or not path.is_dir()):
                    path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                folder.rmdir()
        except OSError as error:
            raise disk_error(error, folder) from error
