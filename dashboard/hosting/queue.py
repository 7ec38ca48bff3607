"""The queue of trainings: at most so many at a time as there are slots; the others wait, by turns among visitors.

A slot is a file that the training's process keeps locked: the kernel frees it when that process ends, however it ends
and whoever else has died before. The queue is one small file beside the runs, so a restarted server, or a second one,
finds everybody in their place. It is written whole or not at all, and carries its own checksum: one that is damaged or
lost is rebuilt from the runs' folders, which say of themselves that they wait.

A place in the queue is kept by visits to the run's page.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dashboard.hosting.caps import Caps
from dashboard.hosting.folder import FOLDER, exclusive, open_private, private_folder, run_folders, try_lock
from dashboard.hosting.owners import owner_of
from rnn_core.errors import RunError, UserError
from rnn_core.runs import Run, disk_error, worker_alive

FILE = "queue.json"
LOCK = "queue.lock"

ABANDONED_SECONDS = 90.0
"""A place is lost when nobody has visited for so long. A browser's background tabs wake once a minute."""

PAUSED_SECONDS = 120.0
"""How long a paused training may keep its slot while others wait."""

STARTING_SECONDS = 15.0
"""A process that has not taken its run's lock by then never will."""


class QueuePosition(NamedTuple):
    """position 1 is next; of `waiting` in the queue, while `training` are at work."""

    position: int
    waiting: int
    training: int


@dataclass
class Ticket:
    """A run's place in the queue, or in a slot. All times are of `_clock`."""

    number: int  # a later ticket has a higher one
    run: str
    owner: str
    visited: float
    started: float | None = None
    paused: float | None = None  # since when it is known to stand still


def _clock() -> float:
    """Seconds since the machine began, the same for every process on it: nobody can set this clock."""
    return time.monotonic()


# --- what visitors do -------------------------------------------------------------------------------------------------


def enqueue(root: Path, run_id: str, owner: str, caps: Caps) -> None:
    """Put a run into the queue; nothing changes for one that waits there already. Raises RunError where the queue is
    full, or the visitor has enough in it.
    """
    with _changing(root) as tickets:
        if any(ticket.run == run_id and ticket.started is None for ticket in tickets):
            return
        # A ticket that has started is of this run's last training, which has ended, or it would not come here again.
        tickets[:] = [ticket for ticket in tickets if ticket.run != run_id]
        _check_room(tickets, owner, caps)
        tickets.append(Ticket(_next_number(tickets), run_id, owner, _clock()))


def check_room(root: Path, owner: str, caps: Caps) -> None:
    """Raises RunError where one more training of this visitor could not join the queue."""
    _check_room(read_tickets(root), owner, caps)


def _check_room(tickets: list[Ticket], owner: str, caps: Caps) -> None:
    own = sum(ticket.owner == owner for ticket in tickets)
    if own >= caps.trainings_per_visitor:
        raise RunError(
            f"{own} of your trainings are at work or in the queue, as many as one visitor may have here. "
            "Wait for one to end, or stop one."
        )
    waiting = sum(ticket.started is None for ticket in tickets)
    if waiting >= caps.waiting:
        raise RunError(f"{waiting} trainings are in the queue already. Come back in a while, or use your own machine.")


def leave(root: Path, run_id: str) -> None:
    """Give up a place."""
    with _changing(root) as tickets:
        tickets[:] = [ticket for ticket in tickets if ticket.run != run_id]


def refresh(root: Path, run_id: str) -> None:
    """Somebody still waits for this run."""
    with _changing(root) as tickets:
        for ticket in tickets:
            if ticket.run == run_id:
                ticket.visited = _clock()


def refresh_all(root: Path) -> None:
    """After a restart: whoever waited while no page could be looked at has not gone away by that."""
    with _changing(root) as tickets:
        for ticket in tickets:
            ticket.visited = _clock()
            # Of a machine that was restarted as well: its clock began anew.
            ticket.started = None if ticket.started is None else min(ticket.started, _clock())
            ticket.paused = None


def position(root: Path, run_id: str) -> QueuePosition | None:
    """Where a run stands; None where it does not wait."""
    tickets = read_tickets(root)
    order = [ticket.run for ticket in _order(tickets)]
    if run_id not in order:
        return None
    return QueuePosition(order.index(run_id) + 1, len(order), len(tickets) - len(order))


def runs_in_queue(root: Path) -> set[str]:
    """The ids of all runs that wait or are at work."""
    return {ticket.run for ticket in read_tickets(root)}


# --- who is next ------------------------------------------------------------------------------------------------------


def dispatch(root: Path, caps: Caps, start: Callable[[Path, int], None]) -> None:
    """Start those who are next, as far as there are slots, and forget those who went away.

    `start(folder, slot)` starts a training's process that inherits the file descriptor `slot`; it raises UserError,
    after it has told the run, where that fails. Any number of servers may call this at the same time.
    """
    with _changing(root) as tickets:
        abandoned = _forget_the_gone(root, tickets)
        for ticket in _order(tickets):
            slot = _take_slot(root, caps)
            if slot is None:
                _end_long_pauses(root, tickets)
                break
            try:
                start(root / ticket.run, slot)
            except UserError:
                tickets.remove(ticket)
            else:
                ticket.started = _clock()
            finally:
                os.close(slot)  # The process that was started holds it now, and nobody else.
    for folder in abandoned:
        with contextlib.suppress(UserError):
            Run.open(folder).unqueue(
                f"it lost its place in the queue, because nobody had looked for {ABANDONED_SECONDS:.0f} seconds. "
                "Resume it to queue again."
            )


def _forget_the_gone(root: Path, tickets: list[Ticket]) -> list[Path]:
    """Take out the trainings that ended and the runs that nobody waits for. Returns the folders of the latter."""
    now = _clock()
    abandoned = []
    for ticket in list(tickets):
        folder = root / ticket.run
        at_work = worker_alive(folder)
        if ticket.started is None and at_work:
            ticket.started = now  # by a server that died before it could say so
        elif ticket.started is None and now - ticket.visited > ABANDONED_SECONDS:
            tickets.remove(ticket)
            abandoned.append(folder)
        elif not (folder / "config.json").exists() or (
            ticket.started is not None and not at_work and now - ticket.started > STARTING_SECONDS
        ):
            tickets.remove(ticket)
    return abandoned


def _order(tickets: list[Ticket]) -> list[Ticket]:
    """Those who wait, the next one first: by turns among visitors, and within a turn by who came first.

    A visitor's second training waits until everybody's first has had its turn, and so on.
    """
    turns: dict[str, int] = {}
    for ticket in tickets:
        if ticket.started is not None:
            turns[ticket.owner] = turns.get(ticket.owner, 0) + 1
    ranked = []
    for ticket in sorted(tickets, key=lambda ticket: ticket.number):
        if ticket.started is None:
            turn = turns.get(ticket.owner, 0)
            turns[ticket.owner] = turn + 1
            ranked.append((turn, ticket.number, ticket))
    return [ticket for _, _, ticket in sorted(ranked, key=lambda rank: rank[:2])]


def _end_long_pauses(root: Path, tickets: list[Ticket]) -> None:
    """A training that stands still must not keep others from theirs: it is stored, and can go on later."""
    for ticket in tickets:
        if ticket.started is None:
            continue
        with contextlib.suppress(UserError):
            run = Run.open(root / ticket.run)
            if run.status().state != "paused":
                ticket.paused = None
            elif ticket.paused is None:
                ticket.paused = _clock()
            elif _clock() - ticket.paused > PAUSED_SECONDS:
                run.request("stop")


def _take_slot(root: Path, caps: Caps) -> int | None:
    """An open file whose lock is the right to train; None where all are taken."""
    for number in range(caps.slots):
        slot = try_lock(root / FOLDER / f"slot-{number}")
        if slot is not None:
            return slot
    return None


def take_spare_slot(root: Path, caps: Caps) -> int | None:
    """The right to compute beside the trainings, as an open file that the process is to inherit; None where all slots
    are taken, or a training waits for one. Raises RunError.
    """
    with _changing(root) as tickets:
        return None if _order(tickets) else _take_slot(root, caps)


# --- the file ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _changing(root: Path) -> Iterator[list[Ticket]]:
    """All tickets, to be changed in place; written when the block ends well. One server at a time."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive(private_folder(root) / LOCK))
        except OSError as error:
            raise disk_error(error, root) from error
        tickets = read_tickets(root)
        before = _to_bytes(tickets)
        yield tickets
        after = _to_bytes(tickets)
        if after != before or not (root / FOLDER / FILE).exists():
            _write(root, after)


def _write(root: Path, data: bytes) -> None:
    path = root / FOLDER / FILE
    unfinished = path.with_name(f"{FILE}.tmp")
    try:
        # It need not outlive a power cut, only the server: nobody waits for the disk.
        with open(open_private(unfinished, os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(data)
        os.replace(unfinished, path)
    except OSError as error:
        raise disk_error(error, root) from error


def read_tickets(root: Path) -> list[Ticket]:
    """All tickets, in the order of their numbers. Waits for nobody: the file is only ever replaced whole."""
    try:
        # Follows no link, and waits for no pipe.
        with open(os.open(root / FOLDER / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return _from_bytes(file.read())
    except (OSError, ValueError, TypeError):
        return _rebuilt(root)


def _to_bytes(tickets: list[Ticket]) -> bytes:
    """A checksum and the tickets, a line each."""
    body = json.dumps([dataclasses.astuple(ticket) for ticket in tickets]).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body + b"\n"


def _from_bytes(data: bytes) -> list[Ticket]:
    """The way back. Raises ValueError where a single bit is not as it was written."""
    checksum, _, body = data.removesuffix(b"\n").partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise ValueError("the queue's file is damaged")
    return [Ticket(*values) for values in json.loads(body)]


def _rebuilt(root: Path) -> list[Ticket]:
    """The queue as the runs' folders tell it: who waits, and whose training is at work, the older runs first.

    Of a race's runs, which share one process, the first one waits for all.
    """
    found: dict[str, tuple[float, str, str, bool]] = {}
    for folder in sorted(run_folders(root)):
        owner = owner_of(folder)
        if owner is None:
            continue
        with contextlib.suppress(UserError):
            run = Run.open(folder)
            state = run.status().state
            if state in ("queued", "running", "paused"):
                # An id is DAY-RANDOM, that of a race's run DAY-RANDOM-LANE.
                race = run.id.rpartition("-")[0] if run.id.count("-") == 2 else run.id
                found.setdefault(race, (run.config.created, run.id, owner, state != "queued"))
    now = _clock()
    return [
        Ticket(number, run_id, owner, now, now if at_work else None)
        for number, (_, run_id, owner, at_work) in enumerate(sorted(found.values()), 1)
    ]


def _next_number(tickets: list[Ticket]) -> int:
    return 1 + max((ticket.number for ticket in tickets), default=0)
