"""Documents -> sentences, each a list of tokens."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rnn_core.config import TextSettings
from rnn_core.data.progress import Progress, ReadingProgress
from rnn_core.data.punkt import SentenceSplitter
from rnn_core.data.tokenizer import WordTokenizer

# A run of characters without a space longer than this is no word but data (base64, a minified script): left
# out, and counted.
LONGEST_RUN = 1000

_LONG_RUN = re.compile(rf"(?<!\S)\S{{{LONGEST_RUN + 1},}}")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")

# Characters that are tokenized at once, between two reports of progress. What goes on for longer is no sentence, and is
# cut at white space.
_PORTION = 50_000


def tokenize_sentences(
    documents: list[str],
    settings: TextSettings,
    progress: Progress | None = None,
    dropped: Counter[str] | None = None,
) -> list[list[str]]:
    """Sentences of all documents in their order, each a list of at least one token.

    sentences "punkt": Punkt trained on these documents; a blank line ends a sentence too. "lines": every line is a
    sentence. In words, runs of more than LONGEST_RUN characters without a space are left out, and counted in `dropped`.
    What `progress` raises ends the reading.
    """
    settings.validate()
    report = progress or ReadingProgress()
    dropped = Counter() if dropped is None else dropped
    report(0.04, "splitting into sentences and words")
    if settings.unit == "word":
        documents = [_without_long_runs(document, dropped) for document in documents]
    total = sum(map(len, documents)) or 1
    done = 0
    tokenizer = WordTokenizer()
    sentences: list[list[str]] = []
    for portion in _portions(_split(documents, settings, report)):
        if settings.lowercase:
            portion = [sentence.lower() for sentence in portion]
        if settings.unit == "word" and settings.tokenizer == "whitespace":
            sentences += filter(None, (list(map(sys.intern, sentence.split())) for sentence in portion))
        elif settings.unit == "word":
            sentences += filter(None, tokenizer.tokenize(portion))
        else:
            # Equal characters as one object, so that a text takes a pointer for each character and no string.
            sentences += (list(map(sys.intern, sentence)) for text in portion if (sentence := text.strip()))
        done += sum(map(len, portion))
        # Of the whole preparation: reading the files ends at 0.03, counting the words begins at 0.9.
        report(0.15 + 0.75 * min(1.0, done / total), "splitting into sentences and words")
    return sentences


def _split(documents: list[str], settings: TextSettings, report: Progress) -> Iterator[str]:
    if settings.sentences == "lines":
        for document in documents:
            yield from document.split("\n")
        return
    paragraphs = [paragraph for document in documents for paragraph in _BLANK_LINE.split(document) if paragraph.strip()]
    report(0.05, "learning where sentences end")
    splitter = SentenceSplitter(paragraphs)
    report(0.15, "splitting into sentences and words")
    for paragraph in paragraphs:
        yield from splitter.split(paragraph)


def _portions(sentences: Iterable[str]) -> Iterator[list[str]]:
    """Sentences in lists of about _PORTION characters; longer ones in pieces."""
    portion: list[str] = []
    length = 0
    for sentence in sentences:
        for piece in _pieces(sentence):
            portion.append(piece)
            length += len(piece) + 1
            if length > _PORTION:
                yield portion
                portion, length = [], 0
    yield portion


def _pieces(sentence: str) -> Iterator[str]:
    start = 0
    while len(sentence) - start > _PORTION:
        space = sentence.rfind(" ", start, start + _PORTION)
        end = space + 1 if space >= start else start + _PORTION
        yield sentence[start:end]
        start = end
    yield sentence[start:] if start else sentence


def _without_long_runs(document: str, dropped: Counter[str]) -> str:
    def leave_out(match: re.Match[str]) -> str:
        dropped["characters in runs without a space"] += len(match.group())
        return ""

    return _LONG_RUN.sub(leave_out, document)


def cut_sentences(sentences: Sequence[Sequence[str]], max_length: int, unit: str = "word") -> list[list[str]]:
    """Sentences longer than `max_length` tokens in pieces; characters are cut after a space where there is
    one."""
    pieces: list[list[str]] = []
    for sentence in sentences:
        start = 0
        while len(sentence) - start > max_length:
            end = start + max_length
            if unit == "char":
                # Not in the middle of a word, as long as the piece stays more than half full.
                end = next((i for i in range(end, start + max_length // 2, -1) if sentence[i - 1].isspace()), end)
            pieces.append(list(sentence[start:end]))
            start = end
        pieces.append(list(sentence[start:]))
    return pieces
