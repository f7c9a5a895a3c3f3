"""The list of data streams: one query for the rows, filtered, sorted and paged by the database; metrics from Redis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpResponse
from django.shortcuts import render

from apps.accounts.models import Team
from apps.capacity.models import QuotaOverride
from apps.metrics.overview import Overview, overview, together
from apps.metrics.store import STREAMS_MAX
from apps.streams import topology
from apps.streams.limits import WRITE_BYTES_PER_S, WRITE_RECORDS_PER_S
from apps.streams.models import Consumer, Shard, Stream, StreamMode, StreamStatus, Tag
from apps.streams.quotas import QUOTAS
from console import calls
from console.pages import costs, samples, words
from console.pages.costs import Cost
from console.pages.filter_text import named_and_tagged, parts_of
from console.pages.page_rows import RICH_ROWS
from console.pages.row_tags import tags_of, told
from console.pages.shell import TeamRequest, is_fragment, know_list_counts, list_counters, team_page

PAGE_ROWS = RICH_ROWS
TAGS_SHOWN = 3
FILTER_MAX = 500
LATE_MS = 30_000

SORTS: Final = {
    "name": "name",
    "status": "status",
    "mode": "mode",
    "shards": "open_shards",
    "consumers": "consumer_count",
    "retention": "retention_hours",
    "created": "created_at_ms",
}
MODES: Final = {"provisioned": StreamMode.PROVISIONED, "on-demand": StreamMode.ON_DEMAND}
MODE_WORDS: Final[dict[str, str]] = {StreamMode.PROVISIONED: "Provisioned", StreamMode.ON_DEMAND: "On-demand"}
STATUSES: Final = {status.value.lower(): status for status in StreamStatus}

OPEN = Q(opened_at_ms__isnull=False, closed_at_ms__isnull=True, expired_at_ms__isnull=True)
"""Shards that take records now."""


@dataclass(slots=True)
class Filter:
    """What the text of the filter asks for: `web tag:team=core status:active mode:on-demand`."""

    text: str
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    status: str = ""
    mode: str = ""
    problem: str = ""

    @classmethod
    def read(cls, text: str) -> Filter:
        """Take the text apart; what it does not know becomes a problem to show, never a silent nothing."""
        found = cls(text)
        for part in parts_of(text):
            name, colon, value = part.partition(":")
            if not colon:
                found.words.append(part)
            elif name == "tag":
                found.tags.append(value)
            elif name == "status" and value.lower() in STATUSES:
                found.status = value.lower()
            elif name == "mode" and value.lower() in MODES:
                found.mode = value.lower()
            else:
                found.problem = (
                    f"{part} is not a filter. Known are tag:, status: {', '.join(STATUSES)}; mode: {', '.join(MODES)}."
                )
        return found

    @classmethod
    def chosen(cls, status: str, mode: str) -> Filter:
        """What the two selects of the page ask for, beside the text."""
        return cls("", status=status if status in STATUSES else "", mode=mode if mode in MODES else "")

    def apply(self, streams: QuerySet[Stream]) -> QuerySet[Stream]:
        """The streams that match all of it."""
        streams = named_and_tagged(streams, self.words, self.tags)
        if self.status:
            streams = streams.filter(status=STATUSES[self.status])
        return streams.filter(mode=MODES[self.mode]) if self.mode else streams


COLUMNS: Final = {
    "tags": "Tags",
    "status": "Status",
    "mode": "Mode",
    "shards": "Shards",
    "spark": "Last hour",
    "in": "Incoming",
    "capacity": "Write capacity",
    "age": "Iterator age",
    "consumers": "Fan-out consumers",
    "retention": "Retention",
    "cost": "Cost of this month",
}
"""Those that can be chosen; the name is always there."""

COLUMNS_COOKIE: Final = "stream-columns"


def columns_for(request: TeamRequest) -> dict[str, str]:
    """Those that this person may choose from."""
    return {name: label for name, label in COLUMNS.items() if name != "cost" or costs.may_see(request)}


def columns_of(request: TeamRequest) -> list[str]:
    """The columns that this browser shows; all of them until somebody chose."""
    chosen = request.COOKIES.get(COLUMNS_COOKIE)
    offered = columns_for(request)
    return [name for name in offered if chosen is None or name in chosen.split(".")]


@team_page("stream:read")
def streams(request: TeamRequest) -> HttpResponse:
    """The page, or for htmx the table alone."""
    wanted = Filter.read(request.GET.get("q", "")[:FILTER_MAX])
    chosen = {name: request.GET.get(name, "") for name in ("status", "mode")}
    sort = request.GET.get("sort", "name")
    counts = counts_of(request)
    page = _page(request, [wanted, Filter.chosen(**chosen)], sort)
    context = {
        "filter": wanted,
        "chosen": chosen,
        "statuses": {key: key.title() for key in STATUSES},
        "modes": {key: key.capitalize() for key in MODES},
        "sort": sort,
        "page": page,
        "rows": page.rows,
        "columns": columns_of(request),
        "all_columns": columns_for(request),
        "month": costs.month_words(),
        "counts": counts,
        "now_ms": calls.now_ms(),
    }
    if is_fragment(request):
        return render(request, "streams/table.html", context)
    if counts.streams == 0:
        context["cli"] = samples.create_stream_cli("orders-events", 2)
        return render(request, "streams/empty.html", context)
    if len(page.rows) == counts.streams:
        context["strip"] = strip_of({row.stream.name: row.live for row in page.rows})
    return render(request, "streams/list.html", context)


@team_page("stream:read")
def strip(request: TeamRequest) -> HttpResponse:
    """The four numbers over all streams of a team with more of them than fit on a page; loaded after the page."""
    names = dict(Stream.objects.filter(team=request.team).values_list("id", "name")[:STREAMS_MAX])
    live = overview(request.team.id, list(names))
    context = {
        "strip": strip_of({names[stream]: found for stream, found in live.items()}),
        "counts": counts_of(request),
    }
    return render(request, "streams/strip.html", context)


@dataclass(frozen=True, slots=True)
class Strip:
    """The sum over streams, and which of them the throttles are on."""

    live: Overview
    throttled: list[str]


def strip_of(live: dict[str, Overview]) -> Strip:
    """By name of the stream."""
    throttled = sorted(live, key=lambda name: -(live[name].throttled_last_hour or 0))
    return Strip(together(live.values()), [name for name in throttled if live[name].throttled_last_hour])


@dataclass(frozen=True, slots=True)
class Row:
    """A stream of the list, with its newest numbers."""

    stream: Stream
    open_shards: int
    consumers: int
    tags: list[str]
    more_tags: int
    live: Overview
    cost: Cost | None

    @property
    def state(self) -> tuple[str, str]:
        """Form of the mark, and the words."""
        return state_of(self.stream, self.live)

    @property
    def mode_words(self) -> str:
        """Provisioned or On-demand."""
        return MODE_WORDS[self.stream.mode]

    @property
    def has_data(self) -> bool:
        """Something was put within the last hour."""
        return any(self.live.in_spark)

    @property
    def is_late(self) -> bool:
        """A reader is so far behind that somebody should look."""
        return (self.live.age_ms or 0) >= LATE_MS

    @property
    def capacity_words(self) -> str:
        """For those who do not see the bar."""
        return f"{self.capacity_percent} percent of write capacity"

    @property
    def capacity_percent(self) -> int:
        """Share of the write limit in use over the last minute: of bytes or of records, whichever is nearer."""
        if not self.open_shards:
            return 0
        of_bytes = (self.live.in_bytes_per_s or 0) / WRITE_BYTES_PER_S
        of_records = (self.live.in_records_per_s or 0) / WRITE_RECORDS_PER_S
        return round(100 * max(of_bytes, of_records) / self.open_shards)


def state_of(stream: Stream, live: Overview) -> tuple[str, str]:
    """(ok | warn | bad | busy, words): AWS's status in plain words, and throttling, which AWS does not tell."""
    if stream.status == StreamStatus.CREATING:
        return "busy", "Creating"
    if stream.status == StreamStatus.DELETING:
        return "busy", "Deleting"
    if stream.status == StreamStatus.UPDATING:
        return "busy", _resharding(stream)
    return ("warn", "Throttling") if live.throttled_last_minute else ("ok", "Active")


def _resharding(stream: Stream) -> str:
    """What its plan is about."""
    kind, value = stream.plan[0] if stream.plan else ("", "")
    if kind == topology.UNIFORM:
        return f"Going to {words.plural(int(value), 'shard')}"
    return {"split": "Splitting", "merge": "Merging"}.get(kind, "Updating")


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows. total: how many match in all. before and after: cursors of the pages around, empty if there is none."""

    rows: list[Row]
    total: int
    before: str = ""
    after: str = ""


def _page(request: TeamRequest, filters: list[Filter], sort: str) -> Page:
    """The rows after (or before) a cursor: what was added or deleted meanwhile moves nobody's page."""
    mine = Stream.objects.filter(team=request.team)
    for wanted in filters:
        mine = wanted.apply(mine)
    column = SORTS.get(sort.lstrip("-"), "name")
    matching = mine.order_by().values("team").annotate(n=Count("pk")).values("n")
    mine = mine.annotate(
        total=Subquery(matching),
        open_shards=Coalesce(Subquery(_count(Shard.objects.filter(OPEN))), 0),
        consumer_count=Coalesce(Subquery(_count(Consumer.objects.all())), 0),
        tags_told=tags_of(Tag.objects.all(), "stream"),
    )
    after, before = request.GET.get("after", ""), request.GET.get("before", "")
    cursor = _cursor(column, before or after)
    backwards = cursor is not None and bool(before)
    down = sort.startswith("-") != backwards
    rows = mine if cursor is None else mine.filter(_beyond(column, cursor, down=down, backwards=backwards))
    by_name = F("name").desc() if backwards else F("name").asc()
    order = F(column).desc() if down else F(column).asc()
    found: list[Any] = list(rows.order_by(order, by_name)[: PAGE_ROWS + 1])
    more, found = len(found) > PAGE_ROWS, found[:PAGE_ROWS]
    if backwards:
        found.reverse()
    has_before, has_after = (more, True) if backwards else (cursor is not None, more)
    live = overview(request.team.id, [stream.id for stream in found])
    spent = _spent(request, found) if "cost" in columns_of(request) else None
    return Page(
        [_row(stream, live, spent) for stream in found],
        found[0].total if found else 0,
        _as_cursor(column, found[0]) if found and has_before else "",
        _as_cursor(column, found[-1]) if found and has_after else "",
    )


def _spent(request: TeamRequest, found: list[Any]) -> dict[str, Cost] | None:
    return costs.of_names(request, costs.STREAM, [row.name for row in found])


def _beyond(column: str, cursor: tuple[Any, str], *, down: bool, backwards: bool) -> Q:
    """Rows that come after the cursor's in the order at hand; the name decides between equals."""
    value, name = cursor
    step = "lt" if down else "gt"
    if column == "name":
        return Q(**{f"name__{step}": name})
    among = Q(**{column: value, "name__lt" if backwards else "name__gt": name})
    return Q(**{f"{column}__{step}": value}) | among


def _as_cursor(column: str, stream: Any) -> str:
    """`12~orders`: the value that the list is sorted by, and the name. Names have no tilde."""
    return f"{getattr(stream, column)}~{stream.name}"


def _cursor(column: str, text: str) -> tuple[Any, str] | None:
    """The counterpart; None for what is no cursor of this order: then it is the first page."""
    value, tilde, name = text.rpartition("~")
    if not tilde or not name:
        return None
    if column in {"name", "status", "mode"}:
        return value, name
    return (int(value), name) if value.isascii() and value.isdigit() and len(value) < 18 else None


def _count(rows: QuerySet[Any]) -> QuerySet[Any]:
    """A subquery that counts rows of the stream at hand."""
    return rows.filter(stream=OuterRef("pk")).order_by().values("stream").annotate(n=Count("*")).values("n")


def _row(stream: Any, live: dict[int, Overview], spent: dict[str, Cost] | None) -> Row:
    tags = told(stream.tags_told)
    return Row(
        stream,
        stream.open_shards,
        stream.consumer_count,
        tags[:TAGS_SHOWN],
        max(0, len(tags) - TAGS_SHOWN),
        live[stream.id],
        None if spent is None else spent[stream.name],
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """What the team has, whatever the filter says."""

    streams: int
    open_shards: int
    provisioned_shards: int
    """Of the open ones, those that count against the quota of the account and region."""
    consumers: int
    shard_quota: int


def counts_of(request: TeamRequest) -> Counts:
    """One query."""

    def per_team(rows: QuerySet[Any], team: str) -> Coalesce:
        counted = rows.filter(**{team: OuterRef("pk")}).order_by().values(team).annotate(n=Count("*")).values("n")
        return Coalesce(Subquery(counted), 0)

    overrides = QuotaOverride.objects.filter(team=OuterRef("pk"), name="shards")
    of_streams, of_delivery_streams = list_counters("pk")
    counted = (
        Team.objects.filter(pk=request.team.pk)
        .values(
            of_streams=of_streams,
            of_delivery_streams=of_delivery_streams,
            of_shards=per_team(Shard.objects.filter(OPEN), "stream__team"),
            of_provisioned=per_team(Shard.objects.filter(OPEN, stream__mode=StreamMode.PROVISIONED), "stream__team"),
            of_consumers=per_team(Consumer.objects.all(), "stream__team"),
            of_quota=Subquery(overrides.values("value")[:1]),
            prices=costs.told_prices(request),
        )
        .get()
    )
    know_list_counts(request, counted["of_streams"], counted["of_delivery_streams"])
    costs.know_prices(request, counted["prices"])
    quota = counted["of_quota"]
    if quota is None:
        quota = QUOTAS["shards"].default_in(calls.runtime().config.region)
    return Counts(
        counted["of_streams"], counted["of_shards"], counted["of_provisioned"], counted["of_consumers"], quota
    )
