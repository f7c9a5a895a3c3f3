"""A slice of work on one lane: is a batch due? Pin it, deliver it, move the checkpoint.

What is pinned: the extent, the VersionId, the destination's plan, what it remembered, and how often it was tried. Whoever
comes after a crash finds the pin and does exactly the same again. A failed attempt sets a due time; nobody sleeps. When the
retry duration is over, or trying again cannot help, what is left goes under the error prefix, by the same rules, and the
checkpoint moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F

from apps.base.units import SECOND_MS
from apps.delivery import error_log, error_objects, extents, meters, metrics
from apps.delivery.backoff import backoff_ms
from apps.delivery.destinations import destination_for
from apps.delivery.destinations.interface import (
    Batch,
    Delivered,
    DeliveryFailed,
    Destination,
    KeepsItself,
    NotYet,
    Target,
    Written,
)
from apps.delivery.extents import Checkpoint, Extent
from apps.delivery.lost import skip_lost, unpin_lost
from apps.delivery.models import LOG_KEYS_FROM, DeliveredObject, DestinationType, Lane, LaneRole
from apps.delivery.reading import RecordsGone, Source, pieces
from apps.delivery.record import Failed, Record
from apps.delivery.settings import backup_s3, converts, retry_ms
from apps.delivery.targets import hints_of, part_of, target_for
from apps.delivery.trimming import trim_log
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.recordlog.interface import RecordLogError
from apps.runtime import Runtime

log = structlog.get_logger(__name__)

OBJECTS_KEPT = 100
"""Rows about the newest objects of a delivery stream."""

CONVERSION_FAILED = "format-conversion-failed"
"""AWS's error-output-type of rows that cannot be converted."""

Json = dict[str, Any]


class Delivering:
    """One lane in hand, for one slice."""

    def __init__(self, runtime: Runtime, held: Held, lane: Lane, source: Source) -> None:
        self._runtime = runtime
        self._held = held
        self._lane = lane
        self._stream = lane.delivery_stream
        self._source = source
        self._part = part_of(lane)

    def run(self, until_ms: int) -> Progress | int:
        """Deliver batch after batch while they are due."""
        while True:
            if self._held.pinned is None:
                due = self._pin_next()
                if due is not None:
                    return due
            again_ms = self._attempt()
            if again_ms is not None and again_ms > self._now_ms():
                return again_ms
            if self._now_ms() >= until_ms:
                return Progress.MORE

    def _now_ms(self) -> int:
        return self._runtime.clock.now_ms()

    # --- the next batch ---------------------------------------------------------------------------------------------

    def _pin_next(self) -> Progress | int | None:
        """Pin what is due. Answers None if something is pinned now, else what the slice answers."""
        if self._part == "backup" and backup_s3(self._stream.destination_type, self._stream.destination) is None:
            return Progress.DONE  # there is none any more; advancing.py lets the lane go
        checkpoint = Checkpoint.of(self._held.checkpoint)
        found = extents.waiting(self._runtime, self._source.log_key, checkpoint)
        if found.lost:
            checkpoint = skip_lost(self._held, self._lane, checkpoint, found, self._now_ms())
        if found.ended:
            Lane.objects.filter(pk=self._lane.pk).update(ended_at_ms=self._now_ms(), oldest_waiting_ms=None)
            return Progress.DONE
        hints = hints_of(self._lane)
        now_ms = self._now_ms()
        due_ms = extents.due_at_ms(found, checkpoint, hints, now_ms)
        if due_ms is None or due_ms > now_ms:
            return Progress.DONE if due_ms is None else due_ms
        size = extents.size_bytes(hints, self._lane.role, self._stream.destination_type, found, now_ms)
        extent = extents.scan(self._runtime, self._source, found.first, size)
        if extent is None:
            return Progress.DONE
        aged_ms = extents.aged_at_ms(found, hints, now_ms)
        if not extent.full and now_ms < aged_ms:
            self._look_later(checkpoint, extent, size)
            return aged_ms
        return self._pin(extent)

    def _look_later(self, checkpoint: Checkpoint, extent: Extent, size: int) -> None:
        """What is stored has the size, with keys; its data has not. Look again when it may have."""
        missing = (size - extent.data_bytes) * extent.stored_bytes // max(1, extent.data_bytes)
        look_at = checkpoint.stored_bytes + extent.stored_bytes + max(1, missing)
        hold.save_checkpoint(self._held, replace(checkpoint, look_at_bytes=look_at).kept())

    def _pin(self, extent: Extent) -> int | None:
        """Write down the batch with the destination's plan. Answers when to try again if it cannot be planned now."""
        pinned: Json = {
            **extent.pinned(),
            "version": self._stream.version_id,
            "made": self._now_ms(),
            "attempt": 1,
            "plan": None,
            "state": {},
        }
        hold.pin(self._held, pinned)
        return None

    # --- an attempt -------------------------------------------------------------------------------------------------

    def _attempt(self) -> int | None:
        """Try the pinned batch once. None: it is done, or there is none any more; else when to come again. Raises
        RecordLogError if it cannot be read: no fault of the destination, so nothing is given up for it."""
        try:
            return self._try()
        except RecordsGone:
            # What is left is a batch of another name, since under this one an earlier attempt may have delivered the whole.
            if not unpin_lost(self._runtime, self._held, self._source.log_key):
                raise
            return None

    def _try(self) -> int | None:
        pinned = self._pinned
        target = target_for(self._runtime, self._stream, self._version(pinned), self._part)
        batch = self._batch(pinned)
        destination = destination_for(self._runtime, target)
        try:
            if "gave_up" in pinned:
                return self._give_up(target, destination, batch, pinned["gave_up"], None)
            if pinned["plan"] is None:
                self._change_pin(plan=destination.plan(batch))
                batch.plan = self._pinned["plan"]
            if self._lane.role == LaneRole.DELIVER:
                metrics.read_from_source(self._runtime.counters, self._lane, batch.count, batch.size_bytes)
            delivered = destination.deliver(batch)
            written = self._write_failed(target, destination, batch, delivered)
        except NotYet as not_yet:
            return self._now_ms() + not_yet.look_again_ms
        except DeliveryFailed as failure:
            return self._failed(target, destination, batch, failure)
        except (hold.LeaseLost, RecordLogError):
            raise
        except Exception as error:
            log.exception("delivery_failed", lane=self._lane.pk)
            message = f"The delivery failed inside Tidegate ({type(error).__name__}); its log says more."
            return self._failed(target, destination, batch, DeliveryFailed("InternalError", message))
        self._done(target, delivered, written)
        return None

    def _version(self, pinned: Json) -> int:
        """Under which VersionId it is tried: the pinned one, but that attempts at an HTTP endpoint follow updates of its URL
        and access key (the delivery protocol, "Error response handling"). What names the requests is in the plan."""
        follows = self._part == "destination" and self._stream.destination_type == DestinationType.HTTP
        return self._stream.version_id if follows else int(pinned["version"])

    @property
    def _pinned(self) -> Json:
        assert self._held.pinned is not None
        return self._held.pinned

    def _change_pin(self, **members: Any) -> None:
        hold.pin(self._held, {**self._pinned, **members})

    def _batch(self, pinned: Json) -> Batch:
        batch = Batch(
            self._lane.pk,
            pinned["first"],
            pinned["end"],
            pinned["count"],
            pinned["data"],
            pinned["arrived"][0],
            lambda: self._pieces(pinned),
            self._now_ms(),
            pinned["attempt"],
            plan=pinned["plan"] or {},
            state=pinned["state"],
        )

        def remember(state: Json) -> None:
            self._change_pin(state=state)
            batch.state = state

        batch.remember = remember
        if self._source.staged:
            first = next(self._pieces(pinned), None)
            if first:
                batch.oldest_ms = first[0].arrival_ms
                batch.partition_keys = first[0].partition_keys
        return batch

    def _pieces(self, pinned: Json) -> Iterator[list[Record]]:
        return pieces(self._runtime, self._source, pinned["first"], pinned["end"])

    # --- what failed ------------------------------------------------------------------------------------------------

    def _failed(self, target: Target, destination: Destination, batch: Batch, failure: DeliveryFailed) -> int | None:
        """Write down a failed attempt; when to come again, or None if the batch was given up and is done."""
        now_ms = self._now_ms()
        pinned = self._pinned
        part = "errors" if "gave_up" in pinned else self._part
        error_log.note(self._stream.pk, part, failure.code, failure.message, now_ms)
        self._count_success(target, 0)
        for name, value in failure.metrics:
            self._add(name, value)
        since_ms = pinned.get("failed_since") or now_ms
        # What the first attempt waited was before the clock began.
        waited_ms = pinned["waited"] + failure.waited_ms if "failed_since" in pinned else 0
        Lane.objects.filter(pk=self._lane.pk).update(failing_since_ms=since_ms)
        changes: Json = {"attempt": pinned["attempt"] + 1, "failed_since": since_ms, "waited": waited_ms}
        limit_ms = None if self._part != "destination" else retry_ms(target.destination_type, target.description)
        over = limit_ms is not None and now_ms - since_ms - waited_ms >= limit_ms
        if "gave_up" not in pinned and (failure.permanent or over):
            gave_up = _given_up(failure, pinned["attempt"], now_ms)
            # All of a batch can be given up again after a crash. A part of it is known to this attempt alone, so that
            # one is made again first.
            self._change_pin(**changes, **({"gave_up": gave_up} if failure.remaining is None else {}))
            return self._give_up(target, destination, batch, gave_up, failure.remaining)
        self._change_pin(**changes)
        return now_ms + backoff_ms(pinned["attempt"], batch.identity)

    def _give_up(
        self, target: Target, destination: Destination, batch: Batch, gave_up: Json, remaining: Iterable[Failed] | None
    ) -> int | None:
        """Write what is left under the error prefix, and be done with the batch; else when to come again. remaining: None
        for all of it."""
        error_type = gave_up["error_type"] or destination.error_type
        failed = _Counted(self._lines(destination, batch, gave_up, error_type) if remaining is None else remaining)
        written: list[Written] = []
        try:
            if gave_up["keep"]:
                written = self._write_lines(batch, iter(failed), [error_type])
            elif isinstance(destination, KeepsItself):
                written = destination.given_up(batch)
        except DeliveryFailed as failure:
            now_ms, attempt = self._now_ms(), self._pinned["attempt"]
            error_log.note(self._stream.pk, "errors", failure.code, failure.message, now_ms)
            self._change_pin(attempt=attempt + 1)
            return now_ms + backoff_ms(attempt, batch.identity)
        count = failed.count if gave_up["keep"] else batch.count
        what = "written under the error prefix" if gave_up["keep"] else "not kept, as with AWS"
        if not gave_up["keep"] and isinstance(destination, KeepsItself):
            what = "left in the bucket, and listed under errors/manifests/"
        message = f"Records {what}: {count}; attempts: {gave_up['attempts']}. {gave_up['message']}"
        error_log.note(self._stream.pk, self._part, gave_up["code"], message, self._now_ms(), max(1, count))
        records, size_bytes = gave_up["delivered"]
        self._done(target, Delivered(records, size_bytes), written)
        return None

    def _lines(self, destination: Destination, batch: Batch, gave_up: Json, error_type: str) -> Iterator[Failed]:
        for records in batch.pieces():
            for record in records:
                yield Failed(
                    record, error_type, gave_up["code"], gave_up["message"], gave_up["attempts"], gave_up["ended"],
                    None, destination.failed_extra(batch, record),
                )  # fmt: skip

    def _write_failed(
        self, target: Target, destination: Destination, batch: Batch, delivered: Delivered
    ) -> list[Written]:
        """Records that the destination never takes, of a batch whose others it took. If they cannot be written, these others
        stay delivered, however long that lasts."""
        counted = _Counted(delivered.failed)
        lines = iter(counted)
        first = next(lines, None)
        if first is None:
            return []
        types = [destination.error_type, *([CONVERSION_FAILED] if converts(target.description) else [])]
        try:
            written = self._write_lines(batch, chain([first], lines), types)
        except DeliveryFailed as failure:
            taken = (delivered.records, delivered.size_bytes)
            raise DeliveryFailed(
                failure.code, failure.message, remaining=delivered.failed, delivered=taken
            ) from failure
        for code, (count, message) in counted.causes.items():
            error_log.note(self._stream.pk, self._part, code, message, self._now_ms(), count)
        return written

    def _write_lines(self, batch: Batch, failed: Iterator[Failed], error_types: list[str]) -> list[Written]:
        errors = target_for(self._runtime, self._stream, int(self._pinned["version"]), "errors")
        plan = self._pinned.get("errors_plan") or {"keys": {}}
        if not set(error_types) <= set(plan["keys"]):
            keys = error_objects.plan_failed(errors, error_types, batch)["keys"] | plan["keys"]
            plan = {"keys": keys}
            self._change_pin(errors_plan=plan)
        return error_objects.write_failed(self._runtime, errors, batch.identity, failed, plan)

    # --- the end of a batch -----------------------------------------------------------------------------------------

    def _done(self, target: Target, delivered: Delivered, written: list[Written]) -> None:
        pinned, now_ms = self._pinned, self._now_ms()
        before = Checkpoint.of(self._held.checkpoint)
        moved = Checkpoint(
            pinned["end"],
            before.stored_bytes + pinned["stored"],
            0,
            pinned["arrived"][1],
            self._metered(before.metered or {}, target, pinned, delivered),
        )
        objects = [(self._part, one) for one in delivered.written] + [("errors", one) for one in written]
        with transaction.atomic():
            hold.save_checkpoint(self._held, moved.kept())
            Lane.objects.filter(pk=self._lane.pk).update(
                delivered_records=F("delivered_records") + delivered.records,
                delivered_bytes=F("delivered_bytes") + delivered.size_bytes,
                delivered_at_ms=now_ms,
                failing_since_ms=None,
            )
            self._note_objects(objects, now_ms)
        self._count(target, delivered, pinned)
        if self._stream.channel_id and self._lane.role == LaneRole.DELIVER:
            self._count_of_channel(target, pinned["count"] - delivered.records, bool(written))
        if self._source.log_key >= LOG_KEYS_FROM:
            trim_log(self._runtime, self._stream, self._source.log_key)

    def _metered(self, before: Json, target: Target, pinned: Json, delivered: Delivered) -> Json:
        """What billing counts, cumulative; see meters.py."""
        if self._lane.role != LaneRole.DELIVER:
            return before
        units, data_bytes, now_ms = pinned["units"], pinned["data"], self._now_ms()
        adds = meters.of_batch(self._stream, self._lane, target, units, data_bytes, delivered, now_ms)
        return meters.added(before, adds, now_ms, self._stream.metered_to_ms)

    def _note_objects(self, objects: list[tuple[str, Written]], now_ms: int) -> None:
        if not objects:
            return
        DeliveredObject.objects.bulk_create(
            DeliveredObject(
                delivery_stream_id=self._stream.pk, part=part, bucket=one.bucket, key=one.key,
                size_bytes=one.size_bytes, records=one.records, at_ms=now_ms,
            )
            for part, one in objects
        )  # fmt: skip
        rows = DeliveredObject.objects.filter(delivery_stream_id=self._stream.pk)
        oldest = list(rows.order_by("-pk").values_list("pk", flat=True)[OBJECTS_KEPT - 1 : OBJECTS_KEPT])
        if oldest:
            rows.filter(pk__lt=oldest[0]).delete()

    def _count(self, target: Target, delivered: Delivered, pinned: Json) -> None:
        if self._lane.role == LaneRole.ERRORS:
            return
        self._add(self._metric(target, "Bytes"), delivered.size_bytes)
        self._add(self._metric(target, "Records"), delivered.records)
        self._count_success(target, 1)
        if self._source.staged and self._lane.label:
            self._add("DeliveryToS3.ObjectCount", len(delivered.written))
            span_ms = max(SECOND_MS, pinned["arrived"][1] - pinned["arrived"][0])
            self._add("PerPartitionThroughput", pinned["data"] * SECOND_MS / span_ms)
        for name, value in delivered.metrics:
            self._add(name, value)

    def _count_of_channel(self, target: Target, failed: int, kept_apart: bool) -> None:
        """Of destination lanes: backups of channels there are none."""
        if target.destination_type == DestinationType.S3:
            self._add("DeliveryToS3.FailedRecordCount", failed)
        if kept_apart:
            self._add(self._metric(target, "DLQDeliverySuccess"), 1)

    def _count_success(self, target: Target, value: int) -> None:
        if self._lane.role != LaneRole.ERRORS:
            self._add(self._metric(target, "Success"), value)

    def _metric(self, target: Target, what: str) -> str:
        if self._part == "backup":
            return metrics.backup_metric(self._stream.destination_type, what)
        return metrics.delivery_metric(target.destination_type, what)

    def _add(self, name: str, value: float) -> None:
        metrics.count(self._runtime.counters, self._stream.team_id, self._stream.pk, name, value)


class _Counted:
    """Failed records on their way to the error prefix, counted by cause."""

    def __init__(self, failed: Iterable[Failed]) -> None:
        self._failed = failed
        self.count = 0
        self.causes: dict[str, tuple[int, str]] = {}

    def __iter__(self) -> Iterator[Failed]:
        for one in self._failed:
            self.count += 1
            count, message = self.causes.get(one.code, (0, one.message))
            self.causes[one.code] = (count + 1, message)
            yield one


def _given_up(failure: DeliveryFailed, attempts: int, now_ms: int) -> Json:
    """What the pin says of a batch that is not tried again."""
    return {
        "code": failure.code, "message": failure.message, "error_type": failure.error_type, "attempts": attempts,
        "ended": now_ms, "keep": failure.keep, "delivered": list(failure.delivered),
    }  # fmt: skip
