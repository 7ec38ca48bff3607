"""Sweeps that a page begins: on this machine one process for all points, on a hosted server a training in the queue for
each, within the caps. Every point is a run like any other, beside the sweep's own small folder.
"""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from dashboard import hosting
from dashboard.hosting import Caps
from dashboard.services import library, processes, worker
from rnn_core import runs
from rnn_core.data import PreparedCorpus
from rnn_core.data.tasks import make_task
from rnn_core.errors import RunError, SettingsError, UserError
from rnn_core.experiments.points import ENDED, PointResult
from rnn_core.experiments.sweep import FILE, STOP, Sweep, ask_to_stop
from rnn_core.runs import Run, worker_alive

MOST_POINTS = 300
"""Of a sweep that a page begins: its table is to be read."""

_children: dict[Path, subprocess.Popen[bytes]] = {}


def begin(plan: Sweep, corpus: PreparedCorpus | None) -> str:
    """Make a sweep's folder and its runs, and start it -> its id. UserError with the reason where that fails."""
    plan.check(corpus)
    root, sweep_id, caps = library.root(), runs.new_run_id(), hosting.current_caps()
    most = MOST_POINTS if caps is None else caps.trainings_per_visitor
    if len(plan.points) > most:
        raise SettingsError(
            f"this sweep has {len(plan.points):,} trainings, and {most:,} are the most here; try fewer."
        )
    if caps is None:
        _make(plan, corpus, root / sweep_id)
    else:
        with hosting.one_at_a_time(root, library.visitor()):
            _admit(plan, corpus, root, caps)
            _make(plan, corpus, root / sweep_id)
    start(sweep_id)
    return sweep_id


def _admit(plan: Sweep, corpus: PreparedCorpus | None, root: Path, caps: Caps) -> None:
    """Raises UserError for what this server's caps do not allow."""
    for point in plan.points:
        task, model, training = plan.settings(point)
        data = make_task(task) if task is not None else corpus
        assert data is not None  # one of the two is learnt
        hosting.check_training(data, model, training, caps)
    hosting.check_run_count(root, library.visitor(), caps, len(plan.points))
    hosting.check_room(root, library.visitor(), caps)
    for folder in root.glob(f"*/{FILE}"):
        if not any(root.glob(f"{folder.parent.name}-point-*")):  # its runs are deleted: so is what is left of it
            _forget(folder.parent)


def _make(plan: Sweep, corpus: PreparedCorpus | None, folder: Path) -> None:
    """The folder of the sweep, and a run for each point that makes sense: the others say why not."""
    plan.write(folder)
    hosted, made = hosting.current_caps() is not None, list[Run]()
    try:
        for point in plan.points:
            with contextlib.suppress(SettingsError):
                made.append(plan.create_run(plan.run_folder(folder, point), point, corpus))
                if hosted:
                    hosting.set_owner(made[-1].folder, library.visitor())
        if hosted:
            hosting.set_owner(folder, library.visitor())
    except UserError:
        for run in made:
            with contextlib.suppress(UserError):
                runs.delete_run(run.folder)
        _forget(folder)
        raise


def _forget(folder: Path) -> None:
    for name in (FILE, STOP, "lock", "owner", processes.LOG):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def opened(sweep_id: str) -> tuple[Sweep, list[PointResult]]:
    """A sweep, whose id may come from a link, and how its points stand. RunError where there is none."""
    folder = runs.run_folder(library.root(), sweep_id)
    plan = Sweep.read(folder)
    return plan, list(plan.results(folder))


def run_id(sweep_id: str, plan: Sweep, result: PointResult) -> str:
    """The id of a point's run."""
    return plan.run_folder(library.root() / sweep_id, result.point).name


def mine(sweep_id: str) -> bool:
    """Whether this visitor may stop it, or go on with it."""
    return hosting.current_caps() is None or hosting.owner_of(library.root() / sweep_id) == library.visitor()


def at_work(sweep_id: str, results: list[PointResult]) -> bool:
    """Whether anything about it moves."""
    folder = library.root() / sweep_id
    child = _children.get(folder)
    if child is not None and child.poll() is not None:
        del _children[folder]
    moving = any(result.state in ("queued", "running", "paused") for result in results)
    return moving or folder in _children or worker_alive(folder)


def start(sweep_id: str) -> None:
    """Begin the sweep, or go on with it. UserError where that is not possible."""
    _check_mine(sweep_id)
    folder = library.root() / sweep_id
    plan, results = opened(sweep_id)
    if hosting.current_caps() is not None:
        for result in results:
            if result.state not in (*ENDED, "queued", "running", "paused", "failed"):
                worker.start(library.open_run(run_id(sweep_id, plan, result)))
        return
    try:
        _children[folder] = processes.start(folder, ["sweep", "--dir", str(folder), "--quiet"])
    except OSError as error:
        raise RunError(f"no process could be started in {folder}: {error.strerror or error}.") from error


def stop(sweep_id: str) -> None:
    """Ask all that is at work to stop; it can be gone on with."""
    _check_mine(sweep_id)
    ask_to_stop(library.root() / sweep_id)
    plan, results = opened(sweep_id)
    for result in results:
        with contextlib.suppress(UserError):  # it ended a moment ago
            run = library.open_run(run_id(sweep_id, plan, result))
            if result.state == "queued" and hosting.current_caps() is not None:
                worker.leave_queue(run)
            elif result.state in ("running", "paused"):
                library.request(run, "stop")


def _check_mine(sweep_id: str) -> None:
    if not mine(sweep_id):
        raise RunError("this sweep belongs to somebody else; the link lets you look at it. Start one of your own.")
