"""Metrics equal truth: after thousands of random calls through two processes, with throttles, faults and late flushes, each
sum and count that GetMetricData tells is the one that the client counted. tests/torture has it over the wire."""

import random

import pytest

from apps.base.errors import ServiceError
from apps.gateway.invoke import invoke
from apps.metrics.flush import Flusher
from apps.streams.faults import Dice, Faults, set_faults
from tests.domain.streams.conftest import make_plane
from tests.domain.streams.test_fanout import ARN, event_of, make_consumer, subscribe
from tests.domain.streams.test_put_records import in_database, opened
from tests.support.stream_rows import make_stream
from tests.support.truth import Client, Refused, Truth, queries_of

__all__ = ["make_plane"]

pytestmark = pytest.mark.django_db(transaction=True)

CALLS = 3_000
SHARDS = 3
LEVELS = ["IncomingBytes", "IncomingRecords", "OutgoingBytes", "OutgoingRecords", "ReadProvisionedThroughputExceeded"]


@pytest.fixture
def stream(team):
    made = make_stream(team.team, "s", shards=SHARDS, shard_level_metrics=LEVELS)
    make_consumer(made)
    return made


class Web:
    """A web process: operations, and the flusher that runs beside them."""

    def __init__(self, plane, valkey):
        self.plane = plane
        self.flusher = Flusher(plane.runtime.counters, plane.clock, serves=True)
        self.redis = valkey.client()

    async def ask(self, operation, params):
        try:
            return await invoke(self.plane.runtime, self.plane.principal, "kinesis", operation, params)
        except ServiceError as error:
            raise Refused(error.code) from None

    def flush(self):
        self.flusher.collect()
        for step in self.flusher.steps(final=True):
            with self.redis.pipeline(transaction=False) as pipe:
                for command in step.commands:
                    pipe.execute_command(*command)
                pipe.execute()
            step.confirm()


async def events(client, subscription):
    """The events that are there now; the last one, empty, would only come after five seconds."""
    for _ in range(4):
        event = await event_of(subscription)
        client.event(
            "c", "shardId-000000000000", [{"Data": r.data, "PartitionKey": r.partition_key} for r in event.records]
        )
        if event.millis_behind_latest == 0:
            return


async def test_every_sum_and_count_is_what_the_client_counted(team, stream, make_plane, valkey, clock):
    clock.advance(60_000 - clock.now_ms() % 60_000)
    await in_database(lambda: set_faults(stream, Faults(throttle_percent=2, error_percent=2), "test"))
    truth, began_ms, chance = Truth(), clock.now_ms(), random.Random(20)
    webs = [Web(await opened(make_plane, team, stream), valkey) for _ in range(2)]
    clients = []
    for number, web in enumerate(webs):
        web.plane.runtime.part(Dice).chance.seed(number)
        clients.append(Client(web.ask, "s", SHARDS, truth, number))
    subscription = None
    while subscription is None:
        clock.advance(6_000)
        try:
            subscription = await subscribe(webs[0].plane, arn=ARN)
        except ServiceError:
            continue
    for number in range(CALLS):
        await chance.choice(clients).call()
        clock.advance(chance.choice([0, 1, 5, 40]))
        if number % 100 == 99:
            await events(clients[0], subscription)
            await subscription.aclose()
            clock.advance(chance.choice([1_000, 6_000, 7_500, 15_000]))
            chance.choice(webs).flush()
            subscription = None
            while subscription is None:
                clock.advance(6_000)
                try:
                    subscription = await subscribe(webs[0].plane, arn=ARN)
                except ServiceError:
                    continue
    clock.advance(1_000)
    for web in webs:
        web.flush()
        web.redis.close()
    queries, wanted = queries_of(truth, "s")
    asked = {"StartTime": began_ms, "EndTime": clock.now_ms() + 60_000, "MetricDataQueries": queries}
    answer = await invoke(webs[0].plane.runtime, team.principal, "cloudwatch", "GetMetricData", asked)
    found = {result["Id"]: sum(result["Values"]) for result in answer["MetricDataResults"]}
    wrong = {wanted[key]: value for key, value in found.items() if value != wanted[key][1]}
    assert not wrong
    assert found.keys() == wanted.keys()
    for metric in ("WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded"):
        assert truth.seen[metric][0] > CALLS / 100, "too little was throttled to mean anything"
    assert min(truth.calls.values()) > CALLS / 5
    assert truth.seen["SubscribeToShardEvent.Records", "consumer", "c"][0] > 100
