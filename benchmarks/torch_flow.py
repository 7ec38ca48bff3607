"""How long one looks at a PyTorch network's gradient: `torch_gradient_flow` beside a loop of T autograd.grad calls.

    python benchmarks/torch_flow.py [--rounds 7]

Two loops that a PyTorch user may write. *States*: call the module step by step, keep every h_k, and ask autograd for
dE_t/dh_k of each loss by all states before it. *Same numbers*: the cell by hand, its input projections kept, whose
gradients are the very deltas that `torch_gradient_flow` gives (it is checked that they are). T 40 and 200, H 128, one
sequence and eight; the lengths of all of them. In float32, while ours walks in float64. Ours and a loop take turns; the
ratio is of each round, in processor time. Needs PyTorch.

The goal is for the first loop, T 40, one sequence. An LSTM reaches it. A GRU and a plain network cannot at this length:
their products in float64 alone (shown beside it) take most of a twentieth of the loop's time, and what does not grow
with T^2 takes more than the rest: to lift the weights, run the network and ask autograd for dE_t/dh_t twice.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from machine import describe, goal

from rnn_core import torch_gradient_flow
from rnn_core.threads import one_blas_thread

D, H = 64, 128
ASKED = 20.0
CASES = ((40, 1), (40, 8), (200, 1))  # T, B


def loss(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.pow(2).sum(-1)


def ours(rnn: torch.nn.Module, inputs: torch.Tensor) -> np.ndarray:
    """||delta_{t,k}||, (T, T, B): row t, column k."""
    return torch_gradient_flow(rnn, inputs, loss).delta_norms.reshape(len(inputs), len(inputs), -1)


def by_states(rnn: torch.nn.Module, inputs: torch.Tensor) -> np.ndarray:
    """||dE_t/dh_k||, (T, T, B)."""
    state, states = None, []
    for x in inputs:
        _, state = rnn(x[None], state)
        states.append(state[0] if isinstance(state, tuple) else state)  # (1, B, H)
    return norms_of(states, states)


def by_hand(rnn: torch.nn.Module, inputs: torch.Tensor) -> np.ndarray:
    """||delta_{t,k}||, (T, T, B), by PyTorch's equations of the three cells."""
    h = c = torch.zeros(inputs.shape[1], H)
    projections = (inputs @ rnn.weight_ih_l0.T + rnn.bias_ih_l0).detach()
    read, states = [], []
    for projection in projections:
        read.append(a := projection.requires_grad_())
        recurrent = torch.addmm(rnn.bias_hh_l0, h, rnn.weight_hh_l0.T)
        if rnn.mode == "LSTM":
            i, f, g, o = (a + recurrent).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        elif rnn.mode == "GRU":
            (a_r, a_z, a_n), (q_r, q_z, q_n) = a.chunk(3, -1), recurrent.chunk(3, -1)
            n = (a_n + (a_r + q_r).sigmoid() * q_n).tanh()
            h = n + (a_z + q_z).sigmoid() * (h - n)
        else:
            h = (a + recurrent).tanh()
        states.append(h)
    return norms_of(states, read)


def norms_of(states: list[torch.Tensor], sources: list[torch.Tensor]) -> np.ndarray:
    """The loop: the gradient of each state's loss by every source so far, (B, ·) or (1, B, ·) -> lengths
    (T, T, B).
    """
    losses = [loss(state).sum() for state in states]
    norms = np.full((len(losses), len(losses), states[0].shape[-2]), np.nan)
    for t, one in enumerate(losses):
        gradients = torch.autograd.grad(one, sources[: t + 1], retain_graph=True)
        norms[t, : t + 1] = torch.stack(gradients).norm(dim=-1).reshape(t + 1, -1)
    return norms


def products(rnn: torch.nn.Module, inputs: torch.Tensor) -> np.ndarray:
    """What a walk cannot do without: each lag's deltas, (T - j) B of them, times the recurrent matrix in float64."""
    W = rnn.weight_hh_l0.detach().numpy().astype(np.float64)
    steps, batch, _ = inputs.shape
    deltas = np.ones((steps * batch, len(W)))
    with one_blas_thread():
        for lag in range(steps):
            found = deltas[lag * batch :] @ W
    return found


def seconds(work: Callable[..., np.ndarray], *arguments: Any) -> tuple[float, np.ndarray]:
    started = time.process_time()
    found = work(*arguments)
    return time.process_time() - started, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(describe())
    torch.set_num_threads(1)
    for kind in ("RNN", "GRU", "LSTM"):
        for steps, batch in CASES:
            torch.manual_seed(0)
            rnn = getattr(torch.nn, kind)(D, H)
            inputs = torch.randn(steps, batch, D)
            for loop in (by_states, by_hand):
                mine, theirs, least = [], [], []
                for _ in range(options.rounds):
                    took, found = seconds(ours, rnn, inputs)
                    mine.append(took)
                    took, expected = seconds(loop, rnn, inputs)
                    theirs.append(took)
                    least.append(seconds(products, rnn, inputs)[0])
                if loop is by_hand:
                    # In float32 a delta has lost its digits long before it is this small.
                    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-15)
                ratio = statistics.median(other / own for own, other in zip(mine, theirs, strict=True))
                own, other, walk = (f"{statistics.median(times) * 1e3:.1f} ms" for times in (mine, theirs, least))
                what = f"{kind}, T {steps}, B {batch}, {loop.__name__}: {other} by the loop, {own} by ours"
                what = f"{what} (products {walk}); times faster"
                asked = loop is by_states and (steps, batch) == CASES[0]
                print(goal(what, ASKED, ratio) if asked else f"- {what} {ratio:.1f}", flush=True)


if __name__ == "__main__":
    main()
