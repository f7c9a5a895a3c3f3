"""Closing a month: its usage is frozen, added up, and written down as a bill, once and for good.

Three steps, each of which may be repeated after a crash, to the same end:

1. freeze: from then on usage of the month becomes corrections of a later one (booking.py). A short transaction.
2. reckon: digests day by day, then the lines. Nothing changes any more, so nothing is locked, however long it takes.
3. write: the bill, its lines and what credits give, in one transaction under the team's lock, unless there is a bill.

A month is due once it is over, a grace has passed, and metering has read everything that was there after the grace
(rounds.py); whoever runs this asks for that. What has no price is not closed: it is flagged, and waits for a price.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping

import structlog
from django.db import transaction

from apps.accounts.models import Team
from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import bills, booking, crediting, digest, flags, sums_check, usage
from apps.billing.bills import Statement
from apps.billing.models import Bill, BillLine, CreditUse, FlagKind
from apps.billing.months import Month

log = structlog.get_logger(__name__)

GRACE_MS = 6 * HOUR_MS
"""For what comes late: a month is not closed sooner than this after its end."""

PATIENCE_MS = 2 * DAY_MS
"""A month that is not closed so long after its end is flagged."""

MONTHS_MAX = 120
"""Of one team, looked at in one go."""


class Unpriced(Exception):
    """Something that was used has no price: the text says what, for people."""


def is_over(month: Month, now_ms: int) -> bool:
    """It has ended, and the grace with it."""
    return now_ms >= month.end_ms + GRACE_MS


def newest_over(now_ms: int) -> Month:
    """The last month that may be closed."""
    return Month.at(now_ms - GRACE_MS).previous


def open_months(team: Team, until: Month) -> list[Month]:
    """Those with usage or corrections and without a bill, oldest first, until a month."""
    billed = set(Bill.objects.filter(team=team).values_list("month", flat=True))
    return [month for month in sorted(bills.months(team)) if month <= until and str(month) not in billed][:MONTHS_MAX]


def close(
    team: Team,
    region: str,
    month: Month,
    now_ms: int,
    days: MutableMapping[int, str] | None = None,
    after_day: Callable[[], bool] | None = None,
) -> Bill | None:
    """Close a month; answers its bill, also one that was there before. Raises Unpriced.

    days: digests of days that were reckoned before, added to; after_day is asked after each of them whether to go on: if
    not, None is answered, and the next call goes on with the same days.
    """
    found = Bill.objects.filter(team=team, month=str(month)).first()
    if found is not None:
        return found
    with transaction.atomic():
        booking.freeze(team.pk, month, now_ms)
    days = {} if days is None else days
    for day_ms in digest.days_of(month):
        if day_ms not in days:
            days[day_ms] = digest.of_day(team.pk, day_ms)
            if after_day is not None and not after_day():
                return None
    sums_check.put_right(team.pk, month)
    statement = bills.without_credits(team, region, month, now_ms, usage.counted)
    if statement.problems:
        flags.raise_flag(team.pk, FlagKind.NO_PRICE, str(month), " ".join(statement.problems), now_ms)
        raise Unpriced(" ".join(statement.problems))
    return _write(team, statement, days, now_ms)


def _write(team: Team, statement: Statement, days: MutableMapping[int, str], now_ms: int) -> Bill:
    """The bill with all that belongs to it, or the one that somebody else wrote meanwhile."""
    with transaction.atomic():
        Team.objects.select_for_update().get(pk=team.pk)
        found = Bill.objects.filter(team=team, month=str(statement.month)).first()
        if found is not None:
            return found
        given = crediting.left(team.pk)
        full = bills.credited(statement, given)
        rows = [bills.row_of(line, position) for position, line in enumerate(full.lines, 1)]
        bill = Bill.objects.create(
            team=team,
            account_id=full.account_id,
            team_name=full.team_name,
            month=str(full.month),
            number=full.number,
            currency=full.currency,
            usage_cents=full.usage_cents,
            credits_cents=full.credits_cents,
            total_cents=full.total_cents,
            closed_at_ms=now_ms,
            usage_digest=digest.of_bill(team.pk, full.month, days, rows),
        )
        _write_lines(bill, rows)
        _use_credits(bill, crediting.taken(crediting.usable(given, full.month), full.usage_cents))
        flags.settle(FlagKind.NO_PRICE, team.pk, bill.month)
        flags.settle(FlagKind.NOT_CLOSED, team.pk, bill.month)
    log.info("bill_closed", number=bill.number, total_cents=bill.total_cents)
    return bill


def _write_lines(bill: Bill, rows: list[BillLine]) -> None:
    for row in rows:
        row.bill = bill
    BillLine.objects.bulk_create(rows)


def _use_credits(bill: Bill, taken: list[crediting.Left]) -> None:
    assert sum(one.cents for one in taken) == bill.credits_cents
    CreditUse.objects.bulk_create(CreditUse(credit=one.credit, bill=bill, amount_cents=one.cents) for one in taken)


def close_for_good(team: Team, region: str, now_ms: int) -> list[Bill]:
    """Close all months of a team that is about to be deleted, the one that runs too: its last bill. Raises Unpriced."""
    closed = [close(team, region, month, now_ms) for month in open_months(team, Month(9_999, 11))]
    return [bill for bill in closed if bill is not None]


def flag_waiting(team: Team, month: Month, why: str, now_ms: int) -> None:
    """Say that a month is not closed although it has been over for long."""
    if now_ms < month.end_ms + PATIENCE_MS:
        return
    text = f"{month.title} is over and not closed: {why}"
    flags.raise_flag(team.pk, FlagKind.NOT_CLOSED, str(month), text, now_ms)
