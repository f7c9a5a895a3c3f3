"""The websocket: what a client is told, and who is told nothing. Real Valkey, real sessions, fake clock."""

import asyncio
import json

import pytest
from asgiref.sync import sync_to_async

from apps.accounts.models import Membership, TeamRole
from apps.accounts.roles import OWN_ROLE
from apps.streams.models import Shard, Stream
from apps.teams import standing
from console.live import protocol
from tests.console.live.conftest import WITHIN_S, Client, make_stream, session_for
from tests.support.waiting import let_others_run

TOPIC = "stream/orders/throughput"


def now_s(clock):
    return clock.now_ms() // 1_000


@pytest.fixture
async def key(team):
    return await sync_to_async(session_for)(team.user)


@pytest.fixture
async def client(hub, key):
    made = await Client(hub, key).open()
    await eventually(lambda: hub.generation)
    yield made
    await made.close()


async def eventually(condition):
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 - anything may be waited for
            await asyncio.sleep(0.01)


def count(process, team, size=100, stream=None, **more):
    stream = stream or team.stream
    process.counters.add(team.team.id, stream.id, "IncomingBytes", size)
    for metric, value in more.items():
        process.counters.add(team.team.id, stream.id, metric.replace("__", "."), value)


async def second(process):
    """A second passes; its flush runs as in another process."""
    await asyncio.to_thread(process.second)


def points_feed(hub):
    """What the one connection's one chart is told from."""
    (subscription,) = _connection(hub)._subscriptions.values()
    return subscription.feeds["pts"]


async def heard_second(client, process, feed):
    """A second passes, and the connection has seen to it."""
    before = feed.version
    await second(process)
    await eventually(lambda: feed.version > before or not client.socket.output_queue.empty())
    await let_others_run()


async def test_welcome_says_the_time_and_the_epoch(hub, key, clock):
    client = Client(hub, key)
    await client.open(team=None)
    await client.say(op="hello", v=1, team="first")
    welcome = await client.hear()
    assert welcome["now"] == clock.now_ms() / 1_000
    assert len(welcome["epoch"]) == 8
    assert (welcome["hb"], welcome["max_hz"], welcome["v"]) == (15, 4, 1)
    await client.close()


async def test_a_snapshot_then_points(client, process, team, clock):
    count(process, team, 100)
    await second(process)
    await second(process)
    snap = await client.sub(TOPIC, since=now_s(clock) - 3)
    assert snap["cols"] == ["in_bytes", "out_bytes", "throttled", "age"]
    assert snap["t"] == [now_s(clock) - 3, now_s(clock) - 2, now_s(clock) - 1]
    assert snap["d"][0] == [None, 100, 0]
    assert snap["d"][3] == [None, None, None]
    assert snap["res"] == 1
    count(process, team, 70, GetRecords__IteratorAgeMilliseconds=38_200, GetRecords__Bytes=30)
    await second(process)
    points = await client.hear("pts")
    assert points["id"] == "a1"
    assert points["t"] == [now_s(clock) - 1]
    assert points["d"] == [[70], [30], [0], [38.2]]
    await second(process)
    points = await client.hear("pts")
    assert (points["t"], points["d"][0]) == ([now_s(clock) - 1], [0])


async def test_the_write_limit_and_the_marks_follow(client, process, team, clock):
    await client.sub(TOPIC)
    assert (await client.hear("limit"))["v"] == 2 * 1_048_576
    shard = {"stream": team.stream, "start_hash": "0", "end_hash": "1", "created_s": 1_795_163_000}
    await sync_to_async(Shard.objects.filter(index=0).update)(closed_at_ms=1_795_163_000_000)
    for index in (2, 3):
        await sync_to_async(Shard.objects.create)(index=index, parent_index=0, **shard)
    mark = await client.hear("mark")
    assert (mark["kind"], mark["text"], mark["t"]) == ("split", "0000 split into 0002 and 0003", 1_795_163_000)


async def test_two_processes_become_one_point(client, process, second_process, team, clock):
    await client.sub(TOPIC)
    count(process, team, 100)
    count(second_process, team, 11)
    clock.advance(1_000)
    await asyncio.to_thread(process.flush)
    await asyncio.to_thread(second_process.flush)
    last = {}
    while last.get(now_s(clock) - 1) != 111:
        points = await client.hear("pts")
        last |= dict(zip(points["t"], points["d"][0], strict=True))


async def test_ten_second_buckets_are_asked_for(client, process, team, clock):
    clock.set(clock.now_ms() // 10_000 * 10_000)
    for _ in range(10):
        count(process, team, 50)
        await second(process)
    snap = await client.sub(TOPIC, res=10, since=now_s(clock) - 20)
    assert snap["cols"][4:] == ["in_bytes_max", "out_bytes_max", "throttled_max"]
    assert snap["d"][0][1] == 50
    assert snap["d"][4][1] == 50
    count(process, team, 700)
    await asyncio.to_thread(process.second)
    await asyncio.to_thread(lambda: process.flush(final=True))
    points = await client.hear("pts")
    while points["d"][0][-1] != 700:  # one second of the running bucket has passed
        points = await client.hear("pts")


async def test_rows_of_the_list(client, process, team, clock):
    other = await sync_to_async(make_stream)(team.team, "other")
    await client.say(op="sub", id="l1", topic="streams", names=["orders", "other", "none"])
    first = await client.hear("rows")
    assert first["set"]["orders"] == {"st": "ACTIVE", "in": 0, "rec": 0, "out": 0, "thr": 0, "age": None}
    assert set(first["set"]) == {"orders", "other"}
    count(process, team, 6_000)
    await second(process)
    rows = await client.hear("rows")
    assert rows["set"]["orders"]["in"] == 100
    assert "other" not in rows["set"]  # nothing changed there
    await sync_to_async(Stream.objects.filter(id=other.id).update)(status="DELETING")
    clock.advance(1_000)
    assert (await client.hear("rows"))["set"]["other"]["st"] == "DELETING"


async def test_shard_loads(client, process, team, clock):
    for _ in range(11):
        process.counters.add_shard_write(team.team.id, team.stream.id, 1, 524_288, 100)
        await second(process)
    await client.say(op="sub", id="s1", topic="stream/orders/shards")
    rows = await client.hear("rows")
    assert rows["set"] == {
        "1": {"in": 524_300, "rec": 100, "thr": 0, "out": 0, "share": 0.5, "share60": pytest.approx(0.083, 0.1)}
    }


async def test_what_redis_missed_is_read_again(client, hub, process, team, clock):
    """Seconds that came while this process did not listen arrive by a snapshot."""
    await client.sub(TOPIC, since=now_s(clock) - 2)
    hub._task.cancel()
    await asyncio.gather(hub._task, return_exceptions=True)
    count(process, team, 100)
    await second(process)
    await second(process)
    hub._task = asyncio.create_task(hub._listen())
    again = await client.hear("snap")
    assert dict(zip(again["t"], again["d"][0], strict=True))[now_s(clock) - 2] == 100


async def test_an_old_since_is_a_gap(client, clock):
    gap = await client.sub(TOPIC, since=now_s(clock) - 5_000)
    assert gap == {"op": "gap", "id": "a1", "from": now_s(clock) - 5_000, "to": now_s(clock) - 598, "seq": gap["seq"]}
    assert (await client.hear("snap"))["t"][0] == now_s(clock) - 598


# Who may not


async def test_another_sites_page_is_refused(hub, key):
    for origin in ("http://evil.example", "http://localhost:80", "", "null"):
        answer = await Client(hub, key, origin).connect()
        assert answer["type"] == "websocket.close", origin


async def test_without_a_session_it_is_closed_by_4401(hub, team):
    for session_key in (None, "x" * 32):
        client = Client(hub, session_key)
        await client.open(team=None)
        assert await client.closed() == protocol.SIGN_IN


async def test_a_strangers_team_is_closed_by_4403(hub, team):
    stranger = await sync_to_async(_other_team)()
    client = Client(hub, await sync_to_async(session_for)(stranger.user))
    await client.open(team=None)
    await client.say(op="hello", v=1, team="first")
    assert await client.closed() == protocol.NO_ACCESS


async def test_no_topic_of_another_teams_stream(hub, team, process):
    stranger = await sync_to_async(_other_team)()
    mine = await sync_to_async(make_stream)(stranger.team, "mine")
    client = await Client(hub, await sync_to_async(session_for)(stranger.user)).open("second")
    assert (await client.sub(TOPIC))["code"] == "not_found"
    assert (await client.sub("stream/orders/shards"))["code"] == "not_found"
    await client.say(op="sub", id="l", topic="streams", names=["orders", "mine"])
    assert set((await client.hear("rows"))["set"]) == {"mine"}
    assert mine.team_id != team.team.id
    await client.close()


def _other_team():
    from tests.support.teams import make_team

    return make_team("999999999999", "second", "AKIDOTHER")


async def test_a_removed_member_is_cut_within_60_seconds(client, process, team, clock):
    await client.sub(TOPIC)
    await sync_to_async(Membership.objects.all().delete)()
    for _ in range(60):
        count(process, team)
        await second(process)
        await client.acknowledge()
    assert await client.closed() == protocol.NO_ACCESS


async def test_a_removed_member_cannot_subscribe_any_more(client):
    await sync_to_async(Membership.objects.all().delete)()
    await client.say(op="sub", id="a1", topic=TOPIC)
    assert await client.closed() == protocol.NO_ACCESS


async def test_who_signs_out_elsewhere_is_cut(client, team, clock):
    from console.models import BrowserSession

    await sync_to_async(BrowserSession.objects.all().delete)()
    clock.advance(60_000)
    assert await client.closed() == protocol.SIGN_IN


async def test_a_changed_password_ends_the_session(client, team, clock):
    team.user.set_password("another long password")
    await sync_to_async(team.user.save)()
    clock.advance(60_000)
    assert await client.closed() == protocol.SIGN_IN


def _lose_everything():
    member = Membership.objects.get()
    member.own_role = TeamRole.objects.create(team=member.team, name="Nobody", actions=["key:read"], created_at_ms=1)
    member.role = OWN_ROLE
    member.save()


async def test_a_role_that_may_not_read_loses_its_topics(client, team, clock):
    await client.sub(TOPIC)
    await sync_to_async(_lose_everything)()
    clock.advance(60_000)
    lost = await client.hear("err")
    assert (lost["id"], lost["code"], lost["need"]) == ("a1", "forbidden", "stream:read")
    assert (await client.sub(TOPIC))["code"] == "forbidden"


async def test_a_change_of_roles_is_followed_at_once(client, team):
    await client.sub(TOPIC)
    await sync_to_async(_lose_everything)()
    await sync_to_async(standing.changed)(team.team.pk)
    assert (await client.hear("err"))["code"] == "forbidden"


async def test_a_deleted_stream_is_said(client, team, clock):
    await client.sub(TOPIC)
    await sync_to_async(Shard.objects.all().delete)()
    await sync_to_async(Stream.objects.all().delete)()
    clock.advance(60_000)
    assert (await client.hear("err"))["code"] == "not_found"


# Limits


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        "{}",
        '{"op":"nonsense"}',
        '{"op":"sub","id":"a","topic":7}',
        '{"op":"ack","seq":"118"}',
        '{"op":"hello","v":2,"team":"first"}',
        '{"op":"hello","v":1,"extra":1}',
        json.dumps({"op": "sub", "id": "x" * 41, "topic": TOPIC}),
        json.dumps({"op": "sub", "id": "x", "topic": "streams", "names": ["a"] * 201}),
        "[" * 5_000,
    ],
)
async def test_nonsense_is_answered_and_nothing_breaks(client, message):
    await client.send(text=message)
    assert (await client.hear())["code"] == "bad_message"
    assert (await client.sub(TOPIC))["op"] == "snap"


@pytest.mark.parametrize(
    ("topic", "res"),
    [("nonsense", 1), ("stream/orders/nonsense", 1), ("stream//throughput", 1), (TOPIC, 7), ("stream/../x", 1)],
)
async def test_no_such_topic(client, topic, res):
    assert (await client.sub(topic, res=res))["code"] == "bad_topic"


async def test_hello_comes_first(hub, key):
    client = await Client(hub, key).open(team=None)
    await client.say(op="sub", id="a", topic=TOPIC)
    assert (await client.hear())["code"] == "bad_message"
    await client.close()


async def test_a_large_message_is_closed(client):
    await client.send(text=" " * 65_537)
    assert await client.closed() == protocol.TOO_BIG


async def test_bytes_are_not_spoken(client):
    await client.send(bytes=b"{}")
    assert await client.closed() == protocol.BAD_MESSAGE


async def test_too_many_messages_are_closed(client):
    for _ in range(protocol.MESSAGES_PER_10_S_MAX):
        await client.say(op="vis", hidden=False)
    assert await client.closed() == protocol.TOO_MANY


async def test_fifty_topics_and_no_more(client, clock):
    client.acks = False
    for n in range(protocol.TOPICS_MAX):
        await client.say(op="sub", id=f"t{n}", topic=TOPIC)
        await client.hear("snap")
        clock.advance(200)
    assert (await client.sub(TOPIC))["code"] == "too_many_topics"
    await client.say(op="unsub", id="t7")
    assert (await client.sub(TOPIC))["op"] == "snap"


async def test_eight_sockets_of_a_person_and_no_more(hub, key):
    clients = [await Client(hub, key).open() for _ in range(protocol.SOCKETS_PER_USER_MAX)]
    ninth = await Client(hub, key).open(team=None)
    assert await ninth.closed() == protocol.TOO_MANY
    await clients.pop().close()
    clients.append(await Client(hub, key).open())
    for client in clients:
        await client.close()


async def test_heartbeat_each_fifteen_seconds(client, clock):
    clock.advance(15_000)
    beat = await client.hear("hb")
    assert beat["now"] == clock.now_ms() / 1_000


# Back-pressure


async def test_who_never_acknowledges_is_slowed_down_and_then_closed(client, hub, process, team, clock):
    client.acks = False
    await client.sub(TOPIC)
    feed, began, lags = points_feed(hub), clock.now_ms(), []
    while True:
        count(process, team, clock.now_ms() % 97)
        await heard_second(client, process, feed)
        while not client.socket.output_queue.empty():
            message = client.socket.output_queue.get_nowait()
            if message["type"] == "websocket.close":
                assert message["code"] == protocol.SLOW
                assert 29_000 <= clock.now_ms() - began <= 33_000
                assert [lag["res"] for lag in lags] == [1, 5]
                assert all(lag["why"] == "slow_client" for lag in lags)
                return
            told = json.loads(message["text"])
            lags += [told] if told["op"] == "lag" else []
        assert clock.now_ms() - began < 40_000


async def test_who_does_not_read_makes_nothing_grow(client, hub, process, team, clock):
    """What a connection keeps is the same after hours of traffic as after a minute, and what is sent is bounded."""
    client.acks = False
    await client.sub(TOPIC)
    feed = points_feed(hub)
    for _ in range(1_000):
        count(process, team, clock.now_ms() % 97)
        process.second()
    await eventually(lambda: feed.version >= 1_000)
    assert len(feed._items) <= 900
    assert len(feed._processes) <= 900
    pace = _connection(hub)._pace
    assert len(pace._unacked) < 40


def _connection(hub):
    (sockets,) = hub.sockets.values()
    (connection,) = sockets
    return connection


async def test_who_catches_up_gets_the_newest_and_not_the_queue(client, process, team, clock):
    client.acks = False
    await client.sub(TOPIC)
    for n in range(8):  # late by now: once a second at most
        count(process, team, 10 + n)
        await second(process)
    last = (await client.hear("lag"))["res"]
    assert last == 1
    client.acks = True
    while True:
        message = await client.hear()
        if message["op"] == "lag" and message["why"] == "caught_up":
            break
    count(process, team, 5)
    await second(process)
    told = {}
    while told.get(now_s(clock) - 1) != 5:
        points = await client.hear("pts")
        told |= dict(zip(points["t"], points["d"][0], strict=True))


async def test_a_hidden_tab_is_told_nothing_until_it_is_seen(client, hub, process, team, clock):
    await client.sub(TOPIC)
    await client.hear("limit")
    await client.say(op="vis", hidden=True)
    await client.say(op="nothing")  # its answer tells that the word before was heard
    await client.hear("err")
    feed = points_feed(hub)
    before = feed.version
    for n in range(5):
        count(process, team, 10 + n)
        await second(process)
    await eventually(lambda: feed.version == before + 5)
    assert await client.socket.receive_nothing(timeout=0.6)
    await client.say(op="vis", hidden=False)
    points = await client.hear("pts")
    assert points["d"][0] == [10, 11, 12, 13, 14]


async def test_the_subscription_ends_with_the_last_connection(hub, key):
    client = await Client(hub, key).open()
    assert hub._task is not None
    await client.close()
    assert hub._task is None
