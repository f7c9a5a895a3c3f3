"""Ingestion: jobs that put what is kept elsewhere into a stream: the lines of a file, or a time range of another stream.

A job is a row; its checkpoint is in its lease. One slice reads a piece of the source, writes down (pins) what it is
about to put and onto which shards, puts it under a producer name and number, and moves the checkpoint and the row's
progress in one transaction. Whoever repeats a pinned piece puts the same records under the same number, so none is
stored twice (exact_put.py).

Jobs keep within the shards' write limits. They take from buckets of their own process, so a job comes on top of what
producers put through the web processes; a shard then sees at most twice its limit.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from django.db import transaction
from django.db.models import F

from apps.accounts.models import Team
from apps.base.config import Config
from apps.base.units import DAY_MS, SECOND_MS
from apps.billing import spending_hold
from apps.billing.plans import keyed
from apps.billing.spending_hold import PAUSE, PAUSED_TEXT
from apps.capacity import commitment
from apps.encryption.sealed_file import SealedWriter, open_sealed, size_of
from apps.encryption.sealed_text import open_text, seal_text
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.leases.wake import wake
from apps.recordlog.interface import KeyUnavailable, RecordLogError
from apps.runtime import Runtime
from apps.streams import exact_put
from apps.streams.catalog import StreamView, view_of
from apps.streams.errors import (
    InvalidArgumentException,
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
)
from apps.streams.exact_put import TargetGone
from apps.streams.limits import WRITE_BYTES_PER_S, WRITE_RECORDS_PER_S
from apps.streams.models import Ingestion, IngestionKind, IngestionStatus, Stream, StreamStatus
from apps.streams.named import IN_SERVICE
from apps.streams.retention import horizon_ms
from apps.streams.sources import Limits, Lines, Piece, Source, SourceError, StreamRange, extents_of

log = structlog.get_logger(__name__)

PIECE_RECORDS = 2_000
PIECE_BYTES = 2 * 1_048_576
"""One piece ends at whichever comes first (its last record may go over)."""

JOBS_MAX = 20
"""Unfinished jobs of one team."""

FILE_BYTES_MAX = 64 * 2**30
WAIT_MS = SECOND_MS
SETTLED_MS = 2 * SECOND_MS
"""A replay begins so long after the end of its range: appends that were under way then are done."""

LOG_RETRY_MS = 5 * SECOND_MS
PAUSED_MS = 15 * SECOND_MS
"""A job of a team whose writes are paused looks again so long after. What was pinned before is put all the same."""

UNFINISHED = (IngestionStatus.WAITING, IngestionStatus.RUNNING)

Json = dict[str, Any]


# --- asking for a job ------------------------------------------------------------------------------------------------


def upload(config: Config, file: BinaryIO) -> Path:
    """Keep a file under the data directory, encrypted; answers where. Raises OSError, InvalidArgumentException if too large."""
    folder = config.data_path / "imports"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / secrets.token_hex(16)
    try:
        with path.open("xb") as kept:
            sealed = SealedWriter(kept, config.master_key_path)
            while block := file.read(1 << 20):
                sealed.write(block)
                _check_size(sealed.size_bytes)
            sealed.close()
            kept.flush()
            os.fsync(kept.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _check_size(size_bytes: int) -> None:
    if size_bytes > FILE_BYTES_MAX:
        raise InvalidArgumentException(f"A file of more than {FILE_BYTES_MAX} bytes cannot be imported.")


def start_import(
    team: Team, stream_name: str, path: Path, name: str, now_ms: int, key: str = "", key_field: int = 0
) -> Ingestion:
    """Ask for the lines of a file that upload() keeps to be put into a stream. The job removes the file at its end.

    Raises InvalidArgumentException, ResourceNotFoundException, ResourceInUseException, LimitExceededException.
    """
    if key and key_field:
        raise InvalidArgumentException("Give a partition key or the number of a field, not both.")
    if len(key) > 256 or not 0 <= key_field <= 1_000:
        raise InvalidArgumentException("A partition key has at most 256 characters, a field's number is 1 to 1000.")
    sealed_key = seal_text(_master_key_path(), key) if key else ""
    source = {"file": path.name, "name": name[:200], "sealed_key": sealed_key, "key_field": key_field}
    return _start(team, stream_name, IngestionKind.IMPORT, source, size_of(path), now_ms)


def start_replay(team: Team, from_stream: str, to_stream: str, from_ms: int, to_ms: int, now_ms: int) -> Ingestion:
    """Ask for a stream's records that arrived in [from_ms, to_ms] to be put into another one, keys and order kept.

    Raises InvalidArgumentException, ResourceNotFoundException, ResourceInUseException, LimitExceededException.
    """
    if from_stream == to_stream:
        raise InvalidArgumentException("A stream cannot be replayed into itself.")
    to_ms = min(to_ms, now_ms)
    if from_ms > to_ms:
        raise InvalidArgumentException("The time range is empty, or lies in the future.")
    origin = _in_service(team, from_stream)
    source = {"stream": origin.pk, "name": origin.name, "from_ms": max(0, from_ms), "to_ms": to_ms}
    return _start(team, to_stream, IngestionKind.REPLAY, source, 0, now_ms)


def cancel(job: Ingestion, now_ms: int) -> bool:
    """Stop a job after the piece it is at; what it has put stays. False if it has ended already."""
    rows = Ingestion.objects.filter(pk=job.pk, status__in=UNFINISHED)
    changed = rows.update(status=IngestionStatus.CANCELLED, finished_at_ms=now_ms)
    if changed:
        hold.ensure("ingestion", str(job.pk), now_ms)  # the next slice cleans up
        wake("ingestion", str(job.pk))
    return bool(changed)


@lru_cache(maxsize=1)
def _master_key_path() -> Path:
    return Config.from_environment().master_key_path


def _start(team: Team, stream_name: str, kind: str, source: Json, total: int, now_ms: int) -> Ingestion:
    with transaction.atomic():
        Team.objects.select_for_update(no_key=True).get(pk=team.pk)
        target = _in_service(team, stream_name)
        if Ingestion.objects.filter(team=team, status__in=UNFINISHED).count() >= JOBS_MAX:
            raise LimitExceededException(f"The team has {JOBS_MAX} imports and replays under way already.")
        job = Ingestion.objects.create(
            team=team, kind=kind, source=source, target=target, target_name=target.name, total=total,
            created_at_ms=now_ms,
        )  # fmt: skip
        hold.ensure("ingestion", str(job.pk), now_ms)
        wake("ingestion", str(job.pk))
    return job


def _in_service(team: Team, name: str) -> Stream:
    stream = Stream.objects.filter(team=team, name=name).first()
    if stream is None:
        raise ResourceNotFoundException.stream(name, team.account_id)
    if stream.status not in IN_SERVICE:
        raise ResourceInUseException.stream_not_active(name, team.account_id, stream.status)
    return stream


# --- working on it ---------------------------------------------------------------------------------------------------


def advance(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice of the job whose row id is the lease's key."""
    job = Ingestion.objects.select_related("team").filter(pk=int(held.key)).first()
    if job is None or job.status not in UNFINISHED:
        _clean_up(runtime, held, job)
        return Progress.DONE
    try:
        return _work(runtime, held, job, until_ms)
    except (SourceError, TargetGone) as error:
        text = str(error) or f"The stream {job.target_name} was deleted."
        _finish(runtime, held, job, IngestionStatus.FAILED, text)
        return Progress.DONE
    except KeyUnavailable as error:
        log.warning("ingestion_delayed", job=job.pk, error=repr(error.reason))
        Ingestion.objects.filter(pk=job.pk).update(error=f"A stream's key may not be used ({error}); trying again.")
        return runtime.clock.now_ms() + LOG_RETRY_MS
    except RecordLogError as error:
        log.warning("ingestion_delayed", job=job.pk, error=repr(error))
        Ingestion.objects.filter(pk=job.pk).update(error=f"The record log does not answer ({error}); trying again.")
        return runtime.clock.now_ms() + LOG_RETRY_MS


def _work(runtime: Runtime, held: Held, job: Ingestion, until_ms: int) -> Progress | int:
    source = _source(runtime, held, job)
    while source is not None:
        target = _target(job, runtime.clock.now_ms())
        if not target.takes_records:
            return runtime.clock.now_ms() + WAIT_MS
        if target.held == PAUSE and held.pinned is None:
            Ingestion.objects.filter(pk=job.pk).update(error=f"{PAUSED_TEXT} The job waits.")
            return runtime.clock.now_ms() + PAUSED_MS
        piece = _next_piece(runtime, held, source, target)
        if piece is None:
            _finish(runtime, held, job, IngestionStatus.COMPLETE, "")
            return Progress.DONE
        if held.pinned is None:
            return runtime.clock.now_ms() + WAIT_MS
        _put(runtime, held, job, target, piece)
        if not _save(held, job, piece):
            return Progress.MORE
        if runtime.clock.now_ms() >= until_ms:
            return Progress.MORE
    return runtime.clock.now_ms() + WAIT_MS


def _next_piece(runtime: Runtime, held: Held, source: Source, target: StreamView) -> Piece | None:
    """The piece that is pinned, or the next one, which is then pinned if its shards may take more now. None at the
    source's end; a piece that is not pinned has to wait."""
    limits = Limits(PIECE_RECORDS, PIECE_BYTES, target.max_record_bytes)
    if held.pinned is not None:
        whole = Limits(PIECE_RECORDS, 8 * PIECE_BYTES, target.max_record_bytes)
        return source.read(held.checkpoint.get("at", {}), whole, held.pinned["after"])
    piece = source.read(held.checkpoint.get("at", {}), limits)
    if piece is None:
        return None
    shards = [[shard.key, str(shard.start_hash), str(shard.end_hash)] for shard in target.open_shards]
    parts = exact_put.divide(piece.records, _ranges(shards), "")
    if all(_may_take(runtime, target, part.shard) for part in parts):
        hit = {part.shard for part in parts}
        used = shards if len(hit) == len(shards) else _enough(shards, hit)
        hold.pin(held, {"slice": held.checkpoint.get("slice", 0) + 1, "after": piece.after, "shards": used})
    return piece


def _enough(shards: list[list[Any]], hit: set[int]) -> list[list[Any]]:
    """Those that get records: enough to divide the same records again, as every key is in one of them."""
    return [shard for shard in shards if shard[0] in hit]


def _ranges(shards: list[list[Any]]) -> list[exact_put.Range]:
    return [(key, int(start), int(end)) for key, start, end in shards]


def _may_take(runtime: Runtime, target: StreamView, shard: int) -> bool:
    """True while the shard's bucket is less than a second in debt: workers look in every other second."""
    bucket = target.by_key[shard].write_bucket
    records, size_bytes = runtime.throttle.left(bucket, target.write_budget, runtime.clock.now_ms())
    return records > -WRITE_RECORDS_PER_S and size_bytes > -WRITE_BYTES_PER_S


def _put(runtime: Runtime, held: Held, job: Ingestion, target: StreamView, piece: Piece) -> None:
    assert held.pinned is not None
    parts = exact_put.divide(piece.records, _ranges(held.pinned["shards"]), f"{job.kind}-{job.pk}")
    meter_key = keyed(job.kind, target.plan_at(runtime.clock.now_ms()))
    exact_put.put(runtime, parts, held.pinned["slice"], meter_key, target.encryption)
    for part in parts:
        shard = target.by_key.get(part.shard)
        if shard is None:
            continue
        count, counters = len(part.records), runtime.counters
        runtime.throttle.spend(shard.write_bucket, target.write_budget, count, part.size_bytes, runtime.clock.now_ms())
        counters.add(target.team_id, target.key, "IncomingBytes", part.size_bytes)
        counters.add(target.team_id, target.key, "IncomingRecords", count)
        counters.add_shard_write(target.team_id, target.key, shard.index, part.size_bytes, count)


def _save(held: Held, job: Ingestion, piece: Piece) -> bool:
    """Move the checkpoint and the row's progress together. False if the job was cancelled meanwhile."""
    assert held.pinned is not None
    after = {**held.checkpoint, "at": held.pinned["after"], "slice": held.pinned["slice"]}
    with transaction.atomic():
        hold.save_checkpoint(held, after)
        rows = Ingestion.objects.filter(pk=job.pk, status=IngestionStatus.RUNNING)
        return bool(
            rows.update(
                done=piece.done,
                records=F("records") + len(piece.records),
                size_bytes=F("size_bytes") + piece.size_bytes,
                error="",
            )
        )


def _source(runtime: Runtime, held: Held, job: Ingestion) -> Source | None:
    """Where the job reads from; None while it is too early. The first time, this turns the job RUNNING."""
    if job.kind == IngestionKind.IMPORT:
        source = job.source
        _set_running(job, job.total)
        master_key_path = runtime.config.master_key_path
        key = source.get("key", "")  # as jobs of an earlier version have it
        if source.get("sealed_key"):
            key = open_text(master_key_path, source["sealed_key"])
        return Lines(partial(open_sealed, _file(runtime, job), master_key_path), key, source["key_field"])
    if "extents" not in held.checkpoint:
        if runtime.clock.now_ms() < job.source["to_ms"] + SETTLED_MS:
            return None
        hold.save_checkpoint(held, {"extents": _extents(runtime, job)})
    _origin(job)
    replay = StreamRange(runtime, held.checkpoint["extents"])
    _set_running(job, replay.total)
    return replay


def _extents(runtime: Runtime, job: Ingestion) -> list[list[int]]:
    origin = _origin(job)
    shards = list(origin.shards.filter(opened_at_ms__isnull=False, expired_at_ms__isnull=True))
    from_ms = max(job.source["from_ms"], horizon_ms(origin, runtime.clock.now_ms()))
    return extents_of(runtime, shards, from_ms, job.source["to_ms"])


def _origin(job: Ingestion) -> Stream:
    origin = Stream.objects.filter(pk=job.source["stream"], team=job.team_id, status__in=IN_SERVICE).first()
    if origin is None:
        raise SourceError(f"The stream {job.source['name']} was deleted.")
    return origin


def _set_running(job: Ingestion, total: int) -> None:
    if job.status == IngestionStatus.WAITING:
        job.status = IngestionStatus.RUNNING
        waiting = Ingestion.objects.filter(pk=job.pk, status=IngestionStatus.WAITING)
        waiting.update(status=IngestionStatus.RUNNING, total=total)


def _target(job: Ingestion, now_ms: int) -> StreamView:
    """The target as it is now. Raises TargetGone."""
    if job.target_id is None:
        raise TargetGone
    rows = Stream.objects.select_related("team", spending_hold.OF_TEAM)
    stream = rows.filter(pk=job.target_id, team=job.team_id).first()
    if stream is None or stream.status == StreamStatus.DELETING:
        raise TargetGone
    held, committed = spending_hold.on(stream.team, now_ms), commitment.span(commitment.newest(stream.team_id))
    return view_of(stream, stream.shards.all(), held=held, committed=committed)


def _file(runtime: Runtime, job: Ingestion) -> Path:
    return runtime.config.data_path / "imports" / job.source["file"]


def _finish(runtime: Runtime, held: Held, job: Ingestion, status: str, error: str) -> None:
    rows = Ingestion.objects.filter(pk=job.pk, status__in=UNFINISHED)
    rows.update(status=status, error=error, finished_at_ms=runtime.clock.now_ms())
    log.info("ingestion_ended", job=job.pk, status=status, error=error)
    _clean_up(runtime, held, job)


def _clean_up(runtime: Runtime, held: Held, job: Ingestion | None) -> None:
    if job is not None and job.kind == IngestionKind.IMPORT:
        _file(runtime, job).unlink(missing_ok=True)
        sweep_uploads(runtime.config, runtime.clock.now_ms())
    hold.remove(held.kind, held.key)


def sweep_uploads(config: Config, now_ms: int) -> int:
    """Remove files of imports that were given up before the job was asked for; answers how many."""
    unfinished = Ingestion.objects.filter(kind=IngestionKind.IMPORT, status__in=UNFINISHED)
    kept = {source["file"] for source in unfinished.values_list("source", flat=True)}
    swept = 0
    for path in (config.data_path / "imports").glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.name not in kept and path.stat().st_mtime * 1000 < now_ms - DAY_MS:
                path.unlink()
                swept += 1
    return swept
