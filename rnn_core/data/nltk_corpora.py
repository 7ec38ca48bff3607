"""NLTK's corpora, downloaded on request."""

from __future__ import annotations

import threading

from rnn_core.data.built_in import BUILT_IN
from rnn_core.data.detokenizer import detokenize
from rnn_core.errors import CorpusError

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
        # A server can fail in many ways between the index and the last byte; in all of them the corpus is not there.
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
    import urllib.request  # 2 MB that a training's process, which asks for nothing, should not have to carry

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
