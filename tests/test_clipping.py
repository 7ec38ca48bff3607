"""Clipping: by the norm of all gradients taken as one vector, by value, and what happens to numbers that are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core.nn.gradients import Occurrences, RowGradient, to_dense
from rnn_core.optim.clipping import clip_by_global_norm, clip_by_value, global_norm


def mixed(scale: float = 1.0) -> dict:
    rng = np.random.default_rng(0)
    return {
        "W": scale * rng.standard_normal((3, 3)),
        "U": RowGradient.from_positions(
            Occurrences(np.array([2, 0, 2])), scale * rng.standard_normal((1, 3, 2)), (5, 2)
        ),
        "V": scale * rng.standard_normal((7, 3)),
    }


def as_one_vector(gradients: dict) -> np.ndarray:
    return np.concatenate([to_dense(gradient).ravel() for gradient in gradients.values()])


def test_the_global_norm_is_that_of_one_long_vector() -> None:
    assert global_norm(mixed()) == pytest.approx(np.linalg.norm(as_one_vector(mixed())), rel=1e-13)
    assert global_norm({}) == 0


@settings(deadline=None, max_examples=50)
@given(st.floats(1e-6, 1e6), st.floats(1e-3, 1e3))
def test_the_factor_is_pytorchs_and_keeps_the_norm_within_the_limit(scale: float, limit: float) -> None:
    gradients = mixed(scale)
    norm, factor = clip_by_global_norm(gradients, limit)
    assert norm == pytest.approx(np.linalg.norm(as_one_vector(gradients)), rel=1e-12)
    assert factor == pytest.approx(min(1.0, limit / (norm + 1e-6)), rel=1e-15)
    assert factor * norm <= limit
    if norm + 1e-6 < limit:
        assert factor == 1.0


def test_a_gradient_within_the_limit_is_left_as_it_is() -> None:
    norm = np.linalg.norm(as_one_vector(mixed()))
    assert clip_by_global_norm(mixed(), 2 * norm)[1] == 1.0
    assert clip_by_global_norm({"W": np.zeros((2, 2))}, 1.0) == (0.0, 1.0)


def test_clipping_by_norm_leaves_the_gradients_and_their_direction_alone() -> None:
    gradients = mixed()
    before = as_one_vector(gradients)
    clip_by_global_norm(gradients, 0.1)
    np.testing.assert_array_equal(as_one_vector(gradients), before)


def test_clipping_by_value_cuts_every_component_and_no_other() -> None:
    gradients = mixed()
    before = as_one_vector(gradients)
    clipped = clip_by_value(gradients, 0.5)
    assert set(clipped) == set(gradients)
    after = as_one_vector(clipped)
    inside = np.abs(before) <= 0.5
    assert inside.any()
    assert not inside.all()
    np.testing.assert_array_equal(after[inside], before[inside])
    np.testing.assert_array_equal(after[~inside], 0.5 * np.sign(before[~inside]))
    np.testing.assert_array_equal(as_one_vector(gradients), before)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("form", ["dense", "rows"])
def test_one_number_that_is_none_shows_in_the_norm(bad: float, form: str) -> None:
    """Training stops on it; the norm must not hide it behind a finite value."""
    gradients = mixed()
    if form == "dense":
        gradients["W"][1, 2] = bad
    else:
        gradients["U"].values[0, 1] = bad
    norm, _ = clip_by_global_norm(gradients, 1.0)
    assert not math.isfinite(norm)


def test_a_norm_beyond_what_floats_hold_is_infinite_and_no_crash() -> None:
    assert global_norm({"W": np.full((2, 2), 1e200)}) == math.inf
    assert global_norm({"W": np.full((2, 2), 1e30, np.float32)}) == math.inf


def test_single_precision_norms_are_those_of_double_precision() -> None:
    exact = mixed()
    single = {
        "W": exact["W"].astype(np.float32),
        "U": RowGradient(exact["U"].rows, exact["U"].values.astype(np.float32), exact["U"].shape),
        "V": exact["V"].astype(np.float32),
    }
    assert global_norm(single) == pytest.approx(global_norm(exact), rel=1e-6)
