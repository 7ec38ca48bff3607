"""The trainer's end of a worker process, whose own end is `serve`.

The trainer waits for it at most `START_SECONDS` and `ANSWER_SECONDS`.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import weakref
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig
from rnn_core.nn.gradients import Gradient, RowGradient
from rnn_core.parallel.serve import Setup, receive
from rnn_core.parallel.shards import Shard, ShardResult
from rnn_core.parallel.shared_buffers import SharedBuffers

# How long the trainer waits for a worker that starts, and, once its own shard is done, for the others' shards: they
# began at the same time and have as much to do, so one that is this late has been stopped, or its machine has.
START_SECONDS = 60
ANSWER_SECONDS = 5


class WorkerLost(Exception):
    """A worker has ended or does not answer, or none could be started."""


class Worker:
    """One worker process, as the trainer sees it. Its methods raise WorkerLost."""

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
                    f"from rnn_core.parallel.serve import serve; serve({far_end.fileno()})",
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
        self.send(Setup(config, buffers.dtype.str, buffers.file, buffers.sets, number))

    def wait_until_started(self) -> None:
        """Wait for the worker's first message."""
        self._recv()
        _limit_waits(self.connection, ANSWER_SECONDS)

    def send(self, message: Setup | Shard) -> None:
        try:
            self.connection.send(message)
        except OSError as lost:
            raise WorkerLost from lost

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

    def _recv(self) -> object:
        try:
            return receive(self.connection)
        except (OSError, EOFError) as lost:
            raise WorkerLost from lost


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
