"""GetShardIterator and GetRecords: positions, ends, retention, limits."""

import base64

import pytest

from apps.accounts.principal import Principal
from apps.base.units import HOUR_MS, MIB
from apps.streams import sequence
from apps.streams.errors import (
    DryRunOperationException,
    ExpiredIteratorException,
    InvalidArgumentException,
    ProvisionedThroughputExceededException,
    ResourceNotFoundException,
)
from apps.streams.models import Shard, Stream
from tests.domain.streams.test_put_records import ACCOUNT, built, in_database, made_again, opened, shards_of, split
from tests.support.stream_rows import make_stream, tell_rows

pytestmark = pytest.mark.django_db(transaction=True)

START_MS = 1_795_163_467_000


@pytest.fixture
def one(team):
    return make_stream(team.team, "s", shards=1)


@pytest.fixture
def two(team):
    return make_stream(team.team, "s", shards=2)


async def put_numbered(plane, count, each_ms=1_000):
    """Records 0 … count - 1 in shard 0, each_ms apart; their sequence numbers."""
    numbers = []
    for i in range(count):
        numbers.append((await plane.put("s", "a", b"%d" % i)).sequence_number)
        plane.clock.advance(each_ms)
    return numbers


async def read_from(plane, kind, **params):
    return [int(r.data) for r in (await plane.get(await plane.iterator("s", 0, kind, **params))).records]


# --- starting positions ----------------------------------------------------------------------------------------------


async def test_the_five_types(team, one, make_plane):
    plane = await opened(make_plane, team, one, throttle=False)
    numbers = await put_numbered(plane, 6)
    assert await read_from(plane, "TRIM_HORIZON") == [0, 1, 2, 3, 4, 5]
    assert await read_from(plane, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[2]) == [2, 3, 4, 5]
    assert await read_from(plane, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[2]) == [3, 4, 5]
    assert await read_from(plane, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[5]) == []
    second = START_MS / 1000
    assert await read_from(plane, "AT_TIMESTAMP", Timestamp=second + 2) == [2, 3, 4, 5]
    assert await read_from(plane, "AT_TIMESTAMP", Timestamp=second + 2.001) == [3, 4, 5]
    assert await read_from(plane, "AT_TIMESTAMP", Timestamp=0) == [0, 1, 2, 3, 4, 5]
    assert await read_from(plane, "LATEST") == []


async def test_latest_is_fixed_when_it_is_issued(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    empty = await plane.iterator("s", 0, "LATEST")
    await plane.put("s", "a", b"0")
    later = await plane.iterator("s", 0, "LATEST")
    await plane.put("s", "a", b"1")
    assert [r.data for r in (await plane.get(empty)).records] == [b"0", b"1"]
    assert [r.data for r in (await plane.get(later)).records] == [b"1"]


async def test_a_shards_starting_number_is_a_position(team, one, make_plane):
    plane = await opened(make_plane, team, one, throttle=False)
    [shard] = await shards_of(one)
    start = sequence.starting(shard.created_s, 0)
    await put_numbered(plane, 2)
    assert await read_from(plane, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=start) == [0, 1]
    assert await read_from(plane, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=start) == [0, 1]


@pytest.mark.parametrize(
    ("kind", "params", "text"),
    [
        ("AT_SEQUENCE_NUMBER", {}, "Request specified AT_SEQUENCE_NUMBER and no StartingSequenceNumber."),
        ("AFTER_SEQUENCE_NUMBER", {}, "Request specified AFTER_SEQUENCE_NUMBER and no StartingSequenceNumber."),
        ("LATEST", {"StartingSequenceNumber": "5"}, "Request specified LATEST and also a StartingSequenceNumber."),
        ("TRIM_HORIZON", {"StartingSequenceNumber": "5"}, "TRIM_HORIZON and also a StartingSequenceNumber."),
        (
            "AT_TIMESTAMP",
            {"StartingSequenceNumber": "5", "Timestamp": 1},
            "AT_TIMESTAMP and also a StartingSequenceNumber.",
        ),
    ],
)
async def test_type_and_number_go_together(team, one, make_plane, kind, params, text):
    plane = await opened(make_plane, team, one)
    with pytest.raises(InvalidArgumentException) as caught:
        await plane.iterator("s", 0, kind, **params)
    assert caught.value.message.startswith(
        "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or "
        "(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. "
    )
    assert caught.value.message.endswith(text)


async def test_timestamps_are_given_and_past(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    with pytest.raises(InvalidArgumentException) as caught:
        await plane.iterator("s", 0, "AT_TIMESTAMP")
    assert caught.value.message == (
        "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. "
        "Current request has no timestamp parameter."
    )
    for seconds, shown in ((START_MS / 1000 + 0.001, START_MS + 1), (253_402_300_799, 253_402_300_799_000)):
        with pytest.raises(InvalidArgumentException) as caught:
            await plane.iterator("s", 0, "AT_TIMESTAMP", Timestamp=seconds)
        assert caught.value.message == (
            "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "
            f"timestampInMillis: {shown}, currentTimestampInMillis: {START_MS}"
        )
    await plane.iterator("s", 0, "AT_TIMESTAMP", Timestamp=-62_135_596_800)


async def test_numbers_of_other_shards_and_of_nowhere(team, two, make_plane):
    plane = await opened(make_plane, team, two, throttle=False)
    await plane.put("s", "a", b"0")
    shards = await shards_of(two)
    other = sequence.starting(shards[1].created_s, 1)
    with pytest.raises(InvalidArgumentException) as caught:
        await plane.iterator("s", 0, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=other)
    assert caught.value.message == (
        "Invalid StartingSequenceNumber. It encodes shardId-000000000001, while it was used in a call to a shard "
        "with shardId-000000000000"
    )
    created = shards[0].created_s
    now_s = START_MS // 1000
    elsewhere = " because it did not come from this stream"
    for number, why in (
        ("0", elsewhere), (built(created, 0, 2, now_s), ""), (built(created, 0, 1, now_s + 1), ""),
        (built(created - 1, 0, 1, now_s), elsewhere), (built(created, 0, 1, now_s, version=1), elsewhere),
        (sequence.ending(created, 0, now_s), ""), ("9" * 129, ""),
    ):  # fmt: skip
        with pytest.raises(InvalidArgumentException) as caught:
            await plane.iterator("s", 0, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=number)
        assert caught.value.message == (
            f"StartingSequenceNumber {number} used in GetShardIterator on shard shardId-000000000000 in stream s "
            f"under account {ACCOUNT} is invalid{why}."
        )
    with pytest.raises(InvalidArgumentException) as caught:
        await plane.iterator("s", 0, "AT_SEQUENCE_NUMBER", StartingSequenceNumber="5")
    assert "It encodes shardId-000000000005, while" in caught.value.message
    negative = built(created, 2**31, 1, now_s)
    with pytest.raises(InvalidArgumentException) as caught:
        await plane.iterator("s", 0, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=negative)
    assert "It encodes shardId--02147483648," in caught.value.message


async def test_which_shard(team, two, make_plane):
    plane = await opened(make_plane, team, two, throttle=False)
    for shard_id in ("shardId-000000000001", "shard-1", "x-0001", "1", "-1"):
        await plane.iterator("s", shard_id)
    for shard_id in ("ABKLFD8", "2.14E4", "2147483648", "shardId-002147483648", "a-b-1", "-"):
        with pytest.raises(ResourceNotFoundException) as caught:
            await plane.iterator("nowhere", shard_id)
        assert caught.value.message == f"Could not find shard {shard_id} in stream nowhere under account {ACCOUNT}."
    for stream, shard_id, index in (("s", "5", 5), ("nowhere", "shardId-0", 0)):
        with pytest.raises(ResourceNotFoundException) as caught:
            await plane.iterator(stream, shard_id)
        assert caught.value.message == (
            f"Shard shardId-{index:012d} in stream {stream} under account {ACCOUNT} does not exist"
        )


async def test_a_stream_that_is_creating_has_no_shards(team, make_plane):
    stream = await in_database(lambda: make_stream(team.team, "s", status="CREATING"))
    plane = await opened(make_plane, team, stream)
    with pytest.raises(ResourceNotFoundException) as caught:
        await plane.iterator("s")
    assert caught.value.message == f"Shard shardId-000000000000 in stream s under account {ACCOUNT} does not exist"
    await Stream.objects.filter(id=stream.id).aupdate(status="ACTIVE")
    await plane.iterator("s")


async def test_five_iterators_a_second_and_shard(team, two, make_plane):
    plane = await opened(make_plane, team, two)
    for _ in range(5):
        await plane.iterator("s", 0)
    with pytest.raises(ProvisionedThroughputExceededException):
        await plane.iterator("s", 0)
    await plane.iterator("s", 1)
    plane.clock.advance(200)
    await plane.iterator("s", 0)


async def test_dry_runs(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    with pytest.raises(DryRunOperationException):
        await plane.iterator("s", 0, DryRun=True)
    with pytest.raises(ResourceNotFoundException):
        await plane.iterator("nowhere", 0, DryRun=True)
    token = await plane.iterator("s")
    for _ in range(20):  # spends nothing
        with pytest.raises(DryRunOperationException):
            await plane.get(token, DryRun=True)


# --- iterators -------------------------------------------------------------------------------------------------------


async def test_an_iterator_looks_like_aws_s(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    token = await plane.iterator("s")
    raw = base64.b64decode(token, validate=True)
    assert raw[:8] == b"\0\0\0\0\0\0\0\1"
    assert (len(raw) - 152) % 16 == 0
    assert len(token) <= 512
    assert base64.b64encode(raw).decode() == token
    assert token != await plane.iterator("s")


async def test_an_iterator_lives_five_minutes_and_works_any_number_of_times(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", b"0")
    token = await plane.iterator("s")
    for _ in range(2):
        assert len((await plane.get(token)).records) == 1
    plane.clock.advance(300_000)
    assert len((await plane.get(token)).records) == 1
    assert len((await plane.get(f'"{token}"')).records) == 1
    plane.clock.advance(1)
    with pytest.raises(ExpiredIteratorException) as caught:
        await plane.get(token)
    assert caught.value.message == (
        "Iterator expired. The iterator was created at time Fri Nov 20 08:31:07 UTC 2026 while right now it is "
        "Fri Nov 20 08:36:07 UTC 2026 which is further in the future than the tolerated delay of 300000 milliseconds."
    )


async def test_a_clock_set_back_does_not_spoil_an_iterator(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    token = await plane.iterator("s")
    plane.clock.advance(-3_600_000)
    await plane.get(token)


async def test_another_teams_iterator_is_no_iterator(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    token = await plane.iterator("s")
    with pytest.raises(InvalidArgumentException):
        await plane("GetRecords", Principal(team.team.id + 1, "210987654321", "AK"), ShardIterator=token)


async def test_an_iterator_of_a_deleted_stream_does_not_read_its_successor(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    token = await plane.iterator("s")
    await Shard.objects.filter(stream=one).adelete()
    await Stream.objects.filter(id=one.id).adelete()
    again = await in_database(lambda: make_stream(team.team, "s"))
    plane.clock.advance(2_000)
    for shard in await shards_of(again):
        await plane.runtime.record_log.create(shard.id)
    with pytest.raises(ResourceNotFoundException) as caught:
        await plane.get(token)
    assert caught.value.message == f"Shard shardId-000000000000 in stream s under account {ACCOUNT} does not exist"


async def test_a_shard_that_ends_with_its_stream_has_no_end_to_go_on_from(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    token = await plane.iterator("s")
    shards = await shards_of(one)
    await plane.runtime.record_log.seal([shard.id for shard in shards], [])
    await Stream.objects.filter(id=one.id).aupdate(status="DELETING", version=1)
    await Shard.objects.filter(stream=one).aupdate(closed_at_ms=START_MS)
    with pytest.raises(ResourceNotFoundException):
        await plane.get(token)


@pytest.mark.parametrize("kind", ["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP", "AT_SEQUENCE_NUMBER"])
async def test_a_new_stream_of_the_same_name_is_read_at_once(team, one, make_plane, kind):
    plane = await opened(make_plane, team, one)
    other = await make_plane(team.principal)
    other.runtime.record_log = plane.runtime.record_log
    old = await plane.iterator("s")
    await other.iterator("s")
    again = await made_again(plane, team, one, shards=1)
    [shard] = await shards_of(again)
    params = {
        "AT_TIMESTAMP": {"Timestamp": 1},
        "AT_SEQUENCE_NUMBER": {"StartingSequenceNumber": sequence.starting(shard.created_s, 0)},
    }.get(kind, {})
    new = await plane.iterator("s", 0, kind, **params)
    for process in (plane, other):
        assert (await process.get(new)).records == []
        with pytest.raises(ResourceNotFoundException):
            await process.get(old)


async def test_a_time_belongs_to_at_timestamp_alone(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    for kind in ("LATEST", "TRIM_HORIZON"):
        with pytest.raises(InvalidArgumentException) as caught:
            await plane.iterator("s", 0, kind, Timestamp=1)
        assert caught.value.message.endswith(f"Current request is of type {kind}.")


async def test_the_arn_is_the_streams_own(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    arn = str(one.arn)
    token = await plane.iterator("s", StreamARN=arn)
    await plane.get(token, StreamARN=arn)
    for elsewhere in (arn.replace("us-east-1", "eu-west-1"), arn.replace("arn:aws", "arn:aws-cn")):
        with pytest.raises(ResourceNotFoundException):
            await plane.iterator("s", StreamARN=elsewhere)
        with pytest.raises(ResourceNotFoundException):
            await plane.get(token, StreamARN=elsewhere)


async def test_a_stream_keeps_its_arn_when_the_region_changes(team, one, make_plane):
    plane = await opened(make_plane, team, one, region="eu-west-1")
    await plane("PutRecord", StreamARN=str(one.arn), PartitionKey="a", Data=b"x")
    answer = await plane.get(await plane.iterator("s", StreamARN=str(one.arn)), StreamARN=str(one.arn))
    assert [record.data for record in answer.records] == [b"x"]


# --- pages -----------------------------------------------------------------------------------------------------------


async def test_limit_goes_on_without_loss_or_repetition(team, one, make_plane):
    plane = await opened(make_plane, team, one, throttle=False)
    await plane.put_many("s", [("a", b"%d" % i) for i in range(100)])
    await plane.put_many("s", [("a", b"%d" % i) for i in range(100, 130)])
    token, seen, pages = await plane.iterator("s"), [], 0
    while True:
        answer = await plane.get(token, Limit=7)
        if not answer.records:
            break
        assert len(answer.records) <= 7
        seen += [int(r.data) for r in answer.records]
        assert answer.next_shard_iterator != token
        token, pages = answer.next_shard_iterator, pages + 1
    assert seen == list(range(130))
    assert pages == 19


async def test_a_page_is_ten_mib_at_most_but_never_less_than_a_record(team, make_plane):
    stream = await in_database(lambda: make_stream(team.team, "s", max_record_size_kib=10_240))
    plane = await opened(make_plane, team, stream, throttle=False)
    sizes = [10 * MIB - 1, 6 * MIB, 4 * MIB - 2, 1]
    for size in sizes:
        await plane.put("s", "a", bytes(size))
    token, pages = await plane.iterator("s"), []
    for _ in range(4):
        answer = await plane.get(token)
        pages.append([len(r.data) for r in answer.records])
        token = answer.next_shard_iterator
    assert pages == [[10 * MIB - 1], [6 * MIB, 4 * MIB - 2], [1], []]


async def test_millis_behind_latest(team, one, make_plane):
    plane = await opened(make_plane, team, one, throttle=False)
    await put_numbered(plane, 3)
    token = await plane.iterator("s")
    first = await plane.get(token, Limit=1)
    assert first.millis_behind_latest == 3_000
    rest = await plane.get(first.next_shard_iterator)
    assert rest.millis_behind_latest == 0
    tip = await plane.get(rest.next_shard_iterator)
    assert (tip.records, tip.millis_behind_latest) == ([], 0)


# --- the end of a shard ----------------------------------------------------------------------------------------------


async def test_the_end_of_a_closed_shard(team, one, make_plane):
    plane = await opened(make_plane, team, one, throttle=False)
    numbers = await put_numbered(plane, 3)
    latest = await plane.iterator("s", 0, "LATEST")
    parents, children = await split(plane, one)
    lingering = await plane.get(latest)
    assert lingering.next_shard_iterator  # the log has ended, but no client can find the children yet
    await in_database(tell_rows, one, parents, children, plane.clock.now_ms())
    page = await plane.get(await plane.iterator("s"), Limit=2)
    assert page.next_shard_iterator
    last = await plane.get(page.next_shard_iterator)
    assert [r.data for r in last.records] == [b"2"]
    ended = [last, await plane.get(latest), await plane.get(lingering.next_shard_iterator)]
    [shard] = [s for s in await shards_of(one) if s.index == 0]
    for number in (numbers[2], sequence.ending(shard.created_s, 0, shard.closed_at_ms // 1000)):
        token = await plane.iterator("s", 0, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=number)
        ended.append(await plane.get(token))
    ended.append(await plane.get(await plane.iterator("s", 0, "LATEST")))
    for answer in ended:
        assert not answer.next_shard_iterator
        assert answer.millis_behind_latest == 0
        assert [(c.shard_id, c.parent_shards) for c in answer.child_shards] == [
            ("shardId-000000000001", ["shardId-000000000000"]),
            ("shardId-000000000002", ["shardId-000000000000"]),
        ]
        assert answer.child_shards[0].hash_key_range.ending_hash_key == str(2**127 - 1)
        assert answer.child_shards[1].hash_key_range.ending_hash_key == str(2**128 - 1)


# --- retention -------------------------------------------------------------------------------------------------------


async def test_records_past_the_retention_are_not_shown_trimmed_or_not(team, one, make_plane):
    plane = await opened(make_plane, team, one, throttle=False)
    numbers = await put_numbered(plane, 4, each_ms=HOUR_MS)
    plane.clock.advance(20 * HOUR_MS)  # the first is 24 h old now, to the millisecond: still shown
    assert await read_from(plane, "TRIM_HORIZON") == [0, 1, 2, 3]
    plane.clock.advance(1)
    assert await read_from(plane, "TRIM_HORIZON") == [1, 2, 3]
    assert await read_from(plane, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[0]) == [1, 2, 3]
    assert await read_from(plane, "AT_TIMESTAMP", Timestamp=0) == [1, 2, 3]
    plane.clock.advance(HOUR_MS)
    [shard] = await shards_of(one)
    await plane.runtime.record_log.trim(shard.id, plane.clock.now_ms() - 24 * HOUR_MS, 100)
    assert await read_from(plane, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[0]) == [2, 3]
    plane.clock.advance(10 * HOUR_MS)
    answer = await plane.get(await plane.iterator("s"))
    assert (answer.records, answer.millis_behind_latest) == ([], 0)
    await plane.put("s", "a", b"9")
    assert [r.data for r in (await plane.get(answer.next_shard_iterator)).records] == [b"9"]


async def test_a_decrease_hides_at_once_and_an_increase_does_not_revive(team, one, make_plane):
    plane = await opened(make_plane, team, one, throttle=False)
    await Stream.objects.filter(id=one.id).aupdate(retention_hours=48)
    await put_numbered(plane, 2, each_ms=HOUR_MS)
    plane.clock.advance(23 * HOUR_MS + HOUR_MS // 2)
    assert await read_from(plane, "TRIM_HORIZON") == [0, 1]
    floor_ms = plane.clock.now_ms() - 25 * HOUR_MS
    await Stream.objects.filter(id=one.id).aupdate(retention_hours=25, retention_floor_ms=floor_ms, version=1)
    plane.clock.advance(1_001)
    assert await read_from(plane, "TRIM_HORIZON") == [1]
    await Stream.objects.filter(id=one.id).aupdate(retention_hours=48, version=2)
    plane.clock.advance(1_001)
    assert await read_from(plane, "TRIM_HORIZON") == [1]


# --- limits ----------------------------------------------------------------------------------------------------------


async def test_five_reads_a_second_and_shard(team, two, make_plane):
    plane = await opened(make_plane, team, two)
    token, other = await plane.iterator("s", 0), await plane.iterator("s", 1)
    for _ in range(5):
        await plane.get(token)
    with pytest.raises(ProvisionedThroughputExceededException) as caught:
        await plane.get(token)
    assert caught.value.message == (
        f"Rate exceeded for shard shardId-000000000000 in stream s under account {ACCOUNT}."
    )
    await plane.get(other)
    plane.clock.advance(200)
    await plane.get(token)


async def test_ten_mib_close_a_shard_for_five_seconds(team, make_plane):
    stream = await in_database(lambda: make_stream(team.team, "s", max_record_size_kib=10_240))
    plane = await opened(make_plane, team, stream)
    await plane.put("s", "a", bytes(10 * MIB - 1))
    token = await plane.iterator("s")
    assert len((await plane.get(token)).records) == 1
    for wait_ms in (0, 2_500, 2_498):
        plane.clock.advance(wait_ms)
        with pytest.raises(ProvisionedThroughputExceededException):
            await plane.get(token)
    plane.clock.advance(2)
    assert len((await plane.get(token)).records) == 1


async def test_small_reads_share_two_mib_a_second(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", bytes(MIB - 1))
    token = await plane.iterator("s")
    for _ in range(3):
        await plane.get(token)
    with pytest.raises(ProvisionedThroughputExceededException):
        await plane.get(token)
    plane.clock.advance(500)
    await plane.get(token)


async def test_reads_are_counted_once_a_call(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", b"1234")
    plane.clock.advance(5_000)
    plane.runtime.counters.drain()
    token = await plane.iterator("s")
    for _ in range(5):
        await plane.get(token)
    with pytest.raises(ProvisionedThroughputExceededException):
        await plane.get(token)
    samples = {series[2]: (s.total, s.count) for series, s in plane.runtime.counters.drain().items()}
    assert samples["GetRecords.Bytes"] == (25, 5)
    assert samples["GetRecords.Records"] == (5, 5)
    assert samples["GetRecords.IteratorAgeMilliseconds"] == (25_000, 5)
    assert samples["GetRecords.Success"] == (5, 6)
    assert samples["ReadProvisionedThroughputExceeded"] == (1, 6)
    assert plane.runtime.counters.drain_shards()[team.team.id, one.id][0].out_bytes == 25
