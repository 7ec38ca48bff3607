"""Numbers for which a run's text has to be read: the text goes in, and only numbers come out, for guests as well.

All visitors share what was measured: nobody may change what is returned. The functions that hand out text, at the end,
ask whose run it is.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import groupby

import numpy as np

from dashboard.services import library, network
from rnn_core import diagnostics
from rnn_core.arrays import Array
from rnn_core.config import SamplingSettings
from rnn_core.data import Batch, PreparedCorpus, detokenize
from rnn_core.data.tasks import Task, TaskBatch, make_task
from rnn_core.diagnostics import BlockSpectrum, GradientBySentence, Lyapunov
from rnn_core.errors import RunError
from rnn_core.randomness import stream
from rnn_core.runs import Run
from rnn_core.training import HorizonMeasured, batch_of_step, generate, probe_batch

WRITTEN_SENTENCES = 32
WRITING = SamplingSettings(max_tokens=30, allow_unknown=True)

COUNTED_SENTENCES = 1000
EXPONENTS = 12
STREAM_WORDS = 300
"""Words of the corpus over which the Lyapunov exponents settle."""


@lru_cache(maxsize=2)
def _corpus(folder: str) -> PreparedCorpus:
    """The sentences that a run trains on; of a network that came without a text, some that it writes itself. Not for
    anybody outside this file.
    """
    run = Run.open(folder)
    corpus = run.corpus()
    if corpus.train:
        return corpus
    tokens = generate(run.load_model(0), corpus.vocabulary, count=WRITTEN_SENTENCES, settings=WRITING)
    sentences = [[token.word for token in sentence] for _, sentence in groupby(tokens, lambda token: token.sentence)]
    return replace(corpus, train=[corpus.vocabulary.encode_sentence(sentence) for sentence in sentences])


@lru_cache(maxsize=4)
def unigram_counts(folder: str) -> Array:
    """How often each word stands in the training text, (N,); of a task, each symbol in some of its sequences."""
    if Run.open(folder).config.task is not None:
        task, _ = task_sequence(folder, 0)
        batch = task.draw(COUNTED_SENTENCES, stream(0, f"task {task.name} counted"))
        return np.bincount(batch.inputs[batch.mask], minlength=task.symbols or 0)
    corpus = _corpus(folder)
    return np.bincount(np.concatenate(corpus.train), minlength=len(corpus.vocabulary))


@lru_cache(maxsize=256)
def characters_per_token(folder: str) -> float:
    """How many characters of the validation text a predicted token stands for: its sentences as they are written, a
    line break after each, over their tokens, `</s>` included. 1 for characters.

    So a loss per token becomes one per character, whatever the vocabulary: nats / (ln 2 * this) are bits. `<unk>`
    counts as it is written; where a vocabulary is small, it makes a text easier to predict, in this unit too.
    """
    corpus = _corpus(folder)
    vocabulary = corpus.vocabulary
    if vocabulary.unit == "char":
        return 1.0
    sentences = [ids[1:-1] for ids in (corpus.valid or corpus.train)[:COUNTED_SENTENCES]]
    written = sum(len(detokenize(vocabulary.decode(ids), vocabulary.unit)) + 1 for ids in sentences)
    return written / sum(len(ids) + 1 for ids in sentences)


@lru_cache(maxsize=4)
def _probe(folder: str) -> Batch | TaskBatch:
    """The sentences, or sequences of a task, on which the training measures its horizon."""
    run = Run.open(folder)
    return probe_batch(_corpus(folder)) if run.config.task is None else run.source().probe()


@lru_cache(maxsize=16)
def task_sequence(folder: str, number: int) -> tuple[Task, TaskBatch]:
    """The task of a run, and one of its sequences, of no training: made up, so that anybody may see it."""
    settings = Run.open(folder).config.task
    if settings is None:
        raise RunError("this run learns a text and no task.")
    task = make_task(settings)
    return task, task.draw(1, stream(number, f"task {task.name} shown"))


@lru_cache(maxsize=64)
def probe_horizon(folder: str, step: int) -> HorizonMeasured:
    """The probe's horizon for weights of which the training has recorded none."""
    batch, model = _probe(folder), network.of_any(folder, step).model
    found = diagnostics.horizon(
        model, batch.inputs, batch.targets, batch.mask, bounds=False, loss_weights=batch.loss_weights
    )
    return HorizonMeasured(step, tuple(found.median), tuple(found.low), tuple(found.high), found.half_life)


@lru_cache(maxsize=64)
def spectrum(folder: str, step: int) -> list[BlockSpectrum]:
    """Of every block of W."""
    return diagnostics.recurrent_spectrum(network.of_any(folder, step).model)


@lru_cache(maxsize=64)
def text_lyapunov(folder: str, step: int) -> Lyapunov:
    """The leading exponents over a stretch of the corpus, read without a break; of a task, over one sequence."""
    if Run.open(folder).config.task is not None:
        _, batch = task_sequence(folder, 0)
        of_task = diagnostics.text_trace(network.of_any(folder, step).model, batch.inputs[:, 0])
        return diagnostics.lyapunov_exponents(of_task, EXPONENTS, skip=min(20, len(batch.inputs) // 4))
    corpus = _corpus(folder)
    sentences = (corpus.valid or corpus.train)[:STREAM_WORDS]
    ids = np.concatenate([sentence[:-1] for sentence in sentences])[:STREAM_WORDS]
    trace = diagnostics.text_trace(network.at(folder, step).model, ids)
    return diagnostics.lyapunov_exponents(trace, EXPONENTS, skip=min(20, len(ids) // 4))


@lru_cache(maxsize=8)
def _batch(folder: str, step: int) -> Batch | TaskBatch:
    """The batch that step number `step` (from 1) trained on: a function of the seed and the step alone."""
    run = Run.open(folder)
    if run.config.task is not None:
        epoch, position = divmod(step - 1, run.config.plan().steps_per_epoch)
        return run.source().batch(run.config.training, epoch, position)
    return batch_of_step(_corpus(folder), Run.open(folder).config.training, step)


@lru_cache(maxsize=8)
def gradient_by_sentence(folder: str, step: int, weights_of: int) -> GradientBySentence:
    """The gradient of that step's batch taken apart by sentence, with the weights after `weights_of` steps."""
    batch, training = _batch(folder, step), Run.open(folder).training_at(step)
    model = network.of_any(folder, weights_of).model
    return diagnostics.gradient_by_sentence(
        model, batch.inputs, batch.targets, batch.mask, training.truncate, batch.loss_weights
    )


@lru_cache(maxsize=16)
def lags_of_sentence(folder: str, step: int, weights_of: int, column: int) -> Array:
    """||G_j|| over the lag of one sentence of that batch."""
    batch, model = _batch(folder, step), network.of_any(folder, weights_of).model
    return diagnostics.sentence_lag_norms(
        model, batch.inputs, batch.targets, batch.mask, column, loss_weights=batch.loss_weights
    )


def sentences_of_step(run: Run, step: int) -> list[str] | None:
    """The sentences of that step's batch; None for a guest, who may not read the text that a run is trained on."""
    if not library.mine(run):
        return None
    batch = _batch(str(run.folder), step)
    columns = range(batch.inputs.shape[1])
    if isinstance(batch, TaskBatch):
        task, _ = task_sequence(str(run.folder), 0)
        return [" ".join(task.input_names(batch, column)) for column in columns]
    vocabulary = run.vocabulary()
    ids = [batch.targets[batch.mask[:, column], column] for column in columns]
    return [detokenize(vocabulary.decode(sentence), vocabulary.unit) for sentence in ids]


def held_out_sentences(run: Run) -> list[Array]:
    """The held-out sentences of the text, as ids from <s> to </s>. Raises RunError for a guest, who may not
    read the text.
    """
    library.check_mine(run)
    return _corpus(str(run.folder)).valid


def training_sentences(run: Run) -> list[Array]:
    """The same of those that were trained on: what is counted or compared with them quotes them."""
    library.check_mine(run)
    return run.corpus().train
