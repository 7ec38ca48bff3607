"""Experiments of the literature, each repeated by one command: ours beside the paper's, with every seed.

`EXPERIMENTS` lists them by name; a new one is a file that declares an `Experiment`, and a line here.
"""

from pathlib import Path

from rnn_core.experiments import (
    adding,
    agreement,
    cliff,
    copy_memory,
    curse_of_memory,
    effective_context,
    forget_bias,
    gradient_film,
    interpretable_units,
    learning_curve,
    temporal_order,
)
from rnn_core.experiments.base import Experiment, Row, Trial
from rnn_core.experiments.results import FILE, Finished, Result, load, load_any, shipped
from rnn_core.experiments.running import run

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        cliff,
        temporal_order,
        agreement,
        learning_curve,
        forget_bias,
        adding,
        copy_memory,
        gradient_film,
        curse_of_memory,
        interpretable_units,
        effective_context,
    )
}


def open_result(folder: Path) -> Result:
    """The result in this folder, of whichever experiment. Raises RunError where there is none that can be read."""
    return load_any(EXPERIMENTS, folder / FILE)


__all__ = ["EXPERIMENTS", "Experiment", "Finished", "Result", "Row", "Trial", "load", "open_result", "run", "shipped"]
