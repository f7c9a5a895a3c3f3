"""Where S3 is, and with whose keys it is asked: never the operator's at a team's endpoint, never what lies about the machine."""

import pytest

from apps.base.clock import SystemClock
from apps.base.config import Config
from apps.base.tls import served
from apps.delivery import grants, s3_client
from apps.delivery.destinations import destination_for
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.role_limits import check_read, role_problem
from apps.delivery.s3_client import Clients, place_for, s3_for
from tests.support.callers import document, make_identity, says
from tests.support.delivery_batches import Engine, records_of, target
from tests.support.delivery_rows import ROLE, s3_description
from tests.support.runtimes import memory_runtime
from tests.support.s3 import KEY, SECRET, FaultProxy, S3Server, settings_for
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db

OWN = {"access_key_id": "AKIDOFTHETEAM", "secret_access_key": "secret-of-the-team"}


def mine(team, **fields):
    return target("ExtendedS3", s3_description(), team_id=team.team.id, **fields)


def put(runtime, where):
    return Engine(records_of([b"x"])).attempt_with(lambda: destination_for(runtime, where))


def refusal(runtime, where, attempt=put):
    with pytest.raises(DeliveryFailed) as failure:
        attempt(runtime, where)
    assert not failure.value.permanent
    return failure.value


def test_the_operators_place_is_the_environments(clock):
    runtime = memory_runtime(clock, **settings_for("http://s3.example"), aws_session_token="t", aws_region="eu-west-1")
    place = place_for(runtime, target("ExtendedS3", s3_description()))
    assert (place.endpoint_url, place.region, place.trusted) == ("http://s3.example", "eu-west-1", True)
    assert (place.access_key_id, place.secret_access_key, place.session_token) == (KEY, SECRET, "t")
    assert SECRET not in repr(place)


def test_a_teams_place_has_nothing_of_the_operators(clock):
    runtime = memory_runtime(clock, **settings_for("http://s3.example"), aws_session_token="t", aws_ca_bundle="x.pem")
    connections = {"s3": {"endpoint_url": "https://minio.example", **OWN}}
    place = place_for(runtime, target("ExtendedS3", s3_description(), connections=connections))
    assert (place.endpoint_url, place.access_key_id, place.secret_access_key) == (
        "https://minio.example",
        *OWN.values(),
    )
    assert (place.session_token, place.ca_bundle, place.trusted, place.operators_keys) == ("", "", False, False)
    keys_alone = place_for(runtime, target("ExtendedS3", s3_description(), connections={"s3": OWN}))
    assert (keys_alone.endpoint_url, keys_alone.access_key_id, keys_alone.trusted) == (
        "http://s3.example",
        "AKIDOFTHETEAM",
        True,
    )


def test_an_endpoint_without_keys_gets_none(clock, team):
    runtime = memory_runtime(clock, **settings_for("http://s3.example"))
    where = mine(team, connections={"s3": {"endpoint_url": "http://127.0.0.1:1"}})
    assert refusal(runtime, where).code == "S3.AccessDenied"


@pytest.mark.parametrize("endpoint", ["http://localhost:4567", "http://127.0.0.1:4567", "http://[::1]:4567"])
def test_tidegate_itself_is_no_s3(clock, team, endpoint):
    runtime = memory_runtime(clock, aws_endpoint_url=endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET)
    assert "set AWS_ENDPOINT_URL_S3" in refusal(runtime, mine(team)).message


def test_a_backup_has_its_own_place_or_the_other_ones(clock):
    runtime = memory_runtime(clock)
    connections = {"s3": {"endpoint_url": "https://a.example", **OWN}}
    backup = target("ExtendedS3", {}, connections=connections, part="backup")
    assert place_for(runtime, backup).endpoint_url == "https://a.example"
    connections["backup"] = {"endpoint_url": "https://b.example", **OWN}
    assert place_for(runtime, backup).endpoint_url == "https://b.example"


def test_without_keys_nothing_is_asked_about_them(clock, team, monkeypatch, tmp_path):
    """No file, no profile, no instance metadata, no variable that Config has not read."""
    runtime = memory_runtime(clock)  # has read the environment
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = FOUND\naws_secret_access_key = FOUND\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FOUND")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "FOUND")
    assert "There is no access key" in refusal(runtime, mine(team)).message


def test_the_environment_does_not_reach_into_a_teams_client(clock, s3, team, monkeypatch, tmp_path):
    """A team's S3 is at AWS if it names no endpoint and the operator has none, whatever the environment says beside."""
    runtime, here = memory_runtime(clock), memory_runtime(clock, **settings_for(s3.endpoint))  # have read it
    (tmp_path / "config").write_text("[default]\nregion = eu-north-1\nendpoint_url = http://config.example\n")
    for name, value in {
        "AWS_ENDPOINT_URL": "http://evil.example", "AWS_ENDPOINT_URL_S3": "http://evil.example", "AWS_PROFILE": "nobody",
        "AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_MAX_ATTEMPTS": "10", "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1", "AWS_USE_FIPS_ENDPOINT": "false",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    found = s3_for(runtime, mine(team, connections={"s3": {**OWN, "region": "eu-west-3"}}), "events")
    assert found._client.meta.endpoint_url == "https://s3.eu-west-3.amazonaws.com"
    s3.make_bucket("events")
    put(here, mine(team))
    assert len(s3.keys("events")) == 1


def test_a_teams_own_keys_need_no_grant_and_the_operators_do(clock, s3, team):
    s3.make_bucket("events")
    runtime = memory_runtime(clock, **settings_for(s3.endpoint))
    second = make_team("210987654321", "second", "AKIDSECOND")
    assert "has not given this team the bucket events" in refusal(runtime, mine(second)).message
    assert s3.keys("events") == []
    put(runtime, mine(second, connections={"s3": OWN}))
    assert grants.grant(second.team, "events", 1) is True
    assert grants.grant(second.team, "events", 1) is False
    put(runtime, mine(second))
    put(runtime, mine(team))  # the first team has every bucket
    assert grants.granted(second.team.pk) == ["events"]
    assert grants.revoke(second.team, "events") is True
    assert grants.revoke(second.team, "events") is False
    refusal(runtime, mine(second))
    grants.grant(second.team, "*", 1)
    put(runtime, mine(second))


@pytest.mark.parametrize(
    "endpoint",
    ["http://127.0.0.1:{port}", "http://localhost:{port}", "http://[::1]:{port}", "https://127.0.0.1:{port}",
     "http://169.254.169.254", "https://169.254.169.254", "http://10.0.0.1", "https://0.0.0.0:{port}", "http://2130706433:{port}",
     "https://[::ffff:127.0.0.1]:{port}"],
)  # fmt: skip
def test_a_teams_endpoint_on_this_machine_is_not_called_when_others_listen(clock, s3, team, endpoint):
    with FaultProxy(s3.port) as proxy:
        runtime = memory_runtime(clock, host="0.0.0.0")
        connections = {"s3": {"endpoint_url": endpoint.format(port=proxy.port), **OWN}}
        assert refusal(runtime, mine(team, connections=connections)).code == "S3.EndpointRefused"
        assert proxy.requests == []


def test_a_name_that_leads_here_is_not_called_either(clock, s3, team, monkeypatch):
    """The address is checked that is connected to; what the name stood for before does not matter."""
    import socket

    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *a, **k: real("127.0.0.1" if host == "s3.example.com" else host, port, *a, **k),
    )
    with FaultProxy(s3.port) as proxy:
        runtime = memory_runtime(clock, host="0.0.0.0")
        connections = {"s3": {"endpoint_url": f"https://s3.example.com:{proxy.port}", **OWN}}
        assert refusal(runtime, mine(team, connections=connections)).code == "S3.EndpointRefused"
        assert proxy.requests == []


def test_the_operators_endpoint_may_be_on_this_machine(clock, s3, team):
    s3.make_bucket("events")
    put(memory_runtime(clock, host="0.0.0.0", **settings_for(s3.endpoint)), mine(team))
    assert len(s3.keys("events")) == 1


def test_https_with_an_authority_of_the_operators(clock, s3, team, tmp_path):
    files = served(Config(data_dir=tmp_path, tls="self-signed"), SystemClock())
    s3.make_bucket("events")
    over_tls = S3Server(tls=(str(files.certificate), str(files.key)))
    try:
        settings = settings_for(over_tls.endpoint)
        put(memory_runtime(clock, **settings, aws_ca_bundle=str(files.authority)), mine(team))
        assert len(s3.keys("events")) == 1
        assert refusal(memory_runtime(clock, **settings), mine(team)).code == "S3.SSLUnverified"
        nowhere = memory_runtime(clock, **settings, aws_ca_bundle=str(tmp_path / "nowhere.pem"))
        assert "AWS_CA_BUNDLE" in refusal(nowhere, mine(team)).message
    finally:
        over_tls.stop()


def test_clients_are_kept_and_bounded(clock, monkeypatch):
    monkeypatch.setattr(s3_client, "CLIENTS_MAX", 2)
    runtime = memory_runtime(clock)
    clients = runtime.part(Clients)
    places = [
        place_for(runtime, target("ExtendedS3", {}, connections={"s3": {"endpoint_url": f"http://h{n}", **OWN}}))
        for n in range(3)
    ]
    first = clients.s3(places[0])
    assert clients.s3(places[0]) is first
    for place in places[1:]:
        clients.s3(place)
    assert clients.s3(places[0]) is not first
    assert len(clients._kept) == 2


def test_a_role_that_exists_limits(clock, s3, team):
    s3.make_bucket("events")
    runtime = memory_runtime(clock, **settings_for(s3.endpoint))
    assert ROLE in role_problem(team.team.id, ROLE)
    put(runtime, mine(team))  # there is no such role: nothing is enforced
    allowed = says("Allow", "s3:PutObject", "arn:aws:s3:::events/2026/*")
    role = make_identity(team.team, "role", "firehose", document(allowed))
    assert role_problem(team.team.id, ROLE) == ""
    put(runtime, mine(team))
    denied = says("Deny", "s3:PutObject", "arn:aws:s3:::events/*")
    role.inline_policies.create(name="deny", document=document(denied))
    said = refusal(runtime, mine(team))
    assert said.code == "S3.AccessDenied"
    assert "explicit deny" in said.message
    assert ":assumed-role/firehose/" in said.message


def test_a_role_that_exists_limits_reading_of_the_source(team):
    stream = "arn:aws:kinesis:us-east-1:123456789012:stream/clicks"
    check_read(team.team.id, "123456789012", ROLE, stream)
    make_identity(team.team, "role", "firehose", document(says("Allow", "s3:*")))
    with pytest.raises(DeliveryFailed, match="no identity-based policy allows the kinesis:GetRecords action"):
        check_read(team.team.id, "123456789012", ROLE, stream)


def test_another_teams_role_of_that_name_is_none(clock, s3, team):
    second = make_team("210987654321", "second", "AKIDSECOND")
    make_identity(second.team, "role", "firehose")
    s3.make_bucket("events")
    put(memory_runtime(clock, **settings_for(s3.endpoint)), mine(team))
    assert role_problem(team.team.id, ROLE.replace("123456789012", "210987654321"))
