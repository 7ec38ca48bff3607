"""Pointing at a word or at a lag in one chart marks it in all charts of the page, at once, in the browser.

Vega-Lite links charts within one specification only, and a page of charts that stand below each other on a phone cannot
be one. But every mark that Vega has drawn knows its row of the table; so a few lines look for the rows of the same word
(`k`) or lag (`lag`) in every chart that is there.
"""

from __future__ import annotations

from pathlib import Path

from dashboard.components.own_component import own_component

_component = own_component("linked_charts", Path(__file__).parent)


def link_charts(key: str) -> None:
    """Link all charts of the page whose tables have a column `k` (place of a word, from 1) or `lag`; draws nothing."""
    _component(key=key, height=1)
