"""The memory that a training is said to need is about what its process takes."""

from __future__ import annotations

import dataclasses
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnn_core.config import ModelConfig, TaskSettings, TextSettings, TrainingSettings
from rnn_core.data import PreparedCorpus, prepare_sentences
from rnn_core.data.tasks import make_task
from rnn_core.runs import create_run, create_task_run, memory

# VmHWM and not getrusage's ru_maxrss: the latter counts the parent, which is this large process, up to the exec.
# Workers are measured before they end. (What processes share is counted in each.)
MEASURED = """
import re, sys
from rnn_core.parallel import worker
from rnn_core.runs.worker import work

def most(process):
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", open(f"/proc/{process}/status").read())[1])

def measured_end(pipe, process, end=worker._end):
    workers.append(most(process.pid))
    end(pipe, process)

workers, worker._end = [], measured_end
work(sys.argv[1])
print(len(workers), most("self") + sum(workers))
"""


def corpus_of(words: int, length: int, sentences: int) -> PreparedCorpus:
    """Every word at least once, then words at random."""
    names = [f"w{number}" for number in range(words)]
    extra = np.random.default_rng(0).integers(0, words, max(0, length * sentences - words))
    text = names + [names[number] for number in extra]
    lines = [text[start : start + length] for start in range(0, length * sentences, length)]
    return prepare_sentences(lines, "made up", TextSettings(vocabulary_size=words + 3))


def settings(**changes: Any) -> TrainingSettings:
    often = {"sample_every_seconds": 0.0, "horizon_every_seconds": 0.0}
    return TrainingSettings(**{"epochs": None, "steps": 2, **often, **changes})


@pytest.mark.parametrize(
    ("shape", "model", "training", "processes"),
    [
        ((8000, 20, 800), {"hidden_size": 100}, {}, 1),
        ((8000, 20, 800), {"hidden_size": 256}, {"optimizer": "sgd", "horizon_every_seconds": None}, 1),
        ((500, 50, 250), {"cell": "lstm", "hidden_size": 200, "layers": 2}, {"batch_size": 128}, 1),
        ((500, 50, 250), {"cell": "lstm", "hidden_size": 200, "layers": 2}, {"batch_size": 128}, 2),
        ((4000, 20, 800), {"cell": "gru", "hidden_size": 256}, {}, 3),
        ((8000, 20, 800), {"hidden_size": 100}, {"batch_size": 1, "optimizer": "sgd"}, 1),
    ],
)
@pytest.mark.process
@pytest.mark.slow
def test_a_training_takes_about_the_memory_that_was_estimated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape, model, training, processes: int
) -> None:
    monkeypatch.setenv("RNN_CORE_THREADS", str(processes))
    corpus = corpus_of(*shape)
    config = ModelConfig(vocabulary_size=len(corpus.vocabulary), **model)
    create_run(tmp_path / "run", "measured", corpus, config, settings(**training), TextSettings())
    workers, measured = measured_training(tmp_path / "run")
    assert workers == processes - 1
    longest = max(map(len, corpus.train)) - 1
    tokens = sum(map(len, corpus.train)) - len(corpus.train)
    estimated = memory.estimate(config, settings(**training), longest, tokens, len(corpus.train)).total_bytes
    assert estimated / memory.FACTOR < measured < estimated * memory.FACTOR


def measured_training(folder: Path) -> tuple[int, int]:
    """How many workers a training has, and the bytes that all its processes take."""
    process = subprocess.run([sys.executable, "-c", MEASURED, str(folder)], capture_output=True, text=True, check=True)
    workers, measured = map(int, process.stdout.split())
    return workers, measured


@pytest.mark.parametrize(
    ("task", "model"),
    [
        (TaskSettings(task="adding", task_steps=120), {"cell": "lstm", "hidden_size": 128}),
        (TaskSettings(task="temporal_order"), {"hidden_size": 50}),
    ],
)
@pytest.mark.process
def test_so_does_a_training_on_a_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: TaskSettings, model: dict[str, Any]
) -> None:
    monkeypatch.setenv("RNN_CORE_THREADS", "1")
    task = dataclasses.replace(task, validation_sequences=200)
    create_task_run(tmp_path / "run", "", task, ModelConfig(**model), settings())
    _, measured = measured_training(tmp_path / "run")
    estimated = memory.estimate_for_task(make_task(task), ModelConfig(**model), settings()).total_bytes
    assert estimated / memory.FACTOR < measured < estimated * memory.FACTOR


def growth(**larger: int) -> float:
    """Bytes of one step that come with a network or a batch of another size."""
    usual = {"vocabulary_size": 8000, "hidden_size": 100, "batch": 32, "steps": 20}

    def step_bytes(vocabulary_size: int, hidden_size: int, batch: int, steps: int) -> int:
        config = ModelConfig(vocabulary_size=vocabulary_size, hidden_size=hidden_size)
        return memory.estimate(config, settings(batch_size=batch), steps).step_bytes

    return step_bytes(**{**usual, **larger}) - step_bytes(**usual)


def test_the_estimate_of_a_step_does_not_grow_with_steps_times_words() -> None:
    # Twice the positions: the logits of all of them, 4 * 640 * 8000 bytes, would be 20 MB more.
    assert 0 < growth(batch=64) < 5e6
    assert growth(steps=40) == growth(batch=64)
    assert growth(vocabulary_size=16000) == pytest.approx(3 * 4 * 8000 * 100, rel=0.01)


def test_more_of_anything_never_needs_less() -> None:
    for larger in ({"vocabulary_size": 9000}, {"hidden_size": 101}, {"batch": 33}, {"steps": 21}):
        assert growth(**larger) > 0


def test_some_memory_is_free_here_and_not_more_than_a_machine_can_have() -> None:
    assert 2**20 < memory.available_bytes() < 2**50


FAULTS = """
import resource
import numpy as np
from rnn_core import LanguageModel, ModelConfig

model = LanguageModel(ModelConfig(cell="lstm", vocabulary_size=65, hidden_size=128, embedding_size=128))
words = np.random.default_rng(0).integers(0, 65, (2, 50, 32))
for step in range(13):
    if step == 3:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    model.training_gradients(*words)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 10)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="how glibc's malloc keeps what is freed")
@pytest.mark.process
def test_a_training_step_asks_the_system_for_no_new_memory() -> None:
    process = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    # Without `keep_freed_memory` some 1,900 pages are cleared anew for every step.
    assert float(process.stdout) < 100
