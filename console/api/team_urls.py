"""Addresses of the team: people, roles, keys, tokens, usage, the audit log."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from console.api.resources import access_keys, audit, budgets, invitations, members, roles, team, tokens, usage
from console.api.stream_urls import PREFIX

BUDGET = PREFIX + "budgets/<int:budget>"
KEY = PREFIX + "access-keys/<str:key>"
INVITATION = PREFIX + "invitations/<int:invitation>"
ASKED = PREFIX + "access-requests/<int:access_request>"

team_patterns: list[URLPattern | URLResolver] = [
    path(PREFIX + "me", team.Me.as_view(), name="api-me"),
    path(PREFIX + "team", team.OneTeam.as_view(), name="api-team"),
    path(PREFIX + "quotas", team.Quotas.as_view(), name="api-quotas"),
    path(PREFIX + "usage", usage.Usage.as_view(), name="api-usage"),
    path(PREFIX + "meters", usage.Meters.as_view(), name="api-meters"),
    path(PREFIX + "budgets", budgets.Budgets.as_view(), name="api-budgets"),
    path(BUDGET, budgets.OneBudget.as_view(), name="api-budget"),
    path(BUDGET + "/standing", budgets.BudgetStanding.as_view(), name="api-budget-standing"),
    path(BUDGET + "/alerts", budgets.BudgetAlerts.as_view(), name="api-budget-alerts"),
    path(BUDGET + "/tests", budgets.BudgetTests.as_view(), name="api-budget-tests"),
    path(PREFIX + "members", members.Members.as_view(), name="api-members"),
    path(PREFIX + "members/<int:member>", members.OneMember.as_view(), name="api-member"),
    path(PREFIX + "access-requests", members.AccessRequests.as_view(), name="api-access-requests"),
    path(ASKED + "/grant", members.GrantAccess.as_view(), name="api-access-grant"),
    path(ASKED + "/refuse", members.RefuseAccess.as_view(), name="api-access-refuse"),
    path(PREFIX + "roles", roles.Roles.as_view(), name="api-roles"),
    path(PREFIX + "roles/<str:role>", roles.OneRole.as_view(), name="api-role"),
    path(PREFIX + "invitations", invitations.Invitations.as_view(), name="api-invitations"),
    path(INVITATION, invitations.OneInvitation.as_view(), name="api-invitation"),
    path(INVITATION + "/resend", invitations.Resend.as_view(), name="api-invitation-resend"),
    path(PREFIX + "access-keys", access_keys.AccessKeys.as_view(), name="api-access-keys"),
    path(KEY, access_keys.OneAccessKey.as_view(), name="api-access-key"),
    path(KEY + "/rotate", access_keys.Rotation.as_view(), name="api-access-key-rotate"),
    path(KEY + "/cancel-rotation", access_keys.CancelRotation.as_view(), name="api-access-key-cancel-rotation"),
    path(PREFIX + "tokens", tokens.Tokens.as_view(), name="api-tokens"),
    path(PREFIX + "tokens/<str:token>", tokens.OneToken.as_view(), name="api-token"),
    path(PREFIX + "audit", audit.AuditLog.as_view(), name="api-audit"),
    path(PREFIX + "audit/<int:entry>", audit.OneAuditEntry.as_view(), name="api-audit-entry"),
]
