"""The buttons that save a chart as SVG or PNG.

The browser makes the file from what it has drawn already, so that a hundred visitors cost the server nothing.
(Streamlit itself offers a PNG alone, without a name, and lets no chart ask its renderer for more.)
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.text import general as wording

_FILES = Path(__file__).parent
_component = st.components.v2.component(
    "take_picture",
    html=(_FILES / "take_picture.html").read_text(encoding="utf-8"),
    css=(_FILES / "take_picture.css").read_text(encoding="utf-8"),
    js=(_FILES / "take_picture.js").read_text(encoding="utf-8"),
)


def take_picture(chart_class: str, *, name: str, title: str, key: str) -> None:
    """Buttons for the chart in the element of this CSS class; the files are called `name`, their title is `title`."""
    data = {"chart": chart_class, "name": name, "title": title, "missing": wording.NOT_DRAWN}
    _component(key=key, data=data)
