"""Everything that is configured of a team, as JSON, section by section and some rows at a time: never all in memory.

No secrets: no keys' secrets, no tokens, no credentials of destinations. No records, and no audit trail, which has an export
of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from apps.accounts.models import AccessKey, Invitation, Membership, Team, TeamRole
from apps.accounts.permissions import actions_of
from apps.accounts.roles import Role
from apps.billing.models import Budget
from apps.cloudwatch.models import Alarm, Dashboard
from apps.delivery.models import DeliveryStream
from apps.queues.models import Queue
from apps.streams.models import Stream
from apps.teams import teams

FORMAT: Final = "tidegate-team/1"
ROWS_AT_ONCE: Final = 100
ROWS_MAX: Final = 100_000
"""Of one section; a section with more says so."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """One list of the file. action: who may not do it does not get it."""

    name: str
    action: str
    rows: Callable[[Team], Any]
    shown: Callable[[Any], Json]


def _stream(row: Stream) -> Json:
    shards = [
        {
            "shard_id": shard.shard_id,
            "start_hash": shard.start_hash,
            "end_hash": shard.end_hash,
            "parent_index": shard.parent_index,
            "adjacent_parent_index": shard.adjacent_parent_index,
            "open": shard.closed_at_ms is None,
        }
        for shard in row.shards.all()
        if shard.opened_at_ms is not None and shard.expired_at_ms is None
    ]
    consumers = [
        {
            "name": one.name,
            "arn": str(one.arn),
            "resource_policy": one.resource_policy,
            "tags": {tag.key: tag.value for tag in one.tags.all()},
        }
        for one in row.consumers.all()
    ]
    return {
        "name": row.name,
        "arn": str(row.arn),
        "status": row.status,
        "mode": row.mode,
        "retention_hours": row.retention_hours,
        "max_record_size_kib": row.max_record_size_kib,
        "distribution_strategy": row.distribution_strategy,
        "warm_throughput_mibps": row.warm_throughput_mibps,
        "shard_level_metrics": row.shard_level_metrics,
        "encryption_key_id": row.encryption_key_id,
        "resource_policy": row.resource_policy,
        "created_at_ms": row.created_at_ms,
        "tags": {tag.key: tag.value for tag in row.tags.all()},
        "shards": shards,
        "consumers": consumers,
    }


def _delivery(row: DeliveryStream) -> Json:
    return {
        "name": row.name,
        "arn": str(row.arn),
        "kind": "channel" if row.channel_id else "delivery stream",
        "status": row.status,
        "source_type": row.source_type,
        "source": row.source,
        "destination_type": row.destination_type,
        "destination": row.destination,
        "encryption": row.encryption,
        "paused": row.paused_at_ms is not None,
        "created_at_ms": row.created_at_ms,
        "tags": {tag.key: tag.value for tag in row.tags.all()},
    }


def _queue(row: Queue) -> Json:
    return {
        "name": row.name,
        "stream": row.stream.name,
        "status": row.status,
        "start_type": row.start_type,
        "visibility_timeout_s": row.visibility_timeout_s,
        "max_receive_count": row.max_receive_count,
        "resource_policy": row.resource_policy,
    }


def _alarm(row: Alarm) -> Json:
    return {"name": row.name, "actions_enabled": row.actions_enabled, "tags": row.tags, "settings": row.settings}


def _budget(row: Budget) -> Json:
    names = ("name", "amount_cents", "resource", "thresholds", "on_forecast", "emails", "action", "created_at_ms")
    return {name: getattr(row, name) for name in names}


def _dashboard(row: Dashboard) -> Json:
    return {"name": row.name, "tags": row.tags, "body": json.loads(row.body)}


def _member(row: Membership) -> Json:
    return {"email": row.user.email, "name": row.user.name, "role": row.role_label, "since_ms": row.created_at_ms}


def _invitation(row: Invitation) -> Json:
    names = ("email", "created_at_ms", "expires_at_ms", "accepted_at_ms", "revoked_at_ms")
    return {"role": row.role_label, **{name: getattr(row, name) for name in names}}


def _role(row: TeamRole) -> Json:
    return {"name": row.name, "description": row.description, "actions": sorted(row.actions)}


def _key(row: AccessKey) -> Json:
    names = ("key_id", "name", "is_active", "created_at_ms", "last_used_at_ms")
    return {name: getattr(row, name) for name in names}


SECTIONS: Final = (
    Section(
        "streams",
        "stream:read",
        lambda team: (
            Stream.objects.filter(team=team)
            .select_related("team")
            .prefetch_related("tags", "shards", "consumers__tags", "consumers__stream__team")
        ),
        _stream,
    ),
    Section(
        "delivery_streams",
        "delivery:read",
        lambda team: DeliveryStream.objects.filter(team=team).select_related("team").prefetch_related("tags"),
        _delivery,
    ),
    Section("queues", "stream:read", lambda team: Queue.objects.filter(team=team).select_related("stream"), _queue),
    Section("alarms", "alarm:read", lambda team: Alarm.objects.filter(team=team), _alarm),
    Section("dashboards", "alarm:read", lambda team: Dashboard.objects.filter(team=team), _dashboard),
    Section("budgets", "billing:read", lambda team: Budget.objects.filter(team=team), _budget),
    Section(
        "members",
        "member:read",
        lambda team: Membership.objects.filter(team=team).select_related("user", "own_role"),
        _member,
    ),
    Section("roles", "member:read", lambda team: TeamRole.objects.filter(team=team), _role),
    Section(
        "invitations",
        "member:read",
        lambda team: Invitation.objects.filter(team=team).select_related("own_role"),
        _invitation,
    ),
    Section("access_keys", "key:read", lambda team: AccessKey.objects.filter(team=team), _key),
)


def pieces(team: Team, actions: frozenset[str], at_ms: int) -> Iterator[str]:
    """The file's text, in pieces of at most ROWS_AT_ONCE rows. actions: of whoever asks; sections that they may not see are
    named under `left_out`."""
    about = {**teams.state(team), "created_at_ms": team.created_at_ms}
    yield f'{{"format": {_text(FORMAT)}, "exported_at_ms": {at_ms}, "team": {_text(about)}'
    left_out = []
    for section in SECTIONS:
        if section.action not in actions:
            left_out.append({"section": section.name, "needs": section.action})
            continue
        yield f', "{section.name}": ['
        count = 0
        for rows in _chunks(section, team):
            yield (", " if count else "") + ", ".join(_text(section.shown(row)) for row in rows)
            count += len(rows)
        yield "]"
        if count >= ROWS_MAX:
            left_out.append({"section": section.name, "more_than": str(ROWS_MAX)})
    six = {str(role.label): sorted(actions_of(role)) for role in Role}
    yield f', "built_in_roles": {_text(six)}, "left_out": {_text(left_out)}}}\n'


def _chunks(section: Section, team: Team) -> Iterator[list[Any]]:
    after, left = 0, ROWS_MAX
    while left:
        rows = list(section.rows(team).filter(pk__gt=after).order_by("pk")[: min(ROWS_AT_ONCE, left)])
        if not rows:
            return
        yield rows
        after, left = rows[-1].pk, left - len(rows)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
