"""From the bytes of a file, or texts, or sentences, to what a network sees: vocabulary, split, ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np

from rnn_core.config import TextSettings
from rnn_core.data.characters import clean
from rnn_core.data.corpus import CorpusReport, PreparedCorpus, coverage_note, hardly_repeats
from rnn_core.data.documents import Reading, read
from rnn_core.data.progress import Progress, ReadingProgress
from rnn_core.data.sentences import cut_sentences, tokenize_sentences
from rnn_core.data.vocabulary import END_ID, SPECIALS, START_ID, UNKNOWN, Vocabulary
from rnn_core.errors import CorpusError, EncodingError
from rnn_core.randomness import stream

# Fewer tokens than this teach nothing.
MIN_TOKENS = 20


def prepare(
    data: bytes,
    name: str,
    settings: TextSettings,
    progress: Progress | None = None,
    limit_seconds: float | None = None,
    words: Sequence[str] | None = None,
    validation: tuple[str, bytes] | None = None,
) -> PreparedCorpus:
    """Bytes of a file -> what a network sees.

    `progress` is called several times a second with how far the reading is; what it raises ends the reading.
    `limit_seconds` is the processor time that the reading may take. `words`: the vocabulary, <unk>, <s> and </s> first,
    in the place of the text's most frequent words. `validation`: name and bytes of a file, in the place of sentences
    held out. Raises CorpusError (EncodingError where the user has to choose the encoding) and SettingsError.
    """
    settings.validate()
    report = ReadingProgress(progress, limit_seconds)
    found = read(data, name, settings.column, settings.encoding, report)
    held_out = None
    if validation is not None:
        held_out = _held_out(*validation, settings, report)
    return _prepare(found, name, settings, report, words, held_out)


def _held_out(name: str, data: bytes, settings: TextSettings, report: Progress) -> list[list[str]]:
    """The sentences of a file to validate on, at least one. Raises CorpusError, which says that it is that file."""
    try:
        documents = read(data, name, settings.column, settings.encoding, report).documents
    except EncodingError:
        raise
    except CorpusError as error:
        raise CorpusError(f"{name}, to validate on: {error}") from error
    sentences = tokenize_sentences(documents, settings)
    if not sentences:
        raise CorpusError(f"{name}, to validate on: there is no word in it. Choose another file.")
    return sentences


def prepare_documents(
    documents: list[str],
    name: str,
    settings: TextSettings,
    progress: Progress | None = None,
    limit_seconds: float | None = None,
) -> PreparedCorpus:
    """Texts that are at hand (pasted, or built in) -> what a network sees. The rest as in `prepare`."""
    settings.validate()
    report = ReadingProgress(progress, limit_seconds)
    report(0.0, "reading the text")
    dropped: Counter[str] = Counter()
    cleaned = [text for document in documents if (text := clean(document, dropped)).strip()]
    return _prepare(Reading(cleaned, "text", "", None, dropped), name, settings, report)


def encode_documents(
    documents: list[str],
    settings: TextSettings,
    vocabulary: Vocabulary,
    progress: Progress | None = None,
    limit_seconds: float | None = None,
) -> list[np.ndarray]:
    """Texts -> their sentences as ids from <s> to </s>, as a network with this vocabulary reads them. The rest as in
    `prepare`.
    """
    report = ReadingProgress(progress, limit_seconds)
    tokens = cut_sentences(tokenize_sentences(documents, settings, report), settings.max_sentence_length, settings.unit)
    return [vocabulary.encode_sentence(sentence) for sentence in tokens]


def _prepare(
    found: Reading,
    name: str,
    settings: TextSettings,
    report: Progress,
    words: Sequence[str] | None = None,
    held_out: list[list[str]] | None = None,
) -> PreparedCorpus:
    dropped = Counter(found.dropped)
    sentences = tokenize_sentences(found.documents, settings, report, dropped)
    corpus = _assemble(sentences, name, settings, found, dropped, report, words, held_out)
    report(1.0, "done")
    return corpus


def prepare_sentences(sentences: list[list[str]], name: str, settings: TextSettings) -> PreparedCorpus:
    """Sentences that are tokens already (a generated corpus) -> what a network sees. Raises CorpusError,
    SettingsError."""
    settings.validate()
    if settings.lowercase:
        sentences = [[token.lower() for token in sentence] for sentence in sentences]
    sentences = [sentence for sentence in sentences if sentence]
    return _assemble(sentences, name, settings, Reading([], "sentences", ""), Counter(), ReadingProgress())


def _assemble(
    sentences: list[list[str]],
    name: str,
    settings: TextSettings,
    found: Reading,
    dropped: Counter[str],
    report_progress: Progress,
    words: Sequence[str] | None = None,
    held_out: list[list[str]] | None = None,
) -> PreparedCorpus:
    report_progress(0.9, "counting words")
    limit = settings.max_sentence_length
    longest = max(map(len, sentences), default=0)
    too_long = sum(len(sentence) > limit for sentence in sentences)
    pieces = cut_sentences(sentences, limit, settings.unit) if too_long else sentences
    tokens = sum(map(len, pieces))
    _check_enough(tokens, len(pieces), settings, dropped)

    notes: tuple[str, ...] = () if words is None else ("The words to know were given, not counted in the text.",)
    if held_out is None:
        train, valid = _split(pieces, settings)
        if settings.validation_fraction == 0:
            notes += ("No sentence is held out: the loss is measured on the sentences that the network trains on.",)
    else:
        notes += ("No sentence is held out: a file of its own is validated on.",)
        train, valid = pieces, cut_sentences(held_out, limit, settings.unit)
        pieces = train + valid
        tokens = sum(map(len, pieces))
    report_progress(0.91, "counting words")
    # The vocabulary comes from the training part alone: a word that only the validation part has is unknown to
    # the network.
    vocabulary = Vocabulary.build(train, settings) if words is None else Vocabulary.given(words, train, settings)
    if len(vocabulary) == len(SPECIALS):
        raise CorpusError(f"The corpus has no words but {UNKNOWN}. Choose another text.")
    report_progress(0.93, "counting words")
    frequencies = Counter(chain.from_iterable(pieces))
    covered = sum(count for word, count in frequencies.items() if word in vocabulary)
    report = CorpusReport(
        format=found.format,
        encoding=found.encoding,
        column=found.column,
        documents=len(found.documents),
        sentences=len(pieces),
        train_sentences=len(train),
        valid_sentences=len(valid),
        tokens=tokens,
        distinct_words=len(frequencies),
        vocabulary_size=len(vocabulary),
        coverage=covered / tokens,
        longest_sentence=longest,
        cut_sentences=too_long,
        dropped=dict(dropped),
        notes=found.notes + notes + _notes(tokens, len(frequencies), covered, too_long, settings, dropped),
        frequencies=np.array(sorted(frequencies.values(), reverse=True), dtype=np.int64),
    )
    if words is not None and not covered:
        raise CorpusError("None of the text's words is in the given vocabulary. Give the one that belongs to it.")
    report_progress(0.95, "numbering words")
    train_ids = _encode_all(train, vocabulary)
    report_progress(0.99, "numbering words")
    return PreparedCorpus(vocabulary, train_ids, _encode_all(valid, vocabulary), name, report)


def _check_enough(tokens: int, sentences: int, settings: TextSettings, dropped: Counter[str]) -> None:
    runs = dropped["characters in runs without a space"]
    if tokens < MIN_TOKENS and runs:
        raise CorpusError(
            f"The text is {runs:,} characters without a space between them, so it has no words. Choose characters "
            "as the unit, or another text."
        )
    if tokens < MIN_TOKENS:
        raise CorpusError(
            f"The corpus has {_counted(tokens, 'character' if settings.unit == 'char' else 'token')}; training needs "
            f"at least {MIN_TOKENS}. Choose a longer text."
        )
    if sentences < 2:
        raise CorpusError(
            "The corpus is one sentence; training needs at least two, one to learn from and one to check on. Choose a "
            "longer text, or put each sentence on a line of its own and choose one sentence per line."
        )


def without_text(words: Sequence[str], settings: TextSettings, name: str, note: str = "") -> PreparedCorpus:
    """A corpus of no sentence, for a network from elsewhere: its words are known, what it was trained on is not. note:
    what was assumed of them, or "".
    """
    vocabulary = Vocabulary(tuple(words), settings.unit, settings.lowercase, (), settings.tokenizer)
    report = CorpusReport(format="none", vocabulary_size=len(words), notes=(note,) if note else ())
    return PreparedCorpus(vocabulary, [], [], name, report)


def _split(sentences: list[list[str]], settings: TextSettings) -> tuple[list[list[str]], list[list[str]]]:
    """(training, validation): the given share is held out, but at least one sentence is on each side; for none, both
    are the whole text.
    """
    if settings.validation_fraction == 0:
        return sentences, sentences
    count = len(sentences)
    held_out = min(count - 1, max(1, round(count * settings.validation_fraction)))
    is_valid = np.zeros(count, dtype=bool)
    is_valid[stream(settings.seed, "split").permutation(count)[:held_out]] = True
    return (
        [sentence for sentence, apart in zip(sentences, is_valid, strict=True) if not apart],
        [sentence for sentence, apart in zip(sentences, is_valid, strict=True) if apart],
    )


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" + ("" if count == 1 else "s")


def _notes(
    tokens: int, distinct: int, covered: int, too_long: int, settings: TextSettings, dropped: Counter[str]
) -> tuple[str, ...]:
    things = "characters" if settings.unit == "char" else "words"
    notes = []
    if too_long:
        notes.append(
            f"{_counted(too_long, 'sentence')} longer than {settings.max_sentence_length:,} {things} "
            f"{'was' if too_long == 1 else 'were'} cut into pieces."
        )
    if dropped:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(dropped.items()))
        notes.append(f"Left out of the text: {kinds}.")
    if hardly_repeats(settings.unit, distinct, tokens):
        notes.append(
            f"{distinct:,} of {tokens:,} words are different, so hardly any word can be learnt from a second example. "
            "Choose a longer text, or characters as the unit."
        )
    elif covered < 0.7 * tokens:
        notes.append(coverage_note(covered / tokens))
    return tuple(notes)


def _encode_all(sentences: list[list[str]], vocabulary: Vocabulary) -> list[np.ndarray]:
    """The ids of each of at least one sentence, from <s> to </s>. All are views into one array, which takes a fraction
    of the memory of many small ones.
    """
    lengths = np.fromiter((len(sentence) + 2 for sentence in sentences), dtype=np.int64, count=len(sentences))
    ends = np.cumsum(lengths)
    flat = np.empty(int(ends[-1]), dtype=np.int32)
    is_token = np.ones(len(flat), dtype=bool)
    starts = ends - lengths
    flat[starts], flat[ends - 1] = START_ID, END_ID
    is_token[starts] = is_token[ends - 1] = False
    flat[is_token] = vocabulary.encode(chain.from_iterable(sentences))
    return [flat[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
