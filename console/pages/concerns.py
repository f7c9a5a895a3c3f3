"""What needs attention, the worst first; and what of it a person has set aside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F
from django.urls import reverse

from apps.accounts.permissions import allowed
from apps.base.units import DAY_MS
from apps.billing.budgets import ALL
from apps.billing.models import BudgetAlert
from apps.billing.months import Month
from apps.cloudwatch.models import Acknowledgement, Alarm, State
from apps.metrics.overview import Overview
from apps.streams.models import Ingestion, IngestionStatus, Stream
from console.pages import money, words
from console.pages.alarms import rules
from console.pages.delivery.figures import failing_of
from console.pages.shell import TeamRequest, list_counts
from console.pages.streams import LATE_MS

SHOWN_OF_A_KIND = 10
SET_ASIDE_FOR_MS = DAY_MS
SET_ASIDE_MAX = 500
"""Of one person in one team."""

CONCERN_CHARS, STATE_CHARS = 300, 64


@dataclass(frozen=True, slots=True)
class Concern:
    """Something a person should look at. about: what it is, for good; state: how it is, so that another state is news."""

    tone: str
    title: str
    text: str
    address: str
    about: str
    state: str = "on"
    since_ms: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What is acknowledged."""
        return self.about[:CONCERN_CHARS], self.state[:STATE_CHARS]


def concerns_of(
    request: TeamRequest, streams: Sequence[Stream], live: dict[int, Overview], jobs: Iterable[Ingestion], now_ms: int
) -> list[Concern]:
    """All of them, set aside or not."""
    return [
        *_alarms(request),
        *_budgets(request, now_ms),
        *_throttling(request, streams, live),
        *_deliveries(request, now_ms),
        *_late(request, streams, live),
        *_jobs(request, jobs, now_ms),
    ]


def _alarms(request: TeamRequest) -> list[Concern]:
    if not allowed(request.actions, "alarm:read"):
        return []
    rows = Alarm.objects.filter(team=request.team, state=State.ALARM).order_by("-changed_at_ms")[:SHOWN_OF_A_KIND]
    return [
        Concern(
            "bad", row.name, _of_alarm(row), reverse("alarm", args=[request.team.slug, row.name]), f"alarm/{row.name}",
            str(row.changed_at_ms), row.changed_at_ms,
        )
        for row in rows
    ]  # fmt: skip


def _of_alarm(row: Alarm) -> str:
    about = rules.watched(row.settings).about
    return f"Alarm: {rules.sentence(row.settings)}{f', of {about}' if about else ''}"


def _budgets(request: TeamRequest, now_ms: int) -> list[Concern]:
    """Budgets of which all is spent this month, or will be, as far as their alerts told; the newest alert of each."""
    if not allowed(request.actions, "billing:read"):
        return []
    told = BudgetAlert.objects.filter(
        budget__team=request.team,
        month=str(Month.at(now_ms)),
        threshold__gte=ALL,
        amount_cents=F("budget__amount_cents"),
    )
    rows = {row.budget_id: row for row in told.select_related("budget").order_by("-forecast", "at_ms")}
    return [
        Concern(
            "warn" if row.forecast else "bad", row.budget.name, _of_budget(row),
            reverse("billing-budget", args=[request.team.slug, row.budget_id]), f"budget/{row.budget_id}",
            f"{row.month} {row.threshold} {row.forecast}", row.at_ms,
        )
        for row in list(rows.values())[:SHOWN_OF_A_KIND]
    ]  # fmt: skip


def _of_budget(row: BudgetAlert) -> str:
    part = f"{row.threshold}% of {money.money(row.amount_cents)}"
    return f"Budget: {part} {'were foreseen when it last told' if row.forecast else 'are spent'}"


def _throttling(request: TeamRequest, streams: Sequence[Stream], live: dict[int, Overview]) -> list[Concern]:
    found = [(live[stream.id].throttled_last_minute or 0, stream) for stream in streams]
    worst = sorted((pair for pair in found if pair[0]), key=lambda pair: -pair[0])[:SHOWN_OF_A_KIND]
    return [
        Concern(
            "warn", stream.name, f"{words.plural(round(refused), 'record')} refused in the last minute: over the write limit",
            reverse("stream-shards", args=[request.team.slug, stream.name]), f"throttling/{stream.name}",
        )
        for refused, stream in worst
    ]  # fmt: skip


def _late(request: TeamRequest, streams: Sequence[Stream], live: dict[int, Overview]) -> list[Concern]:
    found = [(live[stream.id].age_ms or 0, stream) for stream in streams]
    worst = sorted((pair for pair in found if pair[0] >= LATE_MS), key=lambda pair: -pair[0])[:SHOWN_OF_A_KIND]
    return [
        Concern(
            "warn", stream.name, f"A reader is {words.duration(age_ms)} behind",
            reverse("stream-consumers", args=[request.team.slug, stream.name]), f"late/{stream.name}",
        )
        for age_ms, stream in worst
    ]  # fmt: skip


def _deliveries(request: TeamRequest, now_ms: int) -> list[Concern]:
    """Delivery streams whose destination does not take what it is sent, longest first."""
    if not list_counts(request)[1] or not allowed(request.actions, "delivery:read"):
        return []
    rows: list[Any] = list(failing_of(request.team.id)[:SHOWN_OF_A_KIND])
    return [
        Concern(
            "warn", row.name, f"Deliveries have failed for {words.duration(max(0, now_ms - row.failing_ms))}",
            reverse("delivery-errors", args=[request.team.slug, row.name]), f"delivery/{row.name}", str(row.failing_ms),
            row.failing_ms,
        )
        for row in rows
    ]  # fmt: skip


def _jobs(request: TeamRequest, jobs: Iterable[Ingestion], now_ms: int) -> list[Concern]:
    return [
        Concern(
            "bad", f"{job.get_kind_display()} into {job.target_name}", f"Failed: {job.error}",
            reverse("ingestion-job", args=[request.team.slug, job.pk]), f"job/{job.pk}", "failed", job.finished_at_ms,
        )
        for job in jobs
        if job.status == IngestionStatus.FAILED and (job.finished_at_ms or 0) > now_ms - DAY_MS
    ]  # fmt: skip


def without_set_aside(request: TeamRequest, found: Sequence[Concern], now_ms: int) -> tuple[list[Concern], int]:
    """Those that this person has not set aside, and how many were left out. What is over is forgotten, so that it is
    news when it comes again."""
    mine = Acknowledgement.objects.filter(team=request.team, user=request.user)
    known = {row.concern: row for row in mine}
    if not known:
        return list(found), 0
    still = {concern.key[0]: concern.key[1] for concern in found}
    over = [row.pk for row in known.values() if row.until_ms <= now_ms or still.get(row.concern) != row.state]
    if over:
        mine.filter(pk__in=over).delete()
    hidden = {row.concern for row in known.values() if row.pk not in set(over)}
    shown = [concern for concern in found if concern.key[0] not in hidden]
    return shown, len(found) - len(shown)


def set_aside(request: TeamRequest, about: str, state: str, now_ms: int) -> bool:
    """Hide one from this person until it is in another state, a day at most. False: too many are hidden already."""
    mine = Acknowledgement.objects.filter(team=request.team, user=request.user)
    if mine.count() >= SET_ASIDE_MAX and not mine.filter(concern=about).exists():
        return False
    values = {"state": state[:STATE_CHARS], "until_ms": now_ms + SET_ASIDE_FOR_MS}
    Acknowledgement.objects.update_or_create(
        team=request.team, user=request.user, concern=about[:CONCERN_CHARS], defaults=values
    )
    return True


def show_all(request: TeamRequest) -> None:
    """Nothing is set aside any more."""
    Acknowledgement.objects.filter(team=request.team, user=request.user).delete()
