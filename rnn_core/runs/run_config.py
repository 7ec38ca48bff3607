"""config.json: what a run was asked to do, and what is known of its corpus."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.errors import RunError, SettingsError
from rnn_core.runs import files
from rnn_core.runs.strict_json import json_bytes

SCHEMA = 1


@dataclass(frozen=True)
class CorpusFacts:
    """What config.json knows of the corpus. Tokens are predicted ones: a sentence of n words has n + 1, with `</s>`."""

    name: str
    train_sentences: int
    train_tokens: int
    valid_sentences: int
    valid_tokens: int
    uniform_nats: float  # ln(vocabulary size): the loss of knowing nothing
    unigram_nats: float  # validation loss of the words' frequencies alone
    report: dict[str, Any] = field(default_factory=dict)  # text.CorpusReport.to_json()


@dataclass(frozen=True)
class RunConfig:
    """config.json."""

    schema: int
    name: str  # chosen by a user: data, never markup
    created: float  # unix seconds
    model: ModelConfig
    training: TrainingSettings
    text: TextSettings
    corpus: CorpusFacts


Migration = Callable[[dict[str, Any]], dict[str, Any]]

# From a schema to the next: {1: from_1_to_2, ...}. New settings with a default need none: what is missing takes it.
MIGRATIONS: dict[int, Migration] = {}


def write_config(folder: Path, config: RunConfig) -> None:
    """Write config.json, whole or not at all. Raises OSError."""
    values = {
        "schema": config.schema,
        "name": config.name,
        "created": config.created,
        "model": config.model.to_json(),
        "training": config.training.to_json(),
        "text": config.text.to_json(),
        "corpus": dataclasses.asdict(config.corpus),
    }
    files.atomic_write(folder / "config.json", [json_bytes(values)])


def migrated(values: Any) -> dict[str, Any]:
    """config.json of any schema so far, as one of today's. Raises RunError for one of tomorrow's."""
    schema = values.get("schema") if isinstance(values, dict) else None
    if type(schema) is not int or schema < 1:
        raise RunError("config.json is damaged: it does not say which schema it has.")
    if schema > SCHEMA:
        raise RunError("this run was made by a newer version of this program; update it to open the run.")
    for older in range(schema, SCHEMA):
        values = {**MIGRATIONS[older](values), "schema": older + 1}
    return values


def config_from_json(values: Any) -> RunConfig:
    values = migrated(values)
    try:
        facts = values["corpus"]
        known = {entry.name for entry in dataclasses.fields(CorpusFacts)}
        if not isinstance(facts, dict) or not facts.keys() <= known:
            raise RunError("config.json is damaged: its facts about the corpus make no sense.")
        config = RunConfig(
            SCHEMA,
            clean_name(values["name"]),
            float(values["created"]),
            ModelConfig.from_json(values["model"]),
            TrainingSettings.from_json(values["training"]),
            TextSettings.from_json(values["text"]),
            CorpusFacts(**facts),
        )
        counts = [config.corpus.train_sentences, config.corpus.train_tokens]
        counts += [config.corpus.valid_sentences, config.corpus.valid_tokens]
        baselines = [config.corpus.uniform_nats, config.corpus.unigram_nats]
        if (
            not isinstance(config.corpus.name, str)
            or not all(type(count) is int and 0 <= count < 2**48 for count in counts)
            or not all(type(nats) in (int, float) and math.isfinite(nats) for nats in baselines)
            or not isinstance(config.corpus.report, dict)
        ):
            raise RunError("config.json is damaged: its facts about the corpus make no sense.")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError("config.json is damaged: something in it is missing or of the wrong kind.") from None
    except SettingsError as error:
        raise RunError(f"config.json is damaged: {error}") from None
    return config


def clean_name(name: str) -> str:
    """A name fit for one line: no control characters, at most 120 characters."""
    name = "".join(character if character.isprintable() else " " for character in name)
    return " ".join(name.split())[:120] or "unnamed"
