"""To the OpenID Connect provider and back."""

from __future__ import annotations

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal import ratelimit
from allauth.socialaccount.providers.base.constants import AuthError, AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from jwt import PyJWTError
from requests import RequestException

from console.sign_in.single_sign_on import OidcAdapter, Provider, SocialAdapter, next_of

UNREADABLE = (OAuth2Error, RequestException, PyJWTError, KeyError, TypeError, ValueError, AttributeError)
"""What a provider's answers can end in."""


@never_cache
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """On to the provider. By a header of this page, because a form may lead to our own addresses only (csp.py)."""
    provider = _provider(request)
    if not ratelimit.consume(request, app="allauth.account", action="login"):
        return ratelimit.respond_429(request)
    if request.user.is_authenticated:
        return redirect(next_of(request) or "home")
    try:
        address = provider.redirect(request, AuthProcess.LOGIN, next_url=next_of(request))["Location"]
    except UNREADABLE as error:
        return _failed(request, provider, error)
    response = render(request, "people/leaving.html", {"address": address, "name": settings.CONFIG.oidc_name})
    response["Refresh"] = f"0; url={address}"
    return response


@never_cache
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    """Back from the provider, with a code for us."""
    provider = _provider(request)
    if not ratelimit.consume(request, app="allauth.account", action="login", limit_get=True):
        return ratelimit.respond_429(request)
    if request.session.session_key:
        request.session.cycle_key()
    try:
        answer: HttpResponse = OAuth2CallbackView.adapter_view(OidcAdapter(request, provider.app.provider_id))(request)
    except UNREADABLE as error:
        return _failed(request, provider, error)
    return answer


def _provider(request: HttpRequest) -> Provider:
    if not settings.CONFIG.oidc_issuer:
        raise Http404("no provider")
    return SocialAdapter(request).get_provider(request, None)


def _failed(request: HttpRequest, provider: Provider, error: Exception) -> HttpResponse:
    try:
        SocialAdapter(request).on_authentication_error(request, provider, AuthError.UNKNOWN, error)
    except ImmediateHttpResponse as answer:
        return answer.response
    raise AssertionError("on_authentication_error always answers")
