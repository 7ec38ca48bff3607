"""Where one goes from a training on the Train page: into it, beside others, or further with it."""

from __future__ import annotations

import contextlib

import streamlit as st

from dashboard.components import errors, fork_form, python_popover
from dashboard.components.setting_fields import show_error
from dashboard.services import library, python_snippets, trainings
from dashboard.state import session
from dashboard.text import training as wording
from rnn_core.errors import UserError
from rnn_core.optim.schedules import SCHEDULES
from rnn_core.runs import Run, RunStatus
from rnn_core.training import goes_on_exactly

PAGE = "train"
"""Whose widgets these are."""

MOST_FURTHER = 10_000_000


def draw(run: Run, status: RunStatus) -> None:
    """What can be done with it next: look into it, and once it is over, train it for longer."""
    if status.checkpoint_step is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.page_link("views/gradients.py", label="See its gradients", icon=":material/gradient:")
            if run.config.task is None:
                st.page_link("views/generate.py", label="Let it write", icon=":material/edit_note:")
            st.page_link(
                "views/compare.py",
                label="Compare with…",
                icon=":material/stacked_line_chart:",
                query_params=session.comparison(_relatives(run)),
            )
            if library.mine(run):
                fork_form.draw(run, PAGE, type="tertiary")
                python_popover.draw(python_snippets.training(run), PAGE)
    if status.state == "finished" and library.mine(run):
        _further(run)


def _relatives(run: Run) -> list[str]:
    """The run, what it was forked from, and what it is the cure of, as far as they are still there."""
    parent = None if run.config.forked is None else run.config.forked.run
    related = [run.id]
    for identifier in (parent, session.run_before()):
        if identifier is not None:
            with contextlib.suppress(UserError):
                related.append(library.open_run(identifier).id)
    return related


def _further(run: Run) -> None:
    """A finished training goes on for as many epochs, or steps, as one likes."""
    training = run.config.training
    unit, default = ("epoch", 10) if training.steps is None else ("step", training.steps)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            more = st.number_input(
                f"More {unit}s",
                value=default,
                help=wording.FURTHER_HELP,
                key=session.key(PAGE, f"more of {run.id}"),
                width=160,
            )
            possible = 1 <= more <= MOST_FURTHER
            label = f"Train {more:,} more {unit}{'' if more == 1 else 's'}" if possible else "Train further"
            if st.button(label, icon=":material/forward:", disabled=not possible, key=session.key(PAGE, "further")):
                _go_further(run, int(more))
        if not possible:
            show_error(f"from 1 to {MOST_FURTHER:,} {unit}s.")
        exact = goes_on_exactly(training, run.config.plan())
        stretched = SCHEDULES[training.schedule].depends_on_the_end
        otherwise = wording.FURTHER_STRETCHED if stretched else wording.FURTHER_VALIDATED
        st.caption(wording.FURTHER_EXACT if exact else otherwise)


def _go_further(run: Run, more: int) -> None:
    with errors.action("This training could not go on"):
        trainings.go_further(more, run)
