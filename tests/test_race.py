"""A race trains several runs in one process; each must come out as if it had been alone."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import differences, ending, tiny_corpus, tiny_run, wait_for_heartbeat
from waiting import HANG_SECONDS, wait_for

from rnn_core.cli.main import main
from rnn_core.config import TextSettings
from rnn_core.data import agreement_items, agreement_sentences, prepare_sentences
from rnn_core.diagnostics import agreement_accuracy
from rnn_core.errors import RunError, SettingsError, UserError
from rnn_core.runs import Run
from rnn_core.runs import race as races
from rnn_core.runs.agreement import agreement_items_of
from rnn_core.runs.race import race
from rnn_core.runs.worker import Outcome, work
from rnn_core.training import StepDone, probe_batch
from rnn_core.training import loop as training

NETWORKS = (
    {"cell": "tanh"},
    {"cell": "tanh", "init": "orthogonal"},
    {"cell": "relu", "init": "identity"},
    {"cell": "lstm", "dropout": 0.3},
)


def lanes(folder: Path, **training: object) -> list[Run]:
    return [tiny_run(folder / f"lane-{place}", model=network, **training) for place, network in enumerate(NETWORKS)]


def test_a_run_of_a_race_ends_with_the_bits_it_has_when_trained_alone(tmp_path):
    racing, alone = lanes(tmp_path / "race"), lanes(tmp_path / "alone")
    results = race([run.folder for run in racing])
    assert [result.state for result in results] == ["finished"] * 4
    for one, other in zip(racing, alone, strict=True):
        work(other.folder)
        assert differences(ending(one), ending(other)) == []


def test_the_networks_of_a_race_see_identical_batches_in_the_same_order(tmp_path, monkeypatch):
    seen: list[list[bytes]] = []

    class Watching(training.LanguageModel):
        def training_gradients(self, inputs, targets, mask=None, *others, **more):
            seen[self.place].append(b"".join(part.tobytes() for part in (inputs, targets, mask)))
            return super().training_gradients(inputs, targets, mask, *others, **more)

    def make(*arguments, **options):
        model = Watching(*arguments, **options)
        model.place = len(seen)
        seen.append([])
        return model

    monkeypatch.setattr(training, "LanguageModel", make)
    race([run.folder for run in lanes(tmp_path)])
    assert len(seen) == 4
    assert len(seen[0]) == 3 * 7
    assert len(set(seen[0])) > 7  # another order in each epoch
    assert seen[0] == seen[1] == seen[2] == seen[3]


def test_nobody_is_ever_more_than_a_step_ahead(tmp_path):
    steps = [0] * 4

    def listen(place, event):
        if isinstance(event, StepDone):
            steps[place] = event.step
            assert max(steps) - min(steps) <= 1

    race([run.folder for run in lanes(tmp_path)], on_event=listen)
    assert steps == [21] * 4


def test_all_networks_are_measured_after_the_same_steps_and_after_the_last(tmp_path):
    runs = lanes(tmp_path, batch_size=2)
    race([run.folder for run in runs])
    for kind in ("horizon_measured", "agreement_measured"):
        steps = [[event["step"] for event in run.events(kinds=[kind])] for run in runs]
        assert steps[0] == steps[1] == steps[2] == steps[3]
        assert len(steps[0]) >= races.MEASURE_PARTS // 2
        assert steps[0][0] == 0
        assert steps[0][-1] == runs[0].status().step
        assert len(set(steps[0])) == len(steps[0])


def test_what_is_measured_is_that_networks_own_accuracy_and_horizon(tmp_path):
    runs = lanes(tmp_path, epochs=10)
    race([run.folder for run in runs])
    curves = set()
    for run in runs:
        corpus = run.corpus()
        (agreement,) = run.events(kinds=["agreement_measured"])[-1:]
        found = agreement_accuracy(run.load_model(), corpus.vocabulary, agreement_items_of(corpus))
        assert agreement["gaps"] == found.gaps.tolist() == [3]
        assert agreement["items"] == found.items.tolist()
        np.testing.assert_allclose(agreement["accuracy"], found.accuracy, atol=5e-5)
        (horizon,) = run.events(kinds=["horizon_measured"])[-1:]
        expected = training.measured_horizon(run.load_model(), probe_batch(corpus), horizon["step"])
        np.testing.assert_allclose(horizon["median"], expected.median)
        curves.add(tuple(horizon["median"]))
    assert len(curves) == 4


def test_a_corpus_of_another_kind_has_no_agreement_to_measure(tmp_path):
    sentences = [["a", "queen", "lost", "her", word, "."] for word in ("crown", "ring", "map") * 20]
    corpus = prepare_sentences(sentences, "not the grammar", TextSettings())
    assert agreement_items_of(corpus) == []
    runs = [tiny_run(tmp_path / cell, corpus=corpus, model={"cell": cell}) for cell in ("tanh", "lstm")]
    race([run.folder for run in runs])
    assert runs[0].events(kinds=["agreement_measured"]) == []
    assert runs[0].events(kinds=["horizon_measured"])


def test_the_sentences_kept_aside_are_recognised_as_what_the_grammar_made():
    made = {item.tokens: item for item in agreement_items((1, 12), 800, seed=3)}
    corpus = prepare_sentences(agreement_sentences((1, 12), 800, seed=3), "agreement", TextSettings())
    found = agreement_items_of(corpus)
    assert len(found) == len(corpus.valid) > 50
    assert all(made[item.tokens] == item for item in found)
    assert agreement_items_of(corpus, most=7) == found[:7]


def test_one_that_stopped_earlier_catches_up_before_the_others_go_on(tmp_path):
    racing, alone = lanes(tmp_path / "race"), lanes(tmp_path / "alone")
    for run in racing[1:]:
        work(run.folder, steps=10)
        config = json.loads((run.folder / "config.json").read_text())
        config["training"]["steps"] = None
        (run.folder / "config.json").write_text(json.dumps(config))
    order: list[tuple[int, int]] = []

    def listen(place, event):
        if isinstance(event, StepDone):
            order.append((event.step, place))

    race([run.folder for run in racing], on_event=listen)
    assert order[:10] == [(step, 0) for step in range(1, 11)]
    assert order[10:14] == [(11, place) for place in range(4)]
    for one, other in zip(racing, alone, strict=True):
        work(other.folder)
        assert not {difference for difference in differences(ending(one), ending(other)) if "arrays" in difference}


def in_background(runs: list[Run]) -> tuple[threading.Thread, list[Outcome | UserError]]:
    results: list[Outcome | UserError] = []
    thread = threading.Thread(target=lambda: results.extend(race([run.folder for run in runs])))
    thread.start()
    wait_for(lambda: all(run.status().state == "running" and run.status().step > 0 for run in runs))
    return thread, results


@pytest.mark.slow
def test_a_race_is_paused_resumed_and_stopped_like_any_training(tmp_path):
    runs = lanes(tmp_path, epochs=100_000)
    thread, results = in_background(runs)
    for run in runs:
        run.request("pause")
    wait_for(lambda: all(run.status().state == "paused" for run in runs))
    steps = [run.status().step for run in runs]
    assert max(steps) - min(steps) <= 1
    wait_for_heartbeat(runs[0])
    assert [run.status().step for run in runs] == steps
    for run in runs:
        run.request("resume")
    wait_for(lambda: all(run.status().step > max(steps) + 5 for run in runs))
    for run in runs:
        run.request("stop")
    thread.join(HANG_SECONDS)
    assert [result.state for result in results] == ["stopped"] * 4
    assert [run.status().state for run in runs] == ["stopped"] * 4


@pytest.mark.slow
def test_while_one_is_paused_all_wait_and_still_hear_what_is_asked_of_them(tmp_path):
    runs = lanes(tmp_path, epochs=100_000)
    thread, results = in_background(runs)
    runs[2].request("pause")
    wait_for(lambda: runs[2].status().state == "paused")
    wait_for_heartbeat(*runs)
    steps = [run.status().step for run in runs]
    assert max(steps) - min(steps) <= 1
    wait_for_heartbeat(*runs)
    assert [run.status().step for run in runs] == steps
    runs[0].request("stop")
    wait_for(lambda: runs[0].status().state == "stopped")
    runs[2].request("resume")
    wait_for(lambda: runs[1].status().step > steps[1] + 5)
    assert runs[0].status().step <= steps[0] + 1
    for run in runs[1:]:
        run.request("stop")
    thread.join(HANG_SECONDS)
    assert len(results) == 4


def test_a_network_that_diverges_drops_out_and_the_others_finish(tmp_path):
    wild = {"cell": "relu", "init": "identity", "init_scale": 50.0}
    runs = [
        tiny_run(tmp_path / "wild", model=wild, clip=None, optimizer="sgd", learning_rate=1000.0),
        tiny_run(tmp_path / "tame", model={"cell": "tanh"}),
    ]
    results = race([run.folder for run in runs])
    assert [result.state for result in results] == ["diverged", "finished"]
    assert runs[1].status().step == 21


def test_a_run_that_cannot_be_trained_drops_out_with_its_reason(tmp_path):
    runs = lanes(tmp_path)
    (runs[1].folder / "events.sqlite").write_bytes(b"no database" * 100)
    results = race([run.folder for run in runs])
    assert isinstance(results[1], RunError)
    assert [result.state for place, result in enumerate(results) if place != 1] == ["finished"] * 3


def test_the_locks_of_all_runs_are_taken_or_none(tmp_path):
    runs = lanes(tmp_path, epochs=100_000)
    thread, _ = in_background(runs[:2])
    with pytest.raises(RunError, match="at work on this run already"):
        race([runs[2].folder, runs[0].folder])
    assert runs[2].status().state == "created"
    for run in runs[:2]:
        run.request("stop")
    thread.join(HANG_SECONDS)


@pytest.mark.parametrize("setting", [{"batch_size": 4}, {"seed": 1}, {"epochs": 4}])
def test_networks_that_would_not_see_the_same_batches_do_not_race(tmp_path, setting):
    runs = [tiny_run(tmp_path / "one"), tiny_run(tmp_path / "two", **setting)]
    with pytest.raises(SettingsError, match=f"same batches: {next(iter(setting))}"):
        race([run.folder for run in runs])


def test_networks_on_different_texts_do_not_race(tmp_path):
    runs = [tiny_run(tmp_path / "one"), tiny_run(tmp_path / "two", corpus=tiny_corpus(gap=4))]
    with pytest.raises(SettingsError, match="different texts"):
        race([run.folder for run in runs])


def test_a_race_needs_one_to_four_different_runs(tmp_path):
    run = tiny_run(tmp_path / "one")
    with pytest.raises(SettingsError, match="against itself"):
        race([run.folder, run.folder])
    with pytest.raises(SettingsError, match="not 0"):
        race([])
    five = [dataclasses.replace(run.config)] * 5
    with pytest.raises(SettingsError, match="not 5"):
        races.check_alike([Run(run.folder, config) for config in five])


def test_the_command_reports_every_run_and_a_signal_stops_all_of_them(tmp_path, capsys):
    runs = lanes(tmp_path)
    assert main(["race", *(str(run.folder) for run in runs), "--json", "--quiet"]) == 0
    reported = json.loads(capsys.readouterr().out.strip().split("\n")[-1])["runs"]
    assert [entry["run"] for entry in reported] == [str(run.folder) for run in runs]
    assert {entry["state"] for entry in reported} == {"finished"}
    again = lanes(tmp_path / "again", epochs=100_000)

    def interrupt():
        wait_for(lambda: all(run.status().step > 3 for run in again))
        os.kill(os.getpid(), signal.SIGTERM)

    killer = threading.Thread(target=interrupt)
    killer.start()
    assert main(["race", *(str(run.folder) for run in again), "--quiet"]) == 128 + signal.SIGTERM
    killer.join()
    assert {run.status().state for run in again} == {"stopped"}
