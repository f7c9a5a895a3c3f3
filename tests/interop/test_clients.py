"""The AWS CLI and @aws-sdk/client-kinesis v3, unmodified, over HTTP and HTTPS. `make interop` makes their environments."""

from __future__ import annotations

import base64
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from tests.bench import server as servers

ROOT = servers.ROOT
CLI = ROOT / ".interop" / "cli" / "bin" / "aws"
JS = ROOT / ".interop" / "js"

pytestmark = pytest.mark.interop


@contextmanager
def running(tmp_path: Path, scheme: str, **settings: str) -> Iterator[tuple[str, dict[str, str]]]:
    """`make up` in tmp_path: endpoint, and the environment in which clients trust it."""
    if scheme == "https":
        settings["TIDEGATE_TLS"] = "self-signed"
    trust = tmp_path / "data" / "tls" / "ca.pem"
    with servers.tidegate(tmp_path / "data", **settings) as server:
        environment = os.environ | {
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_PAGER": "",
        }
        if scheme == "https":
            environment |= {"AWS_CA_BUNDLE": str(trust), "NODE_EXTRA_CA_CERTS": str(trust)}
        yield server.endpoint.replace("127.0.0.1", "localhost"), environment


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_javascript_v3_puts_gets_and_subscribes(tmp_path: Path, scheme: str) -> None:
    node = shutil.which("node")
    assert node, "node is needed for this test"
    with running(tmp_path, scheme) as (endpoint, environment):
        done = subprocess.run(
            [
                node,
                "put_get_subscribe.mjs",
                endpoint,
                environment["AWS_ACCESS_KEY_ID"],
                environment["AWS_SECRET_ACCESS_KEY"],
            ],
            cwd=JS,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"handler": "NodeHttp2Handler", "put": 210, "read": 210, "pushed": 210}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_aws_cli(tmp_path: Path, scheme: str) -> None:
    with running(tmp_path, scheme) as (endpoint, environment):

        def aws(*words: str) -> dict:
            command = [str(CLI), "--endpoint-url", endpoint, "--output", "json", "kinesis", *words]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout) if done.stdout.strip() else {}

        aws("create-stream", "--stream-name", "cli", "--shard-count", "2")
        aws("wait", "stream-exists", "--stream-name", "cli")
        # Version 1, the one on PyPI, takes data as it is; version 2 wants base64.
        put = aws("put-record", "--stream-name", "cli", "--partition-key", "k", "--data", "from the command line")
        found = aws(
            "get-shard-iterator",
            "--stream-name",
            "cli",
            "--shard-id",
            put["ShardId"],
            "--shard-iterator-type",
            "TRIM_HORIZON",
        )
        records = aws("get-records", "--shard-iterator", found["ShardIterator"])["Records"]
        assert [base64.b64decode(record["Data"]) for record in records] == [b"from the command line"]
        aws("add-tags-to-stream", "--stream-name", "cli", "--tags", "team=web")
        assert aws("list-tags-for-stream", "--stream-name", "cli")["Tags"] == [{"Key": "team", "Value": "web"}]
        aws("delete-stream", "--stream-name", "cli")


def test_tls_versions_and_alpn(tmp_path: Path) -> None:
    with running(tmp_path, "https") as (endpoint, environment):
        port = int(endpoint.rsplit(":", 1)[1])
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context(cafile=environment["AWS_CA_BUNDLE"])
            context.minimum_version = context.maximum_version = version
            context.set_alpn_protocols(["h2", "http/1.1"])
            import socket

            with (
                socket.create_connection(("localhost", port)) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as secure,
            ):
                assert secure.selected_alpn_protocol() == "h2"
        client = boto3.client(
            "kinesis",
            endpoint_url=endpoint,
            region_name="us-east-1",
            verify=environment["AWS_CA_BUNDLE"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )
        assert client.list_streams()["StreamNames"] == []
