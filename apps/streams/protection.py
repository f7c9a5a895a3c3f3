"""What a stream, consumer or queue says about its own use: its resource policy and its tags.

Two ways to the same facts: `of` on the loop, from snapshots at most a second old, and `of_now` from the rows, in the
transaction of a control-plane call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from apps.access.policy.document import Policy
from apps.access.rights import resource_policy
from apps.accounts.bridge import in_thread
from apps.base.arn import ConsumerArn, StreamArn, parse_consumer_arn, parse_queue_arn, parse_stream_arn
from apps.queues.models import Queue
from apps.runtime import Call, Runtime
from apps.streams.catalog import Catalog
from apps.streams.models import Consumer, Stream

FRESH_MS = 500
"""A queue's protection read longer ago is read again before it is used."""

QUEUES_MAX = 10_000
ARNS_CACHED = 4_096

_ACCOUNT_AT = 4


@dataclass(frozen=True, slots=True)
class Protection:
    """account_id: whose it is. team_id: the same team's row; None if there is no such resource. arn: a stream's own, which
    keeps the region that the stream was made in, whatever a caller's way to name it makes of that."""

    account_id: str
    team_id: int | None = None
    policy: Policy | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    arn: str = ""


def account_of(arn: str, own: str) -> str:
    """The account in an ARN; own where there is none (`*`)."""
    parts = arn.split(":", _ACCOUNT_AT + 1)
    return parts[_ACCOUNT_AT] if len(parts) > _ACCOUNT_AT and parts[_ACCOUNT_AT] else own


@lru_cache(maxsize=ARNS_CACHED)
def _parsed(arn: str) -> tuple[StreamArn | None, ConsumerArn | None]:
    consumer = parse_consumer_arn(arn)
    return (consumer.stream, consumer) if consumer is not None else (parse_stream_arn(arn), None)


@lru_cache(maxsize=ARNS_CACHED)
def _arn(region: str, account_id: str, name: str) -> str:
    return str(StreamArn(region, account_id, name))


async def of(call: Call, arn: str) -> Protection:
    """The protection of the resource of an ARN, from snapshots."""
    stream, consumer = _parsed(arn)
    if stream is None:
        if parse_queue_arn(arn) is not None:
            return await call.runtime.part(QueueProtections).find(call, arn)
        return Protection(account_of(arn, call.principal.account_id), call.principal.team_id)
    catalog = call.runtime.part(Catalog)
    account_id, name = stream.account_id, stream.name
    view = catalog.peek(account_id, name, call.now_ms) or await catalog.find(account_id, name, call.now_ms)
    if view is None:
        return Protection(stream.account_id)
    if consumer is None:
        return Protection(
            view.account_id, view.team_id, view.resource_policy, view.tags, _arn(view.region, account_id, name)
        )
    found = view.consumers.get((consumer.name, consumer.created_s))
    if found is None:
        return Protection(view.account_id, view.team_id)
    return Protection(view.account_id, view.team_id, found.resource_policy, found.tags)


def of_now(call: Call, arn: str) -> Protection:
    """The same from the rows."""
    consumer = parse_consumer_arn(arn)
    if consumer is not None:
        return _of_consumer(arn)
    stream = parse_stream_arn(arn)
    if stream is not None:
        row = Stream.objects.select_related("team").filter(team__account_id=stream.account_id, name=stream.name).first()
        if row is None:
            return Protection(stream.account_id)
        return Protection(
            stream.account_id,
            row.team_id,
            resource_policy(row.resource_policy),
            dict(row.tags.values_list("key", "value")),
            str(row.arn),
        )
    if parse_queue_arn(arn) is not None:
        return _of_queue(arn)
    return Protection(account_of(arn, call.principal.account_id), call.principal.team_id)


def _of_consumer(arn: str) -> Protection:
    parsed = parse_consumer_arn(arn)
    assert parsed is not None
    rows = Consumer.objects.select_related("stream__team").filter(stream__team__account_id=parsed.stream.account_id)
    row = rows.filter(stream__name=parsed.stream.name, name=parsed.name).first()
    if row is None or str(row.arn) != arn:
        return Protection(parsed.stream.account_id)
    tags = dict(row.tags.values_list("key", "value"))
    return Protection(parsed.stream.account_id, row.stream.team_id, resource_policy(row.resource_policy), tags)


def _of_queue(arn: str) -> Protection:
    parsed = parse_queue_arn(arn)
    assert parsed is not None
    row = Queue.objects.filter(team__account_id=parsed.account_id, queue_id=parsed.queue_id).first()
    if row is None:
        return Protection(parsed.account_id)
    tags = dict(row.tags.values_list("key", "value"))
    return Protection(parsed.account_id, row.team_id, resource_policy(row.resource_policy), tags)


class QueueProtections:
    """Those of queues in use, one per process. (Streams and consumers have theirs in the catalogue.)"""

    def __init__(self, _runtime: Runtime) -> None:
        self._known: dict[str, tuple[int, Protection]] = {}

    async def find(self, call: Call, arn: str) -> Protection:
        """The protection of a queue, at most FRESH_MS old."""
        known = self._known.get(arn)
        if known is not None and 0 <= call.now_ms - known[0] <= FRESH_MS:
            return known[1]
        found = await in_thread(_of_queue, arn)
        self._known.pop(arn, None)
        if found.team_id is not None:
            self._known[arn] = (call.now_ms, found)
            if len(self._known) > QUEUES_MAX:
                del self._known[next(iter(self._known))]
        return found
