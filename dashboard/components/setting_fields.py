"""Widgets for declared settings: the label, the help, the choices and the bounds are those of `rnn_core.config`.

A field sends whatever is typed, also what is out of bounds: what a page shows is what it works with, and the reason
why a value will not do stands under its field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import streamlit as st

from dashboard.state import session
from rnn_core.config import Settings, settings_of
from rnn_core.config.fields import Setting

AnySettings = TypeVar("AnySettings", bound=Settings)

_DIGITS = "%.17g"
"""As many as it takes: a field must not show another number than the one it holds."""


def show_error(reason: str) -> None:
    """Under a field: why its value will not do."""
    st.markdown(f":small[:red[:material/error: {reason[0].upper()}{reason[1:]}]]")


def number_field(label: str, low: float, high: float, step: float, **options: Any) -> float | None:
    """A field for a number that is no setting; None, with the reason under it, where it is out of bounds."""
    number: float = st.number_input(label, step=float(step), **options)
    if low <= number <= high:
        return number
    show_error(f"from {low:,g} to {high:,g}.")
    return None


class SettingFields:
    """The settings of some classes as the widgets of one page. Their values survive a change of page.

    defaults: what a page starts with where that differs from the declaration.
    """

    def __init__(self, page: str, *settings_classes: type[Settings], defaults: Mapping[str, Any] | None = None) -> None:
        self.page = page
        self.declared = {name: one for part in settings_classes for name, one in settings_of(part).items()}
        self.defaults = {name: one.default for name, one in self.declared.items()} | dict(defaults or {})

    def key(self, name: str) -> str:
        """The session-state key of a setting's widget."""
        return session.key(self.page, name)

    def read(self, settings_class: type[AnySettings], **given: Any) -> AnySettings:
        """The settings that the fields hold, drawn or not yet, with some that are `given` in their place."""
        return settings_class(
            **{name: self.value(name) for name in settings_of(settings_class) if name not in given}, **given
        )

    def put(self, name: str, value: Any) -> None:
        """Set a field, from a button's `on_click`."""
        session.put(self.key(name), self._as_widget_holds(name, value))

    def follow(self, name: str, value: Any) -> None:
        """Before it is drawn: let a field show `value` whenever that changes, as `session.follow` does."""
        session.follow(self.key(name), self._as_widget_holds(name, value))

    def draw(
        self,
        name: str,
        reason: str | None = None,
        label: str | None = None,
        on_change: Callable[[str], None] | None = None,
    ) -> None:
        """The field of one setting; under it the reason why its value will not do, if there is one.

        on_change: called with the setting's name when the visitor has set the field.
        """
        setting = self.declared[name]
        label = label or setting.label
        options: dict[str, Any] = {"key": self.key(name), "help": setting.help, "persist_state": "session"}
        if on_change is not None:
            options |= {"on_change": on_change, "args": (name,)}
        session.start_with(self.key(name), self._as_widget_holds(name, self.defaults[name]))
        if setting.choices is not None:
            choices = setting.choices
            st.selectbox(label, list(choices), format_func=lambda value: choices[value].label, **options)
        elif setting.kind is bool:
            st.toggle(label, **options)
        else:
            self._number(setting, label, options)
        if reason is not None:
            show_error(reason)

    def _number(self, setting: Setting, label: str, options: dict[str, Any]) -> None:
        """A field of floats without bounds, for whole numbers too. With bounds (or, of integers, above 2^53) a browser
        would not send a number that it refuses: the page would go on with the last good one while it shows another.
        """
        if setting.optional:
            options |= {"value": None, "placeholder": setting.none}
        default_step = 1 if setting.kind is int else 0.01
        st.number_input(label, step=float(setting.step or default_step), format=_DIGITS, **options)

    def value(self, name: str) -> Any:
        """What the field of a setting holds; a fraction where that should be a whole number stays one."""
        held = session.value(self.key(name), self.defaults[name])
        whole = self.declared[name].kind is int and isinstance(held, float) and held.is_integer()
        return int(held) if whole else held

    def _as_widget_holds(self, name: str, value: Any) -> Any:
        """A value as its widget holds it: a number is a float, since all fields of numbers hold floats (`_number`)."""
        number = self.declared[name].kind in (int, float) and value is not None
        return float(value) if number else value
