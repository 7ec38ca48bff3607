"""How a setting is declared, and what follows from that: validation, strict JSON.

A settings class is a frozen dataclass whose fields are made by `setting`:

    hidden_size: int = setting(100, label="Hidden units", help="Units in a layer.", flag="--hidden", low=1, ...)

The command line, the form on the Train page and docs/settings.md read the same declaration; a setting is named nowhere
else but where it does its work. Dataclasses rather than pydantic, because a training's process carries what it
imports: pydantic 2.14 took 7.5 MB and 65 ms of processor time of each (50.0 MB and 0.38 s instead of 42.5 MB and
0.31 s), these take less than 1 MB and 6 ms, and the rules between settings would have been functions in both.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Self

from rnn_core.config.choices import Choices
from rnn_core.errors import SettingsError

TEXT, TASK, NETWORK, START, BATCHES, OPTIMIZER, REGULARIZATION, PACE, DRAWING = GROUPS = (
    "Text",
    "Task",
    "Network",
    "Start",
    "Batches",
    "Optimizer",
    "Regularization",
    "Pace",
    "Drawing",
)


@dataclass(frozen=True)
class Need:
    """What a setting that is not at its default asks of others: `holds` of all settings at hand, or else `refusal`.

    of  names of the settings that `holds` looks at; where one of them is not at hand, nothing is asked
    """

    of: tuple[str, ...]
    holds: Callable[[Any], bool]
    refusal: str


@dataclass(frozen=True)
class Setting:
    """All that is declared of one setting.

    label             what it is called on the screen
    help              one line for people, without markup
    group             one of GROUPS
    basic             whether a beginner sees it
    flag              of the command line; "": none of its own
    low, high         least and greatest value; `above`, `below`: bounds that are not reached themselves
    refusal           what is said of a value out of bounds, or that is no choice; may hold {value} and {choices}
    choices           what a setting that is a name can be called
    none              what None is called, on the command line too
    step              how much a click on + or - changes a number
    only_with         another setting: this one has an effect only with those of its choices that list it, or, where
                      the other is a number, only where that is given
    refusal_if_unused what is said where it is set without having an effect; "": nothing. May hold {names} and {labels}
                      of the choices with which it has one, and the value of any setting
    excludes          settings that have no effect where this one is given
    needs             what else must hold where this one is not at its default
    before            what a file that is older than this setting, and so lacks it, is read with; None: the default
    """

    label: str
    help: str
    group: str
    basic: bool = False
    flag: str = ""
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    refusal: str = ""
    choices: Choices | None = None
    none: str = ""
    step: float | None = None
    only_with: str = ""
    refusal_if_unused: str = ""
    excludes: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    before: Any = None
    # Read from the field itself:
    name: str = ""
    annotation: str = ""
    default: Any = None

    @property
    def kind(self) -> type[str] | type[int] | type[float] | type[bool]:
        """The type, None left aside."""
        return _KINDS[self.annotation.removesuffix(" | None")]

    @property
    def optional(self) -> bool:
        """Whether None is a value."""
        return self.annotation.endswith(" | None")

    def fits(self, value: object) -> bool:
        """Whether a value is of this type; a whole number may stand for a fraction."""
        if value is None:
            return self.optional
        if isinstance(value, bool):
            return self.kind is bool
        return isinstance(value, _ABSTRACT[self.kind])

    def allows(self, value: Any) -> bool:
        """Whether a value of this type is within the bounds, or among the choices."""
        if value is None:
            return True
        if self.choices is not None:
            return value in self.choices
        if self.kind in (bool, str):
            return True
        return (
            is_finite(value)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def problem(self, value: Any) -> str | None:
        """Why it cannot have this value, whatever the others are; None where it can."""
        if not self.fits(value):
            whole = ": a whole number" if self.kind is int and isinstance(value, float) else ""
            return f"the setting {self.name!r} should be of type {self.annotation}, not {type(value).__name__}{whole}."
        if not self.allows(value):
            return self.refusal.format(value=value, choices=", ".join(self.choices or ()))
        return None


def is_finite(number: float) -> bool:
    """Whether this is neither nan nor infinite, nor a whole number beyond every float."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


_KINDS: dict[str, type[str] | type[int] | type[float] | type[bool]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
}
# What a value is checked against, so that NumPy's numbers are accepted as well as Python's.
_ABSTRACT: dict[type, type] = {str: str, int: numbers.Integral, float: numbers.Real, bool: bool}


def setting(default: Any, **declaration: Any) -> Any:
    """A field of a settings class: its default, and its declaration as the fields of `Setting`."""
    return dataclasses.field(default=default, metadata={"setting": Setting(**declaration)})


_DECLARED: dict[type, Mapping[str, Setting]] = {}


def settings_of(settings_class: type[Settings]) -> Mapping[str, Setting]:
    """The settings of a class by name, in the order in which they are declared."""
    if settings_class not in _DECLARED:
        _DECLARED[settings_class] = {
            field.name: dataclasses.replace(
                field.metadata["setting"], name=field.name, annotation=str(field.type), default=field.default
            )
            for field in dataclasses.fields(settings_class)
        }
    return _DECLARED[settings_class]


@dataclass(frozen=True)
class Settings:
    """The base of the settings classes."""

    def validate(self) -> None:
        """Raises SettingsError for what makes no sense, with the reason and the way out."""
        check(self)

    def to_json(self) -> dict[str, Any]:
        """Every setting by its name."""
        return dataclasses.asdict(self)

    def changed(self) -> dict[str, Any]:
        """Those that differ from their defaults."""
        declared = settings_of(type(self))
        return {name: value for name, value in self.to_json().items() if value != declared[name].default}

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Strict: unknown names, wrong types and values out of bounds raise SettingsError; what is missing takes its
        default, or what it was before it could be set.
        """
        if not isinstance(values, dict):
            raise SettingsError(f"the {cls.__name__} of this run is not a JSON object.")
        declared = settings_of(cls)
        for name in values:
            if name not in declared:
                raise SettingsError(f"{cls.__name__} has no setting called {name!r}.")
        before = {name: setting.before for name, setting in declared.items() if setting.before is not None}
        settings = cls(**{**before, **values})
        settings.validate()
        return settings


def check(*parts: Settings) -> None:
    """Raises SettingsError where these make no sense, each alone or together, with the first reason."""
    for reason in problems(*parts).values():
        raise SettingsError(reason)


def problems(*parts: Settings) -> dict[str, str]:
    """Why settings make no sense, each alone or together: a sentence for each that is at fault, by its name."""
    declared, values = _together(parts)
    reasons: dict[str, str] = {}
    for part in parts:
        for name, setting in settings_of(type(part)).items():
            reason = _problem(setting, getattr(part, name), declared, values)
            if reason is not None:
                reasons.setdefault(name, reason)
    return reasons


def unused_settings(*parts: Settings) -> set[str]:
    """The settings that have no effect beside the others, whatever they are."""
    declared, values = _together(parts)
    return {name for name in declared if not _has_effect(declared, values, name)}


def _together(parts: tuple[Settings, ...]) -> tuple[dict[str, Setting], SimpleNamespace]:
    """The declarations and the values of several settings objects. Where two know a setting, they mean the same."""
    declared = {name: setting for part in parts for name, setting in settings_of(type(part)).items()}
    values = SimpleNamespace(**{name: getattr(part, name) for part in parts for name in settings_of(type(part))})
    return declared, values


def _has_effect(declared: Mapping[str, Setting], values: SimpleNamespace, name: str) -> bool:
    for other in declared.values():
        if name in other.excludes and getattr(values, other.name) is not None:
            return False
    controlling = declared.get(declared[name].only_with)
    if controlling is None:
        return True
    chosen = getattr(values, controlling.name)
    if controlling.choices is None:
        return chosen is not None
    return chosen not in controlling.choices or name in controlling.choices[chosen].settings


def _problem(setting: Setting, value: Any, declared: Mapping[str, Setting], values: SimpleNamespace) -> str | None:
    """Why the value of one setting cannot be, beside the others; None where it can."""
    alone = setting.problem(value)
    if alone is not None:
        return alone
    # A value that was once the default stands in old files although nobody chose it: it is not refused.
    if value == setting.default or (setting.before is not None and value == setting.before):
        return None
    if setting.refusal_if_unused and not _has_effect(declared, values, setting.name):
        choices = declared[setting.only_with].choices or Choices()
        names = choices.having(setting.name)
        return setting.refusal_if_unused.format(
            names=_either(names), labels=_either([choices[name].label for name in names]), **vars(values)
        )
    for need in setting.needs:
        if declared.keys() >= set(need.of) and not need.holds(values):
            return need.refusal.format(**vars(values))
    return None


def _either(things: list[str]) -> str:
    """["a", "b", "c"] -> "a, b or c"."""
    return " or ".join([", ".join(things[:-1]), things[-1]] if len(things) > 1 else things)
