"""Putters that remember what was answered, kills at random moments, and the comparison with what lies in S3 afterwards.

Every attempt has an id of its own; clients try once. What was acknowledged must be in S3 exactly once, what was refused or
not answered at most once; within a lane everything keeps the order in which it was put.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import boto3
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from tests.bench.loadgen import tree
from tests.bench.server import ROOT, Server, free_port

BUCKET = "torture"
ROLE = "arn:aws:iam::123456789012:role/firehose"
RECORDS_PER_CALL = 250
TARGETS: dict[str, tuple[bytes, ...]] = {
    "web": (b"serve", b"granian"),
    "worker": (b"celery", b"delivery_worker"),
    "redis": (b"valkey-server", b"redis-server"),
}
HEALTHY_WITHIN_S = 400.0
"""A worker that hangs is noticed after two and a half minutes (workers/supervisor.py)."""


def client(service: str, server: Server) -> Any:
    """A client that tries once."""
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=BotoConfig(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=15),
    )


class Budget:
    """Records that may still be put: rises with the kills, so that there is traffic at each of them."""

    def __init__(self, records: int, steps: int) -> None:
        self._left, self._step = 0, -(-records // steps)
        self._changed = threading.Condition()
        self._over = False

    def raise_by_a_step(self) -> None:
        """Some more may be put."""
        with self._changed:
            self._left += self._step
            self._changed.notify_all()

    def end(self) -> None:
        """What is allowed by now is put, and nothing more."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def take(self, records: int) -> bool:
        """Wait for leave to put so many; False: it is over."""
        with self._changed:
            while self._left < records:
                if self._over:
                    return False
                self._changed.wait()
            self._left -= records
            return True


class Putter(threading.Thread):
    """Puts one batch after the other, so its attempts are ordered. put: answers one error code or None for each record."""

    def __init__(self, name: str, put: Callable[[list[bytes], str], list[str | None]], budget: Budget) -> None:
        super().__init__(name=name, daemon=True)
        self.acknowledged: set[str] = set()
        self.unsure: set[str] = set()
        self._put, self._budget, self._number = put, budget, 0

    def run(self) -> None:
        """Until the budget is over."""
        while self._budget.take(RECORDS_PER_CALL):
            ids = [f"{self.name}-{self._number + i + 1}" for i in range(RECORDS_PER_CALL)]
            self._number += RECORDS_PER_CALL
            data = [json.dumps({"id": one, "pad": "x" * 400}).encode() + b"\n" for one in ids]
            try:
                answers = self._put(data, self.name)
            except (ClientError, BotoCoreError):
                self.unsure.update(ids)
                time.sleep(0.1)
                continue
            for one, error in zip(ids, answers, strict=True):
                (self.unsure if error else self.acknowledged).add(one)


def direct(server: Server, name: str) -> Callable[[list[bytes], str], list[str | None]]:
    """Puts into a Direct PUT delivery stream."""
    firehose = client("firehose", server)

    def put(data: list[bytes], _key: str) -> list[str | None]:
        answer = firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": one} for one in data])
        return [one.get("ErrorCode") for one in answer["RequestResponses"]]

    return put


def to_stream(server: Server, name: str) -> Callable[[list[bytes], str], list[str | None]]:
    """Puts into a data stream, one partition key a putter: each has its order in one shard."""
    kinesis = client("kinesis", server)

    def put(data: list[bytes], key: str) -> list[str | None]:
        answer = kinesis.put_records(StreamName=name, Records=[{"Data": one, "PartitionKey": key} for one in data])
        return [one.get("ErrorCode") for one in answer["Records"]]

    return put


@dataclass
class QuickS3:
    """The S3 server of tests/support/quick_s3.py."""

    port: int
    folder: Path
    _known: dict[str, list[str]] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """How Tidegate finds it."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": "torture",
            "AWS_SECRET_ACCESS_KEY": "torture-secret",
            "AWS_REGION": "us-east-1",
        }

    def faults(self, on: str) -> dict[str, int]:
        """Switch them "on" or "off"; answers how attempts went so far."""
        asked = urllib.request.Request(f"{self.endpoint}/-/faults/{on}", method="POST")
        with urllib.request.urlopen(asked, timeout=30) as answer:
            counted: dict[str, int] = json.loads(answer.read())
        return counted

    def attempts(self) -> list[dict[str, Any]]:
        """Every attempt to put an object."""
        return [json.loads(line) for line in (self.folder / ".attempts").read_text().splitlines()]

    def objects(self) -> list[str]:
        """Keys in the order in which they were first stored."""
        first: dict[str, int] = {}
        for attempt in self.attempts():
            if attempt["outcome"] in {"stored", "unanswered"}:
                first.setdefault(attempt["key"], attempt["n"])
        return sorted(first, key=first.__getitem__)

    def read(self, key: str) -> bytes:
        """An object, unpacked if its name says so."""
        data = (self.folder / BUCKET / quote(key, safe="")).read_bytes()
        return gzip.decompress(data) if key.endswith(".gz") else data

    def ids(self) -> Counter[str]:
        """How often each attempt's id is stored under `data/`. Objects are read once: they are never replaced by others."""
        for path in (self.folder / BUCKET).glob("*"):
            key = unquote(path.name)
            if key.startswith("data/") and key not in self._known:
                self._known[key] = [json.loads(line)["id"] for line in self.read(key).splitlines()]
        return Counter(one for ids in self._known.values() for one in ids)


@contextmanager
def quick_s3(folder: Path, seed: int, *options: str) -> Iterator[QuickS3]:
    """A server for the time of the block."""
    port = free_port()
    command = [sys.executable, "-m", "tests.support.quick_s3", str(port), str(folder), "--faults", str(seed), *options]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    server = QuickS3(port, folder)
    try:
        wait_until(lambda: _answers(f"{server.endpoint}/-/counts"), "the S3 server answers")
        yield server
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_until(condition: Callable[[], Any], what: str, within_s: float = 120.0) -> Any:
    """The condition's first true answer."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {within_s} s: {what}")


def kill_at_random(server: Server, kills: int, chance: random.Random, after_each: Callable[[], None]) -> Counter[str]:
    """Kill web, worker and Redis so many times each, in a random order; each time all must come back by themselves."""
    order = [target for target in TARGETS for _ in range(kills)]
    chance.shuffle(order)
    done: Counter[str] = Counter()
    for target in order:
        after_each()
        time.sleep(chance.uniform(0.1, 1.5))  # the moment is the point
        victims = wait_until(partial(_of, target, server.pid), f"a living {target}")
        os.kill(chance.choice(victims), signal.SIGKILL)
        done[target] += 1
        wait_until(lambda: _answers(f"{server.endpoint}/healthz"), "everything is back", HEALTHY_WITHIN_S)
    return done


def _of(target: str, head: int) -> list[int]:
    found = []
    for pid in tree(head)[1:]:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if any(word in command for word in TARGETS[target]):
            found.append(pid)
    return found


def problems(putters: list[Putter], stored: Counter[str], contents: list[list[str]]) -> list[str]:
    """What is wrong, as sentences. contents: ids of each object, objects in the order in which they were stored."""
    acknowledged = set().union(*(putter.acknowledged for putter in putters))
    known = acknowledged | set().union(*(putter.unsure for putter in putters))
    found = [f"{one} was acknowledged and is not stored" for one in sorted(acknowledged - stored.keys())]
    found += [f"{one} is stored {times} times" for one, times in stored.items() if times > 1]
    found += [f"{one} was never put" for one in stored.keys() - known]
    last: dict[str, int] = {}
    for ids in contents:
        for one in ids:
            name, _, number = one.rpartition("-")
            if int(number) <= last.get(name, 0):
                found.append(f"{one} stands after {name}-{last[name]}")
            last[name] = int(number)
    return found


def differing(attempts: list[dict[str, Any]]) -> list[str]:
    """Objects that were put again with other bytes."""
    seen: dict[str, set[str]] = {}
    for attempt in attempts:
        if attempt["md5"]:
            seen.setdefault(attempt["key"], set()).add(attempt["md5"])
    return [key for key, digests in seen.items() if len(digests) > 1]


def under_fire(
    server: Server,
    putters: list[Putter],
    budget: Budget,
    kills: int,
    seed: int,
    at_half: Callable[[], None] = lambda: None,
) -> Counter[str]:
    """Let them put while everything is killed, so many times each; then wait for them. at_half: done in the middle."""
    for putter in putters:
        putter.start()
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        budget.raise_by_a_step()
        if steps == len(TARGETS) * kills // 2:
            at_half()

    killed = kill_at_random(server, kills, random.Random(seed), step)
    budget.end()
    for putter in putters:
        putter.join(300)
        assert not putter.is_alive()
    return killed
