"""What allauth asks about accounts, in our words and by our rules."""

from __future__ import annotations

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from apps.accounts.models import User
from console import calls, mail, sessions
from console.sign_in import failures, trail, waiting

NOTICES = {
    "mfa/email/totp_activated": "an authenticator app was added as a second step",
    "mfa/email/totp_deactivated": "the authenticator app was removed",
    "mfa/email/webauthn_added": "a passkey was added",
    "mfa/email/webauthn_removed": "a passkey was removed",
    "mfa/email/recovery_codes_generated": "new recovery codes were made; the old ones no longer work",
    "account/email/password_changed": "the password was changed",
    "account/email/password_reset": "the password was reset with a link by mail",
    "socialaccount/email/account_connected": "an account of the single sign-on was connected",
}
"""What a person is told by mail, whoever did it: allauth's name of the mail, and the middle of our sentence."""


class AccountAdapter(DefaultAccountAdapter):
    """Nobody registers by themselves; links in mail name the configured address, never the request's Host."""

    error_messages: ClassVar = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": "The e-mail address or the password is not right.",
        "incorrect_password": "The password is not right.",
        "enter_current_password": "This is not the current password.",
        "too_many_login_attempts": "Too many failed attempts.",
        "rate_limited": "Too many attempts.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - allauth's hook
        """Accounts are made by the first start and by invitation."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that attempts are counted by: behind a trusted proxy, the one that it names."""
        return calls.address(request)

    def is_ajax(self, request: HttpRequest) -> bool:
        """Only a passkey's options are asked for by script; all else is pages."""
        return request.path == reverse("mfa_login_webauthn") and bool(super().is_ajax(request))

    def get_reset_password_from_key_url(self, key: str) -> str:
        """The link of a password reset."""
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return str(settings.CONFIG.public_address + path.replace("UID-KEY", key))

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Counts the attempt. Raises ValidationError, with the time to wait, if there were too many."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            failures.note(request, _tried(request, credentials), _which(request), failures.TOO_MANY)
            key = self._get_login_attempts_cache_key(request, **credentials)
            wait = waiting.sentence(waiting.wait_s(request, "login_failed", key))
            raise ValidationError(f"Too many failed attempts. {wait}", code="too_many_login_attempts") from None

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """The password was wrong, or the address is nobody's."""
        failures.note(request, _tried(request, credentials), _which(request), failures.WRONG_PASSWORD)

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
        """Somebody knows the password of an account that is switched off."""
        assert isinstance(user, User)
        failures.note(request, user.email, failures.SIGN_IN, failures.SWITCHED_OFF)
        answer: HttpResponse = super().respond_user_inactive(request, user)
        return answer

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:  # noqa: ARG002
        """allauth's has the request's host in it, which who attacks may choose."""
        return f"sign-in:{(credentials.get('email') or credentials.get('username') or '').lower()}"

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """All steps are done: a session with a new key, and an entry in the trail."""
        assert isinstance(user, User)
        super().login(request, user)
        sessions.clear_expired()
        sessions.note(request)
        found: dict[str, Any] = {"by": trail.steps(request)}
        if left_out := failures.left_out(user):
            found["failed_attempts_not_listed"] = left_out
        trail.of_person(request, user, failures.SIGN_IN, None, found)

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        """As allauth; all other sessions of the person end."""
        assert isinstance(user, User)
        super().set_password(user, password)
        request = self.request
        mine = request.user.is_authenticated and request.user.pk == user.pk
        sessions.end_others(user, request.session.session_key if mine else None)
        self._delete_login_attempts_cached_email(
            request, email=user.email
        )  # allauth's own rows of addresses are not kept
        trail.of_person(request, user, "ChangePassword" if mine else "ResetPassword", None, None)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """In the background: how long the page takes does not tell whether there was somebody to write to."""
        mail.post(self.render_mail(template_prefix, email, {**context, "email": email}))

    def send_notification_mail(
        self,
        template_prefix: str,
        user: AbstractBaseUser,
        context: dict[str, Any] | None = None,  # noqa: ARG002 - allauth's hook
        email: str | None = None,  # noqa: ARG002
    ) -> None:
        """Tell a person what was changed about how they sign in."""
        what = NOTICES.get(template_prefix)
        if what and isinstance(user, User):
            told = {"what": what, "address": calls.address(self.request), "at_ms": calls.now_ms()}
            self.send_mail("account/email/notice", user.email, {**told, "endpoint": settings.CONFIG.public_address})


def _tried(request: HttpRequest, credentials: dict[str, Any]) -> str:
    """The address that was given; proving again, one's own."""
    return request.user.email if isinstance(request.user, User) else str(credentials.get("email") or "")


def _which(request: HttpRequest) -> str:
    return failures.AGAIN if request.user.is_authenticated else failures.SIGN_IN
