"""The command line: `python -m rnn_core train | resume | race | generate | evaluate | gradients | gradcheck | export`.

Progress goes to standard error. With `--json` the last line of standard output is one JSON object. The exit code is 0,
or 2 with one line `error: ...` for what the user can put right; 128 + the signal's number where a signal stopped a
training.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from tqdm import tqdm

from rnn_core.config import (
    BATCHINGS,
    CELLS,
    CLIP_MODES,
    INITIALISATIONS,
    OPTIMIZERS,
    SCHEDULES,
    ModelConfig,
    SamplingSettings,
    TextSettings,
    TrainingSettings,
)
from rnn_core.data import (
    END_ID,
    START,
    START_ID,
    PreparedCorpus,
    cut_sentences,
    ngrams,
    prepare,
    read_documents,
    tokenize_sentences,
)
from rnn_core.diagnostics import gradient_flow
from rnn_core.errors import CorpusError, DivergenceError, EncodingError, RunError, SettingsError, UserError
from rnn_core.interop.pytorch import load_tutorial_model, to_torch_state_dict
from rnn_core.nn.language_model import LanguageModel
from rnn_core.runs import Run, create_run, disk_error, memory, tensors
from rnn_core.runs.race import race
from rnn_core.runs.worker import HistoryHeld, Limits, Outcome, work
from rnn_core.training import (
    Event,
    LearningRateChanged,
    Started,
    StepDone,
    Validated,
    evaluate,
    generate,
    perplexity,
    read_prompt,
    sentences_of,
)

# A picture of every pair of steps: memory grows with the square of the text's length.
LONGEST_GRADIENT_TEXT = 200


class Parser(argparse.ArgumentParser):
    """Argparse with errors of one line."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}. `{self.prog} --help` lists what there is.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        options = make_parser().parse_args(arguments)
        code: int = options.command(options)
        sys.stdout.flush()
        return code
    except UserError as error:
        tell(f"error: {one_line(str(error))}")
        return 2
    except MemoryError:
        tell("error: there is not enough memory for this; choose a smaller network, vocabulary, batch or text.")
        return 2
    except BrokenPipeError:
        # Whoever read our output has enough of it (`| head`); Python would complain once more while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        tell(f"error: {error.filename or 'the system'}: {error.strerror or error}.")
        return 2
    except KeyboardInterrupt:
        tell("interrupted.")
        return 128 + signal.SIGINT


def one_line(text: str) -> str:
    return " ".join(text.split())


def tell(line: str) -> None:
    """To standard error, past the progress bar."""
    tqdm.write(line, file=sys.stderr)


def pace() -> float:
    """Seconds between two pictures of a progress bar: in a file or a pipe each is a line of its own."""
    return 0.2 if sys.stderr.isatty() else 5.0


def show(options: argparse.Namespace, values: dict[str, Any], lines: Sequence[str]) -> None:
    """The result: as one JSON object with --json, in words without."""
    print(json.dumps(values, allow_nan=False) if options.json else "\n".join(lines))


def finite(value: float | None) -> float | None:
    """JSON has no word for infinity."""
    return value if value is not None and math.isfinite(value) else None


# --- train, resume ----------------------------------------------------------------------------------------------------


def train_command(options: argparse.Namespace) -> int:
    folder = Path(options.run)
    if (folder / "config.json").exists():
        raise RunError(f"{folder} holds a run already; `python -m rnn_core resume {folder}` goes on with it.")
    text = TextSettings(
        unit=options.unit,
        vocabulary_size=options.vocabulary,
        lowercase=options.lowercase,
        sentences=options.sentences,
        column=options.column,
        encoding=options.encoding,
        seed=options.seed,
    )
    training = TrainingSettings(
        batch_size=options.batch,
        batching=options.batching,
        sequence_length=options.sequence_length,
        truncate=options.truncate,
        optimizer=options.optimizer,
        learning_rate=options.learning_rate,
        schedule=options.schedule,
        warmup_steps=options.warmup_steps,
        clip=options.clip,
        clip_mode=options.clip_mode,
        weight_decay=options.weight_decay,
        omega=options.omega,
        epochs=None if options.steps is not None else options.epochs,
        steps=options.steps,
        seed=options.seed,
    )
    model = ModelConfig(
        cell=options.cell,
        vocabulary_size=options.vocabulary,
        hidden_size=options.hidden,
        embedding_size=options.embedding,
        layers=options.layers,
        tied=options.tied,
        bias=options.bias,
        init=options.init,
        init_scale=options.init_scale,
        forget_bias=options.forget_bias,
        chrono=options.chrono,
        gru_reset=options.gru_reset,
        dropout=options.dropout,
        variational=options.variational,
    )
    # What can be refused is refused before the text is read, which may take a while.
    for settings in (text, training, model):
        settings.validate()
    start = None if options.start_from is None else load_tutorial_model(options.start_from)
    corpus = read_corpus(options.corpus, text, options.quiet)
    model = dataclasses.replace(model, vocabulary_size=len(corpus.vocabulary))
    if start is not None:
        model = started_from(start, model)
    memory.check(corpus, model, training)
    create_run(
        folder, options.name or corpus.name, corpus, model, training, text, None if start is None else start.params
    )
    return train_run(folder, options)


def started_from(start: LanguageModel, wanted: ModelConfig) -> ModelConfig:
    """The settings of weights that were trained elsewhere, if the corpus and the command line agree with them."""
    if start.config.vocabulary_size != wanted.vocabulary_size:
        raise SettingsError(
            f"these weights are for {start.config.vocabulary_size} words and this corpus gives "
            f"{wanted.vocabulary_size}; set --vocabulary, or give the text that they were trained on."
        )
    if start.config.hidden_size != wanted.hidden_size:
        raise SettingsError(f"these weights are for --hidden {start.config.hidden_size}; say so.")
    if wanted.cell != "tanh" or wanted.bias or wanted.embedding_size is not None or wanted.layers != 1:
        raise SettingsError("the tutorial's weights are a tanh network without biases; add --cell tanh --no-bias.")
    return start.config


def read_corpus(path: str, settings: TextSettings, quiet: bool) -> PreparedCorpus:
    data = read_file(path)
    bar = tqdm(total=100, desc="reading", unit="%", leave=False, mininterval=pace(), disable=quiet, file=sys.stderr)

    def progress(share: float, doing: str) -> None:
        bar.set_description(doing, refresh=False)
        bar.update(round(100 * share) - bar.n)

    with bar:
        corpus = explained(lambda: prepare(data, os.path.basename(path), settings, progress))
    report = corpus.report
    tell(
        f"{report.sentences:,} sentences with {report.tokens:,} tokens, {report.distinct_words:,} different; "
        f"the {len(corpus.vocabulary):,} of the vocabulary cover {report.coverage:.1%}."
    )
    for note in report.notes:
        tell(f"note: {one_line(note)}")
    return corpus


def read_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror or error}.") from None


def explained(read: Callable[[], Any]) -> Any:
    """An encoding has to be chosen by somebody who can see the previews: show them, and how to choose."""
    try:
        return read()
    except EncodingError as error:
        for candidate in error.candidates:
            tell(f"  --encoding {candidate.encoding}: {one_line(candidate.preview)}")
        raise


def resume_command(options: argparse.Namespace) -> int:
    return train_run(Path(options.run), options)


def train_run(folder: Path, options: argparse.Namespace) -> int:
    """Train until the end, with a bar; `train` and `resume` alike."""
    give_way(options.nice)
    limits = Limits(options.max_minutes, options.max_steps, options.stop_if_unwatched)
    new_end = {"epochs": options.epochs, "steps": options.steps} if options.command is resume_command else {}
    rate = options.learning_rate if options.command is resume_command else None
    with Progress(options.quiet) as progress:
        outcome = work(folder, learning_rate=rate, limits=limits, on_event=progress, **new_end)
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
    show(options, values, summary(outcome, Run.open(folder)))
    if outcome.state == "stopped":
        tell(f"stopped after step {outcome.step} ({outcome.message}); `python -m rnn_core resume {folder}` goes on.")
    elif outcome.message:
        tell(outcome.message)
    return 0 if outcome.signal is None else 128 + outcome.signal


def give_way(niceness: int) -> None:
    """Let others' processes go before this one, and before those that it will start."""
    if not niceness:
        return
    os.nice(niceness)
    if os.getsid(0) == os.getpid():
        # Where Linux shares the cores among sessions, a process's own niceness counts within its session only
        # (sched(7), "The autogroup feature"). A session that is not this process's own is left alone.
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness), encoding="ascii")


def race_command(options: argparse.Namespace) -> int:
    give_way(options.nice)
    limits = Limits(options.max_minutes, options.max_steps, options.stop_if_unwatched)
    with RaceProgress(options.quiet) as progress:
        results = race([Path(run) for run in options.run], limits=limits, on_event=progress)
    ended = [result for result in results if isinstance(result, Outcome)]
    for result in results:
        if isinstance(result, UserError):
            tell(f"error: {one_line(str(result))}")
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
    show(options, {"runs": values}, [line for outcome in ended for line in summary(outcome, Run.open(outcome.run))])
    signals = [outcome.signal for outcome in ended if outcome.signal is not None]
    return 128 + signals[0] if signals else 0 if len(ended) == len(results) else 2


class RaceProgress:
    """One bar for all: the step they have come to, and the loss of each."""

    def __init__(self, quiet: bool) -> None:
        self.bar = tqdm(unit="step", mininterval=pace(), dynamic_ncols=True, disable=quiet, file=sys.stderr)
        self.losses: dict[int, float] = {}

    def __enter__(self) -> RaceProgress:
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()

    def __call__(self, place: int, event: Event) -> None:
        if isinstance(event, Started):
            self.bar.total = event.total_steps
        elif isinstance(event, HistoryHeld):
            tell(f"network {place + 1}, step {event.step:,}: {held_history(event)}")
        elif isinstance(event, StepDone):
            self.losses[place] = event.loss_nats
            if event.step > self.bar.n:
                losses = ", ".join(f"{self.losses[lane]:.3f}" for lane in sorted(self.losses))
                self.bar.set_postfix_str(f"loss {losses}", refresh=False)
                self.bar.update(event.step - self.bar.n)


def held_history(event: HistoryHeld) -> str:
    if event.seconds is None:
        return "another program holds the history (events.sqlite); training goes on, and records it when it is free"
    return f"the history is free again after {event.seconds:.0f} s, and complete"


def summary(outcome: Outcome, run: Run) -> list[str]:
    facts = run.config.corpus
    lines = [f"{outcome.run}: {outcome.step:,} steps, {outcome.epoch} epochs, {outcome.parameters:,} parameters"]
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


class Progress:
    """The bar: done and left, loss, gradient norm, words/s. A listener to the training's events."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.bar: Any = None
        self.next_words = (
            0.0  # when the numbers behind the bar are written anew: thousands of times a second is too often
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def __call__(self, event: Event) -> None:
        if self.quiet:
            return
        if isinstance(event, Started):
            self.bar = tqdm(
                total=event.total_steps,
                initial=event.step,
                unit="step",
                mininterval=pace(),
                dynamic_ncols=True,
                smoothing=0.05,
                file=sys.stderr,
            )
        elif isinstance(event, StepDone) and self.bar is not None:
            now = time.monotonic()
            if now >= self.next_words or event.step == self.bar.total:
                self.next_words = now + pace()
                words = f"loss {event.loss_nats:.3f}, gradient {event.gradient_norm:.2g}"
                self.bar.set_postfix_str(f"{words}, {event.tokens_per_second:,.0f} words/s", refresh=False)
            self.bar.update(event.step - self.bar.n)
        elif isinstance(event, Validated):
            tell(f"step {event.step:,}: validation loss {event.loss_nats:.4f} nats, perplexity {event.perplexity:,.1f}")
        elif isinstance(event, LearningRateChanged):
            tell(f"step {event.step:,}: learning rate {event.old:.3g} -> {event.new:.3g}, {event.why}")
        elif isinstance(event, HistoryHeld):
            tell(f"step {event.step:,}: {held_history(event)}")


# --- what a network can do --------------------------------------------------------------------------------------------


def generate_command(options: argparse.Namespace) -> int:
    run = Run.open(options.run)
    settings = SamplingSettings(
        options.temperature, options.top_k, options.top_p, options.max_tokens, options.allow_unknown
    )
    settings.validate()
    vocabulary = run.vocabulary()
    explanation = read_prompt(vocabulary, options.prompt).explanation
    if explanation:
        tell(f"note: {explanation}")
    tokens = generate(run.load_model(), vocabulary, options.prompt, options.count, settings, options.seed)
    sentences = sentences_of(tokens, vocabulary.unit)
    if options.json:
        show(options, {"sentences": list(sentences)}, [])
    else:
        for sentence in sentences:
            print(sentence, flush=True)
    return 0


def evaluate_command(options: argparse.Namespace) -> int:
    run = Run.open(options.run)
    text = run.config.text
    if options.column is not None or options.encoding is not None:
        text = dataclasses.replace(text, column=options.column, encoding=options.encoding)
    data, name = read_file(options.corpus), os.path.basename(options.corpus)
    documents = explained(lambda: read_documents(data, name, text))
    tokens = cut_sentences(tokenize_sentences(documents, text), text.max_sentence_length, text.unit)
    corpus = run.corpus()
    sentences = [corpus.vocabulary.encode_sentence(sentence) for sentence in tokens]
    result = evaluate(run.load_model(), sentences)
    counted = ngrams.baselines(corpus.train, sentences, len(corpus.vocabulary))
    baselines = {name: counted[name] for name in ("uniform", "unigram", "bigram", "kneser_ney_trigram")}
    values = {
        "tokens": result.tokens,
        "loss_nats": result.loss_nats,
        "perplexity": finite(result.perplexity),
        "unknown_rate": result.unknown_rate,
        "baselines": baselines,
    }
    lines = [
        f"{result.tokens:,} tokens, {result.unknown_rate:.1%} of the words unknown",
        f"{result.loss_nats:10.4f} nats per token",
        f"{result.perplexity:10,.1f} perplexity of the network",
        *(f"{value:10,.1f} {name.replace('_', ' ')}" for name, value in baselines.items()),
    ]
    show(options, values, lines)
    return 0


def gradients_command(options: argparse.Namespace) -> int:
    run = Run.open(options.run)
    vocabulary = run.vocabulary()
    text = read_prompt(vocabulary, options.text)
    if not text.tokens:
        raise SettingsError("the text is empty; give a sentence with --text.")
    if len(text.tokens) >= LONGEST_GRADIENT_TEXT:
        raise SettingsError(
            f"the text has {len(text.tokens)} tokens; the picture of every pair of them is made for up to "
            f"{LONGEST_GRADIENT_TEXT - 1}. Shorten it."
        )
    if text.explanation:
        tell(f"note: {text.explanation}")
    ids = np.concatenate([[START_ID], text.ids, [END_ID]])
    flow = gradient_flow(run.load_model(), ids[:-1], ids[1:])
    words = [START, *text.tokens]
    values = {
        "tokens": words,  # the input of each step; step t's loss is about the next one, and at last about </s>
        "delta_norms": [[finite(float(norm)) for norm in row] for row in flow.delta_norms],
        "lag_gradient_norms": [float(norm) for norm in flow.lag_gradient_norms],
        "full_gradient_norm": float(flow.full_gradient_norm),
        "half_life": flow.half_life,
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
    from rnn_core.reference.gradcheck import check_all

    worst = check_all(tuple(CELLS) if options.cell is None else (options.cell,))
    lines = [f"{cell:8s} {error:.2g}" for cell, error in worst.items()]
    show(options, {"worst_relative_error": worst}, lines)
    return 0


def export_command(options: argparse.Namespace) -> int:
    """A run's weights, or the tutorial's .npz, under PyTorch's names."""
    source, target = Path(options.run), Path(options.out)
    model = load_tutorial_model(source) if source.suffix == ".npz" else Run.open(source).load_model()
    arrays = to_torch_state_dict(model.config, model.params)
    if target.is_dir():
        raise SettingsError(f"{target} is a folder; give the name of a file, such as {target / 'model.safetensors'}.")
    if not target.absolute().parent.is_dir():
        raise SettingsError(f"there is no folder {target.parent}; make it first, or choose another place.")
    try:
        tensors.write_tensors(target, arrays, {"format": "pt"})
    except OSError as error:
        raise disk_error(error, target) from None
    tell(f"wrote {len(arrays)} arrays to {target}; PyTorch reads them with safetensors.torch.load_file.")
    return 0


# --- the options ------------------------------------------------------------------------------------------------------


def number_or(word: str, kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """A number, or a word that stands for None."""

    def parse(text: str) -> Any:
        return None if text == word else kind(text)

    parse.__name__ = f"number (or {word!r})"  # argparse puts it into its message
    return parse


def make_parser() -> Parser:
    parser = Parser(prog="python -m rnn_core", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    defaults, training = ModelConfig(), TrainingSettings()

    def command(name: str, function: Callable[[argparse.Namespace], int], help: str, json: bool = True) -> Parser:
        made = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        made.set_defaults(command=function, json=False)
        if json:
            made.add_argument("--json", action="store_true", help="end with one line of JSON on standard output")
        return made

    def hosting(made: Parser) -> None:
        """For a server that starts trainings for others."""
        for option, kind in (("--max-minutes", float), ("--max-steps", int), ("--stop-if-unwatched", float)):
            made.add_argument(option, type=kind, help=argparse.SUPPRESS)
        made.add_argument("--nice", type=int, default=0, help=argparse.SUPPRESS)
        made.add_argument("--quiet", action="store_true", help="no progress")

    made = command("train", train_command, "train a network on a text, in a new run's folder")
    made.add_argument("corpus", metavar="CORPUS", help="a .txt, .csv or .jsonl file")
    made.add_argument("--run", metavar="DIR", required=True, help="the folder of the new run")
    made.add_argument("--name", help="what to call the run (the file's name)")

    group = made.add_argument_group("the text")
    group.add_argument("--unit", choices=("word", "char"), default="word")
    group.add_argument("--vocabulary", type=int, default=8000, metavar="N", help="words to know, the most frequent")
    group.add_argument("--lowercase", action="store_true")
    group.add_argument("--sentences", choices=("punkt", "lines"), default="punkt", help="found, or one in each line")
    group.add_argument("--column", help="of a .csv or .jsonl (the one with the most words)")
    group.add_argument("--encoding", help="of the file (UTF-8, or as its byte order mark says)")

    group = made.add_argument_group("the network")
    group.add_argument("--cell", choices=tuple(CELLS), default=defaults.cell)
    group.add_argument("--hidden", type=int, default=defaults.hidden_size, metavar="N", help="units in a layer")
    group.add_argument("--embedding", type=int, metavar="N", help="size of the word vectors (one-hot input)")
    group.add_argument("--layers", type=int, default=defaults.layers, metavar="N")
    group.add_argument("--tied", action="store_true", help="the embedding is the output matrix too")
    group.add_argument("--no-bias", dest="bias", action="store_false", help="as in the tutorial")
    group.add_argument("--init", choices=tuple(INITIALISATIONS), default=defaults.init, help="of W")
    group.add_argument("--init-scale", type=float, default=1.0, metavar="X", help="gain, scale or spectral radius")
    group.add_argument("--forget-bias", type=float, default=defaults.forget_bias, metavar="X", help="of an LSTM")
    group.add_argument("--chrono", type=int, metavar="T", help="longest dependency that gates should start with")
    group.add_argument("--gru-reset", choices=("after", "before"), default=defaults.gru_reset)
    group.add_argument("--dropout", type=float, default=0.0, metavar="X", help="probability")
    group.add_argument("--variational", action="store_true", help="the same dropout mask at each step")
    group.add_argument("--start-from", metavar="NPZ", help="weights U, V, W as the tutorial's code saves them")

    group = made.add_argument_group("the training")
    group.add_argument("--batch", type=int, default=training.batch_size, metavar="N", help="sentences side by side")
    group.add_argument("--batching", choices=BATCHINGS, default=training.batching)
    group.add_argument("--sequence-length", type=int, default=training.sequence_length, metavar="L", help="of a chunk")
    group.add_argument(
        "--truncate",
        type=number_or("full", int),
        metavar="K|full",
        help="steps that each loss reaches back (full)",
    )
    group.add_argument("--optimizer", choices=tuple(OPTIMIZERS), default=training.optimizer)
    group.add_argument("--learning-rate", type=float, metavar="X", help="(the optimizer's default)")
    group.add_argument("--schedule", choices=tuple(SCHEDULES), default=training.schedule, help="of the learning rate")
    group.add_argument("--warmup-steps", type=int, default=0, metavar="N", help="of the cosine")
    group.add_argument("--clip", type=number_or("none", float), default=training.clip, metavar="X|none")
    group.add_argument("--clip-mode", choices=CLIP_MODES, default=training.clip_mode)
    group.add_argument("--weight-decay", type=float, default=0.0, metavar="X")
    group.add_argument("--omega", type=float, default=0.0, metavar="X", help="against vanishing (Pascanu et al. 2013)")
    end = group.add_mutually_exclusive_group()
    end.add_argument("--epochs", type=int, default=training.epochs, metavar="N")
    end.add_argument("--steps", type=int, metavar="N")
    group.add_argument("--seed", type=int, default=0, metavar="N")
    hosting(made)

    made = command("resume", resume_command, "go on with a run that was stopped or killed, or train it further")
    made.add_argument("run", metavar="DIR")
    end = made.add_mutually_exclusive_group()
    end.add_argument("--epochs", type=int, metavar="N", help="a new end, counted from the beginning")
    end.add_argument("--steps", type=int, metavar="N", help="a new end, counted from the beginning")
    made.add_argument("--learning-rate", type=float, metavar="X", help="from here on")
    hosting(made)

    made = command("race", race_command, "go on with up to four runs in turn, step by step on the same batches")
    made.add_argument("run", metavar="DIR", nargs="+")
    hosting(made)

    made = command("generate", generate_command, "let a network write sentences")
    made.add_argument("run", metavar="DIR")
    made.add_argument("--prompt", default="", metavar="TEXT", help="how each sentence begins")
    made.add_argument("--count", type=int, default=1, metavar="N", help="sentences")
    made.add_argument("--temperature", type=float, default=1.0, metavar="X", help="0: always the likeliest word")
    made.add_argument("--top-k", type=int, metavar="N", help="only the N likeliest words")
    made.add_argument("--top-p", type=float, metavar="X", help="only the likeliest words, up to probability X")
    made.add_argument("--max-tokens", type=int, default=SamplingSettings().max_tokens, metavar="N")
    made.add_argument("--allow-unknown", action="store_true", help="<unk> may be written")
    made.add_argument("--seed", type=int, default=0, metavar="N")

    made = command("evaluate", evaluate_command, "perplexity of a network on a text, beside that of counting")
    made.add_argument("run", metavar="DIR")
    made.add_argument("corpus", metavar="CORPUS")
    made.add_argument("--column", help="of a .csv or .jsonl (as in training)")
    made.add_argument("--encoding", help="of the file (as in training)")

    made = command("gradients", gradients_command, "how far a network's gradient reaches back in a text")
    made.add_argument("run", metavar="DIR")
    made.add_argument("--text", required=True, metavar="TEXT")

    made = command("gradcheck", gradcheck_command, "every gradient against central differences, in float64")
    made.add_argument("--cell", choices=tuple(CELLS), help="(all)")

    made = command("export", export_command, "write a network's weights for another program", json=False)
    made.add_argument("run", metavar="DIR", help="a run, or the tutorial's .npz")
    made.add_argument("out", metavar="OUT", help="the .safetensors file to write")
    made.add_argument("--format", choices=("torch",), default="torch")
    return parser
