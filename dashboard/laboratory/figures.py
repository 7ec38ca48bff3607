"""How a picture is hung: name, reading aid, chart, and behind it the equation."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from dashboard.charts.specification import Specification
from dashboard.components import pictures
from dashboard.state import session
from dashboard.text import laboratory as wording

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
    step: int,
    alt_text: str,
    numbers: pd.DataFrame | None = None,
    on_select: Callable[[], None] | None = None,
    stretch: bool = True,
) -> None:
    """Draw a chart from a specification that stays, and a table beside it that changes: the weights after `step` steps.

    `numbers` are taken home where they say more than the table that is drawn. `on_select` is called before the page is
    drawn again after a click; `clicked` then says on what.
    """
    pictures.chart(
        specification,
        table,
        key=key(name),
        alt_text=alt_text,
        numbers=numbers,
        moment=f"step {step}",
        on_select=on_select,
        stretch=stretch,
    )


def clicked(name: str, parameter: str, field: str) -> float | None:
    """The value of `field` where the chart `name` was clicked; None where the click hit nothing."""
    state = session.value(key(name), None)
    marks = [] if state is None else state["selection"].get(parameter) or []
    return float(marks[0][field]) if marks and field in marks[0] else None


def behind(name: str) -> None:
    """On demand: the equation, and what its letters mean."""
    picture = wording.PICTURES[name]
    with st.expander("Equation", icon=":material/function:"):
        st.latex(picture.equation)
        st.markdown(picture.symbols)


def key(name: str) -> str:
    return session.key(PAGE, name)
