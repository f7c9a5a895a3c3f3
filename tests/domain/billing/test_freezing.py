"""Usage of a frozen month never changes: what comes late is a correction, and an operator hears of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing import booking, clock_guard, commitment, flags, ledger
from apps.billing.ledger import OVERTAKEN_MS, Reading, Series
from apps.billing.models import BillingFlag, CommittedHour, Correction, FrozenMonth, UsageDay, UsageHour
from apps.billing.months import Month
from tests.support.teams import make_team

OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)
NOW_MS = NOVEMBER.start_ms + 5 * DAY_MS
LAST_HOUR = NOVEMBER.start_ms - HOUR_MS


def reading(team, value, hour_ms=LAST_HOUR, at_ms=NOW_MS, source="shard/1", meter="bytes-in", key="AK"):
    return Reading(team.team.id, "stream/s", Series(source, meter, hour_ms, key, "log"), value, at_ms)


def total(model):
    return sum(model.objects.values_list("quantity", flat=True))


def test_what_comes_late_is_a_correction_of_the_open_month(team):
    ledger.record([reading(team, 100)])
    assert booking.freeze(team.team.pk, OCTOBER, NOW_MS)
    ledger.record([reading(team, 130), reading(team, 7, hour_ms=NOVEMBER.start_ms)])
    assert total(UsageHour) == total(UsageDay) == 107
    row = Correction.objects.get()
    assert (row.resource, row.meter, row.hour_ms, row.meter_key, row.quantity, row.reason, row.bill_month) == (
        "stream/s",
        "bytes-in",
        LAST_HOUR,
        "AK",
        30,
        "late",
        "2026-11",
    )
    flag = BillingFlag.objects.get()
    assert (flag.kind, flag.team_id, flag.resource, flag.seen) == ("late", team.team.pk, "stream/s", 1)
    assert flag.text == "Usage of stream/s came after October 2026 was closed; the bill of November 2026 has it."


def test_a_clock_that_is_ahead_puts_no_correction_on_a_bill_of_next_year(team):
    clock_guard.note(NOW_MS)
    booking.freeze(team.team.pk, OCTOBER, NOW_MS)
    ledger.record([reading(team, 30, at_ms=NOW_MS + 90 * DAY_MS)])
    assert Correction.objects.get().bill_month == "2026-11"


def test_repeating_a_late_reading_corrects_once(team):
    booking.freeze(team.team.pk, OCTOBER, NOW_MS)
    for _ in range(3):
        ledger.record([reading(team, 30)])
    assert total(Correction) == 30
    assert Correction.objects.count() == 1


def test_freezing_twice_is_freezing_once(team):
    assert booking.freeze(team.team.pk, OCTOBER, NOW_MS)
    assert not booking.freeze(team.team.pk, OCTOBER, NOW_MS + 1)
    assert FrozenMonth.objects.get().frozen_at_ms == NOW_MS


def test_another_teams_month_stays_open(team):
    other = make_team("210987654321", "other", "AKIDOTHER")
    booking.freeze(team.team.pk, OCTOBER, NOW_MS)
    ledger.record([reading(other, 5, source="shard/9")])
    assert total(UsageDay) == 5
    assert not Correction.objects.exists()


def test_corrections_are_never_billed_with_a_frozen_month(team):
    booking.freeze(team.team.pk, OCTOBER, NOW_MS)
    booking.freeze(team.team.pk, NOVEMBER, NOW_MS)
    ledger.record([reading(team, 5, at_ms=OCTOBER.start_ms)])
    assert Correction.objects.get().bill_month == "2026-12"


def test_hours_of_the_commitment_are_kept_for_all_streams_together_unless_frozen(team):
    ledger.record(
        [
            reading(team, 3, meter="advantage-bytes-in"),
            reading(team, 4, meter="advantage-bytes-in", source="shard/2"),
            reading(team, 9, meter="advantage-time", key=""),
            reading(team, 1, meter="on-demand-bytes-in"),
        ]
    )
    booking.freeze(team.team.pk, OCTOBER, NOW_MS)
    ledger.record([reading(team, 5, meter="advantage-bytes-in")])
    assert commitment.hours(team.team.pk, OCTOBER.start_ms, OCTOBER.end_ms) == {
        LAST_HOUR: {"advantage-bytes-in": 7, "advantage-time": 9}
    }
    assert CommittedHour.objects.count() == 2


def test_a_meter_that_shrank_is_flagged_and_counted(team):
    ledger.record([reading(team, 100)])
    ledger.record([reading(team, 60, at_ms=NOW_MS + OVERTAKEN_MS + 1)])
    ledger.record([reading(team, 50, at_ms=NOW_MS + 3 * OVERTAKEN_MS)])
    flag = BillingFlag.objects.get()
    assert (flag.kind, flag.seen) == ("shrunk", 2)
    assert "showed 60 and then 50" in flag.text


def test_an_hour_that_is_still_to_come_is_flagged(team):
    ledger.record([reading(team, 1, hour_ms=NOVEMBER.end_ms), reading(team, 1, hour_ms=NOW_MS - NOW_MS % HOUR_MS)])
    assert [flag.kind for flag in BillingFlag.objects.all()] == ["clock-ahead"]


def test_usage_that_is_not_kept_apart_by_key_is_flagged(team):
    ledger.record([reading(team, 1, key="other")])
    assert [flag.kind for flag in BillingFlag.objects.all()] == ["unknown-key"]


def test_an_acknowledged_flag_comes_back_when_it_happens_again(team):
    flags.raise_flag(team.team.pk, "late", "stream/s", "first", NOW_MS)
    flag = BillingFlag.objects.get()
    flags.acknowledge(flag.pk, "op@example.test", NOW_MS)
    assert BillingFlag.objects.get().acknowledged_by == "op@example.test"
    flags.raise_flag(team.team.pk, "late", "stream/s", "second", NOW_MS + 1)
    flag.refresh_from_db()
    assert (flag.text, flag.seen, flag.acknowledged_at_ms, flag.first_at_ms) == ("second", 2, None, NOW_MS)
    assert flags.acknowledge(flag.pk + 1, "op@example.test", NOW_MS) is None


def test_flags_are_bounded(team, monkeypatch):
    monkeypatch.setattr(flags, "FLAGS_MAX", 3)
    for n in range(9):
        flags.raise_flag(team.team.pk, "late", f"stream/{n}", "text", NOW_MS)
    assert sorted(BillingFlag.objects.values_list("resource", flat=True)) == [
        "others",
        "stream/0",
        "stream/1",
        "stream/2",
    ]
    assert BillingFlag.objects.get(resource="others").seen == 6


def test_flags_of_the_installation_are_one_row_each(team):
    for _ in range(2):
        flags.raise_flag(None, "clock-back", "", "text", NOW_MS)
    assert BillingFlag.objects.get().seen == 2
    assert [flag.team_id for flag in flags.of_team(team.team.pk)] == [None]


@pytest.mark.parametrize("meter", ["bytes-in", "advantage-bytes-out"])
def test_usage_and_corrections_together_are_what_was_read(team, meter):
    for n, value in enumerate([5, 9, 9, 40, 41]):
        if n == 2:
            booking.freeze(team.team.pk, OCTOBER, NOW_MS)
        ledger.record([reading(team, value, at_ms=NOW_MS + n * MINUTE_MS, meter=meter)])
    assert (total(UsageDay), total(Correction)) == (9, 32)


class AnyMoment(TestCase):
    @settings(max_examples=25)
    @given(
        rises=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 300)), min_size=1, max_size=10),
        frozen_after=st.integers(0, 10),
    )
    def test_whenever_it_is_frozen_nothing_is_lost_or_booked_twice(self, rises, frozen_after):
        team = make_team()
        values = [0, 0, 0]
        at_freezing = None
        for n, (shard, rise) in enumerate(rises):
            if n == frozen_after:
                booking.freeze(team.team.pk, OCTOBER, NOW_MS)
                at_freezing = total(UsageHour)
            values[shard] += rise
            some = [reading(team, values[s], at_ms=NOW_MS + n, source=f"shard/{s}") for s in range(3)]
            ledger.record(some)
            ledger.record(some[:2])
        assert total(UsageHour) == total(UsageDay)
        assert total(UsageHour) + total(Correction) == sum(values)
        if at_freezing is not None:
            assert total(UsageHour) == at_freezing
