"""A server in a process of its own, or the one that ENDPOINT names, and clients for it."""

import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config as BotoConfig

from tests.support import tables
from tests.support.processes import HAPPENED_WITHIN_S, STARTED_WITHIN_S, STOPPED_WITHIN_S, free_port

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"


@dataclass(frozen=True)
class Endpoint:
    """Where the server is and who speaks to it. pid: of granian's head, None if the server is not ours."""

    url: str
    access_key_id: str
    secret: str
    account_id: str
    pid: int | None = None

    @property
    def netloc(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or 80


@pytest.fixture(scope="package")
def endpoint() -> Iterator[Endpoint]:
    """ENDPOINT (with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ACCOUNT_ID), or a server started here."""
    if os.environ.get("ENDPOINT"):
        given = os.environ
        yield Endpoint(
            given["ENDPOINT"], given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], given["ACCOUNT_ID"]
        )
        return
    from tests.wire.server import ACCESS_KEY_ID, ACCOUNT_ID, SECRET

    with tempfile.TemporaryDirectory(prefix="tidegate-wire-") as folder:
        port = free_port()
        output = Path(folder) / "output"
        process = start(port, folder, output)
        try:
            yield Endpoint(f"http://127.0.0.1:{port}", ACCESS_KEY_ID, SECRET, ACCOUNT_ID, process.pid)
        finally:
            stop(process)
            lines = output.read_text().splitlines()
        assert not [line for line in lines if "request_failed" in line or "Traceback" in line], "\n".join(lines[-50:])


def start(port: int, folder: str, output: Path, **settings: str) -> subprocess.Popen[bytes]:
    """The server, serving, with settings of the test's beside its own."""
    tables.lay(Path(folder))
    names = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
    ours = {
        "TIDEGATE_PORT": str(port),
        "TIDEGATE_DATA_DIR": folder,
        "TIDEGATE_REGION": REGION,
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "RECORD_LOG_URL": f"lmdb:{folder}/log",
        "TIDEGATE_THROTTLE": "off",
        "DATABASE_URL": "",
    }
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.wire.server", "--die-with-parent"],
            cwd=ROOT,
            env=names | ours | settings,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if answers(port, tls=any(name.startswith("TIDEGATE_TLS") for name in settings)):
            return process
        time.sleep(0.02)
    stop(process)
    raise AssertionError(output.read_text())


def answers(port: int, *, tls: bool) -> bool:
    """Is there an answer to GET /healthz, whatever it says? (There is no worker here, and none is needed.)"""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    connection = (
        HTTPSConnection("127.0.0.1", port, timeout=30, context=anybody)
        if tls
        else HTTPConnection("127.0.0.1", port, timeout=30)
    )
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status in {200, 503}
    except OSError:
        return False
    finally:
        connection.close()


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL to all of the session if that is not enough."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="package")
def kinesis(endpoint: Endpoint) -> Iterator[Any]:
    """boto3's client: JSON over HTTP/1.1."""
    client = boto3.client(
        "kinesis",
        endpoint_url=endpoint.url,
        region_name=REGION,
        aws_access_key_id=endpoint.access_key_id,
        aws_secret_access_key=endpoint.secret,
        config=BotoConfig(retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


@pytest.fixture(scope="package")
def make_stream(kinesis: Any) -> Callable[..., str]:
    """Creates a stream and waits until it is ACTIVE."""

    def make(name: str, shards: int = 1, **settings: Any) -> str:
        kinesis.create_stream(StreamName=name, ShardCount=shards, **settings)
        until_active(kinesis, name)
        return name

    return make


def until_active(kinesis: Any, name: str) -> dict[str, Any]:
    """The stream's summary, once it is ACTIVE."""
    deadline = time.monotonic() + HAPPENED_WITHIN_S
    while True:
        summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        if summary["StreamStatus"] == "ACTIVE":
            return summary
        assert time.monotonic() < deadline, summary
        time.sleep(0.02)
