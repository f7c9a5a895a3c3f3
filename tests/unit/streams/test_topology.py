"""The hash space is always partitioned, whatever is split and merged."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.streams.topology import (
    HASH_SPACE,
    LAST_HASH,
    UNIFORM,
    Kind,
    State,
    Step,
    adjacent,
    apply,
    children_of,
    closing_time,
    created_second,
    even_ranges,
    lineage,
    may_split,
    middle,
    next_step,
    parents_of,
    partitions,
    plan_of,
    plan_uniform,
    state,
    uniform_steps,
)

hashes = st.integers(1, LAST_HASH) | st.integers(1, 50) | st.integers(LAST_HASH - 50, LAST_HASH)


@st.composite
def partitionings(draw):
    cuts = sorted(draw(st.sets(hashes, max_size=20)))
    starts = [0, *cuts]
    return [(a, b - 1) for a, b in zip(starts, [*cuts, HASH_SPACE], strict=True)]


def steps_left(plan, ranges):
    """The steps that carry out a plan, all at once: what next_step should come to one by one."""
    steps = []
    for word, number in plan:
        for step in uniform_steps(ranges, int(number)) if word == UNIFORM else [Step(Kind(word), int(number))]:
            if parents_of(step, ranges):
                steps.append(step)
                ranges = apply(step, ranges)
    return steps


def test_even_ranges_are_those_recorded_from_aws():
    assert even_ranges(1) == [(0, 340282366920938463463374607431768211455)]
    assert even_ranges(2)[1][0] == 170141183460469231731687303715884105728
    assert [r[0] for r in even_ranges(3)] == [
        0,
        113427455640312821154458202477256070485,
        226854911280625642308916404954512140970,
    ]
    assert even_ranges(10)[9] == (306254130228844617117037146688591390305, LAST_HASH)


@given(st.integers(1, 2_000))
def test_even_ranges_partition_and_differ_by_the_rest_only(count):
    ranges = even_ranges(count)
    assert partitions(ranges)
    widths = {end - start + 1 for start, end in ranges[:-1]}
    assert widths <= {HASH_SPACE // count}
    assert 0 <= (ranges[-1][1] - ranges[-1][0] + 1) - HASH_SPACE // count < count


@pytest.mark.parametrize(
    "ranges",
    [
        [],
        [(0, LAST_HASH - 1)],
        [(1, LAST_HASH)],
        [(0, 5), (7, LAST_HASH)],
        [(0, 5), (5, LAST_HASH)],
        [(0, LAST_HASH), (0, LAST_HASH)],
    ],
)
def test_gaps_and_overlaps_are_seen(ranges):
    assert not partitions(ranges)


@given(partitionings(), st.integers(1, 40))
def test_every_plan_ends_at_even_ranges_and_partitions_at_each_step(ranges, count):
    steps = uniform_steps(ranges, count)
    for step in steps:
        parents = parents_of(step, ranges)
        assert parents, "a planned step always has something to do"
        assert children_of(step, parents)[0][0] == parents[0][0]
        assert children_of(step, parents)[-1][1] == parents[-1][1]
        ranges = apply(step, ranges)
        assert partitions(ranges)
    assert ranges == even_ranges(count)


@given(partitionings(), st.lists(st.tuples(st.sampled_from(Kind), hashes), max_size=30))
def test_any_steps_in_any_order_keep_the_partition(ranges, steps):
    for kind, boundary in steps:
        ranges = apply(Step(kind, boundary), ranges)
        assert partitions(ranges)


@given(partitionings(), hashes)
def test_a_step_done_twice_changes_nothing_the_second_time(ranges, boundary):
    for kind in Kind:
        once = apply(Step(kind, boundary), ranges)
        assert parents_of(Step(kind, boundary), once) == []
        assert apply(Step(kind, boundary), once) == once


@given(partitionings(), hashes)
def test_a_merge_undoes_a_split(ranges, boundary):
    if parents_of(Step(Kind.SPLIT, boundary), ranges):
        assert apply(Step(Kind.MERGE, boundary), apply(Step(Kind.SPLIT, boundary), ranges)) == ranges


@given(partitionings(), st.integers(1, 12), st.lists(st.tuples(st.sampled_from(Kind), hashes), max_size=6))
def test_a_plan_carried_out_step_by_step_survives_its_json_and_does_what_was_announced(ranges, count, first):
    plan = plan_of(Step(*pair) for pair in first) + plan_uniform(count)
    announced = steps_left(plan, ranges)
    done = []
    while True:
        step, plan = next_step(json.loads(json.dumps(plan)), ranges)
        if step is None:
            break
        done.append(step)
        ranges = apply(step, ranges)
    assert ranges == even_ranges(count)
    assert plan == []
    assert done == announced


def test_doubling_and_halving_take_the_fewest_steps():
    assert uniform_steps(even_ranges(4), 4) == []
    assert len(uniform_steps(even_ranges(4), 8)) == 4
    assert len(uniform_steps(even_ranges(8), 4)) == 4
    assert steps_left(plan_uniform(8), even_ranges(4)) == uniform_steps(even_ranges(4), 8)


def test_the_split_rule_is_stricter_than_the_range():
    assert not may_split((0, 10), 0)
    assert not may_split((0, 10), 1)
    assert may_split((0, 10), 2)
    assert may_split((0, 10), 9)
    assert not may_split((0, 10), 10)
    assert middle((0, 10)) == 5
    assert middle((0, 2)) is None
    assert middle(even_ranges(1)[0]) == 2**127


def test_only_neighbours_in_order_are_adjacent():
    lower, upper = even_ranges(2)
    assert adjacent(lower, upper)
    assert not adjacent(upper, lower)
    assert not adjacent(even_ranges(3)[0], even_ranges(3)[2])


@dataclass
class Row:
    index: int
    parent_index: int | None = None
    adjacent_parent_index: int | None = None
    opened_at_ms: int | None = 1
    closed_at_ms: int | None = None
    expired_at_ms: int | None = None


def test_states():
    assert state(Row(0, opened_at_ms=None)) is None
    assert state(Row(0)) is State.OPEN
    assert state(Row(0, closed_at_ms=5)) is State.CLOSED
    assert state(Row(0, closed_at_ms=5, expired_at_ms=9)) is State.EXPIRED


def test_lineage_names_the_children_of_splits_and_merges():
    rows = [Row(3, 1, 2), Row(0), Row(2, 0), Row(1, 0)]
    assert lineage(rows) == {0: [1, 2], 1: [3], 2: [3]}


def test_children_are_created_a_second_after_the_end_and_later_than_their_parents():
    assert created_second(10_900, [3]) == 11
    assert closing_time(10_950, 11) == 10_950
    assert created_second(10_950, [11]) == 12
    assert closing_time(10_960, 12) == 11_000
    assert closing_time(99_000, 12) == 99_000
