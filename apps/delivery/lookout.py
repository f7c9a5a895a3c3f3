"""The lookout: a thread of the delivery worker that sees which lanes are due, and wakes them.

A put must not touch the database, and a data stream does not know who reads it. So twice a second the bounds of all logs
are compared with the lanes' checkpoints, as they were at the last look into the database. What it sends are hints: a lane
that is woken in vain finds nothing to do, and one that it misses is found at the next round, here or by another worker.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.db import close_old_connections

from apps.base.units import SECOND_MS
from apps.delivery import extents, metrics
from apps.delivery.advancing import UNREADABLE_AGAIN_MS
from apps.delivery.due import KIND as STREAM_KIND
from apps.delivery.extents import Checkpoint, Waiting
from apps.delivery.models import DeliveryStream, DeliveryStreamStatus, Lane, LaneRole
from apps.delivery.settings import Hints, processing
from apps.delivery.targets import hints_of
from apps.delivery.trimming import KIND
from apps.leases import hold
from apps.leases.models import Lease
from apps.leases.wake import wake
from apps.recordlog.interface import Bounds, RecordLogError, UnknownShard
from apps.runtime import Runtime
from apps.streams.models import Shard

log = structlog.get_logger(__name__)

EVERY_S = 0.5
READ_ROWS_EVERY_MS = 2 * SECOND_MS
OBSERVE_EVERY_MS = 10 * SECOND_MS
WAKES_MAX = 1_000
"""Hints of one round."""
WAKE_AGAIN_MS = 2 * SECOND_MS
"""Between two hints for one lane."""
DUE_AHEAD_MAX_MS = 2 * hold.LONGEST_DUE_MS[KIND]
"""A due time further ahead was written before the clock was set back, and counts as past (apps/leases/hold.py)."""

SERVING = (DeliveryStreamStatus.ACTIVE, DeliveryStreamStatus.UPDATING)


@dataclass(slots=True)
class _Seen:
    """A lane as of the last look. pinned: it is at work on a batch, its due time says when to go on. oldest: (offset,
    arrival in ms) of the first record that waits, once it was read."""

    lane: Lane
    checkpoint: Checkpoint
    hints: Hints
    pinned: bool
    due_at_ms: int | None
    oldest: tuple[int, int] | None = None
    woken_ms: int = 0
    waiting: Waiting | None = None


class Lookout:
    """See the module's docstring. start() and stop(); or round() alone, for tests. room: how many hints may be sent now."""

    def __init__(
        self,
        runtime: Runtime,
        after_round: Callable[[], None] = lambda: None,
        room: Callable[[], int] = lambda: WAKES_MAX,
    ) -> None:
        self._runtime = runtime
        self._room = room
        self._after_round = after_round
        self._seen: dict[int, _Seen] = {}
        self._read_ms = 0
        self._observed_ms = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="delivery-lookout", daemon=True)

    def start(self) -> Lookout:
        """Begin; after fork."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End, and wait for it."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            try:
                close_old_connections()
                self.round()
                self._after_round()
            except Exception:  # the next round looks again; what would end here is delivery itself
                log.exception("lookout_failed")

    def round(self) -> list[int]:
        """One look at everything; the lanes that were woken."""
        now_ms = self._runtime.clock.now_ms()
        if not 0 <= now_ms - self._read_ms < READ_ROWS_EVERY_MS:
            self._read_rows(now_ms)
        bounds = self._bounds({seen.lane.log_key for seen in self._seen.values()})
        due = [
            seen
            for seen in self._seen.values()
            if self._is_due(seen, bounds.get(seen.lane.log_key), now_ms)
            and not 0 <= now_ms - seen.woken_ms < WAKE_AGAIN_MS
        ]
        due.sort(key=lambda seen: seen.woken_ms)  # with little room, each has its turn
        woken = due[: min(WAKES_MAX, self._room())] if due else []
        for seen in woken:
            seen.woken_ms = now_ms
            wake(KIND, str(seen.lane.pk))
        if not 0 <= now_ms - self._observed_ms < OBSERVE_EVERY_MS:
            self._observe(now_ms)
        return [seen.lane.pk for seen in woken]

    # --- what the database says -------------------------------------------------------------------------------------

    def _read_rows(self, now_ms: int) -> None:
        streams = DeliveryStream.objects.filter(status__in=SERVING, paused_at_ms__isnull=True).in_bulk()
        hints: dict[tuple[int, str], Hints] = {}
        leases = {
            int(key): (checkpoint, pinned is not None, due_at_ms)
            for key, checkpoint, pinned, due_at_ms in Lease.objects.filter(kind=KIND).values_list(
                "key", "checkpoint", "pinned", "due_at_ms"
            )
        }
        before, self._seen = self._seen, {}
        for lane in Lane.objects.filter(ended_at_ms__isnull=True):
            if lane.pk not in leases or lane.delivery_stream_id not in streams:
                continue
            lane.delivery_stream = streams[lane.delivery_stream_id]  # one for all its lanes: descriptions are long
            kind = (lane.delivery_stream_id, lane.role)
            if kind not in hints:
                hints[kind] = _hints(lane)
            checkpoint, pinned, due_at_ms = leases[lane.pk]
            seen = _Seen(lane, Checkpoint.of(checkpoint), hints[kind], pinned, due_at_ms)
            if (old := before.get(lane.pk)) is not None:
                seen.oldest, seen.woken_ms = old.oldest, old.woken_ms
            self._seen[lane.pk] = seen
        self._read_ms = now_ms
        self._wake_for_new_shards()

    def _wake_for_new_shards(self) -> None:
        """Shards of source streams that have no lanes yet, for instance after a reshard."""
        sources: dict[int, list[DeliveryStream]] = defaultdict(list)
        readers = DeliveryStream.objects.filter(status__in=SERVING, source_stream__isnull=False)
        for stream in readers:
            sources[stream.source_stream_id or 0].append(stream)
        if not sources:
            return
        have: dict[int, set[int]] = defaultdict(set)
        lanes = Lane.objects.filter(delivery_stream__in=readers, source_shard__isnull=False, parent__isnull=True)
        for stream_id, log_key in lanes.values_list("delivery_stream_id", "log_key"):
            have[stream_id].add(log_key)
        rows = Shard.objects.filter(stream_id__in=sources, opened_at_ms__isnull=False, expired_at_ms__isnull=True)
        for shard in rows:
            for stream in sources[shard.stream_id]:
                since_ms = stream.source.get("DeliveryStartTimestamp", 0)
                wanted = shard.closed_at_ms is None or shard.closed_at_ms >= since_ms
                if wanted and shard.pk not in have[stream.pk]:
                    wake(STREAM_KIND, str(stream.pk))

    # --- what the logs say ------------------------------------------------------------------------------------------

    def _bounds(self, keys: set[int]) -> dict[int, Bounds]:
        async def read() -> dict[int, Bounds]:
            found = {}
            for key in keys:
                try:
                    found[key] = await self._runtime.record_log.bounds(key)
                except UnknownShard:
                    continue
            return found

        return self._runtime.wait_for(read())

    def _is_due(self, seen: _Seen, bounds: Bounds | None, now_ms: int) -> bool:
        if bounds is None:
            return seen.lane.parent_id is None  # gone: let the lane notice
        seen.waiting = extents.of_bounds(bounds, seen.checkpoint, lambda first: self._arrival(seen, first))
        if seen.pinned:
            return seen.due_at_ms is None or not now_ms < seen.due_at_ms <= now_ms + DUE_AHEAD_MAX_MS
        if seen.lane.failing_since_ms and now_ms < (seen.due_at_ms or 0) <= now_ms + UNREADABLE_AGAIN_MS:
            return False  # what waits cannot be read now; to ask all the time would cost the others their threads
        due_ms = extents.due_at_ms(seen.waiting, seen.checkpoint, seen.hints, now_ms)
        return due_ms is not None and due_ms <= now_ms

    def _arrival(self, seen: _Seen, first: int) -> int:
        if seen.oldest is None or seen.oldest[0] != first:
            try:
                batch = self._runtime.wait_for(self._runtime.record_log.read(seen.lane.log_key, first, 1, 1))
            except RecordLogError:
                return self._runtime.clock.now_ms()
            if not batch.slices:
                return self._runtime.clock.now_ms()
            seen.oldest = (first, batch.slices[0].arrival_ms)
        return seen.oldest[1]

    # --- what people see --------------------------------------------------------------------------------------------

    def _observe(self, now_ms: int) -> None:
        """Bring the lanes' columns up to date, and count states."""
        self._observed_ms = now_ms
        changed, by_stream = [], defaultdict(list)
        for seen in self._seen.values():
            if seen.waiting is None:
                continue
            oldest_ms = seen.waiting.oldest_ms if seen.waiting.records else None
            if seen.lane.oldest_waiting_ms != oldest_ms:
                seen.lane.oldest_waiting_ms = oldest_ms
                changed.append(seen.lane)
            by_stream[seen.lane.delivery_stream_id].append(seen.lane)
        Lane.objects.bulk_update(changed, ["oldest_waiting_ms"], batch_size=200)
        for lanes in by_stream.values():
            metrics.observe(lanes[0].delivery_stream, lanes, now_ms, self._runtime.counters)


def _hints(lane: Lane) -> Hints:
    if lane.role == LaneRole.PROCESS:
        return processing(lane.delivery_stream.destination_type, lane.delivery_stream.destination)
    return hints_of(lane)
