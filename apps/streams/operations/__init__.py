"""Kinesis Data Streams, operation by operation: the index a reader opens first.

`async def op(call, request)` is the data plane: no ORM, a typed request where REQUESTS names one. A plain
`def op(call, params)` is the control plane: it runs in a transaction. Every operation of AWS's model is in OPERATIONS, but
for those about channels, which stand a floor higher: apps/delivery/operations/channel_index.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from apps.queues.operations import control as queues
from apps.queues.operations import records as queue_records
from apps.streams import shapes
from apps.streams.operations import (
    account,
    capacity,
    consumers,
    encryption,
    fanout,
    monitoring,
    policies,
    polling,
    records,
    reshard,
    shards,
    stream,
    tags,
)

OPERATIONS: dict[str, Callable[..., Any]] = {
    "CreateStream": stream.create_stream,
    "DeleteStream": stream.delete_stream,
    "DescribeStream": stream.describe_stream,
    "DescribeStreamSummary": stream.describe_stream_summary,
    "ListStreams": stream.list_streams,
    "IncreaseStreamRetentionPeriod": stream.increase_stream_retention_period,
    "DecreaseStreamRetentionPeriod": stream.decrease_stream_retention_period,
    "ListShards": shards.list_shards,
    "SplitShard": reshard.split_shard,
    "MergeShards": reshard.merge_shards,
    "UpdateShardCount": reshard.update_shard_count,
    "UpdateStreamMode": capacity.update_stream_mode,
    "UpdateStreamWarmThroughput": capacity.update_stream_warm_throughput,
    "UpdateStreamRecordDistributionStrategy": capacity.update_stream_record_distribution_strategy,
    "UpdateMaxRecordSize": capacity.update_max_record_size,
    "DescribeLimits": account.describe_limits,
    "DescribeAccountSettings": account.describe_account_settings,
    "UpdateAccountSettings": account.update_account_settings,
    "EnableEnhancedMonitoring": monitoring.enable_enhanced_monitoring,
    "DisableEnhancedMonitoring": monitoring.disable_enhanced_monitoring,
    "RegisterStreamConsumer": consumers.register_stream_consumer,
    "DescribeStreamConsumer": consumers.describe_stream_consumer,
    "ListStreamConsumers": consumers.list_stream_consumers,
    "DeregisterStreamConsumer": consumers.deregister_stream_consumer,
    "AddTagsToStream": tags.add_tags_to_stream,
    "RemoveTagsFromStream": tags.remove_tags_from_stream,
    "ListTagsForStream": tags.list_tags_for_stream,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
    "ListTagsForResource": tags.list_tags_for_resource,
    "StartStreamEncryption": encryption.start_stream_encryption,
    "StopStreamEncryption": encryption.stop_stream_encryption,
    "PutResourcePolicy": policies.put_resource_policy,
    "GetResourcePolicy": policies.get_resource_policy,
    "DeleteResourcePolicy": policies.delete_resource_policy,
    "PutRecord": records.put_record,
    "PutRecords": records.put_records,
    "GetShardIterator": polling.get_shard_iterator,
    "GetRecords": polling.get_records,
    "SubscribeToShard": fanout.subscribe_to_shard,
    "CreateQueue": queues.create_queue,
    "DescribeQueue": queues.describe_queue,
    "ListQueues": queues.list_queues,
    "UpdateQueue": queues.update_queue,
    "DeleteQueue": queues.delete_queue,
    "ReceiveQueueRecords": queue_records.receive_queue_records,
    "AcknowledgeQueueRecords": queue_records.acknowledge_queue_records,
    "UpdateQueueRecordsVisibility": queue_records.update_queue_records_visibility,
    "ReceiveDeadLetterQueueRecords": queue_records.receive_dead_letter_queue_records,
    "AcknowledgeDeadLetterQueueRecords": queue_records.acknowledge_dead_letter_queue_records,
    "UpdateDeadLetterQueueRecordsVisibility": queue_records.update_dead_letter_queue_records_visibility,
    "RestoreDeadLetterQueueRecords": queue_records.restore_dead_letter_queue_records,
}

REQUESTS: dict[str, type[msgspec.Struct]] = {
    "PutRecord": shapes.PutRecordRequest,
    "PutRecords": shapes.PutRecordsRequest,
    "GetShardIterator": shapes.GetShardIteratorRequest,
    "GetRecords": shapes.GetRecordsRequest,
}

AHEAD: dict[str, Callable[..., Any]] = {"StartStreamEncryption": encryption.first_data_key}
"""What is awaited before a control-plane operation's transaction begins."""
