"""Bytes -> characters. No encoding is guessed: what is not certain is asked for, with a preview of each candidate."""

from __future__ import annotations

import codecs
import unicodedata
from collections import Counter

from rnn_core.data.characters import clean, count_invisible, shown
from rnn_core.data.file_types import binary_error, refuse_known_file
from rnn_core.errors import CorpusError, EncodingCandidate, EncodingError

# The share of damaged characters that a text may have by accident. Above it, control characters mean that the file is
# no text at all, and undecodable bytes that the chosen encoding is the wrong one.
TOLERATED_DAMAGE = 0.01


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


def characters(data: bytes, encoding: str | None) -> tuple[str, str, int]:
    """The bytes of a file -> (its text as it was written, the encoding's name, how many bytes did not fit it).

    Raises CorpusError, EncodingError where the encoding has to be chosen.
    """
    if not data:
        raise CorpusError("The file is empty. Choose a file with text in it.")
    refuse_known_file(data)
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
    if count_invisible(text) > max(3, TOLERATED_DAMAGE * len(text)):
        raise binary_error()
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
    """The text of bytes that are UTF-8: others hardly ever decode as that by accident. Raises EncodingError for a text
    that is not, CorpusError for what is no text.
    """
    if b"\x00" in data:
        candidates = [] if _stray_nulls(data[: 1 << 18]) else _wide_candidates(data)
        if not candidates:
            raise binary_error()
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
        raise binary_error()
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
    """Whether these are bytes of a text with a few NULs in it, and not UTF-16 or UTF-32, of which NULs are a part.

    It has to be asked first, since most narrow text decodes as UTF-16 too: two ASCII letters are often one Chinese
    character there.
    """
    rest = window.replace(b"\x00", b"")
    text = rest.decode("utf-8", errors="replace")
    damage = _odd_characters(text) + text.count("\ufffd")
    return len(window) - len(rest) < 0.1 * len(window) and damage <= TOLERATED_DAMAGE * len(text)


def _wide_candidates(data: bytes) -> list[EncodingCandidate]:
    """The encodings of two or four bytes a character in which the bytes may be a text, the likeliest first."""
    window = data[: 1 << 18]
    found = []
    for encoding, width in (("utf-16-le", 2), ("utf-16-be", 2), ("utf-32-le", 4), ("utf-32-be", 4)):
        try:
            text = window[: len(window) // width * width].decode(encoding)
        except UnicodeDecodeError:
            continue
        odd = _odd_characters(text)
        if text and odd <= TOLERATED_DAMAGE * len(text):
            # ASCII in the wrong byte order decodes to real characters from all over Unicode: the fewer different ones,
            # the likelier.
            found.append((len(set(text)), EncodingCandidate(encoding, _preview(text))))
    return [candidate for _, candidate in sorted(found, key=lambda pair: pair[0])]


def _narrow_candidates(data: bytes, first_bad: int) -> list[EncodingCandidate]:
    """The other encodings in which the bytes may be a text. first_bad: where they are not UTF-8; previews show that
    place.
    """
    start = max(0, first_bad - 5000)
    if start:
        # Begin after white space, never in the middle of a character of several bytes.
        start = max(data.find(b"\n", start, first_bad), data.find(b" ", start, first_bad), start - 1) + 1
    window = data[start : first_bad + (1 << 17)]
    before = window[: first_bad - start]
    if count_invisible(window.decode("ascii", errors="ignore")) > max(3, TOLERATED_DAMAGE * len(window)):
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
    return clean(characters(data, encoding)[0], Counter())
