"""How a training is repeated: the command, and the same in Python. Settings at their defaults are left out."""

from __future__ import annotations

import shlex
from typing import Any

from rnn_core.config import Settings, settings_of
from rnn_core.config.fields import Setting
from rnn_core.runs import Run
from rnn_core.runs.fork import BY_FORK, CHANGEABLE
from rnn_core.runs.run_config import ForkedFrom
from rnn_core.training import STEERABLE, SettingChanged


def command(run: Run) -> str:
    """`see-bptt train …` with the settings of this run, quoted for a shell; CORPUS is the text that it read."""
    config = run.config
    arguments = ["see-bptt", "train", *(["CORPUS"] if config.task is None else []), "--run", "repeated"]
    for settings in (config.training, config.model, config.task, config.text):
        if settings is not None:
            arguments += _flags(settings)
    return shlex.join(arguments)


def _flags(settings: Settings) -> list[str]:
    """The flags of the settings that differ from their defaults; --task always, which makes it a training on a task."""
    arguments = []
    for name, setting in settings_of(type(settings)).items():
        value = getattr(settings, name)
        if not setting.flag or (value == setting.default and name != "task"):
            continue
        if value is None and not setting.none:
            continue  # left out because another setting excludes it, as --steps excludes --epochs
        arguments += _flag(setting, value)
    return arguments


def _flag(setting: Setting, value: Any) -> list[str]:
    """A setting's flag with its value."""
    if setting.kind is bool:
        return [setting.flag]
    return [setting.flag, setting.none if value is None else str(value)]


def fork_command(run: Run, forked: ForkedFrom) -> str:
    """`see-bptt fork …` for a run that is a fork, quoted for a shell.

    Settings that can also be changed during a training (`STEERABLE`) are given where the fork changed them. The other
    settings that a fork can change are all given, with this run's values.
    """
    config = run.config
    declared = {**settings_of(type(config.model)), **settings_of(type(config.training))}
    values = {**config.model.to_json(), **config.training.to_json()}
    given = {name: values[name] for name in CHANGEABLE if name not in STEERABLE}
    given = {name: value for name, value in given.items() if value is not None}
    for change in run.recorded(SettingChanged).values():
        if change.why == BY_FORK and change.step == forked.step:
            given[change.setting] = change.new
    words = [word for name, value in given.items() for word in _flag(declared[name], value)]
    return shlex.join(["see-bptt", "fork", forked.run, "--at", str(forked.step), "--run", "repeated", *words])


def python(run: Run) -> str | None:
    """The same training, on the words that this run's folder holds; None where it holds none."""
    config = run.config
    if config.task is not None or config.monitored:
        return None
    return "\n".join(
        [
            "from rnn_core.config import ModelConfig, TextSettings, TrainingSettings",
            "from rnn_core.runs import Run, create_run",
            "from rnn_core.runs.worker import work",
            "",
            f'corpus = Run.open("{run.id}").corpus()',
            f"model = {_call(config.model)}",
            f"training = {_call(config.training)}",
            f"text = {_call(config.text)}",
            'create_run("repeated", "repeated", corpus, model, training, text)',
            'work("repeated")',
        ]
    )


def _call(settings: Settings) -> str:
    """The call that makes these settings."""
    changed = ", ".join(f"{name}={value!r}" for name, value in settings.changed().items())
    return f"{type(settings).__name__}({changed})"
