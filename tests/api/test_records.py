"""Records over REST: reading from all starting positions, one record, putting."""

import base64
import json

import pytest

from tests.api.conftest import api_of
from tests.api.test_envelope import problem
from tests.console.conftest import (
    make_stream,
    put,
    settle,
    unhurried,  # noqa: F401 - a fixture
)
from tests.support.teams import make_team

pytestmark = [pytest.mark.usefixtures("unhurried"), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def orders(served, team):
    return make_stream(served, team, "orders", 2)


def pages(api, query, most=20):
    """All pages until there is nothing to read now."""
    cursor, found = "", []
    for _ in range(most):
        answer = api.get(
            f"/streams/orders/records?{query}" if not cursor else f"/streams/orders/records?cursor={cursor}&limit=3"
        )
        assert answer.status_code == 200, answer.content
        told = answer.json()
        found.append([item["data"] for item in told["items"]])
        cursor = told["next_cursor"]
        if not told["more"]:
            return found, cursor
    raise AssertionError("no end")


def test_records_are_put_as_text_json_and_base64(api, orders):
    records = [
        {"partition_key": "a", "data": "text"},
        {"partition_key": "b", "data": {"big": 2**70, "ü": [1.5, None]}},
        {"partition_key": "c", "data": base64.b64encode(b"\xff\0").decode(), "encoding": "base64"},
        {"partition_key": "d", "data": "quoted", "encoding": "json"},
        {"partition_key": "e", "data": "a\0b", "explicit_hash_key": "0"},
        {"partition_key": " ", "data": ""},
        {"partition_key": "f", "data": None},
    ]
    answer = api.post("/streams/orders/records", {"records": records})
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert told["failed"] == 0
    assert len(told["items"]) == 7
    assert told["items"][4]["shard_id"] == "shardId-000000000000"
    by_key = {
        item["partition_key"]: (item["encoding"], item["data"])
        for item in api.get("/streams/orders/records?encoding=json").json()["items"]
    }
    assert by_key == {
        "a": ("text", "text"),
        "b": ("json", {"big": 2**70, "ü": [1.5, None]}),
        "c": ("base64", "/wA="),
        "d": ("json", "quoted"),
        "e": ("text", "a\0b"),
        " ": ("text", ""),
        "f": ("json", None),
    }


def test_what_cannot_be_put_is_named(api, orders):
    def fields(*records):
        told = problem(api.post("/streams/orders/records", {"records": list(records)}), 400)
        return sorted(error["field"] for error in told["errors"])

    assert fields({"partition_key": "a", "data": "x!", "encoding": "base64"}) == ["records[0].data"]
    assert fields({"partition_key": "a", "data": 5, "encoding": "text"}) == ["records[0].data"]
    assert fields({"partition_key": "a"}, {"data": "x", "colour": 1}) == ["records[0].data", "records[1].colour"]
    assert fields({"partition_key": 5, "data": ""}) == ["records[0].partition_key"]
    assert fields() == ["records"]
    assert fields(*[{"data": "", "partition_key": "a"}] * 501) == ["records"]
    told = problem(api.post("/streams/orders/records", {"records": [{"data": "x"}]}), 400)
    assert told["code"]
    deep = b"[" * 900 + b"]" * 900
    answer = api.post("/streams/orders/records", b'{"records":[{"partition_key":"a","data":' + deep + b"}]}")
    assert answer.status_code in {200, 400}
    assert api.get("/streams/orders/records?encoding=json").status_code == 200


def test_what_a_shard_refuses_is_told_one_by_one(api, team, served):
    make_stream(served, team, "small", 1)
    records = [{"partition_key": "a", "data": "x" * 300_000}] * 5
    told = api.post("/streams/small/records", {"records": records}).json()
    assert told["failed"] > 0
    assert told["items"][0]["sequence_number"]
    assert told["items"][-1]["code"] == "ProvisionedThroughputExceededException"
    assert told["items"][-1]["detail"]


def test_newest_looks_back_page_by_page(api, orders, served, team):
    for number in range(7):
        put(served, team, "orders", (f"key-{number}", b"%d" % number))
        served.clock.advance(10)
    found, cursor = pages(api, "limit=3")
    assert found == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    assert cursor is None


def test_the_past_is_read_forward_and_goes_on(api, orders, served, team):
    for number in range(5):
        put(served, team, "orders", (f"key-{number}", b"%d" % number))
        served.clock.advance(10)
    found, cursor = pages(api, "start=trim-horizon&limit=3")
    assert [data for page in found for data in page] == list("01234")
    told = api.get(f"/streams/orders/records?cursor={cursor}").json()
    assert (told["items"], told["more"]) == ([], False)
    put(served, team, "orders", ("late", b"late"))
    told = api.get(f"/streams/orders/records?cursor={told['next_cursor']}").json()
    assert [item["data"] for item in told["items"]] == ["late"]


def test_latest_begins_with_what_comes(api, orders, served, team):
    put(served, team, "orders", ("a", b"before"))
    told = api.get("/streams/orders/records?start=latest").json()
    assert told["items"] == []
    put(served, team, "orders", ("a", b"after"))
    told = api.get(f"/streams/orders/records?cursor={told['next_cursor']}").json()
    assert [item["data"] for item in told["items"]] == ["after"]


def test_starts_at_a_time_or_a_sequence_number(api, orders, served, team):
    (_, second) = put(served, team, "orders", ("a", b"1"), ("a", b"2"))
    served.clock.advance(1_000)
    at_ms = served.clock.now_ms()
    put(served, team, "orders", ("a", b"3"))
    number, shard = second["SequenceNumber"], second["ShardId"]
    assert pages(api, f"start=at-time&at_ms={at_ms}")[0] == [["3"]]
    assert pages(api, f"start=at-sequence-number&sequence_number={number}")[0][0] == ["2", "3"]
    assert pages(api, f"start=after-sequence-number&sequence_number={number}&shard={shard}")[0][0] == ["3"]
    other = "shardId-000000000001" if shard.endswith("0") else "shardId-000000000000"
    for query in (
        f"start=at-time&at_ms={at_ms + 1_000_000}",
        "start=at-time",
        "at_ms=5",
        "start=at-sequence-number&sequence_number=5",
        f"start=at-sequence-number&sequence_number={number}&shard={other}",
        "start=sideways",
        "cursor=nonsense",
        "limit=501",
        "filter=data.x+%3D",
    ):
        problem(api.get(f"/streams/orders/records?{query}"), 400)
    told = problem(api.get("/streams/orders/records?cursor=x&start=latest"), 400)
    assert [error["field"] for error in told["errors"]] == ["start"]
    problem(api.get("/streams/orders/records?shard=7"), 404)


def test_children_are_read_after_their_parents(api, served, team):
    make_stream(served, team, "orders", 1)
    put(served, team, "orders", *[("a", b"%d" % number) for number in range(4)])
    assert api.post("/streams/orders/shards/0/split").status_code == 202
    settle(served)
    served.clock.advance(2_000)
    put(served, team, "orders", ("a", b"4"), ("b", b"5"))
    found, _ = pages(api, "start=trim-horizon&limit=3")
    assert [data for page in found for data in page] == list("012345")
    told = api.get("/streams/orders/records?start=trim-horizon&shard=0").json()
    assert [item["data"] for item in told["items"]] == list("0123")
    assert told["next_cursor"] is None


def test_a_filter_looks_at_more_than_it_shows(api, orders, served, team):
    put(served, team, "orders", *[("a", json.dumps({"n": n}).encode()) for n in range(9)])
    told = api.get("/streams/orders/records?filter=data.n+%3E+6&encoding=json").json()
    assert sorted(item["data"]["n"] for item in told["items"]) == [7, 8]
    assert told["scanned"] == 9


def test_one_record_has_its_address(api, orders, served, team):
    (made,) = put(served, team, "orders", ("a", b'{"x":1}'))
    path = f"/streams/orders/records/{made['ShardId']}/{made['SequenceNumber']}"
    told = api.get(path + "?encoding=json").json()
    assert (told["data"], told["encoding"], told["partition_key"], told["size_bytes"]) == ({"x": 1}, "json", "a", 8)
    assert told["link"].endswith(
        f"/t/first/streams/orders/records/{int(made['ShardId'][-4:])}/{made['SequenceNumber']}"
    )
    problem(api.get(path[:-1] + "9"), 404)
    problem(api.get(f"/streams/orders/records/{made['ShardId']}/x"), 404)
    problem(api.get(f"/streams/orders/records/7/{made['SequenceNumber']}"), 404)
    problem(api.get(path + "?encoding=hex"), 400)


def test_who_may_see_streams_sees_no_records(api, orders, team):
    reader = api_of(team.user, team.team, ["stream:read", "stream:write"])
    assert problem(reader.get("/streams/orders/records"), 403)["needs"] == "record:read"
    assert problem(reader.get("/streams/orders/records/0/1"), 403)["needs"] == "record:read"
    assert problem(reader.post("/streams/orders/records", {}), 403)["needs"] == "record:write"


def test_another_teams_records_are_not_there(api, served):
    other = make_team("210987654321", "other", "AKIDOTHER")
    make_stream(served, other, "theirs", 1)
    put(served, other, "theirs", ("a", b"1"))
    theirs = api_of(other.user, other.team)
    cursor = theirs.get("/streams/theirs/records?start=trim-horizon").json()["next_cursor"]
    problem(api.get("/streams/theirs/records"), 404)
    problem(api.get(f"/streams/theirs/records?cursor={cursor}"), 404)
    make_stream(served, make_team("310987654321", "third", "AKIDTHIRD"), "theirs", 1)
    problem(api.get("/streams/theirs/records/0/1"), 404)
    problem(api.post("/streams/theirs/records", {"records": [{"data": "x", "partition_key": "a"}]}), 404)
