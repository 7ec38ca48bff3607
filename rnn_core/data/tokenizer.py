"""Text -> tokens: characters, the words between white space, or NLTK's words.

NLTK's rules for English look no further than the white space around a word, with two exceptions: the period that ends
the sentence, which we do too, and `""word` at its very beginning, which we split as anywhere else. So each distinct
word of a text is split once, many of them in one call, and that is all the time it takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import chain, islice

from rnn_core.data.vocabulary import UNKNOWN

# What NLTK would take apart but stays one token: the unknown word of ready-made corpora, and HTML entities.
_WHOLE = re.compile(UNKNOWN + r"|&(?:amp|gt|lt|quot|apos|nbsp|#39|#x27|#34|#x200[Bb]);")

# A period that ends a sentence is a token of its own, also before closing marks. Others stay with their word ("mr.").
_FINAL_PERIOD = re.compile(r"(.*[^.])(\.[\])}>\"'»”’]*)", re.DOTALL)
_CLOSING_MARKS = "])}>\"'»”’"

# Of words that have nothing but letters, NLTK takes these apart and no others.
CONTRACTIONS = frozenset({"cannot", "gimme", "gonna", "gotta", "lemme", "wanna"})

# NLTK's expressions take time quadratic in the length of some words, so they see longer ones in pieces.
_LONGEST_WORD = 1000
# How many characters they see at once.
_BLOCK = 10_000

# Rare Chinese characters. Two that the words at hand do not have serve as marks inside the text that NLTK splits: one
# between two words, one in the place of what stays whole.
_RARE_LETTERS = range(0x20000, 0x2A6D0)


class WordTokenizer:
    """NLTK's word tokenizer ("don't" -> "do", "n't"; quotes become `` and ''), which needs no data; each distinct word
    is split once in the life of this object."""

    def __init__(self) -> None:
        self._tokens: dict[str, tuple[str, ...]] = {}  # of each word that was seen
        self._same: dict[str, str] = {}  # so that a text of a million words costs a pointer for each, not a string

    def tokenize(self, sentences: Iterable[str]) -> list[list[str]]:
        """The tokens of each sentence; [] where there is nothing but white space."""
        words = [_words(sentence) for sentence in sentences]
        new = []
        for word in dict.fromkeys(chain.from_iterable(words)):
            if word in self._tokens:
                continue
            if word.isalpha() and word.lower() not in CONTRACTIONS:
                self._tokens[word] = (word,)
            else:
                new.append(word)
        same = self._same.setdefault
        for word, tokens in zip(new, _split_words(new), strict=True):
            self._tokens[word] = tuple(same(token, token) for token in tokens)
        known = self._tokens.__getitem__
        return [list(chain.from_iterable(map(known, sentence))) for sentence in words]


def tokenize(text: str, unit: str = "word", lowercase: bool = False, tokenizer: str = "nltk") -> list[str]:
    """The tokens of one sentence or prompt.

    unit "word": NLTK's word tokenizer, which needs no data ("don't" -> "do", "n't"; quotes become `` and '').
    Two things stay whole that it would take apart: `<unk>`, which ready-made corpora hold, and HTML entities
    such as `&gt;`. With tokenizer "whitespace", what stands between white space. unit "char": every character, white
    space included.
    """
    if lowercase:
        text = text.lower()
    if unit == "char":
        return list(text)
    if tokenizer == "whitespace":
        return text.split()
    return WordTokenizer().tokenize([text])[0]


def _words(sentence: str) -> list[str]:
    """What stands between white space; the period that ends the sentence apart from its word."""
    words = sentence.split()
    last = len(words) - 1
    while last >= 0 and not words[last].strip(_CLOSING_MARKS):
        last -= 1
    if last >= 0 and (match := _FINAL_PERIOD.fullmatch(words[last])):
        words[last : last + 1] = match.groups()
    return words


def _split_words(words: list[str]) -> Iterator[list[str]]:
    """The tokens of each word as they are in the middle of a sentence."""
    block: list[str] = []
    length = 0
    for word in words:
        block.append(word)
        length += len(word)
        if length > _BLOCK:
            yield from _split_block(block)
            block, length = [], 0
    yield from _split_block(block)


def _split_block(words: list[str]) -> list[list[str]]:
    """The tokens of each word, by one call of NLTK for all."""
    text = " ".join(words)
    separator, whole = islice((letter for letter in map(chr, _RARE_LETTERS) if letter not in text), 2)
    # NLTK's rules take what stays whole for a word of one letter.
    wholes = iter(_WHOLE.findall(text))
    pieces = (piece for word in words for piece in (*_pieces(_WHOLE.sub(whole, word)), separator))
    split: list[list[str]] = []
    tokens: list[str] = []
    # A mark before the first word too: at the very beginning NLTK takes two quotation marks for opening ones.
    _, *rest = _nltk_words()(" ".join((separator, *pieces)))
    for token in rest:
        if token == separator:
            split.append(tokens)
            tokens = []
        elif whole in token:
            tokens += [next(wholes) if part == whole else part for part in re.split(f"({whole})", token) if part]
        else:
            tokens.append(token)
    return split


def _pieces(word: str) -> Iterable[str]:
    if len(word) <= _LONGEST_WORD:
        return (word,)
    return (word[start : start + _LONGEST_WORD] for start in range(0, len(word), _LONGEST_WORD))


@lru_cache(maxsize=1)
def _nltk_words() -> Callable[[str], list[str]]:
    from nltk.tokenize import NLTKWordTokenizer

    split: Callable[[str], list[str]] = NLTKWordTokenizer().tokenize
    return split
