"""Numbers and times as people read them."""

import pytest

from console.pages import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (412, "412 B"),
        (999, "999 B"),
        (1024, "1 KiB"),
        (1234, "1.2 KiB"),
        (310 * 1024, "310 KiB"),
        (2**20 - 1, "1 MiB"),
        (4_928_307, "4.7 MiB"),
        (38_610_000, "36.8 MiB"),
        (5 * 2**40, "5 TiB"),
    ],
)
def test_sizes_have_three_figures_at_most(value, text):
    assert words.size(value) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (240, "240 ms"),
        (38_200, "38.2 s"),
        (1_100, "1.1 s"),
        (180_000, "3 min"),
        (7_200_000, "2 h"),
        (4 * 86_400_000, "4 d"),
    ],
)
def test_durations(ms, text):
    assert words.duration(ms) == text


@pytest.mark.parametrize(
    ("hours", "short", "long"),
    [
        (24, "24 h", "24 hours"),
        (48, "48 h", "2 days"),
        (168, "7 d", "7 days"),
        (25, "25 h", "25 hours"),
        (8760, "365 d", "365 days"),
    ],
)
def test_retention(hours, short, long):
    assert (words.retention(hours), words.retention_words(hours)) == (short, long)


@pytest.mark.parametrize(
    ("passed", "text"),
    [(0, "just now"), (5_400, "5 s ago"), (190_000, "3 min ago"), (-5, "just now"), (90 * 86_400_000, "22 Aug 2026")],
)
def test_how_long_ago(passed, text):
    assert words.ago(1_795_163_467_412 - passed, 1_795_163_467_412) == text


def test_times_are_utc_and_say_so():
    at = 1_795_163_467_412
    assert words.date_time(at) == "20 Nov 2026, 08:31:07 UTC"
    assert words.clock_time(at) == "08:31:07.412"
    assert words.iso(at) == "2026-11-20T08:31:07.412Z"
    assert words.date(1_772_323_200_000) == "1 Mar 2026"


def test_plurals_and_long_numbers():
    assert [words.plural(n, "shard") for n in (0, 1, 2, 1200)] == ["0 shards", "1 shard", "2 shards", "1,200 shards"]
    assert words.middle("49650217378496502173784965021737849650217378") == "4965…0217378"
    assert words.middle("short") == "short"
