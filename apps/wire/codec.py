"""What the formats have in common. Each is a module, json11 or cbor, and is passed around as one."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, overload

import msgspec

from apps.base.errors import ServiceError
from apps.wire.model import Operation, Shape

S = TypeVar("S", bound=msgspec.Struct)


class Codec(Protocol):
    """A format of requests and answers."""

    CONTENT_TYPE: str

    @overload
    def decode(self, body: bytes, operation: Operation, request_type: None = None) -> dict[str, Any]: ...
    @overload
    def decode(self, body: bytes, operation: Operation, request_type: type[S]) -> S: ...
    @overload
    def decode(self, body: bytes, operation: Operation, request_type: type[S] | None) -> dict[str, Any] | S: ...

    def check_body(self, body: bytes) -> None:
        """Raise SerializationException unless the body is of this format."""

    def encode(self, operation: Operation, answer: Any) -> bytes:
        """An answer's body."""

    def encode_shape(self, shape: Shape, value: Any) -> bytes:
        """Any structure of the model."""

    def encode_members(self, members: dict[str, Any]) -> bytes:
        """Plain values by name."""

    def encode_error(self, error: ServiceError) -> bytes:
        """An error's body."""
