"""How long one looks at a PyTorch network's gradient: `torch_gradient_flow` beside a loop of T autograd.grad calls.

    python benchmarks/torch_flow.py [--rounds 7]

The loop is what a PyTorch user would write: unroll the module step by step, keep every state, and ask autograd for the
gradient of each loss by all states before it. T 40, H 128, one sequence and eight. The two take turns; the ratio is of
each round. Needs PyTorch.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import torch
from machine import describe, goal

from rnn_core import torch_gradient_flow

T, D, H = 40, 64, 128
ASKED = 20.0


def by_loop(rnn: torch.nn.Module, inputs: torch.Tensor) -> np.ndarray:
    """||dE_t/dh_k||, (T, T), of the first sequence: row t, column k."""
    state, states = None, []
    for t in range(T):
        _, state = rnn(inputs[t : t + 1], state)
        states.append(state[0] if isinstance(state, tuple) else state)
    losses = [states[t].pow(2).sum() for t in range(T)]
    norms = np.full((T, T), np.nan)
    for t in range(T):
        gradients = torch.autograd.grad(losses[t], states[: t + 1], retain_graph=True)
        norms[t, : t + 1] = [float(gradient[0, 0].norm()) for gradient in gradients]
    return norms


def loss(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.pow(2).sum(-1)


def seconds(work: Any, *arguments: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    found = work(*arguments)
    return time.perf_counter() - started, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(describe())
    for kind in ("RNN", "GRU", "LSTM"):
        for batch in (1, 8):
            torch.manual_seed(0)
            rnn = getattr(torch.nn, kind)(D, H)
            inputs = torch.randn(T, batch, D)
            ratios, ours, theirs = [], [], []
            for _ in range(options.rounds):
                mine, flow = seconds(torch_gradient_flow, rnn, inputs, loss)
                other, norms = seconds(by_loop, rnn, inputs)
                ratios.append(other / mine)
                ours.append(mine)
                theirs.append(other)
            if kind == "RNN":  # its deltas are dE_t/dh_k times the slope, and the slope of the state is known
                slopes = 1 - flow.trace.hidden[:, 0] ** 2
                assert np.isfinite(norms[-1]).all()
                assert (flow.delta_norms.reshape(T, T, -1)[-1, :, 0] <= norms[-1] * slopes.max() * 1.001).all()
            times = f"{statistics.median(ours) * 1e3:.1f} ms, by the loop {statistics.median(theirs) * 1e3:.0f} ms"
            print(goal(f"{kind}, B {batch}: {times}; times faster", ASKED, statistics.median(ratios)), flush=True)


if __name__ == "__main__":
    main()
