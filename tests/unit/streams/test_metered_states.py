"""States that time is metered by: begun, replaced, cut, forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from apps.streams.metered_states import State, covered, cut, ended, length, pieces, with_state, without_old


def state(from_ms, mode="PROVISIONED", hours=24):
    return State(from_ms, mode, hours, 0, 0)


def test_a_state_lasts_until_the_next_one_and_to_the_deletion():
    states = [state(10), state(20, "ON_DEMAND"), ended(50)]
    assert pieces(states, (0, 100)) == [((10, 20), states[0]), ((20, 50), states[1])]
    assert pieces(states, (15, 18)) == [((15, 18), states[0])]
    assert pieces(states, (50, 100)) == []
    assert pieces([], (0, 100)) == []


def test_what_lasted_no_time_or_was_to_begin_later_is_replaced():
    states = [state(10), state(20), state(99)]
    assert with_state(states, state(20, "ON_DEMAND")) == [state(10), state(20, "ON_DEMAND")]
    assert with_state([], state(5)) == [state(5)]


def test_states_are_kept_while_a_part_of_them_is_still_read():
    states = [state(10), state(20), state(30)]
    assert without_old(states, 20) == states[1:]
    assert without_old(states, 19) == states
    assert without_old(states, 1_000) == states[2:]


def test_only_more_than_a_day_is_extended_and_nothing_of_a_deleted_stream():
    assert [one.is_extended for one in (state(1), state(1, hours=25), ended(1))] == [False, True, False]


SPANS = st.lists(st.integers(0, 60), min_size=0, max_size=10, unique=True).map(sorted)


@given(st.integers(0, 60), st.integers(0, 60), SPANS)
def test_parts_inside_and_outside_make_up_the_span(a, b, bounds):
    span, others = (min(a, b), max(a, b)), list(zip(bounds[::2], bounds[1::2], strict=False))
    inside, outside = cut(span, others)
    millis = {ms for one in inside + outside for ms in range(*one)}
    assert sum(map(length, inside + outside)) == len(millis) == length(span)
    assert millis == set(range(*span))
    assert {ms for one in inside for ms in range(*one)} == {
        ms for ms in range(*span) if any(x <= ms < y for x, y in others)
    }
    assert covered(span, [(one, 3) for one in others]) == 3 * sum(map(length, inside))
