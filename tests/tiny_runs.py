"""Runs so small that a test can train, kill and compare dozens of them."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from waiting import HANG_SECONDS, wait_for

from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.data import PreparedCorpus, agreement_sentences, prepare_sentences
from rnn_core.runs import Run, checkpoints, create_run
from rnn_core.runs.layout import checkpoint_specs
from rnn_core.runs.worker import work

# Events that the settings alone decide; the others come by the clock, or from people.
OF_THE_TRAINING = ("validated", "epoch_done", "learning_rate_changed", "finished")


def tiny_corpus(sentences: int = 60, gap: int = 3) -> PreparedCorpus:
    return prepare_sentences(agreement_sentences(gap, sentences), "agreement", TextSettings())


def tiny_run(
    folder: Path, *, corpus: PreparedCorpus | None = None, model: dict[str, Any] | None = None, **training: Any
) -> Run:
    """A run of a network with 8 units, ready to be worked on; pictures by the clock are off unless asked for."""
    corpus = corpus or tiny_corpus()
    quiet = {"sample_every_seconds": None, "horizon_every_seconds": None, "batch_size": 8, "epochs": 3}
    config = {"cell": "lstm", "hidden_size": 8, "vocabulary_size": len(corpus.vocabulary)}
    return create_run(
        folder,
        "tiny",
        corpus,
        ModelConfig(**{**config, **(model or {})}),
        TrainingSettings(**{**quiet, **training}),
        TextSettings(),
    )


def ending(run: Run) -> dict[str, Any]:
    """Everything that two runs with the same settings must have in common, whatever happened to their processes."""
    checkpoint = checkpoints.load_newest(run.folder, checkpoint_specs(run.config))
    assert checkpoint is not None
    counters = dict(checkpoint.state["training"])
    del counters["elapsed_seconds"]
    metrics = run.metrics()
    for by_the_clock in ("tokens_per_second", "elapsed_seconds"):
        del metrics[by_the_clock]
    events = [
        {key: value for key, value in event.items() if key not in ("id", "time", "elapsed_seconds")}
        for event in run.events(kinds=OF_THE_TRAINING)
    ]
    return {"arrays": checkpoint.arrays, "counters": counters, "metrics": metrics, "events": events}


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Names of what is not the same to the last bit; [] for two endings that are."""
    found = [name for name in ("counters", "events") if one[name] != other[name]]
    for part in ("arrays", "metrics"):
        if one[part].keys() != other[part].keys():
            found.append(part)
            continue
        found += [
            f"{part}: {name}"
            for name, values in one[part].items()
            if values.dtype != other[part][name].dtype or not np.array_equal(values, other[part][name])
        ]
    return found


class Workers:
    """Processes that work on runs. They are forked from one that has everything imported, so that each starts at once.

    A worker is a process of its own in every other way: it holds the lock, and `os.kill` ends it.
    """

    def __init__(self) -> None:
        self.server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def start(self, folder: Path) -> int:
        """Start a worker on a run; returns its pid."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(f"{folder}\n")
        return int(self.server.stdout.readline())

    def close(self) -> None:
        assert self.server.stdin is not None
        self.server.stdin.close()
        self.server.wait(timeout=HANG_SECONDS)


def wait_for_heartbeat(*runs: Run) -> None:
    """Until each of these runs' workers has committed all it knows at this moment."""
    for run in runs:
        last = heartbeat(run)
        wait_for(lambda: heartbeat(run) > last, "a heartbeat")  # noqa: B023 - it is waited for here


def heartbeat(run: Run) -> float:
    with contextlib.closing(sqlite3.connect(run.folder / "events.sqlite")) as history:
        (at,) = history.execute("SELECT heartbeat FROM status").fetchone()
    return float(at)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def serve() -> None:
    """Read folders from standard input; work on each in a child. The children end with whoever asked for them."""
    children: set[int] = set()

    def reap(*_: Any) -> None:
        for pid in list(children):
            # A child that ends while this very loop is under way is reaped by the handler's own.
            with contextlib.suppress(ChildProcessError):
                if not os.waitpid(pid, os.WNOHANG)[0]:
                    continue
            children.discard(pid)

    signal.signal(signal.SIGCHLD, reap)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            with contextlib.suppress(BaseException):
                work(line.rstrip("\n"))
            os._exit(0)
        children.add(pid)
        print(pid, flush=True)
        reap()
    for pid in list(children):
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve()
