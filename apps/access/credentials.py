"""Access keys and sessions for the hot path: a cache that is at most one second old and never asks the database while
it is fresh.

An entry older than half a second is read again behind its use, so a key in steady use never waits. An unknown key is
always looked up before it is refused (it may have been made a moment ago), but all look-ups that wait share one query,
and queries keep a distance: a flood of invented keys costs a few queries a second, whatever its size. A session's token
is opened without the database; what it stands on (the role, the key that asked for it) is read like a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog
from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Q

from apps.access import callers, rights, sessions
from apps.access.models import Identity, IdentityKind
from apps.access.policy.evaluation import Grants
from apps.access.sessions import Session
from apps.access.source import address_of
from apps.accounts.bridge import in_thread
from apps.accounts.keys import working
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
"""How often the last uses are written."""

NOTE_USE_MS = 1_000
"""How exact the address and the service of a key's last use are."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is read of a key or session each time; policies are read only if it differs from the last one.

    secret: sealed; empty for sessions, whose tokens hold it. identity_key: the user or role; None: the whole team.
    version: of the team's policies (0 where no policy has a say). audits: the team's data calls are recorded.
    """

    secret: bytes
    team_id: int
    account_id: str
    identity_key: int | None = None
    version: int = 0
    audits: bool = False


@dataclass(slots=True)
class Credential:
    """An active access key, or a session. token, expires_ms: of a session."""

    key_id: str
    secret: str
    principal: Principal
    row: Row
    read_at_s: float
    used_at_ms: int = 0
    saved_use_ms: int = 0
    noted_at_ms: int = -NOTE_USE_MS
    used_from: str = ""
    used_service: str = ""
    token: str | None = None
    expires_ms: int = 0

    def use(self, now_ms: int, service: str, request: Any, proxies: tuple[str, ...]) -> None:
        """Note one use of it. Where from and what for is looked at once in NOTE_USE_MS: this runs in every request."""
        self.used_at_ms = now_ms
        if now_ms - self.noted_at_ms >= NOTE_USE_MS:
            self.noted_at_ms, self.used_service, self.used_from = now_ms, service, address_of(request, proxies)


class Credentials:
    """One per process, used on one event loop. master_key_path: of the key that tokens are sealed with; None: none are
    taken."""

    def __init__(self, clock: Clock, master_key_path: Path | None = None) -> None:
        self._clock = clock
        self._master_key_path = master_key_path
        self._known: dict[str, Credential] = {}
        self._sessions: dict[str, tuple[str, Session]] = {}
        """Tokens opened, by the session's key id: those that are waited for, and those that are known."""
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

    async def find(self, key_id: str, token: str | None = None) -> Credential | None:
        """The active access key of this id, or the session of this token; None: unknown, disabled, revoked, or not of
        this token. Raises ServiceUnavailable."""
        credential = self.fresh(key_id, asyncio.get_running_loop().time())
        if credential is not None and credential.token == token:
            return credential
        if len(key_id) > KEY_ID_CHARS_MAX or not key_id.isprintable():
            return None  # no such key can be stored, and a NUL would break the query it shares with others
        if token is not None and not self._opened(key_id, token):
            return None
        try:
            await asyncio.shield(self._waiting.get(key_id) or self._want(key_id))
        except DatabaseError:
            credential = self._stale(key_id)
        else:
            credential = self._known.get(key_id)
        return credential if credential is not None and credential.token == token else None

    def _opened(self, key_id: str, token: str) -> bool:
        """Is it a token of this installation, for this key id? Then it is kept."""
        known = self._sessions.get(key_id)
        if known is not None and known[0] == token:
            return True
        session = sessions.unseal(self._master_key_path, token) if self._master_key_path is not None else None
        if session is None or session.key_id != key_id:
            return False
        self._sessions[key_id] = (token, session)
        return True

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
            opened = {key_id: self._sessions[key_id][1] for key_id in batch if key_id in self._sessions}
            keys = [key_id for key_id in batch if key_id not in opened]
            rows = await in_thread(_rows, keys, opened, self._clock.now_ms())
            fresh = {key_id: row for key_id, row in rows.items() if not self._is_known(key_id, row)}
            limited = {key_id: row for key_id, row in fresh.items() if row.identity_key is not None}
            found = await in_thread(_grants, limited, opened) if limited else {}
            self._learn(batch, rows, found, began_s)
        except DatabaseError as error:
            log.warning("credentials_not_read", keys=len(batch), error=str(error))
            return error
        except Exception as error:  # noqa: BLE001 - raised again in every waiting call, which logs it
            return error
        return None

    def _is_known(self, key_id: str, row: Row) -> bool:
        known = self._known.get(key_id)
        return known is not None and known.row == row

    def _learn(
        self, asked: dict[str, asyncio.Future[None]], rows: dict[str, Row], grants: dict[str, Grants], read_at_s: float
    ) -> None:
        for key_id in asked:
            row, known = rows.get(key_id), self._known.get(key_id)
            if row is None:
                self._forget(key_id)
            elif known is not None and known.row == row:
                known.read_at_s = read_at_s
            else:
                self._known.pop(key_id, None)
                fresh = self._made(key_id, row, grants.get(key_id), read_at_s)
                if fresh is not None:
                    self._known[key_id] = _with_uses(fresh, known)

    def _made(self, key_id: str, row: Row, grants: Grants | None, read_at_s: float) -> Credential | None:
        """A credential from what was read; None: its user or role went meanwhile, or its secret does not open."""
        if row.identity_key is not None and grants is None:
            return None
        opened = self._sessions.get(key_id)
        if opened is not None and grants is None:
            grants = callers.of_team_session(row.account_id, opened[1])
        secret = opened[1].secret if opened is not None else _secret(key_id, row)
        if secret is None:
            return None
        principal = Principal(
            row.team_id,
            row.account_id,
            key_id if opened is None else _meter_key(opened[1]),
            grants=grants,
            audits=row.audits,
            watched=row.audits or grants is not None,
        )
        made = Credential(key_id, secret, principal, row, read_at_s)
        if opened is not None:
            made.token, made.expires_ms = opened[0], opened[1].expires_ms
        return made

    def _forget(self, key_id: str) -> None:
        self._known.pop(key_id, None)
        self._sessions.pop(key_id, None)

    async def run(self) -> None:
        """Save uses and forget idle credentials, until cancelled. A last save is close()'s."""
        while True:
            await asyncio.sleep(SAVE_USE_S)
            await self.save_uses()
            oldest_s = asyncio.get_running_loop().time() - IDLE_S
            for key_id in [c.key_id for c in self._known.values() if c.read_at_s < oldest_s]:
                self._forget(key_id)
            for key_id in self._sessions.keys() - self._known.keys() - self._waiting.keys():
                del self._sessions[key_id]

    async def save_uses(self) -> None:
        """Write the last uses of the keys used since the last time."""
        known = self._known.values()
        used = {
            c.key_id: (c.used_at_ms, c.used_from, c.used_service)
            for c in known
            if c.used_at_ms > c.saved_use_ms and c.token is None
        }
        if not used:
            return
        try:
            await in_thread(_save_uses, used)
        except DatabaseError as error:
            log.warning("key_uses_not_saved", keys=len(used), error=str(error))
            return
        for key_id, (used_at_ms, _, _) in used.items():
            if key_id in self._known:
                self._known[key_id].saved_use_ms = used_at_ms


def _with_uses(fresh: Credential, known: Credential | None) -> Credential:
    """What was read anew goes on counting the uses of what it replaces."""
    if known is not None:
        fresh.used_at_ms, fresh.saved_use_ms = known.used_at_ms, known.saved_use_ms
        fresh.noted_at_ms, fresh.used_from, fresh.used_service = known.noted_at_ms, known.used_from, known.used_service
    return fresh


def _retrieve(future: asyncio.Future[None]) -> None:
    """A look-up nobody waits for may fail; the next caller looks again."""
    if not future.cancelled():
        future.exception()


def _meter_key(session: Session) -> str:
    """What usage is booked under: the role, not each of its sessions, whose ids would fill the ledger."""
    return f"role:{session.role_unique_id}" if session.role_key is not None else session.issuer


def _secret(key_id: str, row: Row) -> str | None:
    try:
        return decrypt(row.secret, key_id)
    except SecretUnreadable as error:
        log.error("secret_unreadable", key_id=key_id, error=str(error))  # noqa: TRY400 - a sentence, not a bug
        return None


def _rows(key_ids: list[str], opened: dict[str, Session], now_ms: int) -> dict[str, Row]:
    """Keys by their ids, and sessions by what they stand on; what is gone, disabled or replaced for good is left out."""
    issuers = {session.issuer for session in opened.values() if session.role_key is None}
    wanted = {*key_ids, *issuers}
    keys = {row[0]: _key_row(*row[1:]) for row in _working_keys(list(wanted), now_ms)} if wanted else {}
    found = {key_id: keys[key_id] for key_id in key_ids if key_id in keys}
    roles = {session.role_key: session for session in opened.values() if session.role_key is not None}
    role_rows = {}
    if roles:
        query = Identity.objects.filter(pk__in=roles, kind=IdentityKind.ROLE).values_list(
            "pk", "unique_id", "team_id", "team__account_id", "team__access__version", "team__access__audits_data"
        )
        role_rows = {
            pk: (uid, Row(b"", team, account, pk, v or 0, bool(audits))) for pk, uid, team, account, v, audits in query
        }
    for key_id, session in opened.items():
        if session.role_key is None:
            if session.issuer in keys:
                found[key_id] = replace(keys[session.issuer], secret=b"")
        elif role_rows.get(session.role_key, ("", None))[0] == session.role_unique_id:
            found[key_id] = role_rows[session.role_key][1]
    return found


def _working_keys(key_ids: list[str], now_ms: int) -> Iterable[tuple[Any, ...]]:
    return AccessKey.objects.filter(working(now_ms), key_id__in=key_ids).values_list(
        "key_id", "secret_encrypted", "team_id", "team__account_id", "identity_id", "team__access__version",
        "team__access__audits_data",
    )  # fmt: skip


def _key_row(
    secret: bytes, team_id: int, account_id: str, identity: int | None, version: int | None, audits: bool | None
) -> Row:
    return Row(bytes(secret), team_id, account_id, identity, (version or 0) if identity else 0, bool(audits))


def _grants(rows: dict[str, Row], opened: dict[str, Session]) -> dict[str, Grants]:
    """What the users and roles behind these keys and sessions may do, by key id."""
    every = rights.read({row.identity_key for row in rows.values() if row.identity_key is not None})
    arns = {arn for key_id in rows if key_id in opened for arn in opened[key_id].policy_arns}
    managed = rights.managed_documents(arns) if arns else {}
    made = {}
    for key_id, row in rows.items():
        found, session = every.get(row.identity_key or 0), opened.get(key_id)
        if found is None:
            continue
        if found.kind == IdentityKind.ROLE:
            assert session is not None
            made[key_id] = callers.of_role(row.account_id, found, session, managed)
        else:
            made[key_id] = callers.of_user(row.account_id, found, session)
    return made


def _save_uses(used: dict[str, tuple[int, str, str]]) -> None:
    """Of several processes that saw a key, the one that saw it last is right."""
    with transaction.atomic():
        for key_id, (used_at_ms, address, service) in sorted(used.items()):
            earlier = Q(last_used_at_ms__isnull=True) | Q(last_used_at_ms__lt=used_at_ms)
            AccessKey.objects.filter(earlier, key_id=key_id).update(
                last_used_at_ms=used_at_ms, last_used_from=address, last_used_service=service
            )
