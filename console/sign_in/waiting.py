"""How long somebody who has tried too often has to wait: read from the counts that allauth keeps (ACCOUNT_RATE_LIMITS)."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from allauth.core.internal import ratelimit
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

from apps.base.clock import SystemClock

ACCOUNT = "allauth.account"
MFA = "allauth.mfa"


def wait_s(request: HttpRequest, action: str, key: str | None = None) -> int:
    """Seconds until one more attempt of the action counts; 0: none to wait. key: what attempts are counted by beside the
    address (an e-mail address, a person)."""
    return _longest(request, [(ACCOUNT, action)], key)


def wait_any_s(request: HttpRequest) -> int:
    """The same over all actions, for an answer that does not know which one it was. At least 1."""
    actions = [(ACCOUNT, name) for name in settings.ACCOUNT_RATE_LIMITS]
    actions += [(MFA, name) for name in settings.MFA_RATE_LIMITS]
    return max(1, _longest(request, actions, None))


def sentence(seconds: int) -> str:
    """`Try again in 40 seconds.`, `Try again in 5 minutes.`"""
    if seconds < 90:
        return f"Try again in {max(seconds, 1)} second{'' if seconds <= 1 else 's'}."
    return f"Try again in {ceil(seconds / 60)} minutes."


def _longest(request: HttpRequest, actions: Iterable[tuple[str, str]], key: str | None) -> int:
    rates = {}
    for app, action in actions:
        for rate in ratelimit.get_rates(app=app, action=action):
            known = rate.per == "ip" or (rate.per == "key" and key is not None)
            if known or (rate.per == "user" and request.user.is_authenticated):
                rates[ratelimit.get_cache_key(request, app=app, action=action, rate=rate, key=key)] = rate
    now = SystemClock().now_ms() / 1_000  # the wall clock, by which allauth wrote what is compared here
    left = [0.0]
    for name, history in cache.get_many(rates).items():
        rate = rates[name]
        if len(history) >= rate.amount:
            left.append(history[rate.amount - 1] + float(rate.duration) - now)
    return ceil(max(left))
