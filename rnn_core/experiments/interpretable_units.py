"""Interpretable units: of a network that reads characters, some follow the line, quotation marks or brackets.

What follows is decided as on the Units page: a unit is chosen on the first half of a text that was not trained on, and
counted on the second.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.diagnostics import FEATURES, features_of, rank_units, read_tokens
from rnn_core.diagnostics.units import LEAST_CORRELATION
from rnn_core.errors import CorpusError
from rnn_core.experiments.base import Experiment, Row, Settings, Trial, measured
from rnn_core.experiments.texts import with_held_out
from rnn_core.training import Validated, new_model, train

FOLLOWED = ("line", "quotes", "brackets")
TRAINED, UNTRAINED = "trained", "untrained"

TEXT = TextSettings(unit="char", sentences="lines", vocabulary_size=200)
MODEL = ModelConfig(cell="lstm", hidden_size=100)
TRAINING = TrainingSettings(
    optimizer="adam",
    learning_rate=0.003,
    schedule="constant",
    batching="stream",
    sequence_length=100,  # as in the paper: over fewer steps than a line has characters, its length is hard to learn
    batch_size=16,
    clip=5.0,
    epochs=20,
    sample_every_seconds=None,
    horizon_every_seconds=None,
)


def trial(settings: Settings, seed: int, texts: Sequence[Path] = ()) -> Trial:
    """|r| of the unit that follows each feature best, before or after training. Raises CorpusError for a text in which
    one of them does not vary.
    """
    corpus = with_held_out(texts, TEXT)
    features = features_of(read_tokens(corpus.vocabulary, corpus.valid, lines=True))
    if missing := [FEATURES[name].label for name in FOLLOWED if name not in features]:
        raise CorpusError(f"this text has not enough of this: {', '.join(missing)}; choose another one.")
    training = dataclasses.replace(TRAINING, seed=seed)
    model = new_model(dataclasses.replace(MODEL, vocabulary_size=len(corpus.vocabulary)), training)
    losses = []
    if settings["trained"]:
        events = train(model, corpus, training)
        losses = [event.loss_nats for event in events if isinstance(event, Validated)]
    rankings = rank_units(model, corpus.valid, True, {name: features[name] for name in FOLLOWED})
    found = {row_name(name, settings["row"]): abs(float(rankings[name].held_out[0])) for name in FOLLOWED}
    return Trial(found, {"losses": losses})


def row_name(feature: str, setting: str) -> str:
    """The row of one feature in one setting."""
    return f"{FEATURES[feature].label}, {setting}"


def _reproduced(rows: Sequence[Row]) -> bool:
    pairs = [[measured(rows, row_name(name, setting)) for setting in (TRAINED, UNTRAINED)] for name in FOLLOWED]
    return all(trained >= LEAST_CORRELATION and trained > untrained for trained, untrained in pairs)


EXPERIMENT = Experiment(
    name="interpretable-units",
    title="Interpretable units",
    claim="Some units of an LSTM that learns to predict characters come to follow the length of the line, quotation "
    "marks and brackets, though nobody told them to.",
    source="Karpathy, Johnson & Li 2015, section 4.2: far larger networks, on far longer texts",
    measures="|correlation| of the unit that follows it best, on the half of the text that was not used to choose it",
    rule="Each of the three is followed with a correlation of at least 0.3, and more closely than before training.",
    settings={
        TRAINED: {"row": TRAINED, "trained": True},
        UNTRAINED: {"row": UNTRAINED, "trained": False},
    },
    seeds=3,
    trial=trial,
    reproduced=_reproduced,
    reads="a text with line breaks, quotation marks and brackets; without, the Python language reference",
)
