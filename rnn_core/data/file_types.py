"""What bytes are that are no text: archives, documents, weights."""

from __future__ import annotations

from rnn_core.errors import CorpusError

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


def looks_like(data: bytes) -> tuple[str, str] | None:
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


def binary_error() -> CorpusError:
    return CorpusError("This looks like a binary file, not a text. Choose a .txt, .csv or .jsonl file.")
