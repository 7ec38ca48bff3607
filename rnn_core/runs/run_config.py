"""config.json: what a run was asked to do, and what is known of its corpus."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnn_core.config import ModelConfig, NetworkConfig, TaskSettings, TextSettings, TrainingSettings
from rnn_core.data import CorpusReport
from rnn_core.data.tasks import make_task
from rnn_core.errors import RunError, SettingsError
from rnn_core.runs import files
from rnn_core.runs.reading import LAST_MOMENT, read_json
from rnn_core.runs.strict_json import json_bytes
from rnn_core.training import Plan, Source, TaskSource
from rnn_core.training.task_network import check_fits

SCHEMA = 1
FILE = "config.json"
LIMIT_BYTES = 2**20
LONGEST_NAME = 1000
MOST_TOKENS = 2**48
MOST_TAGS, LONGEST_TAG = 10, 40


@dataclass(frozen=True)
class CorpusFacts:
    """What config.json knows of the corpus. Tokens are predicted ones: a sentence of n words has n + 1, with `</s>`.

    Of a task there is no corpus: the name is the task's, the counts are 0, and both losses are what is achieved without
    looking at the input.
    """

    name: str
    train_sentences: int
    train_tokens: int
    valid_sentences: int
    valid_tokens: int
    uniform_nats: float  # ln(vocabulary size): the loss of knowing nothing
    unigram_nats: float  # validation loss of the words' frequencies alone
    report: dict[str, Any] = field(default_factory=dict)  # text.CorpusReport.to_json()


@dataclass(frozen=True)
class ForkedFrom:
    """Where a fork left its parent: that run's id, after so many steps; `exact`: from a whole checkpoint."""

    run: str
    step: int
    exact: bool


@dataclass(frozen=True)
class RunConfig:
    """config.json. task: what is trained on in the place of a text; the model is a NetworkConfig then."""

    schema: int
    name: str  # chosen by a user: data, never markup
    created: float  # unix seconds
    model: ModelConfig
    training: TrainingSettings
    text: TextSettings
    corpus: CorpusFacts
    monitored: bool = False  # another program trains it: no words and no weights, only its history (`Monitor`)
    task: TaskSettings | None = None
    forked: ForkedFrom | None = None
    tags: tuple[str, ...] = ()  # chosen by a user, as the name

    def plan(self, training: TrainingSettings | None = None) -> Plan:
        """How many steps there are, with these settings of the training or with its own."""
        training = training or self.training
        if self.task is not None:
            return Plan.for_task(training)
        return Plan.of(training, self.corpus.train_sentences, self.corpus.train_tokens)

    def task_source(self) -> Source | None:
        """What a run on a task is trained on; None for a run on a text (`Run.source` has both)."""
        return None if self.task is None else TaskSource(make_task(self.task), self.task.validation_sequences)


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
        "tags": list(config.tags),
    }
    if config.monitored:
        values["monitored"] = True
    if config.task is not None:
        values["task"] = config.task.to_json()
    if config.forked is not None:
        values["forked"] = dataclasses.asdict(config.forked)
    files.atomic_write(folder / FILE, [json_bytes(values)])


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


def read_config(folder: Path) -> RunConfig:
    """config.json of a run, of any schema so far. Raises RunError."""
    values = migrated(read_json(folder / FILE, LIMIT_BYTES))
    try:
        task = TaskSettings.from_json(values["task"]) if "task" in values else None
        config = RunConfig(
            SCHEMA,
            clean_name(_of_type(values["name"], str)),
            float(_of_type(values["created"], int, float)),
            (ModelConfig if task is None else NetworkConfig).from_json(values["model"]),
            TrainingSettings.from_json(values["training"]),
            TextSettings.from_json(values["text"]),
            CorpusFacts(**_of_type(values["corpus"], dict)),
            _of_type(values.get("monitored", False), bool),
            task,
            _read_forked(values.get("forked")),
            clean_tags([_of_type(tag, str) for tag in _of_type(values.get("tags", []), list)]),
        )
        if task is not None:
            check_fits(make_task(task), config.model)
        _check_facts(config.corpus)
        if not 0 <= config.created < LAST_MOMENT:
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError("config.json is damaged: something in it is missing or of the wrong kind.") from None
    except SettingsError as error:
        raise RunError(f"config.json is damaged: {error}") from None
    return config


def _read_forked(values: Any) -> ForkedFrom | None:
    if values is None:
        return None
    run, step, exact = (_of_type(values[name], kind) for name, kind in (("run", str), ("step", int), ("exact", bool)))
    if len(run) > LONGEST_NAME or not 0 <= step < MOST_TOKENS:
        raise ValueError
    return ForkedFrom(run, step, exact)


def _of_type(value: Any, *kinds: type) -> Any:
    """The value, if it is exactly of one of these types (True is no int). Raises TypeError."""
    if type(value) not in kinds:
        raise TypeError
    return value


def _check_facts(facts: CorpusFacts) -> None:
    """Raises RunError for facts that no corpus has."""
    counts = (facts.train_sentences, facts.train_tokens, facts.valid_sentences, facts.valid_tokens)
    sensible = (
        isinstance(facts.name, str)
        and len(facts.name) <= LONGEST_NAME
        and all(type(count) is int and 0 <= count < MOST_TOKENS for count in counts)
        and all(type(nats) in (int, float) for nats in (facts.uniform_nats, facts.unigram_nats))
    )
    if not sensible:
        raise RunError("config.json is damaged: its facts about the corpus make no sense.")
    try:
        CorpusReport.from_json(facts.report)
    except RunError as error:
        raise RunError(f"config.json is damaged. {error}") from None


def clean_name(name: str) -> str:
    """A name fit for one line: no control characters, at most 120 characters."""
    return _one_line(name, 120) or "unnamed"


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags fit for one line each, without empty ones and doubles, in alphabetical order; at most MOST_TAGS."""
    return tuple(sorted({clean for tag in tags if (clean := _one_line(tag, LONGEST_TAG))})[:MOST_TAGS])


def _one_line(text: str, limit: int) -> str:
    text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())[:limit].strip()
