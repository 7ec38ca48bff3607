"""The tutorial's two-loop BPTT, the oracle: it too is checked against the loss it differentiates."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import LanguageModel, ModelConfig, gradient_flow
from rnn_core.reference.gradcheck import compare, numeric_gradients
from rnn_core.reference.mean_loss import mean_loss, states_before
from rnn_core.reference.tutorial import bptt, forward_propagation, total_loss


def network(words: int = 6, hidden: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return tuple(0.6 * rng.standard_normal(shape) for shape in ((hidden, words), (words, hidden), (hidden, hidden)))


def sentence(steps: int = 8, words: int = 6) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.random.default_rng(1).integers(0, words, (2, steps)))


def ours(U: np.ndarray, V: np.ndarray, W: np.ndarray) -> LanguageModel:
    config = ModelConfig(vocabulary_size=V.shape[0], hidden_size=W.shape[0], bias=False)
    return LanguageModel(config, params={"U": U.T.copy(), "W": W, "V": V})


def test_the_forward_pass_predicts_with_probabilities() -> None:
    x, _ = sentence()
    o, s = forward_propagation(x, *network())
    assert o.shape == (8, 6)
    assert s.shape == (9, 4)
    np.testing.assert_allclose(o.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_array_equal(s[-1], 0)
    log_p, _ = ours(*network()).log_probabilities(x[:, None])
    np.testing.assert_allclose(np.log(o), log_p[:, 0], rtol=1e-12)


@pytest.mark.parametrize("truncate", [7, 100])
def test_without_truncation_its_gradients_are_central_differences_of_its_loss(truncate: int) -> None:
    x, y = sentence()
    U, V, W = network()
    numeric = numeric_gradients(
        lambda moved: total_loss(x, y, moved["U"], moved["V"], moved["W"]), {"U": U, "V": V, "W": W}, method="central"
    )
    found = bptt(x, y, U, V, W, truncate)
    check = compare({"U": found.dU, "V": found.dV, "W": found.dW}, numeric, floor=1e-3)
    assert check.worst_relative_error < 1e-7, check


@pytest.mark.parametrize("truncate", [0, 1, 4])
def test_its_truncated_gradients_are_complex_steps_with_the_distant_past_frozen(truncate: int) -> None:
    x, y = sentence()
    model, batch = ours(*network()), (x[:, None], y[:, None])
    past = states_before(model, *batch)
    numeric = numeric_gradients(
        lambda moved: (
            mean_loss(LanguageModel(model.config, params=moved), *batch, truncate=truncate, past=past) * len(x)
        ),
        model.params,
    )
    found = bptt(x, y, *network(), truncate)
    check = compare({"U": found.dU.T, "W": found.dW, "V": found.dV}, numeric)
    assert check.worst_relative_error <= 1e-9, check


def test_bptt_truncate_4_is_five_terms() -> None:
    """One word's loss at the end of a text reaches j = 0 .. 4, and nothing beyond."""
    x, y = sentence()
    U, V, W = network()
    model = ours(U, V, W)
    lags = gradient_flow(model, x, y).lag_gradients["W"] * len(x)
    assert np.linalg.norm(lags[4]) > 1e-6
    np.testing.assert_allclose(bptt(x, y, U, V, W, 4).dW, lags[:5].sum(axis=0), rtol=1e-11, atol=1e-14)


def test_training_on_its_gradient_learns_a_sentence_by_heart() -> None:
    x, y = sentence(6)
    y = (x + 1) % 6
    params = list(network())
    start = total_loss(x, y, *params)
    for _ in range(200):
        for parameter, gradient in zip(params, bptt(x, y, *params, 4), strict=True):
            parameter -= 0.1 * gradient
    assert total_loss(x, y, *params) < 0.05 * start
