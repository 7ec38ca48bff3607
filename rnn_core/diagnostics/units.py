"""Which units follow something in a text? (Karpathy, Johnson & Li 2015: "Visualizing and Understanding Recurrent
Networks"; Strobelt et al. 2018: LSTMVis.)

Units are ranked by their correlation with a feature on the first half of a text. Two things guard against the best of
nothing: the same correlation on the second half, which had no say in the ranking; and a permutation test for having
looked at many units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rnn_core.arrays import Array
from rnn_core.diagnostics.text_features import varies
from rnn_core.diagnostics.text_walk import Unit, text_length, text_parts, unit_values, units_of
from rnn_core.errors import DivergenceError
from rnn_core.nn.language_model import LanguageModel

SHIFTS = 199
SIGNIFICANT = 0.05
LEAST_CORRELATION = 0.3
"""What counts as following: a medium correlation (Cohen 1988). In a long text far smaller ones are significant."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The units from the one that follows a feature best, by |correlation|.

    units        (U,) of them
    correlation  (U,) with the feature on the first half of the text, by which they are ranked; 0 for one that stays
                 the same all the time
    held_out     (U,) on the second half
    p_value      (U,) how often the best of all units does as well against a shifted feature
    chance       (K,) |correlation| of that best unit for each shift
    """

    units: list[Unit]
    correlation: Array
    held_out: Array
    p_value: Array
    chance: Array

    @property
    def follows(self) -> Array:
        """(U,) bool: more than chance can do, and in the same sense and with LEAST_CORRELATION on the second half."""
        same_sense = self.held_out * np.sign(self.correlation)
        return (self.p_value <= SIGNIFICANT) & (same_sense >= LEAST_CORRELATION)

    def top(self, count: int) -> list[int]:
        """Places in the ranking of the best `count` units, each once, by the signal of it that follows best."""
        best: dict[tuple[int, int], int] = {}
        for place, unit in enumerate(self.units):
            best.setdefault((unit.layer, unit.number), place)
        return list(best.values())[:count]


def rank_units(
    model: LanguageModel,
    sentences: Sequence[Array],
    carried: bool,
    features: Mapping[str, Array],
    shifts: int = SHIFTS,
    seed: int = 0,
    progress: Callable[[float], object] | None = None,
) -> dict[str, Ranking]:
    """Sentences of ids, read as in `text_parts`, and the values (n,) of features at every token -> a Ranking for each.

    The p value is that of a permutation test. Neighbouring tokens resemble each other, in the units as in the features,
    so that shuffled features would correlate far less by chance than these do: a shuffle takes nearly everything for a
    discovery. A circular shift of the feature within the half keeps how each series resembles itself, and breaks only
    what joins the two (Harris 2020, "Nonsense correlations in neuroscience"). For every shift the largest |correlation|
    over all units is taken (max statistic; Westfall & Young 1993), so that p holds for having looked at all of them:
    p = (1 + shifts whose largest is no smaller) / (1 + K). In a strictly periodic text some shifts break nothing; the
    test then errs on the side of finding too little.

    One pass over the text; no more than a batch of states is held. `progress` is called with the share that is done.
    Raises CorpusError for a text without tokens, ValueError for a feature that does not vary in both halves,
    DivergenceError where the states are no numbers.
    """
    count = text_length(sentences)
    half = count // 2
    for name, values in features.items():
        if not varies(values):
            raise ValueError(f"{name} does not vary in both halves of this text")
    offsets = np.concatenate([[0], _offsets(half, shifts, np.random.default_rng(seed))])
    first = {name: _standard(values[:half]) for name, values in features.items()}
    second = {name: _standard(values[half:]) for name, values in features.items()}
    units = units_of(model)
    dtype = model.dtype
    sums = _Sums(len(units), len(features) * len(offsets))
    held_out = _Sums(len(units), len(features))
    done = 0
    for part in text_parts(model, sentences, carried):
        values, early = unit_values(part.trace, part.mask), part.places < half
        at = (part.places[early, None] - offsets) % half
        sums.add(values[early], np.concatenate([found[at] for found in first.values()], axis=1, dtype=dtype))
        late = part.places[~early] - half
        held_out.add(values[~early], np.stack([found[late] for found in second.values()], axis=1).astype(dtype))
        done += len(part.places)
        if progress is not None:
            progress(done / count)
    by_feature = np.split(sums.correlations(), len(features), axis=1)
    checked = held_out.correlations().T
    return {name: ranking_of(units, *found) for name, *found in zip(features, by_feature, checked, strict=True)}


def _offsets(count: int, shifts: int, rng: np.random.Generator) -> Array:
    """Different shifts, none of them so short that the two series still belong together."""
    margin = max(1, count // 20)
    possible = np.arange(margin, count - margin + 1)
    return rng.choice(possible, min(shifts, len(possible)), replace=False)


def _standard(values: Array) -> Array:
    """Mean 0 and standard deviation 1."""
    return (values - values.mean()) / values.std()


class _Sums:
    """Correlations of U units with F standardized series, in one pass."""

    def __init__(self, units: int, features: int) -> None:
        self.count = 0
        self.values, self.squares = np.zeros((2, units))
        self.products = np.zeros((units, features))

    def add(self, values: Array, features: Array) -> None:
        """values (R, U), features (R, F)."""
        self.count += len(values)
        self.values += values.sum(axis=0, dtype=np.float64)
        self.squares += np.einsum("ru,ru->u", values, values, dtype=np.float64)
        self.products += values.T @ features

    def correlations(self) -> Array:
        """(U, F). Raises DivergenceError where a unit is no number."""
        if not np.isfinite(self.products).all():
            raise DivergenceError("the network's states are no numbers; it has diverged. Train it with a lower rate.")
        mean = self.values / self.count
        variance = self.squares / self.count - mean**2
        # Of a unit that stands still, rounding alone would be left.
        moves = variance > 1e-12 * (mean**2 + 1e-12)
        deviation = np.sqrt(np.where(moves, variance, 1.0))
        return np.where(moves, (self.products / self.count).T / deviation, 0.0).T


def ranking_of(units: Sequence[Unit], correlations: Array, held_out: Array) -> Ranking:
    """correlations (U, 1 + K), the true one first and then one for each permutation; held_out (U,)."""
    true, chance = correlations[:, 0], np.abs(correlations[:, 1:]).max(axis=0)
    order = np.argsort(-np.abs(true), kind="stable")
    ordered = np.sort(chance)
    as_good = len(chance) - np.searchsorted(ordered, np.abs(true[order]), side="left")
    return Ranking(
        [units[place] for place in order],
        true[order],
        held_out[order],
        (1 + as_good) / (1 + len(chance)),
        chance,
    )


def strongest_places(values: Array, count: int = 10, apart: int = 50) -> Array:
    """A unit along a text (n,) -> the places (·,) of its largest values, largest first, at least `apart` tokens from
    each other: neighbours would show the same spot again. For the smallest, negate the values.
    """
    found: list[int] = []
    for place in np.argsort(-values, kind="stable").tolist():
        if len(found) == count:
            break
        if all(abs(place - other) >= apart for other in found):
            found.append(place)
    return np.array(found, np.int64)
