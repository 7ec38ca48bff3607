"""What a training has gone through so far: its numbers, its curves, what it wrote, what was changed on the way."""

from __future__ import annotations

import streamlit as st

from dashboard.charts import training as charts
from dashboard.components import formatting, pictures, widgets
from dashboard.components.pictures import Chart
from dashboard.services import references
from dashboard.services.history import History
from dashboard.text import tasks as task_wording
from dashboard.text import training as wording
from rnn_core.data.tasks import make_task
from rnn_core.runs import Run
from rnn_core.training import perplexity


def numbers(run: Run, history: History) -> None:
    """The newest of each."""
    latest = history.latest
    validation = history.validation[max(history.validation)] if history.validation else None
    with st.container(horizontal=True, gap="medium"):
        widgets.number("Training loss", history.recent_loss(), "{:.3f}", help=wording.NUMBER_HELP["training"])
        widgets.number("Validation loss", validation, "{:.3f}", help=wording.NUMBER_HELP["validation"])
        if run.config.task is not None:
            task, error = make_task(run.config.task), history.metric
            about = task_wording.ERROR_HELP.format(baseline=task.baseline)
            name = task.metric_name.capitalize()
            widgets.number(name, error[max(error)] if error else None, "{:.4g}", help=about)
        else:
            widgets.number(
                "Perplexity",
                None if validation is None else perplexity(validation),
                "{:,.1f}",
                help=wording.NUMBER_HELP["perplexity"],
            )
        widgets.number("Gradient norm", latest.get("gradient_norm"), "{:.3g}", help=wording.NUMBER_HELP["gradient"])
        counted = "Answers" if run.config.task is not None else f"{formatting.unit(run.config.text.unit).capitalize()}s"
        widgets.number(f"{counted} per second", latest.get("tokens_per_second"), "{:,.0f}")
        widgets.number("Learning rate", latest.get("learning_rate"), "{:.3g}")


def curves(run: Run, history: History) -> None:
    """Loss; beside it the gradient's norm, and how far the gradient reaches. Settings that changed stand in all."""
    wide, narrow = st.columns([3, 2], gap="large")
    unit, lost = formatting.units_of(run.config)
    changes = [(change.step, change.label) for change in history.changes]
    with wide:
        known, _ = references.losses(run)
        named = {wording.REFERENCES[name]: nats for name, nats in known.items()}
        pictures.picture(
            "Loss",
            Chart(
                charts.loss_chart(lost),
                charts.loss_table(history.loss.steps, history.loss.values, history.validation, named, changes),
                "loss chart",
                "Training and validation loss over the steps of the training",
            ),
            about=wording.REFERENCES_HELP,
        )
    with narrow:
        before, after = history.norm_before, history.norm_after
        pictures.picture(
            "Gradient norm",
            Chart(
                charts.gradient_norm_chart(),
                charts.gradient_norm_table(
                    (before.steps, before.values), (after.steps, after.values), history.clip_limits, changes
                ),
                "gradient norm chart",
                "Norm of the gradient over the steps of the training, before and after clipping",
            ),
        )
        if len(history.horizons) > 1:
            pictures.picture(
                "Half-life of the gradient",
                Chart(
                    charts.half_life_chart(unit),
                    charts.half_life_table(history.horizons, changes),
                    "half-life chart",
                    "After how many steps back half of a gradient is left, over the steps of the training",
                ),
                about=wording.HALF_LIFE_HELP,
            )


def words(history: History) -> None:
    """The newest sample, as it is; the earlier ones on demand."""
    if not history.samples:
        return
    step, text = history.samples[-1]
    st.header("What it writes", anchor=False)
    st.code(text or " ", language=None, wrap_lines=True)
    st.caption(f"after {step:,} steps")
    if len(history.samples) > 1:
        with st.expander("Earlier sentences"):
            earlier = history.samples[-2::-1]
            widgets.table({"step": [step for step, _ in earlier], "text": [text for _, text in earlier]})


def particulars(run: Run, history: History) -> None:
    """What happened besides steps, and with which settings."""
    if history.changes:
        with st.expander("Settings that changed on the way"):
            widgets.table(
                {
                    "step": [change.step for change in history.changes],
                    "change": [change.text for change in history.changes],
                    "why": [change.why for change in history.changes],
                }
            )
    with st.expander("Settings of this training"):
        widgets.settings(run.config, {change.setting: history.steered()[change.setting] for change in history.changes})
