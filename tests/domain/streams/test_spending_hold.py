"""A team whose budget is spent: its writes are throttled to a tenth or refused, its reads go on, and the end of the month
lets go by itself."""

import pytest

from apps.billing import spending_hold
from apps.billing.models import Budget, BudgetAction, SpendingHold
from apps.billing.months import Month
from apps.streams.errors import ProvisionedThroughputExceededException
from tests.support.stream_rows import create_log, make_stream

pytestmark = pytest.mark.django_db(transaction=True)


async def hold(team, clock, action):
    now_ms = clock.now_ms()
    budget = await Budget.objects.acreate(
        team=team.team, name="All", amount_cents=100, action=action, created_at_ms=now_ms, changed_at_ms=now_ms
    )
    await SpendingHold.objects.acreate(team=team.team, action=action, budget=budget, since_ms=now_ms)


@pytest.fixture
def one(team):
    return make_stream(team.team, "s", shards=1)


async def opened(make_plane, team, stream):
    plane = await make_plane(team.principal)
    await create_log(plane.runtime, [key async for key in stream.shards.values_list("id", flat=True)])
    return plane


async def full(plane, records=1_000):
    """How many of so many records are taken within the same second."""
    taken = 0
    for _ in range(records // 500):
        answer = await plane.put_many("s", [("k", b"x")] * 500)
        taken += 500 - answer.failed_record_count
    return taken


def test_the_words_are_those_of_the_rows():
    assert (spending_hold.THROTTLE, spending_hold.PAUSE) == (BudgetAction.THROTTLE, BudgetAction.PAUSE)


async def test_a_throttled_team_gets_a_tenth(team, one, make_plane, clock):
    plane = await opened(make_plane, team, one)
    assert await full(plane) == 1_000
    await hold(team, clock, "throttle")
    clock.advance(2_000)
    await full(plane)
    clock.advance(1_001)  # older than a snapshot may be: the next put waits for a new one
    assert await full(plane) == 100
    answer = await plane.put_many("s", [("k", b"x")])
    assert "Rate exceeded for shard shardId-000000000000" in answer.records[0].error_message
    assert spending_hold.THROTTLED_TEXT in answer.records[0].error_message
    with pytest.raises(ProvisionedThroughputExceededException, match="throttled to a tenth"):
        await plane.put("s", "k", b"x")


async def test_the_largest_record_still_gets_through_while_throttled(team, one, make_plane, clock):
    await hold(team, clock, "throttle")
    plane = await opened(make_plane, team, one)
    await plane.put("s", "k", b"x" * (2**20 - 1))
    with pytest.raises(ProvisionedThroughputExceededException):
        await plane.put("s", "k", b"x" * 150_000)
    clock.advance(1_500)
    await plane.put("s", "k", b"x" * 150_000)


async def test_a_paused_team_is_refused_whole_calls_and_reads_on(team, one, make_plane, clock):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "k", b"before")
    await hold(team, clock, "pause")
    clock.advance(2_000)
    with pytest.raises(ProvisionedThroughputExceededException, match="budget for this month is spent"):
        await plane.put("s", "k", b"x")
    with pytest.raises(ProvisionedThroughputExceededException, match="stream s under account 123456789012 are refused"):
        await plane.put_many("s", [("k", b"x")] * 3)
    assert await plane.data_of("s") == [b"before"]


async def test_lifted_within_a_second(team, one, make_plane, clock):
    plane = await opened(make_plane, team, one)
    await hold(team, clock, "pause")
    with pytest.raises(ProvisionedThroughputExceededException):
        await plane.put("s", "k", b"x")
    await SpendingHold.objects.all().adelete()
    clock.advance(1_001)
    await plane.put("s", "k", b"x")


async def test_the_end_of_the_month_lets_go_whatever_the_workers_do(team, one, make_plane, clock):
    plane = await opened(make_plane, team, one)
    await hold(team, clock, "pause")
    clock.advance(Month.at(clock.now_ms()).end_ms - clock.now_ms() - 1)
    with pytest.raises(ProvisionedThroughputExceededException):
        await plane.put("s", "k", b"x")
    clock.advance(1_001)
    await plane.put("s", "k", b"x")


async def test_a_clock_that_steps_back_lets_nobody_go(team, one, make_plane, clock):
    await hold(team, clock, "pause")
    clock.set(Month.at(clock.now_ms()).start_ms - 1)
    plane = await opened(make_plane, team, one)
    with pytest.raises(ProvisionedThroughputExceededException):
        await plane.put("s", "k", b"x")
