"""Does a network copy? What of the sentences that it writes stands verbatim in its training text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from rnn_core.data import Copies, Vocabulary, find_copies
from rnn_core.errors import CorpusError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.training.generation import generate

WRITTEN_SENTENCES = 100
LEAST_COPIED = {"word": (3, 5, 8, 12), "char": (15, 30, 60)}
"""For how many words or characters in a row the share of copies is told, by the vocabulary's unit: of shorter spans
anybody's sentences have many."""


@dataclass(frozen=True, eq=False)
class WrittenCopies:
    """sentences: the words of each that the network wrote; of_network: what of them are copies; of_people: for
    comparison, what of held-out sentences, which people wrote, stands in the training text as well.
    """

    sentences: list[list[str]]
    of_network: Copies
    of_people: Copies

    def span(self, number: int) -> list[str]:
        """The words of the longest copy in this sentence."""
        copy = self.of_network.longest[number]
        return self.sentences[number][copy.start : copy.start + copy.length]

    @property
    def longest(self) -> int:
        """The number of the sentence with the longest copy."""
        return int(np.argmax([copy.length for copy in self.of_network.longest]))


def written_copies(
    model: LanguageModel,
    vocabulary: Vocabulary,
    train: Sequence[np.ndarray],
    held_out: Sequence[np.ndarray],
    count: int = WRITTEN_SENTENCES,
    seed: int = 0,
) -> WrittenCopies:
    """Let the network write `count` sentences (at least 1) and look for them in `train`, sentences of ids from <s> to
    </s>; beside them as many of `held_out`. Raises CorpusError where there is no training text.
    """
    if not train:
        raise CorpusError("this network came without the text that it was trained on, so no copy can be found.")
    tokens = generate(model, vocabulary, count=count, seed=seed)
    written = [[token.word for token in sentence] for _, sentence in groupby(tokens, lambda token: token.sentence)]
    training = [ids[1:-1] for ids in train]
    return WrittenCopies(
        written,
        find_copies([vocabulary.encode(sentence) for sentence in written], training),
        find_copies([ids[1:-1] for ids in held_out[:count]], training),
    )
