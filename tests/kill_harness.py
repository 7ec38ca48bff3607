"""Kill a training again and again, at random and around every system call of a checkpoint.

Its ending is compared with that of one that was left in peace: weights, moments, counters and history must be the same
to the last bit.

    python tests/kill_harness.py --kills 200

prints what it did and exits with 1 at the first difference.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from tiny_runs import differences, ending, tiny_run  # noqa: E402

from rnn_core.errors import UserError
from rnn_core.runs import Run, files
from rnn_core.runs.worker import work

CALLS = ("open", "write", "fsync", "close", "rename", "unlink")
FAULTS = ("killed before", "killed after", "fails", "writes half")


class Faulty:
    """`files.system` with one thing wrong: the call number `number` (from 0), counted over all kinds."""

    def __init__(self, number: int = -1, fault: str = "") -> None:
        self.number, self.fault, self.count = number, fault, 0
        self.real = files.SystemCalls()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            mine = self.count == self.number
            self.count += 1
            real = getattr(self.real, name)
            if not mine:
                return real(*arguments)
            if self.fault == "killed before":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fault == "fails":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self.fault == "writes half" and name == "write":
                descriptor, data = arguments
                return real(descriptor, data[: max(1, len(data) // 2)])
            result = real(*arguments)
            if self.fault == "killed after":
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call


def in_a_child(job: Callable[[], object]) -> int:
    """Start `job` in a process of its own, which nothing of this one can save; returns its pid."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            with contextlib.suppress(UserError):
                job()
            os._exit(0)
        os._exit(1)
    return pid


def finished_in_peace(folder: Path) -> None:
    pid = in_a_child(lambda: work(folder))
    _, status = os.waitpid(pid, 0)
    state = Run.open(folder).status()
    assert (status, state.state) == (0, "finished"), f"exit status {status}, {state}"


def check(folder: Path, reference: dict[str, Any], what: str) -> None:
    found = differences(ending(Run.open(folder)), reference)
    if found:
        raise AssertionError(f"{what}: not the same ending in {', '.join(found)}")


def random_kills(room: Path, kills: int, rng: random.Random, steps: int = 500) -> int:
    """Kill trainings at random moments, each until it is finished nonetheless; returns how many runs that took."""
    template = room / "template"
    tiny_run(template, steps=steps, checkpoint_every_seconds=0.0, validate_every=40, model={"dropout": 0.1})
    reference_folder = room / "reference"
    shutil.copytree(template, reference_folder)
    finished_in_peace(reference_folder)
    reference = ending(Run.open(reference_folder))
    done = rounds = 0
    while done < kills:
        rounds += 1
        folder = room / f"killed-{rounds}"
        shutil.copytree(template, folder)
        while Run.open(folder).status().state != "finished" and done < kills:
            pid = in_a_child(lambda folder=folder: work(folder))
            time.sleep(rng.uniform(0.0, 0.4))
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            if os.WIFSIGNALED(status):
                done += 1
                state = Run.open(folder).status().state
                # Killed before its first word or after its last, it has nothing to be dead about.
                assert state in ("created", "dead", "finished"), state
        finished_in_peace(folder)
        check(folder, reference, f"after {done} kills")
        shutil.rmtree(folder)
    return rounds


def faults_around_every_call(room: Path, only_every: int = 1) -> int:
    """Let every system call of two checkpoints fail, or kill the process around it; returns how many faults."""
    template = room / "half"
    run = tiny_run(template, epochs=4, checkpoint_every_seconds=0.0)
    reference_folder = room / "whole"
    shutil.copytree(template, reference_folder)
    finished_in_peace(reference_folder)
    reference = ending(Run.open(reference_folder))

    def work_with(folder: Path, faulty: Faulty) -> None:
        files.system = faulty  # type: ignore[assignment]
        # Stop after the second epoch: the first checkpoint is the one before the first step, the last that of the stop.
        work(folder, limits=_stop_after(run))

    # In this process, only to count.
    counter = Faulty()
    counted = room / "counted"
    shutil.copytree(template, counted)
    before = files.system
    work_with(counted, counter)
    files.system = before
    faults = [(number, fault) for number in range(counter.count) for fault in FAULTS][::only_every]
    for number, fault in faults:
        folder = room / "faulty"
        shutil.copytree(template, folder)
        pid = in_a_child(lambda: work_with(folder, Faulty(number, fault)))  # noqa: B023 - it runs at once
        os.waitpid(pid, 0)
        finished_in_peace(folder)
        check(folder, reference, f"system call {number} {fault}")
        leftovers = sorted(path.name for path in folder.iterdir() if path.name.endswith(".tmp"))
        assert not leftovers, leftovers
        shutil.rmtree(folder)
    return len(faults)


def _stop_after(run: Run) -> Any:
    from rnn_core.runs.worker import Limits

    return Limits(steps=2 * -(-run.config.corpus.train_sentences // run.config.training.batch_size))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as room:
        faults = faults_around_every_call(Path(room))
        print(f"{faults} faults around the system calls of checkpoints: every run ended as if nothing had happened")
        rounds = random_kills(Path(room), options.kills, random.Random(options.seed))
        print(f"{options.kills} kills at random over {rounds} runs: every run ended as if nothing had happened")
    print(f"{time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
