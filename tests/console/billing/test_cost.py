"""Usage and cost: the figures, the ways down, and that they all say the same."""

import re
from fractions import Fraction

import pytest

from apps.accounts.models import Membership
from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import bills, ledger
from apps.billing.ledger import Reading, Series
from apps.billing.models import BillingFlag, Budget, UsageDay, UsageHour
from apps.streams.models import Stream
from console.pages import money
from tests.console.billing.conftest import NOVEMBER, OCTOBER
from tests.console.conftest import text_of
from tests.console.test_hostile import check
from tests.support import hostile_rows
from tests.support.delivery_rows import make_delivery
from tests.support.teams import REGION

PAGE = "/t/first/billing"


def statement(team, served, month=NOVEMBER):
    return bills.statement(team.team, REGION, month, served.clock.now_ms())


def test_before_the_first_request_it_says_what_will_start_metering(client):
    page = text_of(client.get(PAGE))
    assert "Metering starts with the first request." in page
    assert "no payment is taken" in page


def test_the_figures_and_the_breakdown_are_the_statements(client, lived, served):
    answer = client.get(PAGE)
    page, made = text_of(answer), statement(lived, served)
    total = money.money(made.total_cents)
    assert f"<dd>{total}</dd>" in page
    assert f"Total <b>{total}</b>" in page
    assert "80% likely between" in page
    assert "not over, data to" in page
    lines = answer.context["breakdown"].lines
    assert sum(line.group.cents for line in lines) + answer.context["report"].rounding_cents == made.total_cents
    assert {line.label for line in lines} >= {"Shard hours", "PUT payload units", "Delivery stream ingestion"}


def test_every_figure_leads_down_to_its_readings(client, lived):
    address, seen = PAGE, []
    for wanted in ("Shard hours", "orders-events", "Thursday, 19 November 2026", "12:00 to 13:00"):
        page = client.get(address)
        seen.append(page.request["QUERY_STRING"])
        link = re.search(rf'<a class="name" href="([^"]+)"[^>]*>{wanted}</a>', text_of(page))
        assert link, (wanted, address)
        path = link[1].replace("&amp;", "&")
        address = path if path.startswith("/") else f"{PAGE}{path}"
    page = text_of(client.get(address))
    metered = UsageHour.objects.get(resource="stream/orders-events", meter="shard-time", hour_ms__gte=0,
                                    hour_ms=NOVEMBER.start_ms + 18 * DAY_MS + 12 * HOUR_MS).quantity  # fmt: skip
    assert metered == 6 * 24 * HOUR_MS
    assert page.count(f"<b>{metered:,}</b>") == 2, "once in the ledger, once on the meter"
    assert "lived/stream/orders-events" in page
    assert len(set(seen)) == len(seen), "each step is an address of its own"
    ways = [way.replace("&amp;", "&") for way in re.findall(r'href="(/t/first/billing\?[^"]+)"', page)]
    assert len(ways) == 5, "back to the hours, without each of three filters, without all"
    assert [client.get(way).status_code for way in ways] == [200] * len(ways)


def test_both_meters_of_a_dimension_lead_down_to_their_readings(client, team):
    hour_ms = NOVEMBER.start_ms + HOUR_MS
    counted = (
        ("account", "advantage-time", "", HOUR_MS, "commitment"),
        ("stream/s", "advantage-bytes-out", "AKID", 1_000, "log"),
        ("stream/s", "advantage-fan-out-bytes", "app", 5_000, "log"),
    )
    for resource, meter, key, value, log in counted:
        series = Series(f"source/{meter}", meter, hour_ms, key, log)
        ledger.record([Reading(team.team.pk, resource, series, value, hour_ms)])
    day = {"day": "2026-11-01", "dimension": "advantage-data-out"}
    for key, wanted in (({}, 6_000), ({"key": "AKID"}, 1_000), ({"key": "-"}, 5_000)):
        hours = client.get(PAGE, {**day, **key, "group": "hour"}).context["hours"]
        assert [line.metered for line in hours.lines] == [wanted], key
        assert hours.amount == Fraction(wanted, 2**30) * Fraction("0.016"), key
    page = text_of(client.get(f"{PAGE}/readings", {**day, "hour": "01"}))
    assert page.count("<b>1,000</b>") == page.count("<b>5,000</b>") == 2
    missing = text_of(client.get(f"{PAGE}/readings", {**day, "hour": "01", "dimension": "advantage-shortfall-out"}))
    assert "3,600,000 milliseconds" in missing
    assert 'class="scroll" tabindex="0"' in missing, "a narrow screen scrolls it by keyboard"
    assert all(f"source/{meter}" in missing for _, meter, *_ in counted)


def test_storage_says_from_which_hour_it_counts(client, team, served):
    hour_ms = NOVEMBER.start_ms + HOUR_MS
    UsageHour.objects.create(
        team=team.team, resource="stream/s", meter="long-term-storage", hour_ms=hour_ms, meter_key="", quantity=5
    )
    query = {"day": "2026-11-01", "hour": "01", "dimension": "long-term-retention"}
    page = text_of(client.get(f"{PAGE}/readings", query))
    assert "Data counts as stored from the end of the UTC hour in which it came in" in page
    assert "No readings any more" in page
    for wrong in ({"hour": "24"}, {"hour": "x"}, {"dimension": ""}, {"day": ""}):
        assert client.get(f"{PAGE}/readings", query | wrong).status_code == 404, wrong


def test_groups_add_up_to_the_same_total(client, lived, served):
    total = statement(lived, served).total_cents
    for group in ("service", "resource", "tag", "key", "day"):
        answer = client.get(PAGE, {"group": group})
        shown = sum(line.group.cents for line in answer.context["breakdown"].lines)
        assert shown + answer.context["report"].rounding_cents == total, group


def test_tags_and_keys_are_called_by_their_names(client, lived):
    page = text_of(client.get(PAGE, {"group": "tag"}))
    assert "env: prod" in page
    assert "No tag env" in page
    assert "No access key" in text_of(client.get(PAGE, {"group": "key"}))


def test_what_is_filtered_is_named_and_can_be_taken_away(client, lived):
    page = text_of(client.get(PAGE, {"resource": "stream/orders-events", "group": "service"}))
    assert "All, not only data stream orders-events" in page
    assert "Enhanced fan-out data" in page
    assert "Delivery stream ingestion" not in page


def test_a_month_that_is_closed_has_its_statements_total_and_no_forecast(client, lived, served):
    page = text_of(client.get(PAGE, {"month": "2026-10"}))
    assert money.money(statement(lived, served, OCTOBER).total_cents) in page
    assert "Forecast for" not in page
    assert "TG-2026-10-123456789012" in page


def test_what_is_not_understood_is_said(client, team):
    for query, said in (
        ({"month": "2026-13"}, "is no month"),
        ({"month": "2027-01"}, "has not begun"),
        ({"group": "colour"}, "is no way to group"),
        ({"day": "2026-10-05"}, "is no day of November 2026"),
        ({"dimension": "coffee"}, "There is no meter"),
    ):
        assert said in text_of(client.get(PAGE, query)), query


def test_many_rows_are_paged_and_the_others_are_counted(client, team, served):
    now_ms = served.clock.now_ms()
    UsageDay.objects.bulk_create(
        UsageDay(team=team.team, resource=f"stream/s{n:02}", meter="shard-time", day_ms=now_ms // DAY_MS * DAY_MS,
                 meter_key="", quantity=(n + 1) * HOUR_MS)
        for n in range(45)
    )  # fmt: skip
    answer = client.get(PAGE, {"group": "resource"})
    assert "25 others, on 2 other pages" in text_of(answer)
    assert len(answer.context["breakdown"].lines) == 20
    last = client.get(PAGE, {"group": "resource", "page": "3"})
    assert [line.label for line in last.context["breakdown"].lines] == [f"s{n:02}" for n in range(4, -1, -1)]


@pytest.mark.parametrize("group", ["service", "resource", "day"])
def test_usage_that_is_booked_while_the_page_is_made_is_no_rounding(client, lived, served, monkeypatch, group):
    read, once = bills.statement, []

    def busy(*given):
        made = read(*given)
        if not once:
            once.append(UsageDay.objects.create(
                team=lived.team, resource="stream/new", meter="shard-time", day_ms=NOVEMBER.start_ms, meter_key="",
                quantity=10_000 * HOUR_MS,
            ))  # fmt: skip
        return made

    monkeypatch.setattr(bills, "statement", busy)
    answer = client.get(PAGE, {"group": group})
    assert once
    assert abs(answer.context["report"].rounding_cents) < 50
    assert answer.context["statement"].total_cents == statement(lived, served).total_cents


def test_a_budget_is_drawn_against_the_total(client, lived, served):
    total = statement(lived, served).total_cents
    Budget.objects.create(team=lived.team, name="All", amount_cents=total * 2, created_at_ms=1, changed_at_ms=1)
    page = text_of(client.get(PAGE))
    assert "<dd>50% <small>used</small></dd>" in page


def test_flags_are_shown_with_words(client, lived):
    BillingFlag.objects.create(
        team=lived.team, kind="shrunk", resource="stream/orders-events", first_at_ms=1, at_ms=1,
        text="The meter of stream/orders-events showed less than before.",
    )  # fmt: skip
    page = text_of(client.get(PAGE))
    assert "A meter showed less than before" in page
    assert "showed less than before." in page


def test_names_of_strangers_are_text_on_the_way_down(client, team, stream, served):
    delivery, owner = make_delivery(team), Membership.objects.get(user=team.user)
    hostile_rows.write(owner, Stream.objects.get(), delivery, served.clock.now_ms())
    down = {"dimension": "shard-hour", "resource": f"stream/{hostile_rows.PAYLOAD}", "day": "2026-11-01"}
    for query in (
        {"group": "resource"}, {"group": "tag"}, {"group": "key"}, {**down, "group": "hour"},
        {"tag": hostile_rows.PAYLOAD, "value": hostile_rows.PAYLOAD, "group": "service"}, {"key": hostile_rows.PAYLOAD},
    ):  # fmt: skip
        answer = client.get(PAGE, query)
        check(answer)
        assert "onerror" in text_of(answer), query
    readings = client.get(f"{PAGE}/readings", {**down, "hour": "00"})
    check(readings)
    assert text_of(readings).count("onerror") > 5, "in the ledger, the chips and the correction"


def test_the_file_has_what_the_page_shows(client, lived):
    answer = client.get(PAGE, {"group": "resource"})
    sent = client.get(f"{PAGE}/costs.csv", {"group": "resource"})
    rows = [line.split(",") for line in b"".join(sent.streaming_content).decode().splitlines()]
    assert sent["Content-Disposition"] == 'attachment; filename="costs-first-2026-11-resource.csv"'
    costs = {row[3]: row[-2] for row in rows[1:]}
    shown = {line.group.label: f"{line.group.cents / 100:.2f}" for line in answer.context["breakdown"].lines}
    assert {name: costs[name] for name in shown} == shown
    assert round(sum(float(row[-2]) for row in rows[1:]) * 100) == answer.context["report"].total_cents
