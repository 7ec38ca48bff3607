"""Thousands of damaged runs, read in every way that there is: python tests/fuzz_runs.py --folders 2000 --seed 1.

For each: the list (in which the good run beside it must stand), every method of `Run`, every command, a resumption, a
zip and its import, and now and then every page; every second time on a hosted server. Counted are tracebacks, waits of
more than five seconds, and good runs that were not listed; all must be 0.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from damaged_runs import Damage, damaged_copy  # noqa: E402
from streamlit.testing.v1 import AppTest  # noqa: E402
from tiny_runs import tiny_corpus, tiny_run  # noqa: E402

from dashboard import hosting  # noqa: E402
from dashboard.services import library  # noqa: E402
from rnn_core.cli.main import main as command  # noqa: E402
from rnn_core.errors import UserError  # noqa: E402
from rnn_core.runs import Run, delete_run, fork_run, import_run, list_runs, rename_run, tag_run, zip_run  # noqa: E402
from rnn_core.runs.worker import Limits, work  # noqa: E402

LONGEST_SECONDS = 5.0
APP = Path(__file__).parents[1] / "dashboard" / "app.py"
NO_RUN = {"home", "story", "by_hand", "corpus"}
PAGES = sorted(view.stem for view in (APP.parent / "views").glob("[a-z]*.py") if view.stem not in NO_RUN)
OWNER = "a" * 64
STEPS = 9


class Hang(BaseException):
    """Something waits and would go on waiting."""


@contextlib.contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """Raises Hang after so many seconds, in whatever waits."""

    def give_up(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def own_seconds() -> float:
    """A clock that stands still while this process could run and another has the processor: a busy machine is not a
    fault of ours. Whatever waits for a file or a lock, or computes, lets it go on.
    """
    delays = 0
    with contextlib.suppress(OSError):  # not Linux
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):  # a thread that has just ended
                delays += int((task / "schedstat").read_text().split()[1])
    return time.monotonic() - delays / 1e9


class Fuzz:
    """What was tried and what went wrong."""

    def __init__(self, hang_seconds: float = 30.0, longest_seconds: float = LONGEST_SECONDS) -> None:
        self.hang_seconds, self.longest_seconds = hang_seconds, longest_seconds
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []

    def fault(self, what: str) -> None:
        self.faults.append(what)
        print(what, flush=True)

    def attempt(self, what: str, action: Callable[[], Any]) -> Any:
        """A UserError of one line is an answer, and so is a result; anything else is a fault."""
        started = own_seconds()
        result = None
        try:
            with no_longer_than(self.hang_seconds):
                result = action()
            self.counts["fine"] += 1
        except UserError as error:
            self.counts["explained"] += 1
            if "\n" in str(error) or not str(error).strip():
                self.fault(f"{what}: not one line: {error!r}")
        except Hang:
            self.fault(f"{what}: WAITED more than {self.hang_seconds:.0f} s")
        except BaseException:
            self.fault(f"{what}: TRACEBACK\n{traceback.format_exc(limit=-4)}")
        if (seconds := own_seconds() - started) > self.longest_seconds:
            self.fault(f"{what}: WAITED {seconds:.1f} s")
        return result

    def folder(self, good: Path, room: Path, seed: int, pages: bool, damages: Sequence[Damage] | None = None) -> None:
        """One damaged run, in every way. `room` is an empty folder of runs."""
        whole = Path(room / "good-run")
        damaged = room / "damaged-run"
        done = damaged_copy(good, damaged, seed, damages)
        shutil.copytree(good, whole)
        hosted = seed % 2 == 1
        os.environ[library.ROOT_VARIABLE] = str(room)
        os.environ[hosting.VARIABLE] = "1" if hosted else "0"
        if hosted:
            for folder in (whole, damaged):
                with contextlib.suppress(UserError, OSError):
                    hosting.set_owner(folder, library.visitor())
        name = f"seed {seed} ({done})"
        for lister in (lambda: list_runs(room), library.summaries):
            listed = self.attempt(f"{name}: list", lister) or []
            if not any(summary.id == "good-run" and not summary.error for summary in listed):
                self.fault(f"{name}: the good run is NOT LISTED")
        if pages:
            for page in PAGES:
                self.page(name, page)
        self.run(name, damaged)
        if hosted:
            self.attempt(f"{name}: sweep", lambda: hosting.sweep(room, hosting.current_caps()))
        self.commands(name, damaged, room)
        self.attempt(f"{name}: rename", lambda: rename_run(damaged, "other"))
        self.attempt(f"{name}: work", lambda: work(damaged, limits=Limits(steps=STEPS + 2), steps=STEPS + 4))
        self.attempt(f"{name}: delete", lambda: delete_run(damaged))

    def run(self, name: str, folder: Path) -> None:
        """Every method of a run."""
        run = self.attempt(f"{name}: open", lambda: Run.open(folder))
        if run is None:
            return
        for method in (
            "vocabulary",
            "corpus",
            "source",
            "digest",
            "status",
            "events",
            "metrics",
            "outline",
            "load_model",
            "load_network",
            "moments",
            "requested_settings",
            "watch",
            "queue",
        ):
            self.attempt(f"{name}: {method}", getattr(run, method))
        self.attempt(f"{name}: training_at", lambda: run.training_at(STEPS))
        self.attempt(f"{name}: tag", lambda: tag_run(folder, ["a tag"]))
        self.attempt(f"{name}: fork", lambda: fork_run(folder, folder.with_name("forked-run")))
        for step in self.attempt(f"{name}: moments", run.moments) or []:
            self.attempt(f"{name}: weights of {step}", lambda step=step: run.load_weights(step))
        self.attempt(f"{name}: request", lambda: run.request("resume"))
        archive = io.BytesIO()
        self.attempt(f"{name}: zip", lambda: zip_run(folder, archive))
        if archive.getvalue():
            self.attempt(f"{name}: import", lambda: import_run(archive, folder.with_name("imported-run")))

    def commands(self, name: str, folder: Path, room: Path) -> None:
        """Every command; each must end with 0 or 2, and one line if it is 2."""
        text = room / "text.txt"
        text.write_text("the queen saw her dog .\n" * 20)
        for arguments in (
            ["generate", folder, "--json"],
            ["evaluate", folder, text, "--json"],
            ["gradients", folder, "--text", "the queen", "--json"],
            ["export", folder, room / "out.safetensors"],
        ):
            said = io.StringIO()

            def action(arguments: list[Any] = arguments, said: io.StringIO = said) -> int:
                with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                    return command([str(argument) for argument in arguments])

            code = self.attempt(f"{name}: {arguments[0]}", action)
            if code not in (0, 2) or (code == 2 and "error: " not in said.getvalue().splitlines()[-1]):
                self.fault(f"{name}: {arguments[0]} ended with {code}: {said.getvalue()[-300:]}")

    def page(self, name: str, page: str) -> None:
        def action() -> None:
            app = AppTest.from_file(str(APP), default_timeout=self.hang_seconds)
            app.query_params["run"] = "damaged-run"
            app.run()
            app.switch_page(f"views/{page}.py").run()
            if app.exception:
                raise AssertionError(app.exception[0].message + app.exception[0].stack_trace[-1])

        self.attempt(f"{name}: page {page}", action)


def good_run(room: Path) -> Path:
    """A finished run with everything in its folder that a run can have."""
    run = tiny_run(room / "run", corpus=tiny_corpus(), steps=STEPS, sample_every_seconds=0.0, horizon_every_seconds=0.0)
    work(run.folder, limits=Limits(steps=4))
    work(run.folder)
    return run.folder


def main() -> int:
    """Returns 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="of the first folder")
    parser.add_argument("--pages-every", type=int, default=20, help="all pages for one folder of so many")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    library.recognise_visitors_by(lambda: OWNER)
    fuzz, started = Fuzz(), time.monotonic()
    with tempfile.TemporaryDirectory() as room:
        good = good_run(Path(room))
        os.environ[library.ROOT_VARIABLE] = str(good.parent)
        for page in PAGES:  # What a page imports, it imports once.
            AppTest.from_file(str(APP), default_timeout=300).run().switch_page(f"views/{page}.py").run()
        for number in range(options.folders):
            place = Path(room) / f"runs-{number}"
            place.mkdir()
            fuzz.folder(good, place, options.seed + number, pages=number % options.pages_every == 0)
            shutil.rmtree(place, ignore_errors=True)
            if (number + 1) % 100 == 0:
                print(
                    f"{number + 1} folders, {len(fuzz.faults)} faults, {time.monotonic() - started:.0f} s", flush=True
                )
    kinds = {kind: sum(kind in fault for fault in fuzz.faults) for kind in ("TRACEBACK", "WAITED", "NOT LISTED")}
    print(
        f"{options.folders} folders from seed {options.seed}: {dict(fuzz.counts)}; {kinds}; {len(fuzz.faults)} faults"
    )
    return 1 if fuzz.faults else 0


if __name__ == "__main__":
    sys.exit(main())
