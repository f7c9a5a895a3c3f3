"""Time of queues: from ACTIVE to DeleteQueue, to the millisecond."""

import pytest

from apps.base.units import HOUR_MS, MINUTE_MS
from apps.billing import clock_guard
from apps.billing.models import BilledResource, MeterReading, UsageHour
from apps.leases.models import Lease
from apps.queues.models import Queue
from tests.support.runtimes import run_due

pytestmark = pytest.mark.django_db(transaction=True)


def read(bench):
    clock_guard.believe(bench.clock.now_ms())
    Lease.objects.filter(kind="metering").update(due_at_ms=bench.clock.now_ms())
    run_due(bench.runtime, "metering")


def used():
    rows = UsageHour.objects.filter(meter="queue-time", resource="queue/q").order_by("hour_ms")
    return list(rows.values_list("quantity", flat=True))


def test_a_queue_costs_from_its_beginning_to_its_deletion(bench):
    bench.clock.set(bench.clock.now_ms() - bench.clock.now_ms() % HOUR_MS + HOUR_MS - 10)
    arn = bench.queue()
    bench("TagResource", ResourceARN=arn, Tags={"a": "b"})
    read(bench)
    bench.clock.advance(10 + HOUR_MS)
    read(bench)
    read(bench)
    bench.clock.advance(MINUTE_MS + 1)
    bench("DeleteQueue", QueueARN=arn)
    assert used() == [10, HOUR_MS, MINUTE_MS + 1]
    bench.clock.advance(HOUR_MS)
    read(bench)
    assert Queue.objects.exists()  # no worker has come by
    run_due(bench.runtime, "queues")
    read(bench)
    assert used() == [10, HOUR_MS, MINUTE_MS + 1]
    assert MeterReading.objects.filter(meter="queue-time", final=False).count() == 0
    assert BilledResource.objects.get(resource="queue/q").tags == {"a": "b"}


def test_a_queue_that_never_was_active_costs_nothing(bench):
    stream = bench.stream()
    where = {"StreamARN": str(stream.arn), "StartingPosition": {"Type": "LATEST"}}
    made = bench("CreateQueue", QueueName="q", StreamConfigurationList=[where])
    bench.clock.advance(HOUR_MS)
    read(bench)
    bench("DeleteQueue", QueueARN=made["QueueDescription"]["QueueARN"])
    run_due(bench.runtime, "queues")
    read(bench)
    assert used() == []
