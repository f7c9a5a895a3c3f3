"""Calls per second of the control plane."""

import asyncio

import pytest
from django.core.management import CommandError, call_command

from apps.access.models import AuditEntry
from apps.accounts.principal import Principal
from apps.base.clock import FakeClock
from apps.base.errors import ServiceError
from apps.capacity.models import QuotaOverride
from apps.gateway.invoke import invoke
from apps.gateway.rates import PREFIX, ControlRates, stream_in
from apps.gateway.services import ROUTES
from apps.streams.quotas import QUOTAS, RATES, SERVICE_RATES
from apps.wire.model import load
from tests.support.runtimes import memory_runtime
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db(transaction=True)

ACCOUNT = "123456789012"

DATA_PLANE = (
    "PutRecord", "PutRecords", "GetRecords", "GetShardIterator", "SubscribeToShard", "QueueRecords",
    "QueueRecordsVisibility",
)  # fmt: skip


@pytest.fixture
async def limited(clock: FakeClock):
    """A runtime with rates."""
    runtime = memory_runtime(clock, control_rates=True)
    await runtime.open()
    yield runtime
    await runtime.close()


async def ask(runtime, principal, operation, times, **params):
    """How many of so many calls were let through, and the text of the last refusal."""
    let, text = 0, ""
    for _ in range(times):
        try:
            await invoke(runtime, principal, "kinesis", operation, params)
            let += 1
        except ServiceError as error:
            if error.code == "LimitExceededException":
                text = error.message
            else:
                let += 1
    return let, text


@pytest.mark.parametrize(
    ("operation", "params", "per_s", "text"),
    [
        ("ListStreams", {}, 5, f"Rate exceeded for account {ACCOUNT}."),
        ("DescribeLimits", {}, 1, f"Rate exceeded for account {ACCOUNT}."),
        ("DescribeStream", {"StreamName": "s"}, 10, f"Rate exceeded for stream s under account {ACCOUNT}."),
        (
            "DescribeStreamSummary",
            {"StreamARN": f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s"},
            20,
            f"Rate exceeded for stream s under account {ACCOUNT}.",
        ),
    ],
)
async def test_so_many_a_second(team, limited, clock, operation, params, per_s, text):
    assert await ask(limited, team.principal, operation, per_s + 3, **params) == (per_s, text)
    clock.advance(1_000)
    assert (await ask(limited, team.principal, operation, per_s + 3, **params))[0] == per_s


async def test_some_are_counted_by_stream_and_all_by_account(team, limited):
    stranger = make_team_aside()
    arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/"
    assert (await ask(limited, team.principal, "ListStreamConsumers", 7, StreamARN=arn + "a"))[0] == 5
    assert (await ask(limited, team.principal, "ListStreamConsumers", 7, StreamARN=arn + "b"))[0] == 5
    assert (await ask(limited, team.principal, "ListStreams", 7))[0] == 5
    assert (await ask(limited, await stranger, "ListStreams", 7))[0] == 5


async def make_team_aside():
    from apps.accounts.bridge import in_thread

    return (await in_thread(make_team, "210987654321", "stranger", "AKIDSTRANGER")).principal


async def test_people_in_the_console_are_not_counted(team, limited):
    person = Principal(team.team.id, ACCOUNT, "console", team.user.id)
    assert (await ask(limited, person, "ListStreams", 30))[0] == 30


async def test_without_the_throttle_there_are_no_rates(team, clock):
    for settings in ({"throttle": False, "control_rates": True}, {"control_rates": False}):
        runtime = memory_runtime(clock, **settings)
        await runtime.open()
        assert (await ask(runtime, team.principal, "ListStreams", 30))[0] == 30
        await runtime.close()


async def test_an_administrator_changes_a_rate(team, limited, clock):
    assert (await ask(limited, team.principal, "ListStreams", 7))[0] == 5
    await QuotaOverride.objects.acreate(team=team.team, name="calls/ListStreams", value=9)
    clock.advance(5_000)
    assert (await ask(limited, team.principal, "ListStreams", 12))[0] == 9
    await QuotaOverride.objects.aupdate(value=0)
    clock.advance(5_000)
    assert (await ask(limited, team.principal, "ListStreams", 2))[0] == 0


async def test_calls_at_the_same_time_share_the_rate(team, limited):
    answers = await asyncio.gather(*(ask(limited, team.principal, "ListStreams", 1) for _ in range(12)))
    assert sum(let for let, _ in answers) == 5


async def test_the_services_beside_kinesis_have_one_rate_each(team, limited, clock):
    errors = []
    for _ in range(23):
        try:
            await invoke(limited, team.principal, "iam", "ListUsers", {})
        except ServiceError as error:
            errors.append((error.code, error.message))
    assert errors == [("ThrottlingException", "Rate exceeded")] * 3
    clock.advance(1_000)
    await invoke(limited, team.principal, "iam", "ListRoles", {})
    assert {f"{PREFIX}{service}" for service, _ in ROUTES} - {"calls/kinesis", "calls/firehose"} == {
        quota.name for quota in SERVICE_RATES
    }


async def test_each_operation_of_firehose_has_a_rate_of_its_own(team, limited, clock):
    errors = []
    for _ in range(7):
        try:
            await invoke(limited, team.principal, "firehose", "ListDeliveryStreams", {})
        except ServiceError as error:
            errors.append((error.code, error.message))
    assert errors == [("ThrottlingException", "Rate exceeded")] * 2
    with pytest.raises(ServiceError, match="not found"):
        await invoke(limited, team.principal, "firehose", "DescribeDeliveryStream", {"DeliveryStreamName": "d"})


def test_every_call_of_the_control_plane_has_a_rate():
    rated = {quota.name.removeprefix(PREFIX) for quota in RATES}
    others = set(load("kinesis").operations) - rated
    assert {name for name in others if not name.endswith(DATA_PLANE)} == set()
    assert not {name for name in rated if name.endswith(DATA_PLANE)}


def test_which_stream_a_request_speaks_of():
    arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s"
    for params in (
        {"StreamName": "s"}, {"StreamARN": arn}, {"ConsumerARN": f"{arn}/consumer/c:1"}, {"ResourceARN": arn},
    ):  # fmt: skip
        assert stream_in(params) == "s"
    assert stream_in({}) == stream_in({"StreamARN": "nonsense"}) == ""


async def test_one_part_per_process(limited):
    assert limited.part(ControlRates) is limited.part(ControlRates)


def test_the_command_prints_and_changes_quotas(team, capsys):
    call_command("quotas", "shards", "77")
    assert "77" in capsys.readouterr().out
    assert QuotaOverride.objects.get().value == 77
    call_command("quotas", "shards", "default")
    assert not QuotaOverride.objects.exists()
    told = AuditEntry.objects.filter(operation="SetQuota").order_by("pk").values_list("resource", "message")
    assert list(told) == [("shards", "77"), ("shards", "default")]
    call_command("quotas")
    printed = capsys.readouterr().out
    assert [quota.name for quota in QUOTAS.values() if quota.name not in printed] == [], "names are whole at 80 columns"
    for wrong in (["nothing"], ["shards", "-1"], ["shards", "many"], ["shards", "٣"]):
        with pytest.raises(CommandError):
            call_command("quotas", *wrong)
