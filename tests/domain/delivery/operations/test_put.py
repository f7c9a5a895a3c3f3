"""PutRecord and PutRecordBatch: what is stored, what is refused, what is counted, and who is told."""

import pytest

from apps.base.errors import ServiceError
from apps.base.units import KIB, MIB
from apps.capacity.models import QuotaOverride
from apps.delivery import record_ids
from apps.delivery.catalog import DeliveryCatalog
from apps.delivery.metrics import series_key
from apps.delivery.nudge import Nudge
from tests.support.firehose import S3, configured
from tests.support.runtimes import until

pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}


def put(firehose, data: bytes):
    return firehose("PutRecord", DeliveryStreamName="d", Record={"Data": data})


def put_batch(firehose, *blobs: bytes):
    return firehose("PutRecordBatch", DeliveryStreamName="d", Records=[{"Data": blob} for blob in blobs])


def stored(firehose) -> list[bytes]:
    log = firehose.row().logs.get(purpose="direct")
    read = firehose.runtime.wait_for(firehose.runtime.record_log.read(log.log_key, 1, 10_000, 32 * MIB))
    return [data for part in read.slices for data in part.records[1::2]]


def counted(firehose) -> dict[str, tuple[float, int]]:
    series = series_key(firehose.row().pk)
    found = firehose.runtime.counters.drain()
    return {name: (sample.total, sample.count) for (_, key, name), sample in found.items() if key == series}


def error_of(call, *arguments, **named) -> tuple[str, str, int]:
    with pytest.raises(ServiceError) as caught:
        call(*arguments, **named)
    return caught.value.code, str(caught.value.message), caught.value.status


def test_what_is_put_is_stored_in_order_and_named(firehose):
    firehose.create()
    answers = [put(firehose, b"one")]
    batch = put_batch(firehose, b"two", b"", b"\x00\xff")
    assert (batch["FailedPutCount"], batch["Encrypted"]) == (0, False)
    ids = [answers[0]["RecordId"], *(one["RecordId"] for one in batch["RequestResponses"])]
    assert stored(firehose) == [b"one", b"two", b"", b"\x00\xff"]
    log_key = firehose.row().logs.get().log_key
    path = firehose.runtime.config.master_key_path
    assert [record_ids.decode(path, one) for one in ids] == [(log_key, n) for n in (1, 2, 3, 4)]
    assert len(set(ids)) == 4
    assert {len(one) for one in ids} == {224}


def test_every_record_counts_five_kib_at_least(firehose):
    firehose.create()
    put_batch(firehose, b"", b"x" * (5 * KIB), b"x" * (5 * KIB + 1), b"x" * (11 * KIB))
    put(firehose, b"")
    put(firehose, b"x" * (10 * KIB))
    put_batch(firehose, b"a", b"b")
    log = firehose.row().logs.get()
    totals = firehose.runtime.wait_for(firehose.runtime.record_log.bounds(log.log_key)).totals
    assert (totals.records, totals.payload_units) == (8, (1 + 1 + 2 + 3) + 1 + 2 + 2)


def test_metrics(firehose):
    firehose.create()
    firehose.runtime.counters.drain()
    put(firehose, b"12345")
    put_batch(firehose, b"12", b"3")
    found = counted(firehose)
    assert {name: total for name, (total, _) in found.items() if not name.endswith("Latency")} == {
        "IncomingBytes": 8,
        "IncomingRecords": 3,
        "IncomingPutRequests": 2,
        "PutRecord.Bytes": 5,
        "PutRecord.Requests": 1,
        "PutRecordBatch.Bytes": 3,
        "PutRecordBatch.Records": 2,
        "PutRecordBatch.Requests": 1,
    }
    firehose.describe()
    assert counted(firehose)["DescribeDeliveryStream.Requests"] == (1, 1)


def test_too_much_for_one_call(firehose):
    firehose.create()
    assert error_of(put_batch, firehose, *[b"x" * (MIB // 2)] * 9) == (
        "InvalidArgumentException", "Records size exceeds 4 MB limit", 400,
    )  # fmt: skip
    code, said, _ = error_of(put, firehose, b"x" * 1_024_001)
    assert (code, "at 'record.data' failed to satisfy constraint: Member must have length less than or equal to 1024000" in said) == (
        "ValidationException", True,
    )  # fmt: skip
    code, said, _ = error_of(put_batch, firehose, *[b"x"] * 501)
    assert (code, "500" in said) == ("ValidationException", True)
    assert stored(firehose) == []
    put(firehose, b"x" * 1_024_000)
    put_batch(firehose, *[b"x" * (MIB // 2)] * 8)


def limit(team, **rates: int) -> None:
    for name, value in rates.items():
        QuotaOverride.objects.create(team=team.team, name=f"delivery-{name}-per-s", value=value)


def test_the_first_that_fit_are_taken_and_all_later_are_refused(firehose, team):
    limit(team, bytes=100)
    firehose.create()
    firehose.runtime.counters.drain()
    answer = put_batch(firehose, b"a" * 60, b"b" * 30, b"c" * 30, b"d")
    assert answer["FailedPutCount"] == 2
    assert ["RecordId" in one for one in answer["RequestResponses"]] == [True, True, False, False]
    assert answer["RequestResponses"][2:] == [REFUSED] * 2
    assert stored(firehose) == [b"a" * 60, b"b" * 30]
    found = counted(firehose)
    assert (found["ThrottledRecords"], found["IncomingRecords"]) == ((2, 1), (2, 1))
    answer = put_batch(firehose, b"e" * 90)
    assert (answer["FailedPutCount"], answer["RequestResponses"]) == (1, [REFUSED])
    assert error_of(put, firehose, b"f" * 50) == ("ServiceUnavailableException", "Slow down.", 503)
    firehose.runtime.clock.advance(1_000)
    put(firehose, b"f" * 50)
    assert len(stored(firehose)) == 3


def test_records_and_requests_have_limits_too(firehose, team):
    limit(team, records=3, requests=2)
    firehose.create()
    assert put_batch(firehose, *b"abcd".split(), b"x", b"y", b"z")["FailedPutCount"] == 1
    firehose.runtime.clock.advance(1_000)
    put(firehose, b"1")
    put(firehose, b"2")
    assert error_of(put, firehose, b"3")[1] == "Slow down."
    assert put_batch(firehose, b"4")["RequestResponses"] == [REFUSED]


def test_a_changed_quota_is_followed_within_a_second(firehose, team):
    firehose.create()
    put_batch(firehose, b"x" * 100)
    limit(team, bytes=50)
    firehose.runtime.clock.advance(1_100)
    assert put_batch(firehose, b"x" * 100)["FailedPutCount"] == 1


def test_nothing_is_taken_before_it_is_active_or_of_one_unknown(firehose):
    missing = ("ResourceNotFoundException", "Firehose d under account 123456789012 not found.", 400)
    assert error_of(put, firehose, b"x") == missing
    firehose("CreateDeliveryStream", DeliveryStreamName="d", **configured("S3", S3))
    assert error_of(put, firehose, b"x") == missing
    firehose.settle()
    put(firehose, b"x")  # though the snapshot says CREATING


def test_one_made_again_within_the_second_gets_what_is_put_from_then_on(firehose):
    firehose.create()
    put(firehose, b"old")
    firehose("DeleteDeliveryStream", DeliveryStreamName="d")
    firehose.settle()
    firehose.create()
    put(firehose, b"new")
    assert stored(firehose) == [b"new"]


def test_who_reads_the_log_is_woken(firehose, monkeypatch):
    woken = []
    monkeypatch.setattr("apps.delivery.nudge.wake", lambda kind, key: woken.append((kind, key)))
    hints = {"BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60}}
    firehose.create(configuration={**S3, **hints})
    lane = firehose.row().lanes.get()
    put(firehose, b"x" * (MIB // 4 - 1))
    put(firehose, b"y")
    until(lambda: woken == [("delivery", str(lane.pk))])
    firehose.runtime.clock.advance(300)
    put(firehose, b"x" * (MIB // 4))  # too soon for another: made up for later
    firehose.runtime.clock.advance(1_000)
    put(firehose, b"x" * (MIB // 4))
    until(lambda: len(woken) == 2)


def test_with_an_interval_of_zero_every_append_wakes(firehose, monkeypatch):
    woken = []
    monkeypatch.setattr("apps.delivery.nudge.wake", lambda _kind, key: woken.append(key))
    firehose.create(configuration={**S3, "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}})
    put(firehose, b"a")
    until(lambda: len(woken) == 1)
    put(firehose, b"b")
    put(firehose, b"c")  # both within 200 ms: one nudge, when they are over
    until(lambda: len(woken) == 2)
    assert firehose.runtime.made(Nudge) is not None


def test_a_broker_that_is_away_stops_nothing(firehose, monkeypatch):
    def away(kind, key):
        raise ConnectionError(kind, key)

    monkeypatch.setattr("apps.delivery.nudge.wake", away)
    firehose.create(configuration={**S3, "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}})
    for _ in range(3):
        put(firehose, b"a")
        firehose.runtime.clock.advance(300)
    assert len(stored(firehose)) == 3


def test_snapshots_tell_lanes_tags_and_the_log(firehose):
    firehose.create(Tags=[{"Key": "a", "Value": "b"}])
    catalog = firehose.runtime.part(DeliveryCatalog)

    async def look():
        return await catalog.read("123456789012", "d"), await catalog.read("123456789012", "d")

    view, again = firehose.runtime.wait_for(look())
    row = firehose.row()
    assert again is view
    assert (view.tags, view.arn, view.log.key) == ({"a": "b"}, str(row.arn), row.logs.get().log_key)
    assert view.log.lanes == tuple(row.lanes.values_list("pk", flat=True))
    assert view.rates == (500_000, 5 * MIB, 2_000)
