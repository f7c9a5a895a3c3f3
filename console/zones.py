"""In which time zone the times on a page are: the person's choice. UTC where nobody has chosen.

Django keeps the zone per request; console/pages/words.py writes times in it and says which it is. `browser` is the zone that
the browser says in a cookie (static/js/app.js), so the first page of all is in UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apps.accounts.models import User

UTC = "UTC"
BROWSER = "browser"
COOKIE = "zone"


class Zones:
    """Middleware: whatever zone a page has used, the next request of this thread begins with UTC."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer."""
        timezone.deactivate()
        try:
            return self.get_response(request)
        finally:
            timezone.deactivate()


def use(request: HttpRequest) -> None:
    """From here on, times of this request are in its person's zone."""
    wanted = request.user.time_zone if isinstance(request.user, User) else UTC
    if wanted == BROWSER:
        wanted = request.COOKIES.get(COOKIE, UTC)
    if wanted != UTC and is_known(wanted):
        timezone.activate(ZoneInfo(wanted))


def name() -> str:
    """Of the zone in use: `UTC`, `Europe/Berlin`."""
    return timezone.get_current_timezone_name()


def is_known(zone: str) -> bool:
    """Is it an IANA name that this machine knows?"""
    return zone in _known()


@cache
def _known() -> frozenset[str]:
    return frozenset(available_timezones())
