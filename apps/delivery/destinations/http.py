"""Delivery to an HTTP endpoint, by the published protocol 1.0 ("HTTP endpoint delivery request and response specifications").

A batch is one request, or several if it has more than 10,000 records or more data than the destination's buffer. A request's
id derives from the batch and the request's first record, so it is the same at every attempt, and receivers can tell repeats.
What was accepted is remembered before the next request goes out.
"""

from __future__ import annotations

import binascii
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from apps.base.outgoing import Answer, OutgoingFailed, OutgoingRefused, OutgoingTooLarge
from apps.base.units import MIB
from apps.delivery.destinations.endpoints import Waited, call, data_id, endpoint_of, failed, said
from apps.delivery.destinations.interface import Batch, Delivered, DeliveryFailed, Remaining, Target
from apps.delivery.record import Failed, Json, Record
from apps.encryption.spool import spool

if TYPE_CHECKING:
    from apps.runtime import Runtime

PROTOCOL_VERSION: Final = "1.0"
RECORDS_MAX: Final = 10_000
BODY_BYTES_MAX: Final = 64 * MIB
"""Before compression. A record that is larger by itself (base64 adds a third) goes alone all the same."""

ANSWER_S = 180.0
"""Endpoints have three minutes to answer."""

ANSWER_BYTES_MAX: Final = 1 * MIB
IN_MEMORY_BYTES: Final = 8 * MIB
"""Of a body that is being made; what is larger waits in an encrypted file without a name."""

READ_BYTES: Final = 256 * 1024
ANSWER_MEMBERS: Final = frozenset({"requestId", "timestamp", "errorMessage"})
REQUESTS = uuid.UUID("0b3f6f0e-93a5-5f55-9d0c-2c6f7b0b8f11")
"""The namespace of request ids."""

TEXTS: Final = {
    "HttpEndpoint.RequestTimeout": "The delivery timed out before a response was received and will be retried.",
    "HttpEndpoint.ResponseTooLarge": (
        "The response received from the endpoint is too large. Contact the owner of the endpoint to resolve this issue."
    ),
    "HttpEndpoint.InvalidResponseFromDestination": (
        "The response received from the specified endpoint is invalid. Contact the owner of the endpoint to resolve the issue."
    ),
    "HttpEndpoint.ConnectionFailed": (
        "Unable to connect to the destination endpoint. Contact the owner of the endpoint to resolve this issue."
    ),
    "HttpEndpoint.ConnectionReset": (
        "Unable to maintain connection with the endpoint. Contact the owner of the endpoint to resolve this issue."
    ),
    "HttpEndpoint.SSLHandshakeFailure": "The SSL handshake with the endpoint could not be completed.",
}
"""AWS's (developer guide, "Monitoring with CloudWatch Logs" and "Troubleshooting HTTP endpoints")."""

CODES: Final = {
    "resolve": "HttpEndpoint.ConnectionFailed",
    "connect": "HttpEndpoint.ConnectionFailed",
    "connect-timeout": "HttpEndpoint.ConnectionFailed",
    "certificate": "HttpEndpoint.SSLHandshakeFailure",
    "tls": "HttpEndpoint.SSLHandshakeFailure",
    "timeout": "HttpEndpoint.RequestTimeout",
    "closed": "HttpEndpoint.ConnectionReset",
    "protocol": "HttpEndpoint.InvalidResponseFromDestination",
}


class _TooLargeForThem(Exception):
    """413, and in the protocol's form: this request will never be taken."""


@dataclass(frozen=True, slots=True)
class _Done:
    """What of a batch is over. to: id of the last record; records, size_bytes: accepted; refused: first and last record ids
    of requests that were answered 413, with the answer."""

    to: str = ""
    records: int = 0
    size_bytes: int = 0
    refused: tuple[tuple[str, str], ...] = ()
    message: str = ""

    @classmethod
    def of(cls, state: Json) -> _Done:
        kept = dict(state)
        return cls(**(kept | {"refused": tuple((first, last) for first, last in kept.get("refused", []))}))

    def kept(self) -> Json:
        return {
            "to": self.to, "records": self.records, "size_bytes": self.size_bytes,
            "refused": [list(one) for one in self.refused], "message": self.message,
        }  # fmt: skip


class HttpDestination:
    """An HTTP endpoint.

    Kept from AWS: headers, body, GZIP, common attributes, access key, the checks of an answer (a 200 that is not exactly in
    form is a failure), 413 as the end of a request whose records are kept nowhere, no redirects, three minutes.
    Not kept: ports other than 443 are called; plain http only where private destinations are allowed.
    """

    error_type = "http-endpoint-failed"

    def __init__(self, runtime: Runtime, target: Target) -> None:
        self._target = target
        self._folder = runtime.config.data_path
        configuration = target.description.get("EndpointConfiguration") or {}
        self._endpoint = endpoint_of(runtime, target, configuration.get("Url", ""))
        self._request = target.description.get("RequestConfiguration") or {}
        self._waited = Waited()
        self._sent = [0, 0]

    def plan(self, batch: Batch) -> Json:
        """What request ids derive from, and where the batch is cut into requests."""
        hinted = (self._target.description.get("BufferingHints") or {}).get("SizeInMBs", 5)
        return {
            "named": f"{self._target.arn}/{batch.identity}/{batch.oldest_ms}",
            "data_bytes_max": hinted * MIB,
            "records_max": RECORDS_MAX,
        }

    def deliver(self, batch: Batch) -> Delivered:
        """Send what was not accepted yet, request by request."""
        done = remembered = _Done.of(batch.state)
        for body in self._bodies(batch, done.to):
            if done != remembered:
                batch.remember(done.kept())
                remembered = done
            with body:
                done = self._after(batch, done, body)
        if done.refused:
            batch.remember(done.kept())
            raise self._refused(batch, done)
        return Delivered(done.records, done.size_bytes, metrics=self._metrics())

    def failed_extra(self, batch: Batch, record: Record) -> Json:  # noqa: ARG002 - the interface's
        """As in AWS's example of a line."""
        return {"subsequenceNumber": record.sub, "dataId": data_id(record)}

    def _after(self, batch: Batch, done: _Done, body: _Body) -> _Done:
        over = replace(done, to=body.last)
        try:
            self._send(body)
        except _TooLargeForThem as error:
            return replace(over, refused=(*done.refused, (body.first, body.last)), message=str(error))
        except DeliveryFailed as error:
            raise self._failed(batch, done, error) from error
        return replace(over, records=done.records + body.records, size_bytes=done.size_bytes + body.data_bytes)

    def _send(self, body: _Body) -> None:
        """One request. Raises _TooLargeForThem, and DeliveryFailed with code and message alone."""
        headers = self._headers(body.request_id) | {"Content-Length": str(body.finish())}
        self._sent[0] += body.records
        self._sent[1] += body.data_bytes
        try:
            with self._waited:
                answer = call(
                    self._endpoint, self._endpoint.url, body.read(), headers,
                    deadline_s=ANSWER_S, answer_bytes_max=ANSWER_BYTES_MAX,
                )  # fmt: skip
        except OutgoingRefused as error:
            raise _failure("HttpEndpoint.ConnectionFailed", str(error), permanent=True) from error
        except OutgoingTooLarge as error:
            raise _failure("HttpEndpoint.ResponseTooLarge") from error
        except OutgoingFailed as error:
            raise _failure(CODES[error.kind], str(error)) from error
        check_answer(answer, body.request_id)

    def _headers(self, request_id: str) -> dict[str, str]:
        attributes = {
            one["AttributeName"]: one["AttributeValue"] for one in self._request.get("CommonAttributes") or []
        }
        headers = {
            "Content-Type": "application/json",
            "X-Amz-Firehose-Protocol-Version": PROTOCOL_VERSION,
            "X-Amz-Firehose-Request-Id": request_id,
            "X-Amz-Firehose-Source-Arn": self._target.arn,
            "User-Agent": "Tidegate Data Firehose",
        }
        if attributes:
            headers["X-Amz-Firehose-Common-Attributes"] = json.dumps({"commonAttributes": attributes})
        if key := self._target.secrets.get("EndpointConfiguration.AccessKey", ""):
            headers["X-Amz-Firehose-Access-Key"] = key
        if self._compresses:
            headers["Content-Encoding"] = "gzip"
        return headers

    @property
    def _compresses(self) -> bool:
        return self._request.get("ContentEncoding") == "GZIP"

    def _bodies(self, batch: Batch, after: str) -> Iterator[_Body]:
        """The requests that are still to be made. Where they are cut depends on their first record and the plan alone."""
        body: _Body | None = None
        for piece in batch.pieces():
            for record in piece:
                if record.record_id <= after:
                    continue
                if body is None or not body.takes(len(record.data)):
                    if body is not None:
                        yield body
                    body = _Body(self._folder, batch, record.record_id, compressed=self._compresses)
                body.add(record)
        if body is not None:
            yield body

    def _failed(self, batch: Batch, done: _Done, error: DeliveryFailed) -> DeliveryFailed:
        """With all that the engine must know. A request that was refused for good is over, whatever becomes of the rest."""

        def one(record: Record, _place: int) -> Failed | None:
            if record.record_id <= done.to:
                return None
            return failed(batch, record, self.error_type, error, self.failed_extra(batch, record))

        return DeliveryFailed(
            error.code, error.message, permanent=error.permanent, remaining=Remaining(batch, one) if done.to else None,
            waited_ms=self._waited.ms, metrics=self._metrics(), delivered=(done.records, done.size_bytes),
        )  # fmt: skip

    def _refused(self, batch: Batch, done: _Done) -> DeliveryFailed:
        failure = DeliveryFailed("HttpEndpoint.DestinationException", done.message)

        def one(record: Record, _place: int) -> Failed | None:
            if not any(first <= record.record_id <= last for first, last in done.refused):
                return None
            return failed(batch, record, self.error_type, failure, self.failed_extra(batch, record))

        return DeliveryFailed(
            failure.code, failure.message, permanent=True, keep=False, remaining=Remaining(batch, one),
            waited_ms=self._waited.ms, metrics=self._metrics(), delivered=(done.records, done.size_bytes),
        )  # fmt: skip

    def _metrics(self) -> list[tuple[str, float]]:
        records, size_bytes = self._sent
        names = ("DeliveryToHttpEndpoint.ProcessedRecords", "DeliveryToHttpEndpoint.ProcessedBytes")
        return list(zip(names, (records, size_bytes), strict=True)) if records else []


class _Body:
    """The body of one request while it is being made: `add` records, `finish`, `read`. Closed by leaving `with`."""

    def __init__(self, folder: Path, batch: Batch, first: str, *, compressed: bool) -> None:
        self.request_id = str(uuid.uuid5(REQUESTS, f"{batch.plan['named']}/{first}"))
        self.first = self.last = first
        self.records = self.data_bytes = 0
        self._data_bytes_max, self._records_max = batch.plan["data_bytes_max"], batch.plan["records_max"]
        self._file = spool(folder, IN_MEMORY_BYTES)
        self._compressor = _gzip() if compressed else None
        self._plain_bytes = 0
        self._write(b'{"requestId":"%s","timestamp":%d,"records":[' % (self.request_id.encode(), batch.now_ms))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def takes(self, data_bytes: int) -> bool:
        """Is there room for one more record?"""
        encoded = self._plain_bytes + 4 * (data_bytes // 3 + 1) + len(b',{"data":""}]}')
        return (
            self.records < self._records_max
            and self.data_bytes + data_bytes <= self._data_bytes_max
            and encoded <= BODY_BYTES_MAX
        )

    def add(self, record: Record) -> None:
        """The next record."""
        comma = b"," if self.records else b""
        self._write(b'%s{"data":"%s"}' % (comma, binascii.b2a_base64(record.data, newline=False)))
        self.records += 1
        self.data_bytes += len(record.data)
        self.last = record.record_id

    def finish(self) -> int:
        """Nothing more comes; the length of what is to be sent."""
        self._write(b"]}")
        if self._compressor is not None:
            self._file.write(self._compressor.flush())
        return self._file.tell()

    def read(self) -> Iterator[bytes]:
        """What is to be sent, in pieces."""
        self._file.seek(0)
        while piece := self._file.read(READ_BYTES):
            yield piece

    def _write(self, plain: bytes) -> None:
        self._plain_bytes += len(plain)
        self._file.write(plain if self._compressor is None else self._compressor.compress(plain))


def _gzip() -> Any:
    from isal import isal_zlib  # late: the web process does without it

    return isal_zlib.compressobj(2, isal_zlib.DEFLATED, 31)


def check_answer(answer: Answer, request_id: str) -> None:
    """Whether the endpoint took the request. Raises _TooLargeForThem for a 413 in the protocol's form, else DeliveryFailed."""
    off = _what_is_off(answer, request_id)
    if answer.status == 200 and not off:
        return
    if answer.status == 200:
        detail = f"Response for request {request_id} {off}. Raw response received: {said(answer)}"
        raise _failure("HttpEndpoint.InvalidResponseFromDestination", detail)
    message = f"The following response was received from the endpoint destination. {said(answer)}"
    if answer.status == 413 and not off:
        raise _TooLargeForThem(message)
    raise DeliveryFailed("HttpEndpoint.DestinationException", message)


def _what_is_off(answer: Answer, request_id: str) -> str:
    """How an answer is not as the protocol says; empty if it is."""
    headers = answer.headers
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return "has no Content-Type application/json"
    if "content-encoding" in headers:
        return "has a Content-Encoding"
    if "content-length" not in headers:
        return "has no Content-Length"
    try:
        members = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError):
        members = None
    if not isinstance(members, dict) or not members.keys() <= ANSWER_MEMBERS:
        return "is not recognized as valid JSON or has unexpected fields"
    if "requestId" not in members:
        return "has no requestId"
    if members["requestId"] != request_id:
        return "has another requestId"
    # In AWS's own example of a failure the timestamp is a text.
    kinds = (int,) if answer.status == 200 else (int, str)
    if not isinstance(members.get("timestamp"), kinds) or isinstance(members.get("timestamp"), bool):
        return "has no timestamp that is a number"
    return ""


def _failure(code: str, detail: str = "", *, permanent: bool = False) -> DeliveryFailed:
    return DeliveryFailed(code, f"{TEXTS[code]} {detail}".strip(), permanent=permanent)
