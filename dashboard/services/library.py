"""The library of runs: where it is, what is in it, and what this visitor may do with a run.

On a hosted server whoever made a run is its owner, and everybody else who has its link a guest. The pages get every run
from here (`open_run`), change none but through here, `trainings` and `worker`, and hand on nothing that they were not
given. Every function that changes a run, or gives all of it away, asks whose it is.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from dashboard import hosting
from rnn_core import runs
from rnn_core.config import TrainingSettings
from rnn_core.data import PreparedCorpus, parse_word_list, without_text
from rnn_core.errors import RunError, UserError
from rnn_core.interop import importing
from rnn_core.report import report_html
from rnn_core.runs import Run, RunSummary

ROOT_VARIABLE = runs.ROOT_VARIABLE

UNPACKED = 5
"""A visitor's archive may unpack to so many times what all of a visitor's uploads may take."""

_secret: Callable[[], str] | None = None


def recognise_visitors_by(secret: Callable[[], str]) -> None:
    """Let `secret` say, whenever it is asked, by which secret the visitor at hand is known (64 hexadecimals)."""
    global _secret
    _secret = secret


def visitor() -> str:
    """The id by which a hosted server knows this visitor's runs."""
    assert _secret is not None, "nobody has said how visitors are recognised"
    return hosting.owner_id(_secret())


def root() -> Path:
    """The folder that holds every run: $SEE_BPTT_RUNS, or ./runs."""
    return runs.runs_root()


class GuestRun(Run):
    """A run as somebody sees it who only has its link: settings, curves, what the network writes, and its weights.

    Not its text. And nothing that changes it: `Run`'s own ways to ask something of a training are closed as well.
    """

    def corpus(self) -> PreparedCorpus:
        raise _not_yours()

    def request(self, kind: str, **payload: object) -> None:
        raise _not_yours()

    def queue(self, message: str = "") -> None:
        raise _not_yours()

    def unqueue(self, message: str) -> None:
        raise _not_yours()

    def fail(self, message: str) -> None:
        raise _not_yours()


def open_run(run_id: str) -> Run:
    """The run with this id, which may come from a link: a GuestRun unless it is this visitor's. RunError where there is
    none or it is damaged.
    """
    run = Run.open(runs.run_folder(root(), run_id))
    if hosting.current_caps() is None:
        return run
    hosting.record_visit(run)
    return run if mine(run) else GuestRun(run.folder, run.config)


def shared_run(folder: str) -> GuestRun:
    """The run in `folder` for what all visitors share: without what only its owner may have. RunError as above."""
    run = Run.open(folder)
    return GuestRun(run.folder, run.config)


def summaries() -> list[RunSummary]:
    """Every run in the folder that is this visitor's, newest first; one that cannot be read is listed with the
    reason.
    """
    if hosting.current_caps() is None:
        return runs.list_runs(root())
    owner = visitor()
    return runs.list_runs(root(), lambda folder: hosting.owner_of(folder) == owner)


def mine(run: Run) -> bool:
    """Whether this visitor may change the run and read its text: always, but on a hosted server only its owner."""
    return hosting.current_caps() is None or hosting.owner_of(run.folder) == visitor()


def check_mine(run: Run) -> None:
    """Raises RunError where this visitor may only look."""
    if not mine(run):
        raise _not_yours()


def _not_yours() -> RunError:
    return RunError("this training belongs to somebody else; the link lets you look at it. Start one of your own.")


def request(run: Run, kind: str) -> None:
    """Ask the run's training for something: pause, resume, step, stop."""
    check_mine(run)
    run.request(kind)


def steer(run: Run, setting: str, value: Any) -> None:
    """Ask the run's training to change one of `STEERABLE`; see `Run.request`."""
    check_mine(run)
    run.request(setting, **{setting: value})


def rename(run: Run, name: str) -> None:
    """Give the run another name."""
    check_mine(run)
    runs.rename_run(run.folder, name)


def tag(run: Run, tags: Iterable[str]) -> None:
    """Give the run these tags in the place of its own."""
    check_mine(run)
    runs.tag_run(run.folder, tags)


def delete(run: Run) -> None:
    """Delete the run for good. RunError while a training is at work on it."""
    check_mine(run)
    runs.delete_run(run.folder)


def import_zip(file: IO[bytes]) -> Run:
    """A run from somebody's zip archive, strictly checked, which is this visitor's from now on. UserError, with the
    reason, where it is not taken.
    """
    caps, folder = hosting.current_caps(), root() / runs.new_run_id()
    if caps is None:
        return runs.import_run(file, folder)
    with hosting.one_at_a_time(root(), visitor()):
        hosting.check_run_count(root(), visitor(), caps)
        run = runs.import_run(file, folder, UNPACKED * caps.uploads_megabytes * 2**20)
        try:
            hosting.check_training(run.data(), run.config.model, run.config.training, caps)
            hosting.set_owner(run.folder, visitor())
        except UserError:
            runs.delete_run(run.folder)
            raise
        return run


def import_network(weights: bytes, words: bytes, name: str, cell: str | None) -> tuple[Run, str]:
    """A run of a network that was trained elsewhere: PyTorch's weights as safetensors, its word list, and what the two
    leave open; this visitor's from now on. And sentences on what was assumed, or "". UserError, with the reason, where
    it is not taken.
    """
    caps, folder = hosting.current_caps(), root() / runs.new_run_id()
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "model.safetensors"
        path.write_bytes(weights)
        network = importing.import_network(path, parse_word_list(words), cell)
    corpus = without_text(network.words, network.text, name, network.assumed)
    config, training = network.model.config, TrainingSettings()
    with contextlib.ExitStack() as admission:
        if caps is not None:
            admission.enter_context(hosting.one_at_a_time(root(), visitor()))
            hosting.check_run_count(root(), visitor(), caps)
            hosting.check_training(corpus, config, training, caps)
        run = runs.create_run(folder, name, corpus, config, training, network.text, network.model.params)
        if caps is not None:
            hosting.set_owner(run.folder, visitor())
    return run, network.assumed


def report(run: Run, text: str | None = None) -> str:
    """The run as one HTML file, for whoever may look at it: none of the text that it learnt from is in it."""
    return report_html(run, text)


def write_zip(run: Run, file: IO[bytes]) -> None:
    """Write the whole run, its text included, as a zip archive into `file`."""
    check_mine(run)
    runs.zip_run(run.folder, file)
