"""Members: who is in the team, with which role, and what each may do; changing a role, removing, leaving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.models import AccessRequest, Invitation, Membership, Team, TeamRole
from apps.accounts.permissions import ACTIONS, allowed
from apps.accounts.roles import Role
from apps.teams import invitations, members
from apps.teams.authority import Gone, NotAllowed, Refused, RoleChoice, choice, choices, held, within_reach
from console import asker, calls
from console.pages.access import waiting
from console.pages.name_form import NameForm
from console.pages.page_rows import RICH_ROWS
from console.pages.permission_words import by_resource
from console.pages.shell import ANY_MEMBER, TeamRequest, know_list_counts, list_counters, team_page

SECOND_STEPS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
TEXT_CHARS_MAX = 128


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list. locked: why the role cannot be changed by whoever looks; empty: it can."""

    member: Membership
    second_factor: bool
    locked: str


TYPED_CHARS_MAX = 254


class RoleForm(forms.Form):
    """Another role."""

    role = forms.ChoiceField()

    def __init__(self, offered: list[RoleChoice], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = [(one.key, one.label) for one in offered]  # type: ignore[attr-defined]


class AddressForm(NameForm):
    """The address, typed in whatever case."""

    def is_wanted(self, given: str) -> bool:
        """Addresses are kept in lower case."""
        return given.lower() == self.wanted


@team_page("member:read")
def listing(request: TeamRequest) -> HttpResponse:
    """The people of the team, and what they ask for."""
    text = request.GET.get("q", "").strip()[:TEXT_CHARS_MAX]
    context = frame(request, "members")
    steps = Authenticator.objects.filter(user=OuterRef("user"), type__in=SECOND_STEPS)
    mine = Membership.objects.filter(team=request.team).select_related("user", "own_role")
    mine = mine.annotate(second_factor=Exists(steps)).order_by("user__email")
    pages = Paginator(mine, RICH_ROWS)
    if text:
        pages = Paginator(mine.filter(Q(user__email__icontains=text) | Q(user__name__icontains=text)), RICH_ROWS)
    else:
        pages.count = context["people"]
    page = pages.get_page(request.GET.get("page"))
    rows = [Row(member, member.second_factor, locked_for(request, member)) for member in page]  # type: ignore[attr-defined]
    if context["asking"] and allowed(request.actions, "member:write"):
        context["asked"], context["asked_page"] = waiting(request, context["asking"])
    context |= {"rows": rows, "page": page, "text": text}
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
        "second_factor": has_second_factor(found.user_id),
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
    email = found.user.email
    form = AddressForm(request.POST or None, wanted=email, to="remove this person", chars_max=TYPED_CHARS_MAX)
    if request.method == "POST" and form.is_valid():
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
    form = NameForm(request.POST or None, wanted=request.team.slug, to="leave the team", chars_max=TYPED_CHARS_MAX)
    if request.method == "POST" and form.is_valid():
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
    """What the pages of the section share: its tabs and the time. One query, which the sidebar's numbers are part of.
    invitations: how many there are, closed ones too; asked: open requests for access."""
    now_ms = calls.now_ms()
    waiting_ones = AccessRequest.objects.filter(decided_at_ms=None)
    streams, deliveries, people, roles, invited, sent, asked = Team.objects.values_list(
        *list_counters("pk"),
        _counted(Membership.objects.all()),
        _counted(TeamRole.objects.all()),
        _counted(invitations.open_ones(request.team.pk, now_ms)),
        _counted(Invitation.objects.all()),
        _counted(waiting_ones, "membership__team"),
    ).get(pk=request.team.pk)
    know_list_counts(request, streams, deliveries)
    counts = {"members": people, "member-roles": len(Role) + roles, "member-invitations": invited}
    labels = {"members": "Members", "member-roles": "Roles", "member-invitations": "Invitations"}
    tabs = [(name, labels[name], counts[name], name == current) for name in labels]
    return {"tabs": tabs, "now_ms": now_ms, "people": people, "invitations": sent, "asking": asked}


def _counted(rows: QuerySet[Any], team: str = "team") -> Coalesce:
    of_team = rows.filter(**{team: OuterRef("pk")}).order_by().values(team).annotate(n=Count("*")).values("n")
    return Coalesce(Subquery(of_team, output_field=IntegerField()), 0)


def find(request: TeamRequest, pk: int) -> Membership:
    """The team's member. Raises Http404: also for another team's."""
    try:
        return members.member_of(request.team, pk)
    except Gone as error:
        raise Http404(str(error)) from error


def has_second_factor(user_id: int) -> bool:
    """Does this person sign in with a second step or a passkey?"""
    return bool(Authenticator.objects.filter(user=user_id, type__in=SECOND_STEPS).exists())


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
