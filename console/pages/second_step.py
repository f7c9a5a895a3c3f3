"""One's own second steps: an authenticator app, recovery codes, passkeys. Each change asks to prove again who one is, is
written down, and gives the session a new key."""

from __future__ import annotations

import json
from typing import Any, cast

from allauth.account.adapter import get_adapter
from allauth.core import ratelimit
from allauth.mfa.base.internal import flows as base
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal import flows as recovery
from allauth.mfa.totp.views import ActivateTOTPView
from allauth.mfa.webauthn.internal import flows as webauthn
from allauth.mfa.webauthn.views import AddWebAuthnView
from django import forms
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from console import calls
from console.pages.shell import ANY_MEMBER, TeamRequest, team_page
from console.sign_in import trail
from console.sign_in.proof import proved_again, signed_in_lately

Type = Authenticator.Type

PASSKEYS_MAX = 20
NAME_CHARS_MAX = 60


class RenameForm(forms.Form):
    """A passkey's name."""

    name = forms.CharField(max_length=NAME_CHARS_MAX)


class _Adding:
    """What adding an app and adding a passkey have alike."""

    request: HttpRequest
    did_generate_recovery_codes: bool
    operation = ""
    said = ""

    def get_success_url(self) -> str:
        """The recovery codes, if these are new; else the profile."""
        name = "profile-codes" if self.did_generate_recovery_codes else "profile"
        return reverse(name, args=[cast("TeamRequest", self.request).team.slug])

    def form_valid(self, form: Any) -> HttpResponse:
        """Add it."""
        with transaction.atomic():
            response: HttpResponse = super().form_valid(form)  # type: ignore[misc]
            changed(self.request, self.operation, None, {"name": form.cleaned_data.get("name", "Authenticator app")})
        messages.success(self.request, self.said)
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        """422, at the field."""
        response: HttpResponse = super().form_invalid(form)  # type: ignore[misc]
        response.status_code = 422
        return response


class _AddApp(_Adding, ActivateTOTPView):
    template_name = "people/app.html"
    operation = "AddAuthenticatorApp"
    said = "The authenticator app is your second step now"


class _AddPasskey(_Adding, AddWebAuthnView):
    template_name = "people/passkey.html"
    operation = "AddPasskey"
    said = "Passkey added"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        options = json.dumps(context["js_data"]["creation_options"])
        return {**context, "options": options, "passkey_host": settings.CONFIG.public_address}


def changed(request: HttpRequest, operation: str, before: Any, after: Any) -> None:
    """Write it down, and give the session a new key."""
    request.session.cycle_key()
    trail.of_person(request, cast("TeamRequest", request).user, operation, before, after)


@team_page(ANY_MEMBER)
@signed_in_lately
def add_app(request: TeamRequest) -> HttpResponse:
    """A QR code to scan, and a first code that proves it was."""
    if Authenticator.objects.filter(user=request.user, type=Type.TOTP).exists():
        return redirect("profile", request.team.slug)
    return cast("HttpResponse", _AddApp.as_view()(request))


@team_page(ANY_MEMBER)
@signed_in_lately
def add_passkey(request: TeamRequest) -> HttpResponse:
    """The browser makes a key pair; we keep the public half."""
    if Authenticator.objects.filter(user=request.user, type=Type.WEBAUTHN).count() >= PASSKEYS_MAX:
        messages.error(request, f"{PASSKEYS_MAX} passkeys are the most a person has. Remove one first.")
        return redirect("profile", request.team.slug)
    return cast("HttpResponse", _AddPasskey.as_view()(request))


@team_page(ANY_MEMBER)
@proved_again
def passkey(request: TeamRequest, key: int) -> HttpResponse:
    """Rename one."""
    found = get_object_or_404(Authenticator, pk=key, user=request.user, type=Type.WEBAUTHN)
    before = found.wrap().name
    form = RenameForm(request.POST or None, initial={"name": before})
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            webauthn.rename_authenticator(request, found, form.cleaned_data["name"])
            changed(request, "RenamePasskey", {"name": before}, {"name": form.cleaned_data["name"]})
        messages.success(request, "Passkey renamed")
        return redirect("profile", request.team.slug)
    context = {"form": form, "name": before}
    return render(request, "people/passkey_name.html", context, status=422 if request.method == "POST" else 200)


@team_page(ANY_MEMBER)
@proved_again
def remove(request: TeamRequest, key: int) -> HttpResponse:
    """What happens without it, and the button that removes it."""
    mine = list(Authenticator.objects.filter(user=request.user).exclude(type=Type.RECOVERY_CODES))
    found = next((one for one in mine if one.pk == key), None)
    if found is None:
        raise Http404("no such second step")
    name = found.wrap().name if found.type == Type.WEBAUTHN else "authenticator app"
    if request.method != "POST":
        return render(request, "people/step_remove.html", {"name": name, "is_last": len(mine) == 1, "type": found.type})
    notice = "mfa/email/webauthn_removed" if found.type == Type.WEBAUTHN else "mfa/email/totp_deactivated"
    with transaction.atomic():
        base.delete_and_cleanup(request, found)
        operation = "RemovePasskey" if found.type == Type.WEBAUTHN else "RemoveAuthenticatorApp"
        changed(request, operation, {"name": name}, None)
    get_adapter(request).send_notification_mail(notice, request.user)
    messages.success(request, f"{name[0].upper()}{name[1:]} removed")
    return redirect("profile", request.team.slug)


@team_page(ANY_MEMBER)
@proved_again
def codes(request: TeamRequest) -> HttpResponse:
    """Recovery codes: shown once after they were made; later how many are left."""
    found, can_view = recovery.view_recovery_codes(request)
    if found is None:
        raise Http404("no recovery codes")
    unused = found.get_unused_codes()
    context = {"codes": unused if can_view else [], "left": len(unused), "made_at_ms": _ms(found.instance.created_at)}
    return render(request, "people/codes.html", context)


@team_page(ANY_MEMBER)
@require_POST
@proved_again
def new_codes(request: TeamRequest) -> HttpResponse:
    """Make new ones; the old ones are worth nothing from now on."""
    if not ratelimit.consume(request, action="change_password", user=request.user):
        return ratelimit.respond_429(request)
    if not recovery.can_generate_recovery_codes(request.user):
        return redirect("profile", request.team.slug)
    with transaction.atomic():
        recovery.generate_recovery_codes(request)
        changed(request, "CreateRecoveryCodes", None, None)
    return redirect("profile-codes", request.team.slug)


def _ms(at: Any) -> int:
    return int(at.timestamp() * 1000)


def summary(user: Any) -> dict[str, Any]:
    """For the profile: the app, passkeys, and how many recovery codes are left."""
    answer: dict[str, Any] = {"app": None, "passkeys": [], "codes_left": 0, "now_ms": calls.now_ms()}
    for one in Authenticator.objects.filter(user=user).order_by("pk"):
        line = {
            "key": one.pk,
            "made_at_ms": _ms(one.created_at),
            "used_at_ms": _ms(one.last_used_at) if one.last_used_at else None,
        }
        if one.type == Type.TOTP:
            answer["app"] = line
        elif one.type == Type.RECOVERY_CODES:
            answer["codes_left"] = len(one.wrap().get_unused_codes())
        else:
            wrapped = one.wrap()
            answer["passkeys"].append({**line, "name": wrapped.name, "alone": wrapped.is_passwordless})
    return answer
