"""A fork goes on from a stored moment of another run: as that one did, or with other settings."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import differences, ending, tiny_run

from rnn_core.cli.main import main, make_parser
from rnn_core.config import ModelConfig, TaskSettings, TrainingSettings
from rnn_core.errors import RunError, SettingsError
from rnn_core.runs import Run, checkpoints, fork_run, import_run, layout, snapshots, zip_run
from rnn_core.runs.creation import create_task_run
from rnn_core.runs.fork import CHANGEABLE
from rnn_core.runs.run_config import ForkedFrom
from rnn_core.runs.worker import Limits, work

HALFWAY = 11  # within the second epoch of eight batches


def trained(folder: Path, **settings: Any) -> Run:
    """A finished run that has a checkpoint of step HALFWAY."""
    run = tiny_run(folder, **settings)
    work(run.folder, limits=Limits(steps=HALFWAY))
    work(run.folder)
    assert HALFWAY in run.checkpoint_steps()
    return run


@pytest.mark.parametrize(
    "settings",
    [
        {"model": {"dropout": 0.3}},
        {"batching": "stream", "sequence_length": 9, "schedule": "cosine", "optimizer": "sgd"},
    ],
    ids=["sentences", "stream"],
)
def test_a_fork_with_no_setting_changed_goes_on_bit_for_bit_like_its_parent(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    parent = trained(tmp_path / "parent", **settings)
    before = ending(parent)
    fork = fork_run(parent.folder, tmp_path / "fork", step=HALFWAY)
    assert fork.status().state == "stopped"
    assert fork.status().step == fork.metrics()["step"][-1] == HALFWAY
    assert all(event["step"] <= HALFWAY for event in fork.events())
    assert work(fork.folder).state == "finished"
    assert differences(ending(fork), before) == []
    assert differences(ending(parent), before) == []


def test_a_fork_of_a_run_on_a_task_goes_on_like_its_parent(tmp_path: Path) -> None:
    task, training = TaskSettings("adding", task_steps=12), TrainingSettings(steps=20, epochs=None, batch_size=4)
    parent = create_task_run(tmp_path / "parent", "", task, ModelConfig(hidden_size=6), training)
    for steps in (HALFWAY, None):
        work(parent.folder, limits=Limits(steps=steps))
    fork = fork_run(parent.folder, tmp_path / "fork", step=HALFWAY, changes={})
    work(fork.folder)
    assert differences(ending(fork), ending(parent)) == []


def test_what_a_fork_changes_holds_from_its_first_step_and_is_told(tmp_path: Path) -> None:
    parent = trained(tmp_path / "parent")
    changes = {"learning_rate": 0.05, "clip": 0.01, "truncate": 2, "dropout": 0.5, "weight_decay": 0.1, "steps": 14}
    fork = fork_run(parent.folder, tmp_path / "fork", step=HALFWAY, name="another", changes=changes)
    assert fork.config.name == "another"
    assert fork.config.forked == ForkedFrom("parent", HALFWAY, exact=True)
    assert (fork.config.model.dropout, fork.config.training.weight_decay) == (0.5, 0.1)
    work(fork.folder)
    metrics, before = fork.metrics(), parent.metrics()
    np.testing.assert_array_equal(metrics["loss_nats"][:HALFWAY], before["loss_nats"][:HALFWAY])
    assert metrics["learning_rate"][HALFWAY:] == pytest.approx(0.05)
    assert (metrics["clipped_norm"][HALFWAY:] <= 0.01001).all()
    assert len(metrics["step"]) == 14
    told = {event["kind"]: (event["step"], event["new"], event["why"]) for event in fork.events() if "new" in event}
    assert told["clipping_changed"] == (HALFWAY, 0.01, "set by the fork")
    assert told["truncation_changed"] == (HALFWAY, 2, "set by the fork")
    assert (fork.training_at(HALFWAY).clip, fork.training_at(HALFWAY + 1).clip) == (5.0, 0.01)


@pytest.mark.parametrize("schedule", ["halve", "cosine"])
def test_where_only_weights_were_kept_a_fork_begins_from_them_and_says_that_it_is_not_exact(
    tmp_path: Path, schedule: str
) -> None:
    parent = tiny_run(tmp_path / "parent", schedule=schedule, optimizer="sgd", epochs=6)
    work(parent.folder, limits=Limits(steps=6))
    parent.request("learning_rate", learning_rate=0.3)
    work(parent.folder, limits=Limits(steps=HALFWAY))
    weights = parent.load_model().params
    work(parent.folder)
    checkpoints.older_path(parent.folder, HALFWAY).unlink()
    kept = layout.named_parameters(weights)
    digest = layout.vocabulary_digest(parent.vocabulary())
    snapshots.SnapshotStore(parent.folder, 1, digest).take(HALFWAY, kept)
    fork = fork_run(parent.folder, tmp_path / "fork", step=HALFWAY)
    assert fork.config.forked == ForkedFrom("parent", HALFWAY, exact=False)
    for name, value in weights.items():
        np.testing.assert_array_equal(fork.load_model().params[name], value)
    # SGD remembers nothing, so here even the rest of the training is the parent's.
    work(fork.folder)
    for column in ("loss_nats", "learning_rate", "epoch"):
        assert fork.metrics()[column] == pytest.approx(parent.metrics()[column], rel=1e-6)


def test_another_schedule_goes_on_from_the_rate_of_the_moment(tmp_path: Path) -> None:
    parent = trained(tmp_path / "parent", schedule="constant", learning_rate=0.01)
    fork = fork_run(parent.folder, tmp_path / "fork", step=HALFWAY, changes={"schedule": "cosine"})
    work(fork.folder)
    rates = fork.metrics()["learning_rate"][HALFWAY:]
    assert rates[0] == pytest.approx(0.01)
    assert (np.diff(rates) < 0).all()


@pytest.mark.parametrize(
    ("step", "changes", "error", "says"),
    [
        (HALFWAY, {"hidden_size": 9}, SettingsError, "cannot change 'hidden_size'"),
        (HALFWAY, {"seed": 1}, SettingsError, "cannot change 'seed'"),
        (HALFWAY, {"learning_rate": -1.0}, SettingsError, "above 0"),
        (HALFWAY, {"dropout": 2.0}, SettingsError, "dropout"),
        (HALFWAY, {"steps": HALFWAY}, SettingsError, "nothing is left to train"),
        (5, {}, RunError, "no weights of step 5; fork it at one of"),
        (None, {}, SettingsError, "nothing is left to train"),
    ],
)
def test_a_fork_that_makes_no_sense_is_refused_and_leaves_nothing(
    tmp_path: Path, step: int | None, changes: dict[str, Any], error: type[Exception], says: str, parent: Run
) -> None:
    with pytest.raises(error, match=says):
        fork_run(parent.folder, tmp_path / "fork", step=step, changes=changes)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("forked") / "parent")


def test_an_older_state_is_forked_by_its_step_alone_where_the_newest_is_damaged(tmp_path: Path) -> None:
    parent = trained(tmp_path / "parent")
    (parent.folder / checkpoints.NEWEST).write_bytes(b"damaged")
    with pytest.raises(RunError, match=rf"newest state cannot be read .* is {HALFWAY}\."):
        fork_run(parent.folder, tmp_path / "fork", changes={"steps": 40})
    assert not (tmp_path / "fork").exists()
    assert fork_run(parent.folder, tmp_path / "fork", step=HALFWAY).status().step == HALFWAY


def test_a_fork_of_a_training_that_goes_on_disturbs_it_not_and_takes_none_of_its_requests(tmp_path: Path) -> None:
    parent = tiny_run(tmp_path / "parent")
    work(parent.folder, limits=Limits(steps=HALFWAY))
    parent.request("clip", clip=0.5)
    fork = fork_run(parent.folder, tmp_path / "fork")
    assert parent.requested_settings() == {"clip": 0.5}
    assert fork.requested_settings() == {}


def test_a_fork_travels_as_a_zip_and_still_says_where_it_came_from(tmp_path: Path, parent: Run) -> None:
    fork = fork_run(parent.folder, tmp_path / "fork", step=HALFWAY)
    packed = io.BytesIO()
    zip_run(fork.folder, packed)
    assert import_run(packed, tmp_path / "again").config.forked == fork.config.forked


# --- the command line -------------------------------------------------------------------------------------------------


def test_the_command_forks_and_trains_to_the_end_as_the_parent_did(tmp_path: Path, parent: Run, capsys) -> None:
    new = str(tmp_path / "fork")
    assert main(["fork", str(parent.folder), "--at", str(HALFWAY), "--run", new, "--name", "b", "--json"]) == 0
    said = capsys.readouterr()
    values = json.loads(said.out.splitlines()[-1])
    assert (values["run"], values["step"]) == (new, parent.status().step)
    assert "only the weights" not in said.err
    fork = Run.open(new)
    assert fork.config.name == "b"
    assert differences(ending(fork), ending(parent)) == []


def test_what_a_fork_can_change_has_a_flag_and_nothing_else_has_one() -> None:
    values = (
        "--learning-rate 0.05 --clip none --truncate 2 --schedule cosine --weight-decay 0.1 --omega 0.2 --dropout 0.3"
    )
    for end in ("--epochs 9", "--steps 90"):
        options = make_parser().parse_args(["fork", "parent", "--run", "new", *values.split(), *end.split()])
        changes = {name: getattr(options, name) for name in CHANGEABLE if hasattr(options, name)}
        assert set(CHANGEABLE) - set(changes) < {"epochs", "steps"}
        assert (changes["clip"], changes["truncate"], changes["omega"]) == (None, 2, 0.2)
    with pytest.raises(SettingsError, match="--hidden"):
        make_parser().parse_args(["fork", "parent", "--run", "new", "--hidden", "9"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--at", "5"], "no weights of step 5; fork it at one of"),
        ([], "nothing is left to train"),
        (["--at", str(HALFWAY), "--learning-rate", "-1"], "above 0"),
    ],
)
def test_a_fork_that_the_command_refuses_leaves_nothing(
    words: list[str], says: str, tmp_path: Path, parent: Run, capsys
) -> None:
    assert main(["fork", str(parent.folder), "--run", str(tmp_path / "fork"), *words]) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_where_only_weights_were_kept(tmp_path: Path, capsys) -> None:
    parent = trained(tmp_path / "parent")
    kept = layout.named_parameters(parent.load_model(HALFWAY).params)
    checkpoints.older_path(parent.folder, HALFWAY).unlink()
    digest = layout.vocabulary_digest(parent.vocabulary())
    snapshots.SnapshotStore(parent.folder, 1, digest).take(HALFWAY, kept)
    new = str(tmp_path / "fork")
    assert main(["fork", str(parent.folder), "--at", str(HALFWAY), "--run", new, "--quiet"]) == 0
    assert "only the weights were kept" in capsys.readouterr().err
