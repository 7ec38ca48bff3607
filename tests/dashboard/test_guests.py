"""What a guest, who has only the link to a run, is sent: never a sentence of its training text.

Not what is drawn is looked at, but every message that leaves for the browser and every file that a button would bring.
"""

from __future__ import annotations

import ast
import inspect
import io
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.testing.v1 import AppTest

from dashboard import hosting
from dashboard.laboratory import clipping, figures
from dashboard.services import library, network, trainings, worker
from dashboard.state import session
from dashboard.text import general as wording
from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.data import prepare_sentences
from rnn_core.errors import RunError
from rnn_core.experiments.sweep import Sweep
from rnn_core.runs import Run, create_run, new_run_id
from rnn_core.runs.worker import work
from tests.dashboard.conftest import APP
from tests.waiting import HANG_SECONDS

VIEWS = sorted((APP.parent / "views").glob("[a-z]*.py"))
OWNER, GUEST = "a" * 64, "b" * 64
STEPS = 4
RUN_OF_WORDS = 4
"""So many words of a sentence in a row, and it counts as sent. No network of this size writes them by chance."""


@pytest.fixture(scope="module")
def _private(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chance = random.Random(0)
    words = [f"{chance.choice('bdfgklmnprst')}{chance.choice('aeiou')}{number}" for number in range(100)]
    sentences = [chance.choices(words, k=10) for _ in range(40)]
    corpus = prepare_sentences(sentences, "private", TextSettings(sentences="lines", max_sentence_length=200))
    model = ModelConfig(cell="lstm", vocabulary_size=len(corpus.vocabulary), hidden_size=6)
    training = TrainingSettings(
        steps=STEPS, epochs=None, batch_size=9, sample_every_seconds=0.0, horizon_every_seconds=0.0
    )
    folder = tmp_path_factory.mktemp("private") / new_run_id()
    work(create_run(folder, "private", corpus, model, training, TextSettings(sentences="lines")).folder)
    return folder


@pytest.fixture
def private_run(_private: Path, runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose text is its owner's alone: sentences of random words, which nobody can guess."""
    run = Run.open(shutil.copytree(_private, runs_folder / _private.name))
    hosting.set_owner(run.folder, hosting.owner_id(OWNER))
    monkeypatch.setenv(hosting.VARIABLE, "1")
    monkeypatch.setattr(hosting, "stay_offline", lambda: None)
    monkeypatch.setattr("dashboard.services.worker.start_dispatcher", lambda: None)
    monkeypatch.setattr(clipping, "SPIKES", STEPS)  # so that every step of the training can be chosen
    return run


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Everything that goes to browsers from now on: all messages, and what every download button would bring."""
    messages: list[bytes] = []
    enqueue, button = ForwardMsgQueue.enqueue, st.download_button

    def listen(queue: ForwardMsgQueue, message: Any) -> None:
        messages.append(message.SerializeToString())
        enqueue(queue, message)

    def press(label: str, data: Any, *arguments: Any, **options: Any) -> Any:
        content = data() if callable(data) else data
        messages.append(content if isinstance(content, bytes) else str(content).encode())
        return button(label, data, *arguments, **options)

    monkeypatch.setattr(ForwardMsgQueue, "enqueue", listen)
    monkeypatch.setattr(st, "download_button", press)
    return messages


def found_in(sent: list[bytes], run: Run) -> set[int]:
    """Which sentences of the training text were sent, whole or a run of words of them: as text, or cell by cell."""
    everything = b"\0".join(set(sent))  # a page that is drawn again sends most of what it sent before
    corpus = run.corpus()
    allowed = network.example_sentence(str(run.folder), wording.EXAMPLE_SENTENCE)
    found = set()
    for number, ids in enumerate(corpus.train):
        words = corpus.vocabulary.decode(ids[1:-1])
        for start in range(len(words) - RUN_OF_WORDS + 1):
            part = words[start : start + RUN_OF_WORDS]
            if " ".join(part) not in allowed and any(joint.join(part).encode() in everything for joint in (" ", "")):
                found.add(number)
    return found


def visit(view: Path, run: Run, secret: str) -> Iterator[AppTest]:
    """A page with a link to the run: as it opens, with every choice on it made, and every step of the training asked
    for, whether the page offers it or not.
    """
    app = AppTest.from_file(str(APP), default_timeout=HANG_SECONDS)
    app.session_state[session._SECRET] = secret
    app.query_params["run"] = run.id
    app.run()
    app.switch_page(f"views/{view.name}").run()
    yield app
    if view.stem in ("evaluate", "units"):
        # A text of the guest's own, in words that the network knows; the run's own is not offered.
        app.segmented_control(key=session.key(view.stem, "text kind")).set_value("paste").run()
        words = random.Random(1).choices(run.vocabulary().words[3:], k=120)
        app.text_area[0].set_value("\n".join(" ".join(words[at : at + 5]) for at in range(0, 120, 5))).run()
        yield app
    for toggle in app.toggle:
        yield toggle.set_value(True).run()
    if view.stem != "gradients":
        return
    for step in range(1, STEPS + 1):
        yield app.selectbox(key=figures.key("spike")).set_value(step).run()


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.stem)
@pytest.mark.slow
def test_no_page_sends_a_guest_a_sentence_of_the_training_text(view: Path, private_run: Run, sent: list[bytes]) -> None:
    for app in visit(view, private_run, GUEST):
        assert not app.exception
    assert sent
    assert found_in(sent, private_run) == set()


@pytest.mark.slow
def test_a_link_to_a_sweep_sends_a_guest_no_sentence_of_its_text(private_run: Run, sent: list[bytes]) -> None:
    config = private_run.config
    plan = Sweep({"hidden_size": [6, 7]}, 1, config.model, config.training, text=config.text, beside=True)
    folder = private_run.folder.parent / new_run_id()
    plan.write(folder)
    first, second = (
        plan.create_run(plan.run_folder(folder, point), point, private_run.corpus()) for point in plan.points
    )
    work(first.folder)
    for place in (folder, first.folder, second.folder):
        hosting.set_owner(place, hosting.owner_id(OWNER))
    app = AppTest.from_file(str(APP), default_timeout=HANG_SECONDS)
    app.session_state[session._SECRET] = GUEST
    app.query_params |= {"sweep": folder.name, "runs": f"{first.id},{private_run.id}"}
    app.run()
    for page in ("sweep", "compare"):
        app.switch_page(f"views/{page}.py").run()
        assert not app.exception
        assert "hidden" in b"".join(sent).decode("utf-8", "replace").lower()
        assert not [button.label for button in app.button if button.label in ("Go on", "Stop")]
    assert found_in(sent, private_run) == set()


@pytest.mark.slow
def test_what_its_owner_is_sent_is_found_by_the_same_search(private_run: Run, sent: list[bytes]) -> None:
    for app in visit(APP.parent / "views" / "gradients.py", private_run, OWNER):
        assert not app.exception
    assert len(found_in(sent, private_run)) > 0.8 * len(private_run.corpus().train)


def test_a_guests_run_has_no_text_and_no_way_to_change_it(private_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_secret", lambda: GUEST)
    run = library.open_run(private_run.id)
    assert run.status().state == "finished"
    assert run.moments()
    for forbidden in (
        run.corpus,
        run.queue,
        lambda: run.request("pause"),
        lambda: run.unqueue("no more"),
        lambda: run.fail("no more"),
    ):
        with pytest.raises(RunError, match="belongs to somebody else"):
            forbidden()
    monkeypatch.setattr(library, "_secret", lambda: OWNER)
    assert library.open_run(private_run.id).corpus().train


READING = {"mine", "check_mine", "working", "last_words", "report"}
"""What a guest may ask of a run. Everything else in these modules changes one, or hands it out whole."""

CHANGES = {
    f"{module.__name__.rpartition('.')[2]}.{name}": function
    for module in (library, trainings, worker)
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__
    and name not in READING
    and not name.startswith("_")
    and any(parameter.annotation == "Run" for parameter in inspect.signature(function).parameters.values())
}


def test_all_changes_of_a_run_are_known_here() -> None:
    assert set(CHANGES) >= {
        "library.request",
        "library.steer",
        "library.rename",
        "library.delete",
        "library.write_zip",
        "worker.start",
        "trainings.fork",
        "trainings.go_further",
        "worker.leave_queue",
    }


@pytest.mark.parametrize("name", CHANGES)
def test_whoever_changes_a_run_or_takes_it_home_is_asked_whose_it_is(
    name: str, private_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a run that a page would never have given to a guest."""
    archive = io.BytesIO()
    values = {"run": private_run, "together": private_run, "kind": "pause", "name": "x", "file": archive, "more": 1}
    values |= {"setting": "clip", "value": 1.0, "step": private_run.moments()[-1], "changes": {}, "tags": ["x"]}
    arguments = [values[parameter] for parameter in inspect.signature(CHANGES[name]).parameters]
    before = {path: path.read_bytes() for path in private_run.folder.glob("*.json")}
    monkeypatch.setattr(library, "_secret", lambda: GUEST)
    with pytest.raises(RunError, match="belongs to somebody else"):
        CHANGES[name](*arguments)
    assert {path: path.read_bytes() for path in private_run.folder.glob("*.json")} == before
    assert private_run.status().state == "finished"
    assert not archive.getvalue()


def test_pages_change_runs_through_the_services_alone() -> None:
    """The functions of `rnn_core.runs` that change a folder ask nobody."""
    forbidden = {"create_run", "delete_run", "rename_run", "lengthen_run", "zip_run", "fork_run"}
    guilty = []
    for package in ("views", "laboratory", "components", "state"):
        for path in (APP.parent / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
                if name in forbidden:
                    guilty.append(f"{path.name}:{node.lineno}")
    assert guilty == []


def test_pages_get_their_runs_from_the_library_alone() -> None:
    """Whoever opens a run's folder by themselves has all of it, whoever asks."""
    guilty = []
    for package in ("views", "laboratory", "components", "state"):
        for path in (APP.parent / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and ast.unparse(node) == "Run.open":
                    guilty.append(f"{path.name}:{node.lineno}")
    assert guilty == []
