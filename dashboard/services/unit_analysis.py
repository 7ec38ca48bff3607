"""What the Units page shows of one network on one text: each number is computed once, when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property, lru_cache

import numpy as np

from dashboard.services import held_out, network
from dashboard.services.held_out import HeldOut, Text
from dashboard.services.network import Loaded
from rnn_core import diagnostics
from rnn_core.arrays import Array
from rnn_core.data.tasks import Agreement, make_task
from rnn_core.diagnostics import AblationCost, Carriers, Ranking, Unit
from rnn_core.errors import CorpusError
from rnn_core.runs import Run

Progress = Callable[[float], object]

_measuring = threading.Lock()
"""One text is gone through at a time: the server's cores are for trainings too."""

KEPT_SERIES = 12
TASK_SENTENCES = 400


class UnitAnalysis:
    """Shared by all visitors who may read the text: nobody may change what is returned."""

    def __init__(self, loaded: Loaded, text: HeldOut) -> None:
        self.loaded, self.text = loaded, text
        self._rankings: dict[str, Ranking] | None = None
        self._series: dict[Unit, Array] = {}
        self._costs: dict[tuple[int, int, str], AblationCost] = {}

    @cached_property
    def features(self) -> dict[str, Array]:
        """Of every feature that there is something of in the text, its values (n,)."""
        return diagnostics.features_of(self.text.tokens)

    def rankings(self, progress: Progress | None = None) -> dict[str, Ranking]:
        """By feature. `progress` is called with the share that is done; what it raises ends the measuring."""
        with _measuring:
            if self._rankings is None:
                self._rankings = {}
                if self.features:
                    self._rankings = diagnostics.rank_units(
                        self.loaded.model, self.text.sentences, self.text.carried, self.features, progress=progress
                    )
            return self._rankings

    def series(self, unit: Unit) -> Array:
        """(n,) the unit along the text."""
        with _measuring:
            if unit not in self._series:
                found = diagnostics.unit_series(self.loaded.model, self.text.sentences, self.text.carried, [unit])
                while len(self._series) >= KEPT_SERIES:
                    del self._series[next(iter(self._series))]
                self._series[unit] = found[:, 0]
            return self._series[unit]

    @cached_property
    def _losses(self) -> Array:
        return diagnostics.text_losses(self.loaded.model, self.text.sentences, self.text.carried)

    def cost(self, unit: Unit, feature: str) -> AblationCost:
        """What the loss rises by without the unit, where the feature ends and elsewhere."""
        key = (unit.layer, unit.number, feature)
        with _measuring:
            if key not in self._costs:
                found = diagnostics.ablation_cost(
                    self.loaded.model,
                    self.text.sentences,
                    self.text.carried,
                    (unit.layer, unit.number),
                    diagnostics.ends(self.features[feature]),
                    self._losses,
                )
                self._costs[key] = found
            return self._costs[key]

    @cached_property
    def carriers(self) -> Carriers | None:
        """Who carries the subject over the gap, where the text has sentences of the agreement corpus."""
        try:
            question = diagnostics.agreement_question(self.loaded.vocabulary, self.text.sentences)
            return diagnostics.carriers(self.loaded.model, question)
        except CorpusError:
            return None

    def places(self, unit: Unit, sense: float, count: int = 8) -> list[int]:
        """Where in the text the unit is largest; smallest where sense is below 0."""
        found: list[int] = diagnostics.strongest_places(np.copysign(1, sense) * self.series(unit), count).tolist()
        return found


def analysis(run: Run, loaded: Loaded, text: Text) -> UnitAnalysis:
    """Of the network with these weights. Raises RunError for a guest who asks for the owner's text, CorpusError."""
    held_out.check_allowed(run, text)
    return _analysis(str(run.folder), loaded.step, text)


@lru_cache(maxsize=4)
def _analysis(folder: str, step: int, text: Text) -> UnitAnalysis:
    return UnitAnalysis(network.at(folder, step), held_out.read(Run.open(folder), text))


def task_carriers(run: Run) -> Carriers | None:
    """Who carries the subject's number in a run on number prediction; None for any other run, or before its first
    checkpoint.
    """
    steps = [] if run.config.task is None else run.checkpoint_steps()
    return _task_carriers(str(run.folder), steps[-1]) if steps else None


@lru_cache(maxsize=4)
def _task_carriers(folder: str, newest_step: int) -> Carriers | None:
    """Kept by folder and newest step."""
    run = Run.open(folder)
    task = None if run.config.task is None else make_task(run.config.task)
    if not isinstance(task, Agreement):
        return None
    question = diagnostics.number_question(task, task.batch(TASK_SENTENCES, 0, 0))
    return diagnostics.carriers(run.load_network().model, question)
