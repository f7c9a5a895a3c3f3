"""Smithy RPC v2 with CBOR, what newer SDKs speak with CloudWatch: `POST /service/<name>/operation/<name>`.

Unlike CBOR 1.1, timestamps are tag 1 over **seconds**, whole or not, as RFC 8949 has it. A request without members may
have no body. Every answer says `smithy-protocol: rpc-v2-cbor`.
"""

from __future__ import annotations

from typing import Any, Final

import cbor2
import msgspec

from apps.base.errors import ServiceError
from apps.wire import cbor, validate
from apps.wire.answers import error_members, plain
from apps.wire.member_types import check
from apps.wire.model import Operation, Shape
from apps.wire.service_codec import ServiceCodec, unpacked
from apps.wire.timestamps import seconds

CONTENT_TYPE = "application/cbor"
PROTOCOL_HEADER: Final = "smithy-protocol"
PROTOCOL: Final = "rpc-v2-cbor"


def operation_of(path: str) -> tuple[str, str] | None:
    """Service and operation as the path of a request names them; None if it is none of this protocol's paths."""
    parts = path.split("/")
    if len(parts) != 5 or parts[0] or parts[1] != "service" or parts[3] != "operation":
        return None
    return parts[2].rpartition(".")[2], parts[4]


class RpcCbor(ServiceCodec):
    """One service's RPC v2 CBOR."""

    CONTENT_TYPE = CONTENT_TYPE
    answer_headers = ((PROTOCOL_HEADER, PROTOCOL),)

    def decode(self, body: bytes, operation: Operation, request_type: type[msgspec.Struct] | None = None) -> Any:
        """A request's members, checked. Raises SerializationException, ValidationException."""
        assert request_type is None, "typed requests are for JSON 1.1 and CBOR 1.1"
        parsed = cbor.parse(unpacked(body), times_in_seconds=True) if body else {}
        params = check(parsed, operation.input, in_cbor=True, times_in_seconds=False)
        validate.check(operation, params)
        return params

    def check_body(self, body: bytes) -> None:
        """Raise SerializationException unless the body is empty, or a CBOR map or array."""
        if body:
            cbor.parse(unpacked(body))

    def encode(self, operation: Operation, answer: Any) -> bytes:
        """An answer's body. Without an output shape it is empty."""
        if operation.output is None:
            assert answer is None, f"{operation.name} has no output"
            return b""
        return self.encode_shape(operation.output, {} if answer is None else answer)

    def encode_shape(self, shape: Shape, value: Any) -> bytes:
        """Any structure of the model, from a dict with times in milliseconds."""
        return cbor2.dumps(plain(value, shape, _tagged))

    def encode_members(self, members: dict[str, Any]) -> bytes:
        """Plain values by name."""
        return cbor2.dumps(members)

    def encode_error(self, error: ServiceError) -> bytes:
        """An error's body."""
        return cbor2.dumps({**error_members(error), "__type": self.error_type(error)})


def _tagged(time_ms: float) -> cbor2.CBORTag:
    return cbor2.CBORTag(cbor.EPOCH_TAG, seconds(int(time_ms)))
