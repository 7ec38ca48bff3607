"""The gradient check: every number that back-propagation gives, against a derivative of the loss itself.

Two independent derivatives of a function f of one parameter theta:

    complex step (Squire & Trapp 1998):   f'(theta) = Im f(theta + i h) / h,   h = 1e-30
    central difference of fourth order:   f'(theta) = (8 (f(+h) - f(-h)) - (f(+2h) - f(-2h))) / 12h,   h = 1e-3
                                          (Abramowitz & Stegun 1964, 25.3.6, p = 0)

The complex step subtracts nothing, so nothing cancels: it is right to the last digits, element by element, wherever the
loss is analytic. The central difference needs only the loss as anyone can compute it; its rounding error is about
1e-12, so it says nothing about elements that are far smaller than the rest of their matrix.

The loss is that of `mean_loss`, written out from its definition and not taken from the training code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import CELLS, ModelConfig
from rnn_core.diagnostics.saturation import signals
from rnn_core.nn.activations import ACTIVATIONS
from rnn_core.nn.cells import CELL_FORMS
from rnn_core.nn.network import Network, State, dense
from rnn_core.reference.mean_loss import mean_loss, states_before
from rnn_core.reference.small_networks import small_batch, small_model, small_state

Method = Literal["complex", "central"]

STEPS: dict[str, float] = {"complex": 1e-30, "central": 1e-3}

# The step for central differences where an activation has a kink: ReLU is not differentiable where its pre-activation
# is 0, and this step is small enough for no pre-activation to change its sign.
_STEP_AT_KINKS = 1e-4

# Central differences: an element below this share of its array's largest is compared on the scale of that share.
_CENTRAL_FLOOR = 1e-3


@dataclass(frozen=True)
class GradientCheck:
    """The largest relative error, |analytic - numeric| / max(|analytic|, |numeric|), of all elements; where it is, and
    both numbers.

    errors  the worst relative error of every parameter array, by name.
    """

    worst_relative_error: float
    worst_parameter: str
    worst_index: tuple[int, ...]
    analytic: float
    numeric: float
    errors: dict[str, float]


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
    perturbed = {name: value.astype(dtype) for name, value in params.items()}

    def at(name: str, index: tuple[int, ...], offset: complex) -> Any:
        perturbed[name][index] = params[name][index] + offset
        value = objective(perturbed)
        perturbed[name][index] = params[name][index]
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


def _has_kink(model: Network, inputs: Array) -> bool:
    """Whether the cells of this network have an activation that is not differentiable everywhere."""
    return any(ACTIVATIONS[signal.phi].kink for signal in signals(model.forward(inputs)).values())


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
    """The gradients that training uses, compared with the chosen derivative of `mean_loss`; arguments as there.

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

    perturbed = type(model)(model.config, params=model.params)
    past = None if truncate is None else states_before(model, inputs, targets, mask, state)

    def objective(params: dict[str, Array]) -> Any:
        perturbed.params = params
        return mean_loss(
            perturbed,
            inputs,
            targets,
            mask,
            loss_weights=loss_weights,
            state=state,
            truncate=truncate,
            past=past,
            dropout_rng=dropout_rng,
        )

    numeric = numeric_gradients(objective, model.params, method=method, step=step)
    return compare(dense(given), numeric, floor=_CENTRAL_FLOOR if method == "central" else 0.0)


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
    start at zero; with `dropout` the masks come from one fixed generator. Raises SettingsError for settings that make
    no sense.
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
    if method == "central" and step is None and _has_kink(model, batch.inputs):
        step = _STEP_AT_KINKS
    return check_gradients(
        model,
        *batch,
        truncate=truncate,
        state=small_state(model, batch.inputs.shape[1], seed) if carried else None,
        dropout_rng=(lambda: np.random.default_rng(seed)) if dropout else None,
        method=method,
        step=step,
    )


# The networks with each cell that `check_all` checks; the tests check many more.
_VARIANTS: tuple[dict[str, Any], ...] = (
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
        checks = [check_cell(cell, gru_reset=form, method=method, **options) for form in forms for options in _VARIANTS]
        worst[cell] = max(check.worst_relative_error for check in checks)
    return worst
