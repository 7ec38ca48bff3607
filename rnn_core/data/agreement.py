"""Agreement at a distance: sentences in which one word must agree with another a chosen number of words earlier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnn_core.errors import SettingsError
from rnn_core.randomness import stream

AGREEMENT = {"queen": "her", "king": "his"}
MAX_GAP = 200

_ADVERBS = ("often", "quietly", "slowly", "suddenly", "soon", "once")
_PREPOSITIONS = ("near", "behind", "beside", "under", "above", "with")
_ADJECTIVES = ("old", "small", "red", "silent", "broken", "golden")
_NOUNS = ("tower", "river", "garden", "horse", "forest", "bridge", "bird", "stone")
_VERBS = ("lost", "found", "sold", "hid", "raised", "kept", "dropped", "wanted")
_THINGS = ("crown", "sword", "letter", "ring", "map", "cloak")


@dataclass(frozen=True)
class AgreementItem:
    """One sentence and where its agreement is. Positions count the tokens from 0, without <s>.

    In ids from <s> to </s> the word to be predicted is ids[target + 1]; the prediction is made at time step
    `target` of the inputs (after <s> and all tokens before the target).
    """

    tokens: tuple[str, ...]
    controller: int  # position of "queen" or "king"
    target: int  # position of "her" or "his": controller + gap + 1
    competitor: str  # the word that would be right for the other controller

    @property
    def gap(self) -> int:
        """Words between the controller and the word that agrees with it."""
        return self.target - self.controller - 1


def agreement_items(gap: int | tuple[int, int], count: int, seed: int = 0) -> list[AgreementItem]:
    """`count` sentences in which exactly `gap` words stand between controller and agreeing word; gap (lo, hi):
    each is equally frequent.

        S      -> "the" ("queen" | "king") FILLER ("her" | "his") THING "."
        FILLER -> PHRASE* VERB                                    exactly gap words
        PHRASE -> ADVERB | PREP "the" NOUN | PREP "the" ADJ NOUN

    "her" follows a queen and "his" a king, half the sentences each. The filler comes from a stream of its own,
    so it is independent of the controller, and the last word of a filler is always a verb: whatever predicts
    the agreement better than a coin has carried the controller across the gap. Raises SettingsError.
    """
    low, high = (gap, gap) if isinstance(gap, int) else gap
    if not 1 <= low <= high <= MAX_GAP:
        raise SettingsError(f"The gap must be from 1 to {MAX_GAP} words (a range from its smaller to its larger end).")
    if count < 1:
        raise SettingsError("The number of sentences must be at least 1.")
    controllers = np.array(list(AGREEMENT))[np.arange(count) % 2]
    stream(seed, "agreement controllers").shuffle(controllers)
    gaps = stream(seed, "agreement gaps").integers(low, high + 1, size=count)
    words = stream(seed, "agreement words")
    items = []
    for controller, length in zip(controllers.tolist(), gaps.tolist(), strict=True):
        filler, thing = _filler(length, words), _pick(_THINGS, words)
        target = AGREEMENT[controller]
        (competitor,) = set(AGREEMENT.values()) - {target}
        tokens = ("the", controller, *filler, target, thing, ".")
        items.append(AgreementItem(tokens, 1, 2 + length, competitor))
    return items


def agreement_sentences(gap: int | tuple[int, int], count: int, seed: int = 0) -> list[list[str]]:
    """The sentences of `agreement_items`, as `prepare_sentences` takes them."""
    return [list(item.tokens) for item in agreement_items(gap, count, seed)]


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.random() * len(options))]


def _filler(length: int, rng: np.random.Generator) -> list[str]:
    words: list[str] = []
    while (left := length - 1 - len(words)) > 0:
        # Three kinds of phrase, of 1, 3 and 4 words; single adverbs are rarer, so that a long filler reads like
        # English.
        share = rng.random()
        if left >= 4 and share < 0.5:
            noun = (_pick(_ADJECTIVES, rng), _pick(_NOUNS, rng))
            words += (_pick(_PREPOSITIONS, rng), "the", *noun)
        elif left >= 3 and share < 0.9:
            words += (_pick(_PREPOSITIONS, rng), "the", _pick(_NOUNS, rng))
        else:
            words.append(_pick(_ADVERBS, rng))
    return [*words, _pick(_VERBS, rng)]
