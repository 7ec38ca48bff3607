"""How far the gradient of a network in training reaches, measured on a probe batch that is always the same."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rnn_core.data import Batch, PreparedCorpus, batches
from rnn_core.data.tasks import Task, TaskBatch
from rnn_core.diagnostics import horizon, recurrent_spectrum
from rnn_core.nn.network import Network
from rnn_core.randomness import stream
from rnn_core.training.events import HorizonMeasured

# The probe batch of a text: its number of sentences, and the most steps of each.
PROBE_SENTENCES = 8
PROBE_STEPS = 40
# The most lags at which it is measured, because the sequences of a task may have thousands of steps.
MOST_LAGS = 500


def probe_batch(corpus: PreparedCorpus) -> Batch:
    """The sentences on which the horizon is measured: always the same, the longest that are not too long."""
    sentences = [sentence[: PROBE_STEPS + 1] for sentence in (corpus.valid or corpus.train)]
    longest = sorted(range(len(sentences)), key=lambda index: (-len(sentences[index]), index))[:PROBE_SENTENCES]
    return batches([sentences[index] for index in longest], PROBE_SENTENCES, None)[0]


def task_probe(task: Task) -> TaskBatch:
    """The sequences of a task on which the horizon is measured: always the same."""
    return task.draw(PROBE_SENTENCES, stream(0, f"task {task.name} probe"))


def measured_horizon(model: Network, batch: Batch | TaskBatch, step: int) -> HorizonMeasured:
    """The horizon of these weights, which are of step `step`, on a probe batch. Its curves are empty where a weight is
    not finite.
    """
    if not all(np.isfinite(value).all() for value in model.params.values()):
        return HorizonMeasured(step, (), (), (), None)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        reach = horizon(
            model, batch.inputs, batch.targets, batch.mask, False, MOST_LAGS, loss_weights=batch.loss_weights
        )
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
