"""Redrive: failed records are read back from under the error prefix and put into the delivery stream once more.

A job goes through the objects of lines that this delivery stream wrote (by the form of their keys), those of one
error-output-type or all, that were last changed in a range of time. What each line has as rawData is appended to the log that
puts go to, or, where the source is a data stream, to one beside its shards. What the processors gave up is kept as it came and
takes the whole way again; what failed later is kept as the processors had made it, and is not transformed a second time.

Each object is taken once, whatever dies meanwhile. It is first copied to the same key under `redriven/`; then its records are
put, an entry at a time: which is pinned, appended under a producer's name and number that derive from the object's key, and
noted; then the object is removed. While an entry is pinned, nothing of the log is trimmed that is newer (trimming.py), so the
log knows an entry that it has stored already. An object that cannot be removed ends the job with a sentence, and is never
taken again.

What arrived before the job was asked for is all that it looks at, so records that fail again are not taken again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest

from apps.base.units import MIB, SECOND_MS
from apps.delivery import encryption, jobs, lanes
from apps.delivery.destinations.interface import DeliveryFailed, Target
from apps.delivery.error_objects import description_of
from apps.delivery.errors import InvalidArgumentException
from apps.delivery.meters import REDRIVE_KEY
from apps.delivery.models import DeliveryJob, DeliveryStream, JobKind, JobStatus, Lane
from apps.delivery.object_file import ObjectFile
from apps.delivery.objects import bucket_of, kms_key_arn
from apps.delivery.prefixes import error_type_of, steady_error_prefix
from apps.delivery.reading import PROCESSED
from apps.delivery.s3_client import LIST_MAX, S3, Listed, s3_for
from apps.delivery.targets import target_for
from apps.delivery.trimming import KIND as LANE_KIND
from apps.delivery.unpacking import Unreadable, lines, packing_of, unpacked
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.leases.wake import wake
from apps.recordlog.interface import DataKey, Entry, RecordLogError, ShardClosed, UnknownShard
from apps.runtime import Runtime

log = structlog.get_logger(__name__)

REDRIVEN: Final = "redriven/"
ENTRY_RECORDS: Final = 1_000
ENTRY_BYTES: Final = MIB
"""One append has at most so many records, and ends with the record that reaches so many bytes."""
LINE_BYTES_MAX: Final = 16 * MIB
"""A record of 10 MiB in base64, and what stands beside it."""
RANGE_BYTES: Final = 4 * MIB
METER_KEY: Final = REDRIVE_KEY
UNITS: Final = 0
"""Nothing is billed a second time: the records were when they first came."""
RENEW_MS: Final = 30 * SECOND_MS
AGAIN_MS: Final = 10 * SECOND_MS
"""After S3 or the log did not answer."""
TRIES_MAX: Final = 30
FOR_GOOD: Final = frozenset({"S3.AccessDenied", "S3.MethodNotAllowed"})
"""Codes of a removal that will not work later either."""
OF_PROCESSING: Final = ("Lambda.", "Decompression failed", "DynamicPartitioning.MetadataExtractionFailed")
"""How the codes of what the processors gave up begin: such lines have the record as it came, all others as it was sent."""
STAYED_MAX: Final = 1_000
COUNTED_PAGES: Final = 20
LOOKED_PAGES: Final = 5
"""So many keys are looked at while somebody waits for a page, LIST_MAX each."""
TYPE: Final = re.compile(r"[A-Za-z0-9-]{1,60}")

Json = dict[str, Any]


class _Cancelled(Exception):
    """Somebody stopped the job."""


class _Stays(Exception):
    """An object cannot be removed; the text says so."""


class _Gone(Exception):
    """The delivery stream's log is not there any more."""


def start(
    delivery_stream: DeliveryStream, now_ms: int, error_type: str = "", from_ms: int = 0, to_ms: int | None = None
) -> DeliveryJob:
    """Ask for failed records to be delivered once more. error_type: AWS's error-output-type; empty: all. from_ms, to_ms: when
    the objects were written, by S3's clock.

    Raises InvalidArgumentException, ResourceInUseException, LimitExceededException.
    """
    to_ms = now_ms if to_ms is None else min(to_ms, now_ms)
    if error_type and not TYPE.fullmatch(error_type):
        raise InvalidArgumentException("That is no error-output-type.")
    if not 0 <= from_ms <= to_ms:
        raise InvalidArgumentException("The time range is empty, or lies in the future.")
    under_way = DeliveryJob.objects.filter(
        delivery_stream=delivery_stream, kind=JobKind.REDRIVE, status__in=jobs.UNFINISHED
    )
    if under_way.exists():
        raise InvalidArgumentException("Failed records are being redriven already.")
    parameters = {"error_type": error_type, "from_ms": from_ms, "to_ms": to_ms}
    return jobs.start(delivery_stream, JobKind.REDRIVE, parameters, 0, now_ms)


@dataclass(frozen=True, slots=True)
class Lying:
    """Objects of failed records that a redrive would take, as far as was looked. is_all: nothing else lies there."""

    objects: list[Listed]
    is_all: bool


def found(runtime: Runtime, delivery_stream: DeliveryStream, error_type: str = "", limit: int = 100) -> Lying:
    """For people: at most so many of the first LOOKED_PAGES pages of LIST_MAX keys. Raises DeliveryFailed."""
    target = target_for(runtime, delivery_stream, part="errors")
    wanted, bucket = _Wanted.of(target, error_type, 0, None), bucket_of(description_of(target))
    s3, stayed = s3_for(runtime, target, bucket), _stayed(delivery_stream)
    objects: list[Listed] = []
    after = ""
    for _ in range(LOOKED_PAGES):
        page = s3.list(bucket, wanted.prefix, after, LIST_MAX)
        objects += [one for one in page if wanted.takes(one) and one.key not in stayed]
        if len(page) < LIST_MAX:
            return Lying(objects[:limit], len(objects) <= limit)
        if len(objects) > limit:
            break
        after = page[-1].key
    return Lying(objects[:limit], is_all=False)


def advance(runtime: Runtime, held: Held, job: DeliveryJob, until_ms: int) -> Progress | int:
    """Object after object; see jobs.advance."""
    try:
        return _Redrive(runtime, held, job).run(until_ms)
    except _Cancelled:
        return Progress.MORE
    except _Stays as stays:
        return jobs.finish(held, job, JobStatus.FAILED, str(stays), runtime.clock.now_ms())
    except (UnknownShard, _Gone):
        text = f"{job.delivery_stream.name} was deleted."
        return jobs.finish(held, job, JobStatus.FAILED, text, runtime.clock.now_ms())
    except (DeliveryFailed, RecordLogError) as error:
        return _again(runtime, held, job, str(error))


def _again(runtime: Runtime, held: Held, job: DeliveryJob, text: str) -> Progress | int:
    """Come back, unless nothing has worked for long. What is pinned stays so."""
    if held.pinned is not None:
        tries = held.pinned.get("tries", 0) + 1
        hold.pin(held, {**held.pinned, "tries": tries})
    else:
        tries = held.checkpoint.get("tries", 0) + 1
        hold.save_checkpoint(held, {**held.checkpoint, "tries": tries})
    if tries >= TRIES_MAX:
        return jobs.finish(held, job, JobStatus.FAILED, text, runtime.clock.now_ms())
    DeliveryJob.objects.filter(pk=job.pk).update(error=f"{text} Trying again.")
    return runtime.clock.now_ms() + AGAIN_MS


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which keys a redrive takes. prefix: what they all begin with."""

    prefix: str
    description: Json
    stream: str
    error_type: str
    from_ms: int
    to_ms: int | None

    @classmethod
    def of(cls, target: Target, error_type: str, from_ms: int, to_ms: int | None) -> _Wanted:
        description = description_of(target)
        prefix = steady_error_prefix(description, error_type)
        return cls(prefix, description, target.name, error_type, from_ms, to_ms)

    def takes(self, one: Listed) -> bool:
        """By its key and time."""
        if one.key.startswith(REDRIVEN) or one.size_bytes == 0 or one.modified_ms < self.from_ms:
            return False
        if self.to_ms is not None and one.modified_ms // 1000 > self.to_ms // 1000:  # S3 counts in seconds
            return False
        found = error_type_of(self.description, self.stream, one.key)
        return found is not None and self.error_type in {"", found}


class _Redrive:
    """One job in hand, for one slice."""

    def __init__(self, runtime: Runtime, held: Held, job: DeliveryJob) -> None:
        self._runtime, self._held, self._job = runtime, held, job
        self._stream = job.delivery_stream
        self._target = target_for(runtime, self._stream, part="errors")
        self._description = description_of(self._target)
        self._bucket = bucket_of(self._description)
        given = job.parameters
        self._wanted = _Wanted.of(
            self._target, given.get("error_type", ""), given.get("from_ms", 0), given.get("to_ms")
        )
        self._s3: S3 = s3_for(runtime, self._target, self._bucket)
        self._renewed_ms = runtime.clock.now_ms()
        self._stayed = _stayed(self._stream)

    def run(self, until_ms: int) -> Progress | int:
        log_key = lanes.redrive_log(self._runtime, self._stream)
        if "counted" not in self._held.checkpoint and self._held.pinned is None:
            self._count()
        while True:
            page = self._s3.list(self._bucket, self._wanted.prefix, self._held.checkpoint.get("after", ""), LIST_MAX)
            for one in page:
                if self._wanted.takes(one) and one.key not in self._stayed:
                    self._object(one, log_key)
                    if self._runtime.clock.now_ms() >= until_ms:
                        return Progress.MORE
            if len(page) < LIST_MAX:
                return self._finish(JobStatus.COMPLETE, self._left_out())
            hold.save_checkpoint(self._held, {**self._kept(), "after": page[-1].key})

    def _count(self) -> None:
        """How many objects there are, for people; of very many the first ones."""
        total, after = 0, ""
        for _ in range(COUNTED_PAGES):
            page = self._s3.list(self._bucket, self._wanted.prefix, after, LIST_MAX)
            total += sum(self._wanted.takes(one) and one.key not in self._stayed for one in page)
            if len(page) < LIST_MAX:
                break
            after = page[-1].key
        DeliveryJob.objects.filter(pk=self._job.pk).update(total=total)
        hold.save_checkpoint(self._held, {**self._held.checkpoint, "counted": True})

    def _finish(self, status: str, text: str) -> Progress:
        return jobs.finish(self._held, self._job, status, text, self._runtime.clock.now_ms())

    def _left_out(self) -> str:
        bad = self._held.checkpoint.get("bad_lines", 0)
        return f"{bad} lines that hold no record were left out." if bad else ""

    def _kept(self) -> Json:
        """What every checkpoint goes on with."""
        before = self._held.checkpoint
        return {name: before[name] for name in ("after", "bad_lines", "counted") if name in before}

    def _object(self, one: Listed, log_key: int) -> None:
        """Copy one object, put its records, remove it."""
        begun = self._held.checkpoint.get("key") == one.key
        done = self._held.checkpoint.get("entries", 0) if begun else 0
        if not done and self._held.pinned is None:
            self._s3.copy(self._bucket, one.key, REDRIVEN + one.key, kms_key_arn=kms_key_arn(self._description))
        reading = _Reading(ObjectFile(self._s3, self._bucket, one.key, range_bytes=RANGE_BYTES), one.key)
        try:
            for number, some in enumerate(_entries(reading.records()), 1):
                if number > done:
                    self._put(log_key, one.key, number, some)
                self._keep_on()
        except Unreadable as error:
            log.warning("redrive_unreadable", job=self._job.pk, error=str(error))
            reading.bad_lines += 1
        _wake_lanes(log_key)
        self._remove(one.key if reading.put else REDRIVEN + one.key)  # what held no record stays for people to look at
        with transaction.atomic():
            bad = self._held.checkpoint.get("bad_lines", 0) + reading.bad_lines
            hold.save_checkpoint(self._held, {"counted": True, "after": one.key, "bad_lines": bad})
            rows = DeliveryJob.objects.filter(pk=self._job.pk, status=JobStatus.RUNNING)
            total = Greatest(F("total"), F("done") + 1)
            rows.update(done=F("done") + 1, total=total, records=F("records") + reading.put, error="")

    def _put(self, log_key: int, key: str, number: int, records: list[_Put]) -> None:
        """One entry: pinned, stored once, noted."""
        if self._held.pinned is None:
            hold.pin(self._held, {"entry": number, "at_ms": self._runtime.clock.now_ms()})
        producer = f"{METER_KEY}/{hashlib.sha256(f'{self._bucket}/{key}'.encode()).hexdigest()[:40]}"
        self._append(log_key, records, (producer, number))
        hold.save_checkpoint(self._held, {**self._kept(), "key": key, "entries": number})

    def _remove(self, key: str) -> None:
        """Raises _Stays, once the job's row knows that the object is done."""
        try:
            self._s3.delete(self._bucket, key)
        except DeliveryFailed as error:
            if error.code not in FOR_GOOD:
                raise
            parameters = {**self._job.parameters, "stayed": key}
            DeliveryJob.objects.filter(pk=self._job.pk).update(parameters=parameters)
            text = f"The records of {key} are put once more, but it cannot be removed: {error.message} It is not taken again."
            raise _Stays(text) from error

    def _keep_on(self) -> None:
        """Hold on to the lease while an object is long, and see whether somebody stopped the job."""
        now_ms = self._runtime.clock.now_ms()
        if now_ms - self._renewed_ms >= SECOND_MS:
            hold.renew(self._held, RENEW_MS)
            self._renewed_ms = now_ms
            if not DeliveryJob.objects.filter(pk=self._job.pk, status=JobStatus.RUNNING).exists():
                raise _Cancelled

    def _append(self, log_key: int, records: list[_Put], producer: tuple[str, int]) -> None:
        flat: list[str | bytes | None] = [
            part for one in records for part in (PROCESSED if one.processed else None, one.data)
        ]
        size_bytes = sum(len(one.data) + len(PROCESSED) * one.processed for one in records)
        entry = Entry(log_key, flat, len(records), size_bytes, UNITS, METER_KEY, producer, self._key(size_bytes))
        answers: list[Any] = self._runtime.wait_for(self._runtime.record_log.append([entry]))
        if isinstance(answers[0], ShardClosed):
            raise _Gone

    def _key(self, size_bytes: int) -> DataKey | None:
        covered = encryption.covering(self._stream)
        return (
            None if covered is None else self._runtime.wait_for(self._runtime.data_keys.for_append(covered, size_bytes))
        )


def _stayed(stream: DeliveryStream) -> frozenset[str]:
    """Keys that earlier jobs were done with and could not remove."""
    rows = stream.jobs.filter(kind=JobKind.REDRIVE, status=JobStatus.FAILED).order_by("-pk")[:STAYED_MAX]
    return frozenset(row.parameters["stayed"] for row in rows if "stayed" in row.parameters)


class _Line(msgspec.Struct):
    rawData: str  # noqa: N815 - AWS's name
    errorCode: str = ""  # noqa: N815


class _Put(NamedTuple):
    """What is put once more. processed: the data had been through the processors."""

    data: bytes
    processed: bool


class _Reading:
    """The records in an object of lines. put: how many; bad_lines: how many lines held none."""

    def __init__(self, file: ObjectFile, key: str) -> None:
        self._file = file
        self._packing = packing_of(key, file.content_encoding)
        self._decode = msgspec.json.Decoder(_Line).decode
        self.put = 0
        self.bad_lines = 0

    def records(self) -> Iterator[_Put]:
        for line in lines(unpacked(self._file, self._packing), LINE_BYTES_MAX):
            try:
                said = self._decode(line)
                data = base64.b64decode(said.rawData, validate=True)
            except (msgspec.DecodeError, UnicodeError, binascii.Error):
                self.bad_lines += 1
                continue
            self.put += 1
            yield _Put(data, not said.errorCode.startswith(OF_PROCESSING))


def _entries(records: Iterator[_Put]) -> Iterator[list[_Put]]:
    """The same ones for the same object, whenever it is read."""
    some: list[_Put] = []
    size_bytes = 0
    for one in records:
        some.append(one)
        size_bytes += len(one.data)
        if len(some) >= ENTRY_RECORDS or size_bytes >= ENTRY_BYTES:
            yield some
            some, size_bytes = [], 0
    if some:
        yield some


def _wake_lanes(log_key: int) -> None:
    for lane in Lane.objects.filter(log_key=log_key, ended_at_ms__isnull=True).values_list("pk", flat=True):
        wake(LANE_KIND, str(lane))
