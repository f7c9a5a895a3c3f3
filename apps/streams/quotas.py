"""What an account or a stream may have and how often it may be asked: AWS's documented defaults, in one table.

Each quota has its default, and the error that a caller gets at its end. An administrator may change any of them for a
team (`manage.py quotas`). Limits of the data plane (bytes and records per second) are in limits.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import transaction

from apps.access import audit
from apps.accounts.models import Team
from apps.base.errors import ServiceError, ThrottlingException
from apps.base.units import MIB
from apps.capacity.models import QuotaOverride
from apps.streams.errors import InvalidArgumentException, LimitExceededException

LARGE_REGIONS = frozenset({"us-east-1", "us-west-2", "eu-west-1"})

ON_DEMAND_SHARDS_AT_START = 4
"""4 MB/s of writes, what AWS gives a new on-demand stream."""


class Per(StrEnum):
    """What a quota is counted for; an account has one region here."""

    ACCOUNT = "account"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota. text: the error's, with the facts of the case in braces; large: the default in LARGE_REGIONS."""

    name: str
    default: int
    per: Per
    means: str
    text: str
    large: int | None = None
    error: type[ServiceError] = LimitExceededException

    def default_in(self, region: str) -> int:
        """What holds for teams that nobody changed it for."""
        return self.large if self.large is not None and region in LARGE_REGIONS else self.default

    def exceeded(self, **facts: Any) -> ServiceError:
        """The error, to be raised."""
        return self.error(self.text.format(**facts))


COUNTS = (
    Quota(
        "shards",
        1_000,
        Per.ACCOUNT,
        "Open shards of all provisioned streams",
        "This request would exceed the shard limit for the account {account} in {region}. Current shard count for the "
        "account: {current}. Limit: {limit}. Number of additional shards that would have resulted from this request: "
        "{wanted}. Refer to the AWS Service Limits page "
        "(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request "
        "higher limits.",
        large=20_000,
    ),
    Quota(
        "on-demand-streams",
        50,
        Per.ACCOUNT,
        "On-demand streams",
        "This request would exceed the on-demand stream limit for the account {account} in {region}. Limit: {limit}.",
    ),
    Quota(
        "streams-creating",
        5,
        Per.ACCOUNT,
        "Streams in CREATING at one time",
        "The account {account} has {limit} streams in state CREATING already. Limit: {limit}. "
        "Wait until one of them is ACTIVE.",
    ),
    Quota(
        "on-demand-shards",
        200,
        Per.STREAM,
        "Shards that an on-demand stream grows to: 1 MiB/s of writes each",
        "Warm throughput of {wanted} MiB/s exceeds the limit of on-demand stream {stream} under account {account}. "
        "Limit: {limit} MiB/s.",
        large=10_240,
    ),
    Quota(
        "on-demand-peak-days",
        30,
        Per.STREAM,
        "Days for which an on-demand stream keeps the capacity of its highest load",
        "",
    ),
    Quota(
        "shards-per-update",
        10_000,
        Per.STREAM,
        "The most shards that UpdateShardCount may ask for",
        "Target shard count or number of open shards cannot be greater than {limit}. Current open shard count: "
        "{current} Target shard count: {wanted}",
    ),
    Quota(
        "updates-per-day",
        10,
        Per.STREAM,
        "UpdateShardCount calls within 24 hours",
        "Stream {stream} under account {account} has been updated by UpdateShardCount {current} times within 24 hours. "
        "Limit: {limit}.",
    ),
    Quota(
        "mode-switches-per-day",
        2,
        Per.STREAM,
        "Switches between on-demand and provisioned within 24 hours",
        "Stream {stream} under account {account} has been switched between capacity modes {current} times within 24 "
        "hours. Limit: {limit}.",
    ),
    Quota(
        "encryption-starts-per-day",
        25,
        Per.STREAM,
        "StartStreamEncryption calls within 24 hours",
        "Stream {stream} under account {account} has been updated by StartStreamEncryption {current} times within 24 "
        "hours. Limit: {limit}.",
    ),
    Quota(
        "encryption-stops-per-day",
        25,
        Per.STREAM,
        "StopStreamEncryption calls within 24 hours",
        "Stream {stream} under account {account} has been updated by StopStreamEncryption {current} times within 24 "
        "hours. Limit: {limit}.",
    ),
    Quota(
        "consumers",
        20,
        Per.STREAM,
        "Registered consumers and queues",
        "Stream {stream} under account {account} has {current} registered consumers already. Limit: {limit}.",
    ),
    Quota(
        "consumers-advantage",
        50,
        Per.STREAM,
        "Registered consumers and queues of an on-demand stream of an account with the billing commitment",
        "Stream {stream} under account {account} has {current} registered consumers already. Limit: {limit}.",
    ),
    Quota(
        "consumers-creating",
        5,
        Per.STREAM,
        "Consumers in CREATING at one time",
        "Stream {stream} under account {account} has {current} consumers in state CREATING already. Limit: {limit}.",
    ),
    Quota(
        "queues-between",
        5,
        Per.ACCOUNT,
        "Queues in CREATING or DELETING at one time",
        "The account {account} has {current} queues in state CREATING or DELETING already. Limit: {limit}. "
        "Wait until one of them is ACTIVE or deleted.",
    ),
    Quota(
        "channels-to-s3",
        1,
        Per.STREAM,
        "Channels of a stream to S3",
        "Stream {stream} under account {account} has {current} channels to general purpose buckets already. Limit: {limit}.",
    ),
    Quota(
        "channels-to-tables",
        1,
        Per.STREAM,
        "Channels of a stream to streaming tables",
        "Stream {stream} under account {account} has {current} channels to streaming tables already. Limit: {limit}.",
    ),
    Quota(
        "tags",
        50,
        Per.STREAM,
        "Tags of a stream, consumer, queue or channel",
        "Failed to add tags to {kind} {stream} under account {account} because a given {kind} cannot have more than 10 "
        "tags associated with it.",  # as recorded: the number is not the limit
        error=InvalidArgumentException,
    ),
)

DELIVERY = (
    Quota(
        "delivery-streams",
        5_000,
        Per.ACCOUNT,
        "Delivery streams",
        "You have already consumed your firehose quota of {limit} firehoses of account {account}.",
    ),
    Quota(
        "delivery-records-per-s",
        100_000,
        Per.STREAM,
        "Records per second put into a delivery stream",
        "Slow down.",
        large=500_000,
    ),
    Quota(
        "delivery-bytes-per-s",
        MIB,
        Per.STREAM,
        "Bytes per second put into a delivery stream",
        "Slow down.",
        large=5 * MIB,
    ),
    Quota(
        "delivery-requests-per-s",
        1_000,
        Per.STREAM,
        "PutRecord and PutRecordBatch calls per second of a delivery stream",
        "Slow down.",
        large=2_000,
    ),
    Quota(
        "delivery-encryption-changes-per-day",
        25,
        Per.STREAM,
        "StartDeliveryStreamEncryption and StopDeliveryStreamEncryption calls within 24 hours",
        "Encryption of Firehose {stream} under accountId {account} was started and stopped {limit} times within 24 hours. "
        "Limit: {limit}.",
    ),
    Quota(
        "delivery-streams-per-key",
        500,
        Per.ACCOUNT,
        "Delivery streams that one KMS key of the account's own covers",
        "KMS key {key} covers {limit} firehoses of account {account} already.",
    ),
    Quota(
        "delivery-tags",
        50,
        Per.STREAM,
        "Tags of a delivery stream",
        "Firehose {stream} under accountId {account} cannot have more than {limit} tags.",
    ),
)
"""Of Data Firehose, from AWS's page of its quotas; what exceeds the three rates is answered by the data plane."""

_OF_STREAM = "Rate exceeded for stream {stream} under account {account}."
_OF_ACCOUNT = "Rate exceeded for account {account}."


def _calls(per_s: int, per: Per, *operations: str) -> Iterable[Quota]:
    """Calls per second. Where a call names no stream, the text speaks of the account."""
    for operation in operations:
        text = _OF_ACCOUNT if operation in _NAME_NO_STREAM else _OF_STREAM
        yield Quota(f"calls/{operation}", per_s, per, f"Calls of {operation} per second", text)


_NAME_NO_STREAM = frozenset(
    {
        "ListStreams",
        "DescribeLimits",
        "DescribeAccountSettings",
        "UpdateAccountSettings",
        "CreateQueue",
        "UpdateQueue",
        "DescribeQueue",
        "ListQueues",
        "DeleteQueue",
        "CreateChannel",
        "UpdateChannel",
        "DescribeChannel",
        "ListChannels",
        "DeleteChannel",
    }
)

RATES = (
    *_calls(1, Per.ACCOUNT, "DescribeLimits"),
    *_calls(
        5,
        Per.ACCOUNT,
        "AddTagsToStream",
        "CreateStream",
        "DecreaseStreamRetentionPeriod",
        "DeleteStream",
        "DescribeAccountSettings",
        "DisableEnhancedMonitoring",
        "EnableEnhancedMonitoring",
        "IncreaseStreamRetentionPeriod",
        "ListStreams",
        "ListTagsForStream",
        "MergeShards",
        "RegisterStreamConsumer",
        "RemoveTagsFromStream",
        "SplitShard",
        "UpdateAccountSettings",
        "UpdateStreamWarmThroughput",
        "CreateChannel",
        "UpdateChannel",
        "DescribeChannel",
        "ListChannels",
        "DeleteChannel",
    ),
    # AWS names no number for these; five a second is what it gives to calls of their kind.
    *_calls(
        5,
        Per.ACCOUNT,
        "DeleteResourcePolicy",
        "GetResourcePolicy",
        "ListTagsForResource",
        "PutResourcePolicy",
        "StartStreamEncryption",
        "StopStreamEncryption",
        "TagResource",
        "UntagResource",
        "UpdateMaxRecordSize",
        "UpdateStreamMode",
        "UpdateStreamRecordDistributionStrategy",
        "CreateQueue",
        "UpdateQueue",
        "DescribeQueue",
        "ListQueues",
        "DeleteQueue",
    ),
    *_calls(5, Per.STREAM, "DeregisterStreamConsumer", "ListStreamConsumers"),
    *_calls(10, Per.ACCOUNT, "DescribeStream", "UpdateShardCount"),
    *_calls(20, Per.ACCOUNT, "DescribeStreamSummary"),
    *_calls(20, Per.STREAM, "DescribeStreamConsumer"),
    *_calls(1_000, Per.STREAM, "ListShards"),
)

SERVICE_RATES = tuple(
    Quota(
        f"calls/{service}",
        per_s,
        Per.ACCOUNT,
        f"Calls of all operations of {service} per second",
        "Rate exceeded",
        error=ThrottlingException,
    )
    for service, per_s in {"iam": 20, "sts": 100, "kms": 500, "cloudwatch": 150, "glue": 100}.items()
)
"""AWS has these too, by operation and mostly unpublished. Ours keep a caller from filling database and audit trail."""

DELIVERY_RATES = tuple(
    Quota(
        f"calls/firehose:{operation}",
        5,
        Per.ACCOUNT,
        f"Calls of {operation} per second",
        "Rate exceeded",
        error=ThrottlingException,
    )
    for operation in (
        "CreateDeliveryStream",
        "DeleteDeliveryStream",
        "DescribeDeliveryStream",
        "ListDeliveryStreams",
        "ListTagsForDeliveryStream",
        "StartDeliveryStreamEncryption",
        "StopDeliveryStreamEncryption",
        "TagDeliveryStream",
        "UntagDeliveryStream",
        "UpdateDestination",
    )
)
"""AWS's own: five a second for each operation of Firehose's control plane."""

QUOTAS = {quota.name: quota for quota in (*COUNTS, *DELIVERY, *RATES, *SERVICE_RATES, *DELIVERY_RATES)}
"""By name, as `manage.py quotas` prints them."""


def change(team: Team, name: str, value: int | None, by: str) -> None:
    """Set a team's quota, or (None) go back to the default. by: who asks, for the audit trail."""
    assert name in QUOTAS, name
    with transaction.atomic():
        if value is None:
            QuotaOverride.objects.filter(team=team, name=name).delete()
        else:
            QuotaOverride.objects.update_or_create(team=team, name=name, defaults={"value": value})
        text = "default" if value is None else str(value)
        audit.of_administrator(team.account_id, by, "SetQuota", name, text)


def limit(team_id: int, region: str, name: str) -> int:
    """What holds for a team: an administrator's number, else the default of the region."""
    changed = QuotaOverride.objects.filter(team_id=team_id, name=name).values_list("value", flat=True).first()
    return QUOTAS[name].default_in(region) if changed is None else changed
