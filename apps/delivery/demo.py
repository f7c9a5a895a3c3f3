"""Demo data: stock prices as JSON, put into a Direct PUT delivery stream at a chosen rate, with a counter and an end.

One slice a second puts what has become due, in batches as PutRecordBatch takes them. A batch is pinned (its number and
size) before it is put, its records derive from their place, and it is appended under a producer's number: repeated after
a crash it is the same, and stored once.
"""

from __future__ import annotations

import random
from typing import Any, Final

import msgspec
import structlog
from django.db import transaction
from django.db.models import F

from apps.base.errors import ServiceError
from apps.base.units import MINUTE_MS, SECOND_MS
from apps.billing import spending_hold
from apps.billing.spending_hold import PAUSE, PAUSED_TEXT
from apps.delivery import encryption, jobs
from apps.delivery.errors import InvalidArgumentException, ResourceInUseException
from apps.delivery.metrics import count
from apps.delivery.models import (
    DeliveryJob,
    DeliveryStream,
    JobKind,
    JobStatus,
    Lane,
    LogPurpose,
    SourceType,
)
from apps.delivery.trimming import KIND as LANE_KIND
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.leases.wake import wake
from apps.recordlog.interface import DataKey, Entry, RecordLogError, ShardClosed, UnknownShard
from apps.runtime import Runtime

log = structlog.get_logger(__name__)

RATE_MAX: Final = 1_000
"""Records a second."""

RECORDS_MAX: Final = 600_000
LASTS_MS: Final = 10 * MINUTE_MS
"""It ends by itself after so long, whatever is left."""

BATCH_RECORDS: Final = 500
"""As many as one PutRecordBatch takes."""

BATCHES_PER_SLICE: Final = 10
AGAIN_MS: Final = SECOND_MS
LOG_RETRY_MS: Final = 5 * SECOND_MS
METER_KEY: Final = "demo"

STOCKS: Final = (
    ("QXZ", "HEALTHCARE", 84.5), ("TGT", "RETAIL", 61.9), ("DFG", "TECHNOLOGY", 139.3), ("NGC", "HEALTHCARE", 4.8),
    ("WMT", "RETAIL", 79.7), ("ALY", "ENERGY", 89.2), ("CRM", "HEALTHCARE", 32.4), ("KFU", "ENERGY", 31.5),
    ("SLW", "ENERGY", 95.1), ("IOP", "TECHNOLOGY", 121.8), ("PPL", "FINANCIAL", 31.2), ("BNM", "FINANCIAL", 187.6),
)  # fmt: skip
"""Made-up companies: ticker symbol, sector, and the price that theirs stays near."""


def records(job_id: int, first: int, number: int) -> list[bytes]:
    """Records first … first + number - 1 of a job: the same whenever they are asked for. One JSON object a line."""
    return [_record(job_id, place) for place in range(first, first + number)]


def _record(job_id: int, place: int) -> bytes:
    chance = random.Random(job_id << 32 | place)  # noqa: S311 - made-up prices, no secret
    symbol, sector, usual = chance.choice(STOCKS)
    change = round(chance.gauss(0, 0.02) * usual, 2)
    said = {"TICKER_SYMBOL": symbol, "SECTOR": sector, "CHANGE": change, "PRICE": round(usual + change, 2)}
    return msgspec.json.encode(said) + b"\n"


def start(delivery_stream: DeliveryStream, rate: int, total: int, now_ms: int) -> DeliveryJob:
    """Ask for demo data: rate records a second, until total are put or ten minutes are over.

    Raises InvalidArgumentException, ResourceInUseException, LimitExceededException.
    """
    if delivery_stream.source_type != SourceType.DIRECT_PUT:
        raise InvalidArgumentException(
            "Demo data are put into Direct PUT delivery streams; this one reads a data stream."
        )
    if not 1 <= rate <= RATE_MAX:
        raise InvalidArgumentException(f"From 1 to {RATE_MAX} records a second.")
    if not 1 <= total <= RECORDS_MAX:
        raise InvalidArgumentException(f"From 1 to {RECORDS_MAX} records.")
    under_way = DeliveryJob.objects.filter(
        delivery_stream=delivery_stream, kind=JobKind.DEMO, status__in=jobs.UNFINISHED
    )
    if under_way.exists():
        raise ResourceInUseException("Demo data are being sent already.")
    return jobs.start(delivery_stream, JobKind.DEMO, {"rate": rate}, total, now_ms)


def advance(runtime: Runtime, held: Held, job: DeliveryJob, until_ms: int) -> Progress | int:
    """Put what is due, and come again in a second; see jobs.advance."""
    if held.pinned is None and spending_hold.on(job.delivery_stream.team, runtime.clock.now_ms()) == PAUSE:
        DeliveryJob.objects.filter(pk=job.pk).update(error=PAUSED_TEXT)
        return _after(runtime, held, job)
    try:
        for _ in range(BATCHES_PER_SLICE):
            now_ms = runtime.clock.now_ms()
            number = _due(held, job, now_ms)
            if number == 0 or now_ms >= until_ms:
                break
            if not _put(runtime, held, job, number):
                return Progress.MORE  # cancelled meanwhile
    except (UnknownShard, _Gone):
        text = f"{job.delivery_stream.name} was deleted."
        return jobs.finish(held, job, JobStatus.FAILED, text, runtime.clock.now_ms())
    except (RecordLogError, ServiceError) as error:
        log.warning("demo_delayed", job=job.pk, error=repr(error))
        DeliveryJob.objects.filter(pk=job.pk).update(
            error=f"The record log does not take them ({error}); trying again."
        )
        return runtime.clock.now_ms() + LOG_RETRY_MS
    return _after(runtime, held, job)


def _after(runtime: Runtime, held: Held, job: DeliveryJob) -> Progress | int:
    now_ms = runtime.clock.now_ms()
    put = held.checkpoint.get("put", 0)
    if held.pinned is None and (put >= job.total or now_ms >= job.created_at_ms + LASTS_MS):
        return jobs.finish(held, job, JobStatus.COMPLETE, "", now_ms)
    return now_ms + AGAIN_MS


def _due(held: Held, job: DeliveryJob, now_ms: int) -> int:
    """Records of the next batch: what is pinned, or what the rate allows by now."""
    if held.pinned is not None:
        return int(held.pinned["records"])
    passed_ms = min(max(0, now_ms - job.created_at_ms) + SECOND_MS, LASTS_MS)
    allowed = min(job.total, job.parameters["rate"] * passed_ms // SECOND_MS)
    return max(0, min(BATCH_RECORDS, allowed - held.checkpoint.get("put", 0)))


class _Gone(Exception):
    """The delivery stream's log is closed or was never there."""


def _put(runtime: Runtime, held: Held, job: DeliveryJob, number: int) -> bool:
    """One batch. False if the job was cancelled meanwhile."""
    batch = held.checkpoint.get("batch", 0) + 1
    if held.pinned is None:
        hold.pin(held, {"batch": batch, "records": number, "at_ms": runtime.clock.now_ms()})
    put = held.checkpoint.get("put", 0)
    data = records(job.pk, put, number)
    size_bytes = sum(map(len, data))
    log_key = _append(runtime, job, data, size_bytes, batch)
    counters, stream = runtime.counters, job.delivery_stream
    count(counters, stream.team_id, stream.pk, "IncomingBytes", size_bytes)
    count(counters, stream.team_id, stream.pk, "IncomingRecords", number)
    count(counters, stream.team_id, stream.pk, "IncomingPutRequests", 1)
    _wake_lanes(log_key)
    with transaction.atomic():
        hold.save_checkpoint(held, {"put": put + number, "batch": batch})
        rows = DeliveryJob.objects.filter(pk=job.pk, status=JobStatus.RUNNING)
        return bool(rows.update(done=put + number, records=F("records") + number, error=""))


def _append(runtime: Runtime, job: DeliveryJob, data: list[bytes], size_bytes: int, batch: int) -> int:
    """Store the batch in the delivery stream's log, once; the log's key."""
    stream = job.delivery_stream
    kept = stream.logs.filter(purpose=LogPurpose.DIRECT).first()
    if kept is None:
        raise _Gone
    flat: list[str | bytes | None] = [part for one in data for part in (None, one)]
    producer = (f"{METER_KEY}-{job.pk}", batch)
    key = _data_key(runtime, stream, size_bytes)
    entry = Entry(kept.log_key, flat, len(data), size_bytes, len(data), METER_KEY, producer, key)
    answers: list[Any] = runtime.wait_for(runtime.record_log.append([entry]))
    if isinstance(answers[0], ShardClosed):
        raise _Gone
    return kept.log_key


def _data_key(runtime: Runtime, stream: DeliveryStream, size_bytes: int) -> DataKey | None:
    covered = encryption.covering(stream)
    return None if covered is None else runtime.wait_for(runtime.data_keys.for_append(covered, size_bytes))


def _wake_lanes(log_key: int) -> None:
    """Their buffer may be full; they look."""
    for lane in Lane.objects.filter(log_key=log_key, ended_at_ms__isnull=True).values_list("pk", flat=True):
        wake(LANE_KIND, str(lane))
