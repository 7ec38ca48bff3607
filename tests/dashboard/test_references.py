"""The lines beside the loss: what guessers without a network would lose."""

from __future__ import annotations

import math
import threading

import pytest

from dashboard.services import references
from rnn_core.data import ngrams
from tests.waiting import wait_for


def test_the_references_are_what_evaluate_compares_with(trained_run):
    corpus = trained_run.corpus()
    found = ngrams.baselines(corpus.train, corpus.valid, len(corpus.vocabulary))
    losses, _ = wait_for(lambda: known if (known := references.losses(trained_run))[1] else None)
    assert losses == {name: pytest.approx(math.log(found[name])) for name in losses}
    assert len(losses) == 4
    facts = trained_run.config.corpus
    assert losses["uniform"] == pytest.approx(facts.uniform_nats)
    assert losses["unigram"] == pytest.approx(facts.unigram_nats)


def test_a_page_does_not_wait_for_a_long_text_to_be_counted(new_run, monkeypatch):
    counted, run = threading.Event(), new_run()
    count = references._count

    def slowly(folder):
        assert counted.wait(150)
        return count(folder)

    monkeypatch.setattr(references, "_count", slowly)
    losses, complete = references.losses(run)
    assert set(losses) == {"uniform", "unigram"}
    assert not complete
    counted.set()
    losses, _ = wait_for(lambda: known if (known := references.losses(run))[1] else None)
    assert len(losses) == 4
