"""Processes that share a batch: the same gradients, the same bits each time, and nothing lost with one that is lost."""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import tiny_run
from waiting import HANG_SECONDS, wait_for

from rnn_core import LanguageModel, ModelConfig, Network, NetworkConfig
from rnn_core.arrays import Array
from rnn_core.config import TextSettings, TrainingSettings
from rnn_core.data import PreparedCorpus, prepare_sentences
from rnn_core.nn.gradients import to_dense
from rnn_core.parallel import DataParallel, data_parallel, worker
from rnn_core.parallel.processes import processes_for
from rnn_core.parallel.shards import split
from rnn_core.reference.small_networks import small_batch
from rnn_core.training import new_model, train

pytestmark = pytest.mark.process

NETWORKS = [
    {"cell": "tanh"},
    {"cell": "relu", "bias": False, "vocabulary_size": 5},
    {"cell": "lstm", "layers": 2, "embedding_size": 12},
    {"cell": "gru", "embedding_size": 16, "tied": True},
    {"cell": "gru", "gru_reset": "before"},
]
every_network = pytest.mark.parametrize("options", NETWORKS, ids=str)


def network(**options: Any) -> LanguageModel:
    config = ModelConfig(**({"cell": "tanh", "vocabulary_size": 37, "hidden_size": 16} | options))
    return LanguageModel(config, np.random.default_rng(0), np.float64)


@pytest.fixture
def parallel() -> Iterator[DataParallel]:
    with DataParallel(network(cell="lstm"), processes=3) as wrapped:
        yield wrapped


@pytest.fixture(scope="module")
def lasting() -> Iterator[DataParallel]:
    """For the tests that leave its processes alive."""
    with DataParallel(network(cell="lstm"), processes=3) as wrapped:
        yield wrapped


def copy_of(model: LanguageModel) -> LanguageModel:
    return LanguageModel(model.config, params={name: value.copy() for name, value in model.params.items()})


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
def test_sharing_a_batch_changes_nothing_but_rounding(options: dict[str, Any]) -> None:
    alone, shared = network(**options), network(**options)
    start = [np.random.default_rng(depth).standard_normal(layer.shape) for depth, layer in enumerate(state_of(alone))]
    with DataParallel(shared, processes=3) as parallel:
        # Not all shards are of one size, and the last batch has none for the third process.
        for sequences, truncate in ((7, None), (7, 3), (6, None), (2, 3)):
            batch, state = batch_of(alone, sequences), [layer[:sequences] for layer in start]
            assert_equal(
                alone.training_gradients(*batch, truncate=truncate, state=state),
                parallel.training_gradients(*batch, truncate=truncate, state=state),
            )
        assert len(parallel.workers) == 2


def state_of(model: LanguageModel) -> list[Array]:
    return model.initial_state(7)


def test_a_batch_that_is_shared_has_the_gradients_of_the_whole() -> None:
    """Also where one process has far more of the tokens than the other."""
    batch = small_batch(37, 9, 6)
    mask = np.ones_like(batch[0])
    mask[2:, ::2] = 0
    with DataParallel(network(cell="gru"), processes=2) as parallel:
        assert_equal(
            network(cell="gru").training_gradients(batch[0], batch[1], mask),
            parallel.training_gradients(batch[0], batch[1], mask),
        )
        assert len(parallel.workers) == 1


def test_loss_weights_that_are_shared_weigh_as_in_the_whole() -> None:
    """Also where a process has no loss that counts, and where none counts at all."""
    batch = batch_of(network(cell="gru"), 6)
    weights = np.random.default_rng(1).random(batch[0].shape)
    for drop in (slice(0, 0), slice(0, None, 2), slice(None)):
        weights[:, drop] = 0
        with DataParallel(network(cell="gru"), processes=2) as parallel:
            assert_equal(
                network(cell="gru").training_gradients(*batch, loss_weights=weights),
                parallel.training_gradients(*batch, loss_weights=weights),
            )
            assert len(parallel.workers) == 1


def test_a_network_that_is_no_language_model_is_shared_too() -> None:
    config = NetworkConfig(cell="lstm", input_size=3, outputs=2, loss="squared_error", hidden_size=16)
    alone, shared = (Network(config, np.random.default_rng(0), np.float64) for _ in range(2))
    rng = np.random.default_rng(2)
    inputs, targets = rng.standard_normal((9, 6, 3)), rng.standard_normal((9, 6, 2))
    with DataParallel(shared, processes=2) as parallel:
        assert_equal(alone.training_gradients(inputs, targets), parallel.training_gradients(inputs, targets))
        assert len(parallel.workers) == 1


def test_an_update_is_seen_by_every_process(lasting: DataParallel) -> None:
    batch, alone = batch_of(lasting.model), copy_of(lasting.model)
    lasting.training_gradients(*batch)
    for model in (lasting.model, alone):
        for value in model.params.values():
            value *= 1.1
    assert_equal(alone.training_gradients(*batch), lasting.training_gradients(*batch))
    assert len(lasting.workers) == 2


def test_parameters_that_are_replaced_are_seen_by_every_process(lasting: DataParallel) -> None:
    batch, alone = batch_of(lasting.model), copy_of(lasting.model)
    lasting.training_gradients(*batch)
    for model in (lasting.model, alone):
        model.params["W"] = 1.1 * model.params["W"]
    assert_equal(alone.training_gradients(*batch), lasting.training_gradients(*batch))
    assert len(lasting.workers) == 2


def test_a_shard_without_a_token_changes_nothing(lasting: DataParallel) -> None:
    inputs, targets, mask = batch_of(lasting.model)
    mask = np.array(mask)
    mask[:, 1::3] = 0
    assert_equal(
        copy_of(lasting.model).training_gradients(inputs, targets, mask),
        lasting.training_gradients(inputs, targets, mask),
    )
    assert len(lasting.workers) == 2


def digest(dropout: float) -> list[bytes]:
    model = network(cell="gru", dropout=dropout)
    with DataParallel(model, processes=3) as parallel:
        loss, gradients, _ = parallel.training_gradients(*batch_of(model), dropout_rng=np.random.default_rng(5))
        return [np.float64(loss).tobytes(), *(to_dense(gradients[name]).tobytes() for name in sorted(gradients))]


def test_the_same_bits_each_time() -> None:
    assert digest(dropout=0.5) == digest(dropout=0.5)


def test_every_process_drops_units_of_its_own() -> None:
    one_word = np.full((4, 6), 3)
    shards = split(3, one_word, one_word, None, None, None, np.random.default_rng(1))
    drawn = {shard.dropout_rng.random() for shard in shards if shard.dropout_rng is not None}
    assert len(drawn) == 3


def test_a_batch_without_a_token_has_no_gradient(lasting: DataParallel) -> None:
    inputs, targets, mask = batch_of(lasting.model)
    loss_nats, gradients, _ = lasting.training_gradients(inputs, targets, np.zeros_like(mask))
    assert loss_nats == 0
    assert not any(to_dense(gradient).any() for gradient in gradients.values())


def test_a_worker_that_runs_out_of_memory_says_so(parallel: DataParallel) -> None:
    """What the training makes of a MemoryError here, it makes of one there."""
    parallel.training_gradients(*small_batch(37, 9, 800))
    pid = parallel.workers[1].process.pid
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    resource.prlimit(pid, resource.RLIMIT_AS, (pages * resource.getpagesize(),) * 2)
    with pytest.raises(MemoryError):
        parallel.training_gradients(*small_batch(37, 36, 2400))
    assert not parallel.lost_worker
    batch = batch_of(parallel.model)
    assert_equal(network(cell="lstm").training_gradients(*batch), parallel.training_gradients(*batch))
    assert len(parallel.workers) == 2


def test_a_batch_is_shared_where_that_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    def processes(cell: str, words: int, units: int, steps: int, sequences: int) -> int:
        return processes_for(ModelConfig(cell=cell, vocabulary_size=words, hidden_size=units), steps, sequences)

    monkeypatch.setenv("RNN_CORE_THREADS", "4")
    assert processes("lstm", 65, 128, 50, 32) == 4
    assert processes("lstm", 65, 128, 50, 16) == 2
    assert processes("lstm", 65, 128, 50, 15) == 1
    assert processes("lstm", 65, 16, 10, 32) == 1
    assert processes("tanh", 8000, 100, 20, 32) == 1  # threads share the words
    assert processes("lstm", 4000, 200, 20, 32) == 4
    assert processes("lstm", 8000, 100, 20, 32) == 1
    monkeypatch.setenv("RNN_CORE_THREADS", "1")
    assert processes("lstm", 65, 128, 50, 32) == 1


def test_a_regulariser_over_the_whole_batch_stays_in_one_process(parallel: DataParallel) -> None:
    parallel.model = network()
    batch = batch_of(parallel.model)
    assert_equal(network().training_gradients(*batch, omega=0.1), parallel.training_gradients(*batch, omega=0.1))
    assert not parallel.workers


@pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
@pytest.mark.parametrize("sequences", [7, 5000], ids=["small batch", "batch larger than a pipe holds"])
def test_the_training_goes_on_without_a_worker_that_is(
    what: signal.Signals, sequences: int, parallel: DataParallel
) -> None:
    batch = small_batch(37, 9, sequences)
    alone = network(cell="lstm").training_gradients(*batch)
    parallel.training_gradients(*batch)
    for each in parallel.workers:  # From here on: on a busy machine the first answers take their time.
        worker._limit_waits(each.connection, 1)
    process = parallel.workers[1].process
    os.kill(process.pid, what)
    wait_until_it_does_nothing(process.pid)
    assert_equal(alone, parallel.training_gradients(*batch))
    assert process.returncode == -signal.SIGKILL
    assert not parallel.workers
    assert_equal(alone, parallel.training_gradients(*batch))
    assert not parallel.workers  # it is not tried again


def test_an_answer_is_waited_for_as_long_as_is_promised_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    limit = worker._limit_waits
    monkeypatch.setattr(worker, "_limit_waits", lambda end, seconds: (waits.append(seconds), limit(end, seconds)))
    with DataParallel(network(), processes=2) as parallel:
        parallel.training_gradients(*batch_of(network()))
    assert waits == [worker.START_SECONDS, worker.ANSWER_SECONDS]
    assert worker.ANSWER_SECONDS <= 5  # docs/promises.md


def wait_until_it_does_nothing(pid: int) -> None:
    wait_for(lambda: state_of_process(pid) in "TZ")


def wait_until_it_has_ended(pid: int) -> None:
    wait_for(lambda: state_of_process(pid) == "Z")


def state_of_process(pid: int) -> str:
    """ "R" running, "S" sleeping, "T" stopped, "Z" ended; "Z" too where there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "Z"


def test_a_run_whose_worker_process_is_stopped_still_hears_that_it_is_to_stop(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", model={"hidden_size": 160}, batch_size=32, epochs=10_000)
    trainer = subprocess.Popen(
        [sys.executable, "-m", "rnn_core", "resume", str(run.folder)],
        env={**os.environ, "RNN_CORE_THREADS": "2"},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: run.status().step > 2)
        (worker,) = children_of(trainer.pid)
        os.kill(worker, signal.SIGSTOP)
        wait_until_it_does_nothing(worker)
        trainer.terminate()
        trainer.wait(timeout=HANG_SECONDS)
    finally:
        trainer.kill()
    assert run.status().state == "stopped"
    wait_until_it_has_ended(worker)


def children_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in children.split()]


def test_where_no_process_can_be_started_the_training_goes_on_alone(
    parallel: DataParallel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    batch = batch_of(parallel.model)
    assert_equal(network(cell="lstm").training_gradients(*batch), parallel.training_gradients(*batch))
    assert not parallel.workers


def test_after_a_failure_here_the_next_batch_gets_its_own_answers(
    parallel: DataParallel, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, other = batch_of(parallel.model, 7), batch_of(parallel.model, 8)
    parallel.training_gradients(*batch)
    with monkeypatch.context() as broken:
        broken.setattr(LanguageModel, "training_gradients", interrupted)
        with pytest.raises(KeyboardInterrupt):
            parallel.training_gradients(*other)
    assert_equal(network(cell="lstm").training_gradients(*batch), parallel.training_gradients(*batch))


def interrupted(*arguments: object, **options: object) -> None:
    raise KeyboardInterrupt


def test_the_model_keeps_its_parameters_when_the_workers_have_ended(parallel: DataParallel) -> None:
    batch = batch_of(parallel.model)
    parallel.training_gradients(*batch)
    parallel.close()
    gc.collect()
    assert_equal(network(cell="lstm").training_gradients(*batch), parallel.model.training_gradients(*batch))


def test_no_worker_outlives_a_wrapper_that_is_dropped() -> None:
    parallel = DataParallel(network(), processes=3)
    parallel.training_gradients(*batch_of(parallel.model))
    processes = [worker.process for worker in parallel.workers]
    del parallel
    gc.collect()
    assert [process.returncode for process in processes] == [-signal.SIGKILL] * 2


KILLED = """
import os, signal
import numpy as np
from rnn_core import LanguageModel, ModelConfig, Network, NetworkConfig
from rnn_core.parallel import DataParallel

model = LanguageModel(ModelConfig(cell="gru", vocabulary_size=9, hidden_size=64))
parallel, ids = DataParallel(model, processes=3), np.zeros((9, 6), int)
parallel.training_gradients(ids, ids)
print(*(worker.process.pid for worker in parallel.workers), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_worker_outlives_the_process_that_was_killed() -> None:
    process = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL
    pids = [int(pid) for pid in process.stdout.split()]
    assert len(pids) == 2
    for pid in pids:
        wait_until_it_has_ended(pid)


@pytest.fixture
def shared_by_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any training shares its batches."""
    monkeypatch.setattr(data_parallel, "processes_for", lambda config, steps, sequences: min(3, sequences))


def made_up_corpus() -> PreparedCorpus:
    words = np.random.default_rng(0).integers(0, 9, (24, 6))
    return prepare_sentences([[f"w{word}" for word in line] for line in words], "made up", TextSettings())


def test_a_training_shares_its_batches(shared_by_three: None, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = made_up_corpus()
    settings = TrainingSettings(
        batch_size=6, epochs=None, steps=5, sample_every_seconds=None, horizon_every_seconds=None
    )
    ends = []
    for _ in range(2):
        model = new_model(ModelConfig(cell="gru", vocabulary_size=len(corpus.vocabulary), hidden_size=8), settings)
        events = list(train(model, corpus, settings))
        ends.append((events, model.params))
        monkeypatch.setattr(data_parallel, "processes_for", lambda *shape: 1)
    assert [event.kind for event in ends[0][0]] == [event.kind for event in ends[1][0]]
    for name, value in ends[0][1].items():
        np.testing.assert_allclose(value, ends[1][1][name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_a_training_says_that_it_goes_on_without_a_process(
    shared_by_three: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    honest = data_parallel.Worker
    monkeypatch.setattr(data_parallel, "Worker", lambda *arguments: started.append(honest(*arguments)) or started[-1])
    corpus = made_up_corpus()
    settings = TrainingSettings(batch_size=6, epochs=None, steps=6, sample_every_seconds=None)
    kinds = []
    for event in train(new_model(ModelConfig(vocabulary_size=len(corpus.vocabulary)), settings), corpus, settings):
        kinds.append(event.kind)
        if event.kind == "step_done" and event.step == 3:
            started[0].process.kill()
            started[0].process.wait()
    assert kinds.count("process_lost") == 1
    assert kinds[-1] == "finished"


def test_a_training_that_is_dropped_half_way_leaves_no_process(
    shared_by_three: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    honest = data_parallel.Worker
    monkeypatch.setattr(data_parallel, "Worker", lambda *arguments: started.append(honest(*arguments)) or started[-1])
    corpus = made_up_corpus()
    settings = TrainingSettings(batch_size=6, sample_every_seconds=None, horizon_every_seconds=None)
    model = new_model(ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=8), settings)
    events = train(model, corpus, settings)
    while next(events).kind != "step_done":
        pass
    assert [worker.process.poll() for worker in started] == [None, None]
    events.close()
    assert [worker.process.poll() for worker in started] == [-signal.SIGKILL] * 2
