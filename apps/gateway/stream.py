"""Answers that go on: an operation's events as frames of AWS's event stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from apps.base.errors import ServiceError
from apps.gateway.failures import as_service_error
from apps.gateway.standing import Standing
from apps.wire import eventstream
from apps.wire.codec import Codec
from apps.wire.model import Operation


class Frames:
    """Frames to send, as an async iterator. The first is the initial response, without which botocore refuses the rest;
    an error that is raised inside becomes the last frame. They end, as after their time, when the caller has lost the
    right to them. Close it with aclose(), whether it was begun or not."""

    def __init__(self, events: Any, codec: Codec, operation: Operation, standing: Standing, request_id: str) -> None:
        self._standing = standing
        self._events = events
        self._codec = codec
        self._operation = operation
        self._request_id = request_id
        self._frames = self._encoded()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._frames

    async def aclose(self) -> None:
        """End the events, too."""
        await self._frames.aclose()
        await self._events.aclose()

    async def _encoded(self) -> AsyncGenerator[bytes, None]:
        codec, operation = self._codec, self._operation
        yield eventstream.initial_response(codec)
        try:
            async for name, event in self._events:
                if not await self._standing.holds():
                    return
                yield eventstream.encode_event(operation, name, event, codec)
        except ServiceError as error:
            yield eventstream.encode_exception(error, codec)
        except Exception as error:  # noqa: BLE001 - the one place where bugs of subscriptions end
            found = as_service_error(error, request_id=self._request_id, operation=operation.name)
            yield eventstream.encode_exception(found, codec)
