"""Receives that wait: each thing that happens wakes one, and nobody sleeps through what is for him."""

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest

from apps.base.errors import ServiceError
from apps.gateway.invoke import invoke
from apps.queues.operations.records import receive_queue_records
from apps.queues.receiving import Receiving
from apps.runtime import Call
from tests.domain.queues.conftest import Bench
from tests.support.runtimes import until

pytestmark = pytest.mark.django_db(transaction=True)

SOON_S = 120


@pytest.fixture
def arn(bench: Bench) -> str:
    arn = bench.queue(DeadLetterConfiguration={"TargetType": "BUILT_IN", "MaxReceiveCount": 1})

    async def patiently() -> None:
        bench.runtime.part(Receiving).second_s = 60.0

    bench.runtime.wait_for(patiently())
    return arn


def waiting(bench: Bench, arn: str, count: int = 1, *, dead: bool = False, **params: Any) -> list[Future]:
    """So many receives; returns when all of them wait."""
    name = "ReceiveDeadLetterQueueRecords" if dead else "ReceiveQueueRecords"
    there = len(waiters(bench, dead=dead))

    async def receive() -> list[Any]:
        answer = await invoke(bench.runtime, bench.principal, "kinesis", name, {"QueueARN": arn, **params})
        return answer["QueueRecords"]

    begun = [asyncio.run_coroutine_threadsafe(receive(), bench.runtime.loop) for _ in range(count)]
    until(lambda: len(waiters(bench, dead=dead)) == there + count)
    return begun


def waiters(bench: Bench, *, dead: bool) -> list[Any]:
    async def look() -> list[Any]:
        watches = bench.runtime.part(Receiving)._waiting._watches.values()
        return [waiter for watch in watches for waiter in watch.lines[dead].waiters]

    return bench.runtime.wait_for(look())


def data(future: Future) -> list[bytes]:
    return [record["Data"] for record in future.result(SOON_S)]


def test_five_who_want_one_each(bench: Bench, arn: str):
    begun = waiting(bench, arn, 5, Limit=1)
    bench.put(*(b"%d" % i for i in range(5)))
    assert sorted(data(future)[0] for future in begun) == [b"0", b"1", b"2", b"3", b"4"]


def test_one_who_takes_all_leaves_the_others_waiting(bench: Bench, arn: str):
    first, second = waiting(bench, arn) + waiting(bench, arn)
    bench.put(b"a")
    assert data(first) == [b"a"]
    assert not second.done()
    bench.put(b"b")
    assert data(second) == [b"b"]


def test_what_is_made_visible_wakes(bench: Bench, arn: str):
    bench("UpdateQueue", QueueARN=arn, QueueAttributes={"DeadLetterConfiguration": {"TargetType": "NONE"}})
    bench.work()
    bench.put(b"a")
    [got] = bench.receive(arn)
    [begun] = waiting(bench, arn)
    assert bench.visible_in(arn, 0, got) == [None]
    assert data(begun) == [b"a"]


def test_dead_letters_and_what_is_restored_wake_their_own(bench: Bench, arn: str):
    bench.put(b"a")
    [got] = bench.receive(arn)
    [dead] = waiting(bench, arn, dead=True)
    [alive] = waiting(bench, arn)
    bench.visible_in(arn, 0, got)  # received as often as it may be: a dead letter at once
    assert data(dead) == [b"a"]
    assert not alive.done()
    assert bench.entries("RestoreDeadLetterQueueRecords", arn, dead.result()[0]) == [None]
    assert data(alive) == [b"a"]


def test_a_waiter_who_goes_leaves_the_wake_to_the_next(bench: Bench, arn: str):
    first, second = waiting(bench, arn) + waiting(bench, arn)
    first.cancel()
    until(lambda: len(waiters(bench, dead=False)) == 1)
    bench.put(b"a")
    assert data(second) == [b"a"]


class Client:
    """The connection's other end. With a wait that is over it is gone."""

    def __init__(self) -> None:
        self.hung_up = asyncio.Event()

    async def gone(self) -> None:
        await self.hung_up.wait()


def test_who_hangs_up_takes_nothing(bench: Bench, arn: str):
    client = Client()

    async def receive() -> list[Any]:
        call = Call(bench.runtime, bench.principal, "r", bench.clock.now_ms(), client)
        return (await receive_queue_records(call, {"QueueARN": arn}))["QueueRecords"]

    first = asyncio.run_coroutine_threadsafe(receive(), bench.runtime.loop)
    until(lambda: len(waiters(bench, dead=False)) == 1)
    [second] = waiting(bench, arn)
    bench.runtime.loop.call_soon_threadsafe(client.hung_up.set)
    assert first.result(SOON_S) == []
    bench.put(b"a")
    assert data(second) == [b"a"]


def test_a_process_that_stops_lets_nobody_wait(bench: Bench, arn: str):
    begun = waiting(bench, arn) + waiting(bench, arn, dead=True)
    bench.runtime.loop.call_soon_threadsafe(bench.runtime.part(Receiving).stop_waiting)
    assert [data(future) for future in begun] == [[], []]
    assert bench("ReceiveQueueRecords", QueueARN=arn, WaitTimeSeconds=20)["QueueRecords"] == []


def test_deleting_the_queue_ends_the_wait(bench: Bench, arn: str):
    begun = waiting(bench, arn) + waiting(bench, arn, dead=True)
    bench("DeleteQueue", QueueARN=arn)
    for future in begun:
        with pytest.raises(ServiceError) as caught:
            future.result(SOON_S)
        assert caught.value.code == "ResourceNotFoundException"


def test_nobody_is_watched_for_when_nobody_waits(bench: Bench, arn: str):
    [begun] = waiting(bench, arn)
    bench.put(b"a")
    assert data(begun) == [b"a"]

    async def watches() -> list[str]:
        left = [task.get_name() for task in asyncio.all_tasks() if "queue watches" in task.get_name()]
        return left + [str(key) for key in bench.runtime.part(Receiving)._waiting._watches]

    until(lambda: not bench.runtime.wait_for(watches()))
