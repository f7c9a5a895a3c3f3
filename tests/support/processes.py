"""Real processes of a test: start them, look at them, and leave none behind. Linux: reads /proc."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import tables
from tests.support.environment import ROOT, environment

STARTED_WITHIN_S = 240.0
STOPPED_WITHIN_S = 120.0
HAPPENED_WITHIN_S = 120.0
"""Only a test that fails waits so long. A busy machine may be ten times slower than a quiet one."""
SOON = {"Delay": 0.2, "MaxAttempts": int(HAPPENED_WITHIN_S / 0.2)}
"""For boto3's waiters."""


def eventually(condition: Callable[[], Any], within_s: float = HAPPENED_WITHIN_S, what: str = "") -> Any:
    """The condition's first true answer."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s} s: {what or condition}")


PORTS = range(20_000, 32_000)
"""Below those that systems give to outgoing connections (32768 and up, 49152 and up), one of which could take the port
between the look and the server's start."""


def free_port() -> int:
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass(frozen=True)
class Seen:
    """A living process. started tells a reused pid from the first."""

    pid: int
    parent: int
    group: int
    session: int
    started: int
    command: str


def processes() -> list[Seen]:
    """All that live (zombies do not)."""
    found = []
    for folder in Path("/proc").iterdir():
        entry = folder.name
        if not entry.isdigit():
            continue
        try:
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            command = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if fields[0] not in "ZX":
            found.append(Seen(int(entry), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), command))
    return found


def in_session(session: int) -> list[Seen]:
    """What lives in the session that a process started with start_new_session=True heads, that process included."""
    return [seen for seen in processes() if seen.session == session]


def listeners(port: int) -> int:
    """Sockets that listen on a TCP port."""
    found = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
            for line in Path(table).read_text().splitlines()[1:]:
                _, local, _, state = line.split()[:4]
                found += state == "0A" and int(local.rpartition(":")[2], 16) == port
    return found


@dataclass
class Up:
    """A running `manage.py up`."""

    process: subprocess.Popen
    port: int
    data_dir: Path
    log: Path
    scheme: str = "http"
    log_begins_at: int = 0

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://localhost:{self.port}"

    def output(self) -> str:
        return self.log.read_bytes()[self.log_begins_at :].decode(errors="replace")

    def health(self) -> int:
        """The status of /healthz; 0 if nobody answers."""
        import ssl

        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with urllib.request.urlopen(
                f"{self.scheme}://127.0.0.1:{self.port}/healthz", timeout=5, context=context
            ) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def wait(self, within_s: float = STARTED_WITHIN_S) -> None:
        """Until everything serves and the greeting is given."""

        def serves() -> bool:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.output()}"
            return "Tidegate serves." in self.output() and self.health() == 200

        try:
            eventually(serves, within_s, "everything serves")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()}") from None

    def tree(self) -> list[Seen]:
        """`up` and all its descendants."""
        return in_session(self.process.pid)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOPPED_WITHIN_S)

    def end(self) -> None:
        """Whatever happened: nothing is left."""
        if self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for seen in self.tree():
            os.kill(seen.pid, signal.SIGKILL)


def start_up(data_dir: Path, port: int | None = None, command: tuple[str, ...] = (), **settings: str) -> Up:
    """Start `manage.py up` and do not wait for it."""
    port = port or free_port()
    log = data_dir.parent / f"{data_dir.name}.log"
    scheme = "https" if "TIDEGATE_TLS" in settings or "TIDEGATE_TLS_CERTIFICATE" in settings else "http"
    with log.open("ab") as file:
        begins_at = file.tell()
        process = subprocess.Popen(
            [*(command or (sys.executable, "manage.py", "up"))],
            cwd=ROOT,
            env=environment(TIDEGATE_DATA_DIR=str(data_dir), TIDEGATE_PORT=str(port), **settings),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    return Up(process, port, data_dir, log, scheme, begins_at)


@contextmanager
def up(data_dir: Path, *, migrated: bool = True, **settings: str) -> Iterator[Up]:
    """`manage.py up` for the time of the block, serving. migrated: a new data directory has its tables already."""
    if migrated and "DATABASE_URL" not in settings and not data_dir.exists():
        tables.lay(data_dir)
    started = start_up(data_dir, **settings)
    try:
        started.wait()
        yield started
    finally:
        started.end()
