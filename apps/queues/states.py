"""Queues as the audit trail keeps them before and after a change."""

from __future__ import annotations

from typing import Any

from apps.queues.models import Queue


def queue(account_id: str, queue_id: str) -> dict[str, Any] | None:
    """A queue with its tags; None: there is none."""
    row = Queue.objects.select_related("stream").filter(team__account_id=account_id, queue_id=queue_id).first()
    if row is None:
        return None
    return {
        "QueueName": row.name,
        "QueueStatus": row.status,
        "Stream": row.stream.name,
        "StartingPosition": row.start_type,
        "VisibilityTimeoutSeconds": row.visibility_timeout_s,
        "MaxReceiveCount": row.max_receive_count,
        "ResourcePolicy": row.resource_policy or None,
        "Tags": dict(row.tags.order_by("key").values_list("key", "value")),
    }
