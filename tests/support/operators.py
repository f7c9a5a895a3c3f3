"""Somebody who runs the installation, and who they are to the audit trail."""

from apps.access.changes import Actor
from apps.billing.months import Month

REGION = "us-east-1"
CURRENCY = "USD"
NOVEMBER = Month(2026, 11)


def make_operator(team):
    """The same team, its person in charge of the installation."""
    team.user.is_staff = True
    team.user.save(update_fields=["is_staff"])
    return team


def actor_of(team, now_ms):
    """The team's person at a time."""
    account_id = team.team.account_id
    return Actor(
        account_id, f"arn:aws:iam::{account_id}:root", "console", now_ms, person_id=team.user.pk, person=team.user.email
    )
