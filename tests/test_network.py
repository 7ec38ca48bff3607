"""Networks that are no language models: vectors or ids go in, classes or numbers come out, at the steps that count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import LanguageModel, ModelConfig, Network, NetworkConfig, gradient_flow
from rnn_core.data.tasks import Adding, TemporalOrder
from rnn_core.diagnostics import (
    autonomous_trace,
    gradient_by_lag,
    gradient_by_sentence,
    horizon,
    horizon_of_flow,
    influence,
    lyapunov_exponents,
    predicted_changes,
    product_singular_values,
    recurrent_spectrum,
    saturation,
    sentence_lag_norms,
    state_jacobian,
    step_norms,
    text_trace,
    true_changes,
    two_paths,
    where_lost,
)
from rnn_core.errors import SettingsError
from rnn_core.nn.cells import CELL_FORMS
from rnn_core.reference.gradcheck import check_gradients
from rnn_core.reference.small_networks import small_model, small_network

EXACT = 1e-9
N, D, T, B, H = 5, 2, 5, 3, 3
FORMS = [(cell.name, cell.reset or "after") for cell in CELL_FORMS]
INPUTS: dict[str, dict[str, Any]] = {"one-hot": {}, "embedding": {"embedding_size": 4}, "vectors": {"input_size": D}}
LOSSES: dict[str, dict[str, Any]] = {
    "classes": {"outputs": 4},
    "a number": {"outputs": 1, "loss": "squared_error"},
    "numbers": {"outputs": 2, "loss": "squared_error"},
}
every_form = pytest.mark.parametrize(("cell", "gru_reset"), FORMS)
every_input = pytest.mark.parametrize("read", INPUTS)
every_loss = pytest.mark.parametrize("loss", LOSSES)


def last_step_weights(steps: int) -> np.ndarray:
    """Loss weights (T, B) that count the last step alone."""
    weights = np.zeros((steps, B))
    weights[-1] = 1
    return weights


def network(read: str, loss: str, **more: Any) -> Network:
    settings_ = {"vocabulary_size": N, "hidden_size": H} | INPUTS[read] | LOSSES[loss] | more
    return small_network(NetworkConfig(**settings_))


def batch_for(model: Network, steps: int = T, batch: int = B) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    shape = (steps, batch, *model.inputs.input_shape)
    inputs = rng.standard_normal(shape) if model.inputs.input_shape else rng.integers(0, N, shape)
    target_shape = (steps, batch, *model.loss_function.target_shape)
    if model.loss_function.target_shape:
        return inputs, rng.standard_normal(target_shape)
    return inputs, rng.integers(0, model.loss_function.outputs, target_shape)


def weights() -> np.ndarray:
    """Some losses count more than others, some not at all; every sequence's last one counts."""
    drawn = np.random.default_rng(5).random((T, B)) * np.random.default_rng(6).integers(0, 2, (T, B))
    drawn[-1] += 0.5
    return drawn


# -- Gradients --------------------------------------------------------------------------------------------------------


@every_form
@every_input
@every_loss
def test_every_gradient_of_a_weighted_loss_is_its_derivative(cell: str, gru_reset: str, read: str, loss: str) -> None:
    """By complex steps, element by element."""
    model = network(read, loss, cell=cell, gru_reset=gru_reset)
    check = check_gradients(model, *batch_for(model), loss_weights=weights())
    assert check.worst_relative_error < EXACT, check


@every_input
@every_loss
@pytest.mark.parametrize("truncate", [None, 0, 2])
@pytest.mark.slow
def test_so_is_every_gradient_of_two_layers_with_padding_and_truncation(
    read: str, loss: str, truncate: int | None
) -> None:
    model = network(read, loss, cell="gru", layers=2)
    mask = np.array([[1, 0, 1], [1, 1, 1], [1, 0, 1], [1, 1, 1], [1, 1, 0]], bool)
    check = check_gradients(model, *batch_for(model), mask, loss_weights=weights(), truncate=truncate)
    assert check.worst_relative_error < EXACT, check


@pytest.mark.parametrize("variational", [False, True])
@every_input
def test_dropout_and_a_carried_state_do_not_disturb_them(read: str, variational: bool) -> None:
    model = network(read, "classes", cell="lstm", layers=2, dropout=0.4, variational=variational)
    state = [np.random.default_rng(8).standard_normal(part.shape) for part in model.initial_state(B)]
    check = check_gradients(
        model, *batch_for(model), state=state, loss_weights=weights(), dropout_rng=lambda: np.random.default_rng(3)
    )
    assert check.worst_relative_error < EXACT, check


def test_single_precision_says_the_same_as_double() -> None:
    for read in INPUTS:
        for loss in LOSSES:
            double = network(read, loss, cell="lstm")
            params = {name: value.astype(np.float32) for name, value in double.params.items()}
            single, given_batch = Network(double.config, params=params), batch_for(double)
            expected, gradients = double.loss_and_gradients(*given_batch, loss_weights=weights())
            value, others = single.loss_and_gradients(*given_batch, loss_weights=weights())
            assert value == pytest.approx(expected, rel=1e-5)
            for name, gradient in gradients.items():
                assert others[name].dtype == np.float32
                np.testing.assert_allclose(others[name], gradient, rtol=1e-3, atol=1e-4)


# -- Laws of the weights ----------------------------------------------------------------------------------------------


@given(data=st.data(), truncate=st.sampled_from([None, 1, 3]))
@settings(deadline=None, max_examples=25)
def test_a_weighted_loss_is_the_weighted_mean_of_the_single_losses_and_so_is_its_gradient(
    data: st.DataObject, truncate: int | None
) -> None:
    model = network(data.draw(st.sampled_from(list(INPUTS))), data.draw(st.sampled_from(list(LOSSES))), cell="lstm")
    inputs, targets = batch_for(model, 3, 2)
    drawn = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=6, max_size=6).filter(any))
    mixed = np.array(drawn).reshape(3, 2)
    loss, gradients = model.loss_and_gradients(inputs, targets, truncate=truncate, loss_weights=mixed)
    expected, sums = 0.0, {name: np.zeros_like(value) for name, value in model.params.items()}
    for t, b in zip(*np.nonzero(mixed), strict=True):
        alone = np.zeros((3, 2))
        alone[t, b] = 7.0  # a mean over one loss: whatever its weight
        single, of_single = model.loss_and_gradients(inputs, targets, truncate=truncate, loss_weights=alone)
        share = mixed[t, b] / mixed.sum()
        expected += share * single
        for name, gradient in of_single.items():
            sums[name] += share * gradient
    assert loss == pytest.approx(expected, rel=1e-12)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, sums[name], rtol=1e-9, atol=1e-13)


def test_weights_that_are_all_alike_are_no_weights() -> None:
    for cell, gru_reset in FORMS:
        model = small_model(ModelConfig(cell=cell, gru_reset=gru_reset, vocabulary_size=N, hidden_size=H))
        inputs, targets = batch_for(model)
        mask = np.arange(T)[:, None] < np.array([5, 2, 4])
        plain = model.loss_and_gradients(inputs, targets, mask)
        weighted = model.loss_and_gradients(inputs, targets, mask, loss_weights=np.full((T, B), 0.3))
        assert weighted[0] == pytest.approx(plain[0], rel=1e-13)
        assert model.loss(inputs, targets, mask, np.full((T, B), 0.3)) == pytest.approx(plain[0], rel=1e-13)
        for name, gradient in plain[1].items():
            np.testing.assert_allclose(weighted[1][name], gradient, rtol=1e-11, atol=1e-14)


def test_where_a_loss_does_not_count_the_input_is_read_all_the_same() -> None:
    """A mask would drop it: with only the last step marked, W would have no gradient."""
    model = network("vectors", "classes")
    inputs, targets = batch_for(model)
    last = last_step_weights(T)
    _, by_weight = model.loss_and_gradients(inputs, targets, loss_weights=last)
    _, by_mask = model.loss_and_gradients(inputs, targets, last)
    assert np.linalg.norm(by_weight["W"]) > 1e-3
    assert not by_mask["W"].any()


def test_only_the_losses_that_count_are_in_the_mean() -> None:
    model = network("one-hot", "a number")
    inputs, targets = batch_for(model)
    single, _ = model.token_losses(inputs, targets)
    outputs, _ = model.outputs(inputs)
    np.testing.assert_allclose(single, ((outputs - targets) ** 2)[..., 0])
    loss = model.loss(inputs, targets, loss_weights=last_step_weights(T))
    assert loss == pytest.approx(single[-1].mean())
    # One number a step may also be given as (T, B).
    assert model.loss(inputs, targets[..., 0]) == pytest.approx(single.mean())


# -- The same network by other means ----------------------------------------------------------------------------------


@every_form
def test_one_hot_vectors_are_what_ids_stand_for(cell: str, gru_reset: str) -> None:
    more = {"cell": cell, "gru_reset": gru_reset, "layers": 2}
    by_id = network("one-hot", "classes", **more)
    by_vector = Network(NetworkConfig(hidden_size=H, input_size=N, outputs=4, **more), params=by_id.params)
    inputs, targets = batch_for(by_id)
    expected = by_id.loss_and_gradients(inputs, targets, loss_weights=weights())
    found = by_vector.loss_and_gradients(np.eye(N)[inputs], targets, loss_weights=weights())
    assert found[0] == pytest.approx(expected[0], rel=1e-13)
    for name, gradient in expected[1].items():
        np.testing.assert_allclose(found[1][name], gradient, rtol=1e-10, atol=1e-15)


def test_a_language_model_is_the_network_whose_words_go_in_and_come_out() -> None:
    language_model = small_model(ModelConfig(cell="gru", vocabulary_size=N, hidden_size=H, embedding_size=H, tied=True))
    same = Network(NetworkConfig(cell="gru", vocabulary_size=N, hidden_size=H, embedding_size=H, tied=True))
    same.params = language_model.params
    inputs, targets = batch_for(language_model)
    loss, gradients = language_model.loss_and_gradients(inputs, targets)
    other_loss, others = same.loss_and_gradients(inputs, targets)
    assert other_loss == loss
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(others[name], gradient)


# -- Diagnostics ------------------------------------------------------------------------------------------------------


@every_form
@every_input
@every_loss
def test_the_lags_add_up_to_the_gradient_of_every_network(cell: str, gru_reset: str, read: str, loss: str) -> None:
    model = network(read, loss, cell=cell, gru_reset=gru_reset, layers=2)
    inputs, targets = batch_for(model)
    _, gradients = model.loss_and_gradients(inputs, targets, loss_weights=weights())
    flow = gradient_flow(model, inputs, targets, loss_weights=weights())
    for name, by_lag in flow.lag_gradients.items():
        np.testing.assert_allclose(by_lag.sum(axis=0), gradients[name], rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(flow.gradients[name], gradients[name], rtol=1e-9, atol=1e-14)
    assert (flow.mask == (weights() > 0)).all()
    # A loss that does not count has no row; one that does is itself, whatever it weighs.
    plain = gradient_flow(model, inputs, targets)
    rows = np.where(flow.mask[:, None], plain.delta_norms, np.nan)
    np.testing.assert_allclose(flow.delta_norms, rows, rtol=1e-9)
    assert gradient_by_lag(flow).residual < 1e-12


@every_input
@every_loss
@pytest.mark.parametrize("cell", ["tanh", "lstm", "mingru"])
def test_every_diagnostic_takes_every_network(cell: str, read: str, loss: str) -> None:
    model = network(read, loss, cell=cell)
    inputs, targets = batch_for(model, 6)
    counted = last_step_weights(6)
    flow = gradient_flow(model, inputs, targets, loss_weights=counted)
    trace = flow.trace
    streamed, stored = horizon(model, inputs, targets, loss_weights=counted), horizon_of_flow(model, flow)
    np.testing.assert_allclose(streamed.median, stored.median, rtol=1e-9)
    assert streamed.pairs.tolist() == [B] * 6
    assert np.isfinite(streamed.median).all()
    assert len(where_lost(flow, 5).positions) == 5
    assert np.isfinite(lyapunov_exponents(trace).exponents[0])
    assert np.isfinite(product_singular_values(trace).log_values[:, 0]).all()
    assert state_jacobian(trace, 3).shape == (model.initial_state(1)[0].shape[-1],) * 2
    assert step_norms(trace).shape == (6, B)
    assert len(recurrent_spectrum(model)) == len(model.cell.recurrent_gates)
    assert saturation(trace)
    assert autonomous_trace(model, 4).shape == (4, 1)
    assert text_trace(model, inputs[:, 0]).shape == (6, 1)
    if model.cell.gated:
        assert two_paths(flow).total.shape == (6, 6)
    found = gradient_by_sentence(model, inputs, targets, loss_weights=counted)
    np.testing.assert_allclose(found.shares.sum(), 1, rtol=1e-12)
    lags = [sentence_lag_norms(model, inputs, targets, sentence=b, loss_weights=counted) for b in range(B)]
    assert np.linalg.norm(np.sum(lags, axis=0)) >= flow.full_gradient_norm / np.sqrt(6)


@every_input
@every_loss
def test_influence_and_its_promise_are_derivatives_for_every_network(read: str, loss: str) -> None:
    model = network(read, loss, cell="gru")
    inputs, targets = batch_for(model, 4, 1)
    flow = gradient_flow(model, inputs, targets)
    t = 3
    replacements = np.stack([np.roll(inputs[: t + 1, 0], 1, axis=0), inputs[: t + 1, 0]], axis=1)
    promised = predicted_changes(model, flow, t, replacements)
    real = true_changes(model, flow, targets[t, 0], t, replacements)
    np.testing.assert_allclose(real[:, 1], 0, atol=1e-12)
    np.testing.assert_allclose(promised[:, 1], 0, atol=1e-12)
    assert np.isfinite(influence(model, flow)[t]).all()
    if read == "vectors":
        # A step so small that the first order is all there is.
        near = inputs[: t + 1, 0] + 1e-7 * (replacements[:, 0] - inputs[: t + 1, 0])
        small = true_changes(model, flow, targets[t, 0], t, near[:, None])[:, 0]
        np.testing.assert_allclose(small, 1e-7 * promised[:, 0], rtol=1e-4, atol=1e-12)


# -- What cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"input_size": 0, "outputs": 2}, "at least 1 number"),
        ({"input_size": 2}, "say how many outputs"),
        ({"input_size": 2, "outputs": 2, "embedding_size": 3}, "choose one of the two"),
        ({"outputs": 0}, "at least 1 output"),
        ({"outputs": 2, "tied": True, "embedding_size": 100}, "untie them"),
        ({"loss": "squared_error"}, "say how many outputs"),
        ({"loss": "hinge", "outputs": 2}, "choose one of cross_entropy, squared_error"),
    ],
)
def test_a_senseless_network_is_refused_with_the_reason(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        Network(NetworkConfig(**options))


def test_vectors_and_numbers_that_cannot_be_are_refused() -> None:
    model = network("vectors", "numbers")
    inputs, targets = batch_for(model)
    for wrong in (np.nan, np.inf):
        for place in (0, 1):
            given_batch = [inputs.copy(), targets.copy()]
            given_batch[place][1, 1, 0] = wrong
            with pytest.raises(ValueError, match="finite real numbers"):
                model.loss_and_gradients(*given_batch)
            # In padding it is never read.
            mask = np.ones((T, B), bool)
            mask[1, 1] = False
            assert np.isfinite(model.loss_and_gradients(*given_batch, mask)[1]["W"]).all()
    with pytest.raises(ValueError, match="vectors of shape"):
        model.loss_and_gradients(inputs[..., :1], targets)
    with pytest.raises(ValueError, match="one shape .* with 2 numbers"):
        model.loss_and_gradients(inputs, targets[..., 0])
    with pytest.raises(ValueError, match="the batch is empty"):
        model.loss_and_gradients(inputs[:0], targets[:0])
    classes = network("vectors", "classes")
    with pytest.raises(ValueError, match="one is 4"):
        classes.loss_and_gradients(inputs, np.full((T, B), 4))


# -- Tasks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [TemporalOrder(), Adding(steps=12)], ids=lambda task: task.name)
def test_a_task_trains_a_network(task: Any) -> None:
    """A few steps of plain gradient descent on one batch: its loss falls."""
    config = NetworkConfig(
        cell="lstm",
        vocabulary_size=task.symbols or 2,
        input_size=task.input_size,
        outputs=task.outputs,
        loss=task.loss,
        hidden_size=8,
    )
    model, batch = Network(config, np.random.default_rng(0), np.float64), task.batch(16, seed=0, step=0)
    losses = []
    for _ in range(15):
        loss, gradients = model.loss_and_gradients(
            batch.inputs, batch.targets, batch.mask, loss_weights=batch.loss_weights
        )
        losses.append(loss)
        for name, gradient in gradients.items():
            model.params[name] -= 0.2 * gradient
    assert losses[-1] < losses[0]
    if task.loss == "squared_error":
        # The loss that training minimises is the metric that the task reports.
        outputs, _ = model.outputs(batch.inputs)
        metric = task.metric(outputs, batch)
        loss = model.loss(batch.inputs, batch.targets, batch.mask, batch.loss_weights)
        assert loss == pytest.approx(metric)


def test_only_a_language_model_speaks_of_words() -> None:
    assert not hasattr(Network, "log_probabilities")
    assert issubclass(LanguageModel, Network)
