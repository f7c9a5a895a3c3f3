"""Catalogue of delivery streams for the data plane: frozen snapshots, at most one second old (apps/streams/snapshots.py).

A negative answer (unknown, not ACTIVE) is always read from the database first, so that a client who was told ACTIVE can
put at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from apps.base.arn import DeliveryStreamArn
from apps.base.clock import Clock
from apps.billing import spending_hold
from apps.delivery import encryption, put_rates, record_ids, settings
from apps.delivery.limits import data_budget, request_budget
from apps.delivery.metrics import series_key
from apps.delivery.models import (
    DeliveryLog,
    DeliveryStream,
    DeliveryStreamStatus,
    DeliveryTag,
    Lane,
    LogPurpose,
    SourceType,
)
from apps.delivery.put_rates import Rates
from apps.encryption.data_keys import EncryptedStream
from apps.runtime import Runtime
from apps.streams.snapshots import NAMES_PER_QUERY, Key, Snapshots
from apps.throttle.interface import Budget


@dataclass(frozen=True, slots=True)
class DirectLog:
    """Where a Direct PUT delivery stream's records go. fixed: what their ids begin with. lanes: that read it, to be
    woken; hints: when that is worth while."""

    key: int
    fixed: str
    lanes: tuple[int, ...]
    hints: settings.Hints


@dataclass(frozen=True, slots=True)
class DeliveryStreamView:
    """A delivery stream. series: the key of its metrics. encryption None: records are stored as they are."""

    key: int
    series: int
    team_id: int
    account_id: str
    region: str
    name: str
    status: str
    source_type: str
    version: int
    rates: Rates
    data_budget: Budget
    request_budget: Budget
    data_bucket: str
    request_bucket: str
    log: DirectLog | None = None
    encryption: EncryptedStream | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    held: str = ""
    """What a spent budget does to puts (spending_hold.on); usually nothing."""

    @property
    def arn(self) -> str:
        """As DeliveryStream.arn."""
        return str(DeliveryStreamArn(self.region, self.account_id, self.name))

    @property
    def takes_records(self) -> bool:
        """True while puts are accepted (of what is a Direct PUT delivery stream)."""
        return self.status == DeliveryStreamStatus.ACTIVE


class DeliveryCatalog(Snapshots[DeliveryStreamView]):
    """See the module's docstring. One per process, used on the loop only: `runtime.part(DeliveryCatalog)`."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime, _Rows(runtime.config.region, runtime.config.master_key_path, runtime.clock))


@dataclass(frozen=True, slots=True)
class _Rows:
    """Reads the views of names: see snapshots.ReadRows."""

    region: str
    master_key_path: Path
    clock: Clock

    def __call__(self, names: Iterable[Key], known: Mapping[Key, DeliveryStreamView]) -> dict[Key, DeliveryStreamView]:
        ordered = sorted(names)
        views: dict[Key, DeliveryStreamView] = {}
        for first in range(0, len(ordered), NAMES_PER_QUERY):
            views |= self._some(set(ordered[first : first + NAMES_PER_QUERY]), known)
        return views

    def _some(self, names: set[Key], known: Mapping[Key, DeliveryStreamView]) -> dict[Key, DeliveryStreamView]:
        rows = DeliveryStream.objects.select_related("team", spending_hold.OF_TEAM).filter(
            channel_id="", name__in={name for _, name in names}, team__account_id__in={account for account, _ in names}
        )
        wanted = {(row.team.account_id, row.name): row for row in rows if (row.team.account_id, row.name) in names}
        rates = put_rates.read({row.team_id for row in wanted.values()}, self.region)
        views, changed = {}, []
        for key, row in wanted.items():
            before, held = known.get(key), self._held(row)
            if before is not None and before.held == held and _same(before, row, rates[row.team_id]):
                views[key] = before
            else:
                changed.append(row)
        for row, view in zip(changed, self._views(changed, rates), strict=True):
            views[row.team.account_id, row.name] = view
        return views

    def _views(self, rows: Sequence[DeliveryStream], rates: Mapping[int, Rates]) -> Iterable[DeliveryStreamView]:
        if not rows:
            return []
        keys = [row.pk for row in rows]
        logs = DeliveryLog.objects.filter(delivery_stream_id__in=keys, purpose=LogPurpose.DIRECT)
        log_keys = {log.delivery_stream_id: log.log_key for log in logs.order_by("id")}
        lanes: dict[int, list[int]] = {}
        open_lanes = Lane.objects.filter(log_key__in=log_keys.values(), ended_at_ms__isnull=True).order_by("id")
        for lane_id, log_key in open_lanes.values_list("id", "log_key"):
            lanes.setdefault(log_key, []).append(lane_id)
        tags: dict[int, dict[str, str]] = {}
        for stream_id, name, value in DeliveryTag.objects.filter(delivery_stream_id__in=keys).values_list(
            "delivery_stream_id", "key", "value"
        ):
            tags.setdefault(stream_id, {})[name] = value
        return [
            view_of(
                row,
                rates[row.team_id],
                self._log(row, log_keys.get(row.pk), lanes),
                tags.get(row.pk, {}),
                self._held(row),
            )
            for row in rows
        ]

    def _held(self, row: DeliveryStream) -> str:
        return spending_hold.on(row.team, self.clock.now_ms())

    def _log(self, row: DeliveryStream, log_key: int | None, lanes: Mapping[int, list[int]]) -> DirectLog | None:
        if log_key is None or row.source_type != SourceType.DIRECT_PUT:
            return None
        fixed = record_ids.fixed_part(self.master_key_path, log_key)
        hints = settings.intake(row.destination_type, row.destination)
        return DirectLog(log_key, fixed, tuple(lanes.get(log_key, ())), hints)


def _same(before: DeliveryStreamView, row: DeliveryStream, rates: Rates) -> bool:
    return (before.key, before.version, before.status, before.rates) == (row.pk, row.version, row.status, rates)


def view_of(
    row: DeliveryStream, rates: Rates, log: DirectLog | None, tags: Mapping[str, str] | None = None, held: str = ""
) -> DeliveryStreamView:
    """The snapshot of a delivery stream's row."""
    return DeliveryStreamView(
        key=row.pk,
        series=series_key(row.pk),
        team_id=row.team_id,
        account_id=row.team.account_id,
        region=row.region,
        name=row.name,
        status=row.status,
        source_type=row.source_type,
        version=row.version,
        rates=rates,
        data_budget=data_budget(rates.records, rates.size_bytes, held),
        request_budget=request_budget(rates.requests, held),
        data_bucket=f"delivery-data/{row.pk}",
        request_bucket=f"delivery-requests/{row.pk}",
        log=log,
        encryption=encryption.covering(row),
        tags=tags or {},
        held=held,
    )
