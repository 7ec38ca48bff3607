"""The lecture's numbers: every factor against finite differences, the products against the oracle and the network."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from rnn_core.reference import by_hand, tutorial
from rnn_core.reference.by_hand import ASKED, SENTENCE, TARGETS, WORDS, Chain, Weights
from rnn_core.reference.lecture import lecture

STEP = 1e-30
"""Of complex-step differentiation: no difference is taken, so it can be as small as one likes."""


def network(seed: int | None) -> Weights:
    if seed is None:
        return by_hand.example()
    rng = np.random.default_rng(seed)
    hidden, words = 2 + seed % 3, len(WORDS)
    return Weights(*(rng.normal(size=shape) for shape in ((hidden, words), (words, hidden), (hidden, hidden))))


def text(seed: int | None) -> tuple[np.ndarray, np.ndarray]:
    if seed is None:
        return SENTENCE, TARGETS
    x, y = np.random.default_rng(seed + 100).integers(0, len(WORDS), (2, 5))
    return x, y


@pytest.fixture(params=[None, 0, 1, 2])
def case(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray, Weights]:
    return *text(request.param), network(request.param)


def softmax(o: np.ndarray) -> np.ndarray:
    return np.exp(o) / np.exp(o).sum()


def jacobian(function, at: np.ndarray) -> np.ndarray:
    """Rows: the numbers of function(at); columns: the numbers of `at`. By complex steps."""
    columns = []
    for index in np.ndindex(at.shape):
        moved = at.astype(complex)
        moved[index] += STEP * 1j
        columns.append(np.imag(function(moved)).ravel() / STEP)
    return np.array(columns).T


def chain_of(case: tuple[np.ndarray, np.ndarray, Weights], t: int) -> tuple[Chain, by_hand.Unrolled]:
    x, y, weights = case
    unrolled = by_hand.unroll(x, y, weights)
    return by_hand.chain(unrolled, y, weights, t), unrolled


def test_the_forward_numbers_are_the_oracles(case):
    x, y, weights = case
    unrolled = by_hand.unroll(x, y, weights)
    p, s = tutorial.forward_propagation(x, *weights)
    np.testing.assert_array_equal(unrolled.p, p)
    np.testing.assert_array_equal(unrolled.s, s)
    np.testing.assert_allclose(np.tanh(unrolled.a), s[:-1], rtol=1e-14)
    np.testing.assert_allclose([softmax(o) for o in unrolled.o], p, rtol=1e-14)
    assert unrolled.losses.sum() == pytest.approx(tutorial.total_loss(x, y, *weights), rel=1e-14)


@pytest.mark.parametrize("t", range(5))
def test_every_factor_is_the_derivative_it_is_said_to_be(case, t):
    x, y, weights = case
    U, V, W = weights
    found, unrolled = chain_of(case, t)
    s, p = unrolled.s, unrolled.p
    close = {"rtol": 1e-12, "atol": 1e-15}
    np.testing.assert_allclose(found.loss_prediction, jacobian(lambda q: -np.log(q[y[t]]), p[t])[0], **close)
    np.testing.assert_allclose(
        found.loss_scores, jacobian(lambda o: -np.log(softmax(o)[y[t]]), unrolled.o[t])[0], rtol=1e-12, atol=1e-15
    )
    np.testing.assert_allclose(found.prediction_state, jacobian(lambda state: softmax(V @ state), s[t]), **close)
    for k in range(t + 1):
        before = s[k - 1]
        np.testing.assert_allclose(
            found.steps[k], jacobian(lambda state, k=k: np.tanh(U[:, x[k]] + W @ state), before), **close
        )
        immediate = jacobian(lambda moved, k=k, before=before: np.tanh(U[:, x[k]] + moved @ before), W)
        immediate = immediate.reshape(len(W), *W.shape)  # [i, row, column]: of s_k[i] by W[row, column]
        for i in range(len(W)):
            np.testing.assert_allclose(found.state_weights[k, i], immediate[i, i], **close)
            assert not np.delete(immediate[i], i, axis=0).any()

        def onwards(state: np.ndarray, k: int = k) -> np.ndarray:
            for step in range(k + 1, t + 1):
                state = np.tanh(U[:, x[step]] + W @ state)
            return state

        np.testing.assert_allclose(found.state_state[k], jacobian(onwards, s[k]), **close)
        loss = jacobian(lambda state: -np.log(softmax(V @ onwards(state))[y[t]]), s[k])[0]  # noqa: B023
        np.testing.assert_allclose(found.loss_state[k], loss, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("t", range(5))
def test_the_finished_sum_is_the_derivative_of_that_one_loss(case, t):
    x, y, weights = case
    U, V, W = weights

    def loss(moved: np.ndarray) -> np.ndarray:
        state = np.zeros(len(W), dtype=complex)
        for step in range(t + 1):
            state = np.tanh(U[:, x[step]] + moved @ state)
        return -np.log(softmax(V @ state)[y[t]])

    found, _ = chain_of(case, t)
    np.testing.assert_allclose(found.gradient, jacobian(loss, W).reshape(W.shape), rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("t", range(5))
def test_a_term_is_the_delta_that_the_oracle_carries_times_the_state_before(case, t):
    found, unrolled = chain_of(case, t)
    for k in range(t + 1):
        np.testing.assert_allclose(found.terms[k], np.outer(found.deltas[k], unrolled.s[k - 1]), rtol=1e-13, atol=0)
        if k:
            W, before = case[2].W, unrolled.s[k - 1]
            np.testing.assert_allclose(
                found.deltas[k - 1], W.T @ found.deltas[k] * (1 - before**2), rtol=1e-12, atol=1e-16
            )
    np.testing.assert_allclose(found.sums[0], found.terms.sum(axis=0), rtol=1e-13, atol=1e-16)
    np.testing.assert_array_equal(found.sums[t], found.terms[t])
    assert not found.terms[0].any()  # before the first word there is nothing that W could have been multiplied with


@pytest.mark.parametrize("t", range(5))
def test_by_hand_the_oracle_and_the_network_that_trains_agree(case, t):
    x, y, weights = case
    one, everything = by_hand.check_one(x, y, weights, t), by_hand.check_all(x, y, weights)
    assert one.difference < 1e-14
    assert everything.difference < 1e-14
    assert t == 0 or np.abs(one.by_hand).max() > 1e-4


def test_a_wrong_sum_is_seen_in_the_check():
    check = by_hand.check_one(SENTENCE, TARGETS, by_hand.example(), ASKED)
    assert check._replace(by_hand=check.by_hand + 1e-9).difference >= 0.9e-9
    assert check._replace(trained=check.trained.T).difference > 0.01


def test_every_line_that_the_lecture_points_at_is_in_the_oracle_once():
    for step in lecture(len(SENTENCE), ASKED):
        source = [line.strip() for line in inspect.getsource(getattr(tutorial, step.function)).split("\n")]
        for line in step.lines:
            assert source.count(line) == 1, line


def test_the_lecture_visits_every_word_and_every_term_in_the_order_of_the_code():
    told = lecture(5, 3)
    assert [step.t for step in told if step.kind == "forward"] == [0, 1, 2, 3, 4]
    assert [step.k for step in told if step.kind == "term"] == [3, 2, 1, 0]
    assert [step.kind for step in told[5:8]] == ["loss", "error", "delta"]
    assert [step.kind for step in told[8:]] == ["term", "back"] * 3 + ["term", "done"]
