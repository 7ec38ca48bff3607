"""The texts that an experiment reads: files, or the Python language reference, which every machine has."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rnn_core.config import TextSettings
from rnn_core.data import PreparedCorpus, encode_documents, prepare_documents
from rnn_core.data.built_in import python_reference
from rnn_core.data.documents import read
from rnn_core.data.progress import ReadingProgress
from rnn_core.errors import CorpusError

HELD_OUT = 5
"""Every fifth document is kept aside; of fewer documents, the last fifth of the lines of each."""


def documents(texts: Sequence[Path], settings: TextSettings) -> list[str]:
    """What stands in the files; without any, the reference, a document for each topic. Raises CorpusError."""
    return [document for path in texts for document in _of_file(path, settings)] or python_reference()


def name_of(texts: Sequence[Path]) -> str:
    """For people."""
    return ", ".join(path.name for path in texts) or "the Python language reference"


def with_held_out(texts: Sequence[Path], settings: TextSettings) -> PreparedCorpus:
    """Four fifths to train on, in their order, and a fifth, of other passages, for validation. Raises CorpusError."""
    found = documents(texts, settings)
    if len(found) >= HELD_OUT:
        ours = [document for place, document in enumerate(found) if place % HELD_OUT]
        theirs = found[::HELD_OUT]
    else:
        lines = [document.splitlines() for document in found]
        cuts = [len(each) - len(each) // HELD_OUT for each in lines]
        ours = ["\n".join(each[:cut]) for each, cut in zip(lines, cuts, strict=True)]
        theirs = ["\n".join(each[cut:]) for each, cut in zip(lines, cuts, strict=True)]
    corpus = prepare_documents(ours, name_of(texts), dataclasses.replace(settings, validation_fraction=0))
    valid = encode_documents(theirs, settings, corpus.vocabulary)
    if not valid:
        raise CorpusError(
            "a fifth of this text is needed to measure on, and it has fewer than five lines; give a longer one."
        )
    return dataclasses.replace(corpus, valid=valid)


def _of_file(path: Path, settings: TextSettings) -> list[str]:
    try:
        return read(path.read_bytes(), path.name, settings.column, settings.encoding, ReadingProgress()).documents
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror or error}.") from error
