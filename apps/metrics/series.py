"""Metrics by namespace, name and dimensions: those that clients put, and those that other parts count by name.

They lie in the database, in buckets of a minute, five minutes and an hour, each written at once, and of a second if
their resolution is high. Every read and write names the team. What a team may have is bounded (SERIES_MAX).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import transaction
from django.db.models import QuerySet

from apps.base.clock import Clock
from apps.metrics.layout import DAY_S, HOUR_S
from apps.metrics.models import Datapoint, Series
from apps.metrics.sketch import Sketch

SERIES_MAX = 10_000
"""Series of one team. KCL with 1,000 shards has some 6,000, KPL with as many 4,000."""

IDLE_S = 15 * DAY_S
"""A series without a value for so long is not listed any more (AWS: two weeks), and makes room if there is none."""

KEEP_S: dict[int, int] = {1: 3 * HOUR_S, 60: 15 * DAY_S, 300: 63 * DAY_S, HOUR_S: 455 * DAY_S}
"""As CloudWatch keeps them."""

WIDTHS = tuple(width for width in KEEP_S if width > 1)
PRUNED_PER_RUN = 20_000
ROWS_PER_QUERY = 100

Dimensions = tuple[tuple[str, str], ...]


class TooManySeries(Exception):
    """The team has SERIES_MAX series, all of them in use."""


class Identity(NamedTuple):
    """Which metric. dimensions are sorted."""

    namespace: str
    name: str
    dimensions: Dimensions = ()

    @property
    def key(self) -> str:
        """What it is found by."""
        return hashlib.sha256(json.dumps(self).encode()).hexdigest()


@dataclass(slots=True)
class Value:
    """A statistic set of one bucket. sketch None: its distribution is not known."""

    count: float
    total: float
    least: float
    most: float
    sketch: Sketch | None = None

    def merge(self, other: Value) -> None:
        """Add what other counted."""
        self.count += other.count
        self.total += other.total
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)
        if self.sketch is not None and other.sketch is not None:
            self.sketch.merge(other.sketch)
        else:
            self.sketch = None

    def copy(self) -> Value:
        """One that can be merged into without changing this."""
        sketch = None
        if self.sketch is not None:
            sketch = Sketch()
            sketch.merge(self.sketch)
        return Value(self.count, self.total, self.least, self.most, sketch)


class Observed(NamedTuple):
    """A value to be recorded. second: UTC. fine: also by the second."""

    identity: Identity
    unit: str
    second: int
    value: Value
    fine: bool = False


Bucket = tuple[int, str, int, int]
"""Series id, unit, width, start."""


@transaction.atomic
def record(team_id: int, observed: Sequence[Observed], now_s: int) -> None:
    """Add values to their buckets. Raises TooManySeries, and then nothing is recorded."""
    newest: dict[Identity, int] = {}
    for one in observed:
        newest[one.identity] = max(newest.get(one.identity, 0), one.second // 60 * 60)
    ids = _series_ids(team_id, newest, now_s)
    buckets: dict[Bucket, Value] = {}
    for one in observed:
        for width_s in (1, *WIDTHS) if one.fine else WIDTHS:
            bucket = (ids[one.identity], one.unit, width_s, one.second // width_s * width_s)
            if bucket in buckets:
                buckets[bucket].merge(one.value)
            else:
                buckets[bucket] = one.value.copy()
    _add(buckets)


def _series_ids(team_id: int, newest: Mapping[Identity, int], now_s: int) -> dict[Identity, int]:
    """Rows of these series, held until the transaction ends; made if they are not there."""
    keys = {identity.key: identity for identity in newest}
    rows = {row.key: row for row in _by_key(team_id, list(keys))}
    missing = [keys[key] for key in keys if key not in rows]
    if missing:
        _make_room(team_id, len(missing), now_s)
        made = [
            Series(team_id=team_id, key=i.key, namespace=i.namespace, name=i.name, dimensions=i.dimensions)
            for i in missing
        ]
        Series.objects.bulk_create(made, batch_size=500)
        rows |= {row.key: row for row in _by_key(team_id, [i.key for i in missing])}
    for key, row in rows.items():
        if newest[keys[key]] > row.newest_s:
            Series.objects.filter(pk=row.pk).update(newest_s=newest[keys[key]])
    return {identity: rows[key].pk for key, identity in keys.items()}


def _by_key(team_id: int, keys: list[str]) -> list[Series]:
    found: list[Series] = []
    for first in range(0, len(keys), ROWS_PER_QUERY):
        rows = Series.objects.select_for_update().filter(team_id=team_id, key__in=keys[first : first + ROWS_PER_QUERY])
        found += rows.order_by("id")
    return found


def _make_room(team_id: int, wanted: int, now_s: int) -> None:
    there = Series.objects.filter(team_id=team_id).count()
    if there + wanted <= SERIES_MAX:
        return
    idle = Series.objects.filter(team_id=team_id, newest_s__lt=now_s - IDLE_S).order_by("newest_s")
    ids = list(idle.values_list("id", flat=True)[: there + wanted - SERIES_MAX])
    if there - len(ids) + wanted > SERIES_MAX:
        raise TooManySeries
    Series.objects.filter(id__in=ids).delete()


def _add(buckets: Mapping[Bucket, Value]) -> None:
    """Merge with the rows that are there; their series are held."""
    names = list(buckets)
    for first in range(0, len(names), ROWS_PER_QUERY):
        part = names[first : first + ROWS_PER_QUERY]
        for row in Datapoint.objects.filter(
            series_id__in={bucket[0] for bucket in part}, start_s__in={bucket[3] for bucket in part}
        ):
            bucket = (row.series_id, row.unit, row.width_s, row.start_s)
            if bucket in buckets and bucket in part:
                buckets[bucket].merge(_value_of(row))
    rows = [
        Datapoint(
            series_id=series_id, unit=unit, width_s=width_s, start_s=start_s,
            count=value.count, total=value.total, least=value.least, most=value.most,
            sketch=None if value.sketch is None else value.sketch.encode(),
        )
        for (series_id, unit, width_s, start_s), value in buckets.items()
    ]  # fmt: skip
    Datapoint.objects.bulk_create(
        rows,
        batch_size=100,
        update_conflicts=True,
        unique_fields=["series", "width_s", "start_s", "unit"],
        update_fields=["count", "total", "least", "most", "sketch"],
    )


def _value_of(row: Datapoint) -> Value:
    sketch = None if row.sketch is None else Sketch.decode(bytes(row.sketch))
    return Value(row.count, row.total, row.least, row.most, sketch)


def read(
    team_id: int, identity: Identity, unit: str | None, from_s: int, to_s: int, width_s: int
) -> dict[str, dict[int, Value]]:
    """Buckets that start in [from_s, to_s), by unit and start. unit None: any."""
    rows = Datapoint.objects.filter(
        series__team_id=team_id, series__key=identity.key, width_s=width_s, start_s__gte=from_s, start_s__lt=to_s
    ).order_by("start_s")
    if unit is not None:
        rows = rows.filter(unit=unit)
    found: dict[str, dict[int, Value]] = {}
    for row in rows:
        found.setdefault(row.unit, {})[row.start_s] = _value_of(row)
    return found


def listed(team_id: int, since_s: int, **where: str) -> QuerySet[Series]:
    """Series with a value since then, in order."""
    return Series.objects.filter(team_id=team_id, newest_s__gte=since_s, **where).order_by("namespace", "name", "key")


def prune(clock: Clock) -> int:
    """Remove datapoints older than their width is kept, and series without any, a bounded number; answers how many."""
    now_s = clock.now_ms() // 1_000
    removed = 0
    for width_s, keep_s in KEEP_S.items():
        old = Datapoint.objects.filter(width_s=width_s, start_s__lt=now_s - keep_s).order_by("start_s")
        removed += _delete(Datapoint, list(old.values_list("id", flat=True)[:PRUNED_PER_RUN]))
    dead = Series.objects.filter(newest_s__lt=now_s - max(KEEP_S.values()))
    return removed + _delete(Series, list(dead.values_list("id", flat=True)[:PRUNED_PER_RUN]))


def _delete(model: type[Datapoint | Series], ids: list[int]) -> int:
    for first in range(0, len(ids), ROWS_PER_QUERY):
        model.objects.filter(id__in=ids[first : first + ROWS_PER_QUERY]).delete()
    return len(ids)
