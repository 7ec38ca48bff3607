"""The n-gram baselines against their definitions, computed word by word with dictionaries."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core.data.ngrams import Bigram, KneserNeyTrigram, NgramModel, Uniform, Unigram, baselines, mean_nats

SIZE = 7

sentences_of_ids = st.lists(
    st.lists(st.integers(0, SIZE - 1).filter(lambda n: n not in (1, 2)), min_size=1, max_size=8).map(
        lambda ids: np.array([1, *ids, 2], dtype=np.int32)
    ),
    min_size=1,
    max_size=8,
)


def some_text(seed: int = 0, count: int = 200) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.array([1, *(rng.zipf(1.5, rng.integers(1, 12)) % 40 + 3), 2], dtype=np.int32) for _ in range(count)]


def models(train: list[np.ndarray], size: int) -> list[NgramModel]:
    return [Uniform(size), Unigram(train, size), Bigram(train, size), KneserNeyTrigram(train, size)]


@settings(deadline=None)
@given(sentences_of_ids, st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)))
def test_probabilities_sum_to_one_over_the_vocabulary_whatever_the_context(
    train: list[np.ndarray], context: tuple[int, int]
) -> None:
    words = np.arange(SIZE)
    for model in models(train, SIZE):
        contexts = np.tile(np.array(context[2 - model.history :], dtype=np.int64), (SIZE, 1))
        p = np.exp(model.log_probabilities(contexts, words))
        assert (p > 0).all()
        assert p.sum() == pytest.approx(1.0, abs=1e-12)


def padded(sentence: np.ndarray) -> list[int]:
    return [1, *sentence.tolist()]


class SlowKneserNey:
    """The three equations of KneserNeyTrigram's docstring, read aloud."""

    def __init__(self, train: list[np.ndarray], size: int) -> None:
        self.size = size
        self.three = Counter(tuple(ids[n - 2 : n + 1]) for ids in map(padded, train) for n in range(2, len(ids)))
        before_two, before_one = defaultdict(set), defaultdict(set)
        for u, v, w in self.three:
            before_two[v, w].add(u)
            before_one[w].add(v)
        self.two = {pair: len(before) for pair, before in before_two.items()}
        self.one = {word: len(before) for word, before in before_one.items()}

    @staticmethod
    def discount(counts: dict) -> float:
        values = list(counts.values())
        once, twice = values.count(1), values.count(2)
        return once / (once + 2 * twice) if once and twice else 0.5

    def p1(self, w: int) -> float:
        d, total = self.discount(self.one), sum(self.one.values())
        return (max(self.one.get(w, 0) - d, 0) + d * len(self.one) / self.size) / total

    def p2(self, w: int, v: int) -> float:
        after = {pair: n for pair, n in self.two.items() if pair[0] == v}
        if not after:
            return self.p1(w)
        d = self.discount(self.two)
        return (max(after.get((v, w), 0) - d, 0) + d * len(after) * self.p1(w)) / sum(after.values())

    def p3(self, w: int, v: int, u: int) -> float:
        after = {triple: n for triple, n in self.three.items() if triple[:2] == (u, v)}
        if not after:
            return self.p2(w, v)
        d = self.discount(self.three)
        return (max(after.get((u, v, w), 0) - d, 0) + d * len(after) * self.p2(w, v)) / sum(after.values())

    def perplexity(self, test: list[np.ndarray]) -> float:
        logs = [
            math.log(self.p3(ids[n], ids[n - 1], ids[n - 2])) for ids in map(padded, test) for n in range(2, len(ids))
        ]
        return math.exp(-sum(logs) / len(logs))


def slow_unigram(train: list[np.ndarray], size: int) -> dict[int, float]:
    counts = Counter(int(w) for ids in train for w in ids[1:])
    return {w: (counts[w] + len(counts) / size) / (counts.total() + len(counts)) for w in range(size)}


def slow_bigram_perplexity(train: list[np.ndarray], test: list[np.ndarray], size: int) -> float:
    unigram = slow_unigram(train, size)
    after: dict[int, Counter[int]] = defaultdict(Counter)
    for ids in train:
        for v, w in zip(ids[:-1].tolist(), ids[1:].tolist(), strict=True):
            after[v][w] += 1
    logs = []
    for ids in test:
        for v, w in zip(ids[:-1].tolist(), ids[1:].tolist(), strict=True):
            seen = after[v]
            weight = seen.total() + len(seen)
            logs.append(math.log((seen[w] + len(seen) * unigram[w]) / weight if weight else unigram[w]))
    return math.exp(-sum(logs) / len(logs))


@settings(deadline=None)
@given(sentences_of_ids, sentences_of_ids)
@pytest.mark.slow
def test_the_perplexities_are_those_of_the_definitions_word_by_word(
    train: list[np.ndarray], test: list[np.ndarray]
) -> None:
    found = baselines(train, test, SIZE)
    unigram = slow_unigram(train, SIZE)
    words = [int(w) for ids in test for w in ids[1:]]
    nats = -sum(math.log(unigram[w]) for w in words) / len(words)
    assert found["uniform"] == pytest.approx(SIZE)
    assert found["unigram_nats"] == pytest.approx(nats, rel=1e-12)
    assert found["unigram"] == pytest.approx(math.exp(nats), rel=1e-12)
    assert found["bigram"] == pytest.approx(slow_bigram_perplexity(train, test, SIZE), rel=1e-12)
    assert found["kneser_ney_trigram"] == pytest.approx(SlowKneserNey(train, SIZE).perplexity(test), rel=1e-12)


def test_a_larger_text_agrees_with_the_definitions_too() -> None:
    train, test = some_text(0), some_text(1, 30)
    found = baselines(train, test, 43)
    assert found["bigram"] == pytest.approx(slow_bigram_perplexity(train, test, 43), rel=1e-12)
    assert found["kneser_ney_trigram"] == pytest.approx(SlowKneserNey(train, 43).perplexity(test), rel=1e-12)


def test_longer_contexts_help_where_the_text_has_them() -> None:
    # w_t depends on the two words before it: each model sees more of that than the one before.
    rng = np.random.default_rng(0)
    train = []
    for _ in range(400):
        ids = [1, 3, 4]
        while len(ids) < 20:
            ids.append(int((ids[-1] * 7 + ids[-2] * 3 + (rng.random() < 0.1)) % 20 + 3))
        train.append(np.array([*ids, 2], dtype=np.int32))
    found = baselines(train[:350], train[350:], 23)
    order = [found[name] for name in ("kneser_ney_trigram", "bigram", "unigram", "uniform")]
    assert order == sorted(order)
    assert order[0] < 0.75 * order[1]


def test_a_word_that_follows_only_one_other_is_a_poor_guess_elsewhere() -> None:
    # Chen & Goodman's example: "Francisco" is frequent, but only after "San".
    san, francisco, glasses = 3, 4, 5
    train = [np.array([1, san, francisco, 2], dtype=np.int32) for _ in range(20)]
    train += [np.array([1, word, glasses, 2], dtype=np.int32) for word in range(6, 16)]
    model = KneserNeyTrigram(train, 20)
    new_context = np.array([[18, 19], [18, 19]])
    p_francisco, p_glasses = np.exp(model.log_probabilities(new_context, np.array([francisco, glasses])))
    assert p_glasses > 3 * p_francisco


def test_a_vocabulary_of_a_million_overflows_no_key() -> None:
    size = 1_000_000
    train = [np.array([1, size - 1, size - 2, size - 1, 2], dtype=np.int32)] * 3
    model = KneserNeyTrigram(train, size)
    p = np.exp(model.log_probabilities(np.array([[size - 1, size - 2]]), np.array([size - 1])))
    assert p[0] > 0.8
    assert math.isfinite(mean_nats(model, train))
