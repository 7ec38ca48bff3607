"""What a page's link says. Everything that is set on a page stands there under a short name, unless it is as usual, so
that a link which is opened elsewhere shows the same.

A link may be anybody's: what in it cannot be read, or is no choice, counts as nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from typing import Any

import streamlit as st


def read(parameter: str) -> str:
    """What the link says of this, as anybody may have written it; "" where it says nothing."""
    return st.query_params.get(parameter, "")


def write(parameter: str, value: str | None) -> None:
    """Let the link say this from now on; None: nothing."""
    if value is None:
        st.query_params.pop(parameter, None)
    elif st.query_params.get(parameter) != value:
        st.query_params[parameter] = value


def choice(parameter: str, choices: Collection[str], default: str) -> dict[str, Any]:
    """Options of a widget that chooses one of these texts: it stands in the link, unless it is the default, and is kept
    for the visit.
    """
    widget = f"link: {parameter}"
    # Here the link wins over the widget, so that a link followed inside the app changes the choice. Hence `on_change`:
    # a click must be in the link before the page is run again.
    if read(parameter) in choices:
        st.session_state[widget] = read(parameter)
    elif st.session_state.get(widget) not in choices:
        st.session_state[widget] = default
    chosen = st.session_state[widget]
    write(parameter, None if chosen == default else chosen)
    return {
        "key": widget,
        "persist_state": "session",
        "on_change": lambda: write(parameter, st.session_state[widget]),
    }


def field(
    widget: str, parameter: str, parse: Callable[[str], Any], default: Any, written: Callable[[Any], str] = str
) -> dict[str, Any]:
    """Options of the widget with this key: what it holds stands in the link as `written`, unless it is the default, and
    is kept for the visit. A field that was never drawn takes what `parse` reads in the link.
    """
    prefill(widget, parameter, parse)
    held = st.session_state.setdefault(widget, default)
    write(parameter, None if held == default else written(held))
    return {"key": widget, "persist_state": "session"}


def prefill(widget: str, parameter: str, parse: Callable[[str], Any]) -> None:
    """Put what the link says into the field with this key, unless it holds something already."""
    said = read(parameter)
    if said and widget not in st.session_state:
        with contextlib.suppress(ValueError, KeyError):
            st.session_state[widget] = parse(said)


def parse_number(text: str) -> float:
    """A number of a link. Raises ValueError for what no field can hold."""
    found = float(text)
    if not abs(found) <= 2**53:
        raise ValueError("the field of a browser holds no such number")
    return found


def short(value: float) -> str:
    """A number as a link has it: whole numbers in full, others without what arithmetic left in their last digits."""
    return str(int(value)) if float(value).is_integer() else f"{value:.12g}"


def number_within(least: float, most: float) -> Callable[[str], float]:
    """A number of a link between these two; ValueError for any other."""

    def parse(text: str) -> float:
        if not least <= (found := float(text)) <= most:
            raise ValueError(f"a number from {least:g} to {most:g} is wanted")
        return found

    return parse


def whole(least: int, most: int) -> Callable[[str], int]:
    """A whole number of a link between these two; ValueError for any other."""

    def parse(text: str) -> int:
        # (Of a text of thousands of digits, which anybody may send, int() reads the first twenty.)
        if not text.isdecimal() or not least <= (found := int(text[:20])) <= most:
            raise ValueError(f"a whole number from {least} to {most} is wanted")
        return found

    return parse


def words(most: int) -> Callable[[str], str]:
    """A text of a link; ValueError for one of more than `most` characters, which its field would not take."""

    def parse(text: str) -> str:
        if len(text) > most:
            raise ValueError(f"at most {most} characters are wanted")
        return text

    return parse


parse_yes = {"1": True}.__getitem__
"""A toggle of a link: "1" where it is on; KeyError for anything else."""


def toggle(widget: str, parameter: str) -> dict[str, Any]:
    """Options of a toggle that stands in the link as `parameter`=1 where it is on."""
    return field(widget, parameter, parse_yes, False, lambda on: "1")
