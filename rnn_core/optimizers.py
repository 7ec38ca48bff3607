"""Optimizers, in order of growing complexity. All follow PyTorch's update rules and defaults to the last bit of the
formula.

Each takes gradients of any form (dense, rows) and updates the parameters in place. `scale` is clipping's
factor. Weight decay is added to the gradient after clipping, lambda * theta (an L2 penalty lambda/2 ||theta||^2), as
PyTorch does; AdamW instead shrinks the parameter itself (Loshchilov & Hutter 2019).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from rnn_core.errors import SettingsError
from rnn_core.gradients import Gradient, Gradients, RowGradient, subtract, to_dense
from rnn_core.numerics import Array
from rnn_core.threads import in_row_blocks


class Optimizer:
    """`state` holds every number that the next update depends on, by flat names: a checkpoint stores it as it is."""

    moments: ClassVar[tuple[str, ...]] = ()
    default_learning_rate: ClassVar[float]

    def __init__(self, params: dict[str, Array], weight_decay: float = 0.0) -> None:
        self.weight_decay = weight_decay
        self.state: dict[str, Array] = {"updates": np.zeros((), np.int64)}
        for moment in self.moments:
            for name, value in params.items():
                self.state[f"{moment}/{name}"] = np.zeros_like(value)

    def load_state(self, state: dict[str, Array]) -> None:
        """Continue from a saved `state`. Raises SettingsError where names or shapes differ."""
        shapes = {name: value.shape for name, value in self.state.items()}
        if shapes != {name: value.shape for name, value in state.items()}:
            raise SettingsError(
                "this optimizer state belongs to another network or optimizer; resume with the run's own settings."
            )
        self.state = {name: value.copy() for name, value in state.items()}

    def update(self, params: dict[str, Array], gradients: Gradients, learning_rate: float, scale: float = 1.0) -> None:
        """One step: params change in place. The gradients are multiplied by `scale` before anything else."""
        self.state["updates"] += 1
        for name, parameter in params.items():
            self._update_one(name, parameter, gradients[name], learning_rate, scale)

    def _update_one(self, name: str, parameter: Array, gradient: Gradient, learning_rate: float, scale: float) -> None:
        moments = [self.state[f"{moment}/{name}"] for moment in self.moments]
        whole = gradient if isinstance(gradient, RowGradient) else to_dense(gradient)

        def update_block(rows: slice) -> None:
            part = _scaled_rows(whole, rows, scale, parameter)
            if self.weight_decay and self.decays_gradient:
                part += self.weight_decay * parameter[rows]
            self._rule(parameter[rows], part, [moment[rows] for moment in moments], learning_rate)

        in_row_blocks(parameter, update_block, passes=2 ** len(moments))

    decays_gradient: ClassVar[bool] = True

    def _rule(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        """The update of one block, in place; `gradient` may be overwritten."""
        raise NotImplementedError


def _scaled_rows(gradient: Array | RowGradient, rows: slice, scale: float, parameter: Array) -> Array:
    """scale * gradient[rows], a copy that may be overwritten."""
    if not isinstance(gradient, RowGradient):
        return gradient[rows] * gradient.dtype.type(scale)
    part = np.zeros_like(parameter[rows])
    first, last = np.searchsorted(gradient.rows, (rows.start, rows.stop))
    part[gradient.rows[first:last] - rows.start] = gradient.values[first:last] * parameter.dtype.type(scale)
    return part


class SGD(Optimizer):
    """theta -= eta g (Robbins & Monro 1951). Without weight decay only what has a gradient is touched."""

    default_learning_rate = 0.5

    def _update_one(self, name: str, parameter: Array, gradient: Gradient, learning_rate: float, scale: float) -> None:
        if self.weight_decay:
            parameter *= parameter.dtype.type(1 - learning_rate * self.weight_decay)
        subtract(parameter, gradient, learning_rate * scale)


class Momentum(Optimizer):
    """v = mu v + g; theta -= eta v, mu = 0.9 (Polyak 1964, in the form of Sutskever et al. 2013 that PyTorch uses)."""

    moments = ("velocity",)
    default_learning_rate = 0.1
    mu = 0.9

    def _rule(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        (velocity,) = moments
        velocity *= self.mu
        velocity += gradient
        parameter -= learning_rate * velocity


class Nesterov(Momentum):
    """v = mu v + g; theta -= eta (g + mu v) (Nesterov 1983; Sutskever et al. 2013)."""

    def _rule(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        (velocity,) = moments
        velocity *= self.mu
        velocity += gradient
        gradient += self.mu * velocity
        gradient *= learning_rate
        parameter -= gradient


class RMSprop(Optimizer):
    """v = alpha v + (1 - alpha) g^2; theta -= eta g / (sqrt(v) + eps), alpha = 0.99 (Tieleman & Hinton 2012, lecture
    6.5).
    """

    moments = ("square",)
    default_learning_rate = 0.002
    alpha = 0.99
    epsilon = 1e-8

    def _rule(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        (square,) = moments
        square *= self.alpha
        square += (1 - self.alpha) * gradient * gradient
        gradient *= learning_rate
        gradient /= np.sqrt(square) + self.epsilon
        parameter -= gradient


class Adam(Optimizer):
    """Moving averages of gradient and square, corrected for their start at zero (Kingma & Ba 2015, Algorithm 1)."""

    moments = ("mean", "square")
    default_learning_rate = 0.002
    beta_mean = 0.9
    beta_square = 0.999
    epsilon = 1e-8

    def _rule(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        mean, square = moments
        updates = int(self.state["updates"])
        mean *= self.beta_mean
        mean += (1 - self.beta_mean) * gradient
        square *= self.beta_square
        gradient *= gradient
        gradient *= 1 - self.beta_square
        square += gradient
        # Early averages start at zero (Kingma & Ba 2015, section 3): both are divided by 1 - beta^t.
        np.sqrt(square, out=gradient)
        gradient *= 1 / np.sqrt(1 - self.beta_square**updates)
        gradient += self.epsilon
        np.divide(mean, gradient, out=gradient)
        gradient *= learning_rate / (1 - self.beta_mean**updates)
        parameter -= gradient


class AdamW(Adam):
    """Adam, with weight decay taken from the parameter and not through the moments (Loshchilov & Hutter 2019)."""

    decays_gradient = False

    def _rule(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        if self.weight_decay:
            parameter *= 1 - learning_rate * self.weight_decay
        super()._rule(parameter, gradient, moments, learning_rate)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}


def make_optimizer(name: str, params: dict[str, Array], weight_decay: float = 0.0) -> Optimizer:
    """The optimizer called `name` (a key of OPTIMIZERS) with fresh state for these parameters."""
    if name not in OPTIMIZERS:
        raise SettingsError(f"optimizer {name!r} is not known; choose one of {', '.join(OPTIMIZERS)}.")
    return OPTIMIZERS[name](params, weight_decay)
