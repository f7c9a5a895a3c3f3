"""The files of a statement: exact, stable, and nothing in them that a spreadsheet runs."""

import csv
import io
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import bills, closing
from apps.billing.dimensions import GB
from apps.billing.exports import cells, focus
from apps.billing.exports import csv as csv_file
from apps.billing.exports import json as json_file
from apps.billing.models import BilledResource, Correction, Credit, PriceBook, UsageDay
from apps.billing.months import Month
from tests.support.teams import REGION

OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)
NOW_MS = NOVEMBER.start_ms + 20 * DAY_MS

FOCUS = {
    "BilledCost": ("decimal", False), "BillingAccountId": ("string", False), "BillingAccountName": ("string", True),
    "BillingAccountType": ("string", True), "BillingCurrency": ("string", False), "BillingPeriodEnd": ("time", False),
    "BillingPeriodStart": ("time", False), "ChargeCategory": ("string", False), "ChargeClass": ("string", True),
    "ChargeDescription": ("string", True), "ChargeFrequency": ("string", False), "ChargePeriodEnd": ("time", False),
    "ChargePeriodStart": ("time", False), "ConsumedQuantity": ("decimal", True), "ConsumedUnit": ("string", True),
    "ContractedCost": ("decimal", False), "ContractedUnitPrice": ("decimal", True), "EffectiveCost": ("decimal", False),
    "InvoiceId": ("string", True), "InvoiceIssuerName": ("string", False), "ListCost": ("decimal", False),
    "ListUnitPrice": ("decimal", True), "PricingCategory": ("string", True), "PricingQuantity": ("decimal", True),
    "PricingUnit": ("string", True), "ProviderName": ("string", False), "PublisherName": ("string", False),
    "RegionId": ("string", True), "RegionName": ("string", True), "ResourceId": ("string", True),
    "ResourceName": ("string", True), "ResourceType": ("string", True), "ServiceCategory": ("string", False),
    "ServiceName": ("string", False), "ServiceSubcategory": ("string", True), "SkuId": ("string", True),
    "SkuMeter": ("string", True), "SkuPriceDetails": ("json", True), "SkuPriceId": ("string", True), "Tags": ("json", True),
}  # fmt: skip
"""FOCUS 1.2's columns as the specification and AWS's table of them have them: type, and whether null is allowed. Of the
mandatory ones all are here."""

MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd",
    "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity",
    "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
}  # fmt: skip

FORMS = {
    "decimal": re.compile(r"-?[0-9]+(\.[0-9]+)?"),
    "time": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"),
}


def used(team, meter, quantity, day=1, resource="stream/orders", key="AKID"):
    day_ms = NOVEMBER.start_ms + (day - 1) * DAY_MS
    UsageDay.objects.create(
        team=team.team, resource=resource, meter=meter, day_ms=day_ms, meter_key=key, quantity=quantity
    )


@pytest.fixture
def month(team):
    """Streams, a tier that is passed in the middle of a day, a discount, a correction and a credit."""
    for day in (1, 2, 3):
        used(team, "shard-time", 7 * HOUR_MS + 1_234, day)
        used(team, "payload-units", 1_234_567, day)
        used(team, "delivery-units", 200_000 * GB // 5_120, day, "deliverystream/large")
        used(team, "delivery-units", 7 * GB // 5_120, day, "deliverystream/=small")
    used(team, "advantage-time", 0, 3, "account")
    BilledResource.objects.create(
        team=team.team, resource="stream/orders", tags={"env": "prod", "größe": "=1+1"}, seen_at_ms=1
    )
    Correction.objects.create(
        team=team.team, resource="stream/orders", meter="shard-time", hour_ms=OCTOBER.start_ms, meter_key="",
        quantity=3 * HOUR_MS, reason="late", booked_at_ms=NOW_MS, bill_month="2026-11",
    )  # fmt: skip
    Credit.objects.create(
        team=team.team, amount_cents=123, reason="=HYPERLINK(1)", from_month="2026-11", created_at_ms=1
    )
    book = PriceBook.objects.create(
        region=REGION,
        team=team.team,
        valid_from_ms=NOVEMBER.start_ms,
        percent="-10",
        published_at_ms=1,
        created_at_ms=1,
    )
    assert book.pk
    return team


def statement(team):
    return bills.statement(team.team, REGION, NOVEMBER, NOW_MS)


def rows_of(pieces):
    return list(csv.DictReader(io.StringIO(b"".join(pieces).decode())))


def test_the_table_of_focus_columns_is_the_files():
    assert {one.name: (one.type, one.nullable) for one in focus.COLUMNS} == FOCUS
    assert sorted(FOCUS) == [one.name for one in focus.COLUMNS], "in the order of their names"
    assert {one.name for one in focus.COLUMNS if one.level == "mandatory"} == MANDATORY


def test_the_readme_has_every_column_with_its_meaning():
    text = (Path(focus.__file__).parent / "README.md").read_text()
    for columns in (csv_file.STATEMENT_COLUMNS, csv_file.COSTS_COLUMNS):
        for name, meaning in columns.items():
            assert f"| `{name}` | {meaning} |" in text
    for one in focus.COLUMNS:
        null = "yes" if one.nullable else "no"
        assert f"| `{one.name}` | {one.type} | {null} | {one.level} | {one.meaning} |" in text


def test_focus_rows_are_of_the_right_types_and_add_up_to_the_total(month):
    made = statement(month)
    rows = rows_of(focus.file(made, REGION))
    for row in rows:
        for column in focus.COLUMNS:
            value = row[column.name]
            assert value or column.nullable, column.name
            if value and column.type in FORMS:
                assert FORMS[column.type].fullmatch(value), (column.name, value)
            if value and column.type == "json":
                assert isinstance(json.loads(value), dict)
            assert not value or not column.allowed or value in column.allowed, (column.name, value)
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal(made.total_cents) / 100
    assert {row["ChargeCategory"] for row in rows} == {"Usage", "Credit", "Adjustment"}
    assert [row["BilledCost"] for row in rows if row["ChargeCategory"] == "Credit"] == ["-1.23"]


def test_usage_that_is_booked_while_a_draft_is_written_is_no_rounding(month):
    made = statement(month)
    used(month, "shard-time", 1_000 * HOUR_MS, 4)
    rows = rows_of(focus.file(made, REGION))
    [rounding] = [Decimal(row["BilledCost"]) for row in rows if row["ChargeCategory"] == "Adjustment"]
    assert abs(rounding) < Decimal("0.1")
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal(statement(month).total_cents) / 100


def test_focus_says_what_each_row_is_of(month):
    rows = [row for row in rows_of(focus.file(statement(month), REGION)) if row["ChargeCategory"] == "Usage"]
    for row in rows:
        if row["ChargeClass"] == "Correction":
            assert row["ChargePeriodStart"].startswith("2026-10")
            continue
        for price, cost in (("ContractedUnitPrice", "ContractedCost"), ("ListUnitPrice", "ListCost")):
            off = Decimal(row[price]) * Decimal(row["PricingQuantity"]) - Decimal(row[cost])
            assert abs(off) < Decimal("0.0001"), row
        assert Decimal(row["ContractedCost"]) < Decimal(row["ListCost"]), "ten percent off"
        assert Decimal(row["ConsumedQuantity"]) > 0
        assert row["InvoiceId"] == ""
    shards = next(row for row in rows if row["SkuId"] == "shard-hour")
    assert (shards["ResourceId"], shards["ResourceName"], shards["ResourceType"]) == (
        "stream/orders", "orders", "Data stream",
    )  # fmt: skip
    assert (shards["ConsumedUnit"], shards["PricingUnit"]) == ("millisecond", "shard-hour")
    assert json.loads(shards["Tags"]) == {"env": "prod", "größe": "=1+1"}
    tiers = {row["SkuPriceId"] for row in rows if row["SkuId"] == "delivery-ingestion"}
    assert tiers == {"delivery-ingestion/1", "delivery-ingestion/2"}


def test_a_closed_bill_has_its_number_in_focus(month):
    bill = closing.close(month.team, REGION, NOVEMBER, NOVEMBER.end_ms + DAY_MS)
    rows = rows_of(focus.file(statement(month), REGION))
    assert {row["InvoiceId"] for row in rows} == {bill.number}
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal(bill.total_cents) / 100


def test_csv_and_json_say_what_the_statement_says(month):
    made = statement(month)
    rows = rows_of(csv_file.statement(made))
    assert list(rows[0]) == list(csv_file.STATEMENT_COLUMNS)
    assert [row["billed"] for row in rows] == [cells.money(line.cents) for line in made.lines]
    assert sum(Decimal(row["billed"]) for row in rows) == Decimal(made.total_cents) / 100
    told = json.loads(json_file.text(made))
    assert told["total"] == cells.money(made.total_cents)
    assert [line["billed"] for line in told["lines"]] == [row["billed"] for row in rows]
    assert [line["kind"] for line in told["lines"]][-2:] == ["correction", "credit"]


def test_nothing_in_a_file_is_a_formula(month):
    month.team.name = "=cmd|'/c calc'!A1"
    month.team.save()
    made = statement(month)
    files = [*rows_of(csv_file.statement(made)), *rows_of(focus.file(made, REGION))]
    for row in files:
        for name, value in row.items():
            if not FORMS["decimal"].fullmatch(value):
                assert not value.startswith(("=", "+", "-", "@", "\t")), (name, value)
    assert files[0]["team"] == "'=cmd|'/c calc'!A1"


def test_memory_holds_one_day_however_many_resources_there_are(month, django_assert_max_num_queries):
    made = statement(month)
    with django_assert_max_num_queries(8):
        assert next(focus.rows(made, REGION))["ChargePeriodStart"] == "2026-11-01T00:00:00Z"
    with django_assert_max_num_queries(4 * NOVEMBER.days):
        assert sum(1 for _ in focus.rows(made, REGION)) > 10
