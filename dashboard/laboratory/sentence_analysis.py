"""What the pictures are of: one sentence, read by the network of one moment. Numbers come when asked for, once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property, lru_cache
from typing import Any, TypeVar, cast

from dashboard.services import library, measurements, network
from dashboard.services.measurements import EXPONENTS
from dashboard.services.network import Loaded, LoadedNetwork
from rnn_core import diagnostics
from rnn_core.arrays import Array
from rnn_core.data import END, START, UNKNOWN_ID
from rnn_core.diagnostics import (
    GradientByLag,
    GradientFlow,
    Horizon,
    Lyapunov,
    ProductSpectrum,
    RowDecay,
    SignalStatistics,
    TwoPaths,
    WhereLost,
    WhichWordsMattered,
)
from rnn_core.randomness import stream
from rnn_core.runs import Run

T = TypeVar("T")


class SentenceAnalysis:
    """One sentence in one network. All visitors who look at the same share it: nothing in it may be changed, and its
    run is a guest's, who has no text.
    """

    def __init__(self, run: Run, loaded: Loaded, words: tuple[str, ...]) -> None:
        """`words`: the sentence without <s> and </s>."""
        self._begin(run, loaded)
        self.words = words
        self.sources, self.targets = [START, *words], [*words, END]
        self.ids = loaded.vocabulary.encode_sentence(words)
        self.asked = list(range(len(self.targets)))

    def _begin(self, run: Run, loaded: LoadedNetwork) -> None:
        self.run, self.loaded, self.model = run, loaded, loaded.model
        self._kept: dict[Hashable, Any] = {}

    @property
    def reads_words(self) -> bool:
        """Whether there are other words that one can put in the place of one."""
        return True

    def target(self, t: int) -> int:
        """The id that is asked for at position t."""
        return int(self.ids[t + 1])

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self._kept:
            self._kept[key] = make()
        return cast(T, self._kept[key])

    @property
    def unknown(self) -> list[bool]:
        """Whether each word, <s> to </s>, is read as <unk>."""
        unknown = self.ids == UNKNOWN_ID
        return [bool(flag) for flag in unknown]

    @property
    def gated(self) -> bool:
        """Whether the cell has gates, and with them a carry beside the way through W."""
        return self.model.cell.gated

    @property
    def carry_gate(self) -> tuple[str, str]:
        """Of a gated cell: the gate that decides what the carry keeps, and the letter of the state that it keeps."""
        cell = self.model.cell
        if cell.carry_gate is None or cell.carry is None:
            raise ValueError(f"a {cell.name} cell has no carry")
        return cell.carry_gate, cell.carry

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
    def gradient_by_lag(self) -> GradientByLag:
        return diagnostics.gradient_by_lag(self.flow, self.truncate)

    @cached_property
    def truncate(self) -> int | None:
        """K of the training when it had these weights."""
        return self.run.training_at(self.loaded.step + 1).truncate

    @cached_property
    def lyapunov(self) -> Lyapunov:
        return diagnostics.lyapunov_exponents(self.flow.trace, EXPONENTS)

    def row(self, t: int) -> RowDecay:
        return self._once(("row", t), lambda: diagnostics.row_decay(self.model, self.flow, t))

    def where_lost(self, t: int) -> WhereLost:
        return self._once(("where lost", t), lambda: diagnostics.where_lost(self.flow, t))

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

    def influence(self, t: int) -> WhichWordsMattered:
        return self._once(
            ("influence", t),
            lambda: diagnostics.which_words_mattered(
                self.model,
                self.flow,
                self.target(t),
                t,
                measurements.unigram_counts(str(self.run.folder)),
                # The same replacements whenever one comes back to this word.
                stream(0, "who mattered", t),
            ),
        )


@lru_cache(maxsize=6)
def _analyse(folder: str, step: int, words: tuple[str, ...]) -> SentenceAnalysis:
    return SentenceAnalysis(library.shared_run(folder), network.at(folder, step), words)


def analyse(run: Run, step: int, words: list[str]) -> SentenceAnalysis:
    """The sentence `words` in the network as it was after `step` steps. RunError where those weights are gone."""
    return _analyse(str(run.folder), step, tuple(words))
