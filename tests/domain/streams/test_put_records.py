"""PutRecord and PutRecords: places, numbers, limits, and what happens while shards are closed under them."""

import asyncio

import pytest

from apps.accounts.principal import Principal
from apps.base.errors import AccessDeniedException, InternalFailure, ServiceUnavailable, ValidationException
from apps.base.units import MIB
from apps.recordlog.interface import LogFull, LogUnavailable
from apps.streams import sequence
from apps.streams.errors import (
    DryRunOperationException,
    InvalidArgumentException,
    ProvisionedThroughputExceededException,
    ResourceNotFoundException,
)
from apps.streams.models import Shard, Stream
from tests.support.stream_rows import create_log, make_stream, prepare_children, seal, tell_rows

pytestmark = pytest.mark.django_db(transaction=True)

ACCOUNT = "123456789012"
HALF = 2**127


@pytest.fixture
def four(team):
    return make_stream(team.team, "s", shards=4)


@pytest.fixture
def one(team):
    return make_stream(team.team, "s", shards=1)


async def opened(make_plane, team, *streams, **settings):
    plane = await make_plane(team.principal, **settings)
    for stream in streams:
        await create_log(plane.runtime, [key async for key in stream.shards.values_list("id", flat=True)])
    return plane


async def shards_of(stream):
    return [shard async for shard in stream.shards.order_by("index")]


async def in_database(function, *arguments):
    from apps.accounts.bridge import in_thread

    return await in_thread(function, *arguments)


async def test_a_record_comes_back_as_it_was_put(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    put = await plane.put("s", "ключ", b"\x00\xff")
    assert put.shard_id == "shardId-000000000000"
    got = (await plane.get(await plane.iterator("s"))).records
    assert [(r.sequence_number, r.partition_key, r.data) for r in got] == [(put.sequence_number, "ключ", b"\x00\xff")]
    assert got[0].approximate_arrival_timestamp == plane.clock.now_ms() / 1000


async def test_keys_go_where_their_md5_says(team, four, make_plane):
    plane = await opened(make_plane, team, four)
    answer = await plane.put_many("s", [(key, b"") for key in ("a", "b", "c", "d", "e", "user-1")])
    # MD5: 0cc1…, 92eb…, 4a8a…, 8277…, e167…, e3e8… → quarters of the space.
    places = [int(r.shard_id[-1]) for r in answer.records]
    assert places[:5] == [0, 2, 1, 2, 3]
    single = await plane.put("s", "user-1", b"")
    assert int(single.shard_id[-1]) == places[5]


async def test_an_explicit_hash_key_stands_above_the_key(team, four, make_plane):
    plane = await opened(make_plane, team, four)
    edges = {0: 0, HALF - 1: 1, HALF: 2, 2**128 - 1: 3}
    for hash_key, index in edges.items():
        put = await plane.put("s", "a", b"", ExplicitHashKey=str(hash_key))
        assert put.shard_id == f"shardId-{index:012d}"
    answer = await plane(
        "PutRecords",
        StreamName="s",
        Records=[{"Data": b"", "PartitionKey": "a", "ExplicitHashKey": str(h)} for h in edges],
    )
    assert [int(r.shard_id[-1]) for r in answer.records] == list(edges.values())


@pytest.mark.parametrize("shards", [1, 4])
async def test_a_hash_key_beyond_the_space_fails_the_whole_call(team, make_plane, shards):
    stream = await in_database(lambda: make_stream(team.team, "s", shards=shards))
    plane = await opened(make_plane, team, stream)
    text = f"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {2**128}"
    with pytest.raises(InvalidArgumentException) as caught:
        await plane.put("s", "a", b"", ExplicitHashKey=str(2**128))
    assert caught.value.message == text
    records = [{"Data": b"", "PartitionKey": "a"}, {"Data": b"", "PartitionKey": "a", "ExplicitHashKey": str(2**128)}]
    with pytest.raises(InvalidArgumentException) as caught:
        await plane("PutRecords", StreamName="s", Records=records)
    assert caught.value.message == text
    assert await plane.data_of("s") == []


async def test_numbers_of_a_shard_rise_by_one_in_request_order(team, four, make_plane):
    plane = await opened(make_plane, team, four)
    await plane.put("s", "a", b"first")
    answer = await plane.put_many("s", [(f"k{i}", b"%d" % i) for i in range(500)])
    assert answer.failed_record_count == 0
    by_shard: dict[str, list[sequence.SequenceNumber]] = {}
    for result in answer.records:
        by_shard.setdefault(result.shard_id, []).append(sequence.decode(result.sequence_number))
    assert len(by_shard) == 4
    for shard_id, numbers in by_shard.items():
        first = 2 if shard_id.endswith("0") else 1
        assert [n.ordinal for n in numbers] == list(range(first, first + len(numbers)))
        assert {n.shard_index for n in numbers} == {int(shard_id[-3:])}
        assert {n.second for n in numbers} == {plane.clock.now_ms() // 1000}
    for index in range(4):
        read = (await plane.get(await plane.iterator("s", index))).records
        numbers = [r.sequence_number for r in read][1 if index == 0 else 0 :]
        assert numbers == [r.sequence_number for r in answer.records if r.shard_id.endswith(str(index))]


async def test_name_and_arn_must_agree(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s"
    await plane("PutRecord", StreamARN=arn, PartitionKey="a", Data=b"")
    await plane("PutRecord", StreamARN=arn, StreamName="s", PartitionKey="a", Data=b"")
    with pytest.raises(InvalidArgumentException):
        await plane("PutRecord", StreamARN=arn, StreamName="other", PartitionKey="a", Data=b"")
    with pytest.raises(InvalidArgumentException):
        await plane("PutRecord", PartitionKey="a", Data=b"")
    for elsewhere in ("arn:aws:kinesis:eu-west-1:", "arn:aws-cn:kinesis:us-east-1:", "arn:awsx:kinesis:us-east-1:"):
        with pytest.raises(ResourceNotFoundException) as caught:
            await plane("PutRecord", StreamARN=f"{elsewhere}{ACCOUNT}:stream/s", PartitionKey="a", Data=b"")
        assert caught.value.message == f"Stream s under account {ACCOUNT} not found."
    with pytest.raises((ResourceNotFoundException, AccessDeniedException)):
        await plane("PutRecord", StreamARN=arn.replace(ACCOUNT, "9" * 12), PartitionKey="a", Data=b"")


async def test_another_team_does_not_see_the_stream(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    other = Principal(team.team.id + 1, "210987654321", "AK")
    with pytest.raises(ResourceNotFoundException) as caught:
        await plane("PutRecord", other, StreamName="s", PartitionKey="a", Data=b"")
    assert caught.value.message == "Stream s under account 210987654321 not found."


async def test_a_stream_takes_records_from_the_moment_it_is_active(team, make_plane):
    stream = await in_database(lambda: make_stream(team.team, "s", status="CREATING"))
    plane = await opened(make_plane, team, stream)
    with pytest.raises(ResourceNotFoundException) as caught:
        await plane.put("s", "a", b"")
    assert caught.value.message == f"Stream s under account {ACCOUNT} not found."
    await Stream.objects.filter(id=stream.id).aupdate(status="ACTIVE", version=1)
    await plane.put("s", "a", b"")  # at once: a negative answer is never remembered
    await Stream.objects.filter(id=stream.id).aupdate(status="UPDATING", version=2)
    plane.clock.advance(2_000)
    await plane.put("s", "a", b"")
    await Stream.objects.filter(id=stream.id).aupdate(status="DELETING", version=3)
    plane.clock.advance(2_000)
    with pytest.raises(ResourceNotFoundException):
        await plane.put("s", "a", b"")


async def test_record_and_call_sizes(team, make_plane):
    stream = await in_database(lambda: make_stream(team.team, "s", shards=4))
    plane = await opened(make_plane, team, stream, throttle=False)
    await plane.put("s", "kk", bytes(MIB - 2))
    for call in (plane.put("s", "kk", bytes(MIB - 1)), plane.put_many("s", [("a", b""), ("kk", bytes(MIB - 1))])):
        with pytest.raises(InvalidArgumentException) as caught:
            await call
        assert "exceeds the maximum of 1048576 bytes" in caught.value.message
    # The key counts by its UTF-8 bytes.
    with pytest.raises(InvalidArgumentException):
        await plane.put("s", "é", bytes(MIB - 1))
    whole = [(f"k{i}", bytes(MIB - 2)) for i in range(10)]
    assert (await plane.put_many("s", whole)).failed_record_count == 0
    with pytest.raises(InvalidArgumentException) as caught:
        await plane.put_many("s", [*whole, ("x", b"")])
    assert caught.value.message == "Records size exceeds 10 MB limit"


async def test_a_missing_partition_key_is_refused_for_the_whole_call(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    with pytest.raises(ValidationException) as caught:
        await plane("PutRecords", StreamName="s", Records=[{"Data": b"", "PartitionKey": "a"}, {"Data": b""}])
    assert "Value null at 'records.2.member.partitionKey'" in caught.value.message
    assert await plane.data_of("s") == []


async def test_dry_run_stores_nothing_and_checks_all(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    with pytest.raises(DryRunOperationException):
        await plane.put("s", "a", b"x", DryRun=True)
    with pytest.raises(DryRunOperationException):
        await plane.put_many("s", [("a", b"x")], DryRun=True)
    with pytest.raises(InvalidArgumentException):
        await plane.put("s", "a", b"x", DryRun=True, ExplicitHashKey=str(2**128))
    assert await plane.data_of("s") == []


# --- SequenceNumberForOrdering ---------------------------------------------------------------------------------------


async def test_a_number_for_ordering_yields_a_larger_one(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    last = "0"
    for i in range(5):
        ordering = {"SequenceNumberForOrdering": last} if i else {}
        number = (await plane.put("s", "a", b"", **ordering)).sequence_number
        assert int(number) > int(last)
        last = number


def built(created_s=0, index=0, ordinal=0, second=0, version=2, first=2):
    return str(
        first << 184 | created_s << 148 | (index & 15) << 144 | ordinal << 80 | second << 36 | index << 4 | version
    )


@pytest.mark.parametrize("number", [built(), built(version=1)], ids=["all zero, version 2", "all zero, version 1"])
async def test_well_formed_numbers_are_taken(team, one, make_plane, number):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", b"", SequenceNumberForOrdering=number)


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "1",
        built(version=0),
        built(version=3),
        built(version=4),
        built(first=1),
        built(first=3),
        built(ordinal=2**63),
        built(created_s=16_025_175_000),
        built(second=1_795_163_468),
        "9" * 129,
    ],
)
async def test_numbers_never_given_out_are_refused(team, one, make_plane, number):
    plane = await opened(make_plane, team, one)
    with pytest.raises(InvalidArgumentException) as caught:
        await plane.put("s", "a", b"", SequenceNumberForOrdering=number)
    assert caught.value.message == (
        f"ExclusiveMinimumSequenceNumber {number} used in PutRecord on stream s under account {ACCOUNT} is invalid."
    )


async def test_a_number_of_this_shard_that_is_still_to_come_is_refused(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", b"")
    [shard] = await shards_of(one)
    ahead = built(shard.created_s, 0, 2, plane.clock.now_ms() // 1000)
    with pytest.raises(InvalidArgumentException):
        await plane.put("s", "a", b"", SequenceNumberForOrdering=ahead)


# --- limits ----------------------------------------------------------------------------------------------------------


async def test_a_thousand_records_a_second_and_not_one_more(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    records = [("a", b"x")] * 500
    assert (await plane.put_many("s", records)).failed_record_count == 0
    assert (await plane.put_many("s", records)).failed_record_count == 0
    answer = await plane.put_many("s", records[:1])
    assert answer.failed_record_count == 1
    assert answer.records[0].error_code == "ProvisionedThroughputExceededException"
    assert answer.records[0].error_message == (
        f"Rate exceeded for shard shardId-000000000000 in stream s under account {ACCOUNT}."
    )
    with pytest.raises(ProvisionedThroughputExceededException) as caught:
        await plane.put("s", "a", b"x")
    assert caught.value.message == answer.records[0].error_message
    plane.clock.advance(100)
    answer = await plane.put_many("s", records)
    assert answer.failed_record_count == 400
    assert [hasattr(r, "error_code") for r in answer.records] == [False] * 100 + [True] * 400
    assert len((await plane.get(await plane.iterator("s"))).records) == 1_100


async def test_after_a_throttled_record_no_later_one_of_its_shard_passes(team, four, make_plane):
    plane = await opened(make_plane, team, four)
    big = bytes(600 * 1024)
    # a → shard 0, b and d → shard 2: the second large record to shard 2 does not fit, the small one behind it must wait.
    answer = await plane.put_many("s", [("b", big), ("a", b"1"), ("d", big), ("b", b"small"), ("a", b"2")])
    assert [hasattr(r, "error_code") for r in answer.records] == [False, False, True, True, False]
    assert answer.failed_record_count == 2
    assert len(await plane.data_of("s", 2)) == 1
    assert await plane.data_of("s", 0) == [b"1", b"2"]


async def test_all_throttled_is_still_an_answer(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", bytes(MIB - 1))
    answer = await plane.put_many("s", [("a", b"x"), ("b", b"y")])
    assert answer.failed_record_count == 2
    assert await plane.data_of("s") == [bytes(MIB - 1)]


async def test_large_records_borrow_but_the_mean_holds(team, make_plane):
    stream = await in_database(lambda: make_stream(team.team, "s", max_record_size_kib=10_240))
    plane = await opened(make_plane, team, stream)
    data = bytes(10 * MIB - 1)
    stored, seconds = 0, 60
    for _ in range(seconds):
        try:
            await plane.put("s", "a", data)
            stored += len(data)
        except ProvisionedThroughputExceededException:
            pass
        plane.clock.advance(1_000)
    assert stored <= (10 + seconds) * MIB
    assert stored >= (seconds - 1) * MIB


async def test_throttling_can_be_switched_off(team, one, make_plane):
    plane = await opened(make_plane, team, one, throttle=False)
    for _ in range(4):
        assert (await plane.put_many("s", [("a", b"x")] * 500)).failed_record_count == 0


async def test_a_clock_that_steps_back_does_not_close_a_shard(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put_many("s", [("a", b"x")] * 500)
    plane.clock.advance(-3_600_000)
    for _ in range(3):
        await plane.put_many("s", [("a", b"x")] * 500)
        plane.clock.advance(1_000)
    assert (await plane.put_many("s", [("a", b"x")] * 500)).failed_record_count == 0


# --- shards closed under the call ------------------------------------------------------------------------------------


async def split(plane, stream, at=HALF):
    parents = await shards_of(stream)
    children = await in_database(prepare_children, stream, parents[:1], [(0, at - 1), (at, 2**128 - 1)])
    await create_log(plane.runtime, [c.id for c in children])
    await seal(plane.runtime, parents[:1], children)
    return parents[:1], children


async def test_a_call_that_meets_a_closed_shard_goes_on_to_its_children_at_once(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    before = await plane.put("s", "a", b"before")
    parents, children = await split(plane, one)
    # The rows do not say yet that the parent is closed, and the children are not open: the log alone decides.
    answer = await plane.put_many("s", [("a", b"0"), ("b", b"1"), ("c", b"2"), ("d", b"3")])
    assert [int(r.shard_id[-1]) for r in answer.records] == [1, 2, 1, 2]
    assert answer.failed_record_count == 0
    single = await plane.put("s", "e", b"4")
    assert single.shard_id == "shardId-000000000002"
    assert int(single.sequence_number) > int(before.sequence_number)
    await in_database(tell_rows, one, parents, children, plane.clock.now_ms())
    plane.clock.advance(2_000)
    assert await plane.data_of("s", 0) == [b"before"]
    assert await plane.data_of("s", 1) == [b"0", b"2"]
    assert await plane.data_of("s", 2) == [b"1", b"3", b"4"]


async def test_explicit_hash_keys_are_followed_into_the_children(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", b"")
    await split(plane, one)
    records = [
        {"Data": b"low", "PartitionKey": "e", "ExplicitHashKey": "0"},
        {"Data": b"high", "PartitionKey": "a", "ExplicitHashKey": str(HALF)},
    ]
    answer = await plane("PutRecords", StreamName="s", Records=records)
    assert [int(r.shard_id[-1]) for r in answer.records] == [1, 2]


async def test_children_that_are_closed_in_their_turn_are_followed_too(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", b"")
    _, children = await split(plane, one)
    merged = await in_database(prepare_children, one, children, [(0, 2**128 - 1)])
    await create_log(plane.runtime, [merged[0].id])
    await seal(plane.runtime, children, merged)
    answer = await plane.put_many("s", [("a", b"0"), ("b", b"1")])
    assert [r.shard_id for r in answer.records] == ["shardId-000000000003"] * 2


async def test_children_have_budgets_of_their_own(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put_many("s", [("a", b"x")] * 500)
    parents, children = await split(plane, one)
    await in_database(tell_rows, one, parents, children, plane.clock.now_ms())
    plane.clock.advance(1_001)
    records = [("a", b"x")] * 250 + [("b", b"x")] * 250
    for _ in range(4):
        assert (await plane.put_many("s", records)).failed_record_count == 0
    assert (await plane.put_many("s", records)).failed_record_count == 500


async def test_a_deleted_stream_is_not_found(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", b"")
    [shard] = await shards_of(one)
    await plane.runtime.record_log.drop(shard.id, 1_000)
    await Shard.objects.filter(stream=one).adelete()
    await Stream.objects.filter(id=one.id).adelete()
    with pytest.raises(ResourceNotFoundException):
        await plane.put("s", "a", b"")


async def made_again(plane, team, stream, shards=2):
    """Delete a stream and make another one of its name, while the plane's snapshot still is of the first."""
    for shard in await shards_of(stream):
        await plane.runtime.record_log.drop(shard.id, 1_000)
    await Shard.objects.filter(stream=stream).adelete()
    await Stream.objects.filter(id=stream.id).adelete()
    again = await in_database(lambda: make_stream(team.team, stream.name, shards=shards))
    await create_log(plane.runtime, [shard.id for shard in await shards_of(again)])
    return again


async def test_a_new_stream_of_the_same_name_takes_records_at_once(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", b"old")
    one = await made_again(plane, team, one)
    assert (await plane.put("s", "a", b"new")).shard_id == "shardId-000000000000"
    assert await plane.data_of("s", 0) == [b"new"]
    await made_again(plane, team, one)
    answer = await plane.put_many("s", [(f"k{i}", b"newer") for i in range(20)])
    assert answer.failed_record_count == 0
    assert {r.shard_id for r in answer.records} == {"shardId-000000000000", "shardId-000000000001"}


async def test_a_new_stream_of_the_same_name_that_is_not_ready_is_not_found(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", b"old")
    again = await made_again(plane, team, one)
    await Stream.objects.filter(id=again.id).aupdate(status="CREATING")
    with pytest.raises(ResourceNotFoundException):
        await plane.put("s", "a", b"new")


@pytest.mark.parametrize("status", ["ACTIVE", "CREATING"])
async def test_a_number_for_ordering_of_the_stream_before(team, one, make_plane, status):
    plane = await opened(make_plane, team, one)
    number = (await plane.put("s", "a", b"old")).sequence_number
    again = await made_again(plane, team, one)
    await Stream.objects.filter(id=again.id).aupdate(status=status)
    if status == "ACTIVE":
        await plane.put("s", "b", b"new", SequenceNumberForOrdering=number)
        return
    with pytest.raises(ResourceNotFoundException):
        await plane.put("s", "b", b"new", SequenceNumberForOrdering=number)


# --- an engine in trouble --------------------------------------------------------------------------------------------


class Failing:
    """The memory log, whose append fails from the given call on."""

    def __init__(self, log, errors):
        self.log = log
        self.errors = list(errors)

    def __getattr__(self, name):
        return getattr(self.log, name)

    async def append(self, entries):
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return await self.log.append(entries)


async def test_a_full_log_is_a_retryable_error_and_nothing_is_counted_as_stored(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    plane.runtime.record_log = Failing(plane.runtime.record_log, [LogFull("disk"), LogUnavailable("gone")])
    with pytest.raises(ServiceUnavailable):
        await plane.put_many("s", [("a", b"x")])
    with pytest.raises(InternalFailure):
        await plane.put("s", "a", b"x")
    samples = plane.runtime.counters.drain()
    assert not [series for series in samples if series[2] == "IncomingRecords"]
    assert [s.total for series, s in samples.items() if series[2].endswith(".Success")] == [0, 0]


async def test_what_fails_after_a_part_was_stored_fails_alone(team, four, make_plane):
    plane = await opened(make_plane, team, four)
    await plane.put("s", "a", b"")
    shards = await shards_of(four)
    start, end = int(shards[2].start_hash), int(shards[2].end_hash)
    children = await in_database(prepare_children, four, [shards[2]], [(start, end)])
    await create_log(plane.runtime, [children[0].id])
    await seal(plane.runtime, [shards[2]], children)
    plane.runtime.record_log = Failing(plane.runtime.record_log, [None, LogUnavailable("gone")])
    answer = await plane.put_many("s", [("a", b"0"), ("b", b"1"), ("c", b"2")])
    assert answer.failed_record_count == 1
    assert answer.records[1].error_code == "InternalFailure"
    assert answer.records[1].error_message == "Internal service failure."
    assert not hasattr(answer.records[0], "error_code")


async def test_a_database_that_fails_in_the_middle_of_a_reshard_fails_only_what_is_not_stored(
    team, four, make_plane, monkeypatch
):
    plane = await opened(make_plane, team, four)
    await plane.put("s", "a", b"")
    shards = await shards_of(four)
    children = await in_database(
        prepare_children, four, [shards[2]], [(int(shards[2].start_hash), int(shards[2].end_hash))]
    )
    await create_log(plane.runtime, [children[0].id])
    await seal(plane.runtime, [shards[2]], children)

    async def away(*_arguments):
        raise OSError("away")

    monkeypatch.setattr("apps.streams.snapshots.in_thread", away)
    answer = await plane.put_many("s", [("a", b"0"), ("b", b"1")])
    assert [hasattr(r, "error_code") for r in answer.records] == [False, True]
    with pytest.raises(InternalFailure):
        await plane.put("s", "b", b"1")
    monkeypatch.undo()
    assert (await plane.put("s", "b", b"1")).shard_id == "shardId-000000000004"


# --- counters and meters ---------------------------------------------------------------------------------------------


async def test_one_observation_per_call_and_metric(team, four, make_plane):
    plane = await opened(make_plane, team, four)
    await plane.put_many("s", [("a", b"12345"), ("b", b"12345"), ("c", b"12345")])
    await plane.put("s", "a", b"1")
    samples = {series[2]: (s.total, s.count) for series, s in plane.runtime.counters.drain().items()}
    assert samples["IncomingBytes"] == (20, 2)
    assert samples["IncomingRecords"] == (4, 2)
    assert samples["WriteProvisionedThroughputExceeded"] == (0, 2)
    assert samples["PutRecords.TotalRecords"] == (3, 1)
    assert samples["PutRecords.SuccessfulRecords"] == (3, 1)
    assert samples["PutRecords.Success"] == (1, 1)
    assert samples["PutRecord.Bytes"] == (2, 1)
    [shards] = plane.runtime.counters.drain_shards().values()
    assert {index: (s.in_bytes, s.in_records) for index, s in shards.items()} == {0: (8, 2), 1: (6, 1), 2: (6, 1)}


async def test_payload_units_and_access_key_are_metered(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    unit = 25 * 1024
    await plane.put("s", "a", bytes(unit - 1))
    await plane.put("s", "a", bytes(unit))
    await plane.put_many("s", [("a", b""), ("a", bytes(2 * unit)), ("a", bytes(2 * unit - 1))])
    [shard] = await shards_of(one)
    [row] = await plane.runtime.record_log.meters(shard.id, 0)
    assert row.meter_key == team.principal.meter_key
    assert row.totals.payload_units == 1 + 2 + 1 + 3 + 2
    assert row.totals.records == 5


async def test_puts_at_the_same_time_all_have_their_own_numbers(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    answers = await asyncio.gather(*(plane.put("s", f"k{i}", b"") for i in range(50)))
    assert len({a.sequence_number for a in answers}) == 50
