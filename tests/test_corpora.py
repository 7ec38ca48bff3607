"""Laws of the corpora that need no upload."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.config import TextSettings
from rnn_core.data import (
    AGREEMENT,
    BUILT_IN,
    MAX_GAP,
    START_ID,
    agreement_items,
    agreement_sentences,
    nltk_corpora,
    nltk_corpus,
    prepare_documents,
    prepare_sentences,
    python_reference,
)
from rnn_core.errors import CorpusError, SettingsError


@given(st.integers(1, 40), st.integers(0, 1000))
def test_exactly_gap_words_stand_between_the_two_words_that_agree(gap: int, seed: int) -> None:
    for item in agreement_items(gap, 6, seed):
        controller, target = item.tokens[item.controller], item.tokens[item.target]
        assert len(item.tokens[item.controller + 1 : item.target]) == gap == item.gap
        assert AGREEMENT[controller] == target
        assert item.competitor in set(AGREEMENT.values()) - {target}


@given(st.integers(1, 30), st.integers(0, 1000))
def test_only_the_controller_tells_which_word_agrees(gap: int, seed: int) -> None:
    for item in agreement_items(gap, 6, seed):
        others = [t for n, t in enumerate(item.tokens) if n not in (item.controller, item.target)]
        assert not set(others) & {*AGREEMENT, *AGREEMENT.values()}


def test_the_filler_is_independent_of_the_controller() -> None:
    # Given the controller, the words of the filler are as frequent as ever: chi-squared far below any alarm.
    items = agreement_items((3, 12), 6000, seed=3)
    counts = {controller: Counter[str]() for controller in AGREEMENT}
    for item in items:
        counts[item.tokens[item.controller]].update(item.tokens[item.controller + 1 : item.target])
    queen, king = (counts[name] for name in AGREEMENT)
    words = sorted(set(queen) | set(king))
    total = queen.total() + king.total()
    chi_squared = 0.0
    for count in (queen, king):
        for word in words:
            expected = (queen[word] + king[word]) * count.total() / total
            chi_squared += (count[word] - expected) ** 2 / expected
    degrees = len(words) - 1
    assert degrees > 30
    assert chi_squared < degrees + 4 * (2 * degrees) ** 0.5


def test_half_of_the_sentences_are_about_each_so_a_constant_guess_is_a_coin_flip() -> None:
    names = Counter(item.tokens[item.controller] for item in agreement_items(10, 1000))
    assert names == {"queen": 500, "king": 500}
    # And no position of a sentence gives it away by the order in which sentences come.
    first = [item.tokens[1] for item in agreement_items(10, 1000)]
    assert 400 < sum(a == b for a, b in zip(first, first[1:], strict=False)) < 600


def test_a_range_of_gaps_is_mixed_evenly() -> None:
    gaps = Counter(item.gap for item in agreement_items((2, 5), 4000))
    assert set(gaps) == {2, 3, 4, 5}
    assert min(gaps.values()) > 850


def test_the_seed_decides_the_sentences() -> None:
    assert agreement_sentences(7, 50, seed=1) == agreement_sentences(7, 50, seed=1)
    assert agreement_sentences(7, 50, seed=1) != agreement_sentences(7, 50, seed=2)


def test_the_words_are_few_and_the_target_is_found_again_in_the_ids() -> None:
    items = agreement_items((1, 20), 1000)
    corpus = prepare_sentences([list(item.tokens) for item in items], "agreement", TextSettings())
    assert 30 <= len(corpus.vocabulary) <= 60
    assert corpus.report.coverage == 1.0
    ids = corpus.vocabulary.encode_sentence(items[0].tokens)
    assert ids[0] == START_ID
    assert corpus.vocabulary.decode(ids)[items[0].target + 1] in AGREEMENT.values()


@pytest.mark.parametrize("gap", [0, -1, MAX_GAP + 1, (5, 2), (0, 3)])
def test_a_gap_that_cannot_be_is_refused(gap: int | tuple[int, int]) -> None:
    with pytest.raises(SettingsError):
        agreement_items(gap, 10)
    with pytest.raises(SettingsError):
        agreement_items(5, 0)


def test_the_python_reference_is_prose_of_fifty_thousand_words() -> None:
    documents = python_reference()
    words = " ".join(documents).split()
    assert 40_000 < len(words) < 80_000
    assert len(documents) > 60
    joined = "\n".join(documents)
    assert ">>>" not in joined
    assert "::=" not in joined
    assert "****" not in joined
    corpus = prepare_documents(documents, "python", TextSettings(vocabulary_size=3000))
    assert corpus.report.sentences > 2000
    assert corpus.report.coverage > 0.95


def test_every_built_in_corpus_is_described_in_a_sentence() -> None:
    for key, entry in BUILT_IN.items():
        assert entry.key == key
        assert entry.description.endswith(".")
        assert entry.title
    assert [key for key, entry in BUILT_IN.items() if not entry.needs_internet] == ["agreement", "python"]


# --- NLTK's corpora -------------------------------------------------------------------------------------------


@pytest.fixture
def empty_nltk_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    return tmp_path


def test_offline_an_nltk_corpus_is_refused_quickly(empty_nltk_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nltk_corpora, "NLTK_INDEX", "http://127.0.0.1:9/index.xml")
    with pytest.raises(CorpusError, match="server cannot be reached. Choose another corpus"):
        nltk_corpus("inaugural")


def test_a_server_that_never_answers_is_given_up_on(monkeypatch: pytest.MonkeyPatch, empty_nltk_folder: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(nltk_corpora, "NLTK_INDEX", f"http://127.0.0.1:{silent.getsockname()[1]}/index.xml")
        monkeypatch.setattr(nltk_corpora, "PATIENCE_SECONDS", 0.3)
        with pytest.raises(CorpusError, match="cannot be reached"):
            nltk_corpus("webtext")


def test_where_nothing_may_be_downloaded_nothing_is_asked_for(
    empty_nltk_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(address: str) -> bool:
        raise AssertionError("the network was used")

    monkeypatch.setattr(nltk_corpora, "_reachable", fail)
    with pytest.raises(CorpusError, match="nothing is downloaded here"):
        nltk_corpus("state_union", download=False)


def test_a_name_that_is_no_nltk_corpus_lists_those_there_are() -> None:
    for name in ("klingon", "agreement", "../etc"):
        with pytest.raises(CorpusError, match="gutenberg, brown"):
            nltk_corpus(name)


def test_an_nltk_corpus_on_this_machine_is_read_without_the_network(
    empty_nltk_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = empty_nltk_folder / "corpora" / "gutenberg"
    folder.mkdir(parents=True)
    (folder / "README").write_text("about", encoding="utf-8")
    (folder / "austen-emma.txt").write_text("Emma Woodhouse, handsome, clever, and rich.", encoding="utf-8")
    assert nltk_corpus("gutenberg", download=False) == ["Emma Woodhouse, handsome, clever, and rich."]
