"""Hot keys: a sample of a shard's last minute, its heavy hitters, and where its load halves."""

import pytest

from apps.metrics.shard_load import Load
from apps.streams import hashkeys, topology
from apps.streams.models import Shard
from console.pages import hot_keys
from tests.console.conftest import make_stream, put

WHOLE = (0, topology.LAST_HASH)


@pytest.fixture
def shard(team, served):
    make_stream(served, team, "orders")
    return Shard.objects.get()


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(hot_keys, "samples", hot_keys.Samples())


def busy(share):
    return {0: Load(0, 0, 0, 0, 0, share)}


@pytest.mark.django_db(transaction=True)
def test_the_heaviest_keys_of_the_last_minute(team, served, shard, clock):
    put(served, team, "orders", *[("old", b"x")] * 200)
    clock.advance(61_000)
    put(served, team, "orders", *[("hot", b"x")] * 60, *[(f"k{n}", b"x") for n in range(40)])
    (found,) = hot_keys.hot_keys(served, [shard], busy(0.9)).values()
    assert [(one.key, one.percent) for one in found] == [("hot", 60)]
    put(served, team, "orders", *[("late", b"x")] * 500)
    assert hot_keys.hot_keys(served, [shard], busy(0.9))[0] == found  # kept for some seconds
    clock.advance(11_000)
    assert hot_keys.hot_keys(served, [shard], busy(0.9))[0][0].key == "late"
    assert hot_keys.hot_keys(served, [shard], busy(0.05)) == {}
    assert hot_keys.hot_keys(served, [shard], {}) == {}


@pytest.mark.django_db(transaction=True)
def test_a_long_minute_is_looked_at_in_spots(team, served, shard, monkeypatch):
    monkeypatch.setattr(hot_keys, "SPOT_RECORDS", 10)
    monkeypatch.setattr(hot_keys, "SPOTS", 4)
    put(served, team, "orders", *[("first", b"x")] * 250, *[("second", b"x")] * 250)
    sample = hot_keys.samples.of(served, shard)
    assert sample.records == {"first": 20, "second": 20}


def sample_of(**weights):
    made = hot_keys.Sample()
    made.records.update(weights)
    return made


def test_the_split_divides_the_load_as_well_as_keys_allow():
    sample = sample_of(a=1, b=1, c=1, d=1)
    at = sample.middle(WHOLE)
    places = sorted(int.from_bytes(hashkeys.digest_of_key(key)) for key in "abcd")
    assert at == places[2]
    assert topology.may_split(WHOLE, at)
    assert sample_of(alone=9).middle(WHOLE) is None
    assert hot_keys.Sample().middle(WHOLE) is None


def test_bytes_count_where_they_are_nearer_to_the_limit():
    sample = sample_of(many=10, large=1)
    sample.size_bytes.update(many=1_000, large=100_000)
    assert sample.hot[0].key == "large"
