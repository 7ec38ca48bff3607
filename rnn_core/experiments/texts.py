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

HELD_OUT_ONE_IN = 5
"""Every fifth document is held out; of fewer documents, the last fifth of the lines of each."""


def documents(texts: Sequence[Path], settings: TextSettings) -> list[str]:
    """The documents in these files; without files, the reference, a document for each topic. Raises CorpusError."""
    return [document for path in texts for document in _of_file(path, settings)] or python_reference()


def name_of(texts: Sequence[Path]) -> str:
    """What reports call these texts."""
    return ", ".join(path.name for path in texts) or "the Python language reference"


def with_held_out(texts: Sequence[Path], settings: TextSettings) -> PreparedCorpus:
    """Four fifths of the texts to train on, and a fifth (see `HELD_OUT_ONE_IN`) for validation. Raises CorpusError."""
    found = documents(texts, settings)
    if len(found) >= HELD_OUT_ONE_IN:
        train = [document for place, document in enumerate(found) if place % HELD_OUT_ONE_IN]
        held_out = found[::HELD_OUT_ONE_IN]
    else:
        lines = [document.splitlines() for document in found]
        cuts = [len(each) - len(each) // HELD_OUT_ONE_IN for each in lines]
        train = ["\n".join(each[:cut]) for each, cut in zip(lines, cuts, strict=True)]
        held_out = ["\n".join(each[cut:]) for each, cut in zip(lines, cuts, strict=True)]
    corpus = prepare_documents(train, name_of(texts), dataclasses.replace(settings, validation_fraction=0))
    valid = encode_documents(held_out, settings, corpus.vocabulary)
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
