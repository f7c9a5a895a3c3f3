"""Whoever comes late, and whatever is gone: processes that were stopped, retention, sources, keys and backups that are no more."""

import pytest

from apps.base.units import DAY_MS, HOUR_MS, MIB
from apps.delivery import extents, formats, lanes, partitions, processing, reading
from apps.delivery.destinations import s3
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.lookout import Lookout
from apps.delivery.models import DeliveryError, DeliveryLog, Lane, LaneRole, LogPurpose
from apps.delivery.processing_lane import ProcessingLane
from apps.delivery.reading import Source, source_of
from apps.delivery.record import Failed, Record
from apps.leases import hold
from apps.leases.models import Lease
from apps.leases.progress import Progress
from apps.recordlog.interface import KeyUnavailable, LogUnavailable
from apps.runtime import Runtime
from tests.domain.delivery.engine.test_lanes import Parting, from_stream, look_after, put, source
from tests.support.kpl import aggregate

__all__ = ["source"]

HTTP = {"RetryOptions": {"DurationInSeconds": 0}, "S3DestinationDescription": {}}


def expire(engine, log_key):
    engine.runtime.wait_for(engine.runtime.record_log.trim(log_key, engine.clock.now_ms() + 1, 1_000_000))


def errors(stream):
    return {(one.part, one.code): one.count for one in DeliveryError.objects.filter(delivery_stream=stream)}


def another_takes_over(engine, lane):
    """What a second worker does when the first has been stopped for longer than its lease."""
    Lease.objects.filter(kind="delivery", key=str(lane.pk)).update(expires_at_ms=0)
    engine.slice(lane)


# --- stopped for longer than the lease ---------------------------------------------------------------------------------


def test_who_was_stopped_never_replaces_a_batch_by_what_is_left_of_it(engine, monkeypatch):
    """The first worker is stopped while it reads; the second delivers, and the log gives the records back."""
    stream = engine.create()
    lane = stream.lanes.get()
    for _ in range(3):
        engine.put(lane.log_key, b"x")
        engine.clock.advance(20_000)
    monkeypatch.setattr(reading, "PIECE_RECORDS", 1)
    deliver, stopped = engine.kept.deliver, []

    def stop_in_the_middle(batch):
        if not stopped:
            stopped.append(batch)
            pieces = batch.pieces()
            next(pieces)
            another_takes_over(engine, lane)
            list(pieces)
            pytest.fail("a part was read as if it were the whole")
        return deliver(batch)

    monkeypatch.setattr(engine.kept, "deliver", stop_in_the_middle)
    with pytest.raises(hold.LeaseLost):
        engine.slice(lane)
    assert [len(batch) for batch in engine.kept.batches] == [3]
    assert errors(stream) == {}


def test_who_was_stopped_in_the_processors_opens_no_second_lane_for_a_partition(engine, monkeypatch):
    stream = engine.create(description={"DynamicPartitioningConfiguration": {"Enabled": True}})
    lane = stream.lanes.get()
    monkeypatch.setattr(processing, "chain_for", lambda *_: Parting())
    engine.put(lane.log_key, b"a", b"b")
    engine.clock.advance(1_000)
    grouped, stopped = ProcessingLane._grouped, []

    def stop_before(self, processed):
        if not stopped:
            stopped.append(self)
            another_takes_over(engine, lane)
        return grouped(self, processed)

    monkeypatch.setattr(ProcessingLane, "_grouped", stop_before)
    with pytest.raises(hold.LeaseLost):
        engine.slice(lane)
    assert sorted(stream.lanes.filter(parent=lane).values_list("label", flat=True)) == [
        '[["k","a"]]', '[["k","b"]]',
    ]  # fmt: skip


# --- what is gone ------------------------------------------------------------------------------------------------------


def test_a_pinned_batch_that_retention_took_is_said_to_be_lost_and_never_delivered_empty(engine):
    stream = engine.create()
    lane = stream.lanes.get()
    engine.put(lane.log_key, b"a", b"b")
    engine.clock.advance(60_000)
    engine.kept.failure = DeliveryFailed("S3.Down", "no")
    engine.slice(lane)
    expire(engine, lane.log_key)
    engine.kept.failure = None
    engine.clock.advance(60_000)
    engine.put(lane.log_key, b"c")
    engine.clock.advance(60_000)
    engine.slice(lane)
    assert engine.kept.batches == [[b"c"]]
    assert errors(stream)["source", "RecordsExpired"] == 2
    lane.refresh_from_db()
    assert lane.delivered_records == 1


def test_a_hole_in_the_log_holds_the_lane_up_and_is_said(engine, monkeypatch):
    """Neither retention's doing nor somebody else's: no slice goes round and round over it."""
    stream = engine.create()
    lane = stream.lanes.get()
    engine.put(lane.log_key, b"a")
    engine.clock.advance(60_000)
    engine.kept.failure = DeliveryFailed("S3.Down", "no")
    engine.slice(lane)
    engine.kept.failure = reading.RecordsGone("a hole")
    engine.clock.advance(60_000)
    assert engine.slice(lane) == engine.clock.now_ms() + 10_000
    assert errors(stream)["destination", "InternalError"] == 1
    assert Lease.objects.get(kind="delivery", key=str(lane.pk)).pinned is not None


def test_processors_say_what_retention_took_before_they_came_to_it(engine, monkeypatch):
    stream = engine.create(description={"DynamicPartitioningConfiguration": {"Enabled": True}})
    lane = stream.lanes.get()
    monkeypatch.setattr(processing, "chain_for", lambda *_: Parting())
    engine.put(lane.log_key, b"a1", b"a2")
    expire(engine, lane.log_key)
    engine.put(lane.log_key, b"a3")
    engine.clock.advance(1_000)
    engine.slice(lane)
    assert errors(stream) == {("source", "RecordsExpired"): 2}
    assert engine.checkpoint(lane)["next"] == 4
    assert engine.checkpoint(lane)["bytes"] == 6


def test_after_a_loss_sizes_are_right(engine):
    """What was lost counts as done: else the lane would seem to be full for ever."""
    stream = engine.create()
    lane = stream.lanes.get()
    engine.put(lane.log_key, *[b"x" * MIB] * 3)
    expire(engine, lane.log_key)
    engine.put(lane.log_key, b"y")
    assert engine.slice(lane) == engine.clock.now_ms() + 60_000
    assert engine.checkpoint(lane) | {"metered": 0} == {
        "next": 4, "bytes": 3 * MIB, "look_at": 0, "arrival": 0, "metered": 0,
    }  # fmt: skip
    assert engine.lookout().round() == []


@pytest.mark.parametrize("processed", [False, True])
def test_a_source_that_goes_while_a_batch_is_pinned_ends_the_lane(engine, source, monkeypatch, processed):
    monkeypatch.setattr(processing, "chain_for", lambda *_: Broken())
    more = {"description": {"DynamicPartitioningConfiguration": {"Enabled": True}}} if processed else {}
    stream = from_stream(engine, source, **more)
    lane = stream.lanes.get()
    put(engine, source.shards.get(), ("k", b"after"))
    engine.clock.advance(60_000)
    engine.kept.failure = DeliveryFailed("S3.Down", "no")
    if processed:
        with pytest.raises(ValueError, match="broken"):
            engine.slice(lane)
        Lease.objects.filter(kind="delivery").update(expires_at_ms=0)
    else:
        engine.slice(lane)
    assert Lease.objects.get(kind="delivery", key=str(lane.pk)).pinned is not None
    engine.runtime.wait_for(engine.runtime.record_log.drop(lane.log_key, 1_000))
    engine.kept.failure = None
    engine.clock.advance(60_000)
    assert engine.slice(lane) == Progress.DONE
    lane.refresh_from_db()
    assert lane.ended_at_ms is not None
    assert Lease.objects.get(kind="delivery", key=str(lane.pk)).pinned is None
    assert errors(stream)["source", "SourceGone"] == 1


class Broken:
    """Processors with a bug."""

    def run(self, records, now_ms):
        raise ValueError("broken")


def test_processors_that_fail_for_ever_are_seen(engine, monkeypatch):
    monkeypatch.setattr(processing, "chain_for", lambda *_: Broken())
    stream = engine.create(description={"DynamicPartitioningConfiguration": {"Enabled": True}})
    engine.put(stream.lanes.get().log_key, b"a")
    engine.clock.advance(1_000)
    with pytest.raises(ValueError, match="broken"):
        engine.slice()
    assert errors(stream) == {("processing", "InternalError"): 1}


def test_processed_records_of_a_data_stream_are_held_as_long_as_that_holds_them(engine, source, monkeypatch):
    source.retention_hours = 72
    source.save(update_fields=["retention_hours"])
    monkeypatch.setattr(processing, "chain_for", lambda *_: Parting())
    stream = from_stream(engine, source, description={"DynamicPartitioningConfiguration": {"Enabled": True}})
    put(engine, source.shards.get(), ("k", b"a"))
    engine.clock.advance(1_000)
    engine.slice()
    engine.clock.advance(2 * DAY_MS)
    look_after(engine, stream)
    engine.slice()
    assert engine.kept.batches == [[b"a"]]
    put(engine, source.shards.get(), ("k", b"a"))
    engine.clock.advance(1_000)
    engine.slice(stream.lanes.get(parent=None))
    engine.clock.advance(3 * DAY_MS + HOUR_MS)
    look_after(engine, stream)
    engine.slice(stream.lanes.get(role=LaneRole.DELIVER))
    assert len(engine.kept.batches) == 1
    assert ("source", "RecordsExpired") in errors(stream)


def test_a_mark_is_known_for_as_long_as_it_is_the_newest(engine, source, monkeypatch):
    """Dead between the append and the checkpoint, and found a week later: the answers that are stored stand."""
    monkeypatch.setattr(processing, "chain_for", lambda *_: Parting())
    stream = from_stream(engine, source, description={"DynamicPartitioningConfiguration": {"Enabled": True}})
    lane = stream.lanes.get()
    put(engine, source.shards.get(), ("k", b"a"))
    engine.clock.advance(1_000)

    class Died(BaseException):
        pass

    def die(*_):
        raise Died

    save_checkpoint = hold.save_checkpoint
    monkeypatch.setattr(hold, "save_checkpoint", die)
    with pytest.raises(Died):
        engine.slice(lane)
    monkeypatch.setattr(hold, "save_checkpoint", save_checkpoint)
    engine.clock.advance(7 * DAY_MS)
    look_after(engine, stream)
    Lease.objects.filter(kind="delivery").update(expires_at_ms=0)
    monkeypatch.setattr(processing, "chain_for", lambda *_: Broken())
    engine.slice(lane)
    assert engine.checkpoint(lane)["next"] == 3


# --- keys and logs that cannot be used now -----------------------------------------------------------------------------


@pytest.fixture
def unreadable(engine, monkeypatch):
    """Set .error, and reading raises it."""

    class Reading:
        error = None

    state, read = Reading(), engine.runtime.record_log.read

    async def broken(*args):
        if state.error is not None:
            raise state.error
        return await read(*args)

    monkeypatch.setattr(engine.runtime.record_log, "read", broken)
    return state


class Disabled(Exception):
    """What the key service says."""

    code = "KMSDisabledException"


@pytest.mark.parametrize(
    ("error", "code"), [(KeyUnavailable(Disabled("off")), "KMSKeyUnavailable"), (LogUnavailable("no"), "InternalError")]
)
@pytest.mark.parametrize("pinned", [False, True])
def test_what_cannot_be_read_now_is_seen_and_never_given_up(engine, unreadable, error, code, pinned):
    stream = engine.create(
        destination_type="HttpEndpoint", description=HTTP | {"RetryOptions": {"DurationInSeconds": 60}}
    )
    lane = stream.lanes.get()
    engine.put(lane.log_key, b"a")
    engine.clock.advance(60_000)
    if pinned:
        engine.kept.failure = DeliveryFailed("HttpEndpoint.Down", "no")
        engine.slice(lane)
        engine.kept.failure = None
    unreadable.error = error
    for _ in range(3):
        engine.clock.advance(120_000)
        assert engine.slice(lane) == engine.clock.now_ms() + 10_000
    assert errors(stream)["destination", code] == 3
    unreadable.error = None
    engine.slice(lane)
    assert (engine.kept.batches, engine.lines) == ([[b"a"]], [])
    lane.refresh_from_db()
    assert lane.failing_since_ms is None


def test_what_cannot_be_read_is_asked_for_every_ten_seconds(engine, unreadable):
    stream = engine.create()
    lane = stream.lanes.get()
    engine.put(lane.log_key, b"a")
    engine.clock.advance(60_000)
    lookout, woken = engine.lookout(), []
    assert lookout.round() == [lane.pk]
    unreadable.error = KeyUnavailable(Disabled("off"))
    engine.clock.advance(2_000)
    engine.slice(lane)
    for _ in range(11):
        woken += lookout.round()
        engine.clock.advance(1_000)
    assert woken == [lane.pk]


# --- KPL aggregates ----------------------------------------------------------------------------------------------------


def test_a_batch_counts_user_records_and_their_bytes(engine, source):
    from_stream(engine, source)
    shard = source.shards.get()
    put(engine, shard, ("k", b"plain"))
    first = engine.runtime.wait_for(engine.runtime.record_log.bounds(shard.pk)).next_offset
    blob = aggregate([("k", b"one"), ("k", b"three"), ("l", b"")])
    put(engine, shard, ("k", blob), ("k", b"x" * 6_000))
    found = extents.scan(engine.runtime, source_of(Lane.objects.get()), first, MIB)
    assert (found.first, found.end, found.count, found.data_bytes, found.units) == (first, first + 2, 4, 6_008, 3)
    assert found.stored_bytes == len(blob) + 6_002
    as_stored = extents.scan(engine.runtime, Source(shard.pk), first, MIB)
    assert (as_stored.count, as_stored.data_bytes) == (2, len(blob) + 6_000)


def test_one_bad_user_record_of_an_aggregate_costs_none_of_the_others(engine, source, monkeypatch):
    """An object is written if one record of it can be, and an aggregate is many."""

    class Picky:
        extension, content_encoding = "", ""

        def write(self, records):
            return [record for record in records if record.data == b"bad"]

        def finish(self):
            return []

    monkeypatch.setattr(formats, "writer_for", lambda *_: Picky())
    monkeypatch.setattr(s3._Failed, "add", lambda self, found: setattr(self, "records", self.records + len(found)))
    filled = []
    monkeypatch.setattr(
        s3, "write_object", lambda _runtime, _target, _description, _key, fill: filled.append(fill(None))
    )
    stream = from_stream(engine, source)
    monkeypatch.setattr(
        engine.kept, "deliver", lambda batch: s3.S3Destination.deliver(_s3(engine, stream), _planned(batch))
    )
    put(engine, source.shards.get(), ("k", aggregate([("k", b"bad"), ("k", b"good"), ("k", b"fine")])))
    engine.clock.advance(60_000)
    engine.slice(stream.lanes.get())
    assert [one.records for one in filled] == [2]


def _s3(engine, stream):
    from apps.delivery.targets import target_for

    return s3.S3Destination(engine.runtime, target_for(engine.runtime, stream))


def _planned(batch):
    batch.plan = {"key": "k", "format": {}}
    return batch


# --- lanes that come and go --------------------------------------------------------------------------------------------


def test_a_child_whose_log_is_about_to_be_made_is_not_ended(engine, monkeypatch):
    """Its slice may come between the row and the log; what is then written must find a lane."""
    monkeypatch.setattr(processing, "chain_for", lambda *_: Parting())
    stream = engine.create(description={"DynamicPartitioningConfiguration": {"Enabled": True}})
    lane = stream.lanes.get()
    engine.put(lane.log_key, b"a")
    engine.clock.advance(1_000)
    wait_for, early = Runtime.wait_for, []

    def look_first(runtime, coroutine, *args):
        child = stream.lanes.filter(role=LaneRole.DELIVER, parent=lane).first()
        if child is not None and not early:
            early.append(child)
            assert engine.slice(child) == Progress.DONE
        return wait_for(runtime, coroutine, *args)

    monkeypatch.setattr(Runtime, "wait_for", look_first)
    engine.slice(lane)
    assert early
    assert stream.lanes.get(role=LaneRole.DELIVER).ended_at_ms is None
    engine.clock.advance(60_000)
    engine.slice()
    assert engine.kept.batches == [[b"a"]]


def test_a_backup_that_is_no_more_goes_after_what_is_pinned(engine):
    backup = {
        "S3BackupMode": "Enabled",
        "S3BackupDescription": {"BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}},
    }
    stream = engine.create(description=backup)
    lane = stream.lanes.get(role="backup")
    engine.put(lane.log_key, b"a")
    engine.kept.failure = DeliveryFailed("S3.Down", "no")
    engine.slice(lane)
    stream.destination = {**stream.destination, "S3BackupMode": "Disabled"}
    stream.version_id = 2
    stream.save(update_fields=["destination", "version_id"])
    engine.put(lane.log_key, b"b")
    engine.kept.failure = None
    engine.clock.advance(60_000)
    engine.slice(lane)
    assert engine.kept.batches == [[b"a"]], "as it was pinned"
    engine.slice(lane)
    assert not stream.lanes.filter(role="backup").exists()
    assert not Lease.objects.filter(kind="delivery", key=str(lane.pk)).exists()
    assert errors(stream).keys() == {("backup", "S3.Down")}
    stream.destination = {**stream.destination, "S3BackupMode": "Enabled"}
    stream.save(update_fields=["destination"])
    engine.clock.advance(1)
    lanes.adopt_backup(engine.runtime, stream)
    assert engine.checkpoint(stream.lanes.get(role="backup"))["next"] == 3, "from what arrives from then on"


def test_logs_that_a_crash_left_without_a_lane_are_dropped(engine):
    stream = engine.create()
    left = DeliveryLog.objects.create(delivery_stream=stream, purpose=LogPurpose.PROCESSED, created_at_ms=0)
    engine.runtime.wait_for(engine.runtime.record_log.create(left.log_key))
    look_after(engine, stream)
    assert list(stream.logs.values_list("purpose", flat=True)) == ["direct"]


def test_thousands_of_empty_partitions_go_a_few_at_a_time(engine, monkeypatch):
    """The process lane's lease is taken meanwhile; records must not wait long for it."""
    monkeypatch.setattr(processing, "chain_for", lambda *_: Parting())
    stream = engine.create(description={"DynamicPartitioningConfiguration": {"Enabled": True}})
    lane = stream.lanes.get()
    engine.put(lane.log_key, b"a", b"b", b"c")
    engine.clock.advance(1_000)
    engine.slice(lane)
    engine.clock.advance(60_000)
    engine.slice()
    engine.clock.advance(partitions.IDLE_MS + 60_000)
    retire = partitions._retire
    monkeypatch.setattr(partitions, "_retire", lambda *args: (engine.clock.advance(2_000), retire(*args)))
    assert partitions.retire_idle(engine.runtime, stream)
    assert stream.lanes.filter(parent=lane).count() == 1
    assert not partitions.retire_idle(engine.runtime, stream)
    assert stream.lanes.filter(parent=lane).count() == 0


def test_failed_records_of_a_type_that_was_not_foreseen_are_written(engine):
    """A batch whose failed records could not be written yet is then given up for a cause with a type of its own."""
    stream = engine.create(
        destination_type="HttpEndpoint", description=HTTP | {"RetryOptions": {"DurationInSeconds": 60}}
    )
    lane = stream.lanes.get()
    engine.put(lane.log_key, b"a")
    engine.clock.advance(60_000)
    engine.kept.failed = [Failed(Record(b"a", 0, 1), "http-endpoint-failed", "X", "no", 1, 0)]
    engine.trouble = DeliveryFailed("S3.Down", "no")
    engine.slice(lane)
    engine.trouble = None
    engine.kept.failure = DeliveryFailed("X", "no", permanent=True, error_type="format-conversion-failed")
    engine.clock.advance(60_000)
    engine.slice(lane)
    assert len(engine.lines) == 1


def test_a_backup_comes_with_its_lane_or_not_at_all(engine, source, monkeypatch):
    """A crash between the two would make the backup begin when the lane is found without it."""
    description = {"S3BackupMode": "Enabled", "S3BackupDescription": {"BufferingHints": {}}}
    monkeypatch.setattr(lanes.hold, "ensure", ensure := Once(lanes.hold.ensure))
    with pytest.raises(ValueError, match="died"):
        from_stream(engine, source, description=description)
    assert ensure.calls == 2
    assert not Lane.objects.exists()


class Once:
    """Works once."""

    def __init__(self, does):
        self.does, self.calls = does, 0

    def __call__(self, *args):
        self.calls += 1
        if self.calls > 1:
            raise ValueError("died")
        return self.does(*args)


def test_a_full_queue_gets_no_more_hints_and_nobody_is_forgotten(engine):
    """All threads wait for endpoints: what is due is asked for when there is room, each lane in its turn."""
    first, second = engine.create(), engine.create(name="second")
    room = [0]
    lookout = Lookout(engine.runtime, room=lambda: room[0])
    for stream in (first, second):
        engine.put(stream.lanes.get().log_key, b"a")
    engine.clock.advance(60_000)
    assert lookout.round() == []
    room[0] = 1
    woken = []
    for _ in range(4):
        woken += lookout.round()
        engine.clock.advance(2_000)
    assert sorted(woken[:2]) == sorted(woken[2:]) == [first.lanes.get().pk, second.lanes.get().pk]


# --- clocks ------------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_stops_nothing(engine):
    stream = engine.create()
    lane = stream.lanes.get()
    lookout = engine.lookout()
    engine.put(lane.log_key, b"a")
    engine.clock.advance(60_000)
    assert lookout.round() == [lane.pk]
    engine.clock.advance(-6 * HOUR_MS)
    assert lookout.round() == [lane.pk]
    engine.slice(lane)
    assert engine.kept.batches == [[b"a"]]


def test_a_failed_batch_does_not_wait_for_a_clock_that_was_set_back(engine):
    stream = engine.create()
    lane = stream.lanes.get()
    engine.put(lane.log_key, b"a")
    engine.clock.advance(60_000)
    engine.kept.failure = DeliveryFailed("S3.Down", "no")
    engine.slice(lane)
    engine.clock.advance(-6 * HOUR_MS)
    assert engine.lookout().round() == [lane.pk]
