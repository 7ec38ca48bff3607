"""Charts for notebooks: the flow's own numbers, in a chart that stands by itself and needs no Streamlit."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import altair as alt
import numpy as np
import pytest

from dashboard import charts
from dashboard.charts import notebook
from rnn_core import GradientFlow, LanguageModel, ModelConfig, diagnostics, gradient_flow
from rnn_core.data import Vocabulary, agreement_items
from rnn_core.training import written_copies

STEPS = 6
OF_A_FLOW = [name for name in charts.__all__ if hasattr(notebook, name)]
WORDS = ["<s>", "the", "man", "who", "wore", "a"]


def flow_of(cell: str) -> GradientFlow:
    model = LanguageModel(ModelConfig(cell=cell, vocabulary_size=9, hidden_size=5), rng=np.random.default_rng(0))
    ids = np.random.default_rng(1).integers(0, 9, STEPS + 1)
    return gradient_flow(model, ids[:-1], ids[1:])


def rows_of(chart: alt.LayerChart) -> list[dict[str, Any]]:
    (rows,) = chart.to_dict(validate=True)["datasets"].values()
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["tanh", "lstm", "mingru"])
@pytest.mark.parametrize("name", sorted(set(OF_A_FLOW) - {"two_paths"}))
def test_every_chart_is_whole_and_valid_by_itself(cell: str, name: str) -> None:
    assert rows_of(getattr(charts, name)(flow_of(cell)))


def test_the_triangle_holds_the_norms_of_the_flow_beside_its_words() -> None:
    flow = flow_of("tanh")
    rows = rows_of(charts.triangle(flow, WORDS))
    assert len(rows) == STEPS * (STEPS + 1) // 2
    for row in rows:
        assert row["norm"] == flow.delta_norms[row["t"] - 1, row["k"] - 1]
        assert row["source word"].endswith(WORDS[row["k"] - 1])


def test_only_a_gated_cell_has_two_paths() -> None:
    assert rows_of(charts.two_paths(flow_of("lstm"), WORDS))
    with pytest.raises(ValueError, match="no carry"):
        charts.two_paths(flow_of("tanh"), WORDS)


def test_words_that_are_too_few_are_refused() -> None:
    with pytest.raises(ValueError, match="needs 6 words"):
        charts.triangle(flow_of("tanh"), WORDS[:-1])


def test_a_judgement_and_a_text_have_charts_too() -> None:
    items = agreement_items(2, 40)
    words = sorted({token for item in items for token in item.tokens})
    vocabulary = Vocabulary(("<unk>", "<s>", "</s>", *words))
    config = ModelConfig(cell="gru", vocabulary_size=len(vocabulary), hidden_size=4)
    model = LanguageModel(config, rng=np.random.default_rng(0))
    sentences = [vocabulary.encode_sentence(item.tokens) for item in items]
    tokens = diagnostics.read_tokens(vocabulary, sentences)
    unit = diagnostics.units_of(model)[0]
    series = diagnostics.unit_series(model, sentences, False, [unit])[:, 0]
    cost = diagnostics.ablation_cost(model, sentences, False, (0, 0), series > 0)
    found = diagnostics.carriers(model, diagnostics.agreement_question(vocabulary, sentences), shuffles=9)
    drawn = {
        "coloured_text": charts.coloured_text(tokens, series),
        "ablation": charts.ablation({"unit 0": cost}),
        "over_gap": charts.over_gap(found),
        "without_units": charts.without_units(found),
        "loss_by_position": charts.loss_by_position(
            diagnostics.loss_by_position(diagnostics.sentence_losses(model, sentences))
        ),
        "reach": charts.reach(diagnostics.reach(model, sentences, False, 50)),
        "copies": charts.copies(written_copies(model, vocabulary, sentences, sentences, 5)),
    }
    assert set(drawn) == set(charts.__all__) - set(OF_A_FLOW)
    for chart in drawn.values():
        assert rows_of(chart)
    rows = rows_of(drawn["coloured_text"])
    assert [row["value"] for row in rows] == pytest.approx(series.tolist())
    assert rows[0]["token"] == "↵"
    assert max(row["end"] for row in rows) <= 72
    assert [row["accuracy"] for row in rows_of(drawn["without_units"])][0] == found.accuracy


@pytest.mark.process
def test_charts_need_no_streamlit() -> None:
    code = "import sys; from dashboard import charts; sys.exit('streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
