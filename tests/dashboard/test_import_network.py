"""A network that somebody trained in PyTorch comes in by two files on the Runs page, here and on a hosted server."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save

from dashboard import hosting
from dashboard.services import library
from rnn_core import LanguageModel, ModelConfig, to_torch_state_dict
from rnn_core.errors import UserError
from rnn_core.runs import Run, list_runs

from .conftest import HOSTILE

WORDS = ["<unk>", "<s>", "</s>", "a", "b", HOSTILE]


def files(hidden: int = 6, words: list[str] = WORDS) -> tuple[bytes, bytes]:
    config = ModelConfig(cell="lstm", vocabulary_size=len(words), hidden_size=hidden, embedding_size=4)
    model = LanguageModel(config, rng=np.random.default_rng(0))
    return save(to_torch_state_dict(config, model.params)), json.dumps(words).encode()


def give(app, weights: bytes, words: bytes):
    """Both files, and the click."""
    by_label = {uploader.label: uploader for uploader in app.file_uploader}
    by_label["Weights (safetensors)"].set_value([(f"{HOSTILE}.safetensors", weights, "application/octet-stream")])
    by_label["Its words (JSON or lines)"].set_value([("words.json", words, "application/json")])
    app.run()
    (button,) = (button for button in app.button if button.label == "Open it")
    return button.click().run()


def test_two_files_become_a_run_that_says_what_the_network_said(runs_folder, open_page) -> None:
    weights, words = files()
    app = give(open_page("runs"), weights, words)
    assert not app.exception
    assert not app.error
    (summary,) = list_runs(runs_folder)
    run = Run.open(summary.folder)
    assert list(run.vocabulary().words) == WORDS
    assert run.config.name == f"{HOSTILE}.safetensors"[:120]
    assert run.load_model().config.cell == "lstm"
    assert not open_page("gradients", run.id).error


def test_what_does_not_fit_is_refused_in_a_sentence(runs_folder, open_page) -> None:
    app = give(open_page("runs"), files()[0], json.dumps(WORDS[:-1]).encode())
    assert [error.value for error in app.error] == ["It was not opened"]
    assert any("has 5 words and these weights are for 6" in text.value for text in app.text)
    assert list(runs_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("hidden", "reason"), [(6, None), (500, "Hidden units: you ask for 500")], ids=["within the caps", "beyond them"]
)
def test_on_a_hosted_server_it_is_the_visitors_and_within_the_caps(hidden, reason, runs_folder, monkeypatch) -> None:
    monkeypatch.setattr(library, "_secret", lambda: "a" * 64)
    monkeypatch.setenv(hosting.VARIABLE, "hidden=100")
    weights, words = files(hidden)
    if reason is None:
        run, _ = library.import_network(weights, words, "mine", None)
        assert hosting.owner_of(run.folder) == library.visitor()
    else:
        with pytest.raises(UserError, match=reason):
            library.import_network(weights, words, "mine", None)
        assert not list_runs(runs_folder)


@pytest.mark.parametrize("content", [b"", b"\x80\x02}q\x00.", b"\xff" * 64, (1 << 62).to_bytes(8, "little") + b"{}"])
def test_a_file_that_is_none_is_explained(content, runs_folder) -> None:
    weights, words = files()
    with pytest.raises(UserError, match="safetensors"):
        library.import_network(content, words, "x", None)
    with pytest.raises(UserError):
        library.import_network(weights, content, "x", None)
