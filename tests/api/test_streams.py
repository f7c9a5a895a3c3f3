"""Data streams over REST: list, create, look, change, delete; tags and policy."""

import pytest

from apps.streams.models import Consumer, Stream
from console import calls
from tests.api.conftest import api_of
from tests.api.test_envelope import problem
from tests.console.conftest import make_stream, settle
from tests.support.runtimes import call
from tests.support.teams import make_team

POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::210987654321:root"},
            "Action": "kinesis:GetRecords",
            "Resource": "arn:aws:kinesis:us-east-1:123456789012:stream/orders",
        }
    ],
}


@pytest.fixture
def working(served, monkeypatch):
    """Who waits for a stream to be ACTIVE finds that a worker has been there."""
    monkeypatch.setattr(calls, "wait_until_active", lambda *_: settle(served))
    return served


@pytest.fixture
def orders(served, team):
    return make_stream(served, team, "orders", 2)


@pytest.mark.django_db(transaction=True)  # the key service is asked from another thread
def test_a_stream_is_created_with_all_its_settings(api, working):
    wanted = {
        "name": "orders",
        "mode": "PROVISIONED",
        "open_shards": 2,
        "retention_hours": 48,
        "max_record_size_kib": 2048,
        "encryption": {"type": "KMS"},
        "shard_level_metrics": ["IncomingBytes"],
        "tags": {"team": "shop"},
    }
    answer = api.post("/streams", wanted)
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert told["encryption"] == {"type": "KMS", "key_id": "alias/aws/kinesis"}
    assert {**told, **wanted, "encryption": told["encryption"]} == told
    settle(working)
    assert api.get("/streams/orders").json() == {**told, "status": "ACTIVE"}


def test_an_on_demand_stream_says_nothing_of_shards(api, served):
    told = api.post("/streams", {"name": "a", "distribution_strategy": "AUTO", "tags": {}}).json()
    assert (told["mode"], told["distribution_strategy"], told["warm_throughput_mibps"]) == ("ON_DEMAND", "AUTO", None)


@pytest.mark.django_db(transaction=True)  # the key service is asked from another thread
def test_what_was_made_before_a_refusal_is_told(api, working):
    told = problem(
        api.post("/streams", {"name": "a", "open_shards": 1, "retention_hours": 25, "encryption": {"type": "KMS", "key_id": "alias/none"}}),
        400,
    )  # fmt: skip
    assert told["done"] == ["CreateStream", "IncreaseStreamRetentionPeriod"]
    assert told["code"] == "KMSNotFoundException"
    assert told["detail"].startswith("StartStreamEncryption: ")
    assert api.get("/streams/a").json()["retention_hours"] == 25


def test_a_stream_that_is_not_active_in_time_is_told_of(api, served, monkeypatch):
    def never(*_):
        raise TimeoutError

    monkeypatch.setattr(calls, "wait_until_active", never)
    told = problem(api.post("/streams", {"name": "a", "open_shards": 1, "retention_hours": 25}), 503)
    assert told["done"] == ["CreateStream"]


def test_aws_says_what_is_wrong(api):
    told = problem(api.post("/streams", {"name": "a", "mode": "PROVISIONED"}), 400)
    assert told["code"] == "ValidationException"
    assert told["detail"] == "ShardCount must be provided when StreamMode=PROVISIONED"
    told = problem(api.post("/streams", {"name": "a", "warm_throughput_mibps": 5}), 400)
    assert "MinimumThroughputBillingCommitment" in told["detail"]
    told = problem(api.post("/streams", {"name": "a", "encryption": {"type": "NONE", "key_id": "x"}}), 400)
    assert [error["field"] for error in told["errors"]] == ["encryption.key_id"]
    told = problem(api.post("/streams", {"name": "a", "tags": {"": "x"}}), 400)
    assert told["errors"][0]["field"].startswith("tags")


def test_the_list_is_filtered(api, team, served):
    make_stream(served, team, "orders", 1, Tags={"team": "shop", "stage": "live"})
    make_stream(served, team, "clicks", 1, Tags={"team": "web"})
    make_stream(served, team, "orders-eu", 0)

    def names(query):
        return [item["name"] for item in api.get(f"/streams?{query}").json()["items"]]

    assert names("") == ["clicks", "orders", "orders-eu"]
    assert names("q=ORD") == ["orders", "orders-eu"]
    assert names("mode=ON_DEMAND") == ["orders-eu"]
    assert names("status=DELETING") == []
    assert names("tag=team") == ["clicks", "orders"]
    assert names("tag=team%3Dshop&tag=stage") == ["orders"]
    problem(api.get("/streams?mode=on-demand"), 400)


def test_a_list_takes_as_many_queries_whatever_its_length(api, team, served, django_assert_max_num_queries):
    for name in "abcdef":
        make_stream(served, team, name, 1, Tags={"a": "b"})
    api.get("/streams")
    with django_assert_max_num_queries(6):
        assert len(api.get("/streams").json()["items"]) == 6


@pytest.mark.django_db(transaction=True)  # the key service is asked from another thread
def test_settings_change_one_by_one_and_together(api, orders, working):
    etag = api.get("/streams/orders")["ETag"]
    wanted = {
        "retention_hours": 72,
        "max_record_size_kib": 4096,
        "shard_level_metrics": ["IncomingBytes", "OutgoingBytes"],
        "encryption": {"type": "KMS", "key_id": "alias/aws/kinesis"},
        "open_shards": 4,
        "tags": {"a": "b", "c": ""},
    }
    answer = api.patch("/streams/orders", wanted, if_match=etag)
    assert answer.status_code == 200, answer.content
    settle(working)
    told = api.get("/streams/orders").json()
    assert {**told, **wanted} == told
    assert answer["ETag"] != etag
    problem(api.patch("/streams/orders", {"retention_hours": 24}, if_match=etag), 412)
    assert problem(api.patch("/streams/orders", {"open_shards": 9}), 429)["code"] == "LimitExceededException"
    back = {"retention_hours": 24, "shard_level_metrics": [], "encryption": {"type": "NONE"}, "tags": {"c": "d"}}
    assert api.patch("/streams/orders", back).status_code == 200
    settle(working)
    told = api.get("/streams/orders").json()
    assert {**told, **back} == told
    assert api.patch("/streams/orders", {}).json() == told


def test_modes_change_with_what_belongs_to_them(api, team, working):
    make_stream(working, team, "a", 1)
    there = {"mode": "ON_DEMAND", "distribution_strategy": "AUTO"}
    assert api.patch("/streams/a", there).status_code == 200
    settle(working)
    back = {"mode": "PROVISIONED", "distribution_strategy": "USER_PARTITION_KEY"}
    assert api.patch("/streams/a", back).status_code == 200
    settle(working)
    told = api.get("/streams/a").json()
    assert {**told, **back} == told
    told = problem(api.patch("/streams/a", {"tags": {"x": "y"}, "mode": "ON_DEMAND"}), 429)
    assert told["done"] == ["AddTagsToStream"]


def test_what_a_token_may_not_is_said(api, orders, team):
    writer = api_of(team.user, team.team, ["stream:read", "stream:write"])
    assert writer.patch("/streams/orders", {"retention_hours": 30}).status_code == 200
    assert problem(writer.patch("/streams/orders", {"open_shards": 1}), 403)["needs"] == "stream:reshard"
    assert problem(writer.delete("/streams/orders"), 403)["needs"] == "stream:delete"
    assert problem(writer.post("/streams", {"name": "b"}), 403)["needs"] == "stream:create"
    reader = api_of(team.user, team.team, ["stream:read"])
    for path in ("", "/tags", "/policy"):
        assert reader.get(f"/streams/orders{path}").status_code == 200
    assert problem(reader.patch("/streams/orders", {}), 403)["needs"] == "stream:write"
    assert problem(reader.put("/streams/orders/tags", {"tags": {}}), 403)["needs"] == "stream:write"
    assert problem(reader.delete("/streams/orders/tags/a"), 403)["needs"] == "stream:write"
    assert problem(reader.put("/streams/orders/policy", {"policy": {}}), 403)["needs"] == "stream:write"


def test_a_stream_with_consumers_goes_only_with_them(api, orders, team, served):
    arn = str(Stream.objects.get().arn)
    call(served, team.principal, "RegisterStreamConsumer", StreamARN=arn, ConsumerName="app")
    assert problem(api.delete("/streams/orders"), 409)["code"] == "ResourceInUseException"
    problem(api.delete("/streams/orders?with_consumers=yes"), 400)
    answer = api.delete("/streams/orders?with_consumers=true")
    assert (answer.status_code, answer.content) == (204, b"")
    assert Stream.objects.get().status == "DELETING"
    assert Consumer.objects.get().status == "DELETING"


def test_tags_are_set_and_taken_away(api, orders):
    assert api.get("/streams/orders/tags").json() == {"tags": {}}
    assert api.put("/streams/orders/tags", {"tags": {"b": "2", "a": "1"}}).json() == {"tags": {"a": "1", "b": "2"}}
    etag = api.get("/streams/orders/tags")["ETag"]
    assert api.put("/streams/orders/tags", {"tags": {"a": "9"}}, if_match=etag).json() == {"tags": {"a": "9"}}
    problem(api.put("/streams/orders/tags", {"tags": {}}, if_match=etag), 412)
    assert api.delete("/streams/orders/tags/a").status_code == 204
    assert api.get("/streams/orders/tags").json() == {"tags": {}}
    problem(api.put("/streams/orders/tags", {"tags": {"a%": "1"}}), 400)
    problem(api.put("/streams/orders/tags", {"tags": {"a": 1}}), 400)
    problem(api.put("/streams/orders/tags", {}), 400)
    problem(api.delete("/streams/orders/tags/a", if_match="x"), 400)


def test_a_policy_is_put_and_taken_away(api, orders):
    assert api.get("/streams/orders/policy").json() == {"policy": None}
    assert api.put("/streams/orders/policy", {"policy": POLICY}).json() == {"policy": POLICY}
    assert api.get("/streams/orders").json()["has_policy"] is True
    told = problem(api.put("/streams/orders/policy", {"policy": {"Statement": 5}}), 400)
    assert "Invalid resource policy" in told["detail"]
    problem(api.put("/streams/orders/policy", {"policy": "x"}), 400)
    problem(api.put("/streams/orders/policy", {"policy": {"Statement": "a\0b"}}), 400)
    assert api.delete("/streams/orders/policy").status_code == 204
    problem(api.delete("/streams/orders/policy"), 404)


def test_names_that_are_steps_in_addresses(api, team, served):
    make_stream(served, team, "..")
    assert api.get("/streams/~..").json()["name"] == ".."


def test_another_teams_stream_is_not_there(api, served):
    other = make_team("210987654321", "other", "AKIDOTHER")
    make_stream(served, other, "theirs", 2)
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"retention_hours": 48}),
        ("DELETE", "", None),
        ("GET", "/tags", None),
        ("PUT", "/tags", {"tags": {}}),
        ("DELETE", "/tags/a", None),
        ("GET", "/policy", None),
        ("PUT", "/policy", {"policy": POLICY}),
        ("DELETE", "/policy", None),
    ):
        problem(api(method, f"/streams/theirs{path}", body), 404)
