"""The examples in docstrings run, and print what they say."""

from __future__ import annotations

import doctest
import importlib
from importlib.util import find_spec

import pytest

WITH_EXAMPLES = {
    "rnn_core.diagnostics.by_lag": 2,
    "rnn_core.diagnostics.flow": 2,
    "rnn_core.diagnostics.verdict": 1,
    "rnn_core.interop.pytorch": 1,
    "rnn_core.interop.torch_flow": 1,
    "rnn_core.nn.network": 1,
}
"""Modules, and how many of their examples' lines print something: an example that is not found proves nothing."""


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_print_what_they_say(name: str) -> None:
    if name == "rnn_core.interop.torch_flow" and find_spec("torch") is None:
        pytest.skip("this example needs PyTorch")
    module = importlib.import_module(name)
    runner, printing = doctest.DocTestRunner(), 0
    for test in doctest.DocTestFinder().find(module):
        printing += sum(bool(example.want) for example in test.examples)
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
    assert printing == WITH_EXAMPLES[name]
