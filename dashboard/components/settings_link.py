"""The settings of a form in the page's link: whoever opens it finds the form filled in.

A setting stands there under its name, after a `prefix` where two forms of a page would meet. What a link says may be
anybody's: a value that its setting cannot have is not taken, and a sentence says why.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from dashboard.components import errors
from dashboard.components.setting_fields import SettingFields
from dashboard.state import link, session
from dashboard.text import general as wording
from rnn_core.config.fields import Setting

NONE = "none"
LONGEST = 40


def fill(fields: SettingFields, names: Collection[str], prefix: str = "") -> None:
    """Before the form is drawn: put into the fields what a link says that this page has not written itself."""
    linked = {name: text for name in names if (text := link.read(prefix + name))}
    # (On the way back from another page it says nothing, and the fields hold what they held.)
    if not linked or linked == session.value(fields.key("link"), {}):
        return
    session.put(fields.key("link"), linked)
    refused = []
    for name, text in linked.items():
        try:
            fields.put(name, _read(fields.declared[name], text))
        except ValueError as reason:
            refused.append(f"{fields.declared[name].label}: {reason}")
    session.put(fields.key("refused"), "\n".join(refused))


def show_refusals(fields: SettingFields) -> None:
    """What of the link was refused, and why."""
    refused = session.value(fields.key("refused"), "")
    if refused:
        errors.problem(wording.LINK_REFUSED, refused)


def write(
    fields: SettingFields,
    names: Collection[str],
    values: Mapping[str, Any],
    defaults: Mapping[str, Any],
    prefix: str = "",
) -> None:
    """After the form was drawn: write into the link what differs from the defaults."""
    differs = {name: _written(values[name]) for name in names if values[name] != defaults[name]}
    for name in names:
        link.write(prefix + name, differs.get(name))
    session.put(fields.key("link"), differs)


def clear(fields: SettingFields, names: Collection[str], prefix: str = "") -> None:
    """Take them out of the link: the page is about to show something else."""
    for name in names:
        link.write(prefix + name, None)
    session.put(fields.key("link"), {})
    session.put(fields.key("refused"), "")


def _written(value: Any) -> str:
    if value is None:
        return NONE
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(setting: Setting, text: str) -> Any:
    """The value that `_written` gave. Raises ValueError, with the reason, for any other text."""
    value = _value(setting, text)
    if not setting.fits(value):
        raise ValueError(f"{text[:LONGEST]!r} is no value that it can have.")
    if not setting.allows(value):
        raise ValueError(setting.refusal.format(value=text[:LONGEST], choices=", ".join(setting.choices or ())))
    return value


def _value(setting: Setting, text: str) -> Any:
    """As its setting's type where it is one, else the text itself."""
    if text == NONE and setting.optional:
        return None
    if setting.kind is bool:
        return {"true": True, "false": False}.get(text, text)
    if setting.kind is str:
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    whole = setting.kind is int and math.isfinite(number) and number.is_integer() and abs(number) <= 2**53
    return int(number) if whole else number
