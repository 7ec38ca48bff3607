"""What tells runs that stand beside each other apart: their settings, what they read, what was changed on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from typing import Any

from dashboard.services import run_curves
from dashboard.services.history import CHANGES
from rnn_core.config import ModelConfig, TaskSettings, TextSettings, TrainingSettings
from rnn_core.config.fields import Setting, settings_of, unused_settings
from rnn_core.runs import Run


def has_text(run: Run) -> bool:
    """Whether its loss is one of words or characters that are known here, and not of a task or of another program."""
    return run.config.task is None and not run.config.monitored


def same_text(runs: Sequence[Run]) -> bool:
    """Whether these runs lose on the same tokens, so that their losses in nats per token compare."""
    return len({(run.config.text.unit, run.config.model.vocabulary_size, _read(run)) for run in runs}) <= 1


def _read(run: Run) -> tuple[object, ...]:
    """What a run is trained on."""
    facts = run.config.corpus
    return facts.name, facts.train_tokens, facts.valid_tokens, facts.unigram_nats, run.config.task


def settings_but_seed(run: Run) -> object:
    """Equal for runs that differ in the seed alone."""
    config = run.config
    return (
        config.model,
        replace(config.training, seed=0),
        config.text,
        _read(run),
        config.forked,
        run_curves.steered(run),
    )


_CLASSES = {"model": ModelConfig, "training": TrainingSettings, "text": TextSettings, "task": TaskSettings}


def differing(runs: Sequence[Run]) -> dict[str, list[str]]:
    """The settings in which these runs differ, by the name that the screen has for each -> a value for each run, "–"
    where it has no effect.
    """
    idle = [unused_settings(run.config.model, run.config.training) for run in runs]
    columns = {"corpus": [run.config.corpus.name for run in runs]}
    labels_so_far: set[str] = set()
    for part, settings_class in _CLASSES.items():
        for name, setting in settings_of(settings_class).items():
            label = setting.label if setting.label not in labels_so_far else f"{setting.label} ({part})"
            labels_so_far.add(label)
            in_effect = [name not in unused_settings for unused_settings in idle]
            values = [_shown(getattr(getattr(run.config, part), name, None), setting) for run in runs]
            if len(set(compress(values, in_effect))) > 1:
                columns[label] = [value if there else "–" for value, there in zip(values, in_effect, strict=True)]
    steered = [
        ", ".join(
            f"{CHANGES[setting][0]} {CHANGES[setting][1] if new is None else new} after step {step:,}"
            for step, setting, new in run_curves.steered(run)
        )
        for run in runs
    ]
    columns["changed on the way"] = [text or "–" for text in steered]
    return {label: values for label, values in columns.items() if len(set(values)) > 1}


def _shown(value: Any, setting: Setting) -> str:
    if value is None:
        return setting.none or "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return setting.choices[value].label if setting.choices is not None else str(value)


def labels(runs: Sequence[Run], names: Sequence[str] | None = None) -> list[str]:
    """A name for each run that no other has: its own, with what tells it from others of that name. `names` in its
    place are those of runs that differ in the seed, which then tells nothing.
    """
    differences = differing(runs)
    if names is None:
        names = [run.config.name for run in runs]
    else:
        differences.pop(settings_of(TrainingSettings)["seed"].label, None)
    found: list[str] = []
    for place, name in enumerate(names):
        label = name
        if names.count(name) > 1:
            listed = [f"{what.lower()} {values[place]}" for what, values in differences.items()]
            label = f"{name}, {', '.join(listed[:2])}" if listed else name
        count = 2
        unique = label
        while unique in found:
            unique, count = f"{label} ({count})", count + 1
        found.append(unique)
    return found
