"""Every chart of the app: a heading with its name and small buttons (equation, files), and the drawing below."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from dashboard.components import export
from dashboard.components.take_picture import take_picture
from dashboard.text import general as wording

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """What can be taken home: the drawing of the element with this key, and its numbers.

    `numbers` are saved where they say more than the table that is drawn. Key and texts are ours, never a user's.
    """

    table: pd.DataFrame
    key: str
    alt_text: str
    numbers: pd.DataFrame | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Chart(Picture):
    """A picture that Vega-Lite draws: its specification without data.

    `on_select` is called before the page is drawn again after a click.
    """

    specification: dict[str, Any]
    on_select: Callable[[], None] | None = None
    stretch: bool = True


@dataclass(frozen=True)
class Equation:
    """LaTeX, and in Markdown what its letters mean."""

    latex: str
    symbols: str


def heading(
    title: str,
    pictures: Sequence[Picture],
    *,
    about: str | None = None,
    equation: Equation | None = None,
    moment: str = "",
    level: Literal[2, 3] = 3,
) -> None:
    """The name of a picture, and in the same row what can be asked of it. Files are called after key and `moment`."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"{pictures[0].key}, heading"):
        st.markdown(f"{'#' * level} {title}", help=about, anchors=False, width="content")
        st.space("stretch")
        if equation is not None:
            with st.popover(wording.EQUATION, icon=":material/function:", type="tertiary"):
                st.latex(equation.latex)
                st.markdown(equation.symbols)
        save(pictures, moment)


def save(pictures: Sequence[Picture], moment: str = "") -> None:
    """The button that takes pictures home: SVG, PNG and their numbers."""
    with st.popover(wording.SAVE, icon=":material/download:", type="tertiary", key=f"{pictures[0].key}, save"):
        for one in pictures:
            if len(pictures) > 1:
                st.caption(one.alt_text)
            name = file_name(one.key, moment)
            take_picture(_css_class(one.key), name=name, title=one.alt_text, key=f"{one.key}, picture")
            numbers = one.table if one.numbers is None else one.numbers
            table_button("Numbers (CSV)", numbers, key=f"{one.key}, numbers", name=name)


def draw(chart: Chart) -> None:
    """The chart alone, over the width of its container."""
    st.vega_lite_chart(
        chart.table,
        # As SVG however many marks there are: of a canvas no SVG can be made.
        chart.specification | {"usermeta": {"embedOptions": {"renderer": "svg"}}},
        width="stretch" if chart.stretch else "content",
        theme="streamlit",
        key=chart.key,
        alt=chart.alt_text,
        on_select="ignore" if chart.on_select is None else chart.on_select,
    )


def picture(title: str, chart: Chart, *, reading: str = "", about: str | None = None) -> None:
    """A chart under its heading, with help of ours, and a sentence of ours (Markdown) that reads it."""
    heading(title, [chart], about=about, level=2)
    if reading:
        st.markdown(reading)
    draw(chart)


def table_button(label: str, table: pd.DataFrame, *, key: str, name: str) -> None:
    """A button that brings a table as CSV; the file is made when it is asked for."""
    st.download_button(
        label,
        partial(export.csv, table),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=key,
    )


def file_name(key: str, moment: str = "") -> str:
    """ "gradients: lag ledger", "step 7" -> "gradients-lag-ledger-step-7"."""
    return re.sub(r"[^a-z0-9]+", "-", f"{key} {moment}".lower()).strip("-")


def _css_class(key: str) -> str:
    """The class that Streamlit gives to the element with this key."""
    return "st-key-" + re.sub(r"[^a-zA-Z0-9_-]", "-", key.strip())
