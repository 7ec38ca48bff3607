"""How well a network predicts a text (mean loss in nats; perplexity, its exponential), and how well it does a task."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from rnn_core.arrays import Array
from rnn_core.data import UNKNOWN_ID, batches, predicted_tokens, stream_batches
from rnn_core.data.tasks import Task
from rnn_core.errors import CorpusError, SettingsError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network
from rnn_core.randomness import stream

# Sentences side by side. Nothing is learnt here, so this is a matter of speed alone.
BATCH_SIZE = 64

# Of a text that is read on without a break.
TOKENS_OF_A_COLUMN = 5000
CHUNK_LENGTH = 100

VALIDATION_SEQUENCES = 2000
"""Of a task, where nobody says how many: an error rate of 1 % is then known to 0.2 %."""
SEQUENCES_AT_A_TIME = 100


@dataclass(frozen=True)
class Evaluation:
    """tokens: predicted ones, `</s>` among them; unknown_rate: share of the words that the vocabulary lacks."""

    tokens: int
    loss_nats: float
    unknown_rate: float

    @property
    def perplexity(self) -> float:
        return perplexity(self.loss_nats)


def perplexity(loss_nats: float) -> float:
    """exp(loss): among how many equally likely words the network hesitates; inf where no float can hold it."""
    try:
        return math.exp(loss_nats)
    except OverflowError:
        return math.inf


def evaluate(model: LanguageModel, sentences: Sequence[Array]) -> Evaluation:
    """The loss of the network on sentences of ids, each from a fresh state. Raises CorpusError for none."""
    parts = list(evaluate_in_parts(model, sentences))
    if not parts:
        raise CorpusError("there is no sentence to evaluate; give a longer text.")
    return parts[-1]


def evaluate_stream(model: LanguageModel, sentences: Sequence[Array]) -> Evaluation:
    """The loss on the same words read as one text, the state carried on from sentence to sentence: for a network that
    was trained so. Raises CorpusError for no sentence.

    The text is read in columns side by side. Each begins with a fresh state and is long enough for that not to matter.
    """
    tokens = predicted_tokens(sentences)
    if not tokens:
        raise CorpusError("there is no sentence to evaluate; give a longer text.")
    columns = min(BATCH_SIZE, max(1, tokens // TOKENS_OF_A_COLUMN))
    state = model.initial_state(columns)
    loss_nats, unknown = 0.0, 0
    for batch in stream_batches(sentences, columns, CHUNK_LENGTH, None):
        losses, state = model.token_losses(batch.inputs, batch.targets, batch.mask, state)
        unknown += int((batch.targets[batch.mask] == UNKNOWN_ID).sum())
        loss_nats += float(losses[batch.mask].sum(dtype=np.float64))
    return Evaluation(tokens, loss_nats / tokens, unknown / max(tokens - len(sentences), 1))


def evaluate_in_parts(model: LanguageModel, sentences: Sequence[Array]) -> Iterator[Evaluation]:
    """As `evaluate`, a batch at a time: the evaluation of all sentences so far. Nothing for no sentences."""
    tokens = words = unknown = 0
    loss_nats = 0.0
    for batch in batches(sentences, BATCH_SIZE, None):
        losses, _ = model.token_losses(batch.inputs, batch.targets, batch.mask)
        tokens += int(batch.mask.sum())
        words += int(batch.mask.sum()) - batch.mask.shape[1]  # each sentence's last prediction is </s>
        unknown += int((batch.targets[batch.mask] == UNKNOWN_ID).sum())
        loss_nats += float(losses[batch.mask].sum(dtype=np.float64))
        yield Evaluation(tokens, loss_nats / max(tokens, 1), unknown / max(words, 1))


@dataclass(frozen=True)
class TaskEvaluation:
    """How well a network does a task.

    sequences    how many were tried
    loss         mean over the answers that count, in nats for a cross-entropy
    metric       the share of wrong answers, or the mean squared error (`Task.metric_name`)
    baseline     the metric of the best answer that does not look at the input
    by_group     the metric of each group of sequences (of so many attractors, say); {} where a task has none
    """

    sequences: int
    loss: float
    metric: float
    baseline: float
    by_group: dict[int, float] = field(default_factory=dict)


def evaluate_task(network: Network, task: Task, sequences: int = VALIDATION_SEQUENCES) -> TaskEvaluation:
    """The task's metric on sequences that are always the same, and that no training sees. Raises SettingsError."""
    if sequences < 1:
        raise SettingsError("a task is tried on at least 1 sequence.")
    return list(evaluate_task_in_parts(network, task, sequences))[-1]


def evaluate_task_in_parts(network: Network, task: Task, sequences: int) -> Iterator[TaskEvaluation]:
    """As `evaluate_task`, some sequences at a time: the evaluation of all so far."""
    asked = loss = errors = 0.0
    groups: dict[int, tuple[float, float]] = {}
    for part, start in enumerate(range(0, sequences, SEQUENCES_AT_A_TIME)):
        count = min(SEQUENCES_AT_A_TIME, sequences - start)
        batch = task.draw(count, stream(0, f"task {task.name} validation", part))
        outputs, losses = network.outputs_and_losses(batch.inputs, batch.targets, batch.mask, batch.loss_weights)
        wrong = (task.errors(outputs, batch) * batch.loss_weights).sum(axis=0)
        weights = batch.loss_weights.sum(axis=0)
        asked += float(weights.sum())
        loss += float((losses * batch.loss_weights).sum(dtype=np.float64))
        errors += float(wrong.sum())
        for group in [] if batch.groups is None else np.unique(batch.groups).tolist():
            own = batch.groups == group
            before = groups.get(group, (0.0, 0.0))
            groups[group] = (before[0] + float(wrong[own].sum()), before[1] + float(weights[own].sum()))
        by_group = {group: groups[group][0] / groups[group][1] for group in sorted(groups)}
        yield TaskEvaluation(start + count, loss / asked, errors / asked, task.baseline, by_group)
