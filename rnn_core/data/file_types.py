"""Files that people choose for a text although they are none, and what to do with each.

Anything else that is no text is found by its bytes (`encodings`) and refused as a binary file.
"""

from __future__ import annotations

from rnn_core.errors import CorpusError

_SAVE = "Save its text as a plain .txt file (UTF-8) and choose that."
_UNPACK = "Unpack it first, and choose the text file inside."
_WEIGHTS = "Weights are not a corpus: choose a file of text."

# What a file begins with -> what it is, and what to do. Some of these would otherwise pass as text.
_BEGINNINGS = (
    (b"%PDF-", "a PDF document", _SAVE),
    (b"{\\rtf", "a rich-text (RTF) document", _SAVE),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office document", _SAVE),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"\x93NUMPY", "a NumPy array", _WEIGHTS),
    (b"PK\x03\x04", "a zip archive", _UNPACK),
)
# A zip archive under another name, by a file inside it.
_ZIPPED = (
    (b"[Content_Types].xml", "an Office document", _SAVE),
    (b"mimetypeapplication/", "an e-book or OpenDocument file", _SAVE),
    (b"data.pkl", "a PyTorch file", _WEIGHTS),
    (b".npy", "NumPy arrays", _WEIGHTS),
)


def refuse_known_file(data: bytes) -> None:
    """Raises CorpusError, with what to do, for a file that is certainly not a text."""
    for beginning, what, advice in _BEGINNINGS:
        if data.startswith(beginning):
            inside = next((entry for entry in _ZIPPED if beginning == b"PK\x03\x04" and entry[0] in data[:4096]), None)
            if inside is not None:
                _, what, advice = inside
            raise CorpusError(f"This looks like {what}, not a text. {advice}")


def binary_error() -> CorpusError:
    """The error for bytes that are no text, and no kind of file that has advice of its own."""
    return CorpusError("This looks like a binary file, not a text. Choose a .txt, .csv or .jsonl file.")
