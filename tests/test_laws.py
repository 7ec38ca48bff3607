"""What must hold for every network and every batch, whatever their sizes: laws, searched for exceptions."""

from __future__ import annotations

from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import LanguageModel, ModelConfig, gradient_flow
from rnn_core.nn import gradients
from rnn_core.nn.cells import CELL_FORMS
from rnn_core.nn.gradients import Occurrences, RowGradient, squared_norm, subtract, to_dense
from rnn_core.optim.clipping import clip_by_global_norm, clip_by_value, global_norm
from rnn_core.optim.optimizers import OPTIMIZERS, make_optimizer
from rnn_core.reference.small_networks import small_model, small_state
from rnn_core.reference.tutorial import bptt, total_loss

quick = settings(deadline=None, max_examples=40)
FORMS = [(cell.name, cell.reset or "after") for cell in CELL_FORMS]


@st.composite
def networks(draw: st.DrawFn) -> LanguageModel:
    """Any cell, 1 to 3 layers, one-hot, embedded or tied, with or without biases; every parameter random."""
    cell, gru_reset = draw(st.sampled_from(FORMS))
    hidden = draw(st.integers(1, 5))
    tied = draw(st.booleans())
    config = ModelConfig(
        cell=cell,
        gru_reset=gru_reset,
        vocabulary_size=draw(st.integers(2, 8)),
        hidden_size=hidden,
        layers=draw(st.integers(1, 3)),
        embedding_size=hidden if tied else draw(st.sampled_from([None, 1, 3])),
        tied=tied,
        bias=draw(st.booleans()),
    )
    return small_model(config, draw(st.integers(0, 2**32)))


class Texts(NamedTuple):
    """Sequences of different lengths, each (inputs, targets), for a network; a generator for what else is needed."""

    model: LanguageModel
    sequences: list[tuple[np.ndarray, np.ndarray]]
    rng: np.random.Generator

    def packed(self, extra: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One batch, the words of each sequence in order at random places, anything at all in between."""
        steps = max(len(x) for x, _ in self.sequences) + extra
        inputs, targets = self.rng.integers(0, self.model.config.vocabulary_size, (2, steps, len(self.sequences)))
        mask = np.zeros(inputs.shape, bool)
        for b, (x, y) in enumerate(self.sequences):
            places = np.sort(self.rng.permutation(steps)[: len(x)])
            inputs[places, b], targets[places, b], mask[places, b] = x, y, True
        return inputs, targets, mask


@st.composite
def texts(draw: st.DrawFn, most_steps: int = 7) -> Texts:
    model = draw(networks())
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    lengths = draw(st.lists(st.integers(1, most_steps), min_size=1, max_size=4))
    words = model.config.vocabulary_size
    return Texts(model, [tuple(rng.integers(0, words, (2, length))) for length in lengths], rng)


windows = st.one_of(st.none(), st.integers(0, 8))


def assert_same(ours: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """To rounding: what is left of a sum that cancels is small beside the largest gradient of the network."""
    assert ours.keys() == expected.keys()
    scale = max(np.abs(value).max() for value in expected.values())
    for name, value in expected.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-9, atol=1e-12 * (scale + 1e-3), err_msg=name)


@quick
@given(texts(), windows, st.integers(0, 4))
def test_padding_changes_no_loss_and_no_gradient_wherever_it_stands(
    case: Texts, truncate: int | None, extra: int
) -> None:
    """The batch with its padding is, word for word, the sequences one at a time without any."""
    model = case.model
    tokens = sum(len(x) for x, _ in case.sequences)
    loss, gradients = model.loss_and_gradients(*case.packed(extra), truncate=truncate)
    expected_loss, expected = 0.0, {name: np.zeros_like(value) for name, value in model.params.items()}
    for x, y in case.sequences:
        own_loss, own = model.loss_and_gradients(x[:, None], y[:, None], truncate=truncate)
        expected_loss += own_loss * len(x) / tokens
        for name, gradient in own.items():
            expected[name] += gradient * len(x) / tokens
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert model.loss(*case.packed(extra)) == pytest.approx(expected_loss, rel=1e-12)
    assert_same(gradients, expected)


@quick
@given(texts(), st.integers(0, 4))
def test_padding_changes_no_state_and_no_single_loss(case: Texts, extra: int) -> None:
    inputs, targets, mask = case.packed(extra)
    start = small_state(case.model, inputs.shape[1])
    losses, after = case.model.token_losses(inputs, targets, mask, start)
    assert not losses[~mask].any()
    for b, (x, y) in enumerate(case.sequences):
        alone, end = case.model.token_losses(x[:, None], y[:, None], state=[part[b : b + 1] for part in start])
        np.testing.assert_allclose(losses[mask[:, b], b], alone[:, 0], rtol=1e-11, atol=1e-13)
        for part, own in zip(after, end, strict=True):
            np.testing.assert_allclose(part[b], own[0], rtol=1e-11, atol=1e-13)


@quick
@given(texts(), windows)
def test_the_order_of_a_batch_changes_nothing(case: Texts, truncate: int | None) -> None:
    inputs, targets, mask = case.packed(1)
    order = case.rng.permutation(inputs.shape[1])
    loss, gradients = case.model.loss_and_gradients(inputs, targets, mask, truncate)
    other_loss, other = case.model.loss_and_gradients(inputs[:, order], targets[:, order], mask[:, order], truncate)
    assert other_loss == pytest.approx(loss, rel=1e-12)
    assert_same(other, gradients)


@quick
@given(texts(), windows)
def test_a_duplicated_batch_leaves_the_mean_gradient(case: Texts, truncate: int | None) -> None:
    batch = case.packed(1)
    loss, gradients = case.model.loss_and_gradients(*batch, truncate)
    twice_loss, twice = case.model.loss_and_gradients(*(np.concatenate([a, a], axis=1) for a in batch), truncate)
    assert twice_loss == pytest.approx(loss, rel=1e-12)
    assert_same(twice, gradients)


@quick
@given(texts(), windows)
def test_permuting_the_vocabulary_permutes_the_gradients(case: Texts, truncate: int | None) -> None:
    model, (inputs, targets, mask) = case.model, case.packed(1)
    new_id = case.rng.permutation(model.config.vocabulary_size)
    old_id = np.argsort(new_id)
    by_word = {"E", "V", "c"} | ({"U"} if model.config.embedding_size is None else set())

    def renamed(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: value[old_id] if name in by_word else value for name, value in arrays.items()}

    loss, gradients = model.loss_and_gradients(inputs, targets, mask, truncate)
    other = LanguageModel(model.config, params=renamed(model.params))
    other_loss, other_gradients = other.loss_and_gradients(new_id[inputs], new_id[targets], mask, truncate)
    assert other_loss == pytest.approx(loss, rel=1e-12)
    assert_same(other_gradients, renamed(gradients))


@quick
@given(networks(), st.integers(2, 8), st.integers(1, 3), st.data())
def test_two_chunks_with_the_state_carried_over_equal_the_whole(
    model: LanguageModel, steps: int, batch: int, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, steps - 1))
    inputs, targets = np.random.default_rng(steps).integers(0, model.config.vocabulary_size, (2, steps, batch))
    whole, end = model.log_probabilities(inputs)
    first, middle = model.log_probabilities(inputs[:cut])
    second, end_of_second = model.log_probabilities(inputs[cut:], middle)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, rtol=1e-11, atol=1e-13)
    for part, other in zip(end, end_of_second, strict=True):
        np.testing.assert_allclose(part, other, rtol=1e-11, atol=1e-13)
    one_by_one, state = [], model.initial_state(batch)
    for ids in inputs:
        log_p, state = model.advance(ids, state)
        one_by_one.append(log_p)
    np.testing.assert_allclose(np.stack(one_by_one), whole, rtol=1e-11, atol=1e-13)
    # In training, too: the loss of the parts, weighted by their tokens, is the loss of the whole.
    first_loss, _, carried = model.training_gradients(inputs[:cut], targets[:cut])
    second_loss, _, _ = model.training_gradients(inputs[cut:], targets[cut:], state=carried)
    parts = (first_loss * cut + second_loss * (steps - cut)) / steps
    assert parts == pytest.approx(model.loss(inputs, targets), rel=1e-12)


@quick
@given(texts(), st.integers(0, 3))
def test_truncation_at_the_last_lag_equals_none(case: Texts, beyond: int) -> None:
    batch = case.packed(0)
    longest = max(len(x) for x, _ in case.sequences)
    loss, full = case.model.loss_and_gradients(*batch)
    cut_loss, cut = case.model.loss_and_gradients(*batch, truncate=longest - 1 + beyond)
    assert cut_loss == pytest.approx(loss, rel=1e-13)
    assert_same(cut, full)


@quick
@given(
    st.integers(2, 8), st.integers(1, 5), st.integers(1, 9), st.one_of(st.none(), st.integers(0, 9)),
    st.integers(0, 2**32),
)  # fmt: skip
def test_the_truncated_gradient_is_the_naive_oracles_for_every_window(
    words: int, hidden: int, steps: int, truncate: int | None, seed: int
) -> None:
    model = small_model(ModelConfig(vocabulary_size=words, hidden_size=hidden, bias=False), seed)
    x, y = np.random.default_rng(seed).integers(0, words, (2, steps))
    matrices = model.params["U"].T, model.params["V"], model.params["W"]
    oracle = bptt(x, y, *matrices, bptt_truncate=steps if truncate is None else truncate)
    loss, gradients = model.loss_and_gradients(x[:, None], y[:, None], truncate=truncate)
    assert loss * steps == pytest.approx(total_loss(x, y, *matrices), rel=1e-12)
    # The tutorial sums over the words where we take the mean.
    summed = {name: gradient * steps for name, gradient in gradients.items()}
    assert_same(summed, {"U": oracle.dU.T, "V": oracle.dV, "W": oracle.dW})


@quick
@given(texts(most_steps=6))
def test_the_lag_gradients_of_every_recurrent_parameter_sum_to_the_gradient(case: Texts) -> None:
    inputs, targets, mask = case.packed(0)
    # The pictures want padding behind the text.
    front = np.argsort(~mask, axis=0, kind="stable")
    inputs, targets, mask = (np.take_along_axis(a, front, axis=0) for a in (inputs, targets, mask))
    flow = gradient_flow(case.model, inputs, targets, mask)
    _, gradients = case.model.loss_and_gradients(inputs, targets, mask)
    recurrent = {name for name in gradients if name[0] in "UWb"}
    assert set(flow.lag_gradients) == recurrent
    for name in recurrent:
        assert flow.lag_gradients[name].shape == (len(inputs), *gradients[name].shape)
    assert_same(
        {name: flow.lag_gradients[name].sum(axis=0) for name in recurrent},
        {name: gradients[name] for name in recurrent},
    )
    # Cut off after K lags, what is left is the truncated gradient: the tutorial's five terms for K = 4.
    for window in range(len(inputs)):
        _, cut = case.model.loss_and_gradients(inputs, targets, mask, truncate=window)
        assert_same(
            {name: flow.lag_gradients[name][: window + 1].sum(axis=0) for name in recurrent},
            {name: cut[name] for name in recurrent},
        )


# -- The forms of a gradient ------------------------------------------------------------------------------------------


@st.composite
def row_gradients(draw: st.DrawFn) -> tuple[RowGradient, np.ndarray]:
    """A gradient by rows, and the same one summed up position by position."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    words, width, positions = draw(st.integers(1, 9)), draw(st.integers(1, 4)), draw(st.integers(1, 20))
    ids, values = rng.integers(0, words, positions), rng.standard_normal((positions, width))
    plain = np.zeros((words, width))
    for word, value in zip(ids, values, strict=True):
        plain[word] += value
    with mock.patch.object(gradients, "OFTEN", draw(st.sampled_from([0, 1, 4, 20]))):  # both ways to add, and mixtures
        return RowGradient.from_positions(Occurrences(ids), values[None], plain.shape), plain


@quick
@given(row_gradients(), st.floats(-2, 2))
def test_the_row_form_equals_the_dense_one_in_value_norm_and_update(
    forms: tuple[RowGradient, np.ndarray], rate: float
) -> None:
    compact, plain = forms
    np.testing.assert_allclose(to_dense(compact), plain, rtol=1e-12, atol=1e-13)
    assert squared_norm(compact) == pytest.approx(squared_norm(plain), rel=1e-11)
    assert squared_norm(plain) == pytest.approx((plain**2).sum(), rel=1e-12)
    start = np.random.default_rng(1).standard_normal(plain.shape)
    updated = start.copy()
    subtract(updated, compact, rate)
    np.testing.assert_allclose(updated, start - rate * plain, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@quick
@given(case=texts(), clip=st.sampled_from([None, 0.1]), decay=st.sampled_from([0.0, 0.1]))
@pytest.mark.slow
def test_every_optimizer_takes_compact_gradients_as_it_takes_dense_ones(
    optimizer: str, case: Texts, clip: float | None, decay: float
) -> None:
    one = case.model
    other = LanguageModel(one.config, params={name: value.copy() for name, value in one.params.items()})
    rules = [make_optimizer(optimizer, model.params, decay) for model in (one, other)]
    for _ in range(2):
        batch = case.packed(0)
        _, compact, _ = one.training_gradients(*batch)
        _, dense = one.loss_and_gradients(*batch)
        length = np.sqrt(sum((value**2).sum() for value in dense.values()))
        assert global_norm(compact) == pytest.approx(length, rel=1e-11)
        assert global_norm(dense) == pytest.approx(length, rel=1e-11)
        scales = [1.0 if clip is None else clip_by_global_norm(form, clip)[1] for form in (compact, dense)]
        assert_same(clip_by_value(compact, 0.05), clip_by_value(dense, 0.05))
        rules[0].update(one.params, compact, 0.1, scales[0])
        rules[1].update(other.params, dense, 0.1, scales[1])
        for name, value in other.params.items():
            # An adaptive rule divides by the gradient's own size: rounding in g shows as g's relative error.
            np.testing.assert_allclose(one.params[name], value, rtol=1e-7, atol=1e-8, err_msg=name)
