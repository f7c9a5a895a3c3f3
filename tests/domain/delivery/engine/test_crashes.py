"""Whatever dies wherever: every record is delivered exactly once to a destination that overwrites by name, in order."""

import contextlib
import itertools
import json
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from structlog.testing import capture_logs

from apps.base.clock import FakeClock
from apps.base.units import MIB
from apps.delivery import advancing, delivering, lanes, processing
from apps.delivery.destinations.interface import Delivered, DeliveryFailed, Written
from apps.delivery.models import DeliveryError, Lane, LaneRole
from apps.delivery.processing.interface import Processed
from apps.delivery.record import Failed
from apps.leases import hold
from apps.leases.models import Lease
from apps.recordlog.faulty import FaultyLog
from apps.recordlog.interface import Entry, LogUnavailable
from apps.recordlog.memory import MemoryLog
from tests.support.delivery_rows import make_delivery, s3_description
from tests.support.runtimes import memory_runtime
from tests.support.teams import make_team

RECORDS = 30
TROUBLES = [
    "go on", "destination fails", "unanswered", "dies before the pin", "dies after the pin", "dies at the checkpoint",
    "append fails", "append is unheard of", "update", "later", "stopped for longer than the lease",
]  # fmt: skip


class _Died(BaseException):
    """The process is gone."""


class Objects:
    """A destination like S3: a name has one content, and the last write of it stands."""

    error_type = "processing-failed"

    def __init__(self):
        self.kept = {}
        self.trouble = None
        self.meanwhile = None

    def plan(self, batch):
        return {"key": f"{batch.lane_id}/{batch.first:06d}", "version": self.version}

    def deliver(self, batch):
        trouble, self.trouble = self.trouble, None
        if trouble == "destination fails":
            raise DeliveryFailed("S3.Error", "no")
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        content = [(record.data, record.partition_keys) for piece in batch.pieces() for record in piece]
        self.kept[batch.plan["key"]] = content
        if trouble == "unanswered":
            raise DeliveryFailed("S3.Error", "who knows")
        size = sum(len(data) for data, _ in content)
        return Delivered(len(content), size, [], [Written("b", batch.plan["key"], size, len(content))])

    def failed_extra(self, batch, record):
        return {}


class Fickle:
    """Processors that never answer the same twice: partition, content and failure change from call to call."""

    calls = itertools.count()

    def run(self, records, now_ms):
        answer = Processed([])
        for record in records:
            turn = next(self.calls)
            if turn % 11 == 0:
                answer.failed.append(Failed(record, "processing-failed", "No", "no", 1, now_ms))
                continue
            record.data = record.data.split(b"#")[0] + b"#%d" % turn
            record.partition_keys = {"k": str(turn % 3)}
            answer.records.append(record)
        return answer


class AnyCrash(TestCase):
    """See the module's docstring."""

    @settings(max_examples=5, deadline=None)
    @given(data=st.data(), processed=st.booleans())
    def test_exactly_once(self, data, processed):
        self._example(data, processed)

    @pytest.mark.torture
    @settings(max_examples=150, deadline=None)
    @given(data=st.data(), processed=st.booleans())
    def test_exactly_once_at_length(self, data, processed):
        self._example(data, processed)

    def _example(self, data, processed):
        clock = FakeClock()
        runtime = memory_runtime(clock, throttle=False)
        runtime.record_log = log = FaultyLog(MemoryLog(clock))
        runtime.open_in_thread()
        objects = Objects()
        found = delivering.destination_for, processing.chain_for
        delivering.destination_for = lambda _runtime, target: self._versioned(objects, target)
        processing.chain_for = lambda *_: Fickle()
        try:
            with capture_logs():
                self._run(runtime, clock, log, objects, data, processed)
        finally:
            delivering.destination_for, processing.chain_for = found
            runtime.close_in_thread()

    def _versioned(self, objects, target):
        objects.version = target.version_id
        return objects

    def _run(self, runtime, clock, log, objects, data, processed):
        description = s3_description(BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 60})
        if processed:
            description["DynamicPartitioningConfiguration"] = {"Enabled": True}
        stream = make_delivery(make_team(), status="CREATING", destination=description)
        lanes.activate(runtime, stream)
        source = stream.lanes.get()
        entries = iter(range(RECORDS))
        for trouble in [*data.draw(st.lists(st.sampled_from(TROUBLES), max_size=20)), *["go on", "later"] * 12]:
            for number in itertools.islice(entries, 3):
                payload = b"%04d" % number + (b"x" * (MIB // 5) if not processed else b"")
                runtime.wait_for(log.engine.append([Entry(source.log_key, [None, payload], 1, len(payload), 1)]))
            self._trouble(stream, log, objects, clock, trouble)
            for lane in Lane.objects.order_by("pk"):
                if trouble == "stopped for longer than the lease":
                    objects.meanwhile = partial(self._slice, runtime, lane, "go on")
                self._slice(runtime, lane, trouble)
                objects.meanwhile = None
        self._check(runtime, objects, processed)

    def _trouble(self, stream, log, objects, clock, trouble):
        if trouble in {"destination fails", "unanswered"}:
            objects.trouble = trouble
        if trouble == "append fails":
            log.fail_before("append", LogUnavailable("no"))
        if trouble == "append is unheard of":
            log.fail_after("append", LogUnavailable("lost"))
        if trouble == "later":
            clock.advance(130_000)
        if trouble == "update":
            stream.refresh_from_db()
            stream.version_id += 1
            stream.save(update_fields=["version_id"])
            stream.versions.create(
                version_id=stream.version_id, destination_type=stream.destination_type,
                destination=stream.destination, created_at_ms=clock.now_ms(),
            )  # fmt: skip

    def _slice(self, runtime, lane, trouble):
        Lease.objects.filter(kind="delivery").update(expires_at_ms=0, owner="")
        held = hold.take("delivery", str(lane.pk), "test", 30_000)
        pin, save = hold.pin, hold.save_checkpoint

        def die(*_):
            raise _Died

        def pin_and_die(held, pinned):
            pin(held, pinned)
            raise _Died

        if trouble == "dies before the pin":
            hold.pin = die
        if trouble == "dies after the pin":
            hold.pin = pin_and_die
        if trouble == "dies at the checkpoint":
            hold.save_checkpoint = die
        try:
            with contextlib.suppress(_Died, hold.LeaseLost):
                advancing.advance(runtime, held, runtime.clock.now_ms() + 10_000)
        finally:
            hold.pin, hold.save_checkpoint = pin, save

    def _check(self, runtime, objects, processed):
        assert not Lease.objects.filter(kind="delivery", pinned__isnull=False).exists(), list(
            DeliveryError.objects.values()
        )
        lanes_of = {lane.pk: lane for lane in Lane.objects.all()}
        by_lane = {}
        for key, content in sorted(objects.kept.items()):
            by_lane.setdefault(int(key.split("/")[0]), []).extend(content)
        if not processed:
            [content] = by_lane.values()
            assert [data[:4] for data, _ in content] == [b"%04d" % number for number in range(RECORDS)]
            return
        every = []
        for lane_id, content in by_lane.items():
            lane = lanes_of[lane_id]
            if lane.role == LaneRole.ERRORS:
                every += [b"failed"] * len(content)
                continue
            numbers = [data[:4] for data, _ in content]
            assert numbers == sorted(numbers), "in order within a partition"
            assert {str(sorted((keys or {}).items())) for _, keys in content} == {
                str([tuple(pair) for pair in _label(lane)])
            }
            every += numbers
        assert len(every) == RECORDS
        assert len(set(every) - {b"failed"}) == RECORDS - every.count(b"failed")


def _label(lane):
    return json.loads(lane.label)
