"""The text that a network is judged on: the held-out part of its own, or one that the visitor brings."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dashboard import hosting
from dashboard.services import library, measurements, sources
from dashboard.services.sources import Paste, Upload
from rnn_core.arrays import Array
from rnn_core.data import Progress, encode_documents, read_documents
from rnn_core.diagnostics import read_tokens
from rnn_core.errors import CorpusError
from rnn_core.runs import Run

MOST_TOKENS = 100_000
KEPT = 4
"""Texts that stay read, over all visitors."""


@dataclass(frozen=True)
class ValidationText:
    """The validation part of the run's own text: its owner's alone."""


Text = ValidationText | Upload | Paste

_kept: dict[tuple[str, Text], HeldOut] = {}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """sentences: ids from <s> to </s>; tokens: what is read of them, (n,); left_out: sentences beyond MOST_TOKENS;
    carried: the network reads on from one to the next, as it was trained to. Shared by all visitors.
    """

    sentences: list[Array]
    tokens: list[str]
    left_out: int
    carried: bool


def texts_of(run: Run) -> bool:
    """Whether this visitor may look at a part of the run's own text, and there is one."""
    return library.mine(run) and bool(measurements.held_out_sentences(run))


def assumed_of(run: Run) -> tuple[str, ...]:
    """What was assumed of the words of a network that came without a text; its owner is told."""
    return run.corpus().report.notes if library.mine(run) and not texts_of(run) else ()


def check_allowed(run: Run, text: Text) -> None:
    """Raises RunError for a guest who asks for the owner's text."""
    if isinstance(text, ValidationText):
        library.check_mine(run)


def read(run: Run, text: Text, progress: Progress | None = None) -> HeldOut:
    """Raises RunError for a guest who asks for the owner's text, CorpusError for one that cannot be read.

    One text is read at a time; `progress` is called with how far it is, and what it raises ends the reading, or the
    wait for it.
    """
    check_allowed(run, text)
    key = str(run.folder), text
    found = _kept.get(key)
    if found is None:
        with sources.reading_lock(progress):
            found = _kept.get(key) or _read(*key, progress)  # by now somebody else may have read it
            while len(_kept) >= KEPT:
                del _kept[next(iter(_kept))]
            _kept[key] = found
    return found


def _read(folder: str, text: Text, progress: Progress | None) -> HeldOut:
    run = Run.open(folder)
    vocabulary, settings = run.vocabulary(), run.config.text
    if isinstance(text, ValidationText):
        sentences = measurements.held_out_sentences(run)
    else:
        name, data = (text.name, text.data) if isinstance(text, Upload) else ("pasted.txt", _bytes(text))
        caps = hosting.current_caps()
        if caps is not None:
            hosting.check_upload(len(data), caps)
        # The file has columns and an encoding of its own.
        settings = replace(settings, column=None, encoding=text.encoding if isinstance(text, Upload) else None)
        limit = None if caps is None else caps.reading_seconds
        documents = read_documents(data, name, settings)
        sentences = encode_documents(documents, settings, vocabulary, progress, limit)
    kept: list[Array] = []
    count = 0
    for ids in sentences:
        count += len(ids) - 1
        if count > MOST_TOKENS:
            break
        kept.append(ids)
    if not kept:
        raise CorpusError("there is no sentence in this text; choose a longer one.")
    carried = run.config.training.batching == "stream"
    tokens = read_tokens(vocabulary, kept, lines=carried and settings.sentences == "lines")
    return HeldOut(kept, tokens, len(sentences) - len(kept), carried)


def _bytes(text: Paste) -> bytes:
    return text.content.encode("utf-8", errors="replace")
