"""The team's first page: four numbers, what needs attention, live traffic, what was done last, and the quotas."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from apps.access.models import AuditEntry
from apps.accounts.permissions import allowed
from apps.capacity.models import QuotaOverride
from apps.cloudwatch.models import Alarm
from apps.cloudwatch.operations.alarms import ALARMS_MAX
from apps.metrics.overview import Overview, overview
from apps.metrics.store import STREAMS_MAX
from apps.streams.models import Ingestion, Stream, StreamMode
from apps.streams.quotas import QUOTAS
from console import calls
from console.pages import concerns, costs, samples
from console.pages.shell import TeamRequest, list_counts, team_page
from console.pages.streams import Counts, counts_of, strip_of

BUSIEST = 8
JOBS_READ = 20
JOBS_SHOWN = 5
ACTIVITY_SHOWN = 8

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Done:
    """Something that somebody changed. outcome: the error's code if it was refused."""

    who: str
    what: str
    on: str
    at_ms: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a quota is used."""

    label: str
    used: int
    of: int

    @property
    def percent(self) -> int:
        """Of the quota."""
        return round(100 * self.used / self.of) if self.of else 0

    @property
    def words(self) -> str:
        """For those who do not see the bar."""
        return f"{self.percent} percent of the quota of {self.label.lower()}"


@team_page("stream:read")
def team_overview(request: TeamRequest) -> HttpResponse:
    """The page; without streams, the three steps to the first record, and what the month has cost all the same: by the commitment,
    or by streams that are gone."""
    counts = counts_of(request)
    now_ms = calls.now_ms()
    if counts.streams == 0 and list_counts(request)[1] == 0:
        codes = [samples.create_stream_cli("orders-events", 2)]
        spent = {"cost": costs.of_month(request), "month": costs.month_words()}
        return render(request, "overview/start.html", {"codes": codes, "counts": counts, "now_ms": now_ms, **spent})
    mine = list(Stream.objects.filter(team=request.team).order_by("name")[:STREAMS_MAX])
    live = overview(request.team.id, [stream.id for stream in mine])
    jobs = list(Ingestion.objects.filter(team=request.team).order_by("-created_at_ms")[:JOBS_READ])
    found = concerns.concerns_of(request, mine, live, jobs, now_ms)
    shown, hidden = concerns.without_set_aside(request, found, now_ms)
    failing = sum(concern.about.startswith("delivery/") for concern in found)
    context = {
        "counts": counts,
        "strip": strip_of({stream.name: live[stream.id] for stream in mine}),
        "late": _latest_reader(mine, live),
        "failing": failing,
        "concerns": shown,
        "hidden": hidden,
        "busiest": _busiest(mine, live),
        "jobs": jobs[:JOBS_SHOWN],
        "activity": _activity(request) if allowed(request.actions, "audit:read") else None,
        "quotas": _quotas(request, counts, mine),
        "now_ms": now_ms,
        "known": not live or any(found.in_bytes_per_s is not None for found in live.values()),
    }
    return render(request, "overview/overview.html", context)


@team_page("billing:read")
def cost(request: TeamRequest) -> HttpResponse:
    """The number about money, loaded after the page: it is a sum over all usage of the month."""
    return render(request, "overview/cost.html", {"cost": costs.of_month(request), "month": costs.month_words()})


@require_POST
@team_page("stream:read")
def acknowledge(request: TeamRequest) -> HttpResponse:
    """Hide something that needs attention from this person; `all`: show again what was hidden."""
    if request.POST.get("all"):
        concerns.show_all(request)
    elif not request.POST.get("about"):
        raise Http404("nothing is named")
    elif concerns.set_aside(request, request.POST["about"], request.POST.get("state", ""), calls.now_ms()):
        messages.success(request, "Hidden for you until it changes, for a day at most")
    else:
        messages.error(request, f"You have hidden {concerns.SET_ASIDE_MAX} already. Show them again first.")
    return redirect("overview", request.team.slug)


def _busiest(streams: list[Stream], live: dict[int, Overview]) -> list[tuple[Stream, Overview]]:
    found = sorted(streams, key=lambda stream: -(live[stream.id].in_bytes_per_s or 0))[:BUSIEST]
    return [(stream, live[stream.id]) for stream in found]


def _latest_reader(streams: list[Stream], live: dict[int, Overview]) -> tuple[str, float] | None:
    """The stream whose readers are furthest behind, and by how much."""
    ages = [(age_ms, stream.name) for stream in streams if (age_ms := live[stream.id].age_ms) is not None]
    return (max(ages)[1], max(ages)[0]) if ages else None


def _activity(request: TeamRequest) -> list[Done]:
    """The newest changes, by anybody."""
    reads = Q(operation__startswith="Describe") | Q(operation__startswith="Get") | Q(operation__startswith="List")
    rows = AuditEntry.objects.filter(~reads, owner_account_id=request.team.account_id, is_data=False)
    return [
        Done(
            row.person or row.key_id or row.principal.rpartition("/")[2] or "Tidegate",
            _CAMEL.sub(" ", row.operation).capitalize(),
            _short(row.resource),
            row.at_ms,
            row.outcome,
        )
        for row in rows.defer("before", "after").order_by("-at_ms", "-id")[:ACTIVITY_SHOWN]
    ]


def _short(resource: str) -> str:
    """The name at the end of an ARN."""
    name = resource.split(":", 5)[-1]
    return name.partition("/")[2] or name.rpartition(":")[2]


def _quotas(request: TeamRequest, counts: Counts, streams: list[Stream]) -> list[Use]:
    """What one runs into first, with how much of it is used."""
    region = calls.runtime().config.region
    mine = QuotaOverride.objects.filter(team=request.team, name__in=("on-demand-streams", "delivery-streams"))
    changed = dict(mine.values_list("name", "value"))

    def limit(name: str) -> int:
        return changed.get(name, QUOTAS[name].default_in(region))

    on_demand = sum(stream.mode == StreamMode.ON_DEMAND for stream in streams)
    found = [
        Use("Provisioned shards", counts.provisioned_shards, counts.shard_quota),
        Use("On-demand streams", on_demand, limit("on-demand-streams")),
    ]
    if allowed(request.actions, "delivery:read"):
        used = list_counts(request)[1]
        found.append(Use("Delivery streams", used, limit("delivery-streams")))
    if allowed(request.actions, "alarm:read"):
        found.append(Use("Alarms", Alarm.objects.filter(team=request.team).count(), ALARMS_MAX))
    return found
