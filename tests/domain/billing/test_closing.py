"""A month is closed once, whatever happens in between, and anyone can check what was billed."""

import hashlib

import pytest

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import bills, booking, checking, closing, digest, ledger
from apps.billing.ledger import Reading, Series
from apps.billing.models import Bill, BillingFlag, BillLine, Correction, Credit, CreditUse, FrozenMonth, UsageDay
from apps.billing.months import Month
from tests.support.teams import REGION, make_team

OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)
NOW_MS = OCTOBER.end_ms + closing.GRACE_MS


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def reading(team, value, hour_ms=OCTOBER.start_ms, meter="shard-time", source="stream/1", at_ms=NOW_MS, name="s"):
    return Reading(team.team.id, f"stream/{name}", Series(source, meter, hour_ms, "", "rows"), value, at_ms)


def use(team, hours=100, **where):
    ledger.record([reading(team, HOUR_MS, OCTOBER.start_ms + n * HOUR_MS, **where) for n in range(hours)])


def give(team, cents, at_ms=0):
    return Credit.objects.create(
        team=team.team, amount_cents=cents, reason="goodwill", from_month="2026-10", created_at_ms=at_ms
    )


def close(team, month=OCTOBER, **options):
    return closing.close(team.team, REGION, month, NOW_MS, **options)


def test_a_closed_bill_is_the_draft_before_it(team):
    use(team)
    give(team, 40)
    draft = bills.statement(team.team, REGION, OCTOBER, NOW_MS)
    bill = close(team)
    assert (bill.number, bill.usage_cents, bill.credits_cents, bill.total_cents) == (
        "TG-2026-10-123456789012",
        150,
        40,
        110,
    )
    closed = bills.statement(team.team, REGION, OCTOBER, NOW_MS + DAY_MS)
    assert closed.state == "closed"
    assert closed.lines == draft.lines
    assert (closed.total_cents, closed.currency, closed.closed_at_ms) == (draft.total_cents, "USD", NOW_MS)
    assert checking.check(bill, REGION).findings == ()


def test_closing_again_changes_nothing(team):
    use(team)
    give(team, 40)
    first = close(team)
    use(team, 200)
    assert close(team) == first
    assert (Bill.objects.count(), CreditUse.objects.count()) == (1, 1)
    assert bills.statement(team.team, REGION, OCTOBER, NOW_MS).total_cents == 110
    assert checking.check(first, REGION).agrees


@pytest.mark.parametrize(
    "at",
    ["booking.freeze", "digest.of_day", "bills.without_credits", "bills.credited", "_write_lines", "_use_credits"],
)
def test_killed_anywhere_and_repeated_it_is_the_same_bill_once(team, monkeypatch, at):
    use(team)
    give(team, 40)
    owner, _, name = at.rpartition(".")
    holder = getattr(closing, owner) if owner else closing

    real = getattr(holder, name)

    def die(*args, **kwargs):
        real(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(holder, name, die)
        close(team)
    assert not Bill.objects.exists()
    assert not CreditUse.objects.exists()
    use(team, 120)
    bill = close(team)
    late = Correction.objects.filter(reason="late").count()
    assert (bill.usage_cents, late) == ((180, 0) if at == "booking.freeze" else (150, 20))
    assert (Bill.objects.count(), CreditUse.objects.get().amount_cents) == (1, 40)
    assert BillLine.objects.count() == 2
    assert checking.check(bill, REGION).agrees


def test_days_that_were_reckoned_are_not_read_again(team, monkeypatch):
    use(team)
    days = {}
    assert close(team, days=days, after_day=lambda: len(days) < 3) is None
    read = []
    real = digest.of_day
    monkeypatch.setattr(digest, "of_day", lambda team_id, day_ms: read.append(day_ms) or real(team_id, day_ms))
    bill = close(team, days=days)
    assert len(read) == 28
    monkeypatch.undo()
    assert checking.check(bill, REGION).agrees


def test_what_comes_after_closing_is_on_the_next_bill(team):
    use(team)
    close(team)
    use(team, 110)
    draft = bills.statement(team.team, REGION, NOVEMBER, NOW_MS)
    assert [(line.title, line.cents) for line in draft.lines] == [("Correction of October 2026: Shard hours", 15)]
    bill = closing.close(team.team, REGION, NOVEMBER, NOVEMBER.end_ms)
    assert bill.total_cents == 15
    assert checking.check(bill, REGION).agrees


def test_a_credit_is_spent_by_the_first_bill_and_the_rest_by_the_next(team):
    use(team)
    ledger.record([reading(team, 100 * HOUR_MS, NOVEMBER.start_ms)])
    credit = give(team, 200)
    first = close(team)
    second = closing.close(team.team, REGION, NOVEMBER, NOVEMBER.end_ms)
    assert [bill.credits_cents for bill in (first, second)] == [150, 50]
    assert sum(use.amount_cents for use in credit.uses.all()) == 200
    assert second.total_cents == 100


def test_what_has_no_price_is_not_closed_but_flagged_until_there_is_one(team, monkeypatch):
    class Unknown:
        def of(self, dimension, day_ms):
            from apps.billing.price_book import NoPrice

            raise NoPrice(dimension)

    use(team)
    with monkeypatch.context() as patched:
        patched.setattr(bills.price_book, "price_list", lambda *_args: Unknown())
        with pytest.raises(closing.Unpriced, match="no price of shard-hour on 1 October 2026"):
            close(team)
    assert not Bill.objects.exists()
    flag = BillingFlag.objects.get()
    assert (flag.kind, flag.resource) == ("no-price", "2026-10")
    assert close(team).total_cents == 150
    assert not BillingFlag.objects.exists()


def test_months_without_usage_have_no_bill(team):
    use(team)
    ledger.record([reading(team, HOUR_MS, Month(2026, 8).start_ms)])
    assert closing.open_months(team.team, OCTOBER) == [Month(2026, 8), OCTOBER]
    for month in closing.open_months(team.team, OCTOBER):
        close(team, month)
    assert list(Bill.objects.order_by("month").values_list("month", flat=True)) == ["2026-08", "2026-10"]
    assert closing.open_months(team.team, OCTOBER) == []


def test_a_month_is_over_six_hours_after_its_end():
    assert not closing.is_over(OCTOBER, NOW_MS - 1)
    assert closing.is_over(OCTOBER, NOW_MS)
    assert closing.newest_over(NOW_MS - 1) == OCTOBER.previous
    assert closing.newest_over(NOW_MS) == OCTOBER


def test_the_last_bill_of_a_team_closes_the_month_that_runs(team):
    use(team)
    ledger.record([reading(team, 2 * HOUR_MS, NOVEMBER.start_ms)])
    made = closing.close_for_good(team.team, REGION, NOVEMBER.start_ms + DAY_MS)
    assert [(bill.month, bill.total_cents) for bill in made] == [("2026-10", 150), ("2026-11", 3)]


def test_two_teams_do_not_meet(team):
    other = make_team("210987654321", "other", "AKIDOTHER")
    use(team)
    use(other, 10, source="stream/2")
    assert close(team).total_cents == 150
    assert not FrozenMonth.objects.filter(team=other.team).exists()
    assert close(other).total_cents == 15


def test_the_digest_can_be_reckoned_by_hand(team):
    use(team, 2, name="t")
    use(team, 1, source="stream/2", name="s")
    day = hashlib.sha256(b"stream/s\tshard-time\t\t3600000\nstream/t\tshard-time\t\t7200000\n").hexdigest()
    text = f"2026-10-01 {day}\n1\tusage\tshard-hour\t3\t0.015\t5\n"
    assert close(team).usage_digest == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("change", ["usage", "line", "total", "credit"])
def test_whatever_is_changed_afterwards_is_found(team, change):
    use(team)
    give(team, 10)
    bill = close(team)
    if change == "usage":
        UsageDay.objects.update(quantity=1)
    elif change == "line":
        BillLine.objects.filter(kind="usage").update(amount_cents=1)
    elif change == "total":
        Bill.objects.update(usage_cents=1, total_cents=-9)
    else:
        CreditUse.objects.update(amount_cents=5)
    bill.refresh_from_db()
    assert not checking.check(bill, REGION).agrees


def test_a_bill_outlives_its_team(team):
    use(team)
    bill = close(team)
    Bill.objects.update(team=None)
    bill.refresh_from_db()
    statement = bills.of_bill(bill)
    assert (statement.team_id, statement.team_name, statement.total_cents) == (None, team.team.name, 150)
    checked = checking.check(bill, REGION)
    assert checked.agrees
    assert checked.limited == ("The team was deleted, and its usage with it: only the sums were checked.",)
    Bill.objects.update(usage_cents=1, total_cents=1)
    bill.refresh_from_db()
    assert not checking.check(bill, REGION).agrees


def test_freezing_holds_before_the_bill_is_there(team):
    use(team)
    booking.freeze(team.team.pk, OCTOBER, NOW_MS)
    use(team, 101)
    assert close(team).usage_cents == 150
