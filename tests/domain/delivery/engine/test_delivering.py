"""When a lane delivers what: hints, failures, giving up, pausing, retention."""

import json

import pytest

from apps.base.units import DAY_MS, MIB
from apps.delivery import extents, lifecycle
from apps.delivery.destinations.interface import DeliveryFailed, NotYet
from apps.delivery.models import DeliveredObject, DeliveryError, Lane
from apps.delivery.record import Failed, Record
from apps.leases import hold
from apps.leases.models import Lease
from apps.leases.progress import Progress

HTTP = {"RetryOptions": {"DurationInSeconds": 60}, "S3DestinationDescription": {}}


def direct(engine, **fields):
    stream = engine.create(**fields)
    return stream, stream.lanes.get()


def test_a_batch_is_due_when_its_oldest_record_is_as_old_as_the_interval(engine):
    _, lane = direct(engine)
    engine.put(lane.log_key, b"a")
    engine.clock.advance(40_000)
    engine.put(lane.log_key, b"b")
    assert engine.slice(lane) == engine.clock.now_ms() + 20_000
    assert engine.kept.batches == []
    engine.clock.advance(20_000)
    engine.slice(lane)
    assert engine.kept.batches == [[b"a", b"b"]]


def test_a_batch_has_the_size_hint_and_the_rest_waits(engine):
    _, lane = direct(engine)
    engine.put(lane.log_key, *[b"x" * (MIB // 4)] * 10)
    assert isinstance(engine.slice(lane), int)
    assert [len(batch) for batch in engine.kept.batches] == [4, 4]


def test_keys_of_a_stream_are_no_part_of_the_size(engine):
    """What is stored has the size with keys; data has not: nothing is delivered, and the lane is not looked at again
    before more has come."""
    found = extents.Waiting(1, 10, 2 * MIB, 0, False, 0)
    hints = extents.Hints(MIB, 60_000)
    assert extents.due_at_ms(found, extents.Checkpoint(1), hints, 5) == 5
    assert extents.due_at_ms(found, extents.Checkpoint(1, look_at_bytes=2 * MIB + 1), hints, 5) == 60_000


def test_batches_grow_when_delivery_lags_and_not_before(engine):
    hints = extents.Hints(MIB, 60_000)
    waiting = extents.Waiting(1, 10, 21 * MIB, 0, False, 0)
    assert extents.size_bytes(hints, "deliver", "ExtendedS3", waiting, 100_000) == MIB
    assert extents.size_bytes(hints, "deliver", "ExtendedS3", waiting, 150_000) == 16 * MIB
    assert extents.size_bytes(hints, "deliver", "Splunk", waiting, 150_000) == 4 * MIB


def test_a_failed_attempt_waits_in_a_column_and_repeats_the_same_batch(engine):
    stream, lane = direct(engine)
    engine.put(lane.log_key, b"a")
    engine.clock.advance(60_000)
    engine.kept.failure = DeliveryFailed("S3.Down", "request 4711 failed")
    again_ms = engine.slice(lane)
    assert engine.clock.now_ms() < again_ms < engine.clock.now_ms() + 2_000
    engine.put(lane.log_key, b"b")
    engine.kept.failure = None
    engine.clock.advance(2_000)
    engine.slice(lane)
    assert engine.kept.batches == [[b"a"]]
    error = DeliveryError.objects.get(delivery_stream=stream)
    assert (error.code, error.cause, error.count) == ("S3.Down", "request # failed", 1)
    lane.refresh_from_db()
    assert (lane.failing_since_ms, lane.delivered_records, lane.delivered_bytes) == (None, 1, 1)


def test_s3_is_tried_for_as_long_as_the_records_are_there(engine):
    _, lane = direct(engine)
    engine.put(lane.log_key, b"a")
    engine.kept.failure = DeliveryFailed("S3.Down", "no")
    for _ in range(30):
        engine.clock.advance(200_000)
        engine.slice(lane)
    assert (engine.kept.attempts, engine.lines) == (30, [])


@pytest.mark.parametrize("permanent", [False, True])
def test_what_cannot_be_delivered_goes_under_the_error_prefix(engine, permanent):
    stream, lane = direct(engine, destination_type="HttpEndpoint", description=HTTP)
    engine.put(lane.log_key, b"a", b"b")
    engine.clock.advance(60_000)
    engine.kept.failure = DeliveryFailed("HttpEndpoint.DestinationException", "500", permanent=permanent)
    engine.slice(lane)
    if not permanent:
        assert engine.lines == []
        engine.clock.advance(61_000)
        engine.slice(lane)
    lines = [json.loads(line) for line in engine.lines]
    assert [(line["rawData"], line["attemptsMade"], line["of"]) for line in lines] == [
        ("YQ==", 1 if permanent else 2, 1),
        ("Yg==", 1 if permanent else 2, 2),
    ]
    assert {line["errorCode"] for line in lines} == {"HttpEndpoint.DestinationException"}
    assert engine.checkpoint(lane)["next"] == 3
    assert DeliveredObject.objects.get(delivery_stream=stream).part == "errors"


def test_an_error_prefix_that_cannot_be_written_blocks_and_loses_nothing(engine):
    _, lane = direct(engine, destination_type="HttpEndpoint", description=HTTP)
    engine.put(lane.log_key, b"a")
    engine.clock.advance(60_000)
    engine.kept.failure = DeliveryFailed("everything", "down", permanent=True)
    engine.slice(lane)
    attempts = engine.kept.attempts
    for _ in range(3):
        engine.clock.advance(200_000)
        engine.slice(lane)
    assert engine.kept.attempts == attempts, "the destination is not asked any more"
    assert engine.checkpoint(lane)["next"] == 1
    engine.kept.failure = None
    engine.clock.advance(200_000)
    engine.slice(lane)
    assert len(engine.lines) == 1
    assert engine.kept.batches == []


def test_records_that_a_destination_never_takes_do_not_hold_the_others_up(engine):
    _, lane = direct(engine)
    engine.put(lane.log_key, b"good", b"bad")
    engine.clock.advance(60_000)
    engine.kept.failed = [Failed(Record(b"bad", 0, 2), "http-endpoint-failed", "Es.Mapping", "no", 1, 0)]
    engine.slice(lane)
    assert len(engine.lines) == 1
    assert engine.checkpoint(lane)["next"] == 3


def test_a_destination_that_confirms_later_is_asked_later_and_nothing_is_counted(engine):
    stream, lane = direct(engine)
    engine.put(lane.log_key, b"a")
    engine.clock.advance(60_000)
    engine.kept.failure = NotYet(7_000)
    assert engine.slice(lane) == engine.clock.now_ms() + 7_000
    assert not DeliveryError.objects.filter(delivery_stream=stream).exists()
    engine.kept.failure = None
    engine.slice(lane)
    assert engine.kept.batches == [[b"a"]]


def test_a_bug_in_a_destination_is_an_attempt_that_failed(engine):
    stream, lane = direct(engine)
    engine.put(lane.log_key, b"a")
    engine.clock.advance(60_000)
    engine.kept.failure = KeyError("oops")
    assert isinstance(engine.slice(lane), int)
    assert DeliveryError.objects.get(delivery_stream=stream).code == "InternalError"


def test_nothing_is_delivered_while_paused_and_nothing_is_lost(engine):
    stream, lane = direct(engine)
    engine.put(lane.log_key, b"a")
    stream.paused_at_ms = 1
    stream.save(update_fields=["paused_at_ms"])
    engine.clock.advance(60_000)
    assert engine.slice(lane) == Progress.DONE
    assert engine.lookout().round() == []
    stream.paused_at_ms = None
    stream.save(update_fields=["paused_at_ms"])
    assert engine.lookout().round() == [lane.pk]
    engine.slice(lane)
    assert engine.kept.batches == [[b"a"]]


def test_direct_puts_are_held_for_a_day_and_what_is_lost_is_said(engine):
    stream, lane = direct(engine)
    engine.put(lane.log_key, b"a", b"b")
    engine.clock.advance(DAY_MS + 1)
    engine.put(lane.log_key, b"c")
    held = hold.take("delivery-streams", str(stream.pk), "test", 30_000) or _lease(stream)
    lifecycle.advance(engine.runtime, held, engine.clock.now_ms() + 10_000)
    engine.clock.advance(60_000)
    engine.slice(lane)
    assert engine.kept.batches == [[b"c"]]
    error = DeliveryError.objects.get(delivery_stream=stream)
    assert (error.code, error.count) == ("RecordsExpired", 2)


def _lease(stream):
    hold.ensure("delivery-streams", str(stream.pk), 0)
    return hold.take("delivery-streams", str(stream.pk), "test", 30_000)


def test_what_was_delivered_leaves_the_log(engine):
    _, lane = direct(engine)
    for _ in range(5):
        engine.put(lane.log_key, b"x" * MIB)
        engine.clock.advance(1_000)
    engine.slice(lane)
    bounds = engine.runtime.wait_for(engine.runtime.record_log.bounds(lane.log_key))
    assert bounds.first_offset >= 5


def test_the_lookout_wakes_lanes_that_are_due_once_in_a_while(engine):
    _, lane = direct(engine)
    lookout = engine.lookout()
    assert lookout.round() == []
    engine.put(lane.log_key, b"a")
    assert lookout.round() == []
    engine.clock.advance(60_000)
    assert lookout.round() == [lane.pk]
    engine.clock.advance(500)
    assert lookout.round() == []
    engine.clock.advance(1_500)
    assert lookout.round() == [lane.pk]
    engine.put(lane.log_key, b"x" * (2 * MIB))
    engine.slice(lane)
    engine.clock.advance(2_000)
    assert lookout.round() == []
    lane.refresh_from_db()


def test_a_lane_that_waits_after_a_failure_is_not_woken_before_its_time(engine):
    _, lane = direct(engine)
    engine.put(lane.log_key, b"a")
    engine.clock.advance(60_000)
    engine.kept.failure = DeliveryFailed("S3.Down", "no")
    for _ in range(6):
        engine.slice(lane)
    due_ms = Lease.objects.get(kind="delivery", key=str(lane.pk)).due_at_ms
    assert due_ms > engine.clock.now_ms() + 10_000
    lookout = engine.lookout()
    assert lookout.round() == []
    engine.clock.advance(due_ms - engine.clock.now_ms())
    assert lookout.round() == [lane.pk]


def test_a_backup_has_a_position_of_its_own(engine):
    backup = {
        "S3BackupMode": "Enabled",
        "S3BackupDescription": {"BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}},
    }
    stream = engine.create(description=backup)
    roles = {lane.role: lane for lane in stream.lanes.all()}
    assert set(roles) == {"deliver", "backup"}
    engine.put(roles["deliver"].log_key, b"a")
    engine.slice()
    assert engine.kept.batches == [[b"a"]], "the backup's interval is 0, the destination's is not over"
    bounds = engine.runtime.wait_for(engine.runtime.record_log.bounds(roles["deliver"].log_key))
    assert bounds.first_offset == 1, "what the destination has not got stays"


def test_deleting_drops_what_is_held_and_leaves_nothing(engine):
    stream, lane = direct(engine)
    engine.put(lane.log_key, b"a")
    stream.status = "DELETING"
    stream.save(update_fields=["status"])
    lifecycle.advance(engine.runtime, _lease(stream), engine.clock.now_ms() + 10_000)
    assert not Lane.objects.exists()
    assert not Lease.objects.filter(kind__startswith="delivery").exclude(kind="metering").exists()
    assert engine.slice() is None
