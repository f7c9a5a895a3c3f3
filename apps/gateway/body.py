"""Reading request bodies without letting them fill the process.

A body comes in pieces. It is refused from its Content-Length or at BODY_BYTES_MAX; all bodies that a process holds stay
under HELD_BYTES_MAX; a sender that makes no progress for STALLED_S is given up. When the room is used up, bodies whose
senders have stopped for a moment give way first, so that unfinished requests cannot keep a working client out.

A small body of known length is asked for at once, which costs half as much; it counts with its whole length from the
start, and as nobody sees its progress it has longer to come.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from enum import Enum
from typing import Any

from apps.base.errors import ServiceError, ServiceUnavailable
from apps.base.units import KIB, MIB

BODY_BYTES_MAX = 15 * MIB
"""AWS takes a record, or a PutRecords call, of 10 MiB from clients that speak JSON only: 13.4 MiB of base64, and names,
and keys full of escapes."""

HELD_BYTES_MAX = 64 * MIB
"""Bodies not yet decoded, all together. The server's own buffers come on top."""

AT_ONCE_BYTES_MAX = 256 * KIB
SLOWEST_BYTES_PER_S = 16 * KIB
"""Nobody sees the progress of a body that is asked for at once: this is what counts as some."""

STALLED_S = 30.0
GIVES_WAY_S = 0.25
SWEEP_S = 1.0


class RequestEntityTooLarge(ServiceError):
    """The body is over the limit. HTTP 413."""

    code = "RequestEntityTooLargeException"
    status = 413


class RequestTimeout(ServiceError):
    """The sender stopped in the middle of the body. HTTP 408."""

    code = "RequestTimeoutException"
    status = 408


class ClientGone(Exception):
    """The connection ended inside the body: nobody is there to be answered."""


class Verdict(Enum):
    """Why a reading task was cancelled by us."""

    STALLED = "stalled"
    GIVES_WAY = "gives way"


class Reading:
    """One body: who reads it, how much of it is held, when the last piece came (the loop's seconds), is it all here."""

    __slots__ = ("held", "patience_s", "seen_s", "task", "verdict", "whole")

    def __init__(self, task: asyncio.Task[Any] | None, now_s: float) -> None:
        assert task is not None
        self.task = task
        self.held = 0
        self.seen_s = now_s
        self.patience_s = STALLED_S
        self.verdict: Verdict | None = None
        self.whole = False


class Bodies:
    """All bodies of this process, on one event loop."""

    def __init__(self, held_bytes_max: int = HELD_BYTES_MAX) -> None:
        self.held_bytes_max = held_bytes_max
        self.held = 0
        self._open: dict[Reading, None] = {}
        """Bodies still being read, the one longest without progress first."""

    def release(self, reading: Reading) -> None:
        """The request is answered: what it held is free."""
        self.held -= reading.held
        reading.held = 0

    async def read(
        self,
        reading: Reading,
        pieces: AsyncIterable[bytes],
        length: int | None,
        *,
        to_end: bool,
        limit: int = BODY_BYTES_MAX,
        at_once: Callable[[], Awaitable[bytes]] | None = None,
    ) -> bytes:
        """The whole body; release() must follow when the request is answered.

        length: of Content-Length, if there is one. to_end: read on to the end mark although all of length is here
        (an HTTP/2 stream is otherwise reset). at_once: asks for all of it, instead of pieces.
        Raises RequestEntityTooLarge, RequestTimeout, ServiceUnavailable, ClientGone.
        """
        if length is not None:
            if length > limit:
                raise too_large(limit)
            if at_once is not None and length <= AT_ONCE_BYTES_MAX:
                return await self._read_at_once(reading, at_once, length)
        whole: list[bytes] = []
        size = 0
        self._open[reading] = None
        try:
            async for piece in pieces:
                size += len(piece)
                if size > limit:
                    raise too_large(limit)
                self._hold(reading, len(piece))
                whole.append(piece)
                if size == length and not to_end:
                    break
                self._progress(reading)
        except asyncio.CancelledError:
            raise self._explain(reading) from None
        finally:
            self._open.pop(reading, None)
        if length is not None and size < length:
            raise ClientGone
        reading.whole = True
        return whole[0] if len(whole) == 1 else b"".join(whole)

    async def _read_at_once(self, reading: Reading, at_once: Callable[[], Awaitable[bytes]], length: int) -> bytes:
        self._hold(reading, length)
        reading.patience_s = STALLED_S + length / SLOWEST_BYTES_PER_S
        self._open[reading] = None
        try:
            whole = await at_once()
        except asyncio.CancelledError:
            raise self._explain(reading) from None
        except RuntimeError as error:  # the server's: its connection is closed
            raise ClientGone from error
        finally:
            self._open.pop(reading, None)
        if len(whole) != length:
            raise ClientGone
        reading.whole = True
        return whole

    def _hold(self, reading: Reading, size: int) -> None:
        if self.held + size > self.held_bytes_max:
            self._make_room(reading, size)
        reading.held += size
        self.held += size

    def _progress(self, reading: Reading) -> None:
        reading.seen_s = asyncio.get_running_loop().time()
        self._open.pop(reading, None)
        self._open[reading] = None

    def _make_room(self, reading: Reading, size: int) -> None:
        """Let stalled bodies go until size fits; raises ServiceUnavailable if it does not."""
        before_s = asyncio.get_running_loop().time() - GIVES_WAY_S
        for other in list(self._open):
            if other is not reading and other.seen_s < before_s:
                self._give_up(other, Verdict.GIVES_WAY)
                if self.held + size <= self.held_bytes_max:
                    return
        raise busy()

    def _give_up(self, reading: Reading, verdict: Verdict) -> None:
        reading.verdict = verdict
        self._open.pop(reading, None)
        self.release(reading)
        reading.task.cancel()

    def _explain(self, reading: Reading) -> BaseException:
        """What a cancellation means: ours becomes an answer, somebody else's stays what it is."""
        if reading.verdict is None:
            return asyncio.CancelledError()
        reading.task.uncancel()
        return stalled() if reading.verdict is Verdict.STALLED else busy()

    def give_up_all(self) -> None:
        """The process is told to stop: nobody waits for the rest of a body."""
        for reading in list(self._open):
            self._give_up(reading, Verdict.GIVES_WAY)

    async def sweep(self) -> None:
        """Give up senders that stopped, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = loop.time()
            for reading in [reading for reading in self._open if reading.seen_s + reading.patience_s < now_s]:
                self._give_up(reading, Verdict.STALLED)


def too_large(limit: int) -> RequestEntityTooLarge:
    """413."""
    return RequestEntityTooLarge(f"The request body is larger than {limit} bytes.")


def stalled() -> RequestTimeout:
    """408."""
    return RequestTimeout(f"The request body made no progress for {STALLED_S:.0f} seconds.")


def busy() -> ServiceUnavailable:
    """503; the gateway adds Retry-After."""
    return ServiceUnavailable("Too many request bodies are being read at once. Try again.")
