"""Members of a team: their roles, removing and leaving, and who owns the team.

Each function is one transaction with its entry in the audit trail, and takes effect at once: every page, call of the REST
API and live topic asks for the role anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from apps.access import changes
from apps.accounts.models import AccessKey, ApiToken, Invitation, Membership, Team
from apps.accounts.permissions import ACTIONS
from apps.accounts.roles import Role
from apps.teams import invitations, standing
from apps.teams.authority import By, Gone, NotAllowed, Refused, RoleChoice, fresh, held, lock, within_reach

OWNER_SENTENCE = "A team always has an owner. Make somebody else an owner first."


class LastOwner(Refused):
    """The change would leave the team without an owner."""

    code = "LastOwner"
    field = "role"


class IsSelf(Refused):
    """One leaves a team oneself; one is not removed by oneself."""

    code = "IsSelf"


@dataclass(frozen=True, slots=True)
class Ending:
    """What ends when a member leaves: names of their API tokens and addresses that they invited. keys: what stays, access
    keys that they made."""

    tokens: list[str]
    invited: list[str]
    keys: list[str]


def ending(member: Membership, now_ms: int) -> Ending:
    """What removing this member ends, and what stays; three queries."""
    tokens = ApiToken.objects.filter(membership=member).order_by("name").values_list("name", flat=True)
    invited = invitations.open_ones(member.team_id, now_ms).filter(invited_by=member.user_id).order_by("email")
    keys = AccessKey.objects.filter(team_id=member.team_id, created_by=member.user_id, identity=None).order_by("key_id")
    return Ending(
        list(tokens),
        list(invited.values_list("email", flat=True)),
        [name or key_id for key_id, name in keys.values_list("key_id", "name")],
    )


@transaction.atomic
def change_role(by: By, member: Membership, role: RoleChoice) -> Membership:
    """Give a member another role (ChangeMemberRole). Needs member:write. Open invitations that the member could no longer
    send are revoked.

    Raises NotAllowed (the old or the new role has more than whoever asks), LastOwner, UnknownRole, Gone.
    """
    by = lock(by, "member:write")
    target = _target(by, member)
    role = fresh(by.membership.team, role)
    within_reach(by, target.actions, f"{_called(target)} as {target.role_label}")
    within_reach(by, role.actions, f"The role {role.label}")
    if role.key == held(target).key:
        return target
    if target.role == Role.OWNER:
        _require_other_owner(target)
    before = state(target)
    _set_role(target, role)
    invitations.revoke_beyond(by, target.user_id, role.actions)
    changes.write(by.actor, "ChangeMemberRole", _resource(target), before, state(target))
    return target


@transaction.atomic
def remove(by: By, member: Membership) -> None:
    """Take a member out of the team (RemoveMember). Needs member:write. Their tokens and the open invitations they sent
    end; access keys they made stay. Raises IsSelf, NotAllowed, LastOwner, Gone."""
    by = lock(by, "member:write")
    target = _target(by, member)
    if target.pk == by.membership.pk:
        raise IsSelf("You cannot remove yourself. Leave the team instead.")
    within_reach(by, target.actions, f"{_called(target)} as {target.role_label}")
    _end(by, target, "RemoveMember")


@transaction.atomic
def leave(by: By) -> None:
    """Leave the team oneself (LeaveTeam); needs no permission. Raises LastOwner, NotAllowed (left already)."""
    by = lock(by)
    _end(by, by.membership, "LeaveTeam")


@transaction.atomic
def transfer(by: By, member: Membership) -> Membership:
    """Make another member an owner, and oneself an admin (TransferTeam). Needs team:delete and the role Owner. Other owners
    stay owners. Answers the new owner. Raises NotAllowed, IsSelf, Gone."""
    by = lock(by, "team:delete")
    if by.membership.role != Role.OWNER:
        raise NotAllowed("Only an owner can give ownership away.")
    within_reach(by, frozenset(ACTIONS), "The role Owner")
    target = _target(by, member)
    if target.pk == by.membership.pk:
        raise IsSelf("You own the team already. Choose somebody else.")
    before = {"owner": by.membership.user.email, "role": target.role_label, "member": target.user.email}
    _set_role(target, RoleChoice(Role.OWNER))
    _set_role(by.membership, RoleChoice(Role.ADMIN))
    invitations.revoke_beyond(by, by.membership.user_id, RoleChoice(Role.ADMIN).actions)
    after = {"owner": target.user.email, "role": "Owner", "member": target.user.email, "former_owner": "Admin"}
    changes.write(by.actor, "TransferTeam", f"team/{by.membership.team.slug}", before, after)
    return target


def owners(team_id: int) -> Any:
    """Memberships of people who own the team and can sign in."""
    return Membership.objects.filter(team_id=team_id, role=Role.OWNER, user__is_active=True)


def member_of(team: Team, pk: int) -> Membership:
    """The team's membership of this id, with its person and role. Raises Gone: also for another team's."""
    rows = Membership.objects.select_related("team", "user", "own_role")
    found = rows.filter(team=team, pk=pk).first()
    if found is None:
        raise Gone("There is no such member.")
    return found


def state(member: Membership) -> dict[str, Any]:
    """A membership as the trail keeps it."""
    return {"member": member.user.email, "role": member.role_label}


def _target(by: By, member: Membership) -> Membership:
    return by.membership if member.pk == by.membership.pk else member_of(by.membership.team, member.pk)


def _require_other_owner(target: Membership) -> None:
    if not owners(target.team_id).exclude(pk=target.pk).exists():
        raise LastOwner(OWNER_SENTENCE)


def _set_role(target: Membership, role: RoleChoice) -> None:
    target.role, target.own_role = role.role, role.own_role
    target.save(update_fields=["role", "own_role"])
    standing.changed(target.team_id)


def _end(by: By, target: Membership, operation: str) -> None:
    if target.role == Role.OWNER:
        _require_other_owner(target)
    before = state(target) | {"tokens": ApiToken.objects.filter(membership=target).count()}
    resource = _resource(target)
    open_ones = invitations.open_ones(target.team_id, by.actor.at_ms).filter(invited_by=target.user_id)
    invitations.revoke_all(by, list(Invitation.objects.filter(pk__in=open_ones).select_related("own_role")))
    target.delete()
    standing.changed(by.membership.team_id)
    changes.write(by.actor, operation, resource, before, None)


def _called(target: Membership) -> str:
    return target.user.name or target.user.email


def _resource(target: Membership) -> str:
    return f"member/{target.user.email}"
