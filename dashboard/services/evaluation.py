"""What the Evaluate page shows of one network on one text: each number is computed once, when it is first asked for.

What is counted in the training text quotes it: a guest gets none of that.
"""

from __future__ import annotations

import threading
from functools import cached_property, lru_cache

import numpy as np

from dashboard.services import held_out, library, measurements, network
from dashboard.services.held_out import HeldOut, Text
from dashboard.services.network import Loaded
from rnn_core import diagnostics
from rnn_core.arrays import Array
from rnn_core.data import UNKNOWN_ID, ngrams
from rnn_core.diagnostics import LossByPosition, Reach, WordSurprise
from rnn_core.diagnostics.effective_context import Progress
from rnn_core.runs import Run
from rnn_core.training import WrittenCopies, written_copies

CONTEXT_TARGETS = 300
"""Predictions over which the effective context is measured: on a page they are waited for."""
COPIED_SENTENCES = 50

_measuring = threading.Lock()
"""One context is measured at a time: the server's cores are for trainings too."""


class TextEvaluation:
    """Shared by all visitors who may read the text: nobody may change what is returned."""

    def __init__(self, loaded: Loaded, text: HeldOut, train: list[Array]) -> None:
        """train: the sentences that the network was trained on; [] for those who may not read them, or if there are
        none."""
        self.loaded, self.text, self.train = loaded, text, train
        self._reach: Reach | None = None

    @cached_property
    def losses(self) -> list[Array]:
        """Of every sentence (n - 1,) nats a prediction, read as the network was trained to read."""
        flat = diagnostics.text_losses(self.loaded.model, self.text.sentences, self.text.carried)
        return np.split(flat, np.cumsum([len(ids) - 1 for ids in self.text.sentences])[:-1])

    @cached_property
    def loss_nats(self) -> float:
        return float(np.concatenate(self.losses).mean())

    @cached_property
    def unknown_rate(self) -> float:
        """Share of the words that the network does not know."""
        words = np.concatenate([ids[1:-1] for ids in self.text.sentences])
        return float((words == UNKNOWN_ID).mean()) if len(words) else 0.0

    @cached_property
    def by_position(self) -> LossByPosition:
        return diagnostics.loss_by_position(self.losses)

    @cached_property
    def counted(self) -> dict[str, float]:
        """Perplexities of the n-gram models of the training text, and of knowing nothing; {} where there is none."""
        if not self.train:
            return {}
        found = ngrams.baselines(self.train, self.text.sentences, len(self.loaded.vocabulary))
        return {name: value for name, value in found.items() if name != "unigram_nats"}

    @cached_property
    def surprises(self) -> list[WordSurprise]:
        """The network beside the trigram on every word, or beside itself where there is nothing to count."""
        reference = self.losses
        if self.train:
            trigram = ngrams.KneserNeyTrigram(self.train, len(self.loaded.vocabulary))
            reference = ngrams.sentence_losses(trigram, self.text.sentences)
        return [
            WordSurprise(ids[1:], own, other)
            for ids, own, other in zip(self.text.sentences, self.losses, reference, strict=True)
        ]

    def reach(self, progress: Progress | None = None) -> Reach:
        """`progress` is called with how many contexts were read, of how many; what it raises ends the measuring."""
        with _measuring:
            if self._reach is None:
                self._reach = diagnostics.reach(
                    self.loaded.model,
                    self.text.sentences,
                    self.text.carried,
                    CONTEXT_TARGETS,
                    progress=progress,
                )
            return self._reach

    @cached_property
    def copies(self) -> WrittenCopies:
        """Raises CorpusError where there is no training text."""
        loaded = self.loaded
        return written_copies(loaded.model, loaded.vocabulary, self.train, self.text.sentences, COPIED_SENTENCES)


def evaluation(run: Run, loaded: Loaded, text: Text) -> TextEvaluation:
    """Of the network with these weights. Raises RunError for a guest who asks for the owner's text, CorpusError."""
    mine = library.mine(run)
    held_out.check_allowed(run, text)
    return _evaluation(str(run.folder), loaded.step, text, mine)


@lru_cache(maxsize=4)
def _evaluation(folder: str, step: int, text: Text, mine: bool) -> TextEvaluation:
    run = Run.open(folder)
    train = measurements.training_sentences(run) if mine else []
    return TextEvaluation(network.at(folder, step), held_out.read(run, text), train)
