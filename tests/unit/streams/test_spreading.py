"""Even distribution, whatever the records are."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from apps.streams import spreading
from apps.streams.shapes import PutRecordsEntry
from apps.streams.spreading import RECORD_WEIGHT_BYTES

KEYS = st.none() | st.text(max_size=3)


def stream_of(shards, key=1):
    return SimpleNamespace(
        key=key, open_shards=[SimpleNamespace(key=n) for n in range(shards)], max_record_bytes=10_000
    )


@given(st.integers(1, 9), st.lists(st.tuples(KEYS, st.integers(0, 9_000)), min_size=1, max_size=80))
def test_every_record_is_placed_once_and_the_weights_are_even(shards, given_records):
    records = [PutRecordsEntry(b"x" * size, key) for key, size in given_records]
    groups, largest = spreading.spread(stream_of(shards), records)
    assert sorted(p for group in groups for p in group.positions) == list(range(len(records)))
    sizes = [len(record.data) + len((record.partition_key or "").encode()) for record in records]
    assert largest == max(sizes)
    for group in groups:
        assert group.positions == sorted(group.positions)
        assert group.size_bytes == sum(sizes[p] for p in group.positions)
        assert group.records[::2] == [records[p].partition_key for p in group.positions]
    if len(records) >= shards:
        weights = [sum(sizes[p] + RECORD_WEIGHT_BYTES for p in group.positions) for group in groups]
        assert len(groups) == shards
        assert max(weights) - min(weights) <= max(sizes) + RECORD_WEIGHT_BYTES


@given(st.integers(1, 9), st.lists(st.integers(1, 20), min_size=1, max_size=30))
def test_calls_go_on_where_the_last_one_ended(shards, counts):
    spreading._turns.clear()
    stream, other = stream_of(shards), stream_of(shards, key=2)
    got = dict.fromkeys(range(shards), 0)
    for count in counts:
        spreading.shard_in_turn(other)
        groups, _ = spreading.spread(stream, [PutRecordsEntry(b"", "same")] * count)
        for group in groups:
            got[group.shard.key] += len(group.positions)
    assert sum(got.values()) == sum(counts)
    if all(count == 1 for count in counts):
        assert max(got.values()) - min(got.values()) <= 1


def test_turns_are_bounded(monkeypatch):
    monkeypatch.setattr(spreading, "STREAMS_MAX", 10)
    for key in range(50):
        spreading.shard_in_turn(stream_of(3, key=key))
    assert len(spreading._turns) <= 10
    spreading._turns.clear()


def test_fewer_shards_than_before():
    spreading._turns.clear()
    spreading.spread(stream_of(9), [PutRecordsEntry(b"", None)] * 8)
    assert spreading.shard_in_turn(stream_of(2)).key in {0, 1}
