"""What happens during a training, as typed events, and the JSON in which a history keeps them.

An event class is the one declaration of its fields: `to_json` and `from_json` follow from it, for every class.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType
from typing import Any, ClassVar, Self

Unbounded = float
"""A number that may be inf or nan. JSON has no word for these: null stands for both, and is read as nan."""

Conversions = dict[type, Callable[[Any], Any]]
"""By the type of a value from JSON: what makes a field's value of it. A type that is missing is refused."""

_OF_TYPE: dict[str, Conversions] = {
    "int": {int: int},
    "float": {float: float, int: float},
    "Unbounded": {float: float, int: float, NoneType: lambda _: math.nan},
    "str": {str: str},
}
"""The types that a field may have: alone, with None, or in a tuple of any length."""


@dataclass(frozen=True)
class Event:
    """Something that happened after `step` training steps."""

    step: int

    kind: ClassVar[str]
    """The class's name in small letters, unless it declares another: StepDone is "step_done"."""

    def __init_subclass__(cls, kind: str | None = None) -> None:
        cls.kind = kind or re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def to_json(self) -> dict[str, Any]:
        """kind, step and the other fields; numbers that JSON has no word for (inf, nan) become null."""
        return {"kind": self.kind, **_without_infinities(dataclasses.asdict(self))}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The event of this class that `to_json` gave, also among other keys (as `Run.events` has them).

        Raises ValueError where a field is missing, or has a value of another type.
        """
        fields = {}
        for field in dataclasses.fields(cls):
            if field.name in values:
                value = values[field.name]
                try:
                    fields[field.name] = _conversions(str(field.type))[type(value)](value)
                except KeyError:
                    raise ValueError(f"{cls.kind} has a {field.name} of the wrong kind") from None
            elif field.default is dataclasses.MISSING:
                raise ValueError(f"{cls.kind} has no {field.name}")
        return cls(**fields)


def _without_infinities(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_infinities(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_infinities(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@cache
def _conversions(type_name: str) -> Conversions:
    """Of the fields that are declared with this type."""
    if type_name.startswith("tuple["):
        part = _conversions(type_name.removeprefix("tuple[").removesuffix(", ...]"))
        return {list: lambda values: tuple([part[type(value)](value) for value in values])}
    if type_name.endswith(" | None"):
        return {**_conversions(type_name.removesuffix(" | None")), NoneType: lambda _: None}
    return _OF_TYPE[type_name]


@dataclass(frozen=True)
class Started(Event):
    """The first event: how much there is to do."""

    total_steps: int
    steps_per_epoch: int
    parameters: int


@dataclass(frozen=True)
class StepDone(Event):
    """One update. tokens: predicted ones in this batch; epoch: completed ones, so 0 during the first."""

    epoch: int
    tokens: int
    loss_nats: float  # mean over the tokens, before the update
    gradient_norm: float  # of all parameters together, before clipping
    clipped_norm: float  # and after
    learning_rate: float
    tokens_per_second: float  # over about the last second
    elapsed_seconds: float  # of training, validating and measuring, since the run began


@dataclass(frozen=True)
class Validating(Event):
    """A validation is going on. One that is left before its end is made again from the start."""

    fraction: float


@dataclass(frozen=True)
class Validated(Event):
    """The loss on the validation sentences, or on a task's validation sequences.

    metric: of a task (`Task.metric_name`); None: a text was trained on. The loss is then not in nats, and the
    perplexity means nothing (nan), where the task asks for numbers.
    """

    epoch: int
    loss_nats: float
    perplexity: Unbounded
    metric: float | None = None


@dataclass(frozen=True)
class EpochDone(Event):
    """An epoch has ended."""

    epoch: int  # completed epochs, this one included
    loss_nats: float  # mean over the epoch's tokens, each before the update it caused
    elapsed_seconds: float


BY_HAND = "set by hand"
"""Why a setting was changed, where somebody asked for it; a schedule gives reasons of its own."""


@dataclass(frozen=True)
class SettingChanged(Event):
    """A setting has another value from the next step on."""

    old: Any
    new: Any
    why: str

    setting: ClassVar[str]
    """Its name in `TrainingSettings`."""


@dataclass(frozen=True)
class LearningRateChanged(SettingChanged):
    """By the schedule, or by a person."""

    old: float
    new: float

    setting = "learning_rate"


@dataclass(frozen=True)
class ClippingChanged(SettingChanged):
    """The limit of clipping; None: no clipping."""

    old: float | None
    new: float | None

    setting = "clip"


@dataclass(frozen=True)
class TruncationChanged(SettingChanged):
    """How many steps K each loss reaches back; None: to the beginning."""

    old: int | None
    new: int | None

    setting = "truncate"


@dataclass(frozen=True)
class ProcessLost(Event):
    """A process that shared the batches was killed or stopped, or could not be started. This one goes on alone: with
    the same numbers, but for rounding.
    """


@dataclass(frozen=True)
class Sampled(Event):
    """A sentence that the network wrote."""

    text: str
    temperature: float


@dataclass(frozen=True)
class HorizonMeasured(Event):
    """How far the gradient reaches: ||delta_{t,t-j}|| / ||delta_{t,t}|| over lag j = 0, 1, ..., on the probe batch."""

    median: tuple[Unbounded, ...]
    low: tuple[Unbounded, ...]  # 10 % of the losses lie below
    high: tuple[Unbounded, ...]  # 90 % of the losses lie below
    half_life: float | None  # in steps; None: longer than the probe
    radii: tuple[Unbounded, ...] = ()  # spectral radius of each block of W, in the order of `recurrent_spectrum`
    norms: tuple[Unbounded, ...] = ()  # and its norm ||.||_2
    signals: tuple[str, ...] = ()  # of the top layer, of a training that is monitored
    saturated: tuple[Unbounded, ...] = ()  # the share of each signal's values that is saturated


@dataclass(frozen=True)
class Diverged(Event):
    """The loss or the gradient after step `step` is not finite; no update was made from it; the training is over."""

    cause: str
    loss_nats: Unbounded
    gradient_norm: Unbounded


@dataclass(frozen=True)
class Finished(Event):
    """The last step is done."""

    epoch: int
    train_loss_nats: float | None
    valid_loss_nats: float | None
    elapsed_seconds: float
    valid_metric: float | None = None  # a task's; see Validated
