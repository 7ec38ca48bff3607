"""Optimizers: each rule as its paper writes it, one number at a time, and what a checkpoint and clipping rely on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnn_core.errors import SettingsError, UserError
from rnn_core.nn.gradients import Occurrences, RowGradient
from rnn_core.optim.optimizers import OPTIMIZERS, make_optimizer

ETA, STEPS = 0.05, 6


def gradients_of(steps: int, shape: tuple[int, ...] = (2, 3)) -> list[np.ndarray]:
    return list(np.random.default_rng(1).standard_normal((steps, *shape)))


def one_number(name: str, theta: float, gradients: list[float], decay: float) -> float:
    """The published rule for a single parameter."""
    v = m = 0.0
    for t, g in enumerate(gradients, start=1):
        if name == "adamw":
            theta -= ETA * decay * theta
        else:
            g = g + decay * theta
        if name == "sgd":
            theta -= ETA * g
        elif name == "momentum":
            v = 0.9 * v + g
            theta -= ETA * v
        elif name == "nesterov":
            v = 0.9 * v + g
            theta -= ETA * (g + 0.9 * v)
        elif name == "rmsprop":
            v = 0.99 * v + 0.01 * g * g
            theta -= ETA * g / (math.sqrt(v) + 1e-8)
        else:
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g * g
            theta -= ETA * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return theta


every_rule = pytest.mark.parametrize("name", OPTIMIZERS)


def test_the_six_optimizers_are_there() -> None:
    assert list(OPTIMIZERS) == ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"]
    assert all(rule.default_learning_rate > 0 for rule in OPTIMIZERS.values())


@every_rule
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_a_rule_does_to_every_number_what_its_paper_says(name: str, decay: float) -> None:
    start = np.random.default_rng(0).standard_normal((2, 3))
    params, steps = {"W": start.copy()}, gradients_of(STEPS)
    rule = make_optimizer(name, params, decay)
    for gradient in steps:
        rule.update(params, {"W": gradient.copy()}, ETA)
    for index in np.ndindex(start.shape):
        expected = one_number(name, start[index], [gradient[index] for gradient in steps], decay)
        assert params["W"][index] == pytest.approx(expected, rel=1e-12)


@every_rule
def test_the_first_update_is_corrected_for_averages_that_start_at_zero(name: str) -> None:
    """However small the first gradient, Adam's first step has the length eta; the plain rules' step has g's."""
    params = {"W": np.zeros(3)}
    make_optimizer(name, params).update(params, {"W": np.full(3, 1e-3)}, ETA)
    first = {"sgd": 1e-3, "momentum": 1e-3, "nesterov": 1.9e-3, "rmsprop": 10.0, "adam": 1.0, "adamw": 1.0}[name]
    np.testing.assert_allclose(params["W"], -ETA * first, rtol=1e-3)


@every_rule
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_the_scale_of_clipping_multiplies_the_gradient_before_anything_else(name: str, decay: float) -> None:
    one, other = {"W": np.ones((2, 3))}, {"W": np.ones((2, 3))}
    rules = make_optimizer(name, one, decay), make_optimizer(name, other, decay)
    for gradient in gradients_of(3):
        rules[0].update(one, {"W": gradient.copy()}, ETA, scale=0.25)
        rules[1].update(other, {"W": 0.25 * gradient}, ETA)
    np.testing.assert_allclose(one["W"], other["W"], rtol=1e-13)


@every_rule
def test_an_update_leaves_the_callers_gradient_alone(name: str) -> None:
    params, gradient = {"W": np.ones((2, 3))}, gradients_of(1)[0]
    before = gradient.copy()
    rule = make_optimizer(name, params, 0.1)
    rule.update(params, {"W": gradient}, ETA)
    rule.update(params, {"W": gradient}, ETA, scale=0.5)
    np.testing.assert_array_equal(gradient, before)


@every_rule
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_continuing_from_a_saved_state_gives_the_same_bits(name: str, decay: float, dtype: type) -> None:
    steps = [gradient.astype(dtype) for gradient in gradients_of(6)]
    params = {"W": np.ones((2, 3), dtype)}
    rule = make_optimizer(name, params, decay)
    for gradient in steps[:3]:
        rule.update(params, {"W": gradient}, ETA)
    saved = {key: value.copy() for key, value in rule.state.items()}
    resumed = {"W": params["W"].copy()}
    for gradient in steps[3:]:
        rule.update(params, {"W": gradient}, ETA)
    other = make_optimizer(name, resumed, decay)
    other.load_state(saved)
    for gradient in steps[3:]:
        other.update(resumed, {"W": gradient}, ETA)
    np.testing.assert_array_equal(resumed["W"], params["W"])
    assert resumed["W"].dtype == dtype
    assert other.state.keys() == rule.state.keys()
    for key, value in rule.state.items():
        np.testing.assert_array_equal(other.state[key], value)
        assert saved[key] is not other.state[key]


@every_rule
def test_a_state_of_another_network_is_refused(name: str) -> None:
    rule = make_optimizer(name, {"W": np.ones((2, 3))})
    with pytest.raises(SettingsError, match="resume with the run's own settings"):
        rule.load_state({**rule.state, "mean/Z": np.ones(2)})
    for key in rule.state:
        damaged = {**rule.state, key: np.ones((5, 5))}
        with pytest.raises(SettingsError, match="another network or optimizer"):
            rule.load_state(damaged)


@every_rule
def test_parameters_of_any_size_are_updated_to_their_last_row(name: str) -> None:
    """Blocks of rows: larger and smaller than one block, and rows longer than a block."""
    rng = np.random.default_rng(0)
    for shape in [(700, 100), (1, 40_000), (40_000,), (3, 2)]:
        start, steps = rng.standard_normal(shape), [rng.standard_normal(shape) for _ in range(2)]
        params = {"V": start.copy()}
        rule = make_optimizer(name, params, 0.1)
        for gradient in steps:
            rule.update(params, {"V": gradient}, ETA)
        for index in [tuple(0 for _ in shape), tuple(size - 1 for size in shape), tuple(size // 2 for size in shape)]:
            expected = one_number(name, start[index], [gradient[index] for gradient in steps], 0.1)
            assert params["V"][index] == pytest.approx(expected, rel=1e-11)


@every_rule
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_rows_without_a_gradient_are_treated_as_rows_with_a_zero_gradient(name: str, decay: float) -> None:
    """Moments keep moving a word that is not in the batch, as they do in PyTorch's dense optimizers."""
    rng = np.random.default_rng(0)
    start = rng.standard_normal((300, 100))
    compact, plain = {"U": start.copy()}, {"U": start.copy()}
    rules = make_optimizer(name, compact, decay), make_optimizer(name, plain, decay)
    for _ in range(3):
        ids = rng.integers(0, 300, 20)
        rows = RowGradient.from_positions(Occurrences(ids), rng.standard_normal((1, 20, 100)), start.shape)
        rules[0].update(compact, {"U": rows}, ETA)
        rules[1].update(plain, {"U": rows.to_dense()}, ETA)
    np.testing.assert_allclose(compact["U"], plain["U"], rtol=1e-12, atol=1e-14)


def test_sgd_touches_only_the_rows_that_have_a_gradient() -> None:
    start = np.random.default_rng(0).standard_normal((6, 2))
    params = {"U": start.copy()}
    rows = RowGradient.from_positions(Occurrences(np.array([4, 1, 4])), np.ones((1, 3, 2)), (6, 2))
    make_optimizer("sgd", params).update(params, {"U": rows}, ETA)
    np.testing.assert_array_equal(params["U"][[0, 2, 3, 5]], start[[0, 2, 3, 5]])
    np.testing.assert_allclose(params["U"][[1, 4]], start[[1, 4]] - ETA * np.array([[1, 1], [2, 2]]))


def test_adamw_decays_the_parameter_and_adam_the_gradient() -> None:
    """Without a gradient, Adam's decay still makes a step of full length; AdamW's only shrinks."""
    adam, adamw = {"W": np.ones(2)}, {"W": np.ones(2)}
    make_optimizer("adam", adam, 0.1).update(adam, {"W": np.zeros(2)}, ETA)
    make_optimizer("adamw", adamw, 0.1).update(adamw, {"W": np.zeros(2)}, ETA)
    np.testing.assert_allclose(adam["W"], 1 - ETA, rtol=1e-6)
    np.testing.assert_allclose(adamw["W"], 1 - ETA * 0.1, rtol=1e-14)


def test_an_unknown_optimizer_is_refused_with_the_choices() -> None:
    with pytest.raises(UserError, match="choose one of sgd, momentum, nesterov, rmsprop, adam, adamw"):
        make_optimizer("adagrad", {})


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_what_a_gradient_left_behind_fades_to_zero_and_not_to_the_smallest_numbers(name: str) -> None:
    """A processor takes thirty times as long for numbers that have lost their digits."""
    params = {"U": np.zeros((2, 3), np.float32)}
    optimizer = make_optimizer(name, params)
    rows = RowGradient(np.array([1]), np.ones((1, 3), np.float32), (2, 3))
    nothing = RowGradient(np.empty(0, int), np.empty((0, 3), np.float32), (2, 3))
    optimizer.update(params, {"U": rows}, 0.01)
    smallest = np.finfo(np.float32).tiny
    moment = optimizer.state["velocity/U" if name == "momentum" else "mean/U"]
    for _ in range(1500):
        optimizer.update(params, {"U": nothing}, 0.01)
        assert not ((moment != 0) & (np.abs(moment) < smallest)).any()
    assert not moment.any()
