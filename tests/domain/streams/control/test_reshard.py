"""SplitShard, MergeShards, UpdateShardCount: refusals, lineage, and crashes between any two steps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from structlog.testing import capture_logs

from apps.base.clock import FakeClock
from apps.base.units import DAY_MS, HOUR_MS
from apps.leases.models import Lease
from apps.recordlog.faulty import FaultyLog
from apps.recordlog.interface import LogUnavailable, ShardClosed
from apps.recordlog.memory import MemoryLog
from apps.streams import sequence
from apps.streams.models import Shard, Stream
from apps.streams.topology import HASH_SPACE, even_ranges, partitions
from tests.domain.streams.control.conftest import Control
from tests.support.runtimes import memory_runtime
from tests.support.teams import make_team
from workers import slices

pytestmark = pytest.mark.django_db

ACCOUNT = "123456789012"
IN_S = f"in stream s under account {ACCOUNT}"
HALF = str(HASH_SPACE // 2)


def split(control, shard="shardId-000000000000", at=HALF, name="s"):
    return control("SplitShard", StreamName=name, ShardToSplit=shard, NewStartingHashKey=at)


def merge(control, lower, upper, name="s"):
    return control("MergeShards", StreamName=name, ShardToMerge=lower, AdjacentShardToMerge=upper)


def resize(control, count, name="s"):
    return control("UpdateShardCount", StreamName=name, TargetShardCount=count, ScalingType="UNIFORM_SCALING")


def open_ranges(name="s"):
    rows = Shard.objects.filter(stream__name=name, opened_at_ms__isnull=False, closed_at_ms__isnull=True)
    return sorted((int(row.start_hash), int(row.end_hash)) for row in rows)


# --- split -----------------------------------------------------------------------------------------------------------


def test_a_split_closes_the_parent_and_opens_two_children(control):
    control.create("s")
    control.clock.advance(90_000)
    assert split(control) is None
    assert control.status() == "UPDATING"
    assert control.listed() == [0]
    control.settle()
    assert control.status() == "ACTIVE"
    parent, lower, upper = control("ListShards", StreamName="s")["Shards"]
    assert lower["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": str(int(HALF) - 1)}
    assert upper["HashKeyRange"] == {"StartingHashKey": HALF, "EndingHashKey": str(HASH_SPACE - 1)}
    assert [s["ShardId"] for s in (lower, upper)] == ["shardId-000000000001", "shardId-000000000002"]
    assert {s["ParentShardId"] for s in (lower, upper)} == {"shardId-000000000000"}
    assert "AdjacentParentShardId" not in lower
    assert parent["HashKeyRange"]["EndingHashKey"] == str(HASH_SPACE - 1)
    assert "EndingSequenceNumber" not in lower["SequenceNumberRange"]


def test_numbers_of_parent_and_children(control):
    control.create("s")
    control.clock.advance(90_000)
    split(control)
    control.settle()
    parent, *children = (s["SequenceNumberRange"] for s in control("ListShards", StreamName="s")["Shards"])
    end = sequence.decode(parent["EndingSequenceNumber"])
    assert (end.ordinal, end.second) == (2**63 - 1, control.clock.now_ms() // 1000)
    for child in children:
        start = sequence.decode(child["StartingSequenceNumber"])
        assert (start.created_s, start.ordinal) == (end.second + 1, 0)
        assert int(child["StartingSequenceNumber"]) > int(parent["EndingSequenceNumber"])


def test_the_log_of_the_parent_refuses_and_names_the_children(control):
    control.create("s")
    control.append(control.shard(0), b"before")
    split(control)
    control.settle()
    refused = control.append(control.shard(0), b"after")
    assert isinstance(refused, ShardClosed)
    assert [(s.shard, s.start_hash, s.end_hash) for s in refused.successors] == [
        (control.shard(1).pk, 0, int(HALF) - 1),
        (control.shard(2).pk, int(HALF), HASH_SPACE - 1),
    ]
    assert control.bounds(control.shard(0)).next_offset == 2


@pytest.mark.parametrize("shard", ["shard-0", "x-0", "-0000000000", "0", "shardId-000000000000"])
def test_ids_may_be_spelled_in_many_ways(control, shard):
    control.create("s")
    split(control, shard)
    control.settle()
    assert control.listed() == [0, 1, 2]


@pytest.mark.parametrize("shard", ["ABKLFD8", "2.14E4", "2147483648", "shardId-002147483648", "shard-", "a-b-1"])
def test_the_form_of_an_id_is_checked_before_the_stream(control, shard):
    assert control.refused("SplitShard", StreamName="none", ShardToSplit=shard, NewStartingHashKey="5") == (
        "ResourceNotFoundException",
        f"Could not find shard {shard} in stream none under account {ACCOUNT}.",
    )
    assert control.refused("MergeShards", StreamName="none", ShardToMerge="shardId-0", AdjacentShardToMerge=shard)[
        1
    ].startswith(f"Could not find shard {shard} ")


def test_the_order_of_a_splits_refusals(control):
    ask = {"StreamName": "s", "ShardToSplit": "shard-5", "NewStartingHashKey": "1"}
    assert control.refused("SplitShard", **ask) == (
        "ResourceNotFoundException",
        f"Stream s under account {ACCOUNT} not found.",
    )
    control("CreateStream", StreamName="s", ShardCount=3)
    assert control.refused("SplitShard", **ask) == (
        "ResourceInUseException",
        f"Stream s under account {ACCOUNT} not ACTIVE, instead in state CREATING",
    )
    control.settle()
    assert control.refused("SplitShard", **ask) == (
        "ResourceNotFoundException",
        f"Could not find shard shardId-000000000005 {IN_S}.",
    )
    assert control.refused("SplitShard", **{**ask, "ShardToSplit": "shard-0"}) == (
        "InvalidArgumentException",
        (
            f"NewStartingHashKey 1 used in SplitShard() on shard shardId-000000000000 {IN_S} is not both greater than one "
            "plus the shard's StartingHashKey 0 and less than the shard's EndingHashKey "
            "113427455640312821154458202477256070484."
        ),
    )


def test_the_edges_of_the_split_rule(control):
    control.create("s", shards=3)
    end = 113427455640312821154458202477256070484
    for key in (end, end + 1, HASH_SPACE - 1, HASH_SPACE):
        assert (
            control.refused("SplitShard", StreamName="s", ShardToSplit="0", NewStartingHashKey=str(key))[0]
            == "InvalidArgumentException"
        )
    split(control, "0", str(end - 1))
    control.settle()
    split(control, "3", "2")
    control.settle()
    assert partitions(open_ranges())


def test_a_closed_shard_cannot_be_split_or_merged_again(control):
    control.create("s")
    split(control)
    control.settle()
    text = (
        f"Shard shardId-000000000000 {IN_S} has already been merged or split, and thus is not eligible for merging or "
        "splitting."
    )
    assert control.refused("SplitShard", StreamName="s", ShardToSplit="0", NewStartingHashKey="77") == (
        "InvalidArgumentException",
        text,
    )


def test_only_one_resharding_at_a_time(control):
    control.create("s", shards=2)
    split(control, "0", "77")
    text = f"Stream s under account {ACCOUNT} not ACTIVE, instead in state UPDATING"
    for operation, params in {
        "SplitShard": {"ShardToSplit": "1", "NewStartingHashKey": HALF},
        "MergeShards": {"ShardToMerge": "0", "AdjacentShardToMerge": "1"},
        "UpdateShardCount": {"TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"},
    }.items():
        assert control.refused(operation, StreamName="s", **params) == ("ResourceInUseException", text)


def test_the_quota_holds_for_splits_and_updates(control):
    control.allow(shards=3)
    control.create("s", shards=3)
    assert control.refused("SplitShard", StreamName="s", ShardToSplit="0", NewStartingHashKey="77")[1].startswith(
        f"This request would exceed the shard limit for the account {ACCOUNT} in us-east-1. Current shard count for "
        "the account: 3. Limit: 3. Number of additional shards that would have resulted from this request: 1."
    )
    assert (
        "this request: 2."
        in control.refused("UpdateShardCount", StreamName="s", TargetShardCount=5, ScalingType="UNIFORM_SCALING")[1]
    )
    resize(control, 3)


# --- merge -----------------------------------------------------------------------------------------------------------


def test_a_merge_has_two_parents_that_end_together(control):
    control.create("s", shards=3)
    control.clock.advance(5_000)
    merge(control, "shard-1", "shard-2")
    control.settle()
    first, lower, upper, child = control("ListShards", StreamName="s")["Shards"]
    assert (child["ParentShardId"], child["AdjacentParentShardId"]) == (lower["ShardId"], upper["ShardId"])
    assert child["HashKeyRange"] == {
        "StartingHashKey": lower["HashKeyRange"]["StartingHashKey"],
        "EndingHashKey": upper["HashKeyRange"]["EndingHashKey"],
    }
    ends = [sequence.decode(s["SequenceNumberRange"]["EndingSequenceNumber"]) for s in (lower, upper)]
    start = sequence.decode(child["SequenceNumberRange"]["StartingSequenceNumber"])
    assert ends[0].second == ends[1].second == start.created_s - 1
    assert "EndingSequenceNumber" not in first["SequenceNumberRange"]
    seals = [control.bounds(control.shard(i)).sealed_at_ms for i in (1, 2)]
    assert seals[0] == seals[1] > 0


@pytest.mark.parametrize(("lower", "upper"), [("0", "2"), ("1", "0"), ("2", "0"), ("1", "1")])
def test_only_neighbours_in_order_can_be_merged(control, lower, upper):
    control.create("s", shards=3)
    assert control.refused("MergeShards", StreamName="s", ShardToMerge=lower, AdjacentShardToMerge=upper) == (
        "InvalidArgumentException",
        (
            f"Shards shardId-00000000000{lower} and shardId-00000000000{upper} {IN_S} are not an adjacent pair of shards "
            "eligible for merging"
        ),
    )


def test_closed_neighbours_cannot_be_merged(control):
    control.create("s", shards=2)
    merge(control, "0", "1")
    control.settle()
    assert control.refused("MergeShards", StreamName="s", ShardToMerge="0", AdjacentShardToMerge="1")[1].startswith(
        f"Shard shardId-000000000000 {IN_S} has already been merged or split"
    )
    assert control.refused("MergeShards", StreamName="s", ShardToMerge="0", AdjacentShardToMerge="9") == (
        "ResourceNotFoundException",
        f"Could not find shard shardId-000000000009 {IN_S}.",
    )


# --- UpdateShardCount ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 2), (3, 5), (5, 3), (3, 3), (1, 2), (2, 1), (7, 11)])
def test_any_count_ends_at_even_ranges(control, before, after):
    control.create("s", shards=before)
    assert resize(control, after) == {
        "StreamName": "s",
        "CurrentShardCount": before,
        "TargetShardCount": after,
        "StreamARN": f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s",
    }
    assert control.status() == "UPDATING"
    control.settle()
    assert control.status() == "ACTIVE"
    assert open_ranges() == even_ranges(after)
    assert control("DescribeStreamSummary", StreamName="s")["StreamDescriptionSummary"]["OpenShardCount"] == after
    assert Stream.objects.get().plan == []


def test_the_present_count_evens_the_ranges_out(control):
    control.create("s", shards=2)
    split(control, "0", "77")
    control.settle()
    merge(control, "3", "1")
    control.settle()
    assert open_ranges() != even_ranges(2)
    resize(control, 2)
    control.settle()
    assert open_ranges() == even_ranges(2)


def test_lineage_of_an_update_is_complete(control):
    control.create("s", shards=3)
    resize(control, 5)
    control.settle()
    rows = {shard.index: shard for shard in Shard.objects.all()}
    assert sorted(rows) == list(range(len(rows)))
    for shard in rows.values():
        parents = [rows[i] for i in (shard.parent_index, shard.adjacent_parent_index) if i is not None]
        for parent in parents:
            assert parent.closed_at_ms == shard.opened_at_ms
            assert parent.created_s < shard.created_s
            assert parent.index < shard.index
        if shard.index >= 3:
            assert parents


def test_limits_of_an_update(control):
    control.create("s", shards=5)
    for target, text in {
        11: "UpdateShardCount cannot scale up over double your current open shard count. "
        "Current open shard count: 5 Target shard count: 11",
        2: "UpdateShardCount cannot scale down below half your current open shard count. "
        "Current open shard count: 5 Target shard count: 2",
        10_001: "Target shard count or number of open shards cannot be greater than 10000. "
        "Current open shard count: 5 Target shard count: 10001",
    }.items():
        assert control.refused(
            "UpdateShardCount", StreamName="s", TargetShardCount=target, ScalingType="UNIFORM_SCALING"
        ) == ("LimitExceededException", text)
    resize(control, 3)


def test_ten_updates_within_a_rolling_day(control):
    control.create("s", shards=1)
    for _ in range(10):
        resize(control, 1)
        control.settle()
        control.clock.advance(HOUR_MS)
    assert (
        control.refused("UpdateShardCount", StreamName="s", TargetShardCount=1, ScalingType="UNIFORM_SCALING")[0]
        == "LimitExceededException"
    )
    control.clock.advance(DAY_MS - 10 * HOUR_MS + 1)
    resize(control, 1)
    control.settle()
    assert (
        control.refused("UpdateShardCount", StreamName="s", TargetShardCount=1, ScalingType="UNIFORM_SCALING")[0]
        == "LimitExceededException"
    )


def test_on_demand_streams_are_resharded_by_nobody_else(control):
    control.create("s", shards=None)
    text = f"Request is invalid. Stream s under account {ACCOUNT} is in On-Demand mode."
    for operation, params in {
        "SplitShard": {"ShardToSplit": "0", "NewStartingHashKey": "77"},
        "MergeShards": {"ShardToMerge": "0", "AdjacentShardToMerge": "1"},
        "UpdateShardCount": {"TargetShardCount": 5, "ScalingType": "UNIFORM_SCALING"},
    }.items():
        assert control.refused(operation, StreamName="s", **params) == ("ValidationException", text)


# --- crashes ---------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The worker dies: nobody catches this, nothing is cleaned up."""


def faulty_control(team) -> tuple[Control, FaultyLog]:
    clock = FakeClock()
    runtime = memory_runtime(clock)
    runtime.record_log = log = FaultyLog(MemoryLog(clock))
    runtime.open_in_thread()
    return Control(runtime, clock, team.principal), log


def settle_through_crashes(control: Control, rounds: int = 50) -> int:
    """Let slices run, and come back after each one that died, as a tick does when the lease has run out."""
    crashes = 0
    for _ in range(rounds):
        due = Lease.objects.filter(kind="lifecycle", due_at_ms__isnull=False)
        if not due.exists():
            return crashes
        for key in due.values_list("key", flat=True):
            if slices.run(control.runtime, "lifecycle", key) is None:
                crashes += 1
                Lease.objects.filter(kind="lifecycle", key=key).update(
                    expires_at_ms=0, owner="", due_at_ms=control.clock.now_ms()
                )
    raise AssertionError("it never settled")


class AnyCrash(TestCase):
    """Whatever call of the log fails, before or after it did its work, any number of times: the stream ends right."""

    @settings(max_examples=12)
    @given(
        faults=st.lists(st.tuples(st.sampled_from(["create", "seal"]), st.integers(0, 3), st.booleans()), max_size=6),
        before=st.integers(1, 4),
        data=st.data(),
    )
    def test_resharding(self, faults, before, data):
        import workers.lifecycle

        assert workers.lifecycle
        control, log = faulty_control(make_team())
        try:
            control.create("s", shards=before)
            after = data.draw(st.integers((before + 1) // 2, before * 2))
            resize(control, after)
            for operation, working, stored in faults:
                for _ in range(working):
                    log.repeat(operation, 1)
                fail = log.fail_after if stored else log.fail_before
                fail(operation, LogUnavailable("the worker was killed here"))
            with capture_logs():  # rendering tracebacks is what would take the time here
                settle_through_crashes(control)
            assert control.status() == "ACTIVE"
            assert open_ranges() == even_ranges(after)
            rows = list(Shard.objects.all())
            assert all(row.opened_at_ms is not None for row in rows)
            for row in rows:
                sealed = control.bounds(row).sealed
                assert (sealed is not None) == (row.closed_at_ms is not None)
                if sealed is not None:
                    children = {c.pk for c in rows if row.index in (c.parent_index, c.adjacent_parent_index)}
                    assert {s.shard for s in sealed} == children
        finally:
            control.runtime.close_in_thread()


@pytest.mark.parametrize("step", ["_prepare", "_make_logs", "_carry_out"])
@pytest.mark.parametrize("kind", ["split", "merge"])
def test_a_worker_killed_at_any_step_changes_nothing_in_the_end(control, monkeypatch, step, kind):
    from apps.streams import lifecycle

    control.create("s", shards=2)
    if kind == "split":
        split(control, "0", "77")
    else:
        merge(control, "0", "1")
    works, done = getattr(lifecycle, step), []

    def die(*arguments):
        works(*arguments)
        done.append(step)
        if len(done) == 1:
            raise Killed

    monkeypatch.setattr(lifecycle, step, die)
    with pytest.raises(Killed):
        control.settle()
    assert control.listed() in ([0, 1], [0, 1, 2], [0, 1, 2, 3])
    assert partitions(open_ranges()), "at every moment every key has one open shard"
    Lease.objects.update(expires_at_ms=0, owner="", due_at_ms=control.clock.now_ms())
    control.settle()
    assert control.status() == "ACTIVE"
    assert control.listed() == ([0, 1, 2, 3] if kind == "split" else [0, 1, 2])
    assert partitions(open_ranges())


def test_children_are_hidden_until_the_parent_is_saved_but_the_log_names_them_before(control, monkeypatch):
    from apps.streams import lifecycle

    control.create("s", shards=1)
    split(control)
    seals = control.runtime.record_log.seal

    async def seal_and_die(shards, successors):
        await seals(shards, successors)
        raise LogUnavailable("killed after the seal")

    monkeypatch.setattr(control.runtime.record_log, "seal", seal_and_die)
    with capture_logs():
        assert slices.run(control.runtime, "lifecycle", str(control.stream().pk)) is None
    assert control.listed() == [0]
    assert control.shard(1).opened_at_ms is None
    refused = control.append(control.shard(0), b"x")
    assert [s.shard for s in refused.successors] == [control.shard(1).pk, control.shard(2).pk]
    stored = control.append(control.shard(1), b"x")
    assert stored.first == 1, "a child takes records before clients may know of it"
    monkeypatch.setattr(control.runtime.record_log, "seal", seals)
    control.clock.advance(120_000)
    Lease.objects.update(due_at_ms=control.clock.now_ms())
    control.settle()
    assert control.listed() == [0, 1, 2]
    assert control.shard(1).created_s == control.shard(2).created_s
    assert lifecycle.SHARDS_PER_ROUND


def test_an_overtaken_worker_moves_nothing(control):
    """Two workers hold the same picture of the stream; the slower one's writes find another version."""
    from apps.streams import lifecycle

    control.create("s", shards=1)
    split(control)
    slow = control.stream()
    fast = control.stream()
    lifecycle._reshard(control.runtime, fast)
    lifecycle._reshard(control.runtime, slow)
    assert Shard.objects.count() == 3, "one pair of children"
    slow = control.stream()
    control.settle()
    lifecycle._reshard(control.runtime, slow)
    assert control.status() == "ACTIVE"
    assert control.listed() == [0, 1, 2]
    assert Stream.objects.get().version > slow.version
