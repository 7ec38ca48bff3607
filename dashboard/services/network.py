"""The network of a run at its newest checkpoint, or at any stored moment; what was read stays in memory for a while."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import lru_cache

from rnn_core.data import UNKNOWN_ID, Vocabulary, detokenize, tokenize
from rnn_core.errors import UserError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network
from rnn_core.runs import Run, checkpoints

WELL_KNOWN = 0.6
"""Share of a sentence's words that a network should know for its gradients to be worth looking at."""


@dataclass(frozen=True)
class LoadedNetwork:
    """A network, and the training step that its weights are of."""

    model: Network
    step: int


@dataclass(frozen=True)
class Loaded(LoadedNetwork):
    """A network with its words."""

    model: LanguageModel
    vocabulary: Vocabulary


def newest(run: Run) -> Loaded | None:
    """The newest weights; None where there are none yet. RunError where they are damaged."""
    steps = run.checkpoint_steps()
    if not steps and checkpoints.candidates(run.folder):
        run.load_model()  # There are files, and none of them can be read: this says why.
    return _load(str(run.folder), steps[-1]) if steps else None


@lru_cache(maxsize=4)
def _load(folder: str, newest_step: int) -> Loaded:
    """Kept by folder and newest step, shared by all visitors: nobody may change what is returned."""
    run = Run.open(folder)
    weights = run.load_weights()
    return Loaded(weights.model, weights.step, run.vocabulary())


def damage(run: Run) -> str:
    """A sentence where the newest checkpoint is damaged and the pages show an older state; "" where all is well.

    Not asked while a training is at work: it finds the damage itself, and writes a newer checkpoint soon.
    """
    if run.status().alive:
        return ""
    files = []
    for path in checkpoints.candidates(run.folder):
        with contextlib.suppress(OSError):
            facts = path.lstat()
            files.append((path.name, facts.st_mtime_ns, facts.st_size))
    return _damage(str(run.folder), tuple(files)) if files else ""


@lru_cache(maxsize=64)
def _damage(folder: str, files: tuple[tuple[str, int, int], ...]) -> str:
    """Kept for as long as these are the files."""
    try:
        return Run.open(folder).load_network().note
    except UserError:
        return ""  # Nothing can be read: the page that tries to says why.


@lru_cache(maxsize=6)
def at(folder: str, step: int) -> Loaded:
    """The weights as they were after `step` steps, one of `Run.moments()`. RunError where they are gone.

    Shared by all visitors: nobody may change what is returned.
    """
    run = Run.open(folder)
    return Loaded(run.load_model(step), step, run.vocabulary())


@lru_cache(maxsize=6)
def _of_task(folder: str, step: int) -> LoadedNetwork:
    return LoadedNetwork(Run.open(folder).load_network(step).model, step)


def of_any(folder: str, step: int) -> LoadedNetwork:
    """As `at`, for a run on a text or on a task; the latter has no words, and so no vocabulary comes with it."""
    return at(folder, step) if Run.open(folder).config.task is None else _of_task(folder, step)


@lru_cache(maxsize=16)
def example_sentence(folder: str, default: str) -> str:
    """`default`, if the network of this run knows most of its words; else a sentence held out from its training."""
    run = Run.open(folder)
    vocabulary = run.vocabulary()
    ids = vocabulary.encode(tokenize(default, vocabulary.unit, vocabulary.lowercase, vocabulary.tokenizer))
    if (ids != UNKNOWN_ID).mean() >= WELL_KNOWN:
        return default
    kept_aside = run.corpus().valid
    if not kept_aside:
        # A network that came without a text: the first of its own words.
        return detokenize(vocabulary.words[3:11], vocabulary.unit)
    # One of ordinary length, known throughout if there is such a one.
    best = min(kept_aside, key=lambda ids: ((ids == UNKNOWN_ID).mean() > 0, abs(len(ids) - 14)))
    return detokenize(vocabulary.decode(best[1:-1]), vocabulary.unit)
