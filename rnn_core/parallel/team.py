"""A batch, shared among processes: each takes some of its sequences, and some of the vocabulary's words.

    o  the batch's columns, strided      this process: columns 0, P, 2P, ...     process k: columns k, k + P, ...
    o  each: forward
    o  the softmax of all positions, in one of two ways
         many words   each process has words of its own, for the positions of all: they show each other their hidden
                      states, and agree on the totals (`output.Common`); V's gradient comes out whole, part by part
         few words    each has the positions of its columns, over all words
    o  each: back, its gradients of the mean over all the batch's tokens
    o  this process adds them up: the gradient of a sum is the sum of the gradients

Threads cannot do this as well: a walk through time is hundreds of short calls, and for each of them the threads of one
process wait for each other at Python's lock; a thread that sleeps between two pieces of work comes late to each.
Processes have a lock each, and stay awake while they wait for each other for a short while. They see the same
parameters, which lie in memory that all of them share, as does all else that they show each other.

A member holds nothing that cannot be lost. It ends when this process does, however that ends; if a member dies, this
process goes on alone.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import weakref
from functools import cache, partial
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig
from rnn_core.nn import losses as output
from rnn_core.nn.gradients import Gradient, Gradients, RowGradient, add, squared_norm
from rnn_core.nn.language_model import LanguageModel, State, layer_suffix, parameter_shapes
from rnn_core.nn.losses import FEW_WORDS, Common, Meets, OutputGradients
from rnn_core.parallel.interprocess import Hub, Line, SharedArrays, Spoke, aligned
from rnn_core.parallel.threads import even_slice, limited_threads, one_blas_thread, thread_count

# Floating-point operations of a batch above which a process more gains clearly more than it costs to meet.
WORTH_A_PROCESS = 80_000_000
# By words: at the most so many processes. Each is a Python with NumPy of its own; threads share the many cores of a
# large machine. Walks of fewer operations than this are over before their gradients are added up: this process takes
# them all.
MOST_BY_WORDS = 4
WORTH_A_WALK = 20_000_000
# By sequences: a process should have so many at least, since with fewer its products are thin and V is read for little,
# and this part of the arithmetic should be the walks'.
LEAST_SEQUENCES = 8
LEAST_WALKING = 1 / 30


def processes_for(config: ModelConfig, steps: int, batch: int) -> int:
    """How many processes share a batch of this shape: 1 where that gains nothing."""
    positions = steps * batch
    walking, multiplied = operations(config)
    if shares_words(config, positions):
        return thread_count()
    if worth_sharing(config, positions) and walking >= LEAST_WALKING * multiplied:
        return max(1, min(thread_count(), batch // LEAST_SEQUENCES))
    return 1


def shares_words(config: ModelConfig, positions: int) -> bool:
    """Whether the softmax of so many positions is shared word by word among processes."""
    return (
        1 < thread_count() <= MOST_BY_WORDS
        and config.vocabulary_size >= FEW_WORDS
        and not config.tied  # whose output matrix is the input's, too: its gradient has parts from both sides
        and worth_sharing(config, positions)
    )


def worth_sharing(config: ModelConfig, positions: int) -> bool:
    """Whether so many positions are enough to do for several processes."""
    _, multiplied = operations(config)
    return 6 * positions * multiplied >= WORTH_A_PROCESS


@cache
def operations(config: ModelConfig) -> tuple[int, int]:
    """Multiplications of a position: those of the recurrent matrices, and these with the output matrix's."""
    shapes = parameter_shapes(config)
    walking = sum(math.prod(shapes["W" + layer_suffix(depth)]) for depth in range(config.layers))
    return walking, walking + config.vocabulary_size * config.hidden_size


class Columns(NamedTuple):
    """Sequences of a batch: the arguments of `LanguageModel.training_gradients`."""

    inputs: Array
    targets: Array
    mask: Array | None
    truncate: int | None
    state: State | None
    dropout_rng: np.random.Generator | None


class Share(NamedTuple):
    """What a process is asked for.

    columns: None, where it has no sequences, but words of others' positions; tokens: of the whole batch, over which the
    loss is the mean; threads: that the process may use; part: which of `parts` this is; own_tokens: which of the tokens
    it shows the others; None: the softmax is not shared by words.
    """

    columns: Columns | None
    tokens: int
    threads: int
    part: int
    parts: int
    own_tokens: slice | None


class Answer(NamedTuple):
    """What comes back by the line; the gradients' values lie in the shared memory.

    rows: of every gradient that is zero but in some rows, which these are; None: a dense one. states: None, where there
    were no columns.
    """

    loss_nats: float
    rows: dict[str, Array | None]
    states: State | None


class Team:
    """Takes the place of a model's `training_gradients`. The processes start when the first batch is worth them.

    How many take part in a batch depends on `thread_count()`, the network and the batch's shape alone, so that the same
    training gives the same bits. A gradient may lie in memory that the next batch's overwrites.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.members: list[_Member] = []
        self.board: _Board | None = None
        self.squares: dict[str, float] = {}  # of the last batch's gradients: the sums of squares that are known
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
        self.squares = {}
        whole = Columns(inputs, targets, mask, truncate, state, dropout_rng)
        processes = processes_for(self.model.config, *inputs.shape)
        if processes > 1 and not omega and not self.alone:
            try:
                return self._together(split(whole, self.model.config, processes))
            except _MemberLost:
                self.alone = True
                self.close()
            except BaseException:
                # The members may be waiting for this process in the middle of the batch.
                self.close()
                raise
        return self.model.training_gradients(*whole, omega)

    def _together(self, shares: list[Share]) -> tuple[float, Gradients, State]:
        board = self._board_for(shares)
        members = self.members[: len(shares) - 1]
        try:
            for member, share in zip(members, shares[1:], strict=True):
                member.line.say(share)
            meeting = Hub([member.line for member in members])
            loss_nats, gradients, last = gradients_of(self.model, shares[0], board, meeting)
            states = [last]
            for member in members:
                answer = member.answer()
                loss_nats += answer.loss_nats
                states.append(answer.states)
                for name, rows in answer.rows.items():
                    gradients[name] = add(gradients[name], member.gradient(name, rows))
        except (EOFError, OSError) as gone:
            raise _MemberLost from gone
        if shares[0].own_tokens is not None:
            self.squares = {"V": float(board.squares[: len(shares)].sum())}
        return loss_nats, gradients, join_states(states)

    def _board_for(self, shares: list[Share]) -> _Board:
        """Members enough, and memory for the positions that they show each other."""
        processes, first = len(shares), shares[0]
        shown = 0 if first.own_tokens is None else first.tokens
        board = self.board
        if board is None or len(self.members) < processes - 1 or board.positions < shown:
            # Room for larger batches too: what they never need is memory that is never touched.
            self.board = board = self._start(processes, 4 * shown)
        return board

    def _start(self, processes: int, positions: int) -> _Board:
        """All members at once; the model's parameters move to the memory that they share."""
        self.close()
        try:
            board = _Board(self.model.config, self.model.dtype, processes, positions)
            for number in range(1, processes):
                self.members.append(_Member(board, number))
        except OSError as refused:  # no memory, or no process more
            raise _MemberLost from refused
        for name, value in board.params.items():
            value[...] = self.model.params[name]
            self.model.params[name] = value
        return board


class _MemberLost(Exception):
    """A member is gone, and with it its share of the batch; or it could not be had."""


class _Board:
    """The memory that the processes of a team share: parameters, each member's gradients, and what a softmax that is
    shared by words has in common.
    """

    def __init__(
        self, config: ModelConfig, dtype: Any, processes: int, positions: int, file: int | None = None
    ) -> None:
        self.config, self.dtype, self.processes, self.positions = config, np.dtype(dtype), processes, positions
        extra = sum(aligned(size) for _, _, size in self._common_layout(positions, processes))
        squares = aligned(8 * processes)
        self.arrays = SharedArrays(parameter_shapes(config), dtype, processes + 1, squares + extra, file)
        self.params = self.arrays.set(0)
        self.common_gradients = self.arrays.set(processes)
        # Of each process's rows of V's gradient, which has just been in its cache.
        self.squares = self.arrays.extra[: 8 * processes].view(np.float64)
        self._for_softmax = self.arrays.extra[squares:]

    def gradients_of_member(self, number: int) -> dict[str, Array]:
        return self.arrays.set(number)

    def _common_layout(self, positions: int, parts: int) -> list[tuple[tuple[int, ...], np.dtype[Any], int]]:
        """Shape, dtype and bytes of what a `Common` has but the gradients, in its order."""
        R, P, H = positions, parts, self.config.hidden_size
        ids = np.dtype(np.int64)
        arrays = [((R, H), self.dtype), ((R,), ids), ((R,), self.dtype), ((R,), self.dtype)]
        arrays += [((P, R), self.dtype), ((P, R, H), self.dtype)]
        return [(shape, dtype, math.prod(shape) * dtype.itemsize) for shape, dtype in arrays]

    def common(self, positions: int, parts: int) -> Common:
        arrays, start = [], 0
        for shape, dtype, size in self._common_layout(positions, parts):
            arrays.append(self._for_softmax[start : start + size].view(dtype).reshape(shape))
            start += aligned(size)
        return Common._make([*arrays, self.common_gradients["V"], self.common_gradients.get("c")])


class _Member:
    """A process that answers one question after the other, as this process sees it."""

    def __init__(self, board: _Board, number: int) -> None:
        self.slots = board.gradients_of_member(number)
        self.line, theirs = Line.pair()
        files = theirs.connection.fileno(), board.arrays.file
        self.process = subprocess.Popen(
            # Modules are looked for where this process does, and not in whatever folder it was started in (-P).
            [sys.executable, "-P", "-c", f"from rnn_core.parallel.team import serve; serve({number}, *{files})"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=files,
            # A group of its own: Ctrl-C is for the process that trains, which ends its members in good order.
            process_group=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        )
        theirs.close()
        # Also where nobody calls `close`, as when a training is dropped half-way.
        self.close = weakref.finalize(self, _end, self.line, self.process)
        self.line.say((board.config, board.dtype.str, board.processes, board.positions))

    def answer(self) -> Answer:
        answer: Answer | MemoryError = self.line.hear()
        if isinstance(answer, MemoryError):
            raise answer
        return answer

    def gradient(self, name: str, rows: Array | None) -> Gradient:
        """Where the member has written it."""
        slot = self.slots[name]
        return slot if rows is None else RowGradient(rows, slot[: len(rows)], slot.shape)


def _end(line: Line, process: subprocess.Popen[bytes]) -> None:
    line.close()  # which the member takes for its end
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def token_count(inputs: Array, mask: Array | None) -> int:
    return inputs.size if mask is None else int(np.count_nonzero(mask))


def split(whole: Columns, config: ModelConfig, parts: int) -> list[Share]:
    """Part k has the columns k, k + parts, ...: neighbours are alike in length, so all have about as much to do.
    Or the first has all of them, and the others nothing but words.
    """
    inputs, targets, mask, truncate, state, dropout_rng = whole
    by_words, tokens = shares_words(config, inputs.size), token_count(inputs, mask)
    walking = 1 if by_words and 6 * inputs.size * operations(config)[0] < WORTH_A_WALK else parts
    generators = [dropout_rng] * walking if dropout_rng is None or walking == 1 else dropout_rng.spawn(walking)
    shares, start = [], 0
    for part in range(parts):
        columns, stop = None, start
        if part < min(walking, inputs.shape[1]):
            own = slice(part, None, walking)
            own_mask = None if mask is None else mask[:, own]
            own_state = None if state is None else [layer[own] for layer in state]
            columns = Columns(inputs[:, own], targets[:, own], own_mask, truncate, own_state, generators[part])
            stop += token_count(columns.inputs, own_mask)
        own_tokens = slice(start, stop) if by_words else None
        shares.append(Share(columns, tokens, max(1, thread_count() // parts), part, parts, own_tokens))
        start = stop
    return shares


def join_states(parts: list[State | None]) -> State:
    """The reverse of `split` for the states: one (B, S) array per layer."""
    joined = []
    for layers in zip(*(part for part in parts if part is not None), strict=True):
        whole = np.empty((sum(map(len, layers)), layers[0].shape[1]), layers[0].dtype)
        for part, layer in enumerate(layers):
            whole[part :: len(layers)] = layer
        joined.append(whole)
    return joined


def gradients_of(
    model: LanguageModel, share: Share, board: _Board, meeting: Meets
) -> tuple[float, Gradients, State | None]:
    """The part of the batch's loss and gradients that is this share's, and its sequences' last states.

    Where the softmax is shared, the gradients of V and c are the whole batch's, once all processes have answered.
    """
    softmax = (
        output.losses_and_gradients if share.own_tokens is None else partial(_common_softmax, share, board, meeting)
    )
    with limited_threads(share.threads), one_blas_thread():
        if share.columns is not None:
            return model.training_gradients(*share.columns, mean_over=max(1, share.tokens), softmax=softmax)
        nobody = np.empty((0, model.config.hidden_size), model.dtype)
        softmax(nobody, np.empty(0, int), nobody[:, 0], model.output_matrix, model.params.get("c"))
        return 0.0, {}, None


def _common_softmax(
    share: Share,
    board: _Board,
    meeting: Meets,
    hidden: Array,
    targets: Array,
    weights: Array,
    V: Array,
    c: Array | None,
) -> OutputGradients:
    """In the place of `output.losses_and_gradients`: this process's positions are shown to all."""
    common, own = board.common(share.tokens, share.parts), share.own_tokens
    assert own is not None
    common.hidden[own], common.targets[own], common.weights[own] = hidden, targets, weights
    meeting.wait()
    result = output.part_of_losses_and_gradients(share.part, common, own, V, c, meeting)
    board.squares[share.part] = squared_norm(common.d_V[even_slice(len(V), share.part, share.parts)])
    return result


def serve(number: int, line_file: int, memory_file: int) -> None:
    """The whole life of member `number`: answer every share with its gradients, until the other end closes the line."""
    line = Line(Connection(line_file))
    try:
        config, dtype, processes, positions = line.hear()
        board = _Board(config, dtype, processes, positions, memory_file)
        model, slots = LanguageModel(config, params=board.params), board.gradients_of_member(number)
        while True:
            share = line.hear()
            try:
                answer = _answer(model, slots, share, board, Spoke(line))
            except MemoryError as error:
                # Its last word. Others may be waiting for this process in the middle of the batch.
                line.say(error)
                return
            line.say(answer)
    except (EOFError, OSError):
        return


def _answer(model: LanguageModel, slots: dict[str, Array], share: Share, board: _Board, meeting: Meets) -> Answer:
    loss_nats, gradients, states = gradients_of(model, share, board, meeting)
    rows: dict[str, Array | None] = {}
    for name, gradient in gradients.items():
        if share.own_tokens is not None and name in ("V", "c"):
            continue  # It lies where it belongs.
        if isinstance(gradient, RowGradient):
            rows[name] = gradient.rows
            slots[name][: len(gradient.rows)] = gradient.values
        else:
            rows[name] = None
            slots[name][...] = gradient
    return Answer(loss_nats, rows, states)
