"""The pictures' numbers against independent computations: the forward pass alone, dense matrices, the training code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnn_core import LanguageModel, ModelConfig, gradient_flow
from rnn_core.arrays import Array
from rnn_core.config import TextSettings
from rnn_core.data import AgreementItem, Vocabulary, agreement_items, agreement_sentences
from rnn_core.diagnostics import (
    activation_curve,
    agreement_accuracy,
    delta_step_norms,
    fixed_step_bound,
    gradient_by_lag,
    gradient_by_sentence,
    gradient_step_norms,
    half_life,
    horizon,
    horizon_of_flow,
    influence,
    lyapunov_exponents,
    path_contributions,
    predicted_changes,
    product_singular_values,
    recurrent_spectrum,
    relative_decay,
    saturation,
    sentence_lag_norms,
    signals,
    state_jacobian,
    state_jacobians,
    step_norms,
    triangle,
    true_changes,
    two_paths,
    where_lost,
    which_words_mattered,
)
from rnn_core.diagnostics.horizon import data_bounds, step_factors
from rnn_core.diagnostics.jacobian import Recurrence
from rnn_core.diagnostics.norms import safe_log
from rnn_core.errors import CorpusError
from rnn_core.nn.activations import ACTIVATIONS
from rnn_core.nn.cells import CELL_FORMS, make_cell, merge_gates, split_gates
from rnn_core.nn.network import Trace

CELLS: list[dict[str, Any]] = [
    {"cell": cell.name} | ({"gru_reset": cell.reset} if cell.reset == "before" else {}) for cell in CELL_FORMS
]
FORMS = [{**cell, "layers": layers} for cell in CELLS for layers in (1, 2)]
GATED = [form for form in FORMS if make_cell(form["cell"]).gated]
PLAIN = [form for form in FORMS if form not in GATED]
N, H = 9, 4


def name_of(form: dict[str, Any]) -> str:
    return "-".join(str(part) for part in form.values())


def network(form: dict[str, Any], scale: float = 2.0, **more: Any) -> LanguageModel:
    """A small float64 network with every parameter random, biases too."""
    config = ModelConfig(vocabulary_size=N, hidden_size=H, **form, **more)
    rng = np.random.default_rng(7)
    model = LanguageModel(config, rng=rng, dtype=np.float64)
    for value in model.params.values():
        value[:] = rng.standard_normal(value.shape) * scale / np.sqrt(value.shape[-1])
    return model


def texts(steps: int = 7, batch: int = 3) -> tuple[Array, Array]:
    inputs, targets = np.random.default_rng(8).integers(0, N, (2, steps, batch))
    return inputs, targets


def joint_states(trace: Trace) -> Array:
    return np.concatenate([layer.states for layer in trace.layers], axis=-1)


def in_complex(model: LanguageModel) -> LanguageModel:
    return LanguageModel(model.config, params={name: p.astype(np.complex128) for name, p in model.params.items()})


# -- One step ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_the_state_jacobian_is_the_derivative_of_the_forward_step(form: dict[str, Any]) -> None:
    """By complex steps (h = 1e-30) through the forward pass alone."""
    model, (x, _) = network(form), texts()
    trace = model.forward(x)
    t, b = 4, 1
    before = joint_states(trace)[t, b]
    derivative = np.empty((len(before), len(before)))
    for k in range(len(before)):
        pushed = before.astype(np.complex128)
        pushed[k] += 1e-30j
        widths = [layer.states.shape[-1] for layer in trace.layers]
        state = [part[None] for part in np.split(pushed, np.cumsum(widths)[:-1])]
        after = joint_states(in_complex(model).forward(x[t : t + 1, b : b + 1], state))[1, 0]
        derivative[:, k] = after.imag / 1e-30
    np.testing.assert_allclose(state_jacobian(trace, t, sequence=b), derivative, atol=1e-13)


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_the_jacobian_read_forwards_and_backwards_is_the_same_matrix(form: dict[str, Any]) -> None:
    trace = network(form).forward(texts()[0])
    recurrence = Recurrence(trace)
    matrices = state_jacobians(trace, sequence=2)
    columns = recurrence.forward(np.eye(recurrence.size), (slice(None), 2, None))
    np.testing.assert_allclose(np.swapaxes(columns, -1, -2), matrices, atol=1e-14)


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_step_norms_are_the_spectral_norms_of_the_jacobians(form: dict[str, Any]) -> None:
    trace = network(form).forward(texts()[0])
    for layer in (None, *range(form["layers"])):
        dense = [np.linalg.norm(state_jacobians(trace, layer, b), 2, axis=(1, 2)) for b in range(3)]
        np.testing.assert_allclose(step_norms(trace, layer), np.stack(dense, axis=1), rtol=1e-9, atol=1e-12)


def test_step_norms_hold_for_large_layers_and_dead_ones() -> None:
    for cell in ("tanh", "lstm"):
        model = LanguageModel(ModelConfig(cell=cell, vocabulary_size=N, hidden_size=60), dtype=np.float64)
        trace = model.forward(texts()[0])
        dense = np.linalg.norm(state_jacobians(trace, sequence=1), 2, axis=(1, 2))
        np.testing.assert_allclose(step_norms(trace)[:, 1], dense, rtol=1e-9)
    model = network({"cell": "relu"})
    model.params["b"][:] = -1e6
    np.testing.assert_array_equal(step_norms(model.forward(texts()[0])), 0)


@pytest.mark.parametrize("form", PLAIN, ids=name_of)
def test_delta_step_norms_are_those_of_w_times_the_slopes(form: dict[str, Any]) -> None:
    model = network(form)
    trace = model.forward(texts()[0])
    if form["layers"] == 1:
        matrices = model.params["W"] * trace.layers[0].slopes[0, ..., None, :]
    else:
        # Unit deltas at k + 1, handed to the states at k by each layer's W, and walked through step k.
        recurrence = Recurrence(trace)
        block = np.zeros((2 * H, 2 * H))
        block[:H, :H], block[H:, H:] = model.params["W"], model.params["W2"]
        deltas = [delta[0] for delta in recurrence.back(block, (slice(None), slice(None), None))[1]]
        matrices = np.concatenate(deltas, axis=-1)
    np.testing.assert_allclose(delta_step_norms(trace), np.linalg.norm(matrices, 2, axis=(2, 3)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_gradient_step_norms_are_those_of_the_way_from_one_joint_gradient_to_the_one_before(
    form: dict[str, Any],
) -> None:
    """The matrix by its rows: lag steps that begin with unit gradients, what upper layers hand down included."""
    form = {**form, "layers": 3} if form["layers"] == 2 else form
    trace = network(form).forward(texts(5, 1)[0])
    measured = gradient_step_norms(trace)
    for k in range(4):
        rows = []
        for layer in trace.layers:
            for unit in range(layer.states.shape[-1]):
                later = [np.zeros((1, 1, item.states.shape[-1])) for item in trace.layers]
                later[trace.layers.index(layer)][..., unit] = 1
                before = [part[0] @ state_jacobian(trace, k + 1, depth) for depth, part in enumerate(later)]
                for depth in range(len(before) - 1, 0, -1):
                    upper = trace.layers[depth]
                    delta = np.empty((upper.cell.d_preactivation_blocks, 1, H))
                    upper.cell.step_back(split_gates(before[depth], H), upper.slopes[:, k], upper.weights, delta)
                    before[depth - 1][..., :H] += upper.input_gradient(delta)
                rows.append(np.concatenate(before, axis=-1)[0])
        assert measured[k, 0] == pytest.approx(np.linalg.norm(np.array(rows), 2), rel=1e-9, abs=1e-12)


def test_gated_cells_have_no_step_from_delta_to_delta() -> None:
    with pytest.raises(ValueError, match="step_norms"):
        delta_step_norms(network({"cell": "gru"}).forward(texts()[0]))


# -- Triangle and horizon ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_delta_norms_are_the_derivatives_of_one_loss_by_one_words_input_projection(form: dict[str, Any]) -> None:
    """By complex steps in U: where every word stands once, its row of U is the input projection of its position."""
    model = network(form)
    x, y = np.array([3, 1, 4, 0, 5]), np.array([1, 5, 2, 6, 5])
    flow = gradient_flow(model, x, y)
    derivative = np.zeros((5, 5))  # of the first layer's part
    for k in range(5):
        for column in range(model.params["U"].shape[1]):
            pushed = in_complex(model)
            pushed.params["U"][x[k], column] += 1e-30j
            losses, _ = pushed.token_losses(x[:, None], y[:, None])
            derivative[:, k] += (losses[:, 0].imag / 1e-30) ** 2
    first_layer = np.zeros((5, 5))
    for item in flow.lag_steps:
        delta = merge_gates(model.cell.input_part(item.d_preactivations[0]))[:, 0]
        t = np.arange(item.lag, 5)
        first_layer[t, t - item.lag] = (delta**2).sum(axis=1)
    np.testing.assert_allclose(first_layer, derivative, rtol=1e-10, atol=1e-20)
    measured = np.tril(np.nan_to_num(flow.delta_norms)) ** 2
    if form["layers"] == 1:
        np.testing.assert_allclose(measured, derivative, rtol=1e-10, atol=1e-20)
    else:
        assert np.all(measured >= derivative * (1 - 1e-12))
    alive = np.diagonal(flow.delta_norms) > 0  # of a loss that finds every unit dead there is no share
    shares = flow.delta_norms[alive] / np.diagonal(flow.delta_norms)[alive, None]
    np.testing.assert_allclose(triangle(flow, relative=True)[alive], shares)
    assert np.isnan(triangle(flow, relative=True)[~alive]).all()


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_the_bounds_lie_above_the_truth_and_the_fixed_one_above_that_of_the_data(form: dict[str, Any]) -> None:
    model, (x, y) = network(form), texts(12)
    seen = horizon(model, x, y)
    assert seen.data_bound is not None
    truth = seen.state_median if model.cell.gated else seen.median
    assert np.all(truth <= seen.data_bound * (1 + 1e-9))
    if not model.cell.gated:
        assert seen.fixed_bound is not None
        assert np.all(seen.data_bound <= seen.fixed_bound * (1 + 1e-9))
        assert np.all(seen.data_bound[1:] < seen.fixed_bound[1:])
        if form["cell"] != "relu":
            assert np.all(truth[1:] < seen.data_bound[1:])
    else:
        assert seen.fixed_bound is None
        assert seen.radius_power is None
    # Not in the median only: for every loss and lag, and for the Jacobian products that the steps' norms bound.
    flow = gradient_flow(model, x, y)
    bounds = data_bounds(step_factors(flow.trace), flow.mask, 12)
    trace = flow.trace
    for lag in (1, 5, 11):
        item = flow.lag_steps[lag]
        if not model.cell.gated:
            walked = [merge_gates(model.cell.input_part(delta)) for delta in item.d_preactivations]
            start = [merge_gates(model.cell.input_part(delta))[lag:] for delta in flow.lag_steps[0].d_preactivations]
        else:
            walked, start = item.d_states, [d_state[lag:] for d_state in flow.lag_steps[0].d_states]
        lengths, own = (np.linalg.norm(np.concatenate(parts, -1), axis=-1) for parts in (walked, start))
        assert np.all(lengths <= own * bounds[lag] * (1 + 1e-9))
        product = product_singular_values(trace, lags=[lag], sequence=1, together=1).log_values[0, 0]
        assert product <= safe_log(step_norms(trace)[12 - lag :, 1]).sum() + 1e-9


@pytest.mark.parametrize("form", FORMS[::3], ids=name_of)
def test_the_streaming_horizon_equals_that_of_the_stored_flow(form: dict[str, Any]) -> None:
    model, (x, y) = network(form), texts(9)
    mask = np.arange(9)[:, None] < np.array([9, 5, 7])
    streamed, flow = horizon(model, x, y, mask), gradient_flow(model, x, y, mask)
    stored = horizon_of_flow(model, flow)
    for name in ("low", "median", "high", "state_median", "pairs", "data_bound"):
        np.testing.assert_allclose(getattr(streamed, name), getattr(stored, name), rtol=1e-9)
    decay = relative_decay(flow.delta_norms)
    quantiles = np.array([np.quantile(row[np.isfinite(row)], (0.1, 0.5, 0.9)) for row in decay])
    np.testing.assert_allclose(np.stack([streamed.low, streamed.median, streamed.high], axis=1), quantiles, rtol=1e-9)
    assert streamed.half_life == pytest.approx(flow.half_life) if flow.half_life else streamed.half_life is None
    assert streamed.pairs.tolist() == [np.maximum(np.array([9, 5, 7]) - lag, 0).sum() for lag in range(9)]
    short = horizon(model, x, y, mask, bounds=False, longest=3)
    np.testing.assert_array_equal(short.median, streamed.median[:4])
    assert short.data_bound is None


def test_padding_and_neighbours_change_no_horizon() -> None:
    model, (x, y) = network({"cell": "lstm"}), texts(9)
    alone = horizon(model, x[:6, :1], y[:6, :1])
    padded = horizon(model, x[:, :1], y[:, :1], np.arange(9)[:, None] < 6)
    np.testing.assert_allclose(padded.median[:6], alone.median, rtol=1e-12)
    assert np.isnan(padded.median[6:]).all()


def test_the_horizon_is_the_same_in_single_precision_and_takes_embeddings() -> None:
    for more in ({}, {"embedding_size": 3}, {"embedding_size": H, "tied": True}):
        model, (x, y) = network({"cell": "gru", "layers": 2}, **more), texts()
        single = LanguageModel(model.config, params={name: p.astype(np.float32) for name, p in model.params.items()})
        np.testing.assert_allclose(horizon(single, x, y).median, horizon(model, x, y).median, rtol=1e-4)
        assert single.params["U"].dtype == np.float32


def test_the_fixed_bound_of_one_layer_is_its_norm_times_the_steepest_slope() -> None:
    for cell, steepest in (("tanh", 1), ("relu", 1), ("sigmoid", 0.25)):
        model = network({"cell": cell})
        assert fixed_step_bound(model) == pytest.approx(steepest * np.linalg.norm(model.params["W"], 2))


def test_the_half_life_is_where_the_curve_crosses_one_half() -> None:
    assert half_life(np.array([1, 0.5, 0.1])) == 1
    assert half_life(0.8 ** np.arange(10.0)) == pytest.approx(np.log(0.5) / np.log(0.8))
    assert half_life(np.array([1, 0.9, 0.8])) is None
    assert half_life(np.array([1, 0.0])) == 1


# -- Gradient by lag, and truncation -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_the_lags_add_up_to_the_gradient_and_each_cut_is_what_truncated_training_computes(form: dict[str, Any]) -> None:
    model, (x, y) = network(form), texts()
    mask = np.arange(7)[:, None] < np.array([7, 4, 6])
    flow = gradient_flow(model, x, y, mask)
    _, full = model.loss_and_gradients(x, y, mask)
    names = [name for name in model.params if name[0] in "UWb"]
    assert set(flow.lag_gradients) == set(names)
    for name in names:
        np.testing.assert_allclose(flow.lag_gradients[name].sum(axis=0), full[name], rtol=1e-9, atol=1e-14)
    books = gradient_by_lag(flow, truncate=3, names=names)
    assert books.residual < 1e-13
    together = np.concatenate([full[name].ravel() for name in names])
    assert books.total_norm == pytest.approx(np.linalg.norm(together))
    for K in range(7):
        _, cut = model.loss_and_gradients(x, y, mask, truncate=K)
        part = np.concatenate([cut[name].ravel() for name in names])
        cosine = part @ together / np.linalg.norm(part) / np.linalg.norm(together)
        assert books.cosine[K] == pytest.approx(cosine, rel=1e-9)
        error = np.linalg.norm(part - together) / np.linalg.norm(together)
        assert books.relative_error[K] == pytest.approx(error, rel=1e-7, abs=1e-13)
        last = np.concatenate([flow.lag_gradients[name][K].ravel() for name in names])
        assert books.norms[K] == pytest.approx(np.linalg.norm(last))
    assert books.cosine[-1] == pytest.approx(1, abs=1e-14)
    assert books.relative_error[-1] == 0
    assert books.used.tolist() == [True] * 4 + [False] * 3


@pytest.mark.parametrize("form", FORMS[::3], ids=name_of)
def test_the_smallest_truncation_is_the_first_whose_gradient_is_as_near_as_asked(form: dict[str, Any]) -> None:
    model, (x, y) = network(form, scale=1.0), texts()
    by_lag = gradient_by_lag(gradient_flow(model, x, y))
    _, full = model.loss_and_gradients(x, y)
    whole = np.concatenate([full[name].ravel() for name in by_lag.names])
    errors = []
    for K in range(7):
        _, cut = model.loss_and_gradients(x, y, truncate=K)
        part = np.concatenate([cut[name].ravel() for name in by_lag.names])
        errors.append(np.linalg.norm(part - whole) / np.linalg.norm(whole))
    for limit in (0.5, 0.1, 1e-3, 1e-12):
        expected = next(K for K, error in enumerate(errors) if error <= limit)
        assert by_lag.smallest_truncation(limit) == expected
    assert by_lag.smallest_truncation(np.inf) == 0
    assert by_lag.cosine[by_lag.smallest_truncation(np.inf, cosine=0.99)] >= 0.99


def test_the_gradient_by_lag_is_of_the_recurrent_matrices_unless_told_otherwise() -> None:
    model, (x, y) = network({"cell": "lstm", "layers": 2}), texts()
    flow = gradient_flow(model, x, y)
    books = gradient_by_lag(flow)
    assert books.names == ("W", "W2")
    np.testing.assert_allclose(books.norms, flow.lag_gradient_norms)
    assert books.total_norm == pytest.approx(flow.full_gradient_norm)
    assert books.used.all()


# -- Paths -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", PLAIN, ids=name_of)
def test_a_plain_cells_step_is_split_into_w_and_slope(form: dict[str, Any]) -> None:
    model, (x, y) = network(form), texts()
    if form["cell"] == "relu":  # units that stay on: a dead path has no logarithm
        for name in ("b", "b2"):
            if name in model.params:
                model.params[name][:] = 20
    flow = gradient_flow(model, x, y)
    t, b, top = 6, 1, form["layers"] - 1
    split = where_lost(flow, t, b)
    np.testing.assert_allclose(split.log_norms, np.log(flow.delta_norms[t, t::-1, b]), rtol=1e-12)
    total = sum(split.parts.values())
    np.testing.assert_allclose(total, np.diff(split.log_norms), atol=1e-12)
    assert split.positions.tolist() == [5, 4, 3, 2, 1, 0]
    assert set(split.parts) == ({"W", "phi'"} if top == 0 else {"W", "above", "phi'"})
    for step, k in enumerate(split.positions):
        deltas = [flow.lag_steps[t - k - 1].d_preactivations[d][0, k + 1, b] for d in range(top + 1)]
        arriving = [delta @ model.params["W" if d == 0 else "W2"] for d, delta in enumerate(deltas)]
        gain = np.linalg.norm(np.concatenate(arriving)) / np.linalg.norm(np.concatenate(deltas))
        assert split.parts["W"][step] == pytest.approx(np.log(gain), abs=1e-12)
        if top == 0:
            damped = arriving[0] * flow.trace.layers[0].slopes[0, k, b]
            damping = np.linalg.norm(damped) / np.linalg.norm(arriving[0])
            assert split.parts["phi'"][step] == pytest.approx(np.log(damping), abs=1e-12)
    assert np.all(split.parts["phi'"] <= np.log(ACTIVATIONS[form["cell"]].steepest_slope) + 1e-12)


def lstm_carry(d_state: np.ndarray, gates: np.ndarray, after: np.ndarray) -> np.ndarray:
    d_c = d_state[H:] + d_state[:H] * gates[0] * (1 - np.tanh(after[H:]) ** 2)
    return np.concatenate([np.zeros(H), d_c * gates[2]])


# What of dE/ds_t the carry takes back a step, from the gates' values and the state after it.
CARRIES = {
    "lstm": lstm_carry,
    "gru": lambda d_state, gates, after: d_state * gates[1],
    "mingru": lambda d_state, gates, after: d_state * (1 - gates[0]),
}


@pytest.mark.parametrize("form", GATED, ids=name_of)
def test_a_gated_cells_step_is_split_into_carry_and_hidden_path(form: dict[str, Any]) -> None:
    model, (x, y) = network(form), texts()
    flow = gradient_flow(model, x, y)
    t, b = 6, 2
    split = where_lost(flow, t, b)
    states = [
        np.concatenate([flow.lag_steps[j].d_states[d][t - j, b] for d in range(form["layers"])]) for j in range(7)
    ]
    np.testing.assert_allclose(split.log_norms, np.log([np.linalg.norm(state) for state in states]), rtol=1e-12)
    np.testing.assert_allclose(sum(split.parts.values()), np.diff(split.log_norms), atol=1e-12)
    np.testing.assert_allclose(sum(split.shares.values()), 1, atol=1e-12)
    for step, k in enumerate(split.positions):
        carry, start = [], 0
        for layer in flow.trace.layers:
            width = layer.states.shape[-1]
            d_state = states[step][start : start + width]
            start += width
            gates = layer.cache[:, k + 1, b]
            carry.append(CARRIES[form["cell"]](d_state, gates, layer.states[k + 2, b]))
        kept = np.log(np.linalg.norm(np.concatenate(carry)) / np.linalg.norm(states[step]))
        assert split.parts["carry"][step] == pytest.approx(kept, abs=1e-12)


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_the_paths_add_up_to_the_step_back(form: dict[str, Any]) -> None:
    trace = network(form).forward(texts()[0])
    for depth, layer in enumerate(trace.layers):
        d_state = np.random.default_rng(0).standard_normal((7, layer.states.shape[-1]))
        ways = path_contributions(layer, d_state, slice(None), 1)
        expected = np.einsum("ts,tsr->tr", d_state, state_jacobians(trace, depth, 1))
        np.testing.assert_allclose(np.sum(list(ways.values()), axis=0), expected, atol=1e-13)


@pytest.mark.parametrize("form", GATED, ids=name_of)
def test_without_recurrent_weights_everything_goes_by_the_carry_path(form: dict[str, Any]) -> None:
    model, (x, y) = network(form), texts()
    for name in ("W", "W2", "b_n", "b_n2"):
        if name in model.params:
            model.params[name][:] = 0
    flow = gradient_flow(model, x, y)
    paths = two_paths(flow, sequence=1)
    np.testing.assert_allclose(paths.carry, paths.total, rtol=1e-12)
    np.testing.assert_allclose(np.nan_to_num(paths.rest), 0, atol=1e-14)
    assert paths.keep.shape == (7, H)
    np.testing.assert_allclose(paths.gate_means["candidate"], paths.gates["candidate"].mean(axis=1))


def test_the_lstms_total_is_the_gradient_of_the_cell() -> None:
    """By central differences of the loss in c_k."""
    model, (x, y) = network({"cell": "lstm"}), texts()
    b, k, t = 1, 2, 6
    flow = gradient_flow(model, x, y)
    h, c = np.split(flow.trace.layers[0].states[k + 1, b], 2)
    o = flow.trace.layers[0].cache[0, k, b]
    gradient = np.empty(H)
    for unit in range(H):
        ends = []
        for sign in (1, -1):
            moved = c.copy()
            moved[unit] += sign * 1e-6
            state = [np.concatenate([o * np.tanh(moved), moved])[None]]
            losses, _ = model.token_losses(x[k + 1 :, b : b + 1], y[k + 1 :, b : b + 1], state=state)
            ends.append(losses[t - k - 1, 0])
        gradient[unit] = (ends[0] - ends[1]) / 2e-6
    paths = two_paths(flow, sequence=b)
    assert paths.total[t, k] == pytest.approx(np.linalg.norm(gradient), rel=1e-7)
    assert np.isnan(paths.total[2, 6])
    np.testing.assert_array_equal(np.diagonal(paths.rest), 0)
    assert paths.lag_carry[0] == paths.lag_total[0] == 1


def test_a_plain_cell_has_one_path_only() -> None:
    x, y = texts()
    with pytest.raises(ValueError, match="carry"):
        two_paths(gradient_flow(network({"cell": "tanh"}), x, y))


# -- Saturation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_every_signal_is_its_activation_of_its_pre_activation(form: dict[str, Any]) -> None:
    model = network(form, scale=1.0)
    trace = model.forward(texts()[0])
    for layer in range(form["layers"]):
        for name, signal in signals(trace, layer).items():
            np.testing.assert_allclose(ACTIVATIONS[signal.phi].function(signal.pre.copy()), signal.value, atol=1e-12)
            slope = (
                ACTIVATIONS[signal.phi].function(signal.pre + 1e-6)
                - ACTIVATIONS[signal.phi].function(signal.pre - 1e-6)
            ) / 2e-6
            np.testing.assert_allclose(signal.slope, slope, atol=1e-8, err_msg=name)


def test_saturation_leaves_padding_out() -> None:
    model, (x, _) = network({"cell": "gru"}), texts()
    mask = np.arange(7)[:, None] < np.array([7, 4, 4])
    padded, alone = saturation(model.forward(x), mask=mask), saturation(model.forward(x[:, :1]))
    for name in padded:
        np.testing.assert_allclose(padded[name].values[4:], alone[name].values[4:])
        np.testing.assert_allclose(padded[name].slopes[4:], alone[name].slopes[4:])
        assert padded[name].histogram.sum() == mask.sum() * H
    empty = saturation(model.forward(x), mask=np.arange(7)[:, None] < np.array([2, 2, 1]))
    assert np.isnan(empty["reset"].left[2:]).all()


def test_the_curves_are_the_networks_own_activations() -> None:
    curve = activation_curve("sigmoid")
    np.testing.assert_allclose(np.gradient(curve.value, curve.pre)[1:-1], curve.slope[1:-1], atol=1e-3)
    assert activation_curve("tanh").slope.max() == 1
    assert activation_curve("relu").slope.tolist()[:60] == [0] * 60


# -- Spectra -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_product_singular_values_are_those_of_the_multiplied_matrices(form: dict[str, Any]) -> None:
    trace = network(form, scale=1.0).forward(texts(9)[0])
    for layer in (None, form["layers"] - 1):
        matrices = state_jacobians(trace, layer, 1)
        found = product_singular_values(trace, lags=[1, 2, 5], end=6, layer=layer, sequence=1, together=2)
        for row, lag in zip(found.log_values, (1, 2, 5), strict=True):
            product = np.linalg.multi_dot([np.eye(matrices.shape[1]), *matrices[6 : 6 - lag : -1]])
            expected = np.linalg.svd(product, compute_uv=False)
            np.testing.assert_allclose(np.exp(row), expected, rtol=1e-6, atol=1e-10 * expected[0])


def test_product_lags_reach_from_one_step_to_the_beginning() -> None:
    trace = network({"cell": "tanh"}).forward(texts(9)[0])
    assert product_singular_values(trace).lags.tolist() == [1, 2, 4, 9]
    assert product_singular_values(trace, end=0).lags.tolist() == [1]
    for lags in ([0], [10]):
        with pytest.raises(ValueError, match="from 1 to 9"):
            product_singular_values(trace, lags=lags)


@pytest.mark.parametrize("form", [form for form in FORMS if form["cell"] != "relu"], ids=name_of)
def test_all_lyapunov_exponents_together_are_the_mean_log_determinant(form: dict[str, Any]) -> None:
    """Exact for any number of steps: the R factors' diagonals multiply to |det J|."""
    trace = network(form, scale=1.0).forward(texts(20)[0])
    log_det = np.mean([np.linalg.slogdet(state_jacobians(trace, None, b))[1] for b in range(3)])
    found = lyapunov_exponents(trace)
    assert found.exponents.sum() == pytest.approx(log_det, rel=1e-9)
    assert np.all(np.diff(found.exponents) <= 0)
    np.testing.assert_allclose(np.sort(found.running[-1])[::-1], found.exponents)


def test_the_leading_exponent_is_the_growth_of_a_small_difference() -> None:
    """Two copies of the network, 1e-9 apart, on the same long text."""
    model = network({"cell": "tanh"}, scale=1.5)
    x = np.random.default_rng(1).integers(0, N, (400, 1))
    found = lyapunov_exponents(model.forward(x), 1).exponents[0]
    state, grown = [np.zeros((1, H))], 0.0
    other = [state[0] + 1e-9 * np.ones((1, H)) / np.sqrt(H)]
    for t in range(400):
        state = [model.forward(x[t : t + 1], state).layers[0].states[-1]]
        other = [model.forward(x[t : t + 1], other).layers[0].states[-1]]
        apart = np.linalg.norm(other[0] - state[0])
        grown += np.log(apart / 1e-9)
        other = [state[0] + (other[0] - state[0]) * 1e-9 / apart]
    assert found == pytest.approx(grown / 400, abs=0.02)


def test_the_exponents_of_a_stack_are_those_of_its_layers() -> None:
    model = network({"cell": "gru", "layers": 2}, scale=1.0)
    trace = model.forward(np.random.default_rng(1).integers(0, N, (1500, 1)))
    layers = np.concatenate([lyapunov_exponents(trace, layer=layer).exponents for layer in (0, 1)])
    np.testing.assert_allclose(lyapunov_exponents(trace).exponents, np.sort(layers)[::-1], atol=0.02)


def test_the_spectrum_has_one_block_per_gate_and_layer() -> None:
    model = network({"cell": "lstm", "layers": 2})
    blocks = recurrent_spectrum(model)
    gates = ["output", "input", "forget", "candidate"]
    assert [(block.layer, block.gate) for block in blocks] == [(d, gate) for d in (0, 1) for gate in gates]
    forget = model.params["W2"][2 * H : 3 * H]
    assert blocks[6].norm == pytest.approx(np.linalg.norm(forget, 2))
    assert blocks[6].radius == pytest.approx(np.abs(np.linalg.eigvals(forget)).max())
    assert [block.layer for block in recurrent_spectrum(model, layer=1)] == [1] * 4


# -- Gradient by sentence ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"embedding_size": 3}, {"embedding_size": H, "tied": True}], ids=str)
@pytest.mark.parametrize("truncate", [None, 2])
def test_the_sentences_of_a_batch_add_up_to_its_gradient(more: dict[str, Any], truncate: int | None) -> None:
    model, (x, y) = network({"cell": "lstm", "layers": 2}, **more), texts()
    mask = np.arange(7)[:, None] < np.array([7, 4, 6])
    found = gradient_by_sentence(model, x, y, mask, truncate)
    _, whole = model.loss_and_gradients(x, y, mask, truncate)
    total = np.concatenate([whole[name].ravel() for name in model.params])
    assert found.total_norm == pytest.approx(np.linalg.norm(total))
    assert found.shares.sum() == pytest.approx(1)
    assert found.tokens.tolist() == [7, 4, 6]
    for b, length in enumerate((7, 4, 6)):
        _, alone = model.loss_and_gradients(x[:length, b : b + 1], y[:length, b : b + 1], truncate=truncate)
        part = np.concatenate([alone[name].ravel() for name in model.params]) * length / 17
        assert found.norms[b] == pytest.approx(np.linalg.norm(part))
        assert found.shares[b] == pytest.approx(part @ total / (total @ total))
    if truncate is None:
        lags = sentence_lag_norms(model, x, y, mask, sentence=1)
        _, alone = model.loss_and_gradients(x[:4, 1:2], y[:4, 1:2])
        flow = gradient_flow(model, x[:4, 1], y[:4, 1])
        np.testing.assert_allclose(lags, flow.lag_gradient_norms * 4 / 17)


def test_the_sentence_that_explodes_is_found() -> None:
    model = network({"cell": "relu"}, scale=0.3)
    x, y = texts(10, 6)
    x[:, 4] = 8  # a word that pushes every unit up, again and again
    x[:, [0, 1, 2, 3, 5]] %= 8
    model.params["U"][8] = 30
    assert gradient_by_sentence(model, x, y).worst == 4


# -- Which words mattered ------------------------------------------------------------------------------------------

INPUTS: tuple[dict[str, Any], ...] = ({}, {"embedding_size": 3}, {"embedding_size": H, "tied": True})


@pytest.mark.parametrize("more", INPUTS, ids=str)
def test_influence_is_the_derivative_of_log_p_by_the_words_vector(more: dict[str, Any]) -> None:
    """By complex steps in the table of word vectors, where every word stands once."""
    model = network({"cell": "gru", "layers": 2}, **more)
    x, y = np.array([3, 1, 4, 0, 5]), np.array([1, 5, 2, 6, 5])
    table = "E" if more else "U"
    squares = np.zeros((5, 5))
    for k in range(5):
        for column in range(model.params[table].shape[1]):
            pushed = in_complex(model)
            if more.get("tied"):  # as an input only
                untied = ModelConfig.from_json({**model.config.to_json(), "tied": False})
                pushed = LanguageModel(untied, params={**pushed.params, "V": pushed.params["E"].copy()})
            pushed.params[table][x[k], column] += 1e-30j
            losses, _ = pushed.token_losses(x[:, None], y[:, None])
            squares[:, k] += (losses[:, 0].imag / 1e-30) ** 2
    found = influence(model, gradient_flow(model, x, y))
    np.testing.assert_allclose(np.tril(np.nan_to_num(found)), np.sqrt(squares), rtol=1e-10, atol=1e-14)
    assert np.isnan(found[1, 3])


@pytest.mark.parametrize("more", INPUTS, ids=str)
def test_true_changes_are_what_reading_the_changed_sentence_gives(more: dict[str, Any]) -> None:
    model, (x, y) = network({"cell": "lstm", "layers": 2}, **more), texts()
    b, t = 1, 5
    flow = gradient_flow(model, x, y)
    replacements = np.random.default_rng(2).integers(0, N, (t + 1, 3))
    found = true_changes(model, flow, int(y[t, b]), t, replacements, b)
    log_p, _ = model.log_probabilities(x[:, b : b + 1])
    for k in range(t + 1):
        for r in range(3):
            changed = x[:, b : b + 1].copy()
            changed[k] = replacements[k, r]
            expected = model.log_probabilities(changed)[0][t, 0, y[t, b]] - log_p[t, 0, y[t, b]]
            assert found[k, r] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("more", INPUTS, ids=str)
def test_for_a_word_that_hardly_differs_the_gradient_tells_the_truth(more: dict[str, Any]) -> None:
    model = network({"cell": "tanh"}, **more)
    table = model.params["E" if more else "U"]
    x, y = np.array([3, 1, 4, 6, 5]), np.array([1, 5, 2, 6, 5])
    table[7] = table[4] + 1e-5 * np.random.default_rng(0).standard_normal(table.shape[1])
    if more.get("tied"):
        y = np.array([1, 5, 2, 6, 3])
    flow = gradient_flow(model, x, y)
    replacements = np.tile(x[:, None], 1)
    replacements[2] = 7
    predicted = predicted_changes(model, flow, 4, replacements)
    true = true_changes(model, flow, int(y[4]), 4, replacements)
    assert abs(true[2, 0]) > 1e-9
    assert predicted[2, 0] == pytest.approx(true[2, 0], rel=1e-3)
    assert np.delete(predicted[:, 0], 2).tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(np.delete(true[:, 0], 2), 0, atol=1e-14)


def test_the_expected_change_is_over_the_unigram_distribution() -> None:
    model, (x, y) = network({"cell": "lstm"}), texts()
    flow, t = gradient_flow(model, x[:, :1], y[:, :1]), 4
    counts = np.zeros(N)
    counts[[2, 6]] = [3, 1]
    found = which_words_mattered(model, flow, int(y[t, 0]), t, counts, np.random.default_rng(0), draws=400)
    both = true_changes(model, flow, int(y[t, 0]), t, np.tile([2, 6, 0], (t + 1, 1)))
    expected = 0.75 * both[:, 0] + 0.25 * both[:, 1]
    assert np.all(np.abs(found.expected - expected) < 5 * found.expected_error + 1e-12)
    np.testing.assert_allclose(found.unknown, both[:, 2], atol=1e-12)
    log_p, _ = model.log_probabilities(x[:, :1])
    assert found.log_p == pytest.approx(log_p[t, 0, y[t, 0]])
    np.testing.assert_allclose(found.gradient, influence(model, flow)[t, : t + 1])


# -- Agreement ---------------------------------------------------------------------------------------------------


def agreement_network() -> tuple[LanguageModel, Vocabulary]:
    vocabulary = Vocabulary.build(agreement_sentences((2, 5), 100), TextSettings())
    config = ModelConfig(vocabulary_size=len(vocabulary), hidden_size=8)
    return LanguageModel(config, rng=np.random.default_rng(2), dtype=np.float64), vocabulary


def test_agreement_asks_at_the_word_that_must_agree() -> None:
    model, vocabulary = agreement_network()
    items = agreement_items((2, 5), 60, seed=5)
    found = agreement_accuracy(model, vocabulary, items)
    wins: dict[int, list[bool]] = {}
    for item in items:
        ids = vocabulary.encode_sentence(item.tokens)
        log_p, _ = model.log_probabilities(ids[:-1, None])
        assert vocabulary.words[ids[item.target + 1]] in ("her", "his")
        right, wrong = vocabulary.encode([item.tokens[item.target], item.competitor])
        wins.setdefault(item.gap, []).append(bool(log_p[item.target, 0, right] > log_p[item.target, 0, wrong]))
    assert found.gaps.tolist() == sorted(wins)
    np.testing.assert_allclose(found.accuracy, [np.mean(wins[gap]) for gap in sorted(wins)])
    assert found.items.tolist() == [len(wins[gap]) for gap in sorted(wins)]
    assert found.overall == pytest.approx(np.mean(sum(wins.values(), [])))
    assert np.all((found.right > 0) & (found.wrong > 0) & (found.right + found.wrong < 1))


def test_a_network_that_only_hears_the_last_word_flips_a_coin() -> None:
    model, vocabulary = agreement_network()
    model.params["W"][:] = 0
    found = agreement_accuracy(model, vocabulary, agreement_items(4, 400, seed=1))
    assert found.accuracy[0] == pytest.approx(0.5, abs=4 * found.error[0])
    model.params["V"][:] = 0
    assert agreement_accuracy(model, vocabulary, agreement_items(4, 10)).accuracy.tolist() == [0.5]


def test_a_network_that_remembers_the_controller_is_always_right() -> None:
    model, vocabulary = agreement_network()
    queen, king, her, his = vocabulary.encode(["queen", "king", "her", "his"])
    for name in ("U", "W", "V", "b", "c"):
        model.params[name][:] = 0
    model.params["W"][0, 0] = 3
    model.params["U"][[queen, king], 0] = [5, -5]
    model.params["V"][[her, his], 0] = [1, -1]
    assert agreement_accuracy(model, vocabulary, agreement_items((2, 30), 50)).overall == 1


def test_a_vocabulary_without_the_agreeing_words_is_refused() -> None:
    model, vocabulary = agreement_network()
    item = AgreementItem(("the", "queen", "sang", "hers", "."), 1, 3, "his")
    with pytest.raises(CorpusError, match="agree"):
        agreement_accuracy(model, vocabulary, [item])
