"""The box that takes the zip archive of a training."""

from __future__ import annotations

import streamlit as st

from dashboard import hosting
from dashboard.components import errors
from dashboard.services import library
from dashboard.state import session
from dashboard.text import runs as wording

PAGE = "runs"


def box() -> None:
    """The way back in for a training that was downloaded, here or elsewhere."""
    caps = hosting.current_caps()
    counter = session.key(PAGE, "imported")
    imported = st.session_state.setdefault(counter, 0)
    with st.popover("Import", icon=":material/upload:"):
        st.markdown(wording.IMPORT_HELP)
        file = st.file_uploader(
            "A training's zip archive",
            "zip",
            max_upload_size=None if caps is None else caps.uploads_megabytes,
            key=session.key(PAGE, f"zip {imported}"),
            label_visibility="collapsed",
        )
        if file is None:
            return
        with errors.action("It was not imported"):
            session.open_run(library.import_zip(file).id)
            st.session_state[counter] += 1  # An empty box takes the place of the one with the file.
            session.push_notice("Imported, and opened.")
