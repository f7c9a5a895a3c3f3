"""Usage put right by hand, flags seen to, and the last bill of a team that is deleted."""

import pytest
from django.core.management import CommandError, call_command

from apps.access.models import AuditEntry
from apps.base.units import HOUR_MS
from apps.billing import bills, booking, checking, clock_guard, closing, flags, ledger
from apps.billing.ledger import Reading, Series
from apps.billing.models import Bill, BillingFlag, BillLine, Correction, UsageDay, UsageHour
from apps.billing.months import Month
from apps.teams import billing_corrections, deleting
from apps.teams.authority import Gone, NotAllowed
from apps.teams.billing_corrections import CorrectionRefused, Wanted
from tests.domain.teams.people import NOW_MS, actor_of, by, join
from tests.support.teams import REGION, make_team

NOVEMBER = Month.at(NOW_MS)
OCTOBER = NOVEMBER.previous
HOUR = OCTOBER.start_ms + 5 * HOUR_MS


@pytest.fixture
def operator(owner):
    owner.user.is_staff = True
    owner.user.save()
    return owner.user


@pytest.fixture
def second(owner):
    return make_team("999999999999", "second", "AKIDSECOND", email="boss@example.test")


@pytest.fixture
def correct(owner, operator):
    def book(quantity=-10, note="counted twice", person=operator, team=owner.team, **values):
        wanted = {"resource": "stream/s", "meter": "bytes-in", "hour_ms": HOUR, "meter_key": "AK"} | values
        actor = actor_of(person, owner.team)
        return billing_corrections.correct(actor, person, team.pk, Wanted(quantity=quantity, note=note, **wanted))

    return book


def use(team, value=100, source="shard/1", meter="bytes-in", hour_ms=HOUR, key="AK"):
    ledger.record([Reading(team.pk, "stream/s", Series(source, meter, hour_ms, key, "log"), value, NOW_MS)])


def test_a_correction_is_a_new_entry_on_the_open_months_bill(owner, correct):
    use(owner.team)
    booking.freeze(owner.team.pk, OCTOBER, NOW_MS)
    made = correct(-40, note="  counted \n twice ")
    assert (made.quantity, made.bill_month, made.note, made.booked_by) == (
        -40,
        str(NOVEMBER),
        "counted twice",
        owner.user.email,
    )
    assert UsageHour.objects.get().quantity == UsageDay.objects.get().quantity == 100
    entry = AuditEntry.objects.get(operation="CorrectUsage")
    assert (entry.account_id, entry.resource) == (owner.team.account_id, "stream/s")
    assert '"quantity":-40' in entry.after


def test_an_hour_never_becomes_less_than_nothing(owner, correct):
    use(owner.team)
    correct(-60)
    with pytest.raises(CorrectionRefused, match="has 40 of the unit byte with its corrections") as refused:
        correct(-41)
    assert refused.value.field == "quantity"
    correct(-40)
    correct(7)
    assert [row.quantity for row in Correction.objects.order_by("pk")] == [-60, -40, 7]


def test_an_hour_never_becomes_more_than_a_database_adds_up(owner, correct):
    use(owner.team)
    correct(2**60 - 100)
    with pytest.raises(CorrectionRefused, match="more than 1,152,921,504,606,846,976") as refused:
        correct(1)
    assert refused.value.field == "quantity"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("meter", {"meter": "coffee"}),
        ("hour", {"hour_ms": HOUR + 1}),
        ("hour", {"hour_ms": NOVEMBER.end_ms}),
        ("hour", {"hour_ms": 0}),
        ("quantity", {"quantity": 0}),
        ("quantity", {"quantity": 2**62}),
        ("note", {"note": "  "}),
        ("note", {"note": "x" * 501}),
        ("resource", {"resource": "stream/typo"}),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(owner, correct, field, values):
    use(owner.team)
    with pytest.raises(CorrectionRefused) as refused:
        correct(**values)
    assert refused.value.field == field
    assert not Correction.objects.exists()


def test_only_who_runs_the_installation_corrects_and_acknowledges(owner, correct):
    use(owner.team)
    other = join(owner.team, "ann", "owner").user
    flags.raise_flag(None, "clock-back", "", "text", NOW_MS)
    with pytest.raises(NotAllowed):
        correct(person=other)
    with pytest.raises(NotAllowed):
        billing_corrections.acknowledge(actor_of(other, owner.team), other, BillingFlag.objects.get().pk)


def test_who_acknowledges_the_clock_says_that_it_is_right(owner, operator):
    clock_guard.note(NOW_MS - 40 * 24 * HOUR_MS)
    clock_guard.note(NOW_MS)
    assert clock_guard.trusted_ms(NOW_MS) < NOW_MS
    flags.raise_flag(None, "clock-ahead", "", "text", NOW_MS)
    flag = BillingFlag.objects.get()
    billing_corrections.acknowledge(actor_of(operator, owner.team), operator, flag.pk)
    flag.refresh_from_db()
    assert flag.acknowledged_by == operator.email
    assert clock_guard.trusted_ms(NOW_MS) == NOW_MS
    assert AuditEntry.objects.filter(operation="AcknowledgeBillingFlag").count() == 1
    with pytest.raises(Gone):
        billing_corrections.acknowledge(actor_of(operator, owner.team), operator, flag.pk + 1)


def test_the_last_bill_of_a_team_is_made_before_it_goes(owner, second, runtime):
    use(second.team, 7 * HOUR_MS, meter="shard-time", key="")
    use(second.team, 2 * HOUR_MS, meter="shard-time", key="", hour_ms=NOVEMBER.start_ms)
    boss = second.team.memberships.get()
    deleting.delete(by(boss), "second", runtime)
    made = Bill.objects.order_by("month")
    assert [(one.team_id, one.account_id, one.total_cents) for one in made] == [
        (None, "999999999999", 11),
        (None, "999999999999", 3),
    ]
    assert all(checking.check(one, REGION).agrees for one in made)
    assert bills.of_bill(made[0]).team_name == second.team.name


def test_a_team_whose_usage_has_no_price_is_not_deleted(second, monkeypatch, runtime):
    use(second.team)

    def unpriced(*_args):
        raise closing.Unpriced("There is no price of shard-hour.")

    monkeypatch.setattr(deleting.closing, "close_for_good", unpriced)
    with pytest.raises(deleting.Unbilled, match="Publish a price"):
        deleting.delete(by(second.team.memberships.get()), "second", runtime)


def test_bills_are_checked_from_the_command_line(owner, capsys):
    use(owner.team, HOUR_MS, meter="shard-time", key="")
    bill = closing.close(owner.team, REGION, OCTOBER, NOW_MS)
    call_command("check_bills")
    out = capsys.readouterr().out
    assert f"{bill.number}, {owner.team.name}: 0.02 USD: agrees" in out
    assert "1 bills agree." in out
    BillLine.objects.update(amount_cents=1)
    with pytest.raises(CommandError, match="1 of 1 bills do not agree"):
        call_command("check_bills", bill.number)
    assert "the ledger has 1 for 2" in capsys.readouterr().out
    with pytest.raises(CommandError, match="There is no bill TG-1"):
        call_command("check_bills", "TG-1")
