"""Roles that a team makes for itself: a choice of actions under a name. The six that every team has cannot be changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from apps.access import changes
from apps.accounts.models import Invitation, Membership, Team, TeamRole
from apps.accounts.permissions import known_actions
from apps.accounts.roles import OWN_ROLE, Role
from apps.teams import invitations, standing
from apps.teams.authority import By, Gone, Refused, lock, within_reach

ROLES_PER_TEAM_MAX = 50
NAME_CHARS_MAX, DESCRIPTION_CHARS_MAX = 40, 200


class NameTaken(Refused):
    """The team has a role of this name, whatever its case, or it is one of the six."""

    code = "RoleNameTaken"
    field = "name"


class BadRole(Refused):
    """The name is empty or too long, or an action is none."""

    code = "BadRole"
    field = "name"


class NoActions(Refused):
    """A role that may do nothing is of no use."""

    code = "NoActions"
    field = "actions"


class TooManyRoles(Refused):
    """The team has ROLES_PER_TEAM_MAX already."""

    code = "TooManyRoles"


class RoleInUse(Refused):
    """Members or open invitations hold it."""

    code = "RoleInUse"


@transaction.atomic
def create(by: By, name: str, description: str, actions: Iterable[str]) -> TeamRole:
    """A new role of the team (CreateRole). Needs member:write. actions: names of permissions.ACTIONS. Raises NotAllowed (an
    action that whoever asks lacks), NameTaken, BadRole, NoActions, TooManyRoles."""
    by = lock(by, "member:write")
    wanted = _wanted(by, actions)
    name, description = _words(by, name, description, None)
    if TeamRole.objects.filter(team=by.membership.team).count() >= ROLES_PER_TEAM_MAX:
        raise TooManyRoles(f"The team has {ROLES_PER_TEAM_MAX} roles of its own already. Delete one first.")
    made = TeamRole.objects.create(
        team=by.membership.team, name=name, description=description, actions=wanted, created_at_ms=by.actor.at_ms
    )
    changes.write(by.actor, "CreateRole", f"role/{name}", None, state(made))
    return made


@transaction.atomic
def update(by: By, role: TeamRole, name: str, description: str, actions: Iterable[str]) -> TeamRole:
    """Change a role (UpdateRole); whoever holds it may do the new actions at once. Needs member:write, and every action that
    the role has had and is to have. Raises as create, and Gone."""
    by = lock(by, "member:write")
    found = role_of(by.membership.team, role.pk)
    within_reach(by, known_actions(found.actions), f"The role {found.name}")
    wanted = _wanted(by, actions)
    before = state(found)
    found.name, found.description = _words(by, name, description, found.pk)
    found.actions = wanted
    found.save(update_fields=["name", "description", "actions"])
    for user_id in Membership.objects.filter(own_role=found).values_list("user_id", flat=True):
        invitations.revoke_beyond(by, user_id, frozenset(wanted))
    standing.changed(found.team_id)
    changes.write(by.actor, "UpdateRole", f"role/{found.name}", before, state(found))
    return found


@transaction.atomic
def delete(by: By, role: TeamRole) -> None:
    """Delete a role that nobody holds (DeleteRole). Needs member:write. Closed invitations that named it keep Viewer in its
    place. Raises RoleInUse, NotAllowed, Gone."""
    by = lock(by, "member:write")
    found = role_of(by.membership.team, role.pk)
    within_reach(by, known_actions(found.actions), f"The role {found.name}")
    holders = holders_of(found, by.actor.at_ms)
    if holders:
        more = f" and {len(holders) - 3} more" if len(holders) > 3 else ""
        raise RoleInUse(f"{found.name} is held by {', '.join(holders[:3])}{more}. Give them another role first.")
    Invitation.objects.filter(own_role=found).update(role=Role.VIEWER, own_role=None)
    before = state(found)
    found.delete()
    changes.write(by.actor, "DeleteRole", f"role/{found.name}", before, None)


def holders_of(role: TeamRole, now_ms: int) -> list[str]:
    """Addresses of the members and open invitations that have this role; two queries."""
    members = Membership.objects.filter(own_role=role).order_by("user__email").values_list("user__email", flat=True)
    invited = invitations.open_ones(role.team_id, now_ms).filter(own_role=role).order_by("email")
    return [*members, *(f"{email} (invited)" for email in invited.values_list("email", flat=True))]


def role_of(team: Team, pk: int) -> TeamRole:
    """The team's own role of this id. Raises Gone: also for another team's."""
    found = TeamRole.objects.filter(team=team, pk=pk).first()
    if found is None:
        raise Gone("There is no such role.")
    return found


def state(role: TeamRole) -> dict[str, Any]:
    """A role as the trail keeps it."""
    return {"name": role.name, "description": role.description, "actions": sorted(role.actions)}


def _wanted(by: By, actions: Iterable[str]) -> list[str]:
    given = frozenset(actions)
    wanted = known_actions(given)
    if given != wanted:
        raise BadRole(f"There is no permission {', '.join(sorted(given - wanted))}.")
    if not wanted:
        raise NoActions("Choose at least one permission.")
    within_reach(by, wanted, "The role")
    return sorted(wanted)


def _words(by: By, name: str, description: str, pk: int | None) -> tuple[str, str]:
    name, description = " ".join(name.split()), " ".join(description.split())
    if not name or len(name) > NAME_CHARS_MAX:
        raise BadRole(f"A name has 1 to {NAME_CHARS_MAX} characters.")
    if len(description) > DESCRIPTION_CHARS_MAX:
        raise BadRole(f"A description has at most {DESCRIPTION_CHARS_MAX} characters.")
    same = TeamRole.objects.filter(team=by.membership.team, name__iexact=name)
    taken = (same if pk is None else same.exclude(pk=pk)).exists()
    if taken or name.lower() in {*Role.values, OWN_ROLE}:
        raise NameTaken(f"There is a role {name} already.")
    return name, description
