"""Documents -> sentences, each a list of tokens."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from rnn_core.config import TextSettings
from rnn_core.data.tokenizer import BLOCK, blocks, tokenize

# A run of characters without a space longer than this is no word but data (base64, a minified script): left
# out, and counted.
LONGEST_RUN = 1000

# Punkt learns abbreviations from this much of a text, taken evenly from all of it: 1 MB would take four times
# as long and finds the same ones.
PUNKT_SAMPLE = 300_000

Progress = Callable[[float, str], None]  # (share done 0..1, what is being done)


# Punkt finds the abbreviations of the text itself; these it cannot find in a short one, since most stand before
# capital letters. No sentence ends after the first kind, not even before a word that also occurs with a small letter
# ("Mr. Fox").
_NEVER_LAST = frozenset(
    {
        *("mr", "mrs", "ms", "dr", "prof", "rev", "hon", "messrs", "mme", "mlle", "gen", "col", "capt", "lt", "sgt"),
        *("gov", "sen", "rep", "vs", "e.g", "i.e", "cf", "fig", "figs", "nos", "vol", "pp", "approx"),
    }
)
_ABBREVIATIONS = _NEVER_LAST | {
    *("st", "sr", "jr", "inc", "ltd", "co", "corp", "dept", "univ", "etc", "al", "ed", "eds"),
    *("a.m", "p.m", "u.s", "u.k"),
    *("jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"),
}
_LONG_RUN = re.compile(rf"(?<!\S)\S{{{LONGEST_RUN + 1},}}")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


def tokenize_sentences(
    documents: list[str],
    settings: TextSettings,
    progress: Progress | None = None,
    dropped: Counter[str] | None = None,
) -> list[list[str]]:
    """Sentences of all documents in their order, each a list of at least one token.

    sentences "punkt": Punkt (Kiss & Strunk 2006, "Unsupervised multilingual sentence boundary detection")
    trained on these documents; a blank line ends a sentence too. "lines": every line is a sentence. In words,
    runs of more than LONGEST_RUN characters without a space are left out, and counted in `dropped`.
    """
    settings.validate()
    report = progress or (lambda share, doing: None)
    dropped = Counter() if dropped is None else dropped
    if settings.unit == "word":
        documents = [_without_long_runs(document, dropped) for document in documents]
    if settings.sentences == "lines":
        paragraphs = [line for document in documents for line in document.split("\n") if line.strip()]
        split: Callable[[str], Iterable[str]] = lambda line: (line,)  # noqa: E731
    else:
        paragraphs = [
            paragraph for document in documents for paragraph in _BLANK_LINE.split(document) if paragraph.strip()
        ]
        report(0.05, "learning where sentences end")
        split = _train_punkt(paragraphs)
    total = sum(map(len, paragraphs)) or 1
    done = 0
    told = 0
    # One object for each distinct word: a text of a million words then costs a pointer for each, not a string.
    interned: dict[str, str] = {}
    sentences: list[list[str]] = []
    for paragraph in paragraphs:
        for sentence in split(paragraph):
            tokens = tokenize(sentence.strip(), settings.unit, settings.lowercase)
            if tokens:
                sentences.append([interned.setdefault(token, token) for token in tokens])
            done += len(sentence)
            if done - told > 50_000:
                told = done
                report(0.2 + 0.7 * min(1.0, done / total), "splitting into sentences and words")
    return sentences


def _without_long_runs(document: str, dropped: Counter[str]) -> str:
    def leave_out(match: re.Match[str]) -> str:
        dropped["characters in runs without a space"] += len(match.group())
        return ""

    return _LONG_RUN.sub(leave_out, document)


def _train_punkt(paragraphs: list[str]) -> Callable[[str], Iterator[str]]:
    """A function from a paragraph to its sentences. Trained on PUNKT_SAMPLE characters spread evenly over the
    text."""
    from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTrainer

    pieces = [block for paragraph in paragraphs for block in blocks(paragraph)]
    stride = max(1, sum(map(len, pieces)) // PUNKT_SAMPLE)
    sample = "\n".join(pieces[::stride])[: 2 * PUNKT_SAMPLE]
    trainer = PunktTrainer()
    trainer.train(sample, finalize=True)
    parameters = trainer.get_params()
    parameters.abbrev_types = {
        word for word in parameters.abbrev_types if _is_abbreviation(word, sample)
    } | _ABBREVIATIONS
    tokenizer = PunktSentenceTokenizer(parameters)

    def spans(block: str) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for start, end in tokenizer.span_tokenize(block):
            if found and _last_word(block[found[-1][0] : found[-1][1]]) in _NEVER_LAST:
                start = found.pop()[0]
            found.append((start, end))
        return found

    def split(paragraph: str) -> Iterator[str]:
        # Block by block; the last sentence of a block may go on, so it begins the next block.
        start = 0
        while start < len(paragraph):
            block = paragraph[start : start + BLOCK]
            found = spans(block)
            if start + BLOCK >= len(paragraph):
                yield from (block[first:last] for first, last in found)
                return
            if len(found) > 1:
                yield from (block[first:last] for first, last in found[:-1])
                start += found[-1][0]
            else:
                piece = next(blocks(paragraph[start : start + BLOCK + 1]))
                yield piece
                start += len(piece)

    return split


def _last_word(sentence: str) -> str:
    """The abbreviation, without its period, that a stretch of text ends in; "" if it ends otherwise."""
    word = (sentence.rstrip()[-12:].split() or [""])[-1].lower().lstrip("([\"'")
    return word[:-1] if word.endswith(".") else ""


def _is_abbreviation(word: str, sample: str) -> bool:
    """Punkt takes a word that only ever ends sentences, in a short or repetitive text, for an abbreviation. A real one
    has a period within, or is seen before a small letter or another mark, or is short and frequent and before
    different words."""
    if "." in word:
        return True
    after = Counter(re.findall(rf"(?<!\w){re.escape(word)}\.([,;:]|\s?\w*)", sample, flags=re.IGNORECASE))
    if any(re.match(r"[,;:]|\s?[^\W\d_]", text) and text.strip()[0] == text.strip()[0].lower() for text in after):
        return True
    return len(word) <= 4 and after.total() >= 10 and len(after) >= 3


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
