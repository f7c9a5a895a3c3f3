"""/setup?token=…: finishes the seeded owner's account once, then closes for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from allauth.account.adapter import get_adapter
from allauth.core import ratelimit
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django import forms
from django.contrib import messages
from django.contrib.auth import password_validation
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from apps.accounts import setup as links
from apps.accounts.models import SetupLink, User
from console import calls
from console.pages import demo

if TYPE_CHECKING:
    from console.pages.shell import TeamRequest


SECOND_STEPS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]


class SetupForm(forms.Form):
    """The owner's name, address and password, the team's name, and whether to load a demo stream."""

    name = forms.CharField(max_length=120)
    email = forms.EmailField(max_length=254)
    password = forms.CharField(widget=forms.PasswordInput, strip=False)
    team_name = forms.CharField(max_length=80)
    demo = forms.BooleanField(required=False)

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        self.user = user
        super().__init__(*args, **kwargs)

    def clean_name(self) -> str:
        """In one line."""
        return " ".join(self.cleaned_data["name"].split())

    def clean_team_name(self) -> str:
        """In one line."""
        return " ".join(self.cleaned_data["team_name"].split())

    def clean_email(self) -> str:
        """Not another person's."""
        email = self.cleaned_data["email"].lower()
        if User.objects.filter(email=email).exclude(pk=self.user.pk).exists():
            raise forms.ValidationError("Another person signs in with this address.")
        return email

    def clean_password(self) -> str:
        """As strict as everywhere."""
        password = self.cleaned_data["password"]
        password_validation.validate_password(password, self.user)
        return password


@never_cache
@sensitive_post_parameters("password")
def setup(request: HttpRequest) -> HttpResponse:
    """The form, as long as the link is open; afterwards the sign-in page."""
    if not ratelimit.consume(request, action="login"):
        return ratelimit.respond_429(request)
    link = links.find(request.GET.get("token", ""))
    if link is None:
        return render(request, "people/setup_closed.html", status=404)
    user = link.user
    first = {"name": user.name, "email": user.email, "team_name": link.team.name, "demo": True}
    form = SetupForm(user, request.POST or None, initial=first)
    if request.method == "POST" and form.is_valid():
        return _finish(request, link, form.cleaned_data)
    return render(request, "people/setup.html", {"form": form}, status=422 if request.method == "POST" else 200)


def _finish(request: HttpRequest, link: SetupLink, given: dict[str, Any]) -> HttpResponse:
    done = links.finish(
        link, given["name"], given["email"], given["password"], given["team_name"], calls.now_ms()
    )  # fmt: skip
    if not done:
        return render(request, "people/setup_closed.html", status=404)
    if is_mfa_enabled(link.user, SECOND_STEPS):  # of somebody who signed in with the printed password before
        return redirect("account_login")
    get_adapter().login(request, link.user)
    get_adapter().add_message(request, messages.SUCCESS, message=f"Welcome to Tidegate, {given['name']}")
    if given["demo"]:
        inside = cast("TeamRequest", request)
        inside.team, inside.meter_key = link.team, calls.METER_KEY
        demo.load(inside)
    return redirect("streams", link.team.slug)
