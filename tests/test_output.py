"""Softmax cross-entropy in blocks: the same numbers as the formula, whatever the size of the blocks."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import LanguageModel, ModelConfig
from rnn_core.nn import softmax as output
from rnn_core.nn.activations import log_softmax
from rnn_core.nn.gradients import to_dense
from rnn_core.reference.gradcheck import compare, numeric_gradients
from rnn_core.reference.small_networks import small_batch


def problem(rows: int = 7, words: int = 11, hidden: int = 3, dtype: type = np.float64, bias: bool = True):
    rng = np.random.default_rng(0)
    return (
        rng.standard_normal((rows, hidden)).astype(dtype),
        rng.integers(0, words, rows),
        rng.random(rows).astype(dtype),
        rng.standard_normal((words, hidden)).astype(dtype),
        rng.standard_normal(words).astype(dtype) if bias else None,
    )


def formula(hidden, targets, weights, V, c):
    """E, and dE/dh, dE/dV, dE/dc of sum_r w_r E_r, with every matrix in full."""
    o = hidden @ V.T + (0 if c is None else c)
    p = np.exp(o) / np.exp(o).sum(axis=1, keepdims=True)
    d_o = p.copy()
    d_o[np.arange(len(targets)), targets] -= 1
    d_o *= weights[:, None]
    return -np.log(p[np.arange(len(targets)), targets]), d_o @ V, d_o.T @ hidden, d_o.sum(axis=0)


# One row a block, a few, all at once.
every_block = pytest.mark.parametrize("block_bytes", [1, 3 * 11 * 8, 1 << 22])


@every_block
@pytest.mark.parametrize("bias", [True, False])
def test_losses_and_gradients_are_the_formulas(monkeypatch: pytest.MonkeyPatch, block_bytes: int, bias: bool) -> None:
    monkeypatch.setattr(output, "BLOCK_BYTES", block_bytes)
    given = problem(bias=bias)
    loss, d_hidden, d_V, d_c = formula(*given)
    found = output.losses_and_gradients(*given)
    np.testing.assert_allclose(found.losses, loss, rtol=1e-13)
    np.testing.assert_allclose(found.d_hidden, d_hidden, rtol=1e-11)
    np.testing.assert_allclose(to_dense(found.V), d_V, rtol=1e-11, atol=1e-14)
    if bias:
        np.testing.assert_allclose(found.c, d_c, rtol=1e-11, atol=1e-14)
    hidden, targets, _, V, c = given
    np.testing.assert_allclose(output.losses(hidden, targets, V, c), loss, rtol=1e-13)


@pytest.mark.parametrize("words", [1000, 2000, 2500])
def test_one_sentence_over_many_words_is_the_formula_too(words: int) -> None:
    """Its products are cut into pieces of so many words: one piece, two, two and what is left."""
    given = problem(rows=5, words=words, hidden=100)
    assert output.SMALL_PRODUCT == 1000 * 5 * 100
    for ours, theirs in zip(output.losses_and_gradients(*given), formula(*given), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@every_block
def test_the_losses_stay_analytic_for_the_complex_step(monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    monkeypatch.setattr(output, "BLOCK_BYTES", block_bytes)
    hidden, targets, weights, V, c = problem()
    found = output.losses_and_gradients(hidden, targets, weights, V, c)
    numeric = numeric_gradients(
        lambda moved: (weights * output.losses(moved["hidden"], targets, moved["V"], moved["c"])).sum(),
        {"hidden": hidden, "V": V, "c": c},
    )
    check = compare({"hidden": found.d_hidden, "V": to_dense(found.V), "c": found.c}, numeric)
    assert check.worst_relative_error <= 1e-9, check


@every_block
@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [-90.0, -30.0, 30.0, 90.0, 800.0])
def test_what_is_added_to_all_logits_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, block_bytes: int, threads: str, dtype: type, offset: float
) -> None:
    monkeypatch.setattr(output, "BLOCK_BYTES", block_bytes)
    monkeypatch.setenv("RNN_CORE_THREADS", threads)
    monkeypatch.setattr("rnn_core.threads.WORTH_A_THREAD", 0)
    hidden, targets, weights, V, c = problem(dtype=dtype)
    expected = output.losses_and_gradients(hidden, targets, weights, V, c)
    found = output.losses_and_gradients(hidden, targets, weights, V, c + dtype(offset))
    # The offset itself is rounded to one part in 2^24 (2^53), and with it every logit.
    tolerance = abs(offset) * 4 * np.finfo(dtype).eps
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=4 * tolerance)


@pytest.mark.parametrize("largest", [19.0, 21.0])
def test_a_bias_that_is_a_factor_and_one_that_is_added_do_the_same(largest: float) -> None:
    """In float32, with logits that differ by 20 and biases that make up for it or add to it."""
    hidden, targets, weights, V, _ = problem(rows=40, words=60)
    bias = np.linspace(-largest, largest, 60)
    assert output._bias_as_factor(bias, hidden) == (largest < 20)
    assert not output._bias_as_factor(bias, hidden[:6])
    for sign in (1, -1):
        V[:, 0], hidden[:, 0] = sign * np.linspace(-10, 10, 60), np.linspace(-1, 1, 40)
        given = hidden, targets, weights, V, bias
        single = [array if array is targets else array.astype(np.float32) for array in given]
        for ours, theirs in zip(output.losses_and_gradients(*single), formula(*given), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=3e-5, atol=3e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 2, 40])
def test_logits_of_any_size_overflow_nowhere(dtype: type, rows: int) -> None:
    hidden, targets, weights, V, c = problem(rows, dtype=dtype)
    V *= dtype(1e4)
    found = output.losses_and_gradients(hidden, targets, weights, V, c)
    o = hidden.astype(np.float64) @ V.T.astype(np.float64) + c
    expected = -log_softmax(o)[np.arange(rows), targets]
    np.testing.assert_allclose(found.losses, expected, rtol=1e-3 if dtype == np.float32 else 1e-9, atol=1e-3)
    for part in (found.d_hidden, to_dense(found.V), found.c):
        assert np.isfinite(part).all()
        assert part.dtype == dtype


def test_the_gradient_of_the_logits_sums_to_zero() -> None:
    """Probabilities add up to 1 whatever the logits: so does what moves them."""
    found = output.losses_and_gradients(*problem())
    assert found.c.sum() == pytest.approx(0, abs=1e-14)


def test_a_certain_and_right_prediction_has_no_loss_and_no_gradient() -> None:
    hidden, targets = np.array([[1.0], [1.0]]), np.array([2, 2])
    V = np.array([[-500.0], [-500.0], [500.0]])
    found = output.losses_and_gradients(hidden, targets, np.ones(2), V, None)
    np.testing.assert_array_equal(found.losses, 0)
    np.testing.assert_array_equal(to_dense(found.V), 0)


@pytest.mark.parametrize("words", [50, 1000])
@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_an_untrained_network_knows_nothing(cell: str, words: int) -> None:
    """Its loss is ln(vocabulary), to within 2 %."""
    model = LanguageModel(ModelConfig(cell=cell, vocabulary_size=words, hidden_size=50))
    inputs, targets = np.random.default_rng(0).integers(0, words, (2, 20, 16))
    assert model.loss(inputs, targets) == pytest.approx(np.log(words), rel=0.02)


def test_a_batch_of_nothing_but_padding_has_no_loss_and_no_gradient() -> None:
    model = LanguageModel(ModelConfig(cell="gru", vocabulary_size=5, hidden_size=3, layers=2), dtype=np.float64)
    ids = np.ones((3, 2), int)
    loss, gradients = model.loss_and_gradients(ids, ids, np.zeros((3, 2), bool))
    assert loss == 0
    assert not any(gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize("kind", [int, np.float32, np.uint8])
def test_a_mask_of_zeros_and_ones_is_a_mask(kind: type) -> None:
    model = LanguageModel(ModelConfig(cell="lstm", vocabulary_size=5, hidden_size=3), dtype=np.float64)
    inputs, targets, live = small_batch(mask="anywhere")
    loss, gradients = model.loss_and_gradients(inputs, targets, live)
    other_loss, other = model.loss_and_gradients(inputs, targets, live.astype(kind))
    assert model.loss(inputs, targets, live.astype(kind)) == pytest.approx(loss, rel=1e-14)
    assert other_loss == loss
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(other[name], gradient)


def test_ids_and_masks_that_do_not_fit_are_refused() -> None:
    model = LanguageModel(ModelConfig(vocabulary_size=5, hidden_size=3))
    with pytest.raises(ValueError, match="one shape"):
        model.loss_and_gradients(np.zeros((3, 2), int), np.zeros((2, 3), int))
    with pytest.raises(ValueError, match="ids of shape"):
        model.loss_and_gradients(np.zeros(3, int), np.zeros(3, int))
    with pytest.raises(ValueError, match="mask"):
        model.loss_and_gradients(np.zeros((3, 2), int), np.zeros((3, 2), int), np.ones((2, 2), bool))
