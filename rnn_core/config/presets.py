"""Networks with their trainings that are worth starting from: every setting, by a name."""

from __future__ import annotations

from dataclasses import dataclass

from rnn_core.config.model import ModelConfig
from rnn_core.config.training import TrainingSettings


@dataclass(frozen=True)
class Preset:
    """A network and its training. The vocabulary is that of the text, whatever `model` says.

    label     what it is called on the screen
    about     one sentence: what it is, or what it shows
    """

    label: str
    about: str
    model: ModelConfig
    training: TrainingSettings


PRESETS = {
    "tutorial": Preset(
        "The tutorial's network",
        "The WildML tutorial's: a plain RNN without biases, one sentence at a time, truncated after 4 steps back.",
        ModelConfig(cell="tanh", hidden_size=100, bias=False, init="uniform"),
        TrainingSettings(
            batch_size=1,
            shuffle=False,
            loss_reduction="sum",
            truncate=4,
            optimizer="sgd",
            learning_rate=0.005,
            schedule="halve",
            clip=None,
            epochs=10,
        ),
    ),
    "lstm": Preset(
        "A good LSTM",
        "Word vectors that are the output matrix too, dropout and tight clipping: learns most texts well.",
        ModelConfig(cell="lstm", hidden_size=128, embedding_size=128, tied=True, dropout=0.2),
        TrainingSettings(optimizer="adam", learning_rate=0.004, schedule="halve", clip=1.0, epochs=20),
    ),
    "characters": Preset(
        "Karpathy's character network",
        "The defaults of char-rnn (Karpathy 2015), for a text that is read as characters: two layers on one stream.",
        ModelConfig(cell="lstm", hidden_size=128, layers=2),
        TrainingSettings(
            batch_size=50,
            batching="stream",
            sequence_length=50,
            optimizer="rmsprop",
            learning_rate=0.002,
            schedule="constant",
            clip=5.0,
            clip_mode="value",
            epochs=50,
        ),
    ),
    "explode": Preset(
        "Make it explode",
        "ReLU lets gradients grow, and W starts with a spectral radius of 1.5: without clipping they explode.",
        ModelConfig(cell="relu", hidden_size=100, init="spectral", init_scale=1.5),
        TrainingSettings(batch_size=8, optimizer="sgd", learning_rate=1.0, schedule="constant", clip=None, epochs=10),
    ),
}
