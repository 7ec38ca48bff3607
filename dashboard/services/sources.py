"""Where a text can come from, and what becomes of it for a vocabulary of any size."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dashboard import hosting
from rnn_core.config import TextSettings
from rnn_core.data import (
    BUILT_IN,
    PreparedCorpus,
    Progress,
    agreement_sentences,
    nltk_corpus,
    prepare_documents,
    prepare_sentences,
    python_reference,
    truncate_vocabulary,
)
from rnn_core.data import prepare as prepare_file
from rnn_core.errors import CorpusError

EVERY_WORD = 1_000_000
"""A vocabulary that no text fills: what TextSettings allows at most."""


@dataclass(frozen=True)
class Upload:
    """A file that a visitor chose. The name is theirs. encoding: what they said of it where its bytes do not say."""

    name: str
    data: bytes
    encoding: str | None = None


@dataclass(frozen=True)
class Paste:
    """A text that a visitor typed or pasted."""

    content: str
    name: str = "pasted text"


@dataclass(frozen=True)
class Agreement:
    """Sentences of the agreement grammar with `gap` words between the two that must agree."""

    gap: int
    count: int

    @property
    def name(self) -> str:
        return f"agreement, gap {self.gap}"


@dataclass(frozen=True)
class PythonReference:
    """The language reference that ships with CPython."""

    name: str = "Python reference"


@dataclass(frozen=True)
class Nltk:
    """One of NLTK's corpora, by its key in `BUILT_IN`."""

    key: str

    @property
    def name(self) -> str:
        return BUILT_IN[self.key].title


Source = Upload | Paste | Agreement | PythonReference | Nltk


KEPT = 4
"""Texts that stay read, over all visitors."""

_kept: OrderedDict[tuple[Source, TextSettings], PreparedCorpus] = OrderedDict()
_lock = threading.Lock()
_reading_lock = threading.Lock()

WAITING_SECONDS = 0.25
"""Between two reports of who waits for the lock."""


def prepare(source: Source, settings: TextSettings, progress: Progress | None = None) -> PreparedCorpus:
    """What a network sees of the source. Raises CorpusError (EncodingError to be asked) and SettingsError.

    A text is read and split once; another vocabulary size is then a matter of milliseconds. `progress` is called
    with how far the reading is; what it raises ends the reading.
    """
    settings.validate()
    caps = hosting.current_caps()
    if caps is not None:
        _check_source(source, caps)
    key = (source, replace(settings, vocabulary_size=EVERY_WORD))
    whole = _of_kept(key)
    if whole is None:
        with reading_lock(progress):
            whole = _of_kept(key)  # by now somebody else may have read it
            if whole is None:
                whole = _read(*key, progress, None if caps is None else caps.reading_seconds)
                _keep(key, whole)
    if caps is not None:
        hosting.check_corpus(whole, caps)
    return truncate_vocabulary(whole, settings.vocabulary_size)


def _of_kept(key: tuple[Source, TextSettings]) -> PreparedCorpus | None:
    with _lock:
        whole = _kept.get(key)
        if whole is not None:
            _kept.move_to_end(key)
    return whole


def _keep(key: tuple[Source, TextSettings], whole: PreparedCorpus) -> None:
    with _lock:
        _kept[key] = whole
        while len(_kept) > KEPT:
            _kept.popitem(last=False)


@contextlib.contextmanager
def reading_lock(progress: Progress | None) -> Iterator[None]:
    """One text is read at a time: all threads of the server share one core's worth of Python, and the pages of those
    who read nothing need some of it too. `progress` can end the waiting as it can end the reading.
    """
    while not _reading_lock.acquire(timeout=WAITING_SECONDS):
        if progress is not None:
            progress(0.0, "waiting for another text to be read")
    try:
        yield
    finally:
        _reading_lock.release()


def _check_source(source: Source, caps: hosting.Caps) -> None:
    """Raises CorpusError for a source that a hosted server does not read."""
    match source:
        case Upload(_, data):
            hosting.check_upload(len(data), caps)
        case Paste(content, _):
            hosting.check_upload(len(content.encode("utf-8", errors="replace")), caps)
        case Nltk():
            raise CorpusError("this server has no access to the internet; choose another corpus.")


def _read(
    source: Source, settings: TextSettings, progress: Progress | None, limit_seconds: float | None
) -> PreparedCorpus:
    match source:
        case Upload(name, data, encoding):
            settings = replace(settings, encoding=encoding)
            return prepare_file(data, name, settings, progress, limit_seconds)
        case Paste(content, name):
            return prepare_documents([content], name, settings, progress, limit_seconds)
        case Agreement(gap, count):
            return prepare_sentences(agreement_sentences(gap, count, settings.seed), source.name, settings)
        case PythonReference(name):
            return prepare_documents(python_reference(), name, settings, progress)
        case Nltk(key):
            return prepare_documents(nltk_corpus(key), source.name, settings, progress)
