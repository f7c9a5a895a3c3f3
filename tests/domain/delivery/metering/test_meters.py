"""What delivery streams use is booked once, in its hour, whatever is repeated and however late it is read."""

import json
from unittest.mock import Mock

import pytest

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import clock_guard
from apps.billing.models import BilledResource, MeterReading, UsageHour
from apps.delivery import meters, partitions
from apps.delivery.destinations.interface import Delivered, Target
from apps.delivery.grants import grant
from apps.delivery.models import LOG_KEYS_FROM, DeliveryStream, Lane
from apps.delivery.processing.interface import Processed
from apps.delivery.processing.jq_queries import Queries
from apps.gateway.invoke import invoke_sync
from apps.leases.models import Lease
from apps.metrics.models import Series
from tests.support.delivery_rows import ROLE
from tests.support.runtimes import memory_runtime, run_due
from tests.support.s3 import settings_for
from workers import slices

pytestmark = pytest.mark.django_db(transaction=True)

QUERY = {
    "Type": "MetadataExtraction",
    "Parameters": [
        {"ParameterName": "MetadataExtractionQuery", "ParameterValue": "{k: .k}"},
        {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
    ],
}
PARTITIONED = {
    "Prefix": "!{partitionKeyFromQuery:k}/",
    "ErrorOutputPrefix": "errors/",
    "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
    "DynamicPartitioningConfiguration": {"Enabled": True},
    "ProcessingConfiguration": {"Enabled": True, "Processors": [QUERY]},
}


@pytest.fixture
def runtime(clock, s3):
    built = memory_runtime(clock, **settings_for(s3.endpoint))
    built.open_in_thread()
    yield built
    built.part(Queries).close()
    built.close_in_thread()


class Deliveries:
    """A team with a bucket, twenty minutes after the full hour."""

    def __init__(self, runtime, clock, team):
        self.runtime, self.clock, self.team = runtime, clock, team
        clock.set(clock.now_ms() - clock.now_ms() % HOUR_MS + HOUR_MS // 3)
        self.hour_ms = clock.now_ms() // HOUR_MS * HOUR_MS

    def __call__(self, operation, service="firehose", **params):
        return invoke_sync(self.runtime, self.team.principal, service, operation, params)

    def create(self, name="d", source=None, **more):
        given = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::bucket", **more}
        given.setdefault("BufferingHints", {"SizeInMBs": 1, "IntervalInSeconds": 60})
        self(
            "CreateDeliveryStream", DeliveryStreamName=name, ExtendedS3DestinationConfiguration=given, **(source or {})
        )
        run_due(self.runtime, "delivery-streams", "delivery")

    def put(self, *sizes, **said):
        data = [json.dumps({**said, "p": "x" * size}).encode() for size in sizes]
        assert (
            self("PutRecordBatch", DeliveryStreamName="d", Records=[{"Data": one} for one in data])["FailedPutCount"]
            == 0
        )
        return sum(map(len, data))

    def deliver(self):
        for _ in range(3):
            for lane in Lane.objects.order_by("pk"):
                slices.run(self.runtime, "delivery", str(lane.pk))
            self.clock.advance(61_000)

    def read(self):
        Lease.objects.filter(kind="metering").update(due_at_ms=self.clock.now_ms())
        run_due(self.runtime, "metering")

    def usage(self, **where):
        found = {}
        for row in UsageHour.objects.filter(**where):
            found[row.meter] = found.get(row.meter, 0) + row.quantity
        return found


@pytest.fixture
def d(runtime, clock, team, s3):
    grant(team.team, s3.make_bucket("bucket"), clock.now_ms())
    return Deliveries(runtime, clock, team)


def test_what_is_put_is_counted_in_multiples_of_5_kib(d):
    d.create()
    size = d.put(10, 5_200, 10_240 - 20)
    d.deliver()
    for _ in range(3):
        d.read()
    used = {"delivery-records-in": 3, "delivery-bytes-in": size, "delivery-units": 1 + 2 + 2}
    assert d.usage(hour_ms=d.hour_ms, resource="deliverystream/d") == used
    assert d.usage() == used


def test_a_late_reading_is_of_the_hour_of_the_records(d):
    d.create()
    d.put(10)
    d.clock.advance(30 * HOUR_MS)
    d.put(10, 10)
    d.read()
    assert d.usage(hour_ms=d.hour_ms)["delivery-units"] == 1
    assert d.usage(hour_ms=d.hour_ms + 30 * HOUR_MS)["delivery-units"] == 2


@pytest.mark.parametrize("ahead_ms", [HOUR_MS * 3, 31 * DAY_MS])
def test_a_clock_that_was_ahead_for_a_moment_loses_nothing_that_comes_after(d, ahead_ms):
    d.create()
    d.put(10)
    d.read()
    d.clock.advance(ahead_ms)
    d.read()
    d.clock.set(d.clock.now_ms() - ahead_ms)
    for _ in range(4):
        d.clock.advance(HOUR_MS // 2)
        d.put(10, 5_200)
        d.read()
    assert d.usage()["delivery-units"] == 1 + 4 * 3


def test_what_was_made_while_the_clock_was_ahead_is_read_when_it_is_right_again(d):
    clock_guard.note(d.clock.now_ms())
    d.clock.advance(31 * DAY_MS)
    d.create()
    d.clock.set(d.clock.now_ms() - 31 * DAY_MS)
    d.put(10, 5_200)
    d.read()
    assert d.usage()["delivery-units"] == 3


@pytest.fixture
def from_stream(d):
    """A delivery stream that reads a data stream; put() puts into that."""
    d("CreateStream", "kinesis", StreamName="s", ShardCount=2)
    run_due(d.runtime, "lifecycle")
    arn = d("DescribeStreamSummary", "kinesis", StreamName="s")["StreamDescriptionSummary"]["StreamARN"]
    source = {
        "DeliveryStreamType": "KinesisStreamAsSource",
        "KinesisStreamSourceConfiguration": {"KinesisStreamARN": arn, "RoleARN": ROLE},
    }
    d.create(source=source)
    return d


def put_to_stream(d, *sizes):
    records = [{"Data": b"x" * size, "PartitionKey": str(n)} for n, size in enumerate(sizes)]
    assert d("PutRecords", "kinesis", StreamName="s", Records=records)["FailedRecordCount"] == 0


def test_what_is_read_from_a_stream_is_counted_when_it_is_delivered(from_stream):
    d = from_stream
    put_to_stream(d, 10, 5_121, 5_120, 10_241)
    d.read()
    assert "delivery-units" not in d.usage()
    d.deliver()
    d.read()
    d.read()
    assert d.usage(resource="deliverystream/d") == {"delivery-units": 1 + 2 + 1 + 3}
    d.clock.advance(50 * HOUR_MS)
    put_to_stream(d, 10)
    d.deliver()
    d.clock.advance(20 * HOUR_MS)
    d.read()
    assert d.usage(resource="deliverystream/d") == {"delivery-units": 8}
    kept = [hours for lease in Lease.objects.filter(kind="delivery") for hours in lease.checkpoint["metered"].values()]
    assert max(map(len, kept)) <= 2


def test_partitioning_is_counted_by_bytes_objects_and_time(d):
    d.create(**PARTITIONED)
    size = d.put(10, 20, k="a") + d.put(10, k="b")
    d.deliver()
    d.read()
    used = d.usage(resource="deliverystream/d")
    assert (used["delivery-partitioned-bytes"], used["delivery-objects"], used["delivery-units"]) == (size, 2, 3)


def test_what_idle_partitions_have_used_stays_counted(d):
    d.create(**PARTITIONED)
    size = d.put(10, k="a")
    d.deliver()
    d.read()
    d.clock.advance(20 * 60_000)
    partitions.retire_idle(d.runtime, DeliveryStream.objects.get())
    assert not Lane.objects.filter(label__contains='"a"').exists()
    d.read()
    size += d.put(30, k="a")
    d.deliver()
    d.read()
    assert d.usage(resource="deliverystream/d")["delivery-partitioned-bytes"] == size
    assert not MeterReading.objects.exclude(shrunk_at_ms=None).exists()


def test_the_last_of_a_deleted_one_is_booked(from_stream):
    d = from_stream
    put_to_stream(d, 10, 10)
    d.deliver()
    d("DeleteDeliveryStream", DeliveryStreamName="d")
    run_due(d.runtime, "delivery-streams", "delivery")
    assert not DeliveryStream.objects.exists()
    d.read()
    assert d.usage(resource="deliverystream/d") == {"delivery-units": 2}
    assert set(MeterReading.objects.filter(resource__startswith="delivery").values_list("final", flat=True)) == {True}


def test_hours_are_kept_until_they_have_been_read():
    hour = HOUR_MS
    metered = meters.added(None, {"m": 1, "none": 0}, 10 * hour + 5, 10 * hour)
    assert metered == {"m": {str(10 * hour): 1}}
    metered = meters.added(metered, {"m": 2}, 100 * hour, 10 * hour)
    assert metered == {"m": {str(10 * hour): 1, str(100 * hour): 2}}
    assert meters.added(metered, {"m": 3}, 100 * hour, 100 * hour) == {"m": {str(100 * hour): 5}}
    assert meters.together([metered, None, {"m": {str(10 * hour): 5}}]) == {
        "m": {str(10 * hour): 6, str(100 * hour): 2}
    }


def test_what_was_counted_is_not_counted_again():
    processed = Processed(
        [], metrics=[("JQProcessing.Duration", 7.6), ("JQProcessing.Duration", 0.8)], decompressed_bytes=9
    )
    made = meters.Made.of(processed)
    shard, own = Lane(log_key=5), Lane(log_key=LOG_KEYS_FROM + 5)
    again = {"delivery-jq-time": 8, "delivery-decompressed-bytes": 9}
    s3 = DeliveryStream(destination_type="ExtendedS3", destination={})
    assert meters.of_processing(s3, shard, 3, 50, made) == {"delivery-units": 3, **again}
    assert meters.of_processing(s3, own, 3, 50, made) == again


def test_conversion_is_paid_by_what_was_taken_in_however_it_was_changed_on_the_way():
    converts = {"DataFormatConversionConfiguration": {"Enabled": True}}
    parquet = DeliveryStream(destination_type="ExtendedS3", destination=converts)
    target = Target(1, "1", "r", 1, "d", "arn", 1, "ExtendedS3", converts)
    shard, staged = Lane(log_key=5), Lane(log_key=LOG_KEYS_FROM + 6, parent_id=5, label="")
    taken = meters.of_processing(parquet, shard, 3, 50, meters.Made(data_bytes=70))
    assert taken["delivery-converted-units"] == taken["delivery-units"] == 3
    delivered = Delivered(2, 60)
    assert meters.of_batch(parquet, staged, target, 99, 60, delivered, 0) == {}
    assert meters.of_batch(parquet, shard, target, 3, 50, delivered, 0) == {
        "delivery-converted-units": 3,
        "delivery-units": 3,
    }


def test_iceberg_is_paid_by_bytes_in_place_of_ingestion_and_for_what_processors_add():
    tables = DeliveryStream(destination_type="Iceberg", destination={})
    target = Target(1, "1", "r", 1, "d", "arn", 1, "Iceberg", {})
    shard, own = Lane(log_key=5), Lane(log_key=LOG_KEYS_FROM + 5)
    assert meters.of_batch(tables, shard, target, 3, 5_000, Delivered(2, 10), 0) == {"delivery-iceberg-bytes": 5_000}
    assert meters.of_batch(tables, own, target, 3, 5_000, Delivered(2, 10), 0) == {}
    grown, shrunk = meters.Made(data_bytes=7_000), meters.Made(data_bytes=10)
    assert meters.of_processing(tables, shard, 3, 5_000, grown)["delivery-iceberg-bytes"] == 7_000
    assert meters.of_processing(tables, own, 3, 5_000, grown)["delivery-iceberg-bytes"] == 2_000
    assert meters.of_processing(tables, shard, 3, 5_000, shrunk)["delivery-iceberg-bytes"] == 5_000


def test_what_is_put_for_iceberg_is_counted_when_it_is_put(d):
    d.create()
    size = d.put(10, 6_000)
    DeliveryStream.objects.update(destination_type="Iceberg")
    d.read()
    assert d.usage() == {"delivery-records-in": 2, "delivery-bytes-in": size, "delivery-iceberg-put-bytes": size}


def test_a_crash_after_the_answers_were_kept_loses_nothing_of_what_they_cost(d, monkeypatch):
    d.create(**PARTITIONED)
    d.put(10, 20, k="a")
    monkeypatch.setattr(meters.Made, "of", classmethod(lambda cls, _processed: cls(70, 0, 5)))
    d.clock.advance(61_000)
    lane = Lane.objects.get(parent=None)
    with monkeypatch.context() as dying:
        dying.setattr("apps.delivery.processing_lane.hold.save_checkpoint", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            slices.run(d.runtime, "delivery", str(lane.pk))
    monkeypatch.setattr(meters.Made, "of", classmethod(lambda *_: pytest.fail("processed once more")))
    Lease.objects.filter(kind="delivery").update(owner="", expires_at_ms=0)
    d.deliver()
    d.read()
    assert d.usage()["delivery-jq-time"] == 70


def test_tags_are_kept_as_they_were_last_seen(d):
    d.create()
    d("TagDeliveryStream", DeliveryStreamName="d", Tags=[{"Key": "a", "Value": "1"}])
    d.read()
    d("TagDeliveryStream", DeliveryStreamName="d", Tags=[{"Key": "a", "Value": "2"}])
    d("DeleteDeliveryStream", DeliveryStreamName="d")
    run_due(d.runtime, "delivery-streams", "delivery")
    assert not DeliveryStream.objects.exists()
    [row] = BilledResource.objects.all()
    assert (row.resource, row.tags) == ("deliverystream/d", {"a": "2"})


def test_how_many_there_are_is_a_metric_of_the_account(d):
    d.create()
    d.read()
    [row] = Series.objects.filter(namespace="AWS/Usage")
    assert (row.name, ["Service", "Firehose"] in [list(pair) for pair in row.dimensions]) == ("ResourceCount", True)
