"""Proof of the gradients: every number that back-propagation gives, against a derivative of the loss itself.

Two independent derivatives of a function f of one parameter theta:

    complex step (Squire & Trapp 1998):   f'(theta) = Im f(theta + i h) / h,   h = 1e-30
    central difference of fourth order:   f'(theta) = (8 (f(+h) - f(-h)) - (f(+2h) - f(-2h))) / 12h,   h = 1e-3
                                          (Abramowitz & Stegun 1964, 25.3.6, p = 0)

The complex step subtracts nothing, so nothing cancels: it is right to the last digits, element by element, wherever the
loss is analytic. The central difference needs only the loss as anyone can compute it; its rounding error is about
1e-12, so it says nothing about elements that are far smaller than the rest of their matrix.

The loss is written out here once more, from the forward pass and the definition of the softmax, and shares no line with
the training code behind it. Truncation is defined, not copied: E_t is a function of the words and parameters of steps
t - K .. t, run from the state before them as a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import CELLS, ModelConfig, NetworkConfig
from rnn_core.nn.activations import log_softmax
from rnn_core.nn.cells import CELL_FORMS
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network, State, dense, last_states

Method = Literal["complex", "central"]
AnyNetwork = TypeVar("AnyNetwork", bound=Network)

STEPS: dict[str, float] = {"complex": 1e-30, "central": 1e-3}

# A ReLU is not differentiable where its pre-activation is 0: steps small enough not to reach that point.
_RELU_STEP = 1e-4

# Central differences: an element below this share of its array's largest is compared on the scale of that share.
_CENTRAL_FLOOR = 1e-3


class SmallBatch(NamedTuple):
    """inputs, targets (T, B) ids; mask (T, B) bool or None."""

    inputs: Array
    targets: Array
    mask: Array | None


@dataclass(frozen=True)
class GradientCheck:
    """The worst of all elements: |analytic - numeric| / max(|analytic|, |numeric|), where it stands, and both numbers.

    errors  the worst relative error of every parameter array, by name.
    """

    worst_relative_error: float
    worst_parameter: str
    worst_index: tuple[int, ...]
    analytic: float
    numeric: float
    errors: dict[str, float]


def small_batch(
    vocabulary_size: int = 5, steps: int = 5, batch: int = 3, *, mask: str | None = None, seed: int = 0
) -> SmallBatch:
    """Random ids. `mask`: None | "behind" (padding at the end of each sequence) | "anywhere" (before, between, behind).

    Every masked batch has at least one full-length sequence and one that is shorter.
    """
    rng = np.random.default_rng(seed)
    inputs, targets = rng.integers(0, vocabulary_size, (2, steps, batch))
    if mask is None:
        return SmallBatch(inputs, targets, None)
    lengths = np.maximum(1, steps - 2 * np.arange(batch))
    present = np.arange(steps)[:, None] < lengths
    if mask == "anywhere":
        present = np.stack([rng.permutation(column) for column in present.T], axis=1)
        present[0, 1:] = False  # so that padding stands in front, too
    return SmallBatch(inputs, targets, present)


def mean_loss(
    model: Network,
    inputs: Array,
    targets: Array,
    mask: Array | None = None,
    *,
    loss_weights: Array | None = None,
    state: State | None = None,
    truncate: int | None = None,
    frozen: Network | None = None,
    dropout_rng: Callable[[], np.random.Generator] | None = None,
) -> Any:
    """Mean of E_t (for words -log p_t[y_t], in nats) over the tokens that count, weighted by `loss_weights`: a float,
    or complex where the parameters are.

    With `truncate=K`, E_t depends on the parameters through the steps t - K .. t alone: the state before them is that
    of `frozen`, a model that keeps its parameters. `dropout_rng` makes the same generator anew for each pass.
    Truncation and dropout together raise ValueError: the windows would draw masks of their own.
    """
    if truncate is not None and (frozen is None or dropout_rng is not None):
        raise ValueError("a truncated loss needs `frozen`, and no dropout")
    inputs, targets, weights = _without_padding(inputs, targets, mask, loss_weights)
    batch = inputs.shape[1]
    state = (frozen or model).initial_state(batch) if state is None else state
    if truncate is None:
        trace = model.forward(inputs, state, None if dropout_rng is None else dropout_rng())
        return (_losses(model, trace.hidden, targets) * weights).sum() / weights.sum()
    assert frozen is not None
    constants = [state]
    for t in range(len(inputs) - 1):
        constants.append(last_states(frozen.forward(inputs[t : t + 1], constants[-1])))
    total: Any = 0.0
    for t in range(len(inputs)):
        start = max(0, t - truncate)
        # The states before the window are numbers, whatever the type of the model that goes on from them.
        hidden = model.forward(inputs[start : t + 1], constants[start]).hidden[-1]
        total = total + (_losses(model, hidden, targets[t]) * weights[t]).sum()
    return total / weights.sum()


def _without_padding(
    inputs: Array, targets: Array, mask: Array | None, loss_weights: Array | None
) -> tuple[Array, Array, Array]:
    """What padding means: a sequence with holes is the sequence without them. Real tokens to the front, rest zero.

    Returns inputs, targets, and the weight (T, B) of each loss.
    """
    inputs, targets = np.asarray(inputs), np.asarray(targets)
    weights = np.ones(inputs.shape[:2]) if loss_weights is None else np.asarray(loss_weights, float)
    if mask is None:
        return inputs, targets, weights
    found = np.zeros_like(inputs), np.zeros_like(targets), np.zeros_like(weights)
    for b, keep in enumerate(np.asarray(mask).astype(bool).T):
        for compact, given in zip(found, (inputs, targets, weights), strict=True):
            compact[: int(keep.sum()), b] = given[keep, b]
    return found


def _losses(model: Network, hidden: Array, targets: Array) -> Array:
    """E for hidden (..., H), targets (...) ids or (..., O) numbers, from its definition."""
    outputs = hidden @ model.output_matrix.T
    if "c" in model.params:
        outputs = outputs + model.params["c"]
    if isinstance(model.config, NetworkConfig) and model.config.loss == "squared_error":
        return np.asarray(((outputs - targets) ** 2).sum(axis=-1))
    return -np.take_along_axis(log_softmax(outputs), targets[..., None], axis=-1)[..., 0]


def numeric_gradients(
    objective: Callable[[dict[str, Array]], Any],
    params: dict[str, Array],
    *,
    method: Method = "complex",
    step: float | None = None,
) -> dict[str, Array]:
    """d objective / d theta, element by element, for every array in `params` (float64); same keys and shapes.

    `objective` maps such a dict to one number; for "complex" it must take complex arrays and be analytic in them.
    """
    step = STEPS[method] if step is None else step
    dtype = np.complex128 if method == "complex" else np.float64
    moved = {name: value.astype(dtype) for name, value in params.items()}

    def at(name: str, index: tuple[int, ...], offset: complex) -> Any:
        moved[name][index] = params[name][index] + offset
        value = objective(moved)
        moved[name][index] = params[name][index]
        return value

    gradients = {name: np.zeros(value.shape) for name, value in params.items()}
    for name, gradient in gradients.items():
        for index in np.ndindex(gradient.shape):
            if method == "complex":
                gradient[index] = at(name, index, 1j * step).imag / step
            else:
                near = at(name, index, step) - at(name, index, -step)
                far = at(name, index, 2 * step) - at(name, index, -2 * step)
                gradient[index] = (8 * near - far) / (12 * step)
    return gradients


def compare(analytic: dict[str, Array], numeric: dict[str, Array], *, floor: float = 0.0) -> GradientCheck:
    """Element-wise relative errors. `floor`: errors are taken relative to at least this share of an array's largest
    element. Two zeros agree; a NaN anywhere is an infinite error. Raises ValueError where names or shapes differ.
    """
    shapes = {name: value.shape for name, value in numeric.items()}
    if {name: np.shape(value) for name, value in analytic.items()} != shapes:
        raise ValueError("the two sets of gradients have different names or shapes")
    errors: dict[str, float] = {}
    worst = GradientCheck(-1.0, "", (), 0.0, 0.0, errors)
    for name, expected in numeric.items():
        scale = np.maximum(np.abs(analytic[name]), np.abs(expected))
        scale = np.maximum(scale, floor * scale.max(initial=0.0))
        relative = np.abs(analytic[name] - expected) / np.where(scale > 0, scale, 1.0)
        relative = np.where(np.isfinite(relative), relative, np.inf)
        index = tuple(int(i) for i in np.unravel_index(np.argmax(relative), relative.shape))
        errors[name] = float(relative[index])
        if errors[name] > worst.worst_relative_error:
            pair = float(analytic[name][index]), float(expected[index])
            worst = GradientCheck(errors[name], name, index, *pair, errors)
    return worst


def check_gradients(
    model: Network,
    inputs: Array,
    targets: Array,
    mask: Array | None = None,
    *,
    loss_weights: Array | None = None,
    truncate: int | None = None,
    state: State | None = None,
    dropout_rng: Callable[[], np.random.Generator] | None = None,
    method: Method = "complex",
    step: float | None = None,
) -> GradientCheck:
    """The gradients that training uses against the chosen derivative of `mean_loss`; arguments as there.

    `model` should be float64, and small: the loss is computed one to four times for every number in it.
    """
    _, given, _ = model.training_gradients(
        inputs,
        targets,
        mask,
        truncate,
        state,
        None if dropout_rng is None else dropout_rng(),
        loss_weights=loss_weights,
    )

    moved = type(model)(model.config, params=model.params)

    def objective(params: dict[str, Array]) -> Any:
        moved.params = params
        return mean_loss(
            moved,
            inputs,
            targets,
            mask,
            loss_weights=loss_weights,
            state=state,
            truncate=truncate,
            frozen=model,
            dropout_rng=dropout_rng,
        )

    numeric = numeric_gradients(objective, model.params, method=method, step=step)
    return compare(dense(given), numeric, floor=_CENTRAL_FLOOR if method == "central" else 0.0)


def small_model(config: ModelConfig, seed: int = 0) -> LanguageModel:
    """A float64 model in which every parameter, biases too, is drawn from a normal distribution of deviation 1/2.

    Nothing in it is zero, equal or symmetric by construction, so that no mistake hides behind a start.
    """
    return _randomised(LanguageModel(config, dtype=np.float64), seed)


def small_network(config: NetworkConfig, seed: int = 0) -> Network:
    """The same for a network that is no language model."""
    return _randomised(Network(config, dtype=np.float64), seed)


def _randomised(model: AnyNetwork, seed: int) -> AnyNetwork:
    rng = np.random.default_rng(seed)
    for value in model.params.values():
        value[...] = 0.5 * rng.standard_normal(value.shape)
    return model


def small_state(model: Network, batch: int, seed: int = 0) -> State:
    """A carried state as a chunk before might leave it: one (B, S) array per layer, normal, deviation 1/2."""
    rng = np.random.default_rng(seed)
    return [0.5 * rng.standard_normal(part.shape) for part in model.initial_state(batch)]


def check_cell(
    cell: str,
    *,
    layers: int = 1,
    embedding_size: int | None = None,
    tied: bool = False,
    bias: bool = True,
    gru_reset: str = "after",
    mask: str | None = None,
    truncate: int | None = None,
    carried: bool = False,
    dropout: float = 0.0,
    variational: bool = False,
    method: Method = "complex",
    step: float | None = None,
    seed: int = 0,
) -> GradientCheck:
    """All gradients of a small network (5 words, 3 units, 5 steps, 3 sequences) with this cell.

    Options as in ModelConfig; `mask` as in `small_batch`; `truncate` as in training; `carried`: the state does not
    start at zero; with `dropout` the masks come from one fixed generator. Raises SettingsError for a senseless network.
    """
    config = ModelConfig(
        cell=cell,
        vocabulary_size=5,
        hidden_size=3,
        embedding_size=embedding_size,
        layers=layers,
        tied=tied,
        bias=bias,
        gru_reset=gru_reset,
        dropout=dropout,
        variational=variational,
    )
    model, batch = small_model(config, seed), small_batch(mask=mask, seed=seed)
    if method == "central" and cell == "relu" and step is None:
        step = _RELU_STEP
    return check_gradients(
        model,
        *batch,
        truncate=truncate,
        state=small_state(model, batch.inputs.shape[1], seed) if carried else None,
        dropout_rng=(lambda: np.random.default_rng(seed)) if dropout else None,
        method=method,
        step=step,
    )


# What `check_all` puts each cell through; the tests go through many more.
_ROUNDS: tuple[dict[str, Any], ...] = (
    {"layers": 1},
    {"layers": 2, "mask": "anywhere"},
    {"layers": 2, "truncate": 2},
    {"layers": 1, "embedding_size": 3, "tied": True, "carried": True},
)


def check_all(cells: Iterable[str] = tuple(CELLS), *, method: Method = "central") -> dict[str, float]:
    """Worst relative error of each cell over one and two layers, padding, truncation, tied embedding, carried state.

    A cell of several forms (the GRU) is checked in each. Good: below 1e-6 for "central", below 1e-9 for "complex". A
    few seconds.
    """
    worst: dict[str, float] = {}
    for cell in cells:
        forms = [form.reset or "after" for form in CELL_FORMS if form.name == cell]
        checks = [check_cell(cell, gru_reset=form, method=method, **options) for form in forms for options in _ROUNDS]
        worst[cell] = max(check.worst_relative_error for check in checks)
    return worst
