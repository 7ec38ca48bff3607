"""A recurrent network: inputs -> recurrent layers -> outputs with a loss, and its exact gradients.

    x_t                                              (see `inputs`)
    a_t = x_t U + W s_{t-1} + b,  s_t = phi(a_t)     (deeper layers: x_t = h_t of the layer below)
    o_t = V s_t + c,  E_t = loss(o_t, y_t)           (see `losses`)

U is stored as (inputs, gates · H), a row for each word: the transpose of the textbook's; W and V as in the textbook.

Arrays are time-major: inputs (T, B, ...), states (T, B, H). The loss is a mean over the positions that count.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.config import ModelConfig, TrainingSettings, check
from rnn_core.errors import SettingsError
from rnn_core.nn import bptt
from rnn_core.nn.allocation import keep_freed_memory
from rnn_core.nn.batch import Batch
from rnn_core.nn.bptt import LayerTrace
from rnn_core.nn.cells import Cell, Weights, cell_of, merge_gates, split_gates
from rnn_core.nn.checks import check_truncate
from rnn_core.nn.dropout import DropoutMasks, masked
from rnn_core.nn.gradients import Gradients, add, to_dense
from rnn_core.nn.inputs import inputs_of
from rnn_core.nn.losses import loss_of
from rnn_core.nn.parameters import initial_parameters, layer_suffix, parameter_count, parameter_shapes
from rnn_core.nn.regularizers import omega_gradient
from rnn_core.nn.softmax import logits
from rnn_core.threads import matmul

State = list[Array]

# In float16 a loss is wrong from the third digit on, and its gradients' squares overflow silently.
_DTYPES = frozenset(map(np.dtype, (np.float32, np.float64, np.complex64, np.complex128)))


class Trace(NamedTuple):
    """One forward pass.

    inputs (T, B, ...); prepared: see `Inputs`; layers from the bottom; hidden (T, B, H) as V reads it, after dropout;
    top_mask: of that dropout, or None.
    """

    inputs: Array
    prepared: Any
    layers: list[LayerTrace]
    hidden: Array
    top_mask: Array | None

    @property
    def shape(self) -> tuple[int, int]:
        """(T, B)."""
        steps, batch = self.hidden.shape[:2]
        return steps, batch


class Backward(NamedTuple):
    """loss: the mean; gradients of it; d_hidden (T, B, H): dE_t/dh_t of the top layer, through the outputs of step t
    alone.
    """

    loss: float
    gradients: Gradients
    d_hidden: Array


class Network:
    """A recurrent network. A `LanguageModel` is the one whose inputs and outputs are words of one vocabulary.

    `params` maps names to arrays (shapes: `parameter_shapes`); they are the network, and may be replaced by arrays of
    the same shape (also of another dtype: complex arrays serve the complex-step check).
    """

    def __init__(
        self,
        config: ModelConfig,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
        params: dict[str, Array] | None = None,
    ) -> None:
        """Fresh parameters from `rng` (default seed 0), or the given `params`. `config` is a `NetworkConfig` where
        other things than words of one vocabulary go in or come out.

        Raises SettingsError for a senseless config, ValueError for numbers other than float32 and float64.
        """
        config.validate()
        keep_freed_memory()
        self.config = config
        self.cell = cell_of(config)
        self.inputs = inputs_of(config)
        self.loss_function = loss_of(config)
        if params is None:
            fresh = initial_parameters(config, np.random.default_rng(0) if rng is None else rng)
            params = {name: value.astype(dtype) for name, value in fresh.items()}
        shapes = {name: value.shape for name, value in params.items()}
        if shapes != parameter_shapes(config):
            raise SettingsError(
                "these parameters do not fit the network's settings; load them with the settings they were saved with."
            )
        for name, value in params.items():
            if value.dtype not in _DTYPES:
                raise ValueError(f"a network computes with float32 or float64 numbers, and {name} has {value.dtype}")
        self.params = params

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the numbers that the network computes with."""
        # Not that of U or E: a table that is only looked up may be narrower (`diagnostics.in_double`).
        return self.output_matrix.dtype

    @property
    def parameter_count(self) -> int:
        """How many numbers the parameters are."""
        return parameter_count(self.config)

    @property
    def output_matrix(self) -> Array:
        """V (O, H); the embedding where the two are tied."""
        return self.params["E" if self.config.tied else "V"]

    def cell_of(self, depth: int) -> Cell:
        """The cell of a layer, from 0 at the bottom: in all layers the same, but for diagnostics that change one."""
        return self.cell

    def recurrent_matrix(self, depth: int) -> Array:
        """W (gates * H, H) of a layer, from 0 at the bottom; without rows where no gate of the cell reads the state."""
        W = self.params.get("W" + layer_suffix(depth))
        return np.empty((0, self.config.hidden_size), self.dtype) if W is None else W

    def initial_state(self, batch: int) -> State:
        """Zeros, one (B, S) array per layer; S = H, or 2H = [h | c] for LSTM."""
        width = self.config.hidden_size * self.cell.state_blocks
        return [np.zeros((batch, width), self.dtype) for _ in range(self.config.layers)]

    def batch(
        self, inputs: Array, targets: Array, mask: Array | None = None, loss_weights: Array | None = None
    ) -> Batch:
        """The arguments of `loss_and_gradients`, checked, and with padding at the end. ValueError: see `Batch.of`."""
        return Batch.of(self.inputs, self.loss_function, inputs, targets, mask, loss_weights)

    # -- Forward ----------------------------------------------------------------------------------------------------

    def forward(
        self, inputs: Array, state: State | None = None, dropout_rng: np.random.Generator | None = None
    ) -> Trace:
        """inputs (T, B, ...) -> Trace. Dropout acts only where `dropout_rng` is given, which only training does.

        Raises ValueError for inputs that cannot be: an empty batch, ids out of range, a state of another shape.
        """
        inputs = np.asarray(inputs)
        self.inputs.check_shape(inputs)
        self.inputs.check_values(inputs)
        steps, batch = inputs.shape[:2]
        H, gates = self.config.hidden_size, len(self.cell.gates)
        state = self._checked_state(state, batch)
        prepared = self.inputs.prepare(inputs, self.dtype)
        dropout = DropoutMasks(self.config, dropout_rng, steps, batch, self.dtype)
        layers: list[LayerTrace] = []
        for depth in range(self.config.layers):
            suffix = layer_suffix(depth)
            U, b = self.params["U" + suffix], self.params.get("b" + suffix)
            cache = np.empty((self.cell.cache_blocks, steps, batch, H), self.dtype)
            projection = cache[:gates].reshape(gates, steps * batch, H)
            width = H if depth else self.inputs.dropout_width
            mask = None if width is None else dropout.between_layers(width)
            if depth:
                below = masked(layers[-1].hidden, mask)
                matmul(below.reshape(steps * batch, -1), split_gates(U, H), out=projection)
            else:
                self.inputs.project(self.params, prepared, mask, projection)
            if b is not None:
                projection += b.reshape(-1, 1, H)
            weights = Weights.of(
                self.recurrent_matrix(depth),
                self.params.get("b_n" + suffix),
                dropout.of_state(),
            )
            cell = self.cell_of(depth)
            states = bptt.forward(cell, weights, cache, state[depth])
            layers.append(LayerTrace(cell, weights, cache, states, U if depth else None, mask))
        top_mask = dropout.between_layers(H)
        return Trace(inputs, prepared, layers, masked(layers[-1].hidden, top_mask), top_mask)

    def _checked_state(self, state: State | None, batch: int) -> State:
        if state is None:
            return self.initial_state(batch)
        needed = [(batch, self.config.hidden_size * self.cell.state_blocks)] * self.config.layers
        shapes = [np.shape(part) for part in state]
        if shapes != needed:
            raise ValueError(f"the state must be one array for each layer, of shapes {needed}, not {shapes}")
        return state

    def outputs(self, inputs: Array, state: State | None = None) -> tuple[Array, State]:
        """inputs (T, B, ...) -> o (T, B, O), logits or numbers, and the state after the last step."""
        with arithmetic():
            trace = self.forward(inputs, state)
            return logits(trace.hidden, self.output_matrix, self.params.get("c")), last_states(trace)

    def outputs_and_losses(
        self, inputs: Array, targets: Array, mask: Array | None = None, loss_weights: Array | None = None
    ) -> tuple[Array, Array]:
        """As for `loss_and_gradients` -> o (T, B, O), and E (T, B), 0 where no loss counts.

        The mask may only cut off the end of each sequence. Raises ValueError otherwise, and for a batch that cannot be.
        """
        batch = self.batch(inputs, targets, mask, loss_weights)
        if batch.order is not None:
            raise ValueError("here the mask must be padding behind each sequence")
        with arithmetic():
            trace = self.forward(batch.inputs)
            losses = self.losses_of(trace, batch.targets, batch.counted)
            return logits(trace.hidden, self.output_matrix, self.params.get("c")), losses

    def token_losses(
        self, inputs: Array, targets: Array, mask: Array | None = None, state: State | None = None
    ) -> tuple[Array, State]:
        """E (T, B), 0 where the mask is 0, and the state after each sequence's last real token."""
        batch = self.batch(inputs, targets, mask)
        with arithmetic():
            trace = self.forward(batch.inputs, state)
            losses = self.losses_of(trace, batch.targets, batch.mask)
        return batch.restore(losses), last_states(trace, batch.lengths)

    def losses_of(self, trace: Trace, targets: Array, counted: Array) -> Array:
        """E (T, B) of a forward pass, 0 where `counted` (T, B) is False."""
        losses = np.zeros(trace.shape, self.dtype)
        V, c = self.output_matrix, self.params.get("c")
        losses[counted] = self.loss_function.losses(trace.hidden[counted], targets[counted], V, c)
        return losses

    def loss(self, inputs: Array, targets: Array, mask: Array | None = None, loss_weights: Array | None = None) -> Any:
        """Mean loss, in nats per token for words: a float, or a complex number while a complex step is being taken."""
        batch = self.batch(inputs, targets, mask, loss_weights)
        with arithmetic():
            losses = self.losses_of(self.forward(batch.inputs), batch.targets, batch.counted)
        if batch.loss_weights is None:
            total = batch.restore(losses).sum() / max(int(np.count_nonzero(batch.counted)), 1)
        else:
            total = np.sum(losses * batch.weights_of_mean)
        return complex(total) if np.iscomplexobj(losses) else float(total)

    # -- Backward ---------------------------------------------------------------------------------------------------

    def loss_and_gradients(
        self,
        inputs: Array,
        targets: Array,
        mask: Array | None = None,
        truncate: int | None = None,
        loss_weights: Array | None = None,
    ) -> tuple[float, dict[str, Array]]:
        """inputs, targets, mask (T, B) -> (mean loss, gradients with the keys and shapes of `params`).

        `mask` is 0 where there is no token: such positions change nothing, wherever they stand. `loss_weights` (T, B)
        says how much the loss of each position counts, sum_tb w E / sum_tb w; where it is 0 the inputs are read all the
        same. `truncate=K` lets each loss reach back at most K steps (the tutorial's rule); None is full BPTT.
        Raises ValueError for a batch that cannot be (`Batch.of`, `forward`).

        >>> from rnn_core import Network, NetworkConfig
        >>> config = NetworkConfig(cell="lstm", hidden_size=4, input_size=2, outputs=1, loss="squared_error")
        >>> inputs, targets = np.ones((5, 3, 2)), np.zeros((5, 3, 1))  # T = 5, B = 3
        >>> loss, gradients = Network(config).loss_and_gradients(inputs, targets)
        >>> gradients["W"].shape  # four gates of four units
        (16, 4)
        """
        loss, gradients, _ = self.training_gradients(inputs, targets, mask, truncate, loss_weights=loss_weights)
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
        loss_weights: Array | None = None,
    ) -> tuple[float, Gradients, State]:
        """As `loss_and_gradients`, with the gradients of U and E in their compact form, and the state after each
        sequence.

        `omega` is the strength of Pascanu's regulariser, whose immediate gradient joins that of W; the loss stays the
        data's. `dropout_rng` switches dropout on. Raises SettingsError where `omega` has no meaning.
        """
        batch = self.batch(inputs, targets, mask, loss_weights)
        with arithmetic():
            trace = self.forward(batch.inputs, state, dropout_rng)
            found = self.backward(trace, batch.targets, batch.counted, batch.loss_weights, truncate, omega)
            return found.loss, found.gradients, last_states(trace, batch.lengths)

    def backward(
        self,
        trace: Trace,
        targets: Array,
        counted: Array,
        loss_weights: Array | None = None,
        truncate: int | None = None,
        omega: float = 0.0,
    ) -> Backward:
        """The way back of a `forward`: the mean loss of the positions in `counted` (T, B), and every gradient of it.

        The other arguments as in `training_gradients`.
        """
        check_truncate(truncate)
        loss, d_hidden, gradients = self.output_gradients(trace, targets, counted, loss_weights)
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

    def output_gradients(
        self, trace: Trace, targets: Array, counted: Array, loss_weights: Array | None = None
    ) -> tuple[float, Array, Gradients]:
        """Mean loss over the `counted` (T, B) positions; dE/dh (T, B, H) of the top layer; gradients of V (or E), c."""
        everything = bool(counted.all())  # Then no copy need be made.
        rows = trace.hidden.reshape(-1, trace.hidden.shape[-1]) if everything else trace.hidden[counted]
        chosen = targets.reshape(-1, *targets.shape[2:]) if everything else targets[counted]
        weights = self._weights_of_mean(counted, loss_weights)
        V, c = self.output_matrix, self.params.get("c")
        result = self.loss_function.losses_and_gradients(rows, chosen, weights, V, c)
        if everything:
            d_hidden = result.d_hidden.reshape(trace.hidden.shape)
        else:
            d_hidden = np.zeros(trace.hidden.shape, self.dtype)
            d_hidden[counted] = result.d_hidden
        if trace.top_mask is not None:
            d_hidden *= trace.top_mask
        gradients: Gradients = {"E" if self.config.tied else "V": result.V}
        if result.c is not None:
            gradients["c"] = result.c
        loss = result.losses.sum() / max(len(chosen), 1) if loss_weights is None else weights @ result.losses
        return float(loss), d_hidden, gradients

    def _weights_of_mean(self, counted: Array, loss_weights: Array | None) -> Array:
        """What each counted loss is multiplied by in the mean, (R,); of no losses the mean is 0."""
        if loss_weights is None:
            count = int(np.count_nonzero(counted))
            return np.full(count, 1 / max(count, 1), self.dtype)
        chosen = loss_weights[counted]
        return (chosen / chosen.sum()).astype(self.dtype) if len(chosen) else chosen.astype(self.dtype)

    def add_layer_gradients(self, gradients: Gradients, trace: Trace, deltas: list[Array]) -> None:
        """Parameter gradients of all layers from their d_preactivation (·, T, B, H), added to `gradients`."""
        for depth, (layer, d_preactivation) in enumerate(zip(trace.layers, deltas, strict=True)):
            suffix = layer_suffix(depth)
            for name, gradient in layer.weight_gradients(d_preactivation).items():
                if name + suffix in self.params:  # A network without biases has a gradient of b, but no b.
                    gradients[name + suffix] = gradient
            d_projection = self.cell.input_part(d_preactivation).reshape(len(self.cell.gates), -1, layer.hidden_size)
            if depth:
                below = masked(trace.layers[depth - 1].hidden, layer.input_mask)
                gradients["U" + suffix] = merge_gates(matmul(below.reshape(-1, below.shape[-1]).T, d_projection))
                continue
            for name, of_input in self.inputs.gradients(
                self.params, trace.prepared, layer.input_mask, d_projection
            ).items():
                # Tied: the matrix is read as input and written as output, and its gradient is the sum of both roles.
                gradients[name] = add(gradients[name], of_input) if name in gradients else of_input


def last_states(trace: Trace, lengths: Array | None = None) -> State:
    """State of every layer after each sequence's last real token, (B, S); `lengths` (B,) in steps, default all T."""
    if lengths is None:
        return [merge_gates(layer.blocks[:, -1]).copy() for layer in trace.layers]
    # Of the blocks, number n is the state after n steps; number 0 is the initial one.
    columns = np.arange(len(lengths))
    return [merge_gates(layer.blocks[:, lengths, columns]) for layer in trace.layers]


def dense(gradients: Gradients) -> dict[str, Array]:
    """Every gradient as a plain array of its parameter's shape."""
    return {name: to_dense(gradient) for name, gradient in gradients.items()}
