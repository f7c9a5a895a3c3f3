"""Delivery streams' metrics through CloudWatch's API, beside those of a data stream with the same row id and name."""

import pytest

from apps.cloudwatch import prometheus
from apps.delivery import metrics
from apps.delivery.models import Lane, LaneRole
from apps.metrics import rollup
from tests.domain.cloudwatch.conftest import metric
from tests.support.delivery_rows import make_delivery
from tests.support.stream_rows import make_stream

pytestmark = pytest.mark.django_db(transaction=True)

AWS = "AWS/Firehose"


@pytest.fixture
def counted(watch, process, team):
    """A delivery stream and a data stream in which something was counted."""
    watch.clock.advance(60_000 - watch.clock.now_ms() % 60_000)
    delivery_stream, stream = make_delivery(team, "s"), make_stream(team.team, "s")
    assert metrics.series_key(delivery_stream.pk) != stream.pk
    process.counters.add(stream.team_id, stream.pk, "IncomingBytes", 7)
    for value in (10, 30):
        metrics.count(process.counters, team.team.pk, delivery_stream.pk, "IncomingBytes", value)
    metrics.count(process.counters, team.team.pk, delivery_stream.pk, "DeliveryToS3.Bytes", 25)
    process.second()
    process.flush(final=True)
    return delivery_stream


@pytest.mark.parametrize("rolled", [False, True], ids=["live", "rolled up"])
def test_each_namespace_has_its_own(watch, counted, rolled):
    if rolled:
        watch.clock.advance(120_000)
        assert rollup.roll_up(watch.clock, watch.clock.now_ms() + 20_000)
    assert watch.one("IncomingBytes", "Sum", AWS, DeliveryStreamName="s") == [40]
    assert watch.one("IncomingBytes", "SampleCount", AWS, DeliveryStreamName="s") == [2]
    assert watch.one("DeliveryToS3.Bytes", "Sum", AWS, DeliveryStreamName="s") == [25]
    assert watch.one("IncomingBytes", "Sum", "AWS/Kinesis", StreamName="s") == [7]
    for namespace, dimension in ((AWS, "StreamName"), ("AWS/Kinesis", "DeliveryStreamName"), (AWS, "ShardId")):
        assert watch.one("IncomingBytes", "Sum", namespace, **{dimension: "s"}) == []
    assert watch.one("DeliveryToS3.Bytes", "Sum", "AWS/Kinesis", StreamName="s") == []


def test_statistics_and_percentiles(watch, counted):
    now_ms = watch.clock.now_ms()
    asked = {
        "Namespace": AWS,
        "MetricName": "IncomingBytes",
        "Dimensions": [{"Name": "DeliveryStreamName", "Value": "s"}],
        "StartTime": now_ms - 600_000,
        "EndTime": now_ms + 60_000,
        "Period": 60,
        "Statistics": ["Sum", "Maximum"],
    }
    [point] = watch("GetMetricStatistics", **asked)["Datapoints"]
    assert (point["Sum"], point["Maximum"], point["Unit"]) == (40, 30, "Bytes")
    query = metric("q", "PutRecord.Latency", "p99", AWS, DeliveryStreamName="s")
    now_ms = watch.clock.now_ms()
    code, text = watch.refused("GetMetricData", StartTime=now_ms - 600_000, EndTime=now_ms, MetricDataQueries=[query])
    assert (code, "AWS/Firehose" in text) == ("ValidationException", True)


def test_calls_of_no_delivery_stream_are_the_teams(watch, process, team):
    watch.clock.advance(60_000 - watch.clock.now_ms() % 60_000)
    metrics.count(process.counters, team.team.pk, metrics.ACCOUNT, "ListDeliveryStreams.Requests", 1)
    process.second()
    process.flush(final=True)
    assert watch.one("ListDeliveryStreams.Requests", "Sum", AWS) == [1]
    assert watch.one("ListDeliveryStreams.Requests", "Sum", AWS, DeliveryStreamName="s") == []
    assert watch("ListMetrics", Namespace=AWS)["Metrics"] == []
    make_delivery(team, "s")
    [found] = watch("ListMetrics", Namespace=AWS)["Metrics"]
    assert (found["MetricName"], found.get("Dimensions") or []) == ("ListDeliveryStreams.Requests", [])


def test_channels_are_told_beside_their_stream(watch, process, team, counted):
    stream = make_stream(team.team, "source")
    channel = make_delivery(team, "c", channel_id="c-1", source_stream=stream, source_type="Channel")
    for name, value in (("DeliveryToS3.Bytes", 9), ("DataReadFromKinesisStream.Records", 4)):
        metrics.count(process.counters, team.team.pk, channel.pk, name, value)
    process.flusher._last = None
    process.second()
    process.flush(final=True)
    dimensions = {"ChannelName": "c", "StreamName": "source"}
    assert watch.one("DeliveryToS3.BytesOut", "Sum", "AWS/Kinesis", **dimensions) == [9]
    assert watch.one("DeliveryToS3.RecordCount", "Sum", "AWS/Kinesis", **dimensions) == [4]
    for other in (
        {"ChannelName": "c"},
        {"ChannelName": "c", "StreamName": "s"},
        {"ChannelName": "s", "StreamName": "s"},
    ):
        assert watch.one("DeliveryToS3.BytesOut", "Sum", "AWS/Kinesis", **other) == []
    assert watch.one("DeliveryToS3.Bytes", "Sum", AWS, DeliveryStreamName="c") == []
    listed = watch("ListMetrics", Dimensions=[{"Name": "ChannelName", "Value": "c"}])["Metrics"]
    assert {m["MetricName"] for m in listed} >= {"DeliveryToS3.BytesOut", "DeliveryToS3.RecordCount"}
    assert all(m["Dimensions"][1] == {"Name": "StreamName", "Value": "source"} for m in listed)
    assert 'channel="c",stream="source"' in prometheus.text([team.team.pk])


def test_listing(watch, counted, monkeypatch):
    monkeypatch.setattr("apps.cloudwatch.operations.metrics.METRICS_PER_PAGE", 1)
    found, token = [], None
    while True:
        page = watch("ListMetrics", **({"NextToken": token} if token else {}))
        found += [(m["Namespace"], m["MetricName"], m["Dimensions"][0]["Name"]) for m in page["Metrics"]]
        token = page.get("NextToken")
        if token is None:
            break
    assert found == [
        ("AWS/Kinesis", "IncomingBytes", "StreamName"),
        (AWS, "DeliveryToS3.Bytes", "DeliveryStreamName"),
        (AWS, "IncomingBytes", "DeliveryStreamName"),
    ]
    only = watch("ListMetrics", Namespace=AWS, Dimensions=[{"Name": "DeliveryStreamName", "Value": "other"}])
    assert only["Metrics"] == []


def test_strangers_see_nothing(stranger, counted):
    assert stranger("ListMetrics")["Metrics"] == []
    assert stranger.one("IncomingBytes", "Sum", AWS, DeliveryStreamName="s") == []


def test_a_deleted_one_can_be_asked_for(watch, counted):
    metrics.retire(counted, watch.clock.now_ms())
    counted.versions.all().delete()
    counted.delete()
    assert watch.one("IncomingBytes", "Sum", AWS, DeliveryStreamName="s") == [40]
    assert watch.one("IncomingBytes", "Sum", "AWS/Kinesis", StreamName="s") == [7]
    assert {m["Namespace"] for m in watch("ListMetrics")["Metrics"]} == {AWS, "AWS/Kinesis"}


def test_prometheus(counted):
    lines = prometheus.text([counted.team_id]).splitlines()
    told = [line for line in lines if line.startswith("tidegate_firehose_incoming_bytes_sum")]
    assert len(told) == 1, told
    assert 'delivery_stream="s"' in told[0]
    assert told[0].endswith(" 40")
    assert any(line.startswith("tidegate_kinesis_incoming_bytes_sum{") and line.endswith(" 7") for line in lines)


def test_states(counted):
    now_ms = 1_000_000

    def lane(role, waiting_ms):
        return Lane(delivery_stream=counted, role=role, log_key=1, opened_at_ms=0, oldest_waiting_ms=waiting_ms)

    lanes = [lane(LaneRole.DELIVER, None), lane(LaneRole.DELIVER, now_ms - 12_000), lane(LaneRole.BACKUP, now_ms - 500)]
    found = metrics.gauges(counted, lanes, now_ms)
    assert found["DeliveryToS3.DataFreshness"] == 12
    assert found["BackupToS3.DataFreshness"] == 0.5
    assert found["RecordsPerSecondLimit"] == 500_000
    assert "PartitionCount" not in found
    counted.destination["DynamicPartitioningConfiguration"] = {"Enabled": True}
    assert metrics.gauges(counted, lanes, now_ms)["PartitionCount"] == 1
    assert metrics.gauges(counted, [lane(LaneRole.DELIVER, 1)] * 500, now_ms)["PartitionCountExceeded"] == 1
