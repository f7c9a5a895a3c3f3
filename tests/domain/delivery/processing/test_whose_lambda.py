"""Where a transform is, who signs, and who may use what."""

from io import StringIO

import pytest
from django.core.management import call_command

from apps.base.clock import FakeClock
from apps.delivery.grants import grant
from apps.delivery.processing import chain_for, invocation
from tests.support.callers import document, make_identity, says
from tests.support.delivery_batches import NOW_MS, records_of, target
from tests.support.lambda_server import LambdaServer
from tests.support.processors import FUNCTION_ARN, function, processing
from tests.support.runtimes import memory_runtime
from tests.support.teams import make_team

OPERATORS = ("AKIDOPERATOR", "operators/secret+key")
TEAMS = ("AKIDTEAM", "teams secret")


@pytest.fixture
def server():
    with LambdaServer(keys=OPERATORS) as started:
        yield started
        assert started.faults == []


def run(team, connection=None, arn=FUNCTION_ARN, **settings):
    runtime = memory_runtime(FakeClock(NOW_MS), **settings)
    connections = {"lambda": connection} if connection else {}
    made = target(
        "ExtendedS3", processing(function(LambdaArn=arn, NumberOfRetries="0")),
        team_id=team.team.pk, connections=connections,
    )  # fmt: skip
    return chain_for(runtime, made, "direct").run(records_of([b"a"]), NOW_MS)


def operators(server, **more):
    return {
        "aws_endpoint_url_lambda": server.url, "aws_access_key_id": OPERATORS[0], "aws_secret_access_key": OPERATORS[1],
        "aws_region": "eu-west-1", **more,
    }  # fmt: skip


def codes(done):
    return [one.code for one in done.failed]


def test_the_operators_lambda_for_the_first_team_signed_with_the_operators_keys(team, server):
    done = run(team, arn=FUNCTION_ARN + ":$LATEST", **operators(server, aws_session_token="session"))
    assert [one.data for one in done.records] == [b"a"]
    (asked,) = server.invocations
    assert (asked.name, asked.qualifier) == ("shape", "$LATEST")
    assert asked.headers["x-amz-security-token"] == "session"
    assert "/eu-west-1/lambda/" in asked.headers["authorization"]


def test_another_team_may_use_a_function_that_it_was_given(team, server):
    assert team.team
    other = make_team("210987654321", "second", "AKIDSECOND")
    assert codes(run(other, **operators(server))) == ["Lambda.InvokeAccessDenied"]
    assert server.invocations == []
    grant(other.team, "*", NOW_MS)  # every bucket
    assert codes(run(other, **operators(server))) == ["Lambda.InvokeAccessDenied"]
    call_command("buckets", "grant", "second", FUNCTION_ARN, stdout=StringIO())
    assert codes(run(other, **operators(server))) == []
    assert codes(run(other, arn=FUNCTION_ARN + ":7", **operators(server))) == []
    assert codes(run(other, arn=FUNCTION_ARN + "2", **operators(server))) == ["Lambda.InvokeAccessDenied"]
    call_command("buckets", "revoke", "second", FUNCTION_ARN, stdout=StringIO())
    assert codes(run(other, **operators(server))) == ["Lambda.InvokeAccessDenied"]


def test_keys_of_the_teams_own_at_the_operators_lambda(team, server):
    assert team.team
    other = make_team("210987654321", "second", "AKIDSECOND")
    server.keys = TEAMS
    own = {"access_key_id": TEAMS[0], "secret_access_key": TEAMS[1], "region": "us-west-2"}
    assert codes(run(other, own, **operators(server))) == []
    assert "/us-west-2/lambda/" in server.invocations[0].headers["authorization"]


@pytest.mark.parametrize("given", ["processor", "destination"])
def test_a_role_that_exists_limits_what_is_invoked(team, server, given):
    server.keys = None
    role = make_identity(team.team, "role", "r", document(says(action="lambda:*", resource=FUNCTION_ARN)))
    runtime = memory_runtime(FakeClock(NOW_MS), private_destinations="allow")
    for arn, expected in ((FUNCTION_ARN, []), (FUNCTION_ARN + ":7", ["Lambda.InvokeAccessDenied"])):
        own = {"RoleArn": role.arn} if given == "processor" else {}
        description = processing(function(LambdaArn=arn, **own), RoleARN=role.arn if not own else "")
        connections = {"lambda": {"endpoint_url": server.url}}
        made = target("ExtendedS3", description, team_id=team.team.pk, connections=connections)
        done = chain_for(runtime, made, "direct").run(records_of([b"a"]), NOW_MS)
        assert codes(done) == expected
        assert all("lambda:InvokeFunction" in told for _, told in done.errors)
    assert len(server.invocations) == 1


def test_a_teams_endpoint_never_sees_the_operators_keys(team, server):
    server.keys = None  # any signature is a fault
    settings = operators(server, private_destinations="allow")
    assert codes(run(team, {"endpoint_url": server.url}, **settings)) == []
    assert codes(run(team, {"endpoint_url": server.url + "/plain"}, **settings)) == []
    server.keys = TEAMS
    own = {"endpoint_url": server.url + "/plain", "access_key_id": TEAMS[0], "secret_access_key": TEAMS[1]}
    assert codes(run(team, own, **settings)) == []


def test_a_lambda_that_wants_no_keys(team, server):
    server.keys = None
    assert codes(run(team, aws_endpoint_url=server.url)) == []


def test_no_lambda_at_all(team):
    done = run(team)
    assert codes(done) == ["Lambda.ConnectionFailed"]
    assert done.failed[0].message == invocation.NO_ENDPOINT
    assert done.errors[0] == ("Lambda.ConnectionFailed", invocation.NO_ENDPOINT)


def test_awss_own_lambda_is_where_the_function_is(team):
    runtime = memory_runtime(aws_access_key_id="A", aws_secret_access_key="B", aws_region="us-east-1")
    arn = FUNCTION_ARN.replace("us-east-1", "ap-south-1")
    made = target("ExtendedS3", processing(function(LambdaArn=arn)), team_id=team.team.pk)
    from apps.delivery.processing.configuration import transform

    place = invocation.place_for(runtime, made, transform("ExtendedS3", made.description))
    assert place.url == "https://lambda.ap-south-1.amazonaws.com/2015-03-31/functions/shape/invocations"
    assert (place.region, place.keys.access_key_id) == ("ap-south-1", "A")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x", "https://127.0.0.1/", "https://169.254.169.254/latest", "ftp://a/"]
)
def test_private_addresses_of_a_team_are_refused(team, url):
    done = run(team, {"endpoint_url": url}, private_destinations="refuse")
    assert codes(done) == ["Lambda.ConnectionFailed"]
    assert [one[0] for one in done.errors] == ["Lambda.ConnectionFailed"]
