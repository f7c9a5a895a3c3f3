"""What the formats have in common that belong to one service: its names of errors, and headers of their own.

JSON 1.1 and CBOR 1.1 (json11, cbor) are the same for every service and are modules; these are made with a service's
model. They satisfy apps/wire/codec.py's Codec, too.
"""

from __future__ import annotations

import zlib
from typing import Final

from apps.base.errors import SerializationException, ServiceError
from apps.base.units import MIB
from apps.wire.model import ErrorShape, ServiceModel

BODY_BYTES_MAX: Final = 4 * MIB
"""A body, unpacked. AWS's largest here, PutMetricData, may have 1 MB; names in forms are counted into it."""

_GZIP: Final = b"\x1f\x8b"
"""How a gzip file begins. No JSON object, CBOR map or form does."""

_GZIP_WINDOW = 16 + zlib.MAX_WBITS

COMMON: Final = {
    "AccessDeniedException": ("AccessDenied", 403),
    "ExpiredTokenException": ("ExpiredToken", 403),
    "IncompleteSignatureException": ("IncompleteSignature", 400),
    "InternalFailure": ("InternalFailure", 500),
    "InvalidSignatureException": ("SignatureDoesNotMatch", 403),
    "MissingAuthenticationTokenException": ("MissingAuthenticationToken", 403),
    "SerializationException": ("MalformedInput", 400),
    "ServiceUnavailable": ("ServiceUnavailable", 503),
    "ThrottlingException": ("Throttling", 400),
    "UnknownOperationException": ("InvalidAction", 400),
    "UnrecognizedClientException": ("InvalidClientTokenId", 403),
    "ValidationException": ("ValidationError", 400),
}
"""Errors that no model lists: the name and the HTTP status that query services give them."""


class ServiceCodec:
    """A format of one service. answer_headers stand on every answer."""

    CONTENT_TYPE = ""
    answer_headers: tuple[tuple[str, str], ...] = ()

    def __init__(self, service: ServiceModel) -> None:
        self.service = service

    def error_shape(self, error: ServiceError) -> ErrorShape:
        """The error as the model, or AWS everywhere, knows it; what nobody lists keeps its own code and status."""
        known = self.service.errors.get(error.code)
        if known is not None:
            return known
        query_code, status = COMMON.get(error.code, (error.code, error.status))
        return ErrorShape(error.code, query_code, status, status < 500, "message")

    def failure(self, error: ServiceError) -> tuple[int, list[tuple[str, str]]]:
        """The HTTP status of an error, and headers that go with it."""
        shape = self.error_shape(error)
        if not self.service.is_query_compatible:
            return shape.status, []
        return shape.status, [
            ("x-amzn-query-error", f"{shape.query_code};{'Sender' if shape.is_callers else 'Receiver'}")
        ]

    def error_type(self, error: ServiceError) -> str:
        """`__type`: the shape's absolute name, as services that were modelled in Smithy write it."""
        return f"com.amazonaws.{self.service.name}#{self.error_shape(error).name}"


def unpacked(body: bytes) -> bytes:
    """The body, unpacked if it is a gzip file (SDKs pack what is large). Raises SerializationException, also if it is
    larger than BODY_BYTES_MAX."""
    if not body.startswith(_GZIP):
        if len(body) > BODY_BYTES_MAX:
            raise _too_large()
        return body
    packed = zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        plain = packed.decompress(body, BODY_BYTES_MAX + 1)
    except zlib.error:
        raise SerializationException("The body is no gzip file.") from None
    if len(plain) > BODY_BYTES_MAX:
        raise _too_large()
    if not packed.eof or packed.unused_data:
        raise SerializationException("The body is no gzip file.")
    return plain


def _too_large() -> SerializationException:
    return SerializationException(f"The request body is larger than {BODY_BYTES_MAX} bytes.")
