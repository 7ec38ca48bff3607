"""A fork: the settings with which another training goes on from a moment of this one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import streamlit as st

from dashboard.components import errors
from dashboard.components.setting_fields import SettingFields
from dashboard.services import trainings
from dashboard.state import session
from dashboard.text import training as wording
from rnn_core.config import ModelConfig, TrainingSettings, problems, settings_of
from rnn_core.runs import RUN_ID, Run, RunConfig

OFFERED = ("learning_rate", "clip", "truncate", "schedule", "weight_decay", "dropout")
"""Settings that a fork may change. How long it trains it may change too, in epochs or in steps as its parent."""


def draw(run: Run, page: str, type: Literal["secondary", "tertiary"] = "secondary") -> None:
    """A button that opens the form; where it is sent off, the Train page shows the new training."""
    history = session.history(run)
    history.update()
    with st.popover(
        "Fork",
        icon=":material/call_split:",
        type=type,
        help=wording.FORK_HELP,
        key=session.key(page, f"fork form of {run.id}"),  # closed again in the run that it makes
    ):
        moments = run.moments()[::-1]
        whole = set(run.checkpoint_steps())
        step = st.selectbox(
            "From",
            moments,
            format_func=lambda moment: f"step {moment:,}" + ("" if moment in whole else " · weights only"),
            key=session.key(page, f"fork {run.id}"),
        )
        st.caption(wording.FORK_EXACT if step in whole else wording.FORK_WEIGHTS)
        fields = SettingFields(f"{page}, fork {run.id} at {step}", ModelConfig, TrainingSettings)
        length = "steps" if run.config.training.steps is not None else "epochs"
        before = _values(run.config) | history.steered(step)
        names = [*OFFERED, length]
        for name in names:
            fields.follow(name, before[name])
        wanted = {name: fields.value(name) for name in names}
        reasons = _reasons(run.config, wanted)
        for column, half in zip(st.columns(2), (names[::2], names[1::2]), strict=True):
            with column:
                for name in half:
                    fields.draw(name, reasons.get(name))
        changes = {name: value for name, value in wanted.items() if value != before[name]}
        if st.button("Fork and train", type="primary", icon=":material/call_split:", disabled=bool(reasons)):
            _begin(run, step, changes)


def origin(config: RunConfig) -> None:
    """Of a fork: where it came from."""
    if config.forked is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        at = f"forked at step {config.forked.step:,}" + ("" if config.forked.exact else ", from its weights")
        st.caption(at, width="content")
        if RUN_ID.fullmatch(config.forked.run):
            st.page_link(
                "views/train.py",
                label="What it was forked from",
                icon=":material/call_merge:",
                query_params={"run": config.forked.run},
            )


def _begin(run: Run, step: int, changes: Mapping[str, Any]) -> None:
    with errors.action("This could not be forked"):
        session.open_run(trainings.fork(run, step, changes))
        st.switch_page("views/train.py")


def _values(config: RunConfig) -> dict[str, Any]:
    return config.model.to_json() | config.training.to_json()


def _reasons(config: RunConfig, wanted: Mapping[str, Any]) -> dict[str, str]:
    """Why values will not do, by the names of their settings."""
    of_training = {name: value for name, value in wanted.items() if name in settings_of(TrainingSettings)}
    of_model = {name: value for name, value in wanted.items() if name not in of_training}
    reasons = problems(
        dataclasses.replace(config.model, **of_model), dataclasses.replace(config.training, **of_training)
    )
    if wanted["learning_rate"] is None:
        reasons["learning_rate"] = "the learning rate must be a number above 0."
    return reasons
