"""The laboratory's tables and sentences: what is on the screen is what the diagnostics say, and nothing breaks them."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts import laboratory, laboratory_cause, laboratory_cost, laboratory_vanish
from dashboard.charts.common import numbered
from dashboard.components import export
from dashboard.laboratory import pace, readings
from dashboard.services.history import Series
from dashboard.text import laboratory as wording
from rnn_core import LanguageModel, ModelConfig, diagnostics, gradient_flow
from rnn_core.training.loop import HorizonMeasured

WORDS = ["the", "queen", "who", "=SUM(A1)", "lost", "her", "crown"]
SOURCES, TARGETS = ["<s>", *WORDS], [*WORDS, "</s>"]
CELLS = [("tanh", 1), ("relu", 2), ("sigmoid", 1), ("lstm", 1), ("lstm", 2), ("gru", 2)]


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
    table = laboratory_vanish.triangle_table(SOURCES, TARGETS, flow.delta_norms, 3)
    assert len(table) == 8 * 9 // 2
    assert (table["k"] <= table["t"]).all()
    for row in table.itertuples():
        assert row.norm == flow.delta_norms[row.t - 1, row.k - 1]
        assert row.log10 == pytest.approx(np.log10(row.norm))
        assert row.lag == row.t - row.k
        assert row.asked == (row.t == 4)


def test_a_gradient_that_is_exactly_zero_takes_the_colour_of_the_page():
    table = laboratory_vanish.triangle_table(["a", "b"], ["b", "c"], np.array([[1.0, np.nan], [0.0, 1.0]]), 1)
    faded = table[(table.t == 2) & (table.k == 1)]["log10"].item()
    assert np.isfinite(faded)
    assert faded < laboratory_vanish.FADED


def test_a_row_lies_below_the_bound_of_its_steps_and_that_below_the_bound_of_the_weights():
    model = network("tanh", 1)
    flow = flow_of(model)
    median = diagnostics.median_by_lag(flow.relative_decay)
    decay = diagnostics.row_decay(model, flow, 6)
    table = laboratory_vanish.row_table(TARGETS, flow.delta_norms, 6, decay, median, flow.half_life, False)
    curves = {name: part.set_index("lag")["value"] for name, part in table.groupby("series")}
    row = curves[laboratory_vanish.ROW]
    assert list(row) == list(flow.delta_norms[6, 6::-1])
    assert (row <= curves[laboratory_vanish.STEPS_BOUND] * (1 + 1e-9)).all()
    assert (curves[laboratory_vanish.STEPS_BOUND] <= curves[laboratory_vanish.WEIGHTS_BOUND] * (1 + 1e-9)).all()
    relative = laboratory_vanish.row_table(TARGETS, flow.delta_norms, 6, decay, median, flow.half_life, True)
    starts = relative[(relative["lag"] == 0)]
    assert starts["value"].to_numpy() == pytest.approx(1.0)
    assert laboratory_vanish.MEDIAN in set(relative["series"])


def test_a_long_sentence_keeps_its_faint_rows_within_bounds():
    norms = np.tril(np.ones((61, 61)))
    decay = diagnostics.RowDecay(np.ones(61), None, None)
    words = ["w"] * 61
    table = laboratory_vanish.row_table(words, norms, 60, decay, np.ones(61), None, True)
    assert len(table) <= 1000


def test_the_film_stays_small_and_shows_first_and_last():
    table = laboratory_vanish.film_table({step: measured(step, 41) for step in range(0, 5000, 10)}, 70)
    assert len(table) <= 1700
    assert table["step"].min() == 0
    assert table["step"].max() == 4990
    one = laboratory_vanish.film_table({0: measured(0)}, 0)
    assert list(one["left"]) == list(measured(0).median)


def test_a_horizon_that_could_not_be_measured_leaves_a_gap_in_the_film():
    table = laboratory_vanish.film_table({0: measured(0), 5: HorizonMeasured(5, (), (), (), None)}, 5)
    assert set(table["step"]) == {0}


@pytest.mark.parametrize(("cell", "layers"), CELLS)
def test_the_bars_of_a_waterfall_lead_from_the_loss_to_the_first_word_without_a_gap(cell, layers):
    flow = flow_of(network(cell, layers))
    found = diagnostics.blame(flow, 6)
    table = laboratory_cause.blame_table(SOURCES, found)
    parts = len(found.parts)
    assert len(table) == 6 * parts
    walk = table.iloc[::-1].reset_index(drop=True)
    by_word = [walk[walk["k"] == k].iloc[::-1] for k in range(6, 0, -1)]
    ends = np.concatenate([[(part["from"].iloc[0], part["to"].iloc[-1])] for part in by_word])
    assert ends[0, 0] == pytest.approx(found.log_norms[0] / np.log(10))
    assert ends[1:, 0] == pytest.approx(ends[:-1, 1])
    assert ends[-1, 1] == pytest.approx(found.log_norms[-1] / np.log(10))


def test_the_shares_of_a_words_paths_add_up_to_one():
    table = laboratory_cause.shares_table(SOURCES, diagnostics.blame(flow_of(network("gru", 1)), 6))
    assert table.groupby("k")["share"].sum().to_numpy() == pytest.approx(1.0)


def test_every_cell_of_a_gates_heat_map_is_the_gate_of_that_unit_at_that_word():
    values = np.random.default_rng(0).random((8, 130))
    table = laboratory_cause.gate_table(SOURCES, values)
    assert len(table) == values.size
    assert table["value"].to_numpy() == pytest.approx(values[table["k"] - 1, table["unit"] - 1], abs=0)
    assert list(table["word"][:8]) == numbered(SOURCES)
    means = values.mean(axis=0)[table["unit"][::8] - 1]
    assert np.all(np.diff(means) <= 0), "the most open unit comes first"


@pytest.mark.parametrize(("words", "units", "shown"), [(8, 128, 128), (41, 128, 32), (61, 1000, 22), (5, 3, 3)])
def test_a_gates_heat_map_has_as_many_units_as_there_is_room_for_evenly_from_first_to_last(words, units, shown):
    values = np.random.default_rng(0).random((words, units))
    table = laboratory_cause.thinned_gate(laboratory_cause.gate_table(["word"] * words, values))
    rows = np.unique(table["row"])
    assert len(rows) == shown == laboratory_cause.shown_units(words, units)
    assert len(table) == words * shown <= laboratory_cause.MOST_GATE_CELLS
    assert (rows[0], rows[-1]) == (1, units)
    assert np.ptp(np.diff(rows)) <= 1
    assert table["value"].to_numpy() == pytest.approx(values.T[table["unit"][::words] - 1].ravel(), abs=1e-6)


def test_a_histogram_counts_every_unit_at_every_word_once():
    statistics = diagnostics.saturation(flow_of(network("tanh", 1)).trace)["state"]
    table = laboratory_cause.curve_table("tanh", statistics.histogram)
    assert table[table["series"] == laboratory_cause.UNITS]["share"].sum() == pytest.approx(1.0)


def test_the_dial_points_left_to_vanish_up_to_the_edge_and_right_to_explode():
    def needle(value: float) -> tuple[float, float]:
        table = laboratory_cause.dial_table(value, 0.0)
        tip = table[(table["series"] == laboratory_cause.TEXT) & (table["order"] == 1)].iloc[0]
        return tip["x"], tip["y"]

    assert needle(-0.5)[0] < -0.1
    assert needle(0.0)[0] == pytest.approx(0.0, abs=1e-9)
    assert needle(0.5)[0] > 0.1
    assert needle(50.0) == pytest.approx((0.88, 0.0), abs=1e-9)
    assert laboratory_cause.TEXT not in set(laboratory_cause.dial_table(-math.inf, 0.0)["series"])


def test_the_ledgers_bars_are_marked_by_what_training_uses():
    ledger = diagnostics.lag_ledger(flow_of(network("tanh", 1)), 2)
    table = laboratory_cost.ledger_table(ledger)
    bars = table[table["series"] != laboratory_cost.WHOLE]
    assert set(bars[bars["lag"] <= 2]["series"]) == {laboratory_cost.USED}
    assert set(bars[bars["lag"] > 2]["series"]) == {laboratory_cost.UNUSED}
    # The last lag is that of the first word, where W meets the empty state: no bar, since a logarithm has no zero.
    assert list(bars["lag"]) == list(range(7))
    assert (table["foot"] <= table["norm"]).all()


def test_the_meter_marks_the_trainings_own_truncation():
    ledger = diagnostics.lag_ledger(flow_of(network("tanh", 1)), 2)
    for truncate, marked in ((2, 2), (None, 7), (50, 7)):
        table = laboratory_cost.meter_table(ledger, truncate)
        assert list(table[table["chosen"]]["K"]) == [marked]


def test_spikes_survive_in_the_chart_of_a_long_training():
    values = np.ones(200_000)
    values[123_456] = 1e4
    steps = np.arange(1.0, 200_001)
    table = laboratory_cost.clipping_table(Series(steps, values), Series(steps, np.minimum(values, 5)), 5.0, 123_457)
    assert len(table) <= 1000
    assert table[table["norm"] == 1e4]["step"].item() == 123_457
    assert table[table["chosen"]]["step"].item() == 123_457


def test_gradients_that_are_not_finite_leave_the_charts_drawable():
    values = np.array([1.0, np.inf, np.nan, 0.0, 2.0])
    table = laboratory_cost.clipping_table(Series(np.arange(5.0), values), Series(np.arange(5.0), values), None, None)
    assert np.isfinite(table["norm"]).all()
    assert np.isfinite(laboratory.decades(values, -40.0)).all()
    assert laboratory.highest_decade(values, 0.0) == 1.0


# --- specifications ---------------------------------------------------------------------------------------------------


def specifications(words: tuple[str, ...]) -> list[dict]:
    vanish, cause, cost = laboratory_vanish, laboratory_cause, laboratory_cost
    return [
        *(vanish.triangle(len(words), 1.0, relative) for relative in (True, False)),
        *(vanish.row(relative, bounded, "word") for relative in (True, False) for bounded in (True, False)),
        *(vanish.horizon(gated, "word") for gated in (True, False)),
        vanish.film(0.0, "word"),
        cause.blame(words, False, ("W", "phi'")),
        cause.blame(words, True, ("carry", "hidden", "above")),
        *(cause.shares(words, cell) for cell in ("lstm", "gru")),
        cause.quantiles(words, "φ(a)", -1.0, 1.0),
        *(cause.curve(phi) for phi in ("tanh", "sigmoid", "relu")),
        cause.ends(words, "below 0.1", "above 0.9"),
        cause.units(),
        cause.steps(words),
        cause.eigenvalues(("",), 1.5),
        cause.eigenvalues(("reset", "update", "candidate"), 1.5),
        cause.product("word"),
        cause.spectra(("",)),
        cause.dial(),
        cause.paths(words, "c"),
        cause.path_lags("word"),
        cause.gate(words, "forget", 64, 128),
        cause.gate(words, "candidate", 8, 8),
        *(cost.ledger("word", truncated) for truncated in (True, False)),
        *(cost.meter(which, "word") for which in (cost.COSINE, cost.ERROR)),
        cost.clipping(),
        cost.lags("word"),
        cost.shades(words, 1.0),
        cost.changes(words),
    ]


def test_every_chart_of_the_laboratory_is_valid_vega_lite_and_holds_no_numbers():
    import altair as alt

    for specification in specifications(tuple(numbered(SOURCES))):
        alt.Chart.from_json(json.dumps(specification), validate=True)
        assert "data" not in specification
        assert "datasets" not in specification


def test_the_words_of_an_axis_are_those_of_the_sentence_however_strange():
    words = ('1 "quoted"', "2 \\back", "3 =x", "4 ünï\u202ecode")
    specification = laboratory_cause.steps(words)
    assert json.dumps(list(words)) in json.dumps(specification)
    assert laboratory_cause.steps(("1 other",)) != specification
    assert "words" not in json.dumps(laboratory_cause.steps(("1 other",)))


def test_changing_what_the_specification_gave_changes_nothing_for_the_next():
    first = laboratory_cause.product("word")
    first["layer"].clear()
    assert laboratory_cause.product("word")["layer"]


def test_every_picture_has_a_title_an_equation_and_its_letters():
    for picture in wording.PICTURES.values():
        assert picture.title
        assert picture.about.endswith(".")
        assert picture.equation.count("{") == picture.equation.count("}")
        assert picture.symbols.endswith((".", ")"))


# --- readings ---------------------------------------------------------------------------------------------------------


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
    assert readings.figure(value) == text


@pytest.mark.parametrize(("cell", "layers"), CELLS)
@pytest.mark.parametrize("asked", [0, 1, 7])
def test_every_reading_is_one_or_a_few_whole_sentences_for_every_cell_and_word(cell, layers, asked):
    model = network(cell, layers)
    flow = flow_of(model)
    spectrum = diagnostics.recurrent_spectrum(model)
    exponents = diagnostics.lyapunov_exponents(flow.trace, 4)
    product = diagnostics.product_singular_values(flow.trace)
    found = diagnostics.who_mattered(model, flow, 5, asked, np.ones(20), np.random.default_rng(0))
    ledger = diagnostics.lag_ledger(flow, 2)
    blame = diagnostics.blame(flow, asked)
    probe = measured(0)
    texts = [
        readings.triangle(SOURCES, TARGETS, flow.delta_norms, asked, "word"),
        readings.row(TARGETS, asked, diagnostics.row_decay(model, flow, asked), "word"),
        readings.horizon(probe, diagnostics.horizon_of_flow(model, flow), "word"),
        readings.film([probe], "word"),
        readings.blame(SOURCES, TARGETS, asked, blame),
        readings.spectrum(spectrum, exponents, exponents),
        readings.product(product),
        readings.ledger(ledger, 2, "word"),
        readings.meter(ledger, 2),
        readings.meter(ledger, None),
        readings.who_mattered(SOURCES, TARGETS, asked, found),
        *(
            readings.saturation(name, signal, diagnostics.step_norms(flow.trace, 0)[:, 0])
            for name, signal in diagnostics.saturation(flow.trace).items()
        ),
    ]
    if cell in ("lstm", "gru"):
        paths = diagnostics.two_paths(flow)
        gate = "forget" if cell == "lstm" else "update"
        texts += [readings.two_paths(SOURCES, TARGETS, asked, paths, gate, "c"), readings.shares(blame)]
    for text in texts:
        assert text.endswith(".")
        assert "nan" not in text
        assert "None" not in text
        assert "{" not in text


def test_the_readings_name_the_numbers_on_the_screen():
    norms = np.array([[2.0, np.nan], [1e-9, 0.5]])
    text = readings.triangle(["<s>", "the"], ["the", "queen"], norms, 1, "word")
    assert text == (
        "The loss of “queen” sends 0.5 to its own step, where “the” is read, and 1.0 × 10⁻⁹ to “<s>”, 1 word back: "
        "it has vanished."
    )
    ledger = diagnostics.lag_ledger(flow_of(network("tanh", 1)), 2)
    assert f"‖∂E/∂W‖ = {readings.figure(ledger.total_norm)}" in readings.ledger(ledger, 2, "word")


def test_an_explosion_is_called_one():
    model = network("relu", 1, init="spectral", init_scale=1.5)
    model.params["b"][:] = 5.0
    flow = flow_of(model)
    assert flow.delta_norms[7, 0] > flow.delta_norms[7, 7]
    probe = HorizonMeasured(0, (1.0, 10.0, 1e4), (1.0, 9.0, 9e3), (1.0, 11.0, 2e4), None)
    assert "grows" in readings.horizon(probe, diagnostics.horizon_of_flow(model, flow), "word")
    assert readings.fate(1e4) == "it has exploded"


def test_a_bound_above_one_beside_a_gradient_that_fades_is_pointed_out():
    model = network("tanh", 1, init="spectral", init_scale=1.5)
    model.params["U"] *= 20  # saturated units
    text = readings.horizon(measured(0), diagnostics.horizon_of_flow(model, flow_of(model)), "word")
    assert "A bound above 1 does not mean explosion." in text


def test_of_a_sentence_without_words_and_a_network_without_a_step_something_true_is_said():
    model = network("lstm", 1)
    flow = gradient_flow(model, np.array([1]), np.array([2]))
    assert readings.blame(["<s>"], ["</s>"], 0, diagnostics.blame(flow, 0)).endswith("no way back.")
    assert readings.clipping(np.array([]), np.array([]), 5.0) == "No step has been made yet."
    empty = HorizonMeasured(5, (), (), (), None)
    assert readings.horizon(empty, diagnostics.horizon_of_flow(model, flow), "word").startswith("These weights have no")


# --- pace -------------------------------------------------------------------------------------------------------------


class FakeRun:
    folder = "a folder of the test's own"


def test_a_live_page_stays_at_a_moment_as_long_as_its_pictures_are_allowed_to_cost(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(pace, "_shown", {})
    run = FakeRun()
    assert pace.newest(run, [], True) is None
    assert pace.newest(run, [0, 10], True) == 10
    pace.spent(run, [0, 10], 10 * pace.SHARE)
    now[0] += 5
    assert pace.newest(run, [0, 10, 20], True) == 10
    assert pace.newest(run, [0, 10, 20], False) == 20
    now[0] += 5
    assert pace.newest(run, [0, 10, 20], True) == 20


def test_moments_are_found_from_any_step():
    moments = [0, 10, 40]
    assert [pace.nearest(moments, step) for step in (0, 4, 26, 99)] == [0, 0, 40, 40]
    assert [pace.before(moments, step) for step in (0, 9, 10, 39, 99)] == [0, 0, 10, 10, 40]
