"""The way in for a network that somebody trained in PyTorch: its weights, its words, and a run like any other."""

from __future__ import annotations

import streamlit as st

from dashboard import hosting
from dashboard.components import errors
from dashboard.services import library
from dashboard.state import session
from dashboard.text import runs as wording

ACTIVATIONS = {"tanh": "tanh", "relu": "ReLU"}


def box(page: str) -> None:
    """Two files and what they leave open; the run is opened once both are read."""
    caps = hosting.current_caps()
    limit = None if caps is None else caps.uploads_megabytes
    counter = session.key(page, "networks imported")
    imported = st.session_state.setdefault(counter, 0)
    with st.popover("PyTorch network", icon=":material/deployed_code:"):
        st.markdown(wording.NETWORK_HELP)
        weights = st.file_uploader(
            "Weights (safetensors)",
            "safetensors",
            max_upload_size=limit,
            key=session.key(page, f"weights {imported}"),
        )
        words = st.file_uploader(
            "Its words (JSON or lines)",
            ["json", "txt"],
            max_upload_size=limit,
            key=session.key(page, f"words {imported}"),
        )
        activation = st.segmented_control(
            "An nn.RNN computes with",
            ACTIVATIONS,
            default="tanh",
            format_func=ACTIVATIONS.__getitem__,
            help="The activation of an nn.RNN, which is not in its file. Without effect for an LSTM or a GRU.",
            key=session.key(page, "activation"),
        )
        ready = weights is not None and words is not None
        if not st.button(
            "Open it",
            type="primary" if ready else "secondary",
            disabled=not ready,
            key=session.key(page, "open network"),
        ):
            return
        assert weights is not None  # else the button does nothing
        assert words is not None
        with errors.action("It was not opened"):
            run, assumed = library.import_network(
                weights.getvalue(),
                words.getvalue(),
                weights.name,
                "relu" if activation == "relu" else None,
            )
            st.session_state[counter] += 1  # Empty boxes take the place of those with the files.
            session.open_run(run.id)
            kept = "Opened: a run like any other, with the weights as they came."
            session.push_notice(f"{kept} But {assumed}" if assumed else kept)
