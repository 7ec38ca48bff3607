"""What a guesser without a network would lose on a run's text: the lines beside its loss.

They are counted once for each run, beside the page and the training: of a text of millions of words that takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from functools import lru_cache

from rnn_core.data import ngrams
from rnn_core.errors import UserError
from rnn_core.runs import Run

UNIFORM, UNIGRAM, BIGRAM, TRIGRAM = "uniform", "unigram", "bigram", "kneser_ney_trigram"

PATIENCE_SECONDS = 0.15
"""A page waits so long for what is being counted; most texts take less."""

_counter = ThreadPoolExecutor(1, thread_name_prefix="n-grams")


def losses(run: Run) -> tuple[Mapping[str, float], bool]:
    """Mean losses in nats on the held-out sentences of each guesser that is known by now, and whether all are.

    Numbers alone, for guests as well. A network that came without its text is compared with the uniform guesser only.
    """
    facts = run.config.corpus
    if run.config.task is not None:
        return {UNIFORM: facts.unigram_nats}, True
    if not facts.train_sentences:
        return {UNIFORM: facts.uniform_nats}, True
    known = {UNIFORM: facts.uniform_nats, UNIGRAM: facts.unigram_nats}
    try:
        return _counting(str(run.folder)).result(PATIENCE_SECONDS), True
    except NotYet:
        return known, False
    except UserError:
        return known, True  # its text is damaged: the page says so where it needs the text


@lru_cache(maxsize=64)
def _counting(folder: str) -> Future[Mapping[str, float]]:
    return _counter.submit(_count, folder)


def _count(folder: str) -> Mapping[str, float]:
    corpus = Run.open(folder).corpus()
    found = ngrams.baselines(corpus.train, corpus.valid or corpus.train, len(corpus.vocabulary))
    return {name: math.log(found[name]) for name in (UNIFORM, UNIGRAM, BIGRAM, TRIGRAM)}
