"""What is said of a network on held-out text, each number against its definition read aloud."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core.cli.main import main
from rnn_core.config import ModelConfig
from rnn_core.data import Copies, batches, find_copies, ngrams
from rnn_core.diagnostics import (
    EffectiveContext,
    Horizon,
    Reach,
    effective_context,
    horizon,
    loss_by_position,
    reach,
    sentence_losses,
    word_surprise,
)
from rnn_core.diagnostics.effective_context import context_losses
from rnn_core.errors import CorpusError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.training import evaluate, evaluate_stream

SIZE = 9


def network(**choices: Any) -> LanguageModel:
    config = ModelConfig(vocabulary_size=SIZE, hidden_size=6, **choices)
    model = LanguageModel(config, np.random.default_rng(3), dtype=np.float64)
    rng = np.random.default_rng(4)
    for value in model.params.values():
        value[...] = rng.normal(0, 0.7, value.shape)
    return model


def some_sentences(count: int = 12, seed: int = 0, longest: int = 14) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest, count)
    return [np.array([1, *rng.choice([0, *range(3, SIZE)], length), 2], np.int32) for length in lengths]


def one_loss(model: LanguageModel, read: np.ndarray, target: int) -> float:
    """-ln p(target) after reading these words from a fresh state, one step at a time."""
    state = model.initial_state(1)
    for word in read.tolist():
        log_p, state = model.advance(np.array([word]), state)
    return -float(log_p[0, target])


# --- word by word ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["tanh", "lstm"])
def test_every_word_of_every_sentence_has_its_own_loss(cell: str) -> None:
    model, sentences = network(cell=cell), some_sentences()
    for ids, losses in zip(sentences, sentence_losses(model, sentences), strict=True):
        assert losses.shape == (len(ids) - 1,)
        for t, loss in enumerate(losses):
            assert loss == pytest.approx(one_loss(model, ids[: t + 1], ids[t + 1]), rel=1e-12)


@given(st.lists(st.lists(st.floats(0, 20), min_size=1, max_size=5), min_size=1, max_size=6))
def test_the_loss_by_position_is_the_mean_over_the_sentences_that_reach_it(losses: list[list[float]]) -> None:
    found = loss_by_position([np.array(sentence) for sentence in losses])
    for place in range(max(map(len, losses))):
        there = [sentence[place] for sentence in losses if len(sentence) > place]
        assert found.tokens[place] == len(there)
        assert found.loss_nats[place] == pytest.approx(np.mean(there))
        assert found.perplexity[place] == pytest.approx(math.exp(np.mean(there)))
        if len(there) > 1:
            assert found.error_nats[place] == pytest.approx(np.std(there, ddof=1) / len(there) ** 0.5, abs=1e-12)
        else:
            assert np.isnan(found.error_nats[place])
    assert found.loss_nats @ found.tokens == pytest.approx(sum(map(sum, losses)))


def test_the_surprise_beside_the_trigrams_is_each_predictors_own() -> None:
    model, train, test = network(), some_sentences(30, 1), some_sentences(5, 2)
    trigram = ngrams.KneserNeyTrigram(train, SIZE)
    reference = ngrams.sentence_losses(trigram, test)
    assert [len(losses) for losses in reference] == [len(ids) - 1 for ids in test]
    for ids, losses in zip(test, reference, strict=True):
        contexts = np.array([([1, *ids.tolist()][t], ids[t]) for t in range(len(ids) - 1)])
        np.testing.assert_allclose(losses, -trigram.log_probabilities(contexts, ids[1:]), rtol=1e-12)
    for ids, found, own, other in zip(
        test, word_surprise(model, test, reference), sentence_losses(model, test), reference, strict=True
    ):
        np.testing.assert_array_equal(found.words, ids[1:])
        np.testing.assert_array_equal(found.gain_nats, other - own)
    mean = np.concatenate(reference).mean()
    assert math.exp(mean) == pytest.approx(ngrams.baselines(train, test, SIZE)["kneser_ney_trigram"], rel=1e-9)


# --- read on without a break ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_a_text_read_on_keeps_the_state_from_sentence_to_sentence(cell: str) -> None:
    model, sentences = network(cell=cell), some_sentences(20)
    state, losses, unknown, words = model.initial_state(1), [], 0, 0
    for ids in sentences:
        for before, after in zip(ids[:-1], ids[1:], strict=True):
            log_p, state = model.advance(np.array([before]), state)
            losses.append(-log_p[0, after])
            words, unknown = words + (after != 2), unknown + (after == 0)
    found = evaluate_stream(model, sentences)
    assert found.loss_nats == pytest.approx(np.mean(losses), rel=1e-12)
    assert found.tokens == len(losses)
    assert found.unknown_rate == pytest.approx(unknown / words)
    assert found.loss_nats != pytest.approx(evaluate(model, sentences).loss_nats, rel=1e-6)
    with pytest.raises(CorpusError):
        evaluate_stream(model, [])


def test_a_long_text_is_read_in_columns_that_change_the_loss_by_next_to_nothing() -> None:
    model, sentences = network(), some_sentences(1500, longest=20)
    inputs = np.concatenate([ids[:-1] for ids in sentences])[:, None]
    targets = np.concatenate([ids[1:] for ids in sentences])[:, None]
    assert len(inputs) > 10_000  # so that there are several columns
    at_once, _ = model.token_losses(inputs, targets)
    assert evaluate_stream(model, sentences).loss_nats == pytest.approx(at_once.mean(), rel=1e-3)


# --- how far back ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choices", [{"cell": "tanh"}, {"cell": "lstm", "embedding_size": 4, "layers": 2}])
def test_the_effective_context_is_the_loss_with_everything_further_back_dropped_or_shuffled(
    choices: dict[str, Any],
) -> None:
    model, sentences = network(**choices), some_sentences(6)
    inputs, targets = [ids[:-1] for ids in sentences], [ids[1:] for ids in sentences]
    lengths = (1, 2, 5, 30)
    heard: list[tuple[int, int]] = []
    found = effective_context(
        model, inputs, targets, lengths, seed=5, progress=lambda done, total: heard.append((done, total))
    )
    rng = np.random.default_rng(5)
    pairs = [(ids[: t + 1], int(ids[t + 1])) for ids in sentences for t in range(len(ids) - 1)]
    full = np.mean([one_loss(model, read, word) for read, word in pairs])
    assert found.full_nats == pytest.approx(full, rel=1e-12)
    assert found.targets == len(pairs)
    for place, n in enumerate(lengths):
        dropped = [one_loss(model, read[-n:], word) for read, word in pairs]
        shuffled = [
            one_loss(model, np.array([read[0], *rng.permutation(read[1:-n]), *read[-n:]]), word)
            if len(read) > n
            else one_loss(model, read, word)
            for read, word in pairs
        ]
        assert found.dropped_nats[place] == pytest.approx(np.mean(dropped), rel=1e-12)
        assert found.shuffled_nats[place] == pytest.approx(np.mean(shuffled), rel=1e-12)
        assert found.affected[place] == np.mean([len(read) > n for read, _ in pairs])
    assert found.dropped_nats[-1] == found.shuffled_nats[-1] == found.full_nats  # no sentence is that long
    contexts = len(pairs) + 2 * sum(len(read) > n for n in lengths for read, _ in pairs)
    assert {total for _, total in heard} == {contexts}
    assert heard[-1] == (contexts, contexts)
    assert sorted(heard) == heard


def test_a_network_without_memory_uses_one_word_and_no_order() -> None:
    model = network()
    model.params["W"][...] = 0
    sentences = some_sentences(30)
    found = effective_context(model, [ids[:-1] for ids in sentences], [ids[1:] for ids in sentences])
    np.testing.assert_allclose(found.dropped_nats, found.full_nats, rtol=1e-12)
    np.testing.assert_allclose(found.shuffled_nats, found.full_nats, rtol=1e-12)
    assert (found.used(), found.ordered()) == (1, 1)


def test_a_network_that_adds_up_what_it_read_uses_the_words_but_not_their_order() -> None:
    config = ModelConfig(cell="relu", vocabulary_size=SIZE, hidden_size=SIZE, bias=False)
    model = LanguageModel(config, np.random.default_rng(0), dtype=np.float64)
    model.params["U"][...] = model.params["W"][...] = np.eye(SIZE)  # the state counts each word
    model.params["V"][...] = 0.3 * np.random.default_rng(1).normal(size=(SIZE, SIZE))
    sentences = some_sentences(30)
    found = effective_context(model, [ids[:-1] for ids in sentences], [ids[1:] for ids in sentences])
    np.testing.assert_allclose(found.shuffled_nats, found.full_nats, rtol=1e-12)
    assert abs(found.dropped_nats[0] - found.full_nats) > 0.1
    assert found.ordered() == 1


def test_a_few_targets_stand_for_all_and_are_spread_over_the_text() -> None:
    model, sentences = network(), some_sentences(200)
    inputs, targets = [ids[:-1] for ids in sentences], [ids[1:] for ids in sentences]
    few = effective_context(model, inputs, targets, (1,), most_targets=300)
    everything = effective_context(model, inputs, targets, (1,), most_targets=10**6)
    assert few.targets == 300
    assert everything.targets == sum(map(len, targets))
    assert few.full_nats == pytest.approx(everything.full_nats, rel=0.1)
    with pytest.raises(CorpusError):
        effective_context(model, [], [])
    assert context_losses(model, [], np.zeros(0, int)).shape == (0,)


def test_what_is_used_and_what_could_be_learnt_stand_on_one_scale() -> None:
    model, sentences = network(cell="tanh"), some_sentences(30)
    found = reach(model, sentences, carried=False, lengths=(1, 2, 4, 8))
    used = effective_context(model, [ids[:-1] for ids in sentences], [ids[1:] for ids in sentences], (1, 2, 4, 8))
    gain = used.dropped_nats[0] - used.full_nats
    for share, nats in zip(found.context_share, used.dropped_nats, strict=True):
        assert share == pytest.approx((nats - used.full_nats) / gain if gain > 0 else 0)
    longest = sorted(sentences, key=lambda ids: -len(ids))[:8]
    (probe,) = batches(longest, 8, None)
    alone = horizon(model, probe.inputs, probe.targets, probe.mask, bounds=False)
    np.testing.assert_allclose(found.gradient.median, alone.median, rtol=1e-12)
    assert found.gradient_half == alone.half_life
    with pytest.raises(CorpusError):
        reach(model, [], carried=False)


@pytest.mark.parametrize("carried", [False, True])
def test_the_horizon_is_that_of_the_text_as_it_is_read(carried: bool) -> None:
    model, sentences = network(cell="tanh"), some_sentences(100)
    found = reach(model, sentences, carried, most_targets=50, lengths=(1, 2))
    longest = max(map(len, sentences)) - 1
    assert len(found.gradient.median) == (200 if carried else longest)


@pytest.mark.parametrize(
    ("rises", "gradient_half", "context_half", "larger"),
    [
        ([4.0, 3.0, 1.0, 0.0], 3.0, 3.0, None),
        ([4.0, 3.0, 1.0, 0.0], 2.0, 3.0, "context"),
        ([4.0, 0.0, 0.0, 0.0], 2.0, 1.5, "gradient"),
        ([4.0, 3.0, 3.0, 3.0], 2.0, None, "context"),
        ([4.0, 3.0, 3.0, 3.0], None, None, None),
        ([-1.0, 0.0, 0.0, 0.0], None, 1.0, "gradient"),  # nothing is gained by more than the nearest word
    ],
)
def test_the_halves_are_where_the_curves_cross_one_half(
    rises: list[float], gradient_half: float | None, context_half: float | None, larger: str | None
) -> None:
    dropped = 2 + np.array(rises)
    used = EffectiveContext(np.array([1, 2, 4, 8]), np.ones(4), dropped, dropped, 2.0, 10)
    nothing = np.zeros(0)
    found = Reach(used, Horizon(nothing, nothing, nothing, nothing, nothing, None, None, None, gradient_half))
    assert found.context_half == (None if context_half is None else pytest.approx(context_half))
    assert found.larger == larger


# --- copies ---------------------------------------------------------------------------------------------------


def slow_spans(sentence: list[int], train: list[list[int]]) -> list[int]:
    """From each place on, the longest stretch that stands in a training sentence; <unk> (0) is like nothing."""

    def stands(span: list[int]) -> bool:
        return 0 not in span and any(span == other[at : at + len(span)] for other in train for at in range(len(other)))

    return [
        max((end - start for end in range(start + 1, len(sentence) + 1) if stands(sentence[start:end])), default=0)
        for start in range(len(sentence))
    ]


def slow_share(spans: list[list[int]], least: int) -> float:
    inside = [
        any(length >= least and place < start + length for start, length in enumerate(of_sentence[: place + 1]))
        for of_sentence in spans
        for place in range(len(of_sentence))
    ]
    return sum(inside) / len(inside) if inside else 0.0


texts = st.lists(st.lists(st.sampled_from([0, 3, 4, 5]), max_size=9), max_size=6)


@settings(max_examples=300)
@given(texts, texts)
def test_copies_are_the_spans_that_stand_in_the_training_text(
    sentences: list[list[int]], train: list[list[int]]
) -> None:
    found = find_copies([np.array(s, int) for s in sentences], [np.array(s, int) for s in train])
    expected = [slow_spans(sentence, train) for sentence in sentences]
    assert [spans.tolist() for spans in found.spans] == expected
    for least in (1, 2, 3, 5):
        assert found.share(least) == pytest.approx(slow_share(expected, least))
    for sentence, spans, copy in zip(sentences, expected, found.longest, strict=True):
        assert copy.length == max(spans, default=0)
        if copy.length:
            source = train[copy.source][copy.source_start : copy.source_start + copy.length]
            assert sentence[copy.start : copy.start + copy.length] == source


def test_a_whole_training_sentence_is_a_copy_and_a_new_one_is_not() -> None:
    rng = np.random.default_rng(0)
    train = [rng.integers(3, 1000, 30) for _ in range(500)]
    new = rng.permutation(np.arange(1000, 1030))
    found = find_copies([train[77], new, np.concatenate([new, train[3][5:15]])], train)
    assert [copy.length for copy in found.longest] == [30, 0, 10]
    assert (found.longest[0].source, found.longest[2].source, found.longest[2].source_start) == (77, 3, 5)
    assert found.share(5) == pytest.approx(40 / 100)
    assert Copies([], []).share(3) == 0.0


# --- the command ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    lines = [
        f"the {a} of the {b} saw the {c} ." for a in ("king", "queen", "cat") for b in ("sea", "hill") for c in "xyz"
    ]
    (folder / "train.txt").write_text("\n".join(lines * 3))
    (folder / "test.txt").write_text("\n".join(lines[::2]) + "\nthe strange cat of the hill .\n")
    small = ["--sentences", "lines", "--hidden", "12", "--learning-rate", "0.02", "--quiet"]
    for name, more in (("run", []), ("stream", ["--batching", "stream", "--batch", "2", "--sequence-length", "20"])):
        command = ["train", str(folder / "train.txt"), "--run", str(folder / name), "--epochs", "12", *small, *more]
        assert main(command) == 0
    return folder


def evaluated(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["evaluate", str(folder), str(folder.parent / "test.txt"), "--json", *options]) == 0
    values: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return values


def test_evaluate_says_where_how_far_back_and_how_much_is_copied(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = evaluated(capsys, trained / "run")
    assert not {"by_position", "context", "copies"} & plain.keys()
    values = evaluated(capsys, trained / "run", "--by-position", "--context", "--copies")
    rows = values["by_position"]
    total = sum(row["tokens"] * row["loss_nats"] for row in rows) / sum(row["tokens"] for row in rows)
    assert total == pytest.approx(plain["loss_nats"], rel=1e-6)
    assert values["context"]["full_nats"] == pytest.approx(plain["loss_nats"], rel=1e-5)
    assert values["context"]["rows"][-1]["affected"] == 0
    assert values["context"]["larger"] in ("context", "gradient", None)
    sentences = values["copies"]["sentences"]
    assert len(sentences) == 100
    text = (trained / "train.txt").read_text()
    for sentence in sentences:
        assert sentence["longest_copy"] <= sentence["tokens"]
        assert sentence["copy"].removesuffix(".").rstrip() in text
    shares = list(values["copies"]["share_by_length"].values())
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5  # eighteen different sentences are learnt by heart


def test_evaluate_reads_on_where_the_network_was_trained_so(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rnn_core.runs import Run

    run = Run.open(trained / "stream")
    values = evaluated(capsys, trained / "stream", "--context")
    lines = (trained / "test.txt").read_text().split("\n")
    sentences = [run.vocabulary().encode_sentence(line.split()) for line in lines if line]
    assert values["loss_nats"] == pytest.approx(evaluate_stream(run.load_model(), sentences).loss_nats, rel=1e-6)
    assert values["context"]["full_nats"] == pytest.approx(values["loss_nats"], rel=1e-3)
