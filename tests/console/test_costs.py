"""Costs beside their causes: the same money as the statement, for people who may see it, before and after a change."""

import re

import pytest
from django.urls import reverse

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import bills
from apps.billing.models import Budget, BudgetAlert, Credit, Price, PriceBook, UsageDay
from apps.billing.months import Month
from apps.streams.models import Consumer, Stream
from tests.console.conftest import signed_in_as, text_of
from tests.support.delivery_rows import make_delivery
from tests.support.teams import REGION


def used(team, meter, quantity, resource="stream/orders", key="", day_ms=None, *, now_ms):
    day_ms = now_ms // DAY_MS * DAY_MS if day_ms is None else day_ms
    row = {"team": team.team, "resource": resource, "meter": meter, "day_ms": day_ms, "meter_key": key}
    UsageDay.objects.create(**row, quantity=quantity)


@pytest.fixture
def busy(team, stream, served):
    """`orders` has cost $1.50 for shards and $1.40 for a billion small records this month."""
    now_ms = served.clock.now_ms()
    used(team, "shard-time", 100 * HOUR_MS, now_ms=now_ms)
    for meter, quantity in (("records-in", 10**8), ("payload-units", 10**8), ("bytes-in", 10**11)):
        used(team, meter, quantity, key="AKIA", now_ms=now_ms)
    used(team, "shard-time", 50 * HOUR_MS, "stream/gone", now_ms=now_ms)
    return now_ms


@pytest.fixture
def stranger_to_money(team, served):
    """A viewer's browser: the role has no billing:read."""
    return signed_in_as(team, "viewer")


def page_of(client, name, *args, **query):
    response = client.get(reverse(name, args=["first", *args]), query)
    assert response.status_code == 200, response.status_code
    return text_of(response)


def words(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_the_overview_has_the_statements_total(client, team, busy):
    statement = bills.statement(team.team, REGION, Month.at(busy), busy)
    assert statement.total_cents == 365
    assert 'hx-get="/t/first/overview-cost"' in page_of(client, "overview")
    cell = words(page_of(client, "overview-cost"))
    assert cell.startswith("Cost, Nov to date $3.65 no forecast yet : ")


def test_the_overview_foretells_the_month(client, team, stream, served):
    now_ms = served.clock.now_ms()
    for days in range(1, 12):
        used(team, "shard-time", 1_000 * HOUR_MS, day_ms=(now_ms // DAY_MS - days) * DAY_MS, now_ms=now_ms)
    assert words(page_of(client, "overview-cost")).endswith("$165.00 forecast $330 , most likely $330")
    Credit.objects.create(team=team.team, amount_cents=500, reason="goodwill", from_month="2026-11", created_at_ms=1)
    assert words(page_of(client, "overview-cost")).endswith("$160.00 forecast $330 , most likely $330, before credits")


def test_the_overview_of_a_team_without_streams_says_what_it_costs(client, team, served):
    assert "Cost, " not in words(page_of(client, "overview"))
    used(team, "shard-time", 100 * HOUR_MS, "stream/gone", now_ms=served.clock.now_ms())
    page = words(page_of(client, "overview"))
    assert "From nothing to the first record" in page
    assert "Cost, Nov to date $1.50" in page
    assert "$" not in words(text_of(signed_in_as(team, "viewer").get("/t/first"))).replace("${", "")


def test_lists_and_details_say_what_each_has_cost(client, team, busy):
    link = '<a class="link" href="/t/first/billing?resource=stream%2Forders"'
    assert f'{link} title="Cost of orders in Nov, to date">$2.90</a>' in page_of(client, "streams")
    assert f"{link}>$2.90</a> to date" in page_of(client, "stream", "orders")


@pytest.mark.parametrize(("name", "most"), [("streams", 6), ("delivery-streams", 7), ("queues", 6)])
def test_lists_ask_as_few_questions_under_books_of_prices(
    client, team, busy, name, most, django_assert_max_num_queries
):
    for kind in ("stream", "deliverystream", "queue"):
        used(team, "fan-out-bytes", 10**12, f"{kind}/orders", now_ms=busy)
    make_delivery(team, "orders")
    for of, day in ((None, 0), (None, 5), (team.team, 9)):
        from_ms = Month.at(busy).start_ms + day * DAY_MS
        book = PriceBook.objects.create(
            region=REGION, team=of, valid_from_ms=from_ms, percent="-10", published_at_ms=1, created_at_ms=1
        )
        Price.objects.create(book=book, dimension="fan-out-data", tiers=[["100", "0"], [None, f"0.0{day + 1}"]])
    page_of(client, name)
    # Session, person, memberships; the sidebar with the books, the rows, their costs. Channels are a list of their own.
    with django_assert_max_num_queries(most):
        page_of(client, name)


def test_who_may_not_see_money_sees_no_hole(stranger_to_money, team, busy):
    for name, args in (
        ("overview", ()), ("streams", ()), ("stream", ("orders",)), ("stream-consumers", ("orders",)),
        ("stream-configuration", ("orders",)), ("stream-records", ("orders",)), ("queues", ()),
    ):  # fmt: skip
        response = stranger_to_money.get(reverse(name, args=["first", *args]))
        if response.status_code == 200:
            page = text_of(response)
            assert "$" not in words(page).replace("${", ""), name
            assert "Cost, " not in page, name
    assert "Furthest behind" in text_of(stranger_to_money.get("/t/first"))
    assert stranger_to_money.get(reverse("overview-cost", args=["first"])).status_code == 403


def test_each_consumer_has_its_cost_and_the_next_one_its_price(client, team, busy):
    stream = Stream.objects.get(name="orders")
    Consumer.objects.create(stream=stream, name="reader", status="ACTIVE", created_at_ms=busy)
    used(team, "consumer-time", 40 * HOUR_MS, key="reader", now_ms=busy)
    page = words(page_of(client, "stream-consumers", "orders"))
    assert "$0.60" in page
    # Two shards for 720 hours at $0.015, and what is pushed.
    assert "Enhanced fan-out consumers $21.60 $43.20" in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"part": "retention", "amount": "7", "unit": "days"}, "Costs $28.80 more a month"),
        ({"part": "monitoring", "metrics": ["IncomingBytes", "OutgoingBytes"]}, "Costs $1.20 more a month"),
        ({"part": "mode", "mode": "PROVISIONED"}, "Costs the same as now"),
        ({"part": "retention", "amount": "24", "unit": "hours"}, "Costs the same as now"),
        ({"part": "retention", "amount": "no", "unit": "days"}, ""),
    ],
)
def test_an_edit_says_what_it_costs_before_it_is_saved(client, team, stream, query, said):
    part = words(page_of(client, "stream-cost", "orders", **query))
    assert said in part
    if said:
        assert "without traffic, which comes on top" in part
        page = client.post(reverse("stream-configuration", args=["first", "orders"]), {**query, "price": "1"})
        assert said in words(text_of(page))
    assert Stream.objects.get(name="orders").retention_hours == 24


def test_only_what_costs_has_a_price(client, stranger_to_money, team, stream):
    assert client.get(reverse("stream-cost", args=["first", "orders"]), {"part": "tags"}).status_code == 404
    part = reverse("stream-cost", args=["first", "orders"])
    assert words(text_of(stranger_to_money.get(part, {"part": "mode", "mode": "ON_DEMAND"}))) == ""


@pytest.mark.parametrize(
    ("name", "query", "said"),
    [
        ("stream-split", {}, "Costs $10.80 more a month"),
        ("stream-merge", {}, "Costs $10.80 less a month"),
        ("stream-count", {"count": "4"}, "Costs $21.60 more a month : $43.20 instead of $21.60 in a month of 30 days"),
    ],
)
def test_resharding_says_what_it_costs(client, team, stream, name, query, said):
    assert said in words(page_of(client, name, "orders", **query))


def test_a_new_stream_has_an_estimate(client, team, served):
    beside = reverse("stream-create-beside", args=["first"])
    page = words(text_of(client.get(beside, {"mode": "PROVISIONED", "shards": "4", "rate": "100", "size": "35"})))
    assert "2,880 shard-hours \N{MULTIPLICATION SIGN} $0.0150 $43.20" in page
    assert "Together $50.46" in page
    page = words(text_of(client.get(beside, {"mode": "ON_DEMAND", "retention": "168", "rate": "1000", "size": "1.5"})))
    assert "Together $646.79" in page
    assert "without traffic" in words(text_of(client.get(beside, {"shards": "4", "rate": "x"})))


def test_a_new_delivery_stream_has_an_estimate(client, team, served):
    beside = reverse("delivery-create-beside", args=["first"])
    typed = {"kind": "s3", "source": "direct", "expected_rate": "500", "expected_kib": "3"}
    assert "Together $179.21" in words(text_of(client.post(beside, typed)))
    assert "costs by what goes through it" in words(text_of(client.post(beside, {"kind": "s3", "source": "direct"})))


def test_what_a_read_costs_is_said_before_it(client, team, stream):
    assert "Getting records costs nothing." in page_of(client, "stream-records", "orders")
    Stream.objects.update(mode="ON_DEMAND")
    assert "Getting records costs $0.0400 a GB." in page_of(client, "stream-records", "orders")
    Stream.objects.update(mode="PROVISIONED", retention_hours=169)
    assert "those older than 7 days cost $0.0210 a GB" in page_of(client, "stream-records", "orders")


def test_queues_say_what_they_cost(client, team, served):
    assert "Queues cost nothing at today's prices." in page_of(client, "queues").replace("&#x27;", "'")
    book = PriceBook.objects.create(region=REGION, valid_from_ms=0, published_at_ms=1, created_at_ms=1)
    Price.objects.create(book=book, dimension="queue-hour", tiers=[[None, "0.01"]])
    Price.objects.create(book=book, dimension="queue-data", tiers=[[None, "0.02"]])
    assert "A queue costs $7.20 in a month of 30 days, and $0.02 a GB received." in page_of(client, "queues")


def test_a_spent_budget_needs_attention(client, stranger_to_money, team, stream, served):
    now_ms = served.clock.now_ms()
    budget = Budget.objects.create(
        team=team.team, name="November", amount_cents=100, created_at_ms=1, changed_at_ms=1, thresholds=[50, 100]
    )
    for threshold, forecast in ((50, False), (100, True), (100, False)):
        BudgetAlert.objects.create(
            budget=budget, month=str(Month.at(now_ms)), threshold=threshold, forecast=forecast, spent_cents=104,
            amount_cents=100, at_ms=now_ms,
        )  # fmt: skip
    page = words(page_of(client, "overview"))
    assert page.count("Budget: ") == 1
    assert "Budget: 100% of $1.00 are spent" in page
    assert "Budget:" not in words(text_of(stranger_to_money.get("/t/first")))
