"""Percentiles of latencies: however the buckets are merged they are the same, and close to the exact ones."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from apps.metrics import firehose, latency
from apps.metrics.buckets import Point, decode, encode, merge_beside, merge_then, point_of
from apps.metrics.counters import Counters
from apps.metrics.names import BY_NAME, METRICS, SHARD_METRICS

METRIC = "PutRecords.Latency"
NUMBER = BY_NAME[METRIC].number

durations = st.integers(0, 30) | st.integers(0, 5_000) | st.integers(60_000, 400_000)
percents = st.sampled_from((0, 1, 50, 90, 99, 99.9, 100))


def bucket(*observed):
    counters = Counters()
    for ms in observed:
        counters.add_latency(1, 7, METRIC, ms)
    points = {}
    for (_, _, name), sample in counters.drain().items():
        points[latency.NUMBER_OF.get(name, NUMBER)] = point_of(sample)
    return points


def percentile(points, percent):
    return latency.percentile(points, METRIC, NUMBER, percent)


def exact(observed, percent):
    return sorted(observed)[max(1, math.ceil(len(observed) * percent / 100)) - 1]


@given(st.lists(st.lists(durations, min_size=1, max_size=12), min_size=1, max_size=8), percents, st.data())
def test_merging_in_any_order_and_way_gives_the_same_percentile(seconds, percent, data):
    whole = bucket(*(ms for second in seconds for ms in second))
    merged = {}
    for second in data.draw(st.permutations(seconds)):
        merge = data.draw(st.sampled_from((merge_then, merge_beside)))
        merge(merged, decode(encode(bucket(*second))))
    halves = {}, {}
    for n, second in enumerate(seconds):
        merge_then(halves[n % 2], bucket(*second))
    merge_beside(*halves)
    assert percentile(whole, percent) == percentile(merged, percent) == percentile(halves[0], percent)


@given(st.lists(durations, min_size=1, max_size=200), percents)
def test_a_percentile_lies_in_the_class_of_the_exact_one(observed, percent):
    found, true = percentile(bucket(*observed), percent), exact(observed, percent)
    assert latency.series_of(METRIC, found) == latency.series_of(METRIC, true)
    assert min(observed) <= found <= max(observed)
    if true < 2 * latency.EXACT_BELOW_MS:
        assert abs(found - true) <= 1
    if true < latency.EXACT_BELOW_MS:
        assert found == true
    if true < latency.LOWER_MS[-1]:
        assert abs(found - true) < true / 4 or found == true


def test_one_slow_call_in_a_hundred_is_in_the_p99_and_not_in_the_median():
    points = bucket(*[3] * 98, 900, 900)
    assert (percentile(points, 50), percentile(points, 99)) == (3, 900)


def test_percentiles_of_seconds_are_not_averaged():
    """A second with one slow call beside one with a thousand fast ones: the mean of both p99 would be 503."""
    points = bucket(1_000)
    merge_then(points, bucket(*[6] * 1_000))
    assert percentile(points, 99) == 6


def test_nothing_is_told_of_buckets_that_counted_no_classes():
    assert percentile({}, 50) is None
    assert percentile({NUMBER: Point(12, 4, 1, 8, 12)}, 50) is None  # stored before there were classes


def test_classes_leave_no_hole_and_no_number_is_used_twice():
    assert list(latency.LOWER_MS) == sorted(set(latency.LOWER_MS))
    assert all(after / before <= 1.25 for before, after in pairwise(latency.LOWER_MS[latency.EXACT_BELOW_MS :]))
    others = {metric.number for metric in (*METRICS, *SHARD_METRICS, *firehose.METRICS)}
    assert not latency.CLASS_NUMBERS & others
    assert len(latency.CLASS_NUMBERS) == len(latency.NUMBER_OF) == len(latency.TIMED) * len(latency.LOWER_MS)
    # They stand in stored data: neither bounds nor numbers may ever change.
    assert (latency.LOWER_MS[12], latency.TIMED["GetRecords.Latency"][12]) == (16, 1_212)
    assert (latency.LOWER_MS[60], latency.TIMED["PutRecord.Latency"][60]) == (65_536, 1_060)


def test_a_class_is_stored_as_its_count_alone_and_only_if_it_occurred():
    points = bucket(*[3] * 100, 7)
    without = {number: point for number, point in points.items() if number not in latency.CLASS_NUMBERS}
    assert len(points) - len(without) == 2
    assert len(encode(points)) == len(encode(without)) + 2 * (3 + 1)
    assert decode(encode(points))[1_103].count == 100
    assert decode(encode(points), classes=False) == without
