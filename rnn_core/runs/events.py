"""The events of a run as its history keeps them: rows with a kind, and a JSON object with the fields of that kind.

An event of the training is a dataclass in `rnn_core.training`; `WORKER_FIELDS` declares those that a worker writes of
itself. A row may come from a stranger, so its fields are compared with these before anybody sees them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from rnn_core.runs.reading import LAST_MOMENT
from rnn_core.runs.strict_json import parse_json
from rnn_core.training import events as training
from rnn_core.training.events import Event


@dataclass(frozen=True)
class AgreementMeasured(Event):
    """Share of sentences in which the right word is likelier than its competitor, by the words between the two."""

    gaps: tuple[int, ...]
    items: tuple[int, ...]
    accuracy: tuple[float, ...]


@dataclass(frozen=True)
class _Field:
    type: str
    required: bool


WORKER_FIELDS = {
    "started": {"pid": "int"},
    "paused": {"why": "str"},
    "resumed": {"why": "str"},
    "stopped": {"why": "str"},
    "checkpoint_rejected": {"reason": "str", "used": "str"},
    "threads_changed": {"before": "int | None", "now": "int"},
    "history_held": {"seconds": "float"},
}
"""Kinds of events that a worker writes of itself: their fields and types."""

EVENT_CLASSES = (
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
    AgreementMeasured,
)

NULLABLE = {("validated", "perplexity"), ("diverged", "loss_nats"), ("diverged", "gradient_norm")}
"""Numbers that may be infinite, for which JSON has no word: null stands in their place."""


def _fields_of(event: type[Event]) -> dict[str, _Field]:
    return {
        field.name: _Field(str(field.type), field.default is dataclasses.MISSING)
        for field in dataclasses.fields(event)
        if field.name != "step"
    }


FIELDS = {event.kind: _fields_of(event) for event in EVENT_CLASSES} | {
    kind: {name: _Field(type, True) for name, type in fields.items()} for kind, fields in WORKER_FIELDS.items()
}


def decode(id: Any, step: Any, at: Any, kind: Any, payload: Any) -> dict[str, Any]:
    """A row of the table `events` -> a dict with id, step, time, kind and the payload's keys. Raises ValueError where
    it holds what no worker writes. Kinds that are not known (of a later version) are passed on as they are.
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
    for name, field in FIELDS.get(kind, {}).items():
        if name not in values:
            if field.required:
                raise ValueError(f"event {id} ({kind}) has no {name}")
        elif not _fits(values[name], field.type) and not (values[name] is None and (kind, name) in NULLABLE):
            raise ValueError(f"event {id} ({kind}) has a {name} of the wrong kind")
    return {**values, "id": id, "step": step, "time": at, "kind": kind}


def _fits(value: Any, type_name: str) -> bool:
    """Whether a value from JSON, in which every number is finite, is of a field's type."""
    if type_name.endswith(" | None"):
        return value is None or _fits(value, type_name.removesuffix(" | None"))
    if type_name.startswith("tuple["):
        part = type_name.removeprefix("tuple[").split(",")[0]
        # Within a curve null stands for what is not finite.
        return isinstance(value, list) and all(
            _fits(entry, part) or (entry is None and part == "float") for entry in value
        )
    if type_name == "str":
        return isinstance(value, str)
    kinds = {"int": (int,), "float": (int, float)}[type_name]
    return type(value) in kinds


def decode_request(payload: object) -> dict[str, Any]:
    """The payload of a row of the table `requests`; {} for one that is no JSON object, which no `Run.request` wrote."""
    try:
        values = parse_json(payload.encode()) if isinstance(payload, str) else None
    except ValueError:
        values = None
    return values if isinstance(values, dict) else {}
