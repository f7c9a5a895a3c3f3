"""What lies where in Redis, for how long, and which widths a bucket may have. All times are UTC seconds.

Three stores of buckets, each a hash per stream and block of time:

    tg:m:<width>:<team>:<stream>:<block>     field <bucket start>:<process>   value buckets.encode()

A process writes its own field with what it counted so far, so writing twice does no harm and readers add processes up.
Beside them: seconds in which somebody served (`tg:up:<hour>`, a bitmap), the streams that had traffic
(`tg:act:<hour>`, a set), shards (`tg:h:…`), who polls (`tg:r:…`), and the channel on which each second is published.
"""

from __future__ import annotations

from dataclasses import dataclass

from apps.metrics import firehose
from apps.metrics.names import BY_NAME

CHANNEL = "tg:live"

STANDING_CHANNEL = "tg:standing"
"""Ids of teams whose members or roles changed (apps/teams/standing.py)."""
EPOCH_KEY = "tg:epoch"
LATE_KEY = "tg:late"
"""Set of minutes that got data after they may have been rolled up."""

LATE_S = 60
"""A bucket written this long after its end is late."""

HOUR_S = 3_600
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Store:
    """Buckets of one width. block_s: how much time a hash holds. keeps_s: how long a bucket can be read, by thrift.
    pending: buckets a process keeps while Redis is away. every_s: how often a bucket that still grows is written."""

    width_s: int
    block_s: int
    keeps_s: tuple[int, int, int, int]
    pending: int
    every_s: int = 1

    def key(self, team_id: int, stream_id: int, start_s: int) -> str:
        """The hash that holds the bucket of a stream."""
        return f"tg:m:{self.width_s}:{team_id}:{stream_id}:{start_s // self.block_s}"

    @property
    def keep_s(self) -> int:
        """How long a bucket can be read when there is room."""
        return self.keeps_s[0]

    def ttl_s(self, thrift: int) -> int:
        """Counted from when a key is made: the whole block, then as long as its last bucket is kept. 0: not stored."""
        return self.block_s + self.keeps_s[thrift] if self.keeps_s[thrift] else 0


SECONDS = Store(width_s=1, block_s=60, keeps_s=(900, 300, 0, 0), pending=120)
TENS = Store(width_s=10, block_s=600, keeps_s=(6 * HOUR_S, HOUR_S, 1_800, 0), pending=360, every_s=5)
MINUTES = Store(width_s=60, block_s=900, keeps_s=(2 * HOUR_S,) * 4, pending=60)
"""Headline figures alone, for the list of streams."""

THRIFT_FROM = (0.5, 0.7, 0.85)
"""Shares of Redis's memory from which thrift is 1, 2 and 3. Celery's broker lives in the same Redis, and must not be
crowded out by charts: a busy stream takes about a megabyte here, and the child of `up` has 256."""

STORES: tuple[Store, ...] = (SECONDS, TENS, MINUTES)

TEAM = 0
"""In place of a stream's row id: the headline figures of all of the team's data streams together. No row has it."""

HEADLINE: frozenset[int] = frozenset(
    BY_NAME[name].number
    for name in (
        "IncomingBytes",
        "IncomingRecords",
        "WriteProvisionedThroughputExceeded",
        "GetRecords.Bytes",
        "SubscribeToShardEvent.Bytes",
        "GetRecords.IteratorAgeMilliseconds",
        "SubscribeToShardEvent.MillisBehindLatest",
    )
) | frozenset(metric.number for metric in firehose.HEADLINE)

SHARD_BLOCK_S = 30
SHARD_KEEP_S = 120

READERS_KEEP_S = DAY_S
"""So long a reader is remembered after its last call."""

ROLLUP_KEEP_S: dict[int, int] = {60: 15 * DAY_S, 300: 63 * DAY_S, HOUR_S: 456 * DAY_S}
"""Widths kept in the database and for how long: As CloudWatch: 15 days, 63 days, 15 months."""

POINTS_MAX = 600
"""Points of one series in one answer."""


def shard_key(team_id: int, stream_id: int, second: int) -> str:
    """The hash of a stream's shards: field <second>:<process>."""
    return f"tg:h:{team_id}:{stream_id}:{second // SHARD_BLOCK_S}"


def readers_key(team_id: int, stream_id: int) -> str:
    """The hash of who polls a stream: field <reader>, value <last read, UTC ms>:<ms behind>."""
    return f"tg:r:{team_id}:{stream_id}"


def uptime_key(second: int) -> str:
    """The bitmap of the hour: bit n is set if somebody served in its second n."""
    return f"tg:up:{second // HOUR_S}"


def member(team_id: int, stream_id: int) -> str:
    """A stream's name in the sets of streams with traffic."""
    return f"{team_id}:{stream_id}"


def active_key(second: int) -> str:
    """The set of the hour's streams with traffic: <team>:<stream>."""
    return f"tg:act:{second // HOUR_S}"
