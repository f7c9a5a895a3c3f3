"""Tags of what is no stream, consumer or queue, for aws:ResourceTag: users, roles, policies, keys, alarms,
dashboards, delivery streams and channels, by ARN."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from apps.access.models import Identity, ManagedPolicy
from apps.base.arn import parse_channel_arn, parse_delivery_stream_arn
from apps.cloudwatch.models import Alarm, Dashboard
from apps.delivery.catalog import DeliveryCatalog
from apps.delivery.models import DeliveryStream
from apps.encryption.models import Key
from apps.runtime import Call

SERVICES = frozenset({"iam", "kms", "cloudwatch", "firehose"})

NONE: Mapping[str, str] = {}


def tags_now(call: Call, arn: str) -> Mapping[str, str]:
    """The tags, in the transaction of a control-plane call; none of what is not the caller's, or does not exist."""
    parts = arn.split(":", 5)
    if (channel := parse_channel_arn(arn)) is not None and channel.account_id == call.principal.account_id:
        return _of_channel(call.principal.team_id, channel.channel_id)
    if len(parts) != 6 or parts[2] not in SERVICES or parts[4] != call.principal.account_id:
        return NONE
    if parts[2] == "firehose":
        return _of_delivery_stream(call.principal.team_id, parts[5].removeprefix("deliverystream/"))
    found = _find(call.principal.team_id, parts[2], parts[5])
    return found.tags if found is not None else NONE


async def tags_of_delivery_stream(call: Call, arn: str) -> Mapping[str, str]:
    """The same of a delivery stream in the data plane, from its snapshot; none of what is no delivery stream."""
    parsed = parse_delivery_stream_arn(arn)
    if parsed is None or parsed.account_id != call.principal.account_id:
        return NONE
    catalog = call.runtime.part(DeliveryCatalog)
    view = catalog.peek(parsed.account_id, parsed.name, call.now_ms)
    view = view or await catalog.find(parsed.account_id, parsed.name, call.now_ms)
    return view.tags if view is not None else NONE


def _of_delivery_stream(team_id: int, name: str) -> Mapping[str, str]:
    found = DeliveryStream.objects.filter(team_id=team_id, channel_id="", name=name).first()
    return dict(found.tags.values_list("key", "value")) if found is not None else NONE


def _of_channel(team_id: int, channel_id: str) -> Mapping[str, str]:
    found = DeliveryStream.objects.filter(team_id=team_id, channel_id=channel_id).first()
    return dict(found.tags.values_list("key", "value")) if found is not None else NONE


def _find(team_id: int, service: str, rest: str) -> Identity | ManagedPolicy | Key | Alarm | Dashboard | None:
    if service == "cloudwatch" and rest.startswith("dashboard/"):
        return Dashboard.objects.filter(team_id=team_id, name=rest.removeprefix("dashboard/")).first()
    if service == "cloudwatch":
        return Alarm.objects.filter(team_id=team_id, name=rest.removeprefix("alarm:")).first()
    kind, _, path = rest.partition("/")
    if service == "kms":
        return _key(team_id, path) if kind == "key" else None
    name_key = path.rpartition("/")[2].lower()
    if kind == "policy":
        return ManagedPolicy.objects.filter(team_id=team_id, name_key=name_key).first()
    return Identity.objects.filter(team_id=team_id, kind=kind, name_key=name_key).first()


def _key(team_id: int, key_id: str) -> Key | None:
    try:
        wanted = UUID(key_id)
    except ValueError:
        return None
    return Key.objects.filter(team_id=team_id, key_id=wanted).first()
