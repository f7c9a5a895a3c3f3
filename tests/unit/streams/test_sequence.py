"""Sequence numbers: the layout, the quick run, and what is refused."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.streams import sequence

SECONDS = st.integers(0, 2**34 - 1)
CREATED = st.integers(0, sequence.CREATION_SECOND_MAX - 1)
INDEXES = st.integers(0, 2**31 - 1)
ORDINALS = st.integers(0, sequence.ORDINAL_MAX)


def test_neighbours_start_as_far_apart_as_aws_s_do():
    starts = [int(sequence.starting(1_795_163_467, index)) for index in range(16)]
    gaps = {b - a for a, b in pairwise(starts)}
    assert gaps == {22300745198530623141535718272648361505980432}


def test_a_number_is_56_digits_and_47_hex_digits():
    number = sequence.encode(sequence.fixed_part(1_795_163_467, 0x123), 77, 1_795_163_999)
    assert len(number) == 56
    text = f"{int(number):x}"
    assert text == "2" + f"{1_795_163_467:09x}" + "3" + f"{77:016x}" + "00" + f"{1_795_163_999:09x}" + "00000123" + "2"


@given(CREATED, INDEXES, ORDINALS, SECONDS)
def test_what_is_encoded_is_decoded(created_s, index, ordinal, second):
    number = sequence.encode(sequence.fixed_part(created_s, index), ordinal, second)
    assert sequence.decode(number) == (created_s, index, ordinal, second, 2)


@given(CREATED, INDEXES, st.integers(1, 2**40), SECONDS, st.integers(0, 600))
def test_a_run_is_its_single_numbers(created_s, index, first, second, count):
    fixed = sequence.fixed_part(created_s, index)
    assert sequence.run(fixed, first, second, count) == [
        sequence.encode(fixed, first + i, second) for i in range(count)
    ]


def test_runs_across_every_cut():
    fixed = sequence.fixed_part(1_795_163_467, 3)
    # 10^28 / 2^80 is about 8272: a run of 9,000 crosses the lower cuts at least once, wherever it begins.
    for first in (1, 820, 826, 827, 8_270, 10**9 - 5):
        run = sequence.run(fixed, first, 1_795_163_999, 9_000)
        assert run == [sequence.encode(fixed, first + i, 1_795_163_999) for i in range(9_000)]


@given(CREATED, INDEXES, ORDINALS, SECONDS, st.integers(0, 10**6))
def test_later_ordinals_are_larger_numbers_whatever_the_clock_does(created_s, index, ordinal, second, back):
    fixed = sequence.fixed_part(created_s, index)
    before = int(sequence.encode(fixed, ordinal, second))
    assert int(sequence.encode(fixed, ordinal + 1, max(0, second - back))) > before


def test_the_ending_number_is_above_all_of_the_shard_and_below_the_childs():
    created = 1_795_163_467
    last = int(sequence.encode(sequence.fixed_part(created, 0), 10**12, created + 500))
    end = int(sequence.ending(created, 0, created + 500))
    child = int(sequence.starting(created + 501, 1))
    assert last < end < child
    assert f"{end:x}"[11:27] == "7fffffffffffffff"


@pytest.mark.parametrize(
    "text",
    ["", "-1", "9" * 56, "9" * 57, "9" * 129, "abc", "١٢٣", " 5", str(1 << 184), str(3 << 184 | 2), str(2 << 184)]
    + [str(2 << 184 | version) for version in (0, 3, 4, 15)]
    + [str(1 << 128), str(0x13BB2CC3D80000000000000000000000)]
    + [str(2 << 184 | 1 << 143 | 2), str(2 << 184 | sequence.CREATION_SECOND_MAX << 148 | 2)],
)
def test_what_is_no_number(text):
    assert sequence.decode(text) is None


def test_a_negative_index_and_the_older_version():
    assert sequence.decode(str(2 << 184 | 2**31 << 4 | 2)).shard_index == -(2**31)
    older = sequence.decode(str(2 << 184 | 5 << 148 | 7 << 100 | 3 << 4 | 1))
    assert (older.created_s, older.second, older.shard_index, older.version) == (5, 7, 3, 1)


@pytest.mark.parametrize(
    ("number", "created_s", "index"),
    [(0, 0, 0), (5, 0, 5), (425352958651173072921826052383309826, 1_374_389_534, 2),
     (0xF3BB2CC3D7FF7FFFFFFFFFFFFFFF0000, sequence.CREATION_SECOND_MAX - 1, 0)],
)  # fmt: skip
def test_the_oldest_version(number, created_s, index):
    """Numbers that AWS was seen to read."""
    found = sequence.decode(str(number))
    assert (found.version, found.shard_index) == (0, index)
    assert found.created_s == created_s
