"""Joda-Time's patterns."""

from datetime import UTC, datetime

import pytest

from apps.delivery.formats.joda import PATTERN_MAX, compile_pattern
from tests.support.cpu import cpu_under


def moment(*parts):
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("pattern", "text", "at"),
    [
        ("yyyy-MM-dd'T'HH:mm:ss.SSS", "2024-03-01T04:05:06.789", moment(2024, 3, 1, 4, 5, 6, 789_000)),
        ("yyyy-MM-dd'T'HH:mm:ssZ", "2024-03-01T04:05:06+0200", moment(2024, 3, 1, 2, 5, 6)),
        ("yyyy-MM-dd'T'HH:mm:ssZZ", "2024-03-01T04:05:06-02:30", moment(2024, 3, 1, 6, 35, 6)),
        ("yyyy-MM-dd HH:mm:ssZ", "2024-03-01 04:05:06Z", moment(2024, 3, 1, 4, 5, 6)),
        ("EEE, d MMM yyyy h:mm a", "Fri, 1 Mar 2024 12:07 am", moment(2024, 3, 1, 0, 7)),
        ("EEEE d MMMM yyyy K 'o''clock' a", "Friday 1 march 2024 3 o'clock PM", moment(2024, 3, 1, 15)),
        ("yyyy-DDD", "2024-060", moment(2024, 2, 29)), ("yyyyMMdd", "20240301", moment(2024, 3, 1)), ("yyyy", "2024", moment(2024, 1, 1)),
        ("dd.MM.yy", "01.03.24", moment(2024, 3, 1)), ("dd.MM.yy", "01.03.50", moment(1950, 3, 1)),
        ("HH''mm", "04'05", moment(1970, 1, 1, 4, 5)),
        ("yyyy-MM-dd k", "2024-03-01 24", moment(2024, 3, 1)), ("ss.SSSSSSSSS", "06.123456789", moment(1970, 1, 1, 0, 0, 6, 123_456)),
        ("YYYY/M/d", "2024/3/1", moment(2024, 3, 1)), ("dd/MMM/yyyy:HH:mm:ss Z", "01/Mar/2024:04:05:06 +0100", moment(2024, 3, 1, 3, 5, 6)),
    ],
)  # fmt: skip
def test_what_a_pattern_reads(pattern, text, at):
    assert compile_pattern(pattern)(text) == at


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("yyyy-MM-dd", "2024-02-30"), ("yyyy-MM-dd", "2024-13-01"), ("yyyy-MM-dd", "2024-03-01 "), ("yyyy-MM-dd", "0-01-01"),
        ("HH:mm", "24:00"), ("hh a", "13 pm"), ("KK a", "12 pm"), ("yyyy-DDD", "2023-366"), ("yyyy", "999999999"),
        ("yyyy-MM-dd", "٢٠٢٤-03-01"),
        ("yyyy-MM-ddZ", "0001-01-01+0100"), ("yyyy-MM-dd.", "2024-03-01x"), ("MMM", "Foo"), ("yyyy-MM-ddZ", "2024-01-01+9999"),
    ],
)  # fmt: skip
def test_what_a_pattern_does_not_read(pattern, text):
    assert compile_pattern(pattern)(text) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "  ",
        "'x'",
        "yyyy-ww",
        "e",
        "xxxx",
        "C",
        "z",
        "ZZZ",
        "yyyy yyyy",
        "yyyy yy YYYY",
        "'open",
        "b",
        "y" * (PATTERN_MAX + 1),
    ],
)
def test_what_is_no_pattern(pattern):
    with pytest.raises(ValueError, match="timestamp format"):
        compile_pattern(pattern)


def test_no_text_takes_long():
    read = compile_pattern("yyyyMMddHHmmssSSSSSSSSSDDD")
    with cpu_under(0.5):
        for length in (30, 60, 400, 100_000):
            assert read("1" * length + "x") is None
