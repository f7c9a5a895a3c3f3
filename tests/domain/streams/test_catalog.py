"""The catalogue: at most a second old, never a stale no, and no more queries than rounds."""

import asyncio

import pytest

from apps.streams import snapshots
from apps.streams.catalog import Catalog
from apps.streams.models import Stream
from tests.domain.streams.test_put_records import ACCOUNT, in_database
from tests.support.stream_rows import make_stream
from tests.support.waiting import eventually, let_others_run

pytestmark = pytest.mark.django_db(transaction=True)


class Reads:
    """Counts the loader's rounds, and may hold one back or break it."""

    def __init__(self, monkeypatch):
        self.rounds = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error = None
        self.real = snapshots.in_thread
        monkeypatch.setattr(snapshots, "in_thread", self.in_thread)

    async def in_thread(self, function, names, known):
        self.rounds.append(set(names))
        await self.gate.wait()
        if self.error:
            raise self.error
        return await self.real(function, names, known)


@pytest.fixture
def reads(monkeypatch):
    return Reads(monkeypatch)


@pytest.fixture
def stream(team):
    return make_stream(team.team, "s", shards=2)


async def made(make_plane, team):
    plane = await make_plane(team.principal)
    return plane.runtime.part(Catalog), plane.clock


async def find(catalog, clock, name="s"):
    return await catalog.find(ACCOUNT, name, clock.now_ms())


async def test_a_snapshot_serves_for_a_second_and_is_read_anew_behind_the_request(team, stream, make_plane, reads):
    catalog, clock = await made(make_plane, team)
    view = await find(catalog, clock)
    assert [s.shard_id for s in view.open_shards] == ["shardId-000000000000", "shardId-000000000001"]
    clock.advance(500)
    assert await find(catalog, clock) is view
    assert len(reads.rounds) == 1
    await Stream.objects.filter(id=stream.id).aupdate(retention_hours=48, version=1)
    clock.advance(1)
    assert await find(catalog, clock) is view  # at once, and a read begins
    await let_others_run()

    async def newer():
        return (await find(catalog, clock)).retention_ms == 48 * 3_600_000

    await eventually(newer)
    assert len(reads.rounds) == 2


async def test_nothing_older_than_a_second_is_served_while_the_database_answers(team, stream, make_plane, reads):
    catalog, clock = await made(make_plane, team)
    await find(catalog, clock)
    await Stream.objects.filter(id=stream.id).aupdate(status="DELETING", version=1)
    clock.advance(1_001)
    assert (await find(catalog, clock)).status == "DELETING"


async def test_an_unchanged_version_keeps_the_view(team, stream, make_plane, reads):
    catalog, clock = await made(make_plane, team)
    view = await find(catalog, clock)
    clock.advance(1_001)
    assert await find(catalog, clock) is view
    assert len(reads.rounds) == 2


async def test_unknown_names_are_asked_every_time_but_together(team, stream, make_plane, reads):
    catalog, clock = await made(make_plane, team)
    assert await find(catalog, clock, "new") is None
    await in_database(make_stream, team.team, "new")
    assert (await find(catalog, clock, "new")).name == "new"
    reads.gate.clear()
    before = len(reads.rounds)
    asked = [asyncio.create_task(find(catalog, clock, f"x{i}")) for i in range(300)]
    await let_others_run()
    reads.gate.set()
    assert await asyncio.gather(*asked) == [None] * 300
    assert len(reads.rounds) - before <= 2


async def test_a_read_that_began_before_the_question_does_not_answer_it(team, make_plane, reads):
    catalog, clock = await made(make_plane, team)
    reads.gate.clear()
    early = asyncio.create_task(find(catalog, clock, "late"))
    await let_others_run()
    late = asyncio.create_task(find(catalog, clock, "late"))
    await let_others_run()
    reads.gate.set()
    await asyncio.gather(early, late)
    assert [len(names) for names in reads.rounds] == [1, 1]


async def test_a_database_that_is_away_does_not_stop_streams_in_use(team, stream, make_plane, reads, monkeypatch):
    catalog, clock = await made(make_plane, team)
    view = await find(catalog, clock)
    reads.error = OSError("away")
    clock.advance(20_000)
    assert await find(catalog, clock) is view
    clock.advance(11_000)
    with pytest.raises(OSError, match="away"):
        await find(catalog, clock)
    reads.error = None
    assert (await find(catalog, clock)).key == stream.id


async def test_a_database_that_hangs_is_not_waited_for(team, stream, make_plane, reads, monkeypatch):
    monkeypatch.setattr(snapshots, "PATIENCE_S", 0.01)
    catalog, clock = await made(make_plane, team)
    view = await find(catalog, clock)
    reads.gate.clear()
    clock.advance(5_000)
    assert await find(catalog, clock) is view
    reads.gate.set()


async def test_a_cancelled_question_does_not_cancel_the_others(team, stream, make_plane, reads):
    catalog, clock = await made(make_plane, team)
    reads.gate.clear()
    first, second = (asyncio.create_task(find(catalog, clock)) for _ in range(2))
    await let_others_run()
    first.cancel()
    await let_others_run()
    reads.gate.set()
    assert (await second).name == "s"


async def test_a_request_older_than_the_snapshot_uses_it(team, stream, make_plane, reads):
    catalog, clock = await made(make_plane, team)
    view = await find(catalog, clock)
    assert catalog.peek(ACCOUNT, "s", clock.now_ms() - 900) is view
    clock.advance(-3_600_000)  # but a clock set back reads
    assert catalog.peek(ACCOUNT, "s", clock.now_ms()) is None
    await find(catalog, clock)
    assert len(reads.rounds) == 2


async def test_snapshots_are_bounded(team, make_plane, reads, monkeypatch):
    monkeypatch.setattr(snapshots, "SNAPSHOTS_MAX", 3)
    for i in range(5):
        await in_database(make_stream, team.team, f"s{i}")
    catalog, clock = await made(make_plane, team)
    for i in range(5):
        assert (await find(catalog, clock, f"s{i}")).name == f"s{i}"
    assert len(catalog._snapshots) == 3
    assert (await find(catalog, clock, "s0")).name == "s0"


async def test_refresh_tells_a_successor_of_the_same_name_apart(team, stream, make_plane, reads):
    catalog, clock = await made(make_plane, team)
    view = await find(catalog, clock)

    def replace():
        stream.shards.all().delete()
        stream.delete()
        make_stream(team.team, "s")

    await in_database(replace)
    assert await catalog.refresh(view) is None


@pytest.mark.parametrize("ticks", range(4))
async def test_a_cancellation_that_comes_with_the_answer_is_not_lost(team, stream, make_plane, monkeypatch, ticks):
    """A stream's task that is told to end just as its look at the rows is done must end."""
    catalog, clock = await made(make_plane, team)
    view = await find(catalog, clock)
    clock.advance(2_000)
    answer = asyncio.get_running_loop().create_future()

    async def read(*_):
        return await answer

    monkeypatch.setattr(catalog, "read", read)
    asking = asyncio.create_task(find(catalog, clock))
    await let_others_run()
    answer.set_result(view)
    for _ in range(ticks):
        await asyncio.sleep(0)
    told = asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled() == told
