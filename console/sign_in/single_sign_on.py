"""Signing in with an OpenID Connect provider that the operator has named (TIDEGATE_OIDC_…): django-allauth's flow with
PKCE and state, and on top of it a nonce, a signature that is always checked, and our rules about who gets in.

Nobody registers by it: it signs in who is known by an address that the provider has verified, or who holds an invitation to
that address. Calls go to the issuer and to the endpoints that its own document names, by our outgoing client: no redirects,
a deadline for the whole, an answer of bounded size.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
import requests
import structlog
from allauth.account.utils import get_next_redirect_url
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import Resolver404, resolve, reverse
from django.utils.crypto import constant_time_compare, get_random_string

from apps.accounts.models import User
from apps.base import outgoing
from apps.teams import invitations
from console import calls
from console.sign_in import trail

log = structlog.get_logger(__name__)

CALL_S: Final = 10
ANSWER_BYTES_MAX: Final = 256 * 1024
ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Of signatures: those with a public key. An HMAC with it would be anybody's."""

KEYS_MAX: Final = 10
LEEWAY_S: Final = 60
KEPT: Final = ("sub", "email", "email_verified", "name", "nonce")
"""Of what the provider says about a person."""


class SocialAdapter(DefaultSocialAccountAdapter):
    """What allauth asks about accounts elsewhere."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:  # noqa: ARG002
        """Never: an invitation is what makes an account (pre_social_login)."""
        return False

    def get_provider(self, request: HttpRequest, provider: Any, client_id: Any = None) -> Provider:  # noqa: ARG002
        """The one that the settings name."""
        return Provider(request, app=_app())

    def get_requests_session(self) -> requests.Session:
        """All calls to the provider are made by it."""
        session = requests.Session()
        session.trust_env = False
        session.max_redirects = 0
        for scheme in ("https://", "http://"):
            session.mount(scheme, Bounded())
        return session

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Who is it? Raises ImmediateHttpResponse for those who are not let in."""
        claims = sociallogin.account.extra_data
        if not constant_time_compare(str(claims.get("nonce", "")), str(sociallogin.state.get("nonce", "-"))):
            raise refused(request, "The answer was not to this sign-in. Try again.")
        email = str(claims.get("email") or "").lower()
        if not email or claims.get("email_verified") not in {True, "true"}:
            raise refused(request, f"{_name()} has not verified your e-mail address, so it cannot sign you in here.")
        if sociallogin.is_existing:
            return
        user = User.objects.filter(email=email).first() or _invited(sociallogin, email, str(claims.get("name") or ""))
        if user is None:
            raise refused(request, f"Nobody signs in here as {email}. Ask an owner or admin of a team to invite you.")
        sociallogin.connect(request, user)
        trail.of_person(request, user, "ConnectSingleSignOn", None, {"issuer": settings.CONFIG.oidc_issuer})

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,  # noqa: ARG002 - allauth's hook
        error: Any = None,
        exception: Any = None,
        extra_context: Any = None,  # noqa: ARG002
    ) -> None:
        """Back to the sign-in page, which says so; the log says more."""
        log.warning("single_sign_on_failed", error=str(error), exception=str(exception)[:300])
        raise refused(request, f"Signing in with {_name()} did not work. Try again, or use your password.")


class OidcAdapter(OpenIDConnectOAuth2Adapter):
    """allauth's client of the provider, with these differences."""

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:  # noqa: ARG002 - allauth's hook
        """At the configured address, whatever Host was asked."""
        return str(settings.CONFIG.public_address + reverse("oidc-callback"))

    @property
    def openid_config(self) -> dict[str, Any]:
        """The provider's document. Raises OAuth2Error if it is not this issuer's, or names endpoints that are not HTTPS."""
        known: dict[str, Any] | None = getattr(self, "_checked", None)
        if known is None:
            known = super().openid_config
            self._checked = known = _checked(known)
        return known

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs: Any) -> SocialLogin:
        """Who the ID token is about. What it lacks is asked of the provider, about the same subject. Raises OAuth2Error."""
        claims = self._decode_id_token(app, kwargs["response"]["id_token"])
        if not claims.get("email") and self.openid_config.get("userinfo_endpoint"):
            more = self._fetch_user_info(token.token)
            if more.get("sub") != claims["sub"]:
                raise OAuth2Error("the provider told of another person than the token's")
            claims |= {name: more[name] for name in ("email", "email_verified", "name") if name in more}
        data = {name: claims[name] for name in KEPT if name in claims}
        return self.get_provider().sociallogin_from_response(request, data)

    def _decode_id_token(self, app: Any, id_token: str) -> dict[str, Any]:
        """Always with its signature, by a key of the provider's. Raises OAuth2Error."""
        header = jwt.get_unverified_header(id_token)
        with SocialAdapter(self.request).get_requests_session() as session:
            response = session.get(self.openid_config["jwks_uri"])
            response.raise_for_status()
        keys = [key for key in jwt.PyJWKSet.from_dict(response.json()).keys if header.get("kid") in {None, key.key_id}]
        for key in keys[:KEYS_MAX]:
            try:
                claims: dict[str, Any] = jwt.decode(
                    id_token, key.key, algorithms=ALGORITHMS, audience=app.client_id, issuer=self.openid_config["issuer"],
                    leeway=LEEWAY_S, options={"require": ["iss", "sub", "aud", "exp", "iat"]},
                )  # fmt: skip
            except (jwt.InvalidSignatureError, jwt.InvalidKeyError, TypeError):
                continue
            return claims
        raise OAuth2Error("the provider has no key that signed this token")


class Provider(OpenIDConnectProvider):
    """The provider of the settings."""

    oauth2_adapter_class = OidcAdapter

    def redirect(
        self, request: HttpRequest, process: Any, next_url: Any = None, data: Any = None, **kwargs: Any
    ) -> Any:
        """To the provider, with a nonce that its token must repeat."""
        nonce = get_random_string(32)
        return super().redirect(request, process, next_url, data, auth_params={"nonce": nonce}, nonce=nonce, **kwargs)


class Bounded(requests.adapters.BaseAdapter):
    """requests' way out, over our outgoing client."""

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        """The answer. Raises requests.ConnectionError, whatever it was."""
        body = request.body or b""
        assert isinstance(body, str | bytes)  # allauth sends forms
        headers = {name: value for name, value in request.headers.items() if isinstance(value, str)}
        try:
            answer = outgoing.request(
                request.method or "GET", request.url or "", body.encode() if isinstance(body, str) else body,
                {**headers, "accept-encoding": "identity"}, allow_private=True, deadline_s=CALL_S,
                answer_bytes_max=ANSWER_BYTES_MAX, url_characters_max=4_096,
            )  # fmt: skip
        except (outgoing.OutgoingRefused, outgoing.OutgoingFailed, outgoing.OutgoingTooLarge) as error:
            raise requests.ConnectionError(str(error)) from error
        if 300 <= answer.status < 400:
            raise requests.ConnectionError("The provider answered with a redirect, which is not followed.")
        response = requests.Response()
        response.status_code, response.url, response.request = answer.status, request.url or "", request
        response.headers.update({"content-type": "", **answer.headers})
        response._content = answer.body  # noqa: SLF001 - requests has no other way to make one
        response.encoding = "utf-8"
        return response

    def close(self) -> None:
        """Nothing is kept open."""


def next_of(request: HttpRequest) -> str | None:
    """Where to go afterwards, if it is here."""
    found: str | None = get_next_redirect_url(request)
    return found


def refused(request: HttpRequest, text: str) -> ImmediateHttpResponse:
    """To be raised: back to the sign-in page with this sentence."""
    messages.error(request, text)
    return ImmediateHttpResponse(redirect("account_login"))


def _app() -> SocialApp:
    """allauth's row for the provider, never stored. Named after the issuer: the same subject elsewhere is somebody else."""
    config = settings.CONFIG
    return SocialApp(
        provider=OpenIDConnectProvider.id,
        provider_id=f"oidc-{hashlib.sha256(config.oidc_issuer.rstrip('/').encode()).hexdigest()[:16]}",
        name=config.oidc_name, client_id=config.oidc_client_id, secret=config.oidc_secret,
        settings={"server_url": config.oidc_issuer.rstrip("/"), "oauth_pkce_enabled": True},
    )  # fmt: skip


def _name() -> str:
    return str(settings.CONFIG.oidc_name)


def _checked(document: Any) -> dict[str, Any]:
    issuer = settings.CONFIG.oidc_issuer.rstrip("/")
    if not isinstance(document, dict) or str(document.get("issuer", "")).rstrip("/") != issuer:
        raise OAuth2Error("the provider's document is another issuer's")
    for name in ENDPOINTS:
        scheme = urlsplit(str(document.get(name, ""))).scheme
        if scheme != "https" and not (scheme == "http" and issuer.startswith("http://")):
            raise OAuth2Error(f"{name} of the provider's document is no https address")
    return document


def _invited(sociallogin: SocialLogin, email: str, name: str) -> User | None:
    """A new person, if this sign-in comes from an open invitation to the address: accepting it comes next."""
    try:
        found = resolve(urlsplit(sociallogin.state.get("next") or "").path)
    except Resolver404:
        return None
    invitation = invitations.find(str(found.kwargs.get("token", ""))) if found.url_name == "invite" else None
    now_ms = calls.now_ms()
    if invitation is None or invitations.status(invitation, now_ms) != invitations.OPEN or invitation.email != email:
        return None
    return User.objects.create_user(email, None, name=" ".join(name.split())[:120], created_at_ms=now_ms)
