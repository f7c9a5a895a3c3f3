"""Rows of delivery streams, as an operation and the engine would have made them."""

from typing import Any

from apps.delivery.models import DeliveryLog, DeliveryStream, DeliveryStreamVersion, Lane

CREATED_MS = 1_795_163_467_000

ROLE = "arn:aws:iam::123456789012:role/firehose"


def s3_description(**more: Any) -> dict[str, Any]:
    """What DescribeDeliveryStream says of a plain S3 destination."""
    return {
        "RoleARN": ROLE,
        "BucketARN": "arn:aws:s3:::events",
        "Prefix": "",
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
        "CompressionFormat": "UNCOMPRESSED",
        "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
        "CloudWatchLoggingOptions": {"Enabled": False},
        "S3BackupMode": "Disabled",
        **more,
    }


def make_delivery(team: Any, name: str = "ticker", **fields: Any) -> DeliveryStream:
    """An active Direct PUT delivery stream to S3; fields change that."""
    values = {
        "region": "us-east-1",
        "source_type": "DirectPut",
        "status": "ACTIVE",
        "created_at_ms": CREATED_MS,
        "destination_type": "ExtendedS3",
        "destination": s3_description(),
        "metered_to_ms": CREATED_MS,
    }
    row = DeliveryStream.objects.create(team=team.team, name=name, **{**values, **fields})
    DeliveryStreamVersion.objects.create(
        delivery_stream=row, version_id=row.version_id, destination_type=row.destination_type,
        destination=row.destination, created_at_ms=CREATED_MS,
    )  # fmt: skip
    return row


def make_lane(delivery_stream: DeliveryStream, **fields: Any) -> Lane:
    """A lane that delivers a log of the delivery stream's own."""
    kept = DeliveryLog.objects.create(delivery_stream=delivery_stream, purpose="direct", created_at_ms=CREATED_MS)
    values = {"role": "deliver", "log_key": kept.log_key, "opened_at_ms": CREATED_MS}
    return Lane.objects.create(delivery_stream=delivery_stream, **{**values, **fields})
