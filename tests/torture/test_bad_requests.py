"""100,000 generated bad requests: never a 500, never a hang, never a record written, memory steady."""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.bench.loadgen import Conn, Signer, closed_loop
from tests.bench.server import anonymous_mib, tidegate, web_processes
from tests.torture.bad_requests import Generator, Target
from tests.torture.traffic import client, read_back

REQUESTS = int(os.environ.get("TORTURE_REQUESTS", "100000"))
SEED = int(os.environ.get("TORTURE_SEED", "1"))
CONNECTIONS = 8
SLOWEST_S = 10.0
GROWTH_MIB = 64

pytestmark = [
    pytest.mark.torture,
    # boto3 and the load generator leave sockets to the collector when a server is killed under them.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_bad_requests_are_refused_and_store_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tidegate(tmp_path / "data") as server:
        kinesis = client(server.endpoint, server.access_key, server.secret_key)
        kinesis.create_stream(StreamName="fuzz", ShardCount=2)
        kinesis.get_waiter("stream_exists").wait(StreamName="fuzz", WaiterConfig={"Delay": 1})
        before = state(kinesis)
        arn = kinesis.describe_stream_summary(StreamName="fuzz")["StreamDescriptionSummary"]["StreamARN"]
        signer = Signer(server.endpoint, server.access_key, server.secret_key, "us-east-1")
        requests = iter(Generator(Target(signer.netloc, server.access_key, server.secret_key, arn.split(":")[4]), SEED))
        run(signer, requests, min(5_000, REQUESTS // 10))  # warm-up: caches and pools reach their size
        warm_mib = anonymous_mib(web_processes(server.pid))
        outcome = run(signer, requests, REQUESTS)
        assert not outcome.wrong, outcome.wrong[:10]
        grown_mib = anonymous_mib(web_processes(server.pid)) - warm_mib
        after = state(kinesis)
        stored = sum(map(len, read_back(kinesis, "fuzz")))
    with capsys.disabled():
        print(
            f"\n{REQUESTS:,} bad requests: {dict(outcome.statuses)}; slowest {outcome.slowest_s * 1000:.0f} ms; "
            f"{grown_mib:+.1f} MiB; records stored {stored}; types {dict(outcome.types.most_common(12))}"
        )
    assert outcome.slowest_s < SLOWEST_S
    assert stored == 0
    assert before == after
    assert grown_mib < GROWTH_MIB


def state(kinesis) -> dict[str, object]:
    """What a request could have changed without being allowed to."""
    summary = kinesis.describe_stream_summary(StreamName="fuzz")["StreamDescriptionSummary"]
    summary.pop("ResponseMetadata", None)
    return {
        "streams": kinesis.list_streams()["StreamNames"],
        "summary": summary,
        "tags": kinesis.list_tags_for_stream(StreamName="fuzz")["Tags"],
        "consumers": kinesis.list_stream_consumers(StreamARN=summary["StreamARN"])["Consumers"],
        "shards": kinesis.list_shards(StreamName="fuzz")["Shards"],
    }


class Outcome:
    """Statuses, error types, the slowest answer, and answers that must not be."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.types: Counter[str] = Counter()
        self.slowest_s = 0.0
        self.wrong: list[str] = []

    def add(self, why: str, latency_s: float, status: int, body: bytes) -> None:
        self.statuses[status] += 1
        found = re.search(rb"([A-Za-z]+(?:Exception|Failure))", body)
        self.types[found[1].decode() if found else "?"] += 1
        self.slowest_s = max(self.slowest_s, latency_s)
        if not 400 <= status < 500:
            self.wrong.append(f"{why}: {status} {body[:200]!r}")


def run(signer: Signer, requests, count: int) -> Outcome:
    """Send count requests over a few connections; a closed connection is opened again."""
    outcome, current, left = Outcome(), {}, [count]

    def next_for(connection: int) -> bytes | None:
        if left[0] <= 0:
            return None
        left[0] -= 1
        current[connection] = next(requests)
        return current[connection][1]

    def done(connection: int, latency_s: float, status: int, body: bytes) -> bytes | None:
        outcome.add(current[connection][0], latency_s, status, body)
        return next_for(connection)

    closed_loop(signer, CONNECTIONS, next_for, done, time.perf_counter() + 3600)
    assert left[0] == 0, f"hung on {json.dumps([why for why, _ in current.values()])}"
    return outcome


def test_two_hundred_unfinished_large_requests(tmp_path: Path) -> None:
    """200 requests of 20 MiB that stop half-way: at most 150 MiB more, and a good client is served meanwhile."""
    with tidegate(tmp_path / "data") as server:
        signer = Signer(server.endpoint, server.access_key, server.secret_key, "us-east-1")
        good = client(server.endpoint, server.access_key, server.secret_key)
        good.create_stream(StreamName="good", ShardCount=1)
        good.get_waiter("stream_exists").wait(StreamName="good", WaiterConfig={"Delay": 1})
        before_mib = anonymous_mib(web_processes(server.pid))
        held = [unfinished(signer, kind) for kind in ("length", "chunked") * 100]
        began = time.monotonic()
        good.put_record(StreamName="good", PartitionKey="k", Data=b"still served")
        assert time.monotonic() - began < 5
        assert anonymous_mib(web_processes(server.pid)) - before_mib < 150
        for connection in held:
            connection.sock.close()


def unfinished(signer: Signer, kind: str) -> Conn:
    """A connection that sent the head of a 20 MiB PutRecord and as much of the body as the server takes at once."""
    size = 20 << 20
    head, _, _ = signer.wire("PutRecord", b"").partition(b"Content-Length")
    framing = b"Content-Length: %d\r\n\r\n" % size if kind == "length" else b"Transfer-Encoding: chunked\r\n\r\n"
    connection = Conn(signer)
    sent = b"x" * (8 << 20)
    body = sent if kind == "length" else b"%x\r\n" % len(sent) + sent + b"\r\n"
    try:
        connection.sock.sendall(head + framing)
        connection.sock.send(body)
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass  # refused at the head, or the socket is full: both are the server's right
    return connection
