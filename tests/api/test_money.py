"""Bills, costs, prices, estimates, credits and flags over REST; every figure is the statement's."""

import csv
import io
from decimal import Decimal

import pytest

from apps.base.units import DAY_MS
from apps.billing import bills
from apps.billing.models import BillingFlag, Credit, UsageDay
from tests.api.conforming import conforming
from tests.console.billing.conftest import NOVEMBER, lived  # noqa: F401 - a fixture
from tests.support.teams import REGION, make_team

IN_9999 = 253_399_622_400_000
"""The first of December 9999: no month follows."""


@pytest.fixture
def api(team, served):
    return conforming(team.user, team.team)


def text(cents):
    return f"{cents // 100}.{cents % 100:02}"


def test_what_a_month_costs_is_the_same_everywhere(api, lived, served, team):  # noqa: F811 - the fixture
    Credit.objects.create(team=team.team, amount_cents=500, reason="Trial", from_month="2026-11", created_at_ms=1)
    made = bills.statement(team.team, REGION, NOVEMBER, served.clock.now_ms())
    assert made.credits_cents == 500
    bill = api.get("/bills/2026-11").json()
    assert (bill["number"], bill["state"], bill["total"]) == (made.number, "draft", text(made.total_cents))
    assert sum(Decimal(line["billed"]) for line in bill["lines"]) == Decimal(bill["total"])
    assert [(one["month"], one["state"]) for one in api.get("/bills").json()["items"]] == [
        ("2026-11", "draft"), ("2026-10", "closed"),
    ]  # fmt: skip
    for group in ("dimension", "service", "resource", "key", "day", "tag&tag_key=env"):
        told = api.get(f"/costs?group={group}&limit=500").json()
        assert (told["total"], told["credits"]) == (bill["total"], "5.00"), group
        shown = sum(Decimal(one["cost"]) for one in told["items"])
        assert shown + Decimal(told["rounding"]) - Decimal(told["credits"]) == Decimal(told["total"]), group
    daily = api.get("/costs/daily?group=service").json()
    exact = sum(Decimal(amount) for series in daily["series"] for amount in series["amounts"])
    assert abs(exact - Decimal(bill["usage"])) < Decimal("0.1")
    forecast = api.get("/costs/forecast").json()
    assert (
        Decimal(forecast["spent"])
        <= Decimal(forecast["low"])
        <= Decimal(forecast["likely"])
        <= Decimal(forecast["high"])
    )


def test_a_closed_bill_its_files_and_its_check(api, lived):  # noqa: F811 - the fixture
    bill = api.get("/bills/2026-10").json()
    assert (bill["state"], len(bill["usage_digest"])) == ("closed", 64)
    assert api.get("/bills/2026-10/check").json() == {"number": bill["number"], "agrees": True, "findings": []}
    for path in ("csv", "focus"):
        sent = rows_of(super(type(api), api).__call__("GET", f"/bills/2026-10/{path}"))
        column = "billed" if path == "csv" else "BilledCost"
        assert sum(Decimal(row[column]) for row in sent) == Decimal(bill["total"]), path
    assert api.get("/bills/2026-11/check").status_code == 404
    for month in ("2026-13", "2027-01", "1969-12", "9999-12", "x"):
        assert api.get(f"/bills/{month}").status_code == 404, month


def rows_of(answer):
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_many_groups_come_by_cursor_and_what_is_asked_must_make_sense(api, team):
    day_ms = NOVEMBER.start_ms + DAY_MS
    UsageDay.objects.bulk_create(
        UsageDay(team=team.team, resource=f"stream/s{n}", meter="shard-time", day_ms=day_ms, meter_key="",
                 quantity=3_600_000 * (n + 1))
        for n in range(7)
    )  # fmt: skip
    seen, cursor = [], ""
    while cursor is not None:
        told = api.get(f"/costs?group=resource&limit=3&cursor={cursor}").json()
        seen += [one["label"] for one in told["items"]]
        cursor = told["next_cursor"]
    assert seen == [f"stream/s{n}" for n in range(6, -1, -1)]
    assert api.get("/costs?resource=stream/s3&group=dimension").json()["total"] == "0.06"
    for query in (
        "group=tag",
        "from_ms=5",
        f"from_ms={day_ms}&to_ms={day_ms}",
        "tag=env",
        "group=colour",
        f"from_ms={IN_9999}",
    ):
        assert api.get(f"/costs?{query}").status_code == 400, query


def test_prices_and_estimates_are_those_that_bill(api):
    prices = {one["dimension"]: one for one in api.get("/prices").json()["items"]}
    assert prices["shard-hour"]["tiers"] == [{"up_to": None, "price": "0.015"}]
    assert prices["delivery-ingestion"]["tiers"][0] == {"up_to": "512000", "price": "0.029"}
    assert prices["queue-hour"]["list_tiers"] is None
    plan = {"shards": 4, "records_per_s": 100, "record_bytes": 35_840}
    made = api.post("/estimates", {"data_stream": plan}).json()
    assert made["total"] == "50.46", "AWS's example, 30 days"
    assert [line["billed"] for line in made["lines"]] == ["43.20", "7.26"]
    assert api.post("/estimates", {"queue": {"received_bytes": 2**30}}).status_code == 200
    delivery = {"records_per_s": 500, "record_bytes": 3_072}
    assert api.post("/estimates", {"delivery_stream": delivery}).json()["total"] == "179.21"
    for body in ({}, {"data_stream": plan, "queue": {}}, {"data_stream": {"shards": 0}}):
        assert api.post("/estimates", body).status_code == 400, body


def test_credits_and_flags_are_the_teams_own(api, team):
    other = make_team("210987654321", "other", "AKIDOTHER")
    for whose in (team, other):
        Credit.objects.create(
            team=whose.team, amount_cents=1_250, reason=whose.team.slug, from_month="2026-11", created_at_ms=1
        )
        BillingFlag.objects.create(
            team=whose.team, kind="late", resource="stream/s", text=whose.team.slug, first_at_ms=1, at_ms=2
        )
    BillingFlag.objects.create(kind="clock-back", text="all", first_at_ms=1, at_ms=3, acknowledged_at_ms=4)
    [credit] = api.get("/credits").json()["items"]
    assert (credit["reason"], credit["amount"], credit["left"]) == ("first", "12.50", "12.50")
    assert [one["text"] for one in api.get("/billing-flags").json()["items"]] == ["all", "first"]
    assert [one["text"] for one in api.get("/billing-flags?is_open=true").json()["items"]] == ["first"]
