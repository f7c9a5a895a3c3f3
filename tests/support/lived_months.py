"""Weeks of usage as a team has them that uses its streams: by the ledger, with a rhythm of weekdays and hours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple
from zlib import crc32

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import ledger
from apps.billing.ledger import Reading, Series

GIB = 2**30
KEY = "AKIAIOSFODNN7EXAMPLE"
READINGS_AT_ONCE = 2_000


class Lived(NamedTuple):
    """A resource and what an ordinary hour of it shows: meter, quantity, key. Time does not know weekends."""

    resource: str
    hour: tuple[tuple[str, int, str], ...]


SHARD = HOUR_MS

TEAM = (
    Lived("stream/orders-events", (
        ("shard-time", 6 * SHARD, ""), ("payload-units", 6_000_000, KEY), ("bytes-in", 12 * GIB, KEY),
        ("extended-retention-time", 6 * SHARD, ""), ("consumer-time", 12 * SHARD, "billing-service"),
        ("fan-out-bytes", 6 * GIB, KEY),
    )),
    Lived("stream/clickstream-web", (
        ("on-demand-time", HOUR_MS, ""), ("on-demand-bytes-in", 3 * GIB, KEY), ("on-demand-bytes-out", 5 * GIB, KEY),
    )),
    Lived("stream/payments-ledger", (("shard-time", 4 * SHARD, ""), ("payload-units", 1_600_000, "console"))),
    Lived("stream/iot-telemetry-eu", (("shard-time", 4 * SHARD, ""), ("payload-units", 8_000_000, KEY))),
    Lived("deliverystream/stock-ticker", (("delivery-units", 1_250_000, KEY), ("delivery-converted-units", 1_250_000, ""))),
    Lived("deliverystream/alerts-collector", (("delivery-units", 310_000, KEY),)),
)  # fmt: skip


def live(team_id: int, now_ms: int, days: int, *, step_hours: int = 1, team: tuple[Lived, ...] = TEAM) -> None:
    """So many days until now. step_hours: usage comes in every such hour, as much of it as in all of them together."""
    readings: list[Reading] = []
    first_ms = now_ms // DAY_MS * DAY_MS - days * DAY_MS + (12 * HOUR_MS if step_hours == DAY_MS // HOUR_MS else 0)
    for hour_ms in range(first_ms, now_ms // HOUR_MS * HOUR_MS, step_hours * HOUR_MS):
        readings += [reading for one in team for reading in _of_hour(team_id, one, hour_ms, step_hours)]
        if len(readings) >= READINGS_AT_ONCE:
            ledger.record(readings)
            readings = []
    ledger.record(readings)


def _of_hour(team_id: int, lived: Lived, hour_ms: int, step_hours: int) -> list[Reading]:
    found = []
    for meter, quantity, key in lived.hour:
        value = quantity if meter.endswith("time") else quantity * _busy(hour_ms) // 100
        series = Series(f"lived/{lived.resource}", meter, hour_ms, key, "log")
        found.append(Reading(team_id, lived.resource, series, value * step_hours, hour_ms + HOUR_MS))
    return found


def _busy(hour_ms: int) -> int:
    """Percent of an ordinary hour: less at night and on weekends, a little more each week, and no day like the other."""
    moment = datetime.fromtimestamp(hour_ms / 1_000, UTC)
    by_hour = 40 + 5 * min(moment.hour, 24 - moment.hour)
    by_day = 62 if moment.weekday() >= 5 else 100 + 3 * moment.weekday()
    by_chance = crc32(str(hour_ms // DAY_MS).encode()) % 30
    return by_hour * (by_day + by_chance) // 100 + hour_ms // DAY_MS % 90 // 9
