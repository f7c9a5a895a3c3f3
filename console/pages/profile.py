"""The profile: who one is here, how pages look, how one signs in, and where one is signed in."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import ChangePasswordForm
from allauth.core import ratelimit
from allauth.socialaccount.models import SocialAccount
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from apps.accounts.models import Membership, User
from apps.accounts.permissions import ACTIONS, allowed
from console import calls, sessions, zones
from console.pages import agents, second_step
from console.pages.people import with_theme
from console.pages.shell import ANY_MEMBER, THEMES, TeamRequest, team_page
from console.sign_in import trail

ZONES = ((zones.UTC, "UTC"), (zones.BROWSER, "As this browser is set"), ("named", "Another"))
LOOKS = ("name", "theme", "density", "time_zone", "shortcuts")


class AboutForm(forms.Form):
    """Name, theme, density, time zone, and whether single letters do something."""

    name = forms.CharField(max_length=120, required=False)
    theme = forms.ChoiceField(choices=[("system", "System"), ("light", "Light"), ("dark", "Dark")])
    density = forms.ChoiceField(choices=[("normal", "Normal"), ("compact", "Compact")])
    zone = forms.ChoiceField(choices=ZONES)
    zone_name = forms.CharField(max_length=64, required=False)
    shortcuts = forms.BooleanField(required=False)

    def clean_name(self) -> str:
        """In one line."""
        return " ".join(self.cleaned_data["name"].split())

    def clean(self) -> dict[str, Any]:
        """Sets `time_zone`: UTC, browser, or an IANA name."""
        given = super().clean() or {}
        zone = given.get("zone", zones.UTC)
        given["time_zone"] = zone
        if zone == "named":
            given["time_zone"] = given.get("zone_name", "").strip()
            if not zones.is_known(given["time_zone"]):
                self.add_error("zone_name", "Write a name of the time zone database, like Europe/Berlin.")
        return given


@team_page(ANY_MEMBER)
def profile(request: TeamRequest) -> HttpResponse:
    """The page; the parts About you and Password save alone."""
    part = request.POST.get("part", "")
    user = User.objects.get(pk=request.user.pk)
    about = AboutForm(request.POST if part == "about" else None, initial=_initial(user))
    password = ChangePasswordForm(data=request.POST if part == "password" else None, user=request.user)
    if part == "about" and about.is_valid():
        _save(request, user, about.cleaned_data)
        messages.success(request, "Profile saved")
        return with_theme(redirect("profile", request.team.slug), user.theme)
    if part == "password":
        if not ratelimit.consume(request, action="change_password", user=request.user):
            return ratelimit.respond_429(request)
        if password.is_valid():
            _change_password(request, password)
            return redirect("profile", request.team.slug)
    context = {"about": about, "password": password, **_shown(request)}
    return render(request, "people/profile.html", context, status=422 if part else 200)


@team_page(ANY_MEMBER)
@require_POST
def end_session(request: TeamRequest) -> HttpResponse:
    """Sign out one other session by its name, or all others."""
    name = request.POST.get("session", "")
    if name:
        ended = int(name != _this(request) and sessions.end(request.user, name))
    else:
        ended = sessions.end_others(request.user, request.session.session_key)
    if ended:
        trail.of_person(request, request.user, "EndSession", {"session": name or "others", "sessions": ended}, None)
    messages.success(
        request, f"{ended} session{'' if ended == 1 else 's'} signed out" if ended else "It had ended already"
    )
    return redirect("profile", request.team.slug)


@login_required
def mine(request: HttpRequest) -> HttpResponse:
    """The profile of somebody who is in no page of a team: in the first of their teams."""
    first = Membership.objects.filter(user=request.user.pk).select_related("team").order_by("team__name").first()
    return redirect("profile", first.team.slug) if first else redirect("home")


def _initial(user: User) -> dict[str, Any]:
    named = user.time_zone not in {zones.UTC, zones.BROWSER}
    return {
        "name": user.name, "density": user.density, "shortcuts": user.shortcuts,
        "theme": user.theme if user.theme in THEMES else "system",
        "zone": "named" if named else user.time_zone, "zone_name": user.time_zone if named else "",
    }  # fmt: skip


@transaction.atomic
def _save(request: TeamRequest, user: User, given: dict[str, Any]) -> None:
    before = {name: getattr(user, name) for name in LOOKS}
    for name in LOOKS:
        setattr(user, name, given[name])
    user.save(update_fields=LOOKS)
    after = {name: getattr(user, name) for name in LOOKS}
    if before != after:
        changed = [name for name in LOOKS if before[name] != after[name]]
        trail.of_person(
            request, user, "UpdateProfile", {n: before[n] for n in changed}, {n: after[n] for n in changed}
        )  # fmt: skip


def _change_password(request: TeamRequest, form: Any) -> None:
    with transaction.atomic():
        form.save()
    update_session_auth_hash(request, form.user)  # a new key for this session; the others have ended
    get_adapter(request).send_notification_mail("account/email/password_changed", form.user)
    messages.success(request, "Password changed. Other sessions are signed out.")


def _this(request: HttpRequest) -> str:
    return sessions.digest(request.session.session_key)[:12]


def _shown(request: TeamRequest) -> dict[str, Any]:
    """What the page shows beside its forms."""
    here = _this(request)
    return {
        "grants": [(sentence, allowed(request.actions, action)) for action, sentence in ACTIONS.items()],
        "steps": second_step.summary(request.user),
        "sessions": [(one, agents.in_words(one.agent), one.name == here) for one in sessions.of(request.user)],
        "connected": SocialAccount.objects.filter(user=request.user).exists() if settings.CONFIG.oidc_issuer else False,
        "has_password": request.user.has_usable_password(),
        "now_ms": calls.now_ms(),
    }
