"""A run as one HTML file: its gradients, what it writes, its curves and settings, and how to repeat it."""

from __future__ import annotations

import time
from itertools import groupby
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from rnn_core.config import SamplingSettings, Settings, unused_settings
from rnn_core.data import END, END_ID, START, START_ID, Vocabulary, detokenize
from rnn_core.data.tasks import Task, make_task
from rnn_core.diagnostics import GradientFlow, gradient_flow, verdict
from rnn_core.errors import SettingsError, UserError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.randomness import stream
from rnn_core.report import curves, gradients, repeat
from rnn_core.report.page import html, new_page, table, write
from rnn_core.report.svg import add
from rnn_core.runs import Run
from rnn_core.training import BY_HAND, SampledToken, SettingChanged, generate, read_prompt

MAX_STEPS = 40
"""At most so many steps of a sentence are drawn: more are too wide to be read."""

SENTENCES = 5
"""Sentences that the network writes for the report."""

SAMPLING = SamplingSettings(temperature=0.8, max_tokens=60)


def write_report(run: Run, path: str | Path, text: str | None = None) -> Path:
    """Write the report of a run into a file, whole or not at all. `text`: the sentence whose gradients are drawn.

    Raises SettingsError where the file would be one of a run's own, or the text cannot be read; RunError where the run
    is damaged or the disk says no.
    """
    return write(report_html(run, text), path)


def report_html(run: Run, text: str | None = None) -> str:
    """The report as HTML. Without a `text` the gradients are those of a sentence that the network writes itself: none
    of the text that it learnt from is quoted.
    """
    config = run.config
    page, body = new_page(config.name)
    status = run.status()
    facts = [config.model.cell, f"{config.model.hidden_size} units", f"step {status.step:,}", config.corpus.name]
    made = time.strftime("%Y-%m-%d", time.gmtime(config.created))
    add(body, "p", " · ".join([*facts, made, *config.tags]), class_="facts")
    if config.task is None or text is not None:
        _network(body, run, text)
    else:
        task = make_task(config.task)
        curves.metric(body, run, task)
        _sequence(body, run, task)
    if status.step:
        add(body, "h2", "Loss")
        curves.loss(body, run)
        add(body, "h2", "Gradient norm")
        curves.gradient_norm(body, run)
    _changes(body, run)
    _settings(body, run)
    _how_to_repeat(body, run)
    return html(page)


def _network(body: Element, run: Run, text: str | None) -> None:
    """The gradients of one sentence, and what the network writes; or why that cannot be shown."""
    try:
        weights, vocabulary = run.load_weights(), run.vocabulary()
        written = list(generate(weights.model, vocabulary, count=SENTENCES, settings=SAMPLING))
    except UserError as error:
        if text is not None:
            raise
        add(body, "p", str(error), class_="note")
        return
    if weights.note:
        add(body, "p", weights.note, class_="note")
    words = max(_sentences(written), key=len) if text is None else _words(vocabulary, text)
    if len(words) > MAX_STEPS:
        add(body, "p", f"Of the sentence, the first {MAX_STEPS} of {len(words)}.", class_="note")
    _gradients(body, run, weights.model, vocabulary, words[:MAX_STEPS])
    add(body, "h2", "What it writes")
    add(body, "p", f"At temperature {SAMPLING.temperature:g}, seed 0, by the weights of step {weights.step:,}.")
    listed = add(body, "ol", class_="samples")
    for sentence in _sentences(written):
        add(listed, "li", detokenize(sentence, vocabulary.unit))


def _sentences(tokens: list[SampledToken]) -> list[list[str]]:
    """The words of each sentence."""
    return [[token.word for token in group] for _, group in groupby(tokens, lambda token: token.sentence)]


def _words(vocabulary: Vocabulary, text: str) -> list[str]:
    """The tokens of the given sentence. Raises SettingsError where there is none."""
    words = list(read_prompt(vocabulary, text).tokens)
    if not words:
        raise SettingsError("the sentence is empty; give one, or leave it out for one that the network writes.")
    return words


def _gradients(body: Element, run: Run, model: LanguageModel, vocabulary: Vocabulary, words: list[str]) -> None:
    ids = np.array([START_ID, *vocabulary.encode(words), END_ID])
    # The last loss should be that of a word, not of the sentence's end, so the step that predicts the end is left out.
    flow = gradient_flow(model, ids[:-2], ids[1:-1]) if len(words) > 1 else gradient_flow(model, ids[:-1], ids[1:])
    labels = [START, *words] if len(words) > 1 else [START, *words, END]
    unit = "character" if vocabulary.unit == "char" else "word"
    _last_loss(body, labels, flow, unit)
    add(body, "h2", f"Every loss at every {unit} before it")
    gradients.triangle(body, labels, flow)
    add(body, "p", "Full colour: all of it arrives; none: less than a hundred-millionth; orange: it grew.")
    add(body, "h2", "Gradient by lag")
    gradients.by_lag(body, flow, run.config.training.truncate)


def _last_loss(body: Element, labels: list[str], flow: GradientFlow, unit: str) -> None:
    """The gradient of the last loss: the verdict, and the unrolled network. labels (T + 1): the inputs of the T steps,
    and the target of the last one.
    """
    try:
        add(body, "p", gradients.verdict_sentence(verdict(flow), unit), class_="verdict")
    except ValueError as error:
        add(body, "p", f"{error}.", class_="verdict")
    gradients.unrolled(body, labels, flow)
    add(body, "p", f"The loss of the last {unit} on its way back: what arrives, of 1 at the loss itself.")


def _sequence(body: Element, run: Run, task: Task) -> None:
    """The gradients of one sequence of a task, not one of those trained on; or why that cannot be shown."""
    try:
        weights = run.load_network()
    except UserError as error:
        add(body, "p", str(error), class_="note")
        return
    if weights.note:
        add(body, "p", weights.note, class_="note")
    batch = task.draw(1, stream(0, f"task {task.name} shown"))
    if len(batch.inputs) > MAX_STEPS:
        return
    flow = gradient_flow(weights.model, batch.inputs, batch.targets, loss_weights=batch.loss_weights)
    add(body, "h2", "One of its sequences")
    _last_loss(body, [*task.input_names(batch, 0), task.target_names(batch, 0)[-1]], flow, "step")
    add(body, "h2", "Gradient by lag")
    gradients.by_lag(body, flow, run.config.training.truncate)


def _changes(body: Element, run: Run) -> None:
    """What was changed while it trained."""
    changes = run.recorded(SettingChanged).values()
    if not changes:
        return
    add(body, "h2", "Changed on the way")
    if any(change.why == BY_HAND for change in changes):
        add(body, "p", "What was set by hand is no part of the settings below, nor of the lines that repeat them.")
    rows = [
        (
            f"{change.step:,}",
            change.kind.removesuffix("_changed").replace("_", " "),
            change.old,
            change.new,
            change.why,
        )
        for change in changes
    ]
    table(body, ("after step", "setting", "from", "to", "why"), rows)


def _settings(body: Element, run: Run) -> None:
    add(body, "h2", "Settings")
    config = run.config
    learnt = {"text": config.text} if config.task is None else {"task": config.task}
    parts: dict[str, Settings] = {"network": config.model, "training": config.training, **learnt}
    unused = set() if config.task is None else unused_settings(config.task)
    rows = [
        (part, name, value)
        for part, settings in parts.items()
        for name, value in settings.to_json().items()
        if name not in unused
    ]
    table(body, ("part", "setting", "value"), rows)


def _how_to_repeat(body: Element, run: Run) -> None:
    if run.config.monitored:
        return
    add(body, "h2", "How to repeat it")
    forked = run.config.forked
    if forked is not None:
        add(body, "p", f"It is a fork. Where the folder of the run {forked.run} lies:")
        add(body, "pre", repeat.fork_command(run, forked))
        return
    if run.config.task is None:
        add(body, "p", f"CORPUS is a file with the text “{run.config.corpus.name}”.")
    add(body, "pre", repeat.command(run))
    python = repeat.python(run)
    if python is not None:
        add(body, "p", "Or in Python, with the words that the run's own folder holds, beside that folder:")
        add(body, "pre", python)
