"""A new training: a text and a network, or a task. The link keeps what is set."""

from __future__ import annotations

import streamlit as st

from dashboard import hosting
from dashboard.components import chosen_text, demo, errors, settings_form, task_form
from dashboard.services import trainings
from dashboard.state import session
from dashboard.text import hosting as hosting_wording
from dashboard.text import training as wording
from rnn_core.config import CELLS, OPTIMIZERS, ModelConfig, TrainingSettings
from rnn_core.nn.parameters import parameter_count

PAGE = "train"


def draw() -> None:
    """Choose and start."""
    caps = hosting.current_caps()
    if caps is None:
        st.markdown(wording.INTRO)
    else:
        st.markdown(hosting_wording.hosted_training(caps.minutes, caps.steps, caps.unwatched_minutes))
    if task_form.choose_kind() == "task":
        task_form.set_up()
        return
    settings_form.fill_from_link(PAGE)
    chosen = chosen_text.find()
    if chosen is None:
        demo.offer(PAGE)
        return
    chosen_text.show(chosen)
    limits = {} if caps is None else caps.of_settings()
    form = settings_form.draw(PAGE, len(chosen.corpus.vocabulary), len(chosen.corpus.train), limits)
    model, training = form.model, form.training
    default_name = f"{CELLS[model.cell].label}, {model.hidden_size} units"
    name = settings_form.name_field(PAGE, default_name)
    refusal = form.report() or settings_form.refusal(chosen.corpus, model, training)
    if refusal is not None:
        errors.problem("This cannot be trained", refusal)
    else:
        optimizer, rate = OPTIMIZERS[training.optimizer].label, training.initial_learning_rate
        st.caption(f"{parameter_count(model):,} parameters · {optimizer} with learning rate {rate:g}")
    if st.button("Start training", type="primary", icon=":material/play_arrow:", disabled=refusal is not None):
        _begin(name, chosen, model, training)


def _begin(name: str, chosen: session.ChosenCorpus, model: ModelConfig, training: TrainingSettings) -> None:
    """Make the run's folder, start its process and look at it."""
    with errors.action("This training could not be started"):
        begun = trainings.begin(name, chosen.corpus, chosen.settings, model, training)
        settings_form.clear_link(PAGE)
        chosen_text.clear_link()
        session.open_run(begun)
