"""Processes that share a batch: `DataParallel(model)` computes what `model` does, on several cores.

How, and which batches are worth it, nothing outside knows. (Threads that share one product: `rnn_core.threads`.)
"""

from rnn_core.parallel.data_parallel import DataParallel
from rnn_core.parallel.processes import step_bytes

__all__ = ["DataParallel", "step_bytes"]
