"""One loss's gradient, factor by factor: the numbers of a lecture on back-propagation through time.

    dE_t/dW = sum_{k=0}^{t}  dE_t/dp_t  dp_t/ds_t  ds_t/ds_k  d+s_k/dW          (Britz 2015, Part 3; Werbos 1990)

where d+s_k/dW is the immediate derivative: s_{k-1} is held fixed. The network is the tutorial's: tanh, no biases,
U (H, N), V (N, H), W (H, H), steps counted from 0, zero state before the first. Every factor is written out as the
matrix that it is, and multiplied as on a blackboard. `chain` shares nothing with the code that trains, with which
`check_one` and `check_all` compare it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig
from rnn_core.nn.language_model import LanguageModel
from rnn_core.reference.tutorial import bptt, forward_propagation


class Weights(NamedTuple):
    """U (H, N), V (N, H), W (H, H)."""

    U: Array
    V: Array
    W: Array


WORDS = ("<s>", "the", "queen", "lost", "her", "crown")
SENTENCE = np.arange(5)
"""Ids of the five words that are read; the target of each is the word after it."""

TARGETS = SENTENCE + 1
ASKED = 3
"""The step whose loss the lecture follows: how surprising is "her" after "lost"?"""


def example() -> Weights:
    """Two units, six words. Chosen by hand, with one digit, so that the numbers can be followed with a pencil."""
    U = np.array([[0.3, -0.2, 1.1, -0.4, 0.2, 0.1], [-0.1, 0.5, -0.6, 0.4, -0.3, 0.2]])
    V = np.array([[-0.5, 0.1], [0.2, 0.7], [-0.3, 0.4], [0.4, -0.8], [0.9, -0.2], [-0.6, -0.4]])
    W = np.array([[0.7, -0.4], [0.3, 0.6]])
    return Weights(U, V, W)


class Unrolled(NamedTuple):
    """The forward pass, step by step. `s` has the zero state before the first word as its last row: s[-1].

    a (T, H) = U[:, x_t] + W s_{t-1};  s (T + 1, H) = tanh(a);  o (T, N) = V s;  p (T, N) = softmax(o);
    losses (T,) = -ln p_t[y_t], in nats.
    """

    a: Array
    s: Array
    o: Array
    p: Array
    losses: Array


def unroll(x: Array, y: Array, weights: Weights) -> Unrolled:
    """x, y (T,) ids of the words read and of the words to be predicted -> Unrolled."""
    U, V, W = weights
    p, s = forward_propagation(x, U, V, W)
    steps = np.arange(len(x))
    a = U[:, x].T + s[steps - 1] @ W.T
    return Unrolled(a, s, s[:-1] @ V.T, p, -np.log(p[steps, y]))


class Chain(NamedTuple):
    """dE_t/dW, factor by factor. Rows k = 0 .. t; a derivative of one vector by another has a row for each number of
    the upper one.

    loss_prediction   (N,)          dE_t/dp_t: -1/p_t[y_t] at the right word, else 0
    loss_scores       (N,)          dE_t/do_t = p_t - (1 at the right word): the part of the chain up to V
    prediction_state  (N, H)        dp_t/ds_t = (diag(p_t) - p_t p_t^T) V
    loss_state        (t+1, H)      dE_t/ds_k; row t is the product of the two above
    steps             (t+1, H, H)   ds_k/ds_{k-1} = diag(1 - s_k^2) W
    state_state       (t+1, H, H)   ds_t/ds_k, the product of the steps between them; the identity for k = t
    state_weights     (t+1, H, H)   [k, i, j] = d+s_k[i]/dW[i, j] = (1 - s_k[i]^2) s_{k-1}[j]; s_k[i] depends on no
                                    other row of W
    deltas            (t+1, H)      dE_t/da_k = dE_t/ds_k (1 - s_k^2): what `tutorial.bptt` carries along as `delta_t`
    terms             (t+1, H, H)   the product of all factors, for each k
    sums              (t+1, H, H)   terms t, t - 1, .. k added up, in the order in which `tutorial.bptt` meets them
    """

    loss_prediction: Array
    loss_scores: Array
    prediction_state: Array
    loss_state: Array
    steps: Array
    state_state: Array
    state_weights: Array
    deltas: Array
    terms: Array
    sums: Array

    @property
    def gradient(self) -> Array:
        """dE_t/dW (H, H): the finished sum."""
        return self.sums[0]


def chain(unrolled: Unrolled, y: Array, weights: Weights, t: int) -> Chain:
    """The gradient of the loss of step t (from 0) with respect to W."""
    _, V, W = weights
    p, s = unrolled.p[t], unrolled.s
    hidden, count = len(W), t + 1
    loss_prediction = np.zeros(len(p))
    loss_prediction[y[t]] = -1 / p[y[t]]
    prediction_scores = np.diag(p) - np.outer(p, p)
    loss_scores = loss_prediction @ prediction_scores
    prediction_state = prediction_scores @ V
    slopes = 1 - s[:count] ** 2
    steps = slopes[:, :, None] * W
    state_state = np.empty((count, hidden, hidden))
    state_state[t] = np.eye(hidden)
    for k in range(t, 0, -1):
        state_state[k - 1] = state_state[k] @ steps[k]
    before = s[np.arange(count) - 1]  # s[-1] is the zero state
    state_weights = slopes[:, :, None] * before[:, None, :]
    loss_state = (loss_prediction @ prediction_state) @ state_state
    terms = loss_state[:, :, None] * state_weights
    sums = np.cumsum(terms[::-1], axis=0)[::-1]
    deltas = loss_state * slopes
    return Chain(
        loss_prediction,
        loss_scores,
        prediction_state,
        loss_state,
        steps,
        state_state,
        state_weights,
        deltas,
        terms,
        sums,
    )


class Check(NamedTuple):
    """dE/dW (H, H) three times, by three ways back that share no code.

    The first two share the forward pass of the tutorial; the third has its own.
    """

    by_hand: Array
    oracle: Array  # tutorial.bptt
    trained: Array  # LanguageModel, the code that trains

    @property
    def difference(self) -> float:
        """The largest difference between any two numbers that should be equal."""
        return float(max(np.abs(self.by_hand - self.oracle).max(), np.abs(self.by_hand - self.trained).max()))


def check_one(x: Array, y: Array, weights: Weights, t: int) -> Check:
    """dE_t/dW of the loss of step t alone; x, y (T,) ids.

    The oracle and the code that trains give only gradients of sums of losses. So the gradient of E_t is theirs of the
    first t + 1 losses less theirs of the first t: a later word changes no earlier loss.
    """
    by_hand = chain(unroll(x, y, weights), y, weights, t).gradient
    oracle, trained = (gradient(x, y, weights, t + 1) - gradient(x, y, weights, t) for gradient in (_oracle, _trained))
    return Check(by_hand, oracle, trained)


def check_all(x: Array, y: Array, weights: Weights) -> Check:
    """dE/dW of the sum of all losses; x, y (T,) ids."""
    unrolled = unroll(x, y, weights)
    by_hand = np.sum([chain(unrolled, y, weights, t).gradient for t in range(len(x))], axis=0)
    return Check(by_hand, _oracle(x, y, weights, len(x)), _trained(x, y, weights, len(x)))


def _oracle(x: Array, y: Array, weights: Weights, count: int) -> Array:
    """dE/dW of the sum of the first `count` losses, by the two nested loops."""
    U, V, W = weights
    return bptt(x[:count], y[:count], U, V, W, count).dW


def _trained(x: Array, y: Array, weights: Weights, count: int) -> Array:
    """The same by the code that trains, whose loss is a mean."""
    if not count:
        return np.zeros_like(weights.W)
    U, V, W = weights
    config = ModelConfig(vocabulary_size=len(V), hidden_size=len(W), bias=False)
    model = LanguageModel(config, params={"U": U.T.copy(), "W": W.copy(), "V": V.copy()})
    _, gradients = model.loss_and_gradients(x[:count, None], y[:count, None])
    return np.asarray(gradients["W"]) * count
