"""Demo data: the rate, the end, a repeat that stores nothing, and what stops it."""

import json

import pytest

from apps.base.errors import ServiceError
from apps.delivery import demo, jobs
from apps.delivery.models import DeliveryJob, DeliveryLog
from apps.leases import hold
from apps.leases.models import Lease
from tests.support.delivery_rows import make_delivery
from tests.support.runtimes import run_due


@pytest.fixture
def delivery(team, runtime):
    row = make_delivery(team)
    kept = DeliveryLog.objects.create(delivery_stream=row, purpose="direct", created_at_ms=1)
    runtime.wait_for(runtime.record_log.create(kept.log_key))
    return row


def work(runtime):
    return run_due(runtime, "delivery-jobs", "delivery_jobs")


def stored(runtime, delivery):
    key = delivery.logs.get(purpose="direct").log_key
    found = runtime.wait_for(runtime.record_log.read(key, 1, 100_000, 32 << 20))
    return [data for piece in found.slices for data in piece.records[1::2]]


def test_a_second_at_a_time_until_all_are_put(delivery, runtime):
    job = demo.start(delivery, 700, 1_600, runtime.clock.now_ms())
    put = []
    for _ in range(4):
        work(runtime)
        job.refresh_from_db()
        put.append(job.records)
        runtime.clock.advance(1_000)
    assert put == [700, 1_400, 1_600, 1_600]
    assert job.status == "COMPLETE"
    assert job.finished_at_ms
    assert not Lease.objects.filter(kind="delivery-jobs").exists()
    assert len(stored(runtime, delivery)) == 1_600


def test_records_are_what_the_page_promises(delivery, runtime):
    demo.start(delivery, 50, 50, runtime.clock.now_ms())
    work(runtime)
    lines = [json.loads(data) for data in stored(runtime, delivery)]
    assert all(set(line) == {"TICKER_SYMBOL", "SECTOR", "CHANGE", "PRICE"} for line in lines)
    assert len({line["TICKER_SYMBOL"] for line in lines}) > 5
    assert all(data.endswith(b"\n") for data in stored(runtime, delivery))


def test_a_batch_whose_worker_died_is_stored_once(delivery, runtime, monkeypatch):
    job = demo.start(delivery, 100, 100, runtime.clock.now_ms())
    real = hold.save_checkpoint

    def dies(*_):
        raise RuntimeError("killed")

    monkeypatch.setattr(hold, "save_checkpoint", dies)
    work(runtime)
    assert len(stored(runtime, delivery)) == 100
    assert DeliveryJob.objects.get().records == 0
    monkeypatch.setattr(hold, "save_checkpoint", real)
    runtime.clock.advance(10_000)
    work(runtime)
    job.refresh_from_db()
    assert (job.status, job.records, len(stored(runtime, delivery))) == ("COMPLETE", 100, 100)


def test_it_stops_when_told_and_ends_by_itself(delivery, runtime):
    job = demo.start(delivery, 10, 100_000, runtime.clock.now_ms())
    work(runtime)
    assert jobs.cancel(job, runtime.clock.now_ms())
    assert not jobs.cancel(job, runtime.clock.now_ms())
    runtime.clock.advance(60_000)
    work(runtime)
    assert len(stored(runtime, delivery)) == 10
    later = demo.start(delivery, 1, 100_000, runtime.clock.now_ms())
    runtime.clock.advance(demo.LASTS_MS + 1)
    work(runtime)
    later.refresh_from_db()
    assert (later.status, later.records) == ("COMPLETE", 600)


def test_a_delivery_stream_that_goes_ends_it(delivery, runtime):
    job = demo.start(delivery, 10, 100, runtime.clock.now_ms())
    type(delivery).objects.update(status="DELETING")
    work(runtime)
    job.refresh_from_db()
    assert (job.status, job.error) == ("FAILED", "ticker is not active any more.")


@pytest.mark.parametrize(
    ("fields", "rate", "total"),
    [
        ({"source_type": "KinesisStreamAsSource"}, 10, 100),
        ({"status": "CREATING"}, 10, 100),
        ({}, 0, 100),
        ({}, 1_001, 100),
        ({}, 10, 0),
        ({}, 10, 600_001),
    ],
)
def test_what_cannot_be_is_refused(team, runtime, fields, rate, total):
    with pytest.raises(ServiceError):
        demo.start(make_delivery(team, **fields), rate, total, 1)
    assert not DeliveryJob.objects.exists()


def test_once_at_a_time(delivery, runtime):
    demo.start(delivery, 10, 100, runtime.clock.now_ms())
    with pytest.raises(ServiceError, match="already"):
        demo.start(delivery, 10, 100, runtime.clock.now_ms())
