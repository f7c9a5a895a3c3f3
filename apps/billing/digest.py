"""The digest of a bill: anyone who has the usage and the lines can reckon it, and sees whether one of them was changed.

Of a day: SHA-256 over a line `resource <tab> meter <tab> key <tab> quantity <newline>` for each row of UsageDay, the lines in
the order of their bytes (UTF-8). Of a bill: SHA-256 over a line `2026-11-01 <space> digest of the day` for each day with usage,
then one for each correction that it has, `correction <tab> resource <tab> meter <tab> hour in ms <tab> key <tab> quantity`, in the
order of bytes, then one for each line of the bill, `position <tab> kind <tab> dimension <tab> quantity <tab> price <tab> cents`,
each with a newline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from apps.base.units import DAY_MS, SECOND_MS
from apps.billing.models import BillLine, Correction, UsageDay
from apps.billing.months import Month


def days_of(month: Month) -> range:
    """Its UTC midnights, in ms."""
    return range(month.start_ms, month.end_ms, DAY_MS)


def of_day(team_id: int, day_ms: int) -> str:
    """Of the usage of a day; empty if there is none. Reads all rows of that day, about 160 bytes of memory each."""
    rows = UsageDay.objects.filter(team_id=team_id, day_ms=day_ms).values_list(
        "resource", "meter", "meter_key", "quantity"
    )
    lines = [f"{resource}\t{meter}\t{key}\t{quantity}\n".encode() for resource, meter, key, quantity in rows.iterator()]
    if not lines:
        return ""
    lines.sort()
    return hashlib.sha256(b"".join(lines)).hexdigest()


def of_bill(team_id: int, month: Month, days: Mapping[int, str], lines: Iterable[BillLine]) -> str:
    """days: of_day by day. lines: in order."""
    found = hashlib.sha256()
    for day_ms in days_of(month):
        if days.get(day_ms):
            found.update(f"{datetime.fromtimestamp(day_ms / SECOND_MS, UTC):%Y-%m-%d} {days[day_ms]}\n".encode())
    for text in sorted(_corrections(team_id, month)):
        found.update(text)
    for line in lines:
        columns = (line.position, line.kind, line.dimension, line.quantity, line.price, line.amount_cents)
        found.update(("\t".join(map(str, columns)) + "\n").encode())
    return found.hexdigest()


def _corrections(team_id: int, month: Month) -> Iterable[bytes]:
    rows = Correction.objects.filter(team_id=team_id, bill_month=str(month))
    for row in rows.values_list("resource", "meter", "hour_ms", "meter_key", "quantity").iterator():
        yield ("\t".join(map(str, ("correction", *row))) + "\n").encode()
