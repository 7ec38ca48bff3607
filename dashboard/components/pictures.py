"""Every chart of the app: a heading with its name and small buttons (equation, files), and the drawing below."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from dashboard.components import export
from dashboard.components.take_picture import take_picture
from dashboard.text import general as wording

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Chart:
    """A specification without data, the table that goes with it, and what is said of it to those who cannot see it.

    `numbers` are saved where they say more than the table that is drawn. `on_select` is called before the page is drawn
    again after a click. Key and texts are ours, never a user's.
    """

    specification: dict[str, Any]
    table: pd.DataFrame
    key: str
    alt_text: str
    numbers: pd.DataFrame | None = None
    on_select: Callable[[], None] | None = None
    stretch: bool = True


@dataclass(frozen=True, eq=False)
class Drawing:
    """The same for what a component of ours draws, an `svg.marks` in the element with this key.

    Its numbers are put together when they are asked for: the first page loads no tables.
    """

    numbers: Callable[[], pd.DataFrame]
    key: str
    alt_text: str


Picture = Chart | Drawing


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
            table_button("Numbers (CSV)", _numbers(one), key=f"{one.key}, numbers", name=name)


def _numbers(one: Picture) -> pd.DataFrame | Callable[[], pd.DataFrame]:
    if isinstance(one, Chart) and one.numbers is None:
        return one.table
    assert one.numbers is not None
    return one.numbers


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


def picture(title: str, chart: Chart, *, caption: str = "", about: str | None = None) -> None:
    """A chart under its heading, with help of ours, and a sentence of ours (Markdown) that reads it."""
    heading(title, [chart], about=about, level=2)
    if caption:
        st.markdown(caption)
    draw(chart)


def table_button(label: str, table: pd.DataFrame | Callable[[], pd.DataFrame], *, key: str, name: str) -> None:
    """A button that brings a table as CSV; the file is made when it is asked for, and so is a table to be called."""
    st.download_button(
        label,
        lambda: export.csv(table() if callable(table) else table),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=key,
    )


def file_name(key: str, moment: str = "") -> str:
    """ "gradients: gradient by lag", "step 7" -> "gradients-gradient-by-lag-step-7"."""
    return re.sub(r"[^a-z0-9]+", "-", f"{key} {moment}".lower()).strip("-")


def _css_class(key: str) -> str:
    """The class that Streamlit gives to the element with this key."""
    return "st-key-" + re.sub(r"[^a-zA-Z0-9_-]", "-", key.strip())
