"""Statements: the list, one with its lines, the check, and files that say the same."""

import csv
import io
import json
from decimal import Decimal

from apps.base.units import HOUR_MS
from apps.billing import bills
from apps.billing.models import BillLine, Correction, Credit
from console.pages import money
from tests.console.billing.conftest import NOVEMBER, OCTOBER
from tests.console.conftest import other_team, signed_in, text_of
from tests.support.teams import REGION

LIST = "/t/first/billing/statements"


def sent(answer):
    return b"".join(answer.streaming_content).decode()


def test_before_the_first_request_there_is_none(client):
    assert "No statements yet" in text_of(client.get(LIST))


def test_months_are_open_closed_or_corrected_later(client, lived, served):
    Correction.objects.create(
        team=lived.team, resource="stream/orders-events", meter="shard-time", hour_ms=OCTOBER.start_ms, meter_key="",
        quantity=8 * HOUR_MS, reason="late", booked_at_ms=1, bill_month="2026-11",
    )  # fmt: skip
    page = text_of(client.get(LIST))
    for words in ("Open, runs", "Closed", "corrected later", "TG-2026-10-123456789012", "so far"):
        assert words in page, words
    october = text_of(client.get(f"{LIST}/2026-10"))
    assert "the difference is on" in october
    assert "the statement of November 2026<" in october
    november = text_of(client.get(f"{LIST}/2026-11"))
    assert "Correction of October 2026: Shard hours" in november


def test_a_correction_of_the_month_that_is_open_is_on_no_later_bill(client, lived):
    Correction.objects.create(
        team=lived.team, resource="stream/orders-events", meter="shard-time", hour_ms=NOVEMBER.start_ms, meter_key="",
        quantity=-HOUR_MS, reason="manual", note="twice", booked_at_ms=1, bill_month=str(NOVEMBER),
    )  # fmt: skip
    page = text_of(client.get("/t/first/billing/statements/2026-11"))
    assert "Correction of November 2026: Shard hours" in page
    assert "the difference is on" not in page
    assert "of earlier months" not in page
    assert "corrected later" not in text_of(client.get("/t/first/billing/statements"))


def test_a_statement_has_its_lines_credits_total_and_address(client, lived, served):
    Credit.objects.create(team=lived.team, amount_cents=700, reason="Trial", from_month="2026-11", created_at_ms=1)
    made = bills.statement(lived.team, REGION, NOVEMBER, served.clock.now_ms())
    page = text_of(client.get(f"{LIST}/2026-11"))
    for line in made.lines:
        assert line.title in page
        assert money.money(line.cents) in page
    assert f"<dd>{money.money(made.total_cents)}</dd>" in page
    assert "Credit: Trial" in page
    assert "/t/first/billing/statements/2026-11</span>" in page
    assert "Check this bill" not in page, "a draft is reckoned each time"


def test_anyone_can_check_a_closed_bill(client, lived):
    assert "This bill is right." in text_of(client.get(f"{LIST}/2026-10?check=1"))
    line = BillLine.objects.filter(bill__month="2026-10").first()
    BillLine.objects.filter(pk=line.pk).update(amount_cents=line.amount_cents + 1)
    page = text_of(client.get(f"{LIST}/2026-10?check=1"))
    assert "This bill does not agree with the ledger." in page
    assert f"{line.title} at {line.price}: billed" in page


def test_the_page_and_all_files_say_the_same(client, lived, served):
    made = bills.statement(lived.team, REGION, OCTOBER, served.clock.now_ms())
    total = Decimal(made.total_cents) / 100
    rows = list(csv.DictReader(io.StringIO(sent(client.get(f"{LIST}/2026-10/csv")))))
    assert sum(Decimal(row["billed"]) for row in rows) == total
    told = json.loads(sent(client.get(f"{LIST}/2026-10/json")))
    assert (told["total"], told["number"]) == (f"{total:.2f}", made.number)
    focus = list(csv.DictReader(io.StringIO(sent(client.get(f"{LIST}/2026-10/focus")))))
    assert sum(Decimal(row["BilledCost"]) for row in focus) == total
    assert client.get(f"{LIST}/2026-10/csv")["Content-Disposition"] == f'attachment; filename="{made.number}.csv"'
    assert client.get(f"{LIST}/2026-10/pdf").status_code == 404


def test_what_is_no_month_of_the_team_is_not_there(client, lived):
    for month in ("2026-13", "2027-01", "1969-12", "9999-12", "october"):
        assert client.get(f"{LIST}/{month}").status_code == 404, month
    stranger = signed_in(other_team())
    assert stranger.get(f"{LIST}/2026-10").status_code == 404
    assert "Nothing was used" in text_of(stranger.get("/t/second/billing/statements/2026-10"))
