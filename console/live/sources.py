"""Where feeds get their values from: synchronous questions to metrics and the database, as small dicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.base.clock import Clock
from apps.base.units import MIB
from apps.delivery.metrics import series_key
from apps.delivery.models import DeliveryStream, DeliveryStreamVersion
from apps.metrics import layout, store
from apps.metrics.firehose import DELIVERY_KEYS_FROM
from apps.metrics.layout import POINTS_MAX
from apps.metrics.overview import OF_DELIVERY_STREAMS, OF_STREAMS, Counted, overview
from apps.metrics.shard_load import shard_load
from apps.streams.models import Shard, Stream
from console.live.panels import ALL_PANELS, column_names, columns, short, wants_classes
from console.pages.delivery.figures import with_figures

TAIL_BUCKETS = 3
SNAPSHOT_POINTS = 300
MARKS_MAX = 50

Answer = dict[Any, Any]


def begin(now_s: int, since: float | None, res_s: int) -> tuple[int, int]:
    """From when a chart is wanted (UTC seconds; SNAPSHOT_POINTS back if not said), and from when it can be given."""
    wanted_s = now_s - SNAPSHOT_POINTS * res_s if since is None else int(max(0, min(since, now_s)))
    return wanted_s, max(wanted_s, now_s - (POINTS_MAX - 2) * res_s)


def snapshot(
    clock: Clock, team_id: int, stream_id: int, panel: str, since_s: int, res_s: int, until_s: int | None = None
) -> Answer:
    """A chart from since_s until now (or before until_s): `cols`, `t` and `d` in uPlot's layout. away: Redis did not answer."""
    now_s = clock.now_ms() // 1_000
    to_s = now_s if res_s == 1 else now_s + 1
    to_s = to_s if until_s is None else max(since_s, min(to_s, until_s))
    classes = wants_classes(ALL_PANELS[panel])
    history = store.history(team_id, stream_id, since_s, to_s, res_s, clock=clock, classes=classes)
    # The newest seconds may not be flushed yet: they are no gap, they follow.
    while res_s == 1 and history.buckets and history.buckets[-1] is None and history.times[-1] >= now_s - 2:
        history.buckets.pop()
    data = columns(ALL_PANELS[panel], history, now_s)
    names = column_names(ALL_PANELS[panel], res_s)
    return {"res": res_s, "cols": names, "t": history.times, "d": data or [[] for _ in names], "away": history.away}


def tail(clock: Clock, team_id: int, stream_id: int, panel: str, res_s: int) -> Answer | None:
    """The last buckets of a chart: {start: values in the order of column_names}. None: Redis is away."""
    now_s = clock.now_ms() // 1_000
    from_s = now_s - (TAIL_BUCKETS - 1) * res_s
    classes = wants_classes(ALL_PANELS[panel])
    history = store.history(team_id, stream_id, from_s, now_s + 1, res_s, clock=clock, classes=classes)
    if history.away:
        return None
    data = columns(ALL_PANELS[panel], history, now_s)
    return {t: [column[n] for column in data] for n, t in enumerate(history.times) if history.buckets[n] is not None}


def rows(clock: Clock, team_id: int, names: Sequence[str]) -> Answer | None:
    """Headline figures of streams by name: status, bytes and records per second over the last minute, records refused
    in it, and the iterator age in seconds. A stream that is gone is not in it. None: Redis is away."""
    found = Stream.objects.filter(team_id=team_id, name__in=names).values_list("name", "id", "status")
    return _rows(clock, team_id, {name: (key, status) for name, key, status in found}, OF_STREAMS)


def deliveries(clock: Clock, team_id: int, names: Sequence[str]) -> Answer | None:
    """The same of delivery streams: what goes out is what was delivered. Beside it of their lanes: records delivered since
    creation, and the age in seconds of the oldest one that is not delivered (null: there is none)."""
    asked = DeliveryStream.objects.filter(team_id=team_id, channel_id="", name__in=names)
    found: dict[str, Any] = {row.name: row for row in with_figures(asked)}
    keys = {name: (series_key(row.pk), row.status) for name, row in found.items()}
    answer = _rows(clock, team_id, keys, OF_DELIVERY_STREAMS)
    now_ms = clock.now_ms()
    for name, figures in (answer or {}).items():
        waiting_ms = found[name].waiting_ms
        figures["del"] = found[name].delivered
        figures["wait"] = None if waiting_ms is None else short(max(0, now_ms - waiting_ms) / 1_000)
    return answer


def _rows(clock: Clock, team_id: int, found: dict[str, tuple[int, str]], of: Counted) -> Answer | None:
    live = overview(team_id, [key for key, _ in found.values()], of=of, sparks=False, clock=clock)
    if any(one.in_bytes_per_s is None for one in live.values()):
        return None
    return {
        name: {
            "st": status,
            "in": short(live[key].in_bytes_per_s),
            "rec": short(live[key].in_records_per_s),
            "out": short(live[key].out_bytes_per_s),
            "thr": short(live[key].throttled_last_minute),
            "age": None if (age_ms := live[key].age_ms) is None else short(age_ms / 1_000),
        }
        for name, (key, status) in found.items()
    }


def shards(clock: Clock, team_id: int, stream_id: int) -> Answer | None:
    """Load of each shard that had traffic in the last minute, by its number as text: rates and the share of the write
    limit over 10 s, and the share over 60 s. None: Redis is away."""
    loads = shard_load(team_id, stream_id, clock=clock)
    if loads is None:
        return None
    return {
        str(index): {
            "in": short(load.last_10_s.in_bytes_per_s),
            "rec": short(load.last_10_s.in_records_per_s),
            "thr": short(load.last_10_s.throttled_records_per_s),
            "out": short(load.last_10_s.out_bytes_per_s),
            "share": short(load.last_10_s.share),
            "share60": short(load.last_60_s.share),
        }
        for index, load in loads.items()
    }


def facts(stream_id: int) -> Answer:
    """What a chart of the stream marks beside its lines: `limit`, the write limit in bytes per second, and a mark
    (time, kind, text) for each split, merge and change of capacity. A delivery stream has neither, a team nothing."""
    if stream_id == layout.TEAM:
        return {}
    if stream_id >= DELIVERY_KEYS_FROM:
        return _versions(stream_id - DELIVERY_KEYS_FROM)
    made: dict[tuple[int, int, int | None], list[int]] = {}
    born = Shard.objects.filter(stream_id=stream_id, parent_index__isnull=False).order_by("-created_s", "index")
    values = born.values_list("index", "created_s", "parent_index", "adjacent_parent_index")
    for index, created_s, parent, adjacent in values[: 2 * MARKS_MAX]:
        assert parent is not None
        made.setdefault((created_s, parent, adjacent), []).append(index)
    answer: Answer = {
        f"{t}:{parent}": {"t": t, "kind": "split" if adjacent is None else "merge", "text": _mark(parent, adjacent, to)}
        for (t, parent, adjacent), to in made.items()
    }
    answer |= _settings(stream_id)
    answer["limit"] = Shard.objects.filter(stream_id=stream_id, closed_at_ms__isnull=True).count() * MIB
    return answer


def _settings(stream_id: int) -> Answer:
    """A mark for each change of capacity and encryption of the last day; older ones are not kept."""
    row = Stream.objects.filter(pk=stream_id).values("mode_changes_ms", "updates_ms", "encryption_changes_ms").first()
    if row is None:
        return {}
    told = [(at_ms, "capacity mode changed") for at_ms in row["mode_changes_ms"]]
    told += [(at_ms, "number of shards changed") for at_ms in row["updates_ms"]]
    told += [(at_ms, f"encryption {'on' if on else 'off'}") for on, at_ms in row["encryption_changes_ms"]]
    return {
        f"{at_ms // 1_000}:{text}": {"t": at_ms // 1_000, "kind": "capacity", "text": text}
        for at_ms, text in sorted(told)[-MARKS_MAX:]
    }


def _versions(delivery_stream: int) -> Answer:
    """A mark for each change of the destination."""
    rows = DeliveryStreamVersion.objects.filter(delivery_stream=delivery_stream, version_id__gt=1)
    newest = rows.order_by("-version_id").values_list("version_id", "created_at_ms")[:MARKS_MAX]
    return {
        str(version): {"t": at_ms // 1_000, "kind": "change", "text": f"changed, version {version}"}
        for version, at_ms in newest
    }


def _mark(parent: int, adjacent: int | None, children: Sequence[int]) -> str:
    if adjacent is not None:
        return f"{parent:04d} and {adjacent:04d} merged into {children[0]:04d}"
    return f"{parent:04d} split into {' and '.join(f'{index:04d}' for index in children)}"
