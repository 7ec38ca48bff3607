"""What a notebook shows of a result: its numbers, and nothing that a hostile text could make a page run."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from rnn_core import LanguageModel, ModelConfig, diagnostics, gradient_flow
from rnn_core.diagnostics import html

STEPS = 14
HOSTILE = ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><b>', "&amp;", "</table><iframe>", "a\0b"]


class Parsed(HTMLParser):
    """The tags of a page, and its texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not attrs
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def results(cell: str) -> dict[str, object]:
    model = LanguageModel(ModelConfig(cell=cell, vocabulary_size=9, hidden_size=5), rng=np.random.default_rng(0))
    ids = np.random.default_rng(1).integers(0, 9, STEPS + 1)
    flow = gradient_flow(model, ids[:-1], ids[1:])
    last = STEPS - 1
    rng = np.random.default_rng(2)
    return {
        "flow": flow,
        "gradient_by_lag": diagnostics.gradient_by_lag(flow),
        "where_lost": diagnostics.where_lost(flow, last),
        "which_words_mattered": diagnostics.which_words_mattered(model, flow, ids[-1], last, np.ones(9), rng),
        "verdict": diagnostics.verdict(flow),
        "horizon": diagnostics.horizon(model, ids[:-1], ids[1:]),
    }


@pytest.mark.parametrize("cell", ["tanh", "relu", "lstm", "gru", "mingru"])
def test_every_result_has_a_table_of_its_numbers(cell: str) -> None:
    for name, result in results(cell).items():
        found = Parsed(result._repr_html_())  # type: ignore[attr-defined]
        assert set(found.tags) == {"p", "table", "thead", "tbody", "tr", "th", "td"}, name
        assert found.tags.count("td") == found.tags.count("th") * (found.tags.count("tr") - 1) > 0, name
        assert not re.search("nan|inf|array|np.float", " ".join(found.texts)), name


def test_the_numbers_are_the_results_own() -> None:
    found = results("tanh")
    flow, by_lag = found["flow"], found["gradient_by_lag"]
    assert f"{flow.half_life:.2g} steps" in flow._repr_html_()
    for lag in html.few(STEPS):
        assert f"<td>{by_lag.norms[lag]:.3g}</td>" in by_lag._repr_html_()
    assert f"<p>The gradient {found['verdict'].fate}" in found["verdict"]._repr_html_()


def test_of_many_rows_a_few_are_shown_with_both_ends() -> None:
    for count in range(1, 300):
        shown = html.few(count)
        assert shown[0] == 0
        assert shown[-1] == count - 1
        assert (np.diff(shown) > 0).all()
        assert len(shown) <= html.MOST_ROWS


def test_hostile_text_stays_text() -> None:
    page = html.table(HOSTILE[0], {HOSTILE[1]: HOSTILE, "value": np.arange(len(HOSTILE))})
    found = Parsed(page)
    assert set(found.tags) == {"p", "table", "thead", "tbody", "tr", "th", "td"}
    text = "".join(found.texts)
    assert all(word in text for word in HOSTILE)
