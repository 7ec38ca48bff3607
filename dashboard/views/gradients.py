"""Gradients: one argument in five steps and a verdict, for any sentence and any moment of a training."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import streamlit as st

from dashboard.components import demo, errors, polling, python_popover, widgets
from dashboard.components.linked import link_charts
from dashboard.components.opened_run import no_weights, opened_run
from dashboard.laboratory import allowed, arrives, choices, cost, figures, lost, refresh, units
from dashboard.laboratory.task_analysis import TaskAnalysis
from dashboard.laboratory.verdict import divergence, verdict
from dashboard.laboratory.view_state import ViewState
from dashboard.services import library, network, python_snippets
from dashboard.services.history import History
from dashboard.services.network import Loaded
from dashboard.state import session
from dashboard.text import general as common_wording
from dashboard.text import laboratory as wording
from rnn_core.data import detokenize
from rnn_core.runs import Run, RunStatus


def page() -> None:
    st.title("Gradients", anchor=False)
    run = opened_run()
    if run is None:
        demo.offer("gradients")
        return
    live = polling.at_work(run)
    newest = refresh.newest(run, run.moments(), live)
    st.fragment(errors.error_boundary(argument))(run, live)
    link_charts(figures.key("linked"))
    if live:
        # Apart from the pictures, which cost more to send again than to look whether there is anything new to send.
        st.fragment(errors.error_boundary(pulse), run_every=refresh.LOOK_SECONDS)(run, newest)


def pulse(run: Run, drawn: int | None) -> None:
    """Look every few seconds whether the pictures have grown old, or the training has ended."""
    if not polling.at_work(run) or refresh.newest(run, run.moments(), live=True) != drawn:
        st.rerun()


def argument(run: Run, live: bool) -> None:
    """Choose sentence, loss and moment; then the five steps and the verdict, all of them of one sentence."""
    started = time.thread_time()
    moments = run.moments()
    if not moments:
        if run.config.task is None:
            network.newest(run)  # Where there are weights that cannot be read, this says why.
        no_weights(run)
        return
    history = session.history(run)
    history.update()
    explanation(run, run.status())
    view = choices.draw(run, moments, live)
    if view is None:
        return
    for place, (name, draw) in enumerate(STEPS.items(), start=1):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"## {place} {wording.STEPS[name]}", anchors=False, width="content")
            if place == 1 and library.mine(run):
                st.space("stretch")
                python_popover.draw(same_in_python(view), "gradients")
        draw(view, history)
    st.markdown(f"## {wording.VERDICT}", anchors=False)
    numbers(view)
    verdict(view)
    if isinstance(view.analysis.loaded, Loaded):  # The report is of a sentence.
        sentence = detokenize(view.analysis.words, view.analysis.loaded.vocabulary.unit)
        widgets.report_button(lambda: library.report(run, sentence), run.id, key=figures.key("report"))
    refresh.spent(run, moments, time.thread_time() - started)


def same_in_python(view: ViewState) -> str:
    step, analysis = view.analysis.loaded.step, view.analysis
    if isinstance(analysis, TaskAnalysis):
        return python_snippets.gradients_of_task(view.run, step, analysis.number, view.chosen)
    return python_snippets.gradients(view.run, step, analysis.words, view.chosen)


STEPS: dict[str, Callable[[ViewState, History], None]] = {
    "arrives": arrives.draw,
    "allowed": allowed.draw,
    "lost": lost.draw,
    "units": units.draw,
    "cost": cost.draw,
}


def explanation(run: Run, status: RunStatus) -> None:
    """Why a training ended before its time; after a divergence, the cure stands first."""
    if status.state == "diverged":
        divergence(run, status)
    elif status.state in ("failed", "dead"):
        errors.problem(common_wording.STATE_HELP[status.state], status.message)


def numbers(view: ViewState) -> None:
    """Figures of the whole sentence."""
    flow, unit = view.analysis.flow, view.unit
    reach = len(view.analysis.words)
    losses = flow.losses_nats[flow.mask]
    with st.container(horizontal=True, gap="medium"):
        widgets.number(
            "Half-life",
            reach if flow.half_life is None else flow.half_life,
            f"> {{:.0f}} {unit}s" if flow.half_life is None else f"{{:.2f}} {unit}s",
            help="How far back the median gradient of this sentence has fallen to one half.",
        )
        loss = float(np.mean(losses))
        nats = " nats" if view.analysis.model.loss_function.in_nats else ""
        what = "sentence" if view.run.config.task is None else "sequence"
        widgets.number(f"Loss of this {what}", loss, ("{:.3f}" if loss < 1e4 else "{:.3g}") + nats)
        name = flow.recurrent[0]
        about = f"Norm of dE/d{name} for this sentence."
        widgets.number(f"Gradient of {name}", flow.full_gradient_norm, "{:.3g}", help=about)
        widgets.number("Weights of step", float(view.analysis.loaded.step), "{:,.0f}")


page()
