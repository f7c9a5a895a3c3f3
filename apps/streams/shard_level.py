"""Counting for EnableEnhancedMonitoring: one observation per call, shard and metric, of those that are switched on.

Only called while StreamView.shard_level is set, so a stream without it pays for one look at an attribute.
"""

from __future__ import annotations

from collections.abc import Sequence

from apps.metrics.counters import Counters
from apps.streams.catalog import StreamView
from apps.streams.placement import Group


def sizes(groups: Sequence[Group]) -> list[int]:
    """Records of each group, before the limits cut it down."""
    return [len(group.positions) for group in groups]


def count(counters: Counters, stream: StreamView, shard_index: int, metric: str, value: int) -> None:
    """One observation of one metric, if it is switched on."""
    assert stream.shard_level is not None
    if metric in stream.shard_level:
        counters.add_labelled(stream.team_id, stream.key, metric, shard_index, value)


def count_refused(counters: Counters, stream: StreamView, groups: Sequence[Group], before: Sequence[int]) -> None:
    """What the limits refused of each group of a put; 0 where they refused nothing. before: sizes() of then."""
    for group, size in zip(groups, before, strict=True):
        refused = size - len(group.positions)
        count(counters, stream, group.shard.index, "WriteProvisionedThroughputExceeded", refused)


def count_stored(counters: Counters, stream: StreamView, shard_index: int, size_bytes: int, records: int) -> None:
    """What one put stored in one shard."""
    count(counters, stream, shard_index, "IncomingBytes", size_bytes)
    count(counters, stream, shard_index, "IncomingRecords", records)


def count_read(counters: Counters, stream: StreamView, shard_index: int, size_bytes: int, records: int) -> None:
    """What one GetRecords call or one event of fan-out took from one shard."""
    count(counters, stream, shard_index, "OutgoingBytes", size_bytes)
    count(counters, stream, shard_index, "OutgoingRecords", records)
