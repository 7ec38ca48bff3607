"""Pointing at a word or at a lag in one chart marks it in all charts of the page, at once, in the browser.

Vega-Lite links charts within one specification only, and a page of charts that stand below each other on a phone cannot
be one. But every mark that Vega has drawn knows its row of the table; so a few lines look for the rows of the same word
(`k`) or lag (`lag`) in every chart that is there.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_FILES = Path(__file__).parent
_component = st.components.v2.component(
    "linked_charts", html="<span></span>", js=(_FILES / "linked.js").read_text(encoding="utf-8")
)


def link_charts(key: str) -> None:
    """Link all charts of the page whose tables have a column `k` (place of a word, from 1) or `lag`; draws nothing."""
    _component(key=key, height=1)
