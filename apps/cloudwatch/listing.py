"""Which metrics a team has: what its streams saw lately, and its series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from apps.base.clock import Clock
from apps.cloudwatch.reading import away
from apps.metrics import layout, series, store
from apps.metrics.buckets import decode
from apps.metrics.models import Rollup, StreamName
from apps.metrics.names import ALIASES, BY_NUMBER, CONSUMER, NAMESPACE, QUEUE, SHARD_LEVEL, labels_of
from apps.metrics.series import Identity
from apps.streams.addressing import shard_id_text
from apps.streams.models import Stream

LISTED_S = 14 * layout.DAY_S
"""A metric without data for so long is not listed (AWS: two weeks)."""

RECENT_S = 3 * layout.HOUR_S
SERIES_PER_QUERY = 1_000

_LIVE_WIDTH_S = 600
_SHARD_NAMES = {metric.number: name for name, metric in SHARD_LEVEL.items()}
_OLD_NAMES = {name: old for old, name in ALIASES.items()}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters. dimensions: by name; None: any value. since_s: with data since then."""

    since_s: int
    namespace: str | None = None
    name: str | None = None
    dimensions: tuple[tuple[str, str | None], ...] = ()

    def takes(self, identity: Identity) -> bool:
        """Does it pass?"""
        if self.namespace not in (None, identity.namespace) or self.name not in (None, identity.name):
            return False
        there = dict(identity.dimensions)
        return all(name in there and value in (None, there[name]) for name, value in self.dimensions)


def metrics(
    team_id: int, wanted: Wanted, clock: Clock, after: tuple[str, int] = ("", 0)
) -> Iterator[tuple[tuple[str, int], Identity]]:
    """The team's metrics in a fixed order, each with the place after it: first series, then stream by stream.

    after: a place that this gave out; it goes on from there.
    """
    part, position = after
    if not part:
        yield from _of_series(team_id, wanted, position)
        position = 0
    if wanted.namespace in (None, NAMESPACE):
        yield from _of_streams(team_id, wanted, clock, part, position)


def _of_series(team_id: int, wanted: Wanted, skip: int) -> Iterator[tuple[tuple[str, int], Identity]]:
    where = {key: value for key, value in (("namespace", wanted.namespace), ("name", wanted.name)) if value is not None}
    rows = series.listed(team_id, wanted.since_s, **where)
    while page := list(rows[skip : skip + SERIES_PER_QUERY].values_list("namespace", "name", "dimensions")):
        for namespace, name, dimensions in page:
            skip += 1
            identity = Identity(namespace, name, tuple((key, value) for key, value in dimensions))
            if wanted.takes(identity):
                yield ("", skip), identity


def _of_streams(
    team_id: int, wanted: Wanted, clock: Clock, name: str, skip: int
) -> Iterator[tuple[tuple[str, int], Identity]]:
    exact = dict(wanted.dimensions).get("StreamName")
    for stream_name, ids in _streams(team_id, name, exact):
        found = sorted(
            {identity for stream_id in ids for identity in _seen(team_id, stream_id, stream_name, wanted, clock)}
        )
        first = skip if stream_name == name else 0
        for position, identity in enumerate(found[first:], first + 1):
            yield (stream_name, position), identity


def _streams(team_id: int, from_name: str, exact: str | None) -> list[tuple[str, list[int]]]:
    """The team's streams by name, also those that are gone, with their rows."""
    found: dict[str, list[int]] = {}
    for model, key in ((Stream, "id"), (StreamName, "stream_id")):
        rows = model.objects.filter(team_id=team_id, name__gte=from_name)  # type: ignore[attr-defined]
        rows = rows if exact is None else rows.filter(name=exact)
        for stream_name, stream_id in rows.values_list("name", key):
            found.setdefault(stream_name, []).append(stream_id)
    return sorted((name, ids) for name, ids in found.items() if name >= from_name)


def _seen(team_id: int, stream_id: int, stream_name: str, wanted: Wanted, clock: Clock) -> set[Identity]:
    stored: set[int | str] = set()
    rows = Rollup.objects.filter(team_id=team_id, stream_id=stream_id, start_s__gte=wanted.since_s - layout.HOUR_S)
    now_s = clock.now_ms() // 1_000
    width_s = 60 if now_s - wanted.since_s <= RECENT_S else layout.HOUR_S
    for samples in rows.filter(width_s=width_s).values_list("samples", flat=True):
        stored |= decode(bytes(samples)).keys()
    live = store.history(
        team_id, stream_id, max(wanted.since_s, now_s - RECENT_S), now_s + 1, _LIVE_WIDTH_S, clock=clock
    )
    if live.away:
        raise away()
    for points in live.buckets:
        stored |= (points or {}).keys()
    return {identity for key in stored for identity in _identities(stream_name, key) if wanted.takes(identity)}


def _identities(stream_name: str, stored: int | str) -> list[Identity]:
    """What a stored metric is called; one of them has two names."""
    number, label = labels_of(stored)
    at_stream = ("StreamName", stream_name)
    if isinstance(label, int):
        return [Identity(NAMESPACE, _SHARD_NAMES[number], (("ShardId", shard_id_text(label)), at_stream))]
    metric = BY_NUMBER[number]
    if (metric.dimensions in (CONSUMER, QUEUE)) != isinstance(label, str):
        return []
    if isinstance(label, str) and metric.dimensions == QUEUE:
        return [Identity(NAMESPACE, metric.name, tuple(zip(QUEUE, label.split("/", 1), strict=True)))]
    if isinstance(label, str):
        return [Identity(NAMESPACE, metric.name, (("ConsumerName", label), at_stream))]
    names = [metric.name, _OLD_NAMES[metric.name]] if metric.name in _OLD_NAMES else [metric.name]
    return [Identity(NAMESPACE, name, (at_stream,)) for name in names]
