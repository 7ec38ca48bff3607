"""The shape of a network, and how it starts."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from rnn_core.config.choices import CELLS, INITIALISATIONS
from rnn_core.config.fields import check_json_fields, require

MOST_LAYERS = 3


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a network and how it starts. `validate` refuses what makes no sense, with the reason.

    cell            tanh | relu | sigmoid | lstm | gru
    vocabulary_size N, words incl. the special ones
    hidden_size     H, units per layer
    embedding_size  D of the word vectors; None: one-hot input, the tutorial's U[:, x]
    layers          1 to 3
    tied            V is the embedding matrix (Press & Wolf 2017; Inan et al. 2017); needs embedding_size == hidden_size
    bias            b and c; the tutorial has none
    init            of W: uniform +-1/sqrt(H) (the tutorial's) | glorot | orthogonal | identity (IRNN) | spectral (given
                    radius)
    init_scale      gain of orthogonal, scale of identity, radius of spectral
    forget_bias     LSTM: start of the forget gate's bias, stored in b (Jozefowicz et al. 2015: 1)
    chrono          longest dependency T_max in steps; gates' biases start so that memories last 1 .. T_max steps
                    (Tallec & Ollivier 2018); None: off
    gru_reset       "after" the matrix product (PyTorch, cuDNN) | "before" it (Cho et al. 2014)
    dropout         probability of dropping a unit on the non-recurrent connections (Zaremba et al. 2014)
    variational     one dropout mask for all steps of a sequence, on h_{t-1} too (Gal & Ghahramani 2016)
    """

    cell: str = "tanh"
    vocabulary_size: int = 8000
    hidden_size: int = 100
    embedding_size: int | None = None
    layers: int = 1
    tied: bool = False
    bias: bool = True
    init: str = "uniform"
    init_scale: float = 1.0
    forget_bias: float = 1.0
    chrono: int | None = None
    gru_reset: str = "after"
    dropout: float = 0.0
    variational: bool = False

    def validate(self) -> None:
        """Raises SettingsError with the reason and the way out."""
        require(self.cell in CELLS, f"cell {self.cell!r} is not known; choose one of {', '.join(CELLS)}.")
        require(self.vocabulary_size >= 2, "the vocabulary needs at least 2 entries.")
        require(self.hidden_size >= 1, "the network needs at least 1 hidden unit.")
        require(
            self.embedding_size is None or self.embedding_size >= 1,
            "an embedding needs at least 1 dimension; or choose one-hot input.",
        )
        require(1 <= self.layers <= MOST_LAYERS, f"the network can have 1 to {MOST_LAYERS} layers, not {self.layers}.")
        require(
            not self.tied or self.embedding_size == self.hidden_size,
            "tied weights use the embedding as output matrix, so the embedding size must equal the hidden size "
            f"({self.hidden_size}); set it, or untie them.",
        )
        require(
            self.init in INITIALISATIONS,
            f"initialisation {self.init!r} is not known; choose one of {', '.join(INITIALISATIONS)}.",
        )
        require(
            math.isfinite(self.init_scale) and self.init_scale > 0,
            "the scale of the initialisation must be a positive number.",
        )
        require(
            self.init_scale == 1.0 or self.init in ("orthogonal", "identity", "spectral"),
            f"the {self.init} initialisation has no scale to set; leave it at 1, or choose orthogonal, identity "
            "or spectral.",
        )
        require(math.isfinite(self.forget_bias), "the forget bias must be a finite number.")
        require(
            self.chrono is None or self.cell in ("lstm", "gru"),
            "chrono initialisation sets the biases of gates; choose an LSTM or GRU, or switch it off.",
        )
        require(
            self.chrono is None or self.chrono >= 3,
            "chrono initialisation needs a longest dependency of at least 3 steps.",
        )
        require(
            self.chrono is None or self.bias,
            "chrono initialisation sets biases, and this network has none; switch biases on.",
        )
        require(
            self.gru_reset in ("after", "before"),
            "the reset gate of a GRU acts 'after' or 'before' the matrix product.",
        )
        require(
            self.gru_reset == "after" or self.cell == "gru",
            "only a GRU has a reset gate to place; choose the GRU, or leave the gate 'after'.",
        )
        require(0 <= self.dropout < 1, "dropout is a probability from 0 up to, not including, 1.")
        require(
            not self.variational or self.dropout > 0,
            "variational dropout needs a dropout probability above 0; set one, or switch it off.",
        )

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ModelConfig:
        """Strict: unknown keys and wrong types raise SettingsError; missing keys take their defaults."""
        config = cls(**check_json_fields(cls, values))
        config.validate()
        return config
