"""Bytes that somebody uploaded -> documents, judged by what is in them, never by the name alone.

Nothing is guessed silently: bytes that are not text are refused with what they look like, an encoding that is
not certain is asked for (with previews), and whatever is left out of a text is counted.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rnn_core.errors import CorpusError, EncodingCandidate, EncodingError

# Rows of a table that are looked at to name its columns and to find the one with the text.
HEAD_ROWS = 1000

# A row with more cells than this is no row of a table, and naming them all would cost more memory than the file.
MAX_COLUMNS = 1000

# A share of characters above which damage is no longer an accident in a text: control characters mean that it
# is no text at all, undecodable bytes that the chosen encoding is the wrong one.
TOLERATED_DAMAGE = 0.01


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


def shown(text: str, length: int = 60) -> str:
    """Text of a user as it may stand in a message: one line, in quotes, cut to `length` characters, nothing
    invisible."""
    line = " ".join(clean(text[: 20 * length], Counter()).split())
    return f"'{line[: length - 1]}…'" if len(line) > length else f"'{line}'"


# --- what the first bytes say ---------------------------------------------------------------------------------

_SAVE_AS_TEXT = "Save its text as a plain .txt file (UTF-8) and choose that."

_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "a gzip archive", "Unpack it first, and choose the text file inside."),
    (b"BZh", "a bzip2 archive", "Unpack it first, and choose the text file inside."),
    (b"\xfd7zXZ\x00", "an xz archive", "Unpack it first, and choose the text file inside."),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "Unpack it first, and choose the text file inside."),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it first, and choose the text file inside."),
    (b"Rar!\x1a\x07", "a RAR archive", "Unpack it first, and choose the text file inside."),
    (b"%PDF-", "a PDF document", _SAVE_AS_TEXT),
    (b"{\\rtf", "a rich-text (RTF) document", _SAVE_AS_TEXT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office document", _SAVE_AS_TEXT),
    (b"\x89PNG\r\n\x1a\n", "a picture (PNG)", "Choose a file of text."),
    (b"\xff\xd8\xff", "a picture (JPEG)", "Choose a file of text."),
    (b"GIF87a", "a picture (GIF)", "Choose a file of text."),
    (b"GIF89a", "a picture (GIF)", "Choose a file of text."),
    (b"II*\x00", "a picture (TIFF)", "Choose a file of text."),
    (b"MM\x00*", "a picture (TIFF)", "Choose a file of text."),
    (b"RIFF", "a sound, film or picture (RIFF)", "Choose a file of text."),
    (b"OggS", "a sound or film (Ogg)", "Choose a file of text."),
    (b"fLaC", "a sound (FLAC)", "Choose a file of text."),
    (b"ID3", "a sound (MP3)", "Choose a file of text."),
    (b"\x93NUMPY", "a NumPy array (.npy)", "Weights and arrays are not a corpus: choose a file of text."),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "Weights and arrays are not a corpus: choose a file of text."),
    (b"GGUF", "a file of model weights (GGUF)", "Weights are not a corpus: choose a file of text."),
    (b"SQLite format 3\x00", "an SQLite database", "Export its text as .csv or .txt, and choose that."),
    (b"PAR1", "a Parquet table", "Export its text as .csv or .jsonl, and choose that."),
    (b"ARROW1", "an Arrow table", "Export its text as .csv or .jsonl, and choose that."),
    (b"\x7fELF", "a program", "Choose a file of text."),
)

# Signatures made of letters alone: a text may begin like this too, so the NUL bytes of a binary file must
# follow.
_LETTERS_ONLY = (b"BZh", b"RIFF", b"OggS", b"fLaC", b"ID3", b"GGUF", b"PAR1", b"ARROW1")


def _looks_like(data: bytes) -> tuple[str, str] | None:
    """(what it is, what to do) for bytes that are certainly not a text; None where they may be one."""
    head = data[:4096]
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        if b"word/" in head or b"[Content_Types].xml" in head or b"xl/" in head:
            return "an Office document (.docx, .xlsx, .pptx)", _SAVE_AS_TEXT
        if b"mimetypeapplication/" in head:
            return "an e-book or OpenDocument file", _SAVE_AS_TEXT
        if b"data.pkl" in head:
            return "a PyTorch file (.pt)", "Weights are not a corpus: choose a file of text."
        if b".npy" in head:
            return "NumPy arrays (.npz)", "Weights and arrays are not a corpus: choose a file of text."
        return "a zip archive", "Unpack it first, and choose the text file inside."
    if len(head) > 2 and head[0] == 0x80 and head[1] in (2, 3, 4, 5):
        return "a Python pickle", "It is never opened, because loading one runs its code: choose a file of text."
    if head[257:262] == b"ustar":
        return "a tar archive", "Unpack it first, and choose the text file inside."
    if head[4:8] == b"ftyp" and b"\x00" in head[:4]:
        return "a film or sound (MP4)", "Choose a file of text."
    if head[:2] == b"MZ" and b"\x00" in head[2:64]:
        return "a program", "Choose a file of text."
    if head[8:10] == b'{"' and head[4:8] == b"\x00" * 4:
        return "a file of model weights (safetensors)", "Weights are not a corpus: choose a file of text."
    for signature, what, todo in _SIGNATURES:
        if head.startswith(signature) and (signature not in _LETTERS_ONLY or b"\x00" in head):
            return what, todo
    return None


def _binary() -> CorpusError:
    return CorpusError("This looks like a binary file, not a text. Choose a .txt, .csv or .jsonl file.")


# --- bytes -> characters --------------------------------------------------------------------------------------

# The longer marks first: UTF-32's begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# Offered, in this order, where bytes are not UTF-8 and still fit. Detectors pick one silently and are wrong too
# often (cp1251 read as cp1250, koi8-r as shift_jis); a person sees at once which preview reads well.
_CANDIDATES = (
    *("cp1252", "iso8859-15", "cp1250", "iso8859-2", "cp1251", "koi8-r", "cp1253", "cp1254", "cp1255", "cp1256"),
    *("mac-roman", "cp437", "cp932", "euc_jp", "gb18030", "big5", "cp949"),
)

# Codecs of Python that are not character encodings of files; some take quadratic time.
_NOT_FOR_FILES = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"}

_NEWLINES = re.compile("\r\n?|[\v\f\x85\u2028\u2029]")
_DROPPED = {
    # C0 and C1 but tab and newline; the byte order mark inside a text; interlinear marks, tags and
    # noncharacters.
    "control characters": re.compile(
        "[\x00-\x08\x0e-\x1f\x7f-\x9f\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
    ),
    # Unicode's property Bidi_Control: they reorder what a reader sees.
    "bidirectional controls": re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"),
    "lone surrogates": re.compile("[\ud800-\udfff]"),
}


def clean(text: str, dropped: Counter[str]) -> str:
    """The text with one kind of newline and without characters that nobody can see; `dropped` counts them by
    kind."""
    text = _NEWLINES.sub("\n", text)
    for kind, pattern in _DROPPED.items():
        text, count = pattern.subn("", text)
        if count:
            dropped[kind] += count
    return text


def _invisible(text: str) -> int:
    return sum(len(_DROPPED[kind].findall(text)) for kind in ("control characters", "lone surrogates"))


def _characters(data: bytes, encoding: str | None) -> tuple[str, str, int]:
    """(text as it was written, the encoding's name, bytes that were not of that encoding). Raises
    CorpusError."""
    if not data:
        raise CorpusError("The file is empty. Choose a file with text in it.")
    known = _looks_like(data)
    if known is not None:
        raise CorpusError(f"This looks like {known[0]}, not a text. {known[1]}")
    mark, name = next(((mark, name) for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), (b"", None))
    if encoding is not None:
        chosen = _canonical(encoding)
        # The codec "utf-16" reads the mark itself; with "utf-16-le" or "utf-8" it would end up in the text.
        skip = len(mark) if name in (chosen, chosen + "-le", chosen + "-be") else 0
        text, damaged = _decode_tolerantly(data[skip:], name if skip and name else chosen, encoding)
    elif name is not None:
        chosen = name
        text, damaged = _decode_tolerantly(data[len(mark) :], name, name)
    else:
        chosen, text, damaged = "utf-8", _certain_utf8(data), 0
    if _invisible(text) > max(3, TOLERATED_DAMAGE * len(text)):
        raise _binary()
    if not text:
        raise CorpusError("The file is empty. Choose a file with text in it.")
    return text, chosen, damaged


def _canonical(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
        b" ".decode(name, errors="ignore")  # Refuses codecs that are no character encodings (zip, base64, …).
    except (LookupError, ValueError):
        name = "undefined"
    if name in _NOT_FOR_FILES:
        raise CorpusError(
            f"{shown(encoding)} is not an encoding that is known here. Use a name such as utf-8, utf-16 or cp1252."
        )
    return name.removesuffix("-sig")


def _decode_tolerantly(data: bytes, codec: str, called: str) -> tuple[str, int]:
    """The encoding is certain (chosen, or by its mark), so a few damaged bytes are left out and counted."""
    try:
        return data.decode(codec, errors="surrogatepass" if codec.startswith("utf") else "strict"), 0
    except UnicodeError:
        pass
    try:
        text = data.decode(codec, errors="ignore")
        damaged = data.decode(codec, errors="replace").count("\ufffd") - text.count("\ufffd")
    except UnicodeError:
        text, damaged = "", len(data)
    if damaged > TOLERATED_DAMAGE * len(text):
        raise CorpusError(f"The file is not written in {shown(called)}. Choose another encoding, or save it as UTF-8.")
    return text, max(1, damaged)


def _certain_utf8(data: bytes) -> str:
    """UTF-8 decodes by accident almost never, so what decodes is UTF-8; anything else must be asked for."""
    if b"\x00" in data:
        candidates = [] if _stray_nulls(data[: 1 << 18]) else _wide_candidates(data)
        if not candidates:
            raise _binary()
        raise EncodingError(
            "This looks like UTF-16 (or UTF-32) without a byte order mark. Choose the encoding: "
            f"it could be {', '.join(candidate.encoding for candidate in candidates)}.",
            candidates,
        )
    try:
        # A surrogate written as UTF-8 is taken in here and left out, counted, with the other invisible
        # characters.
        return data.decode("utf-8", errors="surrogatepass")
    except UnicodeDecodeError as error:
        start = error.start
    candidates = _narrow_candidates(data, start)
    if not candidates:
        raise _binary()
    line = data.count(b"\n", 0, start) + 1
    raise EncodingError(
        f"The text is not UTF-8 (line {line}) and does not say which encoding it is. Choose one (it could be "
        f"{', '.join(candidate.encoding for candidate in candidates)}), or save the file as UTF-8.",
        candidates,
    )


def _odd_characters(text: str) -> int:
    """Characters that no text has: unassigned, private, surrogate, and controls other than white space."""
    return sum(
        count
        for character, count in Counter(text).items()
        if unicodedata.category(character) in ("Cn", "Co", "Cs", "Cc") and character not in "\t\n\r\v\f"
    )


def _preview(text: str, near: int = 0, length: int = 80) -> str:
    start = max(0, near - length // 2)
    return " ".join(clean(text[start : start + length], Counter()).split())


def _stray_nulls(window: bytes) -> bool:
    """Few NULs in what is narrow text without them. (Two ASCII letters read as one UTF-16 character, often Chinese.)"""
    rest = window.replace(b"\x00", b"")
    text = rest.decode("utf-8", errors="replace")
    damage = _odd_characters(text) + text.count("\ufffd")
    return len(window) - len(rest) < 0.1 * len(window) and damage <= TOLERATED_DAMAGE * len(text)


def _wide_candidates(data: bytes) -> list[EncodingCandidate]:
    window = data[: 1 << 18]
    found = []
    for encoding, width in (("utf-16-le", 2), ("utf-16-be", 2), ("utf-32-le", 4), ("utf-32-be", 4)):
        try:
            text = window[: len(window) // width * width].decode(encoding)
        except UnicodeDecodeError:
            continue
        odd = _odd_characters(text)
        if text and odd <= TOLERATED_DAMAGE * len(text):
            # ASCII in the wrong byte order reads as assigned, but scattered, characters: the likelier one goes
            # first.
            found.append((len(set(text)), EncodingCandidate(encoding, _preview(text))))
    return [candidate for _, candidate in sorted(found, key=lambda pair: pair[0])]


def _narrow_candidates(data: bytes, first_bad: int) -> list[EncodingCandidate]:
    start = max(0, first_bad - 5000)
    if start:
        # Begin after white space, never in the middle of a character of several bytes.
        start = max(data.find(b"\n", start, first_bad), data.find(b" ", start, first_bad), start - 1) + 1
    window = data[start : first_bad + (1 << 17)]
    before = window[: first_bad - start]
    if _invisible(window.decode("ascii", errors="ignore")) > max(3, TOLERATED_DAMAGE * len(window)):
        return []
    found: dict[str, EncodingCandidate] = {}
    text = window.decode("utf-8", errors="replace")
    if any(character > "\x7f" and character != "\ufffd" for character in text) and (
        text.count("\ufffd") <= TOLERATED_DAMAGE * len(text)
    ):
        # UTF-8 but for a few bytes: chosen by name, these are left out and counted.
        found[text] = EncodingCandidate("utf-8", _preview(text, len(before.decode("utf-8", errors="replace"))))
    for encoding in _CANDIDATES:
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(window)
        except UnicodeDecodeError:
            continue
        if text not in found and _odd_characters(text) <= TOLERATED_DAMAGE * len(text):
            near = len(before.decode(encoding, errors="ignore"))
            found[text] = EncodingCandidate(encoding, _preview(text, near))
    return list(found.values())


def decode(data: bytes, encoding: str | None = None) -> str:
    """The characters of a file, without those that nobody can see.

    encoding None: UTF-8, or what the byte order mark says. Raises EncodingError, with a preview of each
    candidate, where the bytes are a text but do not say in which encoding; CorpusError for anything that is not
    a text.
    """
    return clean(_characters(data, encoding)[0], Counter())


# --- characters -> documents ----------------------------------------------------------------------------------


def _kind(name: str) -> str:
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
    return _table(_characters(data, encoding)[0], kind, name).columns


def read(data: bytes, name: str, column: str | None = None, encoding: str | None = None) -> Reading:
    """Documents of an uploaded file, each cleaned; none of them is empty. `name` tells a .csv or .jsonl from a
    text.

    Without `column`, the one with the most words is read, and a note says so. Raises CorpusError.
    """
    text, used, damaged = _characters(data, encoding)
    kind = _kind(name)
    dropped: Counter[str] = Counter()
    notes: list[str] = []
    chosen = None
    if kind == "text":
        raw: Iterator[str] = iter([text])
        if column is not None:
            notes.append(f"A text has no columns, so the column {shown(column)} was ignored.")
    else:
        table = _table(text, kind, name)
        chosen = _choose_column(table, column, notes)
        raw = table.cells(chosen)
        if not table.has_header:
            notes.append("The first row reads like text, not like names of columns, so it was read as text.")
    documents = [document for cell in raw if (document := clean(cell, dropped)).strip()]
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
    return Reading(documents, kind, used, chosen, dropped, tuple(notes))


def _choose_column(table: _Table, wanted: str | None, notes: list[str]) -> str | None:
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


class _Table:
    """Rows with named columns. A row is parsed when it is asked for, so a large file is never held twice."""

    columns: list[str]
    has_header = True
    skipped = 0
    notes: tuple[str, ...] = ()

    def words(self) -> Counter[str]:
        """How many words each column has in the first rows."""
        raise NotImplementedError

    def cells(self, column: str | None) -> Iterator[str]:
        raise NotImplementedError


def _table(text: str, kind: str, name: str) -> _Table:
    # One kind of newline, also inside quoted fields. Other separators are left alone here: inside JSON they are
    # text.
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _Csv(text, name) if kind == "csv" else _JsonLines(text)


class _Csv(_Table):
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

    def _open_quote(self, line: int, length: int) -> None:
        """A download that was cut short ends in an open quote and loses nothing; one forgotten early swallows
        the rest."""
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
                # Where it wanted another line in the middle of a row, the text ends before a quote is closed.
                yield begins, ended, row

    def _records(self) -> Iterator[list[str]]:
        for line, is_open, row in self._parse(self.text, self.separator):
            if is_open:
                self._open_quote(line, sum(map(len, row)))
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


class _JsonLines(_Table):
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
