"""What a training went through: its loss and the norm of its gradient, over the steps."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

import numpy as np

from rnn_core.data.tasks import Task
from rnn_core.report.svg import Plot, add, three_digits
from rnn_core.runs import Run
from rnn_core.training import Validated


def loss(parent: Element, run: Run) -> None:
    """Training and validation loss; for a text beside the losses of the uniform guess and of the unigram."""
    outline, facts = run.outline(), run.config.corpus
    validated = run.recorded(Validated).values()
    steps = np.array([event.step for event in validated], dtype=float)
    losses = np.array([event.loss_nats for event in validated], dtype=float)
    references = [] if run.config.task or run.config.monitored else [("uniform", facts.uniform_nats)]
    if references and facts.unigram_nats != facts.uniform_nats:
        references.append(("unigram", facts.unigram_nats))
    values = np.concatenate([outline["loss_nats"], losses, [value for _, value in references]])
    if not len(outline["step"]):
        return  # the run's history was lost
    last = float(outline["step"][-1])
    title = "loss" if run.config.task or run.config.monitored else "loss (nats per token)"
    extent = (float(values.min()), float(values.max()))
    plot = Plot(parent, "Loss over the steps of the training", (0.0, last), extent, titles=("step", title))
    ends = []
    for name, value in references:
        plot.line(np.array([0.0, last]), np.array([value, value]), "other", dashed=True)
        ends.append((value, name, "other"))
    for name, x, y in (("training", outline["step"], outline["loss_nats"]), ("validation", steps, losses)):
        if len(x):
            plot.line(x, y, name)
            ends.append((float(y[-1]), f"{name} {y[-1]:.3f}", name))
    plot.names(ends)


def metric(parent: Element, run: Run, task: Task) -> None:
    """The metric of a task over the steps, beside that of an answer that does not look at the input."""
    validated = [event for event in run.recorded(Validated).values() if event.metric is not None]
    if not validated:
        add(parent, "p", "Nothing has been measured yet.", class_="note")
        return
    steps = np.array([event.step for event in validated], dtype=float)
    values = np.array([event.metric for event in validated], dtype=float)
    last = three_digits(float(values[-1]))
    result = f"{task.label}: after {validated[-1].step:,} steps the {task.metric_name} is {last}"
    add(parent, "p", f"{result}; without looking at the input it is {three_digits(task.baseline)}.", class_="verdict")
    alt_text = f"{task.metric_name} over the steps of the training"
    add(parent, "h2", task.metric_name.capitalize())
    extent = (0.0, float(max(values.max(), task.baseline)))
    plot = Plot(parent, alt_text, (0.0, float(steps[-1])), extent, titles=("step", task.metric_name))
    plot.line(np.array([0.0, steps[-1]]), np.array([task.baseline] * 2), "other", dashed=True)
    plot.line(steps, values, "validation")
    plot.names([(task.baseline, "without looking", "other"), (float(values[-1]), last, "validation")])


def gradient_norm(parent: Element, run: Run) -> None:
    """The gradient's global norm before clipping, on a log axis."""
    outline = run.outline()
    shown = outline["gradient_norm"] > 0
    steps, norms = outline["step"][shown], outline["gradient_norm"][shown]
    if not len(norms):
        return
    # Whole powers of ten, so that there are at least two to read.
    extent = (10.0 ** math.floor(math.log10(norms.min())), 10.0 ** math.ceil(math.log10(norms.max() * 1.001)))
    titles = ("step", "gradient norm")
    alt_text = "Norm of the gradient over the steps of the training, before clipping"
    plot = Plot(parent, alt_text, (0.0, float(steps[-1])), extent, titles=titles, log=True, height=240)
    plot.line(steps, norms, "training")
    plot.names([(float(norms[-1]), "before clipping", "training")])
