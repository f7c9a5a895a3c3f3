"""What on-demand scaling decides: steps that leave a partition of the space, and never too many or too few shards."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from apps.streams import topology
from apps.streams.load import Seen
from apps.streams.models import Shard
from apps.streams.scaling import COLD_SHARE, _merges, _splits

cuts = st.sets(st.integers(2, topology.LAST_HASH - 2), max_size=12)
loads = st.lists(st.floats(0, 1.2), min_size=13, max_size=13)


def shards_of(cuts):
    edges = [0, *sorted(cuts), topology.HASH_SPACE]
    return [
        Shard(id=n + 1, index=n, start_hash=str(a), end_hash=str(b - 1)) for n, (a, b) in enumerate(pairwise(edges))
    ]


def seen_of(shards, loads):
    shares = {shard.pk: load for shard, load in zip(shards, loads, strict=False)}
    return Seen(shares, frozenset(shares), 0)


def after(shards, steps):
    ranges = [(int(shard.start_hash), int(shard.end_hash)) for shard in shards]
    for step in steps:
        assert topology.parents_of(step, ranges)
        ranges = topology.apply(step, ranges)
    assert topology.partitions(ranges)
    return ranges


@given(cuts, loads, st.integers(0, 20))
def test_merges_take_cold_neighbours_and_no_more_than_are_spare(cuts, loads, spare):
    shards = shards_of(cuts)
    seen = seen_of(shards, loads)
    steps = _merges(shards, seen, spare)
    ranges = after(shards, steps)
    assert len(ranges) == len(shards) - len(steps) >= len(shards) - spare
    for start, end in ranges:
        inside = [s for s in shards if start <= int(s.start_hash) <= end]
        assert len(inside) <= 2
        assert len(inside) == 1 or sum(seen.shares[s.pk] for s in inside) <= COLD_SHARE


@given(cuts, loads, st.integers(0, 40))
def test_splits_halve_each_shard_at_most_once_and_end_at_what_is_wanted(cuts, loads, wanted):
    shards = shards_of(cuts)
    hot = [shard for shard, load in zip(shards, loads, strict=False) if load > 0.5]
    steps = _splits(shards, hot, seen_of(shards, loads), wanted)
    ranges = after(shards, steps)
    assert len(ranges) <= max(wanted, len(shards))
    assert len(ranges) <= 2 * len(shards)
