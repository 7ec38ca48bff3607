"""How far the gradient of a network in training reaches, measured on a probe batch that is always the same."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rnn_core.data import Batch, PreparedCorpus, batches
from rnn_core.diagnostics import horizon, recurrent_spectrum
from rnn_core.nn.language_model import LanguageModel
from rnn_core.training.events import HorizonMeasured

# So many sentences, no longer than so many steps.
PROBE_SENTENCES = 8
PROBE_STEPS = 40


def probe_batch(corpus: PreparedCorpus) -> Batch:
    """The sentences on which the horizon is measured: always the same, the longest that are not too long."""
    sentences = [sentence[: PROBE_STEPS + 1] for sentence in (corpus.valid or corpus.train)]
    longest = sorted(range(len(sentences)), key=lambda index: (-len(sentences[index]), index))[:PROBE_SENTENCES]
    return batches([sentences[index] for index in longest], PROBE_SENTENCES, None)[0]


def measured_horizon(model: LanguageModel, corpus: PreparedCorpus, step: int) -> HorizonMeasured:
    """The horizon of these weights, which are of step `step`, on the probe batch of the corpus. Its curves are empty
    where a weight is not finite.
    """
    if not all(np.isfinite(value).all() for value in model.params.values()):
        return HorizonMeasured(step, (), (), (), None)
    batch = probe_batch(corpus)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        reach = horizon(model, batch.inputs, batch.targets, batch.mask, bounds=False)
        measured = np.isfinite(reach.median)
        blocks = recurrent_spectrum(model)
    return HorizonMeasured(
        step,
        _rounded(reach.median[measured]),
        _rounded(reach.low[measured]),
        _rounded(reach.high[measured]),
        reach.half_life,
        _rounded(block.radius for block in blocks),
        _rounded(block.norm for block in blocks),
    )


def _rounded(curve: Iterable[float]) -> tuple[float, ...]:
    """Four digits are more than a chart can show."""
    return tuple(float(f"{value:.4g}") for value in curve)
