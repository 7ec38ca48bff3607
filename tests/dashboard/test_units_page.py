"""The Units page: what it says of a text, what its link keeps, and whose text it shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import hosting
from dashboard.charts import units as charts
from dashboard.services import held_out, library, network, unit_analysis
from dashboard.services.held_out import ValidationText
from dashboard.services.sources import Paste
from dashboard.state import session
from dashboard.text import units as wording
from dashboard.text.tasks import NO_WORDS
from rnn_core import runs
from rnn_core.config import ModelConfig, TaskSettings, TrainingSettings
from rnn_core.diagnostics import FEATURES, Unit, units
from rnn_core.errors import CorpusError, RunError
from rnn_core.runs import Run
from rnn_core.runs.worker import work
from tests.dashboard.conftest import HOSTILE
from tests.dashboard.test_user_text import assert_only_plain_elements_show_it

OpenPage = Callable[..., AppTest]
# Lines of many lengths, so that the test's shifts break what joins a unit and the line.
TALE = "\n".join(
    f"the {who} {' '.join(['often'] * (number * 7 % 11))} lost {whose} crown ."
    for number in range(60)
    for who, whose in (("queen", "her"), ("king", "his"))
)


def paste(app: AppTest, text: str) -> AppTest:
    app.segmented_control(key=session.key("units", "text kind")).set_value("paste").run()
    app.text_area[0].set_value(text).run()
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in app.markdown)


def test_the_page_says_which_unit_follows_what_with_the_analysis_own_numbers(
    open_page: OpenPage, trained_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "LEAST_CORRELATION", -1.0)  # what a network of 12 units does is all that there is
    monkeypatch.setattr(units, "SIGNIFICANT", 1.0)
    app = paste(open_page("units", trained_run.id), TALE)
    app.selectbox(key=session.key("units", "follow")).set_value("agreement").run()
    loaded = network.newest(trained_run)
    assert loaded is not None
    found = unit_analysis.analysis(trained_run, loaded, Paste(TALE))
    ranking = found.rankings()["agreement"]
    best = ranking.units[ranking.top(1)[0]]
    assert ranking.follows[0]
    assert f"Unit {best.number} (h) follows the agreement that is still open" in said(app)
    assert f"{ranking.held_out[0]:.2f}" in said(app)
    assert app.dataframe[0].value["held out"].tolist() == pytest.approx(
        [float(ranking.held_out[place]) for place in ranking.top(10)]
    )
    carriers = found.carriers
    assert carriers is not None
    assert f"The whole network answers {carriers.accuracy:.0%} right." in said(app)
    cost = found.cost(best, "agreement")
    assert f"{cost.at_ends:+.4f} nats" in said(app)
    assert found.cost(best, "agreement") is cost  # each number is computed once
    assert wording.ENDS.keys() == FEATURES.keys()


def test_the_link_keeps_what_is_followed_the_unit_and_the_place(open_page: OpenPage, trained_run: Run) -> None:
    app = open_page("units", trained_run.id, follow="agreement", unit="0.h.3", at="2")
    if "No unit follows" in said(app):
        app.toggle(key=session.key("units", "all the same")).set_value(True).run()
    assert app.query_params["follow"] == "agreement"
    assert app.query_params["unit"] == "0.h.3"
    assert "Strongest places of unit 3 (h)" in said(app)
    assert not open_page("units", trained_run.id, follow="../x", unit="9.z.9", at="-5", text="nonsense").error


def test_where_no_unit_follows_the_page_says_so_and_shows_no_best_of_nothing(
    open_page: OpenPage, trained_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "LEAST_CORRELATION", 1.1)
    app = open_page("units", trained_run.id)
    assert "**No unit follows the position in the line here.**" in said(app)
    assert not app.dataframe
    app.toggle(key=session.key("units", "all the same")).set_value(True).run()
    assert not app.dataframe[0].value["follows"].any()


def test_a_visitors_own_text_is_shown_as_it_is(open_page: OpenPage, trained_run: Run) -> None:
    text = "\n".join(f"{'the ' * (number % 5)}{HOSTILE}" for number in range(40))
    app = paste(open_page("units", trained_run.id), text)
    app.toggle(key=session.key("units", "all the same")).set_value(True).run()
    assert_only_plain_elements_show_it(app)
    app.text_area[0].set_value("word").run()
    assert not app.exception
    assert wording.NOTHING_TO_FOLLOW in [info.value for info in app.info]


def test_a_guest_is_asked_for_a_text_of_their_own(trained_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, guest = "a" * 64, "b" * 64
    monkeypatch.setenv(hosting.VARIABLE, "1")
    hosting.set_owner(trained_run.folder, hosting.owner_id(owner))
    loaded = network.newest(trained_run)
    assert loaded is not None
    monkeypatch.setattr(library, "_secret", lambda: owner)
    assert held_out.texts_of(trained_run)
    assert unit_analysis.analysis(trained_run, loaded, ValidationText()).text.sentences
    # What the owner has had measured is kept for all visitors, and still not shown to a guest.
    monkeypatch.setattr(library, "_secret", lambda: guest)
    assert not held_out.texts_of(trained_run)
    for ask in (
        lambda: held_out.read(trained_run, ValidationText()),
        lambda: unit_analysis.analysis(trained_run, loaded, ValidationText()),
    ):
        with pytest.raises(RunError, match="belongs to somebody else"):
            ask()
    assert held_out.read(trained_run, Paste(TALE)).sentences
    with pytest.raises(CorpusError, match="MB"):
        held_out.read(trained_run, Paste("word " * 10_000_000))


def test_a_long_text_is_read_up_to_a_limit(trained_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out, "MOST_TOKENS", 100)
    found = held_out.read(trained_run, Paste(TALE + "\n"))
    assert 80 < len(found.tokens) <= 100
    assert len(found.sentences) + found.left_out == 120


def test_colours_tell_how_far_a_unit_is_from_its_mean() -> None:
    whole = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(charts.strengths([2, 4, 0], whole), [0, 1, -1], atol=0.02)
    assert charts.strengths([5.0, 5.0]).tolist() == [0, 0]
    assert charts.name_of(Unit(0, "c", 33)) == "unit 33 (c)"
    assert charts.name_of(Unit(1, "c", 33), layers=2, signals=False) == "unit 33 of layer 1"


def test_a_run_on_number_prediction_is_asked_who_carries_the_number(
    open_page: OpenPage, runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_analysis, "TASK_SENTENCES", 40)
    training = TrainingSettings(steps=2, epochs=None, batch_size=4)
    for name, says in (("agreement", "The whole network answers"), ("adding", NO_WORDS)):
        model = ModelConfig(cell="gru", hidden_size=4)
        settings = TaskSettings(task=name, validation_sequences=20)
        run = runs.create_task_run(runs_folder / runs.new_run_id(), "", settings, model, training)
        work(run.folder)
        app = open_page("units", run.id)
        assert not app.error
        assert says in said(app) + "\n".join(info.value for info in app.info)
