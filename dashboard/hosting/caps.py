"""What a visitor of a hosted server may ask for. What is too much is refused, with both numbers, before it starts."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rnn_core.config import ModelConfig, TrainingSettings, settings_of
from rnn_core.data import PreparedCorpus
from rnn_core.data.tasks import Task
from rnn_core.errors import CorpusError, SettingsError
from rnn_core.runs import memory
from rnn_core.threads import limited_threads, usable_cores
from rnn_core.training import Plan

VARIABLE = "SEE_BPTT_HOSTED"
OFF = ("", "0", "off", "no", "false")
ON = ("1", "on", "yes", "true")


@dataclass(frozen=True)
class Caps:
    """What a visitor may ask for. Every name can be set in SEE_BPTT_HOSTED."""

    upload_megabytes: int = 5  # of one text
    uploads_megabytes: int = 10  # of one visitor's files together, as long as they lie in memory
    all_uploads_megabytes: int = 100  # of all visitors' files
    reading_seconds: float = 10.0  # of processor time, for one text
    messages_at_once: int = 60  # of one visitor's pages together: reruns, clicks and polls
    messages_per_second: float = 2.0  # the same from then on
    words: int = 500_000  # of a corpus, in tokens
    vocabulary: int = 10_000
    hidden: int = 256  # units; also numbers of a word vector
    layers: int = 2
    batch: int = 256  # sentences side by side
    steps: int = 50_000
    minutes: float = 15.0  # of training, over every resumption
    memory_megabytes: int = 700  # of one training's process
    unwatched_minutes: float = 10.0
    trainings: int = 0  # at a time; 0: as many as there are usable cores
    waiting: int = 50  # in the queue, over all visitors
    trainings_per_visitor: int = 4  # at work or in the queue
    runs_per_visitor: int = 20
    days: float = 7.0  # since anybody looked at a run, or trained it
    total_megabytes: int = 2000  # of all visitors' runs together

    def of_settings(self) -> dict[str, int]:
        """The most that settings may be, by their names."""
        return {
            "vocabulary_size": self.vocabulary,
            "hidden_size": self.hidden,
            "embedding_size": self.hidden,
            "layers": self.layers,
            "batch_size": self.batch,
            "steps": self.steps,
        }

    @property
    def slots(self) -> int:
        """Trainings at a time."""
        return self.trainings or usable_cores()

    @property
    def threads_each(self) -> int:
        """Threads of one training: the cores shared out, so that trainings side by side do not fight for them."""
        return max(1, usable_cores() // self.slots)


def current_caps() -> Caps | None:
    """The caps of this server; None where it is not hosted. Raises SettingsError where the variable makes no sense:
    better no page than one without caps.
    """
    return _parse(os.environ.get(VARIABLE, ""))


@lru_cache(maxsize=8)
def _parse(value: str) -> Caps | None:
    value = value.strip()
    if value.lower() in OFF:
        return None
    if value.lower() in ON:
        return Caps()
    kinds = {field.name: float if field.type == "float" else int for field in dataclasses.fields(Caps)}
    changed: dict[str, Any] = {}
    for part in value.replace(",", " ").split():
        name, equals, number = part.partition("=")
        if not equals or name not in kinds:
            raise SettingsError(
                f"{VARIABLE} is 1, or holds caps such as minutes=30; it knows no {part[:40]!r}. "
                f"The caps are {', '.join(kinds)}."
            )
        try:
            changed[name] = kinds[name](number)
        except ValueError:
            raise SettingsError(f"{VARIABLE}: {name} is a number, not {number[:40]!r}.") from None
        if not 0 <= changed[name] < 1e9 or (changed[name] == 0 and name != "trainings"):
            raise SettingsError(f"{VARIABLE}: {name} must be above 0 and below a thousand million.")
    return Caps(**changed)


def at_most(most: int) -> str:
    """What is said of a setting that is beyond its cap."""
    return f"this server allows {most:,}. Choose less, or run the app on your own machine."


def check_upload(size_bytes: int, caps: Caps) -> None:
    """Raises CorpusError for a text of more bytes than this server reads."""
    if size_bytes > caps.upload_megabytes * 2**20:
        raise CorpusError(
            f"this text has {size_bytes / 2**20:.1f} MB, and this server reads up to {caps.upload_megabytes} MB. "
            "Choose a part of it, or run the app on your own machine."
        )


def check_corpus(corpus: PreparedCorpus, caps: Caps) -> None:
    """Raises CorpusError for a corpus of more words than this server trains on."""
    # Counted, not taken from the report: the corpus may have come in somebody's zip.
    words = sum(len(sentence) - 2 for sentence in (*corpus.train, *corpus.valid))
    if words > caps.words:
        raise CorpusError(
            f"this text has {words:,} words, and this server trains on up to {caps.words:,}. "
            "Choose a part of it, or run the app on your own machine."
        )


def check_training(
    data: PreparedCorpus | Task, model: ModelConfig, training: TrainingSettings, caps: Caps, networks: int = 1
) -> None:
    """Raises CorpusError or SettingsError, with the numbers, for what this server does not train.

    `networks`: so many, the largest of them like this one, that share one process.
    """
    if isinstance(data, Task):
        steps = Plan.for_task(training).total_steps
    else:
        check_corpus(data, caps)
        steps = Plan.for_corpus(training, data).total_steps if data.train else 0
    asked = model.to_json() | training.to_json()
    asked["steps"] = steps  # whether asked for in epochs or steps
    declared = {**settings_of(ModelConfig), **settings_of(TrainingSettings)}
    for name, most in caps.of_settings().items():
        if (asked[name] or 0) > most:
            raise SettingsError(f"{declared[name].label}: you ask for {asked[name]:,}, and {at_most(most)}")
    with limited_threads(caps.threads_each):  # which says how many processes will share its batches
        estimate = (
            memory.estimate_for_task(data, model, training)
            if isinstance(data, Task)
            else memory.estimate_for(data, model, training)
        )
    needed = estimate.total_bytes + (networks - 1) * (estimate.total_bytes - estimate.process_bytes)
    # What other processes need comes first: a training that is killed for its size helps nobody.
    most_bytes = min(caps.memory_megabytes * 10**6, memory.available_bytes())
    if needed > most_bytes:
        raise SettingsError(
            f"this training would take about {needed / 1e6:,.0f} MB of memory, and {most_bytes / 1e6:,.0f} MB are free "
            "for it here. Choose a smaller vocabulary, fewer hidden units or smaller batches."
        )
