"""Which machine, how busy, which versions: what benchmarks print before their figures; and whether those are enough."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from rnn_core.threads import thread_count, usable_cores


def describe() -> str:
    """Lines of Markdown. The load is that of the last minute: figures taken while others compute flatter nobody."""
    packages = []
    for package in ("numpy", "torch", "jax", "streamlit"):
        try:
            packages.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return (
        f"- {_processor()}, {usable_cores()} usable cores, {thread_count()} threads, "
        f"load {os.getloadavg()[0]:.2f} at the start\n"
        f"- Python {platform.python_version()}, {', '.join(packages)}"
    )


def goal(what: str, asked: float, found: float, least: bool = True) -> str:
    """A line that says whether a figure is at `least`, or else at most, what was asked of it."""
    reached = found >= asked if least else found <= asked
    bound = "at least" if least else "at most"
    return f"- {'reached' if reached else 'NOT REACHED'}: {what} {bound} {asked:g}; here {found:.2f}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
