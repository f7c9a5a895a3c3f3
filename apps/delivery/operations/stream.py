"""CreateDeliveryStream, DeleteDeliveryStream, DescribeDeliveryStream, ListDeliveryStreams."""

from __future__ import annotations

from typing import Any

from apps.billing import clock_guard
from apps.delivery import encryption, meters, metrics, named, versions
from apps.delivery.configuration import kinds, secrets, sources
from apps.delivery.configuration.members import Situation
from apps.delivery.configuration.s3 import COMMON
from apps.delivery.due import due_now
from apps.delivery.errors import ResourceInUseException
from apps.delivery.models import (
    DeliveryStream,
    DeliveryStreamStatus,
    DestinationType,
    SourceType,
)
from apps.delivery.operations.encryption import FIRST, keep_first
from apps.delivery.operations.tags import check_count, write
from apps.leases import hold
from apps.runtime import Call
from apps.streams.named import hold_team
from apps.streams.quotas import QUOTAS, limit

DESTINATION_ID = "destinationId-000000000001"
"""Of the one destination that a delivery stream has."""

LISTED = 10
"""Names in an answer of ListDeliveryStreams without Limit; AWS's default."""

Json = dict[str, Any]


def create_delivery_stream(call: Call, params: Json) -> Json:
    """Begin to make a delivery stream; a worker makes its log and lanes, and turns it ACTIVE.

    Kept from AWS: exactly one destination; sources Direct PUT and a data stream; encryption, tags; 5,000 of an account;
    the texts of the errors that are known. Not kept: Kafka and databases as sources, Snowflake, VPCs and Secrets Manager
    are refused; CloudWatchLoggingOptions are kept and described, but what goes wrong is always written to the delivery
    stream's own error log, whatever they say, and nowhere else; a role need not exist.
    """
    name, account_id = params["DeliveryStreamName"], call.principal.account_id
    situation = Situation.of(call)
    source_type, source, source_stream = sources.given_source(call, params)
    destination_type, given = kinds.given_destination(params, "Configuration")
    description = kinds.build(destination_type, given, situation)
    tags = {tag["Key"]: tag.get("Value", "") for tag in params.get("Tags") or ()}
    check_count(call, name, set(tags))
    hold_team(call)
    if named.own(call).filter(name=name).exists():
        raise ResourceInUseException.exists(name, account_id)
    _check_quota(call)
    kept, found_secrets = secrets.taken_out(destination_type, description)
    stream = DeliveryStream.objects.create(
        team_id=call.principal.team_id,
        region=situation.region,
        name=name,
        source_type=source_type,
        created_at_ms=call.now_ms,
        source_stream=source_stream,
        source=source,
        destination_type=destination_type,
        destination=kept,
        sealed_secrets=secrets.seal(call.runtime.config.master_key_path, found_secrets),
        metered_to_ms=clock_guard.trusted_ms(call.now_ms),
    )
    versions.keep(stream, call.now_ms)
    write(stream, tags)
    if FIRST in params:
        keep_first(call, stream, params)
    hold.ensure("metering", "readings", call.now_ms)
    due_now(stream, call.now_ms)
    return {"DeliveryStreamARN": str(stream.arn)}


def delete_delivery_stream(call: Call, params: Json) -> Json:
    """Begin to delete a delivery stream; a worker removes its lanes and logs, and what they hold is not delivered.

    Kept from AWS: refused while CREATING; deleting one that is being deleted is no error. Not kept: AllowForceDelete has
    nothing to force, as no grant of a KMS key can stand in the way; puts end at once.
    """
    stream = named.find(call, params)
    if stream.status == DeliveryStreamStatus.CREATING:
        raise ResourceInUseException.not_active(stream.name, call.principal.account_id, stream.status)
    named.change(stream)
    meters.note_tags([stream], call.now_ms)
    DeliveryStream.objects.filter(pk=stream.pk).update(status=DeliveryStreamStatus.DELETING)
    due_now(stream, call.now_ms)
    return {}


def describe_delivery_stream(call: Call, params: Json) -> Json:
    """A delivery stream with its source and its one destination.

    Kept from AWS: defaults filled in; a plain S3DestinationDescription beside the extended one; access keys and
    passwords are not shown, Splunk's token is. Not kept: nothing.
    """
    stream = named.find(call, params)
    destinations = [_destination(call, stream)]
    after = params.get("ExclusiveStartDestinationId")
    if after is not None and after >= DESTINATION_ID:
        destinations = []
    said: Json = {
        "DeliveryStreamName": stream.name,
        "DeliveryStreamARN": str(stream.arn),
        "DeliveryStreamStatus": stream.status,
        "DeliveryStreamType": stream.source_type,
        "VersionId": str(stream.version_id),
        "CreateTimestamp": stream.created_at_ms,
        "Destinations": destinations,
        "HasMoreDestinations": False,
    }
    if stream.failure:
        said["FailureDescription"] = stream.failure
    if stream.updated_at_ms is not None:
        said["LastUpdateTimestamp"] = stream.updated_at_ms
    if stream.source_type == SourceType.DIRECT_PUT:
        said["DeliveryStreamEncryptionConfiguration"] = encryption.shown(stream)
    if stream.source:
        said["Source"] = sources.described(stream)
    metrics.called(call, stream.pk, "DescribeDeliveryStream")
    return {"DeliveryStreamDescription": said}


def list_delivery_streams(call: Call, params: Json) -> Json:
    """The team's delivery streams by name in code point order, ten at a time unless Limit says otherwise.

    Kept from AWS: DeliveryStreamType; ExclusiveStartDeliveryStreamName need not exist. Not kept: nothing.
    """
    rows = named.own(call)
    if params.get("DeliveryStreamType"):
        rows = rows.filter(source_type=params["DeliveryStreamType"])
    after = params.get("ExclusiveStartDeliveryStreamName")
    names = sorted(rows.values_list("name", flat=True))  # not ORDER BY: databases sort by other rules
    if after is not None:
        names = [name for name in names if name > after]
    most = params.get("Limit") or LISTED
    metrics.called(call, metrics.ACCOUNT, "ListDeliveryStreams")
    return {"DeliveryStreamNames": names[:most], "HasMoreDeliveryStreams": len(names) > most}


def _check_quota(call: Call) -> None:
    most = limit(call.principal.team_id, call.runtime.config.region, "delivery-streams")
    if named.own(call).count() >= most:
        raise QUOTAS["delivery-streams"].exceeded(account=call.principal.account_id, limit=most)


def _destination(call: Call, stream: DeliveryStream) -> Json:
    description = stream.destination
    if stream.destination_type == DestinationType.SPLUNK:
        found = secrets.unseal(call.runtime.config.master_key_path, stream.sealed_secrets)
        description = secrets.put_back(description, found)
    said = {"DestinationId": DESTINATION_ID, f"{stream.destination_type}DestinationDescription": description}
    if stream.destination_type == DestinationType.S3:
        said["S3DestinationDescription"] = {name: description[name] for name in COMMON if name in description}
    return said
