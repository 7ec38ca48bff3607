"""Tables of texts: the rows of a .csv and the lines of a .jsonl."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from rnn_core.data.characters import clean
from rnn_core.errors import CorpusError

# Rows of a table that are looked at to name its columns and to find the one with the text.
HEAD_ROWS = 1000

# A row with more cells than this is no row of a table, and naming them all would cost more memory than the file.
MAX_COLUMNS = 1000


class Table:
    """Rows with named columns. A row is parsed when it is asked for, so a large file is never held twice."""

    columns: list[str]
    has_header = True
    skipped = 0
    notes: tuple[str, ...] = ()

    def words(self) -> Counter[str]:
        """How many words each column has in the first rows."""
        raise NotImplementedError

    def cells(self, column: str | None) -> Iterator[str]:
        """The texts in a column, in order; rows without text there are counted in `skipped`. column None: the only
        column, or lines that are texts themselves.
        """
        raise NotImplementedError


def open_table(text: str, kind: str, name: str) -> Table:
    """The table in a text of this kind, "csv" or "jsonl"; `name` stands in its errors."""
    # One kind of newline, also inside quoted fields. Other separators are left alone here: inside JSON they are
    # text.
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _Csv(text, name) if kind == "csv" else _JsonLines(text)


class _Csv(Table):
    """Python's csv dialect: quoted fields may hold newlines and doubled quotes (RFC 4180). The separator is , ;
    tab or |."""

    def __init__(self, text: str, name: str) -> None:
        # A field is a document and may be as long as the file. The limit belongs to the process, so it is only
        # ever raised.
        csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
        self.text = text
        self.separator = "\t" if name.lower().endswith(".tsv") else self._find_separator()
        first = next(self._records(), None)
        if first is None:
            raise CorpusError("The table has no rows. Choose a file with text in it.")
        _check_columns(len(first))
        self.has_header = _is_header(first)
        self.columns = _column_names(first if self.has_header else [""] * len(first))

    def _find_separator(self) -> str:
        """The separator that gives the most cells, as many in nearly every one of the first rows."""
        head = self.text[: 1 << 16]
        best, most = ",", 1
        for separator in ",;\t|":
            widths = [len(row) for _, (_, _, row) in zip(range(50), self._parse(head, separator), strict=False)]
            if widths and widths[0] > most and widths.count(widths[0]) >= 0.8 * len(widths):
                best, most = separator, widths[0]
        return best

    def _note_unclosed_quote(self, line: int, length: int) -> None:
        """The last row, of `length` characters, is within quotes that are never closed.

        A download that was cut short ends so, and all of it is read: a note says it. A quote that was forgotten early
        makes one row of all that follows: raises CorpusError.
        """
        where = f"A quote that opens in the row at line {line:,} is never closed"
        if length > len(self.text) / 2:
            raise CorpusError(f"{where}. Close it in the file, or save the text as .txt.")
        self.notes = (f"{where}; the row was read up to the end of the file.",)

    @staticmethod
    def _parse(text: str, separator: str) -> Iterator[tuple[int, bool, list[str]]]:
        """(line it begins at, whether the text ends within its quotes, cells) of each row that has any text."""
        ended = False

        def lines() -> Iterator[str]:
            nonlocal ended
            start = 0
            while start < len(text):
                end = text.find("\n", start) + 1 or len(text)
                yield text[start:end]
                start = end
            ended = True

        reader = csv.reader(lines(), delimiter=separator)
        while True:
            begins = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise CorpusError(f"The row at line {begins} is not CSV ({error}). Correct it in the file.") from error
            if any(cell.strip() for cell in row):
                # `ended`: the reader asked for another line in the middle of this row, so a quote is never closed.
                yield begins, ended, row

    def _records(self) -> Iterator[list[str]]:
        for line, is_open, row in self._parse(self.text, self.separator):
            if is_open:
                self._note_unclosed_quote(line, sum(map(len, row)))
            yield row

    def _rows(self) -> Iterator[list[str]]:
        records = self._records()
        if self.has_header:
            next(records)
        return records

    def words(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for _, row in zip(range(HEAD_ROWS), self._rows(), strict=False):
            for name, cell in zip(self.columns, row, strict=False):
                counts[name] += len(cell.split())
        return counts

    def cells(self, column: str | None) -> Iterator[str]:
        index = self.columns.index(column) if column is not None else 0
        for row in self._rows():
            if len(self.columns) == 1:
                # A comma that somebody forgot to quote is part of the only column's text.
                yield self.separator.join(row)
            elif len(row) > index and row[index].strip():
                yield row[index]
            else:
                self.skipped += 1


def _check_columns(count: int) -> None:
    if count > MAX_COLUMNS:
        raise CorpusError(
            f"The table has {count:,} columns, more than {MAX_COLUMNS:,}. Save the column with the text as a .txt file."
        )


def _is_header(row: list[str]) -> bool:
    """Names of columns are short, different, not numbers and no sentences."""
    names = [" ".join(cell.split()) for cell in row]
    filled = [name for name in names if name]
    return (
        len(set(names)) == len(names)
        and bool(filled)
        and all(len(name) <= 40 and len(name.split()) <= 4 and name[-1] not in ".!?…" for name in filled)
        and not any(re.fullmatch(r"[-+]?[\d.,:/-]+", name) for name in filled)
    )


def _label(name: str) -> str:
    """A column's name as it may be shown: one line, nothing invisible."""
    return " ".join(clean(name, Counter()).split())


def _column_names(cells: list[str]) -> list[str]:
    names: list[str] = []
    taken: set[str] = set()
    for number, cell in enumerate(cells, start=1):
        name = _label(cell) or f"column {number}"
        if name in taken:
            name = f"{name} ({number})"
        taken.add(name)
        names.append(name)
    return names


class _JsonLines(Table):
    """One JSON object or string in each line. Only values that are strings count as text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.columns = list(self.words())
        _check_columns(len(self.columns))

    def _values(self) -> Iterator[Any]:
        for number, line in enumerate(self.text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                reason = error.msg if isinstance(error, json.JSONDecodeError) else "too large or too deep"
                raise CorpusError(
                    f"Line {number} is not JSON ({reason}). Each line must hold one JSON object or one string."
                ) from error
            if not isinstance(value, dict | str):
                raise CorpusError(
                    f"Line {number} is neither a JSON object nor a string. Each line must hold one of these."
                )
            if isinstance(value, dict) and not all(key.isprintable() for key in value):
                value = {_label(key): cell for key, cell in value.items()}
            yield value

    def words(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for _, value in zip(range(HEAD_ROWS), self._values(), strict=False):
            if isinstance(value, dict):
                for name, cell in value.items():
                    if isinstance(cell, str):
                        counts[name] += len(cell.split())
        return counts

    def cells(self, column: str | None) -> Iterator[str]:
        for value in self._values():
            text = value if isinstance(value, str) else value.get(column)
            if isinstance(text, str) and text.strip():
                yield text
            else:
                self.skipped += 1
