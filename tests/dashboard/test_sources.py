"""Where a text can come from."""

from __future__ import annotations

from dashboard.services import sources
from rnn_core.config import TextSettings

TEXT = "\n".join(
    f"the {animal} saw a {thing} and the {thing} ran"
    for animal in ("cat", "dog", "owl", "fox")
    for thing in ("mouse", "ball", "leaf")
)


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
