"""Delivery streams over REST: made, told without secrets, changed, looked into, put into."""

import base64

import pytest

from apps.access.models import AuditEntry
from apps.accounts.roles import Role
from apps.delivery.models import (
    Connection,
    DeliveredObject,
    DeliveryError,
    DeliveryJob,
    DeliveryStream,
    DeliveryStreamVersion,
    Lane,
)
from tests.api.conforming import conforming
from tests.api.test_envelope import problem
from tests.console.conftest import make_stream
from tests.support.delivery_rows import CREATED_MS, make_delivery, make_lane, s3_description
from tests.support.runtimes import run_due
from tests.support.teams import make_team

S3 = {"name": "ticker", "s3": {"bucket": "events", "prefix": "in/", "compression": "GZIP", "interval_s": 60}}
SECRET = "very-secret"
CONFIGURATIONS = {
    "http": {"EndpointConfiguration": {"Url": "https://collector.example/in", "AccessKey": SECRET}},
    "splunk": {"HECEndpoint": "https://splunk.example:8088", "HECEndpointType": "Raw", "HECToken": SECRET},
    "redshift": {
        "ClusterJDBCURL": "jdbc:redshift://cluster.abc.us-east-1.redshift.amazonaws.com:5439/dev",
        "CopyCommand": {"DataTableName": "events"}, "Username": "me", "Password": SECRET,
    },
}  # fmt: skip


@pytest.fixture
def api(team, served):
    return conforming(team.user, team.team)


@pytest.fixture
def other(db):
    return make_team("210987654321", "other", "AKIDOTHER")


def configuration(kind, role="arn:aws:iam::123456789012:role/firehose"):
    bucket = {"RoleARN": role, "BucketARN": "arn:aws:s3:::staging"}
    said = {**CONFIGURATIONS[kind], "S3Configuration": bucket}
    return said if kind == "splunk" else {**said, "RoleARN": role}


def test_one_to_s3_is_made_in_plain_members_and_told(api, served):
    made = api.post("/delivery-streams", S3, idempotency_key="one")
    assert made.status_code == 201, made.content
    told = made.json()
    assert (told["status"], told["kind"], told["source"]) == ("CREATING", "s3", "direct")
    assert told["address"] == "s3://events/in/"
    assert told["configuration"]["CompressionFormat"] == "GZIP"
    assert told["configuration"]["RoleARN"] == "arn:aws:iam::123456789012:role/firehose"
    assert api.post("/delivery-streams", S3, idempotency_key="one").content == made.content
    assert problem(api.post("/delivery-streams", S3), 409)["code"] == "ResourceInUseException"
    run_due(served, "delivery-streams", "delivery")
    [listed] = api.get("/delivery-streams").json()["items"]
    assert (listed["name"], listed["state"], listed["delivered_records"]) == ("ticker", "active", 0)


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_secrets_go_in_and_come_out_nowhere(api, kind):
    body = {"name": "ticker", "destination": {"kind": kind, "configuration": configuration(kind)}}
    body["connections"] = {"s3": {"endpoint_url": "https://s3.example", "access_key_id": "AKID", "secret": SECRET}}
    made = api.post("/delivery-streams", body)
    assert made.status_code == 201, made.content
    assert made.json()["has_secret"] is True
    assert [one["has_secret"] for one in made.json()["connections"]] == [True]
    for path in ("/delivery-streams", "/delivery-streams/ticker", "/delivery-streams/ticker/connections/s3"):
        answer = api.get(path)
        assert answer.status_code == 200
        assert SECRET not in answer.content.decode()
    assert SECRET not in made.content.decode()


def test_one_that_reads_a_data_stream(api, team, served):
    make_stream(served, team, "orders")
    made = api.post("/delivery-streams", {**S3, "stream": "orders", "tags": {"team": "core", "empty": ""}})
    assert made.status_code == 201, made.content
    assert (made.json()["source"], made.json()["stream"]) == ("stream", "orders")
    assert made.json()["tags"] == {"team": "core", "empty": ""}
    assert [one["name"] for one in api.get("/delivery-streams?stream=orders").json()["items"]] == ["ticker"]
    assert api.get("/delivery-streams?stream=others").json()["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "ticker"}, ""),
        ({**S3, "destination": {"kind": "http", "configuration": {}}}, ""),
        ({**S3, "name": "a b"}, "name"),
        ({**S3, "s3": {"bucket": "events", "size_mb": 129}}, "s3.size_mb"),
        ({**S3, "s3": {"bucket": "events", "colour": "red"}}, "s3.colour"),
        ({**S3, "stream": "nowhere"}, "stream"),
        ({**S3, "connections": {"kafka": {}}}, "connections.kafka"),
        ({**S3, "connections": {"s3": {"endpoint_url": "https://s3.example"}}}, "connections.s3.access_key_id"),
        ({**S3, "connections": {"s3": {"endpoint_url": "ftp://a.example"}}}, "connections.s3.endpoint_url"),
        (
            {"name": "t", "destination": {"kind": "s3", "configuration": {"Bucket": "events"}}},
            "destination.configuration.Bucket",
        ),
        (
            {"name": "t", "destination": {"kind": "s3", "configuration": {"BucketARN": ["x"]}}},
            "destination.configuration",
        ),
        (
            {"name": "t", "destination": {"kind": "s3", "configuration": {"Prefix": "a\0b"}}},
            "destination.configuration.Prefix",
        ),
    ],
)  # fmt: skip
def test_wrong_values_are_named_and_nothing_is_made(api, body, field):
    told = problem(api.post("/delivery-streams", body), 400)
    assert field in [error["field"] for error in told["errors"]], told
    assert not DeliveryStream.objects.exists()


def test_what_the_operation_refuses_keeps_its_code(api):
    body = {"name": "t", "destination": {"kind": "s3", "configuration": {"RoleARN": "x", "BucketARN": "y"}}}
    assert problem(api.post("/delivery-streams", body), 400)["code"] == "ValidationException"


def test_its_destination_changes_where_it_was_seen(api, team):
    make_delivery(team)
    etag = api.get("/delivery-streams/ticker")["ETag"]
    problem(api.patch("/delivery-streams/ticker", {"s3": {"prefix": "a/"}}, if_match='"other"'), 412)
    changed = api.patch("/delivery-streams/ticker", {"s3": {"prefix": "a/"}}, if_match=etag)
    assert changed.status_code == 200, changed.content
    assert changed.json()["version"] == 2
    assert changed.json()["configuration"]["Prefix"] == "a/"
    update = {"update": {"BufferingHints": {"SizeInMBs": 6, "IntervalInSeconds": 70}}}
    assert api.patch("/delivery-streams/ticker", update).json()["version"] == 3
    problem(api.patch("/delivery-streams/ticker", update, if_match=etag), 412)
    told = problem(api.patch("/delivery-streams/ticker", {"update": {"Colour": 1}}), 400)
    assert told["errors"][0]["field"] == "update.Colour"
    assert DeliveryStreamVersion.objects.count() == 3


def test_the_plain_form_is_for_s3(api, team):
    make_delivery(
        team, destination_type="HttpEndpoint", destination={"EndpointConfiguration": {"Url": "https://a.example"}}
    )
    assert problem(api.patch("/delivery-streams/ticker", {"s3": {"prefix": "x"}}), 400)["errors"][0]["field"] == "s3"


def test_pause_and_resume(api, team):
    row = make_delivery(team)
    assert api.post("/delivery-streams/ticker/pause").json()["paused_at_ms"] is not None
    problem(api.post("/delivery-streams/ticker/pause"), 409)
    assert [one["state"] for one in api.get("/delivery-streams?state=paused").json()["items"]] == ["paused"]
    assert api.post("/delivery-streams/ticker/resume").json()["paused_at_ms"] is None
    problem(api.post("/delivery-streams/ticker/resume"), 409)
    named = AuditEntry.objects.filter(resource=str(row.arn)).values_list("operation", flat=True)
    assert {"PauseDeliveryStream", "ResumeDeliveryStream"} <= set(named)


def test_tags_encryption_and_connections_are_put_and_taken_away(api, team):
    make_delivery(team)
    one = "/delivery-streams/ticker"
    assert api.put(f"{one}/tags", {"tags": {"a": "1", "b": ""}}).json() == {"tags": {"a": "1", "b": ""}}
    assert api.put(f"{one}/tags", {"tags": {"b": "2"}}).json() == {"tags": {"b": "2"}}
    problem(api.put(f"{one}/tags", {"tags": {"": "x"}}), 400)
    given = {"endpoint_url": "https://s3.example", "access_key_id": "AKID", "secret": SECRET}
    assert api.put(f"{one}/connections/s3", given).json()["has_secret"] is True
    kept = {"endpoint_url": "https://s3.example", "access_key_id": "AKID", "region": "eu-central-1"}
    assert api.put(f"{one}/connections/s3", kept).json()["has_secret"] is True
    moved = problem(api.put(f"{one}/connections/s3", {**kept, "endpoint_url": "https://evil.example"}), 400)
    assert moved["errors"][0]["field"] == "secret"
    problem(api.put(f"{one}/connections/s3", {}), 400)
    problem(api.get(f"{one}/connections/kafka"), 404)
    assert api.delete(f"{one}/connections/s3").status_code == 204
    problem(api.delete(f"{one}/connections/s3"), 404)
    assert not Connection.objects.exists()
    assert api.get(f"{one}/encryption").json() == {"status": "DISABLED", "key_type": None, "key_arn": None}


def test_deleting(api, team):
    make_delivery(team)
    assert api.delete("/delivery-streams/ticker").status_code == 204
    assert api.get("/delivery-streams/ticker").json()["status"] == "DELETING"
    problem(api.delete("/delivery-streams/none"), 404)


@pytest.mark.django_db(transaction=True)  # the data plane reads on another connection
def test_records_are_put_as_text_json_and_base64(api, served):
    api.post("/delivery-streams", S3)
    run_due(served, "delivery-streams", "delivery")
    data = [{"data": "text\n"}, {"data": {"a": 1}}, {"data": base64.b64encode(b"\xff").decode(), "encoding": "base64"}]
    answer = api.post("/delivery-streams/ticker/records", {"records": data})
    assert answer.status_code == 200, answer.content
    assert answer.json()["failed"] == 0
    assert len({one["record_id"] for one in answer.json()["items"]}) == 3
    told = problem(
        api.post("/delivery-streams/ticker/records", {"records": [{"data": "é", "encoding": "base64"}]}), 400
    )
    assert told["errors"][0]["field"].startswith("records")
    problem(api.post("/delivery-streams/ticker/records", {"records": []}), 400)
    problem(api.post("/delivery-streams/none/records", {"records": data}), 404)


def test_how_it_fares(api, team, served):
    row = make_delivery(team)
    make_lane(row, delivered_records=7, delivered_bytes=2**60, failing_since_ms=CREATED_MS)
    for number in range(3):
        DeliveryError.objects.create(
            delivery_stream=row, part="destination", code="S3.AccessDenied", cause=f"cause {number}", message="no",
            count=2, first_at_ms=CREATED_MS, last_at_ms=CREATED_MS + number,
        )  # fmt: skip
        DeliveredObject.objects.create(
            delivery_stream=row,
            part="errors",
            bucket="events",
            key=f"k{number}",
            size_bytes=1,
            records=1,
            at_ms=CREATED_MS,
        )
    first = api.get("/delivery-streams/ticker/errors?limit=2").json()
    assert [one["cause"] for one in first["items"]] == ["cause 2", "cause 1"]
    assert "bucket" in first["items"][0]["advice"]
    rest = api.get(f"/delivery-streams/ticker/errors?limit=2&cursor={first['next_cursor']}").json()
    assert ([one["cause"] for one in rest["items"]], rest["next_cursor"]) == (["cause 0"], None)
    assert api.get("/delivery-streams/ticker/errors?part=backup").json()["items"] == []
    [lane] = api.get("/delivery-streams/ticker/lanes").json()["items"]
    assert (lane["delivered_records"], lane["delivered_bytes"]) == (7, str(2**60))
    assert lane["waiting_records"] is None  # its log was never made
    Lane.objects.update(ended_at_ms=CREATED_MS)
    found = [
        api.get(f"/delivery-streams/ticker/lanes{query}").json()["items"]
        for query in ("", "?is_ended=true", "?is_ended=false")
    ]
    assert [len(lanes) for lanes in found] == [1, 1, 0]
    Lane.objects.update(ended_at_ms=None)
    objects = api.get("/delivery-streams/ticker/objects?part=errors").json()["items"]
    assert [one["key"] for one in objects] == ["k2", "k1", "k0"]
    content = api.get(f"/delivery-streams/ticker/objects/{objects[0]['id']}").json()["content"]
    assert content["kind"] == "unreadable"
    assert content["problem"]
    assert problem(api.get(f"/delivery-streams/ticker/objects/{objects[0]['id']}/data"), 503)["code"].startswith("S3.")
    problem(api.get("/delivery-streams/ticker/objects/999999999999999999999"), 404)
    problem(api.get("/delivery-streams/ticker/objects/999999999999999999999/data"), 404)
    [listed] = api.get("/delivery-streams?state=failing&kind=s3&q=tick").json()["items"]
    assert (listed["state"], listed["failing_since_ms"]) == ("failing", CREATED_MS)


def test_jobs_are_started_watched_and_stopped(api, team):
    make_delivery(team)
    one = "/delivery-streams/ticker"
    redrive = api.post(f"{one}/redrives", {"error_type": "processing-failed"}, idempotency_key="r")
    assert redrive.status_code == 201, redrive.content
    assert redrive.json()["error_type"] == "processing-failed"
    assert api.post(f"{one}/redrives", {"error_type": "processing-failed"}, idempotency_key="r").status_code == 201
    problem(api.post(f"{one}/redrives", {}), 400)
    demo = api.post(f"{one}/demo-data", {"rate": 10, "total": 20}).json()
    assert [job["kind"] for job in api.get(f"{one}/jobs").json()["items"]] == ["demo", "redrive"]
    assert api.get(f"{one}/jobs?kind=demo").json()["items"] == [demo]
    assert api.post(f"{one}/jobs/{demo['id']}/cancel").json()["status"] == "CANCELLED"
    problem(api.post(f"{one}/jobs/{demo['id']}/cancel"), 409)
    assert DeliveryJob.objects.count() == 2
    problem(api.post(f"{one}/demo-data", {"rate": 0}), 400)


def test_a_dry_run_makes_nothing(api, served, monkeypatch):
    answer = api.post("/delivery-dry-runs", {"name": "t", "s3": {"bucket": "events"}})
    assert answer.status_code == 200, answer.content
    assert len(answer.json()["records"]) == 10
    assert answer.json()["objects"][0]["records"] == 10
    assert not DeliveryStream.objects.exists()
    problem(api.post("/delivery-dry-runs", {"name": "t"}), 400)


def test_a_dry_run_over_a_streams_records_needs_the_right_to_see_them(team, served):
    make_stream(served, team, "orders")
    few = conforming(team.user, team.team, ["delivery:create"])
    body = {"name": "t", "s3": {"bucket": "events"}}
    assert few.post("/delivery-dry-runs", body).status_code == 200
    assert problem(few.post("/delivery-dry-runs", {**body, "stream": "orders"}), 403)["needs"] == "record:read"


def test_another_teams_are_not_there(api, team, other):
    row = make_delivery(other, "theirs")
    made = DeliveredObject.objects.create(
        delivery_stream=row, part="errors", bucket="b", key="k", size_bytes=1, records=1, at_ms=1
    )
    mine = make_delivery(team, "mine")
    job = DeliveryJob.objects.create(delivery_stream=row, kind="demo", created_at_ms=1)
    assert [one["name"] for one in api.get("/delivery-streams").json()["items"]] == ["mine"]
    for path in ("", "/tags", "/encryption", "/errors", "/objects", "/lanes", "/jobs", f"/jobs/{job.pk}"):
        problem(api.get(f"/delivery-streams/theirs{path}"), 404)
    problem(api.get(f"/delivery-streams/mine/objects/{made.pk}"), 404)
    problem(api.get(f"/delivery-streams/mine/jobs/{job.pk}"), 404)
    problem(api.post(f"/delivery-streams/mine/jobs/{job.pk}/cancel"), 404)
    problem(api.patch("/delivery-streams/theirs", {"s3": {"prefix": "x"}}), 404)
    problem(api.delete("/delivery-streams/theirs"), 404)
    assert mine.name == "mine"


def test_roles(team, served, django_user_model):
    from apps.accounts.models import Membership

    make_delivery(team)
    user = django_user_model.objects.create_user("v@example.test", None)
    Membership.objects.create(team=team.team, user=user, role=Role.VIEWER)
    viewer = conforming(user, team.team)
    assert viewer.get("/delivery-streams/ticker").status_code == 200
    assert problem(viewer.get("/delivery-streams/ticker/objects"), 403)["needs"] == "record:read"
    for call, needs in (
        (lambda: viewer.post("/delivery-streams", S3), "delivery:create"),
        (lambda: viewer.post("/delivery-dry-runs", S3), "delivery:create"),
        (lambda: viewer.patch("/delivery-streams/ticker", {}), "delivery:write"),
        (lambda: viewer.post("/delivery-streams/ticker/pause"), "delivery:write"),
        (lambda: viewer.post("/delivery-streams/ticker/redrives", {}), "delivery:write"),
        (lambda: viewer.post("/delivery-streams/ticker/demo-data", {}), "record:write"),
        (lambda: viewer.post("/delivery-streams/ticker/records", {}), "record:write"),
        (lambda: viewer.delete("/delivery-streams/ticker"), "delivery:delete"),
    ):
        assert problem(call(), 403)["needs"] == needs


def test_channels(api, team, other, served):
    make_stream(served, team, "orders")
    from apps.streams.models import Stream

    source = Stream.objects.get(name="orders")
    for owner, name, number in ((team, "c1", "1"), (other, "c2", "2")):
        make_delivery(
            owner, name, channel_id=number, source_type="Channel", source_stream=source if owner is team else None,
            extra={"S3DestinationConfiguration": {"BucketARN": "b"}, "RecordConfiguration": {"RecordFormatType": "JSON"}},
            destination=s3_description(Channel={}),
        )  # fmt: skip
    assert [one["id"] for one in api.get("/channels?stream=orders&kind=s3").json()["items"]] == ["1"]
    assert api.get("/channels/1").json()["configuration"] == {"BucketARN": "b"}
    problem(api.get("/channels/2"), 404)
    problem(api.get("/delivery-streams/c1"), 404)
