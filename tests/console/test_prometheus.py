"""GET /metrics: who may ask, and what Prometheus reads."""

import base64
import re

import pytest
from django.test import Client

from apps.accounts.models import AccessKey
from apps.metrics.flush import Flusher
from tests.support.metrics import valkey, valkey_server
from tests.support.runtimes import until
from tests.support.stream_rows import make_stream
from tests.support.teams import make_team

__all__ = ["valkey", "valkey_server"]

pytestmark = pytest.mark.django_db(transaction=True)

SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>[^}]*)\})? (?P<value>[-+0-9.e]+)\Z")


def basic(key_id, secret):
    return {"Authorization": "Basic " + base64.b64encode(f"{key_id}:{secret}".encode()).decode()}


def samples(text):
    """Values by name and labels; every line must be one that Prometheus reads."""
    found = {}
    for line in text.splitlines():
        if line.startswith("# "):
            assert re.match(r"# (HELP|TYPE) [a-z_]+ .+", line), line
            continue
        match = SAMPLE.match(line)
        assert match, line
        labels = dict(part.split("=", 1) for part in (match["labels"] or "").split(",") if part)
        found[match["name"], *sorted(f"{k}={v}" for k, v in labels.items() if k != "process")] = float(match["value"])
    return found


class Web:
    """A process that counts."""

    def __init__(self, runtime, valkey):
        from apps.metrics.counters import Counters

        self.counters, self.clock = Counters(), runtime.clock
        self.flusher = Flusher(self.counters, runtime.clock, serves=True)
        self.client = valkey.client()

    def flush(self):
        self.flusher.collect()
        for step in self.flusher.steps(final=True):
            with self.client.pipeline(transaction=False) as pipe:
                for command in step.commands:
                    pipe.execute_command(*command)
                pipe.execute()
            step.confirm()


@pytest.fixture
def counted(served, team, valkey):
    stream = make_stream(team.team, "s")
    web = Web(served, valkey)
    web.counters.add(stream.team_id, stream.pk, "IncomingBytes", 10)
    web.counters.add(stream.team_id, stream.pk, "PutRecord.Latency", 3)
    web.counters.add_labelled(stream.team_id, stream.pk, "SubscribeToShardEvent.Records", "c", 7)
    web.counters.add_labelled(stream.team_id, stream.pk, "OutgoingBytes", 2, 5)
    web.clock.advance(1_000)
    web.flush()
    yield web, stream
    web.client.close()


def test_a_key_reads_its_teams_metrics(team, served, counted):
    answer = Client().get("/metrics", headers=basic(team.access_key_id, team.secret))
    assert answer.status_code == 200
    assert answer["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = samples(answer.content.decode())
    account, stream = f'account="{team.principal.account_id}"', 'stream="s"'
    assert found["tidegate_up",] == 1
    assert found["tidegate_kinesis_incoming_bytes_sum", account, stream] == 10
    assert found["tidegate_kinesis_incoming_bytes_count", account, stream] == 1
    assert found["tidegate_kinesis_put_record_latency_milliseconds_sum", account, stream] == 3
    consumer = ("tidegate_kinesis_subscribe_to_shard_event_records_sum", account, 'consumer="c"', stream)
    assert found[consumer] == 7
    assert found["tidegate_kinesis_shard_outgoing_bytes_sum", account, 'shard="shardId-000000000002"', stream] == 5


def test_counters_only_rise_and_processes_stand_side_by_side(team, served, counted, valkey):
    web, stream = counted
    other = Web(served, valkey)
    other.counters.add(stream.team_id, stream.pk, "IncomingBytes", 1)
    web.counters.add(stream.team_id, stream.pk, "IncomingBytes", 5)
    web.clock.advance(1_000)
    web.flush()
    other.flush()
    other.client.close()
    text = Client().get("/metrics", headers=basic(team.access_key_id, team.secret)).content.decode()
    values = re.findall(r'incoming_bytes_sum\{[^}]*process="(\w+)"[^}]*\} (\d+)', text)
    assert dict(values) == {web.flusher.totals.process: "15", other.flusher.totals.process: "1"}


def test_other_teams_see_their_own(team, served, counted):
    other = make_team("210987654321", "stranger", "AKIDSTRANGER")
    answer = Client().get("/metrics", headers=basic(other.access_key_id, other.secret))
    assert answer.status_code == 200
    assert samples(answer.content.decode()) == {("tidegate_up",): 1}


def test_the_operators_token_reads_all(team, served, counted, monkeypatch):
    from dataclasses import replace

    assert Client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 401
    monkeypatch.setattr(served, "config", replace(served.config, metrics_token="t0ken"))
    answer = Client().get("/metrics", headers={"Authorization": "Bearer t0ken"})
    assert answer.status_code == 200
    assert len(samples(answer.content.decode())) > 5
    for wrong in ("Bearer t0ke", "Bearer t0kenn", "Bearer", "Token t0ken"):
        assert Client().get("/metrics", headers={"Authorization": wrong}).status_code == 401, wrong


def test_strangers(team, served, client):
    wrong = [
        {},
        basic(team.access_key_id, "wrong"),
        basic("AKIDNOBODY", team.secret),
        basic("", ""),
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"nocolon").decode()},
    ]
    for headers in wrong:
        answer = Client().get("/metrics", headers=headers)
        assert answer.status_code == 401, headers
        assert answer["WWW-Authenticate"].startswith("Basic")
    assert client.get("/metrics").status_code == 401, "a session is no key"
    assert Client().post("/metrics", headers=basic(team.access_key_id, team.secret)).status_code in {403, 405}
    AccessKey.objects.update(is_active=False)
    until(lambda: Client().get("/metrics", headers=basic(team.access_key_id, team.secret)).status_code == 401)


def test_without_redis_there_is_no_answer(team, served):
    assert Client().get("/metrics", headers=basic(team.access_key_id, team.secret)).status_code == 503
