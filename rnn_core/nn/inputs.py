"""What a network reads, and what the first layer makes of it: the input projection x_t U, with its reverse.

one-hot    x_t U = U[w_t]        ids; the rows of U are only looked up
embedding  x_t = E[w_t]          ids, with a learnt vector for each
vectors    x_t                   real numbers, (T, B, D)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig, NetworkConfig
from rnn_core.nn.cells import merge_gates, split_gates
from rnn_core.nn.checks import check_ids, check_numbers
from rnn_core.nn.gradients import Gradients, Occurrences, RowGradient
from rnn_core.threads import matmul

Parameters = dict[str, Array]


class Inputs(ABC):
    """The input side of a network.

    width          rows of U
    input_shape    of one input: () for an id, (D,) for a vector
    dropout_width  how many numbers of x_t dropout acts on; None: it leaves the inputs alone
    tables         parameters that are only looked up, row by row

    `prepared` is what `prepare` made of the inputs: `project` and its reverse, `gradients`, share it.
    """

    input_shape: tuple[int, ...] = ()
    dropout_width: int | None = None
    tables: frozenset[str] = frozenset()

    def __init__(self, width: int) -> None:
        self.width = width

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Parameters beside U."""
        return {}

    def check_shape(self, inputs: Array) -> None:
        """Raises ValueError unless inputs are (T, B, *input_shape), of at least one step of one sequence."""
        ids = not self.input_shape
        if inputs.ndim != 2 + len(self.input_shape) or inputs.shape[2:] != self.input_shape:
            shape = "ids of shape (T, B)" if ids else f"vectors of shape (T, B, {self.input_shape[0]})"
            raise ValueError(f"inputs must be {shape}, not an array of shape {inputs.shape}")
        if 0 in inputs.shape[:2]:
            raise ValueError(
                f"the batch is empty: T and B are {inputs.shape[0]} and {inputs.shape[1]}; give at least one step of "
                "one sequence"
            )

    @abstractmethod
    def check_values(self, inputs: Array) -> None:
        """Raises ValueError unless these inputs are possible."""

    @abstractmethod
    def without_padding(self, inputs: Array, mask: Array) -> Array:
        """inputs, with zeros where mask (T, B) is False: what stood there changes nothing, not even a rounding."""

    @abstractmethod
    def blank(self, steps: int, batch: int) -> Array:
        """Some valid inputs (T, B, *input_shape), for a network whose U is 0: their values do not matter."""

    @abstractmethod
    def prepare(self, inputs: Array, dtype: DTypeLike) -> Any:
        """inputs (T, B, *input_shape) -> what `project` and `gradients` take, for a network of numbers of this type."""

    @abstractmethod
    def project(self, params: Parameters, prepared: Any, mask: Array | None, out: Array) -> None:
        """Fill out (G, T*B, H) with x_t U; mask (T, B, dropout_width), or (1, B, ·), is dropout's."""

    @abstractmethod
    def gradients(self, params: Parameters, prepared: Any, mask: Array | None, d_projection: Array) -> Gradients:
        """The reverse: d_projection (G, T*B, H) -> gradients of U and of `parameter_shapes`."""

    @abstractmethod
    def vectors(self, params: Parameters, inputs: Array) -> Array:
        """What each input is to the network, (..., D): x_t, or for one-hot input its row of U."""

    def vector_gradient(self, params: Parameters, d_projection: Array) -> Array:
        """d_projection (..., G*H) -> gradient with respect to `vectors`, (..., D)."""
        return d_projection @ params["U"].T


class _Ids(Inputs):
    """Inputs that are ids 0 .. count - 1."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__(width)
        self.count = count

    def check_values(self, inputs: Array) -> None:
        check_ids(inputs, self.count, "inputs")

    def without_padding(self, inputs: Array, mask: Array) -> Array:
        return np.where(mask, inputs, 0)

    def blank(self, steps: int, batch: int) -> Array:
        return np.zeros((steps, batch), int)

    def prepare(self, inputs: Array, dtype: DTypeLike) -> Occurrences:
        return Occurrences(inputs)


class OneHot(_Ids):
    """x_t U = U[w_t], the tutorial's way."""

    tables = frozenset({"U"})

    def __init__(self, count: int) -> None:
        super().__init__(count, width=count)

    def project(self, params: Parameters, prepared: Occurrences, mask: Array | None, out: Array) -> None:
        out[...] = split_gates(params["U"][prepared.ids.reshape(-1)], out.shape[-1])

    def gradients(
        self, params: Parameters, prepared: Occurrences, mask: Array | None, d_projection: Array
    ) -> Gradients:
        return {"U": RowGradient.from_positions(prepared, d_projection, params["U"].shape)}

    def vectors(self, params: Parameters, inputs: Array) -> Array:
        return params["U"][inputs]

    def vector_gradient(self, params: Parameters, d_projection: Array) -> Array:
        return d_projection


class Embedding(_Ids):
    """x_t = E[w_t], E (count, D)."""

    tables = frozenset({"E"})

    def __init__(self, count: int, size: int) -> None:
        super().__init__(count, width=size)
        self.dropout_width = size

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"E": (self.count, self.width)}

    def project(self, params: Parameters, prepared: Occurrences, mask: Array | None, out: Array) -> None:
        E, U = params["E"], split_gates(params["U"], out.shape[-1])
        if mask is None:
            # A word that occurs often is multiplied once.
            # (mode="clip" lets NumPy write where it is told to; every place is in range.)
            np.take(matmul(E[prepared.words], U), prepared.place, axis=1, out=out, mode="clip")
        else:
            matmul(_masked_vectors(E, prepared, mask), U, out=out)

    def gradients(
        self, params: Parameters, prepared: Occurrences, mask: Array | None, d_projection: Array
    ) -> Gradients:
        E, U = params["E"], params["U"]
        if mask is None:
            by_word = RowGradient.from_positions(prepared, d_projection, (len(E), U.shape[1]))
            d_U = matmul(E[by_word.rows].T, by_word.values)
            return {"U": d_U, "E": RowGradient(by_word.rows, matmul(by_word.values, U.T), E.shape)}
        d_rows = merge_gates(d_projection)
        d_vectors = matmul(d_rows, U.T).reshape(*prepared.ids.shape, -1) * mask
        d_E = RowGradient.from_positions(prepared, d_vectors.reshape(1, prepared.ids.size, -1), E.shape)
        return {"U": matmul(_masked_vectors(E, prepared, mask).T, d_rows), "E": d_E}

    def vectors(self, params: Parameters, inputs: Array) -> Array:
        return params["E"][inputs]


def _masked_vectors(E: Array, prepared: Occurrences, mask: Array) -> Array:
    """Every position's word vector with its dropped dimensions, (T*B, D); mask (T, B, D), or (1, B, D)."""
    return (E[prepared.ids] * mask).reshape(prepared.ids.size, -1)


class Vectors(Inputs):
    """x_t are given: D real numbers. Dropout leaves them alone, as PyTorch's does with the input of the first layer."""

    def __init__(self, size: int) -> None:
        super().__init__(width=size)
        self.input_shape = (size,)

    def check_values(self, inputs: Array) -> None:
        check_numbers(inputs, "inputs")

    def without_padding(self, inputs: Array, mask: Array) -> Array:
        return np.where(mask[..., None], inputs, 0)

    def blank(self, steps: int, batch: int) -> Array:
        return np.zeros((steps, batch, self.width))

    def prepare(self, inputs: Array, dtype: DTypeLike) -> Array:
        return inputs.reshape(-1, self.width).astype(dtype, copy=False)

    def project(self, params: Parameters, prepared: Array, mask: Array | None, out: Array) -> None:
        matmul(prepared, split_gates(params["U"], out.shape[-1]), out=out)

    def gradients(self, params: Parameters, prepared: Array, mask: Array | None, d_projection: Array) -> Gradients:
        return {"U": merge_gates(matmul(prepared.T, d_projection))}

    def vectors(self, params: Parameters, inputs: Array) -> Array:
        return inputs


def inputs_of(config: ModelConfig) -> Inputs:
    """The inputs that a config asks for."""
    if isinstance(config, NetworkConfig) and config.input_size is not None:
        return Vectors(config.input_size)
    if config.embedding_size is None:
        return OneHot(config.vocabulary_size)
    return Embedding(config.vocabulary_size, config.embedding_size)
