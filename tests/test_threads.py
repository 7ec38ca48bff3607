"""Threads: how many, that their number changes nothing but rounding, and that the same number gives the same bits."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits
from waiting import HANG_SECONDS

from rnn_core import LanguageModel, ModelConfig, threads
from rnn_core.nn import softmax
from rnn_core.nn.gradients import to_dense
from rnn_core.optim.clipping import clip_by_global_norm
from rnn_core.optim.optimizers import OPTIMIZERS, make_optimizer
from rnn_core.reference.small_networks import small_batch

NETWORKS = [
    {"cell": "tanh"},
    {"cell": "tanh", "vocabulary_size": 11},
    {"cell": "lstm", "layers": 2, "embedding_size": 12},
    {"cell": "gru", "embedding_size": 16, "tied": True},
]
every_network = pytest.mark.parametrize("options", NETWORKS, ids=str)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Threads take part in the smallest product and the smallest update."""
    monkeypatch.setattr(threads, "WORTH_A_THREAD", 0)
    monkeypatch.setattr(threads, "NUMBERS_WORTH_A_THREAD", 0)
    monkeypatch.setattr(threads, "CACHED_NUMBERS", 64)
    monkeypatch.setattr(softmax, "MANY_WORDS", 0)
    return monkeypatch


def training_step(options: dict, optimizer: str = "adam", truncate: int | None = None) -> tuple[float, float, dict]:
    """Loss, gradient norm and parameters after one clipped update of a fresh float64 network."""
    config = ModelConfig(**({"vocabulary_size": 37, "hidden_size": 16} | options))
    model = LanguageModel(config, np.random.default_rng(0), np.float64)
    batch = small_batch(config.vocabulary_size, 9, 5, mask="anywhere")
    loss, gradients, _ = model.training_gradients(*batch, truncate=truncate)
    norm, scale = clip_by_global_norm(gradients, 0.1)
    make_optimizer(optimizer, model.params, 0.01).update(model.params, gradients, 0.01, scale)
    return loss, norm, model.params


def assert_same_to_rounding(one: tuple[float, float, dict], other: tuple[float, float, dict]) -> None:
    assert one[0] == pytest.approx(other[0], rel=1e-13)
    assert one[1] == pytest.approx(other[1], rel=1e-11)
    for name, value in one[2].items():
        np.testing.assert_allclose(other[2][name], value, rtol=1e-8, atol=1e-9, err_msg=name)


@every_network
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_any_number_of_threads_gives_the_same_to_rounding(
    eager: pytest.MonkeyPatch, options: dict, optimizer: str
) -> None:
    eager.setenv("RNN_CORE_THREADS", "1")
    alone = training_step(options, optimizer)
    for count in (2, 3, 5):
        eager.setenv("RNN_CORE_THREADS", str(count))
        assert_same_to_rounding(alone, training_step(options, optimizer))


@every_network
def test_any_size_of_block_gives_the_same_to_rounding(eager: pytest.MonkeyPatch, options: dict) -> None:
    whole = training_step(options)
    for count in (1, 2):
        eager.setenv("RNN_CORE_THREADS", str(count))
        for size in (1, 3 * 37 * 8, 10 * 37 * 8):
            eager.setattr(softmax, "BLOCK_BYTES", size)
            assert_same_to_rounding(whole, training_step(options))


@every_network
@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_number_of_threads_gives_the_same_bits(eager: pytest.MonkeyPatch, options: dict, count: int) -> None:
    eager.setenv("RNN_CORE_THREADS", str(count))
    eager.setattr(softmax, "BLOCK_BYTES", 10 * 37 * 8)
    loss, norm, params = training_step(options)
    for _ in range(5):
        again = training_step(options)
        assert again[:2] == (loss, norm)
        for name, value in params.items():
            np.testing.assert_array_equal(again[2][name], value, err_msg=name)


_TEN_STEPS = """
import hashlib, sys
import numpy as np
from rnn_core import LanguageModel, ModelConfig
from rnn_core.optim.clipping import clip_by_global_norm
from rnn_core.reference.small_networks import small_batch
from rnn_core.nn.gradients import to_dense
from rnn_core.optim.optimizers import make_optimizer
from rnn_core.randomness import stream

config = ModelConfig(cell="lstm", vocabulary_size=500, hidden_size=40, embedding_size=30, layers=2, dropout=0.2)
model = LanguageModel(config, stream(3, "init"))
rule, seen = make_optimizer("adam", model.params), hashlib.sha256()
for step in range(10):
    batch = small_batch(500, 30, 20, mask="behind", seed=step)
    loss, gradients, _ = model.training_gradients(*batch, dropout_rng=stream(3, "dropout", step))
    norm, scale = clip_by_global_norm(gradients, 1.0)
    for name in sorted(gradients):
        seen.update(to_dense(gradients[name]).tobytes())
    rule.update(model.params, gradients, 0.01, scale)
    seen.update(repr((loss, norm)).encode())
for name in sorted(model.params):
    seen.update(model.params[name].tobytes())
print(seen.hexdigest())
"""


def digest_of_another_process(thread_count: int) -> str:
    environment = {**os.environ, "RNN_CORE_THREADS": str(thread_count), "PYTHONHASHSEED": "random"}
    done = subprocess.run(
        [sys.executable, "-c", _TEN_STEPS],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.process
def test_the_same_seed_gives_the_same_bits_in_another_process(count: int) -> None:
    """Fresh weights, dropout, every gradient and ten clipped Adam steps of a float32 LSTM."""
    first, second = digest_of_another_process(count), digest_of_another_process(count)
    assert first == second
    assert len(first) == hashlib.sha256().digest_size * 2


# -- The pool ---------------------------------------------------------------------------------------------------------


def test_the_number_of_threads_follows_the_environment_and_else_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNN_CORE_THREADS", "3")
    assert threads.thread_count() == 3
    for senseless in ("", "0", "-2", "many", "1.5"):
        monkeypatch.setenv("RNN_CORE_THREADS", senseless)
        assert threads.thread_count() == threads.usable_cores()
    monkeypatch.delenv("RNN_CORE_THREADS")
    assert threads.thread_count() == threads.usable_cores()
    assert 1 <= threads.usable_cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin a process to cores")
@pytest.mark.process
def test_a_process_that_may_use_one_core_counts_one() -> None:
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from rnn_core.threads import thread_count; print(thread_count())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "RNN_CORE_THREADS"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_jobs_run_at_the_same_time_each_once() -> None:
    """Each waits until all four have come; one after another they would wait for ever."""
    barrier, done = threading.Barrier(4, timeout=HANG_SECONDS), []

    def work(number: int) -> None:
        barrier.wait()
        done.append(number)

    threads.run_parallel(work, 4)
    assert sorted(done) == [0, 1, 2, 3]


@pytest.mark.parametrize("failing", [0, 2])
def test_an_error_in_any_thread_is_raised_and_leaves_no_thread_waiting(failing: int) -> None:
    arrived = [threading.Event() for _ in range(3)]

    def work(number: int) -> None:
        if number == failing:
            raise ZeroDivisionError("on purpose")
        arrived[number].set()
        for event in arrived:
            assert event.wait(HANG_SECONDS)

    with pytest.raises(ZeroDivisionError, match="on purpose"):
        threads.run_parallel(work, 3, arrived)
    # The pool is as good as new.
    test_jobs_run_at_the_same_time_each_once()


def test_a_product_shared_among_threads_is_the_product(eager: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 5):
        eager.setenv("RNN_CORE_THREADS", str(count))
        for rows in (1, 2, 3, 17):
            left, right = rng.standard_normal((rows, 4)), rng.standard_normal((4, 6))
            np.testing.assert_allclose(threads.matmul(left, right), np.einsum("rk,kc->rc", left, right), rtol=1e-12)


def test_blocks_of_rows_cover_every_row_once(eager: pytest.MonkeyPatch) -> None:
    for count in (1, 2, 5):
        eager.setenv("RNN_CORE_THREADS", str(count))
        for shape in [(1,), (5,), (64,), (1000,), (3, 7), (100, 7), (2, 500)]:
            visits = np.zeros(shape, int)

            def visit(rows: slice, visits: np.ndarray = visits) -> None:
                visits[rows] += 1

            threads.for_row_blocks(visits, visit)
            np.testing.assert_array_equal(visits, 1)


def test_several_trainings_in_one_process_do_not_disturb_each_other(eager: pytest.MonkeyPatch) -> None:
    """Visitors of one server look at gradients side by side: none may wait for ever, or see another's numbers."""
    eager.setenv("RNN_CORE_THREADS", "3")
    expected = [training_step(options) for options in NETWORKS]
    failures: list[str] = []

    def train(which: int) -> None:
        for _ in range(30):
            loss, norm, params = training_step(NETWORKS[which])
            same = all(np.array_equal(value, expected[which][2][name]) for name, value in params.items())
            if (loss, norm) != expected[which][:2] or not same:
                failures.append(f"network {which} changed")

    workers = [threading.Thread(target=train, args=(which,), daemon=True) for which in range(len(NETWORKS))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=HANG_SECONDS)
    assert not any(worker.is_alive() for worker in workers), "the trainings wait for each other for ever"
    assert not failures


def test_two_who_share_the_pool_never_wait_for_each_others_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers, two callers of three threads each. If each caller got one worker, both would wait for ever."""
    tasks = threads._tasks(2)

    class SlowQueue:
        def put(self, task: Callable[[], None]) -> None:
            tasks.put(task)
            time.sleep(0.02)  # time enough for the other caller to come in between

    monkeypatch.setattr(threads, "_tasks", lambda workers: SlowQueue())

    def call() -> None:
        barrier = threading.Barrier(3)
        threads.run_parallel(lambda number: barrier.wait(), 3)

    callers = [threading.Thread(target=call, daemon=True) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=HANG_SECONDS)
    assert not any(caller.is_alive() for caller in callers)


def test_blas_gets_its_threads_back_when_the_last_user_leaves() -> None:
    def blas_threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    with threadpool_limits(limits=2, user_api="blas"):
        found = blas_threads()
        one, other = threads.one_blas_thread(), threads.one_blas_thread()
        one.__enter__()
        other.__enter__()
        assert blas_threads() == {1}
        one.__exit__(None, None, None)
        assert blas_threads() == {1}, "the other is still at work"
        other.__exit__(None, None, None)
        assert blas_threads() == found


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_updates_shared_among_threads_are_the_same_bits(eager: pytest.MonkeyPatch, optimizer: str) -> None:
    """Every number is updated on its own, so that its thread makes no difference at all."""
    results = []
    for count in ("1", "2", "4"):
        eager.setenv("RNN_CORE_THREADS", count)
        rng = np.random.default_rng(0)
        params = {"V": rng.standard_normal((50, 9))}
        rule = make_optimizer(optimizer, params, 0.1)
        for _ in range(3):
            rule.update(params, {"V": to_dense(rng.standard_normal((50, 9)))}, 0.05, scale=0.7)
        results.append(params["V"])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
