"""How much memory a training will take, before it takes it.

With N words, H units, L layers, G gates, T steps, B sequences side by side, P parameters and m moments of the
optimizer, in numbers of 4 bytes (float32):

    total = process + corpus + (1 + m) P + max(step, horizon, start)

    process    the interpreter, NumPy, its threads' buffers: PROCESS_BYTES
    corpus     the ids, and the batches of an epoch: 4 + 2 * 9 bytes a token, 300 a sentence
    step       T B H (cache + state + delta + ...)             what the walk back needs, for every layer
               + 2 min(N, T B) G H                              rows of U's gradient (one-hot; with an embedding of E's)
               + 3 N H                                          V's gradient, a block's part of it, V times exp(c)
               + min(T B N, one block of 12 MB)                 logits: they never exist all at once
    horizon    8 bytes a number: P without the table that is only looked up, 3 N H, one block, and the walk back
               of each loss, of 8 sentences of up to 40 steps, T^2 / 2 B L H (delta + state)
    start      8 P, the first weights before they are rounded; or, to go on from a checkpoint, m P

Where other processes share the batch, each takes a step for its part of the B sequences (`rnn_core.parallel`).

So it grows with N H + T B H, and not with T B N. The numbers of blocks come from the cells themselves. Tests compare
the estimate with what processes really took: within a factor FACTOR of it.
"""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass

from rnn_core import parallel
from rnn_core.config import ModelConfig, NetworkConfig, TrainingSettings
from rnn_core.data import PreparedCorpus, predicted_tokens
from rnn_core.data.tasks import Task
from rnn_core.errors import SettingsError
from rnn_core.nn.cells import cell_of
from rnn_core.nn.losses import loss_of
from rnn_core.nn.parameters import parameter_count, parameter_shapes
from rnn_core.nn.softmax import BLOCK_BYTES, factor_is_less_to_do
from rnn_core.optim.optimizers import OPTIMIZERS
from rnn_core.training import PROBE_SENTENCES, PROBE_STEPS, network_config, task_probe
from rnn_core.training.evaluation import SEQUENCES_AT_A_TIME

PROCESS_BYTES = 55 * 2**20
FACTOR = 1.5
"""Measured / estimated, and estimated / measured, stay below this."""


@dataclass(frozen=True)
class Estimate:
    """Bytes, by what they are for. Only the largest of step, horizon and start is taken at a time."""

    process_bytes: int
    corpus_bytes: int
    weights_bytes: int  # parameters and the optimizer's moments
    step_bytes: int
    horizon_bytes: int
    start_bytes: int
    workers_bytes: int  # of the processes that share the batches

    @property
    def total_bytes(self) -> int:
        """The most that the processes will take at a time."""
        passing = max(self.step_bytes, self.horizon_bytes, self.start_bytes)
        return self.process_bytes + self.corpus_bytes + self.weights_bytes + passing + self.workers_bytes


def estimate(
    model: ModelConfig, training: TrainingSettings, longest_sentence: int, tokens: int = 0, sentences: int = 0
) -> Estimate:
    """Memory of a training of these settings; see the top of this file.

    longest_sentence in steps; tokens, sentences of the whole training corpus.
    """
    parameters = parameter_count(model)
    moments = len(OPTIMIZERS[training.optimizer].moments)
    steps = training.sequence_length if training.batching == "stream" else longest_sentence
    step_bytes, workers_bytes = parallel.step_bytes(
        model,
        steps,
        training.batch_size,
        training.omega,
        lambda sequences: 4 * _step_numbers(model, training, steps, sequences),
    )
    return Estimate(
        process_bytes=PROCESS_BYTES,
        corpus_bytes=22 * tokens + 300 * sentences,
        weights_bytes=4 * (1 + moments) * parameters,
        step_bytes=step_bytes,
        horizon_bytes=8 * _horizon_numbers(model, parameters) if training.horizon_every_seconds is not None else 0,
        start_bytes=max(8, 4 * moments) * parameters,
        workers_bytes=workers_bytes,
    )


def estimate_for(corpus: PreparedCorpus, model: ModelConfig, training: TrainingSettings) -> Estimate:
    """The same for a corpus."""
    longest = max((len(ids) for ids in (*corpus.train, *corpus.valid)), default=1) - 1
    return estimate(model, training, longest, predicted_tokens(corpus.train), len(corpus.train))


def estimate_for_task(task: Task, model: ModelConfig, training: TrainingSettings) -> Estimate:
    """The same for a task, whose validation can take more than a step: it reads many sequences side by side."""
    model, steps = network_config(task, model), len(task_probe(task).inputs)
    found = estimate(model, training, steps)
    return dataclasses.replace(found, step_bytes=max(found.step_bytes, 4 * _forward_numbers(model, steps)))


def check(data: PreparedCorpus | Task, model: ModelConfig, training: TrainingSettings) -> None:
    """Raises SettingsError, with the numbers, for a training that cannot fit into the memory that is free: better
    refused than killed by the system.
    """
    found = estimate_for_task(data, model, training) if isinstance(data, Task) else estimate_for(data, model, training)
    needed, free = found.total_bytes, available_bytes()
    if needed > FACTOR * free:
        raise SettingsError(
            f"this training would take about {needed / 2**30:,.1f} GiB of memory, and {free / 2**30:.1f} GiB are free; "
            "choose a smaller vocabulary, fewer hidden units or smaller batches."
        )


def _step_numbers(model: ModelConfig, training: TrainingSettings, steps: int, sequences: int) -> int:
    """How many numbers (of 4 bytes) a training step on so many sequences holds beside the weights."""
    cell = cell_of(model)
    N, H, G = model.vocabulary_size, model.hidden_size, len(cell.gates)
    positions = steps * sequences
    blocks = cell.cache_blocks + cell.state_blocks + cell.d_preactivation_blocks + cell.state_blocks
    if training.truncate is not None or training.omega:
        blocks += cell.slope_blocks  # full BPTT alone takes them a few steps at a time
    if training.truncate is not None:
        blocks += 2 * (cell.d_preactivation_blocks + cell.state_blocks)  # all losses walk back at once
    if model.dropout:
        blocks += 6  # random numbers in float64, and the masks
    walk = positions * H * (blocks * model.layers + 3)
    inputs = 2 * min(N, positions) * (G * H if model.embedding_size is None else model.embedding_size)
    if isinstance(model, NetworkConfig) and model.input_size is not None:
        inputs = 3 * positions * model.input_size  # as they are given, in float64, and as the network reads them
    return walk + inputs + _output_numbers(model, positions, BLOCK_BYTES // 4)


def _forward_numbers(model: ModelConfig, steps: int) -> int:
    """How many numbers a task's validation holds: the forward pass alone, with every output."""
    cell = cell_of(model)
    blocks = (cell.cache_blocks + cell.state_blocks) * model.layers + 1
    return steps * SEQUENCES_AT_A_TIME * (blocks * model.hidden_size + 2 * loss_of(model).outputs)


def _output_numbers(model: ModelConfig, positions: int, block: int) -> int:
    """How many numbers the output layer and its gradient hold; block: the most logits that exist at a time."""
    N, H = loss_of(model).outputs, model.hidden_size
    logits = min(positions * N, max(block, N))
    matrices = 1 + (positions * N > block) + (model.bias and factor_is_less_to_do(positions, H))
    return logits + matrices * N * H


def _horizon_numbers(model: ModelConfig, parameters: int) -> int:
    """How many numbers (of 8 bytes) measuring the horizon holds."""
    cell = cell_of(model)
    H, positions = model.hidden_size, PROBE_SENTENCES * PROBE_STEPS
    table = 0
    if not model.tied:
        table = math.prod(parameter_shapes(model)["U" if model.embedding_size is None else "E"])
    pairs = PROBE_SENTENCES * PROBE_STEPS * (PROBE_STEPS + 1) // 2
    walk = pairs * H * (cell.d_preactivation_blocks + cell.state_blocks) * model.layers
    return parameters - table + walk + _output_numbers(model, positions, BLOCK_BYTES // 8)


def available_bytes() -> int:
    """Memory that this process may still take: what the machine has free, or its container's limit leaves."""
    free = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            free += [1024 * int(line.split()[1]) for line in file if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        pass  # Not Linux: only the machine's whole memory is known.
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            limit = int(file.read())
        with open("/sys/fs/cgroup/memory.stat", encoding="ascii") as file:
            usage = dict(line.split() for line in file)
        # The kernel gives up cached pages of files when memory is short, but not these.
        free.append(limit - int(usage["anon"]) - int(usage.get("kernel", 0)))
    except (OSError, ValueError, KeyError):
        pass  # No cgroup v2, or no limit ("max").
    return max(0, min(free))
