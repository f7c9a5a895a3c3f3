"""May the caller of an answer that goes on for minutes still have it? Asked again every second, before an event is sent."""

from __future__ import annotations

from typing import Any

from django.db import Error as DatabaseError

from apps.access.credentials import Credential, Credentials
from apps.base.errors import AccessDeniedException, ServiceError
from apps.base.units import SECOND_MS
from apps.gateway.admission import admit
from apps.gateway.services import Route
from apps.runtime import Call

ASKED_EVERY_MS = SECOND_MS
"""As old as what is known of a key may be."""


class Standing:
    """Of one caller and one answer, on the gateway's loop. call: as it came, not as it was admitted."""

    def __init__(
        self, credentials: Credentials, credential: Credential, route: Route, call: Call, request: Any
    ) -> None:
        self._credentials = credentials
        self._key_id, self._token = credential.key_id, credential.token
        self._route, self._call, self._request = route, call, request
        self._asked_ms = call.now_ms

    async def holds(self) -> bool:
        """False: the key, session, user or role is gone, has run out, or its policies or the resource's say no by now.
        While the database is away nobody says so."""
        now_ms = self._call.runtime.clock.now_ms()
        if 0 <= now_ms - self._asked_ms < ASKED_EVERY_MS:
            return True
        self._asked_ms = now_ms
        try:
            return await self._is_admitted(now_ms)
        except AccessDeniedException:
            return False
        except (ServiceError, DatabaseError):
            return True

    async def _is_admitted(self, now_ms: int) -> bool:
        found = await self._credentials.find(self._key_id, self._token)
        if found is None or (found.token is not None and now_ms >= found.expires_ms):
            return False
        call = Call(self._call.runtime, found.principal, self._call.request_id, now_ms, self._call.source)
        await admit(self._route, call, self._request)
        return True
