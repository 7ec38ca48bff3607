"""The sequences of a batch, shared among processes: each takes some of them from the first word to the gradients.

    o  the batch's columns, strided      this process: columns 0, P, 2P, ...     member k: columns k, k + P, ...
    o  each: forward, back, its gradients of the mean over all the batch's tokens
    o  this process adds them up: the gradient of a sum is the sum of the gradients

Threads cannot do this: a walk through time is hundreds of short calls, and for each of them the threads of one process
wait for each other at Python's lock. Processes have a lock each. They meet once a step, and see the same parameters,
which lie in memory that all of them share; a member writes its gradients there too. (Where the softmax over many words
is nearly all of the work, threads share it just as well, word by word, and nobody has to meet: see `processes_for`.)

A member holds nothing that cannot be lost. It ends when this process does, however that ends; if a member dies, this
process goes on alone.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import weakref
from functools import cache
from mmap import mmap
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from rnn_core.gradients import Gradient, Gradients, RowGradient, add
from rnn_core.model import LanguageModel, ModelConfig, State, layer_suffix, parameter_shapes
from rnn_core.numerics import Array
from rnn_core.threads import limited_threads, thread_count

# Sequences that a process should have at least: with fewer, its products are thin and V is read for little.
LEAST_SEQUENCES = 8
# Floating-point operations of a batch above which a process more gains clearly more than it costs to meet, if at least
# this part of them are those of the walks.
WORTH_A_PROCESS = 80_000_000
LEAST_WALKING = 1 / 30

ALIGNMENT = 64  # bytes: a cache line


def processes_for(config: ModelConfig, steps: int, batch: int) -> int:
    """How many processes share a batch of this shape: 1 where that gains nothing."""
    return max(1, min(thread_count(), batch // LEAST_SEQUENCES)) if worth_sharing(config, steps * batch) else 1


def worth_sharing(config: ModelConfig, positions: int) -> bool:
    """Whether a batch of so many positions has enough to do, and enough of it in the walks."""
    walking, multiplied = operations(config)
    return 6 * positions * multiplied >= WORTH_A_PROCESS and walking >= LEAST_WALKING * multiplied


@cache
def operations(config: ModelConfig) -> tuple[int, int]:
    """Multiplications of a position: those of the recurrent matrices, and these with the output matrix's."""
    shapes = parameter_shapes(config)
    walking = sum(math.prod(shapes["W" + layer_suffix(depth)]) for depth in range(config.layers))
    return walking, walking + config.vocabulary_size * config.hidden_size


class Share(NamedTuple):
    """What a process is asked for: the arguments of `LanguageModel.training_gradients`, for its columns alone.

    tokens: of the whole batch, over which the loss is the mean; threads: that the process may use.
    """

    inputs: Array
    targets: Array
    mask: Array | None
    truncate: int | None
    state: State | None
    dropout_rng: np.random.Generator | None
    tokens: int
    threads: int


class Answer(NamedTuple):
    """What comes back by the pipe; the gradients' values lie in the shared memory.

    rows: of every gradient that is zero but in some rows, which these are; None: a dense one.
    """

    loss_nats: float
    rows: dict[str, Array | None]
    states: State


class Team:
    """Takes the place of a model's `training_gradients`. The processes start when the first batch is worth them.

    How many take part in a batch depends on `thread_count()`, the network and the batch's shape alone, so that the same
    training gives the same bits.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.members: list[_Member] = []
        self.alone = False  # for good: a member was lost, or none could be had

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def close(self) -> None:
        """End the members. The model keeps its parameters."""
        for member in self.members:
            member.close()
        self.members = []

    def training_gradients(
        self,
        inputs: Array,
        targets: Array,
        mask: Array | None = None,
        truncate: int | None = None,
        state: State | None = None,
        dropout_rng: np.random.Generator | None = None,
        omega: float = 0.0,
    ) -> tuple[float, Gradients, State]:
        """As `LanguageModel.training_gradients`, equal to it but for rounding (and for which units dropout drops)."""
        steps, batch = inputs.shape
        processes = processes_for(self.model.config, steps, batch)
        if processes > 1 and not omega and not self.alone:
            try:
                tokens, threads = token_count(inputs, mask), thread_count()
                whole = Share(inputs, targets, mask, truncate, state, dropout_rng, tokens, threads)
                return self._together(processes, whole)
            except _MemberLost:
                self.close()
                self.alone = True
        return self.model.training_gradients(inputs, targets, mask, truncate, state, dropout_rng, omega)

    def _together(self, processes: int, whole: Share) -> tuple[float, Gradients, State]:
        if len(self.members) < processes - 1:
            self._start(processes)
        members = self.members[: processes - 1]
        shares = split(whole, processes)
        for member, share in zip(members, shares[1:], strict=True):
            member.ask(share)
        try:
            loss_nats, gradients, last = gradients_of(self.model, shares[0])
        finally:
            # Asked is asked: whatever went wrong here, no answer may be left for the next batch.
            answers = [member.answer() for member in members]
        states = [last]
        for member, answer in zip(members, answers, strict=True):
            if isinstance(answer, MemoryError):
                raise answer
            loss_nats += answer.loss_nats
            states.append(answer.states)
            for name, gradient in gradients.items():
                gradients[name] = add(gradient, member.gradient(name, answer.rows[name]))
        return loss_nats, gradients, join_states(states)

    def _start(self, processes: int) -> None:
        """All members at once; the model's parameters move to the memory that they share."""
        self.close()
        config = self.model.config
        try:
            memory = SharedArrays(parameter_shapes(config), self.model.dtype, sets=processes)
            for number in range(1, processes):
                self.members.append(_Member(config, memory, number, processes))
        except OSError as refused:  # no memory, or no process more
            raise _MemberLost from refused
        for name, value in memory.set(0).items():
            value[...] = self.model.params[name]
            self.model.params[name] = value


class _MemberLost(Exception):
    """A member is gone, and with it its share of the batch; or it could not be had."""


class _Member:
    """A process that answers one question after the other, as this process sees it."""

    def __init__(self, config: ModelConfig, memory: SharedArrays, number: int, processes: int) -> None:
        self.slots = memory.set(number)
        self.pipe, theirs = Pipe()
        command = f"from rnn_core.team import serve; serve({theirs.fileno()}, {memory.file}, {number}, {processes})"
        self.process = subprocess.Popen(
            # Modules are looked for where this process does, and not in whatever folder it was started in (-P).
            [sys.executable, "-P", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno(), memory.file],
            # A session of its own: Ctrl-C is for the process that trains, which ends its members in good order.
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        )
        theirs.close()
        # Also where nobody calls `close`, as when a training is dropped half-way.
        self.close = weakref.finalize(self, _end, self.pipe, self.process)
        self.pipe.send((config, np.dtype(memory.dtype).str))

    def ask(self, share: Share) -> None:
        try:
            self.pipe.send(share)
        except OSError as gone:
            raise _MemberLost from gone

    def answer(self) -> Answer | MemoryError:
        try:
            answer: Answer | MemoryError = self.pipe.recv()
        except (EOFError, OSError) as gone:
            raise _MemberLost from gone
        return answer

    def gradient(self, name: str, rows: Array | None) -> Gradient:
        """Where the member has written it."""
        slot = self.slots[name]
        return slot if rows is None else RowGradient(rows, slot[: len(rows)], slot.shape)


def _end(pipe: Connection, process: subprocess.Popen[bytes]) -> None:
    pipe.close()  # which the member takes for its end
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class SharedArrays:
    """Sets of arrays of these names and shapes in memory that processes share by the file descriptor `file`.

    Pages that are never touched take no memory.
    """

    def __init__(self, shapes: dict[str, tuple[int, ...]], dtype: Any, sets: int, file: int | None = None) -> None:
        self.shapes, self.dtype = shapes, np.dtype(dtype)
        self.places: dict[str, int] = {}
        self.bytes_per_set = 0
        for name, shape in shapes.items():
            self.places[name] = self.bytes_per_set
            size = math.prod(shape) * self.dtype.itemsize
            self.bytes_per_set += -(-size // ALIGNMENT) * ALIGNMENT
        self.file = _anonymous_file() if file is None else file
        if file is None:
            os.ftruncate(self.file, sets * self.bytes_per_set)
        self.memory = mmap(self.file, sets * self.bytes_per_set)
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


def token_count(inputs: Array, mask: Array | None) -> int:
    return inputs.size if mask is None else max(1, int(np.count_nonzero(mask)))


def split(whole: Share, parts: int) -> list[Share]:
    """Part k has the columns k, k + parts, ...: neighbours are alike in length, so all have about as much to do."""
    generators = [None] * parts if whole.dropout_rng is None else whole.dropout_rng.spawn(parts)
    return [
        Share(
            whole.inputs[:, part::parts],
            whole.targets[:, part::parts],
            None if whole.mask is None else whole.mask[:, part::parts],
            whole.truncate,
            None if whole.state is None else [layer[part::parts] for layer in whole.state],
            generators[part],
            whole.tokens,
            max(1, whole.threads // parts),
        )
        for part in range(parts)
    ]


def join_states(parts: list[State]) -> State:
    """The reverse of `split` for the states: one (B, S) array per layer."""
    joined = []
    for layers in zip(*parts, strict=True):
        whole = np.empty((sum(map(len, layers)), layers[0].shape[1]), layers[0].dtype)
        for part, layer in enumerate(layers):
            whole[part :: len(layers)] = layer
        joined.append(whole)
    return joined


def gradients_of(model: LanguageModel, share: Share) -> tuple[float, Gradients, State]:
    """The part of the batch's loss and gradients that is this share's, and its sequences' last states."""
    with limited_threads(share.threads):
        return model.training_gradients(
            share.inputs,
            share.targets,
            share.mask,
            share.truncate,
            share.state,
            share.dropout_rng,
            mean_over=share.tokens,
        )


def serve(pipe_file: int, memory_file: int, number: int, processes: int) -> None:
    """The whole life of member `number`: answer every share with its gradients, until the other end closes the pipe."""
    pipe = Connection(pipe_file)
    try:
        config, dtype = pipe.recv()
        memory = SharedArrays(parameter_shapes(config), dtype, processes, memory_file)
        model, slots = LanguageModel(config, params=memory.set(0)), memory.set(number)
        while True:
            share = pipe.recv()
            try:
                pipe.send(_answer(model, slots, share))
            except MemoryError as error:
                pipe.send(error)
    except (EOFError, OSError):
        return


def _answer(model: LanguageModel, slots: dict[str, Array], share: Share) -> Answer:
    loss_nats, gradients, states = gradients_of(model, share)
    rows: dict[str, Array | None] = {}
    for name, gradient in gradients.items():
        if isinstance(gradient, RowGradient):
            rows[name] = gradient.rows
            slots[name][: len(gradient.rows)] = gradient.values
        else:
            rows[name] = None
            slots[name][...] = gradient
    return Answer(loss_nats, rows, states)
