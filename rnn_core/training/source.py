"""What a network is trained on: the sentences of a corpus, or the endless stream of a task.

Both are a `Source` to the loop, whose batches are a function of the settings, the epoch and the position alone: so a
training can go on from any step, bit for bit, and a checkpoint holds nothing of the source.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import numpy as np

from rnn_core.config import SamplingSettings, TrainingSettings
from rnn_core.data import Batch, PreparedCorpus, predicted_tokens
from rnn_core.data.tasks import Task, TaskBatch
from rnn_core.errors import SettingsError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network
from rnn_core.training.evaluation import VALIDATION_SEQUENCES, evaluate_in_parts, evaluate_task_in_parts
from rnn_core.training.generation import generate, sentences_of
from rnn_core.training.plan import Plan, epoch_batches
from rnn_core.training.probe import probe_batch, task_probe
from rnn_core.training.task_network import check_fits


class Validation(NamedTuple):
    """What is known after a part of the validation: the share that is done, the mean loss so far, a task's metric."""

    fraction: float
    loss_nats: float
    metric: float | None


class Source(ABC):
    """Where the batches of a training come from, and how its success is measured.

    generates_text: whether a network that learns it can write sentences (`sample`).
    """

    generates_text: ClassVar[bool] = False

    @abstractmethod
    def check(self, network: Network) -> None:
        """Raises SettingsError where this network cannot be trained on it."""

    @abstractmethod
    def plan(self, settings: TrainingSettings) -> Plan:
        """How many steps there are. Raises CorpusError where there is nothing to train on."""

    @abstractmethod
    def batch(self, settings: TrainingSettings, epoch: int, position: int) -> Batch | TaskBatch:
        """The batch number `position` of an epoch, both from 0: always the same for the same seed."""

    @abstractmethod
    def validation(self, network: Network) -> Iterator[Validation]:
        """The validation part by part, each time of all so far; nothing where there is none."""

    @abstractmethod
    def probe(self) -> Batch | TaskBatch:
        """A few sequences, always the same, on which it is measured how far the gradient reaches."""

    def sample(self, network: Network, seed: int) -> tuple[str, float]:
        """A text that the network writes, and at which temperature; for a source that `generates_text`."""
        raise NotImplementedError


class CorpusSource(Source):
    """Sentences, or one stream of them; an epoch reads each once."""

    generates_text = True

    def __init__(self, corpus: PreparedCorpus) -> None:
        self.corpus = corpus
        self._epoch: tuple[int, list[Batch]] = (-1, [])

    def check(self, network: Network) -> None:
        _language_model(network)

    def plan(self, settings: TrainingSettings) -> Plan:
        return Plan.for_corpus(settings, self.corpus)

    def batch(self, settings: TrainingSettings, epoch: int, position: int) -> Batch:
        if self._epoch[0] != epoch:
            self._epoch = (epoch, epoch_batches(self.corpus, settings, epoch))
        return self._epoch[1][position]

    def validation(self, network: Network) -> Iterator[Validation]:
        tokens = predicted_tokens(self.corpus.valid)
        for part in evaluate_in_parts(_language_model(network), self.corpus.valid):
            yield Validation(part.tokens / tokens, part.loss_nats, None)

    def probe(self) -> Batch:
        return probe_batch(self.corpus)

    def sample(self, network: Network, seed: int) -> tuple[str, float]:
        vocabulary = self.corpus.vocabulary
        settings = SamplingSettings(max_tokens=120 if vocabulary.unit == "char" else 30)
        with np.errstate(over="ignore", invalid="ignore"):
            tokens = list(generate(_language_model(network), vocabulary, settings=settings, seed=seed))
        return " ".join(sentences_of(tokens, vocabulary.unit)), settings.temperature


class TaskSource(Source):
    """The endless stream of a task's batches; how many are called an epoch, `Plan.for_task` says.

    Step s (from 0) trains on `task.batch(batch_size, seed, s)`. The validation sequences are the same for every seed,
    and `validation_sequences` of them.
    """

    def __init__(self, task: Task, validation_sequences: int = VALIDATION_SEQUENCES) -> None:
        if validation_sequences < 1:
            raise SettingsError("a task is validated on at least 1 sequence.")
        self.task, self.validation_sequences = task, validation_sequences

    def check(self, network: Network) -> None:
        check_fits(self.task, network.config)

    def plan(self, settings: TrainingSettings) -> Plan:
        return Plan.for_task(settings)

    def batch(self, settings: TrainingSettings, epoch: int, position: int) -> TaskBatch:
        step = epoch * Plan.for_task(settings).steps_per_epoch + position
        return self.task.batch(settings.batch_size, settings.seed, step)

    def validation(self, network: Network) -> Iterator[Validation]:
        for part in evaluate_task_in_parts(network, self.task, self.validation_sequences):
            yield Validation(part.sequences / self.validation_sequences, part.loss, part.metric)

    def probe(self) -> TaskBatch:
        return task_probe(self.task)


def source_of(data: PreparedCorpus | Task | Source) -> Source:
    """What `train` was given, as a source."""
    if isinstance(data, Source):
        return data
    return TaskSource(data) if isinstance(data, Task) else CorpusSource(data)


def _language_model(network: Network) -> LanguageModel:
    if not isinstance(network, LanguageModel):
        raise SettingsError("only a LanguageModel, whose words are those of the text, can be trained on a text.")
    return network
