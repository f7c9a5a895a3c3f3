"""Deliveries to an HTTP endpoint, Splunk and OpenSearch while everything is killed and the receiver is ill for a third of the
time: at least once, and what comes twice carries the request id or the document id that it carried before.

TORTURE_RECORDS and TORTURE_KILLS (of each kind) make it smaller or larger; TORTURE_SEED makes it another one.
"""

from __future__ import annotations

import json
import os
import random
import ssl
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps.base import tls
from apps.base.clock import SystemClock
from apps.base.config import Config
from tests.bench.server import Server, tidegate
from tests.support.firehose_receiver import FirehoseReceiver
from tests.support.quick_s3 import Faults
from tests.support.receiver import Fault, Receiver, Request
from tests.support.search_receiver import SearchReceiver
from tests.support.splunk_receiver import SplunkReceiver
from tests.torture.deliveries import (
    BUCKET,
    ROLE,
    Budget,
    Putter,
    client,
    direct,
    quick_s3,
    under_fire,
    wait_until,
)

RECORDS = int(os.environ.get("TORTURE_RECORDS", "30000"))
KILLS = int(os.environ.get("TORTURE_KILLS", "8"))
SEED = int(os.environ.get("TORTURE_SEED", "1"))
PUTTERS = 4
DELIVERED_WITHIN_S = 600.0
NAME = "torture"
ILL = {"503": Fault("status", 503), "cut": Fault("reset"), "unanswered": Fault("reset", taken=True)}

pytestmark = [
    pytest.mark.torture,
    # boto3 leaves sockets to the collector when a server is killed under them.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

S3 = {
    "RoleARN": ROLE,
    "BucketARN": f"arn:aws:s3:::{BUCKET}",
    "Prefix": "data/",
    "ErrorOutputPrefix": "errors/",
}
HINTS = {"SizeInMBs": 1, "IntervalInSeconds": 2}
LONG = {"DurationInSeconds": 7_200}


def http(receiver: FirehoseReceiver) -> dict[str, Any]:
    """A delivery stream to it."""
    endpoint = {"Url": receiver.endpoint, "Name": "receiver", "AccessKey": receiver.access_key}
    return {
        "HttpEndpointDestinationConfiguration": {
            "EndpointConfiguration": endpoint,
            "BufferingHints": HINTS,
            "RetryOptions": LONG,
            "RoleARN": ROLE,
            "S3Configuration": S3,
        }
    }


def splunk(receiver: SplunkReceiver) -> dict[str, Any]:
    """A delivery stream to it."""
    return {
        "SplunkDestinationConfiguration": {
            "HECEndpoint": receiver.url,
            "HECEndpointType": "Raw",
            "HECToken": receiver.token,
            "BufferingHints": HINTS,
            "RetryOptions": LONG,
            "S3Configuration": S3,
        }
    }


def search(receiver: SearchReceiver) -> dict[str, Any]:
    """A delivery stream to it."""
    return {
        "AmazonopensearchserviceDestinationConfiguration": {
            "ClusterEndpoint": receiver.url,
            "IndexName": "torture",
            "IndexRotationPeriod": "NoRotation",
            "RoleARN": ROLE,
            "BufferingHints": HINTS,
            "RetryOptions": LONG,
            "S3Configuration": S3,
        }
    }


def ids(data: bytes) -> list[str]:
    """Of one record, or of several one after the other."""
    return [json.loads(line)["id"] for line in data.splitlines()]


def came_http(receiver: FirehoseReceiver) -> dict[str, set[str]]:
    """The names under which each attempt's record came: request ids."""
    came = defaultdict(set)
    with receiver.lock:
        for request_id, records in receiver.taken.items():
            for record in records:
                came[ids(record)[0]].add(request_id)
    return came


def came_splunk(receiver: SplunkReceiver) -> dict[str, set[str]]:
    """Channels: each request has its own, at each of its attempts the same."""
    came = defaultdict(set)
    with receiver.lock:
        for channel, _, body in receiver.taken:
            for one in ids(body):
                came[one].add(channel)
    return came


def came_search(receiver: SearchReceiver) -> dict[str, set[str]]:
    """Document ids."""
    came = defaultdict(set)
    with receiver.lock:
        for index, documents in receiver.documents.items():
            for name, document in documents.items():
                came[document["id"]].add(f"{index}/{name}")
    return came


@pytest.mark.parametrize(
    ("kind", "described", "came"),
    [
        (FirehoseReceiver, http, came_http),
        (SplunkReceiver, splunk, came_splunk),
        (SearchReceiver, search, came_search),
    ],
    ids=["http", "splunk", "opensearch"],
)
def test_at_least_once_under_the_same_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: type[Receiver], described: Any, came: Any
) -> None:
    faults = Faults(random.Random(SEED))
    made = tls.served(replace(Config(), data_dir=tmp_path / "authority", tls="self-signed"), SystemClock())
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(made.certificate, made.key)
    receiver = kind(tls=serving)
    receiver.keeps_requests = False
    receiver.chooser = lambda _request: _ill(faults, _request)
    trusts = {"SSL_CERT_FILE": str(made.authority)}
    with (
        receiver,
        quick_s3(tmp_path / "s3", SEED) as s3,
        tidegate(tmp_path / "data", **s3.settings, **trusts) as server,
    ):
        create(server, described(receiver))
        budget = Budget(RECORDS, 3 * KILLS)
        putters = [Putter(f"p{n}", direct(server, NAME), budget) for n in range(PUTTERS)]
        faults.on = True
        killed = under_fire(server, putters, budget, KILLS, SEED)
        faults.on = False
        acknowledged = set().union(*(putter.acknowledged for putter in putters))
        wait_until(lambda: acknowledged <= came(receiver).keys(), "all that was acknowledged came", DELIVERED_WITHIN_S)
        errors = s3.objects()
    found = came(receiver)
    several = {one: names for one, names in found.items() if len(names) > 1}
    with capsys.disabled():
        print(
            f"\n{dict(killed)}; acknowledged {len(acknowledged):,}, came {len(found):,}; under two names {len(several)}"
        )
    assert not several, list(several.items())[:5]
    assert found.keys() <= acknowledged | set().union(*(putter.unsure for putter in putters))
    assert errors == []
    assert getattr(receiver, "wrong", []) == []
    assert getattr(receiver, "changed", []) == []


def _ill(faults: Faults, _request: Request) -> Fault | None:
    kind = faults.now()
    return ILL.get(kind, Fault("delay", 1.0)) if kind else None


def create(server: Server, given: dict[str, Any]) -> None:
    """A Direct PUT delivery stream, ACTIVE."""
    firehose = client("firehose", server)
    firehose.create_delivery_stream(DeliveryStreamName=NAME, DeliveryStreamType="DirectPut", **given)

    def active() -> bool:
        said = firehose.describe_delivery_stream(DeliveryStreamName=NAME)["DeliveryStreamDescription"]
        return bool(said["DeliveryStreamStatus"] == "ACTIVE")

    wait_until(active, "the delivery stream is active")
