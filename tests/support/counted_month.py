"""A meter source that only counts: what a month of traffic would show on cumulative meters, read at any times.

It knows no prices, no streams and no log. Readings come as a real reader's do: some hours at a time, the present one
unfinished, now and then twice, in another grouping, or after those that were taken later.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from apps.base.units import HOUR_MS, MINUTE_MS
from apps.billing import ledger
from apps.billing.ledger import Reading, Series
from apps.billing.months import Month

KIB = 1_024
GIB = 2**30
UNIT_BYTES = 25 * KIB
DELIVERY_UNIT_BYTES = 5 * KIB

GAP_MS = (MINUTE_MS, 60 * HOUR_MS)
"""Between two readings: the usual minute, up to a worker that was away for days."""


class CountedMonth:
    """Counts of one team's resource by meter and hour of a month."""

    def __init__(self, team_id: int, month: Month, resource: str = "stream/s", source: str = "counted/1") -> None:
        self.team_id, self.month, self.resource, self.source = team_id, month, resource, source
        self.counts: dict[tuple[str, str], list[int]] = {}

    def _hours(self, meter: str, key: str) -> list[int]:
        return self.counts.setdefault((meter, key), [0] * self.month.hours)

    def add(self, meter: str, hour: int, value: int, key: str = "") -> None:
        """So much more in an hour of the month."""
        self._hours(meter, key)[hour] += value

    def steady(self, meter: str, per_hour: int, key: str = "") -> None:
        """The same in every hour."""
        hours = self._hours(meter, key)
        for at in range(len(hours)):
            hours[at] += per_hour

    def spread(self, meter: str, total: int, key: str = "") -> None:
        """So much in all, in hours that differ by one at most."""
        hours = self._hours(meter, key)
        for at in range(len(hours)):
            hours[at] += total * (at + 1) // len(hours) - total * at // len(hours)

    def within(self, meter: str, from_ms: int, to_ms: int, times: int, key: str = "") -> None:
        """Time: `times` things that live from one moment of the month to another."""
        hours = self._hours(meter, key)
        for at in range(len(hours)):
            start_ms = self.month.start_ms + at * HOUR_MS
            hours[at] += times * max(0, min(to_ms, start_ms + HOUR_MS) - max(from_ms, start_ms))

    def records(self, per_second: int, size_bytes: int, key: str = "AK") -> None:
        """Records put into a provisioned stream, each in units of 25 KiB; and how many, by the day, which costs nothing."""
        an_hour = per_second * 3_600
        for day in range(self.month.days):
            self.add("records-in", 24 * day, 24 * an_hour, key)
        self.steady("payload-units", an_hour * max(1, -(-size_bytes // UNIT_BYTES)), key)

    def deliveries(self, per_second: int, size_bytes: int, key: str = "AK") -> None:
        """The same of a delivery stream, each in multiples of 5 KiB."""
        an_hour = per_second * 3_600
        for day in range(self.month.days):
            self.add("delivery-records-in", 24 * day, 24 * an_hour, key)
        self.steady("delivery-units", an_hour * -(-size_bytes // DELIVERY_UNIT_BYTES), key)

    def total(self, meter: str) -> int:
        """Of the month, whatever the key."""
        return sum(sum(hours) for (name, _), hours in self.counts.items() if name == meter)

    def seen(self, at_ms: int, since_ms: int) -> list[Reading]:
        """What a reader who was here at since_ms reads at at_ms: the hours since, and the one before once more."""
        first = max(0, (since_ms - self.month.start_ms) // HOUR_MS - 1)
        last = min(self.month.hours - 1, (at_ms - self.month.start_ms) // HOUR_MS)
        readings = []
        for (meter, key), hours in self.counts.items():
            for at in range(first, last + 1):
                hour_ms = self.month.start_ms + at * HOUR_MS
                value = hours[at] * min(HOUR_MS, at_ms - hour_ms) // HOUR_MS
                if value:
                    series = Series(self.source, meter, hour_ms, key, "log-1")
                    readings.append(Reading(self.team_id, self.resource, series, value, at_ms))
        return readings

    def rounds(self, chance: random.Random) -> Iterator[list[Reading]]:
        """The readings of the month, in groups as they are recorded."""
        at_ms = since_ms = self.month.start_ms
        late: list[Reading] = []
        while at_ms < self.month.end_ms + HOUR_MS:
            at_ms += round(10 ** chance.uniform(0, 3.55) * MINUTE_MS)
            readings, since_ms = self.seen(at_ms, since_ms), at_ms
            chance.shuffle(readings)
            cut = chance.randint(0, len(readings))
            if late:
                yield late
            late = []
            if chance.random() < 0.3:
                late = readings[cut:]
                yield readings[:cut]
            elif chance.random() < 0.3:
                yield readings[:cut]
                yield readings
            else:
                yield readings
        yield late
        yield self.seen(at_ms, self.month.end_ms - 40 * HOUR_MS)

    def book(self, seed: int) -> None:
        """Let the ledger have all of it."""
        for readings in self.rounds(random.Random(seed)):
            ledger.record(readings)
