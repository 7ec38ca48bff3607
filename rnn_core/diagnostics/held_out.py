"""What a network's losses on held-out sentences say, word by word: where in a sentence it is surprised, by which words,
and whether counting would have known better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnn_core.arrays import Array
from rnn_core.data import batches
from rnn_core.nn.language_model import LanguageModel

_BATCH_SIZE = 64


@dataclass(frozen=True, eq=False)
class LossByPosition:
    """By place in the sentence, from 0, the first word (predicted from <s> alone).

    tokens      (P,) how many predictions were made there
    loss_nats   (P,) their mean loss
    error_nats  (P,) standard error of the mean; nan where there is one prediction only
    """

    tokens: Array
    loss_nats: Array
    error_nats: Array

    @property
    def perplexity(self) -> Array:
        """(P,) exp of the mean loss; inf where no float can hold it."""
        with np.errstate(over="ignore"):
            return np.exp(self.loss_nats)


def sentence_losses(model: LanguageModel, sentences: Sequence[Array]) -> list[Array]:
    """Sentences of ids (n,) from <s> to </s> -> E_t (n - 1,) in nats of every prediction, each sentence from a fresh
    state.
    """
    found: list[Array] = [np.zeros(0)] * len(sentences)
    for batch in batches(sentences, _BATCH_SIZE, None):
        losses, _ = model.token_losses(batch.inputs, batch.targets, batch.mask)
        for column, number in enumerate(batch.sentences.tolist()):
            found[number] = losses[batch.mask[:, column], column]
    return found


def loss_by_position(losses: Sequence[Array]) -> LossByPosition:
    """The losses (n,) of each sentence, as `sentence_losses` gives them -> LossByPosition up to the longest one."""
    places = np.concatenate([np.arange(len(sentence)) for sentence in losses])
    values = np.concatenate(losses).astype(np.float64)
    tokens = np.bincount(places)
    mean = np.bincount(places, values) / tokens
    spread = np.bincount(places, (values - mean[places]) ** 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(spread / (tokens - 1) / tokens)
    return LossByPosition(tokens, mean, error)


@dataclass(frozen=True, eq=False)
class WordSurprise:
    """Two predictors on the same sentence of ids (n,) from <s> to </s>.

    words           (n - 1,) the ids that were predicted, </s> last
    network_nats    (n - 1,) -ln p of each by the network
    reference_nats  (n - 1,) by the other predictor, such as the Kneser-Ney trigram
    """

    words: Array
    network_nats: Array
    reference_nats: Array

    @property
    def gain_nats(self) -> Array:
        """(n - 1,) how much better the network predicted each word; below 0, the other knew better."""
        return self.reference_nats - self.network_nats


def word_surprise(model: LanguageModel, sentences: Sequence[Array], reference: Sequence[Array]) -> list[WordSurprise]:
    """Sentences, and what another predictor loses on their words (`ngrams.sentence_losses`) -> both side by side."""
    losses = sentence_losses(model, sentences)
    return [
        WordSurprise(sentence[1:], own, other)
        for sentence, own, other in zip(sentences, losses, reference, strict=True)
    ]
