"""Deliveries to S3 while web, worker and Valkey are killed at random moments and S3 is ill for a third of the time.

Every acknowledged attempt is in S3 exactly once, in order, and no object is half written or put twice with other bytes.
TORTURE_RECORDS and TORTURE_KILLS (of each kind) make it smaller; TORTURE_SEED makes it another one.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.bench.server import Server, tidegate
from tests.torture.deliveries import (
    BUCKET,
    ROLE,
    Budget,
    Putter,
    QuickS3,
    client,
    differing,
    direct,
    problems,
    quick_s3,
    to_stream,
    under_fire,
    wait_until,
)

RECORDS = int(os.environ.get("TORTURE_RECORDS", "500000"))
KILLS = int(os.environ.get("TORTURE_KILLS", "30"))
SEED = int(os.environ.get("TORTURE_SEED", "1"))
PUTTERS = 6
DELIVERED_WITHIN_S = 600.0
NAME = "torture"

pytestmark = [
    pytest.mark.torture,
    # boto3 leaves sockets to the collector when a server is killed under them.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


def destination(**more: Any) -> dict[str, Any]:
    """Small buffers, so that there are many objects."""
    return {
        "RoleARN": ROLE,
        "BucketARN": f"arn:aws:s3:::{BUCKET}",
        "Prefix": "data/",
        "ErrorOutputPrefix": "errors/",
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 2},
        "CompressionFormat": "GZIP",
        **more,
    }


def create(server: Server, given: dict[str, Any], *, from_stream: bool) -> None:
    """A delivery stream, and its source if it has one; both ACTIVE."""
    firehose, kinesis = client("firehose", server), client("kinesis", server)
    source: dict[str, Any] = {"DeliveryStreamType": "DirectPut"}
    if from_stream:
        kinesis.create_stream(StreamName=NAME, ShardCount=4)
        kinesis.get_waiter("stream_exists").wait(StreamName=NAME, WaiterConfig={"Delay": 1})
        arn = kinesis.describe_stream_summary(StreamName=NAME)["StreamDescriptionSummary"]["StreamARN"]
        source = {
            "DeliveryStreamType": "KinesisStreamAsSource",
            "KinesisStreamSourceConfiguration": {"KinesisStreamARN": arn, "RoleARN": ROLE},
        }
    firehose.create_delivery_stream(DeliveryStreamName=NAME, ExtendedS3DestinationConfiguration=given, **source)
    wait_until(lambda: describe(firehose)["DeliveryStreamStatus"] == "ACTIVE", "the delivery stream is active")


def describe(firehose: Any) -> dict[str, Any]:
    """The description."""
    found: dict[str, Any] = firehose.describe_delivery_stream(DeliveryStreamName=NAME)["DeliveryStreamDescription"]
    return found


def change_destination(server: Server) -> None:
    """UpdateDestination: other objects from here on. Tried until a process that lives answers."""

    def changed() -> bool:
        try:
            firehose = client("firehose", server)
            now = describe(firehose)
            if now["VersionId"] != "1":
                return True
            firehose.update_destination(
                DeliveryStreamName=NAME,
                CurrentDeliveryStreamVersionId="1",
                DestinationId=now["Destinations"][0]["DestinationId"],
                ExtendedS3DestinationUpdate={"Prefix": "data/second/", "CompressionFormat": "UNCOMPRESSED"},
            )
        except (ClientError, BotoCoreError):
            return False
        return True

    wait_until(changed, "the destination is changed")


class _Transform(BaseHTTPRequestHandler):
    """A Lambda whose answer to a record is another one at each call."""

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answers = []
        for record in event["records"]:
            said = json.loads(base64.b64decode(record["data"]))
            data = json.dumps({**said, "nonce": secrets.token_hex(8)}).encode() + b"\n"
            answers.append({"recordId": record["recordId"], "result": "Ok", "data": base64.b64encode(data).decode()})
        body = json.dumps({"records": answers}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def transform() -> Iterator[str]:
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Transform)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


LAMBDA: dict[str, Any] = {
    "Enabled": True,
    "Processors": [
        {
            "Type": "Lambda",
            "Parameters": [
                {"ParameterName": "LambdaArn", "ParameterValue": "arn:aws:lambda:us-east-1:123456789012:function:f"},
                {"ParameterName": "BufferIntervalInSeconds", "ParameterValue": "1"},
            ],
        }
    ],
}


def torture(server: Server, s3: QuickS3, *, from_stream: bool, updated: bool) -> tuple[list[Putter], dict[str, int]]:
    """Put, kill, and wait until what was acknowledged is delivered."""
    budget = Budget(RECORDS, 3 * KILLS)
    source = to_stream if from_stream else direct
    putters = [Putter(f"p{n}", source(server, NAME), budget) for n in range(PUTTERS)]

    def at_half() -> None:
        if updated:
            wait_until(s3.objects, "something is delivered before the update")
            change_destination(server)

    s3.faults("on")
    killed = under_fire(server, putters, budget, KILLS, SEED, at_half)
    attempts = s3.faults("off")
    acknowledged = set().union(*(putter.acknowledged for putter in putters))
    wait_until(lambda: acknowledged <= s3.ids().keys(), "all that was acknowledged is in S3", DELIVERED_WITHIN_S)
    return putters, {**killed, **attempts}


QUERY = {
    "Type": "MetadataExtraction",
    "Parameters": [
        {"ParameterName": "MetadataExtractionQuery", "ParameterValue": '{putter: (.id | split("-")[0])}'},
        {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
    ],
}
PLAIN: dict[str, Any] = {}
TRANSFORMED = {"ProcessingConfiguration": LAMBDA}
PARTITIONED = {
    "Prefix": "data/!{partitionKeyFromQuery:putter}/",
    "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
    "DynamicPartitioningConfiguration": {"Enabled": True},
    "ProcessingConfiguration": {"Enabled": True, "Processors": [*LAMBDA["Processors"], QUERY]},
}


@pytest.mark.parametrize(
    ("from_stream", "more", "updated"),
    [
        (False, PLAIN, False),
        (True, PLAIN, False),
        (False, TRANSFORMED, False),
        (True, TRANSFORMED, True),
        (True, PARTITIONED, False),
    ],
    ids=["direct", "stream", "direct-transformed", "stream-transformed-updated", "stream-transformed-partitioned"],
)
def test_exactly_once_in_s3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], from_stream: bool, more: dict[str, Any], updated: bool
) -> None:
    given = destination(**more)
    with quick_s3(tmp_path / "s3", SEED) as s3, transform() as function:
        settings = {**s3.settings, "AWS_ENDPOINT_URL_LAMBDA": function}
        with tidegate(tmp_path / "data", **settings) as server:
            create(server, given, from_stream=from_stream)
            putters, counted = torture(server, s3, from_stream=from_stream, updated=updated)
    stored = s3.ids()
    contents = [s3._known[key] for key in s3.objects() if key.startswith("data/")]
    found = problems(putters, stored, contents)
    attempts = s3.attempts()
    with capsys.disabled():
        print(
            f"\n{counted}; acknowledged {sum(len(p.acknowledged) for p in putters):,}, unsure "
            f"{sum(len(p.unsure) for p in putters):,}, stored {sum(stored.values()):,} in {len(contents):,} objects; "
            f"problems {len(found)}"
        )
    assert not found, found[:10]
    assert differing(attempts) == []
    assert not [key for key in s3.objects() if key.startswith("errors/")]
    if updated:
        assert {key.startswith("data/second/") for key in s3.objects()} == {True, False}
