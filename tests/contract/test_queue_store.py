"""The store of queues: durable when answered, one caller's trouble is his own, other processes are heard."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

import apps.queues.store as module
from apps.base.clock import FakeClock
from apps.queues.changing import OldVersion, UnknownQueue
from apps.queues.deliveries import Handle, Offer
from apps.queues.store import Store, StoreFull, StoreUnavailable

ROOT = Path(__file__).resolve().parents[2]

ANOTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from apps.base.clock import SystemClock
from apps.queues.deliveries import Handle, Offer
from apps.queues.store import Store

async def main():
    store = Store(Path(sys.argv[1]), SystemClock())
    await store.change(lambda changing: changing.make(1, 0))
    offers = [Offer(7, 1, 100)]
    got = await store.change(
        lambda changing: changing.receive(1, 0, 6, 3, 600_000, offers, dead=False, new_first=False)
    )
    handles = [Handle(*got.claims[0][:3])]
    await store.change(lambda changing: changing.acknowledge(1, 0, 6, handles, dead=False))
    print("done", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "queues", FakeClock(), lasts=False)
    yield opened
    opened.close()


def receive(limit: int = 10, visibility_ms: int = 30_000, end: int = 100, version: int = 0):
    offers = [Offer(7, 1, end)]
    return lambda changing: changing.receive(
        1, version, 6, limit, visibility_ms, offers, dead=False, new_first=False
    )  # fmt: skip


async def test_what_another_process_was_answered_outlives_its_kill(tmp_path: Path):
    folder = tmp_path / "queues"
    process = await asyncio.to_thread(
        subprocess.Popen, [sys.executable, "-c", ANOTHER_PROCESS, str(folder)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == b"done\n"
    process.kill()
    await asyncio.to_thread(process.wait)
    process.stdout.close()
    store = Store(folder, FakeClock(), lasts=False)
    assert store.look(lambda looking: (looking.position(1, 7), looking.state(1).counts)) == (4, [2, 0, 0, 0])
    store.close()


async def test_another_process_is_heard(tmp_path: Path):
    folder = tmp_path / "queues"
    store = Store(folder, FakeClock(), lasts=False)
    rung: asyncio.Queue[int] = asyncio.Queue()
    store.listen(rung.put_nowait)
    process = await asyncio.to_thread(subprocess.Popen, [sys.executable, "-c", ANOTHER_PROCESS, str(folder)], cwd=ROOT)
    try:
        assert await asyncio.wait_for(rung.get(), 120) == 1
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
    store.close()


async def test_one_is_heard_by_oneself(store: Store):
    rung: asyncio.Queue[int] = asyncio.Queue()
    store.listen(rung.put_nowait)
    await store.change(lambda changing: changing.make(1, 0))
    await store.change(receive())
    assert await asyncio.wait_for(rung.get(), 60) == 1


async def test_callers_at_once_never_get_the_same_record(store: Store):
    await store.change(lambda changing: changing.make(1, 0))
    answers = await asyncio.gather(*(store.change(receive(limit=3)) for _ in range(40)))
    offsets = [claim.offset for answer in answers for claim in answer.claims]
    assert sorted(offsets) == list(range(1, 100))


@pytest.mark.parametrize("most", [1, 6])
async def test_what_was_settled_meanwhile_is_given_back_all_the_same(store: Store, most: int):
    """A timeout of 0 ends before the records are read; another one's receive has settled them by then."""
    await store.change(lambda changing: changing.make(1, 0))
    claimed = await store.change(receive(limit=3, visibility_ms=0))
    await store.change(lambda changing: changing.settle(1, most))
    await store.change(lambda changing: changing.give_back(1, claimed.claims, dead=False))
    assert store.look(lambda looking: looking.state(1).counts) == [0, 3, 0, 0]
    again = await store.change(receive(limit=3))
    assert [claim.receive_count for claim in again.claims] == [1, 1, 1]


async def test_a_cancelled_caller_cancels_nothing(store: Store):
    await store.change(lambda changing: changing.make(1, 0))
    caller = asyncio.create_task(store.change(receive(limit=5)))
    await asyncio.sleep(0)
    caller.cancel()
    others = await asyncio.gather(store.change(receive(limit=5)), caller, return_exceptions=True)
    assert [claim.offset for claim in others[0].claims] == [6, 7, 8, 9, 10]


async def test_a_change_that_breaks_fails_alone(store: Store):
    await store.change(lambda changing: changing.make(1, 3))

    def broken(changing):
        changing.receive(1, 3, 6, 5, 1, [Offer(7, 1, 100)], dead=False, new_first=False)
        raise KeyError("a bug")

    answers = await asyncio.gather(
        store.change(broken),
        store.change(receive(limit=2, version=3)),
        store.change(receive(version=2)),
        store.change(lambda changing: changing.state(2)),
        return_exceptions=True,
    )
    assert isinstance(answers[0], StoreUnavailable)
    assert [claim.offset for claim in answers[1].claims] == [1, 2]
    assert isinstance(answers[2], OldVersion)
    assert isinstance(answers[3], UnknownQueue)


async def test_a_full_map_refuses_and_changes_nothing(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "MAP_BYTES", 256 * 1024)
    store = Store(tmp_path / "queues", FakeClock(), lasts=False)
    await store.change(lambda changing: changing.make(1, 0))
    claims = []
    with pytest.raises(StoreFull):
        while True:
            claims += (await store.change(receive(limit=100, end=10**6))).claims
    counts, position = store.look(lambda looking: (looking.state(1).counts, looking.position(1, 7)))
    assert (counts[0], position) == (len(claims), len(claims) + 1)
    handles = [Handle(*claim[:3]) for claim in claims[:50]]
    done = await store.change(lambda changing: changing.acknowledge(1, 0, 6, handles, dead=False))
    assert {outcome.value for outcome in done} == {"done"}
    store.close()


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "FORMAT", 2)
    Store(tmp_path / "queues", FakeClock(), lasts=False).close()
    monkeypatch.undo()
    with pytest.raises(StoreUnavailable, match="newer version"):
        Store(tmp_path / "queues", FakeClock(), lasts=False)


async def test_a_closed_store_says_so(tmp_path: Path):
    store = Store(tmp_path / "queues", FakeClock(), lasts=False)
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable):
        await store.change(lambda changing: changing.make(1, 0))


async def test_a_dropped_queue_leaves_nothing(store: Store):
    for queue in (1, 2):
        await store.change(lambda changing, queue=queue: changing.make(queue, 0))
    await store.change(receive())
    offers = [Offer(9, 1, 4)]
    await store.change(lambda changing: changing.receive(2, 0, 6, 10, 30_000, offers, dead=False, new_first=False))
    await store.change(lambda changing: changing.close(1))
    with pytest.raises(UnknownQueue):
        await store.change(receive())
    rounds = 1
    while await store.change(lambda changing: changing.drop(1, 7)):
        rounds += 1
    assert rounds > 2
    assert store.look(lambda looking: (looking.shards(1), looking.position(1, 7))) == ([], None)
    assert store.look(lambda looking: looking.state(2).counts) == [3, 0, 0, 0]


async def test_a_time_far_ahead_counts_as_past(store: Store):
    """Written by a clock that was years ahead for a while."""
    await store.change(lambda changing: changing.make(1, 0))
    await store.change(receive(limit=1, visibility_ms=10**11))
    again = await store.change(receive(limit=1, end=2))
    assert [claim.receive_count for claim in again.claims] == [2]
