"""The language model: word -> (embedding ->) recurrent layers -> softmax over the words that may come next.

    a_t = U[w_t] + W s_{t-1} + b  (one-hot input)   or   a_t = E[w_t] U + W s_{t-1} + b  (embedding)
    s_t = phi(a_t)
    o_t = V s_t + c,  p_t = softmax(o_t),  E_t = -log p_t[y_t]

Ids are (T, B), time-major. The loss is the mean over the tokens that the mask leaves, in nats.
"""

from __future__ import annotations

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.nn.activations import log_softmax
from rnn_core.nn.network import Network, State


class LanguageModel(Network):
    """The `Network` whose inputs and outputs are words of one vocabulary."""

    def log_probabilities(self, inputs: Array, state: State | None = None) -> tuple[Array, State]:
        """inputs (T, B) ids -> log p (T, B, N) in nats, and the state after the last step."""
        outputs, state = self.outputs(inputs, state)
        with arithmetic():
            return log_softmax(outputs), state

    def advance(self, ids: Array, state: State) -> tuple[Array, State]:
        """One word for each of B sequences: ids (B,) -> log p (B, N) of the next word, and the new state."""
        log_p, state = self.log_probabilities(np.asarray(ids)[None], state)
        return log_p[0], state
