"""The laboratory's tables and sentences: what is on the screen is what the diagnostics say, and nothing breaks them."""

from __future__ import annotations

import io
import json
import math

import altair as alt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from dashboard.charts import (
    activations,
    arrives,
    gradient_norms,
    horizons,
    influence,
    lags,
    lost,
    specification,
    spectra,
)
from dashboard.charts.common import numbered
from dashboard.components import export
from dashboard.laboratory import captions, refresh
from dashboard.services.history import Series
from dashboard.text import laboratory as wording
from rnn_core import LanguageModel, ModelConfig, diagnostics, gradient_flow
from rnn_core.training import HorizonMeasured

WORDS = ["the", "queen", "who", "=SUM(A1)", "lost", "her", "crown"]
SOURCES, TARGETS = ["<s>", *WORDS], [*WORDS, "</s>"]
CELLS = [("tanh", 1), ("relu", 2), ("sigmoid", 1), ("lstm", 1), ("lstm", 2), ("gru", 2), ("mingru", 1), ("mingru", 2)]


def network(cell: str, layers: int, **settings) -> LanguageModel:
    config = ModelConfig(cell=cell, layers=layers, vocabulary_size=20, hidden_size=6, **settings)
    return LanguageModel(config, rng=np.random.default_rng(0), dtype=np.float64)


def flow_of(model: LanguageModel) -> diagnostics.GradientFlow:
    ids = np.array([1, 5, 6, 7, 8, 9, 10, 11, 2])
    return gradient_flow(model, ids[:-1], ids[1:])


def measured(step: int, lags: int = 5) -> HorizonMeasured:
    median = tuple(0.5**lag for lag in range(lags))
    return HorizonMeasured(step, median, median, median, 1.0, (0.9, 1.1, 1.2, 0.8), (1.0, 1.4, 1.5, 1.2))


# --- CSV --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["=1+1", "+x", "-x", "@SUM(1)", "\t=1", "\r=1", "=HYPERLINK(0)", "-", "+1 day"])
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(cell):
    assert export.harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-1.5", "+3", "-1e-9", "-.5", "word", "1 =x", "", -1.5, 3, None, True])
def test_numbers_and_harmless_texts_stay_as_they_are(cell):
    assert export.harmless(cell) == cell


@given(st.lists(st.tuples(st.text(alphabet="=+-@ab1.\t\r,\"\n'"), st.floats(allow_nan=False)), min_size=1))
def test_no_cell_of_an_exported_table_begins_like_a_formula(rows):
    table = pd.DataFrame(rows, columns=["word", "norm"])
    read = pd.read_csv(io.BytesIO(export.csv(table)), dtype={"word": str}, keep_default_na=False, encoding="utf-8-sig")
    for cell in read["word"]:
        try:
            float(cell)
        except ValueError:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert np.array_equal(read["norm"].to_numpy(float), table["norm"].to_numpy())


# --- tables -----------------------------------------------------------------------------------------------------------


def test_the_triangle_has_a_cell_for_every_pair_of_a_loss_and_an_earlier_or_equal_source():
    flow = flow_of(network("tanh", 1))
    table = arrives.triangle_table(SOURCES, TARGETS, flow.delta_norms, 3)
    assert len(table) == 8 * 9 // 2
    assert (table["k"] <= table["t"]).all()
    for row in table.itertuples():
        assert row.norm == flow.delta_norms[row.t - 1, row.k - 1]
        assert row.log10 == pytest.approx(np.log10(row.norm))
        assert row.lag == row.t - row.k
        assert row.chosen == (row.t == 4)


def test_a_gradient_that_is_exactly_zero_takes_the_colour_of_the_page():
    table = arrives.triangle_table(["a", "b"], ["b", "c"], np.array([[1.0, np.nan], [0.0, 1.0]]), 1)
    faded = table[(table.t == 2) & (table.k == 1)]["log10"].item()
    assert np.isfinite(faded)
    assert faded < arrives.FADED


def test_a_row_lies_below_the_bound_of_its_steps_and_that_below_the_bound_of_the_weights():
    model = network("tanh", 1)
    flow = flow_of(model)
    median = diagnostics.median_by_lag(flow.relative_decay)
    decay = diagnostics.row_decay(model, flow, 6)
    table = arrives.row_table(TARGETS, flow.delta_norms, 6, decay, median, flow.half_life, False)
    curves = {name: part.set_index("lag")["value"] for name, part in table.groupby("series")}
    row = curves[arrives.ROW]
    assert list(row) == list(flow.delta_norms[6, 6::-1])
    assert (row <= curves[arrives.STEPS_BOUND] * (1 + 1e-9)).all()
    assert (curves[arrives.STEPS_BOUND] <= curves[arrives.WEIGHTS_BOUND] * (1 + 1e-9)).all()
    relative = arrives.row_table(TARGETS, flow.delta_norms, 6, decay, median, flow.half_life, True)
    starts = relative[(relative["lag"] == 0)]
    assert starts["value"].to_numpy() == pytest.approx(1.0)
    assert arrives.MEDIAN in set(relative["series"])


def test_a_long_sentence_keeps_its_faint_rows_within_bounds():
    norms = np.tril(np.ones((61, 61)))
    decay = diagnostics.RowDecay(np.ones(61), None, None)
    words = ["w"] * 61
    table = arrives.row_table(words, norms, 60, decay, np.ones(61), None, True)
    assert len(table) <= 1000


def test_the_film_stays_small_and_shows_first_and_last():
    table = horizons.film_table({step: measured(step, 41) for step in range(0, 5000, 10)}, 70)
    assert len(table) <= 1700
    assert table["step"].min() == 0
    assert table["step"].max() == 4990
    one = horizons.film_table({0: measured(0)}, 0)
    assert list(one["left"]) == list(measured(0).median)


def test_a_horizon_that_could_not_be_measured_leaves_a_gap_in_the_film():
    table = horizons.film_table({0: measured(0), 5: HorizonMeasured(5, (), (), (), None)}, 5)
    assert set(table["step"]) == {0}


@pytest.mark.parametrize(("cell", "layers"), CELLS)
def test_the_bars_of_a_waterfall_lead_from_the_loss_to_the_first_word_without_a_gap(cell, layers):
    flow = flow_of(network(cell, layers))
    found = diagnostics.where_lost(flow, 6)
    table = lost.where_lost_table(SOURCES, found)
    parts = len(found.parts)
    assert len(table) == 6 * parts
    walk = table.iloc[::-1].reset_index(drop=True)
    by_word = [walk[walk["k"] == k].iloc[::-1] for k in range(6, 0, -1)]
    ends = np.concatenate([[(part["from"].iloc[0], part["to"].iloc[-1])] for part in by_word])
    assert ends[0, 0] == pytest.approx(found.log_norms[0] / np.log(10))
    assert ends[1:, 0] == pytest.approx(ends[:-1, 1])
    assert ends[-1, 1] == pytest.approx(found.log_norms[-1] / np.log(10))


def test_the_shares_of_a_words_paths_add_up_to_one():
    table = lost.path_shares_table(SOURCES, diagnostics.where_lost(flow_of(network("gru", 1)), 6))
    assert table.groupby("k")["share"].sum().to_numpy() == pytest.approx(1.0)


def test_every_cell_of_a_gates_heat_map_is_the_gate_of_that_unit_at_that_word():
    values = np.random.default_rng(0).random((8, 130))
    table = lost.gate_table(SOURCES, values)
    assert len(table) == values.size
    assert table["value"].to_numpy() == pytest.approx(values[table["k"] - 1, table["unit"] - 1], abs=0)
    assert list(table["word"][:8]) == numbered(SOURCES)
    means = values.mean(axis=0)[table["unit"][::8] - 1]
    assert np.all(np.diff(means) <= 0), "the most open unit comes first"


@pytest.mark.parametrize(("words", "units", "shown"), [(8, 128, 128), (41, 128, 32), (61, 1000, 22), (5, 3, 3)])
def test_a_gates_heat_map_has_as_many_units_as_there_is_room_for_evenly_from_first_to_last(words, units, shown):
    values = np.random.default_rng(0).random((words, units))
    table = lost.thinned_gate(lost.gate_table(["word"] * words, values))
    rows = np.unique(table["row"])
    assert len(rows) == shown == lost.shown_units(words, units)
    assert len(table) == words * shown <= lost.MOST_GATE_CELLS
    assert (rows[0], rows[-1]) == (1, units)
    assert np.ptp(np.diff(rows)) <= 1
    assert table["value"].to_numpy() == pytest.approx(values.T[table["unit"][::words] - 1].ravel(), abs=1e-6)


def test_a_histogram_counts_every_unit_at_every_word_once():
    statistics = diagnostics.saturation(flow_of(network("tanh", 1)).trace)["state"]
    table = activations.curve_table("tanh", statistics.histogram)
    assert table[table["series"] == activations.UNITS]["share"].sum() == pytest.approx(1.0)


def test_the_dial_points_left_to_vanish_up_to_the_edge_and_right_to_explode():
    def needle(value: float) -> tuple[float, float]:
        table = spectra.dial_table(value, 0.0)
        tip = table[(table["series"] == spectra.TEXT) & (table["order"] == 1)].iloc[0]
        return tip["x"], tip["y"]

    assert needle(-0.5)[0] < -0.1
    assert needle(0.0)[0] == pytest.approx(0.0, abs=1e-9)
    assert needle(0.5)[0] > 0.1
    assert needle(50.0) == pytest.approx((0.88, 0.0), abs=1e-9)
    assert spectra.TEXT not in set(spectra.dial_table(-math.inf, 0.0)["series"])


def test_the_bars_of_lags_are_marked_by_what_training_uses():
    by_lag = diagnostics.gradient_by_lag(flow_of(network("tanh", 1)), 2)
    table = lags.gradient_by_lag_table(by_lag)
    bars = table[table["series"] != lags.WHOLE]
    assert set(bars[bars["lag"] <= 2]["series"]) == {lags.USED}
    assert set(bars[bars["lag"] > 2]["series"]) == {lags.UNUSED}
    # The last lag is that of the first word, where W meets the empty state: no bar, since a logarithm has no zero.
    assert list(bars["lag"]) == list(range(7))
    assert (table["foot"] <= table["norm"]).all()


def test_the_meter_marks_the_trainings_own_truncation():
    by_lag = diagnostics.gradient_by_lag(flow_of(network("tanh", 1)), 2)
    for truncate, marked in ((2, 2), (None, 7), (50, 7)):
        table = lags.truncation_table(by_lag, truncate)
        assert list(table[table["chosen"]]["K"]) == [marked]


def test_spikes_survive_in_the_chart_of_a_long_training():
    values = np.ones(200_000)
    values[123_456] = 1e4
    steps = np.arange(1.0, 200_001)
    before, after = Series(steps, values), Series(steps, np.minimum(values, 5))
    table = gradient_norms.clipping_table(before, after, [(0, 5.0)], 123_457)
    assert len(table) <= 1000
    assert table[table["norm"] == 1e4]["step"].item() == 123_457
    assert table[table["chosen"]]["step"].item() == 123_457


def test_gradients_that_are_not_finite_leave_the_charts_drawable():
    values = np.array([1.0, np.inf, np.nan, 0.0, 2.0])
    table = gradient_norms.clipping_table(Series(np.arange(5.0), values), Series(np.arange(5.0), values), [], None)
    assert np.isfinite(table["norm"]).all()
    assert np.isfinite(specification.decades(values, -40.0)).all()
    assert specification.highest_decade(values, 0.0) == 1.0


# --- specifications ---------------------------------------------------------------------------------------------------


def specifications(words: tuple[str, ...]) -> list[dict]:
    return [
        *(arrives.triangle(len(words), 1.0, relative) for relative in (True, False)),
        *(arrives.row(relative, bounded, "word") for relative in (True, False) for bounded in (True, False)),
        *(horizons.horizon(gated, "word") for gated in (True, False)),
        horizons.film(0.0, "word"),
        lost.where_lost(words, False, ("W", "phi'")),
        lost.where_lost(words, True, ("carry", "hidden", "above")),
        lost.path_shares(words, ("carry", "reset", "update", "candidate")),
        activations.quantiles(words, "φ(a)", -1.0, 1.0),
        *(activations.curve(phi) for phi in ("tanh", "sigmoid", "relu")),
        activations.ends(words, "below 0.1", "above 0.9"),
        activations.units(),
        activations.steps(words),
        spectra.eigenvalues(("",), 1.5),
        spectra.eigenvalues(("reset", "update", "candidate"), 1.5),
        spectra.product("word"),
        spectra.spectra(("",)),
        spectra.dial(),
        lost.paths(words, "c"),
        lost.path_lags("word"),
        lost.gate(words, "forget", 64, 128),
        lost.gate(words, "candidate", 8, 8),
        *(lags.gradient_by_lag("word", truncated) for truncated in (True, False)),
        *(lags.truncation(which, "word") for which in (lags.COSINE, lags.ERROR)),
        *(gradient_norms.clipping(limited) for limited in (True, False)),
        gradient_norms.lags("word"),
        influence.shades(words, 1.0),
        influence.changes(words),
    ]


def test_every_chart_of_the_laboratory_is_valid_vega_lite_and_holds_no_numbers():
    vega_lite = Draft7Validator(alt.load_schema())
    for one in specifications(tuple(numbered(SOURCES))):
        vega_lite.validate(json.loads(json.dumps(one)))
        assert "data" not in one
        assert "datasets" not in one


def test_the_words_of_an_axis_are_those_of_the_sentence_however_strange():
    words = ('1 "quoted"', "2 \\back", "3 =x", "4 ünï\u202ecode")
    specification = activations.steps(words)
    assert json.dumps(list(words)) in json.dumps(specification)
    assert activations.steps(("1 other",)) != specification
    assert "words" not in json.dumps(activations.steps(("1 other",)))


def test_changing_what_the_specification_gave_changes_nothing_for_the_next():
    first = spectra.product("word")
    first["layer"].clear()
    assert spectra.product("word")["layer"]


def test_every_picture_has_a_title_an_equation_and_its_letters():
    for picture in wording.PICTURES.values():
        assert picture.title
        assert picture.about.endswith(".")
        assert picture.equation.count("{") == picture.equation.count("}")
        assert picture.symbols.endswith((".", ")"))


# --- captions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.0123, "0.0123"),
        (3.4e-7, "3.4 × 10⁻⁷"),
        (2310.0, "2,310"),
        (1.25e12, "1.2 × 10¹²"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_numbers_are_written_as_one_reads_them(value, text):
    assert captions.figure(value) == text


@pytest.mark.parametrize(("cell", "layers"), CELLS)
@pytest.mark.parametrize("asked", [0, 1, 7])
def test_every_caption_is_one_or_a_few_whole_sentences_for_every_cell_and_word(cell, layers, asked):
    model = network(cell, layers)
    flow = flow_of(model)
    spectrum = diagnostics.recurrent_spectrum(model)
    exponents = diagnostics.lyapunov_exponents(flow.trace, 4)
    product = diagnostics.product_singular_values(flow.trace)
    found = diagnostics.which_words_mattered(model, flow, 5, asked, np.ones(20), np.random.default_rng(0))
    by_lag = diagnostics.gradient_by_lag(flow, 2)
    blame = diagnostics.where_lost(flow, asked)
    probe = measured(0)
    texts = [
        captions.triangle(SOURCES, TARGETS, flow.delta_norms, asked, "word"),
        captions.row(TARGETS, asked, diagnostics.row_decay(model, flow, asked), "word"),
        captions.horizon(probe, diagnostics.horizon_of_flow(model, flow), "word"),
        captions.film([probe], "word"),
        captions.where_lost(SOURCES, TARGETS, asked, blame, "word"),
        captions.spectrum(spectrum, exponents, exponents),
        captions.product(product),
        captions.gradient_by_lag(by_lag, 2, "word"),
        captions.truncation(by_lag, 2),
        captions.truncation(by_lag, None),
        captions.which_words(SOURCES, TARGETS, asked, found),
        *(
            captions.saturation(name, signal, diagnostics.step_norms(flow.trace, 0)[:, 0])
            for name, signal in diagnostics.saturation(flow.trace).items()
        ),
    ]
    if model.cell.gated:
        paths = diagnostics.two_paths(flow)
        texts += [captions.two_paths(SOURCES, TARGETS, asked, paths, "c"), captions.path_shares(blame)]
    for text in texts:
        assert text.endswith(".")
        assert "nan" not in text
        assert "None" not in text
        assert "{" not in text


def test_the_readings_name_the_numbers_on_the_screen():
    norms = np.array([[2.0, np.nan], [1e-9, 0.5]])
    text = captions.triangle(["<s>", "the"], ["the", "queen"], norms, 1, "word")
    assert text == (
        "The loss of “queen” sends 0.5 to its own step, where “the” is read, and 1.0 × 10⁻⁹ to “<s>”, 1 word back: "
        "it has vanished."
    )
    by_lag = diagnostics.gradient_by_lag(flow_of(network("tanh", 1)), 2)
    assert f"‖∂E/∂W‖ = {captions.figure(by_lag.total_norm)}" in captions.gradient_by_lag(by_lag, 2, "word")


def test_an_explosion_is_called_one():
    model = network("relu", 1, init="spectral", init_scale=1.5)
    model.params["b"][:] = 5.0
    flow = flow_of(model)
    assert flow.delta_norms[7, 0] > flow.delta_norms[7, 7]
    probe = HorizonMeasured(0, (1.0, 10.0, 1e4), (1.0, 9.0, 9e3), (1.0, 11.0, 2e4), None)
    assert "grows" in captions.horizon(probe, diagnostics.horizon_of_flow(model, flow), "word")
    assert captions.fate(1e4) == "it has exploded"


def test_a_bound_above_one_beside_a_gradient_that_fades_is_pointed_out():
    model = network("tanh", 1, init="spectral", init_scale=1.5)
    model.params["U"] *= 20  # saturated units
    text = captions.horizon(measured(0), diagnostics.horizon_of_flow(model, flow_of(model)), "word")
    assert "A bound above 1 does not mean explosion." in text


def test_of_a_sentence_without_words_and_a_network_without_a_step_something_true_is_said():
    model = network("lstm", 1)
    flow = gradient_flow(model, np.array([1]), np.array([2]))
    assert captions.where_lost(["<s>"], ["</s>"], 0, diagnostics.where_lost(flow, 0), "word").endswith("no way back.")
    assert captions.clipping(np.array([]), np.array([]), np.array([])) == "No step has been made yet."
    empty = HorizonMeasured(5, (), (), (), None)
    assert captions.horizon(empty, diagnostics.horizon_of_flow(model, flow), "word").startswith("These weights have no")


# --- refresh ---


class FakeRun:
    folder = "a folder of the test's own"


def test_a_live_page_stays_at_a_moment_as_long_as_its_pictures_are_allowed_to_cost(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(refresh.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(refresh, "_shown", {})
    run = FakeRun()
    assert refresh.newest(run, [], True) is None
    assert refresh.newest(run, [0, 10], True) == 10
    refresh.spent(run, [0, 10], 10 * refresh.SHARE)
    now[0] += 5
    assert refresh.newest(run, [0, 10, 20], True) == 10
    assert refresh.newest(run, [0, 10, 20], False) == 20
    now[0] += 5
    assert refresh.newest(run, [0, 10, 20], True) == 20


def test_moments_are_found_from_any_step():
    moments = [0, 10, 40]
    assert [refresh.nearest(moments, step) for step in (0, 4, 26, 99)] == [0, 0, 40, 40]
    assert [refresh.before(moments, step) for step in (0, 9, 10, 39, 99)] == [0, 0, 10, 10, 40]
