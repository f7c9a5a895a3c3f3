"""What readers got, in bytes: counted in memory, saved to the record log at least once a second.

Reads change nothing that is stored, so there is no commit to count them with. A process adds up what it gave, cumulative by
*series* (thing, meter, meter key, UTC hour), and appends the series that rose to a shard of the record log that is reserved
for this. A worker takes them from there into the ledger (read_usage.py). A process that is killed loses what it gave since
the last save; what was saved is never counted twice, because a value is the sum since the process began, not the difference.

The thing is named in each record with its team, so a stream that was deleted meanwhile is billed all the same.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from apps.base.units import HOUR_MS
from apps.billing.meters import (
    ADVANTAGE_BYTES_OUT,
    ADVANTAGE_FAN_OUT_BYTES,
    BYTES_OUT,
    FAN_OUT_BYTES,
    ON_DEMAND_BYTES_OUT,
    ON_DEMAND_FAN_OUT_BYTES,
    Meter,
)
from apps.billing.plans import Plan
from apps.recordlog.interface import OTHER_METER_KEY, Entry, RecordLogError, ShardKey, UnknownShard

if TYPE_CHECKING:
    from apps.runtime import Runtime
    from apps.streams.catalog import StreamView

log = structlog.get_logger(__name__)

READS_KEY: ShardKey = 2**31 - 1
"""The reserved shard: the highest there may be. Data streams' have row ids, delivery streams' begin in the middle."""

SAVE_EVERY_S = 0.5
"""After the first read that is not saved: half of the second that may be lost, so that the other half is left for the disk."""

SERIES_MAX = 20_000
"""Series a process adds up. With more it begins anew, under another name, once all are saved; and what cannot be saved at all
(the disk is full) is from there on added up under OTHER_METER_KEY."""

UNSAVED_MAX = 5_000
"""Series that wait to be saved; with more they are saved at once."""

ROWS_PER_RECORD = 2_000
FAREWELL_TRIES = 3
COMPLAIN_EVERY_S = 60.0

FORMAT = 1

GIVEN = {
    Plan.PROVISIONED: BYTES_OUT,
    Plan.ON_DEMAND: ON_DEMAND_BYTES_OUT,
    Plan.ADVANTAGE: ADVANTAGE_BYTES_OUT,
}
"""What GetRecords gave, by plan."""

PUSHED = {
    Plan.PROVISIONED: FAN_OUT_BYTES,
    Plan.ON_DEMAND: ON_DEMAND_FAN_OUT_BYTES,
    Plan.ADVANTAGE: ADVANTAGE_FAN_OUT_BYTES,
}
"""What SubscribeToShard gave, by plan."""

STREAM, QUEUE = "stream", "queue"

Key = tuple[int, str, int, str, str, str, int]
"""Of a series: team, STREAM or QUEUE, its row id, its name, meter, meter key, UTC hours since 1970."""


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A series and its value since the process began, in bytes."""

    key: Key
    value: int


class Saved(msgspec.Struct, frozen=True, array_like=True):
    """A record of the reserved shard. incarnation: the name of the process, or of the part of its life that adds up to
    these values."""

    format: int
    incarnation: str
    rows: list[Row]


_encode = msgspec.msgpack.Encoder().encode


def of_stream(stream: StreamView, meter: Meter, meter_key: str, now_ms: int) -> Key:
    """The series of what was read from a stream at a time."""
    return (stream.team_id, STREAM, stream.key, stream.name, meter.name, meter_key, now_ms // HOUR_MS)


class ReadMeters:
    """One per process, used on the loop only: `runtime.part(ReadMeters)`. save_every_s is changed by tests."""

    def __init__(self, runtime: Runtime) -> None:
        self.save_every_s = SAVE_EVERY_S
        self._log = runtime.record_log
        self._incarnation = secrets.token_hex(8)
        self._hour = 0
        self._values: dict[Key, int] = {}
        """Of this incarnation, as they were last sent to the log."""
        self._unsaved: dict[Key, int] = {}
        """What came to each since; 0 for those whose last save failed."""
        self._owes = False
        """The last save failed: values may be nowhere but here."""
        self._made = False
        self._timer: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._complained_s = -COMPLAIN_EVERY_S

    def add(self, key: Key, size_bytes: int) -> None:
        """Somebody got so many bytes."""
        unsaved = self._unsaved
        if key in unsaved:
            unsaved[key] += size_bytes
        elif size_bytes:
            self._add_new(key, size_bytes)

    def _add_new(self, key: Key, size_bytes: int) -> None:
        unsaved = self._unsaved
        if len(unsaved) >= SERIES_MAX:
            key = (*key[:5], OTHER_METER_KEY, key[6])
        unsaved[key] = unsaved.get(key, 0) + size_bytes
        if self._timer is None and self._saving is None:
            self._timer = asyncio.get_running_loop().call_later(self.save_every_s, self._begin)
        if len(unsaved) >= UNSAVED_MAX and self._saving is None and not self._owes:
            self._begin()

    def _begin(self) -> None:
        self._stop_timer()
        self._saving = asyncio.create_task(self._save_and_go_on(), name="read meters")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _save_and_go_on(self) -> None:
        try:
            await self.save()
        except RecordLogError as error:
            self._complain(error)
        finally:
            self._saving = None
            if self._unsaved and self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self.save_every_s, self._begin)

    async def save(self) -> None:
        """Save what was read until now; durable when it returns. Raises RecordLogError: it is tried again."""
        async with self._one_at_a_time:
            unsaved, self._unsaved = self._unsaved, {}
            if not unsaved:
                return
            self._begin_anew(unsaved)
            values = self._values
            for key, size_bytes in unsaved.items():
                values[key] = values.get(key, 0) + size_bytes
            self._owes = True
            try:
                await self._append([Row(key, values[key]) for key in unsaved])
                self._owes = False
            finally:
                if self._owes:  # also if we are cancelled: whether it was stored is not known, and twice does no harm
                    for key in unsaved:
                        self._unsaved.setdefault(key, 0)

    def _begin_anew(self, coming: Mapping[Key, int]) -> None:
        """Forget what is saved, when it is too much or of another hour, and go on under another name: a series that comes again
        begins at 0, and is not taken for the old one."""
        if self._owes:
            return
        newest = max(key[-1] for key in coming)
        if newest > self._hour or len(self._values) >= SERIES_MAX:
            self._values, self._incarnation = {}, secrets.token_hex(8)
        self._hour = max(newest, self._hour)

    async def _append(self, rows: list[Row]) -> None:
        records: list[str | bytes | None] = []
        for some in _pieces(rows):
            records += ("reads", _encode(Saved(FORMAT, self._incarnation, some)))
        count = len(records) // 2
        size_bytes = sum(len(part) for part in records if part is not None)
        entry = Entry(READS_KEY, records, count, size_bytes, count)
        if not self._made:
            await self._log.create(READS_KEY)
            self._made = True
        try:
            await self._log.append([entry])
        except UnknownShard:  # another log was put in its place while we were running
            self._made = False
            raise

    def _complain(self, error: Exception) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._complained_s >= COMPLAIN_EVERY_S:
            self._complained_s = now_s
            log.warning("read_meters_not_saved", error=repr(error), series=len(self._unsaved))

    async def finish(self) -> None:
        """The process ends in good order: save what there is, before the record log is closed."""
        self._stop_timer()
        failure: Any = None
        for _ in range(FAREWELL_TRIES):
            try:
                await self.save()
            except RecordLogError as error:
                failure = error
        if self._unsaved:
            log.error("read_meters_lost", error=repr(failure), series=len(self._unsaved))

    def close(self) -> None:
        """Save no more."""
        self._stop_timer()


def _pieces(rows: list[Row]) -> Iterator[list[Row]]:
    for first in range(0, len(rows), ROWS_PER_RECORD):
        yield rows[first : first + ROWS_PER_RECORD]
