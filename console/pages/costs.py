"""What things cost, beside what causes it: this month's costs in lists and details, and what a change would cost a month.

Money is for people with billing:read. For others everything here answers None, and pages leave the place out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Subquery
from django.urls import reverse

from apps.accounts.models import Team
from apps.accounts.permissions import allowed
from apps.billing import bills, estimates, page_costs, price_book, reports
from apps.billing.dimensions import GB
from apps.billing.estimates import Change, DeliveryPlan, Estimate, StreamPlan, Traffic
from apps.billing.forecast import Forecast
from apps.billing.months import Month
from apps.billing.plans import Plan
from apps.billing.price_book import Books
from apps.billing.rating import Line
from apps.capacity import commitment
from apps.streams.models import Stream, StreamMode
from console import calls
from console.pages import money
from console.pages.shell import TeamRequest, know_list_counts, list_counters

STREAM, DELIVERY_STREAM, QUEUE = "stream", "deliverystream", "queue"
"""What usage is booked on, before the slash and the name."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What something has cost this month, and the page that says what of."""

    amount: Fraction
    address: str


@dataclass(frozen=True, slots=True)
class MonthCost:
    """Of a team: the statement's total, and of that what credits took off. range_words, likely_words: the forecast of the usage,
    which knows no credits; empty without one, and reason says why."""

    total_cents: int
    credits_cents: int
    range_words: str
    likely_words: str
    reason: str
    address: str


@dataclass(frozen=True, slots=True)
class ShownChange:
    """What a month costs more or less. lines: title, cents before, cents after, where the two differ."""

    words: str
    before_cents: int
    after_cents: int
    lines: tuple[tuple[str, int, int], ...]
    basis: str
    has_traffic: bool


@dataclass(frozen=True, slots=True)
class ReadCost:
    """A sentence about it."""

    words: str
    is_paid: bool


def may_see(request: TeamRequest) -> bool:
    """May this person see money?"""
    return allowed(request.actions, "billing:read")


def address_of(request: TeamRequest, resource: str) -> str:
    """The billing page with only that."""
    return f"{reverse('billing', args=[request.team.slug])}?{urlencode({'resource': resource})}"


def month_words() -> str:
    """As Nov: what costs of this month stand under."""
    return month().title[:3]


def month() -> Month:
    """This one, of UTC."""
    return Month.at(calls.now_ms())


def told_prices(request: TeamRequest) -> Subquery:
    """What the team pays, as a column for a query that is made anyhow; see know_prices."""
    return price_book.told(request.team.id, settings.CONFIG.region)


def know_prices(request: TeamRequest, told: list[Any] | None) -> Books:
    """Keep what that column said, for this request."""
    found = request._prices = price_book.list_of(settings.CONFIG.region, told)  # type: ignore[attr-defined]  # noqa: SLF001
    return found


def of_names(request: TeamRequest, kind: str, names: Iterable[str]) -> dict[str, Cost] | None:
    """What each of the things has cost this month, by name; what has no usage costs nothing. One query beside the prices'."""
    if not may_see(request):
        return None
    resources = {name: f"{kind}/{name}" for name in names}
    found: dict[str, Fraction] = {}
    if resources:
        found = page_costs.of_resources(request.team.id, prices(request), month(), set(resources.values()))
    return {
        name: Cost(found.get(resource, Fraction(0)), address_of(request, resource))
        for name, resource in resources.items()
    }


def of_one(request: TeamRequest, kind: str, name: str) -> Cost | None:
    """The same of one thing."""
    found = of_names(request, kind, [name])
    return None if found is None else found[name]


def of_consumers(request: TeamRequest, stream: Stream, names: Collection[str]) -> dict[str, Fraction] | None:
    """What each registered consumer of a stream has cost this month: its time, and what was pushed to it."""
    if not may_see(request):
        return None
    costs = dict.fromkeys(names, Fraction(0))
    found = reports.of_keys(request.team.id, settings.CONFIG.region, month(), f"{STREAM}/{stream.name}")
    for (_, key), amount in found.items():
        if key in costs:
            costs[key] += amount
    return costs


def of_month(request: TeamRequest) -> MonthCost | None:
    """What the team's month has cost so far, and what it will."""
    if not may_see(request):
        return None
    now_ms = calls.now_ms()
    statement = bills.statement(request.team, settings.CONFIG.region, month(), now_ms)
    outlook = reports.outlook(request.team, settings.CONFIG.region, now_ms)
    told = (*forecast_words(outlook), "") if isinstance(outlook, Forecast) else ("", "", outlook.reason)
    address = reverse("billing", args=[request.team.slug])
    return MonthCost(statement.total_cents, statement.credits_cents, *told, address)


def forecast_words(outlook: Forecast) -> tuple[str, str]:
    """As "$812 to $901" and "$854"."""
    low, likely, high = (
        money.whole_money(cents) for cents in (outlook.low_cents, outlook.likely_cents, outlook.high_cents)
    )
    return likely if low == high else f"{low} to {high}", likely


def plan_of(request: TeamRequest, stream: Any) -> StreamPlan:
    """A stream of stream.find as it is now, with its traffic of the last days."""
    now_ms = calls.now_ms()
    resource = f"{STREAM}/{stream.name}"
    traffic = estimates.traffic_of(request.team.id, resource, now_ms, stream.created_at_ms)
    return StreamPlan(
        plan_of_mode(request, stream.mode),
        stream.open_shards,
        traffic or Traffic(),
        stream.retention_hours,
        stream.consumer_count,
        len(stream.shard_level_metrics),
    )


def plan_of_mode(request: TeamRequest, mode: str) -> Plan:
    """What usage of a stream in that mode is paid by."""
    if mode == StreamMode.PROVISIONED:
        return Plan.PROVISIONED
    return Plan.ADVANTAGE if commitment.is_enabled(request.team.id, calls.now_ms()) else Plan.ON_DEMAND


def change(request: TeamRequest, before: StreamPlan, after: StreamPlan) -> ShownChange:
    """What a month costs more when a stream changes so. For people who may see money."""
    found = estimates.of_change(before, after, prices(request), calls.now_ms())
    return ShownChange(
        change_words(found.cents),
        found.before.total_cents,
        found.after.total_cents,
        tuple(_differences(found)),
        found.after.basis,
        bool(before.traffic.records_per_s),
    )


def change_words(cents: int) -> str:
    """As "Costs $10.80 more a month"."""
    if not cents:
        return "Costs the same as now"
    return f"Costs {money.money(abs(cents))} {'more' if cents > 0 else 'less'} a month"


def _differences(found: Change) -> Iterable[tuple[str, int, int]]:
    before, after = by_title(found.before.lines), by_title(found.after.lines)
    for title in {**before, **after}:
        pair = before.get(title, 0), after.get(title, 0)
        if pair[0] != pair[1]:
            yield title, *pair


def by_title(lines: Iterable[Line]) -> Mapping[str, int]:
    """Cents of each dimension; its tiers together."""
    found: dict[str, int] = {}
    for line in lines:
        found[line.dimension.title] = found.get(line.dimension.title, 0) + line.cents
    return found


def of_stream_plan(request: TeamRequest, plan: StreamPlan) -> Estimate | None:
    """A month of a stream that is not there yet."""
    return estimates.of_stream(plan, prices(request), calls.now_ms()) if may_see(request) else None


def of_delivery_plan(request: TeamRequest, plan: DeliveryPlan) -> Estimate | None:
    """A month of a delivery stream that is not there yet."""
    return estimates.of_delivery(plan, prices(request), calls.now_ms()) if may_see(request) else None


def of_reading(request: TeamRequest, stream: Stream) -> ReadCost | None:
    """What getting records of a stream costs."""
    if not may_see(request):
        return None
    now_ms, book, plan = calls.now_ms(), prices(request), plan_of_mode(request, stream.mode)
    now, old = (estimates.read_price(plan, book, now_ms, is_long_term=is_old) for is_old in (False, True))
    if now:
        return ReadCost(f"Getting records costs {_price(now)} a GB.", is_paid=True)
    if old and stream.retention_hours > estimates.EXTENDED_TO_HOURS:
        words = f"Getting records costs nothing; those older than 7 days cost {_price(old)} a GB."
        return ReadCost(words, is_paid=True)
    return ReadCost("Getting records costs nothing.", is_paid=False)


def of_queues(request: TeamRequest) -> str:
    """What a queue costs, as a sentence; empty for people who do not see money."""
    if not may_see(request):
        return ""
    now_ms, book = calls.now_ms(), prices(request)
    month_of = estimates.of_queue(book, now_ms)
    received = estimates.of_queue(book, now_ms, GB).total_cents - month_of.total_cents
    if not month_of.total_cents and not received:
        return "Queues cost nothing at today's prices."
    return f"A queue costs {money.money(month_of.total_cents)} in {month_of.basis}, and {money.money(received)} a GB received."


def _price(price: Fraction) -> str:
    return money.price(Decimal(price.numerator) / Decimal(price.denominator))


def prices(request: TeamRequest) -> Books:
    """What the team pays; asked once per request, together with the numbers of the sidebar."""
    known: Books | None = getattr(request, "_prices", None)
    if known is None:
        streams, deliveries = list_counters("pk")
        asked = Team.objects.filter(pk=request.team.pk).values_list(streams, deliveries, told_prices(request))
        *counts, told = asked.get()
        know_list_counts(request, *counts)
        known = know_prices(request, told)
    return known
