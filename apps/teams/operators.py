"""People who run the installation (User.is_staff): what all teams share is theirs to change, also where they are no member."""

from __future__ import annotations

from dataclasses import replace

from apps.access.changes import Actor
from apps.accounts.models import Team, User
from apps.teams.authority import NotAllowed


def operator(person: User) -> None:
    """Raise NotAllowed if they do not run the installation; asked anew, their row held until the transaction ends."""
    if User.objects.select_for_update().filter(pk=person.pk, is_staff=True, is_active=True).first() is None:
        raise NotAllowed("This is done by people who run this installation.")


def for_team(actor: Actor, team: Team | None) -> Actor:
    """The same person in the trail of the team that they change something for; None: of the team they speak for."""
    if team is None:
        return actor
    return replace(actor, account_id=team.account_id, principal=f"arn:aws:iam::{team.account_id}:root")
