"""Lanes follow their source; what processors answer has logs of its own."""

import json

import pytest

from apps.base.units import MINUTE_MS
from apps.delivery import lanes, lifecycle, partitions, processing
from apps.delivery.models import DeliveryLog, Lane, LaneRole
from apps.delivery.processing.interface import Processed
from apps.delivery.record import Failed
from apps.leases import hold
from apps.recordlog.interface import Entry
from apps.streams.models import Shard, Stream


@pytest.fixture
def source(engine):
    """A data stream of one shard, with a record that was there before the delivery stream."""
    row = Stream.objects.create(
        team=engine.team.team, region="us-east-1", name="s", stream_id="s1", status="ACTIVE", created_at_ms=0
    )
    shard = make_shard(engine, row, 0)
    put(engine, shard, ("k", b"before"))
    engine.clock.advance(1_000)
    return row


def make_shard(engine, row, index, **fields):
    shard = Shard.objects.create(
        stream=row, index=index, start_hash="0", end_hash=str(2**128 - 1), created_s=engine.clock.now_ms() // 1000,
        opened_at_ms=engine.clock.now_ms(), **fields,
    )  # fmt: skip
    engine.runtime.wait_for(engine.runtime.record_log.create(shard.pk))
    return shard


def put(engine, shard, *records):
    flat = [part for key, data in records for part in (key, data)]
    size = sum(len(part) for part in flat)
    engine.runtime.wait_for(engine.runtime.record_log.append([Entry(shard.pk, flat, len(records), size, len(records))]))


def from_stream(engine, source, **fields):
    arn = {"KinesisStreamARN": str(source.arn), "RoleARN": "r"}
    return engine.create(source_type="KinesisStreamAsSource", source_stream=source, source=arn, **fields)


def look_after(engine, stream):
    hold.ensure("delivery-streams", str(stream.pk), 0)
    held = hold.take("delivery-streams", str(stream.pk), "test", 30_000)
    lifecycle.advance(engine.runtime, held, engine.clock.now_ms() + 10_000)
    hold.release(held, None)


def test_what_was_there_before_is_not_delivered(engine, source):
    stream = from_stream(engine, source)
    put(engine, source.shards.get(), ("k", b"after"))
    engine.clock.advance(60_000)
    engine.slice(stream.lanes.get())
    assert engine.kept.batches == [[b"after"]]


def test_children_of_a_reshard_get_lanes_from_their_first_record_and_the_parent_ends(engine, source):
    stream = from_stream(engine, source)
    parent = source.shards.get()
    put(engine, parent, ("k", b"one"))
    engine.clock.advance(1_000)
    engine.runtime.wait_for(engine.runtime.record_log.seal([parent.pk], []))
    Shard.objects.filter(pk=parent.pk).update(closed_at_ms=engine.clock.now_ms())
    child = make_shard(engine, source, 1, parent_index=0)
    put(engine, child, ("k", b"two"))
    look_after(engine, stream)
    look_after(engine, stream)
    assert stream.lanes.count() == 2
    engine.clock.advance(60_000)
    engine.slice()
    engine.slice()
    assert engine.kept.batches == [[b"one"], [b"two"]]
    assert stream.lanes.get(source_shard=0).ended_at_ms is not None
    assert stream.lanes.get(source_shard=1).ended_at_ms is None


def test_a_shard_that_was_closed_before_has_no_lane(engine, source):
    make_shard(engine, source, 7, closed_at_ms=engine.clock.now_ms() - 500)
    stream = from_stream(engine, source)
    assert list(stream.lanes.values_list("source_shard", flat=True)) == [0]


def test_a_source_that_is_gone_ends_its_lanes(engine, source):
    stream = from_stream(engine, source)
    shard = source.shards.get()
    engine.runtime.wait_for(engine.runtime.record_log.drop(shard.pk, 1_000))
    shard.delete()
    engine.slice(stream.lanes.get())
    assert stream.lanes.get().ended_at_ms is not None


def test_the_lookout_sees_new_shards(engine, source, monkeypatch):
    woken = []
    monkeypatch.setattr("apps.delivery.lookout.wake", lambda kind, key: woken.append((kind, key)))
    stream = from_stream(engine, source)
    lookout = engine.lookout()
    lookout.round()
    assert woken == []
    make_shard(engine, source, 1)
    engine.clock.advance(2_000)
    lookout.round()
    assert woken == [("delivery-streams", str(stream.pk))]


# --- process lanes ---------------------------------------------------------------------------------------------------


class Parting:
    """Partitions by the first letter; what begins with ! fails; what begins with - is dropped."""

    def run(self, records, now_ms):
        answer = Processed([])
        for record in records:
            if record.data.startswith(b"!"):
                answer.failed.append(Failed(record, "processing-failed", "No", "no", 1, now_ms))
            elif not record.data.startswith(b"-"):
                record.partition_keys = {"k": record.data[:1].decode()}
                answer.records.append(record)
        return answer


@pytest.fixture
def parting(engine, monkeypatch):
    monkeypatch.setattr(processing, "chain_for", lambda *_: Parting())
    stream = engine.create(description={"DynamicPartitioningConfiguration": {"Enabled": True}})
    return stream, stream.lanes.get()


def test_each_partition_has_a_lane_and_failed_ones_too(engine, parting):
    stream, lane = parting
    engine.put(lane.log_key, b"a1", b"b1", b"!", b"-", b"a2")
    engine.clock.advance(1_000)
    engine.slice(lane)
    children = {(one.role, one.label): one for one in stream.lanes.filter(parent=lane)}
    assert {(role, label) for role, label in children} == {
        ("deliver", '[["k","a"]]'), ("deliver", '[["k","b"]]'), ("errors", "processing-failed"),
    }  # fmt: skip
    engine.clock.advance(60_000)
    engine.slice()
    *parted, failed = sorted(engine.kept.batches)
    assert parted == [[b"a1", b"a2"], [b"b1"]]
    assert json.loads(failed[0])["errorCode"] == "No"


def test_arrival_of_the_source_is_kept_through_the_processors(engine, parting, monkeypatch):
    _, lane = parting
    engine.put(lane.log_key, b"a")
    arrived_ms = engine.clock.now_ms()
    engine.clock.advance(5_000)
    engine.slice(lane)
    seen = []
    monkeypatch.setattr(
        engine.kept, "plan", lambda batch: seen.append((batch.oldest_ms, batch.partition_keys)) or {"key": "k"}
    )
    engine.clock.advance(60_000)
    engine.slice()
    assert seen == [(arrived_ms, {"k": "a"})]


def test_partitions_too_many_go_under_the_error_prefix(engine, parting, monkeypatch):
    stream, lane = parting
    monkeypatch.setattr(partitions, "PARTITIONS_MAX", 2)
    engine.put(lane.log_key, b"a", b"b", b"c", b"a")
    engine.clock.advance(1_000)
    engine.slice(lane)
    assert sorted(stream.lanes.filter(parent=lane).values_list("role", "label")) == [
        ("deliver", '[["k","a"]]'), ("deliver", '[["k","b"]]'), ("errors", "activePartitionExceeded"),
    ]  # fmt: skip


def test_empty_partitions_make_room_when_it_is_needed(engine, parting, monkeypatch):
    stream, lane = parting
    monkeypatch.setattr(partitions, "PARTITIONS_MAX", 2)
    engine.put(lane.log_key, b"a", b"b")
    engine.clock.advance(60_000)
    engine.slice(lane)
    engine.clock.advance(60_000)
    engine.slice()
    engine.put(lane.log_key, b"c")
    engine.clock.advance(60_000)
    engine.slice(lane)
    assert not stream.lanes.filter(role=LaneRole.ERRORS).exists()
    assert stream.lanes.filter(label='[["k","c"]]').exists()


def test_partitions_that_are_long_empty_go_with_their_logs(engine, parting):
    stream, lane = parting
    engine.put(lane.log_key, b"a")
    engine.clock.advance(1_000)
    engine.slice(lane)
    engine.clock.advance(60_000)
    engine.slice()
    before = DeliveryLog.objects.count()
    engine.clock.advance(partitions.IDLE_MS + MINUTE_MS)
    look_after(engine, stream)
    assert not stream.lanes.filter(parent=lane).exists()
    assert DeliveryLog.objects.count() == before - 1
    engine.put(lane.log_key, b"a again")
    engine.clock.advance(1_000)
    engine.slice(lane)
    engine.clock.advance(60_000)
    engine.slice()
    assert engine.kept.batches == [[b"a"], [b"a again"]]


def test_processors_that_are_switched_on_take_over_where_delivery_was(engine, monkeypatch):
    stream = engine.create()
    lane = stream.lanes.get()
    engine.put(lane.log_key, b"plain")
    engine.clock.advance(60_000)
    engine.slice(lane)
    monkeypatch.setattr(processing, "chain_for", lambda *_: Parting())
    stream.destination = {**stream.destination, "DynamicPartitioningConfiguration": {"Enabled": True}}
    stream.save(update_fields=["destination"])
    engine.put(lane.log_key, b"parted")
    engine.clock.advance(1_000)
    engine.slice(lane)
    lane.refresh_from_db()
    assert lane.role == LaneRole.PROCESS
    engine.clock.advance(60_000)
    engine.slice()
    assert engine.kept.batches == [[b"plain"], [b"parted"]]


def test_a_redrive_of_a_stream_has_a_log_beside_the_shards(engine, source):
    stream = from_stream(engine, source)
    key = lanes.redrive_log(engine.runtime, stream)
    assert lanes.redrive_log(engine.runtime, stream) == key
    engine.put(key, b"once more")
    engine.clock.advance(60_000)
    engine.slice(Lane.objects.get(log_key=key))
    assert engine.kept.batches == [[b"once more"]]
