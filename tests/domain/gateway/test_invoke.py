"""The one door from inside: dicts in, dicts out, transactions, AWS's errors."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import IntegrityError

from apps.accounts.models import Team
from apps.base.errors import UnknownOperationException, ValidationException
from apps.delivery.operations.channel_index import CHANNEL_OPERATIONS
from apps.gateway import services
from apps.gateway.invoke import invoke, invoke_sync
from apps.gateway.services import UnsupportedOperationException
from apps.runtime import Runtime
from apps.streams.errors import ResourceNotFoundException
from apps.streams.models import Stream
from apps.streams.operations import OPERATIONS
from tests.support.runtimes import call, memory_runtime, run_due
from tests.support.teams import TestTeam, make_team

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def team(transactional_db: None) -> TestTeam:
    return make_team()


@pytest.fixture
def put_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], None]:
    """Put another function in an operation's place."""

    def put(operation: str, function: Any) -> None:
        key = ("kinesis", operation)
        route = replace(services.ROUTES[key], function=function, request_type=None)
        monkeypatch.setitem(services.ROUTES, key, route)

    return put


def test_every_operation_of_the_model_has_a_route() -> None:
    assert {name for service, name in services.ROUTES if service == "kinesis"} == set(OPERATIONS) | set(
        CHANNEL_OPERATIONS
    )
    for found in services.ROUTES.values():
        assert (found.function is None) == bool(found.why_not), found.name


def test_records_go_through_as_bytes_and_times_as_milliseconds(team: TestTeam, runtime: Runtime) -> None:
    call(runtime, team.principal, "CreateStream", StreamName="s", ShardCount=1)
    run_due(runtime, "lifecycle")
    put = call(runtime, team.principal, "PutRecord", StreamName="s", Data=b"\x00\xff", PartitionKey="k")
    now_ms = runtime.clock.now_ms()
    iterator = call(
        runtime,
        team.principal,
        "GetShardIterator",
        StreamName="s",
        ShardId=put["ShardId"],
        ShardIteratorType="AT_TIMESTAMP",
        Timestamp=now_ms - 1_000,
    )["ShardIterator"]
    [record] = call(runtime, team.principal, "GetRecords", ShardIterator=iterator)["Records"]
    assert record["Data"] == b"\x00\xff"
    assert record["SequenceNumber"] == put["SequenceNumber"]
    assert record["ApproximateArrivalTimestamp"] == now_ms
    described = call(runtime, team.principal, "DescribeStreamSummary", StreamName="s")
    assert described["StreamDescriptionSummary"]["StreamCreationTimestamp"] == now_ms


async def test_the_same_from_the_loop(team: TestTeam) -> None:
    runtime = memory_runtime()
    await runtime.open()
    assert (
        await invoke(runtime, team.principal, "kinesis", "CreateStream", {"StreamName": "s", "ShardCount": 1}) is None
    )
    listed = await invoke(runtime, team.principal, "kinesis", "ListStreams", {})
    assert listed["StreamNames"] == ["s"]
    await runtime.close()


def test_limits_hold_for_callers_from_inside(team: TestTeam, runtime: Runtime) -> None:
    with pytest.raises(ValidationException, match="Value '0' at 'shardCount' failed to satisfy constraint"):
        call(runtime, team.principal, "CreateStream", StreamName="s", ShardCount=0)
    with pytest.raises(ValidationException, match="at 'partitionKey' failed to satisfy constraint"):
        call(runtime, team.principal, "PutRecord", StreamName="s", Data=b"", PartitionKey="")


def test_errors_are_the_operations_own(team: TestTeam, runtime: Runtime) -> None:
    with pytest.raises(ResourceNotFoundException):
        call(runtime, team.principal, "PutRecord", StreamName="nobody", Data=b"", PartitionKey="k")


def test_what_does_not_exist_or_is_not_there(team: TestTeam, runtime: Runtime) -> None:
    with pytest.raises(UnknownOperationException):
        invoke_sync(runtime, team.principal, "kinesis", "PutRecordz", {})
    with pytest.raises(UnknownOperationException):
        invoke_sync(runtime, team.principal, "dynamodb", "PutRecord", {})
    with pytest.raises(UnsupportedOperationException) as caught:
        invoke_sync(runtime, team.principal, "sts", "AssumeRoleWithSAML", {})
    assert caught.value.message.startswith("The operation AssumeRoleWithSAML is not supported. ")


def test_an_operation_that_fails_leaves_nothing(
    team: TestTeam, runtime: Runtime, put_in: Callable[[str, Any], None]
) -> None:
    def half(_call: Any, _params: Any) -> None:
        Team.objects.filter(pk=team.team.pk).update(name="Changed")
        raise ResourceNotFoundException("no")

    put_in("ListStreams", half)
    with pytest.raises(ResourceNotFoundException):
        call(runtime, team.principal, "ListStreams")
    assert Team.objects.get(pk=team.team.pk).name != "Changed"


def test_two_who_make_the_same_at_once(team: TestTeam, runtime: Runtime, put_in: Callable[[str, Any], None]) -> None:
    tries = []

    def create(_call: Any, _params: Any) -> str:
        tries.append(1)
        if len(tries) == 1:
            raise IntegrityError("one_stream_per_team_and_name")
        return "seen"

    put_in("ListStreams", create)
    assert call(runtime, team.principal, "ListStreams") == "seen"
    assert not Stream.objects.exists()


def test_a_bug_stays_one(team: TestTeam, runtime: Runtime, put_in: Callable[[str, Any], None]) -> None:
    def broken(_call: Any, _params: Any) -> None:
        raise IntegrityError("every time")

    put_in("ListStreams", broken)
    with pytest.raises(IntegrityError):
        call(runtime, team.principal, "ListStreams")
