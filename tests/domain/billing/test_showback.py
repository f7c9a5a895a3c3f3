"""All teams beside one another are charged what their statements say; the preview of prices is what bills would be."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Team
from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import bills, publishing, recalculation, showback
from apps.billing.bills import State
from apps.billing.dimensions import GB
from apps.billing.models import Bill, CommittedHour, Correction, Credit, Price, PriceBook, UsageDay
from tests.support.operators import CURRENCY, NOVEMBER, REGION

OCTOBER = NOVEMBER.previous
NOW_MS = NOVEMBER.start_ms + 10 * DAY_MS + 5 * HOUR_MS


@pytest.fixture
def teams(db):
    names = ("Acme", "Borealis", "Cedar")
    return [
        Team.objects.create(account_id=f"{n:012}", slug=name.lower(), name=name, created_at_ms=1)
        for n, name in enumerate(names, 1)
    ]


def use(team, meter, quantity, day=0, month=NOVEMBER, resource="stream/s"):
    day_ms = month.start_ms + day * DAY_MS
    UsageDay.objects.create(
        team=team, resource=resource, meter=meter, meter_key="", day_ms=day_ms, quantity=quantity
    )  # fmt: skip


def book(team, from_ms, percent="0", published=True, **prices):
    made = PriceBook.objects.create(
        region=REGION, team=team, valid_from_ms=from_ms, percent=percent, created_at_ms=1,
        published_at_ms=1 if published else None,
    )  # fmt: skip
    for name, each in prices.items():
        Price.objects.create(book=made, dimension=name.replace("_", "-"), tiers=[[None, each]])
    return made


def by_slug(month=NOVEMBER, now_ms=NOW_MS):
    return {one.slug: one for one in showback.of_month(REGION, month, now_ms).teams}


def statement(team, month=NOVEMBER):
    return bills.statement(team, REGION, month, NOW_MS)


def test_every_team_is_charged_what_its_statement_says(teams):
    acme, borealis, cedar = teams
    for day in range(11):
        use(acme, "shard-time", 1_000 * HOUR_MS + 7 * day, day)
        use(borealis, "delivery-units", 50_000_000_000 + day, day, resource="deliverystream/d")
    use(cedar, "records-in", 5)
    use(acme, "shard-time", 100 * HOUR_MS, month=OCTOBER)
    book(acme, NOVEMBER.start_ms + 3 * DAY_MS, "-12.5")
    book(None, NOVEMBER.start_ms + 6 * DAY_MS, shard_hour="0.0177")
    for hour in range(3):
        CommittedHour.objects.create(
            team=borealis, hour_ms=NOVEMBER.start_ms + hour * HOUR_MS, meter="advantage-time", quantity=HOUR_MS
        )
    Correction.objects.create(
        team=acme, resource="stream/s", meter="shard-time", hour_ms=OCTOBER.start_ms, meter_key="", quantity=HOUR_MS * 99,
        reason="late", booked_at_ms=NOW_MS, bill_month=str(NOVEMBER),
    )  # fmt: skip
    for team in (acme, cedar):
        Credit.objects.create(team=team, amount_cents=999, reason="Sorry", from_month="2026-10", created_at_ms=1)
    shown = by_slug()
    for team in teams:
        said = statement(team)
        found = shown[team.slug]
        assert (found.usage_cents, found.credits_cents, found.total_cents) == (
            said.usage_cents,
            said.credits_cents,
            said.total_cents,
        )
        assert (found.state, found.number) == (State.DRAFT, said.number)
    assert shown["acme"].credits_cents == 999 - 150  # the draft of October takes some first
    assert shown["cedar"].total_cents == 0
    assert shown["borealis"].usage_cents > 1_000_000


def test_margins_are_against_everybodys_prices_and_against_awss(teams):
    acme, borealis, _ = teams
    for team in (acme, borealis):
        use(team, "shard-time", 1_000 * HOUR_MS)
        use(team, "bytes-in", 4 * GB)
        use(team, "fan-out-bytes", GB)
        use(team, "bytes-out", 2 * GB)
    book(None, NOVEMBER.start_ms, shard_hour="0.02", fan_out_data="0.013")
    book(acme, NOVEMBER.start_ms, shard_hour="0.03", fan_out_data="0.013")
    book(borealis, NOVEMBER.next.start_ms, "50")
    shown = by_slug()
    first, second = shown["acme"], shown["borealis"]
    assert (first.usage_cents, first.standard_cents, first.list_cents) == (3001, 2001, 1501)
    assert (first.margin_cents, first.above_list_cents, first.has_own_prices) == (1000, 1500, True)
    assert (second.margin_cents, second.above_list_cents, second.has_own_prices) == (0, 500, False)
    assert (first.bytes_in, first.bytes_out) == (4 * GB, 3 * GB)
    assert first.per_gb * 400 == 3001
    assert shown["cedar"].per_gb is None


def test_the_same_full_days_of_the_month_before_are_compared(teams):
    acme, *_ = teams
    use(acme, "shard-time", 2_000 * HOUR_MS, day=9)
    use(acme, "shard-time", 9_000 * HOUR_MS, day=10)
    use(acme, "shard-time", 1_000 * HOUR_MS, day=9, month=OCTOBER)
    use(acme, "shard-time", 8_000 * HOUR_MS, day=10, month=OCTOBER)
    found = by_slug()["acme"]
    assert (found.same_cents, found.before_cents, found.change) == (3000, 1500, 1)
    assert showback.of_month(REGION, NOVEMBER, NOW_MS).same_days == 10
    first_day = by_slug(now_ms=NOVEMBER.start_ms + 1)["acme"]
    assert (first_day.same_cents, first_day.change) == (None, None)
    over = by_slug(now_ms=NOVEMBER.end_ms)["acme"]
    assert (over.same_cents, over.before_cents) == (16500, 13500)


def test_closed_bills_stand_and_those_of_deleted_teams_are_there(teams):
    acme, *_ = teams
    use(acme, "shard-time", 1_000 * HOUR_MS, month=OCTOBER)
    for team, number, usage, taken in ((acme, "A", 1490, 90), (None, "B", 70, 0)):
        Bill.objects.create(
            team=team, account_id="000000000001", team_name="Acme", month=str(OCTOBER), number=number, currency=CURRENCY,
            usage_cents=usage, credits_cents=taken, total_cents=usage - taken, closed_at_ms=1, usage_digest="",
        )  # fmt: skip
    acme_row, *_, gone = showback.of_month(REGION, OCTOBER, NOW_MS).teams
    assert (acme_row.state, acme_row.usage_cents, acme_row.total_cents) == (State.CLOSED, 1490, 1400)
    assert (acme_row.standard_cents, acme_row.list_cents) == (1490, 1500)
    assert (gone.team_id, gone.number, gone.total_cents, gone.margin_cents) == (None, "B", 70, None)
    assert by_slug(now_ms=NOVEMBER.end_ms)["acme"].before_cents == 1490


def queries(action):
    with CaptureQueriesContext(
        connection,
    ) as made:
        action()
    return len(made)


def test_more_teams_need_no_more_queries(teams):
    def look():
        showback.of_month(REGION, NOVEMBER, NOW_MS)

    use(teams[0], "shard-time", HOUR_MS)
    book(teams[0], NOVEMBER.start_ms, "5")
    few = queries(look)
    for n in range(40):
        team = Team.objects.create(account_id=f"9{n:011}", slug=f"t{n}", name=f"T{n}", created_at_ms=1)
        use(team, "shard-time", HOUR_MS)
        book(team, NOVEMBER.start_ms, "5")
    assert queries(look) == few <= 12


def test_the_preview_is_what_the_bills_would_be(teams):
    acme, borealis, _ = teams
    for team in (acme, borealis):
        use(team, "shard-time", 1_000 * HOUR_MS, month=OCTOBER)
        use(team, "shard-time", 500 * HOUR_MS, day=4)
    book(acme, NOVEMBER.start_ms + DAY_MS, "-50")
    draft = book(None, NOVEMBER.next.start_ms, published=False, shard_hour="0.03")
    seen = recalculation.preview(draft, NOW_MS)
    shown = {one.slug: (one.last.now, one.last.tried, one.this.now, one.this.tried) for one in seen.teams}
    assert shown == {"acme": (1500, 3000, 375, 750), "borealis": (1500, 3000, 750, 1500)}
    assert (seen.last.change, seen.this.change) == (3000, 1125)
    PriceBook.objects.filter(pk=draft.pk).update(published_at_ms=1, valid_from_ms=OCTOBER.start_ms)
    assert [statement(team).usage_cents for team in (acme, borealis)] == [750, 1500]


def test_the_preview_of_a_teams_book_is_of_that_team(teams):
    acme, borealis, _ = teams
    for team in (acme, borealis):
        use(team, "shard-time", 1_000 * HOUR_MS, month=OCTOBER)
    draft = book(acme, NOVEMBER.next.start_ms, "-10", published=False)
    [only] = recalculation.preview(draft, NOW_MS).teams
    assert (only.slug, only.last.now, only.last.tried) == ("acme", 1500, 1350)
    assert {change.dimension for change in publishing.changes(draft)} >= {"shard-hour", "delivery-ingestion"}
