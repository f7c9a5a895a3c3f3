"""People: how they sign in (django-allauth with our words), their profile, and their theme."""

from __future__ import annotations

from typing import ClassVar

from allauth.account.forms import ChangePasswordForm
from allauth.core import ratelimit
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from apps.accounts.models import User
from apps.accounts.permissions import ACTIONS, allowed
from console.pages.shell import THEME_COOKIE, THEMES, TeamRequest, team_page

YEAR_S = 365 * 86_400


class ProfileForm(forms.ModelForm):
    """Name and theme."""

    class Meta:
        model = User
        fields: ClassVar = ["name", "theme"]


@team_page("stream:read")
def profile(request: TeamRequest) -> HttpResponse:
    """Name, theme and password of the signed-in person. Each part saves alone."""
    part = request.POST.get("part", "")
    about = ProfileForm(request.POST if part == "about" else None, instance=User.objects.get(pk=request.user.pk))
    password = ChangePasswordForm(data=request.POST if part == "password" else None, user=request.user)
    if part == "about" and about.is_valid():
        about.save()
        messages.success(request, "Profile saved")
        return _with_theme(redirect("profile", request.team.slug), about.cleaned_data["theme"])
    if part == "password":
        if not ratelimit.consume(request, action="change_password", user=request.user):
            return ratelimit.respond_429(request)
        if password.is_valid():
            password.save()
            update_session_auth_hash(request, password.user)
            messages.success(request, "Password changed. Other sessions are signed out.")
            return redirect("profile", request.team.slug)
    grants = [(sentence, allowed(request.actions, action)) for action, sentence in ACTIONS.items()]
    context = {"about": about, "password": password, "grants": grants}
    return render(request, "people/profile.html", context, status=422 if part else 200)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Store the theme: in a cookie for this browser, and with the person if somebody is signed in."""
    wanted = request.POST.get("theme", "system")
    wanted = wanted if wanted in THEMES else "system"
    if request.user.is_authenticated:
        User.objects.filter(pk=request.user.pk).update(theme=wanted)
    back = request.POST.get("next", "/")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return _with_theme(HttpResponseRedirect(back if safe else "/"), wanted)


def _with_theme(response: HttpResponse, wanted: str) -> HttpResponse:
    response.set_cookie(
        THEME_COOKIE, wanted, max_age=YEAR_S, httponly=True, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE
    )
    return response
