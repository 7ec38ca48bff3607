"""Whoever reads weights gets the newest ones of this very run, or is told otherwise."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import tiny_corpus, tiny_run

from rnn_core.cli.main import main
from rnn_core.errors import DivergenceError, RunError
from rnn_core.runs import Run, checkpoints
from rnn_core.runs.layout import checkpoint_specs
from rnn_core.runs.worker import Limits, work
from rnn_core.training.generation import generate

RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tiny_run(tmp_path_factory.mktemp("finished") / "run", steps=6, horizon_every_seconds=0.0)
    for stop in (2, 4):
        work(run.folder, limits=Limits(steps=stop))
    work(run.folder)
    return run.folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(finished, tmp_path / "run"))


def damage_newest(run: Run) -> None:
    path = run.folder / checkpoints.NEWEST
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_whole_weights_are_the_newest_and_say_nothing(run: Run) -> None:
    loaded = run.load_weights()
    assert (loaded.step, loaded.damaged, loaded.note) == (6, (), "")


def test_an_older_state_says_that_it_is_one_and_what_is_damaged(run: Run) -> None:
    damage_newest(run)
    loaded = run.load_weights()
    assert loaded.step < 6
    assert "an older state" in loaded.note
    assert checkpoints.NEWEST in loaded.note
    with pytest.warns(RuntimeWarning, match="an older state"):
        run.load_model()


def swap(run: Run, words: list[str]) -> None:
    path = run.folder / "vocabulary.json"
    vocabulary = json.loads(path.read_text())
    vocabulary["words"], vocabulary["counts"] = words, []
    path.write_text(json.dumps(vocabulary))


def test_a_word_list_in_another_order_is_refused_for_every_moment(run: Run) -> None:
    words = list(run.vocabulary().words)
    swap(run, [*words[:3], *reversed(words[3:])])
    for moment in (None, *run.moments()):
        with pytest.raises(RunError, match=r"vocabulary\.json is not the word list"):
            run.load_weights(moment)
    with pytest.raises(RunError, match=r"vocabulary\.json is not the word list"):
        work(run.folder, steps=9)


@pytest.mark.parametrize("change", [1, -1])
def test_a_word_list_that_is_longer_or_shorter_is_refused(run: Run, change: int) -> None:
    words = list(run.vocabulary().words)
    swap(run, [*words, "more"] if change > 0 else words[:-1])
    with pytest.raises(RunError, match="words and the network"):
        run.load_weights()


def test_a_run_of_before_there_was_a_digest_knows_its_words_by_their_counts(tmp_path: Path) -> None:
    with zipfile.ZipFile(RECORDED / "run-lstm.zip") as archive:
        archive.extractall(tmp_path)
    run = Run.open(tmp_path / "lstm")
    checkpoint = run.load_checkpoint()
    assert checkpoint is not None
    assert "vocabulary" not in checkpoint.state
    path = run.folder / "vocabulary.json"
    vocabulary = json.loads(path.read_text())
    for name in ("words", "counts"):
        vocabulary[name][3:] = reversed(vocabulary[name][3:])
    path.write_text(json.dumps(vocabulary))
    with pytest.raises(RunError, match=r"vocabulary\.json is not the word list"):
        run.load_weights()


def test_weights_that_begin_a_run_are_bound_to_its_words(tmp_path: Path) -> None:
    made = tiny_run(tmp_path / "made", steps=1)
    work(made.folder)
    corpus = tiny_corpus()
    from rnn_core.config import TextSettings
    from rnn_core.runs import create_run

    run = create_run(
        tmp_path / "run",
        "x",
        corpus,
        made.config.model,
        made.config.training,
        TextSettings(),
        made.load_model().params,
    )
    words = list(run.vocabulary().words)
    swap(run, [*words[:3], *reversed(words[3:])])
    with pytest.raises(RunError, match="is not the word list"):
        run.load_weights()


def enlarge(run: Run) -> None:
    """Weights that are finite, with which nothing can be computed."""
    checkpoint = checkpoints.load_newest(run.folder, checkpoint_specs(run.config))
    assert checkpoint is not None
    arrays = {
        name: np.full_like(values, 3e38) if name.startswith("model/") else values
        for name, values in checkpoint.arrays.items()
    }
    checkpoints.save(run.folder, checkpoint.step, arrays, checkpoint.state, None)


def test_finite_weights_whose_outputs_are_not_end_in_a_sentence(run: Run) -> None:
    enlarge(run)
    with pytest.raises(DivergenceError, match="so large that its outputs are no numbers"):
        list(generate(run.load_model(), run.vocabulary()))


@pytest.mark.parametrize("command", ["generate", "evaluate", "gradients", "export"])
def test_a_command_that_shows_an_older_state_says_so(run: Run, tmp_path: Path, command: str, capsys) -> None:
    (tmp_path / "text.txt").write_text("the queen saw her dog .\n" * 20)
    arguments = {
        "generate": ["--json"],
        "evaluate": [str(tmp_path / "text.txt"), "--json"],
        "gradients": ["--text", "the queen", "--json"],
        "export": [str(tmp_path / "out.safetensors")],
    }[command]
    for damaged in (False, True):
        if damaged:
            damage_newest(run)
        assert main([command, str(run.folder), *arguments]) == 0
        out, err = capsys.readouterr()
        assert ("an older state" in err) == damaged
        if command != "export":
            values = json.loads(out.splitlines()[-1])
            assert bool(values.get("damaged_checkpoints")) == damaged
            assert (values.get("weights_step", 6) < 6) == damaged


def test_an_evaluation_that_is_no_number_ends_in_a_sentence(run: Run, tmp_path: Path, capsys) -> None:
    (tmp_path / "text.txt").write_text("the queen saw her dog .\n" * 20)
    enlarge(run)
    assert main(["evaluate", str(run.folder), str(tmp_path / "text.txt"), "--json"]) == 2
    assert "its loss is no number" in capsys.readouterr().err
