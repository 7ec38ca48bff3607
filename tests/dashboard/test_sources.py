"""A text is read once; another vocabulary size is a cut of what was read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dashboard import sources
from rnn_core import text
from rnn_core.text import TextSettings

TEXT = "\n".join(
    f"the {animal} saw a {thing} and the {thing} ran"
    for animal in ("cat", "dog", "owl", "fox")
    for thing in ("mouse", "ball", "leaf")
)


@pytest.mark.parametrize("size", [4, 5, 8, 12, 100])
def test_narrowing_a_corpus_gives_what_reading_it_for_that_vocabulary_gives(size):
    settings = TextSettings(sentences="lines", vocabulary_size=sources.EVERY_WORD)
    whole = text.prepare(TEXT.encode(), "animals.txt", settings)
    direct = text.prepare(TEXT.encode(), "animals.txt", replace(settings, vocabulary_size=size))
    narrowed = sources.narrow(whole, size)
    assert narrowed.vocabulary == direct.vocabulary
    assert narrowed.vocabulary.counts == direct.vocabulary.counts
    for part in ("train", "valid"):
        for mine, theirs in zip(getattr(narrowed, part), getattr(direct, part), strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
    assert narrowed.report.coverage == pytest.approx(direct.report.coverage)
    assert narrowed.report.vocabulary_size == direct.report.vocabulary_size


def test_every_kind_of_source_that_needs_no_internet_gives_a_corpus():
    for source in (
        sources.Upload("animals.txt", TEXT.encode()),
        sources.Paste(TEXT),
        sources.Agreement(gap=4, count=100),
        sources.PythonReference(),
    ):
        corpus = sources.prepare(source, TextSettings(sentences="lines"))
        assert corpus.train
        assert corpus.valid
        assert corpus.name == source.name
