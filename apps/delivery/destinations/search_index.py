"""Names of indexes and documents in a search service, as Firehose gives them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from apps.base.units import SECOND_MS
from apps.delivery.record import Record

SATURDAY: Final = 5
"""As date.weekday() counts."""


def index_name(index: str, rotation: str, arrival_ms: int) -> str:
    """The index that a record goes to: IndexRotationPeriod appends a part of the time it arrived, in UTC."""
    at = datetime.fromtimestamp(arrival_ms // SECOND_MS, UTC)
    match rotation:
        case "OneHour":
            return f"{index}-{at:%Y-%m-%d-%H}"
        case "OneDay":
            return f"{index}-{at:%Y-%m-%d}"
        case "OneWeek":
            year, week = us_week(at.date())
            return f"{index}-{year}-w{week:02d}"
        case "OneMonth":
            return f"{index}-{at:%Y-%m}"
        case _:
            return index


def us_week(day: date) -> tuple[int, int]:
    """Year and week by US conventions: weeks begin on Sunday, and the first of a year is the first that has a Saturday in it.

    So the guide's note says ("Configure index rotation"). Its table has 2016-02-25 in w08, which by that rule is w09; the
    rule, written later, is followed.
    """
    saturday = day + timedelta(days=(SATURDAY - day.weekday()) % 7)
    return saturday.year, (saturday.timetuple().tm_yday - 1) // 7 + 1


def document_id(lane_id: int, record: Record) -> str:
    """The id of a record's document: the same at every attempt. The time of arrival is in it so that a lane with the same
    number, in an installation that was made anew, does not overwrite what the former one indexed."""
    return f"{lane_id}.{record.arrival_ms}.{record.ordinal}.{record.sub}"
