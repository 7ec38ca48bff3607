"""The page docs/settings.md, written from the declarations: `python -m rnn_core.config docs/settings.md`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

from rnn_core.config.fields import Setting, Settings, settings_of
from rnn_core.config.model import ModelConfig
from rnn_core.config.network import NetworkConfig
from rnn_core.config.sampling import SamplingSettings
from rnn_core.config.task import TaskSettings
from rnn_core.config.text import TextSettings
from rnn_core.config.training import TrainingSettings

SECTIONS: Mapping[type[Settings], str] = {
    TextSettings: "The text",
    TaskSettings: "The task",
    ModelConfig: "The network",
    NetworkConfig: "What a network that is no language model has besides",
    TrainingSettings: "The training",
    SamplingSettings: "Drawing words",
}

INTRODUCTION = """\
# Settings

Every setting of a run: its name in Python and in `config.json`, its flag on the command line, what it can be, and what
it is where nobody sets it. This page is written from the declarations in `rnn_core/config`; after a change there, run
`python -m rnn_core.config docs/settings.md`.
"""


def settings_page() -> str:
    """The page as Markdown."""
    return "\n".join([INTRODUCTION, *(line for section in SECTIONS for line in _section(section))])


def _section(settings_class: type[Settings]) -> Iterator[str]:
    yield f"## {SECTIONS[settings_class]}: `{settings_class.__name__}`\n"
    yield "| setting | flag | values | default | what it does |"
    yield "|---|---|---|---|---|"
    for setting in _own_settings(settings_class):
        cells = (
            f"`{setting.name}`",
            f"`{setting.flag}`" if setting.flag else "",
            _values(setting),
            _default(setting),
            " ".join([f"**{setting.label}.** {setting.help}", *_rules(setting)]),
        )
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _values(setting: Setting) -> str:
    """What it can be, in short."""
    if setting.choices is not None:
        return ", ".join(f"`{name}`" for name in setting.choices)
    if setting.kind is bool:
        return "yes or no"
    if setting.kind is str:
        return "a text"
    words = ["a whole number" if setting.kind is int else "a number"]
    bounds = (
        ("from {}", setting.low),
        ("above {}", setting.above),
        ("to {}", setting.high),
        ("below {}", setting.below),
    )
    words += [form.format(_number(bound)) for form, bound in bounds if bound is not None]
    return " ".join(words) + (f", or `{setting.none}`" if setting.none else "")


def _number(bound: float) -> str:
    """A bound as people write it; the largest numbers of an integer type as 2^n - 1."""
    return f"{bound:,}" if bound < 2**31 - 1 else f"2^{round(bound + 1).bit_length() - 1} - 1"


def _default(setting: Setting) -> str:
    by_choice = [
        f"{choice.defaults[setting.name]:g} with `{name}`"
        for controlling in _all_settings()
        for name, choice in (controlling.choices or {}).items()
        if setting.name in choice.defaults
    ]
    if by_choice:
        return ", ".join(by_choice)
    if setting.default is None:
        return f"`{setting.none}`" if setting.none else ""
    if setting.kind is bool:
        return "yes" if setting.default else "no"
    return f"`{setting.default}`"


def _rules(setting: Setting) -> Iterator[str]:
    """With which others it has an effect, and what it asks of them."""
    for controlling in _all_settings():
        if controlling.name == setting.only_with and controlling.choices is None:
            yield f"Only where `{controlling.name}` is given."
        elif controlling.name == setting.only_with and controlling.choices is not None:
            having = (f"`{name}`" for name in controlling.choices.having(setting.name))
            yield f"Only with `{controlling.name}` {', '.join(having)}."
    for excluded in setting.excludes:
        yield f"Takes the place of `{excluded}`."
    for need in setting.needs:
        names = {other.name: f"`{other.name}`" for other in _all_settings()}
        yield need.refusal[0].upper() + need.refusal[1:].format(**names)


def _all_settings() -> Iterator[Setting]:
    for settings_class in SECTIONS:
        yield from _own_settings(settings_class)


def _own_settings(settings_class: type[Settings]) -> list[Setting]:
    """Without those that it inherits."""
    own = inspect.get_annotations(settings_class)
    return [setting for name, setting in settings_of(settings_class).items() if name in own]
