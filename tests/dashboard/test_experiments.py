"""The Experiments page: every experiment with its picture, run live by a process that outlives the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import hosting
from dashboard.charts import learnt
from dashboard.services import experimenting
from rnn_core.errors import RunError
from rnn_core.experiments.catalogue import EXPERIMENTS
from rnn_core.experiments.results import shipped
from tests.waiting import wait_for

FILM = EXPERIMENTS["gradient-film"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_link_opens_an_experiment_with_its_claim_and_last_result(
    name: str, open_page: Callable[..., AppTest]
) -> None:
    app = open_page("experiments", experiment=name)
    said = "\n".join(str(text.value) for text in (*app.markdown, *app.caption))
    assert EXPERIMENTS[name].claim in said
    assert EXPERIMENTS[name].source in said
    assert not app.error
    result = shipped(EXPERIMENTS[name])
    if result is not None:
        assert len(app.dataframe[0].value) == len(result.rows)
        assert all(text in app.code[0].value for text in result.text.split(", "))
    assert [button.label for button in app.button if "ere" in button.label or "gain" in button.label]


def test_what_costs_nothing_stands_at_the_foot_of_the_contexts_axis() -> None:
    table = learnt.context_table([1, 10, 100], [2.0, 0.05, 0.0], [0.4, -0.001, 0.0])
    found = {(series, x): shown for series, x, shown in zip(table["series"], table["x"], table["shown"], strict=True)}
    assert [found[learnt.DROPPED, n] for n in (1, 10, 100)] == [2.0, 0.05, learnt.LEAST_RISE]
    assert [found[learnt.SHUFFLED, n] for n in (1, 10, 100)] == [0.4, learnt.LEAST_RISE, learnt.LEAST_RISE]


@pytest.mark.process
def test_an_experiment_runs_in_a_process_of_its_own_can_be_stopped_and_goes_on() -> None:
    assert experimenting.shown(FILM)[1] is False
    experimenting.start(FILM)
    wait_for(lambda: (ours := experimenting.live(FILM)) is not None and ours.finished, "a first trial")
    experimenting._children.clear()  # as after a restart of the server
    if experimenting.at_work(FILM):
        experimenting.stop(FILM)
    wait_for(lambda: not experimenting.at_work(FILM), "its end")
    kept = experimenting.live(FILM)
    assert kept is not None
    if not kept.whole:
        experimenting.start(FILM)
    wait_for(lambda: not experimenting.at_work(FILM), "its end")
    whole, ours = experimenting.shown(FILM)
    assert ours
    assert whole is not None
    assert whole.whole
    assert whole.finished[: len(kept.finished)] == kept.finished


def test_a_hosted_server_computes_what_its_minutes_allow_in_a_free_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(hosting.VARIABLE, "minutes=1 trainings=1")
    assert "minutes" in experimenting.refusal(EXPERIMENTS["adding"])
    with pytest.raises(RunError, match="own machine"):
        experimenting.start(EXPERIMENTS["adding"])
    assert experimenting.refusal(FILM) == ""
    monkeypatch.setattr(hosting, "take_spare_slot", lambda root, caps: None)
    with pytest.raises(RunError, match="places"):
        experimenting.start(FILM)
    assert not experimenting.at_work(FILM)
    assert experimenting.refusal(replace(FILM, name="never run"))
