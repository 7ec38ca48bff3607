"""Every gradient against a derivative of the loss itself: complex steps to 1e-9, element by element."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import LanguageModel, ModelConfig, gradient_flow
from rnn_core.nn.cells import CELL_FORMS
from rnn_core.nn.gradients import to_dense
from rnn_core.optim.clipping import clip_by_global_norm, clip_by_value
from rnn_core.optim.optimizers import make_optimizer
from rnn_core.reference.gradcheck import check_all, check_cell, check_gradients, compare, numeric_gradients
from rnn_core.reference.mean_loss import mean_loss, states_before
from rnn_core.reference.small_networks import small_batch, small_model, small_state

EXACT = 1e-9  # of a complex step, relative, element by element
FORMS = [(cell.name, cell.reset or "after") for cell in CELL_FORMS]
every_form = pytest.mark.parametrize(("cell", "gru_reset"), FORMS)


def assert_exact(cell: str, gru_reset: str = "after", **options) -> None:
    check = check_cell(cell, gru_reset=gru_reset, **options)
    assert check.worst_relative_error <= EXACT, check


@every_form
@pytest.mark.parametrize(
    ("layers", "mask"),
    [*((layers, mask) for layers in (1, 2) for mask in (None, "behind", "anywhere")), (3, "anywhere")],
)
def test_every_gradient_is_the_derivative_of_the_loss(cell: str, gru_reset: str, layers: int, mask: str | None) -> None:
    assert_exact(cell, gru_reset, layers=layers, mask=mask)


@every_form
@pytest.mark.parametrize(("layers", "truncate"), [(1, 0), (1, 1), (1, 3), (2, 0), (2, 1), (2, 3), (3, 1)])
@pytest.mark.slow
def test_truncation_freezes_everything_further_back_than_k_steps(
    cell: str, gru_reset: str, layers: int, truncate: int
) -> None:
    assert_exact(cell, gru_reset, layers=layers, truncate=truncate)


@every_form
def test_truncation_with_padding_and_a_carried_state(cell: str, gru_reset: str) -> None:
    assert_exact(cell, gru_reset, layers=2, truncate=2, mask="anywhere", carried=True)


@every_form
@pytest.mark.parametrize("layers", [1, 2])
def test_a_carried_state_is_a_constant_of_the_gradient(cell: str, gru_reset: str, layers: int) -> None:
    assert_exact(cell, gru_reset, layers=layers, carried=True)
    assert_exact(cell, gru_reset, layers=layers, carried=True, mask="behind")


@pytest.mark.slow
@every_form
@pytest.mark.parametrize("layers", [1, 2])
def test_embedding_tying_and_missing_biases(cell: str, gru_reset: str, layers: int) -> None:
    assert_exact(cell, gru_reset, layers=layers, embedding_size=2)
    assert_exact(cell, gru_reset, layers=layers, embedding_size=3, tied=True)
    assert_exact(cell, gru_reset, layers=layers, embedding_size=3, tied=True, truncate=1, mask="anywhere")
    assert_exact(cell, gru_reset, layers=layers, bias=False)
    assert_exact(cell, gru_reset, layers=layers, bias=False, embedding_size=2)


@pytest.mark.slow
@every_form
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("variational", [False, True])
def test_dropout_is_dropped_on_the_way_back_too(cell: str, gru_reset: str, layers: int, variational: bool) -> None:
    dropout = {"layers": layers, "dropout": 0.4, "variational": variational}
    assert_exact(cell, gru_reset, **dropout)
    assert_exact(cell, gru_reset, embedding_size=2, mask="behind", **dropout)
    assert_exact(cell, gru_reset, embedding_size=3, tied=True, carried=True, **dropout)


class ReplayedMasks:
    """Stands in for a generator: hands out draws made once, cut to the steps [start, stop) of a window."""

    def __init__(self, drawn: list[np.ndarray], start: int, stop: int) -> None:
        self.remaining, self.start, self.stop = list(drawn), start, stop

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        drawn = self.remaining.pop(0)
        part = drawn if len(drawn) == 1 else drawn[self.start : self.stop]
        assert part.shape == shape
        return part


class RecordingGenerator:
    """A generator that remembers what it gave."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.drawn = rng, []

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        self.drawn.append(self.rng.random(shape))
        return self.drawn[-1]


@every_form
@pytest.mark.parametrize("variational", [False, True])
def test_truncation_and_dropout_together(cell: str, gru_reset: str, variational: bool) -> None:
    config = ModelConfig(
        cell=cell, gru_reset=gru_reset, vocabulary_size=4, hidden_size=2, embedding_size=2, layers=2,
        dropout=0.4, variational=variational,
    )  # fmt: skip
    window = 1
    model, (inputs, targets, _) = small_model(config), small_batch(4, 4, 2)
    generator = RecordingGenerator(np.random.default_rng(5))
    _, gradients, _ = model.training_gradients(inputs, targets, truncate=window, dropout_rng=generator)
    assert any((drawn > 0.6).any() for drawn in generator.drawn), "nothing was dropped: this would prove nothing"
    trace = model.forward(inputs, dropout_rng=ReplayedMasks(generator.drawn, 0, len(inputs)))

    def frozen_state(t: int) -> list[np.ndarray]:
        return [layer.states[t] for layer in trace.layers]

    def objective(params):
        moved, total = LanguageModel(config, params=params), 0.0
        for t in range(len(inputs)):
            start = max(0, t - window)
            masks = ReplayedMasks(generator.drawn, start, t + 1)
            hidden = moved.forward(inputs[start : t + 1], frozen_state(start), masks).hidden[-1]
            logits = hidden @ params["V"].T + params["c"]
            losses = np.log(np.exp(logits).sum(axis=-1)) - np.take_along_axis(logits, targets[t][:, None], 1)[:, 0]
            total = total + losses.sum()
        return total / inputs.size

    analytic = {name: to_dense(gradient) for name, gradient in gradients.items()}
    check = compare(analytic, numeric_gradients(objective, model.params))
    assert check.worst_relative_error <= EXACT, check


@every_form
def test_the_loss_is_the_mean_of_what_the_softmax_says(cell: str, gru_reset: str) -> None:
    config = ModelConfig(cell=cell, gru_reset=gru_reset, vocabulary_size=5, hidden_size=3, layers=2)
    model = small_model(config)
    for mask in (None, "behind", "anywhere"):
        inputs, targets, live = small_batch(mask=mask)
        expected = mean_loss(model, inputs, targets, live)
        assert model.loss_and_gradients(inputs, targets, live)[0] == pytest.approx(expected, rel=1e-13)
        assert model.loss_and_gradients(inputs, targets, live, truncate=1)[0] == pytest.approx(expected, rel=1e-13)
        assert model.loss(inputs, targets, live) == pytest.approx(expected, rel=1e-13)


@every_form
def test_a_gradient_has_the_type_of_what_it_belongs_to(cell: str, gru_reset: str) -> None:
    for options in ({}, {"embedding_size": 4, "tied": True}, {"embedding_size": 2}, {"bias": False}):
        config = ModelConfig(
            cell=cell, gru_reset=gru_reset, vocabulary_size=5, hidden_size=4, layers=2, **options
        )  # fmt: skip
        for dtype in (np.float32, np.float64):
            model = LanguageModel(config, np.random.default_rng(0), dtype)
            inputs, targets, _ = small_batch()
            _, gradients = model.loss_and_gradients(inputs, targets)
            assert list(gradients) == list(model.params) or set(gradients) == set(model.params)
            for name, value in model.params.items():
                assert gradients[name].shape == value.shape
                assert gradients[name].dtype == dtype


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
def test_weight_decay_is_the_gradient_of_half_lambda_theta_squared(layers: int, optimizer: str) -> None:
    decay = 0.1
    config = ModelConfig(cell="gru", vocabulary_size=5, hidden_size=3, layers=layers, embedding_size=3, tied=True)
    model, (inputs, targets, _) = small_model(config), small_batch()
    start = {name: value.copy() for name, value in model.params.items()}

    def penalised(params):
        penalty = sum((value * value).sum() for value in params.values())
        return mean_loss(LanguageModel(config, params=params), inputs, targets) + decay / 2 * penalty

    _, gradients, _ = model.training_gradients(inputs, targets)
    rule = make_optimizer(optimizer, model.params, weight_decay=decay)
    rule.update(model.params, gradients, learning_rate=1.0)
    # The velocity starts at zero, so the first step of momentum is g, and Nesterov's is g + mu g.
    reach = 1 + rule.mu if optimizer == "nesterov" else 1.0
    taken = {name: (start[name] - value) / reach for name, value in model.params.items()}
    check = compare(taken, numeric_gradients(penalised, start))
    assert check.worst_relative_error <= EXACT, check


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("mask", [None, "anywhere"])
@pytest.mark.parametrize("truncate", [None, 2])
def test_relu_agrees_with_central_differences_beside_its_kink(
    layers: int, mask: str | None, truncate: int | None
) -> None:
    check = check_cell("relu", layers=layers, mask=mask, truncate=truncate, method="central", step=1e-4)
    assert check.worst_relative_error <= 1e-4, check


@pytest.mark.parametrize("clip", ["norm", "value"])
@pytest.mark.parametrize("cell", ["tanh", "relu", "lstm", "gru", "mingru"])
def test_a_clipped_step_is_the_clipped_central_difference(cell: str, clip: str) -> None:
    config = ModelConfig(cell=cell, vocabulary_size=5, hidden_size=3)
    model, (inputs, targets, _) = small_model(config), small_batch()
    start = {name: value.copy() for name, value in model.params.items()}
    numeric = numeric_gradients(
        lambda params: mean_loss(LanguageModel(config, params=params), inputs, targets),
        start,
        method="central",
        step=1e-4,
    )
    _, gradients, _ = model.training_gradients(inputs, targets)
    rule, scale, limit = make_optimizer("sgd", model.params), 1.0, 0.05
    if clip == "norm":
        norm, scale = clip_by_global_norm(gradients, limit)
        length = np.sqrt(sum((value**2).sum() for value in numeric.values()))
        assert length > limit, "nothing to clip: this would prove nothing"
        assert norm == pytest.approx(length, rel=1e-8)
        expected = {name: value * limit / (length + 1e-6) for name, value in numeric.items()}
    else:
        gradients = clip_by_value(gradients, limit)
        expected = {name: np.minimum(np.maximum(value, -limit), limit) for name, value in numeric.items()}
        assert any((np.abs(value) == limit).any() for value in expected.values())
    rule.update(model.params, gradients, learning_rate=1.0, scale=scale)
    taken = {name: start[name] - value for name, value in model.params.items()}
    check = compare(taken, expected, floor=1e-3)
    assert check.worst_relative_error <= 1e-4, check


@every_form
@pytest.mark.parametrize("options", [{}, {"embedding_size": 20, "tied": True}, {"truncate": 4}], ids=str)
def test_single_precision_gradients_are_those_of_double_precision(cell: str, gru_reset: str, options: dict) -> None:
    network = {name: value for name, value in options.items() if name != "truncate"}
    config = ModelConfig(cell=cell, gru_reset=gru_reset, vocabulary_size=60, hidden_size=20, layers=2, **network)
    single = LanguageModel(config, np.random.default_rng(0), np.float32)
    double = LanguageModel(config, params={name: value.astype(np.float64) for name, value in single.params.items()})
    batch = small_batch(60, 20, 8, mask="behind")
    truncate = options.get("truncate")
    loss, gradients = single.loss_and_gradients(*batch, truncate=truncate)
    true_loss, true_gradients = double.loss_and_gradients(*batch, truncate=truncate)
    assert loss == pytest.approx(true_loss, rel=1e-6)
    for name, true in true_gradients.items():
        assert np.linalg.norm(gradients[name] - true) <= 1e-5 * np.linalg.norm(true), name


@every_form
def test_compact_gradients_are_the_plain_ones(cell: str, gru_reset: str) -> None:
    config = ModelConfig(cell=cell, gru_reset=gru_reset, vocabulary_size=7, hidden_size=3, layers=2)
    model, batch = small_model(config), small_batch(7, mask="anywhere")
    loss, compact, _ = model.training_gradients(*batch)
    plain_loss, plain = model.loss_and_gradients(*batch)
    assert loss == plain_loss
    for name, value in plain.items():
        np.testing.assert_array_equal(to_dense(compact[name]), value)


@every_form
def test_the_state_after_training_is_the_state_after_the_last_real_word(cell: str, gru_reset: str) -> None:
    config = ModelConfig(cell=cell, gru_reset=gru_reset, vocabulary_size=5, hidden_size=3, layers=2)
    model, (inputs, targets, live) = small_model(config), small_batch(mask="anywhere")
    start = small_state(model, inputs.shape[1])
    _, _, after = model.training_gradients(inputs, targets, live, state=start)
    for b, keep in enumerate(live.T):
        _, alone = model.log_probabilities(inputs[keep, b][:, None], [part[b : b + 1] for part in start])
        for part, own in zip(after, alone, strict=True):
            np.testing.assert_allclose(part[b], own[0], rtol=1e-13, atol=1e-15)


@every_form
def test_the_diagnostics_gradient_is_the_training_gradient(cell: str, gru_reset: str) -> None:
    config = ModelConfig(cell=cell, gru_reset=gru_reset, vocabulary_size=5, hidden_size=3, layers=2, embedding_size=2)
    model, batch = small_model(config), small_batch(mask="behind")
    _, gradients = model.loss_and_gradients(*batch)
    flow = gradient_flow(model, *batch)
    for name, value in gradients.items():
        np.testing.assert_allclose(flow.gradients[name], value, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize(("method", "limit"), [("complex", 1e-9), ("central", 1e-6)])
@pytest.mark.slow
def test_the_command_lines_check_passes_for_every_cell(method: str, limit: float) -> None:
    worst = check_all(method=method)
    assert set(worst) == {cell.name for cell in CELL_FORMS}
    assert all(0 < error < limit for error in worst.values()), worst


def test_the_check_reports_the_wrong_element() -> None:
    model, batch = small_model(ModelConfig(cell="lstm", vocabulary_size=5, hidden_size=3)), small_batch()
    honest = model.training_gradients

    def off_by_a_millionth(*args, **kwargs):
        loss, gradients, state = honest(*args, **kwargs)
        gradients["W"][7, 1] *= 1 + 1e-6
        return loss, gradients, state

    model.training_gradients = off_by_a_millionth
    check = check_gradients(model, *batch)
    assert (check.worst_parameter, check.worst_index) == ("W", (7, 1))
    assert check.worst_relative_error == pytest.approx(1e-6, rel=1e-3)
    assert check.analytic == pytest.approx(check.numeric, rel=2e-6)
    assert check.errors["U"] <= EXACT


def test_a_comparison_counts_nan_as_wrong_and_two_zeros_as_right() -> None:
    zeros = {"W": np.zeros((2, 2))}
    assert compare(zeros, zeros).worst_relative_error == 0
    assert compare({"W": np.array([1.0, np.nan])}, {"W": np.ones(2)}).worst_relative_error == np.inf
    assert compare({"W": np.array([0.0])}, {"W": np.array([1e-300])}).worst_relative_error == 1
    with pytest.raises(ValueError, match="different names or shapes"):
        compare(zeros, {"V": np.zeros((2, 2))})
    with pytest.raises(ValueError, match="different names or shapes"):
        compare(zeros, {"W": np.zeros(2)})


def test_the_truncated_loss_is_the_loss_but_not_its_derivative() -> None:
    """What is frozen has the same value; only its dependence on the parameters is gone."""
    model, batch = small_model(ModelConfig(vocabulary_size=5, hidden_size=3)), small_batch()
    past = states_before(model, *batch)
    assert mean_loss(model, *batch, truncate=1, past=past) == pytest.approx(mean_loss(model, *batch), rel=1e-14)
    full, cut = model.loss_and_gradients(*batch)[1], model.loss_and_gradients(*batch, truncate=1)[1]
    assert np.abs(full["W"] - cut["W"]).max() > 1e-4
    with pytest.raises(ValueError, match="states of the past"):
        mean_loss(model, *batch, truncate=1)
