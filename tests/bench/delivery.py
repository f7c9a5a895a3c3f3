"""Direct PUT to objects on a local S3 server, the whole way, on the machine's two cores with one delivery worker.

    python -m tests.bench.delivery [--quick] [--folder FOLDER]

MB/s are those of records' data, from the first put until the last record is in S3. The generator, the web process, the worker,
Valkey and the S3 server (tests/support/quick_s3.py, which neither checks nor writes anything down here, on a memory file
system) share the cores. Memory is the most that the delivery worker had of its own (RssAnon), of all that it did.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.bench import server as servers
from tests.bench.loadgen import tree
from tests.torture.deliveries import BUCKET, ROLE, QuickS3, quick_s3

MB, MIB = 1_000_000, 1 << 20
RECORDS_PER_CALL = 500
CALLS_MADE = 24
"""Different requests, sent in turns: gzip must not find one batch in the other's window."""
CONNECTIONS = 2
GZIP_BAR, PARQUET_BAR, MEMORY_BAR_MIB = 20.0, 10.0, 400.0
PARTITIONS = 500
DATABASE, TABLE = "bench", "events"
COLUMNS = (
    ("id", "bigint"),
    ("user", "string"),
    ("at", "timestamp"),
    ("amount", "double"),
    ("ok", "boolean"),
    ("tags", "array<string>"),
    ("text", "string"),
)
WORDS = [f"word{n:04d}" for n in range(3_000)]

Bench = tuple[str, str, str, str, bool]


def record(chance: random.Random, number: int) -> bytes:
    """About 1 KB of JSON, a line."""
    said: dict[str, Any] = {
        "id": number,
        "user": f"u{chance.randrange(PARTITIONS)}",
        "at": "2026-11-20 12:00:00",
        "amount": round(chance.random() * 1_000, 2),
        "ok": chance.random() < 0.5,
        "tags": chance.sample(WORDS, 4),
        "text": "",
    }
    said["text"] = " ".join(chance.choices(WORDS, k=(1_000 - len(json.dumps(said))) // 9))
    return json.dumps(said).encode() + b"\n"


class Load:
    """Signed calls, sent on a few connections until so much is put."""

    def __init__(self, server: servers.Server, name: str) -> None:
        chance = random.Random(1)
        self._address = urlsplit(server.endpoint)
        self._calls: list[tuple[bytes, dict[str, str], int]] = []
        keys = Credentials(server.access_key, server.secret_key)
        for call in range(CALLS_MADE):
            data = [record(chance, call * RECORDS_PER_CALL + n) for n in range(RECORDS_PER_CALL)]
            records = [{"Data": base64.b64encode(one).decode()} for one in data]
            body = json.dumps({"DeliveryStreamName": name, "Records": records}).encode()
            headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Firehose_20150804.PutRecordBatch"}
            request = AWSRequest("POST", f"{server.endpoint}/", data=body, headers=headers)
            SigV4Auth(keys, "firehose", "us-east-1").add_auth(request)
            self._calls.append((body, dict(request.headers), sum(map(len, data))))
        self._lock = threading.Lock()
        self._left = 0
        self.sent = 0

    def run(self, size: int) -> None:
        """Put at least size bytes."""
        self._left, self.sent = size, 0
        threads = [threading.Thread(target=self._send, args=(n,)) for n in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send(self, turn: int) -> None:
        connection = http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=60)
        while True:
            body, headers, size = self._calls[turn % CALLS_MADE]
            turn += CONNECTIONS
            with self._lock:
                if self._left <= 0:
                    break
                self._left -= size
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200 or b'"FailedPutCount":0' not in said:
                raise SystemExit(f"a put was answered {answer.status}: {said[:200]!r}")
            with self._lock:
                self.sent += size
        connection.close()


def client(service: str, server: servers.Server) -> Any:
    """boto3, for the set-up."""
    return boto3.client(
        service, endpoint_url=server.endpoint, region_name="us-east-1",
        aws_access_key_id=server.access_key, aws_secret_access_key=server.secret_key,
    )  # fmt: skip


def create(server: servers.Server, name: str, **more: Any) -> None:
    """A Direct PUT delivery stream to S3, ACTIVE."""
    firehose = client("firehose", server)
    given = {"RoleARN": ROLE, "BucketARN": f"arn:aws:s3:::{BUCKET}", "Prefix": f"{name}/", **more}
    firehose.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=given)
    while (
        firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]["DeliveryStreamStatus"]
        != "ACTIVE"
    ):
        time.sleep(0.1)


def make_table(server: servers.Server) -> None:
    """The schema of the records."""
    glue = client("glue", server)
    glue.create_database(DatabaseInput={"Name": DATABASE})
    columns = [{"Name": name, "Type": kind} for name, kind in COLUMNS]
    glue.create_table(DatabaseName=DATABASE, TableInput={"Name": TABLE, "StorageDescriptor": {"Columns": columns}})


def parquet() -> dict[str, Any]:
    """The members of a conversion."""
    schema = {"DatabaseName": DATABASE, "TableName": TABLE, "RoleARN": ROLE, "Region": "us-east-1"}
    return {
        "DataFormatConversionConfiguration": {
            "Enabled": True,
            "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
            "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
            "SchemaConfiguration": schema,
        }
    }


def partitioned() -> dict[str, Any]:
    """The members of dynamic partitioning by user."""
    query = {"MetadataExtractionQuery": "{user: .user}", "JsonParsingEngine": "JQ-1.6"}
    parameters = [{"ParameterName": name, "ParameterValue": value} for name, value in query.items()]
    return {
        "Prefix": "parts/!{partitionKeyFromQuery:user}/",
        "ErrorOutputPrefix": "errors/",
        "DynamicPartitioningConfiguration": {"Enabled": True},
        "ProcessingConfiguration": {
            "Enabled": True,
            "Processors": [{"Type": "MetadataExtraction", "Parameters": parameters}],
        },
    }


def counted(server: servers.Server, name: str, metric: str) -> int:
    """The sum of a metric of the delivery stream."""
    watch = client("cloudwatch", server)
    now = time.time()
    found = watch.get_metric_statistics(
        Namespace="AWS/Firehose", MetricName=metric,
        Dimensions=[{"Name": "DeliveryStreamName", "Value": name}],
        StartTime=now - 3_600, EndTime=now + 60, Period=3_600, Statistics=["Sum"],
    )  # fmt: skip
    return int(sum(point["Sum"] for point in found["Datapoints"]))


def rate(server: servers.Server, s3: QuickS3, name: str, size: int) -> float:
    """MB/s the whole way. The last object's time is its file's."""
    load = Load(server, name)
    started = time.time()
    load.run(size)
    reach(server, name, "DeliveryToS3.Bytes", load.sent)
    ended = max(path.stat().st_mtime for path in (s3.folder / BUCKET).glob(f"{name}*"))
    return load.sent / MB / (ended - started)


def reach(server: servers.Server, name: str, metric: str, size: int, within_s: float = 600) -> None:
    """Wait until so much is counted."""
    until = time.monotonic() + within_s
    while (found := counted(server, name, metric)) < size:
        if time.monotonic() > until:
            raise SystemExit(f"{name}: {metric} is {found:,} of {size:,} after {within_s:.0f} s")
        time.sleep(0.5)


def worker_pids(server: servers.Server) -> list[int]:
    """The delivery worker, and what it started (jq)."""
    found = []
    for pid in tree(server.pid):
        with contextlib.suppress(OSError):
            if b"delivery_worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found += tree(pid)
    return found


class Memory:
    """The most memory that the delivery worker had of its own, looked at ten times a second: RssAnon. What is mapped of the
    record log's file is the page cache's."""

    def __init__(self, server: servers.Server) -> None:
        self._server = server
        self.most_mib = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        pids: list[int] = []
        while not self._stop.wait(0.1):
            pids = pids or worker_pids(self._server)[:1]
            self.most_mib = max(self.most_mib, servers.anonymous_mib(pids))


@contextmanager
def served(folder: Path) -> Iterator[tuple[servers.Server, QuickS3]]:
    """Tidegate and an S3 server, on both cores."""
    with (
        tempfile.TemporaryDirectory(prefix="tidegate-bench-s3-", dir=_memory(folder)) as objects,
        quick_s3(Path(objects), 1, "--no-log") as s3,
        servers.tidegate(folder / "delivery", core=None, **s3.settings) as server,
    ):
        yield server, s3


def _memory(folder: Path) -> Path:
    shared = Path("/dev/shm")
    return shared if shared.is_dir() and os.access(shared, os.W_OK) else folder


def lines(folder: Path, *, quick: bool = False) -> list[Bench]:
    """Lines for the table: what, ours, theirs, bar, does it hold."""
    size, converted, parts = (60, 40, 40) if quick else (600, 400, 200)
    with served(folder) as (server, s3), Memory(server) as memory:
        make_table(server)
        create(server, "gzip", CompressionFormat="GZIP", BufferingHints={"SizeInMBs": 16, "IntervalInSeconds": 2})
        gzip_rate = rate(server, s3, "gzip", size * MB)
        create(server, "parquet", **parquet(), BufferingHints={"SizeInMBs": 128, "IntervalInSeconds": 3})
        parquet_rate = rate(server, s3, "parquet", converted * MB)
        more = {**partitioned(), **parquet()}
        create(server, "parts", **more, BufferingHints={"SizeInMBs": 128, "IntervalInSeconds": 60})
        parts_s = parts / rate(server, s3, "parts", parts * MB)
        most = memory.most_mib
    return [
        ("Direct PUT of 1 KB JSON to GZIP objects", f"{gzip_rate:.1f} MB/s", "", ">= 20 MB/s", gzip_rate >= GZIP_BAR),
        ("the same to Parquet, buffers of 128 MiB", f"{parquet_rate:.1f} MB/s", "", ">= 10 MB/s", parquet_rate >= PARQUET_BAR),
        (f"{parts} MB to Parquet in {PARTITIONS} partitions, interval 60 s", f"{parts_s:.0f} s", "", "", True),
        ("RssAnon of the delivery worker, the most in all that", f"{most:.0f} MiB", "", "<= 400 MiB", 0 < most <= MEMORY_BAR_MIB),
    ]  # fmt: skip


def main() -> None:
    """Print the lines; end with 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the records")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-", dir=given.folder) as folder:
        found = lines(Path(folder), quick=given.quick)
    for what, ours, _, bar, ok in found:
        print(f"{what:55} {ours:>12}  {bar:12} {'holds' if ok else 'MISSED'}")
    raise SystemExit(0 if all(line[-1] for line in found) else 1)


if __name__ == "__main__":
    main()
