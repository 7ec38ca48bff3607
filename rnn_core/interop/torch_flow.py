"""The gradient flow of somebody's own PyTorch network, with their own loss.

The recurrent module's weights are lifted into a `Network`; what each loss does to the module's output, dE_t/dh_t, comes
from autograd, through whatever the loss is made of; and the way back through time from there is the walk that all
diagnostics read. PyTorch is imported when this is used, and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.config import NetworkConfig
from rnn_core.diagnostics.flow import GradientFlow, flow_of
from rnn_core.errors import SettingsError
from rnn_core.interop.pytorch import from_torch_state_dict
from rnn_core.nn.bptt import bptt
from rnn_core.nn.cells import CELL_FORMS
from rnn_core.nn.gradients import Gradients
from rnn_core.nn.network import Network, Trace, dense

# Relative difference of two derivatives of the same loss: rounding, in float32 too. A loss that mixes steps differs by
# as much as it mixes.
_SAME = 1e-3

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def torch_gradient_flow(rnn: Any, inputs: Any, loss: Callable[[Any], Any], state: Any = None) -> GradientFlow:
    """Where each loss's gradient goes in a torch.nn.RNN, LSTM or GRU: the same `GradientFlow` as `gradient_flow` gives.

    rnn     any number of layers, `batch_first` and `bias` either way, float32 or float64, on the CPU; compiled or not
    inputs  (T, B, D) tensor, or (B, T, D) where `batch_first`
    loss    maps the module's output (T, B, H), or (B, T, H), to one loss E_t for each step and sequence, (T, B) or
            (B, T); E_t may depend on the output at its own step alone
    state   the state before the first step as the module takes it: h_0, or (h_0, c_0) for an LSTM; None: zeros

    Lag gradients and gradients are of the mean of all losses, in our layout of the parameters
    (`to_torch_state_dict` gives PyTorch's). The walks run in float64. Raises SettingsError, with the reason, for a
    module that is not understood, inputs that do not fit it, or a loss that mixes steps.

    >>> import torch
    >>> rnn = torch.nn.GRU(input_size=3, hidden_size=4)
    >>> flow = torch_gradient_flow(rnn, torch.randn(5, 2, 3), lambda outputs: outputs.pow(2).sum(-1))
    >>> flow.delta_norms.shape  # (T, T, B)
    (5, 5, 2)
    """
    torch = _torch()
    # What torch.compile gives computes the same, with the weights of the module in it.
    rnn = getattr(rnn, "_orig_mod", rnn)
    model = network_of(rnn)
    if rnn.dropout and rnn.training:
        raise SettingsError("the module would drop units at random; call rnn.eval() first.")
    if any(getattr(rnn, hooks) for hooks in _HOOKS):
        raise SettingsError("the module has hooks, which may change what it computes; remove them first.")
    given = _checked_inputs(torch, rnn, inputs)
    with arithmetic():
        trace = model.forward(given, _state(rnn, state, given.shape[1]))
        losses, d_hidden = _losses(torch, rnn, trace.hidden, loss)
        weights = np.full(losses.shape, 1 / losses.size)
        d_mean = d_hidden / losses.size
        return flow_of(model, trace, losses, d_mean, weights, _MeanGradients(model, trace, d_mean))


class _MeanGradients(Mapping[str, Array]):
    """dE/dtheta of the mean loss. One more walk back, taken when somebody asks: the lifted weights are a copy, which
    stays what it is while the module is trained on.
    """

    def __init__(self, model: Network, trace: Trace, d_hidden: Array) -> None:
        self._model, self._trace, self._d_hidden = model, trace, d_hidden

    @cached_property
    def _found(self) -> dict[str, Array]:
        found: Gradients = {}
        with arithmetic():
            self._model.add_layer_gradients(found, self._trace, bptt(self._trace.layers, self._d_hidden))
        return dense(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, name: str) -> Array:
        return self._found[name]


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise SettingsError("PyTorch is not installed here; install it with `pip install torch`.") from None
    return torch


def network_of(rnn: Any) -> Network:
    """The recurrent layers of a torch.nn.RNN, LSTM or GRU as a float64 `Network` that reads vectors, without dropout.

    Its outputs are the top layer's hidden state, unchanged. Raises SettingsError for a module that is not understood.
    """
    torch = _torch()
    modules = {"RNN": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}
    name = next((name for name, module in modules.items() if type(rnn) is module), None)
    if name is None:
        raise SettingsError(
            f"a {type(rnn).__name__} is not a plain torch.nn.RNN, LSTM or GRU; give the recurrent module itself, "
            "neither scripted, nor parametrized, nor wrapped."
        )
    if rnn.bidirectional:
        raise SettingsError(
            "a bidirectional network has no one way back through time; make it with bidirectional=False."
        )
    if getattr(rnn, "proj_size", 0):
        raise SettingsError("an LSTM with projections is not supported; make it with proj_size=0.")
    weights = dict(rnn.named_parameters())
    for parameter in weights.values():
        if parameter.device.type != "cpu":
            raise SettingsError(f"the module's weights are on {parameter.device}; move them with rnn.cpu().")
        if parameter.dtype not in (torch.float32, torch.float64):
            raise SettingsError(
                f"the module computes with {parameter.dtype}; convert it with rnn.float() or rnn.double()."
            )
    cell = next(
        form.name
        for form in CELL_FORMS
        if form.torch is not None and form.torch.module == name and (name != "RNN" or form.name == rnn.nonlinearity)
    )
    config = NetworkConfig(
        cell=cell,
        hidden_size=rnn.hidden_size,
        input_size=rnn.input_size,
        outputs=rnn.hidden_size,
        layers=rnn.num_layers,
        bias=rnn.bias,
        loss="squared_error",
    )
    arrays = {f"rnn.{name}": weight.detach().numpy().astype(np.float64) for name, weight in weights.items()}
    arrays["decoder.weight"] = np.eye(rnn.hidden_size)
    if rnn.bias:
        arrays["decoder.bias"] = np.zeros(rnn.hidden_size)
    return Network(config, params=from_torch_state_dict(config, arrays))


def _checked_inputs(torch: Any, rnn: Any, inputs: Any) -> Array:
    """-> (T, B, D) float64."""
    order = "(B, T, D)" if rnn.batch_first else "(T, B, D)"
    if not isinstance(inputs, torch.Tensor) or inputs.ndim != 3 or inputs.shape[2] != rnn.input_size:
        what = f"of shape {tuple(inputs.shape)}" if isinstance(inputs, torch.Tensor) else f"a {type(inputs).__name__}"
        raise SettingsError(f"inputs must be a tensor {order} with D = {rnn.input_size}, and this is {what}.")
    if inputs.device.type != "cpu":
        raise SettingsError(f"the inputs are on {inputs.device}; move them with inputs.cpu().")
    if inputs.dtype != (dtype := next(rnn.parameters()).dtype):
        raise SettingsError(
            f"the inputs are {inputs.dtype} and the module computes with {dtype}; use inputs.to({dtype})."
        )
    array = inputs.detach().numpy().astype(np.float64)
    if 0 in array.shape or not np.isfinite(array).all():
        raise SettingsError("inputs must be at least one step of one sequence, of finite numbers.")
    return array.swapaxes(0, 1) if rnn.batch_first else array


def _state(rnn: Any, state: Any, batch: int) -> list[Array] | None:
    """As the module takes it, (layers, B, H) for each of h and c -> (B, S) for each layer."""
    if state is None:
        return None
    parts = state if isinstance(state, tuple) else (state,)
    needed, dtype = (rnn.num_layers, batch, rnn.hidden_size), next(rnn.parameters()).dtype
    fits = all(
        getattr(part, "shape", None) == needed and part.dtype == dtype and part.device.type == "cpu" for part in parts
    )
    if not fits or len(parts) != 1 + (rnn.mode == "LSTM"):
        raise SettingsError(
            f"the state must be what the module takes, {dtype} of shape {needed} on the CPU, and for an LSTM a pair of "
            "them."
        )
    arrays = [part.detach().numpy().astype(np.float64) for part in parts]
    return [np.concatenate(layer, axis=-1) for layer in zip(*arrays, strict=True)]


def _losses(torch: Any, rnn: Any, hidden: Array, loss: Callable[[Any], Any]) -> tuple[Array, Array]:
    """hidden (T, B, H) -> E (T, B) and dE_t/dh_t (T, B, H), by autograd."""
    dtype = next(rnn.parameters()).dtype
    outputs = torch.tensor(hidden.swapaxes(0, 1) if rnn.batch_first else hidden, dtype=dtype, requires_grad=True)
    with torch.enable_grad():
        losses = loss(outputs)
        shape = tuple(outputs.shape[:2])
        if not isinstance(losses, torch.Tensor) or tuple(losses.shape) != shape:
            got = tuple(losses.shape) if isinstance(losses, torch.Tensor) else type(losses).__name__
            raise SettingsError(
                f"the loss must give one number for each step and sequence, of shape {shape}, not {got}; PyTorch's "
                'losses do so with reduction="none".'
            )
        if losses.dtype not in (torch.float32, torch.float64):
            raise SettingsError(f"the loss is computed with {losses.dtype}; compute it in float32, without autocast.")
        if not losses.requires_grad:
            raise SettingsError("the loss does not depend on the module's output.")
        # If E_t depends on h_t alone, weights of the losses are factors of the gradient.
        factors = torch.rand(shape, dtype=losses.dtype, generator=torch.Generator().manual_seed(0)) + 0.5
        (own,) = torch.autograd.grad(losses, outputs, torch.ones_like(losses), retain_graph=True)
        (weighted,) = torch.autograd.grad(losses, outputs, factors)
    values, d_hidden, d_weighted, weights = (
        part.detach().numpy().astype(np.float64) for part in (losses, own, weighted, factors)
    )
    if not (np.isfinite(values).all() and np.isfinite(d_hidden).all()):
        raise SettingsError("the loss, or its gradient by the module's output, is not finite; look at the loss first.")
    difference = np.abs(d_weighted - weights[..., None] * d_hidden).max()
    if not difference <= _SAME * np.abs(d_hidden).max():
        raise SettingsError(
            "the loss mixes time steps (or sequences): the gradient of one step's loss would not be its own; give one "
            "loss for each step that looks at the output of that step alone."
        )
    return (values.swapaxes(0, 1), d_hidden.swapaxes(0, 1)) if rnn.batch_first else (values, d_hidden)
