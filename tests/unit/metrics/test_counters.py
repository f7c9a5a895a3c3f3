"""Counters, samples, points: what is counted, and what merging keeps of it."""

import ast
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.metrics import firehose
from apps.metrics.buckets import Point, decode, decode_shards, encode, encode_shards, merge_then, point_of, share
from apps.metrics.counters import Counters, Sample, ShardSample
from apps.metrics.names import BY_NAME, BY_NUMBER, METRICS, SHARD_LEVEL, SHARD_METRICS, labels_of, stored_under

ROOT = Path(__file__).resolve().parents[3]


def test_add_keeps_sum_count_least_and_most():
    counters = Counters()
    for value in (5, 2, 9):
        counters.add(1, 2, "IncomingBytes", value)
    assert counters.drain() == {(1, 2, "IncomingBytes"): Sample(16, 3, 2, 9)}
    assert counters.drain() == {}


def test_shards_are_counted_apart():
    counters = Counters()
    counters.add_shard_write(1, 2, 0, 100, 3)
    counters.add_shard_write(1, 2, 0, 50, 1, 700, 7)
    counters.add_shard_read(1, 2, 4, 60, 2)
    assert counters.drain_shards() == {
        (1, 2): {0: ShardSample(150, 4, 700, 7, 0, 0), 4: ShardSample(0, 0, 0, 0, 60, 2)}
    }
    assert counters.drain_shards() == {}


values = st.lists(st.integers(0, 10**12) | st.floats(0, 1e9, width=32), min_size=1, max_size=30)


@given(values)
def test_encoding_keeps_a_point(observed):
    counters = Counters()
    for value in observed:
        counters.add(1, 2, "IncomingBytes", value)
    point = point_of(counters.drain()[1, 2, "IncomingBytes"])
    back = decode(encode({1: point}))[1]
    assert back.count == point.count
    for name in ("total", "least", "most", "peak"):
        was = getattr(point, name)
        # Whole numbers are exact, others have the seven digits of a single float.
        assert getattr(back, name) == was or abs(getattr(back, name) - was) <= abs(was) * 1e-6


def test_one_observation_is_stored_as_its_bare_value():
    assert len(encode({1: Point(0, 1, 0, 0, 0)})) == 3
    assert decode(encode({1: Point(7, 1, 7, 7, 7)})) == {1: Point(7, 1, 7, 7, 7)}


def test_a_wide_bucket_remembers_its_busiest_second():
    bucket = {}
    for total in (10, 90, 20):
        merge_then(bucket, {1: Point(total, 2, 1, 50, total)})
    assert bucket == {1: Point(120, 6, 1, 50, 90)}


def test_two_processes_at_the_same_time_add_up():
    assert Point(10, 2, 1, 8, 10).beside(Point(5, 1, 5, 5, 5)) == Point(15, 3, 1, 8, 15)


@given(st.integers(1, 50), st.integers(1, 10))
def test_sharing_a_late_sample_loses_nothing(count, seconds):
    parts = share(Sample(count * 7, count, 7, 7), seconds)
    assert sum(part.count for part in parts) == count
    assert abs(sum(part.total for part in parts) - count * 7) < 1e-6
    assert all((part.count == 0) == (part.total == 0) for part in parts)


def test_shards_survive_their_encoding():
    shards = {0: ShardSample(1, 2, 3, 4, 5, 6), 9_999: ShardSample()}
    assert decode_shards(encode_shards(shards)) == shards


def test_numbers_are_unique_and_never_change():
    assert len(BY_NAME) == len(BY_NUMBER) == len(METRICS)
    # A number stands in stored data. Adding a line here is right, changing one is not.
    assert {m.number: m.name for m in METRICS[:3]} == {
        1: "IncomingBytes",
        2: "IncomingRecords",
        3: "WriteProvisionedThroughputExceeded",
    }
    shard_numbers = {m.number: m.name for m in SHARD_METRICS}
    assert all(BY_NUMBER[n].name == name for n, name in shard_numbers.items() if n in BY_NUMBER)


def counted(files, verbs):
    """Literal names of metrics handed to functions and methods of these names."""
    used = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                values = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
                used |= {value for value in values if name in verbs and isinstance(value, str)}
    return used


def test_the_table_is_what_the_code_counts():
    """Every literal name handed to something called add in apps/ is in the table, and the table has no other."""
    files = [file for file in (ROOT / "apps").rglob("*.py") if "delivery" not in file.parts]
    used = {
        name for name in counted(files, {"add", "add_labelled", "add_latency"}) if name in BY_NAME or name[:1].isupper()
    }
    assert used - set(SHARD_LEVEL) == set(BY_NAME) - set(SHARD_LEVEL)
    assert used <= set(BY_NAME) | set(SHARD_LEVEL)


def test_what_deliveries_count_is_in_their_table():
    used = counted((ROOT / "apps" / "delivery").rglob("*.py"), {"add", "count", "_add"})
    named = {name for name in used if "." in name or name in firehose.BY_NAME}
    assert len(named) > 10
    assert named <= firehose.BY_NAME.keys()
    assert len(firehose.NUMBERS) == len(firehose.METRICS) == len(firehose.BY_NAME)
    assert not firehose.NUMBERS & {metric.number for metric in (*METRICS, *SHARD_METRICS)}


def test_consumers_count_for_their_stream_and_shards_do_not() -> None:
    counters = Counters()
    counters.add_labelled(1, 2, "SubscribeToShardEvent.Bytes", "a", 5)
    counters.add_labelled(1, 2, "SubscribeToShardEvent.Bytes", "b", 7)
    counters.add_labelled(1, 2, "IncomingBytes", 3, 9)
    assert counters.drain_labelled() == {
        (1, 2, "SubscribeToShardEvent.Bytes", "a"): Sample(5, 1, 5, 5),
        (1, 2, "SubscribeToShardEvent.Bytes", "b"): Sample(7, 1, 7, 7),
        (1, 2, "IncomingBytes", 3): Sample(9, 1, 9, 9),
    }
    assert counters.drain() == {(1, 2, "SubscribeToShardEvent.Bytes"): Sample(12, 2, 5, 7)}
    assert counters.drain_labelled() == {}


@pytest.mark.parametrize("label", ["consumer", "a.b@c#1", 0, 4_095])
def test_names_of_what_is_stored(label: str | int) -> None:
    metric = "SubscribeToShardEvent.Bytes" if isinstance(label, str) else "OutgoingBytes"
    number = (BY_NAME if isinstance(label, str) else SHARD_LEVEL)[metric].number
    assert labels_of(stored_under(metric, label)) == (number, label)
    assert labels_of(7) == (7, None)


def test_a_late_flush_loses_nothing_of_whole_numbers() -> None:
    total = 2**53 + 1
    parts = share(Sample(total, 7, 1, total), 10)
    assert all(isinstance(part.total, int) for part in parts)
    assert (sum(part.total for part in parts), sum(part.count for part in parts)) == (total, 7)


def test_threads_lose_nothing_while_it_is_drained():
    counters, threads, each = Counters(), 4, 5_000

    def count():
        for _ in range(each):
            counters.add_from_thread(1, 2, "m", 1)

    running = [threading.Thread(target=count) for _ in range(threads)]
    for thread in running:
        thread.start()
    taken = []
    while any(thread.is_alive() for thread in running):
        taken += counters.drain().values()
    taken += counters.drain().values()
    assert sum(sample.total for sample in taken) == threads * each
    assert sum(sample.count for sample in taken) == threads * each


def test_threads_and_the_loop_are_added_up():
    counters = Counters()
    counters.add(1, 2, "m", 5)
    counters.add_from_thread(1, 2, "m", 7)
    sample = counters.drain()[1, 2, "m"]
    assert (sample.total, sample.count, sample.least, sample.most) == (12, 2, 5, 7)
    assert counters.drain() == {}
