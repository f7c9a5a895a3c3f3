"""The row of the stream that a control-plane request names; always within the caller's own team."""

from __future__ import annotations

from typing import Any

from django.db.models import F

from apps.accounts.models import Team
from apps.base.arn import parse_consumer_arn
from apps.runtime import Call
from apps.streams.addressing import stream_name
from apps.streams.errors import ResourceInUseException, ResourceNotFoundException
from apps.streams.models import Consumer, Stream, StreamStatus

IN_SERVICE = (StreamStatus.ACTIVE, StreamStatus.UPDATING)


def name_in(call: Call, params: dict[str, Any]) -> str:
    """The stream's name by StreamName or StreamARN. See addressing.stream_name for the errors."""
    return stream_name(call.principal.account_id, params.get("StreamName"), params.get("StreamARN"))


def find(call: Call, params: dict[str, Any]) -> Stream:
    """The stream meant. Raises InvalidArgumentException and ResourceNotFoundException."""
    found = by_name(call, name_in(call, params))
    arn = params.get("StreamARN")
    if arn and str(found.arn) != arn:
        raise ResourceNotFoundException.stream(found.name, call.principal.account_id)
    return found


def by_name(call: Call, name: str) -> Stream:
    """The team's stream of that name. Raises ResourceNotFoundException."""
    found = Stream.objects.select_related("team").filter(team_id=call.principal.team_id, name=name).first()
    if found is None:
        raise ResourceNotFoundException.stream(name, call.principal.account_id)
    return found


def consumer(call: Call, arn: str) -> Consumer:
    """The team's registered consumer of that ARN. Raises ResourceNotFoundException."""
    parsed = parse_consumer_arn(arn)
    if parsed is not None:
        rows = Consumer.objects.select_related("stream__team").filter(stream__team_id=call.principal.team_id)
        found = rows.filter(stream__name=parsed.stream.name, name=parsed.name).first()
        if found is not None and str(found.arn) == arn:
            return found
    raise ResourceNotFoundException.consumer(arn, call.principal.account_id)


def change(stream: Stream) -> None:
    """Raise the version first of all: it tells the hot path, and holds the row until the transaction ends, so that
    what is then read and written of this stream is read and written by one call at a time."""
    Stream.objects.filter(pk=stream.pk).update(version=F("version") + 1)
    stream.refresh_from_db()


def hold_team(call: Call) -> None:
    """Hold the team's row until the transaction ends: quotas are counted and used up by one call at a time.

    Without its key: rows that point to the team are written meanwhile by calls that hold their stream's row.
    """
    Team.objects.select_for_update(no_key=True).get(pk=call.principal.team_id)


def require_active(stream: Stream, *allowed: str) -> None:
    """Raises ResourceInUseException unless the stream is ACTIVE, or in one of the states allowed beside."""
    if stream.status != StreamStatus.ACTIVE and stream.status not in allowed:
        raise ResourceInUseException.stream_not_active(stream.name, stream.team.account_id, stream.status)


def by_key(call: Call, key: int) -> Stream:
    """The team's stream with that row id, from a token. Raises ResourceNotFoundException: it was deleted since."""
    found = Stream.objects.select_related("team").filter(team_id=call.principal.team_id, pk=key).first()
    if found is None:
        raise ResourceNotFoundException("The stream that NextToken was given for does not exist any more.")
    return found
