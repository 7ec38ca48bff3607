"""Charts for notebooks: the flow's own numbers, in a chart that stands by itself and needs no Streamlit."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import altair as alt
import numpy as np
import pytest

from dashboard import charts
from rnn_core import GradientFlow, LanguageModel, ModelConfig, gradient_flow

STEPS = 6
WORDS = ["<s>", "the", "man", "who", "wore", "a"]


def flow_of(cell: str) -> GradientFlow:
    model = LanguageModel(ModelConfig(cell=cell, vocabulary_size=9, hidden_size=5), rng=np.random.default_rng(0))
    ids = np.random.default_rng(1).integers(0, 9, STEPS + 1)
    return gradient_flow(model, ids[:-1], ids[1:])


def rows_of(chart: alt.LayerChart) -> list[dict[str, Any]]:
    (rows,) = chart.to_dict(validate=True)["datasets"].values()
    return rows


@pytest.mark.parametrize("cell", ["tanh", "lstm", "mingru"])
@pytest.mark.parametrize("name", sorted(set(charts.__all__) - {"two_paths"}))
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


@pytest.mark.process
def test_charts_need_no_streamlit() -> None:
    code = "import sys; from dashboard import charts; sys.exit('streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
