"""The cells: their equations written out once more, one number at a time, and their reverse against the Jacobian."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tiny_runs import tiny_corpus

from rnn_core import LanguageModel, ModelConfig, diagnostics, gradient_flow, to_torch_state_dict
from rnn_core.arrays import Array
from rnn_core.config import CELLS, Choice, TrainingSettings
from rnn_core.errors import SettingsError
from rnn_core.nn import cells
from rnn_core.nn.allocation import aligned_copy
from rnn_core.nn.cells import CELL_FORMS, Cell, Signal, Weights, make_cell, merge_gates, split_gates
from rnn_core.nn.cells.base import tanh_signal
from rnn_core.reference import gradcheck
from rnn_core.reference.small_networks import small_model
from rnn_core.runs.memory import estimate_for
from rnn_core.training import StepDone, new_model, train

FORMS = [(cell.name, cell.reset or "after") for cell in CELL_FORMS]
UNBOUNDED = ("relu", "mingru")  # whose state grows with its input without end
every_form = pytest.mark.parametrize(("cell", "gru_reset"), FORMS)


def sigma(a):
    return 1 / (1 + np.exp(-a))


def one_step(config: ModelConfig, params: dict, x: np.ndarray, state: np.ndarray) -> np.ndarray:
    """The textbook's equations for one sequence: x (I,) the input vector, state (S,) -> the next state.

    Gates in the order of our rows: LSTM o, i, f, g; GRU r, z, n; minGRU z, h~.
    """
    H = config.hidden_size
    a, W, b = x @ params["U"], params.get("W"), params["b"]
    if config.cell in ("tanh", "relu", "sigmoid"):
        phi = {"tanh": np.tanh, "relu": lambda v: v if v > 0 else 0 * v, "sigmoid": sigma}[config.cell]
        return np.array([phi(a[u] + b[u] + W[u] @ state) for u in range(H)])
    h = state[:H]
    if config.cell == "mingru":
        z, candidate = sigma(a[:H] + b[:H]), a[H:] + b[H:]
        return (1 - z) * h + z * candidate
    if config.cell == "lstm":
        o, i, f = (sigma(a[k : k + H] + b[k : k + H] + W[k : k + H] @ h) for k in (0, H, 2 * H))
        g = np.tanh(a[3 * H :] + b[3 * H :] + W[3 * H :] @ h)
        c = f * state[H:] + i * g
        return np.concatenate([o * np.tanh(c), c])
    r, z = (sigma(a[k : k + H] + b[k : k + H] + W[k : k + H] @ h) for k in (0, H))
    if config.gru_reset == "after":
        n = np.tanh(a[2 * H :] + b[2 * H :] + r * (W[2 * H :] @ h + params["b_n"]))
    else:
        n = np.tanh(a[2 * H :] + b[2 * H :] + W[2 * H :] @ (r * h))
    return (1 - z) * n + z * h


@every_form
@pytest.mark.parametrize("embedding_size", [None, 2])
def test_the_forward_pass_is_the_textbooks(cell: str, gru_reset: str, embedding_size: int | None) -> None:
    config = ModelConfig(
        cell=cell, gru_reset=gru_reset, vocabulary_size=5, hidden_size=3, embedding_size=embedding_size
    )
    model = small_model(config)
    params = model.params
    vectors = np.eye(5) if embedding_size is None else params["E"]
    words, rng = np.array([3, 0, 4, 4]), np.random.default_rng(3)
    state = rng.standard_normal(model.initial_state(1)[0].shape[1])
    log_p, end = model.log_probabilities(words[:, None], [state[None]])
    for t, word in enumerate(words):
        state = one_step(config, params, vectors[word], state)
        p = np.exp(params["V"] @ state[:3] + params["c"])
        np.testing.assert_allclose(np.exp(log_p[t, 0]), p / p.sum(), rtol=1e-13)
    np.testing.assert_allclose(end[0][0], state, rtol=1e-13)


@every_form
def test_a_deeper_layer_reads_the_hidden_state_below_it(cell: str, gru_reset: str) -> None:
    config = ModelConfig(cell=cell, gru_reset=gru_reset, vocabulary_size=5, hidden_size=3, layers=3)
    model = small_model(config)
    words = np.array([1, 2, 0, 4])
    _, end = model.log_probabilities(words[:, None])
    states = [part[0] for part in model.initial_state(1)]
    for word in words:
        x = np.eye(5)[word]
        for depth, suffix in enumerate(["", "2", "3"]):
            own = {
                name.rstrip("0123456789"): value
                for name, value in model.params.items()
                if name.rstrip("0123456789") + suffix == name and name not in ("V", "c")
            }
            states[depth] = one_step(config, own, x, states[depth])
            x = states[depth][:3]
    for part, own_state in zip(end, states, strict=True):
        np.testing.assert_allclose(part[0], own_state, rtol=1e-12)


@every_form
@pytest.mark.parametrize("dropped", [False, True])
def test_the_reverse_of_a_step_is_its_transposed_jacobian(cell: str, gru_reset: str, dropped: bool) -> None:
    """Over two leading axes at once, with and without a mask on the recurrent connections."""
    unit, rng, H = make_cell(cell, gru_reset), np.random.default_rng(0), 3
    lead = (4, 2)
    projection = rng.standard_normal((*lead, len(unit.gates) * H))
    before = rng.standard_normal((*lead, unit.state_blocks * H))
    mask = np.array([[2.0, 0.0, 2.0], [0.0, 2.0, 2.0]]) if dropped else None
    b_n = None if unit.biased_gate is None else rng.standard_normal(H)
    weights = Weights.of(rng.standard_normal((len(unit.recurrent_gates) * H, H)), b_n, mask)

    def step(projection, before):
        dtype = np.result_type(projection, before)
        cache = np.zeros((unit.cache_blocks, *lead, H), dtype)
        cache[: len(unit.gates)] = split_gates(projection, H)
        after = np.empty((unit.state_blocks, *lead, H), dtype)
        unit.step(cache, split_gates(before, H).astype(dtype), weights, after)
        return cache, merge_gates(after)

    cache, after = step(projection, before)
    d_after = rng.standard_normal(after.shape)
    delta = np.empty((unit.d_preactivation_blocks, *lead, H))
    slopes = np.empty((unit.slope_blocks, *cache.shape[1:]))
    unit.slopes(cache, split_gates(before, H), split_gates(after, H), weights, slopes)
    d_before = merge_gates(unit.step_back(split_gates(d_after, H), slopes, weights, delta))
    for analytic, moved in ((merge_gates(unit.input_part(delta)), 0), (d_before, 1)):
        for column in range(analytic.shape[-1]):
            nudge = np.zeros_like((projection, before)[moved], complex)
            nudge[..., column] = 1e-30j
            _, nudged = step(projection + nudge, before) if moved == 0 else step(projection, before + nudge)
            expected = (d_after * nudged.imag / 1e-30).sum(axis=-1)
            np.testing.assert_allclose(analytic[..., column], expected, rtol=1e-11, atol=1e-14)


@every_form
def test_all_leading_axes_at_once_are_the_same_steps_one_by_one(cell: str, gru_reset: str) -> None:
    unit, rng, H = make_cell(cell, gru_reset), np.random.default_rng(0), 3
    shape = (4, 2)
    weights = Weights.of(rng.standard_normal((len(unit.recurrent_gates) * H, H)))
    cache = rng.standard_normal((unit.cache_blocks, *shape, H))
    before = rng.standard_normal((unit.state_blocks, *shape, H))
    one_by_one, after = cache.copy(), np.empty(before.shape)
    unit.step(cache, before, weights, after)
    d_after = rng.standard_normal(after.shape)
    slopes = np.empty((unit.slope_blocks, *cache.shape[1:]))
    unit.slopes(cache, before, after, weights, slopes)
    delta = np.empty((unit.d_preactivation_blocks, *shape, H))
    d_before = unit.step_back(d_after, slopes, weights, delta)
    for t in range(shape[0]):
        own_after, own_delta = np.empty(before[:, t].shape), np.empty(delta[:, t].shape)
        unit.step(one_by_one[:, t], before[:, t], weights, own_after)
        np.testing.assert_allclose(own_after, after[:, t], rtol=1e-13)
        own_slopes = np.empty_like(slopes[:, t])
        unit.slopes(one_by_one[:, t], before[:, t], own_after, weights, own_slopes)
        own_d_before = unit.step_back(d_after[:, t], own_slopes, weights, own_delta)
        np.testing.assert_allclose(own_d_before, d_before[:, t], rtol=1e-12)
        np.testing.assert_allclose(own_delta, delta[:, t], rtol=1e-12)


@pytest.mark.parametrize("rho", [0.8, 1.0, 1.15])
@pytest.mark.parametrize("cell", ["tanh", "relu"])
def test_in_the_linear_regime_the_gradient_shrinks_by_rho_at_every_step(cell: str, rho: float) -> None:
    """W = rho Q, Q orthogonal: ||ds_t/ds_k||_2 = rho^(t-k), to 1e-6 over forty steps.

    tanh is linear around zero; a ReLU above zero, where a large bias keeps it.
    """
    H, steps = 8, 41
    config = ModelConfig(cell=cell, vocabulary_size=4, hidden_size=H, init="orthogonal", init_scale=rho)
    model = LanguageModel(config, np.random.default_rng(7), np.float64)
    model.params["U"] *= 1e-9
    if cell == "relu":
        # The state stays near 1 if the bias makes up for what W takes from it.
        model.params["b"] += 1 - model.params["W"] @ np.ones(H)
    inputs = np.full((steps, H), 2)
    start = [np.full((H, H), 1.0 if cell == "relu" else 0.0)]
    layer = model.forward(inputs, start).layers[0]
    # Every sequence of the batch is the same text; into the last state of each goes another unit vector.
    rows = np.eye(H)
    for lag in range(1, steps):
        t = steps - lag
        (rows,) = layer.cell.step_back(rows[None], layer.slopes[:, t], layer.weights, np.empty((1, H, H)))
        gains = np.linalg.svd(rows, compute_uv=False)
        np.testing.assert_allclose(gains, rho**lag, rtol=1e-6)


def test_a_wide_open_lstm_carries_its_gradient_unchanged() -> None:
    """dc_t/dc_k = f^(t-k) once the gates hear of nothing but their biases."""
    H, steps, forget_bias = 3, 20, 2.0
    config = ModelConfig(cell="lstm", vocabulary_size=4, hidden_size=H, forget_bias=forget_bias)
    model = LanguageModel(config, np.random.default_rng(0), np.float64)
    model.params["U"][...] = 0
    model.params["W"][...] = 0
    layer = model.forward(np.zeros((steps, 1), int)).layers[0]
    d_state = np.stack([np.zeros((1, H)), np.ones((1, H))])
    for t in range(steps - 1, -1, -1):
        d_state = layer.cell.step_back(d_state, layer.slopes[:, t], layer.weights, np.empty((4, 1, H)))
        np.testing.assert_allclose(d_state[1], sigma(forget_bias) ** (steps - t), rtol=1e-12)
        np.testing.assert_array_equal(d_state[0], 0)


def test_an_update_gate_of_one_keeps_the_old_state_in_both_grus() -> None:
    for gru_reset in ("after", "before"):
        model = small_model(ModelConfig(cell="gru", gru_reset=gru_reset, vocabulary_size=4, hidden_size=3))
        model.params["b"][3:6] = 1000.0
        start = [np.array([[0.3, -0.7, 0.1]])]
        _, end = model.log_probabilities(np.array([[1], [2], [3]]), start)
        # Written as n + z (h - n), so to rounding.
        np.testing.assert_allclose(end[0], start[0], rtol=1e-14)


@pytest.mark.parametrize(
    "form", [form for form in CELL_FORMS if form.gated], ids=lambda form: f"{form.name} {form.reset or ''}"
)
def test_the_equation_on_the_screen_says_what_the_carry_keeps(form: Cell) -> None:
    config = ModelConfig(cell=form.name, gru_reset=form.reset or "after", vocabulary_size=5, hidden_size=3)
    paths = diagnostics.two_paths(gradient_flow(small_model(config), np.array([1, 2, 3]), np.array([2, 3, 4])))
    assert form.carry_gate is not None
    gate = paths.gates[form.carry_gate]
    factor = re.search(rf"(\S+)\\odot {form.carry}_\{{t-1\}}", form.carry_equation)
    assert factor, form.carry_equation
    np.testing.assert_allclose(paths.keep, 1 - gate if factor[1].endswith("(1-z_t)") else gate, rtol=1e-12)


def test_where_the_reset_gate_acts_makes_a_difference() -> None:
    shared = {"cell": "gru", "vocabulary_size": 4, "hidden_size": 3, "bias": False}
    after, before = (small_model(ModelConfig(gru_reset=form, **shared)) for form in ("after", "before"))
    before.params = after.params
    words = np.array([[1], [2], [3]])
    assert np.abs(after.log_probabilities(words)[0] - before.log_probabilities(words)[0]).max() > 1e-3


@pytest.mark.parametrize(("cell", "size"), [(cell, 1e3 if cell in UNBOUNDED else 1e30) for cell in CELLS])
def test_huge_pre_activations_overflow_nowhere(cell: str, size: float) -> None:
    """A ReLU and a minGRU have no bound, so their states may grow with their input; the others' may not."""
    model = LanguageModel(ModelConfig(cell=cell, vocabulary_size=4, hidden_size=3), dtype=np.float32)
    model.params["U"] *= np.float32(size)
    inputs, targets = np.array([[0, 1], [2, 3], [1, 1]]), np.array([[1, 1], [0, 2], [3, 0]])
    loss, gradients = model.loss_and_gradients(inputs, targets)
    assert np.isfinite(loss)
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


def test_an_unknown_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown cell"):
        make_cell("elman")


# -- A new cell -------------------------------------------------------------------------------------------------------


class LeakyCell(Cell):
    """h_t = z h_{t-1} + (1 - z) tanh(a_t + W h_{t-1}), z a number: a leaky unit (Jaeger et al. 2007)."""

    name = "leaky"
    label = "leaky RNN"
    gates = ("candidate",)
    cache_blocks = d_preactivation_blocks = 1
    slope_blocks = 2
    carry = "h"
    carry_gate = "candidate"
    no_torch = "PyTorch has no leaky RNN."
    keep = 0.7

    def step(self, cache: Array, before: Array, weights: Weights, after: Array) -> None:
        cache[0] = np.tanh(cache[0] + weights.project(weights.masked(before[0]))[0])
        after[0] = self.keep * before[0] + (1 - self.keep) * cache[0]

    def slopes(self, cache: Array, before: Array, after: Array, weights: Weights, out: Array) -> None:
        out[0], out[1] = (1 - self.keep) * (1 - cache[0] ** 2), self.keep

    def step_back(self, d_state: Array, slopes: Array, weights: Weights, d_preactivation: Array) -> Array:
        d_preactivation[0] = d_state[0] * slopes[0]
        return d_state * slopes[1] + weights.masked(weights.project_back(d_preactivation))

    def jvp(self, d_before: Array, d_input: Array, slopes: Array, weights: Weights) -> Array:
        return slopes[:1] * (weights.project(weights.masked(d_before[0])) + d_input) + slopes[1] * d_before

    def signals(self, cache: Array, before: Array, after: Array, weights: Weights) -> dict[str, Signal]:
        return {"candidate": tanh_signal(cache[0])}

    def paths(self, d_state: Array, slopes: Array, weights: Weights) -> dict[str, Array]:
        through_W = self.step_back(d_state, slopes, weights, np.empty_like(d_state)) - d_state * slopes[1]
        return {"carry": d_state * slopes[1], "candidate": through_W}

    def carry_factor(self, slopes: Array) -> Array:
        return slopes[1]


@pytest.fixture
def leaky(monkeypatch: pytest.MonkeyPatch) -> str:
    """The cell as a line in the table; what nobody has heard of before has no other place to be known from."""
    forms = (*cells.CELL_FORMS, LeakyCell())
    monkeypatch.setattr(cells, "CELL_FORMS", forms)
    monkeypatch.setattr(gradcheck, "CELL_FORMS", forms)
    monkeypatch.setitem(CELLS._choices, LeakyCell.name, Choice(LeakyCell.label))
    return LeakyCell.name


def test_a_new_cell_is_one_class_and_one_line(leaky: str) -> None:
    """Gradients, every diagnostic, training and its run take it without another word."""
    assert gradcheck.check_all([leaky], method="complex")[leaky] < 1e-9
    model = small_model(ModelConfig(cell=leaky, vocabulary_size=6, hidden_size=4, layers=2))
    inputs, targets = np.random.default_rng(0).integers(0, 6, (2, 7, 1))
    flow = gradient_flow(model, inputs, targets)
    _, gradients = model.loss_and_gradients(inputs, targets)
    for name, by_lag in flow.lag_gradients.items():
        np.testing.assert_allclose(by_lag.sum(axis=0), gradients[name], rtol=1e-9, atol=1e-14)
    paths = diagnostics.two_paths(flow)
    np.testing.assert_allclose(paths.lag_carry, LeakyCell.keep ** np.arange(7), rtol=1e-12)
    np.testing.assert_allclose(sum(diagnostics.where_lost(flow, 6).shares.values()), 1)
    assert {block.gate for block in diagnostics.recurrent_spectrum(model)} == {"candidate"}
    assert set(diagnostics.saturation(flow.trace)) == {"candidate"}
    assert np.isfinite(diagnostics.horizon_of_flow(model, flow).data_bound).all()
    assert np.isfinite(diagnostics.lyapunov_exponents(flow.trace).exponents[0])
    with pytest.raises(SettingsError, match="no leaky RNN"):
        to_torch_state_dict(model.config, model.params)
    with pytest.raises(SettingsError, match="gates"):
        model.training_gradients(inputs, targets, omega=1.0)
    with pytest.raises(SettingsError, match="reset gate"):
        ModelConfig(cell=leaky, gru_reset="before").validate()
    corpus, training = tiny_corpus(), TrainingSettings(steps=3)
    trained = new_model(ModelConfig(cell=leaky, vocabulary_size=len(corpus.vocabulary), hidden_size=8), training)
    assert [event for event in train(trained, corpus, training) if isinstance(event, StepDone)]
    assert estimate_for(corpus, trained.config, training).total_bytes > 0


@pytest.mark.parametrize("array", [np.arange(12.0).reshape(3, 4).T, np.ones((2, 3), np.float32), np.empty((0, 5))])
def test_an_aligned_copy_has_the_numbers_of_the_array_and_begins_at_a_cache_line(array: np.ndarray) -> None:
    for copy in [aligned_copy(array) for _ in range(8)]:
        np.testing.assert_array_equal(copy, array, strict=True)
        assert copy.flags.c_contiguous
        assert copy.size == 0 or copy.ctypes.data % 64 == 0
