"""UpdateDestination."""

from __future__ import annotations

from typing import Any

from apps.delivery import metrics, named, versions
from apps.delivery.configuration import kinds, secrets
from apps.delivery.configuration.members import Situation
from apps.delivery.configuration.updates import updated
from apps.delivery.due import due_now
from apps.delivery.errors import ConcurrentModificationException, InvalidArgumentException
from apps.delivery.models import DeliveryStream, DestinationType
from apps.delivery.operations.stream import DESTINATION_ID
from apps.runtime import Call

Json = dict[str, Any]


def update_destination(call: Call, params: Json) -> Json:
    """Change what a delivery stream delivers to, or how.

    Kept from AWS: the VersionId must be the present one, and rises; the same type merges, another replaces; which changes
    are not possible (to and from HTTP endpoints and OpenSearch, a backup switched off, partitioning switched on or off).
    What was about to be delivered when the call came is delivered as it was about to be.
    Not kept: an HTTP endpoint's access key does not move to another Url; as CreateDeliveryStream.
    """
    stream = named.find(call, params)
    update = kinds.given_destination(params, "Update")
    named.change(stream)
    named.require_active(stream)
    if params["DestinationId"] != DESTINATION_ID:
        raise InvalidArgumentException(f"Destination Id {params['DestinationId']} not found")
    if int(params["CurrentDeliveryStreamVersionId"]) != stream.version_id:
        raise ConcurrentModificationException(
            f"Cannot update firehose: {stream.name} since the current version id: {stream.version_id} and specified "
            f"version id: {params['CurrentDeliveryStreamVersionId']} do not match"
        )
    master_key_path = call.runtime.config.master_key_path
    old_type = DestinationType(stream.destination_type)
    old = secrets.put_back(stream.destination, secrets.unseal(master_key_path, stream.sealed_secrets))
    description = updated((old_type, old), update, Situation.of(call))
    kept, found_secrets = secrets.taken_out(update[0], description)
    _write(call, stream, update[0], kept, secrets.seal(master_key_path, found_secrets))
    metrics.called(call, stream.pk, "UpdateDeliveryStream")
    return {}


def _write(call: Call, stream: DeliveryStream, destination_type: str, kept: Json, sealed: str) -> None:
    stream.destination_type, stream.destination, stream.sealed_secrets = destination_type, kept, sealed
    stream.version_id += 1
    stream.updated_at_ms = call.now_ms
    stream.save(update_fields=["destination_type", "destination", "sealed_secrets", "version_id", "updated_at_ms"])
    versions.keep(stream, call.now_ms)
    due_now(stream, call.now_ms)
