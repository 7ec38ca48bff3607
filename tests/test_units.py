"""Which units follow what, and what a network is without them: every number against its definition read aloud."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig
from rnn_core.data import Vocabulary
from rnn_core.diagnostics import ablation, text_features, text_walk, units
from rnn_core.diagnostics.text_walk import Unit
from rnn_core.errors import CorpusError, DivergenceError
from rnn_core.nn.activations import log_softmax
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.softmax import logits

SIZE, HIDDEN = 9, 6
NETWORKS: list[dict[str, Any]] = [
    {"cell": "tanh"},
    {"cell": "lstm", "layers": 2},
    {"cell": "gru", "embedding_size": HIDDEN, "tied": True},
    {"cell": "gru", "gru_reset": "before", "layers": 2},
    {"cell": "mingru"},
]


def network(**choices: Any) -> LanguageModel:
    config = ModelConfig(vocabulary_size=SIZE, hidden_size=HIDDEN, **choices)
    model = LanguageModel(config, np.random.default_rng(3), dtype=np.float64)
    rng = np.random.default_rng(4)
    for value in model.params.values():
        value[...] = rng.normal(0, 0.7, value.shape)
    return model


def some_sentences(count: int = 12, seed: int = 0, longest: int = 14) -> list[Array]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest, count)
    return [np.array([1, *rng.choice([0, *range(3, SIZE)], length), 2], np.int32) for length in lengths]


class ClampingCell:
    """A cell of which one unit's h is set to a value after every step, before anybody reads it. The steps of the layers
    come in turn, where one token at a time is read.
    """

    def __init__(self, model: LanguageModel, layer: int, number: int, value: float) -> None:
        self.inner, self.layers, self.steps = model.cell, model.config.layers, 0
        self.layer, self.number, self.value = layer, number, value

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def step(self, cache: Array, before: Array, weights: Any, after: Array) -> None:
        self.inner.step(cache, before, weights, after)
        if self.steps % self.layers == self.layer:
            after[0][..., self.number] = self.value
        self.steps += 1


def slowly(model: LanguageModel, sentences: list[Array], carried: bool) -> tuple[dict[Unit, list[float]], list[float]]:
    """Token by token: what every unit shows, and the loss of what comes next."""
    shown: dict[Unit, list[float]] = {}
    losses = []
    state = model.initial_state(1)
    for ids in sentences:
        if not carried:
            state = model.initial_state(1)
        for word, target in zip(ids[:-1].tolist(), ids[1:].tolist(), strict=True):
            trace = model.forward(np.array([[word]]), state)
            state = [layer.states[-1] for layer in trace.layers]
            for depth, layer in enumerate(trace.layers):
                signals = dict(zip(model.cell.states, layer.blocks[:, 1, 0], strict=True))
                if model.cell.gated:
                    signals |= {name: gate[0, 0] for name, gate in model.cell.gate_values(layer.cache).items()}
                for name, values in signals.items():
                    for index, value in enumerate(values.tolist()):
                        shown.setdefault(Unit(depth, name, index), []).append(value)
            log_p = log_softmax(logits(trace.hidden, model.output_matrix, model.params.get("c")))
            losses.append(-float(log_p[0, 0, target]))
    return shown, losses


# --- a text, unit by unit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("choices", NETWORKS)
def test_units_and_losses_along_a_text_are_those_of_reading_it_token_by_token(
    choices: dict[str, Any], carried: bool
) -> None:
    model, sentences = network(**choices), some_sentences()
    shown, losses = slowly(model, sentences, carried)
    everyone = text_walk.units_of(model)
    assert set(everyone) == set(shown)
    series = text_walk.unit_series(model, sentences, carried, everyone)
    np.testing.assert_allclose(series, np.array([shown[unit] for unit in everyone]).T, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(text_walk.text_losses(model, sentences, carried), losses, rtol=1e-10)


def test_a_long_text_in_columns_has_every_token_once_and_in_its_place() -> None:
    model, sentences = network(cell="tanh"), some_sentences(800, longest=12)
    parts = list(text_walk.text_parts(model, sentences, carried=True))
    assert parts[0].mask.shape[1] > 2
    count = text_walk.text_length(sentences)
    assert sorted(np.concatenate([part.places for part in parts]).tolist()) == list(range(count))
    read = np.concatenate([ids[:-1] for ids in sentences])
    for part in parts:
        np.testing.assert_array_equal(part.trace.inputs[part.mask], read[part.places])
    with pytest.raises(CorpusError):
        text_walk.text_length([])


# --- what can be followed -------------------------------------------------------------------------------------


def test_features_say_what_stands_before_each_token() -> None:
    def of(name: str, tokens: str | list[str]) -> list[float]:
        return text_features.FEATURES[name].values(list(tokens)).tolist()

    assert of("line", "\nab\n\nc") == [0, 1, 2, 0, 0, 1]
    assert of("line", ["<s>", "a", "b", "<s>", "c"]) == [0, 1, 2, 0, 1]
    assert of("sentence", "ab. c!") == [0, 1, 0, 1, 2, 0]
    assert of("quotes", 'a"b c"d"') == [0, 1, 1, 1, 1, 0, 0, 1]
    assert of("quotes", "“a”b«c»") == [1, 1, 0, 0, 1, 1, 0]
    assert of("quotes", ["``", "a", "''", "``", "<s>", "b"]) == [1, 1, 0, 1, 0, 0]
    assert of("brackets", "a(b[c])d)(") == [0, 1, 1, 2, 2, 1, 0, 0, 0, 1]
    assert of("agreement", ["the", "queen", "saw", "her", "king", "his"]) == [0, 1, 1, 0, -1, 0]
    for name in text_features.FEATURES:
        assert of(name, []) == []


def test_what_nobody_closes_is_forgotten() -> None:
    text = ['"', "(", *"a" * (2 * text_features.LONGEST), '"', "b"]
    for name in ("quotes", "brackets"):
        values = text_features.FEATURES[name].values(text)
        assert values[text_features.LONGEST - 5] == 1
        assert values[-3] == 0
    assert text_features.inside_quotes(text)[-1] == 1  # and the next mark opens


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, -1.0]), max_size=12))
def test_a_feature_ends_where_the_next_token_lessens_it(values: list[float]) -> None:
    expected = [place + 1 < len(values) and abs(values[place + 1]) < abs(values[place]) for place in range(len(values))]
    assert text_features.ends(np.array(values)).tolist() == expected


def test_lines_that_are_read_on_begin_with_a_line_break() -> None:
    vocabulary = Vocabulary(("<unk>", "<s>", "</s>", "a", "b"))
    sentences = [vocabulary.encode_sentence("ab"), vocabulary.encode_sentence("ax")]
    assert text_features.read_tokens(vocabulary, sentences) == ["<s>", "a", "b", "<s>", "a", "<unk>"]
    assert text_features.read_tokens(vocabulary, sentences, lines=True) == ["\n", "a", "b", "\n", "a", "<unk>"]


# --- the ranking ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("choices", [{"cell": "tanh"}, {"cell": "lstm"}])
def test_the_ranking_is_by_the_correlation_on_the_first_half(choices: dict[str, Any], carried: bool) -> None:
    model, sentences = network(**choices), some_sentences(16)
    shown, _ = slowly(model, sentences, carried)
    count = text_walk.text_length(sentences)
    half = count // 2
    rng = np.random.default_rng(0)
    features = {"one": rng.normal(size=count), "two": np.arange(count) % 7.0}
    told: list[float] = []
    found = units.rank_units(model, sentences, carried, features, shifts=20, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    for name, feature in features.items():
        first = {unit: np.corrcoef(series[:half], feature[:half])[0, 1] for unit, series in shown.items()}
        second = {unit: np.corrcoef(series[half:], feature[half:])[0, 1] for unit, series in shown.items()}
        ranking = found[name]
        assert sorted(ranking.units) == sorted(shown)
        np.testing.assert_allclose(ranking.correlation, [first[unit] for unit in ranking.units], rtol=1e-9)
        np.testing.assert_allclose(ranking.held_out, [second[unit] for unit in ranking.units], rtol=1e-9)
        assert (np.diff(np.abs(ranking.correlation)) <= 0).all()
        # Every shift is one of those that there are, and the best of all units under it.
        margin = half // 20
        possible = [
            max(abs(np.corrcoef(series[:half], np.roll(feature[:half], shift))[0, 1]) for series in shown.values())
            for shift in range(margin, half - margin + 1)
        ]
        for best in ranking.chance:
            assert np.isclose(best, possible, rtol=1e-9).any()
        assert len(ranking.chance) == 20
        for r, p in zip(ranking.correlation, ranking.p_value, strict=True):
            assert p == (1 + sum(best >= abs(r) for best in ranking.chance)) / 21


def test_the_best_of_many_units_on_an_unrelated_feature_is_no_discovery() -> None:
    """Both drift slowly, so that they correlate by chance; a test that shuffled would take it for something."""
    discoveries = 0
    for seed in range(12):
        model, rng = network(cell="mingru"), np.random.default_rng(seed)
        model.params["U"][:, :HIDDEN] = 0
        model.params["b"][:HIDDEN] = -3  # the update gate is nearly closed: each state is a mean over some 20 tokens
        sentences = some_sentences(60, seed)
        feature = np.convolve(rng.normal(size=2000), np.ones(40))[: text_walk.text_length(sentences)]
        ranking = units.rank_units(model, sentences, True, {"noise": feature}, shifts=99, seed=seed)["noise"]
        discoveries += int(ranking.p_value[0] <= 0.05)
    assert discoveries <= 3  # of 12, each with a chance of 1 in 20


def test_a_unit_that_counts_is_found_and_one_that_stands_still_is_not() -> None:
    config = ModelConfig(cell="relu", vocabulary_size=SIZE, hidden_size=3, bias=False)
    model = LanguageModel(config, np.random.default_rng(0), dtype=np.float64)
    model.params["W"][...] = np.diag([1.0, 0, 0])  # h_0 counts the words of the sentence; h_1 says which; h_2 nothing
    model.params["U"][...] = [[1.0, word % 2, 0] for word in range(SIZE)]
    sentences = some_sentences(80)
    position = text_features.FEATURES["line"].values(["<s>" if w == 1 else "a" for s in sentences for w in s[:-1]])
    ranking = units.rank_units(model, sentences, False, {"line": position})["line"]
    assert ranking.units[0] == Unit(0, "h", 0)
    assert ranking.correlation[0] == pytest.approx(1)
    assert ranking.held_out[0] == pytest.approx(1)
    assert ranking.p_value[0] == pytest.approx(1 / 200)
    assert ranking.follows.tolist() == [True, False, False]
    assert ranking.correlation[ranking.units.index(Unit(0, "h", 2))] == 0


def test_what_cannot_be_ranked_is_refused() -> None:
    model, sentences = network(), some_sentences()
    count = text_walk.text_length(sentences)
    first_half_alone = np.where(np.arange(count) < count // 2, np.arange(count) % 2, 0.0)
    assert not text_features.varies(first_half_alone)
    with pytest.raises(ValueError, match="vary"):
        units.rank_units(model, sentences, False, {"x": first_half_alone})
    with pytest.raises(CorpusError):
        units.rank_units(model, [], False, {})
    model.params["U"][...] = np.nan
    with pytest.raises(DivergenceError):
        units.rank_units(model, sentences, False, {"x": np.arange(count) % 2.0})


def test_each_unit_is_listed_once_by_its_best_signal() -> None:
    names = [Unit(0, "c", 1), Unit(0, "h", 1), Unit(0, "c", 2), Unit(1, "c", 1)]
    ranking = units.Ranking(names, *np.zeros((4, 4)))
    assert ranking.top(9) == [0, 2, 3]
    assert ranking.top(2) == [0, 2]


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 5), st.integers(1, 6))
def test_the_strongest_places_are_apart_and_nothing_stronger_is_left(values: list[int], count: int, apart: int) -> None:
    places = units.strongest_places(np.array(values, float), count, apart).tolist()
    assert all(abs(one - other) >= apart for one in places for other in places if one != other)
    strengths = [values[place] for place in places]
    assert strengths == sorted(strengths, reverse=True)
    for place, value in enumerate(values):
        if len(places) < count or value > min(strengths):
            assert any(abs(place - other) < apart and values[other] >= value for other in places)


# --- without a unit -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("choices", NETWORKS)
def test_without_a_unit_the_network_computes_as_if_its_h_were_its_mean(choices: dict[str, Any], carried: bool) -> None:
    model, sentences = network(**choices), some_sentences(5)
    shown, before = slowly(model, sentences, carried)
    for layer in range(model.config.layers):
        clamped = network(**choices)
        clamped.cell = ClampingCell(model, layer, 2, float(np.mean(shown[Unit(layer, "h", 2)])))  # type: ignore[assignment]
        _, expected = slowly(clamped, sentences, carried)
        params = {name: value.copy() for name, value in model.params.items()}
        ends = np.arange(len(before)) % 3 == 0
        found = ablation.ablation_cost(model, sentences, carried, (layer, 2), ends)
        cost = np.array(expected) - before
        np.testing.assert_allclose(found.cost, cost, rtol=1e-5, atol=1e-7)  # the mean is of float32 numbers
        assert np.abs(cost).max() > 1e-3
        assert found.at_ends == pytest.approx(cost[ends].mean())
        assert found.elsewhere == pytest.approx(cost[~ends].mean())
        assert (found.ends, found.others) == (ends.sum(), (~ends).sum())
        assert all(np.array_equal(value, model.params[name]) for name, value in params.items())
