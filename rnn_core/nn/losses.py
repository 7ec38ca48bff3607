"""What a network is trained on: a loss E_t of the outputs o_t = V s_t + c at each position that counts.

Each class checks its targets and computes losses and gradients; how many outputs there are, words of a vocabulary or
classes, follows from the network's settings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig, NetworkConfig
from rnn_core.nn import softmax
from rnn_core.nn.checks import check_ids, check_numbers
from rnn_core.nn.softmax import OutputGradients, logits


class Loss(ABC):
    """outputs: O, the rows of V. target_shape: of one target, () for an id. in_nats: whether exp(E) is a perplexity."""

    target_shape: tuple[int, ...] = ()
    in_nats = True

    def __init__(self, outputs: int) -> None:
        self.outputs = outputs

    @abstractmethod
    def check(self, targets: Array) -> None:
        """Raises ValueError unless these, (R, *target_shape), are targets that the loss can have."""

    @abstractmethod
    def losses(self, hidden: Array, targets: Array, V: Array, c: Array | None) -> Array:
        """hidden (R, H), targets (R, *target_shape) -> E (R,). Analytic: also takes complex arrays."""

    @abstractmethod
    def losses_and_gradients(
        self, hidden: Array, targets: Array, weights: Array, V: Array, c: Array | None
    ) -> OutputGradients:
        """The same with weights (R,) -> losses, and the gradients of sum_r weights_r E_r."""


class SoftmaxCrossEntropy(Loss):
    """E_t = -log softmax(o_t)[y_t] in nats; y_t the id of a word or class."""

    def check(self, targets: Array) -> None:
        check_ids(targets, self.outputs, "targets")

    def losses(self, hidden: Array, targets: Array, V: Array, c: Array | None) -> Array:
        return softmax.losses(hidden, targets, V, c)

    def losses_and_gradients(
        self, hidden: Array, targets: Array, weights: Array, V: Array, c: Array | None
    ) -> OutputGradients:
        return softmax.losses_and_gradients(hidden, targets, weights, V, c)


class SquaredError(Loss):
    """E_t = ||o_t - y_t||^2, summed over the O outputs; y_t (O,) real numbers. (PyTorch's MSELoss, where O is 1.)"""

    in_nats = False

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.target_shape = (outputs,)

    def check(self, targets: Array) -> None:
        check_numbers(targets, "targets")

    def losses(self, hidden: Array, targets: Array, V: Array, c: Array | None) -> Array:
        error = logits(hidden, V, c) - targets
        # No absolute value: the loss stays analytic in V, as the complex-step check needs.
        return np.asarray((error * error).sum(axis=1))

    def losses_and_gradients(
        self, hidden: Array, targets: Array, weights: Array, V: Array, c: Array | None
    ) -> OutputGradients:
        error = logits(hidden, V, c) - targets.astype(hidden.dtype)
        d_error = 2 * weights[:, None] * error
        d_c = None if c is None else d_error.sum(axis=0)
        return OutputGradients((error * error).sum(axis=1), d_error @ V, d_error.T @ hidden, d_c)


def loss_of(config: ModelConfig) -> Loss:
    """The loss that a config asks for; a language model's is over its vocabulary."""
    if not isinstance(config, NetworkConfig):
        return SoftmaxCrossEntropy(config.vocabulary_size)
    outputs = config.vocabulary_size if config.outputs is None else config.outputs
    return SquaredError(outputs) if config.loss == "squared_error" else SoftmaxCrossEntropy(outputs)
