"""Servers for the benchmarks: `manage.py up` and kinesalite, each pinned to one core, each stopped for certain."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KINESALITE = ROOT / ".interop" / "js" / "node_modules" / ".bin" / "kinesalite"
SERVER_CORE, GENERATOR_CORE = 0, 1
ANY_CERTIFICATE = ssl._create_unverified_context()


@dataclass(frozen=True)
class Server:
    """Something that speaks Kinesis: where, with which key, and the pid of its head."""

    endpoint: str
    access_key: str
    secret_key: str
    pid: int


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pinned(command: list[str], core: int | None) -> list[str]:
    """The command on that core, where the machine has two; None: on any."""
    return ["taskset", "-c", str(core), *command] if core is not None and (os.cpu_count() or 1) > 1 else command


def wait_for(ready: str, process: subprocess.Popen[bytes], deadline_s: float = 240) -> None:
    """Return when the address answers 200; raise SystemExit if the process ends or the time is over."""
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with {process.returncode} before it served")
        try:
            with urllib.request.urlopen(
                ready, timeout=2, context=ANY_CERTIFICATE if "https" in ready else None
            ) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"the server did not answer at {ready} within {deadline_s:.0f} s")


def clean_environment() -> dict[str, str]:
    """This process's environment without any setting of Tidegate or Django (a test run has its own)."""
    ours = ("TIDEGATE_", "DATABASE_URL", "REDIS_URL", "RECORD_LOG_URL", "DJANGO_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@contextmanager
def tidegate(data_dir: Path, *, core: int | None = SERVER_CORE, **settings: str) -> Iterator[Server]:
    """`manage.py up` with throttling off and one web process, in data_dir, on one core (None: on all)."""
    port = free_port()
    address = f"{'https' if 'TIDEGATE_TLS' in settings else 'http'}://127.0.0.1:{port}"
    environment = clean_environment() | {
        "TIDEGATE_PORT": str(port),
        "TIDEGATE_DATA_DIR": str(data_dir),
        "TIDEGATE_THROTTLE": "off",
        "TIDEGATE_CONTROL_RATES": "off",
        "TIDEGATE_ACCESS_KEY_ID": "bench",
        "TIDEGATE_SECRET_ACCESS_KEY": "bench-secret",
        **settings,
    }
    log = (data_dir.parent / f"{data_dir.name}.out").open("wb")
    process = subprocess.Popen(
        pinned([sys.executable, str(ROOT / "manage.py"), "up"], core),
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd=ROOT,
    )
    try:
        wait_for(f"{address}/healthz", process)
        yield Server(address, "bench", "bench-secret", process.pid)
    finally:
        stop(process)
        log.close()


@contextmanager
def kinesalite() -> Iterator[Server]:
    """kinesalite 3.3.3 in memory, as `make interop` installs it."""
    port = free_port()
    process = subprocess.Popen(
        pinned([str(KINESALITE), "--port", str(port)], SERVER_CORE),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Server(f"http://127.0.0.1:{port}", "bench", "bench-secret", process.pid)
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL to the whole session's group."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def fdatasync_p50_ms(folder: Path) -> float:
    """Median of 200 writes of 4 KiB with fdatasync, in ms: the disk's own part of every durable answer."""
    path = folder / "fdatasync.probe"
    times = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(200):
            began = time.perf_counter()
            os.write(descriptor, b"x" * 4096)
            os.fdatasync(descriptor)
            times.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(times)


def web_processes(pid: int) -> list[int]:
    """The web worker processes below pid: those that listen, heads included."""
    from tests.bench.loadgen import tree

    return [child for child in tree(pid) if b"serve" in _command(child) or b"granian" in _command(child)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def anonymous_mib(pids: list[int]) -> float:
    """The largest RssAnon of the processes, MiB."""
    sizes = [0.0]
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        sizes += [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("RssAnon")]
    return max(sizes)


def load(server: Server, label: str, *options: str) -> list[dict[str, object]]:
    """Run the load generator on the other core; its rows."""
    command = [
        sys.executable,
        "-m",
        "tests.bench.loadgen",
        "run",
        "--endpoint",
        server.endpoint,
        "--label",
        label,
        "--access-key",
        server.access_key,
        "--secret-key",
        server.secret_key,
        "--server-pid",
        str(server.pid),
        *options,
    ]
    done = subprocess.run(pinned(command, GENERATOR_CORE), cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]
