"""Making a run's folder, which appears whole or not at all."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig, TaskSettings, TextSettings, TrainingSettings, check
from rnn_core.data import PreparedCorpus, ngrams, predicted_tokens
from rnn_core.data.tasks import make_task
from rnn_core.errors import CorpusError, RunError, SettingsError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.runs import checkpoints, files, layout, tensors
from rnn_core.runs.database import explained, open_to_write
from rnn_core.runs.paths import check_outside_of_runs
from rnn_core.runs.reading import disk_error
from rnn_core.runs.run import Run
from rnn_core.runs.run_config import SCHEMA, CorpusFacts, RunConfig, clean_name, write_config
from rnn_core.runs.strict_json import json_bytes
from rnn_core.training import TrainingState, network_config

STAGING = ".new-run-"  # prefix of a folder's name while it is being filled


def create_run(
    folder: str | Path,
    name: str,
    corpus: PreparedCorpus,
    model: ModelConfig,
    training: TrainingSettings,
    text: TextSettings,
    weights: dict[str, Array] | None = None,
    monitored: bool = False,
) -> Run:
    """Make a run's folder; it appears whole or not at all. Training begins with `work`.

    `weights` to begin from, instead of fresh ones: `LanguageModel.params` of a network with these settings;
    `monitored`: another program trains it. Raises SettingsError for settings that make no sense, RunError where the
    folder is in use or cannot be written.
    """
    folder = Path(folder)
    check(model, training)
    text.validate()
    if model.vocabulary_size != len(corpus.vocabulary):
        raise SettingsError(
            f"the network has {model.vocabulary_size} words and the corpus {len(corpus.vocabulary)}; "
            "set the network's vocabulary size to the corpus's."
        )
    if not corpus.train and weights is None and not monitored:
        raise CorpusError("the corpus has no sentence to train on; give a longer text.")
    name, facts = clean_name(name or corpus.name), _facts_of(corpus)
    config = RunConfig(SCHEMA, name, time.time(), model, training, text, facts, monitored)
    with staged(folder) as place:
        _fill(place, config)
        _fill_text(place, config, corpus, weights)
    return Run(folder, config)


def create_task_run(
    folder: str | Path, name: str, task: TaskSettings, model: ModelConfig, training: TrainingSettings
) -> Run:
    """As `create_run`, for a task in the place of a text: the network's inputs, outputs and loss are the task's.

    Raises SettingsError for settings that make no sense, RunError where the folder is in use or cannot be written.
    """
    folder, of_task = Path(folder), make_task(task)
    network = network_config(of_task, model)
    check(network, training)
    nats = of_task.baseline if of_task.loss == "squared_error" else math.log(of_task.outputs)
    facts = CorpusFacts(of_task.label, 0, 0, 0, 0, uniform_nats=nats, unigram_nats=nats)
    config = RunConfig(
        SCHEMA, clean_name(name or of_task.label), time.time(), network, training, TextSettings(), facts, task=task
    )
    config.plan()
    with staged(folder) as place:
        _fill(place, config)
    return Run(folder, config)


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A new folder, for nobody else to read, that becomes `folder` once it is filled; if that fails, nothing is left.

    Raises RunError where there is something at `folder` already, or where it cannot be written.
    """
    _check_free(folder)
    parent = folder.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=STAGING, dir=parent))
        try:
            yield place
            files.system.rename(place, folder)
            files.fsync_folder(parent)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
    except OSError as error:
        raise disk_error(error, folder) from error


def _facts_of(corpus: PreparedCorpus) -> CorpusFacts:
    size = len(corpus.vocabulary)
    return CorpusFacts(
        name=corpus.name,
        train_sentences=len(corpus.train),
        train_tokens=predicted_tokens(corpus.train),
        valid_sentences=len(corpus.valid),
        valid_tokens=predicted_tokens(corpus.valid),
        uniform_nats=math.log(size),
        # An imported network may come without its text; then there are no frequencies.
        unigram_nats=ngrams.mean_nats(ngrams.Unigram(corpus.train, size), corpus.valid or corpus.train)
        if corpus.train
        else math.log(size),
        report=corpus.report.to_json(),
    )


def _check_free(folder: Path) -> None:
    """Raises RunError for a folder that has something in it or lies in a run's, and for what cannot be a name."""
    if "\0" in str(folder):
        raise RunError("this is no path: it holds a character that no path can have.")
    check_outside_of_runs(folder)
    if folder.is_dir() and any(folder.iterdir()):
        if (folder / "config.json").exists():
            raise RunError(
                f"{folder} holds a run already; `resume {folder}` goes on with it, or choose another folder."
            )
        raise RunError(f"{folder} is not empty; choose a new folder for the run.")


def _fill(folder: Path, config: RunConfig) -> None:
    """Write what every new run has: config.json, the lock and an empty history."""
    write_config(folder, config)
    (folder / "lock").touch(mode=files.PRIVATE)
    with explained(folder):
        open_to_write(folder).close()


def _fill_text(folder: Path, config: RunConfig, corpus: PreparedCorpus, weights: dict[str, Array] | None) -> None:
    """Write what a run on a text has besides: vocabulary, corpus, and the weights to begin from, if given."""
    files.atomic_write(folder / layout.VOCABULARY_FILE, [json_bytes(corpus.vocabulary.to_json())])
    arrays = {**layout.flattened("train", corpus.train), **layout.flattened("valid", corpus.valid)}
    tensors.write_tensors(folder / layout.CORPUS_FILE, arrays, {"schema": str(SCHEMA)})
    if weights is not None:
        _write_first_checkpoint(folder, config, weights, layout.vocabulary_digest(corpus.vocabulary))


def _write_first_checkpoint(folder: Path, config: RunConfig, weights: dict[str, Array], digest: str) -> None:
    params = {name: value.astype(np.float32) for name, value in weights.items()}
    state = TrainingState.fresh(LanguageModel(config.model, params=params), config.training, config.plan())
    checkpoints.save(
        folder,
        0,
        layout.checkpoint_arrays(params, state),
        layout.checkpoint_state(state, {"event_id": 0}, digest),
        None,
    )
