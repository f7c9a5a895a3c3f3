"""Asking for access: the form next to what is locked, and the answers of those who can give it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from apps.accounts.models import AccessRequest, Membership
from apps.accounts.permissions import ACTIONS, allowed, roles_with
from apps.teams import access_requests
from apps.teams.authority import Gone, Refused, choice, choices, held
from console import asker, calls, mail
from console.pages.shell import ANY_MEMBER, TeamRequest, start_of, team_page

TOLD_MAX = 20
"""So many people get a mail about one request."""

ASKED_ROWS = 5
"""Requests on a page of the list of members: each has a choice of all roles."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open request. offers: roles that would answer it; none: whoever looks may give none of them. now: the person's."""

    request: AccessRequest
    offers: list[access_requests.Offer]
    now: str

    @property
    def sentence(self) -> str:
        """What was asked for, in words."""
        return ACTIONS.get(self.request.action, self.request.action)


class AskForm(forms.Form):
    """Why it is needed."""

    reason = forms.CharField(max_length=access_requests.REASON_CHARS_MAX, required=False)


@team_page(ANY_MEMBER)
def ask(request: TeamRequest) -> HttpResponse:
    """Ask for one permission; those who can give it get a mail and find it on the members page."""
    action = request.GET.get("for", "")
    if action not in ACTIONS:
        raise Http404("no such permission")
    back = _back(request)
    form = AskForm(request.POST if request.method == "POST" else None)
    asked = access_requests.open_of(request.team).filter(membership=request.membership, action=action).first()
    if request.method == "POST" and form.is_valid():
        try:
            made = access_requests.ask(asker.by(request), action, form.cleaned_data["reason"])
        except access_requests.AlreadyAsked as error:
            messages.success(request, str(error))
            return redirect(back)
        except Refused as error:
            asker.put_refused(form, error)
        else:
            told = _tell(request, made)
            messages.success(request, f"Asked for {action}. {told}")
            return redirect(back)
    context = {
        "action": action,
        "sentence": ACTIONS[action],
        "form": form,
        "asked": asked,
        "has": allowed(request.actions, action),
        "roles": roles_with(action),
        "givers": access_requests.givers(request.team)[:TOLD_MAX],
        "back": back,
        "now_ms": calls.now_ms(),
    }
    return render(request, "team/ask.html", context, status=422 if request.method == "POST" else 200)


@require_POST
@team_page("member:write")
def answer(request: TeamRequest, asked: int) -> HttpResponse:
    """Grant a request with a role, or refuse it."""
    try:
        found = access_requests.request_of(request.team, asked)
        email = found.membership.user.email
        if request.POST.get("do") == "refuse":
            access_requests.refuse(asker.by(request), found)
            messages.success(request, f"Refused {found.action} for {email}")
            _answer(request, found, granted=False)
        else:
            role = choice(request.team, request.POST.get("role", ""))
            member = access_requests.grant(asker.by(request), found, role)
            messages.success(request, f"{email} is {member.role_label} now")
            _answer(request, found, granted=True)
    except Gone as error:
        messages.error(request, str(error))
    except Refused as error:
        messages.error(request, f"Nothing was changed. {error}")
    return redirect("members", request.team.slug)


def waiting(request: TeamRequest, count: int) -> tuple[list[Waiting], Page]:
    """A page of the team's open requests, oldest first, with what would answer each. count: of all of them."""
    pages = Paginator(access_requests.open_of(request.team), ASKED_ROWS)
    pages.count = count
    page = pages.get_page(request.GET.get("asked"))
    roles, who = choices(request.team), asker.by(request)
    return [Waiting(one, access_requests.offers(who, one, roles), held(one.membership).key) for one in page], page


def _back(request: TeamRequest) -> str:
    """Where the person came from: a page of ours, or the team's first."""
    wanted = request.GET.get("next", "")
    if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        return wanted
    return start_of(request.membership)


def _tell(request: TeamRequest, made: AccessRequest) -> str:
    """Mail those who can answer; what to say about it."""
    link = _members_link(request)
    context = {
        "who": request.user.name or request.user.email,
        "email": request.user.email,
        "team": request.team,
        "action": made.action,
        "sentence": ACTIONS[made.action],
        "reason": made.reason,
        "role": held(request.membership).label,
        "link": link,
    }
    subject = f"{context['who']} asks for {made.action} in {request.team.name}"
    people: list[Membership] = access_requests.givers(request.team)[:TOLD_MAX]
    for member in people:
        mail.post_text(member.user.email, subject, "team/mail_request.txt", context)
    names = [member.user.name or member.user.email for member in people[:3]]
    return f"{', '.join(names)} can answer." if names else "Nobody in the team can answer."


def _answer(request: TeamRequest, found: AccessRequest, *, granted: bool) -> None:
    done = "granted" if granted else "refused"
    context: dict[str, Any] = {"team": request.team, "action": found.action, "done": done, "who": request.user.email}
    subject = f"{found.action} in {request.team.name}: {done}"
    mail.post_text(found.membership.user.email, subject, "team/mail_answer.txt", context)


def _members_link(request: TeamRequest) -> str:
    from django.conf import settings

    return str(settings.CONFIG.public_address) + reverse("members", args=[request.team.slug])
