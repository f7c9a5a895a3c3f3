"""Answers that go on: an operation's events as frames of AWS's event stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from apps.base.errors import ServiceError
from apps.gateway.failures import as_service_error
from apps.wire import eventstream
from apps.wire.codec import Codec
from apps.wire.model import Operation


async def frames(
    events: AsyncIterator[tuple[str, Any]], codec: Codec, operation: Operation, request_id: str
) -> AsyncIterator[bytes]:
    """Frames to send. The first is the initial response, without which botocore refuses the rest; an error that is
    raised inside becomes the last frame. Closing this closes events."""
    try:
        yield eventstream.initial_response(codec)
        async for name, event in events:
            yield eventstream.encode_event(operation, name, event, codec)
    except ServiceError as error:
        yield eventstream.encode_exception(error, codec)
    except Exception as error:  # noqa: BLE001 - the one place where bugs of subscriptions end
        yield eventstream.encode_exception(as_service_error(error, request_id=request_id, operation=operation.name), codec)
    finally:
        await events.aclose()
