"""Optimizers, in order of growing complexity, with PyTorch's update rules (`torch.optim`).

The docstrings write theta for a parameter, g for its gradient and eta for the learning rate. A gradient is dense, or a
`RowGradient`: zero except in the rows of the words that occur in the batch. Parameters are updated in place.

Weight decay is added to the gradient after clipping, g + lambda theta (an L2 penalty lambda/2 ||theta||^2), as PyTorch
does; AdamW instead shrinks the parameter itself (Loshchilov & Hutter 2019).
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import Choice, choices
from rnn_core.errors import SettingsError
from rnn_core.nn.gradients import Gradient, Gradients, RowGradient, subtract, to_dense
from rnn_core.threads import for_row_blocks

# The moments of a word that does not occur decay until they are subnormal numbers, with which a processor is thirty
# times as slow, though they no longer move any parameter. So every 64 updates moments that are nearly subnormal, below
# 1e4 times the smallest normal number, are set to zero: what is above that stays normal until the next time, since the
# fastest decay leaves 0.9^64 = 1e-3 of it.
UPDATES_BETWEEN_FLUSHES = 64
FLUSH_BELOW = 1e4


class Optimizer:
    """The base of all. `state` holds every number that the next update depends on, by flat names, for checkpoints.

    An update has three parts: each moment (a moving average, by its name in `moments`) is multiplied by its decay
    rate; the rows that have a gradient take it in (`_apply_gradient`); the moments act on all rows (`_apply_moments`).
    """

    moments: ClassVar[dict[str, float]] = {}
    default_learning_rate: ClassVar[float]
    decays_gradient: ClassVar[bool] = True

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
        """One step: params change in place. The gradients are first multiplied by `scale`, the factor of clipping."""
        self.state["updates"] += 1
        for name, parameter in params.items():
            self._update_one(name, parameter, gradients[name], learning_rate, scale)

    def _update_one(self, name: str, parameter: Array, gradient: Gradient, learning_rate: float, scale: float) -> None:
        moments = [self.state[f"{moment}/{name}"] for moment in self.moments]
        decayed = bool(self.weight_decay) and self.decays_gradient
        if decayed:
            gradient = to_dense(gradient)
        factor = parameter.dtype.type(scale)
        flushing = self.state["updates"] % UPDATES_BETWEEN_FLUSHES == 0

        def update_block(block: slice) -> None:
            here, moments_here = parameter[block], [moment[block] for moment in moments]
            for moment, decay_rate in zip(moments_here, self.moments.values(), strict=True):
                moment *= decay_rate
                if flushing:
                    moment[np.abs(moment) < FLUSH_BELOW * np.finfo(moment.dtype).tiny] = 0
            if isinstance(gradient, RowGradient):
                first, last = np.searchsorted(gradient.rows, (block.start, block.stop))
                rows = gradient.rows[first:last] - block.start
                own, own_moments = here[rows], [moment[rows] for moment in moments_here]
                self._apply_gradient(own, gradient.values[first:last] * factor, own_moments, learning_rate)
                here[rows] = own
                for moment, own_moment in zip(moments_here, own_moments, strict=True):
                    moment[rows] = own_moment
            else:
                part = gradient[block] * factor
                if decayed:
                    part += self.weight_decay * here
                self._apply_gradient(here, part, moments_here, learning_rate)
            self._apply_moments(here, moments_here, learning_rate)

        # With each moment an update touches a number about twice as often.
        for_row_blocks(parameter, update_block, passes=2 ** len(moments))

    def _apply_gradient(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        """Let the rows that have a gradient take it in, in place; `gradient` may be overwritten."""
        raise NotImplementedError

    def _apply_moments(self, parameter: Array, moments: list[Array], learning_rate: float) -> None:
        """What the moments do to the parameter, all rows, in place."""


class SGD(Optimizer):
    """theta -= eta g (Robbins & Monro 1951). Without weight decay, rows without a gradient are not touched."""

    default_learning_rate = 0.5

    def _update_one(self, name: str, parameter: Array, gradient: Gradient, learning_rate: float, scale: float) -> None:
        if self.weight_decay:
            parameter *= parameter.dtype.type(1 - learning_rate * self.weight_decay)
        subtract(parameter, gradient, learning_rate * scale)


class Momentum(Optimizer):
    """v = mu v + g; theta -= eta v, mu = 0.9 (Polyak 1964, in the form of Sutskever et al. 2013 that PyTorch uses)."""

    mu = 0.9
    moments: ClassVar[dict[str, float]] = {"velocity": mu}
    default_learning_rate = 0.1

    def _apply_gradient(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        (velocity,) = moments
        velocity += gradient

    def _apply_moments(self, parameter: Array, moments: list[Array], learning_rate: float) -> None:
        (velocity,) = moments
        parameter -= learning_rate * velocity


class Nesterov(Momentum):
    """v = mu v + g; theta -= eta (g + mu v) (Nesterov 1983; Sutskever et al. 2013)."""

    def _apply_gradient(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        super()._apply_gradient(parameter, gradient, moments, learning_rate)
        parameter -= learning_rate * gradient

    def _apply_moments(self, parameter: Array, moments: list[Array], learning_rate: float) -> None:
        super()._apply_moments(parameter, moments, self.mu * learning_rate)


class RMSprop(Optimizer):
    """v = alpha v + (1 - alpha) g^2; theta -= eta g / (sqrt(v) + eps), alpha = 0.99 (Tieleman & Hinton 2012, lecture
    6.5).
    """

    alpha = 0.99
    epsilon = 1e-8
    moments: ClassVar[dict[str, float]] = {"square": alpha}
    default_learning_rate = 0.002

    def _apply_gradient(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        (square,) = moments
        square += (1 - self.alpha) * gradient * gradient
        gradient *= learning_rate
        gradient /= np.sqrt(square) + self.epsilon
        parameter -= gradient


class Adam(Optimizer):
    """Moving averages of gradient and square, corrected for their start at zero (Kingma & Ba 2015, Algorithm 1)."""

    beta_mean = 0.9
    beta_square = 0.999
    epsilon = 1e-8
    moments: ClassVar[dict[str, float]] = {"mean": beta_mean, "square": beta_square}
    default_learning_rate = 0.002

    def _apply_gradient(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        mean, square = moments
        mean += (1 - self.beta_mean) * gradient
        gradient *= gradient
        gradient *= 1 - self.beta_square
        square += gradient

    def _apply_moments(self, parameter: Array, moments: list[Array], learning_rate: float) -> None:
        mean, square = moments
        updates = int(self.state["updates"])
        # Early averages start at zero (Kingma & Ba 2015, section 3): both are divided by 1 - beta^t. The root of the
        # square's correction leaves the fraction, as at the end of the paper's section 2, so that one pass does less.
        root = math.sqrt(1 - self.beta_square**updates)
        step = np.sqrt(square)
        step += self.epsilon * root
        np.divide(mean, step, out=step)
        step *= learning_rate * root / (1 - self.beta_mean**updates)
        parameter -= step


class AdamW(Adam):
    """Adam, with weight decay taken from the parameter and not through the moments (Loshchilov & Hutter 2019)."""

    decays_gradient = False

    def _apply_moments(self, parameter: Array, moments: list[Array], learning_rate: float) -> None:
        if self.weight_decay:
            parameter *= 1 - learning_rate * self.weight_decay
        super()._apply_moments(parameter, moments, learning_rate)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}
# Register each as a choice of the setting `optimizer`.
for _name, _optimizer in OPTIMIZERS.items():
    choices.OPTIMIZERS.register(
        _name, Choice(_optimizer.__name__, defaults={"learning_rate": _optimizer.default_learning_rate})
    )


def make_optimizer(name: str, params: dict[str, Array], weight_decay: float = 0.0) -> Optimizer:
    """The optimizer called `name` (a key of OPTIMIZERS) with fresh state for these parameters. Raises SettingsError
    for a name that is not known.
    """
    if name not in OPTIMIZERS:
        raise SettingsError(f"optimizer {name!r} is not known; choose one of {', '.join(OPTIMIZERS)}.")
    return OPTIMIZERS[name](params, weight_decay)
