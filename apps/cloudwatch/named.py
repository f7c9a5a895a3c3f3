"""Whose series a name means: data streams in AWS/Kinesis, delivery streams in AWS/Firehose, also those that are gone.

The empty name is the team's own in AWS/Firehose: ListDeliveryStreams is called of no delivery stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from apps.delivery.metrics import ACCOUNT, series_key
from apps.delivery.models import DeliveryStream
from apps.metrics import firehose, names
from apps.metrics.firehose import DELIVERY_KEYS_FROM
from apps.metrics.models import StreamName
from apps.streams.models import Stream


@dataclass(frozen=True, slots=True)
class Kind:
    """Those that have series in a namespace. dimension: what names one of them."""

    namespace: str
    dimension: str


STREAMS = Kind(names.NAMESPACE, "StreamName")
DELIVERY_STREAMS = Kind(firehose.NAMESPACE, "DeliveryStreamName")
CHANNELS = Kind(names.NAMESPACE, "ChannelName")
"""Their names here are `<channel>/<stream>`: both are dimensions."""

KINDS = (STREAMS, DELIVERY_STREAMS, CHANNELS)


def keys_of(team_id: int, kind: Kind, name: str) -> list[int]:
    """Keys of the series of the one of that name, and of those that had it before."""
    if not name:
        return [series_key(ACCOUNT)]
    return [key for found, keys in from_name(team_id, kind, "", name) for key in keys if found == name]


def from_name(team_id: int, kind: Kind, first: str, exact: str | None) -> list[tuple[str, list[int]]]:
    """Keys by name, in the names' order from `first` on; only those named `exact` if it is given."""
    found: dict[str, set[int]] = {}
    for name, key in (*_live(team_id, kind, first, exact), *_gone(team_id, kind, first, exact)):
        found.setdefault(name, set()).add(key)
    # Databases differ in how they compare names; this is the order that is given out.
    return sorted((name, sorted(keys)) for name, keys in found.items() if name >= first)


def by_key(team_id: int, kind: Kind) -> dict[int, str]:
    """Every name by key."""
    gone = {key: name for name, key in _gone(team_id, kind, "", None)}
    return gone | {key: name for name, key in _live(team_id, kind, "", None)}


def _live(team_id: int, kind: Kind, first: str, exact: str | None) -> list[tuple[str, int]]:
    if kind is CHANNELS:
        rows = DeliveryStream.objects.filter(team_id=team_id).exclude(channel_id="")
        rows = rows if exact is None else rows.filter(name=exact.partition("/")[0])
        of_channels = rows.values_list("name", "source_stream__name", "id")
        return [(f"{name}/{stream or ''}", series_key(pk)) for name, stream, pk in of_channels]
    if kind is DELIVERY_STREAMS:
        rows = DeliveryStream.objects.filter(team_id=team_id, channel_id="")
        found = [(name, series_key(pk)) for name, pk in _named(rows, first, exact).values_list("name", "id")]
        return [("", series_key(ACCOUNT)), *found] if found and not first and exact is None else found
    return list(_named(Stream.objects.filter(team_id=team_id), first, exact).values_list("name", "id"))


def _gone(team_id: int, kind: Kind, first: str, exact: str | None) -> list[tuple[str, int]]:
    if kind is CHANNELS:
        return []  # the names of channels are not kept
    whose = "stream_id__gte" if kind is DELIVERY_STREAMS else "stream_id__lt"
    rows = StreamName.objects.filter(team_id=team_id, **{whose: DELIVERY_KEYS_FROM})
    return list(_named(rows, first, exact).values_list("name", "stream_id"))


def _named(rows: QuerySet[Any], first: str, exact: str | None) -> QuerySet[Any]:
    return rows.filter(name__gte=first) if exact is None else rows.filter(name=exact)
