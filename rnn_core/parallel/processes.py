"""How many processes share a batch, and the memory that they take."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

from rnn_core.config import ModelConfig
from rnn_core.nn.losses import loss_of
from rnn_core.nn.parameters import layer_of, parameter_count, parameter_shapes
from rnn_core.threads import thread_count

# Floating-point operations in a batch from which another process gains clearly more than it costs.
WORTH_A_PROCESS = 80_000_000
# With fewer sequences a process's matrix products are thin.
LEAST_SEQUENCES = 8
# Threads share the output layer, but not the walks through time, whose time weighs the more the more cores there are.
# Processes share both, but each reads the whole of V and writes its whole gradient. They gain where the number of cores
# times the recurrent products' part of all products reaches this. On two cores processes did the work of an LSTM with
# 4,000 words and H = 200 (a part of 1/7) 1.2 times as fast as threads; with 10,000 words and H = 400 (1/7, but more of
# V), or with 8,000 and H = 100 (1/21), 0.95 times.
LEAST_RECURRENT = 0.3
# The interpreter, NumPy and the network's code once more.
WORKER_BYTES = 40 * 2**20


def processes_for(config: ModelConfig, steps: int, sequences: int) -> int:
    """How many processes share a batch of T steps and B sequences: 1 where sharing gains nothing."""
    recurrent, output = _multiplications(config)
    if thread_count() * recurrent < LEAST_RECURRENT * (recurrent + output):
        return 1
    # A multiplication and an addition, once forward and twice back (to the input and to the weights).
    if 6 * steps * sequences * (recurrent + output) < WORTH_A_PROCESS:
        return 1
    return max(1, min(thread_count(), sequences // LEAST_SEQUENCES))


@cache
def _multiplications(config: ModelConfig) -> tuple[int, int]:
    """Multiplications for one position: with the recurrent matrices, and with the output matrix."""
    shapes = parameter_shapes(config)
    recurrent = sum(math.prod(shape) for name, shape in shapes.items() if layer_of(name)[0] == "W")
    return recurrent, loss_of(config).outputs * config.hidden_size


def step_bytes(
    config: ModelConfig, steps: int, sequences: int, omega: float, bytes_of: Callable[[int], int]
) -> tuple[int, int]:
    """Memory of a training step in float32: what this process takes, and what those add that share the batch with it.

    bytes_of(b): what the step on b of the sequences takes in one process, beside the parameters.
    """
    processes = 1 if omega else processes_for(config, steps, sequences)
    own = bytes_of(-(-sequences // processes))
    gradients = 4 * parameter_count(config)  # in the memory that the processes share
    return own, (processes - 1) * (WORKER_BYTES + own + gradients)
