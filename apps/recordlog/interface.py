"""The record log: an append-only log per shard, behind one small interface.

Words: a *record* is (partition key, data). Its *offset* is its dense ordinal in the shard: 1, 2, 3 …,
never reused. An *entry* is what one caller appends to one shard at once; its records get neighbouring
offsets. Times are UTC milliseconds and never run backwards within a shard. A sealed shard refuses
appends for ever and names its successors in the refusal.

Records travel as *flat lists*, [key, data, key, data, …], because building an object per record would
cost more than storing it. A key is a str, or None where the stream's distribution strategy allows no key;
data is bytes.

Engines: memory.py (model and tests), lmdb.py (embedded default), faulty.py (wraps any, breaks on demand).
Every sentence here is a test of tests/contract/test_record_log.py, run over every engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

ShardKey = int
"""The shard's number in the whole installation, 1 … 2**31 - 1, never reused (the Shard row's id)."""

Offset = int
"""A record's dense ordinal in its shard, from 1."""

MARKS_SHARD: ShardKey = 2**31 - 2
"""What is appended to this one alone may use what a full log keeps in reserve: a few bytes, once in a while, by which the log
is known again after a backup was restored (apps/streams/log_marks.py)."""

MAX_BATCH_RECORDS = 4_096
MAX_BATCH_BYTES = 1_048_576
"""A stored record batch is closed at these; one larger record is a batch of its own."""

MAX_READ_RECORDS = 100_000
MAX_READ_BYTES = 32 * 1_048_576
"""One read answers at most this much, whatever it is asked for; next_offset tells where to go on."""

MAX_QUEUED_BYTES = 64 * 1_048_576
"""Records handed to append and not yet durable, per process; beyond it append raises LogBusy."""

METER_KEYS_PER_HOUR = 100
"""Meter keys kept apart per shard and hour; further ones are summed under OTHER_METER_KEY."""

OTHER_METER_KEY = "other"
METER_MARK = "|"
"""What follows the last of these in a meter key stays with what goes to OTHER_METER_KEY: "AKIA|x" goes to "other|x". What
it means is the caller's matter; there must be few of them."""

METER_HOURS_KEPT = 100 * 24
"""Hours. trim removes a shard's meter rows older than this."""


class RecordLogError(Exception):
    """Root of the engine's own errors."""


class UnknownShard(RecordLogError):
    """The shard was never created in this log, or is dropped."""


class LogFull(RecordLogError):
    """The disk or the map is full; nothing of the append was stored. Raised before anything is damaged."""


class LogUnavailable(RecordLogError):
    """The engine cannot answer now (closed, cluster without a leader). The outcome of an append is unknown."""


class LogBusy(LogUnavailable):
    """MAX_QUEUED_BYTES wait in memory already; nothing of the append was stored. Retry later."""


class KeyUnavailable(RecordLogError):
    """A data key cannot be had now, so the records under it can neither be read nor written.

    reason: what the caller of an operation is told (disabled, deleted, denied, the key service does not answer).
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class DataKey(Struct, frozen=True, gc=False):
    """What a batch is encrypted with. number: 1 … 2**32 - 1, stored with the batch; cipher: AES-256-GCM."""

    number: int
    cipher: AESGCM


class Keyring(Protocol):
    """Where the log gets the data keys of what it has stored. It never keeps one itself."""

    def ready(self, number: int) -> DataKey | None:
        """The key, if it is here and known to be allowed now; None: ask open(). Never waits; called in any thread."""
        ...

    async def open(self, number: int) -> DataKey:
        """The key; ready() then has it for a while. Raises KeyUnavailable."""
        ...


class NoKeys:
    """The keyring of a log without encryption."""

    def ready(self, number: int) -> DataKey | None:  # noqa: ARG002 - the protocol's
        """See Keyring.ready."""
        return None

    async def open(self, number: int) -> DataKey:
        """See Keyring.open."""
        raise KeyUnavailable(
            LogUnavailable(f"This record log was opened without keys, and data key {number} is needed.")
        )


@dataclass(frozen=True, slots=True)
class Successor:
    """Where a sealed shard's keys went: a child and its hash range, both ends inclusive."""

    shard: ShardKey
    start_hash: int
    end_hash: int


class Entry(Struct, gc=False):
    """What one caller appends to one shard: records is flat [key, data, …]; count = len(records) // 2.

    size_bytes counts UTF-8 keys plus data, as the shard's limits do. payload_units is the sum over the records of
    ceil((key + data bytes) / 25 KiB), at least 1 each; kib_units the same by 1 KiB, or 0 where nobody pays by it.
    meter_key is what the totals are booked under: the access key id, and what METER_MARK sets apart.
    producer, if given, is (name, sequence): it commits with the records, and a repeat with a sequence not above the
    last one stored for that name and shard is answered with the first result and stores nothing. Entries of one call
    with the same producer stand or fall together: if one is a repeat all are, and one whose shard has nothing of the
    producer is answered with Appended(0, 0). key: what the records are encrypted with where they are kept; None: not
    at all.
    """

    shard: ShardKey
    records: list[str | bytes | None]
    count: int
    size_bytes: int
    payload_units: int
    meter_key: str = OTHER_METER_KEY
    producer: tuple[str, int] | None = None
    key: DataKey | None = None
    kib_units: int = 0


class Appended(Struct, frozen=True, gc=False):
    """The entry is durable: its records have offsets first … first + count - 1 and one arrival time.

    first 0: it was not stored, since its producer's call had been stored before without an entry for this shard.
    """

    first: Offset
    arrival_ms: int


@dataclass(frozen=True, slots=True)
class ShardClosed:
    """The shard is sealed; nothing of the entry was stored. The keys went to the successors."""

    successors: tuple[Successor, ...]


class Slice(Struct, frozen=True, gc=False):
    """Neighbouring records of one stored batch: offsets from first on, one arrival, flat records; encrypted: they are
    where they are kept.

    The list may be shared with other readers: never change it.
    """

    first: Offset
    arrival_ms: int
    records: list[str | bytes | None]
    encrypted: bool = False


class Batch(Struct, frozen=True, gc=False):
    """What a read answers.

    next_offset: where to go on (also when nothing was found). end_offset: the next offset the shard would give,
    as of this read; next_offset == end_offset means the reader is at the tip. at_end: sealed, and next_offset is
    past the last record. complete_to_ms: nothing with an older arrival can still come at or after next_offset
    beyond what this batch and the stored log hold (an exact watermark).
    """

    slices: list[Slice]
    next_offset: Offset
    end_offset: Offset
    at_end: bool
    complete_to_ms: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Cumulative sums since the shard was created; they only rise, and commit with the records."""

    records: int = 0
    size_bytes: int = 0
    payload_units: int = 0
    kib_units: int = 0


@dataclass(frozen=True, slots=True)
class Bounds:
    """first_offset: the oldest record still stored (= next_offset if none). newest_ms: arrival of the newest record
    ever appended, 0 if none; oldest_ms: arrival of the first one stored, 0 if none. sealed: successors or None.
    trimmed_bytes: of the totals' bytes, those before first_offset."""

    first_offset: Offset
    next_offset: Offset
    oldest_ms: int
    newest_ms: int
    sealed: tuple[Successor, ...] | None
    sealed_at_ms: int
    totals: Totals
    trimmed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class MeterRow:
    """Cumulative totals of one shard, UTC hour and meter key; a row only rises."""

    shard: ShardKey
    hour_ms: int
    meter_key: str
    totals: Totals = field(default_factory=Totals)


@dataclass(frozen=True, slots=True)
class Trimmed:
    """records removed by this call; more: there may be more to remove before the same time."""

    records: int
    more: bool


@dataclass(frozen=True, slots=True)
class Verified:
    """What a walk over everything stored saw; problems are sentences, none if all is well. unopened: batches whose
    data key cannot be had now, so that only what stands around their records was checked."""

    shards: int
    batches: int
    records: int
    problems: tuple[str, ...]
    unopened: int = 0


class RecordLog(Protocol):
    """See the module's docstring. One instance per process; open after fork, never across one."""

    async def open(self) -> None:
        """Start. Raises LogUnavailable with a sentence that says what to do."""
        ...

    async def close(self) -> None:
        """Finish what is queued, then stop. Idempotent."""
        ...

    async def verify(self) -> Verified:
        """Walk all batches: offsets dense, arrivals never back, totals equal to what is stored and trimmed."""
        ...

    def incarnation(self) -> str:
        """A random name given to the log when it was made; readings of meters carry it."""
        ...

    async def create(self, shard: ShardKey) -> None:
        """Make an empty shard. Idempotent: an existing one is left as it is."""
        ...

    async def append(self, entries: Sequence[Entry]) -> list[Appended | ShardClosed]:
        """Durable when it returns; many callers share one commit. One result per entry, in order.

        All entries of one call commit in one transaction. A cancelled caller does not cancel its append nor anybody
        else's. Raises UnknownShard (nothing of the call was stored), LogFull (nothing was stored), LogUnavailable
        (outcome unknown).
        """
        ...

    async def read(self, shard: ShardKey, start: Offset, max_records: int, max_bytes: int) -> Batch:
        """Records from start on, at most max_records, and at most max_bytes of keys and data (a first record larger
        than max_bytes comes alone). A trimmed start moves to the first record kept. Stops before records whose data
        key cannot be had, and raises KeyUnavailable if they are the first. Raises UnknownShard."""
        ...

    async def find(self, shard: ShardKey, at_ms: int) -> Offset:
        """Offset of the first stored record with arrival >= at_ms; the next offset if there is none yet."""
        ...

    async def bounds(self, shard: ShardKey) -> Bounds:
        """The shard's state now. Raises UnknownShard."""
        ...

    async def seal(self, shards: Sequence[ShardKey], successors: Sequence[Successor]) -> list[tuple[Offset, int]]:
        """Close all shards in one commit with one end time; answers (next offset, sealed at ms) for each.

        Idempotent: a shard sealed before answers its first end, unchanged. Successors must exist already.
        """
        ...

    async def trim(self, shard: ShardKey, before_ms: int, max_records: int) -> Trimmed:
        """Remove whole stored batches whose arrival is older than before_ms: bounded work, oldest first."""
        ...

    async def wait(self, shard: ShardKey, past: Offset, timeout_ms: int) -> bool:
        """True as soon as the shard's next offset is > past or the shard is sealed; False after timeout_ms.
        Woken by append and seal (also those of other processes), not by polling."""
        ...

    async def meters(self, shard: ShardKey, from_hour_ms: int) -> list[MeterRow]:
        """The shard's meter rows from that UTC hour on, ordered by hour and key."""
        ...

    async def drop(self, shard: ShardKey, max_records: int) -> Trimmed:
        """Remove the shard and all it holds, at most max_records per call (more: call again). Idempotent."""
        ...
