"""Which metrics a team has: what its streams saw lately, and its series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from apps.base.clock import Clock
from apps.cloudwatch.named import CHANNELS, KINDS, Kind, from_name
from apps.cloudwatch.reading import away
from apps.metrics import firehose, layout, series, store
from apps.metrics.buckets import decode
from apps.metrics.firehose import BY_NUMBER
from apps.metrics.models import Rollup
from apps.metrics.names import ALIASES, CONSUMER, NAMESPACE, QUEUE, SHARD_LEVEL, labels_of
from apps.metrics.series import Identity
from apps.streams.addressing import shard_id_text

LISTED_S = 14 * layout.DAY_S
"""A metric without data for so long is not listed (AWS: two weeks)."""

RECENT_S = 3 * layout.HOUR_S
SERIES_PER_QUERY = 1_000

_LIVE_WIDTH_S = 600
_SHARD_NAMES = {metric.number: name for name, metric in SHARD_LEVEL.items()}
_MARKS = ("", "/", "//")
"""What a place's name begins with, by kind; no name begins with a slash."""
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
    """The team's metrics in a fixed order, each with the place after it: first series, then stream by stream, then
    delivery stream by delivery stream.

    after: a place that this gave out; it goes on from there.
    """
    part, position = after
    if not part:
        yield from _of_series(team_id, wanted, position)
        position = 0
    for place, kind in enumerate(KINDS):
        mark, name = _MARKS[place], part.lstrip("/")
        if wanted.namespace in (None, kind.namespace) and _kind_of(part) <= place:
            here = _kind_of(part) == place
            for (stream_name, after_it), identity in _of_kind(
                team_id, kind, wanted, clock, name if here else "", position if here else 0
            ):
                yield (mark + stream_name, after_it), identity


def _kind_of(part: str) -> int:
    """Which of KINDS a place is in; the first at the beginning."""
    return len(part) - len(part.lstrip("/"))


def _of_series(team_id: int, wanted: Wanted, skip: int) -> Iterator[tuple[tuple[str, int], Identity]]:
    where = {key: value for key, value in (("namespace", wanted.namespace), ("name", wanted.name)) if value is not None}
    rows = series.listed(team_id, wanted.since_s, **where)
    while page := list(rows[skip : skip + SERIES_PER_QUERY].values_list("namespace", "name", "dimensions")):
        for namespace, name, dimensions in page:
            skip += 1
            identity = Identity(namespace, name, tuple((key, value) for key, value in dimensions))
            if wanted.takes(identity):
                yield ("", skip), identity


def _of_kind(
    team_id: int, kind: Kind, wanted: Wanted, clock: Clock, name: str, skip: int
) -> Iterator[tuple[tuple[str, int], Identity]]:
    exact = dict(wanted.dimensions).get(kind.dimension)
    for stream_name, ids in from_name(team_id, kind, name, exact):
        found = sorted(
            {identity for stream_id in ids for identity in _seen(team_id, stream_id, kind, stream_name, wanted, clock)}
        )
        first = skip if stream_name == name else 0
        for position, identity in enumerate(found[first:], first + 1):
            yield (stream_name, position), identity


def _seen(team_id: int, stream_id: int, kind: Kind, stream_name: str, wanted: Wanted, clock: Clock) -> set[Identity]:
    stored: set[int | str] = set()
    rows = Rollup.objects.filter(team_id=team_id, stream_id=stream_id, start_s__gte=wanted.since_s - layout.HOUR_S)
    now_s = clock.now_ms() // 1_000
    width_s = 60 if now_s - wanted.since_s <= RECENT_S else layout.HOUR_S
    for samples in rows.filter(width_s=width_s).values_list("samples", flat=True):
        stored |= decode(bytes(samples), classes=False).keys()
    live = store.history(
        team_id, stream_id, max(wanted.since_s, now_s - RECENT_S), now_s + 1, _LIVE_WIDTH_S, clock=clock
    )
    if live.away:
        raise away()
    for points in live.buckets:
        stored |= (points or {}).keys()
    told = _of_channel if kind is CHANNELS else _identities
    return {identity for key in stored for identity in told(stream_name, key) if wanted.takes(identity)}


def _of_channel(name: str, stored: int | str) -> list[Identity]:
    """What a stored metric is called of a channel: of its kind of destination alone, by two names now and then."""
    dimensions = tuple(zip(firehose.CHANNEL, name.split("/", 1), strict=True))
    return [
        Identity(NAMESPACE, told, dimensions)
        for told, metric in firehose.CHANNEL_NAMES.items()
        if metric.number == stored
    ]


def _identities(stream_name: str, stored: int | str) -> list[Identity]:
    """What a stored metric is called; one of them has two names."""
    number, label = labels_of(stored)
    at_stream = ("StreamName", stream_name)
    if isinstance(label, int):
        return [Identity(NAMESPACE, _SHARD_NAMES[number], (("ShardId", shard_id_text(label)), at_stream))]
    metric = BY_NUMBER[number]
    if number in firehose.NUMBERS:
        return [Identity(firehose.NAMESPACE, metric.name, tuple((key, stream_name) for key in metric.dimensions))]
    if (metric.dimensions in (CONSUMER, QUEUE)) != isinstance(label, str):
        return []
    if isinstance(label, str) and metric.dimensions == QUEUE:
        return [Identity(NAMESPACE, metric.name, tuple(zip(QUEUE, label.split("/", 1), strict=True)))]
    if isinstance(label, str):
        return [Identity(NAMESPACE, metric.name, (("ConsumerName", label), at_stream))]
    names = [metric.name, _OLD_NAMES[metric.name]] if metric.name in _OLD_NAMES else [metric.name]
    return [Identity(NAMESPACE, name, (at_stream,)) for name in names]
