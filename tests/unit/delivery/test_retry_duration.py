"""How long each destination is tried again, by its description."""

import pytest

from apps.delivery.settings import retry_ms

PARTITIONED = {"Enabled": True, "RetryOptions": {"DurationInSeconds": 0}}


@pytest.mark.parametrize(
    ("destination_type", "description", "expected_ms"),
    [
        ("ExtendedS3", {}, None),
        ("ExtendedS3", {"DynamicPartitioningConfiguration": PARTITIONED}, 0),
        ("ExtendedS3", {"DynamicPartitioningConfiguration": {"Enabled": True}}, 300_000),
        ("ExtendedS3", {"DynamicPartitioningConfiguration": {**PARTITIONED, "Enabled": False}}, None),
        ("ExtendedS3", {"DynamicPartitioningConfiguration": PARTITIONED, "Channel": {}}, None),
        ("Redshift", {}, 3_600_000),
        ("Splunk", {"RetryOptions": {"DurationInSeconds": 7}}, 7_000),
    ],
)
def test_retry_duration(destination_type, description, expected_ms):
    assert retry_ms(destination_type, description) == expected_ms
