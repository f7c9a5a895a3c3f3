"""A queue follows its stream through splits, merges and the end of shards."""

import pytest

from apps.queues.receiving import Receiving
from apps.queues.store import QueueStore
from apps.streams.models import Shard
from tests.domain.queues.conftest import Bench
from tests.support.runtimes import run_due

pytestmark = pytest.mark.django_db(transaction=True)

MODE = {"StreamMode": "ON_DEMAND"}


@pytest.fixture
def arn(bench: Bench) -> str:
    """A queue on an on-demand stream."""
    return bench.queue()


def open_shards(bench: Bench) -> list[Shard]:
    return list(Shard.objects.filter(closed_at_ms__isnull=True, opened_at_ms__isnull=False).order_by("index"))


def merge(bench: Bench) -> None:
    """Merge the first two neighbours, as the scaling of on-demand streams does."""
    from apps.streams.models import Stream, StreamStatus

    first, second = sorted(open_shards(bench), key=lambda shard: int(shard.start_hash))[:2]
    stream = Stream.objects.get(name="s")
    stream.plan = [["merge", str(int(first.end_hash) + 1)]]
    stream.status, stream.version = StreamStatus.UPDATING, stream.version + 1
    stream.save()
    from apps.leases import hold

    hold.ensure("lifecycle", str(stream.pk), bench.clock.now_ms())
    run_due(bench.runtime, "lifecycle")
    assert second.pk not in {shard.pk for shard in open_shards(bench)}


def test_parents_and_children_are_both_delivered(bench: Bench, arn: str):
    bench.put(*(b"a%02d" % i for i in range(20)))
    some = bench.receive(arn, 5)
    merge(bench)
    bench.clock.advance(2_000)
    bench.put(*(b"b%02d" % i for i in range(20)))
    rest = bench.all(arn)
    assert sorted(r["Data"] for r in some + rest) == [b"a%02d" % i for i in range(20)] + [
        b"b%02d" % i for i in range(20)
    ]
    assert bench.acknowledge(arn, *rest[:10]) == [None] * 10


def test_a_queue_begun_after_a_merge_has_the_parents_records(bench: Bench):
    bench.stream()
    bench.put(*(b"a%02d" % i for i in range(20)))
    merge(bench)
    bench.clock.advance(2_000)
    bench.put(*(b"b%02d" % i for i in range(20)))
    assert len(bench.all(bench.queue("all"))) == 40
    bench.put(b"before")
    late = bench.queue("late", start="LATEST")
    bench.clock.advance(1)
    bench.put(b"after")
    assert [record["Data"] for record in bench.all(late)] == [b"after"]


def test_a_shard_that_expires_leaves_nothing_behind(bench: Bench, arn: str):
    bench.put(*(b"a%02d" % i for i in range(20)))
    got = bench.all(arn)
    merge(bench)
    bench.clock.advance(25 * 3_600_000)
    for _ in range(3):
        run_due(bench.runtime, "retention")
        run_due(bench.runtime, "metering")
        bench.clock.advance(2 * 3_600_000)
    bench.work()
    bench.put(b"new")
    assert [record["Data"] for record in bench.all(arn)] == [b"new"]

    key = bench.row(arn).pk

    async def state():
        store = bench.runtime.part(QueueStore)
        return store.look(lambda looking: (looking.shards(key), looking.state(key).counts))

    shards, counts = bench.runtime.wait_for(state())
    assert counts == [1, 0, 0, 0]
    assert set(shards) <= set(Shard.objects.values_list("pk", flat=True))
    assert set(bench.acknowledge(arn, *got[:10])) == {"ResourceNotFoundException"}


def test_one_who_waits_gets_the_childs_first_record(bench: Bench, arn: str):
    import asyncio

    from apps.gateway.invoke import invoke

    async def wait():
        bench.runtime.part(Receiving).second_s = 60.0
        return await invoke(bench.runtime, bench.principal, "kinesis", "ReceiveQueueRecords", {"QueueARN": arn})

    async def watched() -> bool:
        return bool(bench.runtime.part(Receiving)._waiting._watches)

    waiting = asyncio.run_coroutine_threadsafe(wait(), bench.runtime.loop)
    from tests.support.runtimes import until

    until(lambda: bench.runtime.wait_for(watched()))
    merge(bench)
    bench.clock.advance(2_000)
    child = max(open_shards(bench), key=lambda shard: shard.index)
    bench(
        "PutRecord", StreamName="s", PartitionKey="k", Data=b"in the child", ExplicitHashKey=child.start_hash
    )  # fmt: skip
    assert [record["Data"] for record in waiting.result(60)["QueueRecords"]] == [b"in the child"]
