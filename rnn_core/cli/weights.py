"""The weights of a run, for the commands that show what they do: with a word where they are not the newest."""

from __future__ import annotations

from typing import Any

from rnn_core.cli.output import one_line, tell
from rnn_core.nn.language_model import LanguageModel
from rnn_core.runs import LoadedWeights, Run


def load_weights(run: Run) -> LoadedWeights[LanguageModel]:
    """The newest weights that can be read; where newer ones are damaged, that is said on standard error."""
    weights = run.load_weights()
    if weights.note:
        tell(f"warning: {one_line(weights.note)}")
    return weights


def weights_json(weights: LoadedWeights[LanguageModel]) -> dict[str, Any]:
    """What a command's JSON adds where newer weights are damaged: the step of those it read, and what is wrong."""
    return {"weights_step": weights.step, "damaged_checkpoints": list(weights.damaged)} if weights.damaged else {}
