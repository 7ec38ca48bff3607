"""What a unit might follow in a text: functions from its tokens to a number at each of them.

Tokens are what a network reads, words or characters alike. A sentence begins with <s>; in a text that is read on from
line to line, a line break stands in its place (`read_tokens`). The number at a token counts what was read up to it, so
that a network that has read as far can know it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rnn_core.arrays import Array
from rnn_core.data import AGREEMENT, START, Vocabulary

LINE_BREAK = "\n"
SENTENCE_ENDS = frozenset(".!?")
OPENING, CLOSING = frozenset("([{"), frozenset(")]}")
OPENING_QUOTES, CLOSING_QUOTES, STRAIGHT_QUOTES = frozenset({"“", "«", "``"}), frozenset({"”", "»", "''"}), {'"'}

LONGEST = 500
"""Tokens after which a quotation or a bracket that nobody closed counts as forgotten: else a single stray mark would
turn the rest of a text inside out."""


def position_in_line(tokens: Sequence[str]) -> Array:
    """Tokens since the line began: 0 at what begins it."""
    return _since(tokens, {LINE_BREAK, START})


def sentence_length(tokens: Sequence[str]) -> Array:
    """Tokens since the sentence began: 0 at the full stop that ended the one before, and at <s>."""
    return _since(tokens, SENTENCE_ENDS | {START})


def inside_quotes(tokens: Sequence[str]) -> Array:
    """1 from an opening quotation mark on until it is closed, else 0. A straight mark opens, and the next one closes.
    (Not the single ones, which are apostrophes too.)
    """
    found = np.zeros(len(tokens))
    opened = None
    for place, token in enumerate(tokens):
        if token == START or (opened is not None and place - opened >= LONGEST):
            opened = None
        if token in OPENING_QUOTES or (token in STRAIGHT_QUOTES and opened is None):
            opened = place
        elif token in CLOSING_QUOTES or token in STRAIGHT_QUOTES:
            opened = None
        found[place] = opened is not None
    return found


def bracket_depth(tokens: Sequence[str]) -> Array:
    """How many round, square and curly brackets are open."""
    found = np.zeros(len(tokens))
    depth, last = 0, 0
    for place, token in enumerate(tokens):
        if token == START or place - last >= LONGEST:
            depth = 0
        if token in OPENING or token in CLOSING:
            depth = depth + 1 if token in OPENING else max(0, depth - 1)
            last = place
        found[place] = depth
    return found


def open_agreement(tokens: Sequence[str]) -> Array:
    """From a controller of the agreement corpus ("queen", "king") on until the word that agrees with it: 1 for the
    first kind, -1 for the second; 0 where nothing is open.
    """
    controllers, agreeing = list(AGREEMENT), set(AGREEMENT.values())
    found = np.zeros(len(tokens))
    sign = 0.0
    for place, token in enumerate(tokens):
        if token in AGREEMENT:
            sign = 1.0 - 2.0 * controllers.index(token)
        elif token in agreeing or token == START:
            sign = 0.0
        found[place] = sign
    return found


def _since(tokens: Sequence[str], beginnings: set[str] | frozenset[str]) -> Array:
    places = np.arange(len(tokens))
    begins = np.array([token in beginnings for token in tokens], bool)
    last = np.maximum.accumulate(np.where(begins, places, 0)) if len(tokens) else places
    return (places - last).astype(np.float64)


class Feature(NamedTuple):
    """label: for people, as in "units that follow the …"; values: tokens -> (n,)."""

    label: str
    values: Callable[[Sequence[str]], Array]


FEATURES = {
    "line": Feature("position in the line", position_in_line),
    "quotes": Feature("inside of quotation marks", inside_quotes),
    "brackets": Feature("depth of brackets", bracket_depth),
    "sentence": Feature("length of the sentence so far", sentence_length),
    "agreement": Feature("agreement that is still open", open_agreement),
}


def read_tokens(vocabulary: Vocabulary, sentences: Sequence[Array], lines: bool = False) -> list[str]:
    """Sentences of ids from <s> to </s> -> the tokens that are read, <s> among them and </s> not. `lines`: the
    sentences are lines of one text that is read on, so that each <s> is a line break.
    """
    tokens = vocabulary.decode(np.concatenate([ids[:-1] for ids in sentences]).tolist()) if sentences else []
    return [LINE_BREAK if token == START else token for token in tokens] if lines else tokens


def features_of(tokens: Sequence[str]) -> dict[str, Array]:
    """The values (n,) of every feature that there is something of in this text, in both halves of it."""
    values = {name: feature.values(tokens) for name, feature in FEATURES.items()}
    return {name: found for name, found in values.items() if varies(found)}


def varies(values: Array) -> bool:
    """Whether a feature takes several values in both halves of a text: else there is nothing to follow, or to check."""
    half = len(values) // 2
    return half > 1 and bool(np.ptp(values[:half]) > 0 and np.ptp(values[half:]) > 0)


def ends(values: Array) -> Array:
    """(n,) bool: where the next token ends or lessens what is followed (the line, the quotation, …). The prediction
    that is made there is the one for which a unit that follows it is good.
    """
    found = np.zeros(len(values), bool)
    size = np.abs(values)
    found[:-1] = size[1:] < size[:-1]
    return found
