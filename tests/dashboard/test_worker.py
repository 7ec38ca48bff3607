"""Trainings are processes of their own: they outlive whoever started them, and leave nothing behind when they end."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from dashboard.services import processes, trainings, worker
from rnn_core.config import TrainingSettings
from rnn_core.errors import RunError
from tests.waiting import HANG_SECONDS, wait_for


@pytest.mark.process
def test_a_training_runs_to_its_end_and_leaves_no_zombie(new_run):
    run = new_run(epochs=2)
    worker.start(run)
    (child,) = worker._children.values()
    wait_for(lambda: not worker.working(run))
    assert run.status().state == "finished"
    assert child.returncode == 0
    assert not worker._children


@pytest.mark.process
def test_a_training_has_a_session_of_its_own_and_gives_way_to_the_page(new_run):
    run = new_run(epochs=100_000)
    worker.start(run)
    wait_for(lambda: run.status().state == "running")
    pid = run.status().pid
    assert os.getsid(pid) != os.getsid(0)
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0) + processes.NICENESS


@pytest.mark.process
def test_starting_twice_starts_one_process(new_run):
    run = new_run(epochs=100_000)
    worker.start(run)
    worker.start(run)
    assert len(worker._children) == 1


@pytest.mark.process
def test_a_finished_training_goes_further_though_its_process_has_not_ended_yet(trained_run):
    class Ending:
        returncode = None

        def poll(self):
            return self.returncode

        def wait(self, timeout):
            self.returncode = 0

    steps = trained_run.status().step
    worker._children[trained_run.folder] = Ending()
    trainings.go_further(1, trained_run)
    wait_for(lambda: trained_run.status().state == "finished" and trained_run.status().step > steps)


@pytest.mark.process
def test_a_training_outlives_the_server_that_started_it(new_run):
    run = new_run(epochs=100_000)
    server = (
        "from dashboard.services import worker; from rnn_core.runs import Run; "
        f"worker.start(Run.open({str(run.folder)!r}))"
    )
    subprocess.run([sys.executable, "-c", server], check=True, timeout=HANG_SECONDS)
    wait_for(lambda: run.status().state == "running")
    run.request("stop")
    wait_for(lambda: run.status().state == "stopped")


@pytest.mark.process
def test_a_process_that_dies_before_it_begins_says_why_in_the_run(new_run, monkeypatch):
    run = new_run()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    worker.start(run)
    wait_for(lambda: not worker.working(run))
    status = run.status()
    assert status.state == "failed"
    assert "before it began" in status.message


@pytest.mark.process
def test_a_machine_that_can_start_no_process_is_an_error_with_a_way_out(new_run, monkeypatch):
    run = new_run()
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(RunError, match="try again"):
        worker.start(run)
    assert run.status().state == "failed"


def test_going_further_moves_the_end_that_there_is():
    of_steps, of_epochs = TrainingSettings(steps=50, epochs=None), TrainingSettings(epochs=3)
    assert trainings.longer_by(of_steps, 10) == replace(of_steps, steps=60)
    assert trainings.longer_by(of_epochs, 10) == replace(of_epochs, epochs=13)
