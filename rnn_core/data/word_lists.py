"""Word lists from elsewhere, in the order of somebody's weights: read, and brought into our order."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rnn_core.data.vocabulary import END, SPECIALS, START, UNKNOWN
from rnn_core.errors import CorpusError

# What others call the three special entries; ours first.
_CALLED = {
    UNKNOWN: (UNKNOWN, "<UNK>", "<unknown>", "[UNK]", "UNK", "UNKNOWN_TOKEN"),
    START: (START, "<S>", "<bos>", "<BOS>", "<sos>", "<SOS>", "[BOS]", "<start>", "SENTENCE_START"),
    END: (END, "</S>", "<eos>", "<EOS>", "[EOS]", "<end>", "SENTENCE_END"),
}


def parse_word_list(data: bytes) -> list[str]:
    """The words of a file: a JSON list, a run's vocabulary.json, or one word in each line (UTF-8). Raises
    CorpusError.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CorpusError("the word list is not UTF-8; save it as UTF-8, one word in each line.") from None
    if text.lstrip()[:1] in ("[", "{"):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if values is not None:
            words = values.get("words") if isinstance(values, dict) else values
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise CorpusError('the word list is neither a JSON list of texts nor an object with such "words".')
            return _checked(words)
        # A list of lines may begin with a bracket too.
    lines = text.removesuffix("\n").split("\n")
    return _checked([line.removesuffix("\r") for line in lines])


def _checked(words: list[str]) -> list[str]:
    seen: set[str] = set()
    for place, word in enumerate(words, start=1):
        if not word or any("\ud800" <= character <= "\udfff" for character in word):
            raise CorpusError(f"entry {place:,} of the word list is no text; each entry is one word.")
        if word in seen:
            raise CorpusError(f"the word list has {_shown(word)} twice (the second is entry {place:,}).")
        seen.add(word)
    return words


def standard_order(words: Sequence[str]) -> tuple[list[int], list[str]]:
    """Weights' words -> (where each word of our order stands in theirs, our words: <unk>, <s>, </s> and then theirs).

    Raises CorpusError where one of the special entries is missing or there twice.
    """
    places = {}
    for special, names in _CALLED.items():
        found = [place for place, word in enumerate(words) if word in names]
        if len(found) != 1:
            problem = "does not have" if not found else "has more than one of"
            raise CorpusError(f"the word list {problem} {', '.join(names)}; these weights need exactly one of them.")
        places[special] = found[0]
    taken = set(places.values())
    order = [places[special] for special in SPECIALS] + [place for place in range(len(words)) if place not in taken]
    return order, [*SPECIALS, *(words[place] for place in order[len(SPECIALS) :])]


def with_special_entries(words: Sequence[str]) -> list[str]:
    """A list of words as a vocabulary of ours, whatever special entries it has, and by whatever name."""
    special = {name for names in _CALLED.values() for name in names}
    return [*SPECIALS, *(word for word in words if word not in special)]


def _shown(word: str) -> str:
    return repr(word if len(word) <= 40 else word[:39] + "…")
