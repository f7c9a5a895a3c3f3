"""What a queue counts equals what its client saw."""

import pytest

from tests.domain.queues.conftest import Bench

pytestmark = pytest.mark.django_db(transaction=True)


def test_metrics_equal_what_was_seen(bench: Bench):
    arn = bench.queue("q", DeadLetterConfiguration={"TargetType": "BUILT_IN", "MaxReceiveCount": 1})
    row = bench.row(arn)
    bench.runtime.counters.drain_labelled()
    bench.put(*(b"%02d" % i for i in range(25)))
    got = bench.all(arn)  # three calls, and one that gets nothing
    bench.acknowledge(arn, *got[:7], "bm9uZQ==")
    bench.clock.advance(30_000)
    assert bench.receive(arn) == []
    bench.put(b"a", b"b", b"c")
    bench.receive(arn, 2)
    bench.clock.advance(1)
    bench.work_again()
    sums = {
        name: (sample.total, sample.count)
        for (team, stream, name, label), sample in bench.runtime.counters.drain_labelled().items()
        if (team, stream, label) == (row.team_id, row.stream_id, f"{row.queue_id}/q")
    }
    assert sums == {
        "ReceivedQueueRecords": (27, 6),
        "EmptyReceives": (2, 6),
        "AcknowledgedQueueRecords": (7, 1),
        "VisibleQueueRecords": (1, 1),
        "InFlightQueueRecords": (2, 1),
        "VisibleDeadLetterQueueRecords": (18, 1),
    }
