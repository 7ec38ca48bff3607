"""A run as a zip archive."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
import zipfile
from pathlib import Path
from typing import IO

from rnn_core.runs import checkpoints, database
from rnn_core.runs.run import Run


def zip_run(folder: str | Path, file: IO[bytes]) -> None:
    """Write a run as a zip archive into `file`, also while it trains: settings, words, weights and a whole history."""
    run = Run.open(folder)
    archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, tempfile.TemporaryDirectory() as temporary:
        for name in ("config.json", "vocabulary.json", "corpus.safetensors"):
            archive.write(run.folder / name, f"{run.id}/{name}")
        for path in checkpoints.candidates(run.folder)[:1]:
            archive.write(path, f"{run.id}/{checkpoints.NEWEST}", zipfile.ZIP_STORED)
        copy = Path(temporary) / "events.sqlite"
        with database.reading(run.folder) as history, contextlib.closing(sqlite3.connect(copy)) as target:
            history.backup(target)
            if target.execute("SELECT state FROM status").fetchone()[0] in ("running", "paused"):
                target.execute("UPDATE status SET state = 'stopped', message = 'copied while it was being trained.'")
                target.commit()
        archive.write(copy, f"{run.id}/events.sqlite")
