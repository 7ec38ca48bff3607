"""How a picture is hung: name, reading aid, chart, and behind it the equation and its numbers to take home."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd
import streamlit as st

from dashboard import export, session
from dashboard import wording_laboratory as wording
from dashboard.charts.laboratory import Specification

PAGE = "gradients"


def heading(name: str, reading: str) -> None:
    """The name of a picture, and the sentence that says what it shows now. `reading` may quote a visitor's words."""
    picture = wording.PICTURES[name]
    st.subheader(picture.title, anchor=False, help=picture.about)
    st.text(reading)


def chart(
    name: str,
    specification: Specification,
    table: pd.DataFrame,
    *,
    alt_text: str,
    on_select: Callable[[], None] | None = None,
    stretch: bool = True,
) -> None:
    """Draw a chart from a specification that stays, and a table beside it that changes.

    `on_select` is called before the page is drawn again after a click; `clicked` then says on what.
    """
    st.vega_lite_chart(
        table,
        specification,
        width="stretch" if stretch else "content",
        theme="streamlit",
        key=key(name),
        alt=alt_text,
        on_select="ignore" if on_select is None else on_select,
    )


def clicked(name: str, parameter: str, field: str) -> float | None:
    """The value of `field` where the chart `name` was clicked; None where the click hit nothing."""
    state = session.value(key(name), None)
    marks = [] if state is None else state["selection"].get(parameter) or []
    return float(marks[0][field]) if marks and field in marks[0] else None


def behind(name: str, step: int, tables: Mapping[str, pd.DataFrame]) -> None:
    """On demand: the equation, what its letters mean, and the picture's numbers as CSV. Names of tables are ours."""
    picture = wording.PICTURES[name]
    with st.expander("Equation and numbers", icon=":material/function:"):
        st.latex(picture.equation)
        st.markdown(picture.symbols)
        downloads(name, step, tables)
        st.caption(wording.TAKE_HOME)


def downloads(name: str, step: int, tables: Mapping[str, pd.DataFrame]) -> None:
    """A button a table; the file is made when it is asked for. Names of tables are ours."""
    with st.container(horizontal=True):
        for label, table in tables.items():
            st.download_button(
                f"{label} (CSV)",
                partial(export.csv, table),
                file_name=f"{label.lower().replace(' ', '-')}-step-{step}.csv",
                mime="text/csv",
                icon=":material/download:",
                on_click="ignore",
                key=key(f"csv {name} {label}"),
            )


def key(name: str) -> str:
    return session.key(PAGE, name)
