"""What the readings of a stream are stored under, and what its usage is booked on."""

from __future__ import annotations

from apps.streams.models import Stream

ROWS = "rows"
"""Stands in the place of the log's incarnation where a reading follows from rows."""


def source_of_shard(key: int) -> str:
    """What a shard's log readings are stored under."""
    return f"shard/{key}"


def source_of_stream(key: int) -> str:
    """What a stream's time readings are stored under."""
    return f"stream/{key}"


def source_of_storage(key: int) -> str:
    """What a stream's storage readings are stored under."""
    return f"storage/{key}"


def source_of_consumer(key: int) -> str:
    """What a consumer's time readings are stored under."""
    return f"consumer/{key}"


def source_of_account(team_id: int) -> str:
    """What the readings of a team's commitment are stored under."""
    return f"account/{team_id}"


def resource_of(stream: Stream) -> str:
    """What all of a stream's usage is booked on."""
    return f"stream/{stream.name}"
