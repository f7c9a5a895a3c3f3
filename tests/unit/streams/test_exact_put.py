"""Records of one piece, divided among shards: the same way every time, whatever happened to the shards."""

import math

from hypothesis import given
from hypothesis import strategies as st

from apps.streams.exact_put import divide
from apps.streams.topology import even_ranges, partitions

data = st.one_of(st.binary(max_size=5), st.integers(1_000, 60_000).map(bytes))
records = st.lists(st.tuples(st.text(min_size=1, max_size=5), data), max_size=50)


@given(records, st.integers(1, 9))
def test_every_record_is_in_one_part_in_order(records, shards):
    ranges = [(key, *bounds) for key, bounds in enumerate(even_ranges(shards))]
    parts = divide(records, ranges, "p")
    assert sorted(r for part in parts for r in part.records) == sorted(records)
    for part in parts:
        wanted = iter(records)
        assert all(record in wanted for record in part.records), "in their order"
        entry = part.entry(7, "import")
        assert entry.count == len(part.records)
        assert entry.size_bytes == sum(len(key.encode()) + len(data) for key, data in part.records)
        assert entry.producer == (f"p>{part.shard}", 7)
        sizes = [len(key.encode()) + len(data) for key, data in part.records]
        assert entry.payload_units == sum(max(1, math.ceil(size / 25_600)) for size in sizes)
        assert entry.kib_units == sum(max(1, math.ceil(size / 1_024)) for size in sizes)
    assert partitions(bounds for _, *bounds in ranges)


@given(records, st.integers(1, 9))
def test_the_shards_that_get_something_are_enough_to_divide_again(records, shards):
    ranges = [(key, *bounds) for key, bounds in enumerate(even_ranges(shards))]
    parts = divide(records, ranges, "p")
    hit = {part.shard for part in parts}
    assert divide(records, [r for r in ranges if r[0] in hit] or ranges, "p") == parts
