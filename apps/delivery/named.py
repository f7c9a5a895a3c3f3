"""The row of the delivery stream that a control-plane request names; always within the caller's own team."""

from __future__ import annotations

from typing import Any

from django.db.models import F, QuerySet

from apps.delivery.errors import ResourceInUseException, ResourceNotFoundException
from apps.delivery.models import DeliveryStream, DeliveryStreamStatus
from apps.runtime import Call

Json = dict[str, Any]


def own(call: Call) -> QuerySet[DeliveryStream]:
    """The team's delivery streams; channels, which share their table, are none."""
    return DeliveryStream.objects.select_related("team").filter(team_id=call.principal.team_id, channel_id="")


def find(call: Call, params: Json) -> DeliveryStream:
    """The delivery stream meant by DeliveryStreamName. Raises ResourceNotFoundException."""
    name = params["DeliveryStreamName"]
    found = own(call).filter(name=name).first()
    if found is None:
        raise ResourceNotFoundException.delivery_stream(name, call.principal.account_id)
    return found


def change(stream: DeliveryStream) -> None:
    """Raise the version first of all: it tells the hot path, and holds the row until the transaction ends, so that what
    is then read and written of this delivery stream is read and written by one call at a time."""
    DeliveryStream.objects.filter(pk=stream.pk).update(version=F("version") + 1)
    stream.refresh_from_db()


def require_active(stream: DeliveryStream) -> None:
    """Raises ResourceInUseException unless the delivery stream is ACTIVE."""
    if stream.status != DeliveryStreamStatus.ACTIVE:
        raise ResourceInUseException.not_active(stream.name, stream.team.account_id, stream.status)
