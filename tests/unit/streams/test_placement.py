"""MD5 routing on bytes is routing on numbers."""

import hashlib
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.streams.errors import InvalidArgumentException
from apps.streams.hashkeys import digest_of_explicit, digest_of_key, digest_of_number
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
