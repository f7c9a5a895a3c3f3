"""A batch becomes one object, whatever the server does meanwhile."""

import gzip
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from apps.delivery import objects
from apps.delivery.destinations import destination_for
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.error_objects import plan_failed, write_failed
from apps.delivery.objects import Filled, write_object
from apps.delivery.record import Failed
from tests.support.delivery_batches import NOW_MS, Engine, records_of, target
from tests.support.delivery_rows import s3_description

pytestmark = pytest.mark.django_db

NAME = r"orders-1-2026-09-21-14-12-20-[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"


def deliver(runtime, engine, where):
    return engine.attempt_with(lambda: destination_for(runtime, where))


def mine(team, **description):
    return target("ExtendedS3", s3_description(**description), team_id=team.team.id)


@pytest.fixture
def engine():
    return Engine(records_of([b'{"n":%d}\n' % n for n in range(2_500)]))


@pytest.fixture
def events(s3):
    return s3.make_bucket("events")


def test_one_object_with_everything_in_order(s3, s3_runtime, team, engine, events):
    done = deliver(s3_runtime, engine, mine(team))
    ((key, body),) = s3.objects(events).items()
    assert re.fullmatch("2026/09/21/14/" + NAME, key)
    assert body == b"".join(record.data for record in engine.records)
    assert (done.records, done.size_bytes) == (2_500, len(body))
    assert [(one.key, one.size_bytes, one.records) for one in done.written] == [(key, len(body), 2_500)]
    head = s3.client.head_object(Bucket=events, Key=key)
    assert head["ContentType"] == "application/octet-stream"
    assert "ContentEncoding" not in head


@pytest.mark.parametrize(
    ("given", "extension", "encoding"),
    [
        ({"CompressionFormat": "GZIP"}, ".gz", "gzip"),
        ({"CompressionFormat": "ZIP"}, ".zip", "zip"),
        ({"CompressionFormat": "Snappy"}, ".snappy", "snappy-java"),
        ({"CompressionFormat": "GZIP", "FileExtension": ".json.gz"}, ".json.gz", "gzip"),
    ],
)
def test_compressed(s3, s3_runtime, team, engine, events, given, extension, encoding):
    deliver(s3_runtime, engine, mine(team, **given))
    (key,) = s3.keys(events)
    assert re.fullmatch("2026/09/21/14/" + NAME + re.escape(extension), key)
    head = s3.client.head_object(Bucket=events, Key=key)
    assert (head["ContentType"], head["ContentEncoding"]) == ("application/octet-stream", encoding)


def test_a_repeat_writes_the_same_object_again(s3, s3_runtime, team, engine, events):
    where = mine(team, CompressionFormat="GZIP", Prefix="a/!{firehose:random-string}/", ErrorOutputPrefix="e/")
    deliver(s3_runtime, engine, where)
    before = s3.objects(events)
    engine.now_ms += 86_400_000
    deliver(s3_runtime, engine, where)
    assert s3.objects(events) == before
    assert len(before) == 1


def test_the_object_is_there_whole_or_not_at_all(s3, s3_faults, s3_runtime, team, engine, events):
    broken = {"S3.ConnectionClosed", "S3.InvalidAnswer"}  # which of them, the moment of the reset decides
    slow = {"S3.SlowDown"}
    codes = {"503": slow, "early": slow, "reset": broken, "half": broken, "unanswered": broken, "cut": broken}
    for fault, code in codes.items():
        s3_faults.plan([fault])
        with pytest.raises(DeliveryFailed) as failure:
            deliver(s3_runtime, engine, mine(team))
        assert not failure.value.permanent
        assert failure.value.code in code, fault
    deliver(s3_runtime, engine, mine(team))
    ((_, body),) = s3.objects(events).items()
    assert body == b"".join(record.data for record in engine.records)


def test_a_server_that_says_nothing_is_given_up(s3_faults, s3_runtime, team, engine, events, monkeypatch):
    monkeypatch.setattr("apps.delivery.s3_client.WAIT_S", 0.2)
    s3_faults.plan(["stall"])
    with pytest.raises(DeliveryFailed, match=r"S3.ConnectionTimeout"):
        deliver(s3_runtime, engine, mine(team))


def test_redirects_are_not_followed_and_long_answers_not_read(s3, s3_faults, s3_runtime, team, engine, events):
    s3_faults.plan([("redirect", s3.endpoint + "/events/elsewhere")])
    with pytest.raises(DeliveryFailed, match=r"S3.InvalidAnswer.*redirects"):
        deliver(s3_runtime, engine, mine(team))
    s3_faults.plan([("huge", 1 << 30)])
    with pytest.raises(DeliveryFailed, match=r"S3.InvalidAnswer"):
        deliver(s3_runtime, engine, mine(team))
    assert s3.keys(events) == []


def test_a_bucket_that_is_not_there(s3_runtime, team, engine, s3):
    with pytest.raises(DeliveryFailed) as failure:
        deliver(s3_runtime, engine, mine(team))
    assert (failure.value.code, failure.value.permanent) == ("S3.NoSuchBucket", False)
    assert "does not exist" in failure.value.message


def test_encryption_with_a_kms_key(s3, s3_runtime, team, engine, events):
    arn = "arn:aws:kms:us-east-1:123456789012:key/1"
    deliver(s3_runtime, engine, mine(team, EncryptionConfiguration={"KMSEncryptionConfig": {"AWSKMSKeyARN": arn}}))
    head = s3.client.head_object(Bucket=events, Key=s3.keys(events)[0])
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", arn)


def test_partitions_name_the_key_and_hostile_ones_are_given_up(s3, s3_runtime, team, engine, events):
    where = mine(team, Prefix="by/!{partitionKeyFromQuery:c}/", ErrorOutputPrefix="errors/")
    destination = destination_for(s3_runtime, where)
    batch = engine.batch()
    batch.partition_keys = {"c": "a/b"}
    batch.plan = destination.plan(batch)
    destination.deliver(batch)
    assert s3.keys(events)[0].startswith("by/a/b/orders-1-")
    for hostile in ("..", "a/../../b", "x\n", "", "k" * 600):
        batch.partition_keys = {"c": hostile}
        with pytest.raises(DeliveryFailed) as failure:
            destination.plan(batch)
        assert failure.value.permanent


def test_a_backup_has_its_own_bucket_and_none_of_the_destination(s3, s3_runtime, team, engine):
    s3.make_bucket("copies")
    description = {"BucketARN": "arn:aws:s3:::copies", "Prefix": "raw/", "CompressionFormat": "GZIP"}
    where = target("HttpEndpoint", description, team_id=team.team.id, part="backup")
    deliver(s3_runtime, engine, where)
    ((key, body),) = s3.objects("copies").items()
    assert key.startswith("raw/2026/09/21/14/orders-1-")
    assert gzip.decompress(body) == b"".join(record.data for record in engine.records)


def test_failed_records_go_under_the_error_prefix_by_their_type(s3, s3_runtime, team, engine, events):
    where = mine(team, ErrorOutputPrefix="bad/!{firehose:error-output-type}/", CompressionFormat="GZIP")
    batch = engine.batch()
    failed = [
        Failed(record, kind, "Code", "why", 1, NOW_MS)
        for record, kind in zip(engine.records, ["processing-failed", "http-endpoint-failed"] * 1_250, strict=True)
    ]
    plan = plan_failed(where, ["http-endpoint-failed", "processing-failed"], batch)
    first = write_failed(s3_runtime, where, batch.identity, failed, plan)
    again = write_failed(s3_runtime, where, batch.identity, iter(failed), plan)
    assert sorted(one.key for one in first) == sorted(one.key for one in again) == s3.keys(events)
    for key, body in s3.objects(events).items():
        kind = key.split("/")[1]
        lines = gzip.decompress(body).splitlines(keepends=True)
        assert lines == [one.line() for one in failed if one.error_type == kind]
        assert msgspec.json.decode(lines[0])["errorCode"] == "Code"
        assert key.endswith(".gz")


def test_an_error_prefix_that_cannot_be_evaluated_holds_nothing_up(s3, s3_runtime, team, engine, events):
    where = mine(team, ErrorOutputPrefix="!{timestamp:q" + "q" * 30 + "}!{firehose:error-output-type}")
    plan = plan_failed(where, ["processing-failed"], engine.batch())
    failed = [Failed(engine.records[0], "processing-failed", "Code", "why", 1, NOW_MS)]
    write_failed(s3_runtime, where, "x", failed, plan)
    assert s3.keys(events)[0].startswith("processing-failed/2026/09/21/14/orders-1-")


def test_no_more_than_two_objects_are_put_together_at_a_time(s3, s3_runtime, team, events, monkeypatch):
    where = mine(team)
    found = objects.open_bucket(s3_runtime, where, where.description, "key")
    monkeypatch.setattr(objects, "open_bucket", lambda *_: found)  # it asks the database, which has a transaction here
    at_once, most, lock = 0, 0, threading.Lock()

    def fill(file):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        for _ in range(50):
            file.write(b"x" * 1_000)
        with lock:
            at_once -= 1
        return Filled(1)

    with ThreadPoolExecutor(8) as pool:
        written = pool.map(lambda n: write_object(s3_runtime, where, where.description, f"k{n}", fill), range(16))
        assert {one.size_bytes for one in written} == {50_000}
    assert len(s3.keys(events)) == 16
    assert 1 <= most <= objects.ASSEMBLING_MAX
