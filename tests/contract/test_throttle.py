"""Every sentence of apps/throttle/interface.py, over every throttle; and the budget of several processes."""

import asyncio
import random

import pytest
import pytest_asyncio

from apps.base.units import MIB
from apps.throttle import leased
from apps.throttle.interface import Budget
from apps.throttle.leased import LeasedThrottle
from apps.throttle.local import LocalThrottle, NoThrottle
from tests.support.valkey import Valkey

START_MS = 1_795_163_467_000
WRITE = Budget(1_000, MIB, 1_000, MIB)
READ = Budget(0, 2 * MIB, 0, 0)


@pytest.fixture(scope="module")
def valkey():
    server = Valkey().start()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """On a busy machine Redis is slow, not away."""
    monkeypatch.setattr(leased, "TIMEOUT_S", 60)


@pytest.fixture
def clean(valkey):
    with valkey.client() as client:
        client.flushall()
    return valkey


class Settled:
    """A throttle in which every settlement is over before the next call, as in a process with time to spare."""

    def __init__(self, throttle):
        self.throttle = throttle

    async def call(self, name, *arguments):
        answer = getattr(self.throttle, name)(*arguments)
        if isinstance(self.throttle, LeasedThrottle):
            await self.throttle.settled()
        return answer

    async def take(self, name, budget, records, size_bytes, now_ms):
        return await self.call("take", name, budget, records, size_bytes, now_ms)


@pytest_asyncio.fixture(params=["local", "leased"])
async def throttle(request):
    local = request.param == "local"
    made = LocalThrottle() if local else LeasedThrottle(request.getfixturevalue("clean").url, 1)
    yield Settled(made)
    await made.close()


async def test_a_taker_gets_all_or_nothing_and_a_refusal_spends_nothing(throttle):
    assert await throttle.take("a", WRITE, 900, 10, START_MS)
    assert not await throttle.take("a", WRITE, 101, 10, START_MS)
    assert not await throttle.take("a", WRITE, 1, MIB, START_MS)
    assert await throttle.take("a", WRITE, 100, 10, START_MS)
    assert not await throttle.take("a", WRITE, 1, 1, START_MS)


async def test_what_flows_in_is_the_rate_and_what_is_saved_the_burst(throttle):
    assert await throttle.take("a", WRITE, 1_000, 0, START_MS)
    assert await throttle.take("a", WRITE, 100, 0, START_MS + 100)
    assert not await throttle.take("a", WRITE, 1, 0, START_MS + 100)
    assert await throttle.take("a", WRITE, 1_000, 0, START_MS + 10_000)
    assert not await throttle.take("a", WRITE, 1, 0, START_MS + 10_000)


async def test_both_dimensions_hold(throttle):
    assert await throttle.take("a", WRITE, 1, MIB, START_MS)
    assert not await throttle.take("a", WRITE, 1, 1, START_MS)
    assert await throttle.take("a", WRITE, 1, MIB // 2, START_MS + 500)


async def test_a_rate_of_nought_is_no_limit(throttle):
    calls = Budget(5, 0, 5, 0)
    for _ in range(5):
        assert await throttle.take("a", calls, 1, 100 * MIB, START_MS)
    assert not await throttle.take("a", calls, 1, 0, START_MS)
    assert await throttle.take("b", READ, 10**9, 0, START_MS)


async def test_names_are_apart(throttle):
    assert await throttle.take("a", WRITE, 1_000, 0, START_MS)
    assert await throttle.take("b", WRITE, 1_000, 0, START_MS)


async def test_what_was_spent_is_paid_back(throttle):
    assert await throttle.take("a", READ, 0, 0, START_MS)
    await throttle.call("spend", "a", READ, 0, 10 * MIB, START_MS)
    for wait_ms in (0, 2_500, 4_999):
        assert not await throttle.take("a", READ, 0, 0, START_MS + wait_ms)
    assert await throttle.take("a", READ, 0, 0, START_MS + 5_001)


async def test_left_is_what_a_take_would_get(throttle):
    left = await throttle.call("left", "a", WRITE, START_MS)
    assert left == (1_000, MIB)
    await throttle.take("a", WRITE, 400, 100, START_MS)
    records, size_bytes = await throttle.call("left", "a", WRITE, START_MS)
    assert records == pytest.approx(600)
    assert size_bytes == pytest.approx(MIB - 100)
    assert not await throttle.take("a", WRITE, 601, 0, START_MS)
    assert await throttle.take("a", WRITE, 600, 0, START_MS)
    assert (await throttle.call("left", "b", READ, START_MS))[0] == float("inf")
    await throttle.call("spend", "b", READ, 0, 5, START_MS)
    assert (await throttle.call("left", "b", READ, START_MS))[1] == pytest.approx(-5)


async def test_a_clock_set_back_does_no_harm(throttle):
    assert await throttle.take("a", WRITE, 1_000, 0, START_MS)
    back = START_MS - 3_600_000
    assert not await throttle.take("a", WRITE, 1, 0, back)
    assert await throttle.take("a", WRITE, 500, 0, back + 501)
    assert not await throttle.take("a", WRITE, 100, 0, back + 501)


async def test_late_takers_do_not_draw_the_same_time_twice(throttle):
    assert await throttle.take("a", WRITE, 1_000, 0, START_MS)
    assert await throttle.take("a", WRITE, 100, 0, START_MS + 100)
    for _ in range(20):  # one who began earlier comes later, again and again
        assert not await throttle.take("a", WRITE, 1, 0, START_MS + 50)
        assert not await throttle.take("a", WRITE, 1, 0, START_MS + 100)


async def test_a_clock_set_ahead_gives_a_burst_at_most(throttle):
    assert await throttle.take("a", WRITE, 1_000, 0, START_MS)
    assert await throttle.take("a", WRITE, 1_000, 0, START_MS + 3_600_000)
    assert not await throttle.take("a", WRITE, 1, 0, START_MS + 3_600_000)


async def test_a_wider_budget_holds_from_the_next_take(throttle):
    wide = Budget(1_000, MIB, 1_000, 10 * MIB)
    assert not await throttle.take("a", WRITE, 1, MIB + 1, START_MS)
    assert await throttle.take("a", wide, 1, 5 * MIB, START_MS + 60_000)


async def test_idle_buckets_are_forgotten(throttle):
    for i in range(10):
        await throttle.take(f"n{i}", WRITE, 1, 1, START_MS + i)
    assert await throttle.call("forget_before", START_MS + 5) == 5
    assert len(throttle.throttle) == 5


@pytest.mark.parametrize("made", [LocalThrottle, lambda: LeasedThrottle("unix:///nowhere", 2)], ids=["local", "leased"])
def test_buckets_are_bounded(made, monkeypatch):
    for module in ("local", "leased"):
        monkeypatch.setattr(f"apps.throttle.{module}.BUCKETS_MAX", 100)
    throttle = made()
    for i in range(110):
        throttle.take(f"n{i}", WRITE, 1, 1, START_MS)
    assert len(throttle) == 100


def test_no_throttle_grants_everything():
    throttle = NoThrottle()
    throttle.spend("a", WRITE, 10**9, 10**12, START_MS)
    assert throttle.take("a", WRITE, 10**9, 10**12, START_MS)
    assert throttle.left("a", WRITE, START_MS) == (float("inf"), float("inf"))


# --- several processes -----------------------------------------------------------------------------------------------

PROCESSES = 3
STEP_MS = 50


async def granted_by_second(throttles, seconds, demand, start_ms=START_MS):
    """What each second of greedy takers brought: demand(process, step) is a list of call sizes to try."""
    by_second = [0] * seconds
    for step in range(seconds * 1_000 // STEP_MS):
        now_ms = start_ms + step * STEP_MS
        for process, throttle in enumerate(throttles):
            for records in demand(process, step):
                if throttle.take("shard", WRITE, records, records * 100, now_ms):
                    by_second[step * STEP_MS // 1_000] += records
        for throttle in throttles:
            await throttle.settled()
    return by_second


def whole_call(_process, _step):
    return [20] * 2


def one_busy_process(process, _step):
    return [20] * 4 if process == 1 else []


def uneven():
    random_ = random.Random(7)
    return lambda process, _step: [random_.randint(1, 30) for _ in range((process + 1) * 2)]


@pytest.mark.parametrize("demand", [whole_call, one_busy_process, uneven()], ids=["even", "one", "uneven"])
async def test_the_budget_of_several_processes_is_the_budget_of_one(clean, demand):
    throttles = [LeasedThrottle(clean.url, PROCESSES) for _ in range(PROCESSES)]
    by_second = await granted_by_second(throttles, 62, demand)
    after_burst = sum(by_second[2:])
    assert after_burst == pytest.approx(60 * 1_000, rel=0.02)
    assert sum(by_second) <= 62 * 1_000 * 1.02 + 1_000
    for throttle in throttles:
        await throttle.close()


async def test_one_large_call_is_not_cut_to_a_share(clean):
    throttles = [LeasedThrottle(clean.url, PROCESSES) for _ in range(PROCESSES)]
    assert throttles[0].take("shard", WRITE, 900, MIB - 1, START_MS)
    await throttles[0].settled()
    assert throttles[0].take("shard", WRITE, 100, 1, START_MS + 10)
    for throttle in throttles:
        await throttle.close()


async def test_what_several_spend_at_once_is_paid_back(clean):
    throttles = [LeasedThrottle(clean.url, PROCESSES) for _ in range(PROCESSES)]
    for throttle in throttles:  # all believe that the bucket is full
        assert throttle.take("shard", WRITE, 1_000, 0, START_MS)
    await asyncio.gather(*(throttle.settled() for throttle in throttles))
    throttles[0].take("shard", WRITE, 1, 0, START_MS + 110)
    await throttles[0].settled()
    assert not throttles[0].take("shard", WRITE, 1, 0, START_MS + 1_500)
    await throttles[0].settled()
    throttles[0].take("shard", WRITE, 1, 0, START_MS + 2_050)
    await throttles[0].settled()
    assert throttles[0].take("shard", WRITE, 1, 0, START_MS + 2_060)
    for throttle in throttles:
        await throttle.close()


async def test_without_redis_each_process_takes_its_share(caplog):
    server = Valkey().start()
    try:
        throttles = [LeasedThrottle(server.url, PROCESSES) for _ in range(PROCESSES)]
        await granted_by_second(throttles, 3, whole_call)
        server.kill()
        by_second = await granted_by_second(throttles, 60, whole_call, START_MS + 3_000)
        assert sum(by_second) == pytest.approx(60 * 1_000, rel=0.05)
        assert len([r for r in caplog.records if "throttle_redis_away" in r.getMessage()]) == PROCESSES
        assert throttles[0].take("largest", WRITE, 1, MIB, START_MS + 70_000) or throttles[0].take(
            "largest", WRITE, 1, MIB, START_MS + 74_000
        )
        server.start()
        for throttle in throttles:
            throttle._away_until = 0
        back = await granted_by_second(throttles, 22, whole_call, START_MS + 80_000)
        assert sum(back[2:]) == pytest.approx(20 * 1_000, rel=0.05)
        for throttle in throttles:
            await throttle.close()
    finally:
        server.close()
