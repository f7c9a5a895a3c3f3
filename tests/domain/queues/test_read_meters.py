"""What receivers of a queue got is booked on the queue, by access key; each delivery anew."""

import pytest

from apps.base.units import HOUR_MS
from apps.billing.models import UsageHour
from apps.streams import read_usage
from apps.streams.read_meters import ReadMeters
from tests.support.runtimes import run_due

pytestmark = pytest.mark.django_db(transaction=True)


def test_received_bytes_are_booked_on_the_queue(bench):
    arn = bench.queue("q", VisibilityTimeoutSeconds=30)
    bench.put(b"12", b"345")
    assert len(bench.all(arn)) == 2
    assert bench.all(arn) == []
    bench.clock.advance(31_000)
    bench.work_again()
    assert len(bench.all(arn)) == 2
    bench.runtime.wait_for(bench.runtime.part(ReadMeters).save())
    read_usage.ensure(bench.clock.now_ms())
    run_due(bench.runtime, "metering")
    hour_ms = bench.clock.now_ms() // HOUR_MS * HOUR_MS
    rows = UsageHour.objects.filter(meter="queue-bytes").values_list("resource", "hour_ms", "meter_key", "quantity")
    assert list(rows) == [("queue/q", hour_ms, "AKIDEXAMPLE", 2 * (2 + 2 + 3 + 3))]
