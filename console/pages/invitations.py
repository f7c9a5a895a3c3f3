"""Invitations: sent, sent again and revoked by members; accepted on a page of their own, by whoever they are for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from allauth.account.adapter import get_adapter
from allauth.core import ratelimit
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import password_validation
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from apps.accounts.models import Invitation, Membership, User
from apps.accounts.permissions import allowed
from apps.teams import invitations
from apps.teams.authority import Gone, Refused, RoleChoice, choice, choices
from apps.throttle.interface import Budget
from console import asker, calls, mail
from console.pages.members import frame
from console.pages.page_rows import RICH_ROWS
from console.pages.shell import TeamRequest, refuse_nul, start_of, team_page

UNKNOWN_PER_S, UNKNOWN_BURST = 0.5, 30
"""Of one address: so often it may come with a link that is none."""

MAILS_PER_S, MAILS_BURST = 0.05, 60
"""Of one team: nobody floods an address with invitations. Beyond it the link is shown and nothing is mailed."""

LABELS = {
    invitations.OPEN: ("busy", "Waiting"),
    invitations.ACCEPTED: ("ok", "Accepted"),
    invitations.EXPIRED: ("warn", "Expired"),
    invitations.REVOKED: ("off", "Revoked"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list. state: the mark's tone and words."""

    invitation: Invitation
    status: str
    state: tuple[str, str]

    @property
    def is_open(self) -> bool:
        """Can it be sent again or revoked?"""
        return self.status in {invitations.OPEN, invitations.EXPIRED}


class InviteForm(forms.Form):
    """Whom, and as what."""

    email = forms.CharField(max_length=invitations.EMAIL_CHARS_MAX)
    role = forms.ChoiceField(initial="viewer")

    def __init__(self, offered: list[RoleChoice], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = [(one.key, one.label) for one in offered]  # type: ignore[attr-defined]


class AccountForm(forms.Form):
    """A new person's name and password."""

    name = forms.CharField(max_length=invitations.NAME_CHARS_MAX)
    password = forms.CharField(widget=forms.PasswordInput, strip=False, max_length=1_024)

    def __init__(self, email: str, *args: Any, **kwargs: Any) -> None:
        self._email = email
        super().__init__(*args, **kwargs)

    def clean_password(self) -> str:
        """As strict as everywhere."""
        password: str = self.cleaned_data["password"]
        password_validation.validate_password(password, User(email=self._email, name=self.data.get("name", "")))
        return password


@team_page("member:read", post="member:write")
@sensitive_variables("token")
def listing(request: TeamRequest) -> HttpResponse:
    """All of them, newest first; POST invites somebody, mails the link, or shows it this once where there is no mail server."""
    offered = [one for one in choices(request.team) if one.actions <= request.actions]
    form = InviteForm(offered, request.POST or None)
    made, link, mailed = None, "", False
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            made, token = invitations.invite(asker.by(request), given["email"], choice(request.team, given["role"]))
        except Refused as error:
            asker.put_refused(form, error)
        else:
            link, mailed = send(request, made, token)
            form = InviteForm(offered)
    return _page(request, form, made, link, mailed=mailed)


@require_POST
@team_page("member:write")
@sensitive_variables("token")
def change(request: TeamRequest, invitation: int) -> HttpResponse:
    """Send one again, with a new link that is shown this once, or revoke it."""
    try:
        found = invitations.invitation_of(request.team, invitation)
    except Gone as error:
        raise Http404(str(error)) from error
    try:
        if request.POST.get("do") == "revoke":
            invitations.revoke(asker.by(request), found)
            messages.success(request, f"The invitation of {found.email} is revoked. Its link works no more.")
            return redirect("member-invitations", request.team.slug)
        found, token = invitations.resend(asker.by(request), found)
    except Refused as error:
        messages.error(request, f"Nothing was changed. {error}")
        return redirect("member-invitations", request.team.slug)
    link, mailed = send(request, found, token)
    return _page(request, None, found, link, mailed=mailed)


def send(request: Any, made: Invitation, token: str) -> tuple[str, bool]:
    """Mail the link of an invitation; the link as whoever invites may see it, and whether the mail is on its way. request:
    a page's or the API's.

    Who has the link can make the invited address's account. So with a mail server it is the mail's alone, whatever
    becomes of that (empty here): the account of somebody else is not made by whoever invites them.
    """
    link = settings.CONFIG.public_address + reverse("invite", args=[token])
    sender = request.user.name or request.user.email
    context = {"team": request.team, "sender": sender, "invitation": made, "link": link, "days": invitations.LASTS_DAYS}
    subject = f"{sender} invites you to {request.team.name} on Tidegate"
    mailed = _may_mail(request) and mail.send(made.email, subject, "team/mail_invitation.txt", context)
    return "" if settings.CONFIG.mail_server is not None else link, mailed


@never_cache
@sensitive_post_parameters("password")
def accept(request: HttpRequest, token: str) -> HttpResponse:
    """/invite/<token>: join the team as the signed-in person, or make an account first. Closed ones say why."""
    refuse_nul(request)
    found = invitations.find(token)
    if not ratelimit.consume(request, action="login") or not (found or _may_guess(request)):
        return ratelimit.respond_429(request)
    status = invitations.status(found, calls.now_ms()) if found else ""
    if found is None or status != invitations.OPEN:
        return _closed(request, found, status)
    known = User.objects.filter(email=found.email).exists()
    context: dict[str, Any] = {"invitation": found, "known": known, "address": request.get_full_path()}
    form = None if request.user.is_authenticated or known else AccountForm(found.email, request.POST or None)
    if request.method == "POST":
        if request.user.is_authenticated:
            return _join(request, found, token, context)
        if form is not None and form.is_valid():
            return _join_new(request, token, form, context)
    context |= {"form": form, "wrong": request.user.is_authenticated and _email(request) != found.email}
    return render(request, "team/invite.html", context, status=422 if request.method == "POST" else 200)


def _may_mail(request: Any) -> bool:
    budget = Budget(MAILS_PER_S, 0, MAILS_BURST, 0)
    return calls.take(f"invitation-mails/{request.team.pk}", budget)


def _may_guess(request: HttpRequest) -> bool:
    budget = Budget(UNKNOWN_PER_S, 0, UNKNOWN_BURST, 0)
    name = f"invitations-unknown/{calls.address(request)}"
    return calls.take(name, budget)


def _join(request: HttpRequest, found: Invitation, token: str, context: dict[str, Any]) -> HttpResponse:
    try:
        member = invitations.accept(_actor(request, found), token, cast("User", request.user))
    except (invitations.Closed, Gone):
        return _closed(request, *_now(token))
    except invitations.WrongPerson:
        return render(request, "team/invite.html", {**context, "wrong": True}, status=422)
    except invitations.AlreadyMember:
        messages.success(request, f"You are a member of {found.team.name} already")
        return redirect("overview", found.team.slug)
    return _welcome(request, member)


def _join_new(request: HttpRequest, token: str, form: AccountForm, context: dict[str, Any]) -> HttpResponse:
    given = form.cleaned_data
    try:
        member = invitations.accept_new(_actor(request, context["invitation"]), token, given["name"], given["password"])
    except (invitations.Closed, Gone):
        return _closed(request, *_now(token))
    except invitations.PersonExists:
        return render(request, "team/invite.html", {**context, "known": True, "form": None}, status=422)
    get_adapter().login(request, member.user)
    return _welcome(request, member)


def _welcome(request: HttpRequest, member: Membership) -> HttpResponse:
    messages.success(request, f"You are in {member.team.name} as {member.role_label}")
    return redirect(start_of(member))


def _closed(request: HttpRequest, found: Invitation | None, status: str) -> HttpResponse:
    inside = found is not None and request.user.is_authenticated and status == invitations.ACCEPTED
    mine = inside and Membership.objects.filter(team=found.team, user=cast("User", request.user)).exists()  # type: ignore[union-attr]
    context = {"invitation": found, "status": status, "mine": mine}
    return render(request, "team/invite_closed.html", context, status=404 if found is None else 410)


def _now(token: str) -> tuple[Invitation | None, str]:
    found = invitations.find(token)
    return found, invitations.status(found, calls.now_ms()) if found else ""


def _actor(request: HttpRequest, found: Invitation) -> Any:
    inside = cast("TeamRequest", request)
    inside.team = found.team
    actor = calls.actor(inside)
    del inside.team
    return actor


def _email(request: HttpRequest) -> str:
    return cast("User", request.user).email.lower()


def _page(
    request: TeamRequest, form: InviteForm | None, made: Invitation | None, link: str, *, mailed: bool
) -> HttpResponse:
    if form is None:
        form = InviteForm([one for one in choices(request.team) if one.actions <= request.actions])
    everything = Invitation.objects.filter(team=request.team).select_related("own_role", "invited_by")
    shared = frame(request, "member-invitations")
    pages = Paginator(everything.order_by("-created_at_ms", "-id"), RICH_ROWS)
    pages.count = shared["invitations"]
    page = pages.get_page(request.GET.get("page"))
    now_ms = calls.now_ms()
    rows = []
    for one in page:
        status = invitations.status(one, now_ms)
        rows.append(Row(one, status, LABELS[status]))
    context = {
        **shared,
        "form": form,
        "rows": rows,
        "page": page,
        "made": made,
        "link": link,
        "mailed": mailed,
        "may_invite": allowed(request.actions, "member:write"),
        "days": invitations.LASTS_DAYS,
    }
    refused = request.method == "POST" and made is None
    return render(request, "team/invitations.html", context, status=422 if refused else 200)
