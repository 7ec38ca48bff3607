"""The dials of a training that goes on: its learning rate, its clipping, how far back its losses reach."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from dashboard.components.setting_fields import SettingFields
from dashboard.services import library
from dashboard.services.history import History
from dashboard.state import session
from rnn_core.config import TrainingSettings
from rnn_core.errors import SettingsError, UserError
from rnn_core.runs import Run
from rnn_core.training import STEERABLE, check_change

FIELD_PIXELS = 168


def dial_values(run: Run, history: History) -> dict[str, Any]:
    """What each dial is set to: what was requested last, also where the training has not made the change yet."""
    requested = run.requested_settings()  # first: a training makes the change before it takes the request away
    history.update()
    return history.steered() | requested


def draw(run: Run, values: dict[str, Any], page: str) -> None:
    """A field for each; a new value is requested of the training at once, or refused under its field."""
    fields = SettingFields(f"{page}, steering {run.id}", TrainingSettings)
    with st.container(horizontal=True, key=session.key(page, "steering")):
        for name in STEERABLE:
            fields.follow(name, _rounded(values[name]))
            with st.container(width=FIELD_PIXELS, gap="xxsmall"):
                reason = _refusal(run, name, fields.value(name))
                if reason is not None:
                    reason += f" It goes on with {_shown(fields, name, values[name])}."
                fields.draw(name, reason, on_change=partial(_request_change, run, fields))


def _request_change(run: Run, fields: SettingFields, name: str) -> None:
    value = fields.value(name)
    if _refusal(run, name, value) is not None:
        return  # the field shows why
    try:
        library.steer(run, name, value)
    except UserError as error:
        session.push_problem(error)


def _refusal(run: Run, name: str, value: Any) -> str | None:
    try:
        check_change(run.config.model, run.config.training, name, value)
    except SettingsError as reason:
        return str(reason)
    return None


def _rounded(value: Any) -> Any:
    """Without what a schedule's arithmetic left in the last digits."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _shown(fields: SettingFields, name: str, value: Any) -> str:
    return fields.declared[name].none if value is None else f"{value:g}"
