"""The events of a run as its history keeps them: rows with a kind, and a JSON object with the fields of that kind.

A row may come from a stranger, so its fields are compared with those of the kind's class before anybody sees them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rnn_core.runs.reading import LAST_MOMENT
from rnn_core.runs.strict_json import parse_json
from rnn_core.training import events as training
from rnn_core.training.events import Event, Unbounded


@dataclass(frozen=True)
class WorkerStarted(Event, kind="started"):
    """A process begins to work on the run, or goes on with it from the checkpoint of this step."""

    pid: int


@dataclass(frozen=True)
class Paused(Event):
    """The worker waits for a request."""

    why: str


@dataclass(frozen=True)
class Resumed(Event):
    """The worker waits no longer."""

    why: str


@dataclass(frozen=True)
class Stopped(Event):
    """The worker ends before the training does."""

    why: str


@dataclass(frozen=True)
class CheckpointRejected(Event):
    """A checkpoint is damaged: the training goes on from an older one, in the file `used`."""

    reason: str
    used: str


@dataclass(frozen=True)
class ThreadsChanged(Event):
    """The training goes on with another number of threads, and so not bit for bit. before: None: not known."""

    before: int | None
    now: int


@dataclass(frozen=True)
class HistoryHeld(Event):
    """Another program holds events.sqlite; training goes on and its rows wait. seconds: how long, once it is over."""

    seconds: float | None


@dataclass(frozen=True)
class AgreementMeasured(Event):
    """Share of sentences in which the right word is likelier than its competitor, by the words between the two."""

    gaps: tuple[int, ...]
    items: tuple[int, ...]
    accuracy: tuple[Unbounded, ...]


RECORDED = (
    training.Validated,
    training.EpochDone,
    training.LearningRateChanged,
    training.ClippingChanged,
    training.TruncationChanged,
    training.ProcessLost,
    training.Sampled,
    training.HorizonMeasured,
    training.Diverged,
    training.Finished,
    WorkerStarted,
    Paused,
    Resumed,
    Stopped,
    CheckpointRejected,
    ThreadsChanged,
    HistoryHeld,
    AgreementMeasured,
)
"""The classes of the events that a history keeps: of the training, of a worker, of a race."""

_CLASSES: dict[str, type[Event]] = {event.kind: event for event in RECORDED}


def decode(id: Any, step: Any, at: Any, kind: Any, payload: Any) -> tuple[Event, dict[str, Any]]:
    """A row of the table `events` -> the event, and a dict with id, step, time, kind and the payload's keys.

    Raises ValueError where it holds what no worker writes. An event of a kind that is not known (of a later version) is
    a bare `Event`.
    """
    if type(id) is not int or type(step) is not int or step < 0:
        raise ValueError("an event has no number or no step")
    if type(at) not in (int, float) or not 0 <= at < LAST_MOMENT:
        raise ValueError(f"event {id} has no time")
    if not isinstance(kind, str) or not isinstance(payload, str):
        raise ValueError(f"event {id} is no text")
    values = parse_json(payload.encode("utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"event {id} is not a JSON object")
    values |= {"id": id, "step": step, "time": at, "kind": kind}
    try:
        return _CLASSES.get(kind, Event).from_json(values), values
    except ValueError as error:
        raise ValueError(f"event {id}: {error}") from None


def decode_request(payload: object) -> dict[str, Any]:
    """The payload of a row of the table `requests`; {} for one that is no JSON object, which no `Run.request` wrote."""
    try:
        values = parse_json(payload.encode()) if isinstance(payload, str) else None
    except ValueError:
        values = None
    return values if isinstance(values, dict) else {}
