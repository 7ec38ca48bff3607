"""How well a network predicts a text: the mean loss in nats, and perplexity, its exponential."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rnn_core.arrays import Array
from rnn_core.data import UNKNOWN_ID, batches, stream_batches
from rnn_core.errors import CorpusError
from rnn_core.nn.language_model import LanguageModel

# Sentences side by side. Nothing is learnt here, so this is a matter of speed alone.
BATCH_SIZE = 64

# Of a text that is read on without a break.
TOKENS_OF_A_COLUMN = 5000
CHUNK_LENGTH = 100


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
    tokens = sum(len(sentence) - 1 for sentence in sentences)
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
