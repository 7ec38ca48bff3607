"""The command line, as a user and a script meet it."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from tiny_runs import alive, differences, ending, tiny_run
from waiting import HANG_SECONDS, wait_for

from rnn_core.cli import app
from rnn_core.cli.main import main
from rnn_core.data import agreement_sentences
from rnn_core.runs import Run

SMALL = ["--hidden", "8", "--batch", "8", "--sentences", "lines"]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("corpus") / "tale.txt"
    path.write_text("\n".join(" ".join(sentence) for sentence in agreement_sentences(3, 60)))
    return str(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, text: str) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", text, "--run", str(folder), "--epochs", "4", "--cell", "lstm", "--quiet", *SMALL]) == 0
    return folder


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rnn_core", *arguments], capture_output=True, text=True, timeout=HANG_SECONDS, **options
    )


def last_json(output: str) -> dict[str, Any]:
    values = json.loads(output.splitlines()[-1])
    assert isinstance(values, dict)
    return values


def run_main(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# --- what it does -----------------------------------------------------------------------------------------------------


@pytest.mark.process
def test_train_ends_with_one_json_object_and_shows_its_progress_on_standard_error(text: str, tmp_path: Path) -> None:
    result = command("train", text, "--run", str(tmp_path / "run"), "--epochs", "2", "--json", *SMALL)
    assert result.returncode == 0, result.stderr
    values = last_json(result.stdout)
    assert list(values) == [
        "run",
        "step",
        "epoch",
        "train_loss_nats",
        "valid_loss_nats",
        "valid_perplexity",
        "tokens_per_second",
        "parameters",
    ]
    assert (values["run"], values["step"], values["epoch"]) == (str(tmp_path / "run"), 14, 2)
    assert values["valid_perplexity"] == pytest.approx(math.exp(values["valid_loss_nats"]))
    assert values["tokens_per_second"] > 0
    for word in ("loss", "gradient", "words/s", "14/14", "validation loss"):
        assert word in result.stderr


def test_without_json_the_validation_perplexity_stands_beside_the_unigrams(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run_main(capsys, "train", text, "--run", str(tmp_path / "run"), "--epochs", "1", *SMALL)
    assert code == 0
    assert "perplexity" in out
    assert "word frequencies alone" in out


def test_every_setting_of_the_command_line_reaches_the_run(text: str, tmp_path: Path) -> None:
    options = (
        "--unit char --vocabulary 20 --lowercase --cell gru --hidden 6 --embedding 6 --layers 2 --tied "
        "--init orthogonal --init-scale 0.9 --batch 4 --batching stream --sequence-length 9 --truncate 3 "
        "--optimizer rmsprop "
        "--learning-rate 0.01 --schedule cosine --warmup-steps 2 --clip none --clip-mode value --dropout 0.1 "
        "--variational --weight-decay 0.001 --steps 2 --seed 7 --gru-reset before --sentences lines --quiet --chrono 9 "
        "--name mine"
    )
    assert main(["train", text, "--run", str(tmp_path / "run"), *options.split()]) == 0
    config = Run.open(tmp_path / "run").config
    assert config.name == "mine"
    text_part, model, training = config.text, config.model, config.training
    assert (text_part.unit, text_part.vocabulary_size, text_part.lowercase) == ("char", 20, True)
    assert (model.cell, model.hidden_size, model.embedding_size, model.layers, model.tied) == ("gru", 6, 6, 2, True)
    assert (model.init, model.init_scale, model.gru_reset, model.chrono) == ("orthogonal", 0.9, "before", 9)
    assert (model.dropout, model.variational, model.bias) == (0.1, True, True)
    assert (training.batch_size, training.batching, training.sequence_length) == (4, "stream", 9)
    assert (training.truncate, training.optimizer, training.learning_rate) == (3, "rmsprop", 0.01)
    assert (training.schedule, training.warmup_steps, training.clip, training.clip_mode) == ("cosine", 2, None, "value")
    assert (training.weight_decay, training.steps, training.seed, text_part.seed) == (0.001, 2, 7, 7)


def test_full_truncation_is_none(text: str, tmp_path: Path) -> None:
    main(["train", text, "--run", str(tmp_path / "run"), "--truncate", "full", "--steps", "1", "--quiet", *SMALL])
    assert Run.open(tmp_path / "run").config.training.truncate is None


@pytest.mark.process
def test_resume_trains_to_a_later_end(trained: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", epochs=1)
    result = command("resume", str(run.folder), "--json")
    assert (result.returncode, last_json(result.stdout)["epoch"]) == (0, 1)
    result = command("resume", str(run.folder), "--epochs", "2", "--json", "--quiet")
    assert (result.returncode, last_json(result.stdout)["epoch"]) == (0, 2)
    assert result.stderr == ""
    result = command("resume", str(run.folder), "--json")
    assert (result.returncode, last_json(result.stdout)["step"]) == (0, run.status().step)
    assert "finished already" in result.stderr


@pytest.mark.process
def test_killed_and_resumed_a_run_ends_with_the_same_weights_as_one_that_was_never_stopped(
    text: str, tmp_path: Path
) -> None:
    settings = ["--cell", "gru", "--dropout", "0.1", "--schedule", "constant", "--quiet", *SMALL]
    killed = tmp_path / "killed"
    program = [sys.executable, "-m", "rnn_core"]
    process = subprocess.Popen([*program, "train", text, "--run", str(killed), "--steps", "1000000", *settings])
    wait_for(lambda: (killed / "config.json").exists() and Run.open(killed).status().step > 20)
    process.kill()
    process.wait()
    assert Run.open(killed).status().state == "dead"
    process = subprocess.Popen([*program, "resume", str(killed), "--quiet"])
    wait_for(lambda: Run.open(killed).status().state == "running")
    process.kill()
    process.wait()
    end = str(Run.open(killed).status().step + 50)
    assert command("resume", str(killed), "--steps", end).returncode == 0
    assert main(["train", text, "--run", str(tmp_path / "left-alone"), "--steps", end, *settings]) == 0
    assert differences(ending(Run.open(killed)), ending(Run.open(tmp_path / "left-alone"))) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.process
def test_ctrl_c_stores_the_run_and_says_how_to_resume(tmp_path: Path, number: int, code: int) -> None:
    run = tiny_run(tmp_path / "run", steps=10**6)
    process = subprocess.Popen(
        [sys.executable, "-m", "rnn_core", "resume", str(run.folder), "--quiet"], stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: run.status().step > 5)
    process.send_signal(number)
    _, said = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == code
    assert len(said.splitlines()) == 1
    assert f"resume {run.folder}" in said
    assert run.status().state == "stopped"
    assert run.status().checkpoint_step == run.status().step


@pytest.mark.process
def test_ctrl_c_before_the_training_began_is_no_traceback(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    os.mkfifo(corpus)
    process = subprocess.Popen(
        [sys.executable, "-m", "rnn_core", "train", str(corpus), "--run", str(tmp_path / "run")],
        stderr=subprocess.PIPE,
        text=True,
    )
    with open(corpus, "wb"):  # Opened as soon as the program reads it, which then waits for what is in it.
        process.send_signal(signal.SIGINT)
        wait_for(lambda: process.poll() is not None)
    _, said = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


@pytest.mark.process
def test_a_resumed_training_carries_neither_nltk_nor_pandas(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", steps=3, sample_every_seconds=0.0, horizon_every_seconds=0.0)
    program = (
        "import sys; from rnn_core.cli.main import main\n"
        f"assert main(['resume', {str(run.folder)!r}, '--quiet']) == 0\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'nltk', 'pandas', 'scipy', 'streamlit'}))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG_SECONDS)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr
    assert run.events(kinds=["sampled"])
    assert run.events(kinds=["horizon_measured"])


def test_generate_writes_sentences_without_unknown_words(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_main(capsys, "generate", str(trained), "--count", "5", "--seed", "3", "--json")
    assert code == 0
    values = last_json(out)
    assert list(values) == ["sentences"]
    assert len(values["sentences"]) == 5
    assert all(sentence and "<unk>" not in sentence for sentence in values["sentences"])
    assert (
        run_main(capsys, "generate", str(trained), "--count", "5", "--seed", "3")[1].splitlines() == values["sentences"]
    )
    options = ["--temperature", "0.5", "--top-k", "3", "--top-p", "0.9", "--prompt", "the zebra"]
    code, out, err = run_main(capsys, "generate", str(trained), *options)
    assert out.startswith("the zebra")
    assert "lacks 'zebra'" in err


def test_evaluate_lays_the_network_beside_counting(
    trained: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run_main(capsys, "evaluate", str(trained), text, "--json")
    assert code == 0
    values = last_json(out)
    assert list(values) == ["tokens", "loss_nats", "perplexity", "unknown_rate", "baselines"]
    assert list(values["baselines"]) == ["uniform", "unigram", "bigram", "kneser_ney_trigram"]
    run = Run.open(trained)
    corpus = run.corpus()
    everything = corpus.train + corpus.valid
    assert values["tokens"] == sum(map(len, everything)) - len(everything)
    assert values["perplexity"] == pytest.approx(math.exp(values["loss_nats"]))
    assert values["baselines"]["uniform"] == pytest.approx(len(corpus.vocabulary))
    assert values["baselines"]["unigram"] < values["baselines"]["uniform"]
    assert 0 <= values["unknown_rate"] < 0.1
    assert "unigram" in run_main(capsys, "evaluate", str(trained), text)[1]


def test_an_evaluation_counts_the_words_it_does_not_know(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.txt"
    other.write_text("the zebra zebra zebra\n" * 10)
    values = last_json(run_main(capsys, "evaluate", str(trained), str(other), "--json")[1])
    assert values["unknown_rate"] == pytest.approx(3 / 4)
    assert values["tokens"] == 50


def test_units_are_ranked_by_what_they_follow(trained: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    values = last_json(run_main(capsys, "units", str(trained), text, "--json")[1])
    assert list(values) == ["tokens", "features"]
    assert list(values["features"]) == ["line", "sentence", "agreement"]  # no quotation, no bracket
    closer = last_json(run_main(capsys, "units", str(trained), text, "--follow", "line", "--json")[1])
    rows = closer["features"]["line"]["units"]
    best = values["features"]["line"]["units"]
    assert [row["number"] for row in rows[:3]] == [row["number"] for row in best]
    assert list(rows[0]) == ["layer", "signal", "number", "correlation", "held_out", "p_value", "follows"]
    assert len({(row["layer"], row["number"]) for row in rows}) == len(rows) == 8  # the network has no more units
    assert closer["ends"] == 60 - 1  # of 60 lines, all but the last end where another begins
    assert [(row["layer"], row["number"]) for row in closer["ablation"]] == [
        (row["layer"], row["number"]) for row in rows[:3]
    ]
    words = set(Path(text).read_text().split()) | {"<s>"}
    assert closer["places"]
    assert all(set(place["text"].replace(".", " .").split()) <= words for place in closer["places"])
    gap = last_json(run_main(capsys, "units", str(trained), text, "--follow", "agreement", "--json")[1])["carriers"]
    assert len(gap["over_gap"]) == 3 + 1  # the subject, and the three words between it and the word that agrees
    assert len(gap["without"]) == 8
    told = run_main(capsys, "units", str(trained), text)[1]
    assert "inside of quotation marks: the same all over this text" in told
    assert "open" in told


def test_gradients_gives_a_triangle_and_its_lags(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_main(capsys, "gradients", str(trained), "--text", "the king raised the old sword", "--json")
    assert code == 0
    values = last_json(out)
    assert list(values) == ["tokens", "delta_norms", "lag_gradient_norms", "full_gradient_norm", "half_life"]
    size = len(values["tokens"])
    assert (values["tokens"][:2], size) == (["<s>", "the"], 7)
    for row, norms in enumerate(values["delta_norms"]):
        assert all(norm is not None and norm >= 0 for norm in norms[: row + 1])
        assert norms[row + 1 :] == [None] * (size - 1 - row)
    assert len(values["lag_gradient_norms"]) == size
    assert values["full_gradient_norm"] > 0
    assert "half-life" in run_main(capsys, "gradients", str(trained), "--text", "the king")[1]


def test_gradcheck_is_below_one_in_a_million(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_main(capsys, "gradcheck", "--cell", "tanh", "--json")  # the other cells: test_gradients.py
    assert code == 0
    assert 0 < last_json(out)["worst_relative_error"]["tanh"] < 1e-6


def test_export_writes_what_pytorch_loads(trained: Path, tmp_path: Path) -> None:
    target = tmp_path / "weights.safetensors"
    assert main(["export", str(trained), str(target), "--format", "torch"]) == 0
    arrays = safetensors.numpy.load_file(target)
    size = len(Run.open(trained).vocabulary())
    assert {name: value.shape for name, value in arrays.items()} == {
        "rnn.weight_ih_l0": (32, size),  # one-hot input: no embedding
        "rnn.weight_hh_l0": (32, 8),
        "rnn.bias_ih_l0": (32,),
        "rnn.bias_hh_l0": (32,),
        "decoder.weight": (size, 8),
        "decoder.bias": (size,),
    }


def test_the_tutorials_weights_can_be_trained_further_and_exported(text: str, tmp_path: Path) -> None:
    vocabulary = tiny_vocabulary(text, tmp_path)
    size = len(vocabulary)
    (tmp_path / "words.txt").write_text("\n".join(vocabulary.words))
    rng = np.random.default_rng(0)
    shapes = {"U": (5, size), "V": (size, 5), "W": (5, 5)}
    arrays = {name: rng.normal(0, 0.1, shape) for name, shape in shapes.items()}
    weights = tmp_path / "tutorial.npz"
    np.savez(weights, **arrays)
    options = ["--start-from", str(weights), "--start-vocabulary", str(tmp_path / "words.txt")]
    options += ["--no-bias", "--hidden", "5", "--sentences", "lines", "--steps", "2"]
    assert main(["train", text, "--run", str(tmp_path / "run"), "--quiet", *options]) == 0
    first = Run.open(tmp_path / "run").load_model(step=0).params
    assert np.allclose(first["W"], arrays["W"])
    assert main(["export", str(weights), str(tmp_path / "out.safetensors")]) == 0


def test_a_corpus_in_tokens_is_counted_as_papers_on_penn_treebank_count_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f" the n't N.V. company <unk> of $ N {number} \n" for number in range(30)]
    train, words, test = tmp_path / "train.txt", tmp_path / "words.txt", tmp_path / "test.txt"
    train.write_text("".join(lines))
    words.write_text("the\nN.V.\n<unk>\nN\n$\n<eos>\n")
    test.write_text("".join(lines[:20]))
    # A table is read as one, also where the text to train on is none.
    held_out = tmp_path / "valid.csv"
    held_out.write_text("id,body\n" + "".join(f"{number},the {number} of N\n" for number in range(5)))
    folder = str(tmp_path / "run")
    code, _, err = run_main(
        capsys,
        *("train", str(train), "--run", folder, "--validation", str(held_out), "--vocabulary-file", str(words)),
        *("--tokenizer", "whitespace", "--batching", "stream", "--steps", "1", *SMALL),
    )
    assert code == 0, err
    corpus = Run.open(folder).corpus()
    assert corpus.vocabulary.words == ("<unk>", "<s>", "</s>", "the", "N.V.", "N", "$")
    assert [corpus.vocabulary.decode(ids) for ids in corpus.valid] == [
        ["<s>", "the", "<unk>", "<unk>", "N", "</s>"]
    ] * 5
    assert len(corpus.train) == 30
    values = last_json(run_main(capsys, "evaluate", folder, str(test), "--json")[1])
    assert values["tokens"] == sum(len(line.split()) + 1 for line in lines[:20])
    assert values["unknown_rate"] == pytest.approx(5 / 9)


def test_a_file_is_read_as_in_training_but_for_the_flag_that_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("body,note\n" + "".join(f"the {number} cats,a much longer note here\n" for number in range(20)))
    folder = str(tmp_path / "run")
    assert main(["train", str(table), "--run", folder, "--column", "body", "--steps", "1", "--quiet", *SMALL]) == 0
    capsys.readouterr()
    for flags in (["--encoding", "utf-8"], ["--column", "body"], []):
        values = last_json(run_main(capsys, "evaluate", folder, str(table), *flags, "--json")[1])
        assert values["tokens"] == 20 * (3 + 1), flags


def tiny_vocabulary(text: str, tmp_path: Path) -> Any:
    folder = str(tmp_path / "vocabulary")
    assert main(["train", text, "--run", folder, "--steps", "1", "--quiet", *SMALL]) == 0
    return Run.open(folder).vocabulary()


# --- what the user got wrong ------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[list[str], str]] = {
    "no command": ([], "COMMAND"),
    "another command": (["fly"], "fly"),
    "another option": (["train", "TEXT", "--run", "NEW", "--wings", "2"], "--wings"),
    "no folder": (["train", "TEXT"], "--run"),
    "no such file": (["train", "nowhere.txt", "--run", "NEW"], "nowhere.txt cannot be read"),
    "a folder as corpus": (["train", "TMP", "--run", "NEW"], "cannot be read"),
    "a corpus without an end": (["train", "/dev/zero", "--run", "NEW"], "it is a device"),
    "a number in words": (["train", "TEXT", "--run", "NEW", "--hidden", "many"], "--hidden"),
    "a cell nobody built": (["train", "TEXT", "--run", "NEW", "--cell", "transformer"], "--cell"),
    "no hidden unit": (["train", "TEXT", "--run", "NEW", "--hidden", "0"], "hidden unit"),
    "four layers": (["train", "TEXT", "--run", "NEW", "--layers", "4"], "layers"),
    "no words": (["train", "TEXT", "--run", "NEW", "--vocabulary", "2"], "vocabulary"),
    "truncation in words": (["train", "TEXT", "--run", "NEW", "--truncate", "some"], "--truncate"),
    "a negative rate": (["train", "TEXT", "--run", "NEW", "--learning-rate", "-1"], "learning rate"),
    "clipping at nothing": (["train", "TEXT", "--run", "NEW", "--clip", "0"], "none"),
    "epochs and steps": (["train", "TEXT", "--run", "NEW", "--epochs", "1", "--steps", "1"], "not allowed with"),
    "no epochs": (["train", "TEXT", "--run", "NEW", "--epochs", "0"], "at least 1 epoch"),
    "dropout of everything": (["train", "TEXT", "--run", "NEW", "--dropout", "1"], "dropout"),
    "tied without embedding": (["train", "TEXT", "--run", "NEW", "--tied"], "embedding"),
    "omega for an LSTM": (["train", "TEXT", "--run", "NEW", "--omega", "1", "--cell", "lstm"], "mega"),
    "a network of terabytes": (["train", "TEXT", "--run", "NEW", "--hidden", "3000000"], "GiB"),
    "an unknown encoding": (["train", "TEXT", "--run", "NEW", "--encoding", "klingon"], "klingon"),
    "an empty corpus": (["train", "EMPTY", "--run", "NEW"], "empty"),
    "one word": (["train", "WORD", "--run", "NEW"], "at least 20"),
    "a binary file": (["train", "BINARY", "--run", "NEW"], "text"),
    "nothing to validate on": (["train", "TEXT", "--run", "NEW", "--validation", "EMPTY"], "empty.txt, to validate on"),
    "a vocabulary and its size": (
        ["train", "TEXT", "--run", "NEW", "--vocabulary", "20", "--vocabulary-file", "WORD"],
        "--vocabulary has no meaning beside --vocabulary-file",
    ),
    "a validation file and a share": (
        ["train", "TEXT", "--run", "NEW", "--validation-fraction", "0.2", "--validation", "TEXT"],
        "--validation-fraction has no meaning beside --validation;",
    ),
    "weights without words": (["train", "TEXT", "--run", "NEW", "--start-from", "TEXT"], "--start-vocabulary FILE"),
    "words without weights": (["train", "TEXT", "--run", "NEW", "--start-vocabulary", "TEXT"], "--start-from"),
    "weights that are none": (
        ["train", "TEXT", "--run", "NEW", "--start-from", "TEXT", "--start-vocabulary", "TEXT"],
        "neither an .npz nor a safetensors file",
    ),
    "a run that is there": (["train", "TEXT", "--run", "RUN"], "resume"),
    "no run to resume": (["resume", "NEW"], "not a run"),
    "a file as run": (["resume", "TEXT"], "not a run"),
    "an end that is past": (["resume", "RUN", "--steps", "1"], "ask for more"),
    "no run to generate from": (["generate", "NEW"], "not a run"),
    "a run without weights": (["generate", "FRESH"], "no weights yet"),
    "negative temperature": (["generate", "RUN", "--temperature", "-1"], "temperature"),
    "no candidates": (["generate", "RUN", "--top-k", "0"], "top-k"),
    "no sentences": (["generate", "RUN", "--count", "0"], "at least 1 sentence"),
    "no text": (["gradients", "RUN", "--text", ""], "--text"),
    "too much text": (["gradients", "RUN", "--text", "the king " * 200], "Shorten"),
    "no corpus to evaluate": (["evaluate", "RUN", "nowhere.txt"], "nowhere.txt"),
    "nothing to evaluate": (["evaluate", "RUN", "EMPTY"], "empty"),
    "nothing to follow": (["units", "RUN", "TEXT", "--follow", "quotes"], "the same all over"),
    "an export over a folder": (["export", "RUN", "TMP"], "folder"),
    "an export to nowhere": (["export", "RUN", "TMP/no/such/file"], "make it first"),
    "an export to another program": (["export", "RUN", "OUT", "--format", "onnx"], "--format"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_of_the_user_is_one_line_and_exit_code_2(
    case: str, trained: Path, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, words = WRONG[case]
    (tmp_path / "empty.txt").touch()
    (tmp_path / "word.txt").write_text("word")
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)) * 40)
    tiny_run(tmp_path / "fresh")
    places = {
        "TEXT": text,
        "RUN": str(trained),
        "NEW": str(tmp_path / "new"),
        "FRESH": str(tmp_path / "fresh"),
        "EMPTY": str(tmp_path / "empty.txt"),
        "WORD": str(tmp_path / "word.txt"),
        "BINARY": str(tmp_path / "binary.txt"),
        "OUT": str(tmp_path / "out"),
        "TMP": str(tmp_path),
        "TMP/no/such/file": str(tmp_path / "no" / "such" / "file"),
    }
    code, out, err = run_main(capsys, *(places.get(argument, argument) for argument in arguments))
    assert code == 2
    assert out == ""
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, err
    assert words in errors[0]
    assert "Traceback" not in err
    assert err.splitlines()[-1] == errors[0]
    assert not (tmp_path / "new").exists()


def test_an_explosion_is_explained_and_the_way_on_works(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "run")
    wild = (
        "--cell relu --init spectral --init-scale 3 --clip none --optimizer sgd --learning-rate 1e4 --epochs 5 --quiet"
    )
    code, out, err = run_main(capsys, "train", text, "--run", folder, *wild.split(), *SMALL)
    assert code == 2
    assert out == ""
    assert err.splitlines()[-1].startswith("error: training diverged after step")
    assert "clipping" in err or "lower" in err
    assert Run.open(folder).status().state == "diverged"


@pytest.mark.process
def test_a_closed_pipe_ends_without_a_complaint(trained: Path) -> None:
    program = f"{sys.executable} -m rnn_core generate {trained} --count 2000 | head -1"
    result = subprocess.run(program, shell=True, capture_output=True, text=True, timeout=HANG_SECONDS)
    assert len(result.stdout.splitlines()) == 1
    assert "Traceback" not in result.stderr
    assert "Exception" not in result.stderr


@pytest.mark.process
def test_help_lists_every_command() -> None:
    result = command("--help")
    assert result.returncode == 0
    for name in ("train", "resume", "generate", "evaluate", "gradients", "gradcheck", "units", "export", "race", "app"):
        assert name in result.stdout


def test_the_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"see-bptt {project['version']}\n"


@pytest.mark.parametrize("own_session", [True, False])
@pytest.mark.process
def test_a_worker_can_be_nice(tmp_path: Path, own_session: bool) -> None:
    run = tiny_run(tmp_path / "run", steps=10**6)
    command = [sys.executable, "-m", "rnn_core", "resume", str(run.folder), "--quiet", "--nice", "7"]
    process = subprocess.Popen(command, start_new_session=own_session)
    wait_for(lambda: run.status().step > 2)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(19, own + 7)  # 19 is the nicest there is
    if own_session:
        assert niceness_of_session(process.pid) in (7, None)
    else:
        assert niceness_of_session(process.pid) == niceness_of_session(os.getpid())
    process.terminate()
    process.wait(timeout=HANG_SECONDS)
    assert not alive(process.pid)


def niceness_of_session(pid: int) -> int | None:
    """None where the system does not share its cores among sessions, or this process is in none (an empty file)."""
    try:
        fields = Path(f"/proc/{pid}/autogroup").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(fields[-1]) if fields else None


@pytest.mark.process
def test_a_host_can_stop_a_run_nobody_watches(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", steps=10**6)
    result = command("resume", str(run.folder), "--quiet", "--stop-if-unwatched", "0.01")
    assert result.returncode == 0
    assert "nobody had watched" in result.stderr
    assert run.status().state == "stopped"


# --- the app ----------------------------------------------------------------------------------------------------------


class Replaced(Exception):
    """Stands for the process that the dashboard's server takes over."""


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines that this process was to become."""
    became: list[list[str]] = []

    def execv(path: str, arguments: list[str]) -> None:
        became.append(arguments)
        raise Replaced

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setenv("SEE_BPTT_RUNS", "untouched")
    return became


def test_the_app_is_streamlit_on_the_dashboard_beside_this_package_from_any_folder(
    replaced: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dashboard").mkdir()  # somebody else's
    with pytest.raises(Replaced):
        main(["app"])
    assert os.environ["SEE_BPTT_RUNS"] == "untouched"
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    with pytest.raises(Replaced):
        main(["app", "--port", str(port), "--runs", "mine"])
    assert os.environ["SEE_BPTT_RUNS"] == str(tmp_path / "mine")
    plain, chosen = replaced
    assert plain[:4] == [sys.executable, "-m", "streamlit", "run"]
    assert Path(plain[4]).is_file()
    assert Path(plain[4]).parent != tmp_path / "dashboard"
    assert chosen == [*plain, f"--server.port={port}"]


@pytest.mark.parametrize("port", ["0", "70000", "-1"])
def test_a_port_that_is_none_is_refused(
    port: str, replaced: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(capsys, "app", "--port", port) == (2, "", "error: the port is a number from 1 to 65535.\n")
    assert not replaced


def test_a_port_in_use_is_refused(replaced: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        code, _, err = run_main(capsys, "app", "--port", str(taken.getsockname()[1]))
    assert (code, replaced) == (2, [])
    assert "cannot be used: address already in use; choose another with --port" in err


def test_without_streamlit_the_app_says_what_to_install(
    replaced: list[list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "NEEDED", ("streamlit", "no_such_library"))
    code, _, err = run_main(capsys, "app")
    assert (code, replaced) == (2, [])
    assert err == "error: the app needs no_such_library; install it with `pip install 'see-bptt[dashboard]'`.\n"
