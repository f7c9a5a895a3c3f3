"""The list of delivery streams: one query for the rows, filtered, sorted and paged by the database; metrics from Redis."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Count, F, Q, QuerySet, Window
from django.http import HttpResponse
from django.shortcuts import render

from apps.delivery.models import DeliveryStream, DeliveryStreamStatus, DeliveryTag
from apps.metrics.overview import Overview, together
from apps.metrics.store import STREAMS_MAX
from console import calls
from console.pages import costs
from console.pages.costs import Cost
from console.pages.delivery import described, samples
from console.pages.delivery.channels import channels_of
from console.pages.delivery.described import Described
from console.pages.delivery.figures import figures, with_figures
from console.pages.filter_text import named_and_tagged, parts_of
from console.pages.row_tags import tags_of, told
from console.pages.shell import TeamRequest, is_fragment, list_counts, team_page

PAGE_ROWS = 20
"""Fewer than elsewhere: a list of channels stands below."""

TAGS_SHOWN = 3
FILTER_MAX = 500
PAGE_DIGITS_MAX = 6

SORTS: Final = {
    "name": "name",
    "status": "status",
    "to": "destination_type",
    "waiting": "waiting_ms",
    "failing": "failing_ms",
    "delivered": "delivered",
    "created": "created_at_ms",
}
STATES: Final = {
    "active": "Active",
    "failing": "Failing",
    "paused": "Paused",
    "creating": "Creating",
    "deleting": "Deleting",
    "failed": "Creation failed",
}


@dataclass(slots=True)
class Filter:
    """What the text of the filter asks for: `web tag:team=core status:failing to:s3`."""

    text: str
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    status: str = ""
    to: str = ""
    problem: str = ""

    @classmethod
    def read(cls, text: str, status: str = "", to: str = "") -> Filter:
        """Take the text apart; what it does not know becomes a problem to show, never a silent nothing. status, to: what
        the two selects of the page ask for, where the text does not say."""
        found = cls(text, status=status if status in STATES else "", to=to if to in described.KEYS else "")
        for part in parts_of(text):
            found._take(part)
        return found

    def _take(self, part: str) -> None:
        name, colon, value = part.partition(":")
        if not colon:
            self.words.append(part)
        elif name == "tag":
            self.tags.append(value)
        elif name == "status" and value.lower() in STATES:
            self.status = value.lower()
        elif name == "to" and value.lower() in described.KEYS:
            self.to = value.lower()
        else:
            self.problem = (
                f"{part} is not a filter. Known are tag:, status: {', '.join(STATES)}; to: {', '.join(described.KEYS)}."
            )

    def apply(self, rows: QuerySet[DeliveryStream]) -> QuerySet[DeliveryStream]:
        """The delivery streams that match all of it. They have failing_ms already."""
        rows = named_and_tagged(rows, self.words, self.tags)
        if self.to:
            rows = rows.filter(destination_type=described.KEYS[self.to])
        return rows.filter(in_state(self.status)) if self.status else rows


def in_state(state: str) -> Q:
    """Delivery streams in one of STATES."""
    active = Q(status=DeliveryStreamStatus.ACTIVE)
    return {
        "active": active & Q(paused_at_ms__isnull=True, failing_ms__isnull=True),
        "failing": active & Q(paused_at_ms__isnull=True, failing_ms__isnull=False),
        "paused": active & Q(paused_at_ms__isnull=False),
        "creating": Q(status=DeliveryStreamStatus.CREATING),
        "deleting": Q(status__in=(DeliveryStreamStatus.DELETING, DeliveryStreamStatus.DELETING_FAILED)),
        "failed": Q(status=DeliveryStreamStatus.CREATING_FAILED),
    }[state]


@dataclass(frozen=True, slots=True)
class Row(Described):
    """A delivery stream of the list, with its newest numbers."""

    tags: list[str]
    more_tags: int
    live: Overview
    now_ms: int
    cost: Cost | None

    @property
    def freshness_ms(self) -> int | None:
        """Age of the oldest record that is not delivered yet; None: all are."""
        return None if self.stream.waiting_ms is None else max(0, self.now_ms - self.stream.waiting_ms)


@team_page("delivery:read")
def delivery_streams(request: TeamRequest) -> HttpResponse:
    """The page, or for htmx the table alone."""
    chosen = {name: request.GET.get(name, "") for name in ("status", "to")}
    wanted = Filter.read(request.GET.get("q", "")[:FILTER_MAX], **chosen)
    sort, page = request.GET.get("sort", "name"), _number(request.GET.get("page"))
    rows, total = _rows(request, wanted, sort, page)
    now_ms = calls.now_ms()
    context = {
        "filter": wanted,
        "chosen": chosen,
        "states": STATES,
        "kinds": {key: described.DESTINATIONS[kind] for key, kind in described.KEYS.items()},
        "sort": sort,
        "rows": rows,
        "total": total,
        "page": page,
        "pages": max(1, math.ceil(total / PAGE_ROWS)),
        "first": (page - 1) * PAGE_ROWS + 1,
        "last": (page - 1) * PAGE_ROWS + len(rows),
        "now_ms": now_ms,
        "month": costs.month_words(),
    }
    if is_fragment(request):
        return render(request, "delivery/table.html", context)
    context["channels"], context["channels_page"] = channels_of(request)
    count = list_counts(request)[1]
    if count == 0:
        context["codes"] = samples.first_steps(request.team.account_id)
        return render(request, "delivery/empty.html", context)
    if len(rows) == count:
        context["strip"] = Strip.of([(row.stream, row.live) for row in rows], now_ms)
    return render(request, "delivery/list.html", context)


@team_page("delivery:read")
def strip(request: TeamRequest) -> HttpResponse:
    """The four numbers over all delivery streams of a team with more of them than fit on a page; loaded after it."""
    rows: list[Any] = list(with_figures(_mine(request))[:STREAMS_MAX])
    live = figures(request.team.id, rows)
    made = Strip.of([(row, live[row.pk]) for row in rows], calls.now_ms())
    return render(request, "delivery/strip.html", {"strip": made})


@dataclass(frozen=True, slots=True)
class Strip:
    """The sum over delivery streams, and the worst of them."""

    live: Overview
    failing: list[str]
    paused: int
    freshness_ms: int | None
    stalest: str

    @classmethod
    def of(cls, rows: list[tuple[Any, Overview]], now_ms: int) -> Strip:
        """Rows are with_figures."""
        moving = [row for row, _ in rows if row.paused_at_ms is None]
        failing = sorted((row for row in moving if row.failing_ms is not None), key=lambda row: row.failing_ms)
        waiting = min((row for row, _ in rows if row.waiting_ms), key=lambda row: row.waiting_ms, default=None)
        return cls(
            together(live for _, live in rows),
            [row.name for row in failing],
            len(rows) - len(moving),
            None if waiting is None else max(0, now_ms - waiting.waiting_ms),
            "" if waiting is None else waiting.name,
        )


def _mine(request: TeamRequest) -> QuerySet[DeliveryStream]:
    return DeliveryStream.objects.filter(team=request.team, channel_id="")


def _rows(request: TeamRequest, wanted: Filter, sort: str, page: int) -> tuple[list[Row], int]:
    """The rows of one page and how many there are in all: two queries, the second for what they have cost."""
    order = F(SORTS.get(sort.lstrip("-"), "name"))
    ordered = order.desc(nulls_last=True) if sort.startswith("-") else order.asc(nulls_last=True)
    mine = wanted.apply(with_figures(_mine(request))).annotate(
        total=Window(Count("*")),
        tags_told=tags_of(DeliveryTag.objects.all(), "delivery_stream"),
    )
    mine = mine.select_related("source_stream").order_by(ordered, "name")
    found: list[Any] = list(mine[(page - 1) * PAGE_ROWS : page * PAGE_ROWS])
    live, now_ms = figures(request.team.id, found), calls.now_ms()
    spent = costs.of_names(request, costs.DELIVERY_STREAM, [row.name for row in found]) or {}
    return [_row(row, live[row.pk], now_ms, spent.get(row.name)) for row in found], found[0].total if found else 0


def _row(stream: Any, live: Overview, now_ms: int, cost: Cost | None) -> Row:
    tags = told(stream.tags_told)
    return Row(stream, tags[:TAGS_SHOWN], max(0, len(tags) - TAGS_SHOWN), live, now_ms, cost)


def _number(text: str | None) -> int:
    return max(1, int(text)) if text and text.isascii() and text.isdigit() and len(text) <= PAGE_DIGITS_MAX else 1
