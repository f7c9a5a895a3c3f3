"""What is written down of people's own accounts: signing in, passwords, second steps, profiles.

A person belongs to no team, so each of the person's teams gets the entry: those who run it see who got in and how.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from allauth.account.internal.flows.login import get_authentication_records
from django.http import HttpRequest

from apps.access import changes
from apps.access.changes import Actor, State
from apps.accounts.models import Membership, User
from console import calls

TEAMS_MAX: Final = 50
"""Of the teams that get the entry."""


def of_person(request: HttpRequest, user: User, operation: str, before: State | None, after: State | None) -> None:
    """Write one change about this person, in the transaction that is open, if one is."""
    by = replace(calls.actor(request), person_id=user.pk, person=user.email)
    for of_team in _in_each_team(by, user):
        changes.write(of_team, operation, f"member/{user.email}", before, after)


def of_failure(by: Actor, user: User, operation: str, code: str, sentence: str) -> None:
    """Write that somebody failed to be this person: the address is theirs, who tried it is not known."""
    for of_team in _in_each_team(replace(by, person_id=None, person=user.email), user):
        changes.write(of_team, operation, f"member/{user.email}", None, None, outcome=code, message=sentence)


def _in_each_team(by: Actor, user: User) -> list[Actor]:
    accounts = Membership.objects.filter(user=user).order_by("pk").values_list("team__account_id", flat=True)
    return [
        replace(by, account_id=account_id, principal=f"arn:aws:iam::{account_id}:root")
        for account_id in list(accounts[:TEAMS_MAX]) or [""]
    ]


def steps(request: HttpRequest) -> list[str]:
    """How the session's person proved who they are: `password`, `totp`, `webauthn`, `recovery_codes`, `openid_connect`."""
    user = request.user if isinstance(request.user, User) else None
    return [
        str(one.get("type") or one.get("provider") or one["method"])
        for one in get_authentication_records(request, user)
    ]
