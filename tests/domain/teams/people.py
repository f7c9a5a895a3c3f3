"""Members of a team, and what they ask with."""

from apps.access.changes import Actor
from apps.access.models import AuditEntry
from apps.accounts.models import Membership, TeamRole, User
from apps.accounts.roles import OWN_ROLE
from apps.teams.authority import By, RoleChoice

NOW_MS = 1_795_163_467_000


def join(team, name, role, own_role=None):
    """Somebody new in the team."""
    user = User.objects.create_user(f"{name}@example.test", None, name=name.title())
    return Membership.objects.create(team=team, user=user, role=OWN_ROLE if own_role else role, own_role=own_role)


def own(team, name, *actions):
    """A role of the team's own, whoever may make it."""
    return TeamRole.objects.create(team=team, name=name, actions=list(actions), created_at_ms=NOW_MS)


def by(member, now_ms=NOW_MS, actions=None):
    """What this member asks with."""
    return By(actor_of(member.user, member.team, now_ms), member, member.actions if actions is None else actions)


def actor_of(user, team, now_ms=NOW_MS):
    account = team.account_id if team else ""
    return Actor(
        account, f"arn:aws:iam::{account}:root", "console", now_ms, user and user.pk, user.email if user else ""
    )


def role(name):
    return RoleChoice(name)


def own_choice(row):
    return RoleChoice(OWN_ROLE, row)


def trail():
    """(operation, resource) of what was written, oldest first."""
    return list(AuditEntry.objects.order_by("id").values_list("operation", "resource"))
