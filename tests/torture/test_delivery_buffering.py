"""Objects follow the buffering hints: sizes within 5 %, times within 2 s, at a high and at a low rate. On a machine that is not
busy with other things: this is the one place where time is what is tested."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from apps.base.units import MIB
from tests.bench.server import Server, tidegate
from tests.torture.deliveries import BUCKET, ROLE, QuickS3, client, quick_s3, wait_until

pytestmark = [pytest.mark.torture, pytest.mark.filterwarnings("ignore::ResourceWarning")]

NAME = "buffered"
SIZE_MB, INTERVAL_S = 2, 8
NEAR = 0.05
WITHIN_S = 2.0


def create(server: Server) -> Any:
    """A delivery stream with the hints, ACTIVE; its client."""
    firehose = client("firehose", server)
    firehose.create_delivery_stream(
        DeliveryStreamName=NAME,
        ExtendedS3DestinationConfiguration={
            "RoleARN": ROLE,
            "BucketARN": f"arn:aws:s3:::{BUCKET}",
            "Prefix": "data/",
            "BufferingHints": {"SizeInMBs": SIZE_MB, "IntervalInSeconds": INTERVAL_S},
        },
    )

    def active() -> bool:
        said = firehose.describe_delivery_stream(DeliveryStreamName=NAME)["DeliveryStreamDescription"]
        return bool(said["DeliveryStreamStatus"] == "ACTIVE")

    wait_until(active, "the delivery stream is active")
    return firehose


def put(firehose: Any, records: int, size: int) -> int:
    """One call; records say when they were made. Bytes of them all."""
    text = json.dumps({"t": time.time(), "p": "x" * size}).encode() + b"\n"
    answer = firehose.put_record_batch(DeliveryStreamName=NAME, Records=[{"Data": text}] * records)
    assert answer["FailedPutCount"] == 0
    return records * len(text)


def stored(s3: QuickS3) -> list[tuple[float, bytes]]:
    """When each object was stored, and its content, in order."""
    first = {a["key"]: a["t"] for a in reversed(s3.attempts()) if a["outcome"] == "stored"}
    return [(first[key], s3.read(key)) for key in s3.objects()]


def oldest(content: bytes) -> float:
    """When its first record was put."""
    made: float = json.loads(content.splitlines()[0])["t"]
    return made


def test_sizes_at_a_high_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with quick_s3(tmp_path / "s3", 1) as s3, tidegate(tmp_path / "data", **s3.settings) as server:
        firehose = create(server)
        total = 0
        while total < 12 * SIZE_MB * MIB:
            total += put(firehose, 100, 1_000)
            time.sleep(0.02)  # about 4 MB/s
        wait_until(lambda: sum(len(content) for _, content in stored(s3)) == total, "all is there")
        sizes = [len(content) for _, content in stored(s3)]
    full = sizes[:-1]
    with capsys.disabled():
        print(f"\nsizes {[round(size / MIB, 2) for size in sizes]} MiB")
    assert len(full) >= 5
    assert all((1 - NEAR) * SIZE_MB * MIB <= size <= SIZE_MB * MIB for size in full)


def test_times_at_a_low_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stop = threading.Event()
    with quick_s3(tmp_path / "s3", 1) as s3, tidegate(tmp_path / "data", **s3.settings) as server:
        firehose = create(server)
        while len(stored(s3)) < 3:
            put(firehose, 1, 100)
            stop.wait(0.2)
        ages = [at - oldest(content) for at, content in stored(s3)]
    with capsys.disabled():
        print(f"\nages of the oldest records {[round(age, 2) for age in ages]} s")
    assert all(INTERVAL_S - WITHIN_S <= age <= INTERVAL_S + WITHIN_S for age in ages)
