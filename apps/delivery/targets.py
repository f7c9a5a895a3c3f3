"""The delivery stream as its destination, its processors and its formats see it, under one VersionId."""

from __future__ import annotations

from typing import Any

import msgspec

from apps.delivery.destinations.interface import Target
from apps.delivery.models import Connection, DeliveryStream, DeliveryStreamVersion, DestinationType, Lane, LaneRole
from apps.delivery.settings import Hints, backup_s3, buffering, errors_s3, hints
from apps.encryption.sealed_text import open_text
from apps.runtime import Runtime

Json = dict[str, Any]


def target_for(
    runtime: Runtime, stream: DeliveryStream, version_id: int | None = None, part: str = "destination"
) -> Target:
    """The target of a part: destination, backup, or errors. version_id: None for the present one."""
    kept: DeliveryStream | DeliveryStreamVersion = stream
    if version_id is not None and version_id != stream.version_id:
        kept = stream.versions.get(version_id=version_id)
    description, destination_type = kept.destination, kept.destination_type
    if part == "backup":
        description, destination_type = backup_s3(destination_type, description) or {}, DestinationType.S3.value
    elif part == "errors":
        description, destination_type = errors_s3(destination_type, description), DestinationType.S3.value
    return Target(
        stream.team_id,
        stream.team.account_id,
        stream.region,
        stream.pk,
        stream.name,
        str(stream.arn),
        kept.version_id,
        destination_type,
        description,
        secrets_of(runtime, kept.sealed_secrets),
        {one.part: _connection(runtime, one) for one in stream.connections.all()},
        stream.source.get("KinesisStreamARN", ""),
        part,
    )


def secrets_of(runtime: Runtime, sealed: str) -> dict[str, str]:
    """Secrets of a description by the path of their member."""
    if not sealed:
        return {}
    return msgspec.json.decode(open_text(runtime.config.master_key_path, sealed), type=dict[str, str])


def _connection(runtime: Runtime, row: Connection) -> Json:
    given: Json = {"endpoint_url": row.endpoint_url, "region": row.region, "access_key_id": row.access_key_id}
    if row.sealed_secret:
        given["secret_access_key"] = open_text(runtime.config.master_key_path, row.sealed_secret)
    return {name: value for name, value in given.items() if value}


def part_of(lane: Lane) -> str:
    """Which part of the delivery stream a lane delivers to."""
    match lane.role:
        case LaneRole.BACKUP:
            return "backup"
        case LaneRole.ERRORS:
            return "errors"
        case _:
            return "destination"


def hints_of(lane: Lane) -> Hints:
    """The hints that a lane's batches follow: the destination's, or those of the bucket."""
    stream = lane.delivery_stream
    match lane.role:
        case LaneRole.BACKUP:
            return hints(backup_s3(stream.destination_type, stream.destination) or {})
        case LaneRole.ERRORS:
            return hints(errors_s3(stream.destination_type, stream.destination))
        case _:
            return buffering(stream.destination_type, stream.destination)
