"""kill -9 of the web process, the Celery worker and the Redis child, 20 times at random moments, under load.

Zero acknowledged records lost, order kept, and `up` restarts what died by itself.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from tests.bench.loadgen import tree
from tests.bench.server import tidegate
from tests.torture.traffic import Producer, client, problems, read_back

KILLS = 20
PRODUCERS = 4
SEED = int(os.environ.get("TORTURE_SEED", "1"))
TARGETS = {"web": (b"serve", b"granian"), "worker": (b"celery",), "redis": (b"valkey-server", b"redis-server")}

pytestmark = [
    pytest.mark.torture,
    # boto3 and the load generator leave sockets to the collector when a server is killed under them.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


def processes_of(target: str, head: int) -> list[int]:
    """Living processes of that kind below `up`."""
    found = []
    for pid in tree(head)[1:]:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if any(word in command for word in TARGETS[target]):
            found.append(pid)
    return found


def healthy(endpoint: str) -> bool:
    """True once every part serves."""
    try:
        with urllib.request.urlopen(f"{endpoint}/healthz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def wait_until_healthy(endpoint: str, deadline_s: float = 60) -> float:
    """Seconds it took."""
    began = time.monotonic()
    while not healthy(endpoint):
        assert time.monotonic() - began < deadline_s, "`up` did not bring everything back"
        time.sleep(0.05)
    return time.monotonic() - began


def test_no_acknowledged_record_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moments = random.Random(SEED)
    with tidegate(tmp_path / "data", TIDEGATE_WEB_PROCESSES=os.environ.get("TORTURE_WEB_PROCESSES", "1")) as server:
        kinesis = client(server.endpoint, server.access_key, server.secret_key)
        kinesis.create_stream(StreamName="torture", ShardCount=4)
        kinesis.get_waiter("stream_exists").wait(StreamName="torture", WaiterConfig={"Delay": 1})
        stop = threading.Event()
        producers = [
            Producer(f"p{i}", client(server.endpoint, server.access_key, server.secret_key), "torture", stop)
            for i in range(PRODUCERS)
        ]
        for producer in producers:
            producer.start()
        killed = []
        for number in range(KILLS):
            time.sleep(moments.uniform(0.2, 1.5))  # the moment of the kill is the point of this test
            target = ["web", "worker", "redis"][number % 3] if number % 2 else "web"
            victim = moments.choice(processes_of(target, server.pid))
            os.kill(victim, signal.SIGKILL)
            killed.append((target, wait_until_healthy(server.endpoint)))
        time.sleep(1)
        stop.set()
        for producer in producers:
            producer.join(30)
            assert not producer.is_alive()
        shards = read_back(client(server.endpoint, server.access_key, server.secret_key), "torture")
    outcomes = [producer.outcome for producer in producers]
    found = problems(outcomes, shards)
    with capsys.disabled():
        print(
            f"\n{KILLS} kills {[(t, round(s, 1)) for t, s in killed]}; acknowledged {sum(len(o.acknowledged) for o in outcomes):,}, "
            f"unanswered {sum(len(o.unanswered) for o in outcomes):,}, refused {sum(len(o.refused) for o in outcomes):,}, "
            f"stored {sum(map(len, shards)):,}; problems {len(found)}"
        )
    assert not found, found[:10]
    assert sum(len(outcome.acknowledged) for outcome in outcomes) > 1000
