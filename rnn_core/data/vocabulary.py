"""Tokens <-> ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from rnn_core.config import TextSettings
from rnn_core.errors import RunError

UNKNOWN, START, END = "<unk>", "<s>", "</s>"  # ids 0, 1, 2 in every vocabulary
SPECIALS = (UNKNOWN, START, END)
UNKNOWN_ID, START_ID, END_ID = 0, 1, 2


@dataclass(frozen=True)
class Vocabulary:
    """The most frequent tokens and their ids. Immutable; ids 0, 1, 2 are <unk>, <s>, </s>, whatever the text
    holds."""

    words: tuple[str, ...]
    unit: str = "word"
    lowercase: bool = False
    # In the training sentences; of <unk> all the words left out, of <s> and </s> the sentences.
    counts: tuple[int, ...] = ()
    tokenizer: str = "nltk"  # or "whitespace": how a prompt is split
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
            settings.tokenizer,
        )

    @classmethod
    def given(cls, words: Sequence[str], sentences: Iterable[Sequence[str]], settings: TextSettings) -> Vocabulary:
        """These words, the special entries first, with their counts in the sentences."""
        sentences = list(sentences)
        counts = Counter(chain.from_iterable(sentences))
        known = tuple(counts[word] for word in words[len(SPECIALS) :])
        unknown = counts.total() - sum(known)
        total = len(sentences)
        return cls(tuple(words), settings.unit, settings.lowercase, (unknown, total, total, *known), settings.tokenizer)

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
        values = {
            "unit": self.unit,
            "lowercase": self.lowercase,
            "words": list(self.words),
            "counts": list(self.counts),
        }
        # Left out for NLTK's, so that the file is as it was before there was another.
        return values if self.tokenizer == "nltk" else {**values, "tokenizer": self.tokenizer}

    @classmethod
    def from_json(cls, values: Any) -> Vocabulary:
        """Strict, since the file may come from a stranger: anything unexpected raises RunError."""
        keys = {"unit", "lowercase", "words", "counts"}
        if not isinstance(values, dict) or set(values) not in (keys, keys | {"tokenizer"}):
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
        tokenizer = values.get("tokenizer", "nltk")
        if tokenizer not in ("nltk", "whitespace"):
            raise RunError("The vocabulary's tokenizer must be 'nltk' or 'whitespace'.")
        return cls(tuple(words), unit, lowercase, tuple(counts), tokenizer)
