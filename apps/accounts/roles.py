"""The six roles that every team has. What each may do: permissions.py."""

from __future__ import annotations

from django.db.models import TextChoices

OWN_ROLE = "own"
"""What Membership.role says where a role of the team's own (TeamRole) has the actions."""


class Role(TextChoices):
    """What a member may do."""

    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    DEVELOPER = "developer", "Developer"
    ANALYST = "analyst", "Analyst"
    BILLING = "billing", "Billing"
    VIEWER = "viewer", "Viewer"
