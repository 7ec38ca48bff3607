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
from rnn_core.nn.initialisation import recurrent_block, uniform
from rnn_core.optim.regularizers import omega_gradient
from rnn_core.parallel.threads import matmul, one_blas_thread


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter, in the order in which they are initialised."""
    cell = make_cell(config.cell, config.gru_reset)
    N, H, G = config.vocabulary_size, config.hidden_size, cell.gates
    shapes: dict[str, tuple[int, ...]] = {}
    if config.embedding_size is not None:
        shapes["E"] = (N, config.embedding_size)
    for depth in range(config.layers):
        suffix = layer_suffix(depth)
        inputs = H if depth else (N if config.embedding_size is None else config.embedding_size)
        shapes["U" + suffix] = (inputs, G * H)
        shapes["W" + suffix] = (G * H, H)
        if config.bias:
            shapes["b" + suffix] = (G * H,)
            if config.cell == "gru" and config.gru_reset == "after":
                shapes["b_n" + suffix] = (H,)
    if not config.tied:
        shapes["V"] = (N, H)
    if config.bias:
        shapes["c"] = (N,)
    return shapes


def layer_suffix(depth: int) -> str:
    """Parameters of the first layer are U, W, b; of the second U2, W2, b2; ..."""
    return "" if depth == 0 else str(depth + 1)


def initial_parameters(config: ModelConfig, rng: np.random.Generator) -> dict[str, Array]:
    """Fresh float64 parameters. Matrices but W: uniform in +-1/sqrt(inputs); biases: 0, but for the gates that config
    names.
    """
    cell = make_cell(config.cell, config.gru_reset)
    H = config.hidden_size
    params: dict[str, Array] = {}
    for name, shape in parameter_shapes(config).items():
        kind = name.rstrip("0123456789")
        if kind == "W":
            blocks = [recurrent_block(config.init, H, config.init_scale, rng) for _ in range(cell.gates)]
            params[name] = np.concatenate(blocks)
        elif kind in ("U", "V", "E"):
            # A word vector is read by one position at a time: what it is summed over is its own length.
            params[name] = uniform(shape, shape[0] if kind == "U" else shape[1], rng)
        else:
            params[name] = np.zeros(shape)
        if kind == "b":
            _set_gate_biases(params[name], config, rng)
    return params


def _set_gate_biases(b: Array, config: ModelConfig, rng: np.random.Generator) -> None:
    H = config.hidden_size
    if config.chrono is not None:
        # Tallec & Ollivier 2018, section 3: b_f = log(Uniform(1, T_max - 1)), b_i = -b_f; GRU: the update gate keeps.
        keep = np.log(rng.uniform(1, config.chrono - 1, H))
        if config.cell == "lstm":
            b[H : 2 * H], b[2 * H : 3 * H] = -keep, keep
        else:
            b[H : 2 * H] = keep
    elif config.cell == "lstm":
        b[2 * H : 3 * H] = config.forget_bias


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
        return self.params["W"].dtype

    @property
    def parameter_count(self) -> int:
        return sum(value.size for value in self.params.values())

    @property
    def output_matrix(self) -> Array:
        """V (N, H); the embedding where the two are tied."""
        return self.params["E" if self.config.tied else "V"]

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
            kept = np.empty((self.cell.kept_blocks, steps, batch, H), self.dtype)
            drive = kept[: self.cell.gates].reshape(self.cell.gates, steps * batch, H)
            if depth:
                mask = self._dropout_mask(dropout_rng, steps, batch, H)
                seen = _masked(layers[-1].hidden, mask)
                matmul(seen.reshape(steps * batch, -1), split_gates(U, H), out=drive)
            elif config.embedding_size is None:
                drive[...] = split_gates(U[inputs.reshape(-1)], H)
            else:
                mask = self._dropout_mask(dropout_rng, steps, batch, config.embedding_size)
                self._drive_of_word_vectors(words, mask, drive)
            if b is not None:
                drive += b.reshape(-1, 1, H)
            weights = Weights.of(
                self.params["W" + suffix], self.params.get("b_n" + suffix), self._recurrent_mask(dropout_rng, batch)
            )
            states = bptt.forward(self.cell, weights, kept, state[depth])
            layers.append(LayerTrace(self.cell, weights, kept, states, U if depth else None, mask))
        top_mask = self._dropout_mask(dropout_rng, steps, batch, H)
        return Trace(words, layers, _masked(layers[-1].hidden, top_mask), top_mask)

    def _drive_of_word_vectors(self, words: Occurrences, mask: Array | None, drive: Array) -> None:
        """Fill drive (G, T*B, H) with E[w_t] U."""
        E, U = self.params["E"], split_gates(self.params["U"], self.config.hidden_size)
        if mask is None:
            # A word that occurs often is multiplied once.
            # (mode="clip" lets NumPy write where it is told to; every place is in range.)
            np.take(matmul(E[words.words], U), words.place, axis=1, out=drive, mode="clip")
        else:
            matmul(_masked_vectors(E, words, mask), U, out=drive)

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
        live = batch.live
        losses = np.zeros(live.shape, self.dtype)
        with _arithmetic():
            trace = self.forward(batch.inputs, state)
            losses[live] = output.losses(
                trace.hidden[live], batch.targets[live], self.output_matrix, self.params.get("c")
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
            return self._training_gradients(batch, truncate, state, dropout_rng, omega)

    def _training_gradients(
        self,
        batch: _CompactBatch,
        truncate: int | None,
        state: State | None,
        dropout_rng: np.random.Generator | None,
        omega: float,
    ) -> tuple[float, Gradients, State]:
        trace = self.forward(batch.inputs, state, dropout_rng)
        loss, d_hidden, gradients = self.output_gradients(trace, batch.targets, batch.live)
        d_states = None
        if omega:
            check(self.config, TrainingSettings(omega=omega, truncate=truncate))
            d_states = [np.empty_like(layer.hidden) for layer in trace.layers]
        if truncate is None:
            locals_ = bptt.full(trace.layers, d_hidden, d_states)
        else:
            locals_ = bptt.windowed(trace.layers, d_hidden, truncate)
        self.add_layer_gradients(gradients, trace, locals_)
        if d_states is not None:
            for depth, (layer, d_state) in enumerate(zip(trace.layers, d_states, strict=True)):
                immediate = omega_gradient(d_state, layer.slopes[0], layer.weights.W)
                name = "W" + layer_suffix(depth)
                gradients[name] = to_dense(gradients[name]) + self.dtype.type(omega) * immediate
        return loss, gradients, last_states(trace, batch.lengths)

    def output_gradients(self, trace: Trace, targets: Array, live: Array) -> tuple[float, Array, Gradients]:
        """Mean loss over the `live` (T, B) positions; dE/dh (T, B, H) of the top layer; gradients of V (or E) and c."""
        count = int(np.count_nonzero(live))
        tokens = max(count, 1)  # of none the loss is 0
        everything = count == live.size
        rows = trace.hidden.reshape(-1, trace.hidden.shape[-1]) if everything else trace.hidden[live]
        chosen = targets.reshape(-1) if everything else targets[live]
        weights = np.full(count, 1 / tokens, self.dtype)
        result = output.losses_and_gradients(rows, chosen, weights, self.output_matrix, self.params.get("c"))
        if everything:
            d_hidden = result.d_hidden.reshape(trace.hidden.shape)
        else:
            d_hidden = np.zeros(trace.hidden.shape, self.dtype)
            d_hidden[live] = result.d_hidden
        if trace.top_mask is not None:
            d_hidden *= trace.top_mask
        gradients: Gradients = {"E" if self.config.tied else "V": result.V}
        if result.c is not None:
            gradients["c"] = result.c
        return float(result.loss_nats.sum() / tokens), d_hidden, gradients

    def add_layer_gradients(self, gradients: Gradients, trace: Trace, locals_: list[Array]) -> None:
        """Parameter gradients of all layers from their local deltas (·, T, B, H), added to `gradients`."""
        for depth, (layer, local) in enumerate(zip(trace.layers, locals_, strict=True)):
            suffix = layer_suffix(depth)
            for name, gradient in layer.weight_gradients(local).items():
                if name + suffix in self.params:
                    gradients[name + suffix] = gradient
            d_drive = self.cell.drive_part(local).reshape(self.cell.gates, -1, layer.hidden_size)
            U = self.params["U" + suffix]
            if depth:
                seen = _masked(trace.layers[depth - 1].hidden, layer.mask_below)
                gradients["U" + suffix] = merge_gates(matmul(seen.reshape(-1, seen.shape[-1]).T, d_drive))
            elif self.config.embedding_size is None:
                gradients["U"] = RowGradient.from_positions(trace.words, d_drive, U.shape)
            else:
                self._add_word_vector_gradients(gradients, trace.words, layer.mask_below, d_drive)

    def _add_word_vector_gradients(
        self, gradients: Gradients, words: Occurrences, mask: Array | None, d_drive: Array
    ) -> None:
        """The reverse of `_drive_of_word_vectors`: gradients of U and E from d_drive (G, T*B, H)."""
        E, U = self.params["E"], self.params["U"]
        if mask is None:
            by_word = RowGradient.from_positions(words, d_drive, (len(E), U.shape[1]))
            gradients["U"] = matmul(E[by_word.rows].T, by_word.values)
            d_E = RowGradient(by_word.rows, matmul(by_word.values, U.T), E.shape)
        else:
            d_rows = merge_gates(d_drive)
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
    live: Array
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
        live = np.ones(inputs.shape, bool)
        return _CompactBatch(inputs, targets, live, np.full(inputs.shape[1], len(inputs)), None)
    live = np.asarray(mask).astype(bool)
    if live.shape != inputs.shape:
        raise ValueError(f"mask must have the shape of the inputs, {inputs.shape}, not {live.shape}")
    lengths = live.sum(axis=0)
    if np.array_equal(live, np.arange(len(live))[:, None] < lengths):
        return _CompactBatch(inputs, targets, live, lengths, None)
    order = np.argsort(~live, axis=0, kind="stable")
    inputs, targets, live = (np.take_along_axis(array, order, axis=0) for array in (inputs, targets, live))
    return _CompactBatch(inputs, targets, live, lengths, order)


def dense(gradients: Gradients) -> dict[str, Array]:
    """Every gradient as a plain array of its parameter's shape."""
    return {name: to_dense(gradient) for name, gradient in gradients.items()}


__all__ = ["Gradient", "LanguageModel", "State", "Trace", "dense", "parameter_shapes"]
