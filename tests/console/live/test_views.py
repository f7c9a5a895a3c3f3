"""The same over HTTP."""

import pytest
from django.test import Client as Browser

from apps.accounts.models import Membership
from apps.delivery import metrics
from tests.console.conftest import other_team, signed_in
from tests.support.delivery_rows import make_delivery

URL = "/t/first/live.json"


@pytest.fixture
def page(team, served, valkey):
    """A signed-in browser; there is a Valkey and a Runtime."""
    return signed_in(team)


@pytest.fixture
def orders(team, page):
    from tests.console.live.conftest import make_stream

    return make_stream(team.team, "orders")


@pytest.fixture
def team(db):
    from tests.support.teams import make_team

    return make_team()


def test_a_chart(page, orders, team, process, clock):
    process.counters.add(team.team.id, orders.id, "IncomingBytes", 500)
    process.second()
    since = clock.now_ms() // 1_000 - 3
    answer = page.get(URL, {"topic": "stream/orders/throughput", "res": 1, "since": since}).json()
    assert answer["t"] == [since, since + 1, since + 2]
    assert answer["d"][0] == [None, None, 500]
    assert answer["limit"] == 2 * 1_048_576
    assert answer["now"] == clock.now_ms() / 1_000
    assert len(answer["epoch"]) == 8


def test_all_data_streams_of_the_team_together(page, orders, team, process, clock):
    for stream, size in ((orders.id, 500), (orders.id + 1, 250)):
        process.counters.add(team.team.id, stream, "IncomingBytes", size)
    process.counters.add(team.team.id + 1, orders.id + 2, "IncomingBytes", 9_000)
    process.second()
    answer = page.get(URL, {"topic": "team/throughput", "since": clock.now_ms() // 1_000 - 1}).json()
    assert answer["d"][0] == [750]
    assert answer["limit"] is None
    assert answer["marks"] == []
    assert page.get(URL, {"topic": "team/records"}).status_code == 400


def test_rows_and_shards(page, orders, team, process, clock):
    process.counters.add(team.team.id, orders.id, "IncomingBytes", 600)
    process.counters.add_shard_write(team.team.id, orders.id, 1, 600, 2)
    process.second()
    clock.advance(1_000)
    rows = page.get(URL, {"topic": "streams", "names": ["orders", "none"]}).json()["set"]
    assert rows["orders"]["in"] == 10
    assert list(rows) == ["orders"]
    shards = page.get(URL, {"topic": "stream/orders/shards"}).json()["set"]
    assert shards["1"]["in"] == 60


def test_delivery_streams(page, orders, team, process, clock):
    """They have a data stream's row id and name here, and other series."""
    ticker = make_delivery(team, "orders", id=orders.id)
    make_delivery(team, "orders", id=ticker.id + 1, channel_id="c-1")
    metrics.count(process.counters, team.team.id, ticker.id, "IncomingBytes", 600)
    metrics.count(process.counters, team.team.id, ticker.id, "DeliveryToSplunk.Bytes", 1_200)
    metrics.count(process.counters, team.team.id, ticker.id, "DeliveryToSplunk.DataFreshness", 42)
    process.second()
    clock.advance(1_000)
    since = clock.now_ms() // 1_000 - 2
    chart = page.get(URL, {"topic": "delivery/orders/throughput", "res": 1, "since": since}).json()
    assert [column[0] for column in chart["d"]] == [600, 1_200, 0, 42]
    assert chart["limit"] is None
    assert page.get(URL, {"topic": "channel/orders/throughput", "since": since}).json()["d"][0][0] == 0
    rows = page.get(URL, {"topic": "deliveries", "names": ["orders", "none"]}).json()["set"]
    assert rows == {
        "orders": {"st": "ACTIVE", "in": 10, "rec": 0, "out": 20, "thr": 0, "age": 42, "del": 0, "wait": None}
    }
    assert page.get(URL, {"topic": "streams", "names": ["orders"]}).json()["set"]["orders"]["in"] == 0


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"topic": "stream/orders/nonsense"}, 400),
        ({"topic": "stream/orders/throughput", "res": "7"}, 400),
        ({"topic": "stream/orders/throughput", "res": "x"}, 400),
        ({"topic": "stream/other/throughput"}, 404),
        ({"topic": "delivery/orders/throughput"}, 404),
        ({"topic": "channel/orders/throughput"}, 404),
        ({"topic": "delivery/orders/shards"}, 400),
        ({}, 400),
    ],
)
def test_what_there_is_not(page, orders, query, status):
    assert page.get(URL, query).status_code == status


def test_signed_out_is_401_and_not_a_page(team, served):
    answer = Browser().get(URL, {"topic": "streams"})
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in")


def test_another_teams_is_404(page, orders):
    stranger = signed_in(other_team())
    assert stranger.get(URL, {"topic": "streams"}).status_code == 404
    assert stranger.get("/t/second/live.json", {"topic": "stream/orders/throughput"}).status_code == 404
    assert stranger.get("/t/second/live.json", {"topic": "streams", "names": "orders"}).json()["set"] == {}


def test_without_the_permission_403(page, orders, monkeypatch):
    monkeypatch.setattr("console.live.views.allowed", lambda *_: False)
    answer = page.get(URL, {"topic": "streams"})
    assert (answer.status_code, answer.json()["need"]) == (403, "stream:read")
    Membership.objects.all().delete()
    assert page.get(URL, {"topic": "streams"}).status_code == 404


def test_only_by_get(page):
    assert page.post(URL, {"topic": "streams"}).status_code == 405


def test_without_redis_it_has_gaps_and_says_so(team, served):
    from tests.console.live.conftest import make_stream

    make_stream(team.team, "orders")
    answer = signed_in(team).get(URL, {"topic": "stream/orders/throughput"}).json()
    assert answer["away"] is True
    assert set(answer["d"][0]) == {None}
