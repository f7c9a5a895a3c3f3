"""Teams: making one, and its settings. A team is an account to AWS's clients."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from django.db import IntegrityError, transaction

from apps.access import changes
from apps.access.changes import Actor
from apps.access.models import TeamAccess
from apps.accounts.models import Membership, Team, User
from apps.accounts.roles import Role
from apps.cloudwatch import actions
from apps.teams.authority import By, NotAllowed, Refused, lock

ENVIRONMENTS: Final = {
    "production": "Production",
    "staging": "Staging",
    "development": "Development",
    "other": "Other",
}
"""What a team is for; each has its colour in the console, so that production looks like production."""

NAME_CHARS_MAX = 80
SLUG_CHARS_MAX = 40
NOTIFY_MAX = 5
"""As many actions as AWS allows an alarm."""

NOTIFY_CHARS_MAX = 1_024
TEAMS_MAX = 1_000
"""Of one installation."""

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


class BadName(Refused):
    """The team's name is empty or too long."""

    code = "BadName"
    field = "name"


class BadSlug(Refused):
    """Not 1 to 40 small letters, digits and hyphens."""

    code = "BadSlug"
    field = "slug"


class SlugTaken(Refused):
    """Another team has it."""

    code = "SlugTaken"
    field = "slug"


class BadEnvironment(Refused):
    """None of ENVIRONMENTS."""

    code = "BadEnvironment"
    field = "environment"


class BadNotify(Refused):
    """A notification address is none, or there are too many."""

    code = "BadNotify"
    field = "notify"


class TooManyTeams(Refused):
    """TEAMS_MAX are there."""

    code = "TooManyTeams"


@transaction.atomic
def create(actor: Actor, person: User, slug: str, name: str, environment: str) -> Team:
    """A new team with a random account id; its maker is its owner (CreateTeam). Only for people who run the installation
    (User.is_staff). Raises NotAllowed, BadSlug, SlugTaken, BadName, BadEnvironment, TooManyTeams."""
    if User.objects.select_for_update().filter(pk=person.pk, is_staff=True, is_active=True).first() is None:
        raise NotAllowed("Teams are made by people who run this installation.")
    name, environment = _name(name), _environment(environment)
    if not _SLUG.fullmatch(slug):
        raise BadSlug(f"Small letters, digits and hyphens, at most {SLUG_CHARS_MAX}; a hyphen neither first nor last.")
    if Team.objects.filter(slug=slug).exists():
        raise SlugTaken(f"There is a team {slug} already.")
    if Team.objects.count() >= TEAMS_MAX:
        raise TooManyTeams(f"There are {TEAMS_MAX} teams already.")
    try:
        with transaction.atomic():
            team = Team.objects.create(
                account_id=_new_account_id(), slug=slug, name=name, environment=environment, created_at_ms=actor.at_ms
            )
    except IntegrityError as error:
        raise SlugTaken(f"There is a team {slug} already.") from error
    Membership.objects.create(team=team, user=person, role=Role.OWNER, created_at_ms=actor.at_ms)
    _write(actor, team, "CreateTeam", None)
    return team


@transaction.atomic
def update(by: By, name: str, environment: str, notify: Iterable[str], *, allow_private: bool) -> Team:
    """Change name, environment and where new alarms send their news (UpdateTeam). Needs team:write. notify: https://… and
    mailto:… addresses. allow_private: the installation lets webhooks go to private addresses. Raises NotAllowed, BadName,
    BadEnvironment, BadNotify, Gone."""
    by = lock(by, "team:write")
    team = by.membership.team
    before = state(team)
    team.name, team.environment = _name(name), _environment(environment, team.environment)
    team.notify = _notify(notify, allow_private=allow_private)
    if state(team) != before:
        team.save(update_fields=["name", "environment", "notify"])
        _write(by.actor, team, "UpdateTeam", before)
    return team


@transaction.atomic
def record_data_calls(by: By, *, on: bool) -> None:
    """Have the team's data calls (PutRecord, GetRecords …) in the audit trail, or no longer; within a second everywhere
    (RecordDataCalls). Needs team:write. Raises NotAllowed, Gone."""
    by = lock(by, "team:write")
    team = by.membership.team
    was = records_data_calls(team)
    if was != on:
        TeamAccess.objects.update_or_create(team=team, defaults={"audits_data": on})
        changes.write(by.actor, "RecordDataCalls", f"team/{team.slug}", {"data_calls": was}, {"data_calls": on})


def records_data_calls(team: Team) -> bool:
    """Are the team's data calls in the audit trail?"""
    return TeamAccess.objects.filter(team=team, audits_data=True).exists()


def state(team: Team) -> dict[str, Any]:
    """A team as the trail keeps it."""
    return {
        "name": team.name,
        "slug": team.slug,
        "account_id": team.account_id,
        "environment": team.environment,
        "notify": [*team.notify],
    }


def _name(name: str) -> str:
    words = " ".join(name.split())
    if not words or len(words) > NAME_CHARS_MAX:
        raise BadName(f"A name has 1 to {NAME_CHARS_MAX} characters.")
    return words


def _environment(environment: str, present: str = "") -> str:
    """present: what the team has now stays possible: older teams have words of their own."""
    if environment not in ENVIRONMENTS and environment != present:
        raise BadEnvironment(f"An environment is one of {', '.join(ENVIRONMENTS)}.")
    return environment


def _notify(notify: Iterable[str], *, allow_private: bool) -> list[str]:
    wanted = list(dict.fromkeys(text.strip() for text in notify if text.strip()))
    if len(wanted) > NOTIFY_MAX:
        raise BadNotify(f"At most {NOTIFY_MAX} addresses.")
    for target in wanted:
        if len(target) > NOTIFY_CHARS_MAX:
            raise BadNotify(f"An address has at most {NOTIFY_CHARS_MAX} characters.")
        wrong = actions.check(target, allow_private=allow_private)
        if wrong:
            raise BadNotify(f"{target}: {wrong}")
    return wanted


def _new_account_id() -> str:
    while True:
        wanted = f"{secrets.randbelow(9) + 1}{secrets.randbelow(10**11):011}"
        if not Team.objects.filter(account_id=wanted).exists():
            return wanted


def _write(actor: Actor, team: Team, operation: str, before: dict[str, Any] | None) -> None:
    of_team = replace(actor, account_id=team.account_id, principal=f"arn:aws:iam::{team.account_id}:root")
    changes.write(of_team, operation, f"team/{team.slug}", before, state(team))
