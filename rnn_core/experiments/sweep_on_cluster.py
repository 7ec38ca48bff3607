"""Trains a sweep's points on a Dask cluster, whose machines need not share a disk.

A point is trained in a temporary folder there, comes back as a zip, and is unpacked here; the corpus is sent to each
worker once.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnn_core.data import PreparedCorpus
from rnn_core.errors import RunError
from rnn_core.experiments import dask_cluster
from rnn_core.experiments.points import Point
from rnn_core.experiments.sweep import Sweep
from rnn_core.runs import delete_run, import_run, zip_run
from rnn_core.runs.paths import is_run
from rnn_core.runs.stop_signals import StopSignals
from rnn_core.runs.worker import work
from rnn_core.threads import limited_threads

WAIT_SECONDS = 1.0  # between two looks for a request to stop


class OnCluster:
    """Points on the workers of a Dask cluster."""

    def __init__(self, address: str) -> None:
        """address: of the scheduler. Raises RunError where `distributed` is not installed."""
        self.distributed, self.address = dask_cluster.distributed_for("a sweep"), address

    def __call__(
        self, plan: Sweep, folder: Path, corpus: PreparedCorpus | None, signals: StopSignals
    ) -> dict[str, str]:
        """Train every point that has not ended -> by their names, why points failed."""
        failures: dict[str, str] = {}
        with dask_cluster.connected(self.distributed, self.address) as client:
            # As the result of a task, which Dask computes again where the workers that hold it die. Data that were
            # scattered would be lost.
            shared = None if corpus is None else client.submit(_identity, corpus, pure=False)
            points = {
                # Not "pure", so that Dask does not answer with the result of the same point in an earlier sweep.
                client.submit(_train_elsewhere, plan, point, shared, pure=False): point
                for point in plan.unfinished(folder)
            }
            try:
                for point, future in self._as_they_end(client, points, signals):
                    try:
                        _import_result(future.result(), plan, folder, point)
                    except Exception as error:  # Any error ends this point alone.
                        failures[point.name] = str(error) or type(error).__name__
            except self.distributed.CancelledError:
                raise RunError(
                    f"the Dask scheduler at {self.address} has forgotten this sweep; is it still running? What is done "
                    "is kept, and the same command goes on."
                ) from None
        return failures

    def _as_they_end(self, client: Any, points: dict[Any, Point], signals: StopSignals) -> Iterator[tuple[Point, Any]]:
        while points:
            try:
                done = self.distributed.wait(list(points), timeout=WAIT_SECONDS, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                done = set()
            for future in done:
                yield points.pop(future), future
                # The result is here: the cluster need not keep it, nor compute it again where the worker with it dies.
                future.release()
            if signals.received is not None:
                client.cancel(list(points))
                return


def _identity(corpus: PreparedCorpus) -> PreparedCorpus:
    return corpus


def _train_elsewhere(plan: Sweep, point: Point, corpus: PreparedCorpus | None) -> bytes:
    """Train a point from its start, with one thread, on whatever machine this is -> its run as a zip."""
    with tempfile.TemporaryDirectory() as temporary, limited_threads(1):
        run = plan.create_run(Path(temporary) / point.name, point, corpus)
        work(run.folder)
        packed = io.BytesIO()
        zip_run(run.folder, packed)
        return packed.getvalue()


def _import_result(packed: bytes, plan: Sweep, folder: Path, point: Point) -> None:
    """Unpack a run that came back. It replaces one of the same point that was begun on this machine."""
    run_folder = plan.run_folder(folder, point)
    if is_run(run_folder):
        delete_run(plan.open_run(run_folder, point).folder)
    import_run(io.BytesIO(packed), run_folder)
