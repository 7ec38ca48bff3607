"""Measures the recurrent module of a PyTorch training: hooks keep what one training step computes, for a later measure.

A hook on the forward pass keeps the module's inputs, state and weights; hooks on the backward pass keep the gradient
that arrives at its outputs, dL/dh_t. That is all that a walk back through time needs, so the training computes nothing
twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.diagnostics import horizon_of_trace, recurrent_spectrum, saturated_shares
from rnn_core.errors import SettingsError
from rnn_core.interop.torch_flow import network_of
from rnn_core.nn.network import Network, State, last_states
from rnn_core.training.events import HorizonMeasured

SEQUENCES, STEPS = 8, 40
"""Measured are the first SEQUENCES sequences of a batch, and the last STEPS time steps of each."""


@dataclass(eq=False)
class _Pass:
    """One forward pass: inputs (T, B, D) and the state before, both of the measured sequences alone; lengths (B,).

    The backward pass fills in d_outputs (T, B, H) and d_last (B, H), the part that comes through the final state.
    """

    model: Network
    inputs: Array
    state: State | None
    lengths: Array
    d_outputs: Array | None = None
    d_last: Array | None = None


class TorchProbe:
    """Hooks on a torch.nn.RNN, LSTM or GRU in training; `measure` says how far back its gradient went.

    Raises SettingsError for a module that is none of these, or has an option that is not supported.
    """

    def __init__(self, rnn: Any) -> None:
        network_of(rnn)
        self.rnn = rnn
        self.armed = True  # catch the next pass that has a gradient
        self.positions = 0  # steps times sequences read so far; the caller may set it to 0
        self.seconds = 0.0  # taken by the last measurement and the hook before it
        self._caught: _Pass | None = None
        self._problem: SettingsError | None = None
        self._hook = rnn.register_forward_hook(self._after_forward, with_kwargs=True)

    def close(self) -> None:
        """Remove the hook from the module."""
        self._hook.remove()

    @property
    def caught(self) -> bool:
        """Whether there is anything to `measure`."""
        return self._caught is not None or self._problem is not None

    def _after_forward(self, _: Any, arguments: tuple[Any, ...], options: Mapping[str, Any], output: Any) -> None:
        outputs = output[0]
        values = outputs.data if _is_packed(outputs) else outputs
        if not values.requires_grad:  # a validation, or a text being generated, between two training steps
            return
        self.positions += values.numel() // values.shape[-1]
        if self.armed:
            self.armed = False
            started = time.perf_counter()
            try:
                self._catch(arguments, options, output)
            except SettingsError as problem:  # `measure` raises it, since a hook must not end the training
                self._problem = problem
            self.seconds = time.perf_counter() - started

    def _catch(self, arguments: tuple[Any, ...], options: Mapping[str, Any], output: Any) -> None:
        """Keep this forward pass, and set hooks that keep the gradients of its outputs. Raises SettingsError."""
        outputs, final = output
        values = outputs.data if _is_packed(outputs) else outputs
        given = {**dict(zip(("input", "hx"), arguments, strict=False)), **options}
        inputs, lengths = _time_major(self.rnn, given["input"])
        caught = _Pass(network_of(self.rnn), inputs, _state(given.get("hx"), inputs.shape[1]), lengths)

        def d_outputs(gradient: Any) -> None:
            whole = outputs._replace(data=gradient) if _is_packed(outputs) else gradient
            caught.d_outputs = _time_major(self.rnn, whole)[0]

        def d_last(gradient: Any) -> None:
            caught.d_last = _batched(gradient)[-1]

        values.register_hook(d_outputs)
        (final[0] if isinstance(final, tuple) else final).register_hook(d_last)
        self._caught = caught

    @arithmetic()
    def measure(self, step: int) -> HorizonMeasured | None:
        """How far back the gradient of the pass that was caught went, and the module's spectrum and saturation then, as
        an event of this step. The pass is then forgotten. None where there was none, or no backward pass followed.

        Raises SettingsError where the module has changed into one that is not supported.
        """
        if self._problem is not None:
            raise self._problem
        started = time.perf_counter()
        caught, self._caught = self._caught, None
        if caught is None or (caught.d_outputs is None and caught.d_last is None):
            return None
        model, inputs = caught.model, caught.inputs
        d_hidden = np.zeros((*inputs.shape[:2], model.config.hidden_size))
        if caught.d_outputs is not None:
            d_hidden += caught.d_outputs
        if caught.d_last is not None:
            d_hidden[caught.lengths - 1, np.arange(len(caught.lengths))] += caught.d_last
        state = caught.state
        if len(inputs) > STEPS:
            state = last_states(model.forward(inputs[:-STEPS], state))
        trace = model.forward(inputs[-STEPS:], state)
        reach = horizon_of_trace(model, trace, d_hidden[-STEPS:])
        spectra = recurrent_spectrum(model)
        known = np.isfinite(reach.median)
        median, low, high = (tuple(map(float, curve[known])) for curve in (reach.median, reach.low, reach.high))
        shares = saturated_shares(trace)
        self.seconds += time.perf_counter() - started
        return HorizonMeasured(
            step,
            median,
            low,
            high,
            reach.half_life,
            tuple(block.radius for block in spectra),
            tuple(block.norm for block in spectra),
            tuple(shares),
            tuple(shares.values()),
        )


def find_recurrent(module: Any) -> Any:
    """The one torch.nn.RNN, LSTM or GRU in a module, which may be it. Raises SettingsError where there is none, or
    several.
    """
    network = getattr(module, "modules", None)
    found = [part for part in network() if type(part).__name__ in ("RNN", "LSTM", "GRU")] if callable(network) else []
    if len(found) != 1:
        what = "several recurrent modules" if found else "no torch.nn.RNN, LSTM or GRU"
        raise SettingsError(f"a {type(module).__name__} has {what}; give the one to be looked at.")
    return found[0]


def _is_packed(value: Any) -> bool:
    return hasattr(value, "batch_sizes")


def _time_major(rnn: Any, value: Any) -> tuple[Array, Array]:
    """Inputs or outputs of the module, packed, padded or one sequence -> (T, B, D or H) float64 of the first SEQUENCES,
    and their lengths (B,).
    """
    if _is_packed(value):
        from torch.nn.utils.rnn import pad_packed_sequence

        padded, lengths = pad_packed_sequence(value)
        return _numbers(padded[:, :SEQUENCES]), lengths[:SEQUENCES].numpy()
    if value.ndim == 2:
        value = value.unsqueeze(1)
    elif rnn.batch_first:
        value = value.transpose(0, 1)
    numbers = _numbers(value[:, :SEQUENCES])
    return numbers, np.full(numbers.shape[1], len(numbers))


def _state(given: Any, batch: int) -> State | None:
    """h_0, or (h_0, c_0), each (layers, B, H) or (layers, H) -> for each layer (B, S), h and c side by side."""
    if given is None:
        return None
    parts = [_batched(part)[:, :batch] for part in (given if isinstance(given, tuple) else (given,))]
    return [np.concatenate(layer, axis=-1) for layer in zip(*parts, strict=True)]


def _batched(state: Any) -> Array:
    """(layers, B, H) or (layers, H) -> (layers, B, H), of the first SEQUENCES."""
    numbers = _numbers(state if state.ndim == 3 else state.unsqueeze(1))
    return numbers[:, :SEQUENCES]


def _numbers(tensor: Any) -> Array:
    """A tensor's numbers as float64."""
    numbers: Array = tensor.detach().numpy().astype(np.float64)
    return numbers
