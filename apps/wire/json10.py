"""AWS JSON 1.0: JSON 1.1 with absolute error names, of a service that may have spoken query once."""

from __future__ import annotations

from typing import Any

import msgspec

from apps.base.errors import ServiceError
from apps.wire import json11
from apps.wire.answers import error_members
from apps.wire.model import Operation, Shape
from apps.wire.service_codec import ServiceCodec, unpacked

CONTENT_TYPE = "application/x-amz-json-1.0"


class Json10(ServiceCodec):
    """One service's JSON 1.0."""

    CONTENT_TYPE = CONTENT_TYPE

    def decode(self, body: bytes, operation: Operation, request_type: type[msgspec.Struct] | None = None) -> Any:
        """A request's members, checked. Raises SerializationException, ValidationException."""
        return json11.decode(unpacked(body), operation, request_type)

    def check_body(self, body: bytes) -> None:
        """Raise SerializationException unless the body is a JSON object or array."""
        json11.check_body(unpacked(body))

    def encode(self, operation: Operation, answer: Any) -> bytes:
        """An answer's body."""
        return json11.encode(operation, answer)

    def encode_shape(self, shape: Shape, value: Any) -> bytes:
        """Any structure of the model."""
        return json11.encode_shape(shape, value)

    def encode_members(self, members: dict[str, Any]) -> bytes:
        """Plain values by name."""
        return json11.encode_members(members)

    def encode_error(self, error: ServiceError) -> bytes:
        """An error's body."""
        return json11.encode_members({**error_members(error), "__type": self.error_type(error)})
