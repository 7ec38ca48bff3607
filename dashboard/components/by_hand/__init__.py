"""The lecture of the By hand page: what a step shows, and the HTML and CSS that it is drawn with."""

from __future__ import annotations

from pathlib import Path

STYLE = Path(__file__).parent / "by_hand.css"
"""For `st.html`, once a page."""
