"""What a sweep is over: {name of a setting: values}, and how the command line writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rnn_core.config import ModelConfig, Settings, TaskSettings, TrainingSettings, settings_of
from rnn_core.config.fields import Setting
from rnn_core.errors import SettingsError

Grid = Mapping[str, Sequence[Any]]

NOT_SWEPT = ("seed", "vocabulary_size")
"""Seeds are asked for by their number, and the vocabulary belongs to the corpus, which all points share."""

YES_OR_NO = {"yes": True, "true": True, "no": False, "false": False}


def find_setting(name: str, of_task: bool) -> Setting:
    """The setting called so in Python ("hidden_size") or on the command line ("hidden"). Raises SettingsError."""
    classes: list[type[Settings]] = [ModelConfig, TrainingSettings, *([TaskSettings] if of_task else [])]
    for settings_class in classes:
        for setting in settings_of(settings_class).values():
            if name in (setting.name, setting.flag.removeprefix("--")) and setting.name not in NOT_SWEPT:
                return setting
    raise SettingsError(
        f"there is no setting {name!r} to sweep over; `train --help` lists them. (Seeds are asked for by --seeds.)"
    )


def parse_grid(texts: Sequence[str], of_task: bool) -> dict[str, list[Any]]:
    """["hidden=50,100", "clip=none,1"] -> {"hidden_size": [50, 100], "clip": [None, 1.0]}. Raises SettingsError."""
    grid: dict[str, list[Any]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        setting = find_setting(name.strip(), of_task)
        if setting.name in grid:
            raise SettingsError(f"{name} is there twice; give all its values at once.")
        grid[setting.name] = [_parse(setting, value.strip()) for value in values.split(",") if value.strip()]
    return grid


def _parse(setting: Setting, text: str) -> Any:
    if setting.none and text in (setting.none, "none"):
        return None
    try:
        return YES_OR_NO[text.lower()] if setting.kind is bool else setting.kind(text)
    except (ValueError, KeyError):
        kind = "yes or no" if setting.kind is bool else "a whole number" if setting.kind is int else "a number"
        raise SettingsError(f"{setting.name} cannot be {text!r}: it is {kind}.") from None
