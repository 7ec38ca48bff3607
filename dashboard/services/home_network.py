"""What the first page shows: one sentence in a small network, untrained or trained beforehand, for any of its levers.

Nothing here is recorded but the trained weights: every number comes from `gradient_flow` when it is asked for, in
milliseconds, and the last few hundred answers are kept. The trained weights are made by `train_home_network`.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig
from rnn_core.config.choices import CELLS, INITIALISATIONS
from rnn_core.data.vocabulary import END, SPECIALS, START, Vocabulary
from rnn_core.diagnostics import gradient_flow
from rnn_core.diagnostics.horizon import fixed_step_bound, spectral_radius
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.parameters import parameter_shapes
from rnn_core.randomness import stream

SENTENCE = "The man who wore a wig on his head went inside"
ASKED, CONTROLLER = 9, 2
"""In that sentence, with <s> before it: the step at which the loss of "went" is taken, and where its subject, "man", is
read."""

HIDDEN = 64
SEED = 0
MOST_WORDS = 40
SIZES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0)
FULL = "full"
REACHES = (FULL, "1", "2", "3", "4", "6", "8", "12")
TRAINED = Path(__file__).parent / "home_weights"
MEMORY = 12
"""Steps, incl. <s>, of the sentence above. Cells with gates start so that their memories last up to so many (chrono
initialisation, Tallec & Ollivier 2018), which is what makes them a cure before anything is learnt.
"""


@dataclass(frozen=True)
class Levers:
    """cell: a key of CELLS; size: spectral radius of W; start: an initialisation with a scale; reach: of
    a loss back in time, K or "full".
    """

    cell: str = "tanh"
    size: float = 0.5
    start: str = "orthogonal"
    reach: str = FULL
    trained: bool = False

    @property
    def truncate(self) -> int | None:
        """K; None: all the way."""
        return None if self.reach == FULL else int(self.reach)

    def to_link(self) -> str:
        """As a link's parameter: "tanh,0.5,orthogonal,full,untrained"."""
        weights = "trained" if self.trained else "untrained"
        return ",".join([self.cell, f"{self.size:g}", self.start, self.reach, weights])

    @classmethod
    def from_link(cls, text: str) -> Levers | None:
        """The reverse of `to_link`; None for anything else, which a link may well hold."""
        parts = text.split(",")
        if len(parts) != 5 or parts[4] not in ("trained", "untrained"):
            return None
        sizes = {f"{size:g}": size for size in SIZES}
        cell, size, start, reach, weights = parts
        if cell not in CELLS or size not in sizes or start not in starts() or reach not in REACHES:
            return None
        return cls(cell, sizes[size], start, reach, weights == "trained" and has_trained(cell))


PRESETS = {"vanishing": Levers(), "edge": Levers(size=1.0), "explosion": Levers(size=4.0)}


@dataclass(frozen=True, eq=False)
class SentenceGradients:
    """One sentence in one network: words and unknown (T + 1), norms (T, T) of delta, probabilities (T,) of each next
    word, bound max phi' ||W||_2 and radius rho(W) (None for gated cells). Shared by all visitors: not to be changed.
    """

    words: tuple[str, ...]
    unknown: tuple[bool, ...]
    norms: Array
    probabilities: Array
    bound: float | None
    radius: float | None


@dataclass(frozen=True, eq=False)
class Trained:
    """A network trained beforehand, its words, and how it was made: steps, sentences, seed, seeds, valid_loss_nats."""

    model: LanguageModel
    vocabulary: Vocabulary
    facts: dict[str, Any]


def starts() -> list[str]:
    """The initialisations of W whose size can be set."""
    return INITIALISATIONS.having("init_scale")


def split(sentence: str) -> tuple[str, ...]:
    """Words and marks of a sentence, MOST_WORDS at most. Simpler than the tokenizer of a corpus, and at once there."""
    return tuple(re.findall(r"\w+(?:['’-]\w+)*|[^\w\s]", sentence)[:MOST_WORDS])


def has_trained(cell: str) -> bool:
    """Whether weights of this cell are shipped."""
    return (TRAINED / f"{cell}.safetensors").is_file()


def has_recurrent_matrix(cell: str) -> bool:
    """Whether the cell has a W whose size can be set. The gates of a minGRU read the input alone."""
    return "W" in parameter_shapes(config_of(cell, len(SPECIALS), 1))


def config_of(cell: str, vocabulary_size: int, hidden_size: int, **start: Any) -> ModelConfig:
    """The first page's network of this cell; `start`: init and init_scale, where they are not the defaults."""
    chrono = MEMORY if cell in CELLS.having("chrono") else None
    return ModelConfig(cell=cell, vocabulary_size=vocabulary_size, hidden_size=hidden_size, chrono=chrono, **start)


@lru_cache(maxsize=512)
def read(levers: Levers, words: tuple[str, ...]) -> SentenceGradients:
    """The gradients of this sentence (without <s> and </s>, at least one word) under these levers, K aside."""
    if levers.reach != FULL:
        return read(dataclasses.replace(levers, reach=FULL), words)
    if levers.trained:
        known = trained(levers.cell)
        model, ids = known.model, known.vocabulary.encode_sentence(words)
        unknown = [False, *(word not in known.vocabulary for word in words), False]
    else:
        # An untrained network knows whatever it is given: it has a row of U for each word of the sentence.
        vocabulary = Vocabulary(SPECIALS + tuple(dict.fromkeys(word for word in words if word not in SPECIALS)))
        config = config_of(levers.cell, len(vocabulary), HIDDEN, init=levers.start, init_scale=levers.size)
        model = LanguageModel(config, rng=stream(SEED, "first page"), dtype=np.float64)
        ids, unknown = vocabulary.encode_sentence(words), [False] * (len(words) + 2)
    flow = gradient_flow(model, ids[:-1], ids[1:])
    return SentenceGradients(
        words=(START, *words, END),
        unknown=tuple(unknown),
        norms=flow.delta_norms,
        probabilities=np.exp(-flow.losses_nats[:, 0]),
        bound=fixed_step_bound(model),
        radius=spectral_radius(model),
    )


@lru_cache(maxsize=16)
def trained(cell: str) -> Trained:
    """The shipped network of this cell."""
    from safetensors import safe_open

    with safe_open(TRAINED / f"{cell}.safetensors", framework="numpy") as file:
        facts = json.loads(file.metadata()["facts"])
        params = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    config = ModelConfig.from_json(facts.pop("model"))
    vocabulary = Vocabulary(tuple(facts.pop("words")))
    return Trained(LanguageModel(config, params=params), vocabulary, facts)
