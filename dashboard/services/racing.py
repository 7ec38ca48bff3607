"""Races: which networks can take part, what they read, and where their runs are.

A race is up to four ordinary runs whose ids differ in the last digit: <race>-1, <race>-2, … So whoever has the race's
id finds its runs, after a refresh or on another day, and a run that was deleted is simply not there any more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from dashboard.services.history import HORIZONS, History
from rnn_core.config import ModelConfig, TaskSettings, TextSettings
from rnn_core.data import PreparedCorpus, agreement_sentences, prepare_sentences
from rnn_core.errors import UserError
from rnn_core.nn.cells import CELL_FORMS
from rnn_core.runs import Run, RunConfig, new_run_id
from rnn_core.runs.events import AgreementMeasured
from rnn_core.runs.race import MOST
from rnn_core.training import Event

_RACE = re.compile(r"[0-9]{8}-[0-9a-f]{20}")
_LANE = re.compile(rf"({_RACE.pattern})-([1-{MOST}])")

TEXT = TextSettings(sentences="lines")
COUNT = 8000
"""Sentences of a race: the tenth that is held out has enough of every distance to count on."""

GATED = tuple(dict.fromkeys(cell.name for cell in CELL_FORMS if cell.gated))
"""Cells with gates, each with its default initialisation."""

NETWORKS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "tanh uniform": {"cell": "tanh"},
        "tanh orthogonal": {"cell": "tanh", "init": "orthogonal"},
        "tanh identity": {"cell": "tanh", "init": "identity"},
        "relu uniform": {"cell": "relu"},
        "relu identity": {"cell": "relu", "init": "identity"},
        "sigmoid uniform": {"cell": "sigmoid"},
        "lstm remembers": {"cell": "lstm", "forget_bias": 3.0},
        **{name: {"cell": name} for name in GATED},
    }
)
"""Settings of `ModelConfig`, by the key under which the page's words have a title."""

_TOLD_APART_BY = {setting for settings in NETWORKS.values() for setting in settings}

DEFAULT_NETWORKS = ("tanh uniform", "tanh orthogonal", "relu identity", "lstm")


def new_race_id() -> str:
    """An id for a new race; it cannot be guessed."""
    return new_run_id()


def is_race_id(candidate: str) -> bool:
    """Whether this, perhaps from a link, has the form of a race's id."""
    return _RACE.fullmatch(candidate) is not None


def lane_id(race_id: str, place: int) -> str:
    """The id of the run in lane `place`, from 1."""
    return f"{race_id}-{place}"


def race_of(run_id: str) -> str | None:
    """The race that this run belongs to, if it belongs to one."""
    found = _LANE.fullmatch(run_id)
    return found[1] if found else None


def waiting_with(run: Run) -> list[Run]:
    """The run itself, first, and every other run of its race that waits to be started: one process is to train them."""
    race_id = race_of(run.id)
    if race_id is None:
        return [run]
    others = []
    for place in range(1, MOST + 1):
        folder = run.folder.parent / lane_id(race_id, place)
        if folder != run.folder and folder.is_dir() and not folder.is_symlink():
            try:
                other = Run.open(folder)
                if other.status().state == "queued":
                    others.append(other)
            except UserError:
                continue  # damaged: it says so where it is opened
    return [run, *others]


@lru_cache(maxsize=4)
def agreement_corpus(low: int, high: int) -> PreparedCorpus:
    """Sentences in which `low` to `high` words stand between the two that must agree."""
    sentences = agreement_sentences((low, high), COUNT, TEXT.seed)
    gap = f"{low}" if low == high else f"{low} to {high}"
    return prepare_sentences(sentences, f"agreement, gap {gap}", TEXT)


def settings_of(network: str, data: PreparedCorpus | TaskSettings, hidden_size: int) -> dict[str, Any]:
    """The arguments of `ModelConfig` for one of NETWORKS; what it reads and answers on a task is the task's."""
    settings = {**NETWORKS[network], "hidden_size": hidden_size}
    return settings if isinstance(data, TaskSettings) else settings | {"vocabulary_size": len(data.vocabulary)}


def network_of(config: RunConfig) -> str | None:
    """Which of NETWORKS a run is; None for none of them."""
    for name, settings in NETWORKS.items():
        wanted = ModelConfig(**settings)
        if all(getattr(config.model, setting) == getattr(wanted, setting) for setting in _TOLD_APART_BY):
            return name
    return None


@dataclass
class LaneHistory(History):
    """What one visitor has read of a run, its agreement included."""

    agreements: dict[int, AgreementMeasured] = field(default_factory=dict)

    def _note(self, event: Event) -> None:
        super()._note(event)
        if isinstance(event, AgreementMeasured):
            if len(self.agreements) >= HORIZONS:
                self.agreements = dict(list(self.agreements.items())[::2])
            self.agreements[event.step] = event
