"""What the Monitor costs a PyTorch training loop: the same loop with and without it, in turns.

    python benchmarks/monitor.py [--rounds 5] [--seconds 20]

A character LSTM (65 words, embedding 64, T 50, B 32) trained with Adam and clipping on random text. Each round is one
loop without the Monitor and one with it, at its default setting, over the same number of steps; the ratio is taken per
round, of processor time, which others on the machine change least: the Monitor waits for nothing. Needs PyTorch.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from pathlib import Path

import torch
from machine import describe

from rnn_core import Monitor
from rnn_core.runs import Run

WORDS, EMBEDDING, STEPS, BATCH = 65, 64, 50, 32


class Characters(torch.nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(WORDS, EMBEDDING)
        self.rnn = torch.nn.LSTM(EMBEDDING, hidden)
        self.decoder = torch.nn.Linear(hidden, WORDS)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.rnn(self.embedding(ids))[0])


def loop(hidden: int, steps: int, folder: Path | None) -> float:
    """Seconds of processor time that so many steps take."""
    torch.manual_seed(0)
    model = Characters(hidden)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    text = torch.randint(0, WORDS, (STEPS + 1, BATCH))
    started = time.process_time()
    with contextlib.nullcontext() if folder is None else Monitor(model, folder, optimizer=optimizer) as monitor:
        for _ in range(steps):
            loss = torch.nn.functional.cross_entropy(model(text[:-1]).flatten(0, 1), text[1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if monitor is not None:
                monitor.step(loss, gradient_norm=norm)
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a loop without the Monitor, about")
    parser.add_argument("--hidden", default="64,128,512")
    options = parser.parse_args()
    print(describe())
    for hidden in map(int, options.hidden.split(",")):
        loop(hidden, 5, None)
        steps = max(10, int(options.seconds / (loop(hidden, 20, None) / 20)))
        costs = []
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as room:
                folder = Path(room) / "monitored"
                bare, watched = loop(hidden, steps, None), loop(hidden, steps, folder)
                measured = len(Run.open(folder).events(kinds=["horizon_measured"]))
            costs.append(watched / bare - 1)
        per_step = bare / steps * 1e3
        print(
            f"H {hidden:4}: {per_step:6.1f} ms a step, {steps} steps, {measured} measurements; the Monitor adds "
            f"{statistics.median(costs):+.1%} (median of {', '.join(f'{cost:+.1%}' for cost in costs)})",
            flush=True,
        )


if __name__ == "__main__":
    main()
