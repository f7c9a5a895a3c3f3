"""Usage is the last value read, however the readings were grouped, repeated, or overtaken."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import ledger
from apps.billing.ledger import OVERTAKEN_MS, Reading, Series
from apps.billing.models import MeterReading, UsageHour
from tests.support.teams import make_team

NOW_MS = 1_795_163_467_000
HOUR = NOW_MS - NOW_MS % HOUR_MS


def reading(team, value, at_ms=NOW_MS, source="shard/1", meter="bytes-in", hour_ms=HOUR, key="AK", log="log-a"):
    return Reading(team.team.id, "stream/s", Series(source, meter, hour_ms, key, log), value, at_ms)


def usage(**where):
    return sum(UsageHour.objects.filter(**where).values_list("quantity", flat=True))


def test_the_first_reading_books_all_and_the_next_the_difference(team):
    assert ledger.record([reading(team, 100)]) == 1
    assert ledger.record([reading(team, 130, NOW_MS + 60_000)]) == 1
    row = UsageHour.objects.get()
    assert (row.team_id, row.resource, row.meter, row.hour_ms, row.meter_key, row.quantity) == (
        team.team.id,
        "stream/s",
        "bytes-in",
        HOUR,
        "AK",
        130,
    )


def test_repeating_a_reading_books_nothing(team):
    ledger.record([reading(team, 100)])
    assert ledger.record([reading(team, 100), reading(team, 100)]) == 0
    assert usage() == 100


def test_shards_hours_keys_and_meters_are_apart_but_shards_are_booked_on_their_stream(team):
    ledger.record(
        [
            reading(team, 1),
            reading(team, 2, source="shard/2"),
            reading(team, 4, hour_ms=HOUR + HOUR_MS),
            reading(team, 8, key="other"),
            reading(team, 16, meter="records-in"),
        ]
    )
    assert usage(meter="bytes-in", hour_ms=HOUR, meter_key="AK") == 3
    assert usage(hour_ms=HOUR + HOUR_MS) == 4
    assert usage(meter_key="other") == 8
    assert usage(meter="records-in") == 16
    assert UsageHour.objects.count() == 4


def test_two_teams_are_apart(team):
    other = make_team("210987654321", "other", "AKIDOTHER")
    ledger.record([reading(team, 5), reading(other, 7, source="shard/9")])
    assert usage(team=team.team) == 5
    assert usage(team=other.team) == 7


def test_an_overtaken_reader_is_ignored(team):
    ledger.record([reading(team, 100, NOW_MS)])
    ledger.record([reading(team, 60, NOW_MS - 1_000)])
    ledger.record([reading(team, 60, NOW_MS + OVERTAKEN_MS)])
    ledger.record([reading(team, 110, NOW_MS + OVERTAKEN_MS)])
    assert usage() == 110
    assert MeterReading.objects.get().shrunk_at_ms is None


def test_a_restored_log_goes_on_flagged_with_nothing_billed_or_credited_for_the_gap(team):
    ledger.record([reading(team, 100, NOW_MS)])
    later_ms = NOW_MS + OVERTAKEN_MS + 1
    assert ledger.record([reading(team, 60, later_ms)]) == 0
    ledger.record([reading(team, 75, later_ms + 60_000)])
    assert usage() == 115
    assert MeterReading.objects.get().shrunk_at_ms == later_ms


def test_a_new_log_is_a_new_series(team):
    ledger.record([reading(team, 100)])
    ledger.record([reading(team, 30, log="log-b")])
    assert usage() == 130


def test_a_finished_source_takes_no_more_and_is_forgotten_later(team):
    ledger.record([reading(team, 100), reading(team, 9, source="shard/2")])
    ledger.finish("shard/1")
    assert ledger.record([reading(team, 130)]) == 0
    assert usage() == 109
    assert ledger.prune_finished(NOW_MS + DAY_MS) == 0
    assert ledger.prune_finished(NOW_MS + 3 * DAY_MS) == 1
    assert MeterReading.objects.get().resource == "shard/2"


def test_pruning_leaves_the_hours_still_read(team):
    ledger.record([reading(team, 1), reading(team, 2, hour_ms=HOUR + HOUR_MS)])
    ledger.prune("shard/1", HOUR + HOUR_MS)
    assert MeterReading.objects.get().hour_ms == HOUR + HOUR_MS
    assert usage() == 3


def test_an_unknown_meter_is_a_programmers_error(team):
    with pytest.raises(AssertionError):
        ledger.record([reading(team, 1, meter="coffee")])


def test_nothing_is_booked_when_the_transaction_fails(team):
    huge = reading(team, 2**63, source="shard/2")
    with pytest.raises(Exception, match=r"out of range|too large|overflow|Python int"):
        ledger.record([reading(team, 5), huge])
    assert usage() == 0


class AnyGrouping(TestCase):
    @settings(max_examples=30)
    @given(
        rises=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 500)), min_size=1, max_size=12),
        data=st.data(),
    )
    def test_usage_is_the_sum_of_the_last_values(self, rises, data):
        team = make_team()
        values = [0, 0, 0]
        taken = []
        for at, (shard, rise) in enumerate(rises):
            values[shard] += rise
            taken.append([reading(team, values[s], NOW_MS + at, source=f"shard/{s}") for s in range(3)])
        for at, all_of_it in enumerate(taken):
            last = at == len(taken) - 1
            some = all_of_it if last else data.draw(st.lists(st.sampled_from(all_of_it), max_size=5))
            ledger.record(some)
            if data.draw(st.booleans()):
                ledger.record(some)
            if data.draw(st.booleans()):
                ledger.record(data.draw(st.sampled_from(taken[: at + 1])))
        assert usage() == sum(values)
