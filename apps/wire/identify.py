"""Which operation does a request mean, and in which format? From method, content type and target alone.

The order of AWS's checks, as recorded:

1. Only POST carries operations. Anything else is refused in XML (403), whatever it says.
2. The content type, up to `;` and trimmed, picks the format: JSON, or CBOR for everything unknown.
3. The target picks the operation. Unknown: UnknownOperationException in that format. No target and no known content
   type, but a body: XML (403), for there is no format to answer in.
4. `application/json` is known, and nothing works with it: see _plain_json.

An identified request still has to prove itself: body, signature, types, limits (README.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from apps.base.errors import AccessDeniedException, SerializationException, ServiceError, UnknownOperationException
from apps.wire import cbor, json11, xml
from apps.wire.codec import Codec as Codec  # noqa: PLC0414 - callers take it from here
from apps.wire.errors import MissingAuthenticationToken

PLAIN_JSON = "application/json"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Identified(Generic[T]):
    """A request of a known operation. target: what the caller of identify keeps under that X-Amz-Target."""

    codec: Codec
    target: T


@dataclass(frozen=True, slots=True)
class Answer:
    """A ready answer. content_type None: the answer has no such header."""

    status: int
    content_type: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that cannot become an operation. The answer depends on the body, so that one is read first."""

    content_type: str
    has_target: bool
    error: ServiceError
    """What is said in the format of the content type."""
    outside: ServiceError | None = None
    """What is said in XML instead, whatever the body: the method is wrong."""

    def answer(self, body: bytes) -> Answer:
        """AWS's answer to this request with this body."""
        if self.outside is not None:
            return _in_xml(self.outside)
        if self.content_type == json11.CONTENT_TYPE:
            return _in_format(json11, self.error)
        if self.content_type == cbor.CONTENT_TYPE or not body:
            return _in_format(cbor, self.error)
        if self.content_type == PLAIN_JSON:
            return _plain_json(body)
        return _in_format(cbor, self.error) if self.has_target else _in_xml(_undetermined())


def identify(
    method: str, content_type: str, target: str, *, signed: bool, targets: Mapping[str, T]
) -> Identified[T] | Refusal:
    """Find the operation and the format.

    content_type, target: the headers, empty where absent. signed: is there an Authorization header, or
    X-Amz-Algorithm in the query? targets: by the whole text of X-Amz-Target.
    """
    kind = content_type if content_type == json11.CONTENT_TYPE else content_type.partition(";")[0].strip()
    found = targets.get(target)
    if method != "POST":
        outside = _undetermined() if signed else MissingAuthenticationToken()
        return Refusal(kind, bool(target), UnknownOperationException(), outside)
    if found is None:
        return Refusal(kind, _names_an_operation(target), UnknownOperationException())
    if kind == json11.CONTENT_TYPE:
        return Identified(_JSON, found)
    if kind == PLAIN_JSON:
        return Refusal(kind, has_target=True, error=SerializationException())
    return Identified(_CBOR, found)


def cors_headers(origin: str | None) -> dict[str, str]:
    """What an `Origin` header adds to the answer of any request but a preflight."""
    if not origin:
        return {}
    return {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date",
    }


def preflight(origin: str | None, request_headers: str | None, request_method: str | None) -> dict[str, str] | None:
    """The headers of the empty 200 that answers OPTIONS, signed or not; None without an Origin (then see identify).

    request_headers, request_method: of the Access-Control-Request headers; they are echoed. The answer has no
    `x-amz-id-2` and no content type.
    """
    if not origin:
        return None
    headers = {"access-control-allow-origin": "*", "access-control-max-age": "172800"}
    if request_headers:
        headers["access-control-allow-headers"] = request_headers
    if request_method:
        headers["access-control-allow-methods"] = request_method
    return headers


def _names_an_operation(target: str) -> bool:
    """Is it of the form `service.operation`, known or not?"""
    service, _, operation = target.partition(".")
    return bool(service and operation)


def _undetermined() -> AccessDeniedException:
    return AccessDeniedException("Unable to determine service/operation name to be authorized")


def _in_xml(error: ServiceError) -> Answer:
    return Answer(403, None, xml.encode_error(error.code, error.message or ""))


def _in_format(codec: Codec, error: ServiceError) -> Answer:
    return Answer(error.status, codec.CONTENT_TYPE, codec.encode_error(error))


def _plain_json(body: bytes) -> Answer:
    """AWS parses `application/json`, and then knows no operation in it: 404 if well-formed, 400 if not."""
    error: ServiceError = UnknownOperationException()
    status = 404
    try:
        json11.check_body(body)
    except SerializationException as malformed:
        error, status = malformed, 400
    wrapped = {"Output": {"__type": f"com.amazon.coral.service#{error.code}"}, "Version": "1.0"}
    return Answer(status, PLAIN_JSON, msgspec.json.encode(wrapped))


_JSON: Codec = json11
_CBOR: Codec = cbor
