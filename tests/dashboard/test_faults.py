"""What people and disks get wrong, as a table: each line ends in its own sentence, and nothing else happens.

Every fault goes through the command line (exit code 2, one line `error: …`, no traceback, nothing left behind), and
what a visitor can cause through the page too (a headline, the same sentence as plain text, no exception). All of them
happen in one process after the other: it lives, and its memory comes back.
"""

from __future__ import annotations

import codecs
import fcntl
import gc
import io
import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.services import library, worker
from dashboard.state import session
from dashboard.text import general as wording
from rnn_core import runs
from rnn_core.cli.main import main
from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.errors import RunError, SettingsError
from rnn_core.runs import Run, checkpoints, memory, tensors
from rnn_core.runs.creation import STAGING
from rnn_core.runs.worker import work
from tests.tiny_runs import tiny_corpus, tiny_run
from tests.waiting import HANG_SECONDS, wait_for

TEXT = "\n".join(f"the {animal} saw the {thing} again ." for animal in ("cat", "dog", "owl") for thing in "abcdefgh")


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line that a command ends in, which must have failed by the user's fault."""
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert code == 2, err
    assert out == ""
    assert "Traceback" not in err
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, err
    assert err.splitlines()[-1] == errors[0]
    return errors[0].removeprefix("error: ")


def said(app: AppTest) -> str:
    """What the page explains under its one headline of an error, as plain text."""
    assert not app.exception, app.exception[0].message
    assert len(app.error) == 1, [error.value for error in app.error]
    assert app.error[0].value
    return "\n".join(element.value for element in app.main.text)


# --- files that are no corpus -----------------------------------------------------------------------------------------


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, U=np.zeros((2, 2)))
    return file.getvalue()


BINARY = "This looks like a binary file, not a text."
NO_MARK = "This looks like UTF-16 (or UTF-32) without a byte order mark."
NOT_UTF8 = "The text is not UTF-8 (line {}) and does not say which encoding it is."
NO_TEXT = "has no text in it. Choose another one."

UPLOADS: dict[str, tuple[str, bytes, str]] = {
    "an empty file": ("a.txt", b"", "The file is empty."),
    "white space alone": ("a.txt", b" \n\t\n ", NO_TEXT),
    "a byte order mark alone": ("a.txt", codecs.BOM_UTF8, "The file is empty."),
    "one word": ("a.txt", b"word", "The corpus has 1 token; training needs at least 20."),
    "one sentence": ("a.txt", b"the cat and the dog " * 8, "The corpus is one sentence; training needs at least two"),
    "every byte there is": ("a.txt", bytes(range(256)) * 40, BINARY),
    "NUL bytes": ("a.txt", TEXT.encode() + b"\x00" * 200, BINARY),
    "control characters": ("a.txt", b"\x01\x02\x03" * 500, BINARY),
    "lone surrogates": ("a.txt", "\ud800".encode("utf-8", "surrogatepass") * 5000, BINARY),
    "bidirectional overrides alone": ("a.txt", ("\u202e" * 100).encode(), NO_TEXT),
    "UTF-16 without a mark": (
        "a.txt",
        TEXT.encode("utf-16-le"),
        f"{NO_MARK} Choose the encoding: it could be utf-16-le",
    ),
    "big-endian UTF-16 without a mark": ("a.txt", TEXT.encode("utf-16-be"), f"{NO_MARK} Choose the encoding"),
    "UTF-32 without a mark": ("a.txt", TEXT.encode("utf-32-le"), NO_MARK),
    "half a UTF-16 character": ("a.txt", codecs.BOM_UTF16_LE + b"a", "The file is not written in 'utf-16-le'."),
    "Latin-1": ("a.txt", f"{TEXT}\ncaf\xe9 again .".encode("latin-1"), NOT_UTF8.format(25)),
    "Cyrillic in cp1251": ("a.txt", ("кошка видела мышь .\n" * 30).encode("cp1251"), NOT_UTF8.format(1)),
    "a line of ten million letters": ("a.txt", b"x" * 10_000_000, "The text is 10,000,000 characters without a space"),
    "a zip archive": ("a.txt", zipped("a"), "This looks like a zip archive, not a text."),
    "a Word document": ("a.txt", zipped("[Content_Types].xml"), "This looks like an Office document"),
    "a pickle": ("a.txt", pickle.dumps({"a": 1}), BINARY),
    "a PyTorch file": ("a.txt", zipped("archive/data.pkl"), "This looks like a PyTorch file, not a text."),
    "an .npz": ("a.txt", npz(), "This looks like NumPy arrays, not a text."),
    "an .npy": ("a.txt", b"\x93NUMPY\x01\x00" + b" " * 100, "This looks like a NumPy array, not a text."),
    "a safetensors file": ("a.txt", (64).to_bytes(8, "little") + b'{"a":{}}'.ljust(64), BINARY),
    "a gzip archive": ("a.txt", b"\x1f\x8b\x08" + b"\x00" * 50, "This looks like a gzip archive, not a text."),
    "a PDF": ("a.txt", b"%PDF-1.7\n" + TEXT.encode(), "This looks like a PDF document, not a text."),
    "a picture": ("a.txt", b"\x89PNG\r\n\x1a\n" + b"\x00" * 60, BINARY),
    "a database": ("a.txt", b"SQLite format 3\x00" + b"\x00" * 100, BINARY),
    "a table of empty rows": ("a.csv", b"\n\n\n", "The table has no rows."),
    "a table in a zip": ("a.csv", zipped("a.csv"), "This looks like a zip archive, not a text."),
    "a quote never closed": ("a.csv", b'id,body\n1,"' + TEXT.encode(), "A quote that opens in the row at line 2"),
    "a table of 1,200 columns": ("a.csv", b",".join([b"a"] * 1200) + b"\n", "The table has 1,200 columns"),
    "NUL bytes in a table": ("a.csv", b"id,body\n1,a\x00b\n" * 20, BINARY),
    "broken JSON": ("a.jsonl", b'{"a": 1\n' * 10, "Line 1 is not JSON (Expecting ',' delimiter)."),
    "JSON that is no object": ("a.jsonl", b"[1, 2]\n" * 10, "Line 1 is neither a JSON object nor a string."),
    "JSON without text": ("a.jsonl", b'{"a": 1}\n' * 10, NO_TEXT),
    "JSON without end": ("a.jsonl", b"[" * 100_000, "Line 1 is not JSON (too large or too deep)."),
    "a number of ten thousand digits": ("a.jsonl", b'{"a": ' + b"9" * 10_000 + b"}", "Line 1 is not JSON (too large"),
}


@pytest.mark.parametrize("fault", UPLOADS)
@pytest.mark.slow
def test_what_is_no_corpus_is_refused_by_both_doors_in_the_same_words(
    open_page, fault: str, tmp_path: Path, capsys
) -> None:
    name, data, sentence = UPLOADS[fault]
    (tmp_path / name).write_bytes(data)
    line = told(capsys, "train", tmp_path / name, "--run", tmp_path / "new")
    assert sentence in line
    assert not (tmp_path / "new").exists()
    app = open_page("corpus")
    app.file_uploader[0].set_value([(name, data, "text/plain")]).run()
    explanation = said(app)
    assert sentence in explanation
    assert not app.metric  # nothing is shown of a corpus that is none


def test_words_that_are_all_different_are_read_with_a_warning(tmp_path: Path, capsys) -> None:
    different = "\n".join(" ".join(f"w{7 * line + place}" for place in range(7)) for line in range(60))
    (tmp_path / "a.txt").write_text(different)
    assert (
        main(["train", str(tmp_path / "a.txt"), "--run", str(tmp_path / "run"), "--steps", "1", "--hidden", "4"]) == 0
    )
    assert "420 of 420 words are different" in capsys.readouterr().err


# --- settings that make no sense --------------------------------------------------------------------------------------

SETTINGS: dict[str, str] = {
    "--vocabulary 3": "vocabulary_size must be a whole number from 4 to 1,000,000.",
    "--hidden 0": "the network needs at least 1 hidden unit.",
    "--hidden 1e3": "argument --hidden: invalid int value: '1e3'.",
    "--hidden 3000000": "GiB are free; choose a smaller vocabulary, fewer hidden units or smaller batches.",
    "--layers 4": "the network can have 1 to 3 layers, not 4.",
    "--embedding 0": "an embedding needs at least 1 dimension; or choose one-hot input.",
    "--init orthogonal --init-scale 0": "the scale of the initialisation must be a positive number.",
    "--init-scale 2": "the uniform initialisation has no scale to set",
    "--forget-bias nan": "the forget bias must be a finite number.",
    "--chrono 20": "chrono initialisation sets the biases of gates; choose an LSTM, GRU",
    "--cell lstm --chrono 10 --no-bias": "this network has none; switch biases on.",
    "--tied": "so the embedding size must equal the hidden size (100)",
    "--gru-reset before": "only GRU has a reset gate to place",
    "--dropout 1": "dropout is a probability from 0 up to, not including, 1.",
    "--variational": "variational dropout needs a dropout probability above 0",
    "--batch 0": "the batch size must be from 1 to 65,536.",
    "--sequence-length 0": "the sequence length must be from 1 to 65,536 steps.",
    "--truncate -1": "truncation keeps 0 to 65,536 steps",
    "--learning-rate nan": "the learning rate must be a number above 0.",
    "--schedule halve --warmup-steps 5": "only the cosine schedule warms up",
    "--clip 0": "the limit of clipping must be a number above 0",
    "--weight-decay -1": "weight decay must be 0 or a number above 0.",
    "--optimizer adamw": "AdamW without weight decay is Adam",
    "--omega 1 --cell lstm": "Omega is defined for the plain recurrent network",
    "--omega 1 --truncate 4": "use full back-propagation instead of truncation.",
    "--seed -1": "seed must be a whole number from 0 to",
    "--encoding zip": "'zip' is not an encoding that is known here.",
}


@pytest.mark.parametrize("options", SETTINGS)
def test_settings_out_of_range_and_senseless_combinations_are_refused(options: str, tmp_path: Path, capsys) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    line = told(capsys, "train", tmp_path / "a.txt", "--run", tmp_path / "new", "--quiet", *options.split())
    assert SETTINGS[options] in line
    assert not (tmp_path / "new").exists()


def test_a_training_for_which_no_memory_is_free_cannot_be_started_from_the_page(open_page, monkeypatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**7)
    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("agreement").run()
    next(button for button in app.button if button.label == "Train a network on this").click().run()
    assert "GiB of memory" in said(app)
    assert next(button for button in app.button if button.label == "Start training").disabled


# --- runs that are damaged --------------------------------------------------------------------------------------------


def replaced(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(data)


def cut(name: str) -> Callable[[Path], object]:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


def flipped(name: str) -> Callable[[Path], object]:
    def flip(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[-5] ^= 1
        (folder / name).write_bytes(data)

    return flip


def every_checkpoint(do: Callable[[Path], object]) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        for path in list(folder.glob("model*.safetensors")):
            do(path)

    return damage


def config(part: str | None, name: str, value: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        values = json.loads((folder / "config.json").read_text())
        (values if part is None else values[part])[name] = value
        (folder / "config.json").write_text(json.dumps(values))

    return change


def no_history(data: bytes) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        for path in folder.glob("events.sqlite*"):
            path.unlink()
        (folder / "events.sqlite").write_bytes(data)

    return damage


def a_pipe_for_weights(folder: Path) -> None:
    every_checkpoint(Path.unlink)(folder)
    os.mkfifo(folder / checkpoints.NEWEST)


def a_link_for_weights(folder: Path) -> None:
    every_checkpoint(Path.unlink)(folder)
    (folder / checkpoints.NEWEST).symlink_to("/dev/zero")


def a_link_for_settings(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("/etc/passwd")


UNUSABLE = "no checkpoint of this run can be used"

# (what was done to the folder, the command that meets it, its sentence, the page that meets it)
RUNS: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "no settings": (lambda f: (f / "config.json").unlink(), "resume", "is not a run: it has no config.json.", "train"),
    "settings cut short": (cut("config.json"), "resume", "config.json is damaged", "train"),
    "empty settings": (replaced("config.json", b""), "resume", "config.json is damaged", "train"),
    "a pickle for settings": (replaced("config.json", pickle.dumps(1)), "resume", "config.json is damaged", "train"),
    "a list for settings": (replaced("config.json", b"[]"), "resume", "does not say which schema it has", "train"),
    "settings without end": (replaced("config.json", b"[" * 10**5), "resume", "it is nested too deeply", "train"),
    "a key twice": (replaced("config.json", b'{"schema": 1, "schema": 1}'), "resume", "a key stands twice", "train"),
    "a link for settings": (a_link_for_settings, "generate", "config.json is a link", "train"),
    "a run of tomorrow": (config(None, "schema", 99), "resume", "made by a newer version of this program", "train"),
    "an unknown cell": (config("model", "cell", "rnn"), "generate", "cell 'rnn' is not known", "train"),
    "an unknown setting": (config("model", "evil", 1), "generate", "has no setting called 'evil'", "train"),
    "a number in words": (config("model", "hidden_size", "8"), "generate", "should be of type int, not str", "train"),
    "a giant network": (config("model", "hidden_size", 10**9), "generate", UNUSABLE, "generate"),
    "fewer than no tokens": (config("corpus", "train_tokens", -1), "resume", "facts about the corpus", "train"),
    "no words": (lambda f: (f / "vocabulary.json").unlink(), "generate", "vocabulary.json is missing.", "generate"),
    "words cut short": (cut("vocabulary.json"), "generate", "vocabulary.json is damaged", "generate"),
    "no corpus": (lambda f: (f / "corpus.safetensors").unlink(), "resume", "corpus.safetensors is missing.", ""),
    "a flipped bit in the corpus": (flipped("corpus.safetensors"), "resume", "its checksum does not fit", ""),
    "no weights": (every_checkpoint(Path.unlink), "generate", "this run has no weights yet", ""),
    "weights that are none": (every_checkpoint(lambda p: p.write_bytes(b"x" * 99)), "generate", UNUSABLE, "generate"),
    "a pickle for weights": (
        every_checkpoint(lambda path: path.write_bytes(pickle.dumps(list(range(99))))),
        "generate",
        "not a safetensors file of ours",
        "generate",
    ),
    "a pipe for weights": (a_pipe_for_weights, "generate", "is not a regular file", "generate"),
    "a link for weights": (a_link_for_weights, "generate", UNUSABLE, "generate"),
    "a history of junk": (no_history(b"x" * 8192), "resume", "events.sqlite is damaged", "train"),
    "no history": (no_history(b""), "", "events.sqlite is damaged", "train"),
}


@pytest.fixture(scope="module")
def good_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tiny_run(tmp_path_factory.mktemp("good") / "good-run")
    work(run.folder)
    return run.folder


@pytest.mark.parametrize("fault", RUNS)
@pytest.mark.slow
def test_a_damaged_run_is_explained_by_both_doors(
    open_page, fault: str, good_run: Path, runs_folder: Path, capsys
) -> None:
    damage, command, sentence, view = RUNS[fault]
    folder = Path(shutil.copytree(good_run, runs_folder / "good-run"))
    damage(folder)
    if command:
        assert sentence in told(capsys, command, folder, *(["--steps", "1000"] if command == "resume" else []))
    if view:
        assert sentence in said(open_page(view, "good-run"))
        # A run that nobody can read spoils nothing for the others, and can be deleted from disk by its owner.
        listing = open_page("runs")
        assert not listing.exception


def test_the_newest_checkpoint_damaged_costs_one_checkpoint_and_no_more(good_run: Path, runs_folder: Path) -> None:
    folder = Path(shutil.copytree(good_run, runs_folder / "good-run"))
    flipped(checkpoints.NEWEST)(folder)
    assert work(folder).state == "finished"
    assert [event["kind"] for event in Run.open(folder).events(kinds=["checkpoint_rejected"])]


@pytest.mark.parametrize(
    "link",
    ["../good-run", "good-run/../good-run", "/etc", ".", "..", "GOOD-RUN", "%2e", "no-such-run", "x" * 500, "\x00"],
)
def test_a_forged_id_in_a_link_reaches_no_file(open_page, link: str, good_run: Path, runs_folder: Path) -> None:
    shutil.copytree(good_run, runs_folder / "good-run")
    app = open_page("train", link)
    assert not app.exception
    assert len(app.error) <= 1
    assert not app.sidebar.text
    with pytest.raises(RunError):
        runs.run_folder(runs_folder, link)


# --- other processes --------------------------------------------------------------------------------------------------


def test_a_run_that_another_worker_holds_is_left_to_it(good_run: Path, runs_folder: Path, capsys) -> None:
    folder = Path(shutil.copytree(good_run, runs_folder / "good-run"))
    with open(folder / "lock", "rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sentence = "a training is at work on this run already"
        assert sentence in told(capsys, "resume", folder, "--steps", "1000")
        with pytest.raises(RunError, match=sentence):
            worker.start(Run.open(folder))
        with pytest.raises(RunError, match=sentence):
            runs.delete_run(folder)


@pytest.mark.process
def test_a_killed_worker_is_told_of_and_the_run_goes_on(open_page, runs_folder: Path, capsys) -> None:
    run = tiny_run(runs_folder / "killed-run", epochs=100_000, checkpoint_every_seconds=0.1)
    worker.start(run)
    wait_for(lambda: run.checkpoint_steps() and run.status().state == "running")
    os.kill(run.status().pid, signal.SIGKILL)
    wait_for(lambda: run.status().state == "dead")
    app = open_page("train", run.id)
    assert app.error[0].value == wording.STATE_HELP["dead"]
    assert "its process ended unexpectedly" in said(app)
    steps = (run.status().checkpoint_step or 0) + 5
    assert main(["resume", str(run.folder), "--steps", str(steps), "--quiet"]) == 0


@pytest.mark.process
def test_a_worker_that_cannot_be_started_is_told_of(open_page, runs_folder: Path, monkeypatch) -> None:
    run = tiny_run(runs_folder / "idle-run")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    app = open_page("train", run.id)
    next(button for button in app.button if button.label == "Start").click().run()
    assert "no training process could be started" in said(app)


# --- disks ------------------------------------------------------------------------------------------------------------

FULL = "the disk is full; free some space"
LIMITED = """
import resource, sys, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from rnn_core.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


def with_little_space(size: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command that can write no file longer than `size` bytes, as on a disk that is full from there on."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(size), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )


@pytest.mark.parametrize("size", [0, 100, 5000, 40_000])
@pytest.mark.process
def test_a_full_disk_while_a_run_is_made_leaves_a_sentence_and_nothing_else(size: int, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT * 40)
    place = tmp_path / "here"
    result = with_little_space(size, "train", tmp_path / "a.txt", "--run", place / "run", "--hidden", "300", "--quiet")
    assert result.returncode == 2, result.stderr
    assert FULL in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not [path for path in place.rglob("*") if path.name.startswith(STAGING)]
    if (place / "run").exists():  # It was made whole; its training stopped, and goes on when there is space.
        assert main(["resume", str(place / "run"), "--steps", "1", "--quiet"]) == 0


@pytest.mark.process
def test_a_full_disk_while_weights_are_exported_keeps_what_was_there(good_run: Path, tmp_path: Path) -> None:
    (tmp_path / "out.safetensors").write_bytes(b"precious")
    result = with_little_space(500, "export", good_run, tmp_path / "out.safetensors")
    assert result.returncode == 2
    assert FULL in result.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name != "runs"] == ["out.safetensors"]
    assert (tmp_path / "out.safetensors").read_bytes() == b"precious"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 200 kB, where this machine lets us mount one."""
    place = tmp_path / "small-disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", place], capture_output=True)
    if made.returncode:
        pytest.skip("no permission to mount a file system here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.process
def test_a_small_disk_that_is_really_full(small_disk: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    arguments = ["train", tmp_path / "a.txt", "--run", small_disk / "a-run", "--hidden", "300", "--quiet"]
    assert FULL in told(capsys, *arguments)
    monkeypatch.setenv(library.ROOT_VARIABLE, str(small_disk))
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert "cannot be written (Read-only file system)" in told(capsys, *arguments[:3], small_disk / "b-run")
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)


NO_PERMISSION = """
import encodings.ascii, os, sys, tempfile
from rnn_core.cli.main import main
# Python itself may lie where nobody may look: whatever a training imports is imported now.
with tempfile.TemporaryDirectory() as allowed:
    main(["train", sys.argv[2], "--run", allowed + "/run", "--steps", "1", "--quiet"])
os.setgroups([]); os.setegid(65534); os.seteuid(65534)
code = main(sys.argv[1:])
sys.stderr.flush()
os._exit(code)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without permissions")
@pytest.mark.process
def test_a_folder_that_must_not_be_written_gets_a_sentence_and_no_run() -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="faults-") as room:
        os.chmod(room, 0o555)
        text = Path(room) / "a.txt"
        text.write_text(TEXT)
        result = subprocess.run(
            [sys.executable, "-c", NO_PERMISSION, "train", text, "--run", f"{room}/run", "--quiet"],
            capture_output=True,
            text=True,
        )
        assert result.returncode == 2, result.stderr
        assert "cannot be written (Permission denied)" in result.stderr.splitlines()[-1]
        assert "Traceback" not in result.stderr
        assert [path.name for path in Path(room).iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "sentence"),
    [("ENOSPC", FULL), ("EROFS", "cannot be written (Read-only file system)"), ("EIO", "Input/output error")],
)
def test_a_failing_disk_is_explained_on_the_page_where_a_training_is_started(
    open_page, number, sentence, monkeypatch
) -> None:
    import errno

    def fail(*_: object, **__: object) -> None:
        raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)))

    app = open_page("corpus")
    monkeypatch.setattr(tensors, "write_tensors", fail)
    next(button for button in app.button if button.label == wording.FIRST_VISIT_BUTTON).click().run()
    assert sentence in said(app)


def test_a_missing_folder_of_runs_is_an_empty_one(open_page, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv(library.ROOT_VARIABLE, str(tmp_path / "not" / "there"))
    app = open_page("runs")
    assert not app.exception
    assert not app.error
    assert wording.WOULD_SHOW["runs"] in [element.value for element in app.markdown]


def test_a_file_in_place_of_the_folder_of_runs_is_explained(open_page, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv(library.ROOT_VARIABLE, str(tmp_path / "file"))
    app = open_page("corpus")
    next(button for button in app.button if button.label == wording.FIRST_VISIT_BUTTON).click().run()
    assert said(app)
    assert (tmp_path / "file").read_text() == "x"


# --- and after all that -----------------------------------------------------------------------------------------------


def test_there_are_at_least_fifty_faults_with_a_sentence_each() -> None:
    assert len(UPLOADS) + len(SETTINGS) + len(RUNS) >= 50
    sentences = [*(fault[2] for fault in UPLOADS.values()), *SETTINGS.values(), *(fault[2] for fault in RUNS.values())]
    assert all(len(sentence) > 10 for sentence in sentences)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells here what a process holds")
@pytest.mark.slow
def test_memory_and_files_come_back_after_every_fault(good_run: Path, tmp_path: Path, capsys) -> None:
    def all_faults() -> None:
        for name, data, _ in UPLOADS.values():
            (tmp_path / name).write_bytes(data)
            assert main(["train", str(tmp_path / name), "--run", str(tmp_path / "new"), "--quiet"]) == 2
        for damage, command, _, _ in RUNS.values():
            if command:
                shutil.copytree(good_run, tmp_path / "damaged")
                damage(tmp_path / "damaged")
                assert main([command, str(tmp_path / "damaged"), *["--steps", "999"] * (command == "resume")]) == 2
                shutil.rmtree(tmp_path / "damaged")
        gc.collect()

    def in_use() -> tuple[float, int]:
        with open("/proc/self/statm") as file:
            megabytes = int(file.read().split()[1]) * resource.getpagesize() / 1e6
        return megabytes, len(os.listdir("/proc/self/fd"))

    all_faults()  # what is loaded and kept once
    before = in_use()
    for _ in range(2):
        all_faults()
    after = in_use()
    assert after[1] == before[1]
    assert after[0] < before[0] + 30, f"{before[0]:.0f} MB before, {after[0]:.0f} MB after"


def test_a_run_that_does_not_fit_its_corpus_is_never_made(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="set the network's vocabulary size to the corpus's"):
        runs.create_run(
            tmp_path / "run", "x", tiny_corpus(), ModelConfig(vocabulary_size=9999), TrainingSettings(), TextSettings()
        )
    assert not (tmp_path / "run").exists()
