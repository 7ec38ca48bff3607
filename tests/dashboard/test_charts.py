"""Charts are functions from arrays to pictures: their tables are what can be right or wrong."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jsonschema import Draft7Validator

from dashboard.charts import changes, corpus, experiments, generation, learnt, monitored, race, story, training
from dashboard.charts.common import FAINT, numbered, smooth
from dashboard.charts.thinning import POINTS, thin
from dashboard.components import pictures
from rnn_core.runs.events import AgreementMeasured
from rnn_core.training import HorizonMeasured

DASHBOARD = Path(pictures.__file__).parents[1]
VEGA_LITE = Draft7Validator(alt.load_schema())
SERIES = hnp.arrays(float, st.integers(0, 5000), elements=st.floats(-1e6, 1e6))


@given(SERIES, st.integers(10, 1000))
def test_thinning_keeps_the_ends_and_the_extremes_and_never_exceeds_its_limit(values, limit):
    kept = thin(values, limit)
    assert len(kept) <= max(limit, 0) or len(values) <= limit
    assert np.all(np.diff(kept) > 0)
    if len(values):
        assert kept[0] == 0
        assert kept[-1] == len(values) - 1
        assert values[kept].max() == values.max()
        assert values[kept].min() == values.min()


def test_a_single_spike_among_a_million_points_survives_the_thinning():
    values = np.zeros(1_000_000)
    values[654_321] = 7.0
    assert 654_321 in thin(values)


@given(hnp.arrays(float, st.integers(1, 200), elements=st.floats(-1e3, 1e3)), st.integers(0, 30))
def test_smoothing_is_the_mean_of_the_neighbours(values, reach):
    result = smooth(values, reach)
    for place in range(len(values)):
        before = min(reach, place)
        after = min(before, len(values) - 1 - place)
        assert result[place] == pytest.approx(values[place - before : place + after + 1].mean(), abs=1e-9)


def test_smoothing_does_not_shift_a_line_that_falls_from_the_start():
    line = np.linspace(5.0, 1.0, 300)
    np.testing.assert_allclose(smooth(line, 20)[:-20], line[:-20])


def test_labels_of_equal_words_differ():
    labels = numbered(["the", "cat", "the"])
    assert len(set(labels)) == 3
    assert all(word in label for word, label in zip(["the", "cat", "the"], labels, strict=True))


def test_the_loss_table_of_a_long_training_stays_within_what_a_browser_draws_at_once():
    steps = np.arange(1.0, 200_001)
    validation = dict.fromkeys(range(0, 200000, 100), 3.0)
    references = {"uniform": 4.0, "unigram": 3.5, "bigram": 3.0, "trigram": 2.9}
    changes = [(step, "lr 1") for step in range(0, 200_000, 50)]
    table = training.loss_table(steps, np.random.default_rng(0).random(200_000), validation, references, changes)
    assert len(table) <= POINTS


def test_the_loss_table_shows_both_references_before_the_first_step():
    table = training.loss_table(np.empty(0), np.empty(0), {}, {"uniform": 4.0, "unigram": 3.5})
    assert set(table["series"]) == {"uniform", "unigram"}
    assert set(table["nats"]) == {4.0, 3.5}


def test_settings_that_changed_after_one_step_share_a_line_with_both_names():
    table = changes.marks([(3, "clip 1"), (3, "K 10"), (9, "lr 0.01")])
    assert list(zip(table["step"], table["label"], strict=True)) == [(3, "clip 1 · K 10"), (9, "lr 0.01")]


def test_a_half_life_beyond_the_sentences_counts_as_long_as_they_are_and_is_marked():
    measured = {
        step: HorizonMeasured(step, (1.0, 0.7, 0.5), (0.0,) * 3, (1.0,) * 3, half_life)
        for step, half_life in {0: 1.5, 10: None}.items()
    }
    table = training.half_life_table(measured)
    assert list(zip(table["step"], table["half_life"], table["beyond"], strict=True)) == [
        (0, 1.5, False),
        (10, 2, True),
    ]


def test_norms_without_a_logarithm_are_left_out_of_the_log_axis():
    steps = np.arange(1.0, 5)
    before = np.array([1.0, 0.0, np.inf, 2.0])
    table = training.gradient_norm_table((steps, before), (steps, np.minimum(before, 1.5)), [(0, 1.5)])
    curve = table[(table.series == training.BEFORE) & (table.line == training.MEAN)]
    assert list(curve["norm"]) == [1.0, 2.0]
    assert np.isfinite(table["norm"]).all()


def test_a_limit_that_changes_on_the_way_is_drawn_where_it_held():
    limits = [(0, 5.0), (10, None), (20, 1.0)]
    steps, norms = training.limit_line(limits, 30)
    assert steps.tolist() == [0, 10, 10, 20, 20, 30]
    np.testing.assert_array_equal(norms, [5, 5, np.nan, np.nan, 1, 1])
    assert training.limit_at(limits, np.array([1.0, 10, 11, 20, 21])).tolist() == [5, 5, np.inf, np.inf, 1]
    assert not len(training.limit_line([(0, None)], 30)[0])


def test_charts_draw_columns_that_their_tables_have():
    axis, changed = np.arange(1.0, 11), [(5, "lr 1")]
    measured = {0: HorizonMeasured(0, (1.0,), (1.0,), (1.0,), None, signals=("state",), saturated=(0.5,))}
    norms, horizon = training.gradient_norm_chart(), training.half_life_chart("word")
    agreement = AgreementMeasured(7, (2, 3), (10, 20), (0.5, 1.0))
    words, points = ["a", "b", "c"], pd.DataFrame({"series": "a", "x": axis, "y": axis})
    surface, window = np.outer(axis, axis), experiments.window(axis)
    course = race.course_table({"a": {1: 0.5}})
    for specification, table in (
        (training.loss_chart("word"), training.loss_table(axis, axis, {1: 2.0}, {"uniform": 4.0}, changed)),
        (norms, training.gradient_norm_table((axis, axis), (axis, axis), [(0, 5.0)], changed)),
        (horizon, training.half_life_table(measured, changed)),
        (monitored.over_steps(monitored.LOSS, monitored.TRAINING), monitored.loss_table(axis, axis, {})),
        (monitored.over_steps(monitored.SATURATED, "state"), monitored.saturation_table(measured, ["state"])),
        (race.loss_chart(("a", "b"), "word"), race.loss_table({"a": (axis, axis)})),
        (race.horizon_chart(("a", "b"), "word"), race.horizon_table({"a": 1 / axis})),
        (race.agreement_chart(("a", "b")), race.agreement_table({"a": agreement})),
        (race.accuracy_race(("a", "b"), 80, 0.95), course),
        (race.validation_race(("a", "b"), 80, "word"), course),
        (race.error_race(("a", "b"), 80, "error rate", 0.5, 0.05), course),
        (story.loss(500), story.loss_table(axis, axis)),
        (story.accuracy(500), story.accuracy_table({1: 0.5})),
        (story.lag_shares(15, 10), story.lag_shares_table(1 / axis)),
        (story.seeds(), story.seeds_table((50, 60), 0.5)),
        (corpus.coverage(2, "word"), corpus.coverage_table(np.array([3, 2, 1]))),
        (corpus.frequencies(3), corpus.frequencies_table(words, [3, 2, 1])),
        (corpus.lengths("word"), corpus.lengths_table(np.array([1, 2, 3]))),
        (generation.probabilities(3, True), generation.probabilities_table(words, [0.1] * 3, [True] * 3, words)),
        (experiments.course_chart(("a",), "error"), experiments.course_table({"a": [(axis, axis)]})),
        (experiments.learning_curve_chart(), experiments.learning_curve_table(axis, axis, [axis])),
        (experiments.attractor_chart(("a",)), experiments.attractor_table(points.assign(seed=0))),
        (experiments.film_chart(("a",)), experiments.film_table({"a": axis})),
        (experiments.half_life_chart(("a", "b")), experiments.points_on_lines_table(points, axis, {"b": axis})),
        (experiments.sensitivity_chart(("a", "b")), experiments.points_on_lines_table(points, axis, {"b": axis})),
        (
            experiments.cliff_chart(window, window, ("a",)),
            experiments.cliff_table(axis, axis, surface, {"a": (axis, axis)}),
        ),
        (learnt.followers_chart(("a",), 0.3), points.assign(seed=0, feature="line")),
        (learnt.context_chart((1, 10), 0.01), learnt.context_table([1, 10], [2.0, 0.05], [0.4, -0.001])),
    ):
        VEGA_LITE.validate(specification)
        assert set(re.findall(r'"field": "(\w+)"', json.dumps(specification))) <= set(table.columns)


def test_coverage_rises_to_the_whole_text():
    table = corpus.coverage_table(np.array([50, 30, 15, 5]))
    assert list(table["covered"]) == pytest.approx([0.5, 0.8, 0.95, 1.0])


@given(hnp.arrays(int, st.integers(1, 300), elements=st.integers(1, 400)))
def test_every_sentence_is_in_one_bin_of_the_lengths(lengths):
    table = corpus.lengths_table(lengths)
    assert table["sentences"].sum() == len(lengths)
    assert (table["to"] > table["from"]).all()


@given(st.integers(50, 100_000))
def test_vocabulary_sizes_ascend_to_the_whole_vocabulary(most):
    sizes = corpus.sizes(50, most)
    assert sizes[-1] == most
    assert sizes == sorted(set(sizes))


def test_every_chart_is_drawn_by_the_one_function_that_also_offers_it_to_be_taken_home():
    draw = re.compile(r"\bst\.(vega_lite_chart|altair_chart|(line|bar|area|scatter)_chart|pyplot|plotly_chart)\b")
    found = {path.name: draw.findall(path.read_text(encoding="utf-8")) for path in DASHBOARD.rglob("*.py")}
    assert {name: len(calls) for name, calls in found.items() if calls} == {"pictures.py": 1}


def test_a_file_is_called_after_its_picture_and_moment_in_letters_that_every_system_takes():
    assert pictures.file_name("gradients: gradient by lag", "step 7") == "gradients-gradient-by-lag-step-7"
    assert pictures.file_name("race loss chart") == "race-loss-chart"


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2)."""
    parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("base", ["light", "dark"])
def test_a_name_in_the_colour_of_its_line_can_be_read_on_the_page(base):
    theme = tomllib.loads((DASHBOARD / ".streamlit" / "config.toml").read_text())["theme"][base]
    style = (DASHBOARD / "style.css").read_text()
    letters = dict(re.findall(r'text\[fill="(#\w+)"\] \{ fill: ([^;]+);', style))
    assert letters[FAINT] == "currentColor"
    for colour in theme["chartCategoricalColors"]:
        shades = sorted(map(luminance, (letters.get(colour, colour), theme["backgroundColor"])))
        assert (shades[1] + 0.05) / (shades[0] + 0.05) >= 4.5, colour
