"""Addresses of the section Team that are about people and settings, and those of teams as such."""

from __future__ import annotations

from django.urls import URLPattern, path

from console.pages import access, invitations, members, roles, settings, teams


def team_urlpatterns(team: str) -> list[URLPattern]:
    """All of them."""
    return [
        path("invite/<str:token>", invitations.accept, name="invite"),
        path("teams", teams.listing, name="teams"),
        path("new-team", teams.create, name="team-new"),
        path(team + "members", members.listing, name="members"),
        path(team + "members/<int:member>", members.member, name="member"),
        path(team + "members/<int:member>/remove", members.remove, name="member-remove"),
        path(team + "leave", members.leave, name="team-leave"),
        path(team + "roles", roles.listing, name="member-roles"),
        path(team + "roles/new", roles.create, name="member-role-new"),
        path(team + "roles/<int:role>", roles.role, name="member-role"),
        path(team + "roles/<int:role>/delete", roles.delete, name="member-role-delete"),
        path(team + "invitations", invitations.listing, name="member-invitations"),
        path(team + "invitations/<int:invitation>", invitations.change, name="member-invitation"),
        path(team + "ask", access.ask, name="access-ask"),
        path(team + "access/<int:asked>", access.answer, name="access-answer"),
        path(team + "settings", settings.settings, name="settings"),
        path(team + "settings/quotas", settings.quotas, name="settings-quotas"),
        path(team + "settings/export", settings.export, name="settings-export"),
        path(team + "settings/transfer", settings.transfer, name="settings-transfer"),
        path(team + "settings/delete", settings.delete, name="settings-delete"),
    ]
