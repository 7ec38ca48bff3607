"""Processes that share a batch: the same gradients, the same bits each time, and nothing lost with one that dies."""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from rnn_core import LanguageModel, ModelConfig
from rnn_core.arrays import Array
from rnn_core.config import TextSettings, TrainingSettings
from rnn_core.data import prepare_sentences
from rnn_core.nn.gradients import to_dense
from rnn_core.optim.clipping import global_norm
from rnn_core.parallel import team
from rnn_core.parallel.team import Team
from rnn_core.reference.gradcheck import small_batch
from rnn_core.training.loop import new_model, train

NETWORKS = [
    {"cell": "tanh"},
    {"cell": "relu", "bias": False, "vocabulary_size": 5},
    {"cell": "lstm", "layers": 2, "embedding_size": 12},
    {"cell": "gru", "embedding_size": 16, "tied": True},
    {"cell": "gru", "gru_reset": "before"},
]
every_network = pytest.mark.parametrize("options", NETWORKS, ids=str)


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three processes share the sequences of the smallest batch of six."""
    monkeypatch.setenv("RNN_CORE_THREADS", "3")
    monkeypatch.setattr(team, "WORTH_A_PROCESS", 0)
    monkeypatch.setattr(team, "LEAST_WALKING", 0)
    monkeypatch.setattr(team, "LEAST_SEQUENCES", 2)


@pytest.fixture(params=["sequences", "sequences and words", "words"])
def what(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What they share."""
    if request.param != "sequences":
        monkeypatch.setattr(team, "FEW_WORDS", 0)
        monkeypatch.setattr(team, "WORTH_A_WALK", 0 if "sequences" in request.param else 10**12)
    return str(request.param)


def network(**options: Any) -> LanguageModel:
    config = ModelConfig(**({"cell": "tanh", "vocabulary_size": 37, "hidden_size": 16} | options))
    return LanguageModel(config, np.random.default_rng(0), np.float64)


@pytest.fixture
def shared() -> Iterator[Team]:
    with Team(network(cell="lstm")) as together:
        yield together


def batch_of(model: LanguageModel, sequences: int = 7) -> tuple[Array, ...]:
    return small_batch(model.config.vocabulary_size, 9, sequences, mask="anywhere")


def assert_equal(one: tuple, other: tuple) -> None:
    assert one[0] == pytest.approx(other[0], rel=1e-13)
    assert one[1].keys() == other[1].keys()
    for name, gradient in one[1].items():
        np.testing.assert_allclose(to_dense(other[1][name]), to_dense(gradient), rtol=1e-9, atol=1e-15, err_msg=name)
    for mine, theirs in zip(one[2], other[2], strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-12, atol=1e-15)


@every_network
@pytest.mark.parametrize("truncate", [None, 3])
def test_sharing_a_batch_changes_nothing_but_rounding(options: dict[str, Any], truncate: int | None, what: str) -> None:
    alone, shared = network(**options), network(**options)
    start = [np.random.default_rng(depth).standard_normal(layer.shape) for depth, layer in enumerate(state_of(alone))]
    with Team(shared) as together:
        for sequences in (7, 6):  # not all shares are of one size
            batch, state = batch_of(alone, sequences), [layer[:sequences] for layer in start]
            assert team.processes_for(shared.config, 9, sequences) == 3
            assert_equal(
                alone.training_gradients(*batch, truncate=truncate, state=state),
                together.training_gradients(*batch, truncate=truncate, state=state),
            )
        assert len(together.members) == 2


def test_the_norm_of_v_is_known_where_its_words_were_shared(what: str) -> None:
    with Team(network()) as together:
        for sequences in (7, 6):
            _, gradients, _ = together.training_gradients(*batch_of(together.model, sequences))
            assert together.squares.keys() == (set() if what == "sequences" else {"V"})
            assert global_norm(gradients, together.squares) == pytest.approx(global_norm(gradients), rel=1e-12)
        together.training_gradients(*batch_of(together.model), omega=0.1)  # which nobody shares
        assert not together.squares


def state_of(model: LanguageModel) -> list[Array]:
    return model.initial_state(7)


def assert_two_processes_agree_with_one(words: int, steps: int, hidden: int, cell: str) -> None:
    """With the limits as they are."""
    options = {"cell": cell, "vocabulary_size": words, "hidden_size": hidden}
    rng = np.random.default_rng(0)
    batch = rng.integers(0, words, (steps, 32)), rng.integers(0, words, (steps, 32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNN_CORE_THREADS", "2")
        with Team(network(**options)) as together:
            shared = together.training_gradients(*batch)
            assert len(together.members) == 1
            assert global_norm(shared[1], together.squares) == pytest.approx(global_norm(shared[1]), rel=1e-12)
    assert_equal(network(**options).training_gradients(*batch), shared)


def test_a_batch_that_is_shared_has_the_gradients_of_the_whole() -> None:
    assert_two_processes_agree_with_one(words=9, steps=40, hidden=64, cell="gru")


def test_words_that_are_shared_have_the_gradients_of_the_whole() -> None:
    assert_two_processes_agree_with_one(words=700, steps=15, hidden=48, cell="lstm")


def test_an_update_is_seen_by_every_process(what: str, shared: Team) -> None:
    batch = batch_of(shared.model)
    shared.training_gradients(*batch)
    for value in shared.model.params.values():
        value *= 1.1
    alone = network(cell="lstm")
    for value in alone.params.values():
        value *= 1.1
    assert_equal(alone.training_gradients(*batch), shared.training_gradients(*batch))


def test_a_share_without_a_token_changes_nothing(what: str, shared: Team) -> None:
    inputs, targets, mask = batch_of(shared.model)
    mask = np.array(mask)
    mask[:, 1::3] = 0
    assert_equal(
        network(cell="lstm").training_gradients(inputs, targets, mask),
        shared.training_gradients(inputs, targets, mask),
    )


def digest(dropout: float) -> list[bytes]:
    model = network(cell="gru", dropout=dropout)
    with Team(model) as together:
        loss, gradients, _ = together.training_gradients(*batch_of(model), dropout_rng=np.random.default_rng(5))
        return [np.float64(loss).tobytes(), *(to_dense(gradients[name]).tobytes() for name in sorted(gradients))]


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_same_bits_each_time(dropout: float, what: str) -> None:
    assert digest(dropout) == digest(dropout)


def test_every_process_drops_units_of_its_own() -> None:
    model = network(cell="tanh", dropout=0.5, vocabulary_size=37)
    one_word = np.full((4, 6), 3)
    with Team(model) as together:
        _, _, states = together.training_gradients(one_word, one_word, dropout_rng=np.random.default_rng(1))
        generators = [share.columns.dropout_rng for share in shares_of(one_word) if share.columns is not None]
    drawn = {generator.random() for generator in generators if generator is not None}
    assert len(drawn) == 3
    assert len(states[0]) == 6


def shares_of(ids: Array) -> list[team.Share]:
    whole = team.Columns(ids, ids, None, None, None, np.random.default_rng(1))
    return team.split(whole, network().config, 3)


@pytest.mark.parametrize("what", ["sequences and words", "words"], indirect=True)
@pytest.mark.parametrize("sequences", [1, 2, 4])
def test_processes_that_have_no_sequence_share_the_words(what: str, sequences: int) -> None:
    with Team(network(cell="lstm")) as together:
        for state in (None, [np.full((sequences, 32), 0.5)]):
            batch = batch_of(together.model, sequences)
            assert_equal(
                network(cell="lstm").training_gradients(*batch, state=state),
                together.training_gradients(*batch, state=state),
            )
        assert len(together.members) == 2


def test_a_larger_batch_than_before_finds_room(what: str) -> None:
    with Team(network()) as together:
        for sequences in (6, 60, 7):
            batch = batch_of(together.model, sequences)
            assert_equal(network().training_gradients(*batch), together.training_gradients(*batch))


def test_logits_of_any_size_overflow_in_no_process(what: str) -> None:
    """Then all of them start anew, with each position's largest logit taken out."""
    models = network(), network()
    for model in models:
        model.params["V"] *= 1e4
    with Team(models[1]) as together:
        batch = batch_of(models[0])
        loss_nats, gradients, _ = together.training_gradients(*batch)
        assert loss_nats == pytest.approx(models[0].training_gradients(*batch)[0], rel=1e-9)
        assert all(np.isfinite(to_dense(gradient)).all() for gradient in gradients.values())


def test_a_batch_without_a_token_has_no_gradient(what: str) -> None:
    with Team(network()) as together:
        inputs, targets, mask = batch_of(together.model)
        loss_nats, gradients, _ = together.training_gradients(inputs, targets, np.zeros_like(mask))
    assert loss_nats == 0
    assert not any(to_dense(gradient).any() for gradient in gradients.values())


def test_a_member_that_runs_out_of_memory_says_so(what: str) -> None:
    """What the training makes of a MemoryError here, it makes of one there."""
    with Team(network()) as together:
        together.training_gradients(*small_batch(37, 9, 800))
        pid = together.members[1].process.pid
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            pages = int(file.read().split()[0])
        resource.prlimit(pid, resource.RLIMIT_AS, (pages * resource.getpagesize(),) * 2)
        with pytest.raises(MemoryError):
            together.training_gradients(*small_batch(37, 36, 800))  # four times as many: for which there is room
        assert not together.alone
        batch = batch_of(together.model)
        assert_equal(network().training_gradients(*batch), together.training_gradients(*batch))
        assert len(together.members) == 2


def test_a_batch_is_shared_where_that_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("RNN_CORE_THREADS", "4")

    def processes(cell: str, words: int, units: int, steps: int, batch: int) -> int:
        return team.processes_for(ModelConfig(cell=cell, vocabulary_size=words, hidden_size=units), steps, batch)

    assert processes("lstm", 65, 128, 50, 32) == 4
    assert processes("lstm", 65, 128, 50, 16) == 2
    assert processes("lstm", 65, 128, 50, 15) == 1
    assert processes("lstm", 65, 16, 10, 32) == 1
    assert processes("tanh", 8000, 100, 20, 32) == 4
    assert processes("tanh", 8000, 100, 20, 1) == 4
    assert processes("tanh", 8000, 100, 5, 1) == 1
    monkeypatch.setenv("RNN_CORE_THREADS", "8")  # of which each process may have two
    assert processes("lstm", 65, 128, 50, 32) == 4
    assert processes("tanh", 8000, 100, 20, 32) == 1
    assert processes("lstm", 8000, 100, 20, 32) == 4
    monkeypatch.setenv("RNN_CORE_THREADS", "1")
    assert processes("lstm", 65, 128, 50, 32) == 1
    assert processes("tanh", 8000, 100, 20, 32) == 1


def test_a_regulariser_over_the_whole_batch_stays_in_one_process() -> None:
    model = network()
    with Team(model) as together:
        assert_equal(
            network().training_gradients(*batch_of(model), omega=0.1),
            together.training_gradients(*batch_of(model), omega=0.1),
        )
        assert not together.members


def test_a_member_that_dies_takes_nothing_with_it(what: str, shared: Team) -> None:
    batch = batch_of(shared.model)
    alone = network(cell="lstm").training_gradients(*batch)
    shared.training_gradients(*batch)
    os.kill(shared.members[1].process.pid, signal.SIGKILL)
    shared.members[1].process.wait()
    assert_equal(alone, shared.training_gradients(*batch))
    assert not shared.members
    assert_equal(alone, shared.training_gradients(*batch))
    assert not shared.members  # it is not tried again


def test_where_no_process_can_be_started_the_training_goes_on_alone(
    shared: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    batch = batch_of(shared.model)
    assert_equal(network(cell="lstm").training_gradients(*batch), shared.training_gradients(*batch))
    assert not shared.members


def test_after_a_failure_here_the_next_batch_gets_its_own_answers(
    what: str, shared: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, other = batch_of(shared.model, 7), batch_of(shared.model, 8)
    shared.training_gradients(*batch)
    with monkeypatch.context() as broken:
        broken.setattr(LanguageModel, "training_gradients", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shared.training_gradients(*other)
    assert_equal(network(cell="lstm").training_gradients(*batch), shared.training_gradients(*batch))


def interrupted(*arguments: object, **options: object) -> None:
    raise KeyboardInterrupt


def test_the_model_keeps_its_parameters_after_the_team(shared: Team) -> None:
    batch = batch_of(shared.model)
    shared.training_gradients(*batch)
    shared.close()
    gc.collect()
    assert_equal(network(cell="lstm").training_gradients(*batch), shared.model.training_gradients(*batch))


def test_no_process_outlives_a_team_that_is_dropped() -> None:
    together = Team(network())
    together.training_gradients(*batch_of(together.model))
    processes = [member.process for member in together.members]
    del together
    gc.collect()
    assert [process.returncode for process in processes] == [0, 0]


KILLED = """
import os, signal
import numpy as np
from rnn_core import LanguageModel, ModelConfig
from rnn_core.parallel.team import Team

team = Team(LanguageModel(ModelConfig(cell="gru", vocabulary_size=9, hidden_size=64)))
ids = np.zeros((100, 24), int)
team.training_gradients(ids, ids)
print(*(member.process.pid for member in team.members), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_process_outlives_the_one_that_was_killed() -> None:
    process = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL
    pids = [int(pid) for pid in process.stdout.split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "a member lives on without its team"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_training_shares_its_batches_and_leaves_no_process() -> None:
    words = np.random.default_rng(0).integers(0, 9, (24, 6))
    corpus = prepare_sentences([[f"w{word}" for word in line] for line in words], "made up", TextSettings())
    settings = TrainingSettings(batch_size=6, epochs=None, steps=5, sample_every_seconds=None)
    ends = []
    for threads in ("3", "1"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RNN_CORE_THREADS", threads)
            model = new_model(ModelConfig(cell="gru", vocabulary_size=len(corpus.vocabulary), hidden_size=8), settings)
            events = list(train(model, corpus, settings))
            ends.append((events, model.params))
    assert [event.kind for event in ends[0][0]] == [event.kind for event in ends[1][0]]
    for name, value in ends[0][1].items():
        np.testing.assert_allclose(value, ends[1][1][name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_a_training_that_is_dropped_half_way_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    honest = team._Member
    monkeypatch.setattr(team, "_Member", lambda *arguments: started.append(honest(*arguments)) or started[-1])
    words = np.random.default_rng(0).integers(0, 9, (24, 6))
    corpus = prepare_sentences([[f"w{word}" for word in line] for line in words], "made up", TextSettings())
    settings = TrainingSettings(batch_size=6, sample_every_seconds=None, horizon_every_seconds=None)
    model = new_model(ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=8), settings)
    events = train(model, corpus, settings)
    while next(events).kind != "step_done":
        pass
    assert [member.process.poll() for member in started] == [None, None]
    events.close()
    assert [member.process.poll() for member in started] == [0, 0]
