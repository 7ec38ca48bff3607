"""Omega (Pascanu, Mikolov & Bengio 2013): its value by the paper's equation, its gradient by complex steps."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import LanguageModel, ModelConfig
from rnn_core.errors import SettingsError
from rnn_core.nn.gradients import to_dense
from rnn_core.nn.regularizers import omega, omega_gradient
from rnn_core.reference.gradcheck import compare, numeric_gradients
from rnn_core.reference.small_networks import small_batch, small_model

PHI = {
    "tanh": (np.tanh, lambda s: 1 - s**2),
    "relu": (lambda a: np.where(np.real(a) > 0, a, 0), lambda s: (s > 0) * 1.0),
    "sigmoid": (lambda a: 1 / (1 + np.exp(-a)), lambda s: s * (1 - s)),
}
every_cell = pytest.mark.parametrize("cell", PHI)


def suffix(layer: int) -> str:
    return "" if layer == 0 else str(layer + 1)


def states_and_loss(model: LanguageModel, inputs, targets, live, nudges):
    """The network in plain loops; `nudges` [(T, B, H) per layer] is added to each state after its activation."""
    phi, _ = PHI[model.config.cell]
    params, (steps, batch) = model.params, inputs.shape
    before = [np.zeros((batch, model.config.hidden_size))] * model.config.layers
    states = [[] for _ in before]
    total = 0.0
    for t in range(steps):
        for layer in range(model.config.layers):
            projection = params["U"][inputs[t]] if layer == 0 else before[layer - 1] @ params["U" + suffix(layer)]
            a = projection + before[layer] @ params["W" + suffix(layer)].T + params["b" + suffix(layer)]
            before = [*before[:layer], phi(a) + nudges[layer][t], *before[layer + 1 :]]
            states[layer].append(before[layer])
        o = before[-1] @ params["V"].T + params["c"]
        losses = np.log(np.exp(o).sum(axis=1)) - o[np.arange(batch), targets[t]]
        total = total + losses[live[t]].sum()
    return [np.stack(part) for part in states], total / live.sum()


def error_signals(model: LanguageModel, inputs, targets, live) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """dE/ds_t of every layer by complex steps, and phi'(a_t)."""
    shape = (*inputs.shape, model.config.hidden_size)
    zero = {str(layer): np.zeros(shape) for layer in range(model.config.layers)}
    d_states = numeric_gradients(
        lambda nudges: states_and_loss(model, inputs, targets, live, list(nudges.values()))[1], zero
    )
    states, _ = states_and_loss(model, inputs, targets, live, list(zero.values()))
    slope = PHI[model.config.cell][1]
    return list(d_states.values()), [slope(part) for part in states]


def papers_omega(d_state, slopes, W):
    """Sum over steps of (||dE/ds_{k+1} ds_{k+1}/ds_k||^2 / ||dE/ds_{k+1}||^2 - 1)^2 (eq. 10), mean over sequences."""
    total = 0.0
    steps, batch, _ = d_state.shape
    for b in range(batch):
        for k in range(1, steps):
            arriving, length = d_state[k, b], (d_state[k, b] ** 2).sum()
            if length > 0:
                through = arriving @ np.diag(slopes[k, b]) @ W
                total = total + ((through**2).sum() / length - 1) ** 2
    return total / batch


def omega_part_of_training(model: LanguageModel, batch, strength: float) -> dict[str, np.ndarray]:
    loss, plain, _ = model.training_gradients(*batch)
    with_loss, gradients, _ = model.training_gradients(*batch, omega=strength)
    assert with_loss == loss, "the loss that is reported stays the data's"
    return {name: (to_dense(gradients[name]) - to_dense(plain[name])) / strength for name in plain}


@every_cell
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("mask", [None, "behind"])
def test_training_with_omega_adds_its_immediate_gradient_to_w_alone(cell: str, layers: int, mask: str | None) -> None:
    """s and dE/ds held fixed, both computed here from scratch; W acts only where the paper writes it."""
    model = small_model(ModelConfig(cell=cell, vocabulary_size=5, hidden_size=3, layers=layers), seed=4)
    inputs, targets, live = small_batch(mask=mask)
    everything = np.ones(inputs.shape, bool) if live is None else live
    added = omega_part_of_training(model, (inputs, targets, live), strength=1000.0)
    d_states, slopes = error_signals(model, inputs, targets, everything)
    for name, value in added.items():
        if not name.startswith("W"):
            np.testing.assert_array_equal(value, 0, err_msg=name)
    for layer in range(layers):
        W = model.params["W" + suffix(layer)]
        numeric = numeric_gradients(
            lambda moved, layer=layer: papers_omega(d_states[layer], slopes[layer], moved["W"]), {"W": W}
        )
        check = compare({"W": added["W" + suffix(layer)]}, numeric)
        assert check.worst_relative_error <= 1e-9, check


@every_cell
def test_omega_is_the_papers(cell: str) -> None:
    rng = np.random.default_rng(0)
    d_state, slopes, W = rng.standard_normal((6, 3, 4)), rng.random((6, 3, 4)), rng.standard_normal((4, 4))
    d_state[5, 1] = 0  # padding: nothing arrives here
    assert omega(d_state, slopes, W) == pytest.approx(papers_omega(d_state, slopes, W), rel=1e-13)
    numeric = numeric_gradients(lambda moved: omega(d_state, slopes, moved["W"]), {"W": W})
    check = compare({"W": omega_gradient(d_state, slopes, W)}, numeric)
    assert check.worst_relative_error <= 1e-9, check


def test_omega_is_zero_where_the_error_signal_keeps_its_length() -> None:
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    d_state, slopes = rng.standard_normal((6, 3, 4)), np.ones((6, 3, 4))
    assert omega(d_state, slopes, Q) == pytest.approx(0, abs=1e-25)
    np.testing.assert_allclose(omega_gradient(d_state, slopes, Q), 0, atol=1e-14)
    # r^2 = 4 at each of 5 steps; r^2 = 1/4 likewise.
    assert omega(d_state, slopes, 2 * Q) == pytest.approx(5 * 3**2)
    assert omega(d_state, slopes, Q / 2) == pytest.approx(5 * 0.75**2)


def test_omega_does_not_depend_on_the_scale_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    d_state, slopes, W = rng.standard_normal((6, 3, 4)), rng.random((6, 3, 4)), rng.standard_normal((4, 4))
    assert omega(1e-6 * d_state, slopes, W) == pytest.approx(omega(d_state, slopes, W), rel=1e-12)
    np.testing.assert_allclose(
        omega_gradient(1e-6 * d_state, slopes, W), omega_gradient(d_state, slopes, W), rtol=1e-10
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_error_signal_that_has_vanished_gives_no_infinity(dtype: type) -> None:
    d_state = np.zeros((3, 1, 2), dtype)
    d_state[1] = np.finfo(dtype).tiny  # its square is zero
    slopes, W = np.ones((3, 1, 2), dtype), np.ones((2, 2), dtype)
    assert omega(d_state, slopes, W) == 0
    np.testing.assert_array_equal(omega_gradient(d_state, slopes, W), 0)
    assert omega_gradient(d_state, slopes, W).dtype == dtype


def test_a_step_against_omega_brings_the_ratios_closer_to_one() -> None:
    rng = np.random.default_rng(0)
    d_state, slopes, W = rng.standard_normal((6, 3, 4)), rng.random((6, 3, 4)), rng.standard_normal((4, 4))
    assert omega(d_state, slopes, W - 1e-4 * omega_gradient(d_state, slopes, W)) < omega(d_state, slopes, W)


@pytest.mark.parametrize(
    ("options", "truncate", "reason"),
    [
        ({"cell": "lstm"}, None, "a cell with gates has another"),
        ({"cell": "gru"}, None, "a cell with gates has another"),
        ({"cell": "tanh"}, 3, "use full back-propagation instead of truncation"),
        ({"cell": "tanh", "dropout": 0.3, "variational": True}, None, "use ordinary dropout"),
    ],
)
def test_omega_is_refused_where_it_has_no_meaning(options: dict, truncate: int | None, reason: str) -> None:
    model = LanguageModel(ModelConfig(vocabulary_size=5, hidden_size=3, **options))
    inputs, targets, _ = small_batch()
    with pytest.raises(SettingsError, match=reason):
        model.training_gradients(inputs, targets, truncate=truncate, omega=0.1)
