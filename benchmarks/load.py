"""A public afternoon: 100 browsers open on a hosted server, 10 of them want to train, and there are two cores.

    python benchmarks/load.py [--sessions 100] [--trainers 10] [--hostile 10] [--seconds 90]

The browsers are websocket clients that speak Streamlit's protocol: each has a cookie of its own, opens a page, goes on
to another every few seconds, and polls where the page asks for it, as a browser does. Some of the hundred mean it
badly: they send large files past the page, paste texts that take long to read and leave, forge messages, and connect
and hang up as fast as it goes. What must hold for all others:

- never more trainings at work than slots, and everybody who waits gets a turn, in order;
- 95 of 100 reruns of a page end within a second;
- the server's memory and file descriptors stop growing once everybody is there;
- when everybody has left, the queue empties, and no process remains.

Ends with exit code 1 where one of these is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import machine
from browsers import HOSTILE, Browser, Log, hostile, onlooker, trainer

from dashboard import hosting
from dashboard.hosting import queue
from rnn_core.runs import Run, list_runs, worker_alive
from rnn_core.threads import usable_cores

ROOT = Path(__file__).resolve().parents[1]
UNWATCHED_MINUTES = 0.25
DRAIN_SECONDS = 60.0  # for processes to end, on a busy machine
STARTING_SECONDS = 5.0  # a process may take to begin, on a busy machine
# --- the server, seen from outside ------------------------------------------------------------------------------------


@dataclass
class Sample:
    seconds: float
    megabytes: float
    descriptors: int
    cpu_seconds: float  # of the server, since it began
    at_work: int
    tickets: list[tuple[int, str, bool]]  # number, run, whether it waits

    @property
    def waiting(self) -> int:
        return sum(waits for _, _, waits in self.tickets)


def look(pid: int, folder: Path, started: float) -> Sample:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        pages = int(file.read().split()[1])
    at_work = sum(worker_alive(run) for run in folder.iterdir() if (run / "lock").exists())
    tickets = [(ticket.number, ticket.run, ticket.started is None) for ticket in queue.read_tickets(folder)]
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        ticks = file.read().rpartition(")")[2].split()[11:13]
    return Sample(
        time.monotonic() - started,
        pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        len(os.listdir(f"/proc/{pid}/fd")),
        sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
        at_work,
        tickets,
    )


async def watch_server(pid: int, folder: Path, started: float, samples: list[Sample]) -> None:
    while True:
        samples.append(await asyncio.to_thread(look, pid, folder, started))
        await asyncio.sleep(0.5)


def start_server(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(folder.parent / "server.log", "wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.headless=true"]
            + [f"--server.port={port}", "--server.address=127.0.0.1"],
            cwd=ROOT,
            env=os.environ | {hosting.VARIABLE: f"unwatched_minutes={UNWATCHED_MINUTES}", "SEE_BPTT_RUNS": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                return process, address
        except OSError:
            time.sleep(0.1)
    raise SystemExit((folder.parent / "server.log").read_text())


def remaining(folder: Path) -> list[str]:
    """Command lines of processes that still work on a run in this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if "rnn_core" in command and str(folder) in command:
                found.append(command)
    return found


# --- the afternoon ----------------------------------------------------------------------------------------------------


async def afternoon(address: str, pid: int, folder: Path, options: argparse.Namespace) -> Report:
    log, samples = Log(), []
    started = time.monotonic()
    watcher = asyncio.create_task(watch_server(pid, folder, started, samples))
    chance = random.Random(0)
    civil = [Browser(address, log) for _ in range(options.sessions - options.hostile)]
    others = [Browser(address, Log()) for _ in range(options.hostile)]
    for browser in (*civil, *others):  # They come one after the other, as people do.
        await browser.come()
        await browser.go_to("")  # which says what other pages there are
        await browser.go_to("corpus")
        await asyncio.sleep(0.05)
    everybody = time.monotonic() - started
    until = time.monotonic() + options.seconds
    visits = [trainer(browser, until) for browser in civil[: options.trainers]]
    visits += [onlooker(browser, until, random.Random(chance.random())) for browser in civil[options.trainers :]]
    visits += [hostile(HOSTILE[place % len(HOSTILE)], browser, until) for place, browser in enumerate(others)]
    await asyncio.gather(*visits)
    for browser in (*civil, *others):
        await browser.leave()
    left = time.monotonic()
    # Who waits keeps the place for a while, and may get a turn in it that nobody watches.
    longest = queue.ABANDONED_SECONDS + 60 * UNWATCHED_MINUTES + DRAIN_SECONDS
    while (remaining(folder) or queue.read_tickets(folder)) and time.monotonic() - left < longest:
        await asyncio.sleep(0.5)
    watcher.cancel()
    return Report(log, samples, everybody, time.monotonic() - left)


@dataclass
class Report:
    log: Log
    samples: list[Sample]
    everybody_seconds: float  # from the start until the last session was open
    emptied_seconds: float  # from the last goodbye until no training was at work and none waited


def share(times: list[float], percent: float) -> float:
    return statistics.quantiles(times, n=1000)[round(10 * percent) - 1] if len(times) > 1 else float("nan")


def grown(samples: list[Sample], start: float, end: float) -> tuple[float, float, int, int]:
    """Memory and descriptors: medians over the first and the last quarter of the time in which everybody was there."""
    inside = [sample for sample in samples if start <= sample.seconds <= end]
    quarter = max(1, len(inside) // 4)
    first, last = inside[quarter : 2 * quarter], inside[-quarter:]
    return (
        statistics.median(sample.megabytes for sample in first),
        statistics.median(sample.megabytes for sample in last),
        round(statistics.median(sample.descriptors for sample in first)),
        round(statistics.median(sample.descriptors for sample in last)),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Load test of hosted mode.")
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--trainers", type=int, default=10)
    parser.add_argument("--hostile", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=90.0)
    options = parser.parse_args()
    broken: list[str] = []

    def promise(holds: bool, what: str) -> None:
        print(f"- {'holds' if holds else '**BROKEN**'}: {what}")
        if not holds:
            broken.append(what)

    print(machine.describe())
    with tempfile.TemporaryDirectory(prefix="load-") as room:
        folder = Path(room) / "runs"
        folder.mkdir()
        server, address = start_server(folder)
        try:
            report = asyncio.run(afternoon(address, server.pid, folder, options))
            runs = list_runs(folder)
            numbers = {run: number for sample in report.samples for number, run, _ in sample.tickets}
            begun = [
                (numbers.get(run.id, 0), events[0]["time"])
                for run in runs
                for events in [Run.open(run.folder).events(kinds=["started"])]
                if events
            ]
            states = [run.status.state if run.status else run.error for run in runs]
            orphans = [*remaining(folder), *queue.read_tickets(folder)]
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        log, samples = report.log, report.samples
        who = f"{options.sessions} sessions, {options.trainers} of them with a training, {options.hostile} hostile"
        print(f"- {who}; {options.seconds:g} s\n")
        print("| seconds from request to picture | number | median | 95 % | 99 % | most |\n|---|---|---|---|---|---|")
        for name, times in (("rerun of a page", log.pages), ("poll of a picture", log.polls), ("click", log.clicks)):
            if times:
                middle, p95, p99 = (share(times, percent) for percent in (50, 95, 99))
                print(f"| {name} | {len(times)} | {middle:.3f} | {p95:.3f} | {p99:.3f} | {max(times):.3f} |")
        end = report.everybody_seconds + options.seconds
        first_mb, last_mb, first_fd, last_fd = grown(samples, report.everybody_seconds, end)
        most = max(sample.at_work for sample in samples)
        inside = [sample for sample in samples if report.everybody_seconds <= sample.seconds <= end]
        busy = (inside[-1].cpu_seconds - inside[0].cpu_seconds) / (inside[-1].seconds - inside[0].seconds)
        print(f"\nThe server was busy for {busy:.2f} of a core; load of the machine {os.getloadavg()[0]:.1f}.")
        ends = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
        print(f"\nStates of the trainings at the end: {ends}.")
        print(f"Longest queue: {max(sample.waiting for sample in samples)} waiting.\n")
        slots = hosting.Caps().slots
        promise(most <= slots, f"at most {slots} trainings at a time on {usable_cores()} cores (seen: {most})")
        promise(len(runs) == options.trainers, f"{options.trainers} trainings were accepted (seen: {len(runs)})")
        order = [start for _, start in sorted(begun)]
        # Two that are started at the same moment may reach their first step in either order.
        in_order = all(start > max(order[:place], default=0) - STARTING_SECONDS for place, start in enumerate(order))
        promise(in_order, f"they began in the order in which they came ({len(begun)} began)")
        promise(share(log.pages, 95) < 1, f"95 % of reruns end within 1 s (seen: {share(log.pages, 95):.2f} s)")
        promise(last_mb < 1.1 * first_mb + 10, f"memory stops growing ({first_mb:.0f} MB, later {last_mb:.0f} MB)")
        promise(last_fd <= first_fd + 5, f"file descriptors stop growing ({first_fd}, later {last_fd})")
        promise(not log.errors, f"no page showed an error ({len(log.errors)}) {log.errors[:1] or ''}")
        promise(not orphans, f"no training is at work or waits {report.emptied_seconds:.0f} s after everybody left")
        promise(not remaining(folder), "no process remains after the server has ended")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
