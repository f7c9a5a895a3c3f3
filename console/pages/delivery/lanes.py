"""The tab Lanes: how far each reader of each log is, how full its buffer, and what it tries again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db.models import Case, F, IntegerField, Value, When
from django.http import HttpResponse
from django.shortcuts import render

from apps.delivery.extents import Checkpoint, of_bounds
from apps.delivery.models import Lane, LaneRole
from apps.delivery.targets import hints_of
from apps.delivery.trimming import KIND as LANE_KIND
from apps.leases.models import Lease
from apps.recordlog.interface import Bounds, RecordLogError
from apps.runtime import Runtime
from console import calls
from console.pages import words
from console.pages.delivery.detail import find, frame
from console.pages.page_rows import PLAIN_ROWS
from console.pages.shell import TeamRequest, is_fragment, team_page

PAGE_DIGITS_MAX = 6
PERCENT_MAX = 999

ROLES = {
    LaneRole.DELIVER: "Deliver",
    LaneRole.BACKUP: "Back up",
    LaneRole.PROCESS: "Process",
    LaneRole.ERRORS: "Write errors",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """A lane as it is shown. waiting None: its log does not answer."""

    lane: Lane
    role: str
    what: str
    position: int
    records: int | None
    size_bytes: int | None
    hint_bytes: int
    hint_ms: int
    attempt: int
    version: int | None
    now_ms: int
    due_ms: int | None

    @property
    def fill_percent(self) -> int:
        """Of the size hint."""
        return min(PERCENT_MAX, round(100 * (self.size_bytes or 0) / self.hint_bytes)) if self.hint_bytes else 0

    @property
    def fill_words(self) -> str:
        """For those who do not see the bar."""
        return f"{self.fill_percent} percent of {words.size(self.hint_bytes)}"

    @property
    def age_ms(self) -> int | None:
        """Of the oldest record that waits."""
        waiting_ms = self.lane.oldest_waiting_ms
        return None if waiting_ms is None or not self.records else max(0, self.now_ms - waiting_ms)

    @property
    def state(self) -> tuple[str, str]:
        """Form of the mark, and the words."""
        if self.lane.ended_at_ms is not None:
            return "off", "Ended"
        if self.lane.failing_since_ms is not None:
            return "warn", f"Failing, attempt {self.attempt}"
        if self.attempt:
            return "busy", "Delivering"
        return "ok", "Buffering" if self.records else "Waiting"


@team_page("delivery:read")
def lanes(request: TeamRequest, name: str) -> HttpResponse:
    """The lanes, failing ones first; for htmx the table alone."""
    row = find(request, name)
    text = request.GET.get("page", "")
    page = max(1, int(text)) if text.isascii() and text.isdigit() and len(text) <= PAGE_DIGITS_MAX else 1
    rows = Lane.objects.filter(delivery_stream=row)
    total, active = rows.count(), rows.filter(parent__isnull=False, role=LaneRole.DELIVER, ended_at_ms=None).count()
    ended = Case(When(ended_at_ms__isnull=True, then=Value(0)), default=Value(1), output_field=IntegerField())
    rows = rows.order_by(ended, F("failing_since_ms").asc(nulls_last=True), "parent_id", "pk")
    shown = list(rows[(page - 1) * PLAIN_ROWS : page * PLAIN_ROWS])
    context = {
        **frame(request, row, "delivery-lanes"),
        "readers": readers(row, shown),
        "total": total,
        "partitions": active,
        "page": page,
        "pages": max(1, math.ceil(total / PLAIN_ROWS)),
    }
    return render(request, "delivery/lanes_table.html" if is_fragment(request) else "delivery/lanes.html", context)


def readers(row: Any, shown: Sequence[Lane]) -> list[Reader]:
    """The lanes with what their leases and logs say: one query and one look into each log."""
    runtime, now_ms = calls.runtime(), calls.now_ms()
    keys = [str(lane.pk) for lane in shown]
    leases = {lease.key: lease for lease in Lease.objects.filter(kind=LANE_KIND, key__in=keys)}
    bounds = bounds_of(runtime, [lane.log_key for lane in shown])
    answer = []
    for lane in shown:
        lane.delivery_stream = row
        answer.append(_reader(lane, leases.get(str(lane.pk)), bounds.get(lane.log_key), now_ms))
    return answer


def bounds_of(runtime: Runtime, log_keys: Sequence[int]) -> dict[int, Bounds]:
    """What each log holds; one that does not answer is not in it."""

    async def ask() -> list[Any]:
        return await asyncio.gather(*(runtime.record_log.bounds(key) for key in log_keys), return_exceptions=True)

    found = runtime.wait_for(ask()) if log_keys else []
    for answer in found:
        if isinstance(answer, BaseException) and not isinstance(answer, RecordLogError):
            raise answer
    return {key: one for key, one in zip(log_keys, found, strict=True) if isinstance(one, Bounds)}


def _reader(lane: Lane, lease: Lease | None, bounds: Bounds | None, now_ms: int) -> Reader:
    checkpoint = Checkpoint.of(lease.checkpoint if lease is not None else {})
    waiting = None
    if bounds is not None:
        waiting = of_bounds(bounds, checkpoint, lambda _first: lane.oldest_waiting_ms or now_ms)
    hints = hints_of(lane)
    pinned = (lease.pinned if lease is not None else None) or {}
    return Reader(
        lane,
        ROLES[LaneRole(lane.role)],
        what(lane),
        checkpoint.next_offset,
        None if waiting is None else waiting.records,
        None if waiting is None else waiting.stored_bytes,
        hints.size_bytes,
        hints.interval_ms,
        pinned.get("attempt", 0),
        pinned.get("version"),
        now_ms,
        lease.due_at_ms if lease is not None else None,
    )


def what(lane: Lane) -> str:
    """What a lane reads: a shard, a partition, a kind of error, or what was put."""
    if lane.parent_id is not None and lane.label:
        if lane.role == LaneRole.ERRORS:
            return lane.label
        return ", ".join(f"{key}={value}" for key, value in _pairs(lane.label))
    if lane.source_shard is not None:
        return f"shardId-{lane.source_shard:012d}"
    return "records that were processed" if lane.parent_id is not None else "what was put"


def _pairs(label: str) -> list[tuple[str, str]]:
    """Partition keys as the label of a lane has them (apps/delivery/partitions.py: label_of)."""
    try:
        return msgspec.json.decode(label, type=list[tuple[str, str]])
    except msgspec.DecodeError:
        return [("partition", label)]
