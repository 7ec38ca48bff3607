"""Words per second of whole training steps: rnn_core beside PyTorch (eager), JAX (jit) and the tutorial's NumPy.

    pip install -r benchmarks/requirements.txt      # the peers; without them only rnn_core is measured
    python benchmarks/train_speed.py [--seconds 0.5] [--rounds 9] [--rows tanh,lstm,gru,tutorial,together]

A step is forward, loss, full back-propagation, clipping by global norm and SGD, in float32, on random words. All start
from the same weights and must agree on the loss after ten steps to 1e-4, or the benchmark stops. Runs are interleaved;
a ratio is the median over the rounds of the ratio within a round. Run it on an idle machine: a second busy process
slows PyTorch tenfold.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import machine
import numpy as np
import peers
from peers import Step

from rnn_core import LanguageModel, ModelConfig
from rnn_core.threads import run_parallel, thread_count

AGREEMENT_NATS = 1e-4
SPAWN = get_context("spawn")


class Row(NamedTuple):
    """One line of the table: N words, H units, B sequences of T steps."""

    words: int
    hidden: int
    batch: int
    steps: int

    def __str__(self) -> str:
        return f"{self.words}, {self.hidden}, {self.batch}, {self.steps}"


ROWS = [
    Row(8000, 100, 32, 20),
    Row(10000, 200, 20, 35),
    Row(2000, 64, 16, 20),
    Row(65, 128, 32, 50),
    Row(8000, 100, 1, 20),
]
GATED_ROWS = [ROWS[0], ROWS[1], ROWS[3]]
WAYS: dict[str, Callable[..., Step]] = {
    "one core": peers.one_core_step,
    "threads": peers.threads_step,
    "processes": peers.processes_step,
}
SIDE_BY_SIDE = 96
"""Sentences in a batch of the tutorial's model."""


class Batches:
    """A few batches of random words, the same for everyone, over and over."""

    def __init__(self, row: Row) -> None:
        rng = np.random.default_rng(1)
        shape = (row.steps, row.batch)
        self.all = [(rng.integers(0, row.words, shape), rng.integers(0, row.words, shape)) for _ in range(8)]
        self.tokens = row.steps * row.batch

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.all[index % len(self.all)]


class Runner:
    """One implementation in a process of its own, as its users run it: no library's threads or allocator touch
    another's.
    """

    def __init__(self, make: Callable[..., Step], arguments: tuple[Any, ...], row: Row) -> None:
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_serve, args=(theirs, make, arguments, row), daemon=True)
        self._process.start()

    def losses(self, steps: int) -> list[float]:
        """Take so many steps."""
        self._pipe.send(("losses", steps))
        return self._pipe.recv()

    def words_per_second(self, seconds: float) -> float:
        self.start(seconds)
        return self.speed()

    def start(self, seconds: float) -> None:
        """Train for so long; `speed` waits for the end."""
        self._pipe.send(("speed", seconds))

    def speed(self) -> float:
        return self._pipe.recv()

    def close(self) -> None:
        self._pipe.send(("end", 0))
        self._process.join()


def _serve(pipe: Connection, make: Callable[..., Step], arguments: tuple[Any, ...], row: Row) -> None:
    step, batches = make(*arguments), Batches(row)
    while True:
        wish, amount = pipe.recv()
        if wish == "end":
            return
        pipe.send([step(*batches[k]) for k in range(amount)] if wish == "losses" else _speed(step, batches, amount))


def _speed(step: Step, batches: Batches, seconds: float) -> float:
    count, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        step(*batches[count])
        count += 1
    return count * batches.tokens / elapsed


def measure(runners: dict[str, Runner], seconds: float, rounds: int) -> dict[str, np.ndarray]:
    """Words per second of every implementation in every round; they take turns, starting with another one each time."""
    names = list(runners)
    for name in names:
        runners[name].words_per_second(seconds)
    speeds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            speeds[name].append(runners[name].words_per_second(seconds))
    return {name: np.array(values) for name, values in speeds.items()}


def check_equal_work(last: dict[str, float], row: Row) -> None:
    """All compute the same: the loss before the eleventh step agrees."""
    for name, loss in last.items():
        difference = abs(loss - last["rnn_core"])
        if not difference <= AGREEMENT_NATS:
            raise SystemExit(f"{row}: {name} has loss {loss}, rnn_core {last['rnn_core']}: this is not the same work.")


def matrix_products_alone(config: ModelConfig, row: Row) -> Step:
    """The floor: the products of one step and nothing else, on the same threads and in the same sizes."""
    rng = np.random.default_rng(0)
    model = LanguageModel(config)
    H, gates, tokens, threads = row.hidden, len(model.cell.gates), row.steps * row.batch, thread_count()

    def matrix(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    hidden, V, W, state = matrix(tokens, H), matrix(row.words, H), matrix(gates * H, H), matrix(row.batch, H)
    W_T, drive = W.T.copy(), matrix(tokens, gates * H)
    logits = [matrix(tokens // threads, row.words) for _ in range(threads)]

    def share(thread: int) -> None:
        rows = slice(tokens * thread // threads, tokens * thread // threads + tokens // threads)
        block = logits[thread]
        np.matmul(hidden[rows], V.T, out=block)
        block @ V
        block.T @ hidden[rows]
        # dW, and for the embedding's matrix U: forward, its own gradient, and that of the vectors.
        for _ in range(4):
            drive[rows].T @ hidden[rows]

    def step(inputs: np.ndarray, targets: np.ndarray) -> float:
        run_parallel(share, threads)
        for _ in range(row.steps):
            product = state @ W_T
        for _ in range(row.steps):
            product @ W
        return 0.0

    return step


def compare(cell: str, rows: list[Row], seconds: float, rounds: int) -> list[dict[str, float]]:
    """One table; returns its ratios, by the name of what rnn_core is compared with, for every row.

    Beside rnn_core as it is, what its parallelism gives: on one core; with its threads alone; and with processes that
    share the sequences, also where it would not choose them.
    """
    others = peers.installed_peers()
    title = " | ".join([*WAYS, *others, *(f"rnn_core / {name}" for name in others), "floor reached"])
    print(f"\n**{cell}**\n\n| N, H, B, T | rnn_core | {title} |")
    print("|" + "---|" * (3 + len(WAYS) + 2 * len(others)))
    found = []
    for row in rows:
        config = ModelConfig(cell=cell, vocabulary_size=row.words, hidden_size=row.hidden, embedding_size=row.hidden)
        params = LanguageModel(config, np.random.default_rng(0)).params
        makers = {"rnn_core": peers.rnn_core_step} | WAYS | others
        runners = {name: Runner(make, (config, params), row) for name, make in makers.items()}
        check_equal_work({name: runner.losses(11)[-1] for name, runner in runners.items()}, row)
        runners["floor"] = Runner(matrix_products_alone, (config, row), row)
        speeds = measure(runners, seconds, rounds)
        for runner in runners.values():
            runner.close()
        ratios = {name: float(np.median(speeds["rnn_core"] / speeds[name])) for name in [*others, "floor"]}
        columns = [f"{np.median(speeds[name]):,.0f}" for name in makers]
        columns += [f"{ratios[name]:.2f}" for name in others]
        print(f"| {row} | {' | '.join(columns)} | {ratios['floor']:.2f} |", flush=True)
        found.append(ratios)
    return found


def judge(found: dict[str, list[dict[str, float]]]) -> None:
    """What was to be reached, and whether it was; nothing of peers that are not installed."""
    print("\n**Goals**\n")
    against_pytorch = []
    for cell, rows in found.items():
        for row, ratios in zip(ROWS if cell == "tanh" else GATED_ROWS, rows, strict=True):
            against_pytorch += [ratios["PyTorch"]] if "PyTorch" in ratios else []
            rivals = ("PyTorch", "JAX") if cell == "tanh" else ("PyTorch",)
            if rival := min((name for name in rivals if name in ratios), key=ratios.__getitem__, default=None):
                print(machine.goal(f"{cell} {row}, of {rival},", 1.0, ratios[rival]))
            if cell == "tanh" and row in ROWS[:2]:
                print(machine.goal(f"{cell} {row}, of the matrix products alone,", 0.7, ratios["floor"]))
    if against_pytorch:
        mean = float(np.exp(np.mean(np.log(against_pytorch))))
        print(machine.goal(f"of PyTorch, geometric mean over {len(against_pytorch)} rows,", 1.5, mean))


def compare_with_tutorial(seconds: float, rounds: int) -> None:
    """One-hot input, no biases: the tutorial's own model and loop, one sentence at a time, beside ours: the same, and
    with SIDE_BY_SIDE sentences, as one would train that model here.
    """
    row = ROWS[4]
    config = ModelConfig(cell="tanh", vocabulary_size=row.words, hidden_size=row.hidden, bias=False)
    params = LanguageModel(config, np.random.default_rng(0)).params
    print("\n**The tutorial's model, words per second**\n")
    ways = f"rnn_core, one sentence at a time | ratio | rnn_core, {SIDE_BY_SIDE} at a time"
    print(f"| truncation | tutorial | {ways} | ratio |")
    print("|" + "---|" * 6)
    goals = []
    for name, truncate in (("full", None), ("4", 4)):
        theirs = (params, row.steps if truncate is None else truncate)
        ours = (config, params, truncate)
        checked = {
            "rnn_core": Runner(peers.rnn_core_step, ours, row),
            "tutorial": Runner(peers.tutorial_step, (*theirs, True), row),
        }
        check_equal_work({name: runner.losses(11)[-1] for name, runner in checked.items()}, row)
        runners = {
            "tutorial": Runner(peers.tutorial_step, theirs, row),
            "one": Runner(peers.rnn_core_step, ours, row),
            "many": Runner(peers.rnn_core_step, ours, row._replace(batch=SIDE_BY_SIDE)),
        }
        speeds = measure(runners, seconds, min(rounds, 3))
        for runner in [*checked.values(), *runners.values()]:
            runner.close()
        columns = [name, f"{np.median(speeds['tutorial']):,.0f}"]
        for way in ("one", "many"):
            columns += [f"{np.median(speeds[way]):,.0f}", f"{np.median(speeds[way] / speeds['tutorial']):.0f}"]
        print(f"| {' | '.join(columns)} |", flush=True)
        ratio = float(np.median(speeds["many"] / speeds["tutorial"]))
        goals.append(machine.goal(f"truncation {name}, of the tutorial,", 100, ratio))
    print("\n" + "\n".join(goals))


def compare_together(seconds: float, rounds: int) -> None:
    """Two trainings at once, each with all the threads it would take alone: what both do together, of one alone."""
    makers = {"rnn_core": peers.rnn_core_step} | peers.installed_peers()
    print("\n**Two trainings at once: words per second of both, as a share of one alone**\n")
    print(f"| N, H, B, T | {' | '.join(makers)} |\n|" + "---|" * (1 + len(makers)))
    for row in (ROWS[0], ROWS[3]):
        config = ModelConfig(cell="tanh", vocabulary_size=row.words, hidden_size=row.hidden, embedding_size=row.hidden)
        params = LanguageModel(config, np.random.default_rng(0)).params
        columns = []
        for make in makers.values():
            pair = [Runner(make, (config, params), row) for _ in range(2)]
            shares = []
            for _ in range(rounds + 1):
                alone = pair[0].words_per_second(seconds)
                for runner in pair:
                    runner.start(seconds)
                shares.append(sum(runner.speed() for runner in pair) / alone)
            for runner in pair:
                runner.close()
            columns.append(f"{np.median(shares[1:]):.2f}")  # the first round is the warm-up
        print(f"| {row} | {' | '.join(columns)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Words per second of whole training steps.")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one implementation in one round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rows", default="tanh,lstm,gru,tutorial,together", help="which tables")
    arguments = parser.parse_args()
    wanted = arguments.rows.split(",")
    print(machine.describe())
    found: dict[str, list[dict[str, float]]] = {}
    tables: dict[str, list[Row]] = {"tanh": ROWS, "lstm": GATED_ROWS, "gru": GATED_ROWS}
    for cell, rows in tables.items():
        if cell in wanted:
            found[cell] = compare(cell, rows, arguments.seconds, arguments.rounds)
    if found:
        judge(found)
    if "tutorial" in wanted:
        compare_with_tutorial(arguments.seconds, arguments.rounds)
    if "together" in wanted:
        compare_together(max(1.0, arguments.seconds), min(arguments.rounds, 5))


if __name__ == "__main__":
    main()
