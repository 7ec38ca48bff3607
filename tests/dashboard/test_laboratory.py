"""The laboratory as a visitor meets it: every group of pictures, every cell, every moment, and what may go wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.laboratory import clipping, cures, figures, view_state
from dashboard.services import sources, worker
from dashboard.state import session
from dashboard.text import laboratory as wording
from rnn_core import runs
from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.nn.cells import make_cell
from rnn_core.runs import Run, snapshots
from rnn_core.runs.worker import work
from rnn_core.training import loop as training
from tests.dashboard.conftest import HOSTILE
from tests.dashboard.test_user_text import assert_only_plain_elements_show_it
from tests.waiting import wait_for

SENTENCE = "the queen with the old crown lost her map"
NETWORKS = {
    "tanh": {"cell": "tanh"},
    "relu": {"cell": "relu", "layers": 2},
    "sigmoid": {"cell": "sigmoid", "embedding_size": 6},
    "lstm": {"cell": "lstm", "layers": 2},
    "gru": {"cell": "gru"},
    "mingru": {"cell": "mingru", "layers": 2},
}
TITLES = [
    *(
        "Unrolled network",
        "Triangle",
        "Horizon",
        "Horizon over the training",
        "One row, on its way back",
        "W against φ′",
        "Saturation",
    ),
    *("Spectrum", "All steps together", "Gradient by lag", "Truncation", "Which words mattered", "Clipping"),
]
OF_GATES = ["Two paths", "Which path", "A gate, unit by unit"]
OF_W = ["W over the training"]


def make(folder: Path, model: dict, **settings: object) -> Run:
    """A run of a small network that nobody has trained yet."""
    text = TextSettings(sentences="lines")
    corpus = sources.prepare(sources.Agreement(gap=3, count=120), text)
    config = ModelConfig(**{"vocabulary_size": len(corpus.vocabulary), "hidden_size": 8, **model})
    quick = {"epochs": 2, "sample_every_seconds": None, "horizon_every_seconds": 0.0, "batch_size": 16}
    return runs.create_run(folder, "trained", corpus, config, TrainingSettings(**{**quick, **settings}), text)  # type: ignore[arg-type]


def train(folder: Path, model: dict, **settings: object) -> Run:
    """A short training that measures its horizon before every step, and keeps the weights each time."""
    run = make(folder, model, **settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "HORIZON_SHARE", np.inf)
        patch.setattr(snapshots, "SHARE", np.inf)
        work(folder)
    return run


@pytest.fixture(scope="session")
def _networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("networks")
    return {name: train(root / f"run-of-{name}", model).folder for name, model in NETWORKS.items()}


@pytest.fixture
def network(_networks: dict[str, Path], runs_folder: Path) -> Callable[[str], Run]:
    """A trained run of each kind, copied into the test's folder."""
    return lambda name: Run.open(shutil.copytree(_networks[name], runs_folder / f"run-of-{name}"))


@pytest.fixture
def laboratory(open_page: Callable[..., AppTest]) -> Callable[..., AppTest]:
    """Opens the page on a run, with all of its pictures."""

    def open_(run: Run, sentence: str | None = SENTENCE, more: bool = True) -> AppTest:
        app = open_page("gradients", run.id)
        if sentence is not None:
            app.text_input(key=figures.key("sentence")).set_value(sentence)
        if more:
            for toggle in app.toggle:
                if toggle.key.startswith(figures.key("more")):
                    toggle.set_value(True)
        app.run()
        assert not app.exception, app.exception[0].message
        return app

    return open_


def captions(app: AppTest) -> str:
    return "\n".join(str(element.value) for element in app.main.text)


def shown(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def button(app: AppTest, label: str):
    (found,) = [candidate for candidate in app.button if candidate.label == label]
    return found


def titles(app: AppTest, level: int) -> list[str]:
    """The headings of this level, in the order of the page."""
    mark = "#" * level + " "
    return [element.value.removeprefix(mark) for element in app.main.markdown if element.value.startswith(mark)]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.slow
def test_every_picture_is_there_for_every_cell_in_five_steps_and_a_verdict(name, network, laboratory):
    run = network(name)
    app = laboratory(run)
    assert not app.error
    cell = make_cell(run.config.model.cell)
    wanted = {*TITLES, *(OF_GATES if cell.gated else ()), *(OF_W if name != "mingru" else ())}
    assert set(titles(app, 3)) == wanted
    steps = [f"{place} {title}" for place, title in enumerate(wording.STEPS.values(), start=1)]
    assert titles(app, 2) == [*steps, wording.VERDICT]
    assert len(app.get("latex")) == len(wanted)
    equations = [element for element in app.main.markdown if f"This {cell.label} carries on" in element.value]
    assert len(equations) == (2 if cell.gated else 0)
    assert "nan" not in captions(app)


@pytest.mark.parametrize("sentence", ["", " ", "queen", "word " * 500, "\u202e", "<s> </s> <unk>", HOSTILE])
@pytest.mark.slow
def test_no_sentence_breaks_a_picture_or_is_taken_for_more_than_text(sentence, network, laboratory):
    app = laboratory(network("lstm"), sentence)
    assert not app.exception
    assert_only_plain_elements_show_it(app)


def test_every_loss_can_be_followed_and_the_last_words_is_at_first(network, laboratory):
    app = laboratory(network("tanh"))
    chosen = app.selectbox(key=view_state.CHOSEN)
    assert chosen.options[chosen.value].strip() == "9 map"
    for place in (0, 1, len(chosen.options) - 1):
        app.selectbox(key=view_state.CHOSEN).set_value(place).run()
        assert not app.exception
    app.text_input(key=figures.key("sentence")).set_value("the queen").run()
    assert app.selectbox(key=view_state.CHOSEN).value == 1


def test_the_slider_offers_exactly_the_moments_that_are_kept_and_sets_every_picture_to_one(network, laboratory):
    run = network("tanh")
    app = laboratory(run)
    moments = run.moments()
    slider = app.select_slider(key=view_state.MOMENT)
    assert slider.options == [f"step {step:,}" for step in moments]
    assert shown(app)["Weights of step"] == f"{moments[-1]:,}"
    newest = shown(app)["Gradient of W"]
    slider.set_value(moments[0]).run()
    assert shown(app)["Weights of step"] == "0"
    assert shown(app)["Gradient of W"] != newest
    app.select_slider(key=view_state.MOMENT).set_value(moments[-1]).run()
    assert shown(app)["Gradient of W"] == newest


def test_a_moment_whose_weights_have_been_thinned_away_gives_way_to_its_neighbour(network, laboratory):
    run = network("tanh")
    app = laboratory(run)
    middle = snapshots.steps(run.folder)[2]
    app.select_slider(key=view_state.MOMENT).set_value(middle).run()
    snapshots.path_of(run.folder, middle).unlink()
    app.run()
    assert not app.error
    assert shown(app)["Weights of step"] == f"{middle - 1:,}"


def test_a_run_without_snapshots_shows_its_checkpoints(network, laboratory):
    run = network("gru")
    for step in snapshots.steps(run.folder):
        snapshots.path_of(run.folder, step).unlink()
    app = laboratory(run)
    assert not app.error
    assert shown(app)["Weights of step"] == f"{run.checkpoint_steps()[-1]:,}"


def test_damaged_newest_weights_give_way_to_the_ones_before(network, laboratory):
    run = network("sigmoid")
    newest = run.moments()[-1]
    for path in (run.folder / "model.safetensors", snapshots.path_of(run.folder, newest)):
        if path.exists():
            path.write_bytes(path.read_bytes()[:-4] + b"\xff\xff\x7f\x7f")
    app = laboratory(run)
    assert not app.error
    assert shown(app)["Weights of step"] == f"{run.moments()[-2]:,}"


def test_the_absolute_triangle_comes_first_and_the_relative_one_on_demand(network, laboratory):
    app = laboratory(network("tanh"))
    toggle = app.toggle(key=figures.key("relative"))
    assert toggle.value is False
    toggle.set_value(True).run()
    assert not app.error


def test_a_spike_is_traced_to_a_sentence_of_its_batch_and_the_weights_used_are_named(network, laboratory):
    run = network("tanh")
    app = laboratory(run)
    spikes = app.selectbox(key=clipping.SPIKE)
    norms = run.metrics()["gradient_norm"]
    assert spikes.options[0] == f"step {int(np.argmax(norms)) + 1:,}"
    spikes.set_value(int(np.argmax(norms)) + 1).run()
    assert not app.error
    step = int(np.argmax(norms)) + 1
    # Every step's weights are kept in this run, so what is computed again is what was recorded.
    line = next(text.value for text in app.main.text if text.value.startswith("Step "))
    recorded = f"{norms[step - 1]:.3g}"
    assert f"recorded a norm of {recorded}; with the weights kept from step {step - 1:,}" in line
    assert f"the same batch gives {recorded}" in line
    shares = app.dataframe[0].value["share"]
    assert (np.diff(shares) <= 0).all()
    quoted = [code.value for code in app.code if "import" not in code.value]  # and not the lines of Python
    assert quoted[0] == app.dataframe[0].value["sentence"][0]


def test_a_step_of_a_stream_can_be_examined_too(runs_folder, laboratory):
    run = train(runs_folder / "stream-run", {"cell": "lstm"}, batching="stream", sequence_length=7, epochs=1)
    app = laboratory(run)
    highest = int(np.argmax(run.metrics()["gradient_norm"])) + 1
    app.selectbox(key=clipping.SPIKE).set_value(highest).run()
    assert not app.error
    assert wording.STREAM_NOTE in [element.value for element in app.caption]


@pytest.mark.process
def test_an_explosion_is_explained_looked_at_and_cured_by_one_click(runs_folder, laboratory):
    wild = {"cell": "relu", "init": "spectral", "init_scale": 2.5}
    run = train(runs_folder / "diverged-run", wild, clip=None, optimizer="sgd", learning_rate=1e6, epochs=20)
    assert run.status().state == "diverged"
    app = laboratory(run)
    assert wording.DIVERGED in [element.value for element in app.markdown]
    assert "nan" not in captions(app)
    app.button(key=figures.key(f"after divergence: Clip at {cures.CLIP:g}")).click().run()
    assert not app.error
    cured = Run.open(runs_folder / app.query_params["run"])
    assert cured.id != run.id
    assert cured.config.training.clip == cures.CLIP
    assert cured.config.model == run.config.model
    assert worker.working(cured) or cured.status().step > 0


@pytest.mark.process
def test_a_cure_is_trained_by_a_click_and_shown_beside_what_it_cures(network, laboratory):
    run = network("tanh")
    app = laboratory(run)
    app.button(key=figures.key("verdict: An LSTM")).click().run()
    assert not app.error
    cure = app.query_params["run"]
    assert cure != run.id
    assert app.query_params["before"] == run.id
    wait_for(lambda: Run.open(run.folder.parent / cure).moments())
    app.run()
    assert not app.error
    assert "Before the cure" in captions(app)
    again = laboratory(Run.open(run.folder.parent / cure))  # without the link: nothing to compare with
    assert "Before the cure" not in captions(again)


def test_a_network_that_explodes_is_seen_exploding(runs_folder, laboratory):
    wild = {"cell": "relu", "init": "identity", "init_scale": 1.5}
    run = train(runs_folder / "exploding-run", wild, steps=1, clip=1.0)
    app = laboratory(run, sentence="the queen beside the king soon lost her map " * 3)
    assert "it has grown" in captions(app) or "it has exploded" in captions(app)
    assert "gradients explode" in captions(app)


def test_what_follows_back_is_the_same_after_a_visit_to_another_page(network, laboratory):
    app = laboratory(network("tanh"))
    app.switch_page("views/train.py").run()
    app.switch_page("views/gradients.py").run()
    assert app.text_input(key=figures.key("sentence")).value == SENTENCE
    assert app.toggle(key=figures.key("more: cost")).value


def test_further_pictures_are_computed_only_when_asked_for(network, laboratory, monkeypatch):
    from rnn_core import diagnostics

    def never(*arguments: object, **options: object) -> None:
        raise AssertionError("computed without need")

    for name in ("which_words_mattered", "product_singular_values", "gradient_by_sentence"):
        monkeypatch.setattr(diagnostics, name, never)
    app = laboratory(network("lstm"), "the queen beside the king lost her crown", more=False)
    assert not app.error


def test_a_second_look_at_the_same_sentence_computes_nothing_anew(network, laboratory, monkeypatch):
    from rnn_core import diagnostics

    app = laboratory(network("lstm"))

    def never(*arguments: object, **options: object) -> None:
        raise AssertionError("computed anew")

    for name in ("gradient_flow", "saturation", "two_paths", "lyapunov_exponents", "recurrent_spectrum", "where_lost"):
        monkeypatch.setattr(diagnostics, name, never)
    assert not app.run().error


def test_the_keys_of_the_laboratory_belong_to_its_page():
    assert session.key("gradients", "chosen") == view_state.CHOSEN
