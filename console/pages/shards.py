"""The tab of shards: map, table, and what may be done to them (resharding.py)."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.db.models import F, QuerySet
from django.http import HttpResponse
from django.shortcuts import render

from apps.accounts.permissions import allowed
from apps.metrics import store
from apps.metrics.layout import TENS
from apps.metrics.names import SHARD_LEVEL, labels_of
from apps.metrics.shard_load import Load, ShardLoad, shard_load
from apps.streams.limits import READ_BYTES_PER_S
from apps.streams.models import Shard, Stream, StreamMode
from apps.streams.operations.shards import shown
from console import calls
from console.pages.hot_keys import HotKey, hot_keys
from console.pages.shard_map import IDLE, SHARDS_MAX, draw, of_space
from console.pages.shell import TeamRequest, is_fragment, team_page
from console.pages.stream import find, frame, map_panel

AGE = "IteratorAgeMilliseconds"
WINDOW_S = 60

SHARD_ROWS = 20
"""Of the table: fewer than elsewhere, as the map above it has an element or two for each shard."""


@team_page("stream:read")
def shards(request: TeamRequest, name: str) -> HttpResponse:
    """The tab: map and table, which `?shard=0006` opens at that shard. htmx asks for both alone, every few seconds."""
    stream = find(request, name)
    now_ms = calls.now_ms()
    found = list(shown(stream, now_ms)[:SHARDS_MAX])
    loads = shard_load(request.team.id, stream.id)
    hot = _hot_keys(request, found, loads)
    ages = _ages(request, stream, now_ms)
    page = _table_page(request, found, shown(stream, now_ms))
    context = {
        "stream": stream,
        "map": draw(found, loads),
        "rows": [
            ShardRow(shard, _load_of(shard, loads), hot.get(shard.index, []), ages.get(shard.index)) for shard in page
        ],
        "page": page,
        "ages_known": AGE in stream.shard_level_metrics,
        "now_ms": now_ms,
        "may_change": stream.mode == StreamMode.PROVISIONED,
    }
    if is_fragment(request):
        return render(request, "stream/shards_live.html", context)
    return render(request, "stream/shards.html", {**frame(request, stream, "stream-shards"), **context})


@team_page("stream:read")
def map_part(request: TeamRequest, name: str) -> HttpResponse:
    """The map alone, for the overview to renew."""
    stream = find(request, name)
    return render(request, "stream/map_panel.html", {"stream": stream, **map_panel(request, stream)})


def _table_page(request: TeamRequest, found: list[Shard], everything: QuerySet[Shard]) -> Page:
    """The part of the table that was asked for: by number, or as the one with a shard. Open ones first. found: those of the map, which are
    all, unless the stream has more."""
    listed = sorted(found, key=lambda shard: (shard.closed_at_ms is not None, shard.index))
    in_order = everything.order_by(F("closed_at_ms").asc(nulls_first=True), "index")
    pages = Paginator(listed if len(found) < SHARDS_MAX else in_order, SHARD_ROWS)
    wanted = request.GET.get("shard", "")
    if "page" not in request.GET and wanted:
        places = (n for n, shard in enumerate(listed) if f"{shard.index:04d}" == wanted)
        return pages.get_page(next(places, 0) // SHARD_ROWS + 1)
    return pages.get_page(request.GET.get("page"))


def _hot_keys(request: TeamRequest, found: list[Shard], loads: dict[int, ShardLoad] | None) -> dict[int, list[HotKey]]:
    """Keys are a part of records: only for people who may read those."""
    if not loads or not allowed(request.actions, "record:read"):
        return {}
    last_minute = {index: load.last_60_s for index, load in loads.items()}
    return hot_keys(calls.runtime(), [shard for shard in found if shard.closed_at_ms is None], last_minute)


def _ages(request: TeamRequest, stream: Stream, now_ms: int) -> dict[int, float]:
    """Iterator age by shard, the highest of the last minute, where shard-level metrics count it."""
    if AGE not in stream.shard_level_metrics:
        return {}
    to_s = now_ms // 1_000 // TENS.width_s * TENS.width_s
    clock = calls.runtime().clock
    history = store.history(request.team.id, stream.pk, to_s - WINDOW_S, to_s, TENS.width_s, clock=clock)
    ages: dict[int, float] = {}
    for points in history.buckets:
        for name, point in (points or {}).items():
            number, label = labels_of(name)
            if number == SHARD_LEVEL[AGE].number and isinstance(label, int):
                ages[label] = max(ages.get(label, 0), point.most)
    return ages


def _load_of(shard: Shard, loads: dict[int, ShardLoad] | None) -> Load | None:
    if loads is None:
        return None
    return loads[shard.index].last_60_s if shard.index in loads else IDLE


@dataclass(frozen=True, slots=True)
class ShardRow:
    """A shard in the table; its load is of the last minute."""

    shard: Shard
    load: Load | None
    hot: list[HotKey]
    age_ms: float | None

    @property
    def parents(self) -> str:
        """0001, or 0001 and 0002 for a merged one."""
        found = [p for p in (self.shard.parent_index, self.shard.adjacent_parent_index) if p is not None]
        return " and ".join(f"{parent:04d}" for parent in found)

    @property
    def short(self) -> str:
        """0006"""
        return f"{self.shard.index:04d}"

    @property
    def share(self) -> str:
        """Of the hash key space."""
        return of_space(self.shard)

    @property
    def range(self) -> str:
        """Both ends, short."""
        return f"{short_hash(self.shard.start_hash)} to {short_hash(self.shard.end_hash)}"

    @property
    def percent(self) -> int | None:
        """Share of the write limit that was offered; None: not known."""
        return None if self.load is None else round(100 * self.load.share)

    @property
    def read_percent(self) -> int | None:
        """Share of the shared read limit, fan-out included, which has its own; so it can pass 100. None: not known."""
        return None if self.load is None else round(100 * self.load.out_bytes_per_s / READ_BYTES_PER_S)


def short_hash(text: str) -> str:
    """A hash key with its middle left out: 1701…5728."""
    return text if len(text) <= 9 else f"{text[:4]}…{text[-4:]}"
