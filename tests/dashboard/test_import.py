"""A training that was downloaded comes back in from its zip, on one's own machine and on a hosted server."""

from __future__ import annotations

import io
import shutil
import zipfile

import pytest

from dashboard import hosting
from dashboard.services import library
from rnn_core.errors import UserError
from rnn_core.runs import Run, list_runs, zip_run


def packed(run: Run) -> bytes:
    buffer = io.BytesIO()
    zip_run(run.folder, buffer)
    return buffer.getvalue()


def upload(app, name: str, content: bytes):
    return app.file_uploader[0].set_value([(name, content, "application/zip")]).run()


def test_a_downloaded_run_comes_back_in_and_is_opened(trained_run, runs_folder, open_page) -> None:
    content = packed(trained_run)
    shutil.rmtree(trained_run.folder)
    app = upload(open_page("runs"), "run.zip", content)
    assert not app.exception
    (summary,) = list_runs(runs_folder)
    assert summary.config == trained_run.config
    assert summary.id != trained_run.id
    assert app.query_params["run"] in (summary.id, [summary.id])


def test_what_is_no_run_is_refused_on_the_page_in_a_sentence(runs_folder, open_page) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../evil", "x")
    app = upload(open_page("runs"), "run.zip", buffer.getvalue())
    assert [error.value for error in app.error] == ["It was not imported"]
    assert any("is no file of a run" in text.value for text in app.text)
    assert list(runs_folder.iterdir()) == []


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(library, "_secret", lambda: "a" * 64)

    def host(caps: str) -> None:
        monkeypatch.setenv(hosting.VARIABLE, caps)

    return host


def test_on_a_hosted_server_an_imported_run_is_the_visitors(trained_run, hosted) -> None:
    hosted("1")
    run = library.import_zip(io.BytesIO(packed(trained_run)))
    assert hosting.owner_of(run.folder) == library.visitor()
    assert library.mine(run)


@pytest.mark.parametrize(
    ("caps", "sentence"),
    [
        ("words=1000", "words"),
        ("hidden=4", "Hidden units: you ask for 12, and this server allows 4"),
        ("steps=3", "Steps: you ask for [0-9]+, and this server allows 3"),
        ("runs_per_visitor=1", "keeps 1 for one visitor"),
    ],
)
def test_the_caps_of_a_hosted_server_hold_for_what_is_imported(
    trained_run, hosted, runs_folder, caps, sentence
) -> None:
    content = packed(trained_run)
    hosting.set_owner(trained_run.folder, hosting.owner_id("a" * 64))
    hosted(caps)
    before = {path.name for path in runs_folder.iterdir()}
    with pytest.raises(UserError, match=sentence):
        library.import_zip(io.BytesIO(content))
    assert {path.name for path in runs_folder.iterdir()} - before <= {".hosting"}


def test_an_archive_that_unpacks_to_too_much_is_refused(trained_run, hosted) -> None:
    content = packed(trained_run)
    hosted("uploads_megabytes=1")
    with zipfile.ZipFile(buffer := io.BytesIO(content), "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{trained_run.id}/model-1.safetensors", bytes(20_000_000))
    with pytest.raises(UserError, match="unpacks to"):
        library.import_zip(buffer)
