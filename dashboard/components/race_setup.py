"""A new race: what is learnt, by which networks, and for how long. The link keeps it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import Any

import streamlit as st

from dashboard.components import chosen_text, errors, settings_link, task_form
from dashboard.components.setting_fields import SettingFields
from dashboard.services import racing, trainings
from dashboard.state import link, session
from dashboard.text import race as wording
from rnn_core.config import ModelConfig, TaskSettings, TextSettings, TrainingSettings, problems
from rnn_core.data import PreparedCorpus
from rnn_core.runs.agreement import agreement_items_of
from rnn_core.runs.race import MEASURE_PARTS, MOST

PAGE = "race"
WIDTHS = (8, 16, 24, 32, 48, 64, 100, 128)
LENGTHS = (300, 600, 1200, 2400, 4800, 9600)
GAP = (2, 20)
MOST_GAP = 40
FIELDS = ("truncate", "learning_rate", "seed")
"""Settings of the training that have a field."""

SHOWN = ("networks", "hidden", "steps", "gap", "on")
"""What else stands in the link."""

Data = PreparedCorpus | TaskSettings


def draw() -> None:
    """Choose and start."""
    st.markdown(wording.INTRO)
    data, text = choose_data()
    networks = choose_networks()
    hidden_size, training, possible = choose_settings()
    if not networks:
        st.info(wording.NONE, icon=":material/flag:")
    ready = bool(networks) and possible and data is not None
    if st.button("Start the race", type="primary", icon=":material/flag:", disabled=not ready):
        assert data is not None
        entrants = {
            f"Race: {wording.NETWORKS[name]}": ModelConfig(**racing.settings_of(name, data, hidden_size))
            for name in networks
        }
        with errors.action("The race could not be started"):
            session.open_race(trainings.begin_race(entrants, data, text, validated_often(training, data)))
            clear_link()


def choose_data() -> tuple[Data | None, TextSettings]:
    """Agreement sentences, a task, or whatever was chosen on the Corpus page; None for a task that makes no sense."""
    chosen = chosen_text.find()
    kinds = [kind for kind in wording.DATA if kind != "text" or chosen is not None]
    kind: str = st.segmented_control(
        "What to learn",
        kinds,
        required=True,
        format_func=wording.DATA.__getitem__,
        help=wording.HELP["on"],
        **link.choice("on", kinds, "agreement"),
    )
    if kind == "task":
        settings, task = task_form.choose_task()
        return (None if task is None else settings), TextSettings()
    if kind == "text":
        assert chosen is not None
        chosen_text.show(chosen)
        return chosen.corpus, chosen.settings
    gaps = {f"{low}-{high}": (low, high) for high in range(1, MOST_GAP + 1) for low in range(1, high + 1)}
    options = _field("gap", gaps.__getitem__, GAP, "{0[0]}-{0[1]}".format)
    low, high = st.slider("Words in between", 1, MOST_GAP, **options)
    return racing.agreement_corpus(low, high), racing.TEXT


def choose_networks() -> list[str]:
    """Keys of `racing.NETWORKS`."""

    def read(text: str) -> list[str]:
        return [name for name in dict.fromkeys(text.split(",")) if name in racing.NETWORKS][:MOST]

    networks: list[str] = st.multiselect(
        "Networks",
        list(racing.NETWORKS),
        max_selections=MOST,
        format_func=lambda name: wording.NETWORKS[name],
        **_field("networks", read, list(racing.DEFAULT_NETWORKS), ",".join),
    )
    return networks


def choose_settings() -> tuple[int, TrainingSettings, bool]:
    """What all networks have in common: hidden units, how they are trained, and whether that can be done."""
    fields = _fields()
    settings_link.fill(fields, FIELDS)
    reasons = problems(fields.read(TrainingSettings))
    settings_link.show_refusals(fields)
    left, middle, right = st.columns(3)
    with left:
        hidden_size = choose_number("Hidden units", "hidden", WIDTHS, 32)
        steps = choose_number("Steps", "steps", LENGTHS, 2400)
    with middle:
        fields.draw("truncate", reasons.get("truncate"))
        fields.draw("learning_rate", reasons.get("learning_rate"))
    with right:
        fields.draw("seed", reasons.get("seed"))
    training = fields.read(
        TrainingSettings,
        steps=steps,
        schedule="constant",
        # The race measures all horizons at the same step; by the clock of each they would be of different ones.
        horizon_every_seconds=None,
        sample_every_seconds=None,
        checkpoint_every_seconds=3.0,
    )
    settings_link.write(fields, FIELDS, training.to_json(), fields.defaults)
    return hidden_size, training, not reasons


def choose_number(label: str, name: str, offered: Collection[int], default: int) -> int:
    """One of a few numbers, which the link keeps as `name`."""
    options = _field(name, {str(number): number for number in offered}.__getitem__, default)
    return int(st.select_slider(label, offered, **options))


def _field(name: str, parse: Callable[[str], Any], default: Any, written: Callable[[Any], str] = str) -> dict[str, Any]:
    """Options of the widget `name`, which the link keeps under that name, as `link.field` says."""
    return link.field(session.key(PAGE, name), name, parse, default, written) | {"help": wording.HELP[name]}


def validated_often(training: TrainingSettings, data: Data) -> TrainingSettings:
    """What has no agreement is raced over its validation: about that often which the agreement is measured at, but
    never at more than about a fourth of what the training costs. A validation batch costs a third of a step.
    """
    if isinstance(data, TaskSettings):
        held_out = data.validation_sequences
    elif agreement_items_of(data, 1):
        return training
    else:
        held_out = len(data.valid)
    assert training.steps is not None
    affordable = 4 * held_out // (3 * training.batch_size)
    return dataclasses.replace(training, validate_every=max(1, training.steps // MEASURE_PARTS, affordable))


def clear_link() -> None:
    """Take what is set out of the page's link: it is about to show a race."""
    settings_link.clear(_fields(), FIELDS)
    task_form.clear_link()
    chosen_text.clear_link()
    for name in SHOWN:
        link.write(name, None)


def _fields() -> SettingFields:
    return SettingFields(PAGE, TrainingSettings, defaults={"learning_rate": 0.003})
