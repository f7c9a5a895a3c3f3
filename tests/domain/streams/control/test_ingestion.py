"""Imports and replays: every record exactly once, in order per key, whatever dies on the way."""

import contextlib
import io
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from structlog.testing import capture_logs

from apps.base.clock import FakeClock
from apps.base.errors import ServiceError
from apps.base.units import DAY_MS, HOUR_MS, MIB
from apps.billing.models import Budget, SpendingHold
from apps.encryption.sealed_file import size_of
from apps.leases.models import Lease
from apps.recordlog.faulty import FaultyLog
from apps.recordlog.interface import LogFull, LogUnavailable
from apps.recordlog.memory import MemoryLog
from apps.streams import ingestion
from apps.streams.models import Ingestion, Shard
from tests.domain.streams.control.conftest import Control
from tests.support.runtimes import memory_runtime, run_due
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db

ACCOUNT = "123456789012"


def start_import(control, content, stream="s", **options):
    path = ingestion.upload(control.runtime.config, io.BytesIO(content))
    return ingestion.start_import(
        control.stream(stream).team, stream, path, "log.txt", control.clock.now_ms(), **options
    )


def start_replay(control, source="s", target="t", from_ms=0, to_ms=None):
    now_ms = control.clock.now_ms()
    team = control.stream(source).team
    return ingestion.start_replay(team, source, target, from_ms, now_ms if to_ms is None else to_ms, now_ms)


def work(control, job, rounds=200):
    """Let slices run until the job ends, time passing as they want it to."""
    for _ in range(rounds):
        run_due(control.runtime, "ingestion")
        job.refresh_from_db()
        if job.status not in ingestion.UNFINISHED:
            return job
        control.clock.advance(1_000)
    raise AssertionError(f"{job.status} {job.done}/{job.total} {job.error}")


def stored(control, name="s"):
    """(key, data) of everything in a stream, shard after shard."""
    found = []
    for shard in Shard.objects.filter(stream__name=name, opened_at_ms__isnull=False).order_by("index"):
        at = 1
        while True:
            batch = control.runtime.wait_for(control.runtime.record_log.read(shard.pk, at, 10_000, 10 * MIB))
            for part in batch.slices:
                found += zip(part.records[::2], part.records[1::2], strict=True)
            if batch.next_offset >= batch.end_offset:
                break
            at = batch.next_offset
    return found


def by_key(records):
    ordered = defaultdict(list)
    for key, data in records:
        ordered[key].append(data)
    return dict(ordered)


# --- imports ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_uploads_of_others")
def test_every_line_becomes_a_record(control):
    control.create("s", shards=3)
    lines = [b"first", b"", b"\xff\x00 bytes", "zwölf".encode(), b"with return\r", b"last without a feed"]
    job = work(control, start_import(control, b"\n".join(lines)))
    size = len(b"\n".join(lines))
    assert (job.status, job.records, job.done, job.total) == ("COMPLETE", 6, size, size)
    assert job.finished_at_ms == control.clock.now_ms()
    assert sorted(stored(control)) == sorted((str(n + 1), line) for n, line in enumerate(lines))
    assert not list((control.runtime.config.data_path / "imports").iterdir())
    assert not Lease.objects.filter(kind="ingestion").exists()


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({"key": "one"}, ["one", "one", "one", "one"]),
        ({"key_field": 1}, ["GET", "PUT", "GET", "-"]),
        ({"key_field": 2}, ["/a", "/b", "-", "-"]),
        ({}, ["1", "2", "3", "4"]),
    ],
)
def test_where_keys_come_from(control, options, keys):
    control.create("s")
    work(control, start_import(control, b"GET /a x\nPUT  /b\nGET\n\n", **options))
    assert [key for key, _ in stored(control)] == keys


def test_a_long_field_is_cut_to_what_a_key_may_be(control):
    control.create("s")
    work(control, start_import(control, b"x" * 1_000 + b" y\n", key_field=1))
    assert stored(control) == [("x" * 256, b"x" * 1_000 + b" y")]


def test_an_empty_file_is_complete_at_once(control):
    control.create("s")
    job = work(control, start_import(control, b""))
    assert (job.status, job.records) == ("COMPLETE", 0)


def test_order_per_key_and_shards(control):
    control.create("s", shards=4)
    lines = [f"k{n % 7} {n}".encode() for n in range(9_000)]
    job = work(control, start_import(control, b"\n".join(lines), key_field=1))
    assert job.records == 9_000
    for key, data in by_key(stored(control)).items():
        assert data == [line for line in lines if line.startswith(key.encode() + b" ")]


def test_it_keeps_within_the_shards_limits(control):
    control.create("s", shards=1)
    began_ms = control.clock.now_ms()
    work(control, start_import(control, b"x\n" * 20_000))
    seconds = (control.clock.now_ms() - began_ms) / 1000
    assert 14 <= seconds <= 25, "1,000 records a second and shard, and what was saved up"


def test_it_waits_while_a_spent_budget_pauses_the_teams_writes(control):
    control.create("s")
    team, now_ms = control.stream("s").team, control.clock.now_ms()
    budget = Budget.objects.create(team=team, name="b", amount_cents=1, created_at_ms=1, changed_at_ms=1)
    held = SpendingHold.objects.create(team=team, action="pause", budget=budget, since_ms=now_ms)
    job = start_import(control, b"x\ny\n")
    run_due(control.runtime, "ingestion")
    job.refresh_from_db()
    assert (job.status, stored(control)) == ("RUNNING", [])
    assert job.error.endswith("The job waits.")
    held.delete()
    assert (work(control, job).records, job.error) == (2, "")


def test_without_a_throttle_it_does_not_wait(clock, team):
    runtime = memory_runtime(clock, throttle=False)
    runtime.open_in_thread()
    control = Control(runtime, clock, team.principal)
    control.create("s")
    began_ms = clock.now_ms()
    assert work(control, start_import(control, b"x\n" * 20_000)).records == 20_000
    assert clock.now_ms() == began_ms
    runtime.close_in_thread()


@pytest.mark.usefixtures("no_uploads_of_others")
def test_a_line_too_long_ends_it_with_a_sentence_after_the_lines_before(control):
    control.create("s")
    job = work(control, start_import(control, b"good\nfine\n" + b"x" * (MIB + 1) + b"\nnever\n"))
    assert job.status == "FAILED"
    assert job.error == (
        "Line 3 is longer than the 1048576 bytes that a record of the stream may have. The 2 lines before it were "
        "imported."
    )
    assert [data for _, data in stored(control)] == [b"good", b"fine"]
    assert not list((control.runtime.config.data_path / "imports").iterdir())


def test_a_line_of_just_the_limit_goes_in(control):
    control.create("s")
    assert work(control, start_import(control, b"x" * (MIB - 1) + b"\n", key="k")).records == 1


def test_the_target_is_deleted_under_it(control):
    control.create("s")
    job = start_import(control, b"x\n" * 10)
    control("DeleteStream", StreamName="s")
    control.settle()
    job = work(control, job)
    assert (job.status, job.error) == ("FAILED", "The stream s was deleted.")


def test_the_file_is_gone(control):
    control.create("s")
    job = start_import(control, b"x\n")
    (control.runtime.config.data_path / "imports" / job.source["file"]).unlink()
    job = work(control, job)
    assert job.status == "FAILED"
    assert "Import it again" in job.error


@pytest.mark.usefixtures("no_uploads_of_others")
def test_a_cancelled_job_stops_and_leaves_what_it_has_put(control):
    control.create("s")
    job = start_import(control, b"x\n" * 20_000)
    run_due(control.runtime, "ingestion")
    assert ingestion.cancel(job, control.clock.now_ms())
    job = work(control, job)
    assert job.status == "CANCELLED"
    assert 0 < job.records == len(stored(control)) < 20_000
    assert not ingestion.cancel(job, control.clock.now_ms())
    assert not list((control.runtime.config.data_path / "imports").iterdir())
    assert not Lease.objects.filter(kind="ingestion").exists()


def test_a_full_log_is_waited_out_and_said(control):
    control.create("s")
    control.runtime.record_log = log = FaultyLog(control.runtime.record_log)
    log.fail_before("append", LogFull("the disk is full"))
    job = start_import(control, b"x\n")
    with capture_logs():
        run_due(control.runtime, "ingestion")
    job.refresh_from_db()
    assert (job.status, "the disk is full" in job.error) == ("RUNNING", True)
    control.clock.advance(5_000)
    job = work(control, job)
    assert (job.status, job.error, len(stored(control))) == ("COMPLETE", "", 1)


def test_what_cannot_be_asked_for(control, stranger):
    control.create("s")
    team = control.stream().team
    path = ingestion.upload(control.runtime.config, io.BytesIO(b"x"))
    now_ms = control.clock.now_ms()
    for match, arguments in {
        "Stream none under account": (team, "none", path, "f", now_ms),
        "not both": (team, "s", path, "f", now_ms, "k", 3),
        "256 characters": (team, "s", path, "f", now_ms, "k" * 257),
    }.items():
        with pytest.raises(ServiceError, match=match):
            ingestion.start_import(*arguments)
    for match, arguments in {
        "into itself": ("s", "s", 0, now_ms),
        "empty": ("s", "t", now_ms, now_ms - 1),
        "future": ("s", "t", now_ms + 5, now_ms + 9),
        "Stream none": ("none", "s", 0, now_ms),
        "Stream t under": ("s", "t", 0, now_ms),
    }.items():
        with pytest.raises(ServiceError, match=match):
            ingestion.start_replay(team, *arguments, now_ms)
    stranger.create("theirs")
    for source, target in (("theirs", "s"), ("s", "theirs")):
        with pytest.raises(ServiceError, match=f"Stream theirs under account {ACCOUNT} not found"):
            ingestion.start_replay(team, source, target, 0, now_ms, now_ms)
    assert not Ingestion.objects.exists()
    path.unlink()


def test_a_team_has_twenty_jobs_at_once(control, monkeypatch):
    monkeypatch.setattr(ingestion, "JOBS_MAX", 2)
    control.create("s")
    jobs = [start_import(control, b"x\n") for _ in range(2)]
    with pytest.raises(ServiceError, match="2 imports and replays"):
        start_import(control, b"x\n")
    work(control, jobs[0])
    work(control, start_import(control, b"x\n"))


def test_a_file_too_large_is_refused_and_not_kept(control, monkeypatch):
    monkeypatch.setattr(ingestion, "FILE_BYTES_MAX", 10)
    with pytest.raises(ServiceError, match="more than 10 bytes"):
        ingestion.upload(control.runtime.config, io.BytesIO(b"x" * 11))
    path = ingestion.upload(control.runtime.config, io.BytesIO(b"x" * 10))
    assert [size_of(p) for p in path.parent.iterdir() if p.name == path.name] == [10]
    path.unlink()


def test_uploads_that_no_job_was_made_of_are_swept_after_a_day(control):
    import os

    control.create("s")
    old = ingestion.upload(control.runtime.config, io.BytesIO(b"x"))
    young = ingestion.upload(control.runtime.config, io.BytesIO(b"x"))
    job = start_import(control, b"x")
    now_ms = control.clock.now_ms()
    for path, age_ms in ((old, 2 * DAY_MS), (young, HOUR_MS), (old.parent / job.source["file"], 9 * DAY_MS)):
        os.utime(path, (0, (now_ms - age_ms) / 1000))
    assert ingestion.sweep_uploads(control.runtime.config, now_ms) == 1
    assert (old.exists(), young.exists()) == (False, True)
    assert work(control, job).status == "COMPLETE"
    young.unlink()


# --- replays ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def lived(control):
    """s: one shard, split and merged, a record every minute for an hour; t: empty, three shards."""
    control.create("s")
    control.create("t", shards=3)
    control.times = {}
    for minute in range(60):
        index = 0 if minute < 20 else 1 + minute % 2 if minute < 40 else 3
        control.append(control.shard(index), str(minute).encode())
        control.times[minute] = control.clock.now_ms()
        control.clock.advance(60_000)
        if minute == 19:
            control("SplitShard", StreamName="s", ShardToSplit="0", NewStartingHashKey=str(2**127))
            control.settle()
        if minute == 39:
            control("MergeShards", StreamName="s", ShardToMerge="1", AdjacentShardToMerge="2")
            control.settle()
    return control


def test_a_whole_stream_with_its_past_shards(lived):
    job = work(lived, start_replay(lived))
    assert (job.status, job.records, job.done, job.total) == ("COMPLETE", 60, 60, 60)
    assert sorted(int(data) for _, data in stored(lived, "t")) == list(range(60))
    assert {key for key, _ in stored(lived, "t")} == {"k"}
    assert len(stored(lived, "s")) == 60


@pytest.mark.parametrize(("first", "last"), [(0, 59), (10, 10), (15, 25), (39, 41), (59, 59)])
def test_both_ends_of_the_range_are_included(lived, first, last):
    work(lived, start_replay(lived, from_ms=lived.times[first], to_ms=lived.times[last]))
    assert sorted(int(data) for _, data in stored(lived, "t")) == list(range(first, last + 1))


def test_between_two_records(lived):
    work(lived, start_replay(lived, from_ms=lived.times[5] + 1, to_ms=lived.times[6] - 1))
    assert stored(lived, "t") == []


def test_what_comes_after_the_range_is_fixed_is_left_out(lived):
    job = start_replay(lived)
    lived.clock.advance(1)
    lived.append(lived.shard(3), b"later")
    work(lived, job)
    assert b"later" not in [data for _, data in stored(lived, "t")]


def test_what_retention_hides_is_not_replayed(lived):
    lived.clock.set(lived.times[0] + DAY_MS + 29 * 60_000 + 30_000)
    work(lived, start_replay(lived))
    assert sorted(int(data) for _, data in stored(lived, "t")) == list(range(30, 60))


def test_records_trimmed_on_the_way_are_passed_over(lived):
    job = start_replay(lived)
    lived.clock.advance(2_000)
    log = FaultyLog(lived.runtime.record_log)
    lived.runtime.record_log = log
    log.fail_before("append", LogUnavailable("wait"))
    with capture_logs():
        run_due(lived.runtime, "ingestion")
    lived.runtime.wait_for(log.trim(lived.shard(0).pk, lived.times[19] + 1, 10_000))
    lived.clock.advance(5_000)
    job = work(lived, job)
    assert (job.status, job.done, job.total) == ("COMPLETE", 60, 60)
    assert sorted(int(data) for _, data in stored(lived, "t")) == list(range(20, 60))


def test_the_source_is_deleted_under_it(lived):
    job = start_replay(lived)
    lived("DeleteStream", StreamName="s")
    lived.settle()
    job = work(lived, job)
    assert (job.status, job.error) == ("FAILED", "The stream s was deleted.")


def test_a_record_too_large_for_the_target(control):
    control.create("s", MaxRecordSizeInKiB=2048)
    control.create("t")
    control.append(control.shard(), b"small")
    control.append(control.shard(), b"x" * (MIB + 1))
    control.append(control.shard(), b"small too")
    job = work(control, start_replay(control))
    assert (job.status, "1048578 bytes is larger" in job.error) == ("FAILED", True)
    assert [data for _, data in stored(control, "t")] == [b"small"]


# --- crashes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shards", "counts"), [(2, [1]), (1, [2, 1]), (2, [4, 2, 1]), (4, [2, 4]), (1, [2, 4, 2])])
@pytest.mark.parametrize("stored_at_first", [False, True])
def test_parts_of_a_pinned_piece_meet_again_in_a_merged_shard(control, shards, counts, stored_at_first):
    """A piece was pinned, and perhaps put, on shards that are long gone when it is repeated."""
    control.create("s", shards=shards)
    control.runtime.record_log = log = FaultyLog(control.runtime.record_log)
    fail = log.fail_after if stored_at_first else log.fail_before
    fail("append", LogUnavailable("no answer"))
    lines = [f"k{n % 40} {n}".encode() for n in range(200)]
    job = start_import(control, b"\n".join(lines), key_field=1)
    with capture_logs():
        run_due(control.runtime, "ingestion")
    for count in counts:
        control("UpdateShardCount", StreamName="s", TargetShardCount=count, ScalingType="UNIFORM_SCALING")
        control.settle()
    assert work(control, job).status == "COMPLETE"
    assert by_key(stored(control)) == by_key((line.split()[0].decode(), line) for line in lines)


class AnyCrash(TestCase):
    """Slices die before the pin, after it, after the append, after it was only partly learnt of; the target is
    resharded between any two attempts. In the end each line is there once, in order per key."""

    @settings(max_examples=12)
    @given(data=st.data())
    def test_import(self, data):
        import workers.ingestion
        import workers.lifecycle

        assert workers.ingestion
        assert workers.lifecycle
        clock = FakeClock()
        runtime = memory_runtime(clock, throttle=False)
        runtime.record_log = log = FaultyLog(MemoryLog(clock))
        runtime.open_in_thread()
        control = Control(runtime, clock, make_team().principal)
        control.create("s", shards=data.draw(st.integers(1, 3)))
        lines = [f"k{n % 5} {n}".encode() for n in range(60)]
        before = ingestion.PIECE_RECORDS
        ingestion.PIECE_RECORDS = 7
        try:
            with capture_logs():
                job = start_import(control, b"\n".join(lines), key_field=1)
                self._run(control, log, job, data)
            job.refresh_from_db()
            assert (job.status, job.records) == ("COMPLETE", 60)
            # Shard after shard is parents before children: the order in which who follows the lineage sees a key.
            assert by_key(stored(control)) == by_key((line.split()[0].decode(), line) for line in lines)
        finally:
            ingestion.PIECE_RECORDS = before
            runtime.close_in_thread()

    def _run(self, control, log, job, data):
        troubles = ["go on", "append fails", "append is unheard of", "dies at save", "reshard"]
        planned = data.draw(st.lists(st.sampled_from(troubles), max_size=25))
        for what in planned + ["go on"] * 20:
            job.refresh_from_db()
            if job.status not in ingestion.UNFINISHED:
                return
            if what == "reshard":
                self._reshard(control, data.draw(st.booleans()))
                continue
            if what == "append fails":
                log.fail_before("append", LogUnavailable("no"))
            if what == "append is unheard of":
                log.fail_after("append", LogUnavailable("lost"))
            save = ingestion._save
            if what == "dies at save":
                ingestion._save = _die
            try:
                self._one_slice(control, job)
            finally:
                ingestion._save = save
        raise AssertionError("it never ended")

    def _one_slice(self, control, job):
        """One piece at most, as if the worker were stopped after it."""
        from apps.leases import hold

        Lease.objects.filter(kind="ingestion").update(expires_at_ms=0, owner="")
        held = hold.take("ingestion", str(job.pk), "test", 30_000)
        with contextlib.suppress(_Died):
            ingestion.advance(control.runtime, held, until_ms=control.clock.now_ms())

    def _reshard(self, control, grow):
        shards = list(Shard.objects.filter(closed_at_ms__isnull=True, opened_at_ms__isnull=False))
        target = min(2 * len(shards), 4) if grow else (len(shards) + 1) // 2
        if Ingestion.objects.filter(status__in=ingestion.UNFINISHED).exists():
            from apps.streams.models import Stream

            Stream.objects.update(updates_ms=[])
            control("UpdateShardCount", StreamName="s", TargetShardCount=target, ScalingType="UNIFORM_SCALING")
            control.settle()


class _Died(Exception):
    pass


def _die(*_):
    raise _Died
