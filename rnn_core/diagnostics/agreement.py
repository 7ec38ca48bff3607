"""Does the network know, many words later, who the sentence is about? (After Linzen, Dupoux & Goldberg 2016.)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.data import UNKNOWN_ID, AgreementItem, Vocabulary
from rnn_core.errors import CorpusError
from rnn_core.nn import softmax
from rnn_core.nn.activations import log_softmax
from rnn_core.nn.language_model import LanguageModel


@dataclass(frozen=True, eq=False)
class Agreement:
    """By gap: the number of words between the controller ("queen") and the word that must agree with it ("her").

    gaps       (G,) ascending
    items      (G,) how many sentences
    accuracy   (G,) share in which the right word is likelier than its competitor; a coin flip is 0.5
    error      (G,) standard error of the accuracy
    right, wrong  (G,) mean probability of the right word and of the competitor
    """

    gaps: Array
    items: Array
    accuracy: Array
    error: Array
    right: Array
    wrong: Array

    @property
    def overall(self) -> float:
        """Accuracy over all sentences."""
        return float(self.accuracy @ self.items / self.items.sum())


def agreement_accuracy(model: LanguageModel, vocabulary: Vocabulary, items: Sequence[AgreementItem]) -> Agreement:
    """Sentences of `agreement_items` (not those trained on) -> accuracy by gap, in the network's own precision.

    A tie counts half. Raises CorpusError where the vocabulary lacks one of the agreeing words.
    """
    by_gap: dict[int, list[AgreementItem]] = {}
    for item in items:
        by_gap.setdefault(item.gap, []).append(item)
    rows = [(gap, len(same), *_of_one_gap(model, vocabulary, same)) for gap, same in sorted(by_gap.items())]
    gaps, counts, accuracy, right, wrong = (np.array(column) for column in zip(*rows, strict=True))
    return Agreement(gaps, counts, accuracy, np.sqrt(accuracy * (1 - accuracy) / counts), right, wrong)


def _of_one_gap(
    model: LanguageModel, vocabulary: Vocabulary, items: Sequence[AgreementItem]
) -> tuple[float, float, float]:
    """Accuracy, and the mean probabilities of the right word and of the competitor."""
    right = vocabulary.encode([item.tokens[item.target] for item in items])
    wrong = vocabulary.encode([item.competitor for item in items])
    if UNKNOWN_ID in right or UNKNOWN_ID in wrong:
        raise CorpusError(
            "the vocabulary lacks a word that has to agree; train on sentences of the agreement corpus, "
            "with a vocabulary that holds all of them."
        )
    # With <s> in front, inputs 0 .. target are what has been read when the word is to be said.
    inputs = np.stack([vocabulary.encode_sentence(item.tokens)[: item.target + 1] for item in items], axis=1)
    with arithmetic():
        hidden = model.forward(inputs).hidden[-1]
        log_p = log_softmax(softmax.logits(hidden, model.output_matrix, model.params.get("c")))
    rows = np.arange(len(items))
    of_right, of_wrong = log_p[rows, right], log_p[rows, wrong]
    wins = (of_right > of_wrong) + 0.5 * (of_right == of_wrong)
    return float(wins.mean()), float(np.exp(of_right).mean()), float(np.exp(of_wrong).mean())
