"""The settings of a new network and its training: five that a beginner sees, the others for an expert.

Fields and words are those of the declarations. A setting that would have no effect is not shown, and has its default,
whatever was chosen for it before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import streamlit as st

from dashboard import hosting
from dashboard.components import presets, settings_link
from dashboard.components.setting_fields import SettingFields
from dashboard.state import link, session
from rnn_core.config import TASK_DEFAULTS, ModelConfig, TrainingSettings, problems, settings_of, unused_settings
from rnn_core.config.fields import BATCHES, NETWORK, OPTIMIZER, REGULARIZATION, START, Setting
from rnn_core.data import PreparedCorpus
from rnn_core.data.tasks import Task
from rnn_core.errors import UserError
from rnn_core.runs import memory
from rnn_core.training import network_config

Part = TypeVar("Part", ModelConfig, TrainingSettings)

TABS = (NETWORK, START, BATCHES, OPTIMIZER, REGULARIZATION)

FRESH_SECONDS = 5.0
"""Between checkpoints: a picture of the gradient is as fresh as the newest weights."""

LONGEST_NAME = 80
STEPS_AN_EPOCH = 80
BATCH_SIZES = (32, 16, 8)
"""Sentences in a batch: the most that leave an epoch so many steps. A short text in large batches takes so few steps
that the network hardly gets beyond the words' frequencies.
"""
FIXED = ("vocabulary_size",)
"""Settings that the text decides."""


@dataclass(frozen=True)
class Form:
    """What the form holds. reasons: why it cannot be trained, by the names of the settings at fault."""

    model: ModelConfig
    training: TrainingSettings
    reasons: Mapping[str, str]

    def report(self) -> str:
        """Every reason, with what its setting is called."""
        declared = {**settings_of(ModelConfig), **settings_of(TrainingSettings)}
        return "\n".join(f"{declared[name].label}: {reason}" for name, reason in self.reasons.items())


def refusal(data: PreparedCorpus | Task, model: ModelConfig, training: TrainingSettings) -> UserError | None:
    """Why this training is more than the machine can hold, or a hosted server allows; None where it will do."""
    try:
        network = network_config(data, model) if isinstance(data, Task) else model
        memory.check(data, network, training)
        caps = hosting.current_caps()
        if caps is not None:
            hosting.check_training(data, network, training, caps)
    except UserError as reason:
        return reason
    return None


def default_batch_size(sentences: int) -> int:
    """Sentences in a batch, for a text of so many, until somebody chooses another number."""
    return next((size for size in BATCH_SIZES if sentences >= STEPS_AN_EPOCH * size), BATCH_SIZES[-1])


def fill_from_link(page: str) -> None:
    """Take what the page's link says, also where there is no text yet to draw the form for."""
    fields = _fields(page)
    settings_link.fill(fields, _offered(fields))


def clear_link(page: str) -> None:
    """Take the settings out of the page's link: it is about to show a training."""
    fields = _fields(page)
    settings_link.clear(fields, _offered(fields))
    link.write("name", None)


def name_field(page: str, default: str) -> str:
    """What the new training is called, which is in the link; the default name while the field is empty."""
    options = link.field(session.key(page, "name"), "name", link.words(LONGEST_NAME), "")
    return st.text_input("Name of this training", placeholder=default, max_chars=LONGEST_NAME, **options) or default


def draw(page: str, vocabulary_size: int, sentences: int, limits: Mapping[str, int], of_task: bool = False) -> Form:
    """The form on `page` for a vocabulary of this size and so many sentences to train on; it is in the page's link.

    limits: the most that settings may be here, by their names, on a server with caps. of_task: it is no text that is
    to be learnt, for which the presets are made.
    """
    fields = _fields(page, TASK_DEFAULTS if of_task else None)
    batch = default_batch_size(sentences)
    session.suggest(fields.key("batch_size"), float(batch))
    form = _read(fields, vocabulary_size, limits)
    settings_link.show_refusals(fields)
    values = form.model.to_json() | form.training.to_json()
    settings_link.write(fields, _offered(fields), values, fields.defaults | {"batch_size": batch})
    if not of_task:
        presets.draw(fields, form.model, form.training, _offered(fields))
    idle = unused_settings(form.model, form.training)

    def field(name: str) -> None:
        if name not in idle:
            fields.draw(name, form.reasons.get(name), _label(fields, name, form.model))

    basic = [name for name, setting in fields.declared.items() if setting.basic]
    with st.container(border=True):
        for row in (basic[:2], basic[2:]):
            for column, name in zip(st.columns(len(row), gap="medium"), row, strict=True):
                with column:
                    field(name)
    with st.expander("More settings", icon=":material/tune:"):
        for tab, group in zip(st.tabs(list(TABS)), TABS, strict=True):
            names = [
                name
                for name, setting in _offered(fields).items()
                if setting.group == group and name not in basic and name not in idle
            ]
            with tab:
                for column, half in zip(st.columns(2), (names[::2], names[1::2]), strict=True):
                    with column:
                        for name in half:
                            field(name)
    return form


def _fields(page: str, defaults: Mapping[str, Any] | None = None) -> SettingFields:
    return SettingFields(page, ModelConfig, TrainingSettings, defaults=defaults)


def _read(fields: SettingFields, vocabulary_size: int, limits: Mapping[str, int]) -> Form:
    """The settings in the fields, those that have no effect at their defaults, and what is wrong with them."""
    model = fields.read(ModelConfig, vocabulary_size=vocabulary_size)
    training = fields.read(TrainingSettings, checkpoint_every_seconds=FRESH_SECONDS)
    while True:
        idle = unused_settings(model, training)
        settled = _without(model, idle), _without(training, idle)
        if settled == (model, training):
            break
        model, training = settled
    reasons = problems(model, training)
    for name, most in limits.items():
        value = getattr(model, name, None) or getattr(training, name, None)
        if value is not None and value > most:
            reasons.setdefault(name, hosting.at_most(most))
    return Form(model, training, reasons)


def _without(part: Part, idle: set[str]) -> Part:
    """The settings without those that have no effect: None where that is a value, else the default."""
    declared = settings_of(type(part))
    unset: dict[str, Any] = {
        name: None if one.optional else one.default for name, one in declared.items() if name in idle
    }
    return dataclasses.replace(part, **unset)


def _offered(fields: SettingFields) -> dict[str, Setting]:
    """The settings that have a field."""
    return {name: one for name, one in fields.declared.items() if one.group in TABS and name not in FIXED}


def _label(fields: SettingFields, name: str, model: ModelConfig) -> str | None:
    """What a setting is called beside the choice that it belongs to: the scale of W is its gain, or its radius."""
    controlling = fields.declared.get(fields.declared[name].only_with)
    if controlling is None or controlling.choices is None:
        return None
    chosen = controlling.choices.get(getattr(model, controlling.name, ""))
    return None if chosen is None else chosen.settings.get(name) or None
