"""Experiments of the literature: each against a second statement of what it computes, and what is kept of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnn_core.cli.main import main
from rnn_core.config import NetworkConfig
from rnn_core.data import END_ID, START_ID, UNKNOWN_ID
from rnn_core.data.tasks import Agreement, NumberPrediction
from rnn_core.diagnostics import unit_series, units_of
from rnn_core.errors import CorpusError, RunError, SettingsError
from rnn_core.experiments import (
    adding,
    agreement,
    cliff,
    copy_memory,
    curse_of_memory,
    effective_context,
    forget_bias,
    gradient_film,
    interpretable_units,
    learning_curve,
)
from rnn_core.experiments.base import Experiment, Row, Settings, Trial
from rnn_core.experiments.catalogue import EXPERIMENTS
from rnn_core.experiments.results import FILE, PID, load, process_of, shipped
from rnn_core.experiments.running import run
from rnn_core.experiments.texts import with_held_out
from rnn_core.nn.activations import sigmoid
from rnn_core.nn.network import Network
from rnn_core.threads import limited_threads
from rnn_core.training import new_model

_calls: list[int] = []


def _add(settings: Settings, seed: int, texts: Sequence[Path] = ()) -> Trial:
    _calls.append(seed)
    return Trial({settings["row"]: None if settings["row"] == "beyond" else seed + settings["add"]})


TOY = Experiment(
    name="toy",
    title="Toy",
    claim="",
    source="",
    measures="",
    rule="",
    settings={"one": {"row": "one", "add": 1}, "beyond": {"row": "beyond", "add": 0}},
    seeds=3,
    trial=_add,
    published={"one": 2.0},
    reproduced=lambda rows: rows[0].measured == rows[0].published,
)


# --- every experiment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_shipped_result_is_whole_and_of_the_experiment_as_it_is_declared(name: str) -> None:
    experiment = EXPERIMENTS[name]
    result = shipped(experiment)  # refuses one of other settings
    if result is not None:
        assert result.whole
        assert result.machine
        assert result.minutes > 0
        names = [row.setting for row in result.rows]
        assert set(experiment.published) <= set(names)
        assert len(names) == len(set(names))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_tells_its_claim_its_source_and_its_rule_beforehand(name: str) -> None:
    experiment = EXPERIMENTS[name]
    assert experiment.name == name
    assert all((experiment.title, experiment.claim, experiment.source, experiment.measures))
    assert bool(experiment.rule) == (experiment.reproduced is not None)


# --- the cliff --------------------------------------------------------------------------------------------------------


def test_the_cliffs_gradient_is_that_of_a_network_of_one_unit() -> None:
    config = NetworkConfig(
        cell="sigmoid", vocabulary_size=2, hidden_size=1, input_size=1, outputs=1, loss="squared_error"
    )
    T = cliff.STEPS
    inputs, targets, last = np.zeros((T, 1, 1)), np.full((T, 1, 1), cliff.TARGET), np.zeros((T, 1))
    last[-1] = 1
    for w, b in ((4.5, -2.2), (5.0, -2.6), (6.0, -3.0)):
        params = {"U": [[0]], "W": [[w]], "b": [b], "V": [[1]], "c": [0]}
        network = Network(config, params={name: np.array(value, float) for name, value in params.items()})
        start = [sigmoid(np.full((1, 1), cliff.FIRST_STATE))]
        loss, gradients, _ = network.training_gradients(inputs, targets, state=start, loss_weights=last)
        error, d_w, d_b = cliff.error_and_gradient(w, b)
        scale = loss / float(error)  # a network may count half the square
        assert scale in (pytest.approx(1), pytest.approx(0.5))
        assert float(d_w) == pytest.approx(gradients["W"].item() / scale, rel=1e-9)
        assert float(d_b) == pytest.approx(gradients["b"].item() / scale, rel=1e-9)


def test_a_clipped_descent_never_steps_further_than_it_may_and_a_free_one_does() -> None:
    steepest = cliff.surface(w := np.linspace(*cliff.W_RANGE, 60), b := np.linspace(*cliff.B_RANGE, 60))[1]
    row, column = np.unravel_index(steepest.argmax(), steepest.shape)
    free, clipped = (cliff.descend(w[column], b[row], clip, 50) for clip in (None, cliff.CLIP))
    assert clipped.longest_step <= cliff.LEARNING_RATE * cliff.CLIP * (1 + 1e-9)
    assert free.longest_step > 10 * clipped.longest_step


# --- forget bias, curse of memory, film -------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [0, 1, 2, 3])
def test_with_small_weights_the_cell_loses_the_forget_gate_a_step(bias: int) -> None:
    norms = forget_bias.cell_gradient(bias, 0.001, seed=0, steps=20)
    gate = 1 / (1 + np.exp(-bias))
    assert norms[1:] / norms[:-1] == pytest.approx(np.full(18, gate), rel=2e-3)
    assert pytest.approx(gate ** forget_bias.closed_form(bias)) == 0.5


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_the_closed_forms_of_the_curse_are_the_sums_that_they_stand_for(decay: float) -> None:
    k = np.arange(1, 2000)
    assert curse_of_memory.state_power(decay) == pytest.approx(1 + np.sum(decay ** (2.0 * k)))
    assert curse_of_memory.sensitivity(decay) == pytest.approx(np.sum((k * decay ** (k - 1.0)) ** 2))


def test_the_simulated_sensitivity_is_the_difference_of_two_simulations() -> None:
    noise = np.random.default_rng(0).standard_normal(30)

    def last(decay: float) -> float:
        h = 0.0
        for x in noise:
            h = decay * h + x
        return h

    h, d_h = 0.0, 0.0
    for x in noise:
        d_h = h + 0.7 * d_h
        h = 0.7 * h + x
    assert d_h == pytest.approx((last(0.7 + 1e-6) - last(0.7 - 1e-6)) / 2e-6, rel=1e-6)
    power, sensitive = curse_of_memory.simulate(0.7, 0)
    assert power == pytest.approx(curse_of_memory.state_power(0.7), rel=0.1)
    assert sensitive == pytest.approx(curse_of_memory.sensitivity(0.7), rel=0.15)


def test_the_films_reach_is_read_off_its_curve() -> None:
    assert gradient_film.reach(0.5 ** np.arange(20.0)) == pytest.approx(np.log(100) / np.log(2))
    assert gradient_film.reach(np.ones(10)) == 9


# --- agreement --------------------------------------------------------------------------------------------------------


def test_errors_by_attractors_are_those_of_one_sentence_at_a_time_and_no_trained_sentence_is_tested(
    tmp_path: Path,
) -> None:
    def write(name: str, sentences: Sequence[NumberPrediction]) -> Path:
        lines = [f"{('VBZ', 'VBP')[sentence.number]}\t{' '.join(sentence.words)}\n" for sentence in sentences]
        (tmp_path / name).write_text("".join(lines))
        return tmp_path / name

    rng = np.random.default_rng(0)
    drawn = [Agreement(attractor_probability=0.7).sentence(rng) for _ in range(300)]
    tests = {count: [sentence for sentence in drawn[200:] if sentence.attractors == count] for count in (1, 2)}
    tests[2].append(NumberPrediction(("unheard", "keys", "near", "the", "author"), 1, 2))
    texts = [write("numpred.val", drawn[:200])]
    # One test sentence is trained on, and must not count.
    texts += [write(f"numpred.test.{count}", [*sentences, drawn[0]]) for count, sentences in tests.items()]

    found = agreement.read_sentences(texts)
    trained = {sentence.words for sentence in drawn[:180]}
    assert {sentence.words for sentence in found.train} == trained
    source = agreement.SentenceSource(found)
    network = Network(source.config("lstm"), rng=np.random.default_rng(1))
    for count, sentences in tests.items():
        wrong = []
        for words, number, _ in sentences:
            if words not in trained:
                ids = np.array([[source.ids.get(word, agreement.UNKNOWN)] for word in words])
                outputs, _ = network.outputs_and_losses(ids, np.full_like(ids, number))
                wrong.append(outputs[-1, 0].argmax() != number)
        assert 0 < sum(wrong) < len(wrong)
        assert source.error_rate(network, found.by_attractors[count]) == pytest.approx(100 * np.mean(wrong))
    with pytest.raises(CorpusError, match="nothing to train on"):
        agreement.read_sentences(texts[1:])


def test_an_epoch_of_sentences_reads_each_once_beside_others_of_its_length() -> None:
    drawn = [Agreement().sentence(np.random.default_rng(seed)) for seed in range(40)]
    source = agreement.SentenceSource(agreement.Sentences(drawn, drawn[:9], {}))
    training = replace(agreement.TRAINING, batch_size=7)
    steps = source.plan(training).steps_per_epoch
    read = []
    for batch in (source.batch(training, 1, position) for position in range(steps)):
        names = {place: word for word, place in source.ids.items()}
        for column, length in enumerate(batch.mask.sum(axis=0)):
            words = tuple(names[place] for place in batch.inputs[:length, column].tolist())
            read.append((words, int(batch.targets[length - 1, column])))
    assert sorted(read) == sorted((sentence.words, sentence.number) for sentence in drawn)
    network = Network(source.config("tanh"), rng=np.random.default_rng(0))
    *_, whole = source.validation(network)
    assert whole.fraction == 1
    assert whole.metric is not None
    assert 100 * whole.metric == source.error_rate(network, source.sentences.held_out)


# --- the learning curve -----------------------------------------------------------------------------------------------


def test_the_learning_curve_takes_the_first_sentences_in_order_and_words_of_every_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"Here is the word wordnumber{word}.\n\n" for word in range(120)))
    (tmp_path / "b.txt").write_text("Elsewhere there are Zebras, many of them.")
    corpus = learning_curve.first_sentences([tmp_path / "a.txt", tmp_path / "b.txt"])
    assert len(corpus.train) == learning_curve.SENTENCES
    assert corpus.valid is corpus.train
    assert corpus.vocabulary.decode(corpus.train[7][1:-1]) == ["here", "is", "the", "word", "wordnumber7", "."]
    assert "zebras" in corpus.vocabulary
    with pytest.raises(CorpusError, match="100 are needed"):
        learning_curve.first_sentences([tmp_path / "b.txt", tmp_path / "b.txt", tmp_path / "b.txt"])
    with pytest.raises(CorpusError, match="cannot be read"):
        learning_curve.first_sentences([tmp_path / "missing.txt"])


def test_the_first_weights_are_the_tutorials_word_for_word() -> None:
    uniform = np.random.RandomState(10).uniform  # what `numpy.random.seed(10)` and `numpy.random.uniform` are
    theirs = {  # N = 8000, H = 100, in the order of the tutorial's RNNNumpy
        name: uniform(-np.sqrt(1.0 / inputs), np.sqrt(1.0 / inputs), shape)
        for name, inputs, shape in (("U", 8000, (100, 8000)), ("V", 100, (8000, 100)), ("W", 100, (100, 100)))
    }
    ours = learning_curve.first_weights(learning_curve.FIRST_SEED)
    np.testing.assert_array_equal(ours["W"], theirs["W"])
    for ours_id, theirs_id in ((UNKNOWN_ID, 7999), (START_ID, 0), (END_ID, 1), (3, 2), (7999, 7998)):
        np.testing.assert_array_equal(ours["U"][ours_id], theirs["U"][:, theirs_id])
        np.testing.assert_array_equal(ours["V"][ours_id], theirs["V"][theirs_id])


# --- what a network has learnt ----------------------------------------------------------------------------------------

LINES = """Reading (and "writing") need lines.
A line (of two) may be "short", or
it may "be a great deal longer than the others (as here)" are.
"""


def test_the_last_fifth_of_a_text_and_every_fifth_topic_are_kept_aside(tmp_path: Path) -> None:
    text = interpretable_units.TEXT
    (tmp_path / "a.txt").write_text("".join(f"this is line {number} of it\n" for number in range(50)))
    corpus = with_held_out([tmp_path / "a.txt"], text)
    read = ["".join(corpus.vocabulary.decode(ids[1:-1])) for ids in (*corpus.train, *corpus.valid)]
    assert read == [f"this is line {number} of it" for number in range(50)]
    assert len(corpus.valid) == 10
    (tmp_path / "c.csv").write_text("text\n" + "".join(f"this is {number} of fifty\n" for number in range(0, 350, 7)))
    rows = with_held_out([tmp_path / "c.csv"], text)
    kept_rows = ["".join(rows.vocabulary.decode(ids[1:-1])) for ids in rows.valid]
    assert kept_rows == [f"this is {number} of fifty" for number in range(0, 350, 35)]
    reference = with_held_out((), text)
    trained, kept = ([tuple(ids.tolist()) for ids in part] for part in (reference.train, reference.valid))
    assert len(kept) / len(trained) == pytest.approx(1 / 4, abs=0.1)
    (tmp_path / "b.txt").write_text("one line of four words only, and no more than that")
    with pytest.raises(CorpusError):
        with_held_out([tmp_path / "b.txt"], text)


def test_how_closely_a_unit_follows_is_its_correlation_on_the_half_that_did_not_choose_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(LINES * 30)
    with limited_threads(1):
        trial = interpretable_units.trial({"row": "untrained", "trained": False}, 3, [tmp_path / "a.txt"])
    corpus = with_held_out([tmp_path / "a.txt"], interpretable_units.TEXT)
    config = replace(interpretable_units.MODEL, vocabulary_size=len(corpus.vocabulary))
    model = new_model(config, replace(interpretable_units.TRAINING, seed=3))
    values = unit_series(model, corpus.valid, True, units_of(model)).astype(float)
    tokens = "".join("\n" + "".join(corpus.vocabulary.decode(ids[1:-1])) for ids in corpus.valid)
    depth = np.cumsum([(letter == "(") - (letter == ")") for letter in tokens])
    half = len(tokens) // 2
    first, second = (
        [abs(np.corrcoef(unit[part], depth[part])[0, 1]) for unit in values.T]
        for part in (slice(half), slice(half, None))
    )
    row = interpretable_units.row_name("brackets", "untrained")
    assert trial.measured[row] == pytest.approx(second[int(np.argmax(first))], rel=1e-3)
    (tmp_path / "b.txt").write_text("no such signs here\n" * 60)
    with pytest.raises(CorpusError, match="quotation marks, depth of brackets"):
        interpretable_units.trial({"row": "untrained", "trained": False}, 3, [tmp_path / "b.txt"])


def test_the_context_of_the_experiment_is_measured_on_text_that_was_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effective_context, "TRAINING", replace(effective_context.TRAINING, epochs=1))
    monkeypatch.setattr(effective_context, "TARGETS", 30)
    monkeypatch.setattr(effective_context, "LENGTHS", (1, 200))
    words = np.random.default_rng(0).choice([f"word{number}" for number in range(40)], (100, 8))
    (tmp_path / "a.txt").write_text("\n".join(" ".join(line) + " ." for line in words))
    with limited_threads(1):
        trial = effective_context.trial({}, 0, [tmp_path / "a.txt"])
    assert set(trial.measured) == set(effective_context.PUBLISHED)
    assert trial.curves["lengths"] == list(effective_context.LENGTHS)
    # With nothing tampered with, both are the loss with everything; of random words it is at least their entropy.
    assert trial.curves["dropped"][-1] == pytest.approx(trial.curves["full"][0], abs=0.05)
    assert trial.curves["full"][0] > np.log(20)


# --- running one ------------------------------------------------------------------------------------------------------


def test_rows_are_means_over_the_seeds_and_beyond_measuring_where_one_of_them_is() -> None:
    result = run(TOY)
    assert result.rows == [Row("one", 3, 2.0, 2.0), Row("beyond", 3, None, None)]
    assert result.reproduced is True
    assert run(TOY, seeds=1).reproduced is False
    assert run(replace(TOY, reproduced=None)).reproduced is None


def test_what_is_done_is_not_repeated_and_more_seeds_are_added(tmp_path: Path) -> None:
    run(TOY, 2, folder=tmp_path)
    _calls.clear()
    whole = run(TOY, 3, folder=tmp_path)
    assert _calls == [2, 2]
    assert whole.rows == run(TOY, 3).rows
    assert run(TOY, 1, folder=tmp_path).rows[0].measured == 1.0


def test_a_run_that_breaks_in_the_middle_goes_on_from_there(tmp_path: Path) -> None:
    def break_at(settings: Settings, seed: int, texts: Sequence[Path] = ()) -> Trial:
        if seed == 1:
            raise RunError("killed")
        return _add(settings, seed)

    with pytest.raises(RunError):
        run(replace(TOY, trial=break_at), folder=tmp_path)
    _calls.clear()
    assert run(TOY, folder=tmp_path).rows == run(TOY).rows
    assert _calls[:4] == [1, 1, 2, 2]


def test_a_result_of_other_settings_is_refused_and_damage_is_explained(tmp_path: Path) -> None:
    run(TOY, folder=tmp_path)
    with pytest.raises(RunError, match="choose another folder"):
        run(replace(TOY, settings={"one": {"row": "one", "add": 2}}), folder=tmp_path)
    for damage in ("", "[]", '{"experiment": "toy"}', "{"):
        (tmp_path / FILE).write_text(damage)
        with pytest.raises(RunError, match="choose another folder"):
            run(TOY, folder=tmp_path)
    with pytest.raises(SettingsError):
        run(TOY, jobs=0)


def test_a_result_with_anything_of_another_kind_is_refused(tmp_path: Path) -> None:
    run(TOY, folder=tmp_path)
    whole = (tmp_path / FILE).read_text()
    assert load(TOY, tmp_path / FILE) is not None
    of_trial = ([], ["setting"], ["seed"], ["seconds"], ["measured"], ["measured", "one"], ["curves"])
    of_all = (["seeds"], ["text"], ["machine"], ["date"], ["versions"], ["versions", "numpy"], ["trials"])
    for *way, last in (*of_all, *(["trials", 0, *path] for path in of_trial)):
        for wrong in ([3], True):
            values = json.loads(whole)
            place = values
            for step in way:
                place = place[step]
            place[last] = wrong
            (tmp_path / FILE).write_text(json.dumps(values))
            with pytest.raises(RunError, match="choose another folder"):
                load(TOY, tmp_path / FILE)


def test_neither_a_pipe_nor_a_link_nor_depth_stops_a_gallery(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "deep").write_text("[" * 100_000)
    for name in ("pipe", "link", "deep"):
        with pytest.raises(RunError, match="choose another folder"):
            load(TOY, tmp_path / name)


@pytest.mark.parametrize(("said", "pid"), [("4711", 4711), ("0", None), ("-1", None), ("1", None), ("x", None)])
def test_a_signal_goes_to_one_process_or_to_none(tmp_path: Path, said: str, pid: int | None) -> None:
    (tmp_path / PID).write_text(said)
    assert process_of(tmp_path) == pid


@pytest.mark.process
def test_with_several_processes_the_rows_are_the_same() -> None:
    assert run(EXPERIMENTS["cliff"], 2, jobs=2).rows == run(EXPERIMENTS["cliff"], 2).rows


@pytest.mark.process
def test_on_a_cluster_the_rows_are_the_same_and_one_that_is_gone_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        far = run(EXPERIMENTS["cliff"], 2, dask=cluster.scheduler_address)
        assert far.rows == run(EXPERIMENTS["cliff"], 2).rows

        def gone(futures: object) -> None:
            raise distributed.CancelledError

        monkeypatch.setattr(distributed, "as_completed", gone)
        with pytest.raises(RunError, match="the same command goes on"):
            run(EXPERIMENTS["cliff"], 1, dask=cluster.scheduler_address)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_prints_one_object_with_its_keys(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["reproduce", "cliff", "--seeds", "3", "--dir", str(tmp_path / "new"), "--json", "--quiet"]) == 0
    values = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(values) == ["name", "claim", "source", "rows", "reproduced"]
    assert [list(row) for row in values["rows"]] == [["setting", "seeds", "measured", "published"]] * 2
    assert values["reproduced"] in (True, False)
    assert main(["reproduce", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in EXPERIMENTS)


@pytest.mark.parametrize(
    "arguments",
    [["no such"], ["cliff", "--seeds", "0"], ["cliff", "--corpus", "a"], ["cliff", "--jobs", "0"]]
    + [["learning-curve", "--corpus", "/dev/zero"]],
)
def test_a_senseless_command_is_explained_in_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", *arguments, "--quiet"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_the_wrong_answers_of_copy_are_counted_by_symbol(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_memory, "TRAINING", replace(copy_memory.TRAINING, steps=150, validate_every=150))
    with limited_threads(1):
        trial = copy_memory.trial({"row": "chrono", "chrono": copy_memory.LONGEST}, 0)
    # By then it says blanks at every step, and that is wrong for each symbol.
    assert trial.measured == {"chrono": pytest.approx(100, abs=15)}


def test_what_is_never_solved_has_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adding, "TRAINING", replace(adding.TRAINING, steps=2, validate_every=1))
    trial = adding.trial({"row": "tanh", "cell": "tanh"}, 0)
    assert trial.measured == {"tanh": None}
    assert list(trial.curves["updates"]) == [0, 1, 2]
