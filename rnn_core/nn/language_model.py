"""The language model: word -> (embedding ->) recurrent layers -> softmax, its loss and its gradients.

    x_t = U[w_t]  (one-hot input)   or   x_t = E[w_t] U  (embedding)
    a_t = x_t + W s_{t-1} + b,  s_t = phi(a_t)       (deeper layers: x_t = h_t^below U2, ...)
    o_t = V s_t + c,  p_t = softmax(o_t),  E_t = -log p_t[y_t]

Arrays are time-major: ids (T, B), states (T, B, H). The loss is the mean over the tokens that the mask leaves, in nats.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig, TrainingSettings, check
from rnn_core.errors import SettingsError
from rnn_core.nn import bptt
from rnn_core.nn import losses as output
from rnn_core.nn.activations import log_softmax
from rnn_core.nn.allocation import keep_freed_memory
from rnn_core.nn.bptt import LayerTrace
from rnn_core.nn.cells import Weights, make_cell, merge_gates, split_gates
from rnn_core.nn.gradients import Gradient, Gradients, Occurrences, RowGradient, to_dense
from rnn_core.nn.initialisation import embedding, recurrent_block, uniform
from rnn_core.nn.regularizers import omega_gradient
from rnn_core.parallel.threads import matmul, one_blas_thread


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter, in the order in which they are initialised."""
    cell = make_cell(config.cell, config.gru_reset)
    N, H = config.vocabulary_size, config.hidden_size
    shapes: dict[str, tuple[int, ...]] = {}
    if config.embedding_size is not None:
        shapes["E"] = (N, config.embedding_size)
    for depth in range(config.layers):
        inputs = H if depth else (N if config.embedding_size is None else config.embedding_size)
        own = cell.parameter_shapes(inputs, H, config.bias)
        shapes |= {name + layer_suffix(depth): shape for name, shape in own.items()}
    if not config.tied:
        shapes["V"] = (N, H)
    if config.bias:
        shapes["c"] = (N,)
    return shapes


def layer_suffix(depth: int) -> str:
    """Parameters of the first layer are U, W, b; of the second U2, W2, b2; ..."""
    return "" if depth == 0 else str(depth + 1)


def layer_of(name: str) -> tuple[str, int]:
    """The reverse: "W2" -> ("W", 1), the parameter's kind and its layer from 0."""
    kind = name.rstrip("0123456789")
    return kind, int(name[len(kind) :] or 1) - 1


def initial_parameters(config: ModelConfig, rng: np.random.Generator) -> dict[str, Array]:
    """Fresh float64 parameters. Matrices but W: uniform in +-1/sqrt(inputs); biases: 0, but for the gates that config
    names.
    """
    cell = make_cell(config.cell, config.gru_reset)
    H = config.hidden_size
    params: dict[str, Array] = {}
    for name, shape in parameter_shapes(config).items():
        kind, _ = layer_of(name)
        if kind == "W":
            blocks = [recurrent_block(config.init, H, config.init_scale, rng) for _ in cell.recurrent_gates]
            params[name] = np.concatenate(blocks)
        elif kind == "E":
            params[name] = embedding(config.embedding_init, (shape[0], shape[1]), rng)
        elif kind in ("U", "V"):
            params[name] = uniform(shape, shape[0] if kind == "U" else shape[1], rng)
        elif kind == "b":
            params[name] = cell.initial_bias(H, config.forget_bias, config.chrono, rng)
        else:
            params[name] = np.zeros(shape)
    return params


class Trace(NamedTuple):
    """One forward pass. words: of the inputs (T, B); layers from the bottom; hidden (T, B, H) as V sees it."""

    words: Occurrences
    layers: list[LayerTrace]
    hidden: Array
    top_mask: Array | None

    @property
    def inputs(self) -> Array:
        """(T, B) ids."""
        return self.words.ids


class Backward(NamedTuple):
    """loss_nats: mean over the tokens; gradients of it; d_hidden (T, B, H): its derivative by the top layer's h_t, each
    position's own part.
    """

    loss_nats: float
    gradients: Gradients
    d_hidden: Array


State = list[Array]


class LanguageModel:
    """A recurrent language model and its exact gradients.

    `params` maps names to arrays (shapes: `parameter_shapes`); they are the model, and may be replaced by arrays of the
    same shape (also of another dtype: complex arrays serve the complex-step check).
    """

    def __init__(
        self,
        config: ModelConfig,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
        params: dict[str, Array] | None = None,
    ) -> None:
        """Fresh parameters from `rng` (default seed 0), or the given `params`. Raises SettingsError for a senseless
        config.
        """
        config.validate()
        keep_freed_memory()
        self.config = config
        self.cell = make_cell(config.cell, config.gru_reset)
        if params is None:
            fresh = initial_parameters(config, np.random.default_rng(0) if rng is None else rng)
            params = {name: value.astype(dtype) for name, value in fresh.items()}
        shapes = {name: value.shape for name, value in params.items()}
        if shapes != parameter_shapes(config):
            raise SettingsError(
                "these parameters do not fit the network's settings; load them with the settings they were saved with."
            )
        self.params = params

    @property
    def dtype(self) -> np.dtype[Any]:
        # Not that of U or E: a table that is only looked up may be narrower (`diagnostics.in_double`).
        return self.output_matrix.dtype

    @property
    def parameter_count(self) -> int:
        return sum(value.size for value in self.params.values())

    @property
    def output_matrix(self) -> Array:
        """V (N, H); the embedding where the two are tied."""
        return self.params["E" if self.config.tied else "V"]

    def recurrent_matrix(self, depth: int) -> Array:
        """W (gates * H, H) of a layer, from 0 at the bottom; without rows where no gate of the cell reads the state."""
        W = self.params.get("W" + layer_suffix(depth))
        return np.empty((0, self.config.hidden_size), self.dtype) if W is None else W

    def initial_state(self, batch: int) -> State:
        """Zeros, one (B, S) array per layer; S = H, or 2H = [h | c] for LSTM."""
        width = self.config.hidden_size * self.cell.state_blocks
        return [np.zeros((batch, width), self.dtype) for _ in range(self.config.layers)]

    # -- Forward ----------------------------------------------------------------------------------------------------

    def forward(
        self, inputs: Array, state: State | None = None, dropout_rng: np.random.Generator | None = None
    ) -> Trace:
        """inputs (T, B) ids -> Trace. Dropout acts only where `dropout_rng` is given, which only training does."""
        inputs = np.asarray(inputs)
        steps, batch = inputs.shape
        config, H = self.config, self.config.hidden_size
        state = self.initial_state(batch) if state is None else state
        words = Occurrences(inputs)
        layers: list[LayerTrace] = []
        for depth in range(config.layers):
            suffix = layer_suffix(depth)
            U = self.params["U" + suffix]
            b = self.params.get("b" + suffix)
            mask = None
            gates = len(self.cell.gates)
            cache = np.empty((self.cell.cache_blocks, steps, batch, H), self.dtype)
            projection = cache[:gates].reshape(gates, steps * batch, H)
            if depth:
                mask = self._dropout_mask(dropout_rng, steps, batch, H)
                below = _masked(layers[-1].hidden, mask)
                matmul(below.reshape(steps * batch, -1), split_gates(U, H), out=projection)
            elif config.embedding_size is None:
                projection[...] = split_gates(U[inputs.reshape(-1)], H)
            else:
                mask = self._dropout_mask(dropout_rng, steps, batch, config.embedding_size)
                self._project_word_vectors(words, mask, projection)
            if b is not None:
                projection += b.reshape(-1, 1, H)
            weights = Weights.of(
                self.recurrent_matrix(depth),
                self.params.get("b_n" + suffix),
                self._recurrent_mask(dropout_rng, batch),
            )
            states = bptt.forward(self.cell, weights, cache, state[depth])
            layers.append(LayerTrace(self.cell, weights, cache, states, U if depth else None, mask))
        top_mask = self._dropout_mask(dropout_rng, steps, batch, H)
        return Trace(words, layers, _masked(layers[-1].hidden, top_mask), top_mask)

    def _project_word_vectors(self, words: Occurrences, mask: Array | None, projection: Array) -> None:
        """Fill projection (G, T*B, H) with E[w_t] U."""
        E, U = self.params["E"], split_gates(self.params["U"], self.config.hidden_size)
        if mask is None:
            # A word that occurs often is multiplied once.
            # (mode="clip" lets NumPy write where it is told to; every place is in range.)
            np.take(matmul(E[words.words], U), words.place, axis=1, out=projection, mode="clip")
        else:
            matmul(_masked_vectors(E, words, mask), U, out=projection)

    def _dropout_mask(self, rng: np.random.Generator | None, steps: int, batch: int, width: int) -> Array | None:
        """(T, B, width), or (1, B, width) where it stays the same over time; kept units are scaled by 1 / (1 -
        dropout).
        """
        if rng is None or self.config.dropout == 0:
            return None
        keep = 1 - self.config.dropout
        shape = (1 if self.config.variational else steps, batch, width)
        return ((rng.random(shape) < keep) / keep).astype(self.dtype)

    def _recurrent_mask(self, rng: np.random.Generator | None, batch: int) -> Array | None:
        if not self.config.variational:
            return None
        mask = self._dropout_mask(rng, 1, batch, self.config.hidden_size)
        return None if mask is None else mask[0]

    def log_probabilities(self, inputs: Array, state: State | None = None) -> tuple[Array, State]:
        """inputs (T, B) ids -> log p (T, B, N) in nats, and the state after the last step."""
        with _arithmetic():
            trace = self.forward(inputs, state)
            log_p = log_softmax(output.logits(trace.hidden, self.output_matrix, self.params.get("c")))
        return log_p, last_states(trace)

    def advance(self, ids: Array, state: State) -> tuple[Array, State]:
        """One word for each of B sequences: ids (B,) -> log p (B, N) of the next word, and the new state."""
        log_p, state = self.log_probabilities(np.asarray(ids)[None], state)
        return log_p[0], state

    def token_losses(
        self, inputs: Array, targets: Array, mask: Array | None = None, state: State | None = None
    ) -> tuple[Array, State]:
        """E (T, B) in nats, 0 where the mask is 0, and the state after each sequence's last real token."""
        batch = _compact(inputs, targets, mask)
        mask = batch.mask
        losses = np.zeros(mask.shape, self.dtype)
        with _arithmetic():
            trace = self.forward(batch.inputs, state)
            losses[mask] = output.losses(
                trace.hidden[mask], batch.targets[mask], self.output_matrix, self.params.get("c")
            )
        return batch.restore(losses), last_states(trace, batch.lengths)

    def loss(self, inputs: Array, targets: Array, mask: Array | None = None) -> Any:
        """Mean loss in nats per token: a float, or a complex number while a complex step is being taken."""
        losses, _ = self.token_losses(inputs, targets, mask)
        count = losses.size if mask is None else np.count_nonzero(mask)
        total = losses.sum() / max(count, 1)
        return complex(total) if np.iscomplexobj(losses) else float(total)

    # -- And back ---------------------------------------------------------------------------------------------------

    def loss_and_gradients(
        self, inputs: Array, targets: Array, mask: Array | None = None, truncate: int | None = None
    ) -> tuple[float, dict[str, Array]]:
        """inputs, targets, mask (T, B) -> (mean nats per token, gradients with the keys and shapes of `params`).

        `mask` is 0 where there is no token: such positions change nothing, wherever they stand. `truncate=K` lets each
        loss reach back at most K steps (the tutorial's rule); None is full BPTT.
        """
        loss, gradients, _ = self.training_gradients(inputs, targets, mask, truncate)
        return loss, dense(gradients)

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
        """As `loss_and_gradients`, with the gradients of U and E in their compact form, and the state after each
        sequence.

        `omega` is the strength of Pascanu's regulariser, whose immediate gradient joins that of W; the loss stays the
        data's. `dropout_rng` switches dropout on. Raises SettingsError where `omega` has no meaning.
        """
        if truncate is not None and truncate < 0:
            raise ValueError(f"truncate is a number of steps from 0 up, or None, not {truncate}")
        batch = _compact(inputs, targets, mask)
        with _arithmetic():
            trace = self.forward(batch.inputs, state, dropout_rng)
            found = self.backward(trace, batch.targets, batch.mask, truncate, omega)
            return found.loss_nats, found.gradients, last_states(trace, batch.lengths)

    def backward(
        self, trace: Trace, targets: Array, mask: Array, truncate: int | None = None, omega: float = 0.0
    ) -> Backward:
        """The way back of a `forward`: the mean loss of the positions in `mask` (T, B), and every gradient of it.

        The other arguments as in `training_gradients`.
        """
        loss, d_hidden, gradients = self.output_gradients(trace, targets, mask)
        if omega:
            check(self.config, TrainingSettings(omega=omega, truncate=truncate))
        d_states = [np.empty_like(layer.hidden) for layer in trace.layers] if omega else None
        if truncate is None:
            deltas = bptt.bptt(trace.layers, d_hidden, d_states)
        else:
            deltas = bptt.truncated_bptt(trace.layers, d_hidden, truncate)
        self.add_layer_gradients(gradients, trace, deltas)
        if d_states is not None:
            for depth, (layer, d_state) in enumerate(zip(trace.layers, d_states, strict=True)):
                immediate = omega_gradient(d_state, layer.slopes[0], layer.weights.W)
                name = "W" + layer_suffix(depth)
                gradients[name] = to_dense(gradients[name]) + self.dtype.type(omega) * immediate
        return Backward(loss, gradients, d_hidden)

    def output_gradients(self, trace: Trace, targets: Array, mask: Array) -> tuple[float, Array, Gradients]:
        """Mean loss over the `mask` (T, B) positions; dE/dh (T, B, H) of the top layer; gradients of V (or E) and c."""
        count = int(np.count_nonzero(mask))
        tokens = max(count, 1)  # of none the loss is 0
        everything = count == mask.size
        rows = trace.hidden.reshape(-1, trace.hidden.shape[-1]) if everything else trace.hidden[mask]
        chosen = targets.reshape(-1) if everything else targets[mask]
        weights = np.full(count, 1 / tokens, self.dtype)
        result = output.losses_and_gradients(rows, chosen, weights, self.output_matrix, self.params.get("c"))
        if everything:
            d_hidden = result.d_hidden.reshape(trace.hidden.shape)
        else:
            d_hidden = np.zeros(trace.hidden.shape, self.dtype)
            d_hidden[mask] = result.d_hidden
        if trace.top_mask is not None:
            d_hidden *= trace.top_mask
        gradients: Gradients = {"E" if self.config.tied else "V": result.V}
        if result.c is not None:
            gradients["c"] = result.c
        return float(result.loss_nats.sum() / tokens), d_hidden, gradients

    def add_layer_gradients(self, gradients: Gradients, trace: Trace, deltas: list[Array]) -> None:
        """Parameter gradients of all layers from their d_preactivation (·, T, B, H), added to `gradients`."""
        for depth, (layer, d_preactivation) in enumerate(zip(trace.layers, deltas, strict=True)):
            suffix = layer_suffix(depth)
            for name, gradient in layer.weight_gradients(d_preactivation).items():
                if name + suffix in self.params:
                    gradients[name + suffix] = gradient
            d_projection = self.cell.input_part(d_preactivation).reshape(len(self.cell.gates), -1, layer.hidden_size)
            U = self.params["U" + suffix]
            if depth:
                below = _masked(trace.layers[depth - 1].hidden, layer.input_mask)
                gradients["U" + suffix] = merge_gates(matmul(below.reshape(-1, below.shape[-1]).T, d_projection))
            elif self.config.embedding_size is None:
                gradients["U"] = RowGradient.from_positions(trace.words, d_projection, U.shape)
            else:
                self._add_word_vector_gradients(gradients, trace.words, layer.input_mask, d_projection)

    def _add_word_vector_gradients(
        self, gradients: Gradients, words: Occurrences, mask: Array | None, d_projection: Array
    ) -> None:
        """The reverse of `_project_word_vectors`: gradients of U and E from d_projection (G, T*B, H)."""
        E, U = self.params["E"], self.params["U"]
        if mask is None:
            by_word = RowGradient.from_positions(words, d_projection, (len(E), U.shape[1]))
            gradients["U"] = matmul(E[by_word.rows].T, by_word.values)
            d_E = RowGradient(by_word.rows, matmul(by_word.values, U.T), E.shape)
        else:
            d_rows = merge_gates(d_projection)
            gradients["U"] = matmul(_masked_vectors(E, words, mask).T, d_rows)
            d_vectors = matmul(d_rows, U.T).reshape(*words.ids.shape, -1) * mask
            d_E = RowGradient.from_positions(words, d_vectors.reshape(1, words.ids.size, -1), E.shape)
        if self.config.tied:
            # Tied: the matrix is read as input and written as output, and its gradient is the sum of both roles.
            both = to_dense(gradients["E"])
            d_E.add_to(both)
            gradients["E"] = both
        else:
            gradients["E"] = d_E


@contextmanager
def _arithmetic() -> Iterator[None]:
    """How a network computes: on its own threads, not BLAS's. Overflow shows in the loss; nobody is warned twice."""
    with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
        yield


def _masked_vectors(E: Array, words: Occurrences, mask: Array) -> Array:
    """Every position's word vector with its dropped dimensions, (T*B, D); mask (T, B, D), or (1, B, D)."""
    return (E[words.ids] * mask).reshape(words.ids.size, -1)


def _masked(values: Array, mask: Array | None) -> Array:
    """values * mask, where there is a dropout mask."""
    return values if mask is None else values * mask


def last_states(trace: Trace, lengths: Array | None = None) -> State:
    """State of every layer after each sequence's last real token, (B, S); `lengths` (B,) in steps, default all T."""
    if lengths is None:
        return [merge_gates(layer.blocks[:, -1]).copy() for layer in trace.layers]
    columns = np.arange(len(lengths))
    return [merge_gates(layer.blocks[:, lengths, columns]) for layer in trace.layers]


class _CompactBatch(NamedTuple):
    """A batch whose real tokens stand first in every column; `order` (T, B) says where they came from, None: nothing
    moved.
    """

    inputs: Array
    targets: Array
    mask: Array
    lengths: Array
    order: Array | None

    def restore(self, values: Array) -> Array:
        """Values (T, B) back in the order in which the caller gave the tokens."""
        if self.order is None:
            return values
        restored = np.zeros_like(values)
        np.put_along_axis(restored, self.order, values, axis=0)
        return restored


def _compact(inputs: Array, targets: Array, mask: Array | None) -> _CompactBatch:
    """Padding must change nothing wherever it stands, so real tokens move to the front: then no step needs to know of
    it.
    """
    inputs, targets = np.asarray(inputs), np.asarray(targets)
    if inputs.ndim != 2 or inputs.shape != targets.shape:
        raise ValueError(f"inputs and targets must be ids of one shape (T, B), not {inputs.shape} and {targets.shape}")
    if mask is None:
        mask = np.ones(inputs.shape, bool)
        return _CompactBatch(inputs, targets, mask, np.full(inputs.shape[1], len(inputs)), None)
    mask = np.asarray(mask).astype(bool)
    if mask.shape != inputs.shape:
        raise ValueError(f"mask must have the shape of the inputs, {inputs.shape}, not {mask.shape}")
    lengths = mask.sum(axis=0)
    if np.array_equal(mask, np.arange(len(mask))[:, None] < lengths):
        return _CompactBatch(inputs, targets, mask, lengths, None)
    order = np.argsort(~mask, axis=0, kind="stable")
    inputs, targets, mask = (np.take_along_axis(array, order, axis=0) for array in (inputs, targets, mask))
    return _CompactBatch(inputs, targets, mask, lengths, order)


def dense(gradients: Gradients) -> dict[str, Array]:
    """Every gradient as a plain array of its parameter's shape."""
    return {name: to_dense(gradient) for name, gradient in gradients.items()}


__all__ = ["Gradient", "LanguageModel", "State", "Trace", "dense", "parameter_shapes"]
