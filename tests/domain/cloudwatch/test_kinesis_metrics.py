"""Streams' own metrics through CloudWatch's API: dimensions, periods, names, listing."""

import pytest

from apps.metrics import rollup
from apps.metrics.models import StreamName
from tests.domain.cloudwatch.conftest import expression, metric
from tests.support.stream_rows import make_stream

pytestmark = pytest.mark.django_db(transaction=True)

AWS = "AWS/Kinesis"
SHARD = "shardId-000000000003"


@pytest.fixture
def counted(watch, process, team):
    """A stream in which something was counted in two minutes."""
    watch.clock.advance(60_000 - watch.clock.now_ms() % 60_000)
    stream = make_stream(team.team, "s")
    add, labelled = process.counters.add, process.counters.add_labelled
    for value in (10, 30):
        add(stream.team_id, stream.pk, "IncomingBytes", value)
    add(stream.team_id, stream.pk, "PutRecords.SuccessfulRecords", 5)
    labelled(stream.team_id, stream.pk, "SubscribeToShardEvent.Records", "c", 7)
    labelled(stream.team_id, stream.pk, "SubscribeToShardEvent.Records", "d", 9)
    labelled(stream.team_id, stream.pk, "IncomingBytes", 3, 11)
    process.second()
    watch.clock.advance(60_000)
    add(stream.team_id, stream.pk, "IncomingBytes", 2)
    labelled(stream.team_id, stream.pk, "IncomingBytes", 3, 13)
    process.flusher._last = None
    process.second()
    process.flush(final=True)
    return stream


@pytest.mark.parametrize("rolled", [False, True], ids=["live", "rolled up"])
def test_each_metric_under_its_own_dimensions(watch, counted, rolled):
    if rolled:
        watch.clock.advance(120_000)
        assert rollup.roll_up(watch.clock, watch.clock.now_ms() + 20_000)
        from tests.support.metrics import connection

        connection.shared(watch.runtime.config.redis) if False else None
    stats = {
        stat: watch.one("IncomingBytes", stat, AWS, StreamName="s")
        for stat in ("Sum", "SampleCount", "Minimum", "Maximum")
    }
    assert stats == {"Sum": [40, 2], "SampleCount": [2, 1], "Minimum": [10, 2], "Maximum": [30, 2]}
    assert watch.one("IncomingBytes", "Sum", AWS, StreamName="s", ShardId=SHARD) == [11, 13]
    assert watch.one("SubscribeToShardEvent.Records", "Sum", AWS, StreamName="s", ConsumerName="c") == [7]
    assert watch.one("SubscribeToShardEvent.Records", "Sum", AWS, StreamName="s") == []
    assert watch.one("PutRecords.Records", "Sum", AWS, StreamName="s") == [5]
    assert watch.one("IncomingBytes", "Sum", AWS) == []
    assert watch.one("IncomingBytes", "Sum", AWS, StreamName="other") == []
    assert watch.one("IncomingBytes", "Sum", AWS, StreamName="s", ShardId="shardId-3") == []


def test_periods(watch, counted):
    for period, values in ((60, [40, 2]), (10, [40, 2]), (1, [40, 2]), (3_600, [42])):
        got = watch.get(metric("q", "IncomingBytes", "Sum", AWS, period, StreamName="s"), minutes=2)["q"]
        assert got == values, period
    code, text = watch.refused(
        "GetMetricStatistics",
        Namespace=AWS,
        MetricName="IncomingBytes",
        Period=90,
        StartTime=0,
        EndTime=60_000,
        Statistics=["Sum"],
    )
    assert (code, text) == (
        "InvalidParameterValueException",
        "The parameter Period must be 1, 5, 10, 20, 30, or a multiple of 60.",
    )


def test_percentiles_are_refused_clearly(watch, counted):
    query = metric("q", "PutRecord.Latency", "p99", AWS, StreamName="s")
    code, text = watch.refused("GetMetricData", MetricDataQueries=[query], StartTime=0, EndTime=60_000)
    assert code == "ValidationException"
    assert text.startswith("The statistic p99 is not kept for metrics of AWS/Kinesis")


def test_listing(watch, counted, stranger):
    listed = watch("ListMetrics")["Metrics"]
    found = {(m["MetricName"], *(f"{d['Name']}={d['Value']}" for d in m["Dimensions"])) for m in listed}
    assert found == {
        ("IncomingBytes", "StreamName=s"),
        ("PutRecords.Records", "StreamName=s"),
        ("PutRecords.SuccessfulRecords", "StreamName=s"),
        ("SubscribeToShardEvent.Records", "ConsumerName=c", "StreamName=s"),
        ("SubscribeToShardEvent.Records", "ConsumerName=d", "StreamName=s"),
        ("IncomingBytes", f"ShardId={SHARD}", "StreamName=s"),
    }
    assert len(watch("ListMetrics", Dimensions=[{"Name": "ShardId"}])["Metrics"]) == 1
    assert len(watch("ListMetrics", MetricName="IncomingBytes", RecentlyActive="PT3H")["Metrics"]) == 2
    assert len(watch("ListMetrics", Dimensions=[{"Name": "ConsumerName", "Value": "c"}])["Metrics"]) == 1
    assert watch("ListMetrics", Namespace="Other")["Metrics"] == []
    assert stranger("ListMetrics")["Metrics"] == []
    assert stranger.one("IncomingBytes", "Sum", AWS, StreamName="s") == []


def test_search_finds_what_is_listed(watch, counted):
    text = "SEARCH('{AWS/Kinesis,StreamName,ConsumerName} SubscribeToShardEvent.Records', 'Sum', 60)"
    answer = watch.get(expression("total", f"SUM({text})"), minutes=2)
    assert answer == {"total": [16]}


def test_a_deleted_stream_answers_by_its_name(watch, counted):
    StreamName.objects.create(team_id=counted.team_id, name="s", stream_id=counted.pk, deleted_at_ms=1)
    counted.shards.all().delete()
    counted.delete()
    assert watch.one("IncomingBytes", "Sum", AWS, StreamName="s") == [40, 2]


def test_pages(watch, process):
    for number in range(7):
        watch.put(f"m{number}", Value=number)
    from apps.cloudwatch.operations import metrics

    metrics.METRICS_PER_PAGE, before = 3, metrics.METRICS_PER_PAGE
    try:
        names, token = [], None
        for _ in range(3):
            page = watch("ListMetrics", **({"NextToken": token} if token else {}))
            names += [m["MetricName"] for m in page["Metrics"]]
            token = page.get("NextToken")
        assert (sorted(names), token) == ([f"m{number}" for number in range(7)], None)
        page = watch("ListMetrics")
        assert watch.refused("ListMetrics", Namespace="App", NextToken=page["NextToken"])[0] == "InvalidNextToken"
        assert watch.refused("ListMetrics", NextToken="nonsense")[0] == "InvalidNextToken"
    finally:
        metrics.METRICS_PER_PAGE = before


def test_data_in_pages_and_orders(watch):
    for number in range(4):
        watch.put(Value=number)
        watch.put("n", Value=10 + number)
        watch.clock.advance(60_000)
    now_ms = watch.clock.now_ms()
    asked = {"StartTime": now_ms - 600_000, "EndTime": now_ms, "MetricDataQueries": [metric("a"), metric("b", "n")]}
    [a, b] = watch("GetMetricData", **asked)["MetricDataResults"]
    assert (a["Values"], b["Values"]) == ([3, 2, 1, 0], [13, 12, 11, 10])
    assert a["Timestamps"] == sorted(a["Timestamps"], reverse=True)
    values, token = {"a": [], "b": []}, None
    for _ in range(3):
        page = watch("GetMetricData", MaxDatapoints=3, **asked, **({"NextToken": token} if token else {}))
        assert sum(len(result["Values"]) for result in page["MetricDataResults"]) <= 3
        for result in page["MetricDataResults"]:
            values[result["Id"]] += result["Values"]
        token = page.get("NextToken")
    assert (values, token) == ({"a": a["Values"], "b": b["Values"]}, None)


def test_without_redis_nobody_is_told_silence(watch, counted, valkey, monkeypatch):
    from apps.metrics import store

    monkeypatch.setattr(store, "ask", lambda *_args, **_kwargs: None)
    now_ms = watch.clock.now_ms()
    asked = {"StartTime": now_ms - 600_000, "EndTime": now_ms}
    query = metric("q", "IncomingBytes", "Sum", AWS, StreamName="s")
    assert watch.refused("GetMetricData", MetricDataQueries=[query], **asked)[0] == "ServiceUnavailable"
    assert watch.refused("ListMetrics")[0] == "ServiceUnavailable"
    watch.put(Value=1)
    assert watch.one() == [1], "metrics that were put lie in the database"
