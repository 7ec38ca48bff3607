"""What the pictures are of: one sentence, read by the network of one moment. Numbers come when asked for, once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property, lru_cache
from typing import Any, TypeVar, cast

import numpy as np

from dashboard.services import network
from dashboard.services.network import Loaded
from rnn_core import diagnostics
from rnn_core.arrays import Array
from rnn_core.data import END, START, Batch, PreparedCorpus
from rnn_core.diagnostics import (
    Blame,
    BlockSpectrum,
    ClipForensics,
    GradientFlow,
    Horizon,
    LagLedger,
    Lyapunov,
    ProductSpectrum,
    RowDecay,
    SignalStatistics,
    TwoPaths,
    WhoMattered,
)
from rnn_core.randomness import stream
from rnn_core.runs import Run
from rnn_core.training.loop import HorizonMeasured, batch_of_step, probe_batch

EXPONENTS = 12
STREAM_WORDS = 300
"""Words of the corpus over which the Lyapunov exponents settle."""

T = TypeVar("T")


class Subject:
    """One sentence in one network. All visitors who look at the same share it: nothing in it may be changed."""

    def __init__(self, run: Run, loaded: Loaded, words: tuple[str, ...]) -> None:
        """`words`: the sentence without <s> and </s>."""
        self.run, self.loaded, self.words = run, loaded, words
        self.model = loaded.model
        self.sources, self.targets = [START, *words], [*words, END]
        self.ids = loaded.vocabulary.encode_sentence(words)
        self._kept: dict[Hashable, Any] = {}

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self._kept:
            self._kept[key] = make()
        return cast(T, self._kept[key])

    @property
    def gated(self) -> bool:
        """Whether the cell has gates: LSTM or GRU."""
        return self.model.config.cell in ("lstm", "gru")

    @property
    def layers(self) -> int:
        return self.model.config.layers

    @cached_property
    def flow(self) -> GradientFlow:
        return diagnostics.gradient_flow(self.model, self.ids[:-1], self.ids[1:])

    @cached_property
    def horizon(self) -> Horizon:
        return diagnostics.horizon_of_flow(self.model, self.flow)

    @cached_property
    def ledger(self) -> LagLedger:
        return diagnostics.lag_ledger(self.flow, self.run.config.training.truncate)

    @cached_property
    def lyapunov(self) -> Lyapunov:
        return diagnostics.lyapunov_exponents(self.flow.trace, EXPONENTS)

    def row(self, t: int) -> RowDecay:
        return self._once(("row", t), lambda: diagnostics.row_decay(self.model, self.flow, t))

    def blame(self, t: int) -> Blame:
        return self._once(("blame", t), lambda: diagnostics.blame(self.flow, t))

    def saturation(self, layer: int) -> dict[str, SignalStatistics]:
        return self._once(("saturation", layer), lambda: diagnostics.saturation(self.flow.trace, layer))

    def step_norms(self, layer: int) -> Array:
        """||J_t||_2 of every step's Jacobian of the layer's whole state, (T,)."""
        return self._once(("steps", layer), lambda: diagnostics.step_norms(self.flow.trace, layer)[:, 0])

    def product(self, layer: int) -> ProductSpectrum:
        """Of the layer's own state: what happens to it on its way through the sentence."""
        return self._once(("product", layer), lambda: diagnostics.product_singular_values(self.flow.trace, layer=layer))

    def two_paths(self, layer: int) -> TwoPaths:
        return self._once(("paths", layer), lambda: diagnostics.two_paths(self.flow, layer))

    def who_mattered(self, t: int) -> WhoMattered:
        return self._once(
            ("who", t),
            lambda: diagnostics.who_mattered(
                self.model,
                self.flow,
                int(self.ids[t + 1]),
                t,
                unigram(str(self.run.folder)),
                # The same replacements whenever one comes back to this word.
                stream(0, "who mattered", t),
            ),
        )


@lru_cache(maxsize=6)
def _subject(folder: str, step: int, words: tuple[str, ...]) -> Subject:
    run = Run.open(folder)
    return Subject(run, network.at(folder, step), words)


def subject(run: Run, step: int, words: list[str]) -> Subject:
    """The sentence `words` in the network as it was after `step` steps. RunError where those weights are gone."""
    return _subject(str(run.folder), step, tuple(words))


# --- numbers that do not depend on the sentence -----------------------------------------------------------------------


@lru_cache(maxsize=2)
def corpus(folder: str) -> PreparedCorpus:
    """The sentences that a run trains on."""
    return Run.open(folder).corpus()


@lru_cache(maxsize=4)
def unigram(folder: str) -> Array:
    """How often each word stands in the training text, (N,)."""
    read = corpus(folder)
    return np.bincount(np.concatenate(read.train), minlength=len(read.vocabulary))


@lru_cache(maxsize=4)
def probe(folder: str) -> Batch:
    """The sentences on which the training measures its horizon."""
    return probe_batch(corpus(folder))


@lru_cache(maxsize=64)
def probe_horizon(folder: str, step: int) -> HorizonMeasured:
    """The probe's horizon for weights of which the training has recorded none."""
    batch = probe(folder)
    found = diagnostics.horizon(network.at(folder, step).model, batch.inputs, batch.targets, batch.mask, bounds=False)
    return HorizonMeasured(step, tuple(found.median), tuple(found.low), tuple(found.high), found.half_life)


@lru_cache(maxsize=64)
def spectrum(folder: str, step: int) -> list[BlockSpectrum]:
    """Of every block of W."""
    return diagnostics.recurrent_spectrum(network.at(folder, step).model)


@lru_cache(maxsize=64)
def text_lyapunov(folder: str, step: int) -> Lyapunov:
    """The leading exponents over a stretch of the corpus, read without a break."""
    read = corpus(folder)
    ids = np.concatenate([sentence[:-1] for sentence in (read.valid or read.train)[:STREAM_WORDS]])[:STREAM_WORDS]
    trace = diagnostics.text_trace(network.at(folder, step).model, ids)
    return diagnostics.lyapunov_exponents(trace, EXPONENTS, skip=min(20, len(ids) // 4))


# --- a step of the training -------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def batch_of(folder: str, step: int) -> Batch:
    """The batch that step number `step` (from 1) trained on: a function of the seed and the step alone."""
    run = Run.open(folder)
    return batch_of_step(corpus(folder), run.config.training, step)


@lru_cache(maxsize=8)
def forensics(folder: str, step: int, weights_of: int) -> ClipForensics:
    """The gradient of that step's batch taken apart by sentence, with the weights after `weights_of` steps."""
    batch, training = batch_of(folder, step), Run.open(folder).config.training
    model = network.at(folder, weights_of).model
    return diagnostics.clip_forensics(model, batch.inputs, batch.targets, batch.mask, training.truncate)


@lru_cache(maxsize=16)
def lags_of_sentence(folder: str, step: int, weights_of: int, column: int) -> Array:
    """||G_j|| over the lag of one sentence of that batch."""
    batch, model = batch_of(folder, step), network.at(folder, weights_of).model
    return diagnostics.sentence_lag_norms(model, batch.inputs, batch.targets, batch.mask, column)
