"""What failed waits for its time, whoever has put more in meanwhile; who resumes has it tried at once."""

import pytest

from apps.base.units import MINUTE_MS
from apps.delivery import pausing
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.models import LogPurpose
from apps.leases.models import Lease
from workers import delivery as _work  # the slices of lanes
from workers import slices

assert _work.deliver


@pytest.fixture
def failed(engine):
    """A delivery stream, its lane, and what a hint does; its first batch has failed twice."""
    stream = engine.create(interval_s=60)
    lane = stream.lanes.get()
    engine.put(stream.logs.get(purpose=LogPurpose.DIRECT).log_key, b"a")
    engine.clock.advance(MINUTE_MS)
    engine.kept.failure = DeliveryFailed("S3.Down", "no")

    def hint():
        return slices.run(engine.runtime, "delivery", str(lane.pk))

    hint()
    engine.clock.advance(10_000)
    hint()
    assert engine.kept.attempts == 2
    return stream, lane, hint


def test_a_hint_does_not_bring_a_retry_forward(engine, failed):
    _, lane, hint = failed
    before = Lease.objects.get(kind="delivery", key=str(lane.pk))
    for _ in range(3):
        assert hint() is None
    after = Lease.objects.get(kind="delivery", key=str(lane.pk))
    assert engine.kept.attempts == 2
    assert (after.due_at_ms, after.pinned, after.counter) == (before.due_at_ms, before.pinned, before.counter)
    engine.clock.set(before.due_at_ms)
    hint()
    assert engine.kept.attempts == 3


def test_who_resumes_has_it_tried_at_once(engine, failed):
    stream, _, hint = failed
    now_ms = engine.clock.now_ms()
    assert pausing.pause(stream, now_ms, "ops")
    hint()
    assert pausing.resume(stream, now_ms, "ops")
    engine.kept.failure = None
    hint()
    assert (engine.kept.attempts, engine.kept.batches) == (3, [[b"a"]])


def test_a_due_time_of_a_clock_gone_wrong_counts_as_past(engine, failed):
    _, lane, hint = failed
    Lease.objects.filter(kind="delivery", key=str(lane.pk)).update(due_at_ms=engine.clock.now_ms() + 10**9)
    hint()
    assert engine.kept.attempts == 3


def test_what_is_not_pinned_is_looked_at_on_a_hint(engine):
    """Its due time is when its interval is over; a full buffer is delivered before."""
    stream = engine.create(interval_s=60)
    lane = stream.lanes.get()
    log_key = stream.logs.get(purpose=LogPurpose.DIRECT).log_key
    engine.put(log_key, b"a")
    slices.run(engine.runtime, "delivery", str(lane.pk))
    assert Lease.objects.get(kind="delivery", key=str(lane.pk)).due_at_ms > engine.clock.now_ms()
    engine.put(log_key, b"b" * 1_048_576)
    slices.run(engine.runtime, "delivery", str(lane.pk))
    assert engine.kept.batches
