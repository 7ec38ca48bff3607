"""The settings of a new network: five that a beginner sees, all of them for an expert, each with a sentence of help.

Draws widgets and returns what they say as `ModelConfig` and `TrainingSettings`; whether a combination makes sense is
theirs to judge (`validate`), and the Train page shows their reason. A setting that would have no effect is not shown,
and has its default, whatever was chosen for it before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.state import session
from dashboard.text import general as wording
from rnn_core.config import ModelConfig, TrainingSettings

FRESH_SECONDS = 5.0
"""Between checkpoints: a picture of the gradient is as fresh as the newest weights."""

FULL = "full"
REACHES = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 30, 40, 60, FULL]
STEPS_AN_EPOCH = 80
BATCHES = (32, 16, 8)
"""Sentences in a batch: the most that leave an epoch so many steps. A short text in large batches takes so few steps
that the network hardly gets beyond the words' frequencies.
"""
WIDTHS = [2, 4, 8, 16, 24, 32, 48, 64, 100, 128, 160, 200, 256, 384, 512]


class _Form:
    """The widgets of one page: keys of its own, values that survive a change of page, help from `wording`."""

    def __init__(self, page: str) -> None:
        self.page = page

    def _common(self, name: str) -> dict[str, Any]:
        return session.kept(self.page, name, wording.SETTING_HELP)

    def choice(self, label: str, name: str, options: Mapping[str, str], default: str) -> str:
        chosen: str = st.selectbox(
            label,
            list(options),
            index=list(options).index(default),
            format_func=lambda option: options[option],
            **self._common(name),
        )
        return chosen

    def whole(self, label: str, name: str, default: int, low: int, high: int, step: int = 1) -> int:
        return int(st.number_input(label, low, high, default, step, **self._common(name)))

    def suggested(self, label: str, name: str, usual: int, low: int, high: int) -> int:
        """A whole number that is `usual`, also when that changes, until the visitor writes another."""
        session.suggest(session.key(self.page, name), usual)
        return int(st.number_input(label, low, high, step=1, **self._common(name)))

    def number(self, label: str, name: str, default: float, low: float, high: float, step: float, form: str) -> float:
        return float(st.number_input(label, low, high, default, step, format=form, **self._common(name)))

    def optional_number(self, label: str, name: str, placeholder: str, high: float) -> float | None:
        value = st.number_input(
            label, 0.0, high, None, 0.001, format="%.5g", placeholder=placeholder, **self._common(name)
        )
        return None if value is None else float(value)

    def pick(self, label: str, name: str, options: list[Any], default: Any) -> Any:
        return st.select_slider(label, options, default, **self._common(name))

    def switch(self, label: str, name: str, default: bool) -> bool:
        return st.toggle(label, default, **self._common(name))


def usual_batch(sentences: int) -> int:
    """Sentences in a batch, for a text of so many, until somebody chooses another number."""
    return next((size for size in BATCHES if sentences >= STEPS_AN_EPOCH * size), BATCHES[-1])


def draw(page: str, vocabulary_size: int, sentences: int) -> tuple[ModelConfig, TrainingSettings]:
    """The form on `page` for a vocabulary of this size and so many sentences to train on -> what is set, not yet
    validated.
    """
    form = _Form(page)
    with st.container(border=True):
        left, right = st.columns(2, gap="large")
        with left:
            cell = form.choice("Network", "cell", wording.CELLS, "tanh")
            hidden_size = form.pick("Hidden units", "hidden_size", WIDTHS, 100)
        with right:
            reach = form.pick("Truncation: words a gradient may go back", "truncate", REACHES, FULL)
            rate, epochs = st.columns(2)
            with rate:
                learning_rate = form.optional_number("Learning rate", "learning_rate", "default", 10.0)
            with epochs:
                epoch_count = form.whole("Epochs", "epochs", 10, 1, 10_000)
    with st.expander("Every other setting", icon=":material/tune:"):
        network, start, batches, optimizer, regularization = st.tabs(
            ["Network", "Start", "Batches", "Optimizer", "Regularization"]
        )
        with network:
            model = _network(form, cell, hidden_size, vocabulary_size)
        with start:
            model |= _start(form, cell)
            seed = form.whole("Seed", "seed", 0, 0, 2**31 - 1)
        with batches:
            training = _batches(form, sentences)
        with optimizer:
            training |= _optimizer(form, epoch_count)
        with regularization:
            dropout, decay = st.columns(2)
            with dropout:
                model["dropout"] = form.number("Dropout", "dropout", 0.0, 0.0, 0.95, 0.05, "%.2f")
                model["variational"] = form.switch("Variational dropout", "variational", False)
            with decay:
                training["weight_decay"] = form.number("Weight decay", "weight_decay", 0.0, 0.0, 1.0, 0.0001, "%.5g")
                training["omega"] = form.number(
                    "Ω, the vanishing-gradient regularizer", "omega", 0.0, 0.0, 100.0, 0.1, "%.3g"
                )
    return (
        ModelConfig(cell=cell, vocabulary_size=vocabulary_size, hidden_size=hidden_size, **model),
        TrainingSettings(
            truncate=None if reach == FULL else reach,
            learning_rate=learning_rate,
            seed=seed,
            checkpoint_every_seconds=FRESH_SECONDS,
            **training,
        ),
    )


def _network(form: _Form, cell: str, hidden_size: int, vocabulary_size: int) -> dict[str, Any]:
    left, right = st.columns(2)
    with left:
        layers = form.whole("Layers", "layers", 1, 1, 3)
        embedded = form.switch("Word vectors (embedding)", "embedding", False)
        size = form.pick("Numbers in a word vector", "embedding_size", WIDTHS, 100) if embedded else None
    with right:
        is_gru = cell == "gru"
        reset = form.choice("GRU's reset gate", "gru_reset", wording.GRU_RESETS, "after") if is_gru else "after"
        bias = form.switch("Biases", "bias", True)
        tied = form.switch("Tie output to word vectors", "tied", False)
    return {"layers": layers, "embedding_size": size, "gru_reset": reset, "bias": bias, "tied": tied}


def _start(form: _Form, cell: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    left, right = st.columns(2)
    with left:
        values["init"] = form.choice("First values of W", "init", wording.INITIALISATIONS, "uniform")
        if values["init"] in wording.INIT_SCALES:
            label = wording.INIT_SCALES[values["init"]]
            values["init_scale"] = form.number(label, "init_scale", 1.0, 0.01, 10.0, 0.05, "%.2f")
    with right:
        timed = cell in ("lstm", "gru") and form.switch("Chrono initialisation", "chrono", False)
        if timed:
            values["chrono"] = form.whole("Longest dependency, in words", "chrono_steps", 20, 3, 10_000)
        elif cell == "lstm":
            values["forget_bias"] = form.number("Forget-gate bias", "forget_bias", 1.0, -10.0, 10.0, 0.5, "%.1f")
    return values


def _batches(form: _Form, sentences: int) -> dict[str, Any]:
    left, right = st.columns(2)
    with left:
        batch_size = form.suggested("Sentences in a batch", "batch_size", usual_batch(sentences), 1, 1024)
    with right:
        values: dict[str, Any] = {"batch_size": batch_size}
        values["batching"] = form.choice("Reading", "batching", wording.BATCHINGS, "sentences")
        if values["batching"] == "stream":
            values["sequence_length"] = form.whole("Words in a chunk", "sequence_length", 35, 1, 1000)
    return values


def _optimizer(form: _Form, epochs: int) -> dict[str, Any]:
    left, right = st.columns(2)
    with left:
        optimizer = form.choice("Optimizer", "optimizer", wording.OPTIMIZERS, "adam")
        schedule = form.choice("Schedule", "schedule", wording.SCHEDULES, "halve")
        warmup = form.whole("Warm-up, in steps", "warmup_steps", 0, 0, 100_000) if schedule == "cosine" else 0
    with right:
        mode = form.choice("Clipping", "clip_mode", wording.CLIP_MODES, "norm")
        clip = form.number("Clip at", "clip", 5.0, 0.0001, 1000.0, 0.5, "%.4g") if mode != "none" else None
        by_steps = form.choice("Length", "length", {"epochs": "in epochs", "steps": "in steps"}, "epochs") == "steps"
        steps = form.whole("Steps", "steps", 1000, 1, 10_000_000) if by_steps else None
    return {
        "optimizer": optimizer,
        "schedule": schedule,
        "warmup_steps": warmup,
        "clip": clip,
        "clip_mode": "norm" if mode == "none" else mode,
        "epochs": None if by_steps else epochs,
        "steps": steps,
    }
