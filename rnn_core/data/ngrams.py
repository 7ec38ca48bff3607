"""What counting alone achieves on a text: the perplexities that a network has to beat.

All models predict the targets a network predicts (ids[1:] of each sentence, </s> among them) and spread
probability one over the whole vocabulary, so their perplexities and a network's can be laid side by side.
n-grams are counted and looked up as sorted integers: a million tokens take about a second.

Names: V vocabulary size, c(.) a count, T(h) the number of different words seen after h.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from rnn_core.data.vocabulary import START_ID


class NgramModel(Protocol):
    """`history` words of context decide the distribution of the next word."""

    history: int

    def log_probabilities(self, contexts: np.ndarray, words: np.ndarray) -> np.ndarray:
        """contexts (n, history) ids, nearest word last; words (n,) -> natural logarithms (n,)."""
        ...


class Uniform:
    """p(w) = 1 / V: what an untrained network predicts."""

    history = 0

    def __init__(self, vocabulary_size: int) -> None:
        self.size = vocabulary_size

    def log_probabilities(self, contexts: np.ndarray, words: np.ndarray) -> np.ndarray:
        return np.full(len(words), -np.log(self.size))


class Unigram:
    """p(w) = (c(w) + T / V) / (c + T): frequencies interpolated with the uniform distribution (Witten & Bell
    1991, method C).

    T, the number of different words, counts how often something new came up: the chance that it does so again.
    """

    history = 0

    def __init__(self, train: Sequence[np.ndarray], vocabulary_size: int) -> None:
        counts = np.bincount(_positions(train, 0)[1], minlength=vocabulary_size).astype(np.float64)
        types = np.count_nonzero(counts)
        self.p = (counts + types / vocabulary_size) / (counts.sum() + types)

    def log_probabilities(self, contexts: np.ndarray, words: np.ndarray) -> np.ndarray:
        return np.log(self.p[words])


class Bigram:
    """p(w | v) = (c(v w) + T(v) p(w)) / (c(v) + T(v)): Witten-Bell interpolation with the unigram (Chen &
    Goodman 1998, 2.6)."""

    history = 1

    def __init__(self, train: Sequence[np.ndarray], vocabulary_size: int) -> None:
        self.size = vocabulary_size
        self.unigram = Unigram(train, vocabulary_size)
        contexts, words = _positions(train, 1)
        self.pairs = _Counts(contexts[:, 0] * vocabulary_size + words)
        self.totals = np.bincount(contexts[:, 0], minlength=vocabulary_size)
        self.types = np.bincount(self.pairs.keys // vocabulary_size, minlength=vocabulary_size)

    def log_probabilities(self, contexts: np.ndarray, words: np.ndarray) -> np.ndarray:
        before = contexts[:, 0].astype(np.int64)
        total, types = self.totals[before], self.types[before]
        lower = self.unigram.p[words]
        seen = self.pairs[before * self.size + words] + types * lower
        # A word that never came first says nothing: the unigram alone (T(v) = 0).
        return np.log(np.where(total > 0, seen / np.maximum(total + types, 1), lower))


class KneserNeyTrigram:
    """Interpolated Kneser-Ney (Kneser & Ney 1995; Chen & Goodman 1998, section 2.7), one discount D for each
    order:

        p(w | u v) = (max(c(u v w) - D3, 0) + D3 T(u v) p(w | v)) / c(u v)
        p(w | v)   = (max(n(. v w) - D2, 0) + D2 T(v)   p(w))     / n(. v .)
        p(w)       = (max(n(. w)   - D1, 0) + D1 T      / V)      / n(. .)

    n(. v w) is the number of different words before "v w": a word that follows only one other ("Francisco") is
    a poor guess anywhere else. D = n1 / (n1 + 2 n2) from the numbers of n-grams seen once and twice (Ney, Essen
    & Kneser 1994), 1/2 where a text is too small to have both. A sentence begins with two <s>. An unseen
    context passes on to the next shorter one.
    """

    history = 2

    def __init__(self, train: Sequence[np.ndarray], vocabulary_size: int) -> None:
        size = self.size = vocabulary_size
        contexts, words = _positions(train, 2)
        self.trigrams = _Counts((contexts[:, 0] * size + contexts[:, 1]) * size + words)
        # Each different trigram "u v w" is one different word u before "v w", and so on down.
        self.bigrams = _Counts(self.trigrams.keys % (size * size))
        self.unigrams = _Counts(self.bigrams.keys % size)
        self.after_two = _Contexts(self.trigrams, size)
        self.after_one = _Contexts(self.bigrams, size)
        self.after_none = _Contexts(self.unigrams, size)

    def log_probabilities(self, contexts: np.ndarray, words: np.ndarray) -> np.ndarray:
        size = self.size
        two, one = contexts[:, 0].astype(np.int64), contexts[:, 1].astype(np.int64)
        p = np.full(len(words), 1.0 / size)
        p = self.after_none.interpolate(np.zeros_like(one), self.unigrams[words], p)
        p = self.after_one.interpolate(one, self.bigrams[one * size + words], p)
        p = self.after_two.interpolate(two * size + one, self.trigrams[(two * size + one) * size + words], p)
        return np.log(p)


class _Counts:
    """How often each key occurs, as two sorted arrays; a key that does not occur counts 0."""

    def __init__(self, keys: np.ndarray) -> None:
        self.keys, self.counts = np.unique(keys, return_counts=True)

    def __getitem__(self, keys: np.ndarray) -> np.ndarray:
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.counts[place], 0)


class _Contexts:
    """For each context (a key without its last word): total count, different words, and the discount of this
    order."""

    def __init__(self, ngrams: _Counts, size: int) -> None:
        self.keys, first = np.unique(ngrams.keys // size, return_index=True)
        self.totals = np.add.reduceat(ngrams.counts, first)
        self.types = np.diff(np.append(first, len(ngrams.keys)))
        once, twice = int((ngrams.counts == 1).sum()), int((ngrams.counts == 2).sum())
        self.discount = once / (once + 2 * twice) if once and twice else 0.5

    def interpolate(self, contexts: np.ndarray, counts: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """The probabilities of words by their counts in these contexts, interpolated with those of the lower order."""
        place = np.minimum(np.searchsorted(self.keys, contexts), len(self.keys) - 1)
        discounted = np.maximum(counts - self.discount, 0.0) + self.discount * self.types[place] * lower
        return np.where(self.keys[place] == contexts, discounted / self.totals[place], lower)


def _positions(sentences: Sequence[np.ndarray], history: int) -> tuple[np.ndarray, np.ndarray]:
    """(contexts (n, history), words (n,)) int64 for every predicted word; before a sentence stand as many <s>
    as are needed."""
    padding = np.full(max(0, history - 1), START_ID, dtype=np.int64)
    stream = np.concatenate([part for sentence in sentences for part in (padding, sentence)]).astype(np.int64)
    lengths = np.array([len(sentence) for sentence in sentences], dtype=np.int64)
    ends = np.cumsum(lengths + len(padding))
    predicted = np.ones(len(stream), dtype=bool)
    for offset in range(len(padding) + 1):
        predicted[ends - lengths - len(padding) + offset] = False
    at = np.flatnonzero(predicted)
    return stream[at[:, None] - np.arange(history, 0, -1)], stream[at]


def mean_nats(model: NgramModel, sentences: Sequence[np.ndarray]) -> float:
    """Mean of -ln p over every predicted word."""
    return float(-model.log_probabilities(*_positions(sentences, model.history)).mean())


def sentence_losses(model: NgramModel, sentences: Sequence[np.ndarray]) -> list[np.ndarray]:
    """-ln p of every predicted word: for each sentence of ids (n,), an array (n - 1,) in nats."""
    nats = -model.log_probabilities(*_positions(sentences, model.history))
    return np.split(nats, np.cumsum([len(sentence) - 1 for sentence in sentences])[:-1])


def baselines(train: Sequence[np.ndarray], test: Sequence[np.ndarray], vocabulary_size: int) -> dict[str, float]:
    """Perplexities on `test` of models counted on `train` (sentences of ids from <s> to </s>, neither list
    empty).

    Keys uniform, unigram, bigram, kneser_ney_trigram; and unigram_nats, the unigram's mean loss.
    """
    models: dict[str, NgramModel] = {
        "uniform": Uniform(vocabulary_size),
        "unigram": Unigram(train, vocabulary_size),
        "bigram": Bigram(train, vocabulary_size),
        "kneser_ney_trigram": KneserNeyTrigram(train, vocabulary_size),
    }
    nats = {name: mean_nats(model, test) for name, model in models.items()}
    return {**{name: float(np.exp(value)) for name, value in nats.items()}, "unigram_nats": nats["unigram"]}
