"""Reads the texts and word lists that a command is given."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from rnn_core.arrays import Array
from rnn_core.cli.output import one_line, print_status, refresh_seconds
from rnn_core.cli.parser import Parser, add_setting, given_settings
from rnn_core.config import TextSettings, settings_of
from rnn_core.data import (
    PreparedCorpus,
    Vocabulary,
    encode_documents,
    parse_word_list,
    prepare,
    read_documents,
)
from rnn_core.errors import CorpusError, EncodingError

Read = TypeVar("Read")


def prepare_file(
    path: str,
    settings: TextSettings,
    quiet: bool,
    words: Sequence[str] | None = None,
    validation: str | None = None,
) -> PreparedCorpus:
    """The text of a file as a network sees it, with progress and notes on standard error.

    words: the vocabulary, if it is given; validation: a file in the place of held-out sentences. Raises CorpusError.
    """
    data = _bytes_of(path)
    held_out = None if validation is None else (os.path.basename(validation), _bytes_of(validation))
    bar = tqdm(
        total=100, desc="reading", unit="%", leave=False, mininterval=refresh_seconds(), disable=quiet, file=sys.stderr
    )

    def progress(share: float, doing: str) -> None:
        bar.set_description(doing, refresh=False)
        bar.update(round(100 * share) - bar.n)

    with bar:
        name = os.path.basename(path)
        corpus = _with_previews(lambda: prepare(data, name, settings, progress, words=words, validation=held_out))
    report = corpus.report
    print_status(
        f"{report.sentences:,} sentences with {report.tokens:,} tokens, {report.distinct_words:,} different; "
        f"the {len(corpus.vocabulary):,} of the vocabulary cover {report.coverage:.1%}."
    )
    for note in report.notes:
        print_status(f"note: {one_line(note)}")
    return corpus


def add_file_flags(parser: Parser) -> None:
    """Flags for how a file is read where that is other than in training; `file_settings` reads them."""
    for name in ("column", "encoding"):
        add_setting(
            parser, settings_of(TextSettings)[name], default=argparse.SUPPRESS, help="of the file (as in training)"
        )


def file_settings(training_text: TextSettings, options: argparse.Namespace) -> TextSettings:
    """How a file is read: like the text of the training, but for the flags that are given."""
    return dataclasses.replace(training_text, **given_settings(TextSettings, options))


def words_of_file(path: str) -> list[str]:
    """The words in a file, in its order. Raises CorpusError."""
    return parse_word_list(_bytes_of(path))


def sentences_of_file(path: str, settings: TextSettings, vocabulary: Vocabulary) -> list[Array]:
    """The sentences in a file as ids, as a network with this vocabulary reads them. Raises CorpusError."""
    data = _bytes_of(path)
    documents = _with_previews(lambda: read_documents(data, os.path.basename(path), settings))
    return encode_documents(documents, settings, vocabulary)


def _bytes_of(path: str) -> bytes:
    """All of a file, or of a pipe."""
    try:
        check_no_device(path)
        return Path(path).read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror or error}.") from None


def check_no_device(path: str) -> None:
    """Raises CorpusError for a device, which may be endless."""
    if Path(path).is_char_device() or Path(path).is_block_device():
        raise CorpusError(f"{path} cannot be read: it is a device. Give the name of a file.")


def _with_previews(read: Callable[[], Read]) -> Read:
    """What `read` returns. Where the encoding has to be chosen, its error goes on after a preview of each candidate."""
    try:
        return read()
    except EncodingError as error:
        for candidate in error.candidates:
            print_status(f"  --encoding {candidate.encoding}: {one_line(candidate.preview)}")
        raise
