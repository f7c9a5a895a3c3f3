"""Reckon a closed bill anew, from the ledger and the price books, and say whether it is what was billed."""

from __future__ import annotations

from dataclasses import dataclass

from apps.accounts.models import Team
from apps.billing import bills, digest, usage
from apps.billing.bills import LineKind
from apps.billing.models import Bill, BillLine
from apps.billing.months import Month

FINDINGS_MAX = 50
OF_DELETED = "The team was deleted, and its usage with it: only the sums were checked."


@dataclass(frozen=True, slots=True)
class Checked:
    """findings: sentences for people, of what does not agree; none: all does. limited: why not everything was looked at."""

    number: str
    findings: tuple[str, ...]
    limited: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Lines, sums, total and digest are as they were."""
        return not self.findings


def check(bill: Bill, region: str) -> Checked:
    """Reads all of the month's usage: seconds for ten thousand streams."""
    rows = list(bill.lines.order_by("position"))
    findings = _sums(bill, rows)
    team = Team.objects.filter(pk=bill.team_id).first() if bill.team_id is not None else None
    limited: tuple[str, ...] = (OF_DELETED,)
    if team is not None:
        limited = ()
        findings += _lines(bill, rows, team, region)
        findings += _digest(bill, rows)
        findings += _kept(team.pk, Month.named(bill.month))
    return Checked(bill.number, tuple(findings[:FINDINGS_MAX]), limited)


def _sums(bill: Bill, rows: list[BillLine]) -> list[str]:
    """What the bill says of itself."""
    found = []
    lines = sum(row.amount_cents for row in rows if row.kind != LineKind.CREDIT)
    taken = -sum(row.amount_cents for row in rows if row.kind == LineKind.CREDIT)
    if lines != bill.usage_cents:
        found.append(f"The lines add up to {lines} cents, the bill says {bill.usage_cents}.")
    if taken != bill.credits_cents:
        found.append(f"The credits add up to {taken} cents, the bill says {bill.credits_cents}.")
    if bill.team_id is not None and taken != sum(bill.credit_uses.values_list("amount_cents", flat=True)):
        found.append("What credits gave is not what the bill took of them.")
    if bill.total_cents != lines - taken:
        found.append(f"The total is {bill.total_cents} cents; lines less credits are {lines - taken}.")
    return found


def _lines(bill: Bill, rows: list[BillLine], team: Team, region: str) -> list[str]:
    now = bills.without_credits(team, region, Month.named(bill.month), bill.closed_at_ms, usage.counted)
    anew = {_identity(row): row for row in (bills.row_of(line, 0) for line in now.lines)}
    found = list(now.problems)
    for row in rows:
        if row.kind == LineKind.CREDIT:
            continue
        other = anew.pop(_identity(row), None)
        if other is None:
            found.append(f"{row.title} at {row.price}: billed, but neither usage nor prices give this line now.")
        elif (row.quantity, row.amount, row.amount_cents) != (other.quantity, other.amount, other.amount_cents):
            found.append(
                f"{row.title} at {row.price}: billed {row.quantity} {row.unit} for {row.amount_cents} cents, "
                f"the ledger has {other.quantity} for {other.amount_cents}."
            )
    found += [f"{row.title} at {row.price}: {row.quantity} {row.unit} are not on the bill." for row in anew.values()]
    return found


def _identity(row: BillLine) -> tuple[str, str, str, int, int]:
    return row.kind, row.title, row.price, row.from_ms, row.to_ms


def _digest(bill: Bill, rows: list[BillLine]) -> list[str]:
    assert bill.team_id is not None
    month = Month.named(bill.month)
    days = {day_ms: digest.of_day(bill.team_id, day_ms) for day_ms in digest.days_of(month)}
    if digest.of_bill(bill.team_id, month, days, rows) == bill.usage_digest:
        return []
    return ["The digest of usage and lines is another one: something was changed after the bill was closed."]


def _kept(team_id: int, month: Month) -> list[str]:
    """What reports read of the month is what the ledger has."""
    kept, counted = (sorted(read(team_id, month.start_ms, month.end_ms)) for read in (usage.rows, usage.counted))
    if kept == counted:
        return []
    return ["The sums that drafts and reports read are not what the ledger adds up to."]
