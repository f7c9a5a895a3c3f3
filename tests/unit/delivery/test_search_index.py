"""Names of indexes: AWS's table and its rule for weeks."""

from datetime import UTC, date, datetime

import pytest

from apps.delivery.destinations.search_index import index_name, us_week

ARRIVED_MS = int(datetime(2016, 2, 25, 13, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("rotation", "name"),
    [
        ("NoRotation", "myindex"), ("OneHour", "myindex-2016-02-25-13"), ("OneDay", "myindex-2016-02-25"),
        ("OneMonth", "myindex-2016-02"), ("OneWeek", "myindex-2016-w09"),
    ],
)  # fmt: skip
def test_names(rotation: str, name: str) -> None:
    assert index_name("myindex", rotation, ARRIVED_MS) == name


@pytest.mark.parametrize(
    ("day", "week"),
    [
        (date(2020, 8, 9), (2020, 33)),  # a Sunday
        (date(2020, 8, 15), (2020, 33)),  # its Saturday
        (date(2020, 8, 16), (2020, 34)),
        (date(2016, 1, 2), (2016, 1)),  # the Saturday that makes it the first week
        (date(2016, 1, 3), (2016, 2)),
        (date(2019, 12, 28), (2019, 52)),
        (date(2019, 12, 29), (2020, 1)),  # its Saturday is in 2020
        (date(2017, 1, 1), (2017, 1)),
        (date(2022, 12, 31), (2022, 53)),
    ],
)
def test_weeks_begin_on_sunday_and_belong_to_the_year_of_their_saturday(day: date, week: tuple[int, int]) -> None:
    assert us_week(day) == week
