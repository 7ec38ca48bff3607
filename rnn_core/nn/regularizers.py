"""Omega, the vanishing-gradient regulariser of Pascanu, Mikolov & Bengio (2013), section 3.3.

It penalises every step back through time on which the error signal changes its length:

    Omega = sum_k (r_k^2 - 1)^2,   r_k = ||dE/ds_{k+1} J_{k+1}|| / ||dE/ds_{k+1}||,   J_{k+1} = ds_{k+1}/ds_k =
    diag(phi'(a_{k+1})) W

(The paper's equation 9 prints (r - 1)^2; its equation 10 and the authors' code use r^2. Their code also divides by the
number of steps: a strength of theirs is T times as much as the same number here.) Its gradient is the *immediate* one:
s and dE/ds are held fixed, so that W acts only where it is written above. It stands in `nn` because that needs the walk
back through the network, which `optim` knows nothing of.
"""

from __future__ import annotations

import numpy as np

from rnn_core.arrays import Array


def omega(d_state: Array, slopes: Array, W: Array) -> complex | float:
    """d_state, slopes (T, B, H): dE/ds_t and phi'(a_t); W (H, H) -> Omega, summed over steps, mean over the B
    sequences.

    Steps on which no gradient arrives (padding, or one that has vanished to exactly zero) have no ratio and are left
    out. The first step is left out too: what arrives before it belongs to no word.
    """
    value = np.sum((_ratios(d_state, slopes, W)[0] - 1) ** 2) / d_state.shape[1]
    return complex(value) if np.iscomplexobj(value) else float(value)


def omega_gradient(d_state: Array, slopes: Array, W: Array) -> Array:
    """Immediate dOmega/dW (H, H): sum_k 4 (r_k^2 - 1) / ||dE/ds_{k+1}||^2 * delta^T (delta W), delta = dE/ds_{k+1} *
    phi'.
    """
    ratios, delta, arriving, squared = _ratios(d_state, slopes, W)
    factor = 4 * (ratios - 1) / squared / d_state.shape[1]
    return delta.T @ (factor[:, None] * arriving)


def _ratios(d_state: Array, slopes: Array, W: Array) -> tuple[Array, Array, Array, Array]:
    """r^2 (P,), delta (P, H), delta W (P, H) and ||dE/ds||^2 (P,) of the P (step, sequence) pairs that have a ratio."""
    size = W.shape[0]
    d_next, slope = d_state[1:].reshape(-1, size), slopes[1:].reshape(-1, size)
    squared = np.einsum("ph,ph->p", d_next, d_next)
    arrives = squared > np.finfo(squared.dtype).tiny
    d_next, slope, squared = d_next[arrives], slope[arrives], squared[arrives]
    delta = d_next * slope
    arriving = delta @ W
    # No conjugate: the ratio stays analytic in W, as the complex-step check needs.
    return np.einsum("ph,ph->p", arriving, arriving) / squared, delta, arriving, squared
