"""A slice of work on a process lane: take records of the source, run the processors, keep their answers in logs of the
delivery stream's own, which further lanes deliver.

The answers of a piece go into all their logs in one append, together with a mark, under a producer number that is the end
of the piece. The piece is pinned before the processors run. So a repeat, whoever makes it, is of the same records, and what
it brings is ignored if the first has been stored: the first answer of a transform stands.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import structlog

from apps.delivery import encryption, error_log, extents, meters, metrics
from apps.delivery.extents import Checkpoint
from apps.delivery.lost import skip_lost, unpin_lost
from apps.delivery.models import Lane, LaneRole
from apps.delivery.partitions import children_of, label_of, marks_log, open_child, room_for
from apps.delivery.processing.configuration import piece_bytes
from apps.delivery.processing.interface import Processed
from apps.delivery.processing.turns import AGAIN_MS as TURN_AGAIN_MS
from apps.delivery.processing.turns import turn
from apps.delivery.reading import RecordsGone, Source, pieces
from apps.delivery.record import Failed, Record
from apps.delivery.settings import partitions, processing
from apps.delivery.staged import key_of
from apps.delivery.targets import target_for
from apps.delivery.trimming import trim_log, trim_marks
from apps.encryption.data_keys import EncryptedStream
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.recordlog.interface import DataKey, Entry, LogUnavailable, UnknownShard
from apps.runtime import Runtime
from apps.streams.catalog import Catalog

log = structlog.get_logger(__name__)

USED_EVERY_MS = 5_000
"""Between two notes in a child's row that its log was written to."""

PIECE_RECORDS = 10_000

PARTITIONS_EXCEEDED = "activePartitionExceeded"
"""AWS's error-output-type of records beyond the number of active partitions."""

Json = dict[str, Any]


class _Child(NamedTuple):
    role: str
    label: str


"""What one log is for."""


class ProcessingLane:
    """One process lane in hand, for one slice."""

    def __init__(self, runtime: Runtime, held: Held, lane: Lane, source: Source) -> None:
        from apps.delivery.processing import chain_for  # late: jq and more, which most slices do not need

        self._runtime = runtime
        self._held = held
        self._lane = lane
        self._stream = lane.delivery_stream
        self._source = source
        self._children = children_of(lane)
        self._target = target_for(runtime, self._stream)
        self._chain = chain_for(runtime, self._target, "stream" if source.shard_id else "direct")
        self._marks = marks_log(runtime, lane)

    def run(self, until_ms: int) -> Progress | int:
        """Piece after piece while there is one."""
        while True:
            if self._held.pinned is None:
                due = self._pin_next()
                if due is not None:
                    return due
            with turn(self._runtime, self._target) as may:
                if not may:
                    return self._now_ms() + TURN_AGAIN_MS
                self._attempt()
            if self._now_ms() >= until_ms:
                return Progress.MORE

    def _now_ms(self) -> int:
        return self._runtime.clock.now_ms()

    def _pin_next(self) -> Progress | int | None:
        checkpoint = Checkpoint.of(self._held.checkpoint)
        found = extents.waiting(self._runtime, self._source.log_key, checkpoint)
        if found.lost:
            checkpoint = skip_lost(self._held, self._lane, checkpoint, found, self._now_ms())
        if found.ended:
            Lane.objects.filter(pk=self._lane.pk).update(ended_at_ms=self._now_ms(), oldest_waiting_ms=None)
            return Progress.DONE
        hints = processing(self._stream.destination_type, self._stream.destination)
        due_ms = extents.due_at_ms(found, checkpoint, hints, self._now_ms())
        if due_ms is None or due_ms > self._now_ms():
            return Progress.DONE if due_ms is None else due_ms
        extent = extents.scan(
            self._runtime,
            self._source,
            found.first,
            min(piece_bytes(self._stream.destination), hints.size_bytes),
            PIECE_RECORDS,
        )
        if extent is None:
            return Progress.DONE
        hold.pin(self._held, extent.pinned())
        return None

    def _attempt(self) -> None:
        """Process what is pinned; or unpin it if retention took a part of it. Raises RecordLogError."""
        try:
            self._process()
        except RecordsGone:
            if not unpin_lost(self._runtime, self._held, self._source.log_key):
                raise

    def _process(self) -> None:
        pinned = self._held.pinned
        assert pinned is not None
        processed = Processed([])
        made = self._stored(pinned["end"])
        if made is None:
            for records in pieces(self._runtime, self._source, pinned["first"], pinned["end"]):
                some = self._chain.run(records, self._now_ms())
                processed.records += some.records
                processed.failed += some.failed
                processed.metrics += some.metrics
                processed.decompressed_bytes += some.decompressed_bytes
                processed.errors += some.errors
            metrics.read_from_source(self._runtime.counters, self._lane, pinned["count"], pinned["data"])
            made = meters.Made.of(processed)
            self._store(processed, pinned["end"], made)
        before = Checkpoint.of(self._held.checkpoint)
        adds = meters.of_processing(self._stream, self._lane, pinned["units"], pinned["data"], made)
        metered = meters.added(before.metered, adds, self._now_ms(), self._stream.metered_to_ms)
        moved = Checkpoint(pinned["end"], before.stored_bytes + pinned["stored"], 0, pinned["arrived"][1], metered)
        hold.save_checkpoint(self._held, moved.kept())
        self._tell(processed)
        if self._lane.failing_since_ms is not None:
            Lane.objects.filter(pk=self._lane.pk).update(failing_since_ms=None)
            self._lane.failing_since_ms = None
        trim_marks(self._runtime, self._marks)
        if not self._source.shard_id:
            trim_log(self._runtime, self._stream, self._source.log_key)

    def _stored(self, end: int) -> meters.Made | None:
        """What was made of the pinned piece if the answers are in their logs already: the newest mark says so."""
        bounds = self._runtime.wait_for(self._runtime.record_log.bounds(self._marks))
        if bounds.next_offset == 1:
            return None
        batch = self._runtime.wait_for(self._runtime.record_log.read(self._marks, bounds.next_offset - 1, 1, 1_000))
        newest = batch.slices[-1].records[-1] if batch.slices else b"0"
        assert isinstance(newest, bytes)
        marked, *made = map(int, newest.split())
        return meters.Made(*made) if marked >= end else None

    def _store(self, processed: Processed, end: int, made: meters.Made) -> None:
        groups = self._grouped(processed)
        now_ms = self._now_ms()
        entries = [self._mark(end, made)]
        for child, flat in groups.items():
            lane = self._children[child.role, child.label]
            entries.append(self._entry(lane.log_key, flat, end))
        size = sum(entry.size_bytes for entry in entries)
        key = self._data_key(size)
        for entry in entries:
            entry.key = key
        try:
            self._runtime.wait_for(self._runtime.record_log.append(entries))
        except UnknownShard:
            hold.confirm(self._held)  # who has lost the lease makes no logs again
            for child in groups:  # a crash came between a row and its log
                self._runtime.wait_for(self._runtime.record_log.create(self._children[child.role, child.label].log_key))
            try:
                self._runtime.wait_for(self._runtime.record_log.append(entries))
            except UnknownShard as error:  # not the source's, which would end the lane
                raise LogUnavailable(str(error)) from error
        used = [self._children[child.role, child.label].pk for child in groups]
        Lane.objects.filter(pk__in=used, used_at_ms__lt=now_ms - USED_EVERY_MS).update(used_at_ms=now_ms)

    def _grouped(self, processed: Processed) -> dict[_Child, list[str | bytes | None]]:
        """Flat records by the log they go to. Partitions too many become failed records."""
        groups: dict[_Child, list[str | bytes | None]] = {}
        room: int | None = None
        failed = processed.failed
        for record in processed.records:
            child = _Child(LaneRole.DELIVER, label_of(record.partition_keys))
            if child not in groups:
                if (child.role, child.label) not in self._children:
                    room = room_for(self._runtime, self._stream) if room is None else room
                    if partitions(self._stream.destination) and room <= 0:
                        failed.append(self._exceeded(record))
                        continue
                    room -= 1
                    self._open(child)
                groups[child] = []
            groups[child] += (key_of(record), record.data)
        for one in failed:
            child = _Child(LaneRole.ERRORS, one.error_type)
            if child not in groups:
                self._open(child)
                groups[child] = []
            groups[child] += (key_of(one.record), one.line())
        return groups

    def _open(self, child: _Child) -> None:
        if (child.role, child.label) not in self._children:
            self._children[child.role, child.label] = open_child(
                self._runtime, self._held, self._lane, child.role, child.label
            )

    def _exceeded(self, record: Record) -> Failed:
        message = f"The delivery stream has its {metrics.PARTITIONS_MAX} active partitions already."
        return Failed(
            record, PARTITIONS_EXCEEDED, "DynamicPartitioning.ActivePartitionExceeded", message, 1, self._now_ms()
        )

    def _mark(self, end: int, made: meters.Made) -> Entry:
        data = " ".join(map(str, (end, *made))).encode()
        return Entry(self._marks, [None, data], 1, len(data), 1, producer=self._producer(end))

    def _entry(self, log_key: int, flat: list[str | bytes | None], end: int) -> Entry:
        size = sum(len(part.encode()) if isinstance(part, str) else len(part or b"") for part in flat)
        return Entry(log_key, flat, len(flat) // 2, size, len(flat) // 2, producer=self._producer(end))

    def _producer(self, end: int) -> tuple[str, int]:
        return f"process/{self._lane.pk}", end

    def _data_key(self, size_bytes: int) -> DataKey | None:
        """What is kept of an encrypted source is encrypted as well."""
        covered = encryption.covering(self._stream) or self._covering_source()
        if covered is None:
            return None
        return self._runtime.wait_for(self._runtime.data_keys.for_append(covered, size_bytes))

    def _covering_source(self) -> EncryptedStream | None:
        source = self._stream.source_stream
        if source is None or not source.encryption_key_arn:
            return None
        catalog = self._runtime.part(Catalog)
        account_id = source.arn.account_id
        view = self._runtime.wait_for(catalog.find(account_id, source.name, self._now_ms()))
        return view.encryption if view is not None else None

    def _tell(self, processed: Processed) -> None:
        for name, value in processed.metrics:
            metrics.count(self._runtime.counters, self._stream.team_id, self._stream.pk, name, value)
        causes: dict[tuple[str, str], list[str]] = {}
        for one in processed.failed:
            causes.setdefault((one.code, one.error_type), []).append(one.message)
        for (code, _), messages in causes.items():
            error_log.note(self._stream.pk, "processing", code, messages[0], self._now_ms(), len(messages))
        for code, message in processed.errors:
            error_log.note(self._stream.pk, "processing", code, message, self._now_ms())
