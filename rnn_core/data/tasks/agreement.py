"""Agreement with attractors: is the verb to come singular or plural, whatever nouns stand before it?

After Linzen, Dupoux & Goldberg 2016 ("number prediction"): a network reads a sentence up to its verb, and says the
number of the verb. An attractor is a noun between subject and verb whose number is not the subject's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from rnn_core.arrays import Array
from rnn_core.data.tasks.base import Task, TaskBatch, set_by
from rnn_core.errors import CorpusError

SINGULAR, PLURAL = 0, 1
NUMBERS = {"VBZ": SINGULAR, "VBP": PLURAL}
"""Penn Treebank's tags of a verb in the present tense, as Linzen's files have them."""

_NOUNS = ("key", "author", "picture", "river", "engineer", "window", "garden", "letter", "student", "bridge")
_PREPOSITIONS = ("near", "of", "behind", "beside", "above")
_ADJECTIVES = ("old", "red", "small", "famous")
_OPENINGS = ((), ("today", ","), ("in", "the", "north", ","))
_VOCABULARY = (
    *("the", "north", "in", "today", ","),
    *(noun + ending for noun in _NOUNS for ending in ("", "s")),
    *_PREPOSITIONS,
    *_ADJECTIVES,
)


class NumberPrediction(NamedTuple):
    """The words before a verb; its number (SINGULAR or PLURAL); how many attractors stand between, if that is known."""

    words: tuple[str, ...]
    number: int
    attractors: int | None


@dataclass(frozen=True)
class Agreement(Task):
    """Sentences of our own with that structure: OPENING "the" ADJ? SUBJECT (PREP "the" NOUN)*, and then the verb.

    There are 0 to `most_nouns` nouns after the subject, each number of them equally frequent; every one is an attractor
    with probability `attractor_probability`. Both numbers of the verb are equally frequent, so that nothing but the
    subject tells them apart. `groups` of a batch is the number of attractors.
    """

    most_nouns: int = set_by("most_nouns")
    attractor_probability: float = set_by("attractor_probability")

    name: ClassVar[str] = "agreement"
    label: ClassVar[str] = "Agreement with attractors"
    about: ClassVar[str] = "Singular or plural: the verb's number is its subject's, whatever nouns stand in between."
    source: ClassVar[str] = "Linzen, Dupoux & Goldberg 2016"

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The word of every id."""
        return _VOCABULARY

    @property
    def symbols(self) -> int:
        return len(_VOCABULARY)

    @property
    def outputs(self) -> int:
        return 2

    @property
    def baseline(self) -> float:
        return 1 / 2

    def input_name(self, value: Array) -> str:
        return _VOCABULARY[int(value)]

    def target_name(self, value: Array) -> str:
        return "plural" if value == PLURAL else "singular"

    def sentence(self, rng: np.random.Generator) -> NumberPrediction:
        """One sentence up to its verb."""
        number = int(rng.integers(2))
        adjective = (_pick(_ADJECTIVES, rng),) if rng.random() < 0.5 else ()
        words = [*_OPENINGS[int(rng.integers(len(_OPENINGS)))], "the", *adjective, _noun(number, rng)]
        attractors = 0
        for _ in range(int(rng.integers(self.most_nouns + 1))):
            opposite = bool(rng.random() < self.attractor_probability)
            attractors += opposite
            words += (_pick(_PREPOSITIONS, rng), "the", _noun(1 - number if opposite else number, rng))
        return NumberPrediction(tuple(words), number, attractors)

    def subjects(self, inputs: np.ndarray) -> np.ndarray:
        """inputs (T, B) of a batch -> (B,) the step at which each subject is read: the first noun."""
        nouns = [place for place, word in enumerate(_VOCABULARY) if word.removesuffix("s") in _NOUNS]
        return np.isin(inputs, nouns).argmax(axis=0)

    def draw(self, batch_size: int, rng: np.random.Generator) -> TaskBatch:
        ids = {word: place for place, word in enumerate(_VOCABULARY)}
        return number_prediction_batch([self.sentence(rng) for _ in range(batch_size)], ids)


def number_prediction_batch(
    sentences: Sequence[NumberPrediction], ids: dict[str, int], unknown: int | None = None
) -> TaskBatch:
    """Sentences beside each other; the number is asked at each one's last word.

    Raises CorpusError for a word without an id where there is no id for unknown ones.
    """
    lengths = np.array([len(sentence.words) for sentence in sentences])
    mask = np.arange(lengths.max())[:, None] < lengths
    inputs, targets = np.zeros(mask.shape, np.int32), np.zeros(mask.shape, np.int32)
    for column, sentence in enumerate(sentences):
        for row, word in enumerate(sentence.words):
            place = ids.get(word, unknown)
            if place is None:
                raise CorpusError(f"the word {word!r} is not in the vocabulary; give an id for unknown words.")
            inputs[row, column] = place
        targets[lengths[column] - 1, column] = sentence.number
    weights = (np.arange(len(mask))[:, None] == lengths - 1).astype(np.float64)
    known = all(sentence.attractors is not None for sentence in sentences)
    groups = np.array([sentence.attractors for sentence in sentences], np.int64) if known else None
    return TaskBatch(inputs, targets, mask, weights, groups)


def read_number_prediction(path: str | Path, attractors: int | None = None) -> list[NumberPrediction]:
    """Linzen's file format: a line is VBZ or VBP, a tab, and the words before the verb, between spaces.

    `attractors` is what the file as a whole is known to have. Raises CorpusError with the line that does not fit.
    """
    sentences = []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise CorpusError(f"{path} cannot be read as UTF-8 text: {problem}.") from problem
    for place, line in enumerate(lines, start=1):
        label, tab, words = line.partition("\t")
        if label not in NUMBERS or not tab or not words.split():
            raise CorpusError(f"line {place} of {path} is not VBZ or VBP, a tab, and the words before the verb.")
        sentences.append(NumberPrediction(tuple(words.split()), NUMBERS[label], attractors))
    if not sentences:
        raise CorpusError(f"{path} has no sentences.")
    return sentences


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _noun(number: int, rng: np.random.Generator) -> str:
    return _pick(_NOUNS, rng) + ("s" if number == PLURAL else "")
