"""Invitations: a link that makes whoever has it, and signs in with the invited address, a member. Once, within seven days.

Only the link's digest is stored. Who has no account yet makes one with the link: for a person's first account the link is
what proves the address, so it is to be sent to that person and nobody else.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from apps.access import changes
from apps.access.changes import Actor
from apps.accounts.models import Invitation, Membership, Team, User
from apps.base.units import DAY_MS
from apps.teams.authority import By, Gone, Refused, RoleChoice, fresh, lock, within_reach

TOKEN_BYTES = 24
LASTS_DAYS = 7
OPEN_PER_TEAM_MAX = 200
EMAIL_CHARS_MAX, NAME_CHARS_MAX = 254, 120

OPEN, EXPIRED, ACCEPTED, REVOKED = "open", "expired", "accepted", "revoked"


class BadAddress(Refused):
    """It is no e-mail address."""

    code = "BadAddress"
    field = "email"


class AlreadyMember(Refused):
    """The person is in the team."""

    code = "AlreadyMember"
    field = "email"


class AlreadyInvited(Refused):
    """An open invitation for this address exists."""

    code = "AlreadyInvited"
    field = "email"


class TooManyInvitations(Refused):
    """OPEN_PER_TEAM_MAX are open."""

    code = "TooManyInvitations"


class Closed(Refused):
    """Accepted or revoked: closed for good; or expired: can be sent again. state: which."""

    code = "InvitationClosed"

    def __init__(self, state: str) -> None:
        super().__init__(f"This invitation is {state}.")
        self.state = state


class WrongPerson(Refused):
    """It is for another address than the one that is signed in."""

    code = "WrongPerson"


class PersonExists(Refused):
    """Somebody signs in with the invited address already, and must do so to accept."""

    code = "PersonExists"


@transaction.atomic
def invite(by: By, email: str, role: RoleChoice) -> tuple[Invitation, str]:
    """A new invitation and its token, which is not told again (InviteMember). Needs member:write.

    Raises BadAddress, AlreadyMember, AlreadyInvited, NotAllowed (the role has more than whoever asks), UnknownRole,
    TooManyInvitations.
    """
    by = lock(by, "member:write")
    team, email = by.membership.team, address(email)
    role = fresh(team, role)
    within_reach(by, role.actions, f"The role {role.label}")
    if Membership.objects.filter(team=team, user__email=email).exists():
        raise AlreadyMember(f"{email} is a member already.")
    waiting = open_ones(team.pk, by.actor.at_ms)
    if waiting.filter(email=email).exists():
        raise AlreadyInvited(f"{email} is invited already. Send that invitation again, or revoke it first.")
    if waiting.count() >= OPEN_PER_TEAM_MAX:
        raise TooManyInvitations(f"{OPEN_PER_TEAM_MAX} invitations are open. Revoke one first.")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    made = Invitation.objects.create(
        team=team, email=email, role=role.role, own_role=role.own_role, token_sha256=_digest(token),
        invited_by=by.membership.user, created_at_ms=by.actor.at_ms, expires_at_ms=_expiry(by.actor.at_ms),
    )  # fmt: skip
    changes.write(by.actor, "InviteMember", _resource(made), None, state(made))
    return made, token


@transaction.atomic
def resend(by: By, invitation: Invitation) -> tuple[Invitation, str]:
    """A new token for an open or expired invitation, good for seven days more; the old link stops working
    (ResendInvitation). Needs member:write. Whoever resends it is its sender then. Raises Closed, AlreadyInvited,
    AlreadyMember, NotAllowed, Gone."""
    by = lock(by, "member:write")
    found = invitation_of(by.membership.team, invitation.pk)
    if status(found, by.actor.at_ms) in {ACCEPTED, REVOKED}:
        raise Closed(status(found, by.actor.at_ms))
    within_reach(by, found.actions, f"The role {found.role_label}")
    if open_ones(found.team_id, by.actor.at_ms).filter(email=found.email).exclude(pk=found.pk).exists():
        raise AlreadyInvited(f"{found.email} has a newer invitation.")
    if Membership.objects.filter(team=found.team_id, user__email=found.email).exists():
        raise AlreadyMember(f"{found.email} is a member already.")
    before, token = state(found), secrets.token_urlsafe(TOKEN_BYTES)
    found.token_sha256, found.expires_at_ms = _digest(token), _expiry(by.actor.at_ms)
    found.invited_by = by.membership.user
    found.save(update_fields=["token_sha256", "expires_at_ms", "invited_by"])
    changes.write(by.actor, "ResendInvitation", _resource(found), before, state(found))
    return found, token


@transaction.atomic
def revoke(by: By, invitation: Invitation) -> None:
    """The link stops working, for good (RevokeInvitation). Needs member:write. Raises Closed (accepted or revoked already),
    NotAllowed, Gone."""
    by = lock(by, "member:write")
    found = invitation_of(by.membership.team, invitation.pk)
    if status(found, by.actor.at_ms) in {ACCEPTED, REVOKED}:
        raise Closed(status(found, by.actor.at_ms))
    revoke_all(by, [found])


def find(token: str) -> Invitation | None:
    """The invitation of this token, in whatever state, with team, role and sender."""
    rows = Invitation.objects.select_related("team", "own_role", "invited_by")
    return rows.filter(token_sha256=_digest(token)).first()


@transaction.atomic
def accept(actor: Actor, token: str, user: User) -> Membership:
    """Make a signed-in person a member (AcceptInvitation). actor: that person. Two at once: one gets in. Raises Gone,
    Closed, WrongPerson, AlreadyMember."""
    found = _waiting(token, actor.at_ms)
    if user.email.lower() != found.email:
        raise WrongPerson(f"This invitation is for {found.email}.")
    return _join(actor, found, user)


@transaction.atomic
def accept_new(actor: Actor, token: str, name: str, password: str) -> Membership:
    """Make an account for the invited address, and a member of it (AcceptInvitation). actor: whoever it is; the new person
    is written in. The password is checked by the caller. Raises Gone, Closed, PersonExists."""
    found = _waiting(token, actor.at_ms)
    taken = PersonExists(f"{found.email} has an account already. Sign in to accept.")
    if User.objects.filter(email=found.email).exists():
        raise taken
    try:
        with transaction.atomic():
            user = User.objects.create_user(
                found.email, password, name=" ".join(name.split())[:NAME_CHARS_MAX], created_at_ms=actor.at_ms
            )
    except IntegrityError as error:
        raise taken from error
    return _join(actor, found, user)


def status(invitation: Invitation, now_ms: int) -> str:
    """open, expired, accepted or revoked."""
    if invitation.accepted_at_ms is not None:
        return ACCEPTED
    if invitation.revoked_at_ms is not None:
        return REVOKED
    return OPEN if now_ms < invitation.expires_at_ms else EXPIRED


def open_ones(team_id: int, now_ms: int) -> QuerySet[Invitation]:
    """The team's invitations that can be accepted now."""
    mine = Invitation.objects.filter(team_id=team_id, accepted_at_ms=None, revoked_at_ms=None)
    return mine.filter(expires_at_ms__gt=now_ms)


def invitation_of(team: Team, pk: int) -> Invitation:
    """The team's invitation of this id. Raises Gone: also for another team's."""
    rows = Invitation.objects.select_related("team", "own_role", "invited_by")
    found = rows.filter(team=team, pk=pk).first()
    if found is None:
        raise Gone("There is no such invitation.")
    return found


def revoke_beyond(by: By, user_id: int, actions: frozenset[str]) -> None:
    """Revoke the open invitations of a member that give more than these actions, in the transaction that is open: nobody
    keeps a way into a role that they can no longer give."""
    sent = open_ones(by.membership.team_id, by.actor.at_ms).filter(invited_by=user_id).select_related("own_role")
    revoke_all(by, [one for one in sent if not ("member:write" in actions and one.actions <= actions)])


def revoke_all(by: By, found: list[Invitation]) -> None:
    """Revoke these, in the transaction that is open."""
    for one in found:
        before = state(one)
        one.revoked_at_ms = by.actor.at_ms
        one.save(update_fields=["revoked_at_ms"])
        changes.write(by.actor, "RevokeInvitation", _resource(one), before, None)


def address(email: str) -> str:
    """The address as it is stored: in small letters. Raises BadAddress."""
    text = email.strip().lower()
    try:
        validate_email(text)
    except ValidationError as error:
        raise BadAddress("This is no e-mail address.") from error
    if len(text) > EMAIL_CHARS_MAX:
        raise BadAddress(f"An address has at most {EMAIL_CHARS_MAX} characters.")
    return text


def state(invitation: Invitation) -> dict[str, Any]:
    """An invitation as the trail keeps it."""
    return {
        "email": invitation.email,
        "role": invitation.role_label,
        "expires_at_ms": invitation.expires_at_ms,
    }


def _waiting(token: str, now_ms: int) -> Invitation:
    """The open invitation of a token, under the team's lock."""
    found = find(token)
    if found is None:
        raise Gone("There is no such invitation.")
    Team.objects.select_for_update().get(pk=found.team_id)
    found = find(token)
    if found is None:
        raise Gone("There is no such invitation.")
    if status(found, now_ms) != OPEN:
        raise Closed(status(found, now_ms))
    return found


def _join(actor: Actor, found: Invitation, user: User) -> Membership:
    if Membership.objects.filter(team=found.team, user=user).exists():
        raise AlreadyMember("You are a member of this team already.")
    found.accepted_at_ms = actor.at_ms
    found.save(update_fields=["accepted_at_ms"])
    made = Membership.objects.create(
        team=found.team, user=user, role=found.role, own_role=found.own_role, created_at_ms=actor.at_ms
    )
    who = replace(actor, account_id=found.team.account_id, person_id=user.pk, person=user.email)
    after = {"member": user.email, "role": made.role_label}
    changes.write(who, "AcceptInvitation", f"member/{user.email}", None, after)
    return made


def _expiry(now_ms: int) -> int:
    return now_ms + LASTS_DAYS * DAY_MS


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _resource(invitation: Invitation) -> str:
    return f"invitation/{invitation.email}"
