"""A corpus as a network sees it, and the report on how it was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from rnn_core.data.vocabulary import SPECIALS, UNKNOWN_ID, Vocabulary
from rnn_core.errors import RunError


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
    # How often each distinct word occurs, largest first: from it, the coverage of any vocabulary. Not saved with a run.
    frequencies: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64), repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Every entry by its name, but `frequencies`."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "frequencies"}
        return {**values, "dropped": dict(self.dropped), "notes": list(self.notes)}

    @classmethod
    def from_json(cls, values: Any) -> CorpusReport:
        """Strict: raises RunError on unknown names and wrong types; what is missing has its default."""
        if not isinstance(values, dict):
            raise RunError("The report on the corpus must be an object.")
        kinds: dict[str, type | tuple[type, ...]] = {
            "format": str,
            "encoding": str,
            "column": (str, type(None)),
            "coverage": (int, float),
            "dropped": dict,
            "notes": list,
        }  # and the others int
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
    """What a network sees of a text: its vocabulary, and its sentences as ids; needs no NLTK to load."""

    vocabulary: Vocabulary
    train: list[np.ndarray]  # each int32 ids from <s> to </s>, length >= 3, in the order of the text
    valid: list[np.ndarray]
    name: str
    report: CorpusReport


def predicted_tokens(sentences: Sequence[np.ndarray]) -> int:
    """How many tokens of these sentences of ids a network predicts: all but the first, <s>, of each."""
    return sum(map(len, sentences)) - len(sentences)


def truncate_vocabulary(corpus: PreparedCorpus, size: int) -> PreparedCorpus:
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
    notes = tuple(note for note in report.notes if note != coverage_note(report.coverage))
    if coverage < 0.7 and not hardly_repeats(vocabulary.unit, report.distinct_words, report.tokens):
        notes += (coverage_note(coverage),)
    return PreparedCorpus(
        replace(vocabulary, words=vocabulary.words[:size], counts=(unknown, *counts[1:size])),
        train,
        valid,
        corpus.name,
        replace(report, vocabulary_size=size, coverage=coverage, notes=notes),
    )


def hardly_repeats(unit: str, distinct: int, tokens: int) -> bool:
    """Whether nearly every word of a text is another one: nothing can be learnt from that."""
    return unit == "word" and distinct > 0.8 * tokens


def coverage_note(share: float) -> str:
    """The sentence for a text of which only this share is in the vocabulary."""
    return f"Only {share:.0%} of the text is in the vocabulary. A larger one leaves fewer words unknown."
