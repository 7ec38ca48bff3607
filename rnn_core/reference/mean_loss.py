"""The mean loss by its definition: what the gradients that train must be the derivative of.

It is written out here once more, from the forward pass and the definition of the softmax, and shares no line with the
training code behind the forward pass. Truncation is defined, not copied: E_t is a function of the words and parameters
of steps t - K .. t, run from the state before them as a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import NetworkConfig
from rnn_core.nn.activations import log_softmax
from rnn_core.nn.network import Network, State, last_states


def mean_loss(
    model: Network,
    inputs: Array,
    targets: Array,
    mask: Array | None = None,
    *,
    loss_weights: Array | None = None,
    state: State | None = None,
    truncate: int | None = None,
    past: list[State] | None = None,
    dropout_rng: Callable[[], np.random.Generator] | None = None,
) -> Any:
    """Mean of E_t (for words -log p_t[y_t], in nats) over the tokens that count, weighted by `loss_weights`: a float,
    or complex where the parameters are.

    With `truncate=K`, E_t depends on the parameters through the steps t - K .. t alone: the state before them is a
    constant, one of `past`, which `states_before` gives. `dropout_rng` makes the same generator anew for each pass.
    Truncation and dropout together raise ValueError: the windows would draw masks of their own.
    """
    if truncate is not None and (past is None or dropout_rng is not None):
        raise ValueError("a truncated loss needs the states of the past, and no dropout")
    inputs, targets, weights = _without_padding(inputs, targets, mask, loss_weights)
    if truncate is None:
        trace = model.forward(inputs, state, None if dropout_rng is None else dropout_rng())
        return (_losses(model, trace.hidden, targets) * weights).sum() / weights.sum()
    assert past is not None
    total: Any = 0.0
    for t in range(len(inputs)):
        start = max(0, t - truncate)
        hidden = model.forward(inputs[start : t + 1], past[start]).hidden[-1]
        total = total + (_losses(model, hidden, targets[t]) * weights[t]).sum()
    return total / weights.sum()


def states_before(
    model: Network, inputs: Array, targets: Array, mask: Array | None = None, state: State | None = None
) -> list[State]:
    """The state before every step: constants to `mean_loss` of the same batch, also where the parameters are perturbed
    there.
    """
    inputs, _, _ = _without_padding(inputs, targets, mask, None)
    states = [model.initial_state(inputs.shape[1]) if state is None else state]
    for t in range(len(inputs) - 1):
        states.append(last_states(model.forward(inputs[t : t + 1], states[-1])))
    return states


def _without_padding(
    inputs: Array, targets: Array, mask: Array | None, loss_weights: Array | None
) -> tuple[Array, Array, Array]:
    """The batch with its padding moved to the end: by definition a sequence with gaps is the sequence without them.

    Returns inputs, targets, and the weight (T, B) of each loss: 0 for padding.
    """
    inputs, targets = np.asarray(inputs), np.asarray(targets)
    weights = np.ones(inputs.shape[:2]) if loss_weights is None else np.asarray(loss_weights, float)
    if mask is None:
        return inputs, targets, weights
    compacted = np.zeros_like(inputs), np.zeros_like(targets), np.zeros_like(weights)
    for b, keep in enumerate(np.asarray(mask).astype(bool).T):
        for compact, given in zip(compacted, (inputs, targets, weights), strict=True):
            compact[: int(keep.sum()), b] = given[keep, b]
    return compacted


def _losses(model: Network, hidden: Array, targets: Array) -> Array:
    """E_t by its definition: hidden (..., H), targets (...) ids or (..., O) numbers -> (...)."""
    outputs = hidden @ model.output_matrix.T
    if "c" in model.params:
        outputs = outputs + model.params["c"]
    if isinstance(model.config, NetworkConfig) and model.config.loss == "squared_error":
        return np.asarray(((outputs - targets) ** 2).sum(axis=-1))
    return -np.take_along_axis(log_softmax(outputs), targets[..., None], axis=-1)[..., 0]
