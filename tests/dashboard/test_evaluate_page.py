"""The Evaluate page: its numbers are the core's, and what quotes the training text is the owner's alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import hosting
from dashboard.charts import judgement as charts
from dashboard.services import evaluation, library, measurements, network
from dashboard.services.held_out import ValidationText
from dashboard.services.sources import Paste
from dashboard.state import session
from dashboard.text import evaluate as wording
from dashboard.text import held_out as held_out_wording
from rnn_core.data import Copies, ngrams
from rnn_core.diagnostics import EffectiveContext, Horizon, LossByPosition, Reach
from rnn_core.errors import CorpusError, RunError
from rnn_core.runs import Run
from rnn_core.training import evaluate
from tests.dashboard.conftest import HOSTILE
from tests.dashboard.test_user_text import assert_only_plain_elements_show_it

OpenPage = Callable[..., AppTest]


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in app.markdown)


def test_the_numbers_are_those_of_evaluate_and_of_counting(open_page: OpenPage, trained_run: Run) -> None:
    loaded = network.newest(trained_run)
    assert loaded is not None
    found = evaluation.evaluation(trained_run, loaded, ValidationText())
    corpus = trained_run.corpus()
    assert found.loss_nats == pytest.approx(evaluate(loaded.model, corpus.valid).loss_nats, rel=1e-6)
    counted = ngrams.baselines(corpus.train, corpus.valid, len(corpus.vocabulary))
    assert found.counted == {name: value for name, value in counted.items() if name != "unigram_nats"}
    for ids, surprise, losses in zip(corpus.valid, found.surprises, found.losses, strict=True):
        np.testing.assert_array_equal(surprise.words, ids[1:])
        np.testing.assert_array_equal(surprise.network_nats, losses)
    trigram = np.concatenate([surprise.reference_nats for surprise in found.surprises]).mean()
    assert math.exp(trigram) == pytest.approx(counted["kneser_ney_trigram"])
    app = open_page("evaluate", trained_run.id, context="1", copies="1", colour="trigram")
    assert f"perplexity is **{math.exp(found.loss_nats):,.1f}**" in said(app)
    assert wording.LARGER[found.reach().larger].format(unit="word") in said(app)
    assert "The longest span that it copied" in said(app)
    gain = np.concatenate([surprise.gain_nats for surprise in found.surprises])
    assert f"{(gain > 0).mean():.0%} of the words better than the trigram" in said(app)
    assert {name: app.query_params[name] for name in ("context", "copies", "colour")} == {
        "context": "1",
        "copies": "1",
        "colour": "trigram",
    }
    assert_only_plain_elements_show_it(app)


def test_a_pasted_text_is_judged_and_shown_as_it_is(open_page: OpenPage, trained_run: Run) -> None:
    app = open_page("evaluate", trained_run.id)
    app.segmented_control(key=session.key("evaluate", "text kind")).set_value("paste").run()
    assert held_out_wording.NO_TEXT in [info.value for info in app.info]
    app.text_area[0].set_value(f"the queen lost her crown\n{HOSTILE}").run()
    assert not app.error
    assert "**Perplexity " in said(app)
    assert_only_plain_elements_show_it(app)


def test_the_measuring_of_the_context_that_is_stopped_keeps_nothing_and_can_begin_anew(trained_run: Run) -> None:
    loaded = network.newest(trained_run)
    assert loaded is not None
    found = evaluation.evaluation(trained_run, loaded, ValidationText())
    heard: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        heard.append((done, total))
        raise InterruptedError

    with pytest.raises(InterruptedError):
        found.reach(stop)
    assert len(heard) == 1
    assert heard[0][0] < heard[0][1]
    found.reach(lambda done, total: heard.append((done, total)))
    assert heard[-1][0] == heard[-1][1]
    assert found.reach() is found.reach(stop)  # it is there, and is not measured again


def test_a_guest_has_nothing_that_is_counted_in_the_owners_text(
    trained_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, guest = "a" * 64, "b" * 64
    monkeypatch.setenv(hosting.VARIABLE, "1")
    hosting.set_owner(trained_run.folder, hosting.owner_id(owner))
    loaded, text = network.newest(trained_run), Paste("the queen lost her crown\n" * 3)
    assert loaded is not None
    monkeypatch.setattr(library, "_secret", lambda: owner)
    assert evaluation.evaluation(trained_run, loaded, text).counted
    monkeypatch.setattr(library, "_secret", lambda: guest)
    found = evaluation.evaluation(trained_run, loaded, text)
    assert found.loss_nats > 0
    assert found.counted == {}
    assert not any(surprise.gain_nats.any() for surprise in found.surprises)
    with pytest.raises(CorpusError):
        _ = found.copies
    for ask in (measurements.held_out_sentences, measurements.training_sentences):
        with pytest.raises(RunError, match="belongs to somebody else"):
            ask(trained_run)
    with pytest.raises(RunError, match="belongs to somebody else"):
        evaluation.evaluation(trained_run, loaded, ValidationText())


def test_the_tables_hold_the_numbers_that_are_drawn() -> None:
    table = charts.perplexity_table(5.0, {"uniform": math.inf, "bigram": 3.0, "unigram": 9.0})
    assert table["perplexity"].tolist() == [3.0, 5.0, 9.0]
    assert table["who"].tolist() == [charts.COUNTED, charts.NETWORK, charts.COUNTED]
    places = charts.position_table(
        LossByPosition(np.array([40, 25, 3]), np.log([2.0, 4.0, 8.0]), np.array([0.1, 0.1, np.nan]))
    )
    assert places["place"].tolist() == [1, 2]  # of the third place there are too few
    assert places["perplexity"].tolist() == pytest.approx([2, 4])
    assert places["high"].tolist() == pytest.approx([2 * math.exp(0.1), 4 * math.exp(0.1)])
    used = EffectiveContext(np.array([1, 2, 4]), np.ones(3), np.array([3, 2.5, 2.0]), np.ones(3), 2.0, 9)
    decay = np.array([1, 0.5, 0.1, 0, 0, 0, np.nan])
    reach = Reach(used, Horizon(decay, decay, decay, decay, decay, None, None, None, 1.0))
    rows = charts.reach_table(reach)
    assert rows[rows["series"] == charts.CONTEXT]["share"].tolist() == [1, 0.5, 0]
    assert rows[rows["series"] == charts.GRADIENT]["share"].tolist() == [1, 0.5, 0.1, 0, 0]
    assert rows.groupby("series")["half"].first().to_dict() == {charts.CONTEXT: 2.0, charts.GRADIENT: 1.0}
    copies = Copies([np.array([2, 1, 0, 0])], [])
    drawn = charts.copies_table(copies, Copies([], []), (1, 2, 3), "word")
    assert drawn[drawn["who"] == charts.WRITTEN]["share"].tolist() == [0.5, 0.5, 0]
