"""Data Firehose, operation by operation: the index a reader opens first. See apps/streams/operations/__init__.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from apps.delivery import shapes
from apps.delivery.operations import destination, encryption, records, stream, tags

OPERATIONS: dict[str, Callable[..., Any]] = {
    "CreateDeliveryStream": stream.create_delivery_stream,
    "DeleteDeliveryStream": stream.delete_delivery_stream,
    "DescribeDeliveryStream": stream.describe_delivery_stream,
    "ListDeliveryStreams": stream.list_delivery_streams,
    "UpdateDestination": destination.update_destination,
    "TagDeliveryStream": tags.tag_delivery_stream,
    "UntagDeliveryStream": tags.untag_delivery_stream,
    "ListTagsForDeliveryStream": tags.list_tags_for_delivery_stream,
    "StartDeliveryStreamEncryption": encryption.start_delivery_stream_encryption,
    "StopDeliveryStreamEncryption": encryption.stop_delivery_stream_encryption,
    "PutRecord": records.put_record,
    "PutRecordBatch": records.put_record_batch,
}

REQUESTS: dict[str, type[msgspec.Struct]] = {
    "PutRecord": shapes.PutRecordRequest,
    "PutRecordBatch": shapes.PutRecordBatchRequest,
}

AHEAD: dict[str, Callable[..., Any]] = {
    "CreateDeliveryStream": encryption.first_data_key_of_new,
    "StartDeliveryStreamEncryption": encryption.first_data_key,
}
"""What is awaited before a control-plane operation's transaction begins."""

NOT_IMPLEMENTED: dict[str, str] = {}
