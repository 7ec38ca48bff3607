"""Gradient clipping: the cure for explosion (Mikolov 2012 per value; Pascanu, Mikolov & Bengio 2013, Algorithm 1, by
norm).
"""

from __future__ import annotations

import math

import numpy as np

from rnn_core.nn.gradients import Gradients, squared_norm, to_dense


def global_norm(gradients: Gradients) -> float:
    """Euclidean norm of all gradients taken as one vector; inf or nan where any of them is not finite."""
    return math.sqrt(sum(map(squared_norm, gradients.values())))


def clip_by_global_norm(gradients: Gradients, limit: float) -> tuple[float, float]:
    """Norm before clipping, and the factor min(1, limit / (norm + 1e-6)) that PyTorch's `clip_grad_norm_` multiplies
    by.

    The gradients are not changed: the optimizer multiplies by the factor, since it reads every number anyway.
    """
    norm = global_norm(gradients)
    return norm, min(1.0, limit / (norm + 1e-6))


def clip_by_value(gradients: Gradients, limit: float) -> Gradients:
    """Every component cut to [-limit, limit] (PyTorch's `clip_grad_value_`)."""
    return {name: np.clip(to_dense(gradient), -limit, limit) for name, gradient in gradients.items()}
