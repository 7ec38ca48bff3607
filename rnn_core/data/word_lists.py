"""Word lists, as of imported weights: read, and brought into the order of a vocabulary, <unk>, <s>, </s> first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rnn_core.config import TextSettings
from rnn_core.data.vocabulary import END, SPECIALS, START, UNKNOWN
from rnn_core.errors import CorpusError

# By how many nats less than the word in whose place it stands an entry is expected that the network never had to
# predict. e^-30 is lost in the rounding of the other probabilities, in float32.
UNEXPECTED_NATS = 30.0

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


@dataclass(frozen=True)
class StandardOrder:
    """The words of imported weights in the order of a vocabulary: <unk>, <s>, </s>, and then the others as they come.

    rows     the place of each in their list; None: it has none, and is read as an average of their words
    unseen   the special entries that the network never had to predict
    text     how a text is cut for these words: into characters where each is one, into lines where a line break is </s>
    assumed  a sentence on what stands for a special entry that their list lacks, or ""
    """

    words: tuple[str, ...]
    rows: tuple[int | None, ...]
    unseen: tuple[str, ...]
    text: TextSettings
    assumed: str


def standard_order(words: Sequence[str]) -> StandardOrder:
    """The words of imported weights in the order of a vocabulary.

    Where their list has no mark for the end of a sentence a line break is one, if it has that; and what ends a sentence
    also begins one, as in a text that was read without a break. Raises CorpusError where a special entry is there
    twice, or nothing else.
    """
    places: dict[str, int | None] = {}
    for special, names in _CALLED.items():
        found = [place for place, word in enumerate(words) if word in names]
        if len(found) > 1:
            raise CorpusError(f"the word list has more than one of {', '.join(names)}; there is one at most.")
        places[special] = found[0] if found else None
    assumed, sentences = [], "punkt"
    unseen = [special for special, place in places.items() if place is None]
    if places[END] is None and "\n" in words:
        places[END] = words.index("\n")
        unseen.remove(END)
        sentences = "lines"
        assumed.append("a line break ends a sentence")
    if places[END] is None:
        assumed.append(
            "nothing ends a sentence (what it writes goes on to the length allowed, and an end costs it "
            f"{UNEXPECTED_NATS:g} nats)"
        )
    if places[START] is None:
        places[START] = places[END]
        assumed.append("an average word begins a sentence" if places[END] is None else "what ends one also begins one")
    if places[UNKNOWN] is None:
        assumed.append(f"a word that is not in it is read as an average one, and costs it {UNEXPECTED_NATS:g} nats")
    special_rows = [places[special] for special in SPECIALS]
    own = [place for place in range(len(words)) if place not in special_rows]
    if not own:
        raise CorpusError("the word list has no words but marks; give the list that the network was trained with.")
    lacking = ", ".join(f"`{mark}`" for mark in unseen or (END,))
    unit = "char" if all(len(words[place]) == 1 for place in own) else "word"
    ours = (*SPECIALS, *(words[place] for place in own))
    return StandardOrder(
        words=ours,
        rows=(*special_rows, *own),
        unseen=tuple(unseen),
        text=TextSettings(unit=unit, sentences=sentences, vocabulary_size=len(ours)),
        assumed=f"the word list lacks {lacking}: {'; '.join(assumed)}." if assumed else "",
    )


def with_special_entries(words: Sequence[str]) -> list[str]:
    """A list of words as a vocabulary: <unk>, <s>, </s> first, and the list's own special entries, if any, left out."""
    special = {name for names in _CALLED.values() for name in names}
    return [*SPECIALS, *(word for word in words if word not in special)]


def _shown(word: str) -> str:
    return repr(word if len(word) <= 40 else word[:39] + "…")
