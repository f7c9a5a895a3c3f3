"""Who polled a stream within the last day, and how far behind: what GetRecords noted (counters.note_reader)."""

from __future__ import annotations

from dataclasses import dataclass

from apps.base.clock import Clock, SystemClock
from apps.base.units import SECOND_MS
from apps.metrics import layout, store

_CLOCK: Clock = SystemClock()


@dataclass(frozen=True, slots=True)
class Reader:
    """key: what its usage is booked under, an access key's id most often. behind_ms: age of the last record of its last
    call, of the shard that was furthest behind; 0 at the tip."""

    key: str
    seen_ms: int
    behind_ms: int


def readers(team_id: int, stream_id: int, *, clock: Clock = _CLOCK) -> list[Reader] | None:
    """Those of the last 24 hours, the newest first. None: Redis is away."""
    name = layout.readers_key(team_id, stream_id)
    replies = store.ask([("HGETALL", name)])
    if replies is None:
        return None
    oldest_ms = clock.now_ms() - layout.READERS_KEEP_S * SECOND_MS
    found, gone = [], []
    for field, value in replies[0].items():
        seen_ms, _, behind_ms = value.partition(b":")
        if int(seen_ms) < oldest_ms:
            gone.append(field)
        else:
            found.append(Reader(field.decode(), int(seen_ms), int(behind_ms)))
    if gone:
        store.ask([("HDEL", name, *gone)])
    return sorted(found, key=lambda reader: (-reader.seen_ms, reader.key))
