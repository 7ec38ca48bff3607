"""Corpora that are at hand without an upload: CPython's own reference, an agreement grammar, and NLTK's on
request."""

from __future__ import annotations

import re
import threading
import urllib.request
from dataclasses import dataclass

import numpy as np

from rnn_core.data.text import detokenize
from rnn_core.errors import CorpusError, SettingsError
from rnn_core.randomness import stream


@dataclass(frozen=True)
class BuiltIn:
    """A corpus that can be named instead of uploaded."""

    key: str
    title: str
    description: str
    needs_internet: bool = False  # once; NLTK keeps what it has downloaded


BUILT_IN: dict[str, BuiltIn] = {
    entry.key: entry
    for entry in (
        BuiltIn(
            "agreement",
            "Agreement at a distance",
            "Sentences from a small grammar in which 'her' or 'his' must agree with a queen or king a chosen number "
            "of words earlier, and with nothing else.",
        ),
        BuiltIn(
            "python",
            "The Python language reference",
            "The prose of the reference that comes with every Python: about 50,000 words of technical English.",
        ),
        BuiltIn("gutenberg", "Gutenberg (NLTK)", "18 books from Project Gutenberg, Austen to Whitman.", True),
        BuiltIn("brown", "Brown (NLTK)", "A million words of American English of 1961, in 15 genres.", True),
        BuiltIn("inaugural", "Inaugural addresses (NLTK)", "The speeches with which US presidents took office.", True),
        BuiltIn("state_union", "State of the Union (NLTK)", "Speeches of US presidents since 1945.", True),
        BuiltIn("webtext", "Web text (NLTK)", "Forum posts, overheard talk, film scripts and small ads.", True),
        BuiltIn("movie_reviews", "Film reviews (NLTK)", "2,000 reviews of films, 1.5 million words.", True),
    )
}


# --- the reference that comes with Python ---------------------------------------------------------------------

_TABLE_OR_RULE = re.compile(r"\s*[+|]|\s*([-=*~^])\1{2,}\s*$")
_CODE = re.compile(r">>>|::=|^(\.\.\. |def |class |@|if |for |while |try:|#|return )", flags=re.MULTILINE)


def python_reference() -> list[str]:
    """The language reference as one document for each topic, paragraphs apart by blank lines.

    It is in every CPython as `pydoc_data.topics` (65,000 words in 3.11, more since). Code, grammar and tables
    are left out: what remains, some 50,000 words, is prose.
    """
    from pydoc_data.topics import topics

    documents = []
    for _, text in sorted(topics.items()):
        paragraphs = []
        for paragraph in re.split(r"\n\s*\n", text):
            lines = [line.strip() for line in paragraph.split("\n") if not _TABLE_OR_RULE.match(line)]
            joined = "\n".join(lines).strip()
            # Prose ends like a sentence; a title, a line of code or a name in a list does not.
            if len(joined.split()) >= 4 and joined[-1] in ".:!?)" and not _CODE.search(joined):
                paragraphs.append(joined)
        if paragraphs:
            documents.append("\n\n".join(paragraphs))
    return documents


# --- agreement at a distance ----------------------------------------------------------------------------------

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


# --- NLTK's corpora -------------------------------------------------------------------------------------------

NLTK_INDEX = "https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/index.xml"
PATIENCE_SECONDS = 4.0


def nltk_corpus(name: str, download: bool = True) -> list[str]:
    """The documents of an NLTK corpus in BUILT_IN. One that is not on this machine is downloaded, if that is
    allowed.

    Raises CorpusError where it cannot be had: after PATIENCE_SECONDS at most on a machine without internet.
    """
    entry = BUILT_IN.get(name)
    if entry is None or not entry.needs_internet:
        known = ", ".join(key for key, built_in in BUILT_IN.items() if built_in.needs_internet)
        raise CorpusError(f"There is no NLTK corpus of this name here. Choose one of: {known}.")
    try:
        return _read_nltk(name)
    except LookupError:
        pass
    elsewhere = "Choose another corpus, or upload a text."
    if not download:
        raise CorpusError(f"The NLTK corpus {name} is not on this machine, and nothing is downloaded here. {elsewhere}")
    if not _reachable(NLTK_INDEX):
        raise CorpusError(
            f"The NLTK corpus {name} is not on this machine, and NLTK's server cannot be reached. {elsewhere}"
        )
    import nltk

    try:
        # The server may fail in any way between the index and the last byte; whichever way, the corpus is not
        # there.
        nltk.download(name, quiet=True, raise_on_error=True)
        return _read_nltk(name)
    except (OSError, ValueError, LookupError) as error:
        raise CorpusError(
            f"The NLTK corpus {name} could not be downloaded. Try again later, or upload a text."
        ) from error


def _read_nltk(name: str) -> list[str]:
    import nltk.corpus

    reader = getattr(nltk.corpus, name)
    if name == "brown":
        # Brown is kept as tagged words, not as text.
        return ["\n".join(detokenize(sentence) for sentence in reader.sents(file)) for file in reader.fileids()]
    return [reader.raw(file) for file in reader.fileids()]


def _reachable(address: str) -> bool:
    """Whether the server answers within PATIENCE_SECONDS. In a thread: looking up a name obeys no timeout."""
    answered = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE_SECONDS):
                answered.set()
        except (OSError, ValueError):
            pass

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE_SECONDS)
    return answered.is_set()
