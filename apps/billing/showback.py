"""A month of all teams beside one another, for people who run the installation: what each is charged, and what the same usage
would be at everybody's prices and at AWS's.

Every charge is the one of the team's statement: closed bills from their rows, the others by the same functions that draw up a
draft. Teams with corrections are reckoned one by one, all others from one sum of the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from apps.accounts.models import Team
from apps.base.units import DAY_MS
from apps.billing import bills, crediting, price_book, reckoning, team_usage
from apps.billing.bills import State
from apps.billing.crediting import Left
from apps.billing.dimensions import GB
from apps.billing.models import Bill, Correction, Credit
from apps.billing.months import Month
from apps.billing.price_book import Books, Lists
from apps.billing.rating import Row
from apps.billing.team_usage import TeamUsage

TEAMS_MAX = 1_000
"""As many as an installation can have, and as many bills of deleted ones are shown."""


@dataclass(frozen=True, slots=True)
class TeamMonth:
    """A team's month. slug is empty and team_id None for a deleted team, of which there is only the bill. Amounts are cents.

    usage_cents: with corrections. standard_cents, list_cents: the same usage at everybody's prices, at AWS's list. same_cents,
    before_cents: of the full days of this month, and of the same days of the month before (all of both, if the month is over);
    None: there is no full day yet. None elsewhere: not known of a deleted team.
    """

    team_id: int | None
    slug: str
    name: str
    account_id: str
    state: State
    number: str
    usage_cents: int
    credits_cents: int
    standard_cents: int | None = None
    list_cents: int | None = None
    same_cents: int | None = None
    before_cents: int | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    has_own_prices: bool = False
    problems: tuple[str, ...] = ()

    @property
    def total_cents(self) -> int:
        """The statement's total."""
        return self.usage_cents - self.credits_cents

    @property
    def margin_cents(self) -> int | None:
        """What own prices bring above everybody's; negative for a discount."""
        return None if self.standard_cents is None else self.usage_cents - self.standard_cents

    @property
    def above_list_cents(self) -> int | None:
        """What is charged above AWS's list."""
        return None if self.list_cents is None else self.usage_cents - self.list_cents

    @property
    def change(self) -> Fraction | None:
        """Against the same days of the month before, 0.09 for 9 % more; None: nothing to compare with."""
        if self.same_cents is None or not self.before_cents:
            return None
        return Fraction(self.same_cents - self.before_cents, self.before_cents)

    @property
    def per_gb(self) -> Decimal | None:
        """Usage cost for each GB that came in, in units of the currency; None: nothing came in."""
        if not self.bytes_in:
            return None
        return Decimal(self.usage_cents) / 100 * GB / Decimal(self.bytes_in)


@dataclass(frozen=True, slots=True)
class Showback:
    """teams: in the order of their names, then bills of deleted ones. same_days: how many full days are compared; None: all."""

    month: Month
    currency: str
    teams: tuple[TeamMonth, ...]
    same_days: int | None


@dataclass(frozen=True, slots=True)
class _Month:
    """What all teams are reckoned from."""

    month: Month
    edge_ms: int
    """The midnight until which days are full: of the month, or its end."""
    prices: Lists
    aws: Books
    used: dict[int, TeamUsage]
    before: dict[int, TeamUsage]
    corrected: frozenset[int]
    bills: dict[int, Bill]
    bills_before: dict[int, int]
    credits: dict[int, list[Left]]
    """What is good for the month, of teams without a bill of it."""


def of_month(region: str, month: Month, now_ms: int) -> Showback:
    """All teams, also those without usage; about ten queries, and some more for each team with corrections or credits."""
    teams = list(Team.objects.order_by("name", "pk")[:TEAMS_MAX])
    closed = list(Bill.objects.filter(month=str(month)).order_by("team_name", "pk")[: 2 * TEAMS_MAX])
    known = _read(region, month, now_ms, teams, closed)
    gone = [_gone(bill) for bill in closed if bill.team_id is None]
    rows = [_of_team(known, team) for team in teams]
    days = None if known.edge_ms >= month.end_ms else (known.edge_ms - month.start_ms) // DAY_MS
    return Showback(month, bills.currency_of(region, month), (*rows, *gone), days)


def _read(region: str, month: Month, now_ms: int, teams: list[Team], closed: list[Bill]) -> _Month:
    ids, before = [team.pk for team in teams], month.previous
    prices = price_book.price_lists(region)
    edge_ms = max(month.start_ms, min(month.end_ms, now_ms - now_ms % DAY_MS))
    is_over = edge_ms >= month.end_ms
    until_ms = before.end_ms if is_over else min(before.end_ms, before.start_ms + edge_ms - month.start_ms)
    edges = prices.edges(month.start_ms, month.end_ms)
    edges_before = prices.edges(before.start_ms, until_ms)
    corrected = Correction.objects.filter(bill_month=str(month)).values_list("team_id", flat=True).distinct()
    bills_before = Bill.objects.filter(month=str(before), team__isnull=False) if is_over else Bill.objects.none()
    billed = {bill.team_id for bill in closed}
    return _Month(
        month=month,
        edge_ms=edge_ms,
        prices=prices,
        aws=price_book.list_prices(region),
        used=team_usage.of_teams(ids, month.start_ms, month.end_ms, [*edges, edge_ms]),
        before=team_usage.of_teams(ids, before.start_ms, until_ms, edges_before),
        corrected=frozenset(corrected),
        bills={bill.team_id: bill for bill in closed if bill.team_id is not None},
        bills_before={
            team_id: cents for team_id, cents in bills_before.values_list("team_id", "usage_cents") if team_id
        },
        credits=_credits(region, month, now_ms, [team for team in teams if team.pk not in billed]),
    )


def _of_team(known: _Month, team: Team) -> TeamMonth:
    used, bill, month = known.used[team.pk], known.bills.get(team.pk), known.month
    own, common = known.prices.of_team(team.pk), known.prices.of_team(None)
    problems: dict[str, None] = {}
    reckoned = _cents(known, team.pk, own, problems)
    usage = reckoned if bill is None else bill.usage_cents
    is_compared = known.edge_ms > month.start_ms
    return TeamMonth(
        team_id=team.pk,
        slug=team.slug,
        name=team.name,
        account_id=team.account_id,
        state=State.DRAFT if bill is None else State.CLOSED,
        number=bills.number_of(team.account_id, month),
        usage_cents=usage,
        credits_cents=_taken(known, team.pk, usage) if bill is None else bill.credits_cents,
        standard_cents=usage if own is common else _cents(known, team.pk, common, problems),
        list_cents=_cents(known, team.pk, known.aws, problems),
        same_cents=_same(known, used, own, usage) if is_compared else None,
        before_cents=_before(known, team.pk, own) if is_compared else None,
        bytes_in=used.bytes_in,
        bytes_out=used.bytes_out,
        has_own_prices=known.prices.has_own(team.pk, month.start_ms, month.end_ms),
        problems=tuple(problems),
    )


def _gone(bill: Bill) -> TeamMonth:
    usage, credits_ = bill.usage_cents, bill.credits_cents
    return TeamMonth(None, "", bill.team_name, bill.account_id, State.CLOSED, bill.number, usage, credits_)


def _cents(known: _Month, team_id: int, prices: Books, problems: dict[str, None]) -> int:
    """All of the month's usage at some prices, with the corrections on its bill."""
    if team_id in known.corrected:
        reckoned = reckoning.of_month(team_id, known.month, prices)
        problems |= dict.fromkeys(reckoned.problems)
        return sum(line.cents for line in reckoned.lines) + sum(line.cents for _, line in reckoned.corrections)
    return _sum(known.used[team_id].rows, known.month, prices, problems)


def _same(known: _Month, used: TeamUsage, prices: Books, usage_cents: int) -> int:
    if known.edge_ms >= known.month.end_ms:
        return usage_cents
    return _sum((row for row in used.rows if row.day_ms < known.edge_ms), known.month, prices, {})


def _before(known: _Month, team_id: int, prices: Books) -> int:
    billed = known.bills_before.get(team_id)
    return _sum(known.before[team_id].rows, known.month.previous, prices, {}) if billed is None else billed


def _sum(rows: Iterable[Row], month: Month, prices: Books, problems: dict[str, None]) -> int:
    return sum(line.cents for line in reckoning.priced_lines(rows, month, prices, problems))


def _taken(known: _Month, team_id: int, usage_cents: int) -> int:
    return sum(one.cents for one in crediting.taken(known.credits.get(team_id, []), usage_cents))


def _credits(region: str, month: Month, now_ms: int, teams: Iterable[Team]) -> dict[int, list[Left]]:
    """As the statements have it, by team."""
    having = set(Credit.objects.filter(from_month__lte=str(month)).values_list("team_id", flat=True).distinct())
    return {
        team.pk: crediting.usable(bills.credits_left(team, region, month, now_ms), month)
        for team in teams
        if team.pk in having
    }
