"""Patterns of Java's DateTimeFormatter. Every expected text is what OpenJDK 17 writes with Locale.US."""

import pytest

from apps.delivery.java_time import compiled, format_time, zone_of

LEAP = 1_709_251_199_987  # 2024-02-29T23:59:59.987Z
NEW_YEAR = 1_735_689_600_000  # 2025-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("pattern", "zone", "written"),
    [
        ("yyyy/MM/dd/HH", "UTC", "2024/02/29/23"), ("yyyy/MM/dd/HH", "Asia/Tokyo", "2024/03/01/08"), ("yy u y", "UTC", "24 2024 2024"),
        ("M MM MMM MMMM MMMMM L", "UTC", "2 02 Feb February F 2"), ("d dd D DDD", "UTC", "29 29 60 060"),
        ("E EEEE EEEEE e c", "UTC", "Thu Thursday T 5 5"), ("Q QQ QQQ QQQQ", "UTC", "1 01 Q1 1st quarter"),
        ("h hh K k a", "UTC", "11 11 11 23 PM"), ("H:m:s.SSS", "Asia/Kolkata", "5:29:59.987"),
        ("SSSSSS n A", "UTC", "987000 987000000 86399987"),
        ("G GGGG", "UTC", "AD Anno Domini"), ("w W F", "UTC", "9 5 1"), ("YYYY", "UTC", "2024"), ("VV", "Asia/Tokyo", "Asia/Tokyo"),
        ("X XX HXXX", "UTC", "Z Z 23Z"), ("x xx xxx Z ZZZZZ", "UTC", "+00 +0000 +00:00 +0000 Z"),
        ("X XX HXXX Z ZZZZ O", "Asia/Kolkata", "+0530 +0530 5+05:30 +0530 GMT+05:30 GMT+5:30"),
        ("X O z", "America/Los_Angeles", "-08 GMT-8 PST"),
        ("'year='yyyy", "UTC", "year=2024"), ("''yyyy'it''s'", "UTC", "'2024it's"), ("[yyyy]/[MM]", "UTC", "2024/02"),
        ("pppH", "UTC", " 23"),
        ("yyyy-MM-dd_HH", "America/St_Johns", "2024-02-29_20"),
    ],
)  # fmt: skip
def test_as_java_writes_it(pattern, zone, written):
    assert format_time(pattern, LEAP, zone) == written


def test_weeks_are_those_of_the_united_states():
    assert format_time("YYYY-'w'ww", NEW_YEAR, "") == "2025-w01"
    assert format_time("YYYY-'w'ww", NEW_YEAR - 1, "") == "2025-w01"  # a week belongs to the year of its Saturday
    assert format_time("YYYY-'w'ww", 1_735_430_400_000 - 1, "") == "2024-w52"  # the Saturday before


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "b",
        "yyyy'",
        "]",
        "{",
        "#",
        "MMMMMM",
        "ddd",
        "cc",
        "V",
        "OO",
        "aa",
        "WW",
        "p",
        "pp-",
        "y" * 20,
        "v",
        "B",
        "zzzz",
        "ö'",
    ],
)
def test_refused_with_a_sentence(pattern):
    with pytest.raises(ValueError, match=r"\.$|\"cc\"\.$"):
        compiled(pattern)


@pytest.mark.parametrize(
    "name", ["Mars/Base", "../../etc/passwd", "/etc/localtime", "Europe", "a\x00b", "Europe/Berlin\n"]
)
def test_no_time_zone(name):
    with pytest.raises(ValueError, match="There is no time zone"):
        zone_of(name)


def test_zones_are_known_without_the_systems_help(monkeypatch):
    import zoneinfo

    zone_of.cache_clear()
    zoneinfo.reset_tzpath(to=())
    try:
        zoneinfo.ZoneInfo.clear_cache()
        assert format_time("HH", LEAP, "Asia/Tokyo") == "08"
    finally:
        zoneinfo.reset_tzpath()
        zone_of.cache_clear()
