"""`gradients` and `gradcheck`: how far a gradient reaches back in a text, and whether gradients are right."""

from __future__ import annotations

import argparse

import numpy as np

from rnn_core.cli.output import finite, print_status, show
from rnn_core.cli.parser import Commands
from rnn_core.cli.weights import load_weights, weights_json
from rnn_core.config import CELLS
from rnn_core.data import END_ID, START, START_ID
from rnn_core.diagnostics import gradient_flow
from rnn_core.errors import SettingsError
from rnn_core.reference.gradcheck import check_all
from rnn_core.runs import Run
from rnn_core.training import read_prompt

# The gradient is kept for every pair of steps, so memory grows with the square of the text's length.
LONGEST_TEXT = 200


def add(commands: Commands) -> None:
    """Add the commands."""
    parser = commands.add("gradients", gradients_command, "how far a network's gradient reaches back in a text")
    parser.add_argument("run", metavar="DIR")
    parser.add_argument("--text", required=True, metavar="TEXT")

    parser = commands.add("gradcheck", gradcheck_command, "every gradient against central differences, in float64")
    parser.add_argument("--cell", choices=tuple(CELLS), help="(all)")


def gradients_command(options: argparse.Namespace) -> int:
    """The norm of the gradient that arrives at each step, and of the part of dE/dW from each lag."""
    run = Run.open(options.run)
    vocabulary = run.vocabulary()
    text = read_prompt(vocabulary, options.text)
    if not text.tokens:
        raise SettingsError("the text is empty; give a sentence with --text.")
    if len(text.tokens) >= LONGEST_TEXT:
        raise SettingsError(
            f"the text has {len(text.tokens)} tokens; the picture of every pair of them is made for up to "
            f"{LONGEST_TEXT - 1}. Shorten it."
        )
    if text.explanation:
        print_status(f"note: {text.explanation}")
    ids = np.concatenate([[START_ID], text.ids, [END_ID]])
    weights = load_weights(run)
    flow = gradient_flow(weights.model, ids[:-1], ids[1:])
    words = [START, *text.tokens]
    values = {
        "tokens": words,  # the input of each step; step t's loss is about the next one, and at last about </s>
        "delta_norms": [[finite(float(norm)) for norm in row] for row in flow.delta_norms],
        "lag_gradient_norms": [finite(float(norm)) for norm in flow.lag_gradient_norms],
        "full_gradient_norm": finite(float(flow.full_gradient_norm)),
        "half_life": finite(flow.half_life),
        **weights_json(weights),
    }
    half_life = "longer than the text" if flow.half_life is None else f"{flow.half_life:.2f} steps"
    lines = [
        f"gradient of {flow.recurrent[0]}, all lags together: {flow.full_gradient_norm:.4g}; half-life {half_life}",
        "lag  ||G_lag||  ||delta|| of the last loss there",
        *(
            f"{lag:3d}  {norm:9.3g}  {flow.delta_norms[-1, len(words) - 1 - lag]:9.3g}  {words[len(words) - 1 - lag]}"
            for lag, norm in enumerate(flow.lag_gradient_norms)
        ),
    ]
    show(options, values, lines)
    return 0


def gradcheck_command(options: argparse.Namespace) -> int:
    """The worst relative error of each cell's gradients."""
    worst = check_all(tuple(CELLS) if options.cell is None else (options.cell,))
    lines = [f"{cell:8s} {error:.2g}" for cell, error in worst.items()]
    show(options, {"worst_relative_error": worst}, lines)
    return 0
