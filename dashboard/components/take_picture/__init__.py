"""The buttons that save a chart as SVG or PNG.

The browser makes the file from what it has drawn already, so that a hundred visitors cost the server nothing.
(Streamlit itself offers a PNG alone, without a name, and lets no chart ask its renderer for more.)
"""

from __future__ import annotations

from pathlib import Path

from dashboard.components.own_component import own_component
from dashboard.text import general as wording

_component = own_component("take_picture", Path(__file__).parent)


def take_picture(chart_class: str, *, name: str, title: str, key: str) -> None:
    """Buttons for the chart in the element of this CSS class; the files are called `name`, their title is `title`."""
    data = {"chart": chart_class, "name": name, "title": title, "missing": wording.NOT_DRAWN}
    _component(key=key, data=data)
