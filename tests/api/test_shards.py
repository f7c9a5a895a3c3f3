"""Shards, consumers and queues over REST."""

import pytest

from apps.streams.models import Stream
from apps.streams.topology import LAST_HASH
from tests.api.conftest import api_of
from tests.api.test_envelope import problem
from tests.console.conftest import make_stream, settle
from tests.support.teams import make_team


@pytest.fixture
def orders(served, team):
    return make_stream(served, team, "orders", 2)


def test_shards_are_listed_with_range_lineage_and_state(api, orders, served):
    told = api.get("/streams/orders/shards?limit=1").json()
    (first,) = told["items"]
    assert first["id"] == "shardId-000000000000"
    assert (first["number"], first["state"], first["parents"]) == (0, "OPEN", [])
    assert first["starting_hash_key"] == "0"
    assert first["ending_sequence_number"] is None
    (second,) = api.get(f"/streams/orders/shards?limit=1&cursor={told['next_cursor']}").json()["items"]
    assert second["ending_hash_key"] == str(LAST_HASH)
    assert api.get("/streams/orders/shards/1").json() == second
    assert api.get("/streams/orders/shards/shardId-000000000001").json() == second
    for wrong in ("7", "x", "9" * 40):
        problem(api.get(f"/streams/orders/shards/{wrong}"), 404)


def test_a_shard_is_split_in_the_middle_or_where_it_is_said(api, orders, served):
    answer = api.post("/streams/orders/shards/0/split")
    assert (answer.status_code, answer.json()["status"]) == (202, "UPDATING")
    problem(api.post("/streams/orders/shards/1/split"), 409)
    settle(served)
    shards = {shard["number"]: shard for shard in api.get("/streams/orders/shards").json()["items"]}
    assert shards[0]["state"] == "CLOSED"
    assert shards[0]["ending_sequence_number"]
    assert shards[2]["parents"] == ["shardId-000000000000"]
    assert int(shards[3]["starting_hash_key"]) == (int(shards[0]["ending_hash_key"]) + 1) // 2
    assert [s["number"] for s in api.get("/streams/orders/shards?state=CLOSED").json()["items"]] == [0]
    told = problem(api.post("/streams/orders/shards/1/split", {"new_starting_hash_key": "5"}), 400)
    assert told["code"] == "InvalidArgumentException"
    problem(api.post("/streams/orders/shards/1/split", {"new_starting_hash_key": "05"}), 400)
    problem(api.post("/streams/orders/shards/0/split"), 400)


def test_neighbours_are_merged(api, orders, served):
    body = {"shard_to_merge": "shardId-000000000000", "adjacent_shard_to_merge": "shardId-000000000001"}
    turned = {"shard_to_merge": body["adjacent_shard_to_merge"], "adjacent_shard_to_merge": body["shard_to_merge"]}
    assert "not an adjacent pair" in problem(api.post("/streams/orders/shards/merge", turned), 400)["detail"]
    assert api.post("/streams/orders/shards/merge", body).status_code == 202
    settle(served)
    assert api.get("/streams/orders").json()["open_shards"] == 1
    problem(api.post("/streams/orders/shards/merge", {}), 400)


def test_the_number_of_shards_is_changed(api, orders, served):
    answer = api.patch("/streams/orders/shards", {"open_shards": 4})
    assert (answer.status_code, answer.json()) == (202, {"open_shards": 2, "target_open_shards": 4})
    settle(served)
    assert problem(api.patch("/streams/orders/shards", {"open_shards": 9}), 429)["code"] == "LimitExceededException"
    problem(api.patch("/streams/orders/shards", {"open_shards": 2}, if_match="x"), 400)


def test_consumers_come_and_go(api, orders, served):
    made = api.post("/streams/orders/consumers", {"name": "app", "tags": {"a": "b"}}, idempotency_key="k")
    assert made.status_code == 201, made.content
    told = made.json()
    assert told["arn"].startswith(str(Stream.objects.get().arn) + "/consumer/app:")
    assert (told["status"], told["tags"]) == ("CREATING", {"a": "b"})
    assert (
        api.post("/streams/orders/consumers", {"name": "app", "tags": {"a": "b"}}, idempotency_key="k").json() == told
    )
    problem(api.post("/streams/orders/consumers", {"name": "app"}), 409)
    problem(api.post("/streams/orders/consumers", {"name": "a b"}), 400)
    settle(served)
    assert api.get("/streams/orders/consumers").json() == {
        "items": [{**told, "status": "ACTIVE"}], "next_cursor": None,
    }  # fmt: skip
    etag = api.get("/streams/orders/consumers/app")["ETag"]
    problem(api.delete("/streams/orders/consumers/app", if_match='"other"'), 412)
    assert api.delete("/streams/orders/consumers/app", if_match=etag).status_code == 204
    problem(api.get("/streams/orders/consumers/none"), 404)


def test_queues_are_made_on_on_demand_streams(api, team, served, orders):
    make_stream(served, team, "clicks", 0)
    wanted = {"name": "work", "stream": "clicks", "visibility_timeout_s": 60, "max_receive_count": None,
              "starting_position": {"type": "TRIM_HORIZON"}, "tags": {"a": "b"}}  # fmt: skip
    made = api.post("/queues", wanted)
    assert made.status_code == 201, made.content
    told = made.json()
    assert {**told, **wanted} == told
    assert api.get("/queues").json()["items"] == [told]
    assert api.get("/queues?stream=orders").json()["items"] == []
    assert (
        "on data streams in ON_DEMAND" in problem(api.post("/queues", {"name": "b", "stream": "orders"}), 400)["detail"]
    )
    problem(api.post("/queues", {"name": "b", "stream": "none"}), 404)
    told = problem(
        api.post("/queues", {"name": "b", "stream": "clicks", "starting_position": {"type": "LATEST", "at_ms": 1}}), 400
    )
    assert "Timestamp" in told["detail"]
    assert problem(api.patch("/queues/work", {"visibility_timeout_s": 5}), 409)["code"] == "ResourceInUseException"
    problem(api.patch("/queues/work", {"visibility_timeout_s": -5}), 400)
    assert api.delete("/queues/work").status_code == 204
    assert api.get("/queues/work").json()["status"] == "DELETING"


def test_what_a_token_may_not_is_said(api, orders, team):
    reader = api_of(team.user, team.team, ["stream:read"])
    for path in ("/streams/orders/shards", "/streams/orders/shards/0", "/streams/orders/consumers", "/queues"):
        assert reader.get(path).status_code == 200
        assert problem(api_of(team.user, team.team, []).get(path), 403)["needs"] == "stream:read"
    for method, path, body, needs in (
        ("PATCH", "/streams/orders/shards", {"open_shards": 4}, "stream:reshard"),
        ("POST", "/streams/orders/shards/0/split", {}, "stream:reshard"),
        ("POST", "/streams/orders/shards/merge", {}, "stream:reshard"),
        ("POST", "/streams/orders/consumers", {"name": "a"}, "stream:write"),
        ("DELETE", "/streams/orders/consumers/a", None, "stream:write"),
        ("POST", "/queues", {}, "stream:write"),
        ("PATCH", "/queues/a", {}, "stream:write"),
        ("DELETE", "/queues/a", None, "stream:write"),
    ):
        assert problem(reader(method, path, body), 403)["needs"] == needs


def test_another_teams_are_not_there(api, served):
    other = make_team("210987654321", "other", "AKIDOTHER")
    make_stream(served, other, "theirs", 0)
    theirs = api_of(other.user, other.team)
    assert theirs.post("/queues", {"name": "work", "stream": "theirs"}).status_code == 201
    assert theirs.post("/streams/theirs/consumers", {"name": "app"}).status_code == 201
    assert api.get("/queues").json()["items"] == []
    for method, path, body in (
        ("GET", "/streams/theirs/shards", None),
        ("PATCH", "/streams/theirs/shards", {"open_shards": 4}),
        ("GET", "/streams/theirs/shards/0", None),
        ("POST", "/streams/theirs/shards/0/split", {}),
        ("POST", "/streams/theirs/shards/merge", {"shard_to_merge": "0", "adjacent_shard_to_merge": "1"}),
        ("GET", "/streams/theirs/consumers", None),
        ("POST", "/streams/theirs/consumers", {"name": "b"}),
        ("GET", "/streams/theirs/consumers/app", None),
        ("DELETE", "/streams/theirs/consumers/app", None),
        ("POST", "/queues", {"name": "b", "stream": "theirs"}),
        ("GET", "/queues/work", None),
        ("PATCH", "/queues/work", {"visibility_timeout_s": 5}),
        ("DELETE", "/queues/work", None),
    ):
        problem(api(method, path, body), 404)
