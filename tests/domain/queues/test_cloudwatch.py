"""A queue's metrics through CloudWatch's API, under the dimensions QueueId and QueueName."""

import pytest

from apps.queues.models import Queue
from tests.domain.cloudwatch.conftest import process, stranger, valkey, valkey_server, watch
from tests.support.stream_rows import make_stream

__all__ = ["process", "stranger", "valkey", "valkey_server", "watch"]

pytestmark = pytest.mark.django_db(transaction=True)

AWS = "AWS/Kinesis"


def test_metrics_of_a_queue(watch, stranger, process, team):
    watch.clock.advance(60_000 - watch.clock.now_ms() % 60_000)
    stream = make_stream(team.team, "s")
    Queue.objects.create(
        team=team.team, stream=stream, region="us-east-1", name="q", queue_id="0a", created_at_ms=0,
        visibility_timeout_s=30,
    )  # fmt: skip
    for queue, count in (("0a/q", 7), ("0b/other", 3)):
        process.counters.add_labelled(stream.team_id, stream.pk, "ReceivedQueueRecords", queue, count)
    process.second()
    process.flush(final=True)
    mine = {"QueueId": "0a", "QueueName": "q"}
    assert watch.one("ReceivedQueueRecords", "Sum", AWS, **mine) == [7]
    assert watch.one("ReceivedQueueRecords", "Sum", AWS, QueueId="0a") == []
    assert watch.one("ReceivedQueueRecords", "Sum", AWS, **mine | {"QueueName": "other"}) == []
    assert watch.one("ReceivedQueueRecords", "Sum", AWS, StreamName="s") == []
    assert stranger.one("ReceivedQueueRecords", "Sum", AWS, **mine) == []
    listed = watch("ListMetrics", Namespace=AWS, MetricName="ReceivedQueueRecords")["Metrics"]
    named = [{one["Name"]: one["Value"] for one in metric["Dimensions"]} for metric in listed]
    assert named == [mine, {"QueueId": "0b", "QueueName": "other"}]
