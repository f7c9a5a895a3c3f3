"""What a team's usage costs, told apart: by service, dimension, resource, tag, access key or day.

Reports never price by themselves. All usage of a team is rated as bills rate it; what a metered unit costs on a day follows
from that (with tiers, all resources share the day's), and the database adds up the units of each group. So a report needs a few
queries however many resources there are, all of it adds up to the statement exactly, and only showing it rounds:
Report.rounding_cents is what the rounded groups differ by from the total.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from django.db.models import Count

from apps.accounts.models import Team
from apps.base.units import DAY_MS
from apps.billing import bills
from apps.billing.dimensions import DIMENSIONS, Dimension
from apps.billing.forecast import MOST_DAYS, Forecast, NoForecast, forecast
from apps.billing.grouping import OTHERS, By, Usage, Where
from apps.billing.models import BilledResource
from apps.billing.months import Month
from apps.billing.price_book import price_list
from apps.billing.rating import added, cents
from apps.billing.unit_costs import Period

__all__ = ["OTHERS", "By", "Daily", "Group", "Period", "Report", "Where"]

MOMENTS = 3
"""How often a month's groups and its statement are read while usage is being booked in between."""

DAILY_GROUPS = 5
"""Groups of a daily series, the others added up: as many as a chart can tell apart."""


@dataclass(frozen=True, slots=True)
class Group:
    """label: of By.SERVICE and By.DIMENSION their names, of By.DAY the day's milliseconds, of the others what they are called;
    "" for what has no tag or is of no key, OTHERS for what is not among the first. quantity: of By.DIMENSION, in units of sale."""

    label: str
    amount: Fraction
    quantity: Fraction | None = None

    @property
    def cents(self) -> int:
        """Rounded half-up by itself."""
        return cents(self.amount)

    @property
    def dimension(self) -> Dimension | None:
        """Of By.DIMENSION."""
        return DIMENSIONS.get(self.label)

    @property
    def price(self) -> Fraction | None:
        """What a unit of sale cost on average; of By.DIMENSION."""
        return self.amount / self.quantity if self.quantity else None


@dataclass(frozen=True, slots=True)
class Report:
    """The groups, dearest first (days in their order), and what they add up to. usage_cents is the statement's, without
    corrections and credits, where the report is of all usage of one month; corrections_cents and credits_cents (not negative)
    are that statement's. problems: sentences about what could not be priced and is not in it."""

    by: By
    period: Period
    currency: str
    groups: tuple[Group, ...]
    usage_cents: int
    corrections_cents: int = 0
    credits_cents: int = 0
    problems: tuple[str, ...] = ()
    is_of_one_moment: bool = True
    """False: usage was booked between reading the groups and reading the statement, and rounding_cents has it."""

    @property
    def rounding_cents(self) -> int:
        """What has to be added to the groups' cents to make usage_cents."""
        return self.usage_cents - sum(group.cents for group in self.groups)

    @property
    def total_cents(self) -> int:
        """With corrections and credits: the statement's total, where it is a month's."""
        return self.usage_cents + self.corrections_cents - self.credits_cents


@dataclass(frozen=True, slots=True)
class Daily:
    """What each group cost on each day; labels dearest first, OTHERS last if there are any."""

    by: By
    period: Period
    days: tuple[int, ...]
    labels: tuple[str, ...]
    amounts: Mapping[str, tuple[Fraction, ...]]
    """By label; one for each day."""

    def total(self, day: int) -> Fraction:
        """Of the day with that index."""
        return sum((amounts[day] for amounts in self.amounts.values()), Fraction(0))


def costs(
    team: Team,
    region: str,
    period: Period,
    by: By,
    now_ms: int,
    *,
    where: Where | None = None,
    tag_key: str = "",
    top: int | None = None,
    statement: bills.Statement | None = None,
    resources: Collection[str] = (),
) -> Report:
    """What the usage of a period costs by groups. tag_key: of By.TAG. top: so many groups and OTHERS. statement: of the month,
    where the caller has it already. resources: only these, if there are any."""
    asked, month = where or Where(), Month.at(period.from_ms)
    is_month = asked.is_all and not resources and period == Period.of(month)
    for _ in range(MOMENTS):
        usage = Usage(team.pk, price_list(team.pk, region), asked, tag_key, resources)
        groups = _days(usage, period) if by == By.DAY else _first(_dearest(usage, period, by), top)
        if is_month:
            report = _of_statement(statement or bills.statement(team, region, month, now_ms), by, period, groups)
        else:
            total = cents(added(group.amount for group in groups))
            currency = bills.currency_of(region, month)
            report = Report(by, period, currency, tuple(groups), total, problems=usage.problems)
        if report.is_of_one_moment or statement is not None:
            break
    return report


def daily(
    team: Team,
    region: str,
    period: Period,
    by: By,
    *,
    where: Where | None = None,
    tag_key: str = "",
    top: int = DAILY_GROUPS,
    groups: Sequence[Group] | None = None,
) -> Daily:
    """The same by day: the dearest groups of the period, and the others added up. groups: of costs(), if the caller has them."""
    usage = Usage(team.pk, price_list(team.pk, region), where or Where(), tag_key)
    labels = [group.label for group in (_dearest(usage, period, by) if groups is None else groups)]
    first = labels[:top]
    rest = OTHERS if labels[top:] or not first else "" if "" in first else first[0]
    amounts = {label: [Fraction(0)] * len(period.days) for label in dict.fromkeys([*first, rest] if labels else [])}
    named = [label for label in first if label != rest]
    for cost in usage.by_day(period, by, named, rest) if labels else ():
        amounts[cost.label][(cost.day_ms - period.from_ms) // DAY_MS] += cost.amount
    days = tuple(period.days)
    return Daily(by, period, days, tuple(amounts), {label: tuple(each) for label, each in amounts.items()})


def of_keys(team_id: int, region: str, month: Month, resource: str) -> dict[tuple[str, str], Fraction]:
    """What a resource has cost in a month by (dimension, meter key as it is booked): a consumer's time is booked under its
    name."""
    usage = Usage(team_id, price_list(team_id, region), Where(resource=resource), "")
    answer: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for cost in usage.by_booked_key(Period.of(month)):
        answer[cost.dimension, cost.label] += cost.amount
    return dict(answer)


def outlook(team: Team, region: str, now_ms: int, resource: str = "") -> Forecast | NoForecast:
    """The forecast of the month that now is in: of all usage, or of one resource."""
    usage = Usage(team.pk, price_list(team.pk, region), Where(resource=resource), "")
    amounts: dict[int, Fraction] = defaultdict(Fraction)
    for cost in usage.by_day(_foretelling(now_ms), By.DAY):
        amounts[cost.day_ms] += cost.amount
    return forecast(amounts, Month.at(now_ms), now_ms)


def outlooks(team: Team, region: str, now_ms: int, resources: Collection[str]) -> dict[str, Forecast | NoForecast]:
    """The forecasts of several resources, in as many queries as that of one."""
    if not resources:
        return {}
    usage = Usage(team.pk, price_list(team.pk, region), Where(), "", frozenset(resources))
    amounts: dict[str, dict[int, Fraction]] = {one: defaultdict(Fraction) for one in resources}
    for cost in usage.by_day(_foretelling(now_ms), By.RESOURCE):
        if cost.label in amounts:
            amounts[cost.label][cost.day_ms] += cost.amount
    return {one: forecast(days, Month.at(now_ms), now_ms) for one, days in amounts.items()}


def _foretelling(now_ms: int) -> Period:
    """The days that a forecast wants to see."""
    month, today_ms = Month.at(now_ms), now_ms // DAY_MS * DAY_MS
    return Period(min(month.start_ms, today_ms - (MOST_DAYS + 2) * DAY_MS), today_ms + DAY_MS)


def tag_keys(team_id: int) -> list[str]:
    """The tag keys that billed resources have, most used first."""
    counts: dict[str, int] = defaultdict(int)
    alike = BilledResource.objects.filter(team_id=team_id).values_list("tags").annotate(n=Count("pk")).order_by()
    for tags, n in alike.iterator():
        for key in tags:
            counts[key] += n
    return sorted(counts, key=lambda key: (-counts[key], key))


def _of_statement(statement: bills.Statement, by: By, period: Period, groups: Sequence[Group]) -> Report:
    corrections = sum(line.cents for line in statement.lines if line.kind == bills.LineKind.CORRECTION)
    amount = sum((line.amount for line in statement.lines if line.kind == bills.LineKind.USAGE), Fraction(0))
    is_same = amount == added(group.amount for group in groups)
    return Report(
        by, period, statement.currency, tuple(groups), statement.usage_cents - corrections, corrections,
        statement.credits_cents, statement.problems, is_same or statement.closed_at_ms is not None,
    )  # fmt: skip


def _first(groups: list[Group], top: int | None) -> list[Group]:
    if top is None or len(groups) <= top:
        return groups
    rest = added(group.amount for group in groups[top:])
    return [*groups[:top], Group(OTHERS, rest)]


def _dearest(usage: Usage, period: Period, by: By) -> list[Group]:
    if by == By.DIMENSION:
        return _dimensions(usage, period)
    return [Group(label, amount) for label, amount in usage.sums(period, by).dearest()]


def _dimensions(usage: Usage, period: Period) -> list[Group]:
    """With quantities."""
    amounts: dict[str, Fraction] = defaultdict(Fraction)
    quantities: dict[str, Fraction] = defaultdict(Fraction)
    for cost in usage.by_group(period, By.DIMENSION):
        amounts[cost.label] += cost.amount
        quantities[cost.label] += cost.quantity
    groups = [Group(label, amount, quantities.get(label)) for label, amount in amounts.items()]
    return sorted(groups, key=lambda group: (-group.amount, group.label))


def _days(usage: Usage, period: Period) -> list[Group]:
    amounts = dict.fromkeys(period.days, Fraction(0))
    for cost in usage.by_day(period, By.DAY):
        amounts[cost.day_ms] += cost.amount
    return [Group(str(day_ms), amount) for day_ms, amount in amounts.items()]
