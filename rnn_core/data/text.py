"""A text -> sentences -> tokens -> ids, and back; the vocabulary, the split, and batches with a mask.

NLTK is imported only where a text is split, so whoever loads a prepared corpus stays lean.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np

from rnn_core.data import reading
from rnn_core.data.reading import columns, decode
from rnn_core.errors import CorpusError, RunError, SettingsError
from rnn_core.randomness import stream

__all__ = [
    "END",
    "MIN_TOKENS",
    "START",
    "UNKNOWN",
    "Batch",
    "CorpusReport",
    "PreparedCorpus",
    "TextSettings",
    "Vocabulary",
    "batches",
    "columns",
    "cut_sentences",
    "decode",
    "detokenize",
    "narrow",
    "prepare",
    "prepare_documents",
    "prepare_sentences",
    "read_documents",
    "stream_batches",
    "tokenize",
    "tokenize_sentences",
]

UNKNOWN, START, END = "<unk>", "<s>", "</s>"  # ids 0, 1, 2 in every vocabulary
SPECIALS = (UNKNOWN, START, END)
UNKNOWN_ID, START_ID, END_ID = 0, 1, 2

# Fewer tokens than this teach nothing.
MIN_TOKENS = 20

# The tokenisers' regular expressions see at most this many characters at once, so no text can make them slow
# (some take time quadratic in the length of a run) or hungry.
BLOCK = 10_000

# A run of characters without a space longer than this is no word but data (base64, a minified script): left
# out, and counted.
LONGEST_RUN = 1000

# Punkt learns abbreviations from this much of a text, taken evenly from all of it: 1 MB would take four times
# as long and finds the same ones.
PUNKT_SAMPLE = 300_000

Progress = Callable[[float, str], None]  # (share done 0..1, what is being done)


@dataclass(frozen=True)
class TextSettings:
    """How a text becomes ids. `validate()` raises SettingsError."""

    unit: str = "word"  # "word" | "char"
    vocabulary_size: int = 8000  # including the three special entries
    lowercase: bool = False
    sentences: str = "punkt"  # "punkt" | "lines"
    column: str | None = None  # of a .csv or .jsonl; None: the one with the most words
    encoding: str | None = None  # None: UTF-8, or by the byte order mark
    validation_fraction: float = 0.1
    max_sentence_length: int = 200  # tokens; longer sentences are cut into pieces, so that T stays bounded
    seed: int = 0  # of the split

    def validate(self) -> None:
        if self.unit not in ("word", "char"):
            raise SettingsError("unit must be 'word' or 'char'.")
        if self.sentences not in ("punkt", "lines"):
            raise SettingsError("sentences must be 'punkt' (found in the text) or 'lines' (one in each line).")
        _check_integer("vocabulary_size", self.vocabulary_size, 4, 1_000_000)
        _check_integer("max_sentence_length", self.max_sentence_length, 2, 10_000)
        _check_integer("seed", self.seed, 0, 2**63 - 1)
        fraction = self.validation_fraction
        if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 < fraction <= 0.9:
            raise SettingsError("validation_fraction must be above 0 and at most 0.9; 0.1 is usual.")
        if not isinstance(self.lowercase, bool):
            raise SettingsError("lowercase must be true or false.")
        for name in ("column", "encoding"):
            if not isinstance(getattr(self, name), str | None):
                raise SettingsError(f"{name} must be a text, or left out.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TextSettings:
        """Strict: unknown names and values out of range raise SettingsError; what is missing has its
        default."""
        known = {entry.name for entry in fields(cls)}
        if not isinstance(values, dict) or not set(values) <= known:
            raise SettingsError(f"the settings of a text are {', '.join(sorted(known))}, and no others.")
        settings = cls(**values)
        settings.validate()
        return settings


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SettingsError(f"{name} must be a whole number from {low:,} to {high:,}.")


# --- bytes -> documents ---------------------------------------------------------------------------------------


def read_documents(data: bytes, name: str, settings: TextSettings) -> list[str]:
    """The documents in a .txt (one), a .csv (one in each row) or a .jsonl (one in each line). Raises
    CorpusError."""
    settings.validate()
    return reading.read(data, name, settings.column, settings.encoding).documents


# --- documents -> sentences -> tokens -------------------------------------------------------------------------

# Punkt finds the abbreviations of the text itself; these it cannot find in a short one, since most stand before
# capital letters. No sentence ends after the first kind, not even before a word that also occurs with a small letter
# ("Mr. Fox").
_NEVER_LAST = frozenset(
    {
        *("mr", "mrs", "ms", "dr", "prof", "rev", "hon", "messrs", "mme", "mlle", "gen", "col", "capt", "lt", "sgt"),
        *("gov", "sen", "rep", "vs", "e.g", "i.e", "cf", "fig", "figs", "nos", "vol", "pp", "approx"),
    }
)
_ABBREVIATIONS = _NEVER_LAST | {
    *("st", "sr", "jr", "inc", "ltd", "co", "corp", "dept", "univ", "etc", "al", "ed", "eds"),
    *("a.m", "p.m", "u.s", "u.k"),
    *("jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"),
}
_LONG_RUN = re.compile(rf"(?<!\S)\S{{{LONGEST_RUN + 1},}}")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_ENTITIES = {"amp", "gt", "lt", "quot", "apos", "nbsp", "#39", "#x27", "#34", "#x200B"}


@lru_cache(maxsize=1)
def _nltk_words() -> Callable[[str], list[str]]:
    from nltk.tokenize import NLTKWordTokenizer

    split: Callable[[str], list[str]] = NLTKWordTokenizer().tokenize
    return split


def _blocks(text: str) -> Iterator[str]:
    """Stretches of at most BLOCK characters, cut at white space where there is any."""
    start = 0
    while len(text) - start > BLOCK:
        end = start + BLOCK
        cut = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
        end = cut if cut > 0 else end
        yield text[start:end]
        start = end
    yield text[start:]


def tokenize(text: str, unit: str = "word", lowercase: bool = False) -> list[str]:
    """The tokens of one sentence or prompt.

    unit "word": NLTK's word tokenizer, which needs no data ("don't" -> "do", "n't"; quotes become `` and '').
    Two things stay whole that it would take apart: `<unk>`, which ready-made corpora hold, and HTML entities
    such as `&gt;`. unit "char": every character, white space included.
    """
    if lowercase:
        text = text.lower()
    if unit == "char":
        return list(text)
    tokens: list[str] = []
    split = _nltk_words()
    for number, part in enumerate(text.split(UNKNOWN)):
        if number:
            tokens.append(UNKNOWN)
        for block in _blocks(part):
            tokens += split(block)
    return _join_entities(tokens) if "&" in text else tokens


def _join_entities(tokens: list[str]) -> list[str]:
    joined: list[str] = []
    for token in tokens:
        joined.append(token)
        if token == ";" and len(joined) > 2:
            if joined[-3] == "&" and joined[-2] in _ENTITIES:
                joined[-3:] = ["".join(joined[-3:])]
            elif len(joined) > 3 and joined[-4:-2] == ["&", "#"] and "#" + joined[-2] in _ENTITIES:
                joined[-4:] = ["".join(joined[-4:])]
    return joined


def tokenize_sentences(
    documents: list[str],
    settings: TextSettings,
    progress: Progress | None = None,
    dropped: Counter[str] | None = None,
) -> list[list[str]]:
    """Sentences of all documents in their order, each a list of at least one token.

    sentences "punkt": Punkt (Kiss & Strunk 2006, "Unsupervised multilingual sentence boundary detection")
    trained on these documents; a blank line ends a sentence too. "lines": every line is a sentence. In words,
    runs of more than LONGEST_RUN characters without a space are left out, and counted in `dropped`.
    """
    settings.validate()
    report = progress or (lambda share, doing: None)
    dropped = Counter() if dropped is None else dropped
    if settings.unit == "word":
        documents = [_without_long_runs(document, dropped) for document in documents]
    if settings.sentences == "lines":
        paragraphs = [line for document in documents for line in document.split("\n") if line.strip()]
        split: Callable[[str], Iterable[str]] = lambda line: (line,)  # noqa: E731
    else:
        paragraphs = [
            paragraph for document in documents for paragraph in _BLANK_LINE.split(document) if paragraph.strip()
        ]
        report(0.05, "learning where sentences end")
        split = _train_punkt(paragraphs)
    total = sum(map(len, paragraphs)) or 1
    done = 0
    told = 0
    # One object for each distinct word: a text of a million words then costs a pointer for each, not a string.
    interned: dict[str, str] = {}
    sentences: list[list[str]] = []
    for paragraph in paragraphs:
        for sentence in split(paragraph):
            tokens = tokenize(sentence.strip(), settings.unit, settings.lowercase)
            if tokens:
                sentences.append([interned.setdefault(token, token) for token in tokens])
            done += len(sentence)
            if done - told > 50_000:
                told = done
                report(0.2 + 0.7 * min(1.0, done / total), "splitting into sentences and words")
    return sentences


def _without_long_runs(document: str, dropped: Counter[str]) -> str:
    def leave_out(match: re.Match[str]) -> str:
        dropped["characters in runs without a space"] += len(match.group())
        return ""

    return _LONG_RUN.sub(leave_out, document)


def _train_punkt(paragraphs: list[str]) -> Callable[[str], Iterator[str]]:
    """A function from a paragraph to its sentences. Trained on PUNKT_SAMPLE characters spread evenly over the
    text."""
    from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTrainer

    blocks = [block for paragraph in paragraphs for block in _blocks(paragraph)]
    stride = max(1, sum(map(len, blocks)) // PUNKT_SAMPLE)
    sample = "\n".join(blocks[::stride])[: 2 * PUNKT_SAMPLE]
    trainer = PunktTrainer()
    trainer.train(sample, finalize=True)
    parameters = trainer.get_params()
    parameters.abbrev_types = {
        word for word in parameters.abbrev_types if _is_abbreviation(word, sample)
    } | _ABBREVIATIONS
    tokenizer = PunktSentenceTokenizer(parameters)

    def spans(block: str) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for start, end in tokenizer.span_tokenize(block):
            if found and _last_word(block[found[-1][0] : found[-1][1]]) in _NEVER_LAST:
                start = found.pop()[0]
            found.append((start, end))
        return found

    def split(paragraph: str) -> Iterator[str]:
        # Block by block; the last sentence of a block may go on, so it begins the next block.
        start = 0
        while start < len(paragraph):
            block = paragraph[start : start + BLOCK]
            found = spans(block)
            if start + BLOCK >= len(paragraph):
                yield from (block[first:last] for first, last in found)
                return
            if len(found) > 1:
                yield from (block[first:last] for first, last in found[:-1])
                start += found[-1][0]
            else:
                piece = next(_blocks(paragraph[start : start + BLOCK + 1]))
                yield piece
                start += len(piece)

    return split


def _last_word(sentence: str) -> str:
    """The abbreviation, without its period, that a stretch of text ends in; "" if it ends otherwise."""
    word = (sentence.rstrip()[-12:].split() or [""])[-1].lower().lstrip("([\"'")
    return word[:-1] if word.endswith(".") else ""


def _is_abbreviation(word: str, sample: str) -> bool:
    """Punkt takes a word that only ever ends sentences, in a short or repetitive text, for an abbreviation. A real one
    has a period within, or is seen before a small letter or another mark, or is short and frequent and before
    different words."""
    if "." in word:
        return True
    after = Counter(re.findall(rf"(?<!\w){re.escape(word)}\.([,;:]|\s?\w*)", sample, flags=re.IGNORECASE))
    if any(re.match(r"[,;:]|\s?[^\W\d_]", text) and text.strip()[0] == text.strip()[0].lower() for text in after):
        return True
    return len(word) <= 4 and after.total() >= 10 and len(after) >= 3


# --- tokens -> text -------------------------------------------------------------------------------------------

_CLOSING = {",", ".", ";", ":", "?", "!", "...", "…", "%", ")", "]", "}", "''", "”", "’", "»"}
_OPENING = {"(", "[", "{", "``", "“", "‘", "«", "„", "$", "£", "€", "#", "@"}
_CLITICS = {"n't", "'s", "'m", "'d", "'ll", "'re", "'ve", "'t"}
_CURLY_CLITICS = {"t", "s", "m", "d", "ll", "re", "ve"}  # which the tokenizer leaves apart: "don", "’", "t"
_SPLIT_WORDS = {
    *(("can", "not"), ("gim", "me"), ("gon", "na"), ("got", "ta"), ("lem", "me"), ("wan", "na")),
    *(("more", "'n"), ("d", "'ye")),
}
# Words that an apostrophe begins ('tis), and words that one ends (o' the); after others it closes a quotation
# or marks a genitive.
_AFTER_APOSTROPHE = {
    *("tis", "twas", "twere", "twill", "twould", "em", "til", "till", "cause", "gainst", "sdeath", "bout")
}
_BEFORE_APOSTROPHE = {"o", "O", "i", "ha", "th", "wi", "ol"}
_MARKDOWN = re.compile(r"[*_~]+")


def detokenize(tokens: Sequence[str], unit: str = "word") -> str:
    """Tokens as a person would write them: "do", "n't", "," -> "don't,". The inverse of `tokenize` but for
    white space, and for quotes, of which only the kind survives."""
    if unit == "char":
        return "".join(tokens)
    pieces: list[str] = []
    glue = True  # whether the next token joins the one before without a space
    open_marks: dict[str, bool] = {}
    before = ""
    for position, token in enumerate(tokens):
        after = tokens[position + 1] if position + 1 < len(tokens) else ""
        lower, lower_after = token.lower(), after.lower()
        joins_left = token in _CLOSING or lower in _CLITICS or (before.lower(), lower) in _SPLIT_WORDS
        joins_right = token in _OPENING
        if re.fullmatch(r"\.{2,}", token):
            joins_left = True
        elif token == "'":
            if lower_after in _AFTER_APOSTROPHE:
                joins_right = True
            elif before in _BEFORE_APOSTROPHE:
                joins_left = True
            elif open_marks.get(token) or (before[-1:].lower() == "s" and after[:1].islower()):
                joins_left, open_marks[token] = True, False
            else:
                joins_right = open_marks[token] = True
        elif token == '"' or _MARKDOWN.fullmatch(token):
            if token == before and token != '"':
                # The second of two asterisks belongs to the first.
                joins_left, joins_right = True, glue
            elif open_marks.get(token):
                joins_left, open_marks[token] = True, False
            else:
                joins_right = open_marks[token] = True
        elif token == "’" and lower_after in _CURLY_CLITICS:
            joins_right = True
        elif token.startswith("//") and before == ":":
            joins_left = True
        if pieces and not glue and not joins_left:
            pieces.append(" ")
        pieces.append('"' if token in ("``", "''") else token)
        glue = joins_right
        before = token
    return "".join(pieces)


def cut_sentences(sentences: Sequence[Sequence[str]], max_length: int, unit: str = "word") -> list[list[str]]:
    """Sentences longer than `max_length` tokens in pieces; characters are cut after a space where there is
    one."""
    pieces: list[list[str]] = []
    for sentence in sentences:
        start = 0
        while len(sentence) - start > max_length:
            end = start + max_length
            if unit == "char":
                # Not in the middle of a word, as long as the piece stays more than half full.
                end = next((i for i in range(end, start + max_length // 2, -1) if sentence[i - 1].isspace()), end)
            pieces.append(list(sentence[start:end]))
            start = end
        pieces.append(list(sentence[start:]))
    return pieces


# --- tokens <-> ids -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vocabulary:
    """The most frequent tokens and their ids. Immutable; ids 0, 1, 2 are <unk>, <s>, </s>, whatever the text
    holds."""

    words: tuple[str, ...]
    unit: str = "word"
    lowercase: bool = False
    # In the training sentences; of <unk> all the words left out, of <s> and </s> the sentences.
    counts: tuple[int, ...] = ()
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A token of the text that happens to read "<s>" is an unknown word, never the mark itself.
        ids = {word: number for number, word in enumerate(self.words) if number >= len(SPECIALS)}
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def build(cls, sentences: Iterable[Sequence[str]], settings: TextSettings) -> Vocabulary:
        """The `settings.vocabulary_size - 3` most frequent tokens; of equally frequent ones the alphabetically
        first."""
        sentences = list(sentences)
        counts = Counter(chain.from_iterable(sentences))
        specials = sum(counts.pop(word, 0) for word in SPECIALS)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        kept = ranked[: settings.vocabulary_size - len(SPECIALS)]
        unknown = specials + sum(count for _, count in ranked[len(kept) :])
        return cls(
            SPECIALS + tuple(word for word, _ in kept),
            settings.unit,
            settings.lowercase,
            (unknown, len(sentences), len(sentences)) + tuple(count for _, count in kept),
        )

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def encode(self, tokens: Iterable[str]) -> np.ndarray:
        """ids (len(tokens),) int32; what is not in the vocabulary is 0, <unk>."""
        get = self._ids.get
        return np.array([get(token, UNKNOWN_ID) for token in tokens], dtype=np.int32)

    def encode_sentence(self, tokens: Iterable[str]) -> np.ndarray:
        """ids (len(tokens) + 2,) int32, from <s> to </s>."""
        get = self._ids.get
        return np.array([START_ID, *(get(token, UNKNOWN_ID) for token in tokens), END_ID], dtype=np.int32)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The words of these ids, the special ones included."""
        return [self.words[int(number)] for number in ids]

    def to_json(self) -> dict[str, Any]:
        return {
            "unit": self.unit,
            "lowercase": self.lowercase,
            "words": list(self.words),
            "counts": list(self.counts),
        }

    @classmethod
    def from_json(cls, values: Any) -> Vocabulary:
        """Strict, since the file may come from a stranger: anything unexpected raises RunError."""
        if not isinstance(values, dict) or set(values) != {"unit", "lowercase", "words", "counts"}:
            raise RunError("The vocabulary must have unit, lowercase, words and counts, and nothing else.")
        unit, lowercase, words, counts = (values[key] for key in ("unit", "lowercase", "words", "counts"))
        if unit not in ("word", "char") or not isinstance(lowercase, bool):
            raise RunError("The vocabulary's unit must be 'word' or 'char', and lowercase true or false.")
        if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
            raise RunError("The vocabulary's words must be a list of texts, none of them empty.")
        if tuple(words[:3]) != SPECIALS or len(words) < 4:
            raise RunError(f"The vocabulary must begin with {', '.join(SPECIALS)}, and have words after them.")
        if len(set(words)) != len(words):
            raise RunError("The vocabulary has a word twice.")
        if any("\ud800" <= character <= "\udfff" for word in words for character in word):
            raise RunError("The vocabulary has a word that is no text (a lone surrogate).")
        if unit == "char" and any(len(word) != 1 for word in words[3:]):
            raise RunError("The vocabulary is one of characters, but has an entry of several.")
        if not isinstance(counts, list) or not all(type(count) is int and count >= 0 for count in counts):
            raise RunError("The vocabulary's counts must be whole numbers.")
        if len(counts) not in (0, len(words)):
            raise RunError("The vocabulary must have a count for each word, or none at all.")
        return cls(tuple(words), unit, lowercase, tuple(counts))


# --- the whole way --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CorpusReport:
    """What was read and what became of it. All lengths are in tokens, <s> and </s> not counted."""

    format: str = "text"  # "text" | "csv" | "jsonl" | "sentences"
    encoding: str = ""
    column: str | None = None
    documents: int = 0
    sentences: int = 0  # after cutting
    train_sentences: int = 0
    valid_sentences: int = 0
    tokens: int = 0
    distinct_words: int = 0
    vocabulary_size: int = 0
    coverage: float = 1.0  # share of the tokens that are in the vocabulary
    longest_sentence: int = 0  # before cutting
    cut_sentences: int = 0  # sentences that were longer than max_sentence_length
    dropped: dict[str, int] = field(default_factory=dict)  # characters left out, by kind
    notes: tuple[str, ...] = ()  # sentences for the reader
    # How often each distinct word occurs, largest first: from it, the coverage of any vocabulary. Not saved
    # with a run.
    frequencies: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64), repr=False, compare=False)

    @property
    def dropped_characters(self) -> int:
        return sum(self.dropped.values())

    def coverage_of(self, vocabulary_size: int) -> float:
        """Share of the tokens that the `vocabulary_size - 3` most frequent words make up."""
        total = int(self.frequencies.sum())
        return float(self.frequencies[: max(0, vocabulary_size - len(SPECIALS))].sum()) / total if total else 0.0

    def to_json(self) -> dict[str, Any]:
        values = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "frequencies"}
        return {**values, "dropped": dict(self.dropped), "notes": list(self.notes)}

    @classmethod
    def from_json(cls, values: Any) -> CorpusReport:
        """Strict: raises RunError on unknown names and wrong types; what is missing has its default."""
        if not isinstance(values, dict):
            raise RunError("The report on the corpus must be an object.")
        kinds: dict[str, type | tuple[type, ...]] = {
            **dict.fromkeys(("format", "encoding"), str),
            **dict.fromkeys(("column",), (str, type(None))),
            **dict.fromkeys(("coverage",), (int, float)),
            **dict.fromkeys(("dropped",), dict),
            **dict.fromkeys(("notes",), list),
        }
        known = {entry.name for entry in fields(cls)} - {"frequencies"}
        for name, value in values.items():
            if name not in known:
                raise RunError("The report on the corpus has an entry that is not known.")
            if not isinstance(value, kinds.get(name, int)) or isinstance(value, bool):
                raise RunError(f"The report on the corpus has a {name} of the wrong type.")
        if not all(isinstance(note, str) for note in values.get("notes", [])):
            raise RunError("The report on the corpus has a note that is not a text.")
        if not all(type(count) is int for count in values.get("dropped", {}).values()):
            raise RunError("The report on the corpus has a count that is not a whole number.")
        return cls(**{**values, "notes": tuple(values.get("notes", ()))})


@dataclass(frozen=True)
class PreparedCorpus:
    """What a network sees; needs no NLTK to load."""

    vocabulary: Vocabulary
    train: list[np.ndarray]  # each int32 ids from <s> to </s>, length >= 3, in the order of the text
    valid: list[np.ndarray]
    name: str
    report: CorpusReport


def prepare(data: bytes, name: str, settings: TextSettings, progress: Progress | None = None) -> PreparedCorpus:
    """Bytes of a file -> what a network sees. Raises CorpusError (EncodingError to be asked) and
    SettingsError."""
    settings.validate()
    found = reading.read(data, name, settings.column, settings.encoding)
    return _prepare(found, name, settings, progress)


def prepare_documents(
    documents: list[str], name: str, settings: TextSettings, progress: Progress | None = None
) -> PreparedCorpus:
    """Texts that are at hand (pasted, or built in) -> what a network sees. Raises CorpusError,
    SettingsError."""
    settings.validate()
    dropped: Counter[str] = Counter()
    cleaned = [text for document in documents if (text := reading.clean(document, dropped)).strip()]
    return _prepare(reading.Reading(cleaned, "text", "", None, dropped), name, settings, progress)


def _prepare(found: reading.Reading, name: str, settings: TextSettings, progress: Progress | None) -> PreparedCorpus:
    dropped = Counter(found.dropped)
    sentences = tokenize_sentences(found.documents, settings, progress, dropped)
    if progress:
        progress(0.92, "counting words")
    corpus = _assemble(sentences, name, settings, found, dropped)
    if progress:
        progress(1.0, "done")
    return corpus


def prepare_sentences(sentences: list[list[str]], name: str, settings: TextSettings) -> PreparedCorpus:
    """Sentences that are tokens already (a generated corpus) -> what a network sees. Raises CorpusError,
    SettingsError."""
    settings.validate()
    if settings.lowercase:
        sentences = [[token.lower() for token in sentence] for sentence in sentences]
    sentences = [sentence for sentence in sentences if sentence]
    return _assemble(sentences, name, settings, reading.Reading([], "sentences", ""), Counter())


def narrow(corpus: PreparedCorpus, size: int) -> PreparedCorpus:
    """The corpus with the `size` first entries of its vocabulary; the words after them become <unk>.

    Entries are ranked by frequency, so this is what reading the text anew for a vocabulary of that size would give.
    """
    vocabulary, report = corpus.vocabulary, corpus.report
    if size >= len(vocabulary):
        return corpus
    counts = vocabulary.counts
    unknown = counts[UNKNOWN_ID] + sum(counts[size:])
    train, valid = ([np.where(ids < size, ids, UNKNOWN_ID) for ids in part] for part in (corpus.train, corpus.valid))
    coverage = sum(int(np.count_nonzero(ids >= len(SPECIALS))) for ids in (*train, *valid)) / report.tokens
    notes = tuple(note for note in report.notes if note != _coverage_note(report.coverage))
    if coverage < 0.7 and not _hardly_repeats(vocabulary.unit, report.distinct_words, report.tokens):
        notes += (_coverage_note(coverage),)
    return PreparedCorpus(
        Vocabulary(vocabulary.words[:size], vocabulary.unit, vocabulary.lowercase, (unknown, *counts[1:size])),
        train,
        valid,
        corpus.name,
        replace(report, vocabulary_size=size, coverage=coverage, notes=notes),
    )


def _assemble(
    sentences: list[list[str]],
    name: str,
    settings: TextSettings,
    found: reading.Reading,
    dropped: Counter[str],
) -> PreparedCorpus:
    limit = settings.max_sentence_length
    longest = max(map(len, sentences), default=0)
    too_long = sum(len(sentence) > limit for sentence in sentences)
    pieces = cut_sentences(sentences, limit, settings.unit) if too_long else sentences
    tokens = sum(map(len, pieces))
    _check_enough(tokens, len(pieces), settings, dropped)

    # The vocabulary comes from the training part alone: a word that only the validation part has is unknown to
    # the network.
    is_valid = _split(len(pieces), settings)
    train = [piece for piece, held_out in zip(pieces, is_valid, strict=True) if not held_out]
    valid = [piece for piece, held_out in zip(pieces, is_valid, strict=True) if held_out]
    vocabulary = Vocabulary.build(train, settings)
    if len(vocabulary) == len(SPECIALS):
        raise CorpusError(f"The corpus has no words but {UNKNOWN}. Choose another text.")
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
        notes=found.notes + _notes(tokens, len(frequencies), covered, too_long, settings, dropped),
        frequencies=np.array(sorted(frequencies.values(), reverse=True), dtype=np.int64),
    )
    return PreparedCorpus(vocabulary, _encode_all(train, vocabulary), _encode_all(valid, vocabulary), name, report)


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


def _split(count: int, settings: TextSettings) -> np.ndarray:
    """(count,) bool, True for the sentences held out: the given share of them, but at least one on each
    side."""
    held_out = min(count - 1, max(1, round(count * settings.validation_fraction)))
    chosen = np.zeros(count, dtype=bool)
    chosen[stream(settings.seed, "split").permutation(count)[:held_out]] = True
    return chosen


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
    if _hardly_repeats(settings.unit, distinct, tokens):
        notes.append(
            f"{distinct:,} of {tokens:,} words are different, so hardly any word can be learnt from a second example. "
            "Choose a longer text, or characters as the unit."
        )
    elif covered < 0.7 * tokens:
        notes.append(_coverage_note(covered / tokens))
    return tuple(notes)


def _hardly_repeats(unit: str, distinct: int, tokens: int) -> bool:
    return unit == "word" and distinct > 0.8 * tokens


def _coverage_note(share: float) -> str:
    return f"Only {share:.0%} of the text is in the vocabulary. A larger one leaves fewer words unknown."


def _encode_all(sentences: list[list[str]], vocabulary: Vocabulary) -> list[np.ndarray]:
    """Each sentence a view into one array, which takes a fraction of the memory of many small ones."""
    lengths = np.fromiter((len(sentence) + 2 for sentence in sentences), dtype=np.int64, count=len(sentences))
    ends = np.cumsum(lengths)
    flat = np.empty(int(ends[-1]), dtype=np.int32)
    is_token = np.ones(len(flat), dtype=bool)
    starts = ends - lengths
    flat[starts], flat[ends - 1] = START_ID, END_ID
    is_token[starts] = is_token[ends - 1] = False
    flat[is_token] = vocabulary.encode(chain.from_iterable(sentences))
    return [flat[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


# --- batches --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """B sequences side by side, time-major. A position with mask False is padding: id 0 in and out, no loss."""

    inputs: np.ndarray  # (T, B) int32
    targets: np.ndarray  # (T, B) int32
    mask: np.ndarray  # (T, B) bool
    sentences: np.ndarray  # (B,) index into the list; in a stream, of the sentence at each column's top (-1: padding)


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise SettingsError("batch_size must be at least 1.")


def batches(sentences: Sequence[np.ndarray], batch_size: int, rng: np.random.Generator | None) -> list[Batch]:
    """Every sentence exactly once, beside others of similar length; inputs ids[:-1], targets ids[1:].

    With a generator, which sentences of a length meet and the order of the batches are drawn from it; without,
    the order is by length, then by index, so that it is always the same.
    """
    _check_batch_size(batch_size)
    lengths = np.array([len(sentence) - 1 for sentence in sentences], dtype=np.int64)
    order = np.arange(len(sentences)) if rng is None else rng.permutation(len(sentences))
    order = order[np.argsort(lengths[order], kind="stable")]
    groups = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if rng is not None:
        groups = [groups[number] for number in rng.permutation(len(groups))]
    return [_pad(sentences, group, lengths) for group in groups]


def _pad(sentences: Sequence[np.ndarray], group: np.ndarray, lengths: np.ndarray) -> Batch:
    shape = (int(lengths[group].max()), len(group))
    inputs, targets = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
    for column, number in enumerate(group):
        ids = sentences[number]
        inputs[: len(ids) - 1, column] = ids[:-1]
        targets[: len(ids) - 1, column] = ids[1:]
    mask = np.arange(shape[0])[:, None] < lengths[group]
    return Batch(inputs, targets, mask, group)


def stream_batches(
    sentences: Sequence[np.ndarray],
    batch_size: int,
    sequence_length: int,
    rng: np.random.Generator | None,
) -> list[Batch]:
    """One continuous stream, cut in B columns that are read in chunks of `sequence_length`, the state carried
    from chunk to chunk.

    The stream is every sentence's inputs ids[:-1] one after the other (so <s> follows the last word of the
    sentence before), its targets every sentence's ids[1:]: the same predictions as in `batches`, each exactly
    once. The sentences' order is drawn from `rng`, or theirs. B is batch_size, less where there are fewer
    tokens.
    """
    _check_batch_size(batch_size)
    if sequence_length < 1:
        raise SettingsError("sequence_length must be at least 1.")
    if not len(sentences):
        return []
    order = np.arange(len(sentences)) if rng is None else rng.permutation(len(sentences))
    inputs = np.concatenate([sentences[number][:-1] for number in order])
    targets = np.concatenate([sentences[number][1:] for number in order])
    starts = np.cumsum([0, *(len(sentences[number]) - 1 for number in order)]).tolist()

    # Columns differ by one position at most, so only the last row of the last chunk can have padding.
    width = min(batch_size, len(inputs))
    edges = len(inputs) * np.arange(width + 1) // width
    height = int(np.diff(edges).max())
    found = []
    for top in range(0, height, sequence_length):
        position = np.arange(top, min(top + sequence_length, height))[:, None] + edges[:-1]
        mask = position < edges[1:]
        inside = np.where(mask, position, 0)
        first = [
            int(order[bisect_right(starts, at) - 1]) if real else -1
            for at, real in zip(inside[0].tolist(), mask[0].tolist(), strict=True)
        ]
        found.append(
            Batch(
                np.where(mask, inputs[inside], 0).astype(np.int32),
                np.where(mask, targets[inside], 0).astype(np.int32),
                mask,
                np.array(first, dtype=np.int64),
            )
        )
    return found
