"""`train`, `resume` and `race`: what makes a run, or goes on with one."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rnn_core.cli.corpus import prepare_file, words_of_file
from rnn_core.cli.hosting import add_hosting, limits, lower_priority
from rnn_core.cli.output import finite, one_line, print_status, program, show
from rnn_core.cli.parser import Commands, add_setting, add_settings, given_settings, read_settings
from rnn_core.cli.progress import RaceProgress, TrainingProgress
from rnn_core.config import (
    TASK_DEFAULTS,
    ModelConfig,
    TaskSettings,
    TextSettings,
    TrainingSettings,
    check,
    settings_of,
)
from rnn_core.data import with_special_entries
from rnn_core.data.tasks import make_task
from rnn_core.errors import DivergenceError, RunError, SettingsError, UserError
from rnn_core.interop.importing import ImportedNetwork, import_network, with_training_settings
from rnn_core.runs import Run, create_run, create_task_run, memory
from rnn_core.runs.race import race
from rnn_core.runs.worker import Outcome, work
from rnn_core.training import perplexity


def add(commands: Commands) -> None:
    """Add the commands."""
    parser = commands.add("train", train_command, "train a network on a text or a task, in a new run's folder")
    parser.add_argument("corpus", metavar="CORPUS", nargs="?", help="a .txt, .csv or .jsonl file; or give a --task")
    parser.add_argument("--run", metavar="DIR", required=True, help="the folder of the new run")
    parser.add_argument("--name", help="what to call the run (the file's name)")
    parser.add_argument("--validation", metavar="FILE", help="sentences to validate on, instead of some held out")
    words = parser.add_mutually_exclusive_group()
    words.add_argument("--vocabulary-file", metavar="FILE", help="the words to know: a JSON list, or one in each line")
    parser.add_argument("--start-from", metavar="FILE", help="weights: the tutorial's .npz, or PyTorch's .safetensors")
    words.add_argument("--start-vocabulary", metavar="FILE", help="the words of those weights, in the weights' order")
    for settings_class in (TextSettings, TaskSettings, ModelConfig, TrainingSettings):
        add_settings(parser, settings_class)
    add_hosting(parser)

    parser = commands.add("resume", resume_command, "go on with a run that was stopped or killed, or train it further")
    parser.add_argument("run", metavar="DIR")
    declared, end = settings_of(TrainingSettings), parser.add_mutually_exclusive_group()
    for name in ("epochs", "steps"):
        add_setting(parser, declared[name], end, default=None, help="a new end, counted from the beginning")
    add_setting(parser, declared["learning_rate"], help="from here on")
    add_hosting(parser)

    parser = commands.add("race", race_command, "go on with up to four runs in turn, step by step on the same batches")
    parser.add_argument("run", metavar="DIR", nargs="+")
    add_hosting(parser)


def train_command(options: argparse.Namespace) -> int:
    """A new run, and its training."""
    folder = Path(options.run)
    if (folder / "config.json").exists():
        raise RunError(f"{folder} holds a run already; `{program()} resume {folder}` goes on with it.")
    check_one_of_both(options)
    if hasattr(options, "task"):
        task = read_settings(TaskSettings, options)
        model = read_settings(ModelConfig, options)
        training = read_settings(TrainingSettings, options, TASK_DEFAULTS)
        check(task, model, training)
        memory.check(make_task(task), model, training)
        create_task_run(folder, options.name or "", task, model, training)
        return train_on(folder, options)
    _check_files(options)
    text = read_settings(TextSettings, options)
    model = read_settings(ModelConfig, options)
    training = read_settings(TrainingSettings, options)
    # What can be refused is refused before the text is read, which may take a while.
    check(text, model, training)
    start = _start(options)
    words: Sequence[str] | None = None
    if start is not None:
        words = start.words
    elif options.vocabulary_file is not None:
        words = with_special_entries(words_of_file(options.vocabulary_file))
    corpus = prepare_file(options.corpus, text, options.quiet, words, options.validation)
    text = dataclasses.replace(text, vocabulary_size=len(corpus.vocabulary)) if words is not None else text
    if start is None:
        model = dataclasses.replace(model, vocabulary_size=len(corpus.vocabulary))
    else:
        model = with_training_settings(start.model.config, model)
    memory.check(corpus, model, training)
    weights = None if start is None else start.model.params
    create_run(folder, options.name or corpus.name, corpus, model, training, text, weights)
    return train_on(folder, options)


def resume_command(options: argparse.Namespace) -> int:
    """The rest of a run's training, or more of it."""
    return train_on(Path(options.run), options, options.epochs, options.steps, options.learning_rate)


def race_command(options: argparse.Namespace) -> int:
    """The rest of several runs' training, side by side."""
    lower_priority(options)
    with RaceProgress(options.quiet) as progress:
        results = race([Path(run) for run in options.run], limits=limits(options), on_event=progress)
    ended = [result for result in results if isinstance(result, Outcome)]
    for result in results:
        if isinstance(result, UserError):
            print_status(f"error: {one_line(str(result))}")
    values = [
        {
            "run": outcome.run,
            "state": outcome.state,
            "step": outcome.step,
            "train_loss_nats": finite(outcome.train_loss_nats),
            "valid_loss_nats": finite(outcome.valid_loss_nats),
        }
        for outcome in ended
    ]
    show(options, {"runs": values}, [line for outcome in ended for line in _summary(outcome, Run.open(outcome.run))])
    signals = [outcome.signal for outcome in ended if outcome.signal is not None]
    return 128 + signals[0] if signals else 0 if len(ended) == len(results) else 2


def _start(options: argparse.Namespace) -> ImportedNetwork | None:
    """The network to begin from, with its words; None for a fresh one."""
    if options.start_from is None:
        if options.start_vocabulary is not None:
            raise SettingsError("--start-vocabulary names the words of the weights that --start-from gives; add those.")
        return None
    if options.start_vocabulary is None:
        raise SettingsError(
            "weights from elsewhere have words of their own, and only with those do they mean anything: add "
            "--start-vocabulary FILE, a JSON list or one word in each line, in the order of the weights."
        )
    cell = given_settings(ModelConfig, options).get("cell")
    start = import_network(options.start_from, words_of_file(options.start_vocabulary), cell)
    if start.assumed:
        print_status(f"note: {start.assumed}")
    return start


def check_one_of_both(options: argparse.Namespace) -> None:
    """Raises SettingsError unless either a text is given or a task, and with a task nothing that only a text has."""
    if hasattr(options, "task") == (options.corpus is not None):
        hint = " (Sentences as Linzen's files have them are read by `reproduce agreement --corpus FILE …`.)"
        agreement = getattr(options, "task", None) == "agreement"
        raise SettingsError(
            f"give one of the two: the CORPUS file to train on, or a --task.{hint if agreement else ''}"
        )
    settings_class = TextSettings if hasattr(options, "task") else TaskSettings
    declared, kind = settings_of(settings_class), "a task" if hasattr(options, "task") else "a text"
    given = [declared[name].flag for name in given_settings(settings_class, options)]
    if hasattr(options, "task"):
        files = ("validation", "vocabulary_file", "start_from", "start_vocabulary")
        given += [f"--{name.replace('_', '-')}" for name in files if getattr(options, name, None) is not None]
    if given:
        raise SettingsError(f"{given[0]} has no meaning for {kind}; leave it out.")


def _check_files(options: argparse.Namespace) -> None:
    """Raises SettingsError where a file is given for what a setting of the text would decide, and that setting too."""
    given, declared = given_settings(TextSettings, options), settings_of(TextSettings)
    files = {"vocabulary_size": ("vocabulary_file", "start_vocabulary"), "validation_fraction": ("validation",)}
    for name, places in files.items():
        for place in places:
            if name in given and getattr(options, place) is not None:
                flag = f"--{place.replace('_', '-')}"
                raise SettingsError(f"{declared[name].flag} has no meaning beside {flag}; leave one of the two out.")


def train_on(
    folder: Path,
    options: argparse.Namespace,
    epochs: int | None = None,
    steps: int | None = None,
    learning_rate: float | None = None,
) -> int:
    """Train the run in a folder to its end, or to a new one (`epochs` or `steps`), with a progress bar; print the
    result. Raises DivergenceError.
    """
    lower_priority(options)
    with TrainingProgress(options.quiet) as progress:
        outcome = work(
            folder,
            epochs=epochs,
            steps=steps,
            learning_rate=learning_rate,
            limits=limits(options),
            on_event=progress,
        )
    if outcome.state == "diverged":
        raise DivergenceError(
            f"training diverged after step {outcome.step}: {outcome.message} "
            f"{folder} has the last good weights; `resume {folder} --learning-rate X` goes on from them."
        )
    values = {
        "run": outcome.run,
        "step": outcome.step,
        "epoch": outcome.epoch,
        "train_loss_nats": outcome.train_loss_nats,
        "valid_loss_nats": outcome.valid_loss_nats,
        "valid_perplexity": finite(outcome.valid_perplexity),
        "tokens_per_second": outcome.tokens_per_second,
        "parameters": outcome.parameters,
    }
    run = Run.open(folder)
    if run.config.task is not None:
        task = make_task(run.config.task)
        values |= {"metric": outcome.valid_metric, "metric_name": task.metric_name, "baseline": task.baseline}
    show(options, values, _summary(outcome, run))
    if outcome.state == "stopped":
        print_status(f"stopped after step {outcome.step} ({outcome.message}); `{program()} resume {folder}` goes on.")
    elif outcome.message:
        print_status(outcome.message)
    return 0 if outcome.signal is None else 128 + outcome.signal


def _summary(outcome: Outcome, run: Run) -> list[str]:
    facts, task_settings = run.config.corpus, run.config.task
    lines = [f"{outcome.run}: {outcome.step:,} steps, {outcome.epoch} epochs, {outcome.parameters:,} parameters"]
    if task_settings is not None:
        task = make_task(task_settings)
        if outcome.valid_metric is not None:
            lines.append(
                f"{task.metric_name:<15}  {outcome.valid_metric:.4g} (without looking at the input "
                f"{task.baseline:.4g}; {task_settings.validation_sequences:,} sequences)"
            )
        return lines
    if outcome.train_loss_nats is not None:
        lines.append(f"training loss    {outcome.train_loss_nats:.4f} nats per token")
    if outcome.valid_loss_nats is not None and outcome.valid_perplexity is not None:
        lines.append(
            f"validation loss  {outcome.valid_loss_nats:.4f} nats, perplexity {outcome.valid_perplexity:,.1f} "
            f"(word frequencies alone {perplexity(facts.unigram_nats):,.1f}, "
            f"knowing nothing {perplexity(facts.uniform_nats):,.0f})"
        )
    if outcome.tokens_per_second is not None:
        lines.append(f"speed            {outcome.tokens_per_second:,.0f} tokens/s")
    return lines
