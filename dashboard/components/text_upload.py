"""The field that takes a file with a text."""

from __future__ import annotations

import streamlit as st

from dashboard import hosting
from dashboard.services.sources import Upload
from dashboard.state import session

EXTENSIONS = ["txt", "text", "md", "csv", "tsv", "jsonl", "ndjson", "json"]


def text_upload(page: str) -> Upload | None:
    """The file that the field of this page holds, no larger than a hosted server takes; None while it is empty."""
    caps = hosting.current_caps()
    file = st.file_uploader(
        "A text",
        EXTENSIONS,
        max_upload_size=None if caps is None else caps.upload_megabytes,
        key=session.key(page, "file"),
        label_visibility="collapsed",
    )
    return None if file is None else Upload(file.name, file.getvalue())
