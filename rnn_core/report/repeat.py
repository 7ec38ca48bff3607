"""How a training is repeated: the command, and the same in Python. Only what is not as usual is said."""

from __future__ import annotations

import shlex

from rnn_core.config import Settings, settings_of
from rnn_core.runs import Run


def command(run: Run) -> str:
    """`see-bptt train …` with the settings of this run, in a shell's quotes; CORPUS is the text that it read."""
    config = run.config
    parts = ["see-bptt", "train", *(["CORPUS"] if config.task is None else []), "--run", "repeated"]
    given: dict[str, list[str]] = {}
    for settings in (config.text, config.task, config.model, config.training):
        if settings is not None:
            given = _flags(settings) | given  # one flag may set what several of them know
    return shlex.join([*parts, *(word for words in given.values() for word in words)])


def _flags(settings: Settings) -> dict[str, list[str]]:
    flags = {}
    for name, setting in settings_of(type(settings)).items():
        value = getattr(settings, name)
        if not setting.flag or (value == setting.default and name != "task") or (value is None and not setting.none):
            continue
        word = setting.none if value is None else str(value)
        flags[setting.flag] = [setting.flag] if setting.kind is bool else [setting.flag, word]
    return flags


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
    changed = ", ".join(f"{name}={value!r}" for name, value in settings.changed().items())
    return f"{type(settings).__name__}({changed})"
