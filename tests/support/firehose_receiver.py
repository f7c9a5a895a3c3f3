"""A strict receiver of the published Firehose HTTP delivery protocol 1.0: it takes nothing that is not exactly in form."""

from __future__ import annotations

import base64
import gzip
import json
import ssl
import uuid
from collections import Counter
from typing import Any

from tests.support.receiver import Receiver, Reply, Request

MIB = 1 << 20
TIMESTAMP = 1_700_000_000_000


class FirehoseReceiver(Receiver):
    """Takes requests at /deliver.

    taken: records by request id, of the first time it came; times: how often each was taken; wrong: what was not in form;
    changed: request ids that came again with other records.
    """

    def __init__(self, *, access_key: str = "", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(port=port, tls=tls)
        self.access_key = access_key
        self.endpoint = f"{self.url}/deliver"
        self.taken: dict[str, list[bytes]] = {}
        self.times: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.changed: list[str] = []
        self.attributes: list[dict[str, str]] = []
        self.largest_body_bytes = MIB * 64
        self.refuse_over_bytes = MIB * 64

    @property
    def records(self) -> list[bytes]:
        """All that was taken, each request once, in the order of their first coming."""
        return [record for records in self.taken.values() for record in records]

    def handle(self, request: Request) -> Reply:
        """As the protocol says."""
        try:
            request_id, records = self._parsed(request)
        except ValueError as error:
            self.wrong.append(str(error))
            return _reply(400, request.headers.get("x-amz-firehose-request-id", ""), str(error))
        if self.access_key != request.headers.get("x-amz-firehose-access-key", ""):
            return _reply(401, request_id, "Unauthorized")
        if len(request.body) > self.refuse_over_bytes:
            return _reply(413, request_id, "Payload too large")
        if request_id in self.taken and self.taken[request_id] != records:
            self.changed.append(request_id)
        self.taken.setdefault(request_id, records)
        self.times[request_id] += 1
        return _reply(200, request_id)

    def _parsed(self, request: Request) -> tuple[str, list[bytes]]:
        headers = request.headers
        _must(request.method == "POST" and request.path.startswith("/deliver"), f"{request.method} {request.path}")
        _must(headers.get("content-type") == "application/json", "Content-Type")
        _must(headers.get("x-amz-firehose-protocol-version") == "1.0", "Protocol-Version")
        _must(headers.get("x-amz-firehose-source-arn", "").startswith("arn:aws:firehose:"), "Source-Arn")
        _must("content-length" in headers and "transfer-encoding" not in headers, "Content-Length")
        request_id = headers.get("x-amz-firehose-request-id", "")
        _must(str(uuid.UUID(request_id)) == request_id, "Request-Id")
        self._attributes(headers.get("x-amz-firehose-common-attributes"))
        body = self._body(request)
        _must(set(body) == {"requestId", "timestamp", "records"}, f"members {sorted(body)}")
        _must(body["requestId"] == request_id, "requestId")
        _must(type(body["timestamp"]) is int and body["timestamp"] > 1_000_000_000_000, "timestamp")
        _must(1 <= len(body["records"]) <= 10_000, f"{len(body['records'])} records")
        return request_id, [self._record(one) for one in body["records"]]

    def _body(self, request: Request) -> dict[str, Any]:
        encoding = request.headers.get("content-encoding")
        _must(encoding in {None, "gzip"}, f"Content-Encoding {encoding}")
        plain = gzip.decompress(request.body) if encoding else request.body
        _must(len(plain) <= self.largest_body_bytes, f"{len(plain)} bytes")
        body = json.loads(plain)
        _must(isinstance(body, dict), "no object")
        return body

    def _record(self, one: dict[str, str]) -> bytes:
        _must(set(one) == {"data"} and len(one["data"]) <= 1_365_336, "record")
        return base64.b64decode(one["data"], validate=True)

    def _attributes(self, header: str | None) -> None:
        if header is None:
            return
        said = json.loads(header)
        _must(set(said) == {"commonAttributes"} and len(said["commonAttributes"]) <= 50, "common attributes")
        for name, value in said["commonAttributes"].items():
            _must(1 <= len(name) <= 256 and isinstance(value, str) and len(value) <= 1_024, f"attribute {name}")
        self.attributes.append(said["commonAttributes"])


def _must(true: object, what: str) -> None:
    if not true:
        raise ValueError(what)


def _reply(status: int, request_id: str, message: str = "") -> Reply:
    body: dict[str, Any] = {"requestId": request_id, "timestamp": TIMESTAMP}
    if message:
        body["errorMessage"] = message
    return Reply.json(status, json.dumps(body).encode())
