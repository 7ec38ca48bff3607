"""The first story's experiments: one network, one way to train, and what the visitor may change of it.

A run of the story is an ordinary run; its settings say which experiment it is (`recognise`), so nothing else needs to
be kept. What the story claims of ten seeds was measured with these very settings by `benchmarks/agreement.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from dashboard.services import racing
from dashboard.services.run_sentence import ArrivingGradients, in_network
from rnn_core.arrays import Array
from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.data import PreparedCorpus, agreement_items, agreement_sentences, batches, prepare_sentences
from rnn_core.diagnostics import agreement_accuracy, gradient_by_lag, gradient_flow
from rnn_core.runs import Run, RunConfig
from rnn_core.runs.agreement import agreement_items_of
from rnn_core.training import new_model

TEXT = TextSettings()
SENTENCES = 2000
HIDDEN = 64
SHORT, LONG = 600, 1500
"""Steps of a training, for gaps up to 10 and beyond."""

LEARNED = 0.95
ASKED, ASKED_SEED = 1000, 999
"""The fresh sentences that accuracy is measured on: how many, and their seed; as in `benchmarks/agreement.py`."""

PROBE = 32
"""Validation sentences over which `lag_shares` is a mean."""

TRUNCATIONS: tuple[int | None, ...] = (1, 2, 4, 6, 8, 10, 12, None)
GAPS = (5, 10, 15, 20)
NETWORKS = ("tanh uniform", "tanh orthogonal", "lstm remembers", "lstm")
CHAPTERS = ("tutorial", "reach", "distance", "cure")


# --- what was measured beforehand -------------------------------------------------------------------------------------


class Measured(NamedTuple):
    """Accuracy in % on fresh sentences of seeds 0, 1, … and how many of them learned (LEARNED or better)."""

    accuracies: tuple[int, ...]
    learned: int


MEASURED: Mapping[tuple[int, int | None, str], Measured] = {
    (10, 4, "tanh uniform"): Measured((58, 56, 55, 53, 51, 58, 55, 51, 55, 49), 0),
    (10, None, "tanh uniform"): Measured((100, 100, 100, 100, 100, 100, 100, 100, 100, 100), 10),
    (20, None, "tanh uniform"): Measured((100, 99, 87, 95, 94, 100, 64, 100, 54, 98), 5),
    (20, None, "tanh orthogonal"): Measured((98, 100, 100, 100, 99, 100, 92, 98, 100, 100), 9),
    (20, None, "lstm remembers"): Measured((100, 100, 100, 100, 100, 100, 100, 100, 100, 100), 10),
    (20, None, "lstm"): Measured((50, 55, 100, 100, 100, 100, 51, 100, 87, 50), 5),
}
"""By gap, truncation and network: the table that `benchmarks/agreement.py` prints."""

LONGER, LONGER_STEPS = Measured((91, 51, 74, 60, 57, 91, 68, 58, 55, 55), 0), 1500
"""Gap 10, truncation 4, trained for more steps."""


NEEDED = ((10, None, "tanh uniform"), (20, None, "tanh orthogonal"), (20, None, "lstm remembers"))
_LEARNERS = [seed for seed in range(10) if all(MEASURED[one].accuracies[seed] >= 100 * LEARNED for one in NEEDED)]
HARD = MEASURED[20, None, "tanh uniform"]
SEED = min(_LEARNERS, key=HARD.accuracies.__getitem__)
"""The story's: of the seeds that learned at gap 10 and with both cures, the one that came least far at gap 20 without.
So what the story tells is what the visitor sees; how the others fared, the page says beside it.
"""

SECONDS = (1.0, 6.0)
"""Of one core of an Intel Xeon: the shortest training of the story, tanh over 600 steps, and the longest, an LSTM over
1,500.
"""


# --- an experiment ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoryExperiment:
    """One experiment: words in between, steps that a loss reaches back (None: all), network, seed. The defaults are the
    tutorial's, with the story's seed.
    """

    gap: int = 10
    truncate: int | None = 4
    network: str = "tanh uniform"
    seed: int = SEED

    @property
    def chapter(self) -> str:
        """The part of the story in which this is tried."""
        if self.network != "tanh uniform":
            return "cure"
        if self.gap != 10:
            return "distance"
        return "tutorial" if self.truncate == 4 else "reach"

    def corpus(self) -> PreparedCorpus:
        return _corpus(self.gap)

    def model(self) -> ModelConfig:
        return ModelConfig(**racing.settings_of(self.network, self.corpus(), HIDDEN))

    def training(self) -> TrainingSettings:
        return TrainingSettings(
            truncate=self.truncate,
            optimizer="adam",
            learning_rate=0.003,
            schedule="constant",
            batch_size=32,
            clip=5.0,
            epochs=None,
            steps=SHORT if self.gap <= 10 else LONG,
            seed=self.seed,
            sample_every_seconds=None,
            horizon_every_seconds=None,
            checkpoint_every_seconds=1.0,
        )


@lru_cache(maxsize=len(GAPS))
def _corpus(gap: int) -> PreparedCorpus:
    return prepare_sentences(agreement_sentences(gap, SENTENCES), f"agreement, gap {gap}", TEXT)


def recognise(config: RunConfig) -> StoryExperiment | None:
    """Which experiment of the story a run is; None for any other run."""
    named = re.fullmatch(r"agreement, gap ([0-9]{1,2})", config.corpus.name)
    network = racing.network_of(config)
    if named is None or int(named[1]) not in GAPS or network not in NETWORKS:
        return None
    training = config.training
    experiment = StoryExperiment(int(named[1]), training.truncate, network, training.seed)
    same_text = config.corpus.train_sentences + config.corpus.valid_sentences == SENTENCES
    return experiment if same_text and (experiment.model(), experiment.training()) == (config.model, training) else None


def measured(experiment: StoryExperiment) -> Measured | None:
    """What ten seeds came to with this experiment; None where it was not measured."""
    return MEASURED.get((experiment.gap, experiment.truncate, experiment.network))


# --- numbers of a run -------------------------------------------------------------------------------------------------


class LagShares(NamedTuple):
    """shares (lags,): ||G_j|| / ||dE/dW|| that training uses, 0 beyond the truncation; of the weights after `step`."""

    step: int
    shares: Array


@lru_cache(maxsize=8)
def lag_shares(folder: str, step: int) -> LagShares:
    """What each lag pays into the gradient of W, on held-out sentences. RunError where the weights are gone."""
    run = Run.open(folder)
    probe = batches(run.corpus().valid[:PROBE], PROBE, None)[0]
    flow = gradient_flow(run.load_model(step), probe.inputs, probe.targets, probe.mask)
    by_lag = gradient_by_lag(flow, run.config.training.truncate)
    with np.errstate(divide="ignore", invalid="ignore"):
        return LagShares(step, np.nan_to_num(np.where(by_lag.used, by_lag.norms / by_lag.total_norm, 0.0)))


class Example(NamedTuple):
    """A sentence about a queen. tokens without <s> and </s>; controller: where she is read, target: where the word is
    read after which "her" is to be said. Both count from <s>, which is 0.
    """

    tokens: tuple[str, ...]
    controller: int
    target: int


@lru_cache(maxsize=8)
def example(folder: str) -> Example:
    """The first held-out sentence that is about a queen."""
    return _about_a_queen(Run.open(folder).corpus())


@lru_cache(maxsize=8)
def untrained(experiment: StoryExperiment) -> tuple[Example, ArrivingGradients]:
    """That sentence in the network as it is before its first step: what a training of this experiment starts from."""
    corpus = experiment.corpus()
    sentence = _about_a_queen(corpus)
    model = new_model(experiment.model(), experiment.training())
    return sentence, in_network(model, corpus.vocabulary, sentence.tokens)


def _about_a_queen(corpus: PreparedCorpus) -> Example:
    items = agreement_items_of(corpus)
    item = next(item for item in items if item.tokens[item.controller] == "queen")
    # Positions of an item count the tokens without <s>, and its target is the word to be said itself.
    return Example(item.tokens, item.controller + 1, item.target)


@lru_cache(maxsize=16)
def fresh_accuracy(folder: str, step: int, gap: int) -> float:
    """Accuracy on sentences that nobody trained on, the same that the benchmark asks."""
    run = Run.open(folder)
    asked = agreement_items(gap, ASKED, seed=ASKED_SEED)
    return agreement_accuracy(run.load_model(step), run.vocabulary(), asked).overall
