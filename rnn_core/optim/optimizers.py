"""Optimizers, in order of growing complexity. All follow PyTorch's update rules and defaults to the last bit of the
formula.

Each takes gradients of any form (dense, rows) and updates the parameters in place. `scale` is clipping's
factor. Weight decay is added to the gradient after clipping, lambda * theta (an L2 penalty lambda/2 ||theta||^2), as
PyTorch does; AdamW instead shrinks the parameter itself (Loshchilov & Hutter 2019).
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import Choice, choices
from rnn_core.errors import SettingsError
from rnn_core.nn.gradients import Gradient, Gradients, RowGradient, subtract, to_dense
from rnn_core.parallel.threads import for_row_blocks

# So many updates apart, moments that have faded to next to nothing are set to zero. A word that is not seen for long
# would otherwise leave numbers just above 0, below the smallest that has all its digits (and 0.9 of the very smallest
# is rounded to itself): a processor takes thirty times as long for each of those, and they move no parameter.
UPDATES_BETWEEN_CLEANINGS = 64
NEXT_TO_NOTHING = 1e4  # times the smallest number that has all its digits: 0.9^64 of it still has them


class Optimizer:
    """`state` holds every number that the next update depends on, by flat names: a checkpoint stores it as it is.

    An update has three parts: every moment, by its name in `moments`, fades by this factor; the gradient acts on the
    rows that have one (`_learn`); the moments act on all rows (`_drift`).
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
        """One step: params change in place. The gradients are multiplied by `scale` before anything else."""
        self.state["updates"] += 1
        for name, parameter in params.items():
            self._update_one(name, parameter, gradients[name], learning_rate, scale)

    def _update_one(self, name: str, parameter: Array, gradient: Gradient, learning_rate: float, scale: float) -> None:
        moments = [self.state[f"{moment}/{name}"] for moment in self.moments]
        decayed = bool(self.weight_decay) and self.decays_gradient
        if decayed:
            gradient = to_dense(gradient)
        factor = parameter.dtype.type(scale)
        cleaning = self.state["updates"] % UPDATES_BETWEEN_CLEANINGS == 0

        def update_block(block: slice) -> None:
            here, moments_here = parameter[block], [moment[block] for moment in moments]
            for moment, fade in zip(moments_here, self.moments.values(), strict=True):
                moment *= fade
                if cleaning:
                    moment[np.abs(moment) < NEXT_TO_NOTHING * np.finfo(moment.dtype).tiny] = 0
            if isinstance(gradient, RowGradient):
                first, last = np.searchsorted(gradient.rows, (block.start, block.stop))
                rows = gradient.rows[first:last] - block.start
                learning, moments_learning = here[rows], [moment[rows] for moment in moments_here]
                self._learn(learning, gradient.values[first:last] * factor, moments_learning, learning_rate)
                here[rows] = learning
                for moment, learnt in zip(moments_here, moments_learning, strict=True):
                    moment[rows] = learnt
            else:
                part = gradient[block] * factor
                if decayed:
                    part += self.weight_decay * here
                self._learn(here, part, moments_here, learning_rate)
            self._drift(here, moments_here, learning_rate)

        for_row_blocks(parameter, update_block, passes=2 ** len(moments))

    def _learn(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        """What the gradient does to the rows that have one, in place; `gradient` may be overwritten."""
        raise NotImplementedError

    def _drift(self, parameter: Array, moments: list[Array], learning_rate: float) -> None:
        """What the moments do to every row, in place."""


class SGD(Optimizer):
    """theta -= eta g (Robbins & Monro 1951). Without weight decay only what has a gradient is touched."""

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

    def _learn(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        (velocity,) = moments
        velocity += gradient

    def _drift(self, parameter: Array, moments: list[Array], learning_rate: float) -> None:
        (velocity,) = moments
        parameter -= learning_rate * velocity


class Nesterov(Momentum):
    """v = mu v + g; theta -= eta (g + mu v) (Nesterov 1983; Sutskever et al. 2013)."""

    def _learn(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        super()._learn(parameter, gradient, moments, learning_rate)
        parameter -= learning_rate * gradient

    def _drift(self, parameter: Array, moments: list[Array], learning_rate: float) -> None:
        super()._drift(parameter, moments, self.mu * learning_rate)


class RMSprop(Optimizer):
    """v = alpha v + (1 - alpha) g^2; theta -= eta g / (sqrt(v) + eps), alpha = 0.99 (Tieleman & Hinton 2012, lecture
    6.5).
    """

    alpha = 0.99
    epsilon = 1e-8
    moments: ClassVar[dict[str, float]] = {"square": alpha}
    default_learning_rate = 0.002

    def _learn(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
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

    def _learn(self, parameter: Array, gradient: Array, moments: list[Array], learning_rate: float) -> None:
        mean, square = moments
        mean += (1 - self.beta_mean) * gradient
        gradient *= gradient
        gradient *= 1 - self.beta_square
        square += gradient

    def _drift(self, parameter: Array, moments: list[Array], learning_rate: float) -> None:
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

    def _drift(self, parameter: Array, moments: list[Array], learning_rate: float) -> None:
        if self.weight_decay:
            parameter *= 1 - learning_rate * self.weight_decay
        super()._drift(parameter, moments, learning_rate)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}
for _name, _optimizer in OPTIMIZERS.items():
    choices.OPTIMIZERS.offer(
        _name, Choice(_optimizer.__name__, defaults={"learning_rate": _optimizer.default_learning_rate})
    )


def make_optimizer(name: str, params: dict[str, Array], weight_decay: float = 0.0) -> Optimizer:
    """The optimizer called `name` (a key of OPTIMIZERS) with fresh state for these parameters."""
    if name not in OPTIMIZERS:
        raise SettingsError(f"optimizer {name!r} is not known; choose one of {', '.join(OPTIMIZERS)}.")
    return OPTIMIZERS[name](params, weight_decay)
