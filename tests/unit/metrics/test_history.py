"""Buckets side by side: gaps are None, zero is zero."""

import pytest

from apps.metrics.buckets import Point
from apps.metrics.history import Uptimes, empty, merge_processes


def bitmap(*seconds):
    bits = bytearray(450)
    for second in seconds:
        bits[second // 8] |= 128 >> second % 8
    return bytes(bits)


def test_a_bucket_nobody_served_stays_none():
    found = empty(100, 130, 10)
    found.served(100)
    found.put(115, {1: Point(5, 1, 5, 5, 5)})
    found.put(117, {1: Point(9, 2, 4, 5, 9)})
    assert found.buckets == [{}, {1: Point(14, 3, 4, 5, 9)}, None]
    assert found.times == [100, 110, 120]


def test_what_lies_outside_is_left_out():
    found = empty(100, 130, 10)
    found.served(99)
    found.put(130, {1: Point(5, 1, 5, 5, 5)})
    assert found.buckets == [None, None, None]


def test_the_start_moves_down_to_a_bucket():
    assert empty(107, 121, 10).times == [100, 110, 120]
    assert empty(100, 100, 10).times == []


def test_at_most_six_hundred_points():
    assert len(empty(0, 600, 1).buckets) == 600
    with pytest.raises(ValueError, match="601 points asked for, at most 600"):
        empty(0, 601, 1)


def test_uptimes_count_the_seconds_of_a_bucket():
    uptimes = Uptimes()
    uptimes.add(2, bitmap(0, 9, 10, 3_599))
    uptimes.add(3, None)
    assert uptimes.seconds(7_200, 1) == 1
    assert uptimes.seconds(7_201, 1) == 0
    assert uptimes.seconds(7_200, 10) == 2
    assert uptimes.seconds(7_210, 10) == 1
    assert uptimes.seconds(10_799, 1) == 1
    assert uptimes.seconds(7_200, 3_600) == 4
    assert uptimes.seconds(10_800, 3_600) == 0
    assert uptimes.seconds(0, 10) == 0


def test_a_bitmap_may_end_early():
    uptimes = Uptimes()
    uptimes.add(0, bitmap(3)[:1])
    assert uptimes.seconds(0, 10) == 1


def test_processes_add_up_by_bucket():
    merged = merge_processes(
        [(10, {1: Point(1, 1, 1, 1, 1)}), (20, {1: Point(5, 1, 5, 5, 5)}), (10, {1: Point(2, 1, 2, 2, 2)})]
    )
    assert merged == {10: {1: Point(3, 2, 1, 2, 3)}, 20: {1: Point(5, 1, 5, 5, 5)}}
