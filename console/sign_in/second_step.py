"""What allauth asks about second steps: secrets sealed at rest, each code once, our words."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base import forms as base
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp
from allauth.mfa.webauthn import forms as webauthn
from allauth.mfa.webauthn.internal import auth
from cryptography.exceptions import InvalidSignature
from django import forms
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.cache import cache
from django.core.exceptions import ValidationError

from apps.accounts import secrets
from console.sign_in import failures, waiting

SEALED_AS: Final = "second-step"
"""What stands for the key's id in the sealing of access keys: a secret of the one kind does not open as the other."""

TOO_MANY: Final = {"too_many_login_attempts", "rate_limited"}
"""allauth's codes."""

CODE_LASTS_S: Final = 120
"""Longer than a code is taken: three times 30 s."""


class MfaAdapter(DefaultMFAAdapter):
    """allauth's, with these differences."""

    error_messages: ClassVar = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "This code is not right. An app's codes change every 30 seconds, and each code works once.",
        "cannot_delete_authenticator": "A team of yours asks its members for a second step.",
        "cannot_generate_recovery_codes": "Recovery codes come with an authenticator app or a passkey. Add one first.",
    }

    def encrypt(self, text: str) -> str:
        """Sealed with a key that derives from the master key (accounts/secrets.py)."""
        return base64.b64encode(secrets.encrypt(text, SEALED_AS)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """The text. Raises SecretUnreadable."""
        return secrets.decrypt(base64.b64decode(encrypted_text), SEALED_AS)

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Passkeys are bound to the configured address, not to the request's Host."""
        return {"id": urlsplit(settings.CONFIG.public_address).hostname or "localhost", "name": "Tidegate"}

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:  # noqa: A002
        """`Passkey 1`."""
        return f"Passkey {Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1}"


class EachCodeOnce:
    """A form that asks for a code: one that was taken is not taken again, and too many tries say how long to wait."""

    user: Any

    def clean_code(self) -> str:
        """The code. Raises ValidationError."""
        try:
            code: str = super().clean_code()  # type: ignore[misc]
        except ValidationError as error:
            if getattr(error, "code", "") not in TOO_MANY:
                self.failed(failures.WRONG_STEP)
                raise
            self.failed(failures.TOO_MANY)
            left = waiting.wait_s(context.request, "login_failed", f"mfa-auth-user-{self.user.pk}")
            raise ValidationError(f"Too many attempts. {waiting.sentence(left)}", code=error.code) from None
        used = f"second-step:{self.user.pk}:{''.join(code.split())}"
        if not cache.add(used, True, CODE_LASTS_S):
            self.failed(failures.WRONG_STEP)
            raise ValidationError(MfaAdapter.error_messages["incorrect_code"], code="incorrect_code")
        return code

    def failed(self, result: tuple[str, str]) -> None:
        """What becomes of a code that is not taken."""
        _failed(self.user, result)


class AuthenticateForm(EachCodeOnce, base.AuthenticateForm):
    """At sign-in."""


class ReauthenticateForm(EachCodeOnce, base.ReauthenticateForm):
    """Before something that matters."""


class ActivateForm(EachCodeOnce, totp.ActivateTOTPForm):
    """When an app is added: the code that proves it does not sign in as well."""

    def failed(self, result: tuple[str, str]) -> None:
        """Nothing: it was no attempt to get in."""


UNREADABLE: Final = (
    KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, AssertionError, struct.error, InvalidSignature,
)  # fmt: skip
"""What reading a made-up credential may end in: base64, JSON, CBOR, keys and certificates of whoever sent it."""


class Readable:
    """A form with a browser's answer about a passkey: one that cannot be read is a wrong one, and no error of ours. user: None
    instead of a password, where the answer names whose it is."""

    user: Any

    def clean_credential(self) -> Any:
        """The passkey that it proves. Raises ValidationError."""
        try:
            return _read(super().clean_credential)  # type: ignore[misc]
        except ValidationError as error:
            user = self.user or _holder(self.cleaned_data["credential"])  # type: ignore[attr-defined]
            if user is not None:
                _failed(user, failures.TOO_MANY if error.code in TOO_MANY else failures.WRONG_STEP)
            raise


class LoginPasskeyForm(Readable, webauthn.LoginWebAuthnForm):
    """Instead of a password."""


class AuthenticatePasskeyForm(Readable, webauthn.AuthenticateWebAuthnForm):
    """At sign-in."""


class ReauthenticatePasskeyForm(Readable, webauthn.ReauthenticateWebAuthnForm):
    """Before something that matters."""


class AddPasskeyForm(webauthn.AddWebAuthnForm):
    """A new one."""

    name = forms.CharField(required=False, max_length=60)

    def clean(self) -> Any:
        """As allauth. Raises ValidationError."""
        return _read(super().clean)


def _failed(user: Any, result: tuple[str, str]) -> None:
    """Write down a second step that was not right, at sign-in or before something that matters."""
    request = context.request
    failures.note(request, user.email, failures.AGAIN if request.user.is_authenticated else failures.SIGN_IN, result)


def _holder(answer: Any) -> Any:
    """Whose passkey an answer names that was not right. None: nobody's, as anybody can make up a person's number, but not the
    id of their passkey."""
    try:
        user, named = auth.extract_user_from_response(answer), auth.parse_authentication_response(answer).raw_id
        return user if any(one.credential_id == named for one in auth.get_credentials(user)) else None
    except (ValidationError, *UNREADABLE):
        return None


def _read(clean: Callable[[], Any]) -> Any:
    try:
        return clean()
    except ValidationError:
        raise
    except UNREADABLE:
        raise ValidationError("The passkey could not be read.", code="incorrect_code") from None
