"""The tutorial's back-propagation through time, line by line: two nested loops, one sentence at a time.

Slow and plain on purpose. It is the oracle of the tests (nothing here is shared with the fast code) and what the
dashboard shows beside the equations. Matrices are the tutorial's: U (H, N), V (N, H), W (H, H); no biases; the loss is
summed over the words.

Source: D. Britz, "Recurrent Neural Networks Tutorial, Part 3 - Backpropagation Through Time and Vanishing Gradients"
(2015).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnn_core.arrays import Array


class TutorialGradients(NamedTuple):
    """dE/dU (H, N), dE/dV (N, H), dE/dW (H, H) of E = sum_t E_t."""

    dU: Array
    dV: Array
    dW: Array


def forward_propagation(x: Array, U: Array, V: Array, W: Array) -> tuple[Array, Array]:
    """x (T,) word ids -> softmax outputs o (T, N), hidden states s (T + 1, H); s[-1] is the zero state before the first
    word.
    """
    T = len(x)
    s = np.zeros((T + 1, W.shape[0]))
    o = np.zeros((T, V.shape[0]))
    for t in range(T):
        # Indexing U by x[t] is the same as multiplying U with a one-hot vector.
        s[t] = np.tanh(U[:, x[t]] + W.dot(s[t - 1]))
        scores = V.dot(s[t])
        scores = np.exp(scores - scores.max())
        o[t] = scores / scores.sum()
    return o, s


def total_loss(x: Array, y: Array, U: Array, V: Array, W: Array) -> float:
    """x, y (T,) ids -> E = -sum_t log o_t[y_t] in nats; U (H, N), V (N, H), W (H, H)."""
    o, _ = forward_propagation(x, U, V, W)
    return float(-np.sum(np.log(o[np.arange(len(y)), y])))


def bptt(x: Array, y: Array, U: Array, V: Array, W: Array, bptt_truncate: int) -> TutorialGradients:
    """x, y (T,) ids -> gradients of the summed loss, in the shapes of U (H, N), V (N, H), W (H, H). Each E_t reaches
    back at most `bptt_truncate` steps, which is bptt_truncate + 1 terms.
    """
    T = len(y)
    o, s = forward_propagation(x, U, V, W)
    dLdU = np.zeros(U.shape)
    dLdV = np.zeros(V.shape)
    dLdW = np.zeros(W.shape)
    delta_o = o
    delta_o[np.arange(len(y)), y] -= 1.0
    # For each output backwards...
    for t in np.arange(T)[::-1]:
        dLdV += np.outer(delta_o[t], s[t])
        # Initial delta calculation: dL/dz
        delta_t = V.T.dot(delta_o[t]) * (1 - (s[t] ** 2))
        # Backpropagation through time (for at most bptt_truncate steps)
        for bptt_step in np.arange(max(0, t - bptt_truncate), t + 1)[::-1]:
            # Add to gradients at each previous step
            dLdW += np.outer(delta_t, s[bptt_step - 1])
            dLdU[:, x[bptt_step]] += delta_t
            # Update delta for next step dL/dz at t-1
            delta_t = W.T.dot(delta_t) * (1 - s[bptt_step - 1] ** 2)
    return TutorialGradients(dLdU, dLdV, dLdW)
