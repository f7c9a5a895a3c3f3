"""Delivery to a real OpenSearch node, whose jars `make interop` fetches from Maven Central.

Not tested against the real thing, for want of it: Elasticsearch (its later versions are not published as libraries), Splunk,
and the OpenTelemetry collector's awsfirehose and splunk_hec receivers (their Go modules could not be fetched with checksums
that verify). tests/support has strict receivers of those protocols.
"""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from apps.base import tls
from apps.base.clock import SystemClock
from apps.base.config import Config
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.destinations.opensearch import SearchDestination
from tests.interop.test_clients import ROOT, running
from tests.support.delivery_batches import Engine, records_of, target
from tests.support.receiver import Receiver, Reply, Request
from tests.support.runtimes import memory_runtime, until
from tests.support.s3 import KEY, SECRET, S3Server

JARS = ROOT / ".interop" / "opensearch" / "lib"
PROGRAM = ROOT / "tests" / "interop" / "opensearch" / "SearchNode.java"

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address. Skips, and says so among the warnings, where Java or the jars are missing."""
    java = shutil.which("java")
    if java is None or not JARS.is_dir():
        why = "OpenSearch is not tested: needs Java 17 and Maven (make interop)"
        warnings.warn(why, stacklevel=1)
        pytest.skip(why)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    home = tmp_path_factory.mktemp("opensearch")
    command = [java, "-Xmx512m", "-cp", f"{JARS}/*", str(PROGRAM), str(home), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=home) as process:
        try:
            assert process.stdout is not None
            assert "started\n" in iter(process.stdout.readline, "")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def ask(node: str, path: str, body: Any = None) -> Any:
    method = "PUT" if body is not None else "GET"
    data = json.dumps(body).encode() if body is not None else None
    asked = urllib.request.Request(node + path, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


def documents(node: str, index: str) -> dict[str, Any]:
    ask(node, f"/{index}/_refresh")
    found = ask(node, f"/{index}/_search?size=10000&version=true")["hits"]["hits"]
    return {hit["_id"]: hit for hit in found}


def deliver(node: str, engine: Engine, **members: Any) -> Any:
    runtime = memory_runtime(private_destinations="allow")
    here = target("Amazonopensearchservice", {"ClusterEndpoint": node} | members)
    return engine.attempt_with(lambda: SearchDestination(runtime, here))


def test_documents_are_indexed_once_whatever_is_repeated(node: str) -> None:
    engine = Engine(records_of([json.dumps({"n": number, "pad": "x" * 500}).encode() for number in range(7_000)]))
    assert deliver(node, engine, IndexName="once", TypeName="_doc").records == 7_000  # 2.x knows no types
    engine.state = {}
    assert deliver(node, engine, IndexName="once").records == 7_000
    found = documents(node, "once")
    assert sorted(hit["_source"]["n"] for hit in found.values()) == list(range(7_000))
    assert {hit["_version"] for hit in found.values()} == {2}


def test_documents_that_the_mapping_refuses_fail_alone(node: str) -> None:
    ask(node, "/mapped", {"mappings": {"dynamic": "strict", "properties": {"n": {"type": "long"}}}})
    datas = [b'{"n":1}', b'{"n":"text"}', b"no json", b'{"n":2,"more":1}', b'{"n":3}']
    delivered = deliver(node, Engine(records_of(datas)), IndexName="mapped")
    lost = [json.loads(one.line()) for one in delivered.failed]
    assert [line["errorCode"] for line in lost] == ["400", "OS.MalformedData", "400"]
    assert "failed to parse field [n] of type [long]" in lost[0]["errorMessage"]
    assert "strict_dynamic_mapping_exception" in lost[2]["errorMessage"]
    assert sorted(hit["_source"]["n"] for hit in documents(node, "mapped").values()) == [1, 3]


def test_ids_of_the_service_and_rotation(node: str) -> None:
    engine = Engine(records_of([b'{"n":1}', b'{"n":2}'], arrival_ms=1_456_405_200_000))
    options = {"DefaultDocumentIdFormat": "NO_DOCUMENT_ID"}
    deliver(node, engine, IndexName="rotated", IndexRotationPeriod="OneDay", DocumentIdOptions=options)
    assert len(documents(node, "rotated-2016-02-25")) == 2


def test_an_index_that_takes_nothing_now_is_tried_again(node: str) -> None:
    ask(node, "/blocked", {})
    ask(node, "/blocked/_settings", {"index.blocks.write": True})
    engine = Engine(records_of([b'{"n":1}']))
    with pytest.raises(DeliveryFailed) as caught:
        deliver(node, engine, IndexName="blocked")
    assert caught.value.code == "403"
    assert not caught.value.permanent
    ask(node, "/blocked/_settings", {"index.blocks.write": False})
    assert deliver(node, engine, IndexName="blocked").records == 1


class Forwarder(Receiver):
    """TLS before a node that has none: AWS's addresses of clusters are https."""

    def __init__(self, node: str, serving: ssl.SSLContext) -> None:
        super().__init__(tls=serving)
        self._node = node

    def handle(self, request: Request) -> Reply:
        kind = {"content-type": request.headers["content-type"]}
        asked = urllib.request.Request(self._node + request.path, request.body, kind, method=request.method)
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return Reply.json(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            return Reply.json(error.code, error.read())


def test_boto3_creates_and_fills_a_delivery_stream_to_it(node: str, tmp_path: Path) -> None:
    made = tls.served(replace(Config(), data_dir=tmp_path / "authority", tls="self-signed"), SystemClock())
    assert made is not None
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(made.certificate, made.key)
    s3 = S3Server()
    s3.make_bucket("failed")
    settings = {"AWS_ENDPOINT_URL_S3": s3.endpoint, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    with (
        Forwarder(node, serving) as forwarder,
        running(tmp_path, "http", SSL_CERT_FILE=str(made.authority), **settings) as (endpoint, environment),
    ):
        firehose = boto3.client(
            "firehose", endpoint_url=endpoint, region_name="us-east-1",
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"], aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )  # fmt: skip
        role = "arn:aws:iam::123456789012:role/firehose"
        configuration = {
            "RoleARN": role, "ClusterEndpoint": forwarder.url, "IndexName": "through", "IndexRotationPeriod": "NoRotation",
            "BufferingHints": {"IntervalInSeconds": 1, "SizeInMBs": 1},
            "S3Configuration": {"RoleARN": role, "BucketARN": "arn:aws:s3:::failed"},
        }  # fmt: skip
        firehose.create_delivery_stream(
            DeliveryStreamName="logs", AmazonopensearchserviceDestinationConfiguration=configuration
        )
        until(lambda: status(firehose) == "ACTIVE")
        documents_put = [{"Data": b'{"n":%d}' % number} for number in range(499)]
        answer = firehose.put_record_batch(DeliveryStreamName="logs", Records=[*documents_put, {"Data": b"no json"}])
        assert answer["FailedPutCount"] == 0
        until(lambda: forwarder.requests and s3.keys("failed"), timeout_s=120)
        [key] = s3.keys("failed")
        assert "AmazonOpenSearchService-failed" in key
        assert json.loads(s3.body("failed", key))["errorCode"] == "OS.MalformedData"
    s3.stop()
    assert sorted(hit["_source"]["n"] for hit in documents(node, "through").values()) == list(range(499))


def status(firehose: Any) -> str:
    described = firehose.describe_delivery_stream(DeliveryStreamName="logs")["DeliveryStreamDescription"]
    return str(described["DeliveryStreamStatus"])
