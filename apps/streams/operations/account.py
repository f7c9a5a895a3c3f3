"""DescribeLimits, DescribeAccountSettings, UpdateAccountSettings."""

from __future__ import annotations

from typing import Any

from apps.capacity import commitment
from apps.capacity.models import Commitment
from apps.leases import hold
from apps.runtime import Call
from apps.streams import account_meters, named
from apps.streams.errors import ValidationException
from apps.streams.models import Stream, StreamMode
from apps.streams.operations.stream import provisioned_shards
from apps.streams.quotas import limit

CHANNELS_PER_STREAM = 2
"""One to S3 and one to tables, on every on-demand stream that the account may have."""

NAMED_MAX = 5
"""A refusal names no more streams."""

Json = dict[str, Any]


def describe_limits(call: Call, params: Json) -> Json:  # noqa: ARG001 - it takes none
    """What the account may have, and has.

    Kept from AWS: shards of provisioned streams, on-demand streams, channels, one call a second.
    Not kept: a changed limit is answered at once.
    """
    team_id, region = call.principal.team_id, call.runtime.config.region
    on_demand_max = limit(team_id, region, "on-demand-streams")
    return {
        "ShardLimit": limit(team_id, region, "shards"),
        "OpenShardCount": provisioned_shards(team_id),
        "OnDemandStreamCount": Stream.objects.filter(team_id=team_id, mode=StreamMode.ON_DEMAND).count(),
        "OnDemandStreamCountLimit": on_demand_max,
        "ChannelCount": _channels(team_id),
        "ChannelCountLimit": CHANNELS_PER_STREAM * on_demand_max,
    }


def _channels(team_id: int) -> int:
    rows = Stream.objects.filter(team_id=team_id, delivery_streams__channel_id__gt="")
    return rows.values("delivery_streams").distinct().count()


def describe_account_settings(call: Call, params: Json) -> Json:  # noqa: ARG001 - it takes none
    """The minimum throughput billing commitment and its times.

    Kept from AWS: the three states, five calls a second. Not kept: nothing.
    """
    return _answer(commitment.newest(call.principal.team_id), call.now_ms)


def update_account_settings(call: Call, params: Json) -> Json:
    """Enable or disable the commitment. What it is already is no error.

    Kept from AWS: it lasts 24 hours at least; disabled sooner it is ENABLED_UNTIL_EARLIEST_ALLOWED_END, which enabling
    again takes back; it cannot be disabled while a stream has warm throughput.
    Not kept: nothing.
    """
    named.hold_team(call)
    team_id = call.principal.team_id
    now_ms = account_meters.settle(team_id, call.now_ms)
    if params["MinimumThroughputBillingCommitment"]["Status"] == commitment.ENABLED:
        hold.ensure("metering", "readings", call.now_ms)
        return _answer(commitment.enable(team_id, now_ms), now_ms)
    rows = Stream.objects.filter(team_id=team_id, warm_throughput_mibps__isnull=False)
    warm = list(rows.order_by("name").values_list("name", flat=True)[:NAMED_MAX])
    if warm:
        raise ValidationException(
            f"Request is invalid. Account {call.principal.account_id} has streams with warm throughput, among them "
            f"{', '.join(warm)}. Remove it with UpdateStreamWarmThroughput (WarmThroughputMiBps 0) first."
        )
    return _answer(commitment.disable(team_id, now_ms), now_ms)


def _answer(found: Commitment | None, now_ms: int) -> Json:
    status = commitment.status(found, now_ms)
    output: Json = {"Status": status}
    if found is not None:
        output["StartedAt"] = found.started_at_ms
        if status == commitment.DISABLED:
            output["EndedAt"] = found.ends_at_ms
        else:
            output["EarliestAllowedEndAt"] = commitment.earliest_end_ms(found)
    return {"MinimumThroughputBillingCommitment": output}
