"""The engine on the memory log, with a destination that keeps what it gets."""

import pytest

from apps.base.clock import FakeClock
from apps.delivery import advancing, delivering, error_objects, lanes, lookout
from apps.delivery.destinations.interface import Delivered, DeliveryFailed, Written
from apps.delivery.models import Lane
from apps.leases import hold
from apps.leases.models import Lease
from apps.recordlog.interface import Entry
from tests.support.delivery_rows import make_delivery, s3_description
from tests.support.runtimes import memory_runtime
from tests.support.teams import make_team


class Kept:
    """A destination; fails as long as `failure` is set."""

    error_type = "http-endpoint-failed"

    def __init__(self):
        self.batches = []
        self.attempts = 0
        self.failure = None
        self.failed = []

    def plan(self, batch):
        return {"key": batch.identity}

    def deliver(self, batch):
        self.attempts += 1
        if self.failure is not None:
            raise self.failure
        content = [record.data for piece in batch.pieces() for record in piece]
        self.batches.append(content)
        size = sum(map(len, content))
        return Delivered(len(content), size, list(self.failed), [Written("b", batch.plan["key"], size, len(content))])

    def failed_extra(self, batch, record):
        return {"of": record.ordinal}


class Engine:
    """One delivery stream's worth of the engine, driven by hand."""

    def __init__(self, runtime, clock, kept):
        self.runtime, self.clock, self.kept = runtime, clock, kept
        self.team = make_team()
        self.lines = []
        self.trouble = None

    def create(self, *, size_mb=1, interval_s=60, destination_type="ExtendedS3", **fields):
        description = s3_description(
            BufferingHints={"SizeInMBs": size_mb, "IntervalInSeconds": interval_s}, **fields.pop("description", {})
        )
        stream = make_delivery(
            self.team, status="CREATING", destination=description, destination_type=destination_type, **fields
        )
        lanes.activate(self.runtime, stream)
        stream.refresh_from_db()
        return stream

    def put(self, log_key, *records):
        flat = [part for record in records for part in (None, record)]
        size = sum(map(len, records))
        self.runtime.wait_for(self.runtime.record_log.append([Entry(log_key, flat, len(records), size, len(records))]))

    def slice(self, lane=None):
        """One slice of one lane (or of each): what it answered last."""
        answer = None
        for one in [lane] if lane else Lane.objects.order_by("pk"):
            held = hold.take("delivery", str(one.pk), "test", 30_000)
            answer = advancing.advance(self.runtime, held, self.clock.now_ms() + 10_000)
            hold.release(held, answer if isinstance(answer, int) else None)
        return answer

    def lookout(self):
        return lookout.Lookout(self.runtime)

    def checkpoint(self, lane):
        return Lease.objects.get(kind="delivery", key=str(lane.pk)).checkpoint


@pytest.fixture
def engine(db, monkeypatch):
    clock = FakeClock()
    runtime = memory_runtime(clock, throttle=False)
    runtime.open_in_thread()
    kept = Kept()
    found = Engine(runtime, clock, kept)
    monkeypatch.setattr(delivering, "destination_for", lambda _runtime, _target: kept)

    def write_failed(_runtime, _target, _identity, failed, plan):
        failed = list(failed)
        assert {one.error_type for one in failed} <= set(plan["keys"])
        lines = [one.line() for one in failed]
        if found.trouble is not None:
            raise found.trouble
        if found.kept.failure is not None and found.kept.failure.code == "everything":
            raise DeliveryFailed("S3.Down", "no")
        found.lines += lines
        return [Written("b", next(iter(plan["keys"].values())), 1, len(lines))]

    monkeypatch.setattr(
        error_objects,
        "plan_failed",
        lambda _target, types, batch: {"keys": {one: f"errors/{one}/{batch.identity}" for one in types}},
    )
    monkeypatch.setattr(error_objects, "write_failed", write_failed)
    yield found
    runtime.close_in_thread()
