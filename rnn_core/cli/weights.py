"""The weights of a run for a command, with a warning where the newest are damaged."""

from __future__ import annotations

from typing import Any

from rnn_core.cli.output import one_line, print_status
from rnn_core.nn.language_model import LanguageModel
from rnn_core.runs import LoadedWeights, Run


def load_weights(run: Run) -> LoadedWeights[LanguageModel]:
    """The newest weights that can be read; where newer ones are damaged, a warning goes to standard error."""
    weights = run.load_weights()
    if weights.note:
        print_status(f"warning: {one_line(weights.note)}")
    return weights


def weights_json(weights: LoadedWeights[LanguageModel]) -> dict[str, Any]:
    """Entries for a command's JSON where newer weights are damaged: the step of those read, and what is wrong."""
    return {"weights_step": weights.step, "damaged_checkpoints": list(weights.damaged)} if weights.damaged else {}
