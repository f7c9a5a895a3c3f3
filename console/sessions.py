"""Sessions of browsers, in one table that can be listed and ended: Django's own store, with these differences.

The row holds the key's digest, not the key. Who, since when, last seen, from where and with which browser stand in columns
of their own; last seen is written at most once in SEEN_EVERY_MS. A session of somebody who has not signed in yet (between
the password and the second step, say) is kept for UNKNOWN_S only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.http import HttpRequest, HttpResponse

from apps.accounts.models import User
from apps.base.clock import SystemClock
from apps.base.units import MINUTE_MS
from console import calls
from console.models import BrowserSession
from console.pages.words import moment

SEEN: Final = "seen"
"""Where the session's data keep what the columns say."""

SEEN_EVERY_MS: Final = 5 * MINUTE_MS
UNKNOWN_S: Final = 3_600
AGENT_CHARS: Final = 300
LISTED_MAX: Final = 100


class SessionStore(DatabaseStore):
    """As Django's, with the digest for the key."""

    @classmethod
    def get_model_class(cls) -> Any:
        """Our table."""
        return BrowserSession

    def load(self) -> dict[str, Any]:
        """The session's data; nothing for a key that is not there or is over."""
        found = BrowserSession.objects.filter(key_sha256=digest(self.session_key), expire_date__gt=_now()).first()
        if found is None:
            self._session_key = None
            return {}
        return self.decode(found.session_data)

    def exists(self, session_key: str) -> bool:
        """Is there such a session?"""
        return BrowserSession.objects.filter(key_sha256=digest(session_key)).exists()

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        """The row of this session as it is now."""
        user, seen = data.get(SESSION_KEY), data.get(SEEN, {})
        ends = self.get_expiry_date()
        return BrowserSession(
            key_sha256=digest(self._get_or_create_session_key()),  # type: ignore[attr-defined]
            session_data=self.encode(data),
            expire_date=ends if user else min(ends, _now() + timedelta(seconds=UNKNOWN_S)),
            user_id=int(user) if user else None,
            started_at_ms=seen.get("started_at_ms", 0),
            seen_at_ms=seen.get("at_ms", 0),
            address=seen.get("address", ""),
            agent=seen.get("agent", ""),
        )

    def delete(self, session_key: str | None = None) -> None:
        """End it."""
        key = session_key or self.session_key
        if key:
            BrowserSession.objects.filter(key_sha256=digest(key)).delete()

    async def aload(self) -> dict[str, Any]:
        """As load."""
        return await sync_to_async(self.load)()

    async def aexists(self, session_key: str) -> bool:
        """As exists."""
        return await sync_to_async(self.exists)(session_key)

    async def acreate_model_instance(self, data: dict[str, Any]) -> Any:
        """As create_model_instance."""
        return await sync_to_async(self.create_model_instance)(data)

    async def adelete(self, session_key: str | None = None) -> None:
        """As delete."""
        await sync_to_async(self.delete)(session_key)


class Seen:
    """Middleware: notes with a signed-in person's session when and from where it was last used, every few minutes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer; then note, if the answer had to do with the session at all."""
        response = self.get_response(request)
        if request.session.accessed and request.session.get(SESSION_KEY):
            note(request)
        return response


def note(request: HttpRequest) -> None:
    """What the columns say of this request's session; written when the session is saved."""
    known, now = request.session.get(SEEN), calls.now_ms()
    if known and 0 <= now - known["at_ms"] < SEEN_EVERY_MS:
        return
    request.session[SEEN] = {
        "started_at_ms": known["started_at_ms"] if known else now,
        "at_ms": now,
        "address": calls.address(request)[:45],
        "agent": request.headers.get("User-Agent", "")[:AGENT_CHARS],
    }


def of(user: User) -> list[BrowserSession]:
    """The person's sessions that are not over, the last used first; at most LISTED_MAX."""
    rows = BrowserSession.objects.filter(user=user, expire_date__gt=_now()).defer("session_data")
    return list(rows.order_by("-seen_at_ms")[:LISTED_MAX])


def end(user: User, name: str) -> bool:
    """End one of the person's sessions by its name; False if there is none such."""
    mine = [row.key_sha256 for row in of(user) if row.name == name]
    return bool(mine) and bool(BrowserSession.objects.filter(user=user, key_sha256__in=mine).delete()[0])


def end_others(user: User, session_key: str | None) -> int:
    """End all of the person's sessions but the one with this key (None: all); how many there were."""
    others = BrowserSession.objects.filter(user=user).exclude(key_sha256=digest(session_key))
    return others.delete()[0]


def clear_expired() -> None:
    """Delete what is over."""
    SessionStore.clear_expired()


def _now() -> datetime:
    """By the wall clock, as Django counts when a session ends."""
    return moment(SystemClock().now_ms())


def digest(session_key: str | None) -> str:
    """What a row is named for this key."""
    return hashlib.sha256((session_key or "").encode()).hexdigest()
