"""How far back does a network use what it has read, and how far back could it learn? Both on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnn_core.arrays import Array
from rnn_core.data import batches
from rnn_core.diagnostics.effective_context import DEFAULT_LENGTHS, EffectiveContext, Progress, effective_context
from rnn_core.diagnostics.horizon import Horizon, horizon
from rnn_core.errors import CorpusError
from rnn_core.nn.language_model import LanguageModel

STRETCH = 500
"""Tokens that are read from one fresh state, where the text is one continuous stream."""
PROBE_SEQUENCES, PROBE_TOKENS = 8, 200
"""The gradient is followed back on this many of the longest sequences, in the first PROBE_TOKENS of each."""


@dataclass(frozen=True, eq=False)
class Reach:
    """context: what the loss becomes without what was read further back; gradient: how much of it arrives there.

    Both begin at 1 and fall over the words back: of the context, `context_share` for each of its lengths; of the
    gradient, `gradient.median` for each lag.
    """

    context: EffectiveContext
    gradient: Horizon

    @property
    def context_share(self) -> Array:
        """(K,) The rise in loss when only the nearest n = `context.lengths` inputs are left, as a share of the rise
        with the smallest of these n; 0 where that costs nothing.
        """
        rise = self.context.dropped_nats - self.context.full_nats
        return rise / rise[0] if rise[0] > 0 else np.zeros(len(rise))

    @property
    def context_half(self) -> float | None:
        """The n beyond which half of that lies, between two lengths by interpolation; None: further than the longest
        of them.
        """
        share, lengths = self.context_share, self.context.lengths
        below = np.flatnonzero(share <= 0.5)
        if not len(below):
            return None
        if below[0] == 0:
            return float(lengths[0])
        last, first = below[0] - 1, below[0]
        part = (share[last] - 0.5) / (share[last] - share[first])
        return float(lengths[last] + part * (lengths[first] - lengths[last]))

    @property
    def gradient_half(self) -> float | None:
        """The lag at which half of the gradient is gone; None: further than the sequences reach."""
        return self.gradient.half_life

    @property
    def larger(self) -> str | None:
        """ "context": it uses words from further back than its gradient reaches; "gradient": the other way round; None
        where neither has a half within what was looked at.
        """
        context, gradient = (np.inf if half is None else half for half in (self.context_half, self.gradient_half))
        if context == gradient:
            return None
        return "context" if context > gradient else "gradient"


def reach(
    model: LanguageModel,
    sentences: Sequence[Array],
    carried: bool,
    most_targets: int = 2000,
    lengths: Sequence[int] = DEFAULT_LENGTHS,
    progress: Progress | None = None,
) -> Reach:
    """Sentences of ids from <s> to </s> -> Reach. Each sentence is read from a fresh state, or, of a text that is read
    on without a break (`carried`), each stretch of STRETCH tokens. Raises CorpusError where nothing is predicted.
    """
    sequences = [(ids[:-1], ids[1:]) for ids in sentences]
    if not sequences:
        raise CorpusError("there is no word to predict; give a longer text.")
    if carried:
        inputs, targets = (np.concatenate(side) for side in zip(*sequences, strict=True))
        starts = range(0, len(inputs), STRETCH)
        sequences = [(inputs[at : at + STRETCH], targets[at : at + STRETCH]) for at in starts]
    longest = sorted(sequences, key=lambda pair: -len(pair[0]))[:PROBE_SEQUENCES]
    # `batches` cuts ids into inputs ids[:-1] and targets ids[1:]; so the last target follows the inputs.
    probe = [np.append(ids[:PROBE_TOKENS], after[:PROBE_TOKENS][-1]) for ids, after in longest]
    (batch,) = batches(probe, PROBE_SEQUENCES, None)
    read, predicted = ([pair[side] for pair in sequences] for side in (0, 1))
    context = effective_context(model, read, predicted, lengths, most_targets, progress=progress)
    return Reach(context, horizon(model, batch.inputs, batch.targets, batch.mask, bounds=False))
