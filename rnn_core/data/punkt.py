"""Where sentences end in a running text: Punkt (Kiss & Strunk 2006, "Unsupervised multilingual sentence boundary
detection"), which learns from the text itself which words are abbreviations.

NLTK learns and decides. It looks at two words each time, so a pair that came up before, and a period after a word that
cannot be an abbreviation, need not be asked about again: that is why a megabyte takes tenths of a second.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

# Punkt learns abbreviations from this many characters, taken evenly from all of a text. More of them find hardly any
# others, and take most of the time that reading takes.
SAMPLE = 80_000
_STRETCH = 2000  # the sample is made of stretches of so many characters

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

# A word before a period, and what follows the period.
_PERIOD = re.compile(r"""(?<![^\s.,;:!?()\[\]{}"])([^\s.,;:!?()\[\]{}"]+)\.([,;:]|\s?\w*)""")
_OPENING_MARKS = "([\"'"


class SentenceSplitter:
    """Trained on the paragraphs of a text; splits them, and others."""

    def __init__(self, paragraphs: Sequence[str]) -> None:
        # NLTK is slow to import, so only what reads a text does.
        from nltk.tokenize.punkt import PunktLanguageVars, PunktSentenceTokenizer

        self.parameters = _train(_sample(paragraphs))
        self._tokenizer = PunktSentenceTokenizer(self.parameters)
        self._decisions: dict[str, bool] = {}
        # Compiled anew, since NLTK's own give up on a text that takes long.
        variables = PunktLanguageVars()
        self._find_candidates = re.compile(variables.period_context_re().pattern, re.VERBOSE).finditer
        self._closing = re.compile(variables.re_boundary_realignment.pattern, re.MULTILINE)

    def split(self, paragraph: str) -> Iterator[str]:
        """The sentences of a paragraph, in order; white space between them belongs to none."""
        start = 0
        for end, following in self._ends(paragraph):
            if following < start:
                continue  # within the closing marks of the sentence before
            # Closing marks after the period, as in 'He said "no." Then', belong to the sentence.
            if (match := self._closing.match(paragraph, following)) is not None:
                end, following = following + len(match.group().rstrip()), match.end()
            yield paragraph[start:end]
            start = following
        if rest := paragraph[start:].rstrip():
            yield rest

    def _ends(self, text: str) -> Iterator[tuple[int, int]]:
        """Where a sentence ends, and where the text goes on after it."""
        word_start, candidate = 0, None
        last = 0
        for match in self._find_candidates(text):
            # Of several marks in what has no space within, as in "what?!", the last decides.
            gap = text[last : match.start()]
            space = max(gap.rfind(" "), gap.rfind("\n"), gap.rfind("\t"))
            if space >= 0:
                if candidate is not None and self._is_end(text[word_start : candidate.start()], candidate):
                    yield candidate.end(), _goes_on(candidate)
                word_start = last + space + 1
            candidate, last = match, match.start()
        if candidate is not None and self._is_end(text[word_start : candidate.start()], candidate):
            yield candidate.end(), _goes_on(candidate)

    def _is_end(self, word: str, candidate: re.Match[str]) -> bool:
        if candidate.group() != ".":
            return True
        lower = word.lower()
        if word.isalpha() and len(word) > 1 and lower not in self.parameters.abbrev_types:
            return True  # neither an abbreviation nor an initial nor a number: Punkt has no doubt
        if lower.lstrip(_OPENING_MARKS) in _NEVER_LAST:
            return False
        after = candidate.group("after_tok")
        context = f"{word}. {after.lstrip()}" if after[:1].isspace() else f"{word}.{after}"
        if context not in self._decisions:
            self._decisions[context] = bool(self._tokenizer.text_contains_sentbreak(context))
        return self._decisions[context]


def _goes_on(candidate: re.Match[str]) -> int:
    """Where the text goes on after a mark that ends a sentence."""
    return candidate.start("next_tok") if candidate.group("next_tok") else candidate.end()


def _sample(paragraphs: Sequence[str]) -> list[str]:
    """About SAMPLE characters in stretches of whole words, evenly from all paragraphs."""
    starts = [(paragraph, start) for paragraph in paragraphs for start in range(0, len(paragraph), _STRETCH)]
    count = -(-len(starts) * SAMPLE // max(SAMPLE, sum(map(len, paragraphs))))
    chosen = (starts[number * len(starts) // count] for number in range(count))
    stretches = []
    for paragraph, start in chosen:
        stretch = paragraph[start : start + _STRETCH]
        if start > 0:
            stretch = stretch.partition(" ")[2]
        if start + _STRETCH < len(paragraph):
            stretch = stretch.rpartition(" ")[0]
        stretches.append(stretch)
    return stretches


def _train(stretches: Sequence[str]) -> Any:
    """Punkt's parameters, learnt from these; abbreviations by stricter rules than Punkt's, and the usual ones added."""
    from nltk.tokenize.punkt import PunktTrainer

    trainer = PunktTrainer()
    trainer.train("\n".join(stretches), finalize=True)
    parameters = trainer.get_params()
    after: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for stretch in stretches:
        for word, following in _PERIOD.findall(stretch):
            after[word.lower().lstrip("'‘`")][following] += 1
    learnt = {word for word in parameters.abbrev_types if _is_abbreviation(word, after[word])}
    parameters.abbrev_types = learnt | _ABBREVIATIONS
    return parameters


def _is_abbreviation(word: str, after: Counter[str]) -> bool:
    """Punkt takes a word that only ever ends sentences, in a short or repetitive text, for an abbreviation. A real one
    has a period within, or is seen before a small letter or another mark, or is short and frequent and before
    different words."""
    if "." in word:
        return True
    if any(re.match(r"[,;:]|\s?[^\W\d_]", text) and text.strip()[0] == text.strip()[0].lower() for text in after):
        return True
    return len(word) <= 4 and after.total() >= 10 and len(after) >= 3
