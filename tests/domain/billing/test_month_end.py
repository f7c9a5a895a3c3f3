"""Months close by themselves: when metering is through, the grace is over, and the clock is to be trusted."""

import pytest

from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing import checking, clock_guard, closing, digest, flags, ledger, rounds
from apps.billing.ledger import Reading, Series
from apps.billing.models import Bill, BillingFlag, FrozenMonth, MeteringRound
from apps.billing.months import Month
from apps.leases import hold
from apps.leases.hold import LeaseLost
from apps.leases.models import Lease
from apps.recordlog.interface import Entry
from apps.streams.models import Stream
from tests.support.runtimes import run_due
from tests.support.stream_rows import create_log, make_stream
from tests.support.teams import REGION, make_team
from workers import metering

OCTOBER = Month(2026, 10)
DUE_MS = OCTOBER.end_ms + closing.GRACE_MS


def use(team, hours=100, source="stream/1", month=OCTOBER):
    series = [Series(source, "shard-time", month.start_ms + n * HOUR_MS, "", "rows") for n in range(hours)]
    ledger.record([Reading(team.team.id, "stream/s", one, HOUR_MS, OCTOBER.end_ms) for one in series])


@pytest.fixture
def go(runtime, clock):
    """Meter every 55 minutes until a time, and look for months to close."""
    clock.set(OCTOBER.end_ms - HOUR_MS)
    hold.ensure("metering", "readings", clock.now_ms())

    def run(until_ms, step_ms=55 * MINUTE_MS):
        while clock.now_ms() < until_ms:
            clock.set(min(until_ms, clock.now_ms() + step_ms))
            if step_ms > clock_guard.JUMP_MS:
                clock_guard.believe(clock.now_ms())
            Lease.objects.filter(kind__in=("metering", "closing")).update(due_at_ms=clock.now_ms())
            run_due(runtime, "metering")
            run_due(runtime, "closing")

    return run


def shard_of(team, runtime, now_ms):
    """A stream's shard; its usage is not asked about."""
    stream = make_stream(team.team, now_ms=now_ms, metered_to_ms=2**52)
    Stream.objects.update(metered_to_ms=2**52)
    key = stream.shards.get().pk
    runtime.wait_for(create_log(runtime, [key]))
    return key


def test_a_month_closes_when_it_is_over_and_read_and_not_before(team, go):
    use(team)
    go(DUE_MS - 1)
    assert not Bill.objects.exists()
    assert not FrozenMonth.objects.exists()
    go(DUE_MS + HOUR_MS)
    bill = Bill.objects.get()
    assert (bill.number, bill.total_cents) == ("TG-2026-10-123456789012", 150)
    assert checking.check(bill, REGION).agrees


def test_it_waits_for_every_kind_of_metering(team, go, clock, runtime):
    use(team)
    hold.ensure("metering", "reads", 0)
    rounds.begin("reads", OCTOBER.end_ms)
    Lease.objects.filter(key="reads").update(expires_at_ms=2**53, owner="somebody")
    MeteringRound.objects.filter(key="reads").update(through_ms=OCTOBER.end_ms)
    clock.set(DUE_MS)
    assert rounds.through_ms(frozenset({"reads"})) == OCTOBER.end_ms
    assert rounds.through_ms(frozenset({"reads", "never"})) == 0


def test_who_has_lost_the_lease_ends_no_round(team, clock, runtime):
    hold.ensure("metering", "reads", 0)
    held = hold.take("metering", "reads", "test", 30_000)
    Lease.objects.filter(key="reads").update(counter=held.counter + 1)
    with pytest.raises(LeaseLost):
        metering.read(runtime, held, clock.now_ms() + 1_000)
    assert rounds.through_ms(frozenset({"reads"})) == 0


def test_all_teams_close_and_only_those_that_used_something(team, go):
    other = make_team("210987654321", "other", "AKIDOTHER")
    make_team("310987654321", "idle", "AKIDIDLE")
    use(team)
    use(other, 10, "stream/2")
    go(DUE_MS + HOUR_MS)
    assert dict(Bill.objects.values_list("account_id", "total_cents")) == {"123456789012": 150, "210987654321": 15}


def test_a_month_ahead_closes_nothing_until_an_operator_says_so(team, go, clock, runtime):
    use(team, month=OCTOBER.next)
    jumped_ms = OCTOBER.next.end_ms + DAY_MS
    go(DUE_MS)
    clock.set(jumped_ms)
    go(jumped_ms + 3 * HOUR_MS)
    assert not Bill.objects.exists()
    flag = BillingFlag.objects.get(team=None)
    assert flag.kind == "clock-ahead"
    assert "30 days ahead, or Tidegate was off" in flag.text
    flags.acknowledge(flag.pk, "op@example.test", clock.now_ms())
    go(jumped_ms + 12 * HOUR_MS, 6 * HOUR_MS)
    assert Bill.objects.get().month == "2026-11"


def test_a_clock_that_is_put_right_goes_on_as_if_nothing_had_been(team, go, clock):
    use(team)
    go(DUE_MS - HOUR_MS)
    clock.set(DUE_MS + 40 * DAY_MS)
    go(DUE_MS + 40 * DAY_MS + 5 * MINUTE_MS, MINUTE_MS)
    clock.set(DUE_MS - HOUR_MS + 6 * MINUTE_MS)
    go(DUE_MS + HOUR_MS)
    assert Bill.objects.get().month == "2026-10"
    assert "nothing was billed for the step" in BillingFlag.objects.get().text


def test_a_clock_behind_the_newest_record_closes_nothing(team, go, clock, runtime):
    use(team)
    shard = shard_of(team, runtime, clock.now_ms())
    go(DUE_MS - HOUR_MS)
    later_ms = DUE_MS + 2 * HOUR_MS
    clock.set(later_ms)
    runtime.wait_for(runtime.record_log.append([Entry(shard, ["k", b"x"], 1, 2, 1, "AK")]))
    clock.set(DUE_MS - HOUR_MS)
    go(DUE_MS + HOUR_MS)
    assert not Bill.objects.exists()
    assert "behind the newest record: no month is closed" in BillingFlag.objects.get(kind="not-closed").text
    go(later_ms + HOUR_MS)
    assert Bill.objects.count() == 1
    assert not BillingFlag.objects.filter(kind="not-closed").exists()


def test_a_long_month_is_closed_in_several_slices(team, go, clock, monkeypatch):
    use(team)
    use(make_team("210987654321", "other", "AKIDOTHER"), 10, "stream/2")
    real, read = digest.of_day, []

    def slow(team_id, day_ms):
        clock.advance(4_000)
        read.append((team_id, day_ms))
        return real(team_id, day_ms)

    monkeypatch.setattr(digest, "of_day", slow)
    go(DUE_MS + HOUR_MS)
    assert sorted(Bill.objects.values_list("total_cents", flat=True)) == [15, 150]
    assert len(read) == len(set(read)) == 62
    assert all(checking.check(bill, REGION).agrees for bill in Bill.objects.all())


def test_what_stays_open_for_two_days_is_flagged(team, go, runtime, clock):
    use(team)
    shard_of(team, runtime, clock.now_ms())
    Stream.objects.update(metered_to_ms=OCTOBER.end_ms - 1, metered_states=[])
    go(DUE_MS + DAY_MS, 10 * HOUR_MS)
    assert not Bill.objects.exists()
    assert not BillingFlag.objects.exists()
    go(OCTOBER.end_ms + 2 * DAY_MS + HOUR_MS, 10 * HOUR_MS)
    assert BillingFlag.objects.get().text == (
        "October 2026 is over and not closed: the usage of data stream s is not read to its end."
    )
