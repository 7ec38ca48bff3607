"""Laws of the way from a text to ids and batches."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnn_core.config import TextSettings
from rnn_core.data import (
    END_ID,
    START_ID,
    UNKNOWN_ID,
    CorpusReport,
    PreparedCorpus,
    Vocabulary,
    batches,
    cut_sentences,
    detokenize,
    prepare,
    prepare_documents,
    prepare_sentences,
    stream_batches,
    tokenize,
    tokenize_sentences,
    truncate_vocabulary,
    with_special_entries,
)
from rnn_core.data import progress as data_progress
from rnn_core.data.punkt import SentenceSplitter
from rnn_core.data.tokenizer import CONTRACTIONS
from rnn_core.errors import CorpusError, RunError, SettingsError, UserError

STORY = (
    "Mr. Fox met Dr. Crow in the old wood. 'What a voice!' said the fox. The crow dropped the cheese, i.e. its dinner. "
    "Was it worth it? No. The fox didn't care; it ate at 5 p.m. and slept.\n\n"
    "The End\n\nThe crow can't sing (it never could). It cost $3.50, or 20% more."
)


def prepared(text: str, **choices: object) -> PreparedCorpus:
    return prepare(text.encode(), "story.txt", TextSettings(**choices))  # type: ignore[arg-type]


def sentences_of(text: str, **choices: object) -> list[str]:
    found = tokenize_sentences([text], TextSettings(**choices))  # type: ignore[arg-type]
    return [" ".join(tokens) for tokens in found]


# --- settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"unit": "byte"},
        {"sentences": "spacy"},
        {"vocabulary_size": 3},
        {"vocabulary_size": True},
        {"vocabulary_size": 100.0},
        {"validation_fraction": -0.1},
        {"validation_fraction": float("nan")},
        {"validation_fraction": 1},
        {"max_sentence_length": 1},
        {"lowercase": "yes"},
        {"column": 3},
        {"seed": -1},
        {"colour": "red"},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        TextSettings.from_json(wrong)


def test_settings_survive_json() -> None:
    chosen = TextSettings(unit="char", column="body", lowercase=True, validation_fraction=0.2, seed=7)
    assert TextSettings.from_json(json.loads(json.dumps(chosen.to_json()))) == chosen


# --- sentences and words --------------------------------------------------------------------------------------


def test_sentences_end_at_full_stops_but_not_at_abbreviations() -> None:
    found = sentences_of(STORY)
    assert found[0] == "Mr. Fox met Dr. Crow in the old wood ."
    assert "The crow dropped the cheese , i.e . its dinner ." in [s.replace("i.e.", "i.e .") for s in found]
    assert "No ." in found
    assert "The fox did n't care ; it ate at 5 p.m. and slept ." in found


def test_a_blank_line_ends_a_sentence() -> None:
    assert "The End" in sentences_of(STORY)


def test_abbreviations_are_learnt_from_the_text_itself() -> None:
    text = " ".join(f"The krzn. of town {n} was small, krzn. or not. It rained." for n in range(50))
    assert "krzn" not in " ".join(TextSettings().to_json())  # no list of ours has it
    assert sentences_of(text)[0].startswith("The krzn. of town 0")


def test_a_word_that_ends_every_sentence_is_no_abbreviation() -> None:
    assert len(sentences_of("Hello there, you world. " * 300)) == 300


def test_one_sentence_per_line_takes_every_line() -> None:
    assert sentences_of("one two. Three\n\n four\n", sentences="lines") == ["one two. Three", "four"]


def test_a_book_on_one_line_has_the_sentences_of_the_same_book_on_many() -> None:
    sentences = [f"This is sentence number {n}, and it is not the last one." for n in range(2000)]
    assert sentences_of(" ".join(sentences)) == sentences_of("\n".join(sentences))
    assert sentences_of(" ".join(sentences)) == sentences_of("\n".join(sentences), sentences="lines")


def test_the_unknown_word_and_entities_of_ready_made_corpora_stay_whole() -> None:
    assert tokenize("the <unk> of &gt; it &amp; <s>") == ["the", "<unk>", "of", "&gt;", "it", "&amp;", "<", "s", ">"]
    assert tokenize("a&#39;b & c;") == ["a", "&#39;", "b", "&", "c", ";"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("mr. <unk> said", "mr. <unk> said"),
        ("Dr. <unk>, M.D.", "Dr. <unk> , M.D ."),
        ("met (e.g. <unk>) J. <unk>", "met ( e.g. <unk> ) J. <unk>"),
        ('"<unk>" said the <unk>.', "`` <unk> '' said the <unk> ."),
        ("<unk>'s [<unk>]: <unk>; <unk>-<unk>", "<unk> 's [ <unk> ] : <unk> ; <unk> - <unk>"),
        ('He left <unk>."', "He left <unk> . ''"),
        ("<unk><unk>! etc. &gt; mr. &amp; mrs.", "<unk> <unk> ! etc. &gt; mr. &amp; mrs ."),
    ],
)
def test_next_to_the_unknown_word_or_an_entity_words_are_split_as_next_to_any_other(text: str, tokens: str) -> None:
    assert tokenize(text) == tokens.split()


@given(st.lists(st.sampled_from(["mr.", "<unk>", "(<unk>", '"<unk>"', "<unk>,", "a.m.", "<unk>'s", "n't", "--", "x"])))
def test_the_unknown_word_is_split_like_a_word(words: list[str]) -> None:
    text = " ".join(words)
    as_word = tokenize(text.replace("<unk>", "thing"))
    assert [token.replace("<unk>", "thing") for token in tokenize(text)] == as_word


WORDS = st.text("abS7.,:;'\"`()[]<>!?-&$%*»“’…", min_size=1, max_size=8).filter(lambda w: any(c.isalnum() for c in w))


@settings(max_examples=150)
@example(['""7'])  # the first word that is split at all: as in the middle of a sentence
@given(st.lists(WORDS | st.sampled_from(["cannot", "gonna", "'tis", "don't", "U.S.", "x''", "I'll"]), max_size=8))
def test_splitting_each_word_once_gives_the_tokens_that_nltk_gives_the_sentence(words: list[str]) -> None:
    from nltk.tokenize import NLTKWordTokenizer

    text = " ".join(["The", *words])
    assert tokenize(text) == NLTKWordTokenizer().tokenize(text)


def test_nltk_takes_no_other_words_of_letters_apart_than_those_it_is_asked_about() -> None:
    from nltk.tokenize import NLTKWordTokenizer

    patterns = [rule.pattern for rule in (*NLTKWordTokenizer.CONTRACTIONS2, *NLTKWordTokenizer.CONTRACTIONS3)]
    taken_apart = {re.sub(r"\(\?i\)|\(\?#X\)|\(\?=\\s\)|\\s|\\b|[() ]", "", pattern) for pattern in patterns}
    assert {word for word in taken_apart if word.isalpha()} == CONTRACTIONS
    for word in ["cannot", "Gonna", "WANNA"]:
        assert len(tokenize(f"a {word} b")) == 4


@given(st.lists(WORDS, max_size=6), st.sampled_from(["\n", "\t", "  ", " \n "]))
def test_any_white_space_is_white_space(words: list[str], space: str) -> None:
    assert tokenize(space.join(words)) == tokenize(" ".join(words))


def test_a_word_longer_than_any_is_split_whole() -> None:
    assert "".join(tokenize("x" * 2500 + ". y")) == "x" * 2500 + ".y"


STORY_SPLITTER = SentenceSplitter([STORY])


@settings(max_examples=150)
@given(st.text("aB3.?!,)\"' \n-"), st.sampled_from(["", "no. X. etc. "]))
def test_asking_only_where_there_is_doubt_finds_the_sentences_that_punkt_finds(text: str, before: str) -> None:
    from nltk.tokenize.punkt import PunktSentenceTokenizer

    text = "The " + before + re.sub(r"(?<!\S)[.?!]+(?=\S)", "", text)  # NLTK ends a sentence within " ???", we do not
    assert list(STORY_SPLITTER.split(text)) == PunktSentenceTokenizer(STORY_SPLITTER.parameters).tokenize(text)


def test_a_prompt_is_tokenised_like_the_corpus() -> None:
    (sentence,) = tokenize_sentences(["The man who wore a wig on his head went inside"], TextSettings(lowercase=True))
    assert tokenize("The man who wore a wig on his head went inside", lowercase=True) == sentence


@given(st.text(max_size=200))
@pytest.mark.slow
def test_characters_are_their_own_tokens_and_come_back(text: str) -> None:
    assert detokenize(tokenize(text, "char"), "char") == text


@pytest.mark.parametrize(
    "text",
    [
        "The man who wore a wig on his head went inside",
        "I don't know; it's John's, isn't it?",
        "We'll go (or won't), they've said: \"never!\"",
        "It cost $3.50, i.e. 20% more... and #1 of [3].",
        "First Citizen: We know't, we know't.",
        "'Tis true; 'twas the boys' own 'idea', o' course.",
        "I cannot, I'm gonna wanna, d'ye see?",
        "He said “no” and didn’t.",
        "**Note** this *one* word.",
        "See http://example.com/a for &gt; more.",
    ],
)
def test_detokenised_words_read_as_they_were_written(text: str) -> None:
    assert detokenize(tokenize(text)) == text


@given(st.lists(st.sampled_from([*"'\"*.,()$`-a", "``", "''", "n't", "s", "<unk>", "tis"]), max_size=20))
def test_detokenising_loses_no_character_but_the_kind_of_quotes(tokens: list[str]) -> None:
    joined = "".join('"' if token in ("``", "''") else token for token in tokens)
    assert detokenize(tokens).replace(" ", "") == joined


@given(st.lists(st.lists(st.sampled_from("ab "), min_size=1, max_size=50), max_size=5), st.integers(2, 9))
def test_cutting_keeps_every_token_in_order_and_every_piece_in_bounds(sentences: list[list[str]], limit: int) -> None:
    for unit in ("word", "char"):
        pieces = cut_sentences(sentences, limit, unit)
        assert [token for piece in pieces for token in piece] == [t for sentence in sentences for t in sentence]
        assert all(1 <= len(piece) <= limit for piece in pieces)


# --- vocabulary -----------------------------------------------------------------------------------------------


def test_the_most_frequent_words_are_kept_and_ties_go_to_the_alphabetically_first() -> None:
    sentences = [["b", "a", "c", "c"], ["d", "b", "a"]]
    vocabulary = Vocabulary.build(sentences, TextSettings(vocabulary_size=6))
    assert vocabulary.words == ("<unk>", "<s>", "</s>", "a", "b", "c")
    assert vocabulary.counts == (1, 2, 2, 2, 2, 2)
    assert Vocabulary.build(sentences[::-1], TextSettings(vocabulary_size=6)) == vocabulary


def test_words_that_read_like_the_marks_are_unknown_words() -> None:
    vocabulary = Vocabulary.build([["<s>", "a", "</s>", "<unk>", "b"]], TextSettings())
    assert vocabulary.words == ("<unk>", "<s>", "</s>", "a", "b")
    assert vocabulary.encode(["<s>", "a", "</s>", "<unk>"]).tolist() == [UNKNOWN_ID, 3, UNKNOWN_ID, UNKNOWN_ID]
    assert vocabulary.counts[0] == 3


@given(st.lists(st.lists(st.text("abc<s>", min_size=1), min_size=1), min_size=1), st.integers(4, 12))
def test_encoding_and_decoding_keep_every_known_word(sentences: list[list[str]], size: int) -> None:
    vocabulary = Vocabulary.build(sentences, TextSettings(vocabulary_size=size))
    assert len(vocabulary) <= size
    assert sum(vocabulary.counts) == sum(map(len, sentences)) + 2 * len(sentences)
    for sentence in sentences:
        ids = vocabulary.encode_sentence(sentence)
        assert ids.dtype == np.int32
        assert (ids[0], ids[-1]) == (START_ID, END_ID)
        expected = [word if word in vocabulary else "<unk>" for word in sentence]
        assert vocabulary.decode(ids[1:-1]) == expected
    if len(vocabulary) > 3:
        assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


GOOD = {"unit": "word", "lowercase": False, "words": ["<unk>", "<s>", "</s>", "a"], "counts": [0, 1, 1, 5]}


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {key: GOOD[key] for key in ("unit", "words")},
        {**GOOD, "more": 1},
        {**GOOD, "unit": "byte"},
        {**GOOD, "lowercase": 0},
        {**GOOD, "words": ["a", "<s>", "</s>", "<unk>"]},
        {**GOOD, "words": ["<unk>", "<s>", "</s>"], "counts": []},
        {**GOOD, "words": ["<unk>", "<s>", "</s>", "a", "a"], "counts": []},
        {**GOOD, "words": ["<unk>", "<s>", "</s>", 3]},
        {**GOOD, "words": ["<unk>", "<s>", "</s>", ""]},
        {**GOOD, "words": ["<unk>", "<s>", "</s>", "\ud800"]},
        {**GOOD, "words": "abc"},
        {**GOOD, "counts": [0, 1, 1]},
        {**GOOD, "counts": [0, 1, 1, -5]},
        {**GOOD, "counts": [0, 1, 1, True]},
        {**GOOD, "unit": "char", "words": ["<unk>", "<s>", "</s>", "ab"]},
    ],
)
def test_a_vocabulary_that_is_not_as_we_write_it_is_refused(wrong: object) -> None:
    Vocabulary.from_json(GOOD)
    with pytest.raises(RunError):
        Vocabulary.from_json(wrong)


# --- prepare --------------------------------------------------------------------------------------------------


def test_a_prepared_corpus_holds_every_sentence_once() -> None:
    corpus = prepared(STORY, validation_fraction=0.3)
    expected = Counter(sentences_of(STORY))
    ids = corpus.train + corpus.valid
    assert all(s.dtype == np.int32 and len(s) >= 3 and s[0] == START_ID and s[-1] == END_ID for s in ids)
    assert Counter(len(sentence) - 2 for sentence in ids) == Counter(len(s.split()) for s in expected.elements())
    known = {" ".join(corpus.vocabulary.decode(sentence[1:-1])) for sentence in corpus.train}
    assert known <= set(expected)
    report = corpus.report
    assert report.sentences == len(ids) == report.train_sentences + report.valid_sentences
    assert report.tokens == sum(len(sentence) - 2 for sentence in ids) == report.frequencies.sum()
    assert report.vocabulary_size == len(corpus.vocabulary)


def test_coverage_is_the_share_of_tokens_that_the_network_knows() -> None:
    corpus = prepared(STORY, vocabulary_size=12)
    unknown = sum(int((sentence == UNKNOWN_ID).sum()) for sentence in corpus.train + corpus.valid)
    assert corpus.report.coverage == pytest.approx(1 - unknown / corpus.report.tokens)
    assert any("in the vocabulary" in note for note in corpus.report.notes)


@pytest.mark.parametrize("unit", ["word", "char"])
@pytest.mark.parametrize("size", [4, 5, 8, 12, 100])
def test_narrowing_a_corpus_gives_what_reading_it_for_that_vocabulary_gives(size: int, unit: str) -> None:
    narrowed = truncate_vocabulary(prepared(3 * STORY, unit=unit, vocabulary_size=1_000_000), size)
    direct = prepared(3 * STORY, unit=unit, vocabulary_size=size)
    assert narrowed.vocabulary == direct.vocabulary
    assert narrowed.vocabulary.counts == direct.vocabulary.counts
    assert narrowed.report == direct.report
    for part in ("train", "valid"):
        for mine, theirs in zip(getattr(narrowed, part), getattr(direct, part), strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype


def test_the_split_depends_on_the_seed_alone_and_leaves_a_sentence_on_each_side() -> None:
    text = "\n".join(f"This is the line {n} of them all." for n in range(50))
    first, again, other = (prepared(text, sentences="lines", seed=seed) for seed in (1, 1, 2))
    assert [s.tolist() for s in first.valid] == [s.tolist() for s in again.valid]
    assert first.vocabulary == again.vocabulary
    assert first.vocabulary.words != other.vocabulary.words  # the numbers of the held-out lines are missing in each
    assert len(first.valid) == 5
    for fraction in (0.001, 0.9):
        pair = prepare_sentences([["a"] * 15, ["b"] * 15], "two", TextSettings(validation_fraction=fraction))
        assert (len(pair.train), len(pair.valid)) == (1, 1)


def test_where_nothing_is_kept_aside_the_loss_is_measured_on_the_text_itself_in_its_order() -> None:
    sentences = [["a", "b", f"word{number}"] for number in range(20)]
    corpus = prepare_sentences(sentences, "whole", TextSettings(validation_fraction=0.0))
    for part in (corpus.train, corpus.valid):
        assert [corpus.vocabulary.decode(ids[1:-1]) for ids in part] == sentences
    assert any("No sentence is held out" in note for note in corpus.report.notes)


def test_the_vocabulary_knows_nothing_of_the_validation_part() -> None:
    sentences = [[f"w{n}"] * 5 for n in range(20)]
    corpus = prepare_sentences(sentences, "words", TextSettings())
    assert len(corpus.vocabulary) == 3 + len(corpus.train)
    assert all(set(s[1:-1].tolist()) == {UNKNOWN_ID} for s in corpus.valid)


def test_long_sentences_are_cut_and_the_report_says_so() -> None:
    corpus = prepared("word " * 95 + "\n" + "short line here", sentences="lines", max_sentence_length=10)
    assert max(len(s) for s in corpus.train + corpus.valid) == 12
    assert corpus.report.cut_sentences == 1
    assert corpus.report.longest_sentence == 95
    assert "1 sentence longer than 10 words was cut into pieces." in corpus.report.notes


def test_the_report_survives_json_but_for_the_frequencies() -> None:
    report = prepared(STORY).report
    back = CorpusReport.from_json(json.loads(json.dumps(report.to_json())))
    assert back == report
    for wrong in ([], {"tokens": "3"}, {"tokens": True}, {"colour": 1}, {"notes": [1]}, {"dropped": {"a": "b"}}):
        with pytest.raises(RunError):
            CorpusReport.from_json(wrong)


def test_progress_is_told_before_anything_is_read_and_rises_to_one() -> None:
    told: list[float] = []
    prepare((STORY * 400).encode(), "a.txt", TextSettings(), progress=lambda share, doing: told.append(share))
    assert told == sorted(told)
    assert told[0] == 0.0
    assert told[-1] == 1.0
    assert sum(0.15 < share < 0.9 for share in told) >= 2


class VisitorLeft(BaseException):
    """What a page's progress bar raises when nobody looks any more."""


@pytest.mark.parametrize("text", [STORY * 1000, "word " * 100_000, ". " * 100_000, STORY.replace(". ", " ") * 1000])
@pytest.mark.parametrize("after", [0.0, 0.3])
def test_what_a_listener_raises_ends_the_reading_before_the_next_portion(text: str, after: float) -> None:
    told: list[float] = []

    def leave(share: float, doing: str) -> None:
        told.append(share)
        if share > after:
            raise VisitorLeft

    with pytest.raises(VisitorLeft):
        prepare(text.encode(), "a.txt", TextSettings(), progress=leave)
    assert told[-1] < after + 0.3


def test_reading_has_a_limit_in_processor_time() -> None:
    for reading in (
        lambda: prepare((STORY * 100).encode(), "a.txt", TextSettings(), limit_seconds=0.0),
        lambda: prepare_documents([STORY * 100], "pasted", TextSettings(), limit_seconds=0.0),
    ):
        with pytest.raises(CorpusError, match=r"takes longer than the 0 seconds .* Choose a shorter text\.$"):
            reading()


def test_the_limit_is_in_seconds_of_the_reading_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = 100.0
    monkeypatch.setattr(data_progress.time, "thread_time", lambda: spent)
    report = data_progress.ReadingProgress(limit_seconds=3.0)
    spent += 2.9
    report(0.5, "reading")
    spent += 0.2
    with pytest.raises(CorpusError, match="longer than the 3 seconds"):
        report(0.6, "reading")


ONE_OF_EVERYTHING = "w{0}. q{0}., {0} x{0}q "
REPEATED = {
    "periods": ". ",
    "periods in a row": ".",
    "closed periods": ".) ",
    "letters with periods": "a. b.c. ",
    "exclamations": "! ",
    "open brackets": "(",
    "quotes": '"',
    "apostrophes": "' ",
    "digits": "7",
    "numbers": "3. ",
    "new lines": "\n",
    "sentences in lines": "It is.\n",
    "paragraphs": "a.\n\n",
    "spaces": " ",
    "a word of a thousand periods": "." * 999 + " ",
    "a word of a thousand brackets": ")" * 999 + " ",
    "entities": "&gt;",
    "unknown words": "<unk>",
}


@pytest.mark.parametrize("repeated", [*REPEATED.values(), None], ids=[*REPEATED, "new abbreviations"])
@pytest.mark.slow
def test_eight_times_the_text_takes_at_most_about_eight_times_the_processor(repeated: str | None) -> None:
    def seconds(length: int) -> float:
        text = (repeated * length)[:length] if repeated else "".join(map(ONE_OF_EVERYTHING.format, range(length // 22)))
        began = time.thread_time()
        with contextlib.suppress(CorpusError):
            prepare(text.encode(), "a.txt", TextSettings())
        return time.thread_time() - began

    # Quadratic time would be 64 times as long. (A busy machine disturbs one measurement, but not five.)
    assert any(seconds(40_000) < 18 * seconds(5_000) + 0.02 for _ in range(5))


def test_lower_case_reaches_every_token() -> None:
    assert all(word == word.lower() for word in prepared(STORY, lowercase=True).vocabulary.words)
    corpus = prepare_sentences([["The", "Fox"] * 10, ["A"] * 5], "x", TextSettings(lowercase=True))
    assert "The" not in corpus.vocabulary.words


REFUSED = [
    ("", "The file is empty. Choose a file with text in it."),
    ("word", "The corpus has 1 token; training needs at least 20. Choose a longer text."),
    ("Too few words here.", "The corpus has 5 tokens; training needs at least 20. Choose a longer text."),
    ("x" * 1_000_000, "The text is 1,000,000 characters without a space between them"),
    ("one and the same sentence without an end " * 4, "The corpus is one sentence; training needs at least two"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED, ids=[sentence[:25] for _, sentence in REFUSED])
def test_what_cannot_be_learnt_from_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(CorpusError) as caught:
        prepared(text)
    assert str(caught.value).startswith(sentence)


def test_one_gigantic_line_is_cut_and_one_gigantic_token_left_out() -> None:
    line = prepared("hello there world " * 60_000)
    assert line.report.tokens == 180_000
    assert max(map(len, line.train)) <= 202
    token = prepared(STORY + "\n" + "A" * 1_000_000 + "\n" + STORY)
    assert token.report.dropped == {"characters in runs without a space": 1_000_000}
    assert any("1,000,000 characters" in note for note in token.report.notes)
    characters = prepared("x" * 1_000_000, unit="char")
    assert characters.report.tokens == 1_000_000
    assert max(map(len, characters.train)) <= 202


def test_a_text_of_nothing_but_different_words_is_read_and_explained() -> None:
    corpus = prepared("\n".join(" ".join(f"w{n}x{m}" for m in range(10)) for n in range(100)), sentences="lines")
    assert any("1,000 of 1,000 words are different" in note for note in corpus.report.notes)


def test_documents_at_hand_are_cleaned_like_uploads() -> None:
    corpus = prepare_documents([STORY, " ", "More \u202ewords. And more."], "pasted", TextSettings())
    assert corpus.report.documents == 2
    assert corpus.report.dropped == {"bidirectional controls": 1}
    with pytest.raises(CorpusError):
        prepare_documents([], "nothing", TextSettings())


def test_a_table_is_prepared_from_its_column() -> None:
    rows = "id,body\n" + "".join(f'{n},"Comment {n} is ""quoted"".\nIt has two lines. {STORY}"\n' for n in range(3))
    corpus = prepare(rows.encode(), "a.csv", TextSettings(column="body"))
    assert (corpus.report.format, corpus.report.column, corpus.report.documents) == ("csv", "body", 3)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=400),
        st.text(max_size=200).map(str.encode),
        st.text("aB .\n\"',{}", max_size=400).map(str.encode),
    ),
    st.sampled_from(["a.txt", "a.csv", "a.jsonl"]),
    st.sampled_from(["word", "char"]),
    st.sampled_from(["punkt", "lines"]),
    st.booleans(),
)
def test_random_bytes_give_a_prepared_corpus_or_an_explanation(
    data: bytes, name: str, unit: str, sentences: str, lowercase: bool
) -> None:
    chosen = TextSettings(unit=unit, sentences=sentences, lowercase=lowercase, max_sentence_length=20)
    try:
        corpus = prepare(data, name, chosen)
    except UserError as error:
        if not isinstance(error, CorpusError):
            raise
        return
    assert all(3 <= len(s) <= 22 for s in corpus.train + corpus.valid)
    assert len(corpus.train) >= 1
    assert len(corpus.valid) >= 1
    json.dumps(corpus.vocabulary.to_json()).encode("utf-8")


@pytest.mark.process
def test_a_worker_that_loads_a_corpus_imports_no_nltk() -> None:
    code = "import sys, rnn_core.data; sys.exit(bool({'nltk', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- batches --------------------------------------------------------------------------------------------------

ids_of_sentences = st.lists(
    st.lists(st.integers(3, 30), min_size=1, max_size=12).map(lambda ids: np.array([1, *ids, 2], dtype=np.int32)),
    min_size=1,
    max_size=30,
)


def generators(seed: int | None) -> np.random.Generator | None:
    return None if seed is None else np.random.default_rng(seed)


@given(ids_of_sentences, st.integers(1, 8), st.one_of(st.none(), st.integers(0, 9)))
def test_every_sentence_is_in_exactly_one_batch_whole_and_padded(
    sentences: list[np.ndarray], size: int, seed: int | None
) -> None:
    found = batches(sentences, size, generators(seed))
    assert sorted(n for batch in found for n in batch.sentences) == list(range(len(sentences)))
    for batch in found:
        assert batch.inputs.shape == batch.targets.shape == batch.mask.shape
        assert batch.inputs.dtype == batch.targets.dtype == np.int32
        assert batch.mask.dtype == bool
        assert 1 <= len(batch.sentences) <= size
        assert batch.mask.any(axis=1).all()  # no row is padding alone
        assert not batch.inputs[~batch.mask].any()
        assert not batch.targets[~batch.mask].any()
        for column, number in enumerate(batch.sentences):
            length = len(sentences[number]) - 1
            assert batch.mask[:, column].tolist() == [True] * length + [False] * (len(batch.mask) - length)
            assert batch.inputs[:length, column].tolist() == sentences[number][:-1].tolist()
            assert batch.targets[:length, column].tolist() == sentences[number][1:].tolist()


@given(ids_of_sentences, st.integers(1, 8))
def test_batches_waste_as_little_as_sorting_by_length_can(sentences: list[np.ndarray], size: int) -> None:
    lengths = [sorted(len(sentences[n]) for n in batch.sentences) for batch in batches(sentences, size, None)]
    assert all(before[-1] <= after[0] for before, after in zip(lengths, lengths[1:], strict=False))
    drawn = batches(sentences, size, np.random.default_rng(0))
    assert sorted(len(batch.inputs) for batch in drawn) == sorted(group[-1] - 1 for group in lengths)


def test_the_generator_decides_the_order_and_nothing_else_does() -> None:
    sentences = [np.array([1, *range(3, 4 + n % 5), 2], dtype=np.int32) for n in range(40)]

    def order(seed: int | None) -> list[list[int]]:
        return [batch.sentences.tolist() for batch in batches(sentences, 4, generators(seed))]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(None) == order(None)
    assert sum(order(None), []) == sorted(range(40), key=lambda n: (len(sentences[n]), n))


@given(ids_of_sentences, st.integers(1, 8), st.integers(1, 9), st.one_of(st.none(), st.integers(0, 9)))
def test_a_stream_predicts_what_the_sentences_do_each_word_once_and_in_order(
    sentences: list[np.ndarray], size: int, length: int, seed: int | None
) -> None:
    found = stream_batches(sentences, size, length, generators(seed))
    total = sum(len(s) - 1 for s in sentences)
    width = min(size, total)
    assert all(batch.inputs.shape[1] == width and len(batch.inputs) <= length for batch in found)
    assert sum(int(batch.mask.sum()) for batch in found) == total
    # Columns read from top to bottom, one after the other, are the stream.
    inputs = np.concatenate([batch.inputs for batch in found]).T
    targets = np.concatenate([batch.targets for batch in found]).T
    mask = np.concatenate([batch.mask for batch in found]).T
    assert int((~mask).sum()) < width
    assert not inputs[~mask].any()
    pairs = list(zip(inputs[mask].tolist(), targets[mask].tolist(), strict=True))
    starts = [n for n, (word, _) in enumerate(pairs) if word == START_ID]
    read = [[START_ID, *(t for _, t in pairs[a:b])] for a, b in zip(starts, [*starts[1:], total], strict=True)]
    assert sorted(read) == sorted(s.tolist() for s in sentences)
    if seed is None:
        assert read == [s.tolist() for s in sentences]
    for batch in found:
        for column, number in enumerate(batch.sentences):
            assert (number == -1) == (not batch.mask[0, column])
            assert number == -1 or batch.targets[0, column] in sentences[number]


def test_batches_of_no_size_are_refused() -> None:
    sentence = [np.array([1, 3, 2], dtype=np.int32)]
    with pytest.raises(SettingsError):
        batches(sentence, 0, None)
    with pytest.raises(SettingsError):
        stream_batches(sentence, 2, 0, None)


# --- what is given --------------------------------------------------------------------------------------------


def test_at_white_space_alone_a_corpus_that_comes_in_tokens_is_taken_as_it_is() -> None:
    text = "the N-word 's <unk> n't $ N million .\nMr. Vinken is chairman of <unk> N.V. .\n" * 4
    chosen = TextSettings(tokenizer="whitespace", sentences="lines")
    assert tokenize_sentences([text], chosen)[:2] == [line.split() for line in text.split("\n")[:2]]
    corpus = prepare(text.encode(), "ptb.txt", chosen)
    assert corpus.vocabulary.tokenizer == "whitespace"
    assert Vocabulary.from_json(json.loads(json.dumps(corpus.vocabulary.to_json()))) == corpus.vocabulary
    assert tokenize("N.V. isn't.", tokenizer=corpus.vocabulary.tokenizer) == ["N.V.", "isn't."]
    with pytest.raises(RunError):
        Vocabulary.from_json({**GOOD, "tokenizer": "spacy"})


def test_a_given_vocabulary_keeps_its_order_and_its_words_whatever_the_text_has() -> None:
    words = with_special_entries(["zebra", "fox", "<eos>", "crow", "SENTENCE_START"])
    assert words == ["<unk>", "<s>", "</s>", "zebra", "fox", "crow"]
    corpus = prepare(STORY.encode(), "a.txt", TextSettings(), words=words)
    assert corpus.vocabulary.words == tuple(words)
    train = np.concatenate(corpus.train)
    assert corpus.vocabulary.counts == tuple(np.bincount(train, minlength=6).tolist())
    assert corpus.vocabulary.counts[3] == 0
    assert corpus.report.coverage < 0.3
    assert "The words to know were given, not counted in the text." in corpus.report.notes
    with pytest.raises(CorpusError, match="None of the text's words is in the given vocabulary"):
        prepare(STORY.encode(), "a.txt", TextSettings(), words=[*words[:3], "zebra"])


def test_a_given_validation_file_is_what_is_validated_on_and_nothing_of_the_text_is_kept_aside() -> None:
    held_out = "The unheard fox met the crow. It ran."
    chosen = TextSettings(max_sentence_length=6)
    corpus = prepare(STORY.encode(), "a.txt", chosen, validation=("b.txt", held_out.encode()))
    everything = cut_sentences(tokenize_sentences([STORY], TextSettings()), 6)
    assert [corpus.vocabulary.decode(ids[1:-1]) for ids in corpus.train] == everything
    assert [corpus.vocabulary.decode(ids[1:-1]) for ids in corpus.valid] == [
        ["The", "<unk>", "fox", "met", "the", "crow"],
        ["."],
        ["It", "<unk>", "."],
    ]
    assert (corpus.report.train_sentences, corpus.report.valid_sentences) == (len(everything), 3)
    assert "No sentence is held out: a file of its own is validated on." in corpus.report.notes


def test_a_validation_file_without_words_is_refused() -> None:
    with pytest.raises(CorpusError, match=r"^b\.txt, to validate on: there is no word in it\."):
        prepare(STORY.encode(), "a.txt", TextSettings(), validation=("b.txt", b"a" * 2000))
