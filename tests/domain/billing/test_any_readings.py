"""Whatever readings come, in whatever groups, however often and in whatever order: usage is the meters' last values, rises,
and is nowhere negative."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.base.units import HOUR_MS
from apps.billing import ledger
from apps.billing.ledger import Reading, Series
from apps.billing.models import CommittedHour, UsageDay, UsageHour
from apps.billing.months import Month
from tests.support.counted_month import CountedMonth
from tests.support.teams import make_team

FEBRUARY = Month(2027, 2)
METERS = ("records-in", "shard-time", "advantage-bytes-in", "delivery-units")


def by_hour(team_id: int) -> dict[tuple[Any, ...], int]:
    rows = UsageHour.objects.filter(team_id=team_id)
    return {row[:-1]: row[-1] for row in rows.values_list("resource", "meter", "hour_ms", "meter_key", "quantity")}


class AnyReadings(TestCase):
    @settings(max_examples=8)
    @given(
        counts=st.dictionaries(
            st.tuples(st.sampled_from(METERS), st.sampled_from(["", "AK", "c"])),
            st.dictionaries(st.integers(0, FEBRUARY.hours - 1), st.integers(1, 2**40), min_size=1, max_size=6),
            min_size=1,
            max_size=3,
        ),
        seed=st.integers(0, 2**32),
    )
    def test_two_readers_of_the_same_meters_book_the_same(
        self, counts: dict[tuple[str, str], dict[int, int]], seed: int
    ) -> None:
        wanted = {
            ("stream/s", meter, FEBRUARY.start_ms + hour * HOUR_MS, key): value
            for (meter, key), hours in counts.items()
            for hour, value in hours.items()
        }
        teams = [make_team(), make_team("210987654321", "other", "AKIDOTHER")]
        for number, team in enumerate(teams):
            month = CountedMonth(team.team.pk, FEBRUARY, source=f"counted/{number}")
            for (meter, key), hours in counts.items():
                for hour, value in hours.items():
                    month.add(meter, hour, value, key)
            month.book(seed + number)
            assert by_hour(team.team.pk) == wanted
            days = sum(UsageDay.objects.filter(team=team.team).values_list("quantity", flat=True))
            assert days == sum(wanted.values())
            committed = sum(CommittedHour.objects.filter(team=team.team).values_list("quantity", flat=True))
            assert committed == sum(value for where, value in wanted.items() if where[1] == "advantage-bytes-in")

    @settings(max_examples=20)
    @given(
        values=st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, 10**6), st.integers(-(10**7), 10**7)), min_size=1, max_size=12
        ),
        seed=st.integers(0, 2**32),
    )
    def test_no_usage_is_negative_or_falls_whatever_meters_show(
        self, values: list[tuple[int, int, int]], seed: int
    ) -> None:
        """Meters that shrink, readers with clocks of their own, and repeats."""
        team, chance = make_team(), random.Random(seed)
        before: dict[tuple[Any, ...], int] = {}
        for hour, value, at_ms in values:
            series = Series("shard/1", "bytes-in", FEBRUARY.start_ms + hour * HOUR_MS, "AK", "log")
            one = Reading(team.team.pk, "stream/s", series, value, FEBRUARY.start_ms + 10**8 + at_ms)
            ledger.record([one] * chance.randint(1, 2))
            now = by_hour(team.team.pk)
            assert all(now[where] >= quantity for where, quantity in before.items())
            assert all(quantity >= 0 for quantity in now.values())
            before = now
        rises = sum(value for _, value, _ in values)
        assert sum(before.values()) <= rises
