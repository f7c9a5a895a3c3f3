"""HTTPS on the one port: a local authority, protocol versions, ALPN, cookies, files that cannot be used. And, on the same
`up`, what else it is given: an account, a person, and a key of any printable text."""

import contextlib
import socket
import ssl
import subprocess
import sys
import urllib.request
from http.client import HTTPException
from pathlib import Path

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from tests.support.processes import ROOT, SOON, STARTED_WITHIN_S, Up, environment, free_port, up
from tests.system.test_up import pasted, refusal

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]


KEY_ID, SECRET = "my key & $HOME", 'it\'s "quoted" `x` \\ #!'
GIVEN = {
    "TIDEGATE_ACCOUNT_ID": "210987654321", "TIDEGATE_ADMIN_EMAIL": "Ops@Example.test",
    "TIDEGATE_ADMIN_PASSWORD": "a long enough one", "TIDEGATE_ACCESS_KEY_ID": KEY_ID, "TIDEGATE_SECRET_ACCESS_KEY": SECRET,
    "TIDEGATE_REGION": "eu-central-1",
}  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """`up` with a certificate of its own local authority."""
    with up(tmp_path_factory.mktemp("https") / "data", TIDEGATE_TLS="self-signed", **GIVEN) as started:
        yield started


def kinesis(served: Up, secret: str = SECRET):
    return boto3.client(
        "kinesis", endpoint_url=served.endpoint, region_name="eu-central-1", aws_access_key_id=KEY_ID,
        aws_secret_access_key=secret, verify=str(authority(served)),
    )  # fmt: skip


def authority(served: Up) -> Path:
    return served.data_dir / "tls" / "ca.pem"


def handshake(served: Up, least, most, protocols=("h2", "http/1.1")) -> tuple[str, str]:
    context = ssl.create_default_context(cafile=str(authority(served)))
    context.minimum_version, context.maximum_version = least, most
    context.set_alpn_protocols(list(protocols))
    with (
        socket.create_connection(("127.0.0.1", served.port), 60) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as secured,
    ):
        return secured.version(), secured.selected_alpn_protocol()


def test_boto3_trusts_the_printed_authority(served):
    assert f"export AWS_CA_BUNDLE={authority(served)} NODE_EXTRA_CA_CERTS={authority(served)}" in served.output()
    client = kinesis(served)
    client.create_stream(StreamName="secured", ShardCount=1)
    client.get_waiter("stream_exists").wait(StreamName="secured", WaiterConfig=SOON)
    put = client.put_record(StreamName="secured", PartitionKey="a", Data=b"in flight")
    iterator = client.get_shard_iterator(StreamName="secured", ShardId=put["ShardId"], ShardIteratorType="TRIM_HORIZON")
    assert client.get_records(ShardIterator=iterator["ShardIterator"])["Records"][0]["Data"] == b"in flight"


def test_credentials_of_any_printable_text(served):
    client = kinesis(served)
    client.create_stream(StreamName="s", ShardCount=1)
    described = client.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]
    assert described["StreamARN"] == "arn:aws:kinesis:eu-central-1:210987654321:stream/s"
    shown = pasted(served.output())
    assert (shown["AWS_ACCESS_KEY_ID"], shown["AWS_SECRET_ACCESS_KEY"]) == (KEY_ID, SECRET)
    with pytest.raises(ClientError, match="signature"):
        kinesis(served, SECRET + "x").list_streams()


def test_it_listens_for_this_machine_alone(served):
    """On one TCP port of the loopback, and on unix sockets in the data directory."""
    inodes = set()
    for seen in served.tree():
        for link in Path(f"/proc/{seen.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                inodes.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert {row[1] for row in rows if row[9] in inodes and row[3] == "0A"} == {f"0100007F:{served.port:04X}"}
    sockets = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    named = {Path(row[7]).parent for row in sockets if len(row) > 7 and row[6] in inodes and not row[7].startswith("@")}
    assert named == {served.data_dir}


def test_a_second_one_on_the_same_data_is_refused(served):
    said = refusal(served.data_dir)
    assert f"already runs on {served.data_dir} (process {served.process.pid})" in said
    assert served.health() == 200


def test_a_stranger_does_not_trust_it(served):
    with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
        urllib.request.urlopen(f"{served.endpoint}/healthz", timeout=60, context=ssl.create_default_context())


@pytest.mark.parametrize(
    ("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")], ids=["1.2", "1.3"]
)
def test_tls_versions_and_http2_by_alpn(served, version, name):
    assert handshake(served, version, version) == (name, "h2")
    assert handshake(served, version, version, ["http/1.1"]) == (name, "http/1.1")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_older_tls_is_refused(served):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(served, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1)


def test_plain_http_on_the_port_is_not_answered(served):
    with pytest.raises((OSError, HTTPException)):
        urllib.request.urlopen(f"http://127.0.0.1:{served.port}/healthz", timeout=60)


def test_http2_serves(served):
    context = ssl.create_default_context(cafile=str(authority(served)))
    with httpx.Client(http2=True, verify=context, timeout=STARTED_WITHIN_S) as client:
        answer = client.get(f"{served.endpoint}/healthz")
        assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)


def test_cookies_are_for_https_alone(served):
    context = ssl.create_default_context(cafile=str(authority(served)))
    with httpx.Client(verify=context, follow_redirects=True, timeout=STARTED_WITHIN_S) as client:
        answer = client.get(f"{served.endpoint}/")
        assert answer.status_code == 200
        cookies = [value for response in (*answer.history, answer) for value in response.headers.get_list("set-cookie")]
        assert cookies
        assert all("Secure" in cookie for cookie in cookies)


def test_keys_are_for_this_user_alone(served):
    folder = served.data_dir / "tls"
    assert {path.name: path.stat().st_mode & 0o077 for path in folder.glob("*key*.pem")} == {
        "key.pem": 0,
        "ca-key.pem": 0,
    }


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        ("missing.pem", "tls/key.pem", "TIDEGATE_TLS_CERTIFICATE names"),
        ("tls/certificate.pem", "control.sqlite3", "TIDEGATE_TLS_KEY names"),
        ("tls/certificate.pem", "tls/ca-key.pem", "does not belong to the certificate"),
    ],
)
def test_unusable_files_are_refused_in_a_sentence(served, tmp_path, certificate, key, said):
    done = subprocess.run(
        [sys.executable, "manage.py", "up"], cwd=ROOT, capture_output=True, text=True, timeout=STARTED_WITHIN_S,
        env=environment(
            TIDEGATE_DATA_DIR=str(tmp_path / "data"), TIDEGATE_PORT=str(free_port()),
            TIDEGATE_TLS_CERTIFICATE=str(served.data_dir / certificate), TIDEGATE_TLS_KEY=str(served.data_dir / key),
        ),
    )  # fmt: skip
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
