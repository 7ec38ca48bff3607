"""The pictures' numbers against closed forms: networks of which one knows beforehand what their gradients do."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import LanguageModel, ModelConfig, gradient_flow
from rnn_core.arrays import Array
from rnn_core.diagnostics import (
    WhichWordsMattered,
    autonomous_trace,
    gradient_by_lag,
    horizon,
    lyapunov_exponents,
    product_singular_values,
    recurrent_spectrum,
    row_decay,
    saturation,
    spectral_radius,
    state_jacobian,
    step_factors,
    step_norms,
    text_trace,
    two_paths,
    verdict,
    where_lost,
)
from rnn_core.diagnostics.horizon import data_bounds
from rnn_core.diagnostics.norms import vector_norm
from rnn_core.nn.initialisation import orthogonal
from rnn_core.nn.network import Trace

RNG = np.random.default_rng(20)


def network(W: Array, cell: str = "tanh", inputs_scale: float = 1e-12) -> LanguageModel:
    """A network with this W, no biases at work, and inputs so small that tanh is linear to the last digit."""
    config = ModelConfig(cell=cell, vocabulary_size=7, hidden_size=W.shape[1])
    model = LanguageModel(config, rng=np.random.default_rng(3), dtype=np.float64)
    model.params["W"][:] = W
    model.params["U"] *= inputs_scale
    return model


def text(steps: int, batch: int = 1) -> Array:
    return np.random.default_rng(4).integers(0, 7, (steps, batch))


# -- W = rho Q --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0.5, 1.0, 1.3])
def test_a_linear_network_with_rho_times_orthogonal_changes_every_length_by_rho_per_step(rho: float) -> None:
    model, x = network(orthogonal(24, rho, RNG)), text(25, 3)
    trace = model.forward(x)
    products = product_singular_values(trace)
    np.testing.assert_allclose(products.log_values, np.outer(products.lags, np.full(24, np.log(rho))), atol=1e-9)
    np.testing.assert_allclose(lyapunov_exponents(trace).exponents, np.log(rho), atol=1e-9)
    np.testing.assert_allclose(step_norms(trace), rho, rtol=1e-9)
    seen = horizon(model, x, x)
    for curve in (seen.low, seen.median, seen.high, seen.state_median, seen.data_bound, seen.fixed_bound):
        np.testing.assert_allclose(curve, rho ** np.arange(25.0), rtol=1e-6)
    np.testing.assert_allclose(seen.radius_power, rho ** np.arange(25.0), rtol=1e-6)
    if rho < 1:
        assert seen.half_life == pytest.approx(np.log(0.5) / np.log(rho), rel=1e-6)
    else:
        assert seen.half_life is None


def test_relu_far_inside_its_linear_part_does_the_same() -> None:
    model, x = network(orthogonal(16, 0.9, RNG), "relu"), text(20)
    model.params["b"][:] = 1000.0  # every unit stays on: W s is at most 0.9 of the length of s
    model.params["W"][:] = np.abs(model.params["W"])
    model.params["W"] *= 0.9 / np.linalg.norm(model.params["W"], 2)
    trace = model.forward(x)
    assert trace.layers[0].slopes.all()
    expected = np.linalg.svd(np.linalg.matrix_power(model.params["W"], 8), compute_uv=False)
    measured = product_singular_values(trace, lags=[8], together=1).log_values[0]
    np.testing.assert_allclose(np.exp(measured[:4]), expected[:4], rtol=1e-9)


def test_a_radius_above_one_is_seen_exploding_and_never_warned_about() -> None:
    model, x = network(orthogonal(16, 1.5, RNG), "relu", 1.0), text(60)
    model.params["W"][:] = 1.5 * np.eye(16)
    model.params["U"][:] = np.abs(model.params["U"])
    seen = horizon(model, x, x)
    np.testing.assert_allclose(seen.median, 1.5 ** np.arange(60.0), rtol=1e-9)
    assert lyapunov_exponents(model.forward(x), 1).exponents[0] == pytest.approx(np.log(1.5))
    model.params["W"][:] = 1e200 * np.eye(16)
    runaway = gradient_flow(model, x, x)
    assert not np.isfinite(runaway.delta_norms[-1]).all()
    assert np.isnan(runaway.step_norms).any() or np.isinf(runaway.trace.hidden).any()


# -- The nilpotent shift -----------------------------------------------------------------------------------------


def test_a_nilpotent_shift_has_radius_0_and_yet_carries_everything_for_63_steps() -> None:
    model = network(np.eye(64, k=-1))
    trace = model.forward(text(70))
    assert spectral_radius(model) == 0
    (block,) = recurrent_spectrum(model)
    assert (block.radius, block.norm) == (0, pytest.approx(1))
    products = product_singular_values(trace, lags=range(1, 71))
    np.testing.assert_allclose(products.log_values[:63, 0], 0, atol=1e-12)
    assert np.all(products.log_values[63:] == -np.inf)
    # After j steps 64 - j of the directions are left, each at full length.
    assert [(row > -1).sum() for row in products.log_values[:63]] == list(range(63, 0, -1))
    # The gradient itself, not only its bound: a loss that reads the last unit alone.
    model.params["V"][:] = 0
    model.params["V"][:, 63] = np.arange(7.0)
    norms = gradient_flow(model, text(70), text(70)).delta_norms[69]
    np.testing.assert_allclose(norms[69:5:-1], norms[69], rtol=1e-12)
    assert np.all(norms[:6] == 0)


# -- The map left to itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", [1.2, 2.0, 3.5])
def test_an_autonomous_scalar_tanh_has_the_exponent_of_its_fixed_point(w: float) -> None:
    model = network(np.array([[w]]))
    trace = autonomous_trace(model, 1000, state=[np.array([[0.5]])])
    fixed = 0.5
    for _ in range(2000):
        fixed = np.tanh(w * fixed)
    expected = np.log(w * (1 - fixed**2))
    assert lyapunov_exponents(trace, skip=500).exponents[0] == pytest.approx(expected, rel=1e-9)
    assert expected < 0  # a radius above 1, and gradients vanish all the same


def test_the_autonomous_map_starts_off_an_unstable_zero_by_itself() -> None:
    trace = autonomous_trace(network(np.array([[1.5]])), 400)
    assert abs(trace.hidden[-1, 0, 0]) == pytest.approx(0.8586, abs=1e-4)  # s = tanh(1.5 s)


def test_one_word_read_for_ever_is_a_map_of_its_own() -> None:
    model = network(np.array([[0.5]]), inputs_scale=1.0)
    drive = model.params["U"][3, 0]
    trace = autonomous_trace(model, 300, word=3)
    s = trace.hidden[-1, 0, 0]
    assert s == pytest.approx(np.tanh(0.5 * s + drive))
    assert lyapunov_exponents(trace, skip=200).exponents[0] == pytest.approx(np.log(0.5 * (1 - s * s)))


# -- Sigmoid at a = 0 --------------------------------------------------------------------------------------------


def sigmoid_at_zero(W: Array, steps: int) -> Trace:
    """Biases that undo W s keep every pre-activation at 0, every state at 1/2 and every slope at 1/4."""
    model = network(W, "sigmoid", 0.0)
    model.params["b"][:] = -W @ np.full(len(W), 0.5)
    trace = model.forward(text(steps), [np.full((1, len(W)), 0.5)])
    np.testing.assert_allclose(trace.layers[0].slopes, 0.25)
    return trace


def test_a_sigmoid_network_at_zero_loses_three_quarters_and_more_per_step() -> None:
    symmetric = RNG.standard_normal((20, 20)) / 4
    symmetric = symmetric + symmetric.T  # normal, so that ||W^k|| = ||W||^k
    products = product_singular_values(sigmoid_at_zero(symmetric, 30), lags=[1, 2, 5, 30])
    quarter = np.log(np.linalg.norm(symmetric, 2) / 4)
    np.testing.assert_allclose(products.log_values[:, 0], products.lags * quarter, rtol=1e-10)


def test_for_a_general_w_that_is_the_bound_and_the_truth_lies_below() -> None:
    W = RNG.standard_normal((20, 20)) / 4
    trace = sigmoid_at_zero(W, 12)
    products = product_singular_values(trace, lags=range(1, 13), together=1)
    truth = [np.linalg.norm(np.linalg.matrix_power(W, k), 2) / 4.0**k for k in range(1, 13)]
    np.testing.assert_allclose(products.log_values[:, 0], np.log(truth), rtol=1e-9)
    bounds = data_bounds(step_factors(trace), np.ones((12, 1), bool), 12)
    bound = (np.linalg.norm(W, 2) / 4) ** np.arange(12)
    np.testing.assert_allclose([values[0, 0] for values in bounds], bound, rtol=1e-9)
    assert truth[-1] < bound[-1] * np.linalg.norm(W, 2) / 4 * 0.9


# -- Gates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("layer", [0, 1])
def test_the_gates_shown_are_those_by_which_the_cell_made_its_states(cell: str, layer: int) -> None:
    H, T = 6, 9
    config = ModelConfig(cell=cell, vocabulary_size=7, hidden_size=H, layers=2)
    model = LanguageModel(config, rng=np.random.default_rng(1), dtype=np.float64)
    model.params["W"] *= 3
    flow = gradient_flow(model, text(T), text(T))
    gates = two_paths(flow, layer).gates
    states = flow.trace.layers[layer].states[:, 0]
    before, after = states[:-1], states[1:]
    if cell == "lstm":
        cells = gates["forget"] * before[:, H:] + gates["input"] * gates["candidate"]
        np.testing.assert_allclose(after[:, H:], cells, rtol=1e-12)
        np.testing.assert_allclose(after[:, :H], gates["output"] * np.tanh(cells), rtol=1e-12)
    else:
        hidden = gates["update"] * before + (1 - gates["update"]) * gates["candidate"]
        np.testing.assert_allclose(after, hidden, rtol=1e-12)
        name, below = "2" if layer else "", flow.trace.layers[0].states[1:, 0]
        seen = below @ model.params["U2"] if layer else model.params["U"][text(T)[:, 0]]
        pre = seen[:, :H] + before @ model.params["W" + name][:H].T + model.params["b" + name][:H]
        np.testing.assert_allclose(gates["reset"], 1 / (1 + np.exp(-pre)), rtol=1e-12)


# -- LSTM with gates that hear nothing ---------------------------------------------------------------------------


@pytest.mark.parametrize("forget_bias", [-1.0, 1.0, 4.0])
def test_an_lstm_whose_gates_hear_only_their_biases_keeps_sigma_of_the_forget_bias_per_step(forget_bias: float) -> None:
    H, T = 6, 30
    config = ModelConfig(cell="lstm", vocabulary_size=7, hidden_size=H, forget_bias=forget_bias)
    model = LanguageModel(config, rng=np.random.default_rng(1), dtype=np.float64)
    model.params["W"][:] = 0
    model.params["U"][:, : 3 * H] = 0  # words reach the candidate alone
    sigma = 1 / (1 + np.exp(-forget_bias))
    flow = gradient_flow(model, text(T), text(T))
    jacobian = state_jacobian(flow.trace, 9)
    np.testing.assert_allclose(jacobian[H:, H:], sigma * np.eye(H), rtol=1e-12)
    np.testing.assert_array_equal(jacobian[:, :H], 0)  # h itself is forgotten at once: alone it would mislead
    paths = two_paths(flow)
    expected = sigma ** np.arange(float(T))
    np.testing.assert_allclose(paths.lag_carry, expected, rtol=1e-9)
    np.testing.assert_allclose(paths.lag_total, expected, rtol=1e-9)
    np.testing.assert_allclose(paths.lag_rest[1:], 0, atol=1e-15)
    np.testing.assert_allclose(paths.gates["forget"], sigma)
    np.testing.assert_allclose(paths.keep, sigma)
    np.testing.assert_allclose(paths.gate_means["forget"], sigma)
    # The leading exponents are the forget gate's, c by c; h has none of its own.
    exponents = lyapunov_exponents(flow.trace).exponents
    np.testing.assert_allclose(exponents[: H - 1], np.log(sigma), atol=0.2)
    assert np.all(exponents[H:] < -20)
    steps = where_lost(flow, T - 1)
    np.testing.assert_allclose(steps.parts["hidden"], 0, atol=1e-12)
    np.testing.assert_allclose(steps.parts["carry"][1:], np.log(sigma), rtol=1e-9)
    np.testing.assert_allclose(steps.shares["carry"], 1)


def test_half_lives_match_the_forget_bias() -> None:
    H, T = 4, 40
    for forget_bias in (0.0, 1.0, 2.0):
        config = ModelConfig(cell="lstm", vocabulary_size=7, hidden_size=H, forget_bias=forget_bias)
        model = LanguageModel(config, rng=np.random.default_rng(1), dtype=np.float64)
        model.params["W"][:] = 0
        model.params["U"][:] = 0  # with g = 0 the candidate's slope is the same at every step, so delta shows f alone
        found = horizon(model, text(T), text(T)).half_life
        assert found == pytest.approx(np.log(0.5) / np.log(1 / (1 + np.exp(-forget_bias))), rel=1e-9)


# -- The tutorial's initialisation -------------------------------------------------------------------------------


def test_the_uniform_initialisation_shrinks_a_gradient_by_one_over_root_three_per_step() -> None:
    H = 400
    config = ModelConfig(vocabulary_size=7, hidden_size=H, init="uniform")
    model = LanguageModel(config, rng=np.random.default_rng(0), dtype=np.float64)
    model.params["U"] *= 1e-12
    seen = horizon(model, text(13, 8), text(13, 8))
    assert seen.median[12] ** (1 / 12) == pytest.approx(1 / np.sqrt(3), rel=0.02)
    assert seen.fixed_bound is not None
    assert seen.fixed_bound[1] > 1  # and yet the bound lies above 1
    assert seen.half_life == pytest.approx(np.log(0.5) / np.log(1 / np.sqrt(3)), rel=0.1)


# -- Beyond what a float squared can hold ------------------------------------------------------------------------


def test_singular_values_of_1e_minus_300_beside_1_are_right() -> None:
    q, _ = np.linalg.qr(RNG.standard_normal((32, 32)))
    eigenvalues = np.logspace(0, -1.5, 32)
    trace = network(q @ np.diag(eigenvalues) @ q.T).forward(text(200))
    for together, tolerance in ((1, 1e-8), (4, 1e-8), (8, 1e-6)):
        products = product_singular_values(trace, lags=[1, 40, 200], together=together)
        expected = np.outer(products.lags, np.log(eigenvalues))
        np.testing.assert_allclose(products.log_values, expected, atol=tolerance)
    assert products.log10[-1, -1] == pytest.approx(-300, abs=1e-6)


def test_all_singular_values_may_be_far_below_the_smallest_float() -> None:
    trace = network(1e-4 * orthogonal(8, 1.0, RNG)).forward(text(120))
    products = product_singular_values(trace, lags=[120])
    np.testing.assert_allclose(products.log10, -480, rtol=1e-12)


def test_lengths_do_not_underflow_when_they_are_squared() -> None:
    model = network(orthogonal(8, 1e-6, RNG))
    norms = gradient_flow(model, text(45), text(45)).delta_norms[44]
    np.testing.assert_allclose(np.log10(norms[44] / norms[4]), 240, rtol=1e-9)
    assert vector_norm(np.array([3e-300, 4e-300])) == pytest.approx(5e-300)
    assert vector_norm(np.array([3e200, 4e200])) == pytest.approx(5e200)
    assert vector_norm(np.array([1.0, np.inf])) == np.inf
    assert vector_norm(np.zeros((3, 0))).tolist() == [0, 0, 0]


# -- What the pictures say of a network built by hand ------------------------------------------------------------


def test_a_dead_memory_shows_by_lag_though_the_total_does_not_vanish() -> None:
    model, x = network(orthogonal(16, 0.1, RNG), inputs_scale=1.0), text(20, 4)
    books = gradient_by_lag(gradient_flow(model, x, x), truncate=4)
    assert books.norms[8] < 1e-6 * books.total_norm
    assert books.relative_error[4] < 1e-3
    assert books.used.tolist() == [True] * 5 + [False] * 15


def test_a_row_starts_at_its_own_word_and_stays_below_its_bounds() -> None:
    model, x = network(RNG.standard_normal((12, 12)) / 3, inputs_scale=2.0), text(15)
    flow = gradient_flow(model, x, x)
    row = row_decay(model, flow, 10)
    assert row.data_bound is not None
    assert row.fixed_bound is not None
    assert len(row.norms) == 11
    assert row.norms[0] == row.data_bound[0] == row.fixed_bound[0] == flow.delta_norms[10, 10]
    assert row.norms[3] == flow.delta_norms[10, 7]
    assert np.all(row.norms <= row.data_bound * (1 + 1e-9))
    assert row.data_bound[1] / row.norms[0] == pytest.approx(flow.delta_step_norms[9, 0], rel=1e-9)
    assert np.all(row.data_bound <= row.fixed_bound * (1 + 1e-9))


def test_saturated_units_are_counted_on_their_side() -> None:
    H = 4
    config = ModelConfig(cell="lstm", vocabulary_size=7, hidden_size=H)
    model = LanguageModel(config, rng=np.random.default_rng(1), dtype=np.float64)
    model.params["W"][:] = 0
    model.params["U"][:] = 0
    b = model.params["b"]
    b[:H], b[H : 2 * H], b[2 * H : 3 * H], b[3 * H :] = -5, [5, 5, 5, 0], 0, [-3.1, 0.2, 0.2, 3.1]
    found = saturation(model.forward(text(9, 2)))
    np.testing.assert_array_equal(found["output"].left, 1)
    np.testing.assert_array_equal(found["input"].right, 0.75)
    np.testing.assert_array_equal(found["input"].unit_right, [1, 1, 1, 0])
    np.testing.assert_array_equal(found["forget"].left + found["forget"].right, 0)
    np.testing.assert_array_equal(found["candidate"].left, 0.25)
    np.testing.assert_allclose(found["forget"].slopes, 0.25)
    np.testing.assert_allclose(found["input"].values[:, 2], 1 / (1 + np.exp(-5)))
    # a = 0.2 twice, and -3.1 and 3.1, for 9 steps of 2 sequences, in bins of a quarter from -6 on.
    counts = found["candidate"].histogram
    assert (counts[24], counts[11], counts[36], counts.sum()) == (36, 18, 18, 72)


def test_a_dead_relu_is_a_unit_saturated_low() -> None:
    model = network(np.zeros((3, 3)), "relu", 0.0)
    model.params["b"][:] = [1, -1, 2]
    found = saturation(model.forward(text(5)))["state"]
    np.testing.assert_allclose(found.left, 1 / 3)
    np.testing.assert_array_equal(found.unit_left, [0, 1, 0])
    assert found.histogram[20] == 5  # a = -1, which the state alone (0) does not tell


def test_a_gradient_that_ranks_the_words_as_the_truth_does_has_rank_correlation_one() -> None:
    same = np.array([0.1, 3.0, 0.7, 2.0])
    zeros = np.zeros(4)

    def found(gradient: np.ndarray, truth: np.ndarray) -> float:
        return WhichWordsMattered(-1.0, gradient, zeros, zeros, truth, zeros, zeros).rank_correlation

    assert found(same, -(same**3)) == pytest.approx(1)
    assert found(same, 1 / same) == pytest.approx(-1)
    # Spearman by hand: ranks 1 2 3 4 against 2 1 4 3 differ by 1 each: 1 - 6 * 4 / (4 * 15).
    assert found(np.array([1.0, 2, 3, 4]), np.array([2.0, 1, 4, 3])) == pytest.approx(0.6)
    assert np.isnan(found(same[:2], same[:2]))


def test_a_text_is_read_as_training_reads_it_and_an_explosion_on_the_way_is_a_result() -> None:
    model = LanguageModel(ModelConfig(vocabulary_size=9, hidden_size=4), rng=np.random.default_rng(0))
    ids = np.array([1, 5, 3, 2, 8])
    trace = text_trace(model, ids)
    assert trace.hidden.dtype == np.float64
    np.testing.assert_allclose(trace.hidden, model.forward(ids[:, None]).hidden, rtol=1e-5)
    wild = network(10 * np.eye(3), "relu", 1.0)
    wild.params["b"][:] = 1
    assert not np.isfinite(text_trace(wild, np.zeros(400, int)).hidden).all()


def test_a_text_whose_losses_send_no_gradient_has_no_verdict_and_says_why() -> None:
    config = ModelConfig(cell="tanh", hidden_size=4, vocabulary_size=6)
    model = LanguageModel(config, rng=np.random.default_rng(0), dtype=np.float64)
    for value in model.params.values():
        value[...] = 1e18
    # Weights that are all alike find every word equally likely, saturated units let nothing through.
    flow = gradient_flow(model, np.array([1, 3, 4]), np.array([3, 4, 2]))
    with pytest.raises(ValueError, match="no loss of this text sends a gradient back"):
        verdict(flow)
