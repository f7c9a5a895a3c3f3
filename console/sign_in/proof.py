"""Proving again who one is, before something that matters: by password or second step, as allauth asks; who has neither
(the single sign-on alone) must have signed in within the same time."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from allauth.account import app_settings
from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.base.clock import SystemClock

View = Callable[..., HttpResponse]

SENTENCE: Final = "Nothing was changed. Sign out, sign in again, and do this within {minutes} minutes."


def proved_again(view: View) -> View:
    """For views inside team_page."""
    return signed_in_lately(reauthentication_required(app="allauth.mfa")(view))


def signed_in_lately(view: View) -> View:
    """The part that allauth leaves out: it lets those pass who could prove nothing. For views inside team_page."""

    @wraps(view)
    def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST" and not get_reauthentication_flows(request.user) and not _is_new(request):
            messages.error(request, SENTENCE.format(minutes=app_settings.REAUTHENTICATION_TIMEOUT // 60))
            return redirect("profile", request.team.slug)
        return view(request, *args, **kwargs)

    return guarded


def _is_new(request: HttpRequest) -> bool:
    now_s = SystemClock().now_ms() / 1_000  # the wall clock, by which allauth wrote what is compared here
    records = get_authentication_records(request, request.user)  # type: ignore[arg-type]
    return any(0 <= now_s - one["at"] < app_settings.REAUTHENTICATION_TIMEOUT for one in records)
