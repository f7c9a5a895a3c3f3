"""Channels as boto3 sees them, over a real socket."""

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.wire.conftest import Endpoint

ROLE = "arn:aws:iam::123456789012:role/channels"
BUCKET = {"BucketARN": "arn:aws:s3:::events", "ExpectedBucketOwner": "123456789012"}


def until(look: Any, wanted: Any) -> Any:
    deadline = time.monotonic() + 60
    while True:
        found = look()
        if wanted(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


@pytest.fixture(scope="module")
def stream(kinesis: Any) -> str:
    """The ARN of an on-demand stream."""
    kinesis.create_stream(StreamName="channelled", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    summary = until(
        lambda: kinesis.describe_stream_summary(StreamName="channelled")["StreamDescriptionSummary"],
        lambda said: said["StreamStatus"] == "ACTIVE",
    )
    return str(summary["StreamARN"])


def test_a_channel_from_creation_to_deletion(kinesis: Any, stream: str, endpoint: Endpoint) -> None:
    made = kinesis.create_channel(
        ChannelName="to-s3",
        ServiceExecutionRoleARN=ROLE,
        StreamConfigurationList=[{"StreamARN": stream, "RecordConfiguration": {"RecordFormatType": "STRING"}}],
        S3DestinationConfiguration={"StorageConfiguration": {**BUCKET, "CompressionType": "GZIP"}},
        Tags={"team": "a"},
    )["ChannelDescription"]
    arn = made["ChannelARN"]
    assert arn.startswith(f"arn:aws:kinesis:us-east-1:{endpoint.account_id}:channel/")

    def described() -> Any:
        return kinesis.describe_channel(ChannelARN=arn)["ChannelDescription"]

    until(described, lambda said: said["ChannelStatus"] == "ACTIVE")
    kinesis.update_channel(ChannelARN=arn, S3DestinationConfiguration={"DataFreshnessInSeconds": 60})
    said = until(described, lambda said: said["ChannelStatus"] == "ACTIVE")
    assert said["S3DestinationConfiguration"]["DataFreshnessInSeconds"] == 60
    assert said["ChannelCreationTimestamp"] == made["ChannelCreationTimestamp"]
    [summary] = kinesis.list_channels(StreamFilter=[{"StreamARN": stream}])["ChannelSummaries"]
    assert (summary["ChannelName"], summary["ChannelDestinationType"]) == ("to-s3", "S3")
    assert kinesis.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "team", "Value": "a"}]
    with pytest.raises(ClientError) as caught:
        kinesis.delete_stream(StreamName="channelled")
    assert caught.value.response["Error"]["Code"] == "ResourceInUseException"
    kinesis.delete_channel(ChannelARN=arn)
    until(lambda: kinesis.list_channels()["ChannelSummaries"], lambda found: not found)
    with pytest.raises(ClientError) as caught:
        described()
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    kinesis.delete_stream(StreamName="channelled")
