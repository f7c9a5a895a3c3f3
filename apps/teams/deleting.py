"""Deleting a team, for good. What holds data must be deleted first, each by its own operation; the rest goes with the team.
The audit trail and the bills stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

from apps.access import changes
from apps.access.models import Endpoint, Identity, ManagedPolicy
from apps.accounts.models import AccessKey, ApiToken, Invitation, LeavingTeam, Membership, Team
from apps.billing import closing
from apps.billing.models import (
    Bill,
    BilledResource,
    Budget,
    CommittedHour,
    Correction,
    Credit,
    FrozenMonth,
    MeterReading,
    PriceBook,
    UsageDay,
    UsageHour,
)
from apps.catalogue.models import Database, Registry
from apps.cloudwatch.models import Alarm, Dashboard
from apps.delivery.models import DeliveryStream
from apps.queues.models import Queue
from apps.recordlog.interface import RecordLogError
from apps.runtime import Runtime
from apps.streams import read_usage
from apps.streams.models import Ingestion, Stream
from apps.streams.read_meters import ReadMeters
from apps.teams import invitations, standing, teams
from apps.teams.authority import By, Gone, Refused, lock

log = structlog.get_logger(__name__)

NAMES_SHOWN = 20

GOES_WITH_IT: tuple[Any, ...] = (
    Ingestion,
    Identity,
    ManagedPolicy,
    Endpoint,
    Database,
    Registry,
    MeterReading,
    UsageHour,
    UsageDay,
    CommittedHour,
    Correction,
    BilledResource,
    Credit,
    PriceBook,
)
"""Rows that the database would keep a team for. Whatever else points to a team goes with it by itself."""


HOLD_ROLES: tuple[Any, ...] = (Invitation, Membership)
"""Rows that go with a team, but keep a role of its own as long as they are there."""


class NotEmpty(Refused):
    """Streams, delivery streams, channels or queues are there."""

    code = "TeamNotEmpty"
    field = "name"


class FirstTeam(Refused):
    """The installation's first team: `up`, its settings and its credentials stand on it."""

    code = "FirstTeam"
    field = "name"


class WrongName(Refused):
    """Not the team's short name."""

    code = "WrongName"
    field = "name"


class Unbilled(Refused):
    """Its last bill cannot be made: something that it used has no price, or is not counted yet."""

    code = "TeamNotBilled"
    field = "name"


@dataclass(frozen=True, slots=True)
class Dependant:
    """What belongs to a team. names: the first NAMES_SHOWN. blocking: it must be deleted before the team can be."""

    what: str
    count: int
    names: list[str]
    fate: str
    blocking: bool = False


def dependants(team: Team, now_ms: int) -> list[Dependant]:
    """Everything that there is of a team, what blocks its deletion first."""
    deliveries = DeliveryStream.objects.filter(team=team)
    first = "must be deleted first"
    found = [
        _some("Data streams", Stream.objects.filter(team=team), "name", first, blocking=True),
        _some("Delivery streams", deliveries.filter(channel_id=""), "name", first, blocking=True),
        _some("Channels", deliveries.exclude(channel_id=""), "name", first, blocking=True),
        _some("Queues", Queue.objects.filter(team=team), "name", first, blocking=True),
        _some("Members", team.memberships, "user__email", "lose the team; their accounts stay"),
        _some("Open invitations", invitations.open_ones(team.pk, now_ms), "email", "their links stop working"),
        _some("Access keys", AccessKey.objects.filter(team=team), "key_id", "stop working within a second"),
        _some("API tokens", ApiToken.objects.filter(membership__team=team), "name", "stop working at once"),
        _some("Alarms", Alarm.objects.filter(team=team), "name", "deleted, with their history"),
        _some("Dashboards", Dashboard.objects.filter(team=team), "name", "deleted"),
        _some("Budgets", Budget.objects.filter(team=team), "name", "deleted, with their alerts"),
        _some("Users, roles and groups of IAM", Identity.objects.filter(team=team), "name", "deleted, with policies"),
        _some("Catalogue databases", Database.objects.filter(team=team), "name", "deleted; objects in S3 stay"),
        _some("Schema registries", Registry.objects.filter(team=team), "name", "deleted, with their schemas"),
    ]
    return [one for one in found if one.count]


def is_first(team: Team) -> bool:
    """Is it the installation's first, which stays? So the last one stays, too."""
    return not Team.objects.filter(pk__lt=team.pk).exists()


@transaction.atomic
def delete(by: By, name: str, runtime: Runtime) -> None:
    """Delete the team (DeleteTeam) with members, invitations, keys, tokens, alarms, metrics and usage; its audit trail
    stays, and its bills, of which the last is made now. Needs team:delete. name: its short name, typed. Raises NotAllowed,
    WrongName, FirstTeam, NotEmpty, Unbilled, Gone."""
    by = lock(by, "team:delete")
    team = Team.objects.filter(pk=by.membership.team_id).first()
    if team is None:
        raise Gone("The team was deleted.")
    if name != team.slug:
        raise WrongName(f"Type {team.slug} to delete the team.")
    if is_first(team):
        raise FirstTeam("This is the team that Tidegate itself starts with; it cannot be deleted.")
    left = [f"{one.count} {one.what.lower()}" for one in dependants(team, by.actor.at_ms) if one.blocking]
    if left:
        raise NotEmpty(f"The team still has {', '.join(left)}. Delete them first.")
    before = teams.state(team)
    _count_reads(team, runtime)
    _close_bills(team, by.actor.at_ms)
    LeavingTeam.objects.create(team=team)  # the database would not let go of what was billed (billing/money_guard.py)
    for model in (*GOES_WITH_IT, FrozenMonth, *HOLD_ROLES):
        model.objects.filter(team=team).delete()
    Bill.objects.filter(team=team).update(team=None)
    team.delete()
    changes.write(by.actor, "DeleteTeam", f"team/{name}", before, None)
    standing.changed(by.membership.team_id)


def _count_reads(team: Team, runtime: Runtime) -> None:
    """What readers got since the worker counted last: it would find nobody to book it on."""
    try:
        if (meters := runtime.made(ReadMeters)) is not None:
            runtime.wait_for(meters.save())
        counted = read_usage.count_for_team(runtime, team.pk)
    except (RecordLogError, TimeoutError) as error:
        log.warning("last_reads_not_counted", team=team.pk, error=repr(error))
        counted = False
    if not counted:
        raise Unbilled("What the team's readers got last is not counted yet. Try again in a minute.")


def _close_bills(team: Team, now_ms: int) -> None:
    try:
        closing.close_for_good(team, settings.CONFIG.region, now_ms)
    except closing.Unpriced as error:
        raise Unbilled(
            f"The team's last bill cannot be made. {error} Publish a price, then delete the team."
        ) from error


def _some(what: str, rows: Any, column: str, fate: str, *, blocking: bool = False) -> Dependant:
    names = list(rows.order_by(column).values_list(column, flat=True)[: NAMES_SHOWN + 1])
    count = len(names) if len(names) <= NAMES_SHOWN else rows.count()
    return Dependant(what, count, names[:NAMES_SHOWN], fate, blocking)
