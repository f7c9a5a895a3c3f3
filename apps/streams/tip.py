"""The tip of one shard, shared: subscribers who keep up cost one read of the log, one decoding and one encoding.

A *piece* is what one read at the tip gave. The shard's pump waits in the log for all who wait, gathers for a moment,
reads once and wakes them; whoever stands where the piece begins sends its event as it is, frame and all. Whoever
stands elsewhere (behind, or between two pieces) reads by himself, but only up to the next piece's beginning, so that
he falls in step with the others.

All on the event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from apps.base.units import MIB, MINUTE_MS
from apps.recordlog.interface import Batch, ShardKey
from apps.runtime import Runtime
from apps.streams.catalog import ShardView, StreamView
from apps.streams.limits import EVENT_BYTES_MAX, EVENT_RECORDS_MAX
from apps.streams.reading import millis_behind, read, records_of
from apps.streams.shapes import SubscribeToShardEvent

GATHER_S = 0.002
"""A read less than this after the last one waits for the rest of it, so that a busy shard sends few larger events;
after a silence the first record goes out at once."""

KEEP_PIECES = 64
KEEP_BYTES = 2 * MIB
"""Pieces kept for subscribers who are a little late; the newest is kept whatever its size."""

KEEP_S = 0.25
"""A piece older than this is not given out: what it says (how far behind, what the retention shows, which key opens
it) was true when it was read."""

LOOK_AGAIN_MS = MINUTE_MS
"""How long the pump waits in the log at once."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring records as one event, and where they end."""

    first: int
    next_offset: int
    newest_ms: int
    size_bytes: int
    event: SubscribeToShardEvent
    read_at_s: float


class Tip:
    """See the module's docstring. Made with the first subscription of its shard in this process, closed with the last."""

    def __init__(self, runtime: Runtime, shard: ShardKey) -> None:
        self.end = 0
        """The ordinal up to which the pump has read; who stands here need not look into the log himself."""
        self.sealed = False
        """The shard has ended: everybody reads its end by himself, with its children."""
        self.members = 0
        self._runtime = runtime
        self.shard = shard
        self._pieces: deque[Piece] = deque()
        self._bytes = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._views: tuple[StreamView, ShardView]
        self._wanted: asyncio.Future[None] | None = None
        self._pump: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Nobody is subscribed any more."""
        if self._pump is not None:
            self._pump.cancel()
        self._drop_pieces()

    def piece_at(self, ordinal: int, now_s: float) -> Piece | None:
        """The piece that begins there, if it is young enough."""
        for piece in reversed(self._pieces):
            if piece.first <= ordinal:
                good = piece.first == ordinal and now_s - piece.read_at_s <= KEEP_S
                return piece if good else None
        return None

    def records_to_next(self, ordinal: int) -> int:
        """How many records from there to where a piece begins, or to the tip; EVENT_RECORDS_MAX at most."""
        ends = [piece.next_offset for piece in self._pieces if piece.next_offset > ordinal]
        if self._pieces and self._pieces[0].first > ordinal:
            ends.append(self._pieces[0].first)
        if self.end > ordinal:
            ends.append(self.end)
        return min([end - ordinal for end in ends] + [EVENT_RECORDS_MAX])

    def join(self, stream: StreamView, shard: ShardView, ordinal: int) -> asyncio.Future[None]:
        """A future that is done when there may be something new. Call leave() with it, whatever came of it. It fails
        with what the log says (UnknownShard and other RecordLogErrors)."""
        loop = asyncio.get_running_loop()
        if ordinal > self.end and not self._waiting:
            self.end = ordinal  # nobody needs what lies between
        self._views = (stream, shard)
        future: asyncio.Future[None] = loop.create_future()
        if ordinal < self.end:
            future.set_result(None)
            return future
        self._waiting.add(future)
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)
        if self._pump is None or self._pump.done():
            self._pump = loop.create_task(self._run(), name=f"tip-{self.shard}")
        return future

    def leave(self, future: asyncio.Future[None]) -> None:
        """The counterpart of join()."""
        self._waiting.discard(future)

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                self._wanted = asyncio.get_running_loop().create_future()
                await self._wanted
            try:
                await self._read_on()
            except Exception as error:  # noqa: BLE001 - handed to those who wait
                self._fail(error)

    async def _read_on(self) -> None:
        """Wait until there is more, gather, read, and wake everybody."""
        log, loop = self._runtime.record_log, asyncio.get_running_loop()
        if not await log.wait(self.shard, self.end, LOOK_AGAIN_MS) or not self._waiting:
            return
        rest_s = self._pieces[-1].read_at_s + GATHER_S - loop.time() if self._pieces else 0
        if rest_s > 0:
            await asyncio.sleep(rest_s)
        stream, shard = self._views
        now_ms, limits = self._runtime.clock.now_ms(), (EVENT_RECORDS_MAX, EVENT_BYTES_MAX)
        start = self.end
        batch = await read(log, stream, shard, start, now_ms, limits)
        if batch.at_end:
            self.sealed = True
        else:
            if batch.slices:
                self._keep(start, shard, batch, now_ms, loop.time())
            self.end = batch.next_offset
        self._wake()

    def _keep(self, start: int, shard: ShardView, batch: Batch, now_ms: int, now_s: float) -> None:
        records, size_bytes = records_of(shard, batch)
        event = SubscribeToShardEvent(records, records[-1].sequence_number, millis_behind(batch, now_ms))
        event.share()
        piece = Piece(start, batch.next_offset, batch.slices[-1].arrival_ms, size_bytes, event, now_s)
        self._pieces.append(piece)
        self._bytes += size_bytes
        while len(self._pieces) > KEEP_PIECES or (self._bytes > KEEP_BYTES and len(self._pieces) > 1):
            self._bytes -= self._pieces.popleft().size_bytes

    def _drop_pieces(self) -> None:
        self._pieces.clear()
        self._bytes = 0

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def _fail(self, error: Exception) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()
