"""Data parallelism: processes that share a batch by its sequences, each with the whole network.

Every process takes some of the batch's columns forward and back; the gradient of the mean over all tokens is the sum of
theirs, each weighted by its share of the tokens. They see the same parameters, in memory that they share, and write
their gradients there.

Threads cannot do this as well: a walk through time is hundreds of short NumPy calls, and between them the threads of
one process wait for Python's global lock. It pays where the walk is much of the work: few words, or a cell with many
products. Where the output layer is nearly all of it, each process would read the whole of V for a few positions; there
the threads of one process share the words (`rnn_core.nn.softmax`).
"""

from __future__ import annotations

import numpy as np

from rnn_core.arrays import Array
from rnn_core.nn.gradients import Gradients, add
from rnn_core.nn.network import Network, State
from rnn_core.nn.parameters import parameter_shapes
from rnn_core.parallel.processes import processes_for
from rnn_core.parallel.shards import Shard, join_states, split
from rnn_core.parallel.shared_buffers import SharedBuffers
from rnn_core.parallel.worker import Worker, WorkerLost


class DataParallel:
    """Wraps a model: `training_gradients` computes what the model's own does, on several cores.

    The processes start with the first batch that is worth them. How many share a batch depends on its shape, the
    network and `thread_count()` alone, so that the same training gives the same bits. Once a worker is lost (killed,
    stopped, not answering), this process goes on alone for good, with the same numbers but for rounding. A
    gradient may lie in memory that the next batch overwrites.
    """

    def __init__(self, model: Network, processes: int | None = None) -> None:
        """processes: that share each batch; None: as many as `processes_for` says."""
        self.model = model
        self.processes = processes
        self.workers: list[Worker] = []
        self.parameters: dict[str, Array] = {}  # the model's, in the shared memory
        self.lost_worker = False

    def __enter__(self) -> DataParallel:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers. The model keeps its parameters."""
        for worker in self.workers:
            worker.close()
        self.workers = []

    def training_gradients(
        self,
        inputs: Array,
        targets: Array,
        mask: Array | None = None,
        truncate: int | None = None,
        state: State | None = None,
        dropout_rng: np.random.Generator | None = None,
        omega: float = 0.0,
        loss_weights: Array | None = None,
    ) -> tuple[float, Gradients, State]:
        """As `Network.training_gradients`, equal to it but for rounding (and for which units dropout drops)."""
        # Omega is a sum over the sequences of the whole batch: it is not shared.
        processes = 1 if omega or self.lost_worker else self._processes_for(*inputs.shape[:2])
        if processes > 1:
            try:
                return self._share(split(processes, inputs, targets, mask, truncate, state, dropout_rng, loss_weights))
            except WorkerLost:
                self.lost_worker = True
                self.close()
            except BaseException:
                self.close()  # Their answers to this batch must not be taken for answers to the next.
                raise
        return self.model.training_gradients(inputs, targets, mask, truncate, state, dropout_rng, omega, loss_weights)

    def _processes_for(self, steps: int, sequences: int) -> int:
        if self.processes is not None:
            return min(self.processes, sequences)
        return processes_for(self.model.config, steps, sequences)

    def _share(self, shards: list[Shard]) -> tuple[float, Gradients, State]:
        own, *others = shards
        if len(self.workers) < len(others):
            self._start(len(others))
        self._share_parameters()
        workers = self.workers[: len(others)]
        for worker, shard in zip(workers, others, strict=True):
            worker.send(shard)
        loss_nats, gradients, state = own.gradients(self.model)
        results = [worker.recv() for worker in workers]
        for worker, result in zip(workers, results, strict=True):
            for name, rows in result.rows.items():
                gradients[name] = add(gradients[name], worker.gradient(name, rows))
        return loss_nats + sum(result.loss_nats for result in results), gradients, join_states(state, results)

    def _start(self, count: int) -> None:
        """Start so many workers, and allocate the memory that they share. Raises WorkerLost."""
        self.close()
        config, dtype = self.model.config, self.model.dtype
        try:
            buffers = SharedBuffers(parameter_shapes(config), dtype, count + 1)
        except OSError as refused:
            raise WorkerLost from refused
        self.parameters = buffers.arrays(0)
        for number in range(1, count + 1):
            self.workers.append(Worker(config, buffers, number))
        for worker in self.workers:
            worker.wait_until_started()

    def _share_parameters(self) -> None:
        """Move the model's parameters into the shared memory, where they are not there already."""
        for name, shared in self.parameters.items():
            if self.model.params[name] is not shared:
                shared[...] = self.model.params[name]
                self.model.params[name] = shared
