"""Connecting to a Dask cluster. Its package, `distributed`, is optional, and takes a while to import."""

from __future__ import annotations

from typing import Any

from rnn_core.errors import RunError


def distributed_for(what: str) -> Any:
    """The package `distributed`. Raises RunError, which says that `what` ("a sweep") needs it, where it is missing."""
    try:
        import distributed
    except ImportError:
        raise RunError(f"{what} on Dask needs `distributed`: pip install 'see-bptt[dask]'.") from None
    return distributed


def connected(distributed: Any, address: str) -> Any:
    """A client, which is a context manager, of the scheduler at this address. Raises RunError where none answers."""
    try:
        return distributed.Client(address, timeout="20s")
    except (OSError, ValueError) as error:
        raise RunError(f"no Dask scheduler answers at {address} ({error}); is it running?") from None
