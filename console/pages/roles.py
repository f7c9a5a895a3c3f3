"""Roles: the six that every team has and its own, as a grid of resource and action; making, changing and deleting own ones."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.models import Membership, TeamRole
from apps.accounts.permissions import ACTIONS, allowed, known_actions
from apps.accounts.roles import Role
from apps.teams import own_roles
from apps.teams.authority import Gone, Refused, RoleChoice, UnknownRole, choice, choices
from console import asker, calls
from console.pages.members import frame
from console.pages.name_form import NameForm
from console.pages.page_rows import FEW_ROWS
from console.pages.permission_words import by_resource
from console.pages.shell import TeamRequest, team_page


class RoleForm(forms.Form):
    """A role's name and what it may do."""

    name = forms.CharField(max_length=own_roles.NAME_CHARS_MAX)
    description = forms.CharField(max_length=own_roles.DESCRIPTION_CHARS_MAX, required=False)
    actions = forms.MultipleChoiceField(
        choices=[(action, action) for action in ACTIONS],
        error_messages={
            "required": "Choose at least one permission.",
            "invalid_choice": "There is no such permission.",
        },
    )


@team_page("member:read")
def listing(request: TeamRequest) -> HttpResponse:
    """The six and a page of its own ones, with what each may do, side by side."""
    found = choices(request.team)
    page = Paginator(found[len(Role) :], FEW_ROWS).get_page(request.GET.get("page"))
    everything = [*found[: len(Role)], *page]
    holders = _holders(request)
    rows = [(heading, [(one, [one.action in role.actions for role in everything]) for one in permissions])
            for _, heading, permissions in by_resource(())]  # fmt: skip
    cards = [(role, holders.get((role.role, role.own_role.pk if role.own_role else None), 0), len(role.actions))
             for role in everything]  # fmt: skip
    context = {
        **frame(request, "member-roles"),
        "roles": everything,
        "rows": rows,
        "cards": cards,
        "of": len(ACTIONS),
        "page": page,
    }
    return render(request, "team/roles.html", context)


@team_page("member:write")
def create(request: TeamRequest) -> HttpResponse:
    """A new role; `?copy=` begins with what another one may do, `?add=` with one more."""
    source = _source(request)
    more = known_actions([request.GET.get("add", "")])
    first = {"actions": sorted((source.actions | more) & request.actions)} if source else {"actions": sorted(more)}
    form = RoleForm(request.POST or None, initial=first)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            made = own_roles.create(asker.by(request), given["name"], given["description"], given["actions"])
        except Refused as error:
            asker.put_refused(form, error)
        else:
            messages.success(request, f"Role {made.name} created")
            return redirect("member-roles", request.team.slug)
    left_out = sorted(source.actions - request.actions) if source else []
    context = {"source": source, "sources": choices(request.team), "left_out": left_out}
    return _form_page(request, form, context)


@team_page("member:read", post="member:write")
def role(request: TeamRequest, role: int) -> HttpResponse:
    """One of the team's own: looked at, or changed by who has all that it has."""
    found = find(request, role)
    beyond = sorted(known_actions(found.actions) - request.actions)
    locked = "" if allowed(request.actions, "member:write") and not beyond else _why(beyond)
    first = {"name": found.name, "description": found.description, "actions": found.actions}
    form = RoleForm(request.POST or None, initial=first)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            changed = own_roles.update(asker.by(request), found, given["name"], given["description"], given["actions"])
        except Refused as error:
            asker.put_refused(form, error)
        else:
            messages.success(request, f"Role {changed.name} saved. It holds at once.")
            return redirect("member-roles", request.team.slug)
    holders = own_roles.holders_of(found, calls.now_ms())
    return _form_page(request, form, {"role": found, "locked": locked, "holders": holders})


@team_page("member:write")
def delete(request: TeamRequest, role: int) -> HttpResponse:
    """Delete a role that nobody holds."""
    found = find(request, role)
    form = NameForm(request.POST or None, wanted=found.name, chars_max=own_roles.NAME_CHARS_MAX)
    if request.method == "POST" and form.is_valid():
        try:
            own_roles.delete(asker.by(request), found)
        except Refused as error:
            asker.put_refused(form, error)
        else:
            messages.success(request, f"Role {found.name} deleted")
            return redirect("member-roles", request.team.slug)
    holders = own_roles.holders_of(found, calls.now_ms())
    context = {**frame(request, "member-roles"), "role": found, "form": form, "holders": holders}
    return render(request, "team/role_delete.html", context, status=422 if request.method == "POST" else 200)


def find(request: TeamRequest, pk: int) -> TeamRole:
    """The team's own role. Raises Http404: also for another team's."""
    try:
        return own_roles.role_of(request.team, pk)
    except Gone as error:
        raise Http404(str(error)) from error


def _form_page(request: TeamRequest, form: RoleForm, more: dict[str, Any]) -> HttpResponse:
    chosen = form["actions"].value() or []
    context = {
        **frame(request, "member-roles"),
        "form": form,
        "resources": by_resource(chosen, request.actions),
        **more,
    }
    return render(request, "team/role.html", context, status=422 if request.method == "POST" else 200)


def _source(request: TeamRequest) -> RoleChoice | None:
    key = request.GET.get("copy", "")
    try:
        return choice(request.team, key) if key else None
    except UnknownRole as error:
        raise Http404(str(error)) from error


def _holders(request: TeamRequest) -> dict[tuple[str, int | None], int]:
    """How many members have each role; one query."""
    found: dict[tuple[str, int | None], int] = {}
    for role, own in Membership.objects.filter(team=request.team).values_list("role", "own_role"):
        found[role, own] = found.get((role, own), 0) + 1
    return found


def _why(beyond: list[str]) -> str:
    return f"It has permissions that you do not have: {', '.join(beyond)}" if beyond else "Needs member:write"
