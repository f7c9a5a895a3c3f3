"""Members: who is in the team, with which role, and what each may do; changing a role, removing, leaving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.models import Membership
from apps.accounts.permissions import ACTIONS, allowed
from apps.teams import invitations, members
from apps.teams.authority import Gone, NotAllowed, Refused, RoleChoice, choice, choices, held, within_reach
from console import asker, calls
from console.pages.access import Waiting, waiting
from console.pages.permission_words import by_resource
from console.pages.shell import ANY_MEMBER, TeamRequest, team_page

ROWS = 50
TEXT_CHARS_MAX = 128


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list. locked: why the role cannot be changed by whoever looks; empty: it can."""

    member: Membership
    second_factor: bool
    locked: str


class RoleForm(forms.Form):
    """Another role."""

    role = forms.ChoiceField()

    def __init__(self, offered: list[RoleChoice], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = [(one.key, one.label) for one in offered]  # type: ignore[attr-defined]


class ConfirmForm(forms.Form):
    """The address or short name, typed."""

    name = forms.CharField(max_length=254)


@team_page("member:read")
def listing(request: TeamRequest) -> HttpResponse:
    """The people of the team, and what they ask for."""
    text = request.GET.get("q", "").strip()[:TEXT_CHARS_MAX]
    mine = Membership.objects.filter(team=request.team).select_related("user", "own_role")
    if text:
        mine = mine.filter(Q(user__email__icontains=text) | Q(user__name__icontains=text))
    page = Paginator(mine.order_by("user__email"), ROWS).get_page(request.GET.get("page"))
    protected = with_second_factor([member.user_id for member in page])
    rows = [Row(member, member.user_id in protected, locked_for(request, member)) for member in page]
    asked: list[Waiting] = waiting(request) if allowed(request.actions, "member:write") else []
    context = {**frame(request, "members"), "rows": rows, "page": page, "text": text, "asked": asked}
    return render(request, "team/members.html", context)


@team_page("member:read", post="member:write")
def member(request: TeamRequest, member: int) -> HttpResponse:
    """One person: role, and every permission with where it comes from. POST gives another role."""
    found = find(request, member)
    offered = offers(request, found)
    form = RoleForm(offered, request.POST or None, initial={"role": held(found).key})
    if request.method == "POST" and form.is_valid():
        try:
            changed = members.change_role(asker.by(request), found, choice(request.team, form.cleaned_data["role"]))
        except Refused as error:
            asker.put_refused(form, error)
        else:
            messages.success(request, f"{changed.user.name or changed.user.email} is {changed.role_label} now")
            return redirect("members", request.team.slug)
    context = {
        **frame(request, "members"),
        "member": found,
        "form": form,
        "locked": locked_for(request, found),
        "second_factor": bool(with_second_factor([found.user_id])),
        "resources": by_resource(found.actions),
        "has": len(found.actions),
        "of": len(ACTIONS),
        "ending": members.ending(found, calls.now_ms()),
    }
    return render(request, "team/member.html", context, status=422 if request.method == "POST" else 200)


@team_page("member:write")
def remove(request: TeamRequest, member: int) -> HttpResponse:
    """Take somebody out of the team, after reading what ends."""
    found = find(request, member)
    form = ConfirmForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        email = found.user.email
        if form.cleaned_data["name"].lower() != email:
            form.add_error("name", f"Type {email} to remove this person.")
        else:
            try:
                members.remove(asker.by(request), found)
            except Refused as error:
                asker.put_refused(form, error)
            else:
                messages.success(request, f"{email} is no longer a member")
                return redirect("members", request.team.slug)
    context = {
        **frame(request, "members"),
        "member": found,
        "form": form,
        "ending": members.ending(found, calls.now_ms()),
        "locked": "" if found.pk == request.membership.pk else locked_for(request, found),
    }
    return render(request, "team/remove.html", context, status=422 if request.method == "POST" else 200)


@team_page(ANY_MEMBER)
def leave(request: TeamRequest) -> HttpResponse:
    """Leave the team oneself; whoever is in it may."""
    form = ConfirmForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["name"] != request.team.slug:
            form.add_error("name", f"Type {request.team.slug} to leave the team.")
        else:
            try:
                members.leave(asker.by(request))
            except Refused as error:
                asker.put_refused(form, error)
            else:
                messages.success(request, f"You have left {request.team.name}")
                return redirect("home")
    context = {
        "form": form,
        "ending": members.ending(request.membership, calls.now_ms()),
        "now_ms": calls.now_ms(),
    }
    return render(request, "team/leave.html", context, status=422 if request.method == "POST" else 200)


def frame(request: TeamRequest, current: str) -> dict[str, Any]:
    """What the pages of the section share: its tabs and the time."""
    now_ms = calls.now_ms()
    counts = {
        "members": Membership.objects.filter(team=request.team).count(),
        "member-roles": 6 + request.team.roles.count(),
        "member-invitations": invitations.open_ones(request.team.pk, now_ms).count(),
    }
    labels = {"members": "Members", "member-roles": "Roles", "member-invitations": "Invitations"}
    tabs = [(name, labels[name], counts[name], name == current) for name in labels]
    return {"tabs": tabs, "now_ms": now_ms}


def find(request: TeamRequest, pk: int) -> Membership:
    """The team's member. Raises Http404: also for another team's."""
    try:
        return members.member_of(request.team, pk)
    except Gone as error:
        raise Http404(str(error)) from error


def with_second_factor(user_ids: list[int]) -> set[int]:
    """Of these people, those who sign in with a second step or a passkey."""
    kinds = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    return set(Authenticator.objects.filter(user__in=user_ids, type__in=kinds).values_list("user_id", flat=True))


def offers(request: TeamRequest, found: Membership) -> list[RoleChoice]:
    """Roles that whoever asks may give, and the one that the person has."""
    mine = held(found).key
    return [one for one in choices(request.team) if one.actions <= request.actions or one.key == mine]


def locked_for(request: TeamRequest, found: Membership) -> str:
    """Why whoever looks may not change this person's role; empty: they may."""
    if not allowed(request.actions, "member:write"):
        return "Needs member:write"
    try:
        within_reach(asker.by(request), found.actions, found.role_label)
    except NotAllowed as error:
        return str(error)
    return ""
