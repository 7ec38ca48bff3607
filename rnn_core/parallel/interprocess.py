"""What processes that compute together share: memory, and a quick way to wait for each other."""

from __future__ import annotations

import math
import os
import socket
import tempfile
import time
import weakref
from mmap import mmap
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from rnn_core.arrays import Array

ALIGNMENT = 64  # bytes: a cache line

# How long a process that waits keeps looking before it falls asleep. To be woken takes a tenth of a millisecond and
# more where its core has fallen asleep too; looking lets everyone else who wants the core go first.
AWAKE_SECONDS = 0.001


def aligned(size: int) -> int:
    """So many bytes, rounded up to whole cache lines."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class SharedArrays:
    """Sets of arrays of these names and shapes, and `extra` bytes, in memory that processes share by the file
    descriptor `file`. Pages that are never touched take no memory.
    """

    def __init__(
        self, shapes: dict[str, tuple[int, ...]], dtype: Any, sets: int, extra: int = 0, file: int | None = None
    ) -> None:
        self.shapes, self.dtype = shapes, np.dtype(dtype)
        self.places: dict[str, int] = {}
        self.bytes_per_set = 0
        for name, shape in shapes.items():
            self.places[name] = self.bytes_per_set
            self.bytes_per_set += aligned(math.prod(shape) * self.dtype.itemsize)
        size = sets * self.bytes_per_set + extra
        self.file = _anonymous_file() if file is None else file
        if file is None:
            os.ftruncate(self.file, size)
        self.memory = mmap(self.file, size)
        self.extra = np.ndarray(extra, np.uint8, self.memory, sets * self.bytes_per_set)
        weakref.finalize(self, os.close, self.file)  # The arrays keep the memory itself.

    def set(self, number: int) -> dict[str, Array]:
        start = number * self.bytes_per_set
        return {
            name: np.ndarray(shape, self.dtype, self.memory, start + self.places[name])
            for name, shape in self.shapes.items()
        }


def _anonymous_file() -> int:
    """A file without a name, in memory where the system has such files; it is gone with the last who holds it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("rnn_core")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Line:
    """One end of a line between two processes. What is said at one end is heard at the other: objects, and beats, which
    say no more than "I am here".
    """

    BEAT = b"."  # As the first byte of an object's length it would announce 700 megabytes.

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.socket = socket.socket(fileno=os.dup(connection.fileno()))

    @classmethod
    def pair(cls) -> tuple[Line, Line]:
        one, other = Pipe()
        return cls(one), cls(other)

    def say(self, message: object) -> None:
        """Raises OSError where the other end is closed."""
        self.connection.send(message)

    def hear(self) -> Any:
        """Wait for the next object. Raises EOFError where the other end is closed, as by its process's end."""
        self._first_byte()
        return self.connection.recv()

    def beat(self) -> None:
        self.socket.send(self.BEAT)

    def await_beat(self) -> None:
        """Where an exception has been said instead, it is raised here."""
        if self._first_byte() == self.BEAT:
            self.socket.recv(1)
            return
        message = self.connection.recv()
        raise message if isinstance(message, Exception) else EOFError

    def _first_byte(self) -> bytes:
        """Of what comes next; it stays there. Empty where the other end is closed."""
        until = time.perf_counter() + AWAKE_SECONDS
        while time.perf_counter() < until:
            try:
                return self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                os.sched_yield()
        return self.socket.recv(1, socket.MSG_PEEK)

    def close(self) -> None:
        self.socket.close()
        self.connection.close()


class Hub:
    """Where the process in the middle waits until all others have come; they wait at the `Spoke`s of its lines."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines

    def wait(self) -> None:
        for line in self.lines:
            line.await_beat()
        for line in self.lines:
            line.beat()


class Spoke:
    """The other end of one of a `Hub`'s lines."""

    def __init__(self, line: Line) -> None:
        self.line = line

    def wait(self) -> None:
        self.line.beat()
        self.line.await_beat()
