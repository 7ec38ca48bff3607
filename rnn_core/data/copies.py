"""Does a network copy? The spans of its sentences that stand verbatim in the training text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnn_core.data.vocabulary import UNKNOWN_ID

Ids = NDArray[np.integer]


@dataclass(frozen=True)
class Copy:
    """The longest span of one sentence that stands in the training text: `length` words from `start`, which are those
    of training sentence `source` from `source_start`. Places count words from 0. length 0: no word does.
    """

    start: int = 0
    length: int = 0
    source: int = -1
    source_start: int = -1


@dataclass(frozen=True, eq=False)
class Copies:
    """spans: of each sentence, (n,) how many words from each place on stand verbatim in the training text;
    longest: the longest such span of each sentence.
    """

    spans: list[NDArray[np.int64]]
    longest: list[Copy]

    def share(self, least: int) -> float:
        """Share of the words that lie in a span of at least `least` words that stands in the training text."""
        words = sum(map(len, self.spans))
        return sum(int(_covered(spans, least).sum()) for spans in self.spans) / words if words else 0.0


def find_copies(sentences: Sequence[Ids], train: Sequence[Ids]) -> Copies:
    """Sentences and training sentences of word ids (n,), without <s> and </s> -> Copies. Spans end where a sentence of
    either ends, and at <unk>, which stands for different words.

    Spans grow by a word at a time: of each length only the places stay at which such a span stands in both texts. So
    the time grows with the length of what is copied, and not with the square of the text.
    """
    ids, ends = _joined(sentences)
    source_ids, source_ends = _joined(train)
    matched = np.zeros(len(ids), np.int64)
    match_at = np.full(len(ids), -1)
    here, there = np.arange(len(ids)), np.arange(len(source_ids))
    group_here, group_there = np.zeros(len(ids), np.int64), np.zeros(len(source_ids), np.int64)
    most = int(max(ids.max(initial=0), source_ids.max(initial=0))) + 2
    ids[ids == UNKNOWN_ID] = most - 1  # an id that the training text does not have
    length = 0
    while True:
        inside = here + length < ends[here]
        here, group_here = here[inside], group_here[inside]
        inside = there + length < source_ends[there]
        there, group_there = there[inside], group_there[inside]
        # Spans of one more word are the same where they were the same before and their new words are.
        key_here = group_here * most + ids[here + length]
        key_there = group_there * most + source_ids[there + length]
        common, _, first = np.intersect1d(key_here, key_there, return_indices=True)
        if not len(common):
            break
        first_there = there[first]
        keep, keep_there = np.isin(key_here, common), np.isin(key_there, common)
        here, group_here = here[keep], np.searchsorted(common, key_here[keep])
        there, group_there = there[keep_there], np.searchsorted(common, key_there[keep_there])
        length += 1
        matched[here] = length
        match_at[here] = first_there[group_here]
    starts = np.cumsum([0, *map(len, sentences)])
    source_starts = np.cumsum([0, *map(len, train)])
    spans = [matched[start:end] for start, end in zip(starts[:-1], starts[1:], strict=True)]
    longest = []
    for number, found in enumerate(spans):
        place = int(np.argmax(found)) if len(found) else 0
        if not len(found) or not found[place]:
            longest.append(Copy())
            continue
        at = int(match_at[starts[number] + place])
        source = int(np.searchsorted(source_starts, at, side="right")) - 1
        longest.append(Copy(place, int(found[place]), source, at - int(source_starts[source])))
    return Copies(spans, longest)


def _joined(sentences: Sequence[Ids]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All ids one after the other, and for each where its sentence ends."""
    lengths = np.array([len(sentence) for sentence in sentences], np.int64)
    ids = np.concatenate([np.zeros(0, np.int64), *(np.asarray(sentence, np.int64) for sentence in sentences)])
    return ids, np.repeat(np.cumsum(lengths), lengths)


def _covered(spans: NDArray[np.int64], least: int) -> NDArray[np.bool_]:
    """(n,) which words lie in a span of at least `least` words."""
    places = np.arange(len(spans))
    ends = np.maximum.accumulate(np.where(spans >= max(least, 1), places + spans, 0)) if len(spans) else spans
    return places < ends
