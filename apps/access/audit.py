"""The audit trail: who called what, on which resource, from where, and how it ended.

Control calls are written before they are answered: one that succeeds in its own transaction, so that the change and its
entry are there together or not at all; one that fails in a transaction of its own. Data calls are written only where a
team wants it, some milliseconds later and many at once: the data plane never waits for them, and when the database
cannot keep up, entries are dropped and the number of those dropped is written instead.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import structlog
from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet

from apps.access.callers import iso
from apps.access.models import AuditEntry, AuditHorizon, TeamAccess
from apps.access.source import Source
from apps.accounts.bridge import in_thread
from apps.accounts.models import Team
from apps.base.clock import SystemClock
from apps.runtime import Call, Runtime

if TYPE_CHECKING:
    from apps.access.changes import Actor

log = structlog.get_logger(__name__)

PENDING_MAX = 50_000
"""Data calls that wait to be written; about 50 MB."""

WRITTEN_AT_ONCE = 1_000
EVERY_S = 0.25
FRESH_S = 0.5
AGAIN_AFTER_S = 1.0
"""After a write that failed."""

LAST_WRITE_S = 5.0
"""What a process that stops gives the last entries."""

RESOURCE_CHARS, AGENT_CHARS, MESSAGE_CHARS, NAME_CHARS, PERSON_CHARS = 2_048, 256, 512, 128, 254
RESOURCE_KEY_CHARS = 16
PARTS_OF_STREAMS = "/consumer/"


def entry(
    call: Call,
    service: str,
    operation: str,
    resource: str,
    source: Source,
    *,
    is_data: bool,
    outcome: str = "",
    message: str = "",
) -> AuditEntry:
    """The entry of a call. call: as it came, not as it was admitted."""
    principal, actor = call.principal, call.actor
    agent = source.request.headers.get("user-agent", "") if source.request is not None else ""
    parts = resource.split(":", 5)
    made = AuditEntry(
        at_ms=call.now_ms,
        account_id=principal.account_id,
        principal=text(principal.arn, RESOURCE_CHARS),
        key_id=text(principal.meter_key, NAME_CHARS),
        person_id=principal.user_id,
        service=service,
        operation=operation,
        resource=text(resource, RESOURCE_CHARS),
        source_ip=source.ip,
        endpoint_id=source.endpoint_id,
        user_agent=text(agent, AGENT_CHARS),
        request_id=call.request_id,
        outcome=outcome,
        message=text(message, MESSAGE_CHARS),
        is_data=is_data,
        owner_account_id=parts[4] if len(parts) == 6 and len(parts[4]) == 12 else principal.account_id,
        resource_key=resource_key(resource),
    )
    if actor is not None:
        _of_actor(made, actor)
    return made


def resource_key(resource: str) -> str | None:
    """What the index by resource holds of one: a digest, which fits whatever the name's length. A consumer's is its
    stream's, so that a stream's activity has what was done to its consumers."""
    thing = resource.partition(PARTS_OF_STREAMS)[0]
    return hashlib.sha256(thing.encode()).hexdigest()[:RESOURCE_KEY_CHARS] if thing else None


def set_resource(made: AuditEntry, resource: str) -> None:
    """Name what an operation made, which its request could not."""
    made.resource, made.resource_key = text(resource, RESOURCE_CHARS), resource_key(resource)


def write(made: AuditEntry) -> None:
    """Write one entry, in the transaction that is open, if one is."""
    made.save(force_insert=True)


class Trail:
    """Data calls on their way into the trail. One per process, used on the loop: `runtime.part(Trail)`."""

    def __init__(self, runtime: Runtime) -> None:
        self._clock = runtime.clock
        self._pending: deque[AuditEntry] = deque()
        self._dropped: dict[str, int] = {}
        self._writer: asyncio.Task[None] | None = None

    def note(self, made: AuditEntry) -> None:
        """Put an entry on the list of those to be written."""
        if len(self._pending) >= PENDING_MAX:
            self._dropped[made.account_id] = self._dropped.get(made.account_id, 0) + 1
            return
        self._pending.append(made)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write_all(), name="audit trail")

    async def flushed(self) -> None:
        """Return when everything noted so far is written."""
        if self._writer is not None:
            await asyncio.shield(self._writer)

    def close(self) -> None:
        """Write what is left, off the loop's thread, where the ORM may not be used."""
        if self._writer is not None:
            self._writer.cancel()
        left = list(self._pending)
        self._pending.clear()
        if left:
            last = threading.Thread(target=_last_write, args=(left,), daemon=True)
            last.start()
            last.join(LAST_WRITE_S)

    async def _write_all(self) -> None:
        while self._pending or self._dropped:
            await asyncio.sleep(EVERY_S)
            batch = [self._pending[i] for i in range(min(len(self._pending), WRITTEN_AT_ONCE))]
            dropped, self._dropped = self._dropped, {}
            try:
                await in_thread(_write_many, [*batch, *(self._gap(*gap) for gap in dropped.items())])
            except DatabaseError as error:
                log.warning("audit_not_written", entries=len(batch), error=str(error))
                for account_id, count in dropped.items():
                    self._dropped[account_id] = self._dropped.get(account_id, 0) + count
                await asyncio.sleep(AGAIN_AFTER_S)
                continue
            for _ in batch:
                self._pending.popleft()

    def _gap(self, account_id: str, count: int) -> AuditEntry:
        """What stands for calls that were not written."""
        return gap(account_id, self._clock.now_ms(), f"{count} data calls were not recorded: too many at once.")


class Switches:
    """Which teams want their data calls recorded, for calls of other teams on what is theirs: `runtime.part(Switches)`.
    (A team's own calls bring the answer with their key.)"""

    def __init__(self, _runtime: Runtime) -> None:
        self._known: dict[int, tuple[float, bool]] = {}

    async def is_on(self, team_id: int) -> bool:
        """At most FRESH_S old."""
        now_s = asyncio.get_running_loop().time()
        known = self._known.get(team_id)
        if known is None or now_s - known[0] > FRESH_S:
            known = self._known[team_id] = (now_s, await in_thread(_is_on, team_id))
        return known[1]


def _is_on(team_id: int) -> bool:
    return TeamAccess.objects.filter(team_id=team_id, audits_data=True).exists()


def of_administrator(account_id: str, by: str | Actor, operation: str, resource: str, message: str) -> None:
    """Write what an administrator did with a command or in the console that is no call of AWS's, in the transaction that
    is open, if one is. by: who it was, as far as is known. operation: a verb and a noun, as AWS's."""
    made = AuditEntry(
        at_ms=SystemClock().now_ms(), account_id=account_id, owner_account_id=account_id,
        principal=text(by if isinstance(by, str) else by.principal, RESOURCE_CHARS), key_id="", service="tidegate",
        operation=operation, resource=text(resource, RESOURCE_CHARS), source_ip="", endpoint_id="", user_agent="",
        request_id="", outcome="", message=text(message, MESSAGE_CHARS), is_data=False,
        resource_key=resource_key(resource),
    )  # fmt: skip
    if not isinstance(by, str):
        made.at_ms, made.key_id, made.person_id, made.request_id = by.at_ms, by.key_id, by.person_id, by.request_id
        _of_actor(made, by)
    write(made)


def _of_actor(made: AuditEntry, actor: Actor) -> None:
    made.person, made.session = text(actor.person, PERSON_CHARS), actor.session
    made.source_ip, made.user_agent = actor.address, text(actor.agent, AGENT_CHARS)


def gap(account_id: str, at_ms: int, message: str) -> AuditEntry:
    """An entry of the trail itself, about itself."""
    return AuditEntry(
        at_ms=at_ms, account_id=account_id, owner_account_id=account_id, principal="", key_id="", service="audit",
        operation="Gap", resource="", source_ip="", endpoint_id="", user_agent="", request_id="", outcome="",
        message=message, is_data=False,
    )  # fmt: skip


def record_data(team: Team, *, on: bool, by: str) -> None:
    """Write data calls of a team, too, or no longer; within a second everywhere."""
    with transaction.atomic():
        TeamAccess.objects.update_or_create(team=team, defaults={"audits_data": on})
        of_administrator(team.account_id, by, "RecordDataCalls", "", "on" if on else "off")


def entries(
    *, account_id: str = "", since_ms: int = 0, until_ms: int | None = None, operation: str = "", failed: bool = False
) -> QuerySet[AuditEntry]:
    """Entries, oldest first. account_id: the caller's or the owner's; empty: all. failed: only what was refused."""
    found = AuditEntry.objects.filter(at_ms__gte=since_ms).order_by("at_ms", "id")
    if account_id:
        found = found.filter(Q(account_id=account_id) | Q(owner_account_id=account_id))
    if until_ms is not None:
        found = found.filter(at_ms__lt=until_ms)
    if operation:
        found = found.filter(operation=operation)
    return found.exclude(outcome="") if failed else found


def forget_before(before_ms: int, by: str) -> int:
    """Delete entries older than before_ms, for good, and leave an entry that says so; how many they were.

    The database lets it happen only because the horizon is raised first, which cannot be taken back.
    """
    with transaction.atomic():
        horizon, _ = AuditHorizon.objects.select_for_update().get_or_create(pk=1)
        if horizon.keep_from_ms < before_ms:
            horizon.keep_from_ms = before_ms
            horizon.save()
        count, _ = AuditEntry.objects.filter(at_ms__lt=before_ms).delete()
        of_administrator("", by, "Forget", "", f"{count} entries from before {iso(before_ms)} were deleted.")
    return count


def _write_many(entries: list[AuditEntry]) -> None:
    with transaction.atomic():
        AuditEntry.objects.bulk_create(entries, batch_size=50)


def _last_write(entries: list[AuditEntry]) -> None:
    from django.db import connection

    try:
        _write_many(entries)
    except DatabaseError as error:
        log.warning("audit_not_written", entries=len(entries), error=str(error))
    finally:
        connection.close()


def text(value: Any, limit: int) -> str:
    """Cut, and without NUL, which PostgreSQL does not store."""
    return str(value).replace("\x00", "")[:limit]
