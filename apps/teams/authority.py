"""Who changes a team, what they may do there, and the rules that every change keeps.

Nobody gives or takes a role that has an action which they do not have themselves; a team always has an owner. Rules are
asked with the team's row locked, of what holds then: two changes at once cannot get past them together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from apps.access.changes import Actor
from apps.accounts.models import Membership, RoleHolder, Team, TeamRole
from apps.accounts.permissions import actions_of, known_actions
from apps.accounts.roles import OWN_ROLE, Role

OWN_PREFIX = f"{OWN_ROLE}:"


class Refused(Exception):
    """A change that a rule forbids; the text is for people. code: for programs. field: what of the form it is about."""

    code = "Refused"
    field = ""


class RefusedAt(Refused):
    """One that can be about any field of a form; empty: about none."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NotAllowed(Refused):
    """It needs permissions that whoever asks does not have."""

    code = "NotAllowed"


class Gone(Refused):
    """What was to be changed is not there any more."""

    code = "Gone"


class UnknownRole(Refused):
    """The team has no such role."""

    code = "UnknownRole"
    field = "role"


@dataclass(frozen=True, slots=True)
class By:
    """Who asks for a change. actor: as the trail names them; its at_ms is the time of the change. membership: theirs in the
    team that is changed. actions: what they may do, which for a token is less than what the membership may."""

    actor: Actor
    membership: Membership
    actions: frozenset[str]


def lock(by: By, action: str = "") -> By:
    """Hold the team's row until the transaction ends, and read anew what whoever asks may do. action: what they must be
    able to. Raises NotAllowed, Gone."""
    if Team.objects.select_for_update().filter(pk=by.membership.team_id).first() is None:
        raise Gone("The team was deleted.")
    mine = Membership.objects.select_related("team", "user", "own_role").filter(pk=by.membership.pk).first()
    if mine is None:
        raise NotAllowed("You are no longer a member of this team.")
    now = replace(by, membership=mine, actions=by.actions & mine.actions)
    if action and action not in now.actions:
        raise NotAllowed(f"It needs the permission {action}.")
    return now


def within_reach(by: By, actions: frozenset[str], what: str) -> None:
    """Raise NotAllowed if these have one that whoever asks does not have. what: begins the sentence that says so."""
    beyond = sorted(actions - by.actions)
    if beyond:
        more = f" and {len(beyond) - 3} more" if len(beyond) > 3 else ""
        raise NotAllowed(f"{what} has permissions that you do not have: {', '.join(beyond[:3])}{more}.")


@dataclass(frozen=True, slots=True)
class RoleChoice:
    """One of the six roles, or one of the team's own."""

    role: str
    own_role: TeamRole | None = None

    @property
    def key(self) -> str:
        """How forms and addresses name it: `admin`, `own:12`."""
        return self.role if self.own_role is None else f"{OWN_PREFIX}{self.own_role.pk}"

    @property
    def label(self) -> str:
        """As people see it."""
        return str(Role(self.role).label) if self.own_role is None else self.own_role.name

    @property
    def actions(self) -> frozenset[str]:
        """What it may do."""
        return actions_of(self.role) if self.own_role is None else known_actions(self.own_role.actions)


def choice(team: Team, key: str) -> RoleChoice:
    """The role of this key (RoleChoice.key). Raises UnknownRole: also for another team's."""
    if key in Role.values:
        return RoleChoice(key)
    number = key.removeprefix(OWN_PREFIX)
    if key.startswith(OWN_PREFIX) and number.isascii() and number.isdigit() and len(number) < 19:
        own = TeamRole.objects.filter(team=team, pk=int(number)).first()
        if own is not None:
            return RoleChoice(OWN_ROLE, own)
    raise UnknownRole("The team has no such role.")


def choices(team: Team) -> list[RoleChoice]:
    """The six, then the team's own by name; one query."""
    own = TeamRole.objects.filter(team=team).order_by("name", "id")
    return [*(RoleChoice(role) for role in Role.values), *(RoleChoice(OWN_ROLE, role) for role in own)]


def held(holder: RoleHolder) -> RoleChoice:
    """The role of a membership or invitation (reads the own role's row)."""
    return RoleChoice(holder.role, holder.own_role)


def fresh(team: Team, wanted: RoleChoice) -> RoleChoice:
    """The same role as it stands now, under the lock. Raises UnknownRole."""
    return choice(team, wanted.key)
