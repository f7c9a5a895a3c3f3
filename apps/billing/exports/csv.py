"""A statement, and a report of costs, as CSV. Columns are never renamed or moved; new ones come at the end.

Amounts are decimal text: `billed` is rounded to the cent and adds up to the statement's total, `amount` is before rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apps.billing.bills import Statement, StatementLine
from apps.billing.dimensions import DIMENSIONS
from apps.billing.exports import cells
from apps.billing.rating import decimal_text
from apps.billing.reports import By, Report

STATEMENT_COLUMNS = {
    "statement": "The statement's number.",
    "state": "closed: it never changes; draft: it may.",
    "month": "Of UTC, as 2026-11.",
    "account_id": "The team's account.",
    "team": "Its name.",
    "kind": "usage; correction: usage that came late or was put right, billed now; credit: what a credit took off.",
    "service": "Data Streams, Firehose; empty of credits.",
    "dimension": "What is sold, as the price book has it; empty of credits.",
    "title": "The same in words.",
    "metered": "What the meter counted; a fraction where a tier cuts through it.",
    "meter_unit": "Of metered.",
    "quantity": "In units of sale, at most 12 places.",
    "unit": "Of quantity.",
    "unit_price": "Of one unit.",
    "from": "Begin of the days with this price; of a correction, in its own month.",
    "to": "Their end, not in it.",
    "amount": "quantity times unit_price, before rounding, at most 12 places.",
    "billed": "amount, half-up to the cent. All of them add up to the statement's total.",
    "currency": "Of prices and amounts.",
}

COSTS_COLUMNS = {
    "from": "Begin of the period.",
    "to": "Its end, not in it.",
    "group": "What the rows are told apart by: dimension, resource, tag, key, day.",
    "name": "Of the group; empty: no tag, or no access key. rounding, corrections, credits: what makes the sum the total.",
    "service": "Of dimensions.",
    "title": "Of dimensions, in words.",
    "quantity": "Of dimensions, in units of sale.",
    "unit": "Of quantity.",
    "unit_price": "Of dimensions: the price, the average where there were several.",
    "amount": "Before rounding, at most 12 places.",
    "cost": "Half-up to the cent. All of them add up to the total.",
    "currency": "Of prices and amounts.",
}


def statement(of: Statement) -> Iterator[bytes]:
    """One line of the file for each line of the statement."""
    return cells.lines(tuple(STATEMENT_COLUMNS), (_line(of, line) for line in of.lines))


def costs(report: Report) -> Iterator[bytes]:
    """One line for each group, then what is missing to the total."""
    return cells.lines(tuple(COSTS_COLUMNS), _groups(report))


def _line(of: Statement, line: StatementLine) -> list[str]:
    sold = DIMENSIONS.get(line.dimension)
    unit = "" if sold is None else sold.meter.unit if sold.meter else "bytes"
    is_credit = not line.dimension
    return [
        of.number, str(of.state), str(of.month), of.account_id, cells.text(of.team_name), str(line.kind), line.service,
        line.dimension, cells.text(line.title), "" if is_credit else decimal_text(line.metered), unit,
        "" if is_credit else decimal_text(line.quantity), line.unit, "" if is_credit else f"{line.price:f}",
        cells.day(line.from_ms), cells.day(line.to_ms), decimal_text(line.amount), cells.money(line.cents), of.currency,
    ]  # fmt: skip


def _groups(report: Report) -> Iterable[list[str]]:
    period = [cells.day(report.period.from_ms), cells.day(report.period.to_ms), str(report.by)]
    for group in report.groups:
        sold = group.dimension if report.by == By.DIMENSION else None
        name = cells.day(int(group.label)) if report.by == By.DAY else cells.text(group.label)
        words = ["", "", "", "", ""]
        if sold is not None and group.quantity is not None:
            price = "" if group.price is None else decimal_text(group.price)
            words = [sold.service, sold.title, decimal_text(group.quantity), sold.unit, price]
        yield [*period, name, *words, decimal_text(group.amount), cells.money(group.cents), report.currency]
    for name, cents in (
        ("rounding", report.rounding_cents),
        ("corrections", report.corrections_cents),
        ("credits", -report.credits_cents),
    ):
        if cents:
            yield [*period[:2], name, "", "", "", "", "", "", cells.money(cents), cells.money(cents), report.currency]
