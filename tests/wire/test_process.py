"""The process around the requests: health, stopping with streams open, HTTPS."""

import json
import signal
import ssl
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from apps.base import tls
from apps.base.clock import SystemClock
from apps.base.config import Config
from tests.support.processes import STOPPED_WITHIN_S, free_port
from tests.wire.conftest import REGION, Endpoint, start, stop, until_active
from tests.wire.http2 import Http2
from tests.wire.raw import JSON, connect, head, headers_for, receive, sign
from tests.wire.server import ACCESS_KEY_ID, ACCOUNT_ID, SECRET
from tests.wire.test_subscriptions import frames, register, subscribe


def client_of(url: str, **options: Any) -> Any:
    return boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET,
        config=BotoConfig(retries={"total_max_attempts": 1}),
        **options,
    )


def test_health_names_the_parts_that_do_not_serve(endpoint: Endpoint) -> None:
    if endpoint.pid is None:
        pytest.skip("needs this suite's own server, which has no Redis")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{endpoint.url}/healthz")
    with caught.value as answer:
        assert answer.status == 503
        assert answer.headers["content-type"] == "application/json"
        said = json.loads(answer.read())
    assert said["status"] == "failing"
    assert {name for name, reason in said["parts"].items() if reason == "ok"} == {"database", "record log", "clock"}
    assert "refused" in said["parts"]["redis"]


def test_it_stops_at_once_with_everything_open(tmp_path: Path) -> None:
    """A subscription and a body that never ends: the stream ends well, the process too, and granian kills nobody."""
    port, output = free_port(), tmp_path / "output"
    process = start(port, str(tmp_path / "data"), output)
    endpoint = Endpoint(f"http://127.0.0.1:{port}", ACCESS_KEY_ID, SECRET, ACCOUNT_ID, process.pid)
    try:
        kinesis = client_of(endpoint.url)
        kinesis.create_stream(StreamName="s", ShardCount=1)
        until_active(kinesis, "s")
        with connect(endpoint) as unfinished, subscribe(endpoint, register(kinesis, "s")) as subscribed:
            unfinished.sendall(head(endpoint, sign(endpoint, headers_for("ListStreams"), b"{}"), 2) + b"{")
            coming = frames(subscribed)
            next(coming)
            process.send_signal(signal.SIGTERM)
            for _ in coming:
                pass
            assert receive(unfinished).status == 503
            assert process.wait(STOPPED_WITHIN_S) == 0
        kinesis.close()
    finally:
        stop(process)
    assert "refused to gracefully stop" not in output.read_text()
    assert "Traceback" not in output.read_text()


def given_certificate(folder: Path) -> tuple[Path, dict[str, str]]:
    """What to trust, and the settings of a certificate with a key as openssl makes it: the server itself reads PKCS#8."""
    made = tls.served(replace(Config(), data_dir=folder, tls="self-signed"), SystemClock())
    assert made
    assert made.authority
    key, old = load_pem_private_key(made.key.read_bytes(), None), folder / "old.pem"
    old.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    assert b"EC PRIVATE KEY" in old.read_bytes()
    return made.authority, {"TIDEGATE_TLS_CERTIFICATE": str(made.certificate), "TIDEGATE_TLS_KEY": str(old)}


def test_https_speaks_both_versions_of_http_with_a_given_certificate_and_an_old_style_key(tmp_path: Path) -> None:
    port = free_port()
    authority, settings = given_certificate(tmp_path)
    process = start(port, str(tmp_path / "data"), tmp_path / "output", **settings)
    endpoint = Endpoint(f"https://localhost:{port}", ACCESS_KEY_ID, SECRET, ACCOUNT_ID, process.pid)
    try:
        kinesis = client_of(endpoint.url, verify=str(authority))
        kinesis.create_stream(StreamName="s", ShardCount=1)
        until_active(kinesis, "s")
        assert kinesis.put_record(StreamName="s", Data=b"x", PartitionKey="k")["ShardId"]
        kinesis.close()
        context = ssl.create_default_context(cafile=str(authority))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with Http2(endpoint, context) as client:
            assert client.socket.selected_alpn_protocol() == "h2"  # type: ignore[attr-defined]
            answer = client.answer(client.request(sign(endpoint, headers_for("ListStreams"), b"{}"), b"{}"))
            assert answer.json["StreamNames"] == ["s"]
            assert answer.headers["content-type"] == JSON
    finally:
        stop(process)
