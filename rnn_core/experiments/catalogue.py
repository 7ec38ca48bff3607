"""Experiments of the literature, each repeated by one command: ours beside the paper's, with every seed.

`EXPERIMENTS` lists them by name; a new one is a file that declares an `Experiment`, and a line here.
"""

import contextlib
from pathlib import Path

from rnn_core.errors import RunError
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
from rnn_core.experiments.results import FILE, Finished, Result, load, shipped
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


def opened(folder: Path) -> Result:
    """The result in this folder, of whichever experiment. Raises RunError where there is none that can be read."""
    path = folder / FILE
    for experiment in EXPERIMENTS.values():
        with contextlib.suppress(RunError):  # of another one
            result = load(experiment, path)
            if result is not None:
                return result
    raise RunError(f"{path} is the result of no experiment of this version; `reproduce list` names them.")


__all__ = ["EXPERIMENTS", "Experiment", "Finished", "Result", "Row", "Trial", "load", "opened", "run", "shipped"]
