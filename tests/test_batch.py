"""The door of every computation: a batch that cannot be is refused with the reason, and padding may hold anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import LanguageModel, ModelConfig, gradient_flow
from rnn_core.diagnostics import gradient_by_sentence, horizon, lyapunov_exponents, sentence_lag_norms, text_trace
from rnn_core.nn.cells import CELL_FORMS
from rnn_core.nn.gradients import to_dense
from rnn_core.reference.small_networks import small_model

N, T, B = 7, 4, 3
MODEL = small_model(ModelConfig(cell="lstm", vocabulary_size=N, hidden_size=3))
Entry = Callable[[np.ndarray, np.ndarray], Any]

WITH_TARGETS: dict[str, Entry] = {
    "loss": MODEL.loss,
    "token_losses": MODEL.token_losses,
    "loss_and_gradients": MODEL.loss_and_gradients,
    "loss_and_gradients, truncated": lambda x, y: MODEL.loss_and_gradients(x, y, truncate=2),
    "training_gradients": MODEL.training_gradients,
    "gradient_flow": lambda x, y: gradient_flow(MODEL, x, y),
    "horizon": lambda x, y: horizon(MODEL, x, y),
    "gradient_by_sentence": lambda x, y: gradient_by_sentence(MODEL, x, y),
    "sentence_lag_norms": lambda x, y: sentence_lag_norms(MODEL, x, y),
}
WITHOUT_TARGETS: dict[str, Entry] = {
    "forward": lambda x, _: MODEL.forward(x),
    "log_probabilities": lambda x, _: MODEL.log_probabilities(x),
    "advance": lambda x, _: MODEL.advance(x[0], MODEL.initial_state(x.shape[1])),
    "text_trace": lambda x, _: text_trace(MODEL, x),
}
ENTRIES = WITH_TARGETS | WITHOUT_TARGETS


def ids(steps: int = T, batch: int = B) -> tuple[np.ndarray, np.ndarray]:
    inputs, targets = np.random.default_rng(0).integers(0, N, (2, steps, batch))
    return inputs, targets


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
@pytest.mark.parametrize("wrong", [-1, -100, N, 10**9])
def test_an_input_that_is_no_word_is_refused_by_every_entry(entry: Entry, wrong: int) -> None:
    inputs, targets = ids()
    inputs[0, 1] = wrong
    with pytest.raises(ValueError, match=f"inputs must be ids from 0 to {N - 1}, and one is {wrong}"):
        entry(inputs, targets)


@pytest.mark.parametrize("entry", WITH_TARGETS.values(), ids=WITH_TARGETS)
@pytest.mark.parametrize("wrong", [-1, -100, N, 10**9])
def test_a_target_that_is_no_word_is_refused_by_every_entry(entry: Entry, wrong: int) -> None:
    inputs, targets = ids()
    targets[2, 0] = wrong
    with pytest.raises(ValueError, match=f"targets must be ids from 0 to {N - 1}, and one is {wrong}"):
        entry(inputs, targets)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
@pytest.mark.parametrize("kind", [float, bool, complex, object, str])
def test_ids_that_are_no_whole_numbers_are_refused_by_every_entry(entry: Entry, kind: type) -> None:
    inputs, targets = ids()
    with pytest.raises(ValueError, match="must be ids, whole numbers from 0 to"):
        entry(inputs.astype(kind), targets)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
@pytest.mark.parametrize("shape", [(0, B), (T, 0), (0, 0)])
def test_an_empty_batch_is_refused_by_every_entry(entry: Entry, shape: tuple[int, int]) -> None:
    empty = np.zeros(shape, int)
    if entry is ENTRIES["advance"] and not shape[0]:
        return  # it takes one step
    with pytest.raises(ValueError, match="the batch is empty"):
        entry(empty, empty)


def test_a_sentence_of_no_words_is_refused() -> None:
    nothing = np.zeros(0, int)
    with pytest.raises(ValueError, match="the batch is empty"):
        gradient_flow(MODEL, nothing, nothing)


@given(
    data=st.data(),
    kept=st.lists(st.booleans(), min_size=T * B, max_size=T * B),
    junk=st.sampled_from([-1, -100, N, 255, -(2**40), 3]),
)
@settings(deadline=None, max_examples=30)
def test_what_stands_in_padding_is_never_read(data: st.DataObject, kept: list[bool], junk: int) -> None:
    inputs, targets = ids()
    mask = np.array(kept).reshape(T, B)
    form = data.draw(st.sampled_from(CELL_FORMS))
    config = ModelConfig(cell=form.name, gru_reset=form.reset or "after", vocabulary_size=N, hidden_size=3)
    model = small_model(config)
    dirty = np.where(mask, inputs, junk), np.where(mask, targets, junk)
    loss, gradients, state = model.training_gradients(inputs, targets, mask)
    other_loss, others, other_state = model.training_gradients(*dirty, mask)
    assert other_loss == loss
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(to_dense(others[name]), to_dense(gradient))
    np.testing.assert_array_equal(other_state, state)
    np.testing.assert_array_equal(model.token_losses(*dirty, mask)[0], model.token_losses(inputs, targets, mask)[0])


def test_the_target_of_a_loss_that_does_not_count_is_never_read() -> None:
    inputs, targets = ids()
    weights = np.ones((T, B))
    weights[1] = 0
    expected = MODEL.loss_and_gradients(inputs, targets, loss_weights=weights)
    targets[1] = -100
    found = MODEL.loss_and_gradients(inputs, targets, loss_weights=weights)
    assert found[0] == expected[0]
    for name, gradient in expected[1].items():
        np.testing.assert_array_equal(found[1][name], gradient)


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_a_loss_weight_that_is_no_weight_is_refused(wrong: float) -> None:
    weights = np.ones((T, B))
    weights[0, 0] = wrong
    with pytest.raises(ValueError, match="loss_weights must be finite numbers from 0 up"):
        MODEL.loss_and_gradients(*ids(), loss_weights=weights)
    with pytest.raises(ValueError, match="shape of the inputs"):
        MODEL.loss_and_gradients(*ids(), loss_weights=np.ones((T, B + 1)))


def test_loss_weights_too_large_to_be_added_are_refused() -> None:
    with pytest.raises(ValueError, match="add up to a finite number"):
        MODEL.loss_and_gradients(*ids(), loss_weights=np.full((T, B), 1e308))


@pytest.mark.parametrize("wrong", [-1, 0.5, np.nan, np.inf, 2, "no", None])
def test_a_mask_that_says_neither_yes_nor_no_is_refused(wrong: object) -> None:
    mask = np.ones((T, B)).astype(type(wrong) if isinstance(wrong, (int, float)) else object)
    mask[0, 0] = wrong
    with pytest.raises(ValueError, match="mask must be True or 1"):
        MODEL.loss_and_gradients(*ids(), mask)


def test_ones_and_zeros_are_a_mask_as_well_as_yes_and_no() -> None:
    mask = np.ones((T, B), bool)
    mask[-1, 0] = False
    expected = MODEL.loss_and_gradients(*ids(), mask)[0]
    for kind in (int, np.float32, np.uint8):
        assert MODEL.loss_and_gradients(*ids(), mask.astype(kind))[0] == expected


@pytest.mark.parametrize("wrong", [-1, 1.5, "full", np.nan, (2,)])
def test_a_truncation_that_is_no_number_of_steps_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="truncate is a whole number of steps from 0 up, or None"):
        MODEL.loss_and_gradients(*ids(), truncate=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, np.int64, object])
def test_a_network_of_other_numbers_than_float32_and_float64_is_refused(dtype: type) -> None:
    with pytest.raises(ValueError, match="float32 or float64"):
        LanguageModel(ModelConfig(vocabulary_size=N, hidden_size=3), dtype=dtype)
    params = {name: value.astype(dtype) for name, value in MODEL.params.items()}
    with pytest.raises(ValueError, match="float32 or float64"):
        LanguageModel(MODEL.config, params=params)


def test_a_state_of_another_batch_or_network_is_refused() -> None:
    inputs, targets = ids()
    for state in (MODEL.initial_state(B + 1), MODEL.initial_state(B) * 2, [np.zeros((B, 3))]):
        with pytest.raises(ValueError, match="the state must be one array for each layer"):
            MODEL.training_gradients(inputs, targets, state=state)


# -- Columns without a token ------------------------------------------------------------------------------------------


def test_a_sentence_without_tokens_has_no_part_in_a_batchs_gradient() -> None:
    inputs, targets = ids()
    mask = np.ones((T, B), bool)
    mask[:, 1] = False
    found, alone = (
        gradient_by_sentence(MODEL, inputs, targets, mask),
        gradient_by_sentence(MODEL, inputs[:, ::2], targets[:, ::2]),
    )
    assert found.norms[1] == found.shares[1] == found.tokens[1] == 0
    np.testing.assert_allclose(found.norms[::2], alone.norms, rtol=1e-12)
    np.testing.assert_allclose(found.shares[::2], alone.shares, rtol=1e-12)
    assert found.total_norm == pytest.approx(alone.total_norm, rel=1e-12)
    assert not len(sentence_lag_norms(MODEL, inputs, targets, mask, sentence=1))


def test_a_batch_of_nothing_but_padding_has_no_loss_and_no_gradient() -> None:
    inputs, targets = ids()
    nothing = np.zeros((T, B), bool)
    loss, gradients = MODEL.loss_and_gradients(inputs, targets, nothing)
    assert loss == 0
    assert not any(gradient.any() for gradient in gradients.values())
    flow = gradient_flow(MODEL, inputs, targets, nothing)
    assert not flow.lag_gradients["W"].any()
    assert np.isnan(flow.delta_norms).all()
    found = gradient_by_sentence(MODEL, inputs, targets, nothing)
    assert found.total_norm == 0
    assert not found.shares.any()


# -- Directions that are gone -----------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6), size=st.integers(2, 8), batch=st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_below_the_rank_of_its_jacobians_product_a_relu_network_has_exponents_of_minus_infinity(
    seed: int, size: int, batch: int
) -> None:
    rng = np.random.default_rng(seed)
    model = LanguageModel(ModelConfig(cell="relu", vocabulary_size=N, hidden_size=size), rng, np.float64)
    for value in model.params.values():
        value[:] = rng.standard_normal(value.shape)
    trace = model.forward(rng.integers(0, N, (8, batch)))
    # Of a generic W the rank of the product is that of its poorest factor: the fewest units that are on at a step.
    rank = min(int(trace.layers[0].slopes[0, :, b].sum(axis=-1).min()) for b in range(batch))
    exponents = lyapunov_exponents(trace).exponents
    assert np.all(np.isfinite(exponents[:rank]))
    assert np.all(exponents[rank:] == -np.inf)


def test_a_recurrent_matrix_of_rank_one_leaves_one_exponent() -> None:
    model = small_model(ModelConfig(cell="tanh", vocabulary_size=N, hidden_size=5))
    rng = np.random.default_rng(1)
    model.params["W"][:] = np.outer(rng.standard_normal(5), rng.standard_normal(5))
    exponents = lyapunov_exponents(model.forward(rng.integers(0, N, (40, 2)))).exponents
    assert np.isfinite(exponents[0])
    assert np.all(exponents[1:] == -np.inf)
