"""What an account or a stream may have: AWS's documented defaults, by name, in one table.

Limits of the data plane (bytes and records per second) are in limits.py.
"""

from __future__ import annotations

from dataclasses import dataclass

LARGE_REGIONS = frozenset({"us-east-1", "us-west-2", "eu-west-1"})


@dataclass(frozen=True, slots=True)
class Quotas:
    """Per account and region unless the name says otherwise."""

    shards: int = 1_000
    """Open shards of all provisioned streams."""
    on_demand_streams: int = 50
    on_demand_shards_per_stream: int = 200
    """200 MB/s of writes; scaling.py goes no further."""
    streams_creating: int = 5
    """Streams in CREATING at one time."""
    shards_per_stream_update: int = 10_000
    """The most that UpdateShardCount may ask for."""
    updates_per_day_and_stream: int = 10
    """UpdateShardCount calls within 24 hours."""
    consumers_per_stream: int = 20
    consumers_creating_per_stream: int = 5
    tags_per_stream: int = 50


_LARGE = Quotas(shards=20_000, on_demand_shards_per_stream=10_000)
_OTHER = Quotas()

ON_DEMAND_SHARDS_AT_START = 4
"""4 MB/s of writes, what AWS gives a new on-demand stream."""


def quotas(region: str) -> Quotas:
    """The quotas that hold in a region."""
    return _LARGE if region in LARGE_REGIONS else _OTHER
