"""What a worker process does: it answers shard after shard.

A worker has no state that a training would miss, and ends when the trainer does, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import time
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig
from rnn_core.nn.gradients import RowGradient
from rnn_core.nn.network import Network
from rnn_core.nn.parameters import parameter_shapes
from rnn_core.parallel.shards import Shard, ShardResult
from rnn_core.parallel.shared_buffers import SharedBuffers

# How long to busy-wait for a message before sleeping until it comes. Waking up takes a tenth of a millisecond, and more
# where the core is idle: 4 to 7 % of a training step of characters.
SPIN_SECONDS = 0.001


class Setup(NamedTuple):
    """The first message to a worker: the network, and where the buffers and its own set in them are."""

    config: ModelConfig
    dtype: str
    memory_file: int
    sets: int
    number: int


def serve(connection_file: int) -> None:
    """Run as a worker process: answer shard after shard, until the trainer closes the connection."""
    connection = Connection(connection_file)
    with contextlib.suppress(EOFError, OSError):  # The trainer has ended.
        setup: Setup = connection.recv()
        buffers = SharedBuffers(parameter_shapes(setup.config), setup.dtype, setup.sets, setup.memory_file)
        model = Network(setup.config, params=buffers.arrays(0))
        gradients = buffers.arrays(setup.number)
        connection.send("started")
        while True:
            shard: Shard = receive(connection)
            try:
                answer = _answer(model, shard, gradients)
            except MemoryError as error:
                connection.send(error)
                return
            connection.send(answer)


def _answer(model: Network, shard: Shard, buffers: dict[str, Array]) -> ShardResult:
    loss_nats, gradients, state = shard.gradients(model)
    rows: dict[str, Array | None] = {}
    for name, gradient in gradients.items():
        if isinstance(gradient, RowGradient):
            rows[name] = gradient.rows
            buffers[name][: len(gradient.rows)] = gradient.values
        else:
            rows[name] = None
            buffers[name][...] = gradient
    return ShardResult(loss_nats, rows, state)


def receive(connection: Connection) -> Any:
    """The next message, at either end: busy-waits for a moment, then sleeps until it comes."""
    until = time.perf_counter() + SPIN_SECONDS
    while not connection.poll(0) and time.perf_counter() < until:
        os.sched_yield()
    return connection.recv()
