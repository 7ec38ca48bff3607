"""A run is a folder: settings, vocabulary, corpus, weights and history of one training.

    runs/<id>/  config.json         schema, name, settings, facts about the corpus
                vocabulary.json     the words, in the order of their ids
                corpus.safetensors  train_ids, train_offsets, valid_ids, valid_offsets
                model.safetensors   the newest checkpoint; model-<step>.safetensors are the two before it
                weights-<step>.safetensors  weights alone, at moments along the way (see `snapshots`)
                (a run on a task has neither vocabulary nor corpus)
                events.sqlite       metrics, events, requests, status (WAL: one writer, many readers)
                lock                flock'ed by the one worker that may write

Training is a process of its own (`worker.work`, behind `see-bptt resume DIR`). Everybody else opens the folder as a
`Run`, reads what is new, and leaves requests. So whoever looks can come, go, and crash without touching the training.

A worker that dies leaves its lock free: that, and not a silent heartbeat, is what `RunStatus.state == "dead"` means.
"""

from rnn_core.runs.archive import import_run, zip_run
from rnn_core.runs.changes import delete_run, lengthen_run, rename_run, tag_run
from rnn_core.runs.creation import create_run, create_task_run
from rnn_core.runs.database import METRICS
from rnn_core.runs.fork import CHANGEABLE, fork_run
from rnn_core.runs.listing import RunSummary, list_runs
from rnn_core.runs.lock import locked, worker_alive
from rnn_core.runs.outputs import check_output_folder, check_output_path
from rnn_core.runs.paths import ROOT_VARIABLE, RUN_ID, new_run_id, run_folder, runs_root
from rnn_core.runs.reading import disk_error
from rnn_core.runs.run import REQUESTS, LoadedWeights, Run
from rnn_core.runs.run_config import CorpusFacts, RunConfig
from rnn_core.runs.status import RunStatus, State

__all__ = [
    "CHANGEABLE",
    "METRICS",
    "REQUESTS",
    "ROOT_VARIABLE",
    "RUN_ID",
    "CorpusFacts",
    "LoadedWeights",
    "Run",
    "RunConfig",
    "RunStatus",
    "RunSummary",
    "State",
    "check_output_folder",
    "check_output_path",
    "create_run",
    "create_task_run",
    "delete_run",
    "disk_error",
    "fork_run",
    "import_run",
    "lengthen_run",
    "list_runs",
    "locked",
    "new_run_id",
    "rename_run",
    "run_folder",
    "runs_root",
    "tag_run",
    "worker_alive",
    "zip_run",
]
