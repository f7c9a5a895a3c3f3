"""What an engine remembers of one shard beside its batches: end, sums, seal. Used by memory.py and lmdb.py."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from apps.base.units import HOUR_MS
from apps.recordlog.interface import (
    METER_KEYS_PER_HOUR,
    METER_MARK,
    OTHER_METER_KEY,
    Bounds,
    MeterRow,
    Offset,
    ShardKey,
    Successor,
    Totals,
)

Sums = list[int]
"""[records, size_bytes, payload_units], and [… kib_units] where meters are kept."""

METERED = 4
"""Numbers of sums with kib_units. Those stored by format 2 have one less."""

HASH_BYTES = 16


def no_sums() -> Sums:
    """Sums of nothing, for what is stored."""
    return [0, 0, 0]


def no_meters() -> Sums:
    """Sums of nothing, for what is metered."""
    return [0, 0, 0, 0]


def add_to(sums: Sums, records: int, size_bytes: int, payload_units: int) -> None:
    """Raise sums in place."""
    sums[0] += records
    sums[1] += size_bytes
    sums[2] += payload_units


def meter(sums: Sums, records: int, size_bytes: int, payload_units: int, kib_units: int) -> None:
    """The same for what is metered."""
    sums[0] += records
    sums[1] += size_bytes
    sums[2] += payload_units
    sums[3] += kib_units


class ShardState(Struct, array_like=True):
    """One shard's state; stored as a msgpack array in this order, so new fields are added at the end with a default.

    floor_ms: no later arrival is older than this: the newest arrival, or what the seal of a parent set.
    totals: of all that was ever appended, kib_units too. trimmed: of what is no longer stored.
    hour, meters: the UTC hour (milliseconds) being metered, and its sums by meter key.
    dropping: drop has begun; the shard is unknown to everybody while its batches go.
    """

    next_offset: Offset = 1
    newest_ms: int = 0
    floor_ms: int = 0
    totals: Sums = field(default_factory=no_meters)
    trimmed: Sums = field(default_factory=no_sums)
    hour_ms: int = 0
    meters: dict[str, Sums] = field(default_factory=dict)
    sealed_at_ms: int = 0
    successors: list[tuple[int, bytes, bytes]] | None = None
    dropping: bool = False

    @property
    def sealed(self) -> bool:
        """True if the shard refuses appends for ever."""
        return self.successors is not None

    def arrival_at(self, now_ms: int) -> int:
        """The arrival of records stored now: the clock's time, but never before the floor."""
        return max(now_ms, self.floor_ms)

    def book(self, next_offset: Offset, arrival_ms: int, meters: dict[str, Sums]) -> None:
        """Count what is being stored, by meter key. roll_hour for its arrival must have been called."""
        self.next_offset = next_offset
        self.newest_ms = self.floor_ms = arrival_ms
        totals, kept = self.totals, self.meters
        for meter_key, (records, size_bytes, payload_units, kib_units) in meters.items():
            sums = kept.get(meter_key) or self._new_meter(meter_key)
            # As meter() does, twice in place: every shard of every commit passes through here.
            totals[0] += records
            totals[1] += size_bytes
            totals[2] += payload_units
            totals[3] += kib_units
            sums[0] += records
            sums[1] += size_bytes
            sums[2] += payload_units
            sums[3] += kib_units

    def _new_meter(self, meter_key: str) -> Sums:
        if len(self.meters) >= METER_KEYS_PER_HOUR and self._kept_apart() >= METER_KEYS_PER_HOUR:
            meter_key = other_key(meter_key)
        return self.meters.setdefault(meter_key, no_meters())

    def _kept_apart(self) -> int:
        return sum(key != other_key(key) for key in self.meters)

    def widen(self) -> None:
        """Make room for kib_units in what format 2 has stored."""
        for sums in (self.totals, *self.meters.values()):
            sums.extend([0] * (METERED - len(sums)))

    def roll_hour(self, arrival_ms: int) -> tuple[int, dict[str, Sums]] | None:
        """Begin the hour of an arrival if it is a new one. Answers the finished hour and its rows, to be kept."""
        hour_ms = arrival_ms - arrival_ms % HOUR_MS
        if hour_ms == self.hour_ms:
            return None
        finished = (self.hour_ms, self.meters)
        self.hour_ms, self.meters = hour_ms, {}
        return finished if finished[1] else None

    def seal(self, sealed_at_ms: int, successors: Iterable[Successor]) -> None:
        """Close for ever."""
        self.sealed_at_ms = self.floor_ms = sealed_at_ms
        self.successors = [
            (s.shard, s.start_hash.to_bytes(HASH_BYTES, "big"), s.end_hash.to_bytes(HASH_BYTES, "big"))
            for s in successors
        ]

    def bounds(self, first: Offset, oldest_ms: int) -> Bounds:
        """RecordLog.bounds, given the first record kept and its batch's arrival (0: none is kept)."""
        totals = Totals(*self.totals)
        sealed, sealed_at_ms, trimmed_bytes = self.sealed_to(), self.sealed_at_ms, self.trimmed[1]
        return Bounds(first, self.next_offset, oldest_ms, self.newest_ms, sealed, sealed_at_ms, totals, trimmed_bytes)

    def sealed_to(self) -> tuple[Successor, ...] | None:
        """The successors, None while open."""
        if self.successors is None:
            return None
        return tuple(
            Successor(shard, int.from_bytes(start, "big"), int.from_bytes(end, "big"))
            for shard, start, end in self.successors
        )


def other_key(meter_key: str) -> str:
    """Under which key is summed what is not kept apart."""
    mark = meter_key.rfind(METER_MARK)
    return OTHER_METER_KEY if mark < 0 else OTHER_METER_KEY + meter_key[mark:]


def meter_rows(shard: ShardKey, hour_ms: int, meters: dict[str, Sums]) -> list[MeterRow]:
    """One hour's rows, ordered by key."""
    return [MeterRow(shard, hour_ms, key, Totals(*meters[key])) for key in sorted(meters)]
