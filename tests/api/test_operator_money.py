"""What people who run the installation do with money over REST: corrections, flags, credits, price books, showback."""

import pytest

from apps.access.models import AuditEntry
from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import bills, booking, closing
from apps.billing.models import BillingFlag, Correction, Credit, CreditUse, PriceBook
from apps.billing.months import Month
from apps.teams import billing_books
from tests.api.conforming import conforming
from tests.support.operators import NOVEMBER, REGION, make_operator
from tests.support.teams import make_team

OCTOBER = NOVEMBER.previous
HOUR = NOVEMBER.start_ms + 5 * HOUR_MS


@pytest.fixture
def other(db):
    return make_team("210987654321", "other", "AKIDOTHER", email="boss@example.test")


@pytest.fixture
def boss(team, other, served):
    """The first team's owner, who runs the installation; the other team is none of theirs."""
    return conforming(make_operator(team).user, team.team)


def use(team, quantity, hour_ms=HOUR, meter="shard-time"):
    booking.book({(team.team.pk, "stream/s", meter, hour_ms, ""): quantity}, hour_ms)


def correction(**values):
    wanted = {"team": "other", "resource": "stream/s", "meter": "shard-time", "hour_ms": HOUR, "quantity": "-40"}
    return wanted | {"note": "Counted twice"} | values


def test_nobody_else_finds_any_of_it(team, other, served):
    owner = conforming(other.user, other.team)
    make_operator(team)
    Credit.objects.create(team=other.team, amount_cents=500, reason="Trial", from_month="2026-11", created_at_ms=1)
    for path in ("corrections", "billing-flags", "credits", "price-books", "showback", "teams/other/bills/2026-11"):
        assert owner.get(f"/operator/{path}").status_code == 404, path
    gift = {"team": "other", "amount": "250", "reason": "Me", "from_month": "2026-11"}
    assert owner.post("/operator/credits", gift).status_code == 404
    assert owner.post("/operator/corrections", correction()).status_code == 404
    assert owner.post("/operator/price-books", {"source": "list"}).status_code == 404
    reading = conforming(team.user, team.team, ["billing:read", "stream:read"])
    assert reading.get("/operator/credits").status_code == 200
    refused = reading.post("/operator/credits", gift)
    assert (refused.status_code, refused.json()["needs"]) == (403, "billing:write")
    streams = conforming(team.user, team.team, ["stream:read"])
    assert streams.get("/operator/credits").json()["needs"] == "billing:read"
    assert Credit.objects.count() == 1


def test_a_correction_is_given_once_and_both_see_it(boss, other, served):
    use(other, 100)
    made = boss.post("/operator/corrections", correction(), Idempotency_Key="a")
    again = boss.post("/operator/corrections", correction(), Idempotency_Key="a")
    assert (made.status_code, again.status_code, again.content) == (201, 201, made.content)
    told = made.json()
    assert (told["quantity"], told["bill_month"], told["team"]) == ("-40", "2026-11", "other")
    entry = AuditEntry.objects.get(operation="CorrectUsage")
    assert (entry.account_id, entry.person) == (other.team.account_id, "owner@example.test")
    theirs = conforming(other.user, other.team)
    [seen] = theirs.get("/corrections?month=2026-11&reason=manual").json()["items"]
    assert seen == {name: value for name, value in told.items() if name != "team"}
    assert boss.get("/corrections").json()["items"] == []
    assert boss.get("/operator/corrections?team=other&meter=bytes-in").json()["items"] == []
    for wrong, field in (
        (correction(quantity="-61"), "quantity"),
        (correction(hour_ms=HOUR + 1), "hour_ms"),
        (correction(resource="stream/never"), "resource"),
        (correction(team="nobody"), "team"),
        (correction(quantity="0"), "quantity"),
    ):
        refused = boss.post("/operator/corrections", wrong)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field), wrong
    assert Correction.objects.count() == 1


def test_corrections_of_all_teams_come_by_cursor(boss, team, other):
    for whose in (team, other):
        use(whose, 100)
        for n in range(3):
            boss.post("/operator/corrections", correction(team=whose.team.slug, quantity=str(n + 1)))
    seen, cursor = [], ""
    while cursor is not None:
        told = boss.get(f"/operator/corrections?limit=4&cursor={cursor}").json()
        seen += [(one["team"], one["quantity"]) for one in told["items"]]
        cursor = told["next_cursor"]
    assert seen == [("other", "3"), ("other", "2"), ("other", "1"), ("first", "3"), ("first", "2"), ("first", "1")]


def test_a_flag_is_acknowledged(boss, other):
    flag = BillingFlag.objects.create(
        team=other.team, kind="late", resource="stream/s", text="Late", first_at_ms=1, at_ms=2
    )
    BillingFlag.objects.create(kind="clock-back", text="Back", first_at_ms=1, at_ms=3)
    listed = boss.get("/operator/billing-flags?is_open=true").json()["items"]
    assert [(one["team"], one["text"]) for one in listed] == [(None, "Back"), ("other", "Late")]
    told = boss.post(f"/operator/billing-flags/{flag.pk}/acknowledge", {}).json()
    assert told["acknowledged_by"] == "owner@example.test"
    assert boss.get(f"/operator/billing-flags/{flag.pk}").json() == told
    assert [one["text"] for one in boss.get("/operator/billing-flags?is_open=false&team=other").json()["items"]] == [
        "Late"
    ]
    assert AuditEntry.objects.get(operation="AcknowledgeBillingFlag").account_id == other.team.account_id
    assert boss.post("/operator/billing-flags/7/acknowledge", {}).status_code == 404


def test_a_credit_is_given_and_taken_back_until_a_bill_has_it(boss, other, served):
    gift = {"team": "other", "amount": "99.50", "reason": "Trial", "from_month": "2026-11"}
    made = boss.post("/operator/credits", gift, Idempotency_Key="c").json()
    assert boss.post("/operator/credits", gift, Idempotency_Key="c").json() == made
    assert (made["amount"], made["left"], made["team"], made["to_month"]) == ("99.50", "99.50", "other", None)
    path = f"/operator/credits/{made['id']}"
    etag = boss.get(path)["ETag"]
    [theirs] = conforming(other.user, other.team).get("/credits").json()["items"]
    assert theirs["left"] == "99.50"
    use(other, 10 * HOUR_MS)
    bill = closing.close(other.team, REGION, NOVEMBER, NOVEMBER.end_ms + DAY_MS)
    assert CreditUse.objects.get().bill == bill
    assert boss.get(path).json()["left"] == "99.35"
    assert boss.delete(path, If_Match=etag).status_code == 412
    assert boss.delete(path).status_code == 409
    late = boss.post("/operator/credits", gift)
    assert (late.status_code, late.json()["errors"][0]["field"]) == (400, "from_month")
    spare = boss.post("/operator/credits", gift | {"from_month": "2026-12", "to_month": "2026-12"}).json()
    assert boss.delete(f"/operator/credits/{spare['id']}").status_code == 204
    assert [one["id"] for one in boss.get("/operator/credits?team=other").json()["items"]] == [made["id"]]
    operations = AuditEntry.objects.filter(account_id=other.team.account_id).values_list("operation", flat=True)
    assert {"GiveCredit", "TakeBackCredit"} <= set(operations)


def test_a_book_from_draft_to_history(boss, other, served):
    use(other, 1_000 * HOUR_MS)
    made = boss.post("/operator/price-books", {"team": "other"}, Idempotency_Key="b").json()
    assert boss.post("/operator/price-books", {"team": "other"}, Idempotency_Key="b").json() == made
    assert (made["stage"], made["team"], made["prices"]) == ("draft", "other", [])
    path, december = f"/operator/price-books/{made['id']}", Month(2026, 12)
    etag = boss.get(path)["ETag"]
    changed = boss.patch(
        path,
        {"percent": "-10", "prices": [{"dimension": "shard-hour", "tiers": [{"up_to": None, "price": "0.0120"}]}]},
        If_Match=etag,
    )
    assert changed.json()["prices"] == [{"dimension": "shard-hour", "tiers": [{"up_to": None, "price": "0.012"}]}]
    assert boss.patch(path, {"note": "late"}, If_Match=etag).status_code == 412
    preview = boss.get(path + "/preview").json()
    assert preview["this"] == {"now": "15.00", "tried": "12.00", "change": "-3.00"}
    assert preview["teams"][0]["team"] == "other"
    shard_hour = next(one for one in preview["changes"] if one["dimension"] == "shard-hour")
    assert (shard_hour["before"][0]["price"], shard_hour["after"][0]["price"]) == ("0.015", "0.012")
    assert boss.post(path + "/publish", {"fingerprint": "another"}).status_code == 409
    published = boss.post(path + "/publish", {"fingerprint": preview["fingerprint"]}).json()
    assert (published["stage"], published["valid_from_ms"]) == ("planned", december.start_ms)
    assert published["published_by"] == "owner@example.test"
    for answer in (boss.patch(path, {"note": "x"}), boss.delete(path)):
        assert answer.status_code == 409
    assert boss.get(path + "/preview").status_code == 404
    assert boss.post(path + "/withdraw", {}).json()["stage"] == "draft"
    assert boss.delete(path).status_code == 204
    assert not PriceBook.objects.exists()
    operations = list(AuditEntry.objects.order_by("pk").values_list("operation", flat=True))
    assert operations == [
        "CreatePriceBook", "UpdatePriceBook", "PublishPriceBook", "WithdrawPriceBook", "DeletePriceBook",
    ]  # fmt: skip


def test_what_a_book_cannot_be_is_told_at_its_member(boss, other):
    everybody = boss.post("/operator/price-books", {"source": "list"}).json()
    assert len(everybody["prices"]) > 40
    path = f"/operator/price-books/{everybody['id']}"
    flat = [{"up_to": None, "price": "1"}]
    for body, field in (
        ({"valid_from_ms": 5}, "valid_from_ms"),
        ({"valid_to_ms": Month(2027, 1).start_ms}, "valid_to_ms"),
        ({"percent": "5"}, "percent"),
        ({"prices": [{"dimension": "queue-hour", "tiers": flat}, {"dimension": "shard-hour", "tiers": None}]},
         "prices[1].tiers"),
        ({"prices": [{"dimension": "shard-hour", "tiers": [{"up_to": "5", "price": "1"}]}]}, "prices[0].tiers"),
        ({"prices": [{"dimension": "shard-hour", "tiers": flat}] * 2}, "prices"),
        ({"prices": [{"dimension": "shard-hour", "tiers": [{"up_to": None, "price": "1,5"}]}]},
         "prices[0].tiers[0].price"),
    ):  # fmt: skip
        refused = boss.patch(path, body)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field), body
    assert boss.get(path).json() == everybody
    own = boss.post("/operator/price-books", {"team": "other"}).json()
    assert boss.get(f"/operator/price-books/{own['id']}").json()["problems"] == []
    listed = boss.get("/operator/price-books?is_draft=true&limit=1").json()
    assert (listed["items"][0]["id"], listed["next_cursor"] is None) == (own["id"], False)
    assert [one["id"] for one in boss.get("/operator/price-books?team=other").json()["items"]] == [own["id"]]
    assert boss.post("/operator/price-books", {"team": "nobody"}).status_code == 400


def test_showback_is_what_the_statements_say(boss, team, other, served):
    use(team, 10 * HOUR_MS)
    use(other, 400 * HOUR_MS)
    use(other, 100 * HOUR_MS, OCTOBER.start_ms)
    told = boss.get("/operator/showback?limit=1").json()
    assert (told["month"], told["usage"], told["total"]) == ("2026-11", "6.15", "6.15")
    following = boss.get(f"/operator/showback?limit=1&cursor={told['next_cursor']}").json()
    rows = {one["team"]: one for one in (*told["items"], *following["items"])}
    assert following["next_cursor"] is None
    for whose in (team, other):
        made = bills.statement(whose.team, REGION, NOVEMBER, served.clock.now_ms())
        row = rows[whose.team.slug]
        assert (row["number"], row["total"]) == (made.number, f"{made.total_cents // 100}.{made.total_cents % 100:02}")
        bill = boss.get(f"/operator/teams/{whose.team.slug}/bills/2026-11").json()
        assert (bill["number"], bill["total"], bill["account_id"]) == (made.number, row["total"], row["account_id"])
    closing.close(other.team, REGION, OCTOBER, served.clock.now_ms())
    number = f"TG-2026-10-{other.team.account_id}"
    closed = boss.get(f"/operator/bills/{number}").json()
    assert (closed["state"], closed["total"]) == ("closed", "1.50")
    assert boss.get("/operator/showback?month=2026-10").json()["items"][1]["state"] == "closed"
    for path in ("showback?month=1999-12", "showback?month=2027-01", "teams/nobody/bills/2026-10", "bills/TG-1"):
        assert boss.get(f"/operator/{path}").status_code == 404, path


def test_of_two_operators_with_the_same_etag_one_loses_whatever_team_they_speak_for(boss, other, monkeypatch):
    second = conforming(make_operator(other).user, other.team)
    path = f"/operator/price-books/{boss.post('/operator/price-books', {'team': 'other'}).json()['id']}"
    etag, revise, answers = boss.get(path)["ETag"], billing_books.revise, []

    def after_another(*given):
        monkeypatch.setattr(billing_books, "revise", revise)
        answers.append(second.patch(path, {"note": "second"}, If_Match=etag).status_code)
        return revise(*given)

    monkeypatch.setattr(billing_books, "revise", after_another)
    answers.append(boss.patch(path, {"note": "first"}, If_Match=etag).status_code)
    assert (answers, boss.get(path).json()["note"]) == ([412, 200], "first")


def test_a_change_leaves_what_somebody_else_changed_a_moment_ago(boss, other, monkeypatch):
    path = f"/operator/price-books/{boss.post('/operator/price-books', {'team': 'other'}).json()['id']}"
    revise = billing_books.revise

    def after_another(*given):
        monkeypatch.setattr(billing_books, "revise", revise)
        assert boss.patch(path, {"percent": "-10"}).status_code == 200
        return revise(*given)

    monkeypatch.setattr(billing_books, "revise", after_another)
    told = boss.patch(path, {"note": "New hardware"}).json()
    assert (told["percent"], told["note"]) == ("-10", "New hardware")
