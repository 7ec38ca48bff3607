"""A batch shared among cores: by the threads of one process, or by several processes. Nothing outside knows how.

`rnn_core.parallel.threads`         the lower half: threads that share one product or one update. It imports nothing
                                    of `rnn_core`, so that the network itself is built on it.
`rnn_core.parallel.data_parallel`   the upper half: `DataParallel(model)`, processes that share a batch's sequences.
                                    It is built on the network (`rnn_core.nn`), and the training loop on it.

Which of the two computes a batch follows from the network's shape: where the output layer is nearly all of the work,
as with many words, threads share it; where the walk through time is much of it, processes share the sequences.
"""

from rnn_core.parallel.threads import (
    even_slice,
    for_row_blocks,
    limited_threads,
    matmul,
    one_blas_thread,
    run_parallel,
    thread_count,
    usable_cores,
)

__all__ = [
    "even_slice",
    "for_row_blocks",
    "limited_threads",
    "matmul",
    "one_blas_thread",
    "run_parallel",
    "thread_count",
    "usable_cores",
]
