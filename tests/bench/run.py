"""`make bench`: Tidegate against kinesalite on this machine, one table, no network.

SigV4 is verified and every answer waits for its fsync; kinesalite verifies nothing and keeps all in memory.
What counts is the ratio within one run. `--quick` shortens every part.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.table import Table

from tests.bench import delivery, fanout
from tests.bench import server as servers

RECORDED_KINESALITE = {"b": 23_875.0, "c": 19_938.0, "a": 6_890.0, "d": 48_000.0}
"""Records/s (d: read) on two EPYC cores, 2026-11-20; shown where kinesalite is not installed (`make interop`)."""

DISK_LIMIT_MS = 0.5
METERING_PERCENT_MAX = 2.0
MEMORY_FOLDER = Path("/dev/shm")


@dataclass(frozen=True)
class Line:
    """One line of the table: what, our figure, theirs, what must hold, and whether it does."""

    what: str
    ours: str
    theirs: str
    bar: str
    ok: bool


def options(seconds: float) -> dict[str, list[str]]:
    """Load generator options per workload."""
    timed = ["--seconds", str(seconds), "--warmup", "2"]
    return {
        "b": ["--workloads", "b", "--batch-conns", "4", *timed],
        "c": ["--workloads", "c", "--batch-conns", "4", *timed],
        "a": ["--workloads", "a", "--put-conns", "64", *timed],
        "d": ["--workloads", "d"],
        "e": ["--workloads", "e"],
    }


def peer(seconds: float) -> tuple[dict[str, float], str]:
    """kinesalite's records/s per workload, measured now if it is installed."""
    if not servers.KINESALITE.exists() or shutil.which("node") is None:
        return RECORDED_KINESALITE, "recorded 2026-11-20; `make interop` installs kinesalite to measure it here"
    rates = {}
    with servers.kinesalite() as server:
        for workload in ("b", "c", "a", "d"):
            rates[workload] = float(servers.load(server, "kinesalite", *options(seconds)[workload])[0]["records_per_s"])
    return rates, "measured right before, same core"


class AnonymousMemory:
    """Samples RssAnon of the web processes twice a second while a block runs."""

    def __init__(self, pid: int) -> None:
        self.pid, self.most_mib, self._stop = pid, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def _sample(self) -> None:
        while not self._stop.wait(0.5):
            self.most_mib = max(self.most_mib, servers.anonymous_mib(servers.web_processes(self.pid)))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def measure(data_dir: Path, theirs: dict[str, float], seconds: float, fill: int) -> list[Line]:
    """Every line of the table for one data directory."""
    lines = []
    with servers.tidegate(data_dir) as server:
        rows = {w: servers.load(server, "tidegate", *options(seconds)[w])[0] for w in ("b", "c", "a", "d", "e")}
        lines += [
            rate("PutRecords 500 x 100 B, 4 connections", rows["b"], theirs["b"], 15, "records/s"),
            rate("PutRecords 100 x 1 KB, 4 connections", rows["c"], theirs["c"], 7, "records/s"),
            rate("PutRecord 100 B, 64 connections", rows["a"], theirs["a"], 2, "calls/s"),
            rate("GetRecords, 4 shards from the start", rows["d"], theirs["d"], 15, "records/s"),
        ]
        cpu = float(rows["b"]["server_cpu_s"]) / float(rows["b"]["records"]) * 1e6
        lines.append(Line("CPU s of all processes per million (500 x 100 B)", f"{cpu:.2f}", "", "<= 2.5", cpu <= 2.5))
        lines.append(latency("put -> GetRecords, p50", float(rows["e"]["p50_ms"])))
        lines.append(latency("put -> SubscribeToShard event, p50", subscribe_p50_ms(server)))
        lines += [Line(*line) for line in fanout.lines(server)]
        lines += filling(server, fill)
    return lines + metering(rows)


def rate(what: str, row: dict[str, object], theirs: float, times: float, unit: str) -> Line:
    """A line that compares records per second."""
    ours = float(row["records_per_s"])  # type: ignore[arg-type]
    if row.get("failed_records"):
        what += f" ({row['failed_records']} failed!)"
    return Line(
        what, f"{ours:,.0f} {unit}", f"{theirs:,.0f}", f"{ours / theirs:.1f} x (>= {times} x)", ours >= times * theirs
    )


def latency(what: str, p50_ms: float) -> Line:
    """A line that holds a median under 5 ms."""
    return Line(what, f"{p50_ms:.2f} ms", "", "<= 5 ms", p50_ms <= 5)


def subscribe_p50_ms(server: servers.Server) -> float:
    """Median of put to event, measured on the generator's core."""
    command = [
        sys.executable,
        "-m",
        "tests.bench.subscribe",
        "--endpoint",
        server.endpoint,
        "--access-key",
        server.access_key,
        "--secret-key",
        server.secret_key,
    ]
    done = subprocess.run(
        servers.pinned(command, servers.GENERATOR_CORE), cwd=servers.ROOT, stdout=subprocess.PIPE, check=True
    )
    return float(json.loads(done.stdout)["p50_ms"])


def metering(rows: dict[str, dict[str, object]]) -> list[Line]:
    """What counting for the bill adds to PutRecords, in percent of what a whole call took of the server's core."""
    # In a process of its own, as it sets Django up.
    command = servers.pinned([sys.executable, "-m", "tests.bench.metering"], servers.SERVER_CORE)
    done = subprocess.run(command, cwd=servers.ROOT, stdout=subprocess.PIPE, check=True)
    lines = []
    for case, (added_ns, error_ns) in json.loads(done.stdout).items():
        row, per_call = (rows["b"], 500) if case.startswith("500") else (rows["c"], 100)
        call_ns = float(row["server_cpu_s"]) / float(row["records"]) * per_call * 1e9  # type: ignore[arg-type]
        percent, error = 100 * added_ns / call_ns, 100 * error_ns / call_ns
        what = f"metering costs of PutRecords {case}: {added_ns / 1e3:.1f} of {call_ns / 1e3:,.0f} us"
        bar = f"<= {METERING_PERCENT_MAX:g} %"
        lines.append(Line(what, f"{percent:.1f} % ± {error:.1f}", "", bar, percent <= METERING_PERCENT_MAX))
    return lines


def filling(server: servers.Server, records: int) -> list[Line]:
    """Memory and steadiness while many records are put."""
    with AnonymousMemory(server.pid) as memory:
        row = servers.load(
            server, "tidegate", "--workloads", "f", "--fill-records", str(records), "--fill-seconds", "300"
        )[0]
    steady = float(row["last_10pct_records_per_s"]) / float(row["first_10pct_records_per_s"])  # type: ignore[arg-type]
    return [
        Line(
            f"RssAnon of the web process, {float(row['records']):,.0f} records put",
            f"{memory.most_mib:.0f} MiB",
            "",  # type: ignore[arg-type]
            "< 300 MiB",
            0 < memory.most_mib < 300,
        ),
        Line("rate of the last tenth / of the first", f"{steady:.2f}", "", ">= 0.9", steady >= 0.9),
    ]


def show(console: Console, title: str, lines: list[Line]) -> None:
    """Print one table."""
    table = Table(title=title, title_justify="left")
    for column in ("workload", "Tidegate", "kinesalite", "bar", ""):
        table.add_column(column, justify="left" if column in {"workload", "bar"} else "right")
    for line in lines:
        table.add_row(line.what, line.ours, line.theirs, line.bar, "holds" if line.ok else "MISSED")
    console.print(table)


def main() -> None:
    """Measure, print, and end with 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 s a workload and 1,000,000 records")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the data directory goes"
    )
    given = parser.parse_args()
    seconds, fill = (3.0, 1_000_000) if given.quick else (8.0, 5_000_000)
    console = Console(width=130)
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-", dir=given.folder) as folder:
        sync_ms = servers.fdatasync_p50_ms(Path(folder))
        console.print(f"fdatasync of 4 KiB in {given.folder}: p50 {sync_ms:.2f} ms")
        theirs, source = peer(seconds)
        lines = measure(Path(folder) / "data", theirs, seconds, fill)
        show(console, f"Data directory on disk; kinesalite {source}", lines)
        delivered = [Line(*line) for line in delivery.lines(Path(folder), quick=given.quick)]
        show(console, "Data Firehose, on all cores", delivered)
    if sync_ms > DISK_LIMIT_MS and MEMORY_FOLDER.is_dir():
        console.print(f"The disk needs more than {DISK_LIMIT_MS} ms a flush: the same on a memory file system.")
        with tempfile.TemporaryDirectory(prefix="tidegate-bench-", dir=MEMORY_FOLDER) as folder:
            lines = measure(Path(folder) / "data", theirs, seconds, fill)
            show(console, "Data directory in memory", lines)
    sys.exit(0 if all(line.ok for line in lines + delivered) else 1)


if __name__ == "__main__":
    main()
