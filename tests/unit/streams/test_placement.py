"""MD5 routing on bytes is routing on numbers."""

import hashlib
import math
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.recordlog.stored_batch import kib_units, payload_units
from apps.streams.errors import InvalidArgumentException
from apps.streams.hashkeys import digest_of_explicit, digest_of_key, digest_of_number
from apps.streams.placement import KIB_UNITS, Group, record_bytes
from apps.streams.topology import even_ranges


@given(st.text(min_size=1, max_size=256, alphabet=st.characters(exclude_categories=("Cs",))), st.integers(1, 300))
def test_a_digest_falls_into_the_range_that_holds_its_number(key, shards):
    ranges = even_ranges(shards)
    cuts = [digest_of_number(start) for start, _ in ranges[1:]]
    number = int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest())
    start, end = ranges[bisect_right(cuts, digest_of_key(key))]
    assert start <= number <= end


@pytest.mark.parametrize("number", [0, 1, 2**127, 2**128 - 1])
def test_explicit_keys_are_numbers(number):
    assert int.from_bytes(digest_of_explicit(str(number))) == number


def test_explicit_keys_end_at_the_space():
    with pytest.raises(InvalidArgumentException):
        digest_of_explicit(str(2**128))


def test_even_ranges_are_aws_s():
    assert [start for start, _ in even_ranges(3)][1:] == [
        113427455640312821154458202477256070485,
        226854911280625642308916404954512140970,
    ]
    assert even_ranges(2)[1] == (170141183460469231731687303715884105728, 340282366920938463463374607431768211455)


RECORDS = st.lists(
    st.tuples(st.one_of(st.none(), st.text(min_size=1, max_size=8)), st.integers(0, 60_000)), min_size=1, max_size=30
)


@given(RECORDS)
def test_units_of_a_group_are_the_sum_of_its_records_units(records):
    """By the plain rule, record by record; largest lets both take a short way."""
    group, largest = Group(None), 0
    for position, (key, size) in enumerate(records):
        data = b"x" * size
        group.add(position, key, data, record_bytes(key, data))
        largest = max(largest, record_bytes(key, data))
    sizes = [len((key or "").encode()) + size for key, size in records]
    assert (group.sizes, group.size_bytes) == (sizes, sum(sizes))
    assert group.kib_units(largest) == sum(max(1, math.ceil(size / 1_024)) for size in sizes)
    assert group.payload_units(largest) == sum(max(1, math.ceil(size / 25_600)) for size in sizes)


@given(st.lists(st.integers(0, 2_000) | st.integers(0, 10_485_760), min_size=1, max_size=40))
def test_units_are_exact_at_every_size(sizes):
    """Of one record, of many, and where one of them is too large for the table."""
    group = Group(None)
    group.sizes, group.positions = sizes, list(range(len(sizes)))
    assert group.kib_units(max(sizes)) == sum(map(kib_units, sizes))
    assert group.payload_units(max(sizes)) == sum(map(payload_units, sizes))


def test_the_table_of_units_is_the_rule():
    assert list(KIB_UNITS) == [kib_units(size) for size in range(len(KIB_UNITS))]
