"""A run as a zip archive: exported, and imported with no trust in who packed it.

<any name>/config.json, vocabulary.json, corpus.safetensors, events.sqlite, model.safetensors
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rnn_core.errors import RunError
from rnn_core.runs import checkpoints, database, run_config, snapshots
from rnn_core.runs.creation import staged
from rnn_core.runs.files import CHUNK_BYTES, PRIVATE
from rnn_core.runs.layout import CORPUS_FILE, VOCABULARY_FILE
from rnn_core.runs.reading import opened
from rnn_core.runs.run import Run

TEXT_FILES = (VOCABULARY_FILE, CORPUS_FILE)
REQUIRED = (run_config.FILE, database.FILE)
ACCEPTED = re.compile(
    "|".join(map(re.escape, (*REQUIRED, *TEXT_FILES)))
    + rf"|{re.escape(checkpoints.NEWEST)}|{checkpoints.OLDER.pattern}|{snapshots.FILE.pattern}"
)
IGNORED = ("lock", "worker.log", "owner")
"""Files that belong to one machine. `zip_run` leaves them out; an archive that was packed by hand may have them."""

MOST_FILES = 100
LIMIT_BYTES = 2 * 2**30  # of all files together, unpacked


def zip_run(folder: str | Path, file: IO[bytes]) -> None:
    """Write a run as a zip archive into `file`, also while it trains: settings, words, weights and a whole history.

    Only the run's own files are read, and no link is followed. Raises RunError.
    """
    run = Run.open(folder)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in (run_config.FILE, *(TEXT_FILES if run.config.task is None else ())):
            _pack(archive, run.folder / name, f"{run.id}/{name}")
        for path in checkpoints.candidates(run.folder)[:1]:
            _pack(archive, path, f"{run.id}/{checkpoints.NEWEST}", zipfile.ZIP_STORED)
        with tempfile.TemporaryDirectory() as temporary:
            copy = Path(temporary) / database.FILE
            database.copy_detached(run.folder, copy, "copied while it was being trained.")
            _pack(archive, copy, f"{run.id}/{database.FILE}")


def _pack(archive: zipfile.ZipFile, path: Path, name: str, method: int = zipfile.ZIP_DEFLATED) -> None:
    with opened(path) as descriptor:
        entry = zipfile.ZipInfo(name)
        entry.compress_type = method
        entry.external_attr = (stat.S_IFREG | PRIVATE) << 16
        entry.file_size = os.fstat(descriptor).st_size
        with open(descriptor, "rb", closefd=False) as source, archive.open(entry, "w") as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)


def import_run(file: str | Path | IO[bytes], folder: str | Path, limit_bytes: int = LIMIT_BYTES) -> Run:
    """Unpack a run that `zip_run` packed, into a new folder, which appears whole or not at all.

    Everything in it is read before it is taken: names, sizes and kinds of the files, settings, words, corpus, every
    set of weights, the whole history. Raises RunError, with what is wrong, where anything is.
    """
    with _archive(file) as archive:
        entries = _checked_entries(archive, limit_bytes)
        with staged(Path(folder)) as place:
            try:
                for name, entry in entries.items():
                    _unpack(archive, entry, place / name)
                _check_contents(place)
            except RunError as error:
                message = str(error).replace(f"{place}{os.sep}", "")
                raise RunError(f"this archive was not imported: {message}") from None
            os.close(os.open(place / "lock", os.O_WRONLY | os.O_CREAT, PRIVATE))
    return Run.open(folder)


@contextlib.contextmanager
def _archive(file: str | Path | IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """An open archive; inside the block zipfile's many errors become RunError."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except FileNotFoundError:
        raise RunError(f"{file} is missing.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise RunError(f"this is no zip archive of a run, or it is damaged ({error}).") from None


def _checked_entries(archive: zipfile.ZipFile, limit_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The files to unpack, by the names that they will have. Nothing is unpacked yet. Raises RunError."""
    entries: dict[str, zipfile.ZipInfo] = {}
    parents = set()
    files = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(files) > MOST_FILES:
        raise RunError(f"the archive has {len(files):,} files; a run has at most {MOST_FILES}.")
    for entry in files:
        parent, _, name = entry.filename.rpartition("/")
        parents.add(parent)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise RunError(f"the archive holds a link or a device ({entry.filename[:80]!r}); a run has plain files.")
        if name in IGNORED:
            continue
        if not ACCEPTED.fullmatch(name) or "/" in parent or "\\" in parent or parent in (".", "..") or len(parents) > 1:
            raise RunError(f"the archive holds {entry.filename[:80]!r}, which is no file of a run.")
        if name in entries:
            raise RunError(f"the archive holds {name} twice.")
        if entry.flag_bits & 1:
            raise RunError("the archive is encrypted; pack it without a password.")
        entries[name] = entry
    # A run on a task has no text. Whether this is one is checked with its contents.
    required = REQUIRED + (TEXT_FILES if any(name in entries for name in TEXT_FILES) else ())
    if missing := [name for name in required if name not in entries]:
        raise RunError(f"the archive is no run: it has no {missing[0]}.")
    size = sum(entry.file_size for entry in entries.values())
    if size > limit_bytes:
        raise RunError(
            f"the archive unpacks to {size / 2**20:,.0f} MB, and {limit_bytes / 2**20:,.0f} MB are allowed here."
        )
    return entries


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Unpack one file, at most as many bytes as its entry declares, so that a zip bomb cannot fill the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE)
    with open(descriptor, "wb") as target, archive.open(entry) as source:
        left = entry.file_size
        while chunk := source.read(CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise RunError(f"{path.name} is longer than the archive says.")
            target.write(chunk)
        if left:
            raise RunError(f"{path.name} is shorter than the archive says.")
        target.flush()
        os.fsync(descriptor)


def _check_contents(folder: Path) -> None:
    """Read everything that a page or a command could come to read. Raises RunError."""
    run = Run.open(folder)
    run.source()
    for step in snapshots.steps(folder):
        run.load_network(step)
    for path in checkpoints.candidates(folder):
        run.check_checkpoint(path)
    with database.writing(folder) as history:
        database.detach(history, "imported while it was being trained elsewhere.")
    run.status()
    run.events()
    run.metrics()
