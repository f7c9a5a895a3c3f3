"""Catalogue: frozen snapshots of streams and their shards for the data plane, at most one second old.

Routing by an old snapshot is safe, because the log fences: a sealed shard refuses, names its successors, and the
caller asks for refresh(). How they are kept and read anew: snapshots.py. A negative answer (unknown, not ACTIVE) is
always read from the database first, so that a client who was told ACTIVE can put at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter

from apps.access.policy.document import Policy
from apps.access.rights import resource_policy
from apps.base.arn import StreamArn
from apps.base.clock import Clock
from apps.base.units import HOUR_MS, KIB
from apps.billing import spending_hold
from apps.billing.plans import Plan
from apps.capacity import commitment
from apps.capacity.commitment import Span
from apps.encryption.data_keys import EncryptedStream
from apps.encryption.management import DEFAULT_KEY
from apps.runtime import Runtime
from apps.streams.addressing import shard_id_text
from apps.streams.faults import Faults, faults_of
from apps.streams.hashkeys import digest_of_number
from apps.streams.limits import write_budget
from apps.streams.models import (
    Consumer,
    ConsumerStatus,
    RecordDistributionStrategy,
    Shard,
    Stream,
    StreamMode,
    StreamStatus,
    Tag,
)
from apps.streams.sequence import fixed_part
from apps.streams.snapshots import NAMES_PER_QUERY, Snapshots
from apps.throttle.interface import Budget

StreamKey = tuple[str, str]
"""(account id, stream name)."""


@dataclass(frozen=True, slots=True)
class ShardView:
    """A shard. key is its row id and its key in the log; fixed is the constant part of its sequence numbers."""

    key: int
    index: int
    shard_id: str
    start_hash: int
    end_hash: int
    created_s: int
    parent_index: int | None
    adjacent_parent_index: int | None
    opened_at_ms: int | None
    closed_at_ms: int | None
    expired_at_ms: int | None
    fixed: int
    write_bucket: str
    read_bucket: str
    large_read_bucket: str
    iterator_bucket: str

    @property
    def visible(self) -> bool:
        """True if clients may know of it: opened, and not expired."""
        return self.opened_at_ms is not None and self.expired_at_ms is None

    @property
    def parents(self) -> list[str]:
        """AWS's names of its parents."""
        return [shard_id_text(index) for index in (self.parent_index, self.adjacent_parent_index) if index is not None]


@dataclass(frozen=True, slots=True)
class ConsumerView:
    """A registered consumer. created_s is part of its ARN."""

    key: int
    name: str
    created_s: int
    active: bool
    deleting: bool
    resource_policy: Policy | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamView:
    """A stream. open_shards are sorted by range; cuts are the first digests of all but the first of them, for bisect.

    by_key holds every shard, also children that clients may not know of yet: the log may already name them.
    """

    key: int
    team_id: int
    account_id: str
    region: str
    name: str
    stream_id: str
    status: str
    mode: str
    retention_ms: int
    retention_floor_ms: int
    max_record_kib: int
    max_record_bytes: int
    created_at_ms: int
    version: int
    write_budget: Budget
    open_shards: tuple[ShardView, ...]
    cuts: tuple[bytes, ...]
    by_index: Mapping[int, ShardView]
    by_key: Mapping[int, ShardView]
    consumers: Mapping[tuple[str, int], ConsumerView]
    """By name and creation second."""
    faults: Faults | None = None
    """What an administrator asked to go wrong; usually nothing."""
    encryption: EncryptedStream | None = None
    """The KMS key that covers what is written now; None: it is stored as it is."""
    resource_policy: Policy | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    shard_level: frozenset[str] | None = None
    """Metrics that are counted for each shard; usually none."""
    auto: bool = False
    """Records are distributed evenly, whatever their keys are (spreading.py)."""
    held: str = ""
    """What a spent budget does to writes (spending_hold.on); usually nothing."""

    committed: Span | None = None
    """The account's minimum throughput billing commitment: from when until when, which may lie ahead."""

    def plan_at(self, now_ms: int) -> Plan:
        """What usage is paid by now. A switch of the mode, and a commitment that begins, are known within a second; the end
        of a commitment is known before."""
        if self.mode == StreamMode.PROVISIONED:
            return Plan.PROVISIONED
        committed = self.committed
        return Plan.ADVANTAGE if committed and committed[0] <= now_ms < committed[1] else Plan.ON_DEMAND

    @property
    def arn(self) -> str:
        """As Stream.arn."""
        return str(StreamArn(self.region, self.account_id, self.name))

    @property
    def takes_records(self) -> bool:
        """True while puts are accepted."""
        return self.status in {StreamStatus.ACTIVE, StreamStatus.UPDATING} and bool(self.open_shards)

    @property
    def gives_records(self) -> bool:
        """True while its shards can be read."""
        return self.status in {StreamStatus.ACTIVE, StreamStatus.UPDATING}

    def horizon_ms(self, now_ms: int) -> int:
        """The time before which no record is shown."""
        return max(now_ms - self.retention_ms, self.retention_floor_ms)

    def shard(self, index: int) -> ShardView | None:
        """The shard with that number, if clients may know of it."""
        found = self.by_index.get(index)
        return found if found is not None and found.visible else None

    def children_of(self, parent: ShardView) -> list[ShardView]:
        """The shards that took over the parent's keys, by range."""
        children = [
            shard
            for shard in self.by_index.values()
            if parent.index in {shard.parent_index, shard.adjacent_parent_index} and shard.visible
        ]
        return sorted(children, key=attrgetter("start_hash"))


class Catalog(Snapshots[StreamView]):
    """See the module's docstring. One per process, used on the loop only: `runtime.part(Catalog)`."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime, partial(_read, runtime.clock))

    async def refresh(self, stream: StreamView) -> StreamView | None:
        """The same stream read anew, shards included (children are written before the version rises); None if it
        is gone, also if another one has its name now."""
        view = await self.read_anew(stream.account_id, stream.name)
        return view if view is not None and view.key == stream.key else None


def _read(
    clock: Clock, names: Iterable[StreamKey], known: Mapping[StreamKey, StreamView]
) -> dict[StreamKey, StreamView]:
    """The streams of those names, by at most three queries for every 200. Shards and consumers are
    read only for a new version."""
    views: dict[StreamKey, StreamView] = {}
    ordered = sorted(names)
    for first in range(0, len(ordered), NAMES_PER_QUERY):
        some = ordered[first : first + NAMES_PER_QUERY]
        rows = commitment.with_newest(Stream.objects.select_related("team", spending_hold.OF_TEAM)).filter(
            name__in={name for _, name in some}, team__account_id__in={account for account, _ in some}
        )
        changed = []
        for row in rows:
            key = (row.team.account_id, row.name)
            before, held = known.get(key), spending_hold.on(row.team, clock.now_ms())
            same = (row.pk, row.version, row.status, held, commitment.span_of(row))
            if before is not None and _what_changes(before) == same:
                views[key] = before
            elif key in names:
                changed.append(row)
        views.update({(view.account_id, view.name): view for view in _views_of(changed, clock.now_ms())})
    return views


def _what_changes(view: StreamView) -> tuple[object, ...]:
    return view.key, view.version, view.status, view.held, view.committed


def _views_of(rows: Sequence[Stream], now_ms: int) -> Iterable[StreamView]:
    if not rows:
        return
    shards: dict[int, list[Shard]] = {row.pk: [] for row in rows}
    for shard in Shard.objects.filter(stream_id__in=list(shards)).order_by("index"):
        shards[shard.stream_id].append(shard)
    consumers: dict[int, list[Consumer]] = {row.pk: [] for row in rows}
    for consumer in Consumer.objects.filter(stream_id__in=list(shards)).prefetch_related("tags"):
        consumers[consumer.stream_id].append(consumer)
    tags: dict[int, dict[str, str]] = {row.pk: {} for row in rows}
    for stream_id, name, value in Tag.objects.filter(stream_id__in=list(shards)).values_list(
        "stream_id", "key", "value"
    ):
        tags[stream_id][name] = value
    for row in rows:
        held = spending_hold.on(row.team, now_ms)
        yield view_of(row, shards[row.pk], consumers[row.pk], tags[row.pk], held, commitment.span_of(row))


def view_of(
    row: Stream,
    shards: Iterable[Shard],
    consumers: Iterable[Consumer] = (),
    tags: Mapping[str, str] | None = None,
    held: str = "",
    committed: Span | None = None,
) -> StreamView:
    """The snapshot of a stream's rows."""
    views = [shard_view_of(shard) for shard in shards]
    open_shards = tuple(
        sorted((v for v in views if v.visible and v.closed_at_ms is None), key=attrgetter("start_hash"))
    )
    return StreamView(
        key=row.pk,
        team_id=row.team_id,
        account_id=row.team.account_id,
        region=row.region,
        name=row.name,
        stream_id=row.stream_id,
        status=row.status,
        mode=row.mode,
        retention_ms=row.retention_hours * HOUR_MS,
        retention_floor_ms=row.retention_floor_ms,
        max_record_kib=row.max_record_size_kib,
        max_record_bytes=row.max_record_size_kib * KIB,
        created_at_ms=row.created_at_ms,
        version=row.version,
        write_budget=write_budget(row.max_record_size_kib, held),
        open_shards=open_shards,
        cuts=tuple(digest_of_number(shard.start_hash) for shard in open_shards[1:]),
        by_index={view.index: view for view in views},
        by_key={view.key: view for view in views},
        consumers={(view.name, view.created_s): view for view in map(_consumer_view_of, consumers)},
        faults=faults_of(row.faults),
        shard_level=frozenset(row.shard_level_metrics) or None,
        encryption=_encryption_of(row),
        resource_policy=resource_policy(row.resource_policy),
        tags=tags or {},
        auto=row.distribution_strategy == RecordDistributionStrategy.AUTO,
        held=held,
        committed=committed,
    )


def _encryption_of(row: Stream) -> EncryptedStream | None:
    if not row.encryption_key_arn:
        return None
    by_default_key = row.encryption_key_id.endswith(DEFAULT_KEY)
    return EncryptedStream(row.pk, str(row.arn), row.team.account_id, row.encryption_key_arn, by_default_key)


def _consumer_view_of(row: Consumer) -> ConsumerView:
    return ConsumerView(
        row.pk,
        row.name,
        row.created_at_ms // 1000,
        active=row.status == ConsumerStatus.ACTIVE,
        deleting=row.status == ConsumerStatus.DELETING,
        resource_policy=resource_policy(row.resource_policy),
        tags={tag.key: tag.value for tag in row.tags.all()},
    )


def shard_view_of(row: Shard) -> ShardView:
    """The snapshot of a shard's row."""
    return ShardView(
        key=row.pk,
        index=row.index,
        shard_id=shard_id_text(row.index),
        start_hash=int(row.start_hash),
        end_hash=int(row.end_hash),
        created_s=row.created_s,
        parent_index=row.parent_index,
        adjacent_parent_index=row.adjacent_parent_index,
        opened_at_ms=row.opened_at_ms,
        closed_at_ms=row.closed_at_ms,
        expired_at_ms=row.expired_at_ms,
        fixed=fixed_part(row.created_s, row.index),
        write_bucket=f"write/{row.pk}",
        read_bucket=f"read/{row.pk}",
        large_read_bucket=f"large-read/{row.pk}",
        iterator_bucket=f"iterator/{row.pk}",
    )
