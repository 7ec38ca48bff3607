"""How a picture of the laboratory is shown: heading with equation and files, the sentence that reads it, its charts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import pandas as pd
import streamlit as st

from dashboard.charts.specification import Specification
from dashboard.components import pictures
from dashboard.components.pictures import Chart, Equation, Picture
from dashboard.state import link, session
from dashboard.text import laboratory as wording

T = TypeVar("T")

PAGE = "gradients"


def chart(
    name: str,
    specification: Specification,
    table: pd.DataFrame,
    alt_text: str,
    *,
    numbers: pd.DataFrame | None = None,
    on_select: Callable[[], None] | None = None,
    stretch: bool = True,
) -> Chart:
    """A chart of this page; `clicked` knows it by its name."""
    return Chart(specification, table, key(name), alt_text, numbers, on_select, stretch)


def figure(
    name: str,
    caption: str,
    *charts: Chart,
    step: int,
    layout: Literal["below", "beside"] = "below",
    symbols: str = "",
) -> None:
    """A picture of the weights after `step` steps. `caption` may quote a visitor's words: it is shown as plain text.

    `symbols`: what the equation's letters are in this network, where that depends on its cell.
    """
    heading(name, *charts, step=step, symbols=symbols)
    st.text(caption)
    if layout == "below":
        for one in charts:
            pictures.draw(one)
        return
    for column, one in zip(st.columns(len(charts), gap="medium"), charts, strict=True):
        with column:
            pictures.draw(one)


def heading(name: str, *shown: Picture, step: int, symbols: str = "") -> None:
    """The heading alone, for a picture whose charts are laid out by the caller."""
    picture = wording.PICTURES[name]
    equation = Equation(picture.equation, f"{picture.symbols} {symbols}".rstrip())
    pictures.heading(picture.title, shown, about=picture.about, equation=equation, moment=f"step {step}")


def clicked(name: str, parameter: str, field: str) -> float | None:
    """The value of `field` where the chart `name` was clicked; None where the click hit nothing."""
    state = session.value(key(name), None)
    marks = [] if state is None else state["selection"].get(parameter) or []
    return float(marks[0][field]) if marks and field in marks[0] else None


def choose(name: str, label: str, options: list[T], default: T) -> T:
    """One of a few, which the link keeps; the names are ours."""
    by_text = {str(option): option for option in options}
    kept = link.field(
        key(f"{name} of {len(options)}"), name, by_text.__getitem__, default if default in options else options[0]
    )
    chosen: T = st.segmented_control(label, options, required=True, help=wording.HELP[name], **kept)
    return chosen


def more(name: str) -> bool:
    """Whether the visitor wants the further pictures of a step: they are computed only then."""
    return bool(st.toggle(wording.MORE[name], **link.toggle(key(f"more: {name}"), name)))


def key(name: str) -> str:
    """The session's key of a widget or chart of this page."""
    return session.key(PAGE, name)
