"""A worker process of data parallelism: as the trainer sees it (`Worker`), and what it does (`serve`).

A worker has no state that a training would miss. It ends when the trainer does, however that ends; and the trainer
waits for it at most `START_SECONDS` and `ANSWER_SECONDS`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import time
import weakref
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig
from rnn_core.nn.gradients import Gradient, Gradients, RowGradient
from rnn_core.nn.network import Network, State
from rnn_core.nn.parameters import parameter_shapes
from rnn_core.parallel.shared_buffers import SharedBuffers
from rnn_core.threads import limited_threads, one_blas_thread

# How long the trainer waits for a worker that starts, and, once its own shard is done, for the others' shards: they
# began at the same time and have as much to do, so one that is this late has been stopped, or its machine has.
START_SECONDS = 60
ANSWER_SECONDS = 5

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


class Shard(NamedTuple):
    """Some of a batch's sequences: the arguments of `Network.training_gradients`, and what belongs to it.

    weight: the shard's part of the whole batch's losses, by which its loss and gradients count; threads: that the
    process may use.
    """

    inputs: Array
    targets: Array
    mask: Array | None
    truncate: int | None
    state: State | None
    dropout_rng: np.random.Generator | None
    loss_weights: Array | None
    weight: float
    threads: int

    def gradients(self, model: Network) -> tuple[float, Gradients, State]:
        """The weighted loss (nats) and gradients, and the state after the last step."""
        with limited_threads(self.threads), one_blas_thread():
            loss_nats, gradients, state = model.training_gradients(
                self.inputs,
                self.targets,
                self.mask,
                self.truncate,
                self.state,
                self.dropout_rng,
                loss_weights=self.loss_weights,
            )
        for gradient in gradients.values():
            values = gradient.values if isinstance(gradient, RowGradient) else gradient
            values *= self.weight
        return self.weight * loss_nats, gradients, state


class ShardResult(NamedTuple):
    """A worker's answer; the gradients' values lie in its shared buffers.

    rows: for each gradient that is zero but in some rows, which these are; None for a dense one.
    """

    loss_nats: float
    rows: dict[str, Array | None]
    state: State


class WorkerLost(Exception):
    """A worker has ended or does not answer, or none could be started."""


class Worker:
    """The trainer's end of one worker process. Its methods raise WorkerLost."""

    def __init__(self, config: ModelConfig, buffers: SharedBuffers, number: int) -> None:
        """Start worker `number`, from 1. It reads the parameters in set 0 of `buffers`, and writes its gradients into
        set `number`.
        """
        self.gradients = buffers.arrays(number)
        self.connection, far_end = Pipe()
        try:
            self.process = subprocess.Popen(
                # Not `multiprocessing.Process`, which would run the user's own script once more in the worker. Modules
                # are looked for where this process does, not in the folder in which it was started (-P).
                [
                    sys.executable,
                    "-P",
                    "-c",
                    f"from rnn_core.parallel.worker import serve; serve({far_end.fileno()})",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(far_end.fileno(), buffers.file),
                # A group of its own: Ctrl-C is for the trainer, which ends its workers.
                process_group=0,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
            )
        except OSError as refused:
            raise WorkerLost from refused
        finally:
            far_end.close()
        # Also where nobody calls `close`, as when a training is dropped half-way.
        self.close = weakref.finalize(self, _end, self.connection, self.process)
        _limit_waits(self.connection, START_SECONDS)
        self._send(Setup(config, buffers.dtype.str, buffers.file, buffers.sets, number))

    def wait_until_started(self) -> None:
        """Wait for the worker's first message."""
        self._recv()
        _limit_waits(self.connection, ANSWER_SECONDS)

    def send(self, shard: Shard) -> None:
        self._send(shard)

    def recv(self) -> ShardResult:
        """The answer to the shard that was sent. A MemoryError there is raised here."""
        answer = self._recv()
        if isinstance(answer, MemoryError):
            raise answer
        assert isinstance(answer, ShardResult)
        return answer

    def gradient(self, name: str, rows: Array | None) -> Gradient:
        """One gradient of the last answer; the worker overwrites it when it gets its next shard."""
        values = self.gradients[name]
        return values if rows is None else RowGradient(rows, values[: len(rows)], values.shape)

    def _send(self, message: object) -> None:
        try:
            self.connection.send(message)
        except OSError as lost:
            raise WorkerLost from lost

    def _recv(self) -> object:
        try:
            return _recv(self.connection)
        except (OSError, EOFError) as lost:
            raise WorkerLost from lost


def _recv(connection: Connection) -> Any:
    """The next message: busy-waits for a moment, then sleeps until it comes."""
    until = time.perf_counter() + SPIN_SECONDS
    while not connection.poll(0) and time.perf_counter() < until:
        os.sched_yield()
    return connection.recv()


def _limit_waits(connection: Connection, seconds: int) -> None:
    """From now on, what is sent or received at this end raises BlockingIOError (an OSError) when it has waited so
    long.
    """
    # An option is of the connection, by whichever descriptor it is set; this copy is closed again.
    with socket.socket(fileno=os.dup(connection.fileno())) as end:
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            end.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", seconds, 0))  # a C `struct timeval`


def _end(connection: Connection, process: subprocess.Popen[bytes]) -> None:
    connection.close()
    process.kill()  # It has no state to save, and a stopped process (SIGSTOP) would not see the closed connection.
    process.wait()


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
            shard: Shard = _recv(connection)
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
