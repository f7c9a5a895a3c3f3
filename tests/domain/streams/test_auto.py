"""Streams that distribute records themselves: evenly, with keys or without, also while shards are closed under them."""

from collections import Counter

import pytest

from apps.base.errors import ValidationException
from apps.base.units import KIB, MIB
from apps.recordlog.interface import Totals
from apps.streams.exact_put import divide
from apps.streams.models import Shard, Stream
from apps.streams.topology import even_ranges
from tests.domain.streams.test_put_records import in_database, opened, shards_of
from tests.support.stream_rows import make_stream, prepare_children, seal, tell_rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def auto(team):
    return make_stream(team.team, "s", shards=4, mode="ON_DEMAND", distribution_strategy="AUTO")


def shards_in(answer):
    return Counter(int(result.shard_id[-2:]) for result in answer.records)


async def test_one_key_is_spread_evenly(team, auto, make_plane):
    plane = await opened(make_plane, team, auto)
    answer = await plane.put_many("s", [("same", b"x")] * 499)
    assert sorted(shards_in(answer).values()) == [124, 125, 125, 125]
    singles = Counter([(await plane.put("s", "same", b"x", ExplicitHashKey="0")).shard_id for _ in range(8)])
    assert set(singles.values()) == {2}


async def test_calls_of_one_record_go_round(team, auto, make_plane):
    plane = await opened(make_plane, team, auto)
    seen = [shards_in(await plane.put_many("s", [("k", b"x")] * 3)) for _ in range(4)]
    assert sum(seen, Counter()) == {0: 3, 1: 3, 2: 3, 3: 3}


async def test_large_and_small_records_share_the_bytes(team, auto, make_plane):
    plane = await opened(make_plane, team, auto)
    records = [("k", b"x" * (100 * KIB if n % 4 == 0 else 10)) for n in range(40)]
    answer = await plane.put_many("s", records)
    sizes = Counter()
    for (_, data), result in zip(records, answer.records, strict=True):
        sizes[result.shard_id] += len(data)
    assert max(sizes.values()) - min(sizes.values()) <= 101 * KIB


async def test_a_key_is_kept_and_an_absent_one_stays_absent(team, auto, make_plane):
    plane = await opened(make_plane, team, auto)
    entries = [{"Data": b"without"}, {"Data": b"with", "PartitionKey": "k"}]
    put = await plane("PutRecords", StreamName="s", Records=entries)
    one = await plane("PutRecord", StreamName="s", Data=b"alone")
    found = {}
    for index in range(4):
        for record in (await plane.get(await plane.iterator("s", index))).records:
            found[record.sequence_number] = (record.partition_key, record.data)
    assert [found[r.sequence_number] for r in put.records] == [(None, b"without"), ("k", b"with")]
    assert found[one.sequence_number] == (None, b"alone")


async def test_elsewhere_a_record_needs_its_key(team, make_plane):
    plane = await opened(make_plane, team, await in_database(make_stream, team.team, "s", 2))
    with pytest.raises(ValidationException, match="Value null at 'partitionKey'"):
        await plane("PutRecord", StreamName="s", Data=b"")
    with pytest.raises(ValidationException, match=r"Value null at 'records\.1\.member\.partitionKey'"):
        await plane("PutRecords", StreamName="s", Records=[{"Data": b""}])
    assert await plane.data_of("s", 0) == await plane.data_of("s", 1) == []


async def test_a_change_of_the_strategy_is_followed(team, auto, make_plane):
    plane = await opened(make_plane, team, auto)
    await plane("PutRecord", StreamName="s", Data=b"")
    await Stream.objects.filter(pk=auto.pk).aupdate(distribution_strategy="USER_PARTITION_KEY", version=1)
    plane.clock.advance(2_000)
    with pytest.raises(ValidationException):
        await plane("PutRecord", StreamName="s", Data=b"")
    assert len(shards_in(await plane.put_many("s", [("same", b"x")] * 10))) == 1


async def test_what_a_sealed_shard_refuses_is_spread_over_its_children(team, auto, make_plane):
    plane = await opened(make_plane, team, auto)
    await plane("PutRecord", StreamName="s", Data=b"")  # the snapshot is taken now
    parent = (await shards_of(auto))[1]
    start, end = int(parent.start_hash), int(parent.end_hash)
    middle = (start + end) // 2
    children = await in_database(prepare_children, auto, [parent], [(start, middle), (middle + 1, end)])
    for child in children:
        await plane.runtime.record_log.create(child.pk)
    await seal(plane.runtime, [parent], children)
    answer = await plane("PutRecords", StreamName="s", Records=[{"Data": b"x"}] * 80)
    assert answer.failed_record_count == 0
    assert shards_in(answer) == {0: 20, 2: 20, 3: 20, 4: 10, 5: 10}
    await in_database(tell_rows, auto, [parent], children, plane.clock.now_ms())
    assert await Shard.objects.filter(stream=auto, closed_at_ms__isnull=True).acount() == 5


async def test_a_record_too_large_fails_the_whole_call(team, auto, make_plane):
    plane = await opened(make_plane, team, auto)
    with pytest.raises(Exception, match="exceeds the maximum"):
        await plane("PutRecords", StreamName="s", Records=[{"Data": b"x"}, {"Data": b"x" * (MIB + 1)}])
    bounds = [await plane.runtime.record_log.bounds(shard.pk) for shard in await shards_of(auto)]
    assert {b.totals for b in bounds} == {Totals(0, 0)}


def test_jobs_place_records_without_a_key_by_their_data():
    records = [(None, bytes([n])) for n in range(200)]
    shards = [(n + 1, start, end) for n, (start, end) in enumerate(even_ranges(4))]
    parts = divide(records, shards, "p")
    assert [part.records for part in parts] == [part.records for part in divide(records, shards, "p")]
    assert sum(len(part.records) for part in parts) == 200
    assert min(len(part.records) for part in parts) > 25
