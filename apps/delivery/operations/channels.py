"""CreateChannel, DescribeChannel, ListChannels, UpdateChannel, DeleteChannel: operations of Data Streams.

A channel is a row of the table of delivery streams (models.py) with a channel_id, and its lanes read the stream's shards;
the engine knows little of the difference. What a caller gave is kept in `extra`, what the engine needs of it in
`destination` (apps/delivery/configuration/channels.py).
"""

from __future__ import annotations

import secrets
from typing import Any

from django.db.models import F, QuerySet

from apps.base.arn import parse_channel_arn, parse_stream_arn
from apps.base.units import SECOND_MS
from apps.billing import clock_guard
from apps.delivery import meters, versions
from apps.delivery.configuration import channels as configuration
from apps.delivery.due import due_now
from apps.delivery.models import DeliveryStream, DeliveryStreamStatus, SourceType
from apps.delivery.operations.tags import write
from apps.leases import hold
from apps.runtime import Call
from apps.streams import named, tokens
from apps.streams.errors import (
    InvalidArgumentException,
    ResourceInUseException,
    ResourceNotFoundException,
    ValidationException,
)
from apps.streams.models import Stream, StreamMode, StreamStatus
from apps.streams.operations.tags import check_count, check_tags
from apps.streams.quotas import QUOTAS, limit

CHANNELS_PER_PAGE = 100
"""What one ListChannels call answers at most, whatever MaxResults says (up to 10,000)."""

CHANNEL_ID_BYTES = 12

FAILED = frozenset({DeliveryStreamStatus.CREATING_FAILED, DeliveryStreamStatus.DELETING_FAILED})
"""What AWS calls FAILED of a channel."""

Json = dict[str, Any]


def create_channel(call: Call, params: Json) -> Json:
    """A channel that is CREATING; a worker turns it ACTIVE, and it delivers what arrives from then on.

    Kept from AWS: on-demand streams of the account only; one stream; either S3 or streaming tables, one of each per
    stream; formats, compressions and key templates with their rules; the dead-letter bucket, by default the destination's;
    the KMS key must be a customer's own; tags. Not kept: a role need not exist (one that does limits what is written);
    LoggingConfiguration is kept and described, but what goes wrong is always written to the channel's own error log.
    """
    name, tags = params["ChannelName"], params.get("Tags") or {}
    given = _only_stream(params)
    channel_id = secrets.token_hex(CHANNEL_ID_BYTES)
    check_tags(call, name, tags, "channel")
    check_count(call, name, set(tags), "channel")
    named.hold_team(call)
    stream = named.find(call, {"StreamARN": given["StreamARN"]})
    named.change(stream)
    named.require_active(stream, StreamStatus.UPDATING)
    if stream.mode != StreamMode.ON_DEMAND:
        raise ValidationException(
            f"Channels are supported only on data streams in ON_DEMAND capacity mode. Stream {stream.name} under account "
            f"{call.principal.account_id} is in {stream.mode} mode."
        )
    if own(call).filter(name=name).exists():
        raise ResourceInUseException(f"Channel {name} under account {call.principal.account_id} already exists.")
    made = configuration.build(call, params, given["RecordConfiguration"], name, channel_id)
    _check_quota(call, stream, made.destination_type)
    channel = DeliveryStream.objects.create(
        team_id=call.principal.team_id,
        region=stream.region,
        name=name,
        channel_id=channel_id,
        source_type=SourceType.CHANNEL,
        created_at_ms=call.now_ms,
        source_stream=stream,
        source={"KinesisStreamARN": str(stream.arn), "RoleARN": params["ServiceExecutionRoleARN"]},
        destination_type=made.destination_type,
        destination=made.description,
        extra=made.extra,
        metered_to_ms=clock_guard.trusted_ms(call.now_ms),
    )
    versions.keep(channel, call.now_ms)
    write(channel, tags)
    hold.ensure("metering", "readings", call.now_ms)
    due_now(channel, call.now_ms)
    return {"ChannelDescription": _describe(channel)}


def describe_channel(call: Call, params: Json) -> Json:
    """A channel by its ARN.

    Kept from AWS: defaults filled in; the reason of a FAILED one. Not kept: nothing.
    """
    return {"ChannelDescription": _describe(find(call, params["ChannelARN"]))}


def list_channels(call: Call, params: Json) -> Json:
    """The team's channels by name in code point order, at most 100 a page.

    Kept from AWS: StreamFilter, also by the stream's creation time; NextToken lives 300 s. Several filters are summed up.
    Not kept: nothing.
    """
    after = ""
    if params.get("NextToken") is not None:
        position = tokens.open_token(call, "ListChannels", params["NextToken"])
        if position["filter"] != params.get("StreamFilter"):
            raise InvalidArgumentException("StreamFilter differs from the one that NextToken was given for.")
        after = position["after"]
    rows = own(call)
    parsed = [parse_stream_arn(one["StreamARN"]) for one in params.get("StreamFilter") or []]
    names = [arn.name for arn in parsed if arn is not None]
    if names:
        rows = rows.filter(source_stream__name__in=names)
    found = [row for row in rows if row.name > after and _passes(row, params.get("StreamFilter"))]
    found.sort(key=lambda row: row.name)
    count = min(params.get("MaxResults") or CHANNELS_PER_PAGE, CHANNELS_PER_PAGE)
    answer: Json = {"ChannelSummaries": [_summary(row) for row in found[:count]]}
    if len(found) > count:
        position = {"after": found[count - 1].name, "filter": params.get("StreamFilter")}
        answer["NextToken"] = tokens.issue(call, "ListChannels", **position)
    return answer


def update_channel(call: Call, params: Json) -> Json:
    """Change how old data may get, or the logging; UPDATING until a worker has seen it. Delivery goes on.

    Kept from AWS: nothing else can be changed; the member must be that of the channel's kind of destination; an ACTIVE
    channel only. Not kept: nothing.
    """
    channel = find(call, params["ChannelARN"], hold_it=True)
    if channel.status != DeliveryStreamStatus.ACTIVE:
        raise ResourceInUseException(
            f"Channel {channel.arn} under account {call.principal.account_id} not ACTIVE, instead in state "
            f"{_status(channel)}"
        )
    configuration.change(channel, params)
    channel.status = DeliveryStreamStatus.UPDATING
    channel.updated_at_ms, channel.version_id = call.now_ms, channel.version_id + 1
    channel.version += 1
    channel.save(update_fields=["destination", "extra", "status", "updated_at_ms", "version_id", "version"])
    versions.keep(channel, call.now_ms)
    due_now(channel, call.now_ms)
    return {"ChannelDescription": _describe(channel)}


def delete_channel(call: Call, params: Json) -> None:
    """Begin to delete a channel in any state; nothing more is delivered. What was, stays.

    Kept from AWS: the stream keeps its records. Deleting a channel that is being deleted is no error. Not kept: nothing.
    """
    channel = find(call, params["ChannelARN"], hold_it=True)
    if channel.status == DeliveryStreamStatus.DELETING:
        return
    meters.note_tags([channel], call.now_ms)
    DeliveryStream.objects.filter(pk=channel.pk).update(
        status=DeliveryStreamStatus.DELETING, version=F("version") + 1, updated_at_ms=call.now_ms
    )
    due_now(channel, call.now_ms)


def own(call: Call) -> QuerySet[DeliveryStream]:
    """The team's channels."""
    rows = DeliveryStream.objects.select_related("team", "source_stream__team")
    return rows.filter(team_id=call.principal.team_id).exclude(channel_id="")


def find(call: Call, arn: str, *, hold_it: bool = False) -> DeliveryStream:
    """The caller's channel of that ARN. hold_it: until the transaction ends. Raises ResourceNotFoundException."""
    account_id = call.principal.account_id
    parsed = parse_channel_arn(arn)
    if hold_it:
        named.hold_team(call)
    if parsed is not None and parsed.account_id == account_id:
        found = own(call).filter(channel_id=parsed.channel_id, region=parsed.region).first()
        if found is not None:
            return found
    raise ResourceNotFoundException(
        f"Channel {arn} under account {parsed.account_id if parsed else account_id} not found."
    )


def _only_stream(params: Json) -> Json:
    given = params["StreamConfigurationList"]
    if len(given) != 1:
        raise ValidationException(
            "StreamConfigurationList must contain exactly one entry, because a channel delivers records from a single data "
            f"stream. The request contains {len(given)}."
        )
    only: Json = given[0]
    return only


def _check_quota(call: Call, stream: Stream, destination_type: str) -> None:
    quota = QUOTAS[configuration.QUOTA_OF[destination_type]]
    most = limit(call.principal.team_id, call.runtime.config.region, quota.name)
    current = own(call).filter(source_stream=stream, destination_type=destination_type).count()
    if current >= most:
        raise quota.exceeded(stream=stream.name, account=call.principal.account_id, current=current, limit=most)


def _passes(row: DeliveryStream, filters: list[Json] | None) -> bool:
    if filters is None:
        return True
    source = row.source_stream
    return source is not None and any(
        one["StreamARN"] == str(source.arn)
        and one.get("StreamCreationTimestamp", source.created_at_ms) // SECOND_MS == source.created_at_ms // SECOND_MS
        for one in filters
    )


def _status(channel: DeliveryStream) -> str:
    return "FAILED" if channel.status in FAILED else channel.status


def _describe(channel: DeliveryStream) -> Json:
    said = channel.extra
    return {
        **_named(channel),
        "ServiceExecutionRoleARN": channel.source["RoleARN"],
        "StreamConfigurationList": [{**_source(channel), "RecordConfiguration": said["RecordConfiguration"]}],
        "LoggingConfiguration": said["LoggingConfiguration"],
        **{
            member: said[member]
            for member in (*configuration.MEMBERS.values(), "EncryptionConfiguration")
            if member in said
        },
    }


def _summary(channel: DeliveryStream) -> Json:
    return {
        **_named(channel),
        "ChannelDestinationType": configuration.NAME_OF[channel.destination_type],
        "Streams": [_source(channel)],
    }


def _named(channel: DeliveryStream) -> Json:
    said: Json = {
        "ChannelName": channel.name,
        "ChannelARN": str(channel.arn),
        "ChannelId": channel.channel_id,
        "ChannelStatus": _status(channel),
        "ChannelCreationTimestamp": channel.created_at_ms,
    }
    if channel.failure:
        said["ChannelStatusReason"] = channel.failure["Details"]
    return said


def _source(channel: DeliveryStream) -> Json:
    """The source stream, as of the time when the channel was made if it is gone."""
    created_ms = channel.source_stream.created_at_ms if channel.source_stream else channel.created_at_ms
    return {"StreamARN": channel.source["KinesisStreamARN"], "StreamCreationTimestamp": created_ms}
