"""Text -> tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from rnn_core.data.vocabulary import UNKNOWN

# The tokenisers' regular expressions see at most this many characters at once, so no text can make them slow
# (some take time quadratic in the length of a run) or hungry.
BLOCK = 10_000


_ENTITIES = {"amp", "gt", "lt", "quot", "apos", "nbsp", "#39", "#x27", "#34", "#x200B"}


@lru_cache(maxsize=1)
def _nltk_words() -> Callable[[str], list[str]]:
    from nltk.tokenize import NLTKWordTokenizer

    split: Callable[[str], list[str]] = NLTKWordTokenizer().tokenize
    return split


def blocks(text: str) -> Iterator[str]:
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
        for block in blocks(part):
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
