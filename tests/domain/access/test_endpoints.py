"""Network endpoints: by host name and address, with a policy; and the keys that tell where a call comes from."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.access import endpoints
from apps.access.endpoints import Endpoints, WrongEndpoint
from apps.access.models import AuditEntry, Endpoint
from apps.access.source import Source, endpoint_of
from apps.base.errors import ServiceError
from apps.gateway.invoke import run
from apps.gateway.request import Request
from apps.gateway.services import ROUTES
from apps.runtime import Call
from tests.domain.access.conftest import House
from tests.support.callers import Connection, Keys, document, in_database, make_identity, make_key, says
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db(transaction=True)

INSIDE, OUTSIDE = "10.1.2.3:5000", "192.0.2.1:5000"


async def endpoint(house: House, *statements: dict[str, Any]) -> Endpoint:
    policy = document(*statements) if statements else ""
    return await in_database(endpoints.make)(house.hers.team.pk, "private", ["10.0.0.0/8"], policy, 0)


def by(row: Endpoint, peer: str = INSIDE) -> dict[str, Any]:
    return {"host": f"{row.endpoint_id}.kinesis.example:4567", "peer": peer}


async def listed(house: House, options: dict[str, Any] | None = None, keys: Keys | None = None) -> Any:
    return await house.wire(keys or house.her_key, "ListStreams", options)


async def test_only_its_addresses_may_use_it(house: House) -> None:
    row = await endpoint(house)
    assert "StreamNames" in await listed(house, by(row))
    code, text = await listed(house, by(row, OUTSIDE))
    assert code == "AccessDeniedException"
    assert text.endswith(
        f"because the VPC endpoint {row.endpoint_id} does not exist or does not accept calls from 192.0.2.1"
    )
    unknown = {"host": "vpce-00000000000000000.example", "peer": INSIDE}
    assert (await listed(house, unknown))[0] == "AccessDeniedException"
    assert "StreamNames" in await listed(house)


async def test_its_policy_must_allow_whoever_comes(house: House) -> None:
    row = await endpoint(house, says("Allow", "kinesis:List*", Principal="*"))
    assert "StreamNames" in await listed(house, by(row))
    put = await house.wire(house.her_key, "PutRecord", by(row), StreamName="orders", Data="aGk=", PartitionKey="k")
    assert put[1].endswith("because no VPC endpoint policy allows the kinesis:PutRecord action")
    await in_database(Endpoint.objects.filter(pk=row.pk).update)(policy="")
    house.runtime.part(Endpoints)._read_at_s = float("-inf")
    put = await house.wire(house.her_key, "PutRecord", by(row), StreamName="orders", Data="aGk=", PartitionKey="k")
    assert "SequenceNumber" in put


async def test_its_policy_is_asked_even_for_what_needs_no_permission(house: House) -> None:
    row = await endpoint(house, says("Allow", "kinesis:*", Principal="*"))
    request = Request("POST", "/", "", {"host": f"{row.endpoint_id}.x"}, None, to_end=False, scope=Connection(INSIDE))  # type: ignore[arg-type]
    for operation, params in (("GetCallerIdentity", {}), ("GetSessionToken", {})):
        call = Call(house.runtime, house.hers.principal, "r", house.clock.now_ms(), request)
        with pytest.raises(ServiceError, match=f"no VPC endpoint policy allows the sts:{operation} action"):
            await run(ROUTES["sts", operation], call, params)


async def test_policies_see_the_endpoint_and_the_address(house: House) -> None:
    row = await endpoint(house)
    policy = document(
        says(action="kinesis:ListStreams", Condition={"StringEquals": {"aws:SourceVpce": row.endpoint_id}}),
        says(action="kinesis:DescribeLimits", Condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}),
        says(action="kinesis:ListQueues", Condition={"Bool": {"aws:SecureTransport": "true"}}),
        says(action="kinesis:DescribeAccountSettings", Condition={"StringLike": {"aws:UserAgent": "Boto*"}}),
    )
    user = await in_database(make_identity)(house.hers.team, "user", "ann", policy)
    key = await in_database(make_key)(house.hers.team, user)
    denied = "AccessDeniedException"
    assert "StreamNames" in await listed(house, by(row), key)
    assert (await listed(house, None, key))[0] == denied
    assert "ShardLimit" in await house.wire(key, "DescribeLimits", {"peer": OUTSIDE})
    assert (await house.wire(key, "DescribeLimits", {"peer": INSIDE}))[0] == denied
    assert (await house.wire(key, "ListQueues"))[0] == denied
    assert "QueueSummaries" in await house.wire(key, "ListQueues", {"scheme": "https"})
    agent = {"headers": {"user-agent": "Boto3/1.40"}}
    assert (await house.wire(key, "DescribeAccountSettings"))[0] == denied
    assert denied not in await house.wire(key, "DescribeAccountSettings", agent)


async def test_policies_see_the_tags_of_a_request(house: House) -> None:
    only_blue = {
        "StringEquals": {"aws:RequestTag/team": "blue"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "stage"]},
    }
    policy = document(says(action="kinesis:AddTagsToStream", Condition=only_blue))
    user = await in_database(make_identity)(house.hers.team, "user", "ann", policy)
    key = await in_database(make_key)(house.hers.team, user)
    for tags, allowed in (
        ({"team": "blue"}, True),
        ({"team": "red"}, False),
        ({"team": "blue", "x": "1"}, False),
        ({}, False),
    ):
        answer = await house.wire(key, "AddTagsToStream", StreamName="orders", Tags=tags or {"stage": "1"})
        assert (answer is None) is allowed, (tags, answer)


async def test_a_header_that_a_policy_asks_for_is_not_matched_at_any_length(house: House) -> None:
    """Matching takes the product of both lengths, and both are chosen by people who are not trusted."""
    asks = says(Condition={"StringLike": {"aws:UserAgent": "*" + "?" * 400 + "!*", "aws:Referer": "*"}})
    user = await in_database(make_identity)(house.hers.team, "user", "app", document(asks))
    keys = await in_database(make_key)(house.hers.team, user)
    long = {"headers": {"user-agent": "a" * 100_000, "referer": "b" * 100_000}}
    assert (await listed(house, long, keys))[0] == "AccessDeniedException"
    [decided] = (await house.principal_of(keys)).grants.decided
    assert sum(len(value) for _, value in decided[4:]) == 4_096


async def test_times_are_asked_for_each_time(house: House) -> None:
    until_s = house.clock.now_ms() // 1000 + 60
    policy = document(says(action="kinesis:*", Condition={"DateLessThan": {"aws:CurrentTime": str(until_s)}}))
    user = await in_database(make_identity)(house.hers.team, "user", "ann", policy)
    key = await in_database(make_key)(house.hers.team, user)
    assert "StreamNames" in await listed(house, None, key)
    house.clock.advance(60_000)
    assert (await listed(house, None, key))[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("name", "cidrs", "policy"),
    [
        ("a", ["10.0.0.0/33"], ""),
        ("b", ["10.0.0.1/8"], ""),
        ("c", ["any"], ""),
        ("d", [], "{"),
        ("e", ["::/0"] * 101, ""),
    ],
)
async def test_a_wrong_endpoint_is_not_made(house: House, name: str, cidrs: list[str], policy: str) -> None:
    with pytest.raises(WrongEndpoint):
        await in_database(endpoints.make)(house.hers.team.pk, name, cidrs, policy, 0)
    assert not await in_database(Endpoint.objects.exists)()


def source(peer: str, proxies: tuple[str, ...] = (), **headers: str) -> Source:
    from ipaddress import ip_network

    sent = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = Request("POST", "/", "", sent, None, to_end=False, scope=Connection(peer))  # type: ignore[arg-type]
    return Source(request, tuple(ip_network(proxy) for proxy in proxies))


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.1:5", "192.0.2.1"), ("192.0.2.1", "192.0.2.1"), ("[2001:db8::1]:5", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"), ("[::ffff:192.0.2.1]:9", "192.0.2.1"),
        ("unix:/x", ""), ("", ""),
    ],
)  # fmt: skip
def test_addresses_as_servers_write_them(peer: str, address: str) -> None:
    assert source(peer).ip == address


def test_only_trusted_proxies_are_believed() -> None:
    forwarded = {"x_forwarded_for": "6.6.6.6, 192.0.2.9, 10.0.0.7", "x_forwarded_proto": "https"}
    assert source("198.51.100.1:1", **forwarded).ip == "198.51.100.1"
    assert not source("198.51.100.1:1", **forwarded).secure
    behind = source("10.0.0.1:1", ("10.0.0.0/8",), **forwarded)
    assert behind.ip == "192.0.2.9", "the last one that is no proxy; what stands before it anybody may have written"
    assert behind.secure
    assert source("10.0.0.1:1", ("10.0.0.0/8",)).ip == "10.0.0.1"
    assert source("10.0.0.1:1", ("10.0.0.0/8",), x_forwarded_for="nonsense").ip == "10.0.0.1"


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("vpce-0123456789abcdef0.kinesis.example:4567", "vpce-0123456789abcdef0"),
        ("vpce-0123456789abcdef0-zone.example", "vpce-0123456789abcdef0"),
        ("vpce-0123456789abcdef0:80", "vpce-0123456789abcdef0"), ("kinesis.example", ""), ("", ""),
    ],
)  # fmt: skip
def test_the_endpoint_stands_first_in_the_host_name(host: str, found: str) -> None:
    assert endpoint_of(host) == found


def test_the_command_makes_changes_and_removes(transactional_db: None, tmp_path: Path) -> None:
    team = make_team().team
    policy = tmp_path / "policy.json"
    policy.write_text(document(says("Allow", "kinesis:*", Principal="*")))

    def run_command(*words: str) -> str:
        out = StringIO()
        call_command("endpoint", *words, stdout=out)
        return out.getvalue()

    assert "is made" in run_command("add", team.slug, "--name", "office", "--cidr", "10.0.0.0/8", "--cidr", "::1/128")
    row = Endpoint.objects.get()
    assert (row.cidrs, row.policy) == (["10.0.0.0/8", "::1/128"], "")
    run_command("change", row.endpoint_id, "--policy", str(policy))
    assert run_command("list").split() == [
        row.endpoint_id,
        "first",
        "office",
        "10.0.0.0/8,",
        "::1/128",
        "with",
        "a",
        "policy",
    ]
    policy.write_text("{")
    with pytest.raises(CommandError, match="The policy is wrong"):
        run_command("change", row.endpoint_id, "--policy", str(policy))
    for words in (
        ("add", "nobody"),
        ("remove", "vpce-1"),
        ("change", row.endpoint_id, "--policy", str(tmp_path / "none")),
    ):
        with pytest.raises(CommandError):
            run_command(*words)
    run_command("remove", row.endpoint_id)
    assert not Endpoint.objects.exists()
    done = AuditEntry.objects.order_by("id").values_list("operation", "resource")
    assert list(done) == [(f"{verb}Endpoint", row.endpoint_id) for verb in ("Create", "Modify", "Delete")]
