"""Frozen snapshots of queues for the data plane.

A snapshot may be old, because the store fences: it carries the version of the settings that is in force, refuses a call
that comes with an older one (OldVersion) or for a queue that is closed (UnknownQueue), and the caller reads anew. So while a
queue is in use its calls do not ask the database at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from apps.accounts.bridge import in_thread
from apps.base.arn import QueueArn, parse_queue_arn
from apps.base.units import SECOND_MS
from apps.queues.errors import not_active, not_found
from apps.queues.models import Queue, QueueStatus
from apps.runtime import Call, Runtime

VIEWS_MAX = 10_000
"""Snapshots kept; the one read longest ago goes first."""

IN_SERVICE = (QueueStatus.ACTIVE, QueueStatus.UPDATING)


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue in service. key is its row id and its key in the store."""

    key: int
    version: int
    team_id: int
    account_id: str
    arn: str
    name: str
    queue_id: str
    stream_key: int
    stream_name: str
    start_ms: int
    visibility_ms: int
    max_receive_count: int | None


class QueueViews:
    """One per process, used on the loop only: `runtime.part(QueueViews)`."""

    def __init__(self, _runtime: Runtime) -> None:
        self._snapshots: dict[str, QueueView] = {}

    async def find(self, call: Call, arn: str, *, anew: bool = False) -> QueueView:
        """The queue of an ARN, in service, of the caller's account. Raises ResourceNotFoundException, after a look into
        the database itself."""
        account_id = call.principal.account_id
        parsed = parse_queue_arn(arn)
        if parsed is None or parsed.account_id != account_id:
            raise not_found(arn, parsed.account_id if parsed else account_id)
        snapshot = self._snapshots.get(arn)
        if snapshot is not None and not anew:
            return snapshot
        found = await in_thread(_read, parsed)
        self._snapshots.pop(arn, None)
        if isinstance(found, QueueView):
            self._keep(arn, found)
            return found
        raise (
            not_found(arn, account_id) if found in (None, QueueStatus.DELETING) else not_active(arn, account_id, found)
        )

    def _keep(self, arn: str, snapshot: QueueView) -> None:
        self._snapshots[arn] = snapshot
        while len(self._snapshots) > VIEWS_MAX:
            del self._snapshots[next(iter(self._snapshots))]


def _read(arn: QueueArn) -> QueueView | str | None:
    """The view, or the status of a queue that is not in service, or None."""
    rows = Queue.objects.select_related("stream", "team")
    row = rows.filter(queue_id=arn.queue_id, team__account_id=arn.account_id, region=arn.region).first()
    if row is None:
        return None
    return view_of(row) if row.status in IN_SERVICE else row.status


def view_of(row: Queue) -> QueueView:
    """The snapshot of a row (reads its stream and team)."""
    return QueueView(
        key=row.pk,
        version=row.version,
        team_id=row.team_id,
        account_id=row.team.account_id,
        arn=str(row.arn),
        name=row.name,
        queue_id=row.queue_id,
        stream_key=row.stream_id,
        stream_name=row.stream.name,
        start_ms=row.start_ms,
        visibility_ms=row.visibility_timeout_s * SECOND_MS,
        max_receive_count=row.max_receive_count,
    )
