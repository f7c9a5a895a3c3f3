"""Access keys for the hot path: a cache that is at most one second old and never asks the database while it is fresh.

An entry older than half a second is read again behind its use, so a key in steady use never waits. An unknown key is
always looked up before it is refused (it may have been made a moment ago), but all look-ups that wait share one query,
and queries keep a distance: a flood of invented keys costs a few queries a second, whatever its size.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog
from django.db import Error as DatabaseError
from django.db import transaction

from apps.accounts.bridge import in_thread
from apps.accounts.models import AccessKey
from apps.accounts.principal import Principal
from apps.accounts.secrets import SecretUnreadable, decrypt
from apps.base.clock import Clock
from apps.base.config import KEY_ID_CHARS_MAX
from apps.base.errors import ServiceUnavailable

log = structlog.get_logger(__name__)

FRESH_S = 1.0
"""A credential read longer ago is not used before it is read again: a disabled key stops within this time."""

RENEW_S = 0.5
"""A credential in use is read again behind its use after this time."""

STALE_S = 60.0
"""While the database does not answer, known credentials go on being used for so long: producers need no database."""

IDLE_S = 60.0
"""Credentials not used for so long are forgotten."""

QUERY_GAP_S = 0.02
FAILED_QUERY_GAP_S = 0.5
"""Distance of queries; the second one after a query that failed."""

WAITING_MAX = 2_000
"""Key ids waiting for one query; beyond that callers are told to come again."""

QUERY_MAX = 500
"""Key ids in one query (SQLite binds 999 variables at most in old versions)."""

SAVE_USE_S = 30.0
"""How often last_used_at_ms is written."""

Row = tuple[bytes, int, str]
"""secret_encrypted, team id, account id."""


@dataclass(slots=True)
class Credential:
    """An active access key."""

    key_id: str
    secret: str
    principal: Principal
    row: Row
    read_at_s: float
    used_at_ms: int = 0
    saved_use_ms: int = 0


class Credentials:
    """One per process, used on one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, Credential] = {}
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._reader: asyncio.Task[None] | None = None

    def fresh(self, key_id: str, now_s: float) -> Credential | None:
        """The credential if it may be used now without waiting; now_s is the loop's time."""
        credential = self._known.get(key_id)
        if credential is None or now_s - credential.read_at_s > FRESH_S:
            return None
        if now_s - credential.read_at_s > RENEW_S and key_id not in self._waiting and len(self._waiting) < WAITING_MAX:
            self._want(key_id)
        return credential

    async def find(self, key_id: str) -> Credential | None:
        """The active access key of this id; None: unknown or disabled. Raises ServiceUnavailable."""
        credential = self.fresh(key_id, asyncio.get_running_loop().time())
        if credential is not None:
            return credential
        if len(key_id) > KEY_ID_CHARS_MAX or not key_id.isprintable():
            return None  # no such key can be stored, and a NUL would break the query it shares with others
        try:
            await asyncio.shield(self._waiting.get(key_id) or self._want(key_id))
        except DatabaseError:
            return self._stale(key_id)
        return self._known.get(key_id)

    def _stale(self, key_id: str) -> Credential:
        credential = self._known.get(key_id)
        if credential is None or asyncio.get_running_loop().time() - credential.read_at_s > STALE_S:
            raise ServiceUnavailable("The service cannot look up access keys at the moment. Try again.")
        return credential

    def _want(self, key_id: str) -> asyncio.Future[None]:
        if len(self._waiting) >= WAITING_MAX:
            raise ServiceUnavailable("Too many look-ups of access keys. Try again.")
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieve)
        self._waiting[key_id] = future
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read_all(), name="credentials")
        return future

    async def _read_all(self) -> None:
        """Answer everybody who waits, one query for many, until nobody does."""
        while self._waiting:
            batch = dict(list(self._waiting.items())[:QUERY_MAX])
            failure = await self._read(batch)
            for key_id, future in batch.items():
                del self._waiting[key_id]
                if not future.done():
                    future.set_exception(failure) if failure else future.set_result(None)
            await asyncio.sleep(FAILED_QUERY_GAP_S if failure else QUERY_GAP_S)

    async def _read(self, batch: dict[str, asyncio.Future[None]]) -> Exception | None:
        """Read the rows of one batch; what went wrong is handed to those who wait for it."""
        began_s = asyncio.get_running_loop().time()
        try:
            self._learn(batch, await in_thread(_rows, list(batch)), began_s)
        except DatabaseError as error:
            log.warning("credentials_not_read", keys=len(batch), error=str(error))
            return error
        except Exception as error:  # noqa: BLE001 - raised again in every waiting call, which logs it
            return error
        return None

    def _learn(self, asked: dict[str, asyncio.Future[None]], rows: dict[str, Row], read_at_s: float) -> None:
        for key_id in asked:
            row, known = rows.get(key_id), self._known.get(key_id)
            if row is None:
                self._known.pop(key_id, None)
            elif known is not None and known.row == row:
                known.read_at_s = read_at_s
            else:
                self._known.pop(key_id, None)
                fresh = _open(key_id, row, read_at_s)
                if fresh is not None:
                    self._known[key_id] = fresh

    async def run(self) -> None:
        """Save uses and forget idle credentials, until cancelled. A last save is close()'s."""
        while True:
            await asyncio.sleep(SAVE_USE_S)
            await self.save_uses()
            oldest_s = asyncio.get_running_loop().time() - IDLE_S
            for key_id in [c.key_id for c in self._known.values() if c.read_at_s < oldest_s]:
                del self._known[key_id]

    async def save_uses(self) -> None:
        """Write last_used_at_ms of the keys used since the last time."""
        used = {c.key_id: c.used_at_ms for c in self._known.values() if c.used_at_ms > c.saved_use_ms}
        if not used:
            return
        try:
            await in_thread(_save_uses, used)
        except DatabaseError as error:
            log.warning("key_uses_not_saved", keys=len(used), error=str(error))
            return
        for key_id, used_at_ms in used.items():
            if key_id in self._known:
                self._known[key_id].saved_use_ms = used_at_ms


def _retrieve(future: asyncio.Future[None]) -> None:
    """A look-up nobody waits for may fail; the next caller looks again."""
    if not future.cancelled():
        future.exception()


def _open(key_id: str, row: Row, read_at_s: float) -> Credential | None:
    secret_encrypted, team_id, account_id = row
    try:
        secret = decrypt(secret_encrypted, key_id)
    except SecretUnreadable as error:
        log.error("secret_unreadable", key_id=key_id, error=str(error))  # noqa: TRY400 - a sentence, not a bug
        return None
    return Credential(key_id, secret, Principal(team_id, account_id, key_id), row, read_at_s)


def _rows(key_ids: list[str]) -> dict[str, Row]:
    found = AccessKey.objects.filter(key_id__in=key_ids, is_active=True).values_list(
        "key_id", "secret_encrypted", "team_id", "team__account_id"
    )
    return {key_id: (bytes(secret), team_id, account_id) for key_id, secret, team_id, account_id in found}


def _save_uses(used: dict[str, int]) -> None:
    with transaction.atomic():
        for key_id, used_at_ms in sorted(used.items()):
            AccessKey.objects.filter(key_id=key_id).update(last_used_at_ms=used_at_ms)
