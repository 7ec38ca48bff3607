"""Drawing words: the probabilities are the network's, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import tiny_corpus

from rnn_core.config import ModelConfig, SamplingSettings, TextSettings
from rnn_core.data import END_ID, START_ID, UNKNOWN_ID, prepare_sentences
from rnn_core.errors import SettingsError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.training import SampledToken, generate, read_prompt, sampling_probabilities, sentences_of

CORPUS = tiny_corpus()
WORDS = CORPUS.vocabulary
MODEL = LanguageModel(
    ModelConfig(cell="gru", hidden_size=8, vocabulary_size=len(WORDS), layers=2), rng=np.random.default_rng(1)
)

LOG_P = st.lists(st.floats(-30, 0), min_size=4, max_size=40).map(lambda values: np.array(values))


def draw(prompt: str = "", count: int = 1, seed: int = 0, **settings: Any) -> list[SampledToken]:
    return list(generate(MODEL, WORDS, prompt, count, SamplingSettings(**settings), seed))


@given(log_p=LOG_P, temperature=st.floats(0.05, 20))
def test_words_are_drawn_by_the_softmax_of_the_logits_over_the_temperature(
    log_p: np.ndarray, temperature: float
) -> None:
    expected = np.exp(log_p / temperature) / np.exp(log_p / temperature).sum()
    assert np.allclose(sampling_probabilities(log_p, SamplingSettings(temperature=temperature)), expected, atol=1e-12)


@given(log_p=LOG_P, k=st.integers(1, 50))
def test_top_k_leaves_the_k_likeliest_in_their_proportions(log_p: np.ndarray, k: int) -> None:
    whole = sampling_probabilities(log_p, SamplingSettings())
    probabilities = sampling_probabilities(log_p, SamplingSettings(top_k=k))
    kept = probabilities > 0
    assert kept.sum() == min(k, (whole > 0).sum())
    assert whole[kept].min() >= whole[~kept].max(initial=0.0)
    assert np.allclose(probabilities[kept], whole[kept] / whole[kept].sum())


@given(log_p=LOG_P, p=st.floats(0.01, 1.0))
def test_top_p_leaves_the_smallest_set_of_likeliest_words_that_reaches_p(log_p: np.ndarray, p: float) -> None:
    whole = sampling_probabilities(log_p, SamplingSettings())
    kept = np.sort(whole[sampling_probabilities(log_p, SamplingSettings(top_p=p)) > 0])
    assert kept.sum() >= p - 1e-9
    assert kept[1:].sum() < p + 1e-9


@given(log_p=LOG_P, k=st.integers(1, 50), p=st.floats(0.01, 1.0))
def test_top_p_counts_the_probability_that_top_k_has_left(log_p: np.ndarray, k: int, p: float) -> None:
    left = sampling_probabilities(log_p, SamplingSettings(top_k=k))
    probabilities = sampling_probabilities(log_p, SamplingSettings(top_k=k, top_p=p))
    kept = np.sort(left[probabilities > 0])
    assert kept.sum() >= p - 1e-9
    assert kept[1:].sum() < p + 1e-9
    assert probabilities.sum() == pytest.approx(1)


def test_half_of_what_top_k_has_left_is_less_than_half_of_everything() -> None:
    log_p = np.log(np.array([0.4, 0.3, 0.2, 0.1]))
    assert sampling_probabilities(log_p, SamplingSettings(top_k=2, top_p=0.5)).tolist() == [1, 0, 0, 0]
    assert np.count_nonzero(sampling_probabilities(log_p, SamplingSettings(top_k=2, top_p=0.6))) == 2


def test_of_equally_likely_words_the_first_ones_are_kept() -> None:
    probabilities = sampling_probabilities(np.full(100, -np.log(100)), SamplingSettings(top_k=3))
    assert np.flatnonzero(probabilities).tolist() == [0, 1, 2]
    every_second = sampling_probabilities(-1.0 * (np.arange(100) % 2), SamplingSettings(top_k=40))
    assert np.flatnonzero(every_second).tolist() == list(range(0, 80, 2))


def test_probabilities_are_computed_in_double_precision() -> None:
    probabilities = sampling_probabilities(np.log(np.full(3, 1 / 3)).astype(np.float32), SamplingSettings())
    assert probabilities.dtype == np.float64
    assert probabilities.sum() == pytest.approx(1, abs=1e-15)


@given(log_p=LOG_P)
def test_temperature_zero_takes_the_likeliest_word(log_p: np.ndarray) -> None:
    probabilities = sampling_probabilities(log_p, SamplingSettings(temperature=0.0))
    assert probabilities[np.argmax(log_p)] == 1
    assert probabilities.sum() == 1


@given(log_p=LOG_P, temperature=st.sampled_from([1e-300, 1e-9, 1e-3, 100.0]))
def test_extreme_temperatures_still_give_probabilities(log_p: np.ndarray, temperature: float) -> None:
    probabilities = sampling_probabilities(log_p, SamplingSettings(temperature=temperature, top_k=3, top_p=0.9))
    assert np.isfinite(probabilities).all()
    assert probabilities.sum() == pytest.approx(1)


def test_forbidden_words_have_no_probability_and_the_rest_share_them() -> None:
    log_p = np.log(np.array([0.5, 0.2, 0.2, 0.1]))
    assert sampling_probabilities(log_p, SamplingSettings(), [0]) == pytest.approx([0, 0.4, 0.4, 0.2])


def test_words_are_drawn_as_often_as_the_network_says() -> None:
    firsts = [token.word for token in draw(count=4000, max_tokens=1)]
    log_p, _ = MODEL.advance(np.array([START_ID]), MODEL.initial_state(1))
    probabilities = sampling_probabilities(log_p[0], SamplingSettings(), [START_ID, UNKNOWN_ID, END_ID])
    counts = np.array([firsts.count(word) for word in WORDS.words])
    spread = np.sqrt(4000 * probabilities * (1 - probabilities))
    assert (np.abs(counts - 4000 * probabilities) <= 5 * spread + 1e-9).all()


def test_the_probability_of_each_word_is_the_networks_own() -> None:
    tokens = draw("the", 1, temperature=0.5, top_k=4)
    ids = np.array([START_ID, *WORDS.encode([token.word for token in tokens])])
    log_p, _ = MODEL.log_probabilities(ids[:-1, None])
    expected = [np.exp(log_p[step, 0, word]) for step, word in enumerate(ids[1:])]
    assert [token.probability for token in tokens] == pytest.approx(expected, rel=1e-4)
    assert [token.given for token in tokens] == [True] + [False] * (len(tokens) - 1)
    for token in tokens:
        likeliest = [probability for _, probability in token.alternatives]
        assert likeliest == sorted(likeliest, reverse=True)
        assert token.given or token.drawn_with is not None
        assert token.given or token.word in [word for word, _ in token.alternatives]  # top_k=4 of the 5 shown


def test_marks_are_never_written_and_unknown_words_only_where_allowed() -> None:
    rng = np.random.default_rng(0)
    eager = LanguageModel(MODEL.config, rng=rng)
    eager.params["c"][[UNKNOWN_ID, START_ID]] = 5.0
    words = {token.word for token in generate(eager, WORDS, "", 30)}
    assert not words & {"<unk>", "<s>", "</s>"}
    allowed = {token.word for token in generate(eager, WORDS, "", 30, SamplingSettings(allow_unknown=True))}
    assert "<unk>" in allowed
    assert not allowed & {"<s>", "</s>"}


def test_a_sentence_is_never_empty_and_never_too_long() -> None:
    rng = np.random.default_rng(0)
    hasty = LanguageModel(MODEL.config, rng=rng)
    hasty.params["c"][END_ID] = 50.0
    assert [token.sentence for token in generate(hasty, WORDS, "", 5)] == [0, 1, 2, 3, 4]
    endless = LanguageModel(MODEL.config, rng=rng)
    endless.params["c"][END_ID] = -50.0
    assert len(list(generate(endless, WORDS, "", 2, SamplingSettings(max_tokens=7)))) == 14


def test_a_sentence_may_end_right_after_its_prompt() -> None:
    hasty = LanguageModel(MODEL.config, rng=np.random.default_rng(0))
    hasty.params["c"][END_ID] = 50.0
    assert [token.word for token in generate(hasty, WORDS, "the king", 1)] == ["the", "king"]


def test_the_network_remembers_every_word_of_the_prompt_and_every_word_drawn() -> None:
    """Weights so large that a word forgotten would show in every probability after it."""
    rng = np.random.default_rng(3)
    model = LanguageModel(ModelConfig(cell="tanh", hidden_size=8, vocabulary_size=len(WORDS)), rng=rng)
    for value in model.params.values():
        value *= 4
    model.params["c"][END_ID] = -50.0
    tokens = list(generate(model, WORDS, "the king met the", 2, SamplingSettings(max_tokens=8)))
    for sentence in (0, 1):
        mine = [token for token in tokens if token.sentence == sentence]
        assert len(mine) == 4 + 8
        ids = np.array([START_ID, *WORDS.encode([token.word for token in mine])])
        log_p, _ = model.log_probabilities(ids[:-1, None])
        expected = np.exp(log_p[np.arange(len(mine)), 0, ids[1:]])
        assert [token.probability for token in mine] == pytest.approx(expected, rel=1e-4)


def test_only_the_first_word_of_a_sentence_without_a_prompt_must_not_be_the_end() -> None:
    for prompt, first in (("", 0), ("the king", 2)):
        for seed in range(20):
            tokens = draw(prompt, 1, seed=seed, max_tokens=6)
            ids = np.array([START_ID, *WORDS.encode([token.word for token in tokens])])
            log_p, _ = MODEL.log_probabilities(ids[:-1, None])
            for position in range(first, len(tokens)):
                forbidden = [START_ID, UNKNOWN_ID] + [END_ID] * (position == 0)
                probabilities = sampling_probabilities(log_p[position, 0], SamplingSettings(), forbidden)
                assert tokens[position].drawn_with == pytest.approx(probabilities[ids[position + 1]], rel=1e-4)


def test_the_alternatives_are_the_five_likeliest_words_in_order() -> None:
    (token,) = draw(max_tokens=1)
    log_p, _ = MODEL.advance(np.array([START_ID]), MODEL.initial_state(1))
    best = np.argsort(-log_p[0], kind="stable")[:5]
    assert [word for word, _ in token.alternatives] == [WORDS.words[id] for id in best]
    assert [probability for _, probability in token.alternatives] == pytest.approx(np.exp(log_p[0, best]), rel=1e-5)


def test_a_vocabulary_of_few_words_has_few_alternatives() -> None:
    corpus = prepare_sentences([["a", "a", "a"]] * 10, "a", TextSettings())
    assert len(corpus.vocabulary) == 4
    model = LanguageModel(ModelConfig(hidden_size=4, vocabulary_size=4), rng=np.random.default_rng(0))
    token = next(generate(model, corpus.vocabulary))
    assert sorted(word for word, _ in token.alternatives) == sorted(corpus.vocabulary.words)
    probabilities = [probability for _, probability in token.alternatives]
    assert probabilities == sorted(probabilities, reverse=True)


def test_sentences_are_told_apart_and_read_as_text() -> None:
    tokens = [SampledToken(sentence, word, 0.5, 0.5, ()) for sentence in (0, 1) for word in ("the", "king", ".")]
    assert list(sentences_of(tokens, "word")) == ["the king."] * 2


def test_what_is_not_asked_for_is_one_sentence_from_nothing_with_seed_0() -> None:
    assert list(generate(MODEL, WORDS)) == draw("", 1, 0)


def test_a_sentence_depends_on_its_number_and_the_seed_alone() -> None:
    three = [token for token in draw(count=3, seed=5) if token.sentence == 1]
    two = [token for token in draw(count=2, seed=5) if token.sentence == 1]
    assert three == two
    assert draw(seed=5) == draw(seed=5)
    assert draw(seed=5) != draw(seed=6)


def test_drawing_leaves_the_network_alone() -> None:
    before = {name: value.copy() for name, value in MODEL.params.items()}
    draw("the king", 3)
    assert all(np.array_equal(MODEL.params[name], before[name]) for name in before)


def test_a_prompt_with_unknown_words_is_explained_and_read_all_the_same() -> None:
    prompt = read_prompt(WORDS, "the king met a zebra and a zebra")
    assert prompt.unknown == tuple(dict.fromkeys(word for word in prompt.tokens if word not in WORDS))
    assert "'zebra'" in prompt.explanation
    assert "<unk>" in prompt.explanation
    assert read_prompt(WORDS, "the").explanation == ""
    assert [token.word for token in draw("zebra")][0] == "zebra"


def test_a_prompt_that_reads_like_a_mark_is_a_word_like_any_other() -> None:
    prompt = read_prompt(WORDS, "<unk>")
    assert START_ID not in prompt.ids
    assert END_ID not in prompt.ids


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"top_k": 0}, "top-k"),
        ({"top_p": 0}, "top-p"),
        ({"top_p": 1.5}, "top-p"),
        ({"max_tokens": 0}, "room"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        draw(**settings)


def test_no_sentence_and_an_endless_prompt_are_refused() -> None:
    with pytest.raises(SettingsError, match="at least 1 sentence"):
        draw(count=0)
    with pytest.raises(SettingsError, match="Shorten"):
        draw("the " * 5000)


def test_a_prompt_of_a_thousand_words_is_read() -> None:
    assert len(read_prompt(WORDS, "the " * 1000).tokens) == 1000
    with pytest.raises(SettingsError, match="has 1001 tokens; at most 1000"):
        read_prompt(WORDS, "the " * 1001)


def test_a_prompt_is_read_in_the_unit_and_case_of_the_run() -> None:
    characters = prepare_sentences([list("abcab")] * 10, "abc", TextSettings(unit="char")).vocabulary
    assert read_prompt(characters, "ab c").tokens == ("a", "b", " ", "c")
    for lowercase, read in ((True, "the"), (False, "THE")):
        vocabulary = prepare_sentences([["the", "king"]] * 10, "x", TextSettings(lowercase=lowercase)).vocabulary
        assert read_prompt(vocabulary, "THE").tokens == (read,)


def test_characters_are_joined_without_spaces() -> None:
    corpus = prepare_sentences([list("abcab"), list("bcabc"), list("cabca")] * 5, "abc", TextSettings(unit="char"))
    model = LanguageModel(ModelConfig(hidden_size=4, vocabulary_size=len(corpus.vocabulary)))
    (text,) = sentences_of(generate(model, corpus.vocabulary, "ab"), "char")
    assert text.startswith("ab")
    assert set(text) <= set("abc")


def test_a_prompt_of_nothing_needs_no_tokenizer(tmp_path: Path) -> None:
    assert read_prompt(WORDS, "").tokens == ()
    assert read_prompt(WORDS, "  \n ").tokens == ()
