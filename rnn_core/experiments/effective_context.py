"""Effective context: a network uses words from further back than those whose order it minds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.diagnostics import reach
from rnn_core.experiments.base import Experiment, Row, Settings, Trial, measured
from rnn_core.experiments.texts import with_held_out
from rnn_core.training import new_model, train

LENGTHS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 200)
TARGETS = 1000
WORDS_USED, ORDER_USED = "words used", "words whose order is used"
PUBLISHED = {WORDS_USED: 200.0, ORDER_USED: 50.0}

TEXT = TextSettings(vocabulary_size=3000)
MODEL = ModelConfig(cell="lstm", hidden_size=100, embedding_size=100, embedding_init="uniform", tied=True, dropout=0.3)
TRAINING = TrainingSettings(
    optimizer="adam",
    learning_rate=0.003,
    schedule="constant",
    batching="stream",
    sequence_length=50,
    batch_size=16,
    clip=1.0,
    epochs=10,
    sample_every_seconds=None,
    horizon_every_seconds=None,
)


def trial(settings: Settings, seed: int, texts: Sequence[Path] = ()) -> Trial:
    """The nearest words with which, and with whose order, the perplexity of unread text comes within 1 % of that with
    everything; None: more than the longest of LENGTHS. The curves are losses in nats.
    """
    corpus = with_held_out(texts, TEXT)
    training = dataclasses.replace(TRAINING, seed=seed)
    model = new_model(dataclasses.replace(MODEL, vocabulary_size=len(corpus.vocabulary)), training)
    for _ in train(model, corpus, training):
        pass
    context = reach(model, corpus.valid, True, TARGETS, LENGTHS).context
    curves = {
        "lengths": context.lengths.tolist(),
        "dropped": context.dropped_nats.tolist(),
        "shuffled": context.shuffled_nats.tolist(),
        "full": [context.full_nats],
    }
    return Trial({WORDS_USED: context.used(), ORDER_USED: context.ordered()}, curves)


def _reproduced(rows: Sequence[Row]) -> bool:
    return measured(rows, ORDER_USED) < measured(rows, WORDS_USED)


EXPERIMENT = Experiment(
    name="effective-context",
    title="Effective context",
    claim="A network uses words from far back, but their order only of the nearest: sharp nearby, fuzzy far away.",
    source="Khandelwal, He, Qi & Jurafsky 2018, abstract: Penn Treebank and WikiText-2, with far larger networks",
    measures="nearest words with which (with whose order) the perplexity is within 1 % of that with everything",
    rule="The words used reach further back than those whose order is used, on average over the seeds.",
    settings={"LSTM": {}},
    seeds=3,
    trial=trial,
    published=PUBLISHED,
    reproduced=_reproduced,
    reads="a text; without, the Python language reference",
)
