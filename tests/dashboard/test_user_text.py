"""A user's text reaches only elements that show it as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block, Element, Node

from dashboard.state import session
from tests.dashboard.conftest import HOSTILE

PLAIN = {
    *("text", "code", "dataframe", "text_area", "text_input", "vega_lite_chart", "arrow_vega_lite_chart"),
    *("selectbox", "multiselect", "file_uploader", "bidi_component"),
}
"""Elements whose text is shown as it is: measured in a browser, see test_browser.py. (Components are ours: they set
textContent.)"""

MARK = "leak.png"


def elements(node: Node) -> Iterator[Element]:
    if isinstance(node, Block):
        for child in node.children.values():
            yield from elements(child)
    elif isinstance(node, Element):
        yield node


def labels(node: Node) -> Iterator[str]:
    """Labels of blocks: expanders, tabs, dialogs."""
    if isinstance(node, Block):
        if getattr(node, "proto", None) is not None:
            yield str(node.proto)
        for child in node.children.values():
            yield from labels(child)


def assert_only_plain_elements_show_it(app: AppTest) -> None:
    shown = [element for element in elements(app._tree) if MARK in str(element.proto)]
    assert {element.type for element in shown} <= PLAIN
    assert not any(MARK in label for label in labels(app._tree))
    for element in shown:
        label = getattr(element.proto, "label", "")
        assert MARK not in label
        assert MARK not in getattr(element.proto, "help", "")


@pytest.mark.parametrize("view", ["corpus", "train", "gradients", "evaluate", "units", "generate", "compare", "runs"])
def test_the_name_of_a_run_is_text_on_every_page(view, open_page, trained_run):
    app = open_page(view, trained_run.id)
    assert any(MARK in str(element.proto) for element in elements(app._tree))
    assert_only_plain_elements_show_it(app)


def test_a_corpus_and_its_file_and_column_names_are_text(open_page):
    lines = [
        json.dumps({HOSTILE: "some words", "body": f"{HOSTILE} and more words in line {number}"})
        for number in range(30)
    ]
    app = open_page("corpus")
    app.file_uploader[0].set_value([(f"{HOSTILE}.jsonl", "\n".join(lines).encode(), "text/plain")]).run()
    assert HOSTILE in app.selectbox(key=session.key("corpus", "column")).options
    app.selectbox(key=session.key("corpus", "column")).set_value("body").run()
    assert app.metric
    assert_only_plain_elements_show_it(app)
    app.switch_page("views/train.py").run()
    assert_only_plain_elements_show_it(app)


def test_an_error_that_quotes_a_text_shows_it_as_text(open_page):
    app = open_page("corpus")
    app.file_uploader[0].set_value([("a.jsonl", f'{{"{HOSTILE}": 1}}\n'.encode() * 30, "text/plain")]).run()
    assert app.error
    assert_only_plain_elements_show_it(app)


@pytest.mark.parametrize("view", ["gradients", "generate"])
def test_a_sentence_and_the_words_that_are_unknown_in_it_are_text(view, open_page, trained_run):
    app = open_page(view, trained_run.id)
    app.text_input[0].set_value(HOSTILE).run()
    assert not app.exception
    assert_only_plain_elements_show_it(app)
