"""The field that takes a file with a text, and asks in which encoding it is written where its bytes do not say."""

from __future__ import annotations

import zlib
from dataclasses import replace

import streamlit as st

from dashboard import hosting
from dashboard.components import errors, widgets
from dashboard.services.sources import Upload
from dashboard.state import session
from dashboard.text import corpus as wording
from rnn_core.config import TextSettings, settings_of
from rnn_core.data.encodings import characters
from rnn_core.errors import CorpusError, EncodingError

EXTENSIONS = ["txt", "text", "md", "csv", "tsv", "jsonl", "ndjson", "json"]


def text_upload(page: str) -> Upload | None:
    """The file that the field of this page holds, no larger than a hosted server takes; None while it is empty. To be
    read, it goes through `with_encoding`.
    """
    caps = hosting.current_caps()
    file = st.file_uploader(
        "A text",
        EXTENSIONS,
        max_upload_size=None if caps is None else caps.upload_megabytes,
        key=session.key(page, "file"),
        label_visibility="collapsed",
    )
    return None if file is None else Upload(file.name, file.getvalue())


def with_encoding(page: str, file: Upload) -> Upload | None:
    """The file with the encoding in which it is read; None, after asking, as long as nobody has said which."""
    try:
        characters(file.data, None)
    except EncodingError as error:
        # What was said of another file does not hold for this one, whatever it is called.
        chosen = _ask(error, session.key(page, f"encoding of {file.name} {zlib.crc32(file.data)}"))
        return None if chosen is None else replace(file, encoding=chosen)
    except CorpusError:
        pass  # No text at all: whoever reads it says why.
    return file


def _ask(error: EncodingError, key: str) -> str | None:
    """Let a person say which preview reads right: detectors guess wrong silently."""
    names = [candidate.encoding for candidate in error.candidates]
    place = st.container()
    chosen: str | None = st.selectbox(
        "Encoding",
        names,
        index=None,
        placeholder="choose the one that reads right",
        help=settings_of(TextSettings)["encoding"].help,
        key=key,
        persist_state="session",
    )
    if chosen is None:
        with place:
            errors.problem(wording.WHICH_ENCODING, error)
            if names:
                widgets.table(
                    {"encoding": names, "how it would read": [candidate.preview for candidate in error.candidates]}
                )
    return chosen
