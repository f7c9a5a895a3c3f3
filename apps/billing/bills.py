"""A team's month in money: draft while it runs, closed when it is over (closing.py). Both are the same Statement.

A draft is reckoned anew each time; a closed bill is rows that never change. Whoever shows a total of a month, anywhere, takes
it from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from apps.accounts.models import Team
from apps.billing import crediting, price_book, reckoning, usage
from apps.billing.models import Bill, BillLine, Correction, PriceBook, UsageDay
from apps.billing.months import Month
from apps.billing.rating import Line, decimal_text

DEFAULT_CURRENCY = "USD"


class State(StrEnum):
    """draft: it may still change, also while a month that is over waits for its last readings."""

    DRAFT = "draft"
    CLOSED = "closed"


class LineKind(StrEnum):
    """correction: usage of an earlier month that came late or was put right. credit: its cents are negative."""

    USAGE = "usage"
    CORRECTION = "correction"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A line, of drafts and of closed bills alike. dimension is the name in the price book, empty for credits; metered in the
    meter's unit, quantity in units of sale; amount is in units of the currency and exact in drafts (12 places in closed
    bills), cents is it rounded half-up. from_ms, to_ms: the stretch of the month (of a correction: the earlier month) in which
    the price is valid."""

    kind: LineKind
    service: str
    dimension: str
    title: str
    metered: Fraction
    quantity: Fraction
    unit: str
    price: Decimal
    from_ms: int
    to_ms: int
    amount: Fraction
    cents: int


@dataclass(frozen=True, slots=True)
class Statement:
    """Lines and what they add up to, in cents of the currency. problems: sentences for people; a draft that has some is not
    complete, and is not closed until they are gone."""

    team_id: int | None
    """None: the team was deleted."""
    team_name: str
    account_id: str
    month: Month
    state: State
    number: str
    """As TG-2026-11-123456789012; a draft has the one that its bill will have."""
    currency: str
    lines: tuple[StatementLine, ...]
    as_of_ms: int
    """When it was reckoned."""
    closed_at_ms: int | None = None
    problems: tuple[str, ...] = ()
    usage_digest: str = ""
    """Of a closed one; see digest.py."""
    credits_usable_cents: int = 0
    """Of a draft: how much credit is good for the month, also what is more than it costs so far."""

    @property
    def usage_cents(self) -> int:
        """The sum of the rounded lines of usage and of corrections."""
        return sum(line.cents for line in self.lines if line.kind != LineKind.CREDIT)

    @property
    def credits_cents(self) -> int:
        """What credits took off; not negative."""
        return -sum(line.cents for line in self.lines if line.kind == LineKind.CREDIT)

    @property
    def total_cents(self) -> int:
        """What the month costs."""
        return self.usage_cents - self.credits_cents


def number_of(account_id: str, month: Month) -> str:
    """Of the bill of a team's month."""
    return f"TG-{month}-{account_id}"


def statement(team: Team, region: str, month: Month, now_ms: int) -> Statement:
    """The closed bill of a month if there is one, else the draft. A month without usage is a statement of zero."""
    row = Bill.objects.filter(team=team, month=str(month)).first()
    return draw_up(team, region, month, now_ms) if row is None else of_bill(row)


def months(team: Team) -> list[Month]:
    """The months that have usage, corrections or a bill, newest first."""
    days = UsageDay.objects.filter(team=team).order_by("day_ms").values_list("day_ms", flat=True)
    found = {Month.named(name) for name in Bill.objects.filter(team=team).values_list("month", flat=True)}
    billed = Correction.objects.filter(team=team).values_list("bill_month", flat=True).distinct()
    found |= {Month.named(name) for name in billed}
    day_ms = days.first()
    while day_ms is not None:
        month = Month.at(day_ms)
        found.add(month)
        day_ms = days.filter(day_ms__gte=month.end_ms).first()
    return sorted(found, reverse=True)


def draw_up(team: Team, region: str, month: Month, now_ms: int) -> Statement:
    """The month as it is in the ledger now. What has no price is left out and named among the problems."""
    drawn = without_credits(team, region, month, now_ms)
    return credited(drawn, credits_left(team, region, month, now_ms))


def credits_left(team: Team, region: str, month: Month, now_ms: int) -> list[crediting.Left]:
    """What is left of a team's credits for a draft: less what closed bills took, and what those of earlier months that are not
    closed yet will take. So the drafts of two months never show the same money."""
    given = crediting.left(team.pk)
    if not crediting.usable(given, month):
        return given
    billed = set(Bill.objects.filter(team=team).values_list("month", flat=True))
    for earlier in sorted(one for one in months(team) if one < month and str(one) not in billed):
        cents = without_credits(team, region, earlier, now_ms).usage_cents
        given = crediting.without(given, crediting.taken(crediting.usable(given, earlier), cents))
    return given


def without_credits(team: Team, region: str, month: Month, now_ms: int, used: reckoning.Used = usage.rows) -> Statement:
    """The same before credits take anything off. used: usage.counted for what is to stand the test of time."""
    prices = price_book.price_list(team.pk, region)
    reckoned = reckoning.of_month(team.pk, month, prices, used)
    lines = [_of_usage(line) for line in reckoned.lines]
    lines += [_of_correction(of, line) for of, line in reckoned.corrections]
    return Statement(
        team_id=team.pk,
        team_name=team.name,
        account_id=team.account_id,
        month=month,
        state=State.DRAFT,
        number=number_of(team.account_id, month),
        currency=currency_of(region, month),
        lines=tuple(lines),
        as_of_ms=now_ms,
        problems=reckoned.problems,
    )


def credited(statement: Statement, given: Sequence[crediting.Left]) -> Statement:
    """With a line for each credit that takes something off. given: what is left of the team's credits."""
    usable = crediting.usable(given, statement.month)
    lines = [_of_credit(one, statement.month) for one in crediting.taken(usable, statement.usage_cents)]
    return replace(statement, lines=(*statement.lines, *lines), credits_usable_cents=sum(one.cents for one in usable))


def of_bill(bill: Bill, lines: Iterable[BillLine] | None = None) -> Statement:
    """A closed bill as a statement. lines: its rows in order, if they were read before."""
    rows = bill.lines.order_by("position") if lines is None else lines
    return Statement(
        team_id=bill.team_id,
        team_name=bill.team_name,
        account_id=bill.account_id,
        month=Month.named(bill.month),
        state=State.CLOSED,
        number=bill.number,
        currency=bill.currency,
        lines=tuple(_of_row(row) for row in rows),
        as_of_ms=bill.closed_at_ms,
        closed_at_ms=bill.closed_at_ms,
        usage_digest=bill.usage_digest,
    )


def currency_of(region: str, month: Month) -> str:
    """Of the region's newest price book that is valid in the month."""
    books = PriceBook.objects.filter(
        region=region, team=None, published_at_ms__isnull=False, valid_from_ms__lt=month.end_ms
    )
    return books.order_by("-valid_from_ms").values_list("currency", flat=True).first() or DEFAULT_CURRENCY


def _of_usage(line: Line, kind: LineKind = LineKind.USAGE, title: str = "") -> StatementLine:
    sold = line.dimension
    return StatementLine(
        kind=kind,
        service=sold.service,
        dimension=sold.name,
        title=title or sold.title,
        metered=sold.metered(line.quantity, Month.at(line.from_ms).hours),
        quantity=line.quantity,
        unit=sold.unit,
        price=line.price,
        from_ms=line.from_ms,
        to_ms=line.to_ms,
        amount=line.amount,
        cents=line.cents,
    )


def _of_correction(of: Month, line: Line) -> StatementLine:
    return _of_usage(line, LineKind.CORRECTION, f"Correction of {of.title}: {line.dimension.title}")


def _of_credit(given: crediting.Left, month: Month) -> StatementLine:
    zero = Fraction(0)
    amount = Fraction(-given.cents, 100)
    text = f"Credit: {given.credit.reason}"
    return StatementLine(
        LineKind.CREDIT, "", "", text, zero, zero, "", Decimal(0), month.start_ms, month.end_ms, amount, -given.cents
    )


def row_of(line: StatementLine, position: int) -> BillLine:
    """The line as it is stored with a closed bill (not saved)."""
    return BillLine(
        position=position,
        kind=line.kind,
        service=line.service,
        dimension=line.dimension,
        title=line.title[:200],
        metered=str(line.metered) if line.dimension else "",
        quantity=decimal_text(line.quantity),
        unit=line.unit,
        price=f"{line.price:f}",
        from_ms=line.from_ms,
        to_ms=line.to_ms,
        amount=decimal_text(line.amount),
        amount_cents=line.cents,
    )


def _of_row(row: BillLine) -> StatementLine:
    return StatementLine(
        kind=LineKind(row.kind),
        service=row.service,
        dimension=row.dimension,
        title=row.title,
        metered=Fraction(row.metered or 0),
        quantity=Fraction(row.quantity or 0),
        unit=row.unit,
        price=Decimal(row.price or 0),
        from_ms=row.from_ms,
        to_ms=row.to_ms,
        amount=Fraction(row.amount or 0),
        cents=row.amount_cents,
    )
