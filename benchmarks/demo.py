"""What the demo's page will show, measured over ten seeds: how much of the gradient arrives at the word that matters.

    python -m benchmarks.demo [--seeds 10] [--processes 1]

(From the repository's root.) Printed seed by seed for the demo's network and for its cure: the median over eight fresh
sentences of what arrives at the queen or king of the gradient of "her" or "his", before training and at each look. The
demo's seed is the first with less than 1 % at every look.
"""

from __future__ import annotations

import os

# Before NumPy is imported: the networks are small, and each training is one core's work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("RNN_CORE_THREADS", "1")

import argparse
import dataclasses
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from dashboard.services import demo, sources
from rnn_core.data import agreement_items
from rnn_core.diagnostics import gradient_flow
from rnn_core.training import new_model, train
from rnn_core.training.events import StepDone

LOOKS = (50, 100, 200, 300, 450, 600, 800, 1000)
SENTENCES, SENTENCES_SEED = 8, 77


def arrives(seed: int, cured: bool) -> list[float]:
    """Of the gradient, at the queen or king: before training, and after each of LOOKS steps."""
    corpus = sources.prepare(demo.SOURCE, demo.TEXT)
    settings = dataclasses.replace(demo.training(seed), sample_every_seconds=None, steps=LOOKS[-1])
    config = demo.model(len(corpus.vocabulary))
    model = new_model((demo.cure_of(config) or config) if cured else config, settings)
    items = agreement_items(demo.SOURCE.gap, SENTENCES, SENTENCES_SEED)

    def look() -> float:
        shares = []
        for item in items:
            ids = corpus.vocabulary.encode_sentence(item.tokens)
            norms = gradient_flow(model, ids[:-1], ids[1:]).delta_norms
            shares.append(norms[item.target, item.controller + 1] / norms[item.target, item.target])
        return float(np.median(shares))

    found = [look()]
    steps = 0
    for event in train(model, corpus, settings):
        if isinstance(event, StepDone):
            steps += 1
            if steps in LOOKS:
                found.append(look())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    with ProcessPoolExecutor(arguments.processes) as pool:
        for cured in (False, True):
            print(f"\n| {'cured' if cured else 'demo'}: seed | before | " + " | ".join(map(str, LOOKS)) + " |")
            print("|" + "---|" * (len(LOOKS) + 2))
            seeds = range(arguments.seeds)
            for seed, found in zip(seeds, pool.map(arrives, seeds, [cured] * len(seeds)), strict=True):
                print(f"| {seed} | " + " | ".join(f"{share:.2g}" for share in found) + " |", flush=True)


if __name__ == "__main__":
    main()
