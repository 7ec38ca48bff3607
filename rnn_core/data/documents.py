"""The bytes of an uploaded file -> its documents. Characters that are left out are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from rnn_core.config import TextSettings
from rnn_core.data.characters import clean, shown
from rnn_core.data.encodings import characters
from rnn_core.data.progress import Progress, ReadingProgress
from rnn_core.data.tables import Table, open_table
from rnn_core.errors import CorpusError


@dataclass(frozen=True)
class Reading:
    """What was found in the bytes. `dropped` counts removed characters by kind; `notes` are sentences for the
    reader."""

    documents: list[str]
    format: str
    encoding: str
    column: str | None = None
    dropped: Counter[str] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()


def _kind(name: str) -> str:
    """The format of a file by the ending of its name: "text", "csv" or "jsonl"."""
    extension = name.lower().rpartition(".")[2]
    if extension in ("csv", "tsv"):
        return "csv"
    return "jsonl" if extension in ("jsonl", "ndjson", "json") else "text"


def columns(data: bytes, name: str, encoding: str | None = None) -> list[str]:
    """The names of the columns of a .csv or .jsonl that may hold the text; [] for a text. Raises
    CorpusError."""
    kind = _kind(name)
    if kind == "text":
        return []
    return open_table(characters(data, encoding)[0], kind, name).columns


def read(
    data: bytes,
    name: str,
    column: str | None = None,
    encoding: str | None = None,
    report: Progress | None = None,
) -> Reading:
    """The documents of an uploaded file, each cleaned and none empty. `name` tells a .csv or .jsonl from a text.

    Without `column`, the one with the most words is read, and a note says so. `report` is called with how far the
    reading is. Raises CorpusError, EncodingError where the encoding has to be chosen.
    """
    report = report or ReadingProgress()
    report(0.0, "reading the file")
    text, encoding_used, damaged = characters(data, encoding)
    report(0.02, "reading the file")
    kind = _kind(name)
    dropped: Counter[str] = Counter()
    notes: list[str] = []
    chosen = None
    if kind == "text":
        raw: Iterator[str] = iter([text])
        if column is not None:
            notes.append(f"A text has no columns, so the column {shown(column)} was ignored.")
    else:
        table = open_table(text, kind, name)
        chosen = _choose_column(table, column, notes)
        raw = table.cells(chosen)
        if not table.has_header:
            notes.append("The first row reads like text, not like names of columns, so it was read as text.")
    documents: list[str] = []
    for number, cell in enumerate(raw):
        if number % 1000 == 0:
            report(0.03, "reading the file")
        document = clean(cell, dropped)
        if document.strip():
            documents.append(document)
    if damaged:
        dropped["undecodable bytes"] += damaged
    if not documents:
        where = f"The column {shown(chosen)}" if chosen is not None else "The file"
        raise CorpusError(f"{where} has no text in it. Choose another one.")
    if kind != "text":
        notes += table.notes
        if table.skipped:
            rows = "1 row has" if table.skipped == 1 else f"{table.skipped:,} rows have"
            notes.append(f"{rows} no text in this column, and nothing was read from there.")
    return Reading(documents, kind, encoding_used, chosen, dropped, tuple(notes))


def _choose_column(table: Table, wanted: str | None, notes: list[str]) -> str | None:
    """The column to read, None where there are no columns; a note is added where nobody asked for the one chosen.

    Raises CorpusError where there is no column `wanted`.
    """
    names = ", ".join(shown(name, 30) for name in table.columns[:20]) + (", …" if len(table.columns) > 20 else "")
    if wanted is not None and table.columns:
        if wanted not in table.columns:
            raise CorpusError(f"There is no column {shown(wanted)} in this file. Choose one of: {names}.")
        return wanted
    if len(table.columns) < 2:
        return table.columns[0] if table.columns else None
    words = table.words()
    best = max(table.columns, key=lambda name: words.get(name, 0))
    notes.append(f"Of the columns {names}, {shown(best)} was read, because it has the most words.")
    return best


def read_documents(data: bytes, name: str, settings: TextSettings) -> list[str]:
    """The documents in a .txt (one), a .csv (one in each row) or a .jsonl (one in each line). Raises
    CorpusError."""
    settings.validate()
    return read(data, name, settings.column, settings.encoding).documents
