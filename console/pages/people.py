"""The sign-in page, and the theme."""

from __future__ import annotations

from typing import Any

from allauth.account.views import LoginView
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from apps.accounts.models import User
from console.pages.shell import THEME_COOKIE, THEMES

YEAR_S = 365 * 86_400


class SignIn(LoginView):
    """allauth's, under a new key."""

    def form_valid(self, form: Any) -> HttpResponse:
        """The password was right: whoever made the session up to here has no part in the second step."""
        if self.request.session.session_key:
            self.request.session.cycle_key()
        answer: HttpResponse = super().form_valid(form)
        return answer


sign_in = SignIn.as_view()


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Store the theme: in a cookie for this browser, and with the person if somebody is signed in."""
    wanted = request.POST.get("theme", "system")
    wanted = wanted if wanted in THEMES else "system"
    if request.user.is_authenticated:
        User.objects.filter(pk=request.user.pk).update(theme=wanted)
    back = request.POST.get("next", "/")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return with_theme(HttpResponseRedirect(back if safe else "/"), wanted)


def with_theme(response: HttpResponse, wanted: str) -> HttpResponse:
    """The answer, with the theme in a cookie: the sign-in page has it as well."""
    response.set_cookie(
        THEME_COOKIE, wanted, max_age=YEAR_S, httponly=True, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE
    )
    return response
