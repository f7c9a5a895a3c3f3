"""HTTP/1.1 as bytes: requests no client library would send, and answers with every header as it came."""

import hashlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cbor2
import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from apps.base.clock import SystemClock
from apps.wire import sigv4
from tests.support.processes import HAPPENED_WITHIN_S
from tests.wire.conftest import REGION, Endpoint

JSON, CBOR = "application/x-amz-json-1.1", "application/x-amz-cbor-1.1"
TARGET = "Kinesis_20131202."


class Milliseconds(int):
    """A time in CBOR as AWS writes it: tag 1 over an integer."""


@dataclass(frozen=True)
class Answer:
    """header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @cached_property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @cached_property
    def cbor(self) -> Any:
        return cbor2.loads(self.body, semantic_decoders={1: lambda value, _immutable: Milliseconds(value)})


def headers_for(operation: str | None, content_type: str | None = JSON) -> dict[str, str]:
    headers = {}
    if content_type is not None:
        headers["Content-Type"] = content_type
    if operation is not None:
        headers["X-Amz-Target"] = operation if "." in operation else TARGET + operation
    return headers


def sign(endpoint: Endpoint, headers: Mapping[str, str], body: bytes, **options: Any) -> dict[str, str]:
    """headers with a signature. options: method, path, key_id, secret, service, region."""
    request = AWSRequest(
        options.get("method", "POST"), endpoint.url + options.get("path", "/"), data=body, headers=dict(headers)
    )
    credentials = Credentials(options.get("key_id", endpoint.access_key_id), options.get("secret", endpoint.secret))
    SigV4Auth(credentials, options.get("service", "kinesis"), options.get("region", REGION)).add_auth(request)
    return dict(request.headers.items())


def presign(endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> str:
    """The path and query of a presigned POST; headers must be sent along with it. (botocore's presigner moves the body
    into the query, so it does not do.)"""
    query = sigv4.presign(
        "POST",
        "/",
        {**headers, "host": endpoint.netloc},
        key_id=endpoint.access_key_id,
        secret=endpoint.secret,
        region=REGION,
        service="kinesis",
        now_ms=SystemClock().now_ms(),
        expires_s=60,
        payload_hash=hashlib.sha256(body).hexdigest(),
    )
    return f"/?{query}"


def send(
    endpoint: Endpoint, headers: Mapping[str, str], body: bytes = b"", *, method: str = "POST", path: str = "/"
) -> Answer:
    """One request on a connection of its own. Content-Length is added."""
    with connect(endpoint) as connection:
        connection.sendall(head(endpoint, headers, len(body), method=method, path=path) + body)
        return receive(connection)


def call(
    endpoint: Endpoint, operation: str, body: bytes = b"{}", *, content_type: str = JSON, **options: Any
) -> Answer:
    """One signed request."""
    return send(endpoint, sign(endpoint, headers_for(operation, content_type), body, **options), body)


def connect(endpoint: Endpoint) -> socket.socket:
    return socket.create_connection(endpoint.address, HAPPENED_WITHIN_S)


def head(
    endpoint: Endpoint,
    headers: Mapping[str, str],
    length: int | None,
    *,
    method: str = "POST",
    path: str = "/",
) -> bytes:
    """The request's head; without a length, the body comes in chunks."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {endpoint.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() not in {"host", "content-length"}]
    if length is None:
        lines.append("Transfer-Encoding: chunked")
    elif length or method == "POST":
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def receive(connection: socket.socket) -> Answer:
    """One answer with a Content-Length. Raises ConnectionError if the connection ends before its end."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    top, _, body = data.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += _some(connection)
    return Answer(int(first.split()[1]), headers, body)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65_536)
    if not data:
        raise ConnectionError("closed by the server")
    return data
