"""Limits of the data plane, each with its source in AWS's quotas. On-demand shards have the same ones per shard: an
on-demand stream grows by splitting its shards (scaling.py), not by widening them.
"""

from __future__ import annotations

from functools import lru_cache

from apps.base.units import KIB, MIB, MINUTE_MS, SECOND_MS
from apps.billing.spending_hold import TENTH, THROTTLE
from apps.throttle.interface import Budget

WRITE_BYTES_PER_S = MIB
WRITE_RECORDS_PER_S = 1_000
"""Per shard; bytes are keys and data."""

READ_BYTES_PER_S = 2 * MIB
READ_CALLS_PER_S = 5
"""Per shard, shared by all who poll it."""

ITERATORS_PER_S = 5
"""GetShardIterator calls per shard."""

PUT_RECORDS_BYTES_MAX = 10 * MIB
"""Keys and data of one PutRecords call."""

GET_RECORDS_MAX = 10_000
GET_RECORDS_BYTES_MAX = 10 * MIB
"""What one GetRecords call answers at most."""

RECORD_KIB_DEFAULT = 1_024
RECORD_KIB_MAX = 10_240
"""Bounds of a stream's largest record, keys and data."""

ITERATOR_LIFE_MS = 5 * MINUTE_MS
SUBSCRIPTION_LIFE_MS = 5 * MINUTE_MS
SUBSCRIBE_AGAIN_MS = 5 * SECOND_MS
"""A second SubscribeToShard for the same consumer and shard is refused for so long after the last success."""

SUBSCRIBE_CALLS = Budget(1, 0, 1, 0)
"""SubscribeToShard calls per consumer and shard; only those that SUBSCRIBE_AGAIN_MS refuses are counted, as the
others are five seconds apart anyway."""

FANOUT_BYTES_PER_S = 2 * MIB
"""Per consumer and shard; events are paced, nothing is refused. A consumer who took less may save up one second's
worth, as pollers may: over any T seconds he gets at most 2 MiB x (T + 1), and one record more where a single one is
larger than what is left (that is paid back before the next)."""

EVENT_RECORDS_MAX = 10_000
EVENT_BYTES_MAX = MIB
"""What one SubscribeToShardEvent holds at most (one larger record comes alone)."""

HEARTBEAT_MS = 5 * SECOND_MS
"""An empty event comes when there was nothing to say for so long."""

READ_CALLS = Budget(READ_CALLS_PER_S, READ_BYTES_PER_S, READ_CALLS_PER_S, READ_BYTES_PER_S)
"""Calls and bytes of GetRecords; the bytes are spent after the read, into debt."""

LARGE_READ = Budget(0, READ_BYTES_PER_S, 0, 0)
"""What a read larger than a second's budget owes: no saved-up burst shortens it, so 10 MiB close a shard for 5 s."""

ITERATORS = Budget(ITERATORS_PER_S, 0, ITERATORS_PER_S, 0)


@lru_cache(maxsize=256)
def write_budget(max_record_kib: int, held: str = "") -> Budget:
    """A shard's write budget. What is saved up covers the largest record the stream allows; over time it is 1 MiB/s, or a
    tenth of that while the team is throttled (held: spending_hold.on)."""
    part = TENTH if held == THROTTLE else 1
    records_per_s, bytes_per_s = WRITE_RECORDS_PER_S // part, WRITE_BYTES_PER_S // part
    return Budget(records_per_s, bytes_per_s, records_per_s, max(bytes_per_s, max_record_kib * KIB))
