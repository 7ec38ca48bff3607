"""A new training on a task: which one, its settings, and those of the network and its training."""

from __future__ import annotations

import streamlit as st

from dashboard import hosting
from dashboard.components import errors, settings_form, settings_link
from dashboard.components.setting_fields import SettingFields
from dashboard.services import trainings
from dashboard.state import link, session
from dashboard.text import tasks as wording
from rnn_core.config import (
    CELLS,
    TASKS,
    ModelConfig,
    TaskSettings,
    TrainingSettings,
    problems,
    settings_of,
    unused_settings,
)
from rnn_core.data.tasks import Task, make_task
from rnn_core.errors import UserError

PAGE, TASK = "train task", "task"
"""Of the widgets of the network and its training, and of those of the task."""

SENTENCES = 10**6
"""A task's stream has no end; the form suggests the batch of a long text."""


def set_up() -> None:
    """Choose and start."""
    settings_form.fill_from_link(PAGE)
    settings, task = choose_task()
    caps = hosting.current_caps()
    limits = {} if caps is None else caps.of_settings()
    form = settings_form.draw(PAGE, 2 if task is None else task.symbols or 2, SENTENCES, limits, of_task=True)
    default_name = f"{TASKS[settings.task].label}: {CELLS[form.model.cell].label}, {form.model.hidden_size} units"
    name = settings_form.name_field(PAGE, default_name)
    refusal = form.report() or (None if task is None else settings_form.refusal(task, form.model, form.training))
    if refusal:
        errors.problem("This cannot be trained", refusal)
    if st.button(
        "Start training",
        type="primary",
        icon=":material/play_arrow:",
        disabled=task is None or bool(refusal),
        key=session.key(PAGE, "start"),
    ):
        _begin(name, settings, form.model, form.training)


def clear_link() -> None:
    """Take the task's settings out of the page's link: it is about to show a training."""
    settings_link.clear(SettingFields(TASK, TaskSettings), settings_of(TaskSettings))
    link.write("learn", None)


def choose_kind() -> str:
    """Whether a "text" is to be learnt or a "task": in the link."""
    kind: str = st.segmented_control(
        "What to learn",
        list(wording.LEARN),
        required=True,
        format_func=wording.LEARN.__getitem__,
        help=wording.LEARN_HELP,
        **link.choice("learn", wording.LEARN, "text"),
    )
    return kind


def choose_task() -> tuple[TaskSettings, Task | None]:
    """The fields of the task -> what they hold, and the task; None where it makes no sense, which is said."""
    fields = SettingFields(TASK, TaskSettings)
    settings_link.fill(fields, fields.declared)
    settings = fields.read(TaskSettings)
    idle = unused_settings(settings)
    settings = TaskSettings(**{name: getattr(settings, name) for name in fields.declared if name not in idle})
    reasons = problems(settings)
    settings_link.write(fields, fields.declared, settings.to_json(), fields.defaults)
    names = [name for name in fields.declared if name not in idle]
    with st.container(border=True):
        fields.draw("task", reasons.get("task"))
        task = None if reasons else _made(settings)
        if task is not None:
            st.caption(f"{task.about} {task.source}.")
        for column, name in zip(st.columns(max(3, len(names) - 1)), names[1:], strict=False):
            with column:
                fields.draw(name, reasons.get(name))
    return settings, task


def _made(settings: TaskSettings) -> Task | None:
    try:
        return make_task(settings)
    except UserError as reason:
        errors.problem("This task makes no sense", reason)
        return None


def _begin(name: str, task: TaskSettings, model: ModelConfig, training: TrainingSettings) -> None:
    with errors.action("This training could not be started"):
        begun = trainings.begin_task(name, task, model, training)
        settings_form.clear_link(PAGE)
        clear_link()
        session.open_run(begun)
