"""A dry run: a configuration over a few records and what each stage makes of them.

The same processors, prefixes and formats run as in a delivery; transforms are really called. Nothing is written anywhere: the
object that would be is shown, with its key, and so are the lines that would go under the error prefix. If asked to, the
bucket is looked at, which needs no right to write.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from apps.base.units import KIB
from apps.delivery import formats
from apps.delivery.destinations.interface import Batch, DeliveryFailed, Target
from apps.delivery.destinations.s3 import S3Destination, moment_of
from apps.delivery.error_objects import description_of, error_key
from apps.delivery.looking import Seen, hex_dump, seen_in
from apps.delivery.models import DestinationType
from apps.delivery.objects import bucket_of
from apps.delivery.reading import Source, pieces
from apps.delivery.record import Failed, Record
from apps.delivery.role_limits import role_problem
from apps.delivery.s3_client import s3_for
from apps.delivery.settings import converts
from apps.recordlog.interface import RecordLogError, UnknownShard
from apps.streams import sequence
from apps.streams.models import Shard, Stream

if TYPE_CHECKING:
    from apps.runtime import Runtime

Json = dict[str, Any]

RECORDS_MAX: Final = 10
SHOWN_BYTES: Final = 4 * KIB
OUTPUTS_MAX: Final = 50
"""Of one record in one stage: a record may be taken apart into 500."""


@dataclass(slots=True)
class Stage:
    """What one stage made of one record: its outputs as text, or why it failed, or that it was dropped."""

    name: str
    outputs: list[str] = field(default_factory=list)
    more: int = 0
    """Outputs beyond OUTPUTS_MAX."""
    failed: str = ""
    dropped: bool = False


@dataclass(slots=True)
class Ran:
    """One record on its way."""

    data: str
    arrival_ms: int
    stages: list[Stage] = field(default_factory=list)
    partition_keys: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Shown:
    """An object that would be written; error_type: it would hold lines of failed records."""

    bucket: str
    key: str
    records: int
    size_bytes: int
    seen: Seen
    error_type: str = ""


@dataclass(slots=True)
class DryRun:
    """What came of it. problems: sentences about the whole (the bucket, the role, a schema that is not there)."""

    records: list[Ran] = field(default_factory=list)
    objects: list[Shown] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def run(runtime: Runtime, target: Target, records: list[Record], *, from_stream: bool, probe: bool = False) -> DryRun:
    """Take at most RECORDS_MAX records through the configuration that the target has. probe: look at the bucket, too.

    target: as apps/delivery/targets.py makes it, with whatever description is to be tried. Never raises for a record.
    """
    records = [_numbered(record, place) for place, record in enumerate(records[:RECORDS_MAX], 1)]
    found = DryRun([Ran(_text(record.data), record.arrival_ms) for record in records])
    processed, failed = _process(runtime, target, records, found, from_stream=from_stream)
    if target.destination_type == DestinationType.S3:
        failed += _objects(runtime, target, processed, found)
    _failed_objects(runtime, target, failed, found)
    _problems(runtime, target, found, probe=probe)
    return found


def newest_of_stream(runtime: Runtime, stream: Stream) -> list[Record]:
    """The newest records of a data stream, for a delivery stream that is still to be made."""
    shards = Shard.objects.filter(stream=stream, opened_at_ms__isnull=False, closed_at_ms__isnull=True)
    found: list[Record] = []
    for shard in shards.order_by("-pk")[:RECORDS_MAX]:
        fixed = sequence.fixed_part(shard.created_s, shard.index)
        found += _newest(runtime, Source(shard.pk, shard.shard_id, fixed, aggregates=True))
    return sorted(found, key=lambda record: record.arrival_ms)[-RECORDS_MAX:]


def _newest(runtime: Runtime, source: Source) -> list[Record]:
    try:
        bounds = runtime.wait_for(runtime.record_log.bounds(source.log_key))
        first = max(bounds.first_offset, bounds.next_offset - RECORDS_MAX)
        return [one for piece in pieces(runtime, source, first, bounds.next_offset) for one in piece]
    except (UnknownShard, RecordLogError):
        return []


def _numbered(record: Record, ordinal: int) -> Record:
    return Record(
        record.data, record.arrival_ms, ordinal, 0, record.partition_key, record.sequence_number, record.shard_id
    )


# --- the processors --------------------------------------------------------------------------------------------------


def _process(
    runtime: Runtime, target: Target, records: list[Record], found: DryRun, *, from_stream: bool
) -> tuple[list[Record], list[Failed]]:
    """Stage by stage; what came out at the end, and what failed."""
    from apps.delivery.processing.chain import steps_of
    from apps.delivery.processing.work import Item, Work

    work = Work([Item(record) for record in records], runtime.clock.now_ms())
    for step in steps_of(runtime, target, "stream" if from_stream else "direct", trial=True):
        before, failed_before = {item.record.ordinal for item in work.items}, len(work.done.failed)
        if work.items:
            step.run(work)
        failed = {one.record.ordinal: f"{one.code}: {one.message}" for one in work.done.failed[failed_before:]}
        for ordinal in before:
            outputs = [_text(item.record.data) for item in work.items if item.record.ordinal == ordinal]
            stage = Stage(
                _name(step), outputs[:OUTPUTS_MAX], max(0, len(outputs) - OUTPUTS_MAX), failed.get(ordinal, "")
            )
            stage.dropped = not outputs and not stage.failed
            found.records[ordinal - 1].stages.append(stage)
    for item in work.items:
        found.records[item.record.ordinal - 1].partition_keys = item.record.partition_keys or {}
    for code, message in work.done.errors:
        found.problems.append(f"{code}: {message}")
    return [item.record for item in work.items], work.done.failed


def _name(step: object) -> str:
    """A processor, as AWS calls it."""
    return {
        "Decompression": "Decompression",
        "Deaggregation": "RecordDeAggregation",
        "Transforming": "Lambda",
        "MetadataExtraction": "MetadataExtraction",
        "Partitioning": "Dynamic partitioning",
        "Appending": "AppendDelimiterToRecord",
    }.get(type(step).__name__, type(step).__name__)


# --- the objects -----------------------------------------------------------------------------------------------------


def _objects(runtime: Runtime, target: Target, records: list[Record], found: DryRun) -> list[Failed]:
    """One object for each partition; answers the records that failed on the way into one."""
    failed: list[Failed] = []
    by_keys: dict[str, list[Record]] = {}
    for record in records:
        by_keys.setdefault(repr(sorted((record.partition_keys or {}).items())), []).append(record)
    for some in by_keys.values():
        batch = _batch(runtime, some)
        destination = S3Destination(runtime, target)
        try:
            batch.plan = destination.plan(batch)
        except DeliveryFailed as error:
            failed += [_given_up(record, error, batch.now_ms) for record in some]
            found.problems.append(f"{error.code}: {error.message}")
            continue
        failed += _object(target, batch, some, found)
    return failed


def _object(target: Target, batch: Batch, records: list[Record], found: DryRun) -> list[Failed]:
    file = io.BytesIO()
    writer = formats.writer_for(file, target.description, batch.plan["format"], batch.now_ms)
    failed = [*writer.write(records), *writer.finish()]
    size, left = len(file.getvalue()), len(records) - len(failed)
    _note_conversion(target, records, failed, found)
    if left > 0:
        file.seek(0)
        key = batch.plan["key"] + writer.extension
        seen = seen_in(file, key, writer.content_encoding, size)
        found.objects.append(Shown(batch.plan["bucket"], key, left, size, seen))
    return failed


def _note_conversion(target: Target, records: list[Record], failed: list[Failed], found: DryRun) -> None:
    if not converts(target.description):
        return
    why = {(one.record.ordinal, one.record.sub): f"{one.code}: {one.message}" for one in failed}
    for record in records:
        said = why.get((record.ordinal, record.sub), "")
        found.records[record.ordinal - 1].stages.append(Stage("Conversion", [] if said else ["converted"], 0, said))


def _batch(runtime: Runtime, records: list[Record]) -> Batch:
    def read() -> Iterator[list[Record]]:
        yield records

    size = sum(len(record.data) for record in records)
    oldest_ms = min(record.arrival_ms for record in records)
    keys = records[0].partition_keys
    return Batch(
        0, 1, len(records) + 1, len(records), size, oldest_ms, read, runtime.clock.now_ms(), partition_keys=keys
    )


def _given_up(record: Record, error: DeliveryFailed, now_ms: int) -> Failed:
    return Failed(record, error.error_type or S3Destination.error_type, error.code, error.message, 1, now_ms)


def _failed_objects(runtime: Runtime, target: Target, failed: list[Failed], found: DryRun) -> None:
    """What would stand under the error prefix."""
    description = description_of(target)
    for error_type in sorted({one.error_type for one in failed}):
        some = [one for one in failed if one.error_type == error_type]
        batch = _batch(runtime, [one.record for one in some])
        lines = b"".join(one.line() for one in some)
        seen = Seen(
            "text", lines[:SHOWN_BYTES].decode("utf-8", "ignore"), size_bytes=len(lines), cut=len(lines) > SHOWN_BYTES
        )
        key = error_key(target, moment_of(target, description, batch, error_type))
        found.objects.append(Shown(bucket_of(description), key, len(some), len(lines), seen, error_type))


def _problems(runtime: Runtime, target: Target, found: DryRun, *, probe: bool) -> None:
    description = description_of(target)
    role = role_problem(target.team_id, description.get("RoleARN") or "")
    if role:
        found.problems.append(role)
    if not probe:
        return
    try:
        s3_for(runtime, target, bucket_of(description)).head_bucket(bucket_of(description))
    except DeliveryFailed as error:
        found.problems.append(f"{error.code}: {error.message}")


def _text(data: bytes) -> str:
    """A record's data as people can read them, cut."""
    cut = data[:SHOWN_BYTES]
    try:
        return cut.decode() if len(data) <= SHOWN_BYTES else cut.decode("utf-8", "ignore")
    except UnicodeDecodeError:
        return hex_dump(cut[:KIB])
