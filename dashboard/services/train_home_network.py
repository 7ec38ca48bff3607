"""The trained networks of the app's first page, made anew: one file a cell in dashboard/services/home_weights.

    python -m dashboard.services.train_home_network [--cells tanh,lstm] [--processes 2]

Every cell learns the same 2,000 sentences in the same way, from SEEDS seeds; the seed with the median validation loss
is kept, so no lucky and no unlucky one. Needs two minutes on two cores. The files change only where the mathematics of
training does; run it again after adding a cell.
"""

from __future__ import annotations

import os

# Before NumPy is imported: the networks are small, and each training is one core's work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("RNN_CORE_THREADS", "1")

import argparse
import json
from concurrent.futures import ProcessPoolExecutor

from safetensors.numpy import save_file

from dashboard.services import home_network
from rnn_core.arrays import Array
from rnn_core.config import TextSettings, TrainingSettings
from rnn_core.config.choices import CELLS
from rnn_core.data import prepare_sentences
from rnn_core.data.relative_clauses import relative_clauses
from rnn_core.training import Validated, new_model, train

SENTENCES = 2000
HIDDEN = 32
SEEDS = range(9)


def learn(cell: str, seed: int) -> tuple[float, dict[str, Array], dict[str, object]]:
    """Validation loss in nats, weights, and what the file says of them."""
    corpus = prepare_sentences(relative_clauses(SENTENCES), "relative clauses", TextSettings(sentences="lines"))
    settings = TrainingSettings(
        optimizer="adam",
        learning_rate=0.01,
        schedule="constant",
        clip=5.0,
        epochs=None,
        steps=600,
        seed=seed,
    )
    config = home_network.config_of(cell, len(corpus.vocabulary), HIDDEN)
    model = new_model(config, settings)
    losses = [event.loss_nats for event in train(model, corpus, settings) if isinstance(event, Validated)]
    facts = {
        "model": config.to_json(),
        "words": corpus.vocabulary.words,
        "sentences": SENTENCES,
        "steps": settings.steps,
        "seed": seed,
        "seeds": len(SEEDS),
        "valid_loss_nats": losses[-1],
    }
    return losses[-1], model.params, facts


def main() -> None:
    """Train and store the weights of the cells that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", default=",".join(CELLS))
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    home_network.TRAINED.mkdir(exist_ok=True)
    with ProcessPoolExecutor(arguments.processes) as pool:
        for cell in arguments.cells.split(","):
            found = sorted(pool.map(learn, [cell] * len(SEEDS), SEEDS), key=lambda one: one[0])
            loss, params, facts = found[len(found) // 2]
            save_file(params, home_network.TRAINED / f"{cell}.safetensors", metadata={"facts": json.dumps(facts)})
            print(f"{cell:8s} " + " ".join(f"{one[0]:.3f}" for one in found), f"-> seed {facts['seed']}, {loss:.3f}")


if __name__ == "__main__":
    main()
