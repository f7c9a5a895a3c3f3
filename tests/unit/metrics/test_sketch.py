"""Distributions: percentiles within their accuracy, merging, bounds, bytes."""

from hypothesis import given
from hypothesis import strategies as st

from apps.metrics import sketch
from apps.metrics.sketch import ACCURACY, Sketch

NUMBERS = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False).map(lambda x: 0.0 if abs(x) < 1e-6 else x)


def of(values):
    made = Sketch()
    for value in values:
        made.add(value)
    return made


@given(st.lists(NUMBERS, min_size=1, max_size=60), st.floats(min_value=0, max_value=100))
def test_a_percentile_is_near_a_value_that_was_seen(values, percent):
    found = of(values).percentile(percent, min(values), max(values))
    exact = sorted(values)[max(0, -(-len(values) * percent // 100) - 1).__int__()]
    assert abs(found - exact) <= 2 * ACCURACY * abs(exact) + 1e-9


@given(st.lists(NUMBERS, max_size=40), st.lists(NUMBERS, max_size=40))
def test_merging_is_counting_together(one, other):
    merged = of(one)
    merged.merge(of(other))
    whole = of(one + other)
    assert (merged.above, merged.below, merged.zeros) == (whole.above, whole.below, whole.zeros)
    again = Sketch.decode(merged.encode())
    assert (again.above, again.below, again.zeros) == (merged.above, merged.below, merged.zeros)


def test_its_room_is_bounded(monkeypatch):
    monkeypatch.setattr(sketch, "BINS_MAX", 50)
    made = of([1.05**power for power in range(500)])
    assert len(made.above) == 50
    assert made.count == 500
    top = 1.05**499
    assert abs(made.percentile(99, 1, top) - 1.05**494) <= 1.05**494 * 2 * ACCURACY
