"""Signing in: the second step, starting over, and proving again who one is before something that matters."""

from __future__ import annotations

import json
from typing import Any

from allauth.account import views as account
from allauth.account.internal import stagekit
from allauth.core import ratelimit
from allauth.core.internal import ratelimit as limits
from allauth.mfa.base import views as mfa
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn import views as webauthn
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST


class _Renewed:
    """The session gets a new key with what its person has proved again."""

    request: HttpRequest

    def form_valid(self, form: Any) -> HttpResponse:
        """As allauth, under a new key."""
        self.request.session.cycle_key()
        return super().form_valid(form)  # type: ignore[misc,no-any-return]

    def form_invalid(self, form: Any) -> HttpResponse:
        """422, at the field."""
        response: HttpResponse = super().form_invalid(form)  # type: ignore[misc]
        if response.status_code == 200:
            response.status_code = 422
        return response


class _WithOptions:
    """What the browser asks a passkey, as the page hands it to passkeys.js."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """`options`: JSON, or nothing if the person has no passkey."""
        context: dict[str, Any] = super().get_context_data(**kwargs)  # type: ignore[misc]
        options = context.get("js_data", {}).get("request_options", {})
        wanted = options.get("publicKey", {}).get("allowCredentials")
        return {
            **context,
            "options": json.dumps(options) if wanted else "",
            "passkey_host": settings.CONFIG.public_address,
        }


class SecondStep(_WithOptions, mfa.AuthenticateView):
    """After the password: a code of the app, a recovery code, or a passkey. Without it there is no session."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Which of them the person has."""
        types = Authenticator.objects.filter(user=self.stage.login.user).values_list("type", flat=True)
        return {**super().get_context_data(**kwargs), "has_app": Authenticator.Type.TOTP in set(types)}

    def form_invalid(self, form: Any) -> HttpResponse:
        """422, at the field. A passkey's form has no field that is seen, so what is wrong is said above."""
        response: HttpResponse = super().form_invalid(form)
        response.status_code = 422
        return response


class ConfirmPassword(_Renewed, account.ReauthenticateView):
    """By password."""


class ConfirmCode(_Renewed, mfa.ReauthenticateView):
    """By a code."""


class ConfirmPasskey(_WithOptions, _Renewed, webauthn.ReauthenticateWebAuthnView):
    """By a passkey."""


class PasskeySignIn(webauthn.LoginWebAuthnView):
    """Signing in with a passkey alone."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Asking for options makes a row of a session, so it is counted as well."""
        if not limits.consume(request, app="allauth.mfa", action="webauthn_login", limit_get=request.method == "GET"):
            return ratelimit.respond_429(request)
        return super().dispatch(request, *args, **kwargs)

    def form_invalid(self, form: Any) -> HttpResponse:  # noqa: ARG002 - allauth's hook
        """Back to the sign-in page, which says so."""
        messages.error(self.request, "This passkey is not known here. Sign in with your password.")
        return redirect("account_login")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The options as JSON for the script; for others the sign-in page."""
        answer = super().get(request, *args, **kwargs)
        if isinstance(answer, JsonResponse):
            answer["Cache-Control"] = "no-store"
        return answer


@require_POST
def start_over(request: HttpRequest) -> HttpResponse:
    """Forget the password that was right: somebody else wants to sign in."""
    stagekit.clear_login(request)
    return redirect("account_login")


second_step = SecondStep.as_view()
confirm_password = ConfirmPassword.as_view()
confirm_code = ConfirmCode.as_view()
confirm_passkey = ConfirmPasskey.as_view()
passkey_sign_in = PasskeySignIn.as_view()
