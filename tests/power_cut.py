"""Cut the power at every moment of a training, in every way a file system allows, and recover from what is left.

A `Recorder` notes every system call of `rnn_core.runs.files` and every commit of SQLite while a training runs. Then
`crash_states` replays each prefix of that record as a disk may hold it after a power cut (Pillai et al. 2014, "All file
systems are not created equal"): what was fsynced is there; of the rest any part may be. Bytes that were written and not
fsynced may be missing, cut short or zeros; names that were made, changed or removed may or may not be so until their
folder is fsynced, in any combination; of SQLite's log everything behind the last commit with `synchronous = FULL` may
be missing, cut short or zeros.

    python tests/power_cut.py

prints how many states it recovered from, and exits with 1 if anything that was promised is lost or unreadable.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent))

from tiny_runs import differences, ending, tiny_run  # noqa: E402

from rnn_core.errors import UserError
from rnn_core.runs import Run, checkpoints, files, layout, locked, rename_run
from rnn_core.runs.stop_signals import StopSignals
from rnn_core.runs.worker import Limits, Worker, work

HISTORY, LOG = "events.sqlite", "events.sqlite-wal"
MOST_NAMES = 5  # so many changes of names that were not fsynced are combined in every way; of more, each prefix

# --- what is recorded -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Truncate:
    """A file was opened to be written anew."""

    file: int


@dataclass(frozen=True)
class Write:
    file: int
    data: bytes


@dataclass(frozen=True)
class Sync:
    """A file's bytes are on the disk."""

    file: int


@dataclass(frozen=True)
class Names:
    """In a folder names were made (-> a file or folder), or removed (-> None), at once."""

    folder: int
    changes: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True)
class SyncNames:
    """A folder's names are on the disk."""

    folder: int


@dataclass(frozen=True)
class Commit:
    """SQLite's files after a commit; `durable`: it waited for the disk."""

    folder: int
    database: bytes
    log: bytes
    durable: bool


@dataclass(frozen=True)
class Promise:
    """From here on the run exists (made), has a checkpoint of a step, is finished after a step, or has its new name."""

    kind: str
    step: int


Operation = Truncate | Write | Sync | Names | SyncNames | Commit | Promise


class Recorder(files.SystemCalls):
    """Stands in for `files.system` and notes what passes through. Files and folders are numbered as they appear."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.operations: list[Operation] = []
        self.numbers: dict[Path, int] = {root: 0}  # of what lies at a path now; 0 is the root
        self.count = 1
        self.descriptors: dict[int, int] = {}

    def number(self, path: Path) -> int:
        if path not in self.numbers:
            self.numbers[path] = self.count
            self.count += 1
        return self.numbers[path]

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:  # type: ignore[override]
        new = bool(flags & os.O_CREAT) and not path.exists()
        descriptor = os.open(path, flags, mode)
        if new:
            self.numbers.pop(path, None)
            self.operations.append(Names(self.number(path.parent), ((path.name, self.number(path)),)))
        elif flags & os.O_TRUNC:
            self.operations.append(Truncate(self.number(path)))
        self.descriptors[descriptor] = self.number(path)
        return descriptor

    def write(self, descriptor: int, data: Any) -> int:  # type: ignore[override]
        count = os.write(descriptor, data)
        self.operations.append(Write(self.descriptors[descriptor], bytes(data[:count])))
        return count

    def fsync(self, descriptor: int) -> None:  # type: ignore[override]
        number = self.descriptors[descriptor]
        folders = {self.number(path) for path in self.numbers if path.is_dir()}
        self.operations.append(SyncNames(number) if number in folders else Sync(number))

    def close(self, descriptor: int) -> None:  # type: ignore[override]
        del self.descriptors[descriptor]
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:  # type: ignore[override]
        os.replace(old, new)
        moved = self.number(old)
        self.operations.append(Names(self.number(old.parent), ((old.name, None), (new.name, moved))))
        for path in [path for path in self.numbers if path.is_relative_to(old)]:  # a folder with what is in it
            self.numbers[new / path.relative_to(old)] = self.numbers.pop(path)

    def unlink(self, path: Path) -> None:  # type: ignore[override]
        os.unlink(path)
        self.operations.append(Names(self.number(path.parent), ((path.name, None),)))

    def committed(self, database: Path, durable: bool) -> None:
        log = database.with_name(database.name + "-wal")
        self.operations.append(
            Commit(
                self.number(database.parent),
                database.read_bytes(),
                log.read_bytes() if log.exists() else b"",
                durable,
            )
        )

    def promise(self, kind: str, step: int = 0) -> None:
        self.operations.append(Promise(kind, step))


def recording_connection(recorder: Recorder) -> type[sqlite3.Connection]:
    """A connection to SQLite that tells the recorder of every commit, and what SQLite itself says of its durability."""

    class Connection(sqlite3.Connection):
        """As above."""

        def path(self) -> Path:
            return Path(super().execute("PRAGMA database_list").fetchone()[2])

        def told(self, before: int) -> None:
            if self.in_transaction or self.total_changes == before == self.noted:
                return
            self.noted = self.total_changes
            (synchronous,) = super().execute("PRAGMA synchronous").fetchone()
            recorder.committed(self.path(), durable=synchronous >= 2)

        noted = 0

        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            before = self.total_changes
            cursor = super().execute(*arguments)
            self.told(before)
            return cursor

        def executescript(self, script: str) -> sqlite3.Cursor:
            before = self.total_changes
            cursor = super().executescript(script)
            self.told(before)
            return cursor

        def close(self) -> None:
            path = self.path()
            super().close()  # The last connection moves the log into the database, and waits for the disk.
            recorder.committed(path, durable=True)

    return Connection


@contextmanager
def recorded(root: Path) -> Iterator[Recorder]:
    """Whatever is written below `root` inside the block is recorded."""
    recorder, connect = Recorder(root), sqlite3.connect
    connection = recording_connection(recorder)
    with (
        patch.object(files, "system", recorder),
        patch.object(sqlite3, "connect", lambda *args, **options: connect(*args, **options, factory=connection)),
    ):
        yield recorder


# --- what a disk may hold ---------------------------------------------------------------------------------------------


@dataclass
class File:
    """durable: what is on the disk for certain; pending: Truncate and Write since then."""

    durable: bytes = b""
    pending: list[Truncate | Write] = field(default_factory=list)

    def contents(self, pending: list[Truncate | Write]) -> bytes:
        data = self.durable
        for operation in pending:
            data = b"" if isinstance(operation, Truncate) else data + operation.data
        return data

    def possible(self) -> list[bytes]:
        """Some of what may be read: nothing of what is pending, all, all but the last, half of it, zeros for it."""
        whole = self.contents(self.pending)
        if not self.pending:
            return [whole]
        last = self.pending[-1]
        before = self.contents(self.pending[:-1])
        half = whole[: (len(before) + len(whole)) // 2]
        zeros = before + bytes(len(last.data)) if isinstance(last, Write) else before
        return list(dict.fromkeys([self.durable, whole, before, half, zeros]))


@dataclass
class Folder:
    """durable: the names on the disk for certain; pending: changes since then."""

    durable: dict[str, int] = field(default_factory=dict)
    pending: list[Names] = field(default_factory=list)

    def names(self, applied: tuple[Names, ...]) -> dict[str, int]:
        names = dict(self.durable)
        for name, number in (change for operation in applied for change in operation.changes):
            if number is None:
                names.pop(name, None)
            else:
                names[name] = number
        return names

    def possible(self) -> list[dict[str, int]]:
        """What may be in the folder: any of the pending changes, in their order."""
        if len(self.pending) <= MOST_NAMES:
            chosen = [
                applied
                for count in range(len(self.pending) + 1)
                for applied in itertools.combinations(self.pending, count)
            ]
        else:
            chosen = [tuple(self.pending[:count]) for count in range(len(self.pending) + 1)]
        distinct = {tuple(sorted(self.names(applied).items())): None for applied in chosen}
        return [dict(names) for names in distinct]


@dataclass
class History:
    """SQLite's two files: as they were at the last durable commit, and as they are."""

    database: bytes = b""
    durable_log: bytes = b""
    log: bytes = b""

    def commit(self, operation: Commit) -> None:
        if operation.database != self.database:
            assert operation.durable, "SQLite moves its log into the database only when both are on the disk"
        else:
            assert operation.log.startswith(self.durable_log), "a log only grows while the database stays as it is"
        self.database, self.log = operation.database, operation.log
        if operation.durable:
            self.durable_log = operation.log

    def possible(self) -> list[tuple[bytes, bytes]]:
        certain, whole = self.durable_log, self.log
        half = whole[: (len(certain) + len(whole)) // 2]
        zeros = certain + bytes(len(whole) - len(certain))
        return [(self.database, log) for log in dict.fromkeys([certain, whole, half, zeros])]


Folders = tuple[tuple[str, tuple[tuple[str, bytes], ...]], ...]
"""The folders below the root, by name, with their files."""


@dataclass(frozen=True)
class State:
    """A disk after a power cut, and what had been promised before."""

    folders: Folders
    promises: tuple[Promise, ...]
    after: int  # operations

    def write(self, root: Path) -> None:
        for folder, contents in self.folders:
            (root / folder).mkdir(parents=True)
            for name, data in contents:
                (root / folder / name).write_bytes(data)


class Disk:
    """What is on a disk for certain, and what may or may not be."""

    def __init__(self) -> None:
        self.files: dict[int, File] = {}
        self.folders: dict[int, Folder] = {0: Folder()}
        self.histories: dict[int, History] = {}

    def apply(self, operation: Operation) -> None:
        match operation:
            case Truncate(number) | Write(number):
                self.files.setdefault(number, File()).pending.append(operation)  # type: ignore[arg-type]
            case Sync(number):
                file = self.files[number]
                file.durable, file.pending = file.contents(file.pending), []
            case Names(number):
                self.folders.setdefault(number, Folder()).pending.append(operation)
            case SyncNames(number):
                folder = self.folders.setdefault(number, Folder())
                folder.durable, folder.pending = folder.names(tuple(folder.pending)), []
            case Commit(number):
                self.histories.setdefault(number, History()).commit(operation)

    def whole(self) -> Folders:
        """What is read without a power cut."""
        return self._with({number: folder.names(tuple(folder.pending)) for number, folder in self.folders.items()})

    def possible(self) -> Iterator[Folders]:
        """What may be read after a power cut: any names, with any log, and at most one file that is not whole."""
        numbers = list(self.folders)
        for chosen in itertools.product(*(self.folders[number].possible() for number in numbers)):
            names = dict(zip(numbers, chosen, strict=True))
            for history in itertools.product(*(history.possible() for history in self.histories.values())):
                yield self._with(names, histories=dict(zip(self.histories, history, strict=True)))
            for number, file in self.files.items():
                for data in file.possible() if file.pending else ():
                    yield self._with(names, files={number: data})

    def _with(
        self,
        names: dict[int, dict[str, int]],
        files: dict[int, bytes] | None = None,
        histories: dict[int, tuple[bytes, bytes]] | None = None,
    ) -> Folders:
        everything = {number: file.contents(file.pending) for number, file in self.files.items()} | (files or {})
        logs = {number: (history.database, history.log) for number, history in self.histories.items()}
        logs |= histories or {}
        found = []
        for name, number in sorted(names[0].items()):
            contents = {file: everything.get(of, b"") for file, of in names.get(number, {}).items()}
            database, log = logs.get(number, (b"", b""))
            contents |= {HISTORY: database} if database else {}
            contents |= {LOG: log} if log else {}
            found.append((name, tuple(sorted(contents.items()))))
        return tuple(found)


def crash_states(operations: list[Operation]) -> Iterator[State]:
    """Every distinct state of the disk that a power cut may leave, with the promises of that moment."""
    disk, promises, seen = Disk(), dict[str, Promise](), set()
    for done, operation in enumerate(operations, 1):
        disk.apply(operation)
        if isinstance(operation, Promise):
            promises[operation.kind] = operation
        for folders in disk.possible():
            state = (folders, tuple(promises.values()))
            if state not in seen:
                seen.add(state)
                yield State(*state, done)


# --- a training, and what must come back ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    operations: list[Operation]
    folder: str  # the name of the run's folder
    saved: dict[int, dict[str, Any]]  # the arrays of every checkpoint, by step
    undisturbed: dict[str, Any]  # the ending


def record_training(room: Path, steps: int = 9, longer: int = 12) -> Record:
    """A whole life: it is made, trained with a checkpoint after every second step, given a later end, and renamed."""
    root = room / "runs"
    root.mkdir()
    saved: dict[int, dict[str, Any]] = {}
    real_save = checkpoints.save

    def save(folder: Path, step: int, arrays: Any, state: Any, previous: int | None) -> None:
        saved[step] = {name: array.copy() for name, array in arrays.items()}
        real_save(folder, step, arrays, state, previous)
        recorder.promise("checkpoint", step)

    with recorded(root) as recorder, patch.object(checkpoints, "save", save):
        run = tiny_run(root / "run", steps=steps, horizon_every_seconds=0.0, validate_every=4)
        recorder.promise("made")
        _train(run.folder, None)
        recorder.promise("finished", steps)
        _train(run.folder, longer)
        recorder.promise("finished", longer)
        rename_run(run.folder, "renamed")
        recorder.promise("renamed")
    _check_complete(recorder, root)
    return Record(recorder.operations, "run", saved, ending(Run.open(root / "run")))


def _train(folder: Path, steps: int | None) -> None:
    """As `work` does it, but with commits and checkpoints at chosen steps instead of by the clock."""
    with locked(folder):
        worker = Worker(Run.open(folder), StopSignals(), Limits(), steps=steps)
        try:
            for _ in worker.steps():
                worker.next_poll = worker.writer.next_commit = 0.0
                worker.writer.next_checkpoint = float("inf") if worker.state.step % 2 else 0.0
        except StopIteration:
            pass


def _check_complete(recorder: Recorder, root: Path) -> None:
    """All that was recorded, replayed without a power cut, is what lies on the disk: nothing was written past us."""
    disk = Disk()
    for operation in recorder.operations:
        disk.apply(operation)
    folders = disk.whole()
    assert len(folders) == 1, "a folder came into being past `files.system`"
    ((name, contents),) = folders
    assert dict(contents) == {path.name: path.read_bytes() for path in (root / name).iterdir() if path.name != "lock"}


def faults_of(state: State, record: Record, room: Path) -> list[str]:
    """What is lost or unreadable in this state; [] where everything that was promised is there."""
    root = room / "crashed"
    root.mkdir()
    try:
        state.write(root)
        return list(_faults(root / record.folder, {promise.kind: promise.step for promise in state.promises}, record))
    finally:
        shutil.rmtree(root)


def _faults(folder: Path, promised: dict[str, int], record: Record) -> Iterator[str]:
    if not folder.exists():
        if "made" in promised:
            yield "lost: the run"
        return
    try:
        run = Run.open(folder)
        run.corpus()
        status, metrics, events = run.status(), run.metrics(), run.events()
        checkpoint = checkpoints.load_newest(folder, layout.checkpoint_specs(run.config))
        for step in run.moments():
            run.load_model(step)
    except UserError as error:
        yield f"unreadable: {error}"
        return
    step = 0 if checkpoint is None else checkpoint.step
    if step < promised.get("checkpoint", 0):
        yield f"lost: the checkpoint of step {promised['checkpoint']}; there is that of {step}"
    if status.checkpoint_step is not None and (checkpoint is None or step < status.checkpoint_step):
        yield f"lost: the history tells of a checkpoint of step {status.checkpoint_step}; there is that of {step}"
    if checkpoint is not None:
        if any((checkpoint.arrays[name] != array).any() for name, array in record.saved[step].items()):
            yield f"unreadable: the checkpoint of step {step} is not what was saved"
        if metrics["step"][:step].tolist() != list(range(1, step + 1)):
            yield f"lost: steps of the history before the checkpoint of step {step}"
        last_event = checkpoint.state["history"]["event_id"]
        if last_event and last_event not in [event["id"] for event in events]:
            yield f"lost: event {last_event} of the history before the checkpoint of step {step}"
    if status.step < promised.get("finished", 0) or ("finished" in promised and status.state not in ENDED):
        yield f"lost: that it was finished after step {promised['finished']}; it is {status}"
    if "renamed" in promised and run.config.name != "renamed":
        yield f"lost: the run's new name; it is {run.config.name!r}"
    whole = record.undisturbed["metrics"]
    for name, values in whole.items():
        if not (metrics[name] == values[: len(metrics[name])]).all():
            yield f"unreadable: {name} in the history is not what was recorded"


ENDED = ("finished", "running", "dead")  # the last two: it was resumed since


def faults_after_resuming(state: State, record: Record, room: Path, longer: int) -> list[str]:
    """What differs at the end from a training that was left in peace, if one goes on from this state."""
    root = room / "resumed"
    root.mkdir()
    try:
        state.write(root)
        folder = root / record.folder
        if not folder.exists():
            return []
        work(folder)  # to the end that it had then
        work(folder, steps=longer)
        return differences(ending(Run.open(folder)), record.undisturbed)
    finally:
        shutil.rmtree(root)


def main() -> int:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        record = record_training(room, 9, 12)
        states = list(crash_states(record.operations))
        faults = 0
        for number, state in enumerate(states):
            found = faults_of(state, record, room)
            if number % 10 == 0:
                found += faults_after_resuming(state, record, room, 12)
            faults += len(found)
            for fault in found:
                print(f"after {state.after} of {len(record.operations)} operations: {fault}")
        seconds = time.monotonic() - started
        print(f"{len(states)} states after a power cut, {faults} with something lost or unreadable; {seconds:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
