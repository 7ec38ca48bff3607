"""The lecture, the race and the first story, as a visitor meets them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import racing, session, worker
from dashboard import wording_stories as wording
from dashboard.charts import by_hand as charts
from dashboard.charts import race as race_charts
from rnn_core import by_hand, runs
from rnn_core.by_hand import ASKED, SENTENCE, TARGETS, WORDS
from rnn_core.model import ModelConfig
from rnn_core.race import AgreementMeasured
from rnn_core.runs import Run
from rnn_core.training import TrainingSettings
from tests.dashboard.conftest import HOSTILE

# --- BPTT by hand -----------------------------------------------------------------------------------------------------


def page_html(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in app.markdown)


def click(app: AppTest, label: str) -> AppTest:
    (found,) = [candidate for candidate in app.button if candidate.label == label]
    return found.click().run()


def field(name: str, row: int, column: int) -> str:
    return session.key("by hand", f"{name} {row} {column}")


def test_the_lecture_goes_forward_and_back_and_stops_at_its_ends(open_page):
    app = open_page("by_hand")
    step = app.slider(key=session.key("by hand", "step"))
    assert step.value == 1
    assert [button.disabled for button in app.button] == [True, True, False, False]
    titles = []
    for _ in range(15):
        titles.append(app.subheader[0].value)
        app = click(app, "Next")
        assert not app.exception
    assert [button.disabled for button in app.button] == [False, False, True, True]
    assert titles.count("One word back") == 3
    assert app.subheader[0].value == "The finished sum"
    app = click(app, "Previous")
    assert app.slider(key=session.key("by hand", "step")).value == 15
    app = click(app, "First")
    assert app.subheader[0].value == "Read “&lt;s>”"


def test_every_step_shows_the_numbers_it_is_about(open_page):
    app = open_page("by_hand")
    weights = by_hand.example()
    unrolled = by_hand.unroll(SENTENCE, TARGETS, weights)
    chain = by_hand.chain(unrolled, TARGETS, weights, ASKED)
    for place, step in enumerate(by_hand.lecture(5, ASKED), 1):
        app.slider(key=session.key("by hand", "step")).set_value(place).run()
        shown = page_html(app)
        expected = {
            "forward": [unrolled.a[step.t], unrolled.s[step.t], unrolled.p[step.t]],
            "loss": [],
            "error": [unrolled.p[ASKED], chain.loss_scores],
            "delta": [chain.loss_prediction, chain.prediction_state, chain.loss_state[ASKED], chain.deltas[ASKED]],
            "term": [] if step.k is None else [chain.state_state[step.k], chain.state_weights[step.k]],
            "back": [] if not step.k else [chain.deltas[step.k], chain.deltas[step.k - 1]],
            "done": [chain.gradient],
        }[step.kind]
        if step.kind == "term":
            expected += [chain.terms[step.k], chain.sums[step.k]]
        for number in np.concatenate([np.zeros(0), *(values.ravel() for values in expected)]):
            assert f"<div>{charts.figures(number, 3)}</div>" in shown, (step, number)
        if step.kind == "loss":
            assert f"{unrolled.losses[ASKED]:.3f}" in said(app)
        for line in step.lines:
            marked = re.search(r"<span class='bh-line'>\s*" + re.escape(charts.html.escape(line)), shown)
            assert marked, line


def test_a_changed_weight_changes_every_number_and_the_sum_stays_right(open_page):
    app = open_page("by_hand")
    app = click(app, "Last")
    before = page_html(app)
    app.number_input(key=field("W", 0, 1)).set_value(1.3)
    app.number_input(key=field("U", 1, 2)).set_value(0.7)
    app.number_input(key=field("V", 4, 0)).set_value(-0.5)
    app.run()
    weights = by_hand.example()
    weights.W[0, 1], weights.U[1, 2], weights.V[4, 0] = 1.3, 0.7, -0.5
    expected = by_hand.check_one(SENTENCE, TARGETS, weights, ASKED)
    shown = page_html(app)
    for number in expected.by_hand.ravel():
        assert f"<div>{charts.figures(number, 4)}</div>" in shown
        assert f"<div>{charts.figures(number, 4)}</div>" not in before
    assert len(app.metric) == 2
    for metric in app.metric:
        assert float(metric.value) < 1e-12


def test_a_preset_fills_the_fields_of_w(open_page):
    app = open_page("by_hand")
    app.pills(key=session.key("by hand", "preset")).set_value("large").run()
    W = [[app.number_input(key=field("W", row, column)).value for column in range(2)] for row in range(2)]
    np.testing.assert_allclose(W, 2 * by_hand.example().W)
    app.pills(key=session.key("by hand", "preset")).set_value("given").run()
    assert app.number_input(key=field("W", 0, 1)).value == -0.4


@pytest.mark.parametrize("size", [9.0, -9.0, 0.0])
def test_the_lecture_bears_weights_of_any_size(open_page, size):
    app = open_page("by_hand")
    for row in range(2):
        for column in range(2):
            app.number_input(key=field("W", row, column)).set_value(size)
    for place in range(1, 17):
        app.slider(key=session.key("by hand", "step")).set_value(place).run()
        assert not app.exception
    assert all(float(metric.value) < 1e-12 for metric in app.metric)


def test_the_drawing_shows_a_delta_for_every_word_that_the_gradient_has_reached():
    weights = by_hand.example()
    unrolled = by_hand.unroll(SENTENCE, TARGETS, weights)
    chain = by_hand.chain(unrolled, TARGETS, weights, ASKED)
    reached = {"forward": 0, "loss": 0, "error": 0, "delta": 1}
    for step in by_hand.lecture(5, ASKED):
        drawn = charts.drawing(WORDS, unrolled, chain, step, ASKED)
        words = ASKED - step.k + 1 + (step.kind == "back") if step.kind not in reached else reached[step.kind]
        assert drawn.count("<i>δ</i>") == words, step
        assert drawn.count("←") == max(0, words - 1), step


def test_figures_have_a_real_minus_sign_and_no_negative_zero():
    assert charts.figures(-0.4) == "−0.40"
    assert charts.figures(-0.001) == "0.00"
    assert charts.figures(-1e-9, 3) == "0.000"
    assert charts.figures(-123456.0) == "−1.2e+05"


# --- the race ---------------------------------------------------------------------------------------------------------


def race_key(name: str) -> str:
    return session.key("race", name)


def start_race(open_page: Callable[..., AppTest], networks: list[str], steps: int = 9600, **link: str) -> AppTest:
    app = open_page("race")
    app.multiselect(key=race_key("networks")).set_value(networks)
    app.select_slider(key=race_key("hidden")).set_value(8)
    app.select_slider(key=race_key("steps")).set_value(steps)
    app.slider(key=race_key("gap")).set_value((1, 4))
    app.run()
    return click(app, "Start the race")


def lanes_of(folder: Path, app: AppTest) -> list[Run]:
    race_id = app.query_params["race"]
    race_id = race_id if isinstance(race_id, str) else race_id[0]
    return [Run.open(path) for path in sorted(folder.glob(f"{race_id}-*"))]


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def standings(app: AppTest) -> pd.DataFrame:
    return app.dataframe[0].value


def test_a_race_trains_ordinary_runs_in_one_process_and_is_paused_resumed_and_stopped_as_one(open_page, runs_folder):
    app = start_race(open_page, ["tanh uniform", "lstm"])
    assert not app.error
    runs = lanes_of(runs_folder, app)
    assert [run.config.name for run in runs] == ["Race: tanh, uniform", "Race: LSTM"]
    wait_until(lambda: all(run.status().state == "running" and run.status().step > 20 for run in runs))
    assert len({run.status().pid for run in runs}) == 1
    click(app.run(), "Pause")
    wait_until(lambda: all(run.status().state == "paused" for run in runs))
    steps = [run.status().step for run in runs]
    assert max(steps) - min(steps) <= 1
    click(app.run(), "Resume")
    wait_until(lambda: all(run.status().state == "running" for run in runs))
    click(app.run(), "Stop")
    wait_until(lambda: all(run.status().state == "stopped" for run in runs))
    wait_until(lambda: not any(worker.working(run) for run in runs))
    app.run()
    click(app, "Resume")
    wait_until(lambda: all(run.status().state == "running" for run in runs))
    assert len({run.status().pid for run in runs}) == 1
    assert not app.error


def test_a_finished_race_shows_three_pictures_and_what_was_measured(open_page, runs_folder):
    app = start_race(open_page, ["tanh uniform", "relu identity", "gru"], steps=300)
    runs = lanes_of(runs_folder, app)
    wait_until(lambda: all(run.status().state == "finished" for run in runs))
    # A refresh: another session with the same link.
    again = open_page("race", race=runs[0].id[:-2])
    assert not again.error
    table = standings(again)
    assert list(table["network"]) == ["tanh, uniform", "ReLU, identity", "GRU"]
    assert list(table["step"]) == [300] * 3
    for run, shown in zip(runs, table["agreement"], strict=True):
        (event,) = run.events(kinds=["agreement_measured"])[-1:]
        assert event["step"] == 300
        assert shown == pytest.approx(100 * np.average(event["accuracy"], weights=event["items"]))
    assert len(again.get("vega_lite_chart") + again.get("arrow_vega_lite_chart")) == 3
    assert "A coin is right in 50 %" in said(again)
    app.switch_page("views/runs.py").run()
    assert {"Race: GRU", "Race: tanh, uniform"} <= set(app.dataframe[0].value["name"])


def test_a_text_without_agreement_says_why_the_third_picture_is_not_there(open_page, runs_folder):
    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("paste").run()
    lines = [f"The {animal} saw the {thing} again." for animal in ("cat", "dog", "owl") for thing in "abcdefgh"]
    app.text_area[0].set_value("\n".join(lines)).run()
    app.switch_page("views/race.py").run()
    app.segmented_control(key=race_key("corpus")).set_value("chosen").run()
    app.multiselect(key=race_key("networks")).set_value(["tanh uniform"])
    app.select_slider(key=race_key("steps")).set_value(300)
    app.run()
    click(app, "Start the race")
    (run,) = lanes_of(runs_folder, app)
    wait_until(lambda: run.status().state == "finished")
    app.run()
    assert wording.RACE_NO_AGREEMENT in said(app)
    assert len(app.get("vega_lite_chart") + app.get("arrow_vega_lite_chart")) == 2


def test_a_race_without_networks_cannot_be_started(open_page):
    app = open_page("race")
    app.multiselect(key=race_key("networks")).set_value([]).run()
    assert [button.disabled for button in app.button if button.label == "Start the race"] == [True]


@pytest.mark.parametrize("link", ["20260101-00000000000000000000", "../../etc", "x" * 100, "%2e%2e", ""])
def test_a_link_to_no_race_of_ours_opens_a_new_one_kindly(open_page, link):
    app = open_page("race", race=link)
    assert not app.error
    assert any(button.label == "Start the race" for button in app.button)


def test_a_race_goes_on_without_a_run_that_was_deleted_and_calls_a_renamed_one_by_its_network(open_page, runs_folder):
    app = start_race(open_page, ["tanh uniform", "lstm", "gru"], steps=300)
    lanes = lanes_of(runs_folder, app)
    wait_until(lambda: all(run.status().state == "finished" for run in lanes))
    wait_until(lambda: not any(worker.working(run) for run in lanes))
    runs.delete_run(lanes[0].folder)
    runs.rename_run(lanes[1].folder, HOSTILE)
    app.run()
    assert not app.exception
    assert list(standings(app)["network"]) == ["LSTM", "GRU"]
    assert HOSTILE not in "".join(str(element.proto) for element in app.main)


def test_the_tables_of_a_race_hold_every_network_and_stay_small():
    steps = np.arange(1.0, 50_001)
    losses = race_charts.loss_table({"a": (steps, 1 / steps), "b": (steps[:3], steps[:3]), "c": (steps[:0], steps[:0])})
    assert len(losses) <= 2 * race_charts.POINTS_OF_A_LANE
    assert set(losses["network"]) == {"a", "b"}
    horizon = race_charts.horizon_table({"a": (1.0, 0.0, 0.25), "b": (1.0, float("nan"))})
    assert list(horizon[horizon["network"] == "a"]["lag"]) == [0, 2]
    assert list(horizon[horizon["network"] == "b"]["lag"]) == [0]
    agreement = race_charts.agreement_table({"a": AgreementMeasured(7, (2, 3), (10, 20), (0.5, 1.0))})
    assert list(agreement["sentences"]) == [10, 20]


def test_charts_of_a_race_keep_their_specification_while_it_runs():
    def specifications(count: int) -> list[dict[str, object]]:
        steps = np.arange(1.0, count + 1)
        networks = ["a", "b"]
        drawn = [
            race_charts.loss_chart(race_charts.loss_table({"a": (steps, steps)}), networks, "word"),
            race_charts.horizon_chart(race_charts.horizon_table({"a": 1 / steps}), networks, "word"),
            race_charts.agreement_chart(race_charts.agreement_table({}), networks),
        ]
        for chart in drawn:
            chart.data = {"values": []}
        return [chart.to_dict() for chart in drawn]

    assert specifications(5) == specifications(70)


def test_only_runs_of_one_race_that_wait_are_started_together(new_run, runs_folder):
    race_id = racing.new_race_id()
    corpus, text = racing.agreement_corpus(1, 3), racing.TEXT
    made = []
    for place in (1, 2, 3):
        model = ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=4)
        folder = runs_folder / racing.lane_id(race_id, place)
        made.append(runs.create_run(folder, "lane", corpus, model, TrainingSettings(), text))
    other = new_run()
    for run in (made[0], made[2], other):
        run.queue()
    assert [run.id for run in racing.waiting_with(made[2])] == [made[2].id, made[0].id]
    assert [run.id for run in racing.waiting_with(other)] == [other.id]
    assert racing.race_of(made[1].id) == race_id
    assert racing.race_of("my-run-2") is None
    assert racing.race_of(other.id) is None


@pytest.mark.parametrize("network", list(racing.NETWORKS))
def test_every_network_of_the_list_can_be_made_named_and_recognised(network):
    corpus = racing.agreement_corpus(1, 3)
    model = ModelConfig(**racing.settings_of(network, corpus, 4))
    model.validate()
    assert network in wording.RACE_NETWORKS
    config = SimpleNamespace(model=model)
    assert racing.network_of(config) == network
