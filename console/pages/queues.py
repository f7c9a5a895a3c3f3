"""Queues of data streams: share consumers, with what is in each, as of the last minute."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Count, Window
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from apps.base.errors import ServiceError
from apps.base.units import SECOND_MS
from apps.metrics import store
from apps.metrics.history import History
from apps.metrics.names import stored_under
from apps.queues.metrics import label
from apps.queues.models import Queue, QueueStatus
from console import calls
from console.pages import costs, samples
from console.pages.costs import Cost
from console.pages.name_form import NameForm
from console.pages.page_rows import RICH_ROWS
from console.pages.shell import TeamRequest, is_fragment, team_page

FILTER_MAX = 128
WIDTH_S = 60
LOOKED_AT_S = 300
"""Queues are measured once a minute; older than this is not current."""

STATES = {
    QueueStatus.CREATING: ("busy", "Creating"),
    QueueStatus.ACTIVE: ("ok", "Active"),
    QueueStatus.UPDATING: ("busy", "Updating"),
    QueueStatus.DELETING: ("busy", "Deleting"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A queue of the list. Numbers are None where nobody has measured lately."""

    queue: Any
    waiting: float | None
    in_flight: float | None
    dead: float | None
    cost: Cost | None = None

    @property
    def state(self) -> tuple[str, str]:
        """Form of the mark, and the words."""
        return STATES[QueueStatus(self.queue.status)]


@team_page("stream:read")
def queues(request: TeamRequest) -> HttpResponse:
    """The page, or for htmx the table alone."""
    text, page = request.GET.get("q", "")[:FILTER_MAX].strip(), _number(request.GET.get("page"))
    mine = Queue.objects.filter(team=request.team).select_related("stream").order_by("name")
    found: Any = mine.filter(name__icontains=text) if text else mine
    found = found.annotate(total=Window(Count("*")))
    rows = list(found[(page - 1) * RICH_ROWS : page * RICH_ROWS])
    total = rows[0].total if rows else 0
    context = {
        "rows": _measured(request, rows),
        "text": text,
        "total": total,
        "page": page,
        "pages": max(1, math.ceil(total / RICH_ROWS)),
        "now_ms": calls.now_ms(),
        "month": costs.month_words(),
        "price": costs.of_queues(request),
    }
    if is_fragment(request):
        return render(request, "queues/table.html", context)
    if not total and not text:
        context["codes"] = [samples.create_queue_cli(request.team.account_id)]
    return render(request, "queues/list.html", context)


def _measured(request: TeamRequest, rows: list[Any]) -> list[Row]:
    """With what was measured last; a stream of several queues is asked for once."""
    clock = calls.runtime().clock
    now_s = clock.now_ms() // SECOND_MS
    histories: dict[int, History] = {
        stream_id: store.history(request.team.id, stream_id, now_s - LOOKED_AT_S, now_s + 1, WIDTH_S, clock=clock)
        for stream_id in {row.stream_id for row in rows}
    }
    spent = costs.of_names(request, costs.QUEUE, [row.name for row in rows]) or {}
    return [_row(row, histories[row.stream_id], spent.get(row.name)) for row in rows]


def _row(queue: Any, history: History, cost: Cost | None) -> Row:
    def newest(metric: str) -> float | None:
        key = stored_under(metric, label(queue.queue_id, queue.name))
        return next((points[key].most for points in reversed(history.buckets) if points and key in points), None)

    return Row(
        queue,
        newest("VisibleQueueRecords"),
        newest("InFlightQueueRecords"),
        newest("VisibleDeadLetterQueueRecords"),
        cost,
    )


@team_page("stream:write")
def delete(request: TeamRequest, queue_id: str) -> HttpResponse:
    """Delete a queue, for people who have typed its name. Its stream and the records stay."""
    queue = Queue.objects.filter(team=request.team, queue_id=queue_id).select_related("stream").first()
    if queue is None:
        raise Http404(queue_id)
    queue.team = request.team
    form = NameForm(request.POST or None, wanted=queue.name)
    if request.method == "POST" and form.is_valid():
        try:
            calls.call(request, "DeleteQueue", QueueARN=str(queue.arn))
        except ServiceError as error:
            form.add_error("name", error.message or error.code)
        else:
            messages.success(request, f"Queue {queue.name} is being deleted")
            return redirect("queues", request.team.slug)
    [row] = _measured(request, [queue])
    context = {"form": form, "row": row}
    return render(request, "queues/delete.html", context, status=422 if request.method == "POST" else 200)


def _number(text: str | None) -> int:
    return max(1, int(text)) if text and text.isascii() and text.isdigit() and len(text) < 7 else 1
