"""Delivery streams and channels as the audit trail keeps them before and after a change. Their secrets are not in the
column that is read."""

from __future__ import annotations

from typing import Any

from apps.delivery.models import DeliveryStream

State = dict[str, Any]


def delivery_stream(account_id: str, name: str) -> State | None:
    """A delivery stream with its destination, connections and tags; None: there is none."""
    row = DeliveryStream.objects.filter(team__account_id=account_id, channel_id="", name=name).first()
    return _state(row) if row is not None else None


def channel(account_id: str, channel_id: str) -> State | None:
    """The same of a channel."""
    row = DeliveryStream.objects.filter(team__account_id=account_id, channel_id=channel_id).first()
    return {"ChannelName": row.name, **_state(row)} if row is not None and channel_id else None


def _state(row: DeliveryStream) -> State:
    connections = row.connections.order_by("part").values_list("part", "endpoint_url", "region", "access_key_id")
    return {
        "DeliveryStreamStatus": row.status,
        "VersionId": str(row.version_id),
        "Source": row.source_type,
        "SourceDescription": row.source,
        "DestinationType": row.destination_type,
        "Destination": row.destination,
        "Encryption": row.encryption,
        "Paused": row.paused_at_ms is not None,
        "Connections": {part: [url, region, key_id] for part, url, region, key_id in connections},
        "Tags": dict(row.tags.order_by("key").values_list("key", "value")),
    }
