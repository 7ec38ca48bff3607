"""A new sweep: what is learnt, which settings differ, and everything else. The link keeps it."""

from __future__ import annotations

import streamlit as st

from dashboard import hosting
from dashboard.components import chosen_text, demo, errors, formatting, settings_form, task_form
from dashboard.services import sweeps
from dashboard.state import link, session
from dashboard.text import sweep as wording
from rnn_core.config import ModelConfig, TaskSettings, TextSettings, TrainingSettings, settings_of
from rnn_core.data import PreparedCorpus
from rnn_core.errors import UserError
from rnn_core.experiments.grid import Grid, parse_grid
from rnn_core.experiments.sweep import Sweep
from rnn_core.experiments.sweep_runner import corpus_digest

PAGE = "sweep"
NOT_OFFERED = ("vocabulary_size", "seed", "task", "validation_sequences")
DEFAULT_GRID = ("hidden_size",)
LONGEST_VALUES, MOST_SEEDS = 500, 20


def draw() -> None:
    """Choose and start."""
    caps = hosting.current_caps()
    st.markdown(wording.INTRO)
    if caps is not None:
        st.markdown(wording.HOSTED.format(most=caps.trainings_per_visitor))
    settings_form.fill_from_link(PAGE)
    learn = task_form.choose_kind()
    task: TaskSettings | None = None
    corpus: PreparedCorpus | None = None
    text = TextSettings()
    if learn == "task":
        task, made = task_form.choose_task()
        size, sentences, possible = (made.symbols or 2) if made else 2, task_form.SENTENCES, made is not None
    else:
        chosen = chosen_text.find()
        if chosen is None:
            demo.offer("sweep")
            return
        corpus, text = chosen.corpus, chosen.settings
        chosen_text.show(chosen)
        size, sentences, possible = len(corpus.vocabulary), len(corpus.train), True
    grid, seeds = _choose_grid(task)
    limits = {} if caps is None else caps.of_settings()
    with st.expander("All other settings", icon=":material/tune:"):
        form = settings_form.draw(PAGE, size, sentences, limits, of_task=task is not None)
    plan = _made_plan(grid, seeds, form.model, form.training, task, text, corpus) if possible and grid else None
    refusal = form.report()
    if refusal:
        errors.problem("This cannot be trained", refusal)
    elif plan is not None:
        st.caption(f"{formatting.count(len(plan.points), 'training')}")
    if st.button(
        "Start the sweep", type="primary", icon=":material/play_arrow:", disabled=plan is None or bool(refusal)
    ):
        assert plan is not None
        with errors.action("This sweep could not be started"):
            begun = sweeps.begin(plan, corpus)
            settings_form.clear_link(PAGE)
            task_form.clear_link()
            chosen_text.clear_link()
            for parameter in ("grid", "seeds", *(f"values_{name}" for name in plan.grid)):
                link.write(parameter, None)
            session.open_sweep(begun)


def _choose_grid(task: TaskSettings | None) -> tuple[Grid | None, int]:
    """What is swept over; None, after saying why, where that makes no sense."""
    classes = (ModelConfig, TrainingSettings, *(() if task is None else (TaskSettings,)))
    declared = {name: setting for part in classes for name, setting in settings_of(part).items()}
    offered = [name for name in declared if name not in NOT_OFFERED]

    def listed(names: str) -> list[str]:
        """Of a link; KeyError for what is not offered."""
        return [{name: name for name in offered}[name] for name in names.split(",")]

    with st.container(border=True):
        names = st.multiselect(
            "Settings that differ",
            offered,
            format_func=lambda name: declared[name].label,
            help=wording.GRID_HELP,
            **link.field(session.key(PAGE, "names"), "grid", listed, list(DEFAULT_GRID), ",".join),
        )
        texts = []
        for name in names:
            setting = declared[name]
            choices = ", ".join(setting.choices) if setting.choices is not None else ""
            widget, default = session.key(PAGE, f"values of {name}"), choices or _default_values(setting.default)
            values = st.text_input(
                setting.label,
                max_chars=LONGEST_VALUES,
                help=f"{wording.VALUES_HELP} {choices}",
                **link.field(widget, f"values_{name}", link.words(LONGEST_VALUES), default),
            )
            texts.append(f"{name}={values}")
        seeds = st.number_input(
            "Seeds",
            min_value=1,
            max_value=MOST_SEEDS,
            width=160,
            help=wording.SEEDS_HELP,
            **link.field(session.key(PAGE, "seeds"), "seeds", link.whole(1, MOST_SEEDS), 3),
        )
    try:
        return (parse_grid(texts, task is not None) if names else None), int(seeds)
    except UserError as error:
        errors.problem("These values make no sense", error)
        return None, int(seeds)


def _default_values(default: object) -> str:
    """Something to begin with: the default, its half and its double."""
    if isinstance(default, bool):
        return "yes, no"
    if isinstance(default, int):
        return ", ".join(str(max(1, value)) for value in dict.fromkeys((default // 2, default, 2 * default)))
    return f"{default:g}" if isinstance(default, float) else ""


def _made_plan(
    grid: Grid,
    seeds: int,
    model: ModelConfig,
    training: TrainingSettings,
    task: TaskSettings | None,
    text: TextSettings,
    corpus: PreparedCorpus | None,
) -> Sweep | None:
    try:
        digest = "" if corpus is None else corpus_digest(corpus)
        return Sweep(grid, seeds, model, training, task, text, digest, beside=True)
    except UserError as error:
        errors.problem("This sweep makes no sense", error)
        return None
