"""Data streams as the audit trail keeps them before and after a change: AWS's members, a few queries."""

from __future__ import annotations

from typing import Any

from apps.streams.models import Shard, Stream

CONSUMERS_MAX = 100

State = dict[str, Any]


def stream(account_id: str, name: str) -> State | None:
    """A stream with its tags, consumers and number of open shards; None: there is none."""
    row = Stream.objects.filter(team__account_id=account_id, name=name).first()
    if row is None:
        return None
    consumers = row.consumers.order_by("name").values_list("name", "status", "resource_policy")[:CONSUMERS_MAX]
    open_shards = Shard.objects.filter(stream=row, opened_at_ms__isnull=False, closed_at_ms__isnull=True)
    return {
        "StreamStatus": row.status,
        "StreamMode": row.mode,
        "OpenShardCount": open_shards.count(),
        "Resharding": [" ".join(intention) for intention in row.plan],
        "RetentionPeriodHours": row.retention_hours,
        "MaxRecordSizeInKiB": row.max_record_size_kib,
        "RecordDistributionStrategy": row.distribution_strategy,
        "WarmThroughputMiBps": row.warm_throughput_mibps,
        "EncryptionKey": row.encryption_key_id or None,
        "ShardLevelMetrics": row.shard_level_metrics,
        "ResourcePolicy": row.resource_policy or None,
        "Faults": row.faults,
        "Tags": dict(row.tags.order_by("key").values_list("key", "value")),
        "Consumers": {consumer: status for consumer, status, _ in consumers},
        "ConsumerPolicies": {consumer: policy for consumer, _, policy in consumers if policy},
    }
