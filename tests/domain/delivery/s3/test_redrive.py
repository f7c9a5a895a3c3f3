"""Failed records come back from under the error prefix: each once, only this delivery stream's, whatever dies meanwhile."""

import base64
import gzip
from contextlib import ExitStack

import pytest

import workers.delivery
import workers.delivery_jobs  # noqa: F401 - both write slices
from apps.delivery import lanes, redrive
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.error_objects import plan_failed, write_failed
from apps.delivery.errors import InvalidArgumentException
from apps.delivery.jobs import UNFINISHED
from apps.delivery.models import DeliveryJob, Lane
from apps.delivery.record import Failed
from apps.delivery.s3_client import S3
from apps.delivery.shares import AGAIN_MS, EACH, Shares
from apps.delivery.targets import target_for
from apps.leases.models import Lease
from apps.recordlog.interface import Entry
from tests.support.delivery_batches import NOW_MS, Engine, records_of
from tests.support.delivery_rows import make_delivery, s3_description
from tests.support.processors import partitioned, processing, processor, query
from workers import slices

pytestmark = pytest.mark.django_db(transaction=True)

DATAS = [b"record %d\n" % n for n in range(2_500)]


@pytest.fixture
def bucket(s3):
    return s3.make_bucket("events")


def made(runtime, team, name="ticker", **description):
    hints = {"SizeInMBs": 1, "IntervalInSeconds": 60}
    stream = make_delivery(
        team, name, status="CREATING", destination=s3_description(BufferingHints=hints, **description)
    )
    lanes.activate(runtime, stream)
    stream.refresh_from_db()
    return stream


def fail(runtime, stream, datas, kind="http-endpoint-failed", first=1, code="Code"):
    """What the engine writes when a destination was down for too long."""
    target = target_for(runtime, stream, part="errors")
    batch = Engine(records_of(datas, first)).batch()
    failed = [Failed(record, kind, code, "down", 3, NOW_MS) for piece in batch.pieces() for record in piece]
    return write_failed(runtime, target, batch.identity, failed, plan_failed(target, [kind], batch))


def settle(runtime, clock):
    run_jobs(runtime)
    for _ in range(2):
        clock.advance(61_000)
        for lane in Lane.objects.order_by("pk"):
            slices.run(runtime, "delivery", str(lane.pk))


def run_jobs(runtime):
    """Slice after slice, whatever they say of when to come again."""
    for job in DeliveryJob.objects.order_by("pk"):
        for _ in range(50):
            job.refresh_from_db()
            if job.status not in UNFINISHED:
                break
            slices.run(runtime, "delivery-jobs", str(job.pk))


def delivered(s3, bucket):
    """The data in objects of data, in the order of their keys."""
    return b"".join(body for key, body in s3.objects(bucket).items() if key[0].isdigit())


def now(s3_runtime, clock, s3, bucket):
    """The clock stands where S3's does, which says when its objects were written."""
    newest = max(
        (one["LastModified"] for one in s3.client.list_objects_v2(Bucket=bucket).get("Contents", [])), default=None
    )
    clock.set(int(newest.timestamp() * 1000) + 1_000)
    return clock.now_ms()


@pytest.mark.parametrize("compression", ["UNCOMPRESSED", "GZIP", "ZIP", "Snappy", "HADOOP_SNAPPY"])
def test_failed_records_are_delivered_after_all(s3, s3_runtime, clock, team, bucket, compression):
    stream = made(s3_runtime, team, CompressionFormat=compression)
    fail(s3_runtime, stream, DATAS)
    found = redrive.found(s3_runtime, stream).objects
    assert len(found) == 1
    job = redrive.start(stream, now(s3_runtime, clock, s3, bucket))
    settle(s3_runtime, clock)
    job.refresh_from_db()
    assert (job.status, job.error, job.done, job.total, job.records) == ("COMPLETE", "", 1, 1, 2_500)
    keys = s3.keys(bucket)
    assert [key for key in keys if not key[0].isdigit()] == ["redriven/" + found[0].key]
    if compression == "UNCOMPRESSED":
        assert delivered(s3, bucket) == b"".join(DATAS)
    assert redrive.found(s3_runtime, stream) == redrive.Lying([], is_all=True)


def test_only_its_own_of_the_type_and_time_asked_for(s3, s3_runtime, clock, team, bucket):
    prefix = {"Prefix": "p/", "ErrorOutputPrefix": "bad/!{firehose:error-output-type}/"}
    stream, other = made(s3_runtime, team, **prefix), made(s3_runtime, team, "my-ticker", **prefix)
    fail(s3_runtime, stream, [b"wanted"])
    fail(s3_runtime, stream, [b"of another type"], "processing-failed")
    fail(s3_runtime, other, [b"of another delivery stream"])
    s3.client.put_object(Bucket=bucket, Key="bad/http-endpoint-failed/ticker.txt", Body=b"somebody's notes")
    at_ms = now(s3_runtime, clock, s3, bucket)
    job = redrive.start(stream, at_ms, "http-endpoint-failed", from_ms=at_ms, to_ms=at_ms)
    settle(s3_runtime, clock)
    job.refresh_from_db()
    assert (job.status, job.done) == ("COMPLETE", 0)
    job = redrive.start(stream, clock.now_ms(), "http-endpoint-failed")
    settle(s3_runtime, clock)
    job.refresh_from_db()
    assert (job.done, job.records) == (1, 1)
    bodies = [body for key, body in s3.objects(bucket).items() if key.startswith("p/")]
    assert bodies == [b"wanted"]
    assert "bad/http-endpoint-failed/ticker.txt" in s3.keys(bucket)


def test_an_object_that_cannot_be_removed_is_not_taken_again(s3, s3_runtime, clock, team, bucket, monkeypatch):
    def denied(self, bucket, key):
        raise DeliveryFailed("S3.AccessDenied", "No.")

    monkeypatch.setattr(S3, "delete", denied)
    stream = made(s3_runtime, team)
    fail(s3_runtime, stream, DATAS)
    job = redrive.start(stream, now(s3_runtime, clock, s3, bucket))
    settle(s3_runtime, clock)
    job.refresh_from_db()
    assert job.status == "FAILED"
    assert "cannot be removed: No. It is not taken again." in job.error
    lane = Lane.objects.get()
    clock.advance(1_000)
    s3_runtime.wait_for(s3_runtime.record_log.append([Entry(lane.log_key, [None, b"later"], 1, 5, 1)]))
    settle(s3_runtime, clock)  # delivered, trimmed: the log knows nothing of the first any more
    job = redrive.start(stream, clock.now_ms())
    settle(s3_runtime, clock)
    job.refresh_from_db()
    assert (job.status, job.done) == ("COMPLETE", 0)
    assert delivered(s3, bucket) == b"".join(DATAS) + b"later"


def test_a_crash_in_the_middle_and_a_server_that_fails_double_nothing(
    s3, s3_faults, s3_runtime, clock, team, bucket, monkeypatch
):
    monkeypatch.setattr(redrive, "ENTRY_RECORDS", 100)
    monkeypatch.setattr(redrive, "RANGE_BYTES", 65_536)
    stream = made(s3_runtime, team)
    fail(s3_runtime, stream, DATAS[:1_000])
    fail(s3_runtime, stream, DATAS[1_000:], first=1_001)
    s3_faults.share(0.3, kinds=("503", "reset", "unanswered", "cut"))
    real, dies = redrive._Redrive._append, iter([False] * 7 + [True] + [False] * 12 + [True])
    lane = Lane.objects.get()

    class Died(BaseException):
        pass

    def append(self, *args):
        real(self, *args)
        if next(dies, False):
            raise Died

    monkeypatch.setattr(redrive._Redrive, "_append", append)
    job = redrive.start(stream, now(s3_runtime, clock, s3, bucket))
    for _ in range(300):
        job.refresh_from_db()
        if job.status not in UNFINISHED:
            break
        try:
            slices.run(s3_runtime, "delivery-jobs", str(job.pk))
        except Died:  # others go on meanwhile: what was put is delivered and trimmed, and more is put
            Lease.objects.filter(kind="delivery-jobs").update(expires_at_ms=0)
            clock.advance(1_000)
            s3_runtime.wait_for(s3_runtime.record_log.append([Entry(lane.log_key, [None, b"later\n"], 1, 6, 1)]))
            for _ in range(10):
                clock.advance(61_000)
                slices.run(s3_runtime, "delivery", str(lane.pk))
    s3_faults.plan([])
    assert (job.status, job.records) == ("COMPLETE", 2_500)
    settle(s3_runtime, clock)
    wanted = sorted([*b"".join(DATAS).splitlines(), b"later", b"later"])
    assert sorted(delivered(s3, bucket).splitlines()) == wanted


def test_lines_that_hold_no_record_are_counted_and_left_out(s3, s3_runtime, clock, team, bucket):
    stream = made(s3_runtime, team)
    (written,) = fail(s3_runtime, stream, [b"good"])
    body = (
        s3.body(bucket, written.key)
        + b"no json\n{}\n"
        + b'{"rawData": "!"}\n\n'
        + b'{"rawData": "'
        + base64.b64encode(b"too")
    )
    s3.client.put_object(Bucket=bucket, Key=written.key, Body=body + b'"}')
    job = redrive.start(stream, now(s3_runtime, clock, s3, bucket))
    settle(s3_runtime, clock)
    job.refresh_from_db()
    assert (job.status, job.records) == ("COMPLETE", 2)
    assert "3 lines" in job.error
    assert delivered(s3, bucket) == b"goodtoo"


def test_an_object_that_is_not_what_its_name_says_ends_nothing(s3, s3_runtime, clock, team, bucket):
    stream = made(s3_runtime, team, CompressionFormat="GZIP")
    (bad,) = fail(s3_runtime, stream, [b"bad"])
    fail(s3_runtime, stream, [b"good"], first=5)
    s3.client.put_object(Bucket=bucket, Key=bad.key, Body=b"\x1f\x8b no gzip at all", ContentEncoding="gzip")
    job = redrive.start(stream, now(s3_runtime, clock, s3, bucket))
    settle(s3_runtime, clock)
    job.refresh_from_db()
    assert (job.status, job.records) == ("COMPLETE", 1)
    assert bad.key in s3.keys(bucket)  # it stays, for somebody to look at


def test_what_cannot_be_asked_for(s3_runtime, team, clock, bucket):
    stream = made(s3_runtime, team)
    for refused in ({"error_type": "../x"}, {"from_ms": clock.now_ms() + 1}, {"from_ms": 5, "to_ms": 4}):
        with pytest.raises(InvalidArgumentException):
            redrive.start(stream, clock.now_ms(), **refused)
    redrive.start(stream, clock.now_ms())
    with pytest.raises(InvalidArgumentException, match="already"):
        redrive.start(stream, clock.now_ms())


def test_a_job_ends_when_s3_is_away_for_good(s3_faults, s3_runtime, team, clock, bucket):
    stream = made(s3_runtime, team)
    job = redrive.start(stream, clock.now_ms())
    s3_faults.fault = lambda *_: "reset"
    settle(s3_runtime, clock)
    job.refresh_from_db()
    assert job.status == "FAILED"
    assert job.error.startswith("S3.")


def test_what_was_processed_is_not_processed_again_and_what_was_not_is(s3, s3_runtime, clock, team, bucket):
    newline = processor("AppendDelimiterToRecord", Delimiter="\\n")
    unpacks = processing(processor("Decompression", CompressionFormat="GZIP"), newline)
    stream = made(s3_runtime, team, **unpacks)
    fail(s3_runtime, stream, [b'{"n":1}\n', b'{"n":2}\n'])
    raw = [gzip.compress(b'{"n":3}')]
    fail(s3_runtime, stream, raw, "decompression-failed", 10, "Decompression failed.")
    redrive.start(stream, now(s3_runtime, clock, s3, bucket))
    settle(s3_runtime, clock)
    settle(s3_runtime, clock)
    assert sorted(delivered(s3, bucket).splitlines(keepends=True)) == [b'{"n":%d}\n' % n for n in (1, 2, 3)]
    assert redrive.found(s3_runtime, stream) == redrive.Lying([], is_all=True)


def test_what_was_processed_finds_its_partition_again(s3, s3_runtime, clock, team, bucket):
    newline = processor("AppendDelimiterToRecord", Delimiter="|")
    description = partitioned("1/!{partitionKeyFromQuery:n}/", query("{n:.n}"), newline)
    stream = made(s3_runtime, team, **description)
    fail(s3_runtime, stream, [b'{"n":"a"}|', b'{"n":"b"}|'], "processing-failed", 1, "S3.SlowDown")
    redrive.start(stream, now(s3_runtime, clock, s3, bucket))
    settle(s3_runtime, clock)
    settle(s3_runtime, clock)
    found = {key[:4]: body for key, body in s3.objects(bucket).items() if key.startswith("1/")}
    assert found == {"1/a/": b'{"n":"a"}|', "1/b/": b'{"n":"b"}|'}


def test_a_redrive_waits_for_its_turn_like_deliveries(s3, s3_runtime, clock, team, bucket):
    """A team's S3 may take minutes to answer: jobs must not have all threads."""
    stream = made(s3_runtime, team)
    fail(s3_runtime, stream, DATAS[:3])
    job = redrive.start(stream, now(s3_runtime, clock, s3, bucket))
    with ExitStack() as stack:
        for _ in range(EACH):
            assert stack.enter_context(s3_runtime.part(Shares).of(stream.pk))
        assert slices.run(s3_runtime, "delivery-jobs", str(job.pk)) == clock.now_ms() + AGAIN_MS
        job.refresh_from_db()
        assert job.status == "WAITING"
    run_jobs(s3_runtime)
    job.refresh_from_db()
    assert (job.status, job.records) == ("COMPLETE", 3)
