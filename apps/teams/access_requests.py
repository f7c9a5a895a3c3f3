"""Asking for access: a member names an action that their role lacks; whoever may change members gives it, or says no."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from apps.access import changes
from apps.accounts.models import AccessRequest, Membership, Team
from apps.accounts.permissions import ACTIONS
from apps.teams import members
from apps.teams.authority import By, Gone, NotAllowed, Refused, RoleChoice, lock, within_reach

REASON_CHARS_MAX = 500


class NotLacking(Refused):
    """The role has the action already, or there is no such action."""

    code = "NotLacking"


class AlreadyAsked(Refused):
    """An open request of the same person for the same action exists."""

    code = "AlreadyAsked"


class BadReason(Refused):
    """It is too long."""

    code = "BadReason"
    field = "reason"


class NotEnough(Refused):
    """The chosen role does not have what was asked for."""

    code = "NotEnough"
    field = "role"


@dataclass(frozen=True, slots=True)
class Offer:
    """A role that answers a request. loses: what the person may do now and could not with it."""

    role: RoleChoice
    loses: list[str]


@transaction.atomic
def ask(by: By, action: str, reason: str) -> AccessRequest:
    """Ask for an action (RequestAccess); needs no permission. Raises NotLacking, AlreadyAsked, BadReason, NotAllowed, Gone."""
    by = lock(by)
    reason = reason.strip()
    if action not in ACTIONS or action in by.membership.actions:
        raise NotLacking("Your role has this permission already." if action in ACTIONS else "No such permission.")
    if len(reason) > REASON_CHARS_MAX:
        raise BadReason(f"At most {REASON_CHARS_MAX} characters.")
    try:
        with transaction.atomic():
            made = AccessRequest.objects.create(
                membership=by.membership, action=action, reason=reason, created_at_ms=by.actor.at_ms
            )
    except IntegrityError as error:
        raise AlreadyAsked(f"You have asked for {action} already. Nobody has answered yet.") from error
    email = by.membership.user.email
    changes.write(by.actor, "RequestAccess", f"member/{email}", None, {"member": email, "action": action})
    return made


@transaction.atomic
def grant(by: By, request: AccessRequest, role: RoleChoice) -> Membership:
    """Give the person a role that has the action (GrantAccess, ChangeMemberRole); their other open requests that the role
    answers are granted with it. Needs member:write. Raises NotEnough and what members.change_role raises."""
    by = lock(by, "member:write")
    found = request_of(by.membership.team, request.pk)
    if found.action not in role.actions:
        raise NotEnough(f"{role.label} does not have {found.action}.")
    member = members.change_role(by, found.membership, role)
    for one in open_of(by.membership.team).filter(membership=member):
        if one.action in role.actions:
            _decide(by, one, granted=True)
    return member


@transaction.atomic
def refuse(by: By, request: AccessRequest) -> None:
    """Say no (RefuseAccess). Needs member:write. Raises NotAllowed, Gone."""
    by = lock(by, "member:write")
    _decide(by, request_of(by.membership.team, request.pk), granted=False)


def open_of(team: Team) -> QuerySet[AccessRequest]:
    """The team's open requests, oldest first, with person and role."""
    rows = AccessRequest.objects.filter(membership__team=team, decided_at_ms=None)
    return rows.select_related("membership__user", "membership__own_role").order_by("created_at_ms", "id")


def request_of(team: Team, pk: int) -> AccessRequest:
    """The team's open request of this id. Raises Gone: also for another team's, and for one that was answered."""
    found = open_of(team).filter(pk=pk).first()
    if found is None:
        raise Gone("This request was answered already.")
    return found


def givers(team: Team) -> list[Membership]:
    """Members who can answer requests, with person and role; one query."""
    everybody = Membership.objects.filter(team=team, user__is_active=True).select_related("user", "own_role")
    return [member for member in everybody.order_by("user__email") if "member:write" in member.actions]


def offers(by: By, request: AccessRequest, roles: list[RoleChoice]) -> list[Offer]:
    """Of these roles, those that answer the request and that whoever asks may give; the narrowest first."""
    has = request.membership.actions
    good = [role for role in roles if request.action in role.actions and _reachable(by, role)]
    found = [Offer(role, sorted(has - role.actions)) for role in good]
    return sorted(found, key=lambda offer: len(offer.role.actions) + len(offer.loses))


def _reachable(by: By, role: RoleChoice) -> bool:
    try:
        within_reach(by, role.actions, "")
    except NotAllowed:
        return False
    return True


def _decide(by: By, found: AccessRequest, *, granted: bool) -> None:
    found.decided_at_ms, found.decided_by, found.granted = by.actor.at_ms, by.membership.user, granted
    found.save(update_fields=["decided_at_ms", "decided_by", "granted"])
    email = found.membership.user.email
    what = {"member": email, "action": found.action}
    done = "GrantAccess" if granted else "RefuseAccess"
    changes.write(by.actor, done, f"member/{email}", {**what, "state": "open"}, {**what, "state": done})
