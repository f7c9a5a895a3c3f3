"""Rate card, price books, showback and credits, as pages."""

import re

import pytest

from apps.access.models import AuditEntry
from apps.accounts.models import Membership, Team, User
from apps.base.units import DAY_MS, HOUR_MS
from apps.billing.dimensions import GB
from apps.billing.models import Bill, Credit, Price, PriceBook, UsageDay
from apps.billing.months import Month
from console import calls
from tests.console.conftest import other_team, signed_in_as, text_of
from tests.console.test_hostile import check
from tests.support.operators import CURRENCY, REGION

BOOKS = "/t/first/billing/books"
NOTHING = "\N{EN DASH}"
OPERATORS_PAGES = ("books", "showback", "showback.csv", "credits", "showback/teams/first")


@pytest.fixture
def operator(client, team):
    """The owner's browser; they run the installation."""
    User.objects.filter(pk=team.user.pk).update(is_staff=True)
    return client


@pytest.fixture
def month(served):
    return Month.at(calls.now_ms())


def use(team, meter, quantity, month, day=0):
    day_ms = month.start_ms + day * DAY_MS
    UsageDay.objects.create(team=team, resource="stream/s", meter=meter, meter_key="", day_ms=day_ms, quantity=quantity)


def own_book(team, from_ms, percent="0", prices=()):
    made = PriceBook.objects.create(
        region=REGION, team=team, valid_from_ms=from_ms, percent=percent, created_at_ms=1, published_at_ms=1
    )
    for name, tiers in dict(prices).items():
        Price.objects.create(book=made, dimension=name, tiers=tiers)
    return made


def row_of(page, words):
    """The text of the table row that has these words, tags taken out."""
    [row] = [part for part in re.findall(r"<tr.*?</tr>", page, re.DOTALL) if words in part]
    return " ".join(re.sub(r"<[^>]*>", " ", row).replace(NOTHING, "none").split())


def test_everybody_who_sees_costs_sees_the_teams_prices(team, served, month):
    own_book(team.team, month.start_ms, "-10", {"fan-out-data": [["10", "0"], [None, "0.02"]]})
    page = text_of(signed_in_as(team, "billing").get("/t/first/billing/rates"))
    assert "$0.0135 everybody: $0.0150" in row_of(page, 'mono">shard-hour<')
    assert "-10%" in row_of(page, 'mono">shard-hour<')
    assert "free up to 10 $0.0200 above" in row_of(page, 'mono">fan-out-data<')
    assert "other tiers" in row_of(page, 'mono">fan-out-data<')
    assert "Own price" in row_of(page, 'mono">fan-out-data<')
    assert "Rate only" in row_of(page, 'mono">flink-kpu-hour<')
    assert "Rate only" not in row_of(page, 'mono">advantage-shortfall-in<')
    assert "Unconfirmed, check it" in row_of(page, 'mono">shard-metric<')
    assert "AWS publishes none, check it" in row_of(page, 'mono">queue-hour<')
    assert "up to 512,000" in row_of(page, 'mono">delivery-ingestion<')
    assert "Everybody&#x27;s prices less 10%" in page
    assert "billing/books" not in page
    assert signed_in_as(team, "analyst").get("/t/first/billing/rates").status_code in {200, 403}


def test_prices_of_another_day(client, team, month):
    own_book(None, month.next.start_ms, prices={"shard-hour": [[None, "0.02"]]})
    page = text_of(client.get("/t/first/billing/rates"))
    assert re.search(r"\$0\.0150 from 1 \w+ \d+: \$0\.0200", row_of(page, 'mono">shard-hour<'))
    later = text_of(client.get(f"/t/first/billing/rates?on={month.next}-01"))
    assert "$0.0200" in row_of(later, 'mono">shard-hour<')
    assert "+33.3%" in row_of(later, 'mono">shard-hour<')
    wrong = client.get("/t/first/billing/rates?on=moon")
    assert wrong.status_code == 422
    assert 'value="moon"' in text_of(wrong)
    assert "Write the day as 2026-11-30." in text_of(wrong)


@pytest.mark.parametrize("page", OPERATORS_PAGES)
def test_the_operators_pages_are_not_there_for_others(client, team, page):
    address = f"/t/first/billing/{page}"
    assert client.get(address).status_code == client.post(address, {}).status_code == 404
    assert "/billing/showback" not in text_of(client.get("/t/first/billing/rates"))
    User.objects.filter(pk=team.user.pk).update(is_staff=True)
    assert client.get(address).status_code == 200
    other = other_team()
    User.objects.filter(pk=other.user.pk).update(is_staff=True)
    client.force_login(other.user)
    assert client.get(address).status_code == 404


def test_a_draft_is_made_edited_previewed_and_published(operator, team, month):
    use(team.team, "shard-time", 1_000 * HOUR_MS, month)
    made = operator.post(BOOKS, {"team": "", "source": "present"})
    address = made["Location"]
    pk = address.rpartition("/")[2]
    page = text_of(operator.get(address))
    assert 'name="price-shard-hour" value="0.015"' in page
    form = {f"price-{p.dimension}": p.tiers[0][1] for p in Price.objects.all() if len(p.tiers) == 1}
    form |= {"valid_from": f"{month.next}-01", "note": "Dearer shards"}
    wrong = operator.post(address, {**form, "price-shard-hour": "-1", "price-fan-out-hour": "", "valid_from": "soon"})
    assert wrong.status_code == 422
    said = text_of(wrong)
    for shown in ('value="-1"', 'value="soon"', 'id="id_price-shard-hour_err"', 'id="id_price-fan-out-hour_err"'):
        assert shown in said
    assert 'href="#id_price-fan-out-hour">Enhanced fan-out consumers</a>' in said
    assert not AuditEntry.objects.filter(operation="UpdatePriceBook").exists()
    saved = operator.post(address, {**form, "price-shard-hour": "0.0300", "then": "publish"})
    assert saved["Location"] == f"{address}/publish"
    page = text_of(operator.get(saved["Location"]))
    assert "$0.0150 $0.0300 +100%" in row_of(page, ">Shard hours<")
    assert "$15.00 $30.00 +$15.00" in row_of(page, ">First<")
    assert "Nothing" not in row_of(page, ">First<")
    seen = re.search(r'name="seen" value="(\w+)"', page)[1]
    stale = operator.post(f"{address}/publish", {"seen": "other"})
    assert stale.status_code == 422
    assert "changed meanwhile" in text_of(stale)
    assert operator.post(f"{address}/publish", {"seen": seen})["Location"] == address
    page = text_of(operator.get(address))
    assert "planned" in page
    assert "<input" not in page.partition('id="main"')[2].partition("</main>")[0]
    assert AuditEntry.objects.filter(operation="PublishPriceBook", resource=f"price-book/{pk}").exists()
    operator.post(f"{address}/withdraw")
    assert PriceBook.objects.get().published_at_ms is None
    assert operator.post(f"{address}/delete", {"name": "book"}).status_code == 422
    operator.post(f"{address}/delete", {"name": f"book {pk}"})
    assert not PriceBook.objects.exists()


def test_tiers_are_edited_row_by_row(operator, team):
    address = operator.post(BOOKS, {"team": "", "source": "list"})["Location"] + "/prices/delivery-ingestion"
    page = text_of(operator.get(address))
    assert 'name="up_to_0" value="512000"' in page
    more = text_of(operator.post(address, {"rows": "3", "do": "add", "up_to_0": "7"}))
    assert 'name="up_to_3"' in more
    assert 'name="up_to_0" value="7"' in more
    rows = {
        "rows": "3",
        "do": "save",
        "free": "5",
        "up_to_0": "100",
        "price_0": "2",
        "up_to_1": "50",
        "price_1": "1",
        "price_2": "0.5",
    }
    wrong = operator.post(address, rows)
    assert wrong.status_code == 422
    assert 'id="id_up_to_1_err"' in text_of(wrong)
    assert 'value="50"' in text_of(wrong)
    assert operator.post(address, {**rows, "up_to_1": "500"}).status_code == 302
    stored = Price.objects.get(dimension="delivery-ingestion").tiers
    assert stored == [["5", "0"], ["100", "2"], ["500", "1"], [None, "0.5"]]
    assert operator.get(address.replace("delivery-ingestion", "moon")).status_code == 404


def test_a_teams_own_book(operator, team, month):
    address = operator.post(BOOKS, {"team": "first", "source": "present"})["Location"]
    form = {"valid_from": f"{month}-01", "valid_to": f"{month}-28", "percent": "1001"}
    wrong = operator.post(address, form)
    assert 'id="id_percent_err"' in text_of(wrong)
    assert operator.post(address, {**form, "percent": "-20", "price-queue-hour": "2"}).status_code == 302
    page = text_of(operator.get(address))
    assert "$0.0120" in row_of(page, 'mono">shard-hour<')
    assert f'value="{month}-28"' in page
    operator.post(f"{address}/prices/queue-hour", {"rows": "1", "do": "remove"})
    assert not Price.objects.exists()


def test_dates_in_closed_months_are_refused_at_publishing(operator, team, month):
    Bill.objects.create(
        team=team.team, account_id="1", team_name="First", month=str(month), number="A", currency=CURRENCY, usage_cents=0,
        total_cents=0, closed_at_ms=1, usage_digest="",
    )  # fmt: skip
    address = operator.post(BOOKS, {"team": "", "source": "present"})["Location"]
    PriceBook.objects.update(valid_from_ms=month.start_ms)
    page = text_of(operator.get(f"{address}/publish"))
    assert "are closed and keep their prices" in page
    assert '<button class="btn btn-primary">Publish' not in page


def test_all_teams_on_one_page(operator, team, month):
    acme = Team.objects.create(account_id="000000000002", slug="acme", name="=Acme", created_at_ms=1)
    use(team.team, "shard-time", 1_000 * HOUR_MS, month)
    use(team.team, "bytes-in", 3 * GB, month)
    use(acme, "shard-time", 3_000 * HOUR_MS, month)
    own_book(team.team, month.start_ms, "20")
    Credit.objects.create(team=acme, amount_cents=500, reason="Sorry", from_month=str(month), created_at_ms=1)
    bill = Bill.objects.create(
        team=None, account_id="3", team_name="Gone", month=str(month), number="TG-GONE", currency=CURRENCY, usage_cents=100,
        total_cents=100, closed_at_ms=1, usage_digest="",
    )  # fmt: skip
    bill.lines.create(
        position=1, kind="usage", service="Data Streams", dimension="fan-out-data", title="Enhanced fan-out data", metered="1",
        quantity="1", unit="GB", price="1", from_ms=month.start_ms, to_ms=month.end_ms, amount="1", amount_cents=100,
    )  # fmt: skip
    page = text_of(operator.get("/t/first/billing/showback"))
    assert "$18.00 none $18.00 31%" in row_of(page, ">First<")
    assert row_of(page, ">First<").endswith("3 0 $6.0000 $3.00 $3.00")
    assert "$45.00 -$5.00 $40.00 68%" in row_of(page, ">=Acme<")
    assert "$1.00 none $1.00 2%" in row_of(page, ">Gone<")
    assert "$64.00 -$5.00 $59.00" in row_of(page, "3 rows")
    names = re.findall(r'class="name" href="[^"]*/billing/showback/\w+/([\w-]+)', page)
    assert names == ["acme", "first", "TG-GONE"]
    by_name = text_of(operator.get("/t/first/billing/showback?sort=name&q=fi"))
    assert re.findall(r'class="name" href="[^"]*/billing/showback/\w+/([\w-]+)', by_name) == ["first"]
    lines = text_of(operator.get("/t/first/billing/showback.csv")).splitlines()
    assert lines[1].startswith(
        f"{month},'=Acme,acme,000000000002,draft,TG-{month}-000000000002,USD,45.00,5.00,40.00,67.7966,"
    )
    assert len(lines) == 4
    gone = text_of(operator.get("/t/first/billing/showback/bills/TG-GONE"))
    assert "Gone" in gone
    assert "$1.00" in gone
    assert "$45.00" in text_of(operator.get("/t/first/billing/showback/teams/acme"))


@pytest.mark.parametrize("query", ["?month=moon", "?month=2999-01", "?month=1999-12"])
def test_months_that_are_none(operator, query):
    assert operator.get(f"/t/first/billing/showback{query}").status_code == 404


def test_a_credit_is_given_and_taken_back(operator, team, month):
    address = "/t/first/billing/credits"
    assert str(team.team.pk) in text_of(operator.get(f"{address}?team=first"))
    form = {
        "team": team.team.pk,
        "amount": "1.999",
        "reason": "Sorry for Monday",
        "from_month": str(month),
        "to_month": "",
    }
    wrong = operator.post(address, form)
    assert wrong.status_code == 422
    assert 'value="1.999"' in text_of(wrong)
    assert 'id="id_amount_err"' in text_of(wrong)
    for bad in ({"amount": "0"}, {"from_month": "May"}, {"to_month": "2020-01"}, {"team": "999"}, {"reason": " "}):
        assert operator.post(address, {**form, "amount": "20", **bad}).status_code == 422, bad
    assert operator.post(address, {**form, "amount": "20"}).status_code == 302
    given = Credit.objects.get()
    assert (given.amount_cents, given.created_by) == (2000, team.user.email)
    assert "$20.00 $20.00 Open" in row_of(text_of(operator.get(address)), ">First<")
    take_back = f"{address}/{given.pk}/take-back"
    assert "Sorry for Monday" in text_of(operator.get(take_back))
    assert operator.post(take_back).status_code == 302
    assert not Credit.objects.exists()
    trail = AuditEntry.objects.filter(resource=f"credit/{given.pk}").values_list("operation", flat=True)
    assert sorted(trail) == ["GiveCredit", "TakeBackCredit"]


def test_a_credit_that_a_bill_used_stays(operator, team, month):
    credit = Credit.objects.create(team=team.team, amount_cents=9, reason="x", from_month=str(month), created_at_ms=1)
    bill = Bill.objects.create(
        team=team.team, account_id="1", team_name="First", month=str(month), number="A", currency=CURRENCY, usage_cents=9,
        credits_cents=9, total_cents=0, closed_at_ms=1, usage_digest="",
    )  # fmt: skip
    credit.uses.create(bill=bill, amount_cents=9)
    refused = operator.post(f"/t/first/billing/credits/{credit.pk}/take-back")
    assert refused.status_code == 422
    assert "what is on a bill stays" in text_of(refused)
    late = {"team": team.team.pk, "amount": "1", "reason": "x", "from_month": str(month)}
    assert "is closed" in text_of(operator.post("/t/first/billing/credits", late))


def test_many_teams_need_no_more_queries(operator, team, month, django_assert_max_num_queries):
    for n in range(60):
        made = Team.objects.create(account_id=f"9{n:011}", slug=f"t{n}", name=f"T{n}", created_at_ms=1)
        use(made, "shard-time", HOUR_MS, month)
    Membership.objects.filter(user=team.user).update(last_seen_at_ms=calls.now_ms())
    with django_assert_max_num_queries(18):
        assert operator.get("/t/first/billing/showback").status_code == 200


def test_what_is_written_into_notes_and_reasons_is_text(operator, team, month):
    said = '"><img src=x onerror=alert(1)>{{ 7|add:7 }}</script><h1>owned</h1>'
    Team.objects.create(account_id="000000000002", slug="acme", name=said[:80], created_at_ms=1)
    address = operator.post(BOOKS, {"team": "acme", "source": "present"})["Location"]
    PriceBook.objects.update(note=said, percent="5")
    credit = Credit.objects.create(
        team=team.team, amount_cents=9, reason=said, from_month=str(month), created_at_ms=1, created_by=said
    )
    use(team.team, "shard-time", 1_000 * HOUR_MS, month)
    Bill.objects.create(
        team=None, account_id="3", team_name=said[:100], month=str(month), number="TG-GONE", currency=CURRENCY, usage_cents=1,
        total_cents=1, closed_at_ms=1, usage_digest="",
    )  # fmt: skip
    for path in (
        BOOKS, address, f"{address}/publish", f"{address}/delete", "/t/first/billing/showback", "/t/first/billing/credits",
        f"/t/first/billing/credits/{credit.pk}/take-back", "/t/first/billing/showback/bills/TG-GONE",
        f"/t/first/billing/showback/teams/first?month={month}", "/t/first/billing/showback/teams/acme",
    ):  # fmt: skip
        assert "&lt;h1&gt;owned" in check(operator.get(path)), path
    typed = operator.post(address, {"note": said, "valid_from": said, "percent": said, "price-shard-hour": said[:40]})
    check(typed, typed=True)
    for name in ("note", "valid_from"):
        assert re.search(rf'name="{name}"[^>]*value="&quot;&gt;&lt;img', text_of(typed)), name
