"""How networks and diagnostics compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from rnn_core.threads import one_blas_thread


@contextmanager
def arithmetic() -> Iterator[None]:
    """Within this block: on threads of our own, not BLAS's, and without a warning where a number overflows. An
    explosion is a result here, which shows in the loss or in a norm.
    """
    with one_blas_thread(), np.errstate(over="ignore", under="ignore", invalid="ignore"):
        yield
