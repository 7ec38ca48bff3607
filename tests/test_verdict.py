"""The verdict against networks of which one knows beforehand what their gradients do."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.laboratory.cures import cures
from rnn_core import LanguageModel, ModelConfig, TrainingSettings, gradient_flow
from rnn_core.diagnostics import verdict

WORDS, UNITS, STEPS = 12, 8, 14


def flow_of(cell: str, radius: float, steps: int = STEPS, **settings: object):
    config = ModelConfig(cell=cell, vocabulary_size=WORDS, hidden_size=UNITS, **settings)
    model = LanguageModel(config, rng=np.random.default_rng(0), dtype=np.float64)
    if "W" in model.params and not model.cell.gated:
        orthogonal, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((UNITS, UNITS)))
        model.params["W"][...] = radius * orthogonal
        model.params["U"][...] *= 1e-3  # so that every slope is that of the origin
    ids = np.random.default_rng(2).integers(0, WORDS, steps + 1)
    return gradient_flow(model, ids[:-1], ids[1:])


@pytest.mark.parametrize(("radius", "fate"), [(0.5, "vanishes"), (0.9, "fades"), (1.0, "lasts"), (1.3, "explodes")])
def test_a_scaled_rotation_multiplies_every_gradient_by_its_radius(radius: float, fate: str) -> None:
    found = verdict(flow_of("tanh", radius))
    assert found.fate == fate
    assert found.factor == pytest.approx(radius, rel=1e-3)
    assert found.left == pytest.approx(radius**found.lag, rel=1e-2)
    assert found.parts["W"] == pytest.approx(radius, rel=1e-3)
    assert found.parts["phi'"] == pytest.approx(1, rel=1e-3)
    assert found.cause == {"vanishes": "W", "fades": "W", "lasts": None, "explodes": "W"}[fate]


def test_a_sigmoid_of_the_same_w_is_blamed_for_its_slope_of_a_quarter() -> None:
    found = verdict(flow_of("sigmoid", 1.0, bias=False))
    assert found.fate == "vanishes"
    assert found.cause == "phi'"
    assert found.parts["phi'"] < 0.26


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru", "mingru"])
def test_the_parts_multiply_to_the_factor_of_the_chosen_loss(cell: str) -> None:
    flow = flow_of(cell, 0.8)
    found = verdict(flow, t=9)
    assert found.parts
    assert np.isfinite(list(found.parts.values())).all()
    if cell == "tanh":
        own = (flow.delta_norms[9, 0] / flow.delta_norms[9, 9]) ** (1 / 9)
        assert np.prod(list(found.parts.values())) == pytest.approx(own, rel=1e-9)


def test_a_text_of_one_position_has_no_verdict() -> None:
    with pytest.raises(ValueError, match="at least two"):
        verdict(flow_of("tanh", 1.0, steps=1))


class Config:
    """As much of a run's settings as a cure looks at."""

    def __init__(self, cell: str, **training: object) -> None:
        self.model = ModelConfig(cell=cell, vocabulary_size=WORDS, hidden_size=UNITS)
        self.training = TrainingSettings(**training)  # type: ignore[arg-type]


def test_what_vanishes_through_w_is_cured_by_w_and_what_explodes_is_clipped() -> None:
    vanishing = cures(verdict(flow_of("tanh", 0.5)), Config("tanh"), STEPS)  # type: ignore[arg-type]
    assert [cure.label for cure in vanishing] == ["An LSTM", "Orthogonal W", "ReLU, W = I"]
    exploding = cures(verdict(flow_of("tanh", 1.3)), Config("tanh", clip=None), STEPS)  # type: ignore[arg-type]
    assert exploding[0].training.clip is not None
    assert cures(verdict(flow_of("tanh", 1.0)), Config("tanh"), STEPS) == []  # type: ignore[arg-type]


def test_a_truncation_that_is_shorter_than_the_text_is_named_first() -> None:
    short = cures(verdict(flow_of("tanh", 0.5)), Config("tanh", truncate=4), STEPS)  # type: ignore[arg-type]
    assert short[0].training.truncate is None


@pytest.mark.parametrize("cell", ["tanh", "relu", "sigmoid", "lstm", "gru", "mingru"])
def test_every_cure_makes_sense_and_changes_something(cell: str) -> None:
    config = Config(cell)
    for cure in cures(verdict(flow_of(cell, 0.5)), config, STEPS):  # type: ignore[arg-type]
        cure.model.validate()
        cure.training.validate()
        assert (cure.model, cure.training) != (config.model, config.training)
