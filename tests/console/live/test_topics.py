"""Every topic of the websocket: exactly those who may see what it is about are told."""

import pytest
from asgiref.sync import sync_to_async

from apps.accounts.models import Membership, TeamRole, User
from apps.accounts.permissions import ACTIONS
from apps.accounts.roles import OWN_ROLE, Role
from apps.delivery.models import DeliveryStream
from console.live.panels import ALL_PANELS
from console.live.protocol import DELIVERIES, SHARDS, STREAMS, TOPICS_MAX, topic_of
from tests.console.live.conftest import Client, session_for
from tests.support.delivery_rows import make_delivery
from tests.support.grid import may

OF = {"stream": "stream:read", "delivery": "delivery:read", "channel": "delivery:read"}
"""First word of a topic to the action that it takes."""

LISTS = {STREAMS: "stream:read", DELIVERIES: "delivery:read"}
THINGS = {"stream": "orders", "delivery": "ticker", "channel": "ticker-channel"}


def topics() -> dict[str, str]:
    """Every topic there is, by the panels that there are, to its action."""
    panels = {f"stream/{name}": "stream" for name in (SHARDS, *ALL_PANELS) if not name.startswith("delivery/")}
    found = {f"stream/{THINGS['stream']}/{name.partition('/')[2]}": OF["stream"] for name in panels}
    for name in ALL_PANELS:
        if name.startswith("delivery/"):
            for of in ("delivery", "channel"):
                found[f"{of}/{THINGS[of]}/{name.removeprefix('delivery/')}"] = OF[of]
    return found | LISTS


def make_things(team):
    make_delivery(team)
    make_delivery(team, "ticker-channel")
    DeliveryStream.objects.filter(name="ticker-channel").update(channel_id="c" * 12)


def make_member(team, role, actions=()):
    own = (
        TeamRole.objects.create(team=team.team, name="Own", actions=list(actions), created_at_ms=1) if actions else None
    )
    user = User.objects.create_user(f"{role}@members.test", None)
    Membership.objects.create(team=team.team, user=user, role=OWN_ROLE if own else role, own_role=own)
    return session_for(user)


async def refusal(client, topic):
    """What refuses the topic, or None. Messages are taken one after the other, so the answer to a second one comes last;
    some topics say nothing until there is something to say."""
    await client.say(op="sub", id="a1", topic=topic, names=["orders", "ticker"])
    await client.say(op="nonsense")
    answer = await client.hear("err")
    if "id" not in answer:
        return None
    assert (await client.hear("err"))["code"] == "bad_message"
    return answer


async def told(hub, key, clock, expected):
    """Ask for every topic; each is answered as its action is held."""
    client = await Client(hub, key).open()
    for topic, may_see in expected.items():
        clock.advance(1_000)  # so many messages at one moment would be too many
        answer = await refusal(client, topic)
        assert (answer is None) is may_see, (topic, answer)
        if answer is not None:
            assert (answer["code"], answer["need"]) == ("forbidden", topics()[topic])
        await client.say(op="unsub", id="a1")
    await client.close()


def test_there_are_topics_of_each_kind():
    assert len(topics()) <= TOPICS_MAX
    for topic, action in topics().items():
        assert topic_of(topic).need == action
    assert {topic.partition("/")[0] for topic in topics()} == {*OF, *LISTS}


@pytest.mark.parametrize("role", Role.values)
async def test_a_role_sees_what_the_grid_says(hub, team, clock, role):
    await sync_to_async(make_things)(team)
    key = await sync_to_async(make_member)(team, role)
    await told(hub, key, clock, {topic: may(role, action) for topic, action in topics().items()})


@pytest.mark.parametrize("held", sorted(set(OF.values())))
@pytest.mark.parametrize("others", [False, True])
async def test_an_own_role_sees_what_it_holds(hub, team, clock, held, others):
    """One action alone, or all but that one."""
    await sync_to_async(make_things)(team)
    actions = [one for one in ACTIONS if (one != held) is others]
    key = await sync_to_async(make_member)(team, "own", actions)
    await told(hub, key, clock, {topic: action in actions for topic, action in topics().items()})


async def test_a_changed_own_role_counts_at_the_next_subscription_and_within_a_minute(hub, team, clock):
    key = await sync_to_async(make_member)(team, "own", ["stream:read", "delivery:read"])
    client = await Client(hub, key).open()
    assert (await client.sub("stream/orders/throughput"))["op"] == "snap"
    await sync_to_async(TeamRole.objects.update)(actions=["delivery:read"])
    await client.say(op="sub", id="b", topic="stream/orders/records")
    refused = await client.hear("err")
    assert (refused["id"], refused["code"], refused["need"]) == ("b", "forbidden", "stream:read")
    clock.advance(60_000)
    lost = await client.hear("err")
    assert (lost["id"], lost["code"], lost["need"]) == ("a1", "forbidden", "stream:read")
    await client.close()
