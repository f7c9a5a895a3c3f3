"""Encryption in the record log: what every engine promises, and what LMDB has on the disk."""

import lmdb
import msgspec
import pytest

from apps.base.clock import FakeClock
from apps.base.units import HOUR_MS, KIB, MIB
from apps.recordlog import lmdb_format
from apps.recordlog.faulty import FaultyLog
from apps.recordlog.interface import KeyUnavailable, LogUnavailable, Totals
from apps.recordlog.lmdb import LmdbLog
from apps.recordlog.lmdb_format import BATCH_HEADER, batch_key
from apps.recordlog.memory import MemoryLog
from tests.support.keyrings import Disabled, TestKeyring
from tests.support.record_logs import all_texts, entry, texts

GENEROUS = (1_000_000, 1_000 * MIB)
SECRET = b"word-that-nobody-may-find"


@pytest.fixture
def keyring():
    return TestKeyring()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "log"


@pytest.fixture(params=["memory", "lmdb", "faulty"])
async def log(request, folder, clock, keyring):
    engine = LmdbLog(str(folder), clock, keyring) if request.param == "lmdb" else MemoryLog(clock, keyring)
    built = FaultyLog(engine) if request.param == "faulty" else engine
    await built.open()
    for shard in (1, 2):
        await built.create(shard)
    yield built
    assert (await built.verify()).problems == ()
    await built.close()


@pytest.fixture
async def on_disk(folder, clock, keyring):
    built = LmdbLog(str(folder), clock, keyring)
    await built.open()
    for shard in (1, 2):
        await built.create(shard)
    yield built
    await built.close()


async def reopened(folder, keyring):
    built = LmdbLog(str(folder), FakeClock(), keyring)
    await built.open()
    return built


async def shown(log, shard, start=1):
    """(texts, encrypted) of each slice of one read."""
    batch = await log.read(shard, start, *GENEROUS)
    return [([data.decode() for data in part.records[1::2]], part.encrypted) for part in batch.slices]


async def test_records_come_back_and_say_that_they_are_encrypted(log, keyring):
    key = keyring.key(7)
    await log.append([texts(1, "a", "b")])
    await log.append([texts(1, "c", key=key)])
    await log.append([texts(1, "d")])
    assert await shown(log, 1) == [(["a", "b"], False), (["c"], True), (["d"], False)]
    batch = await log.read(1, 3, *GENEROUS)
    assert [(part.first, part.encrypted) for part in batch.slices] == [(3, True), (4, False)]
    assert (batch.next_offset, batch.end_offset) == (5, 5)


async def test_entries_under_different_keys_in_one_commit_stay_apart(log, keyring):
    keys = [None, keyring.key(1), keyring.key(2), None, keyring.key(1)]
    results = await log.append([texts(1, f"{i}", key=key) for i, key in enumerate(keys)])
    assert [result.first for result in results] == [1, 2, 3, 4, 5]
    assert await shown(log, 1) == [(["0"], False), (["1"], True), (["2"], True), (["3"], False), (["4"], True)]
    assert (await log.bounds(1)).totals == Totals(5, 10, 5, 5)


async def test_a_part_of_a_batch_says_so_too(log, keyring):
    await log.append([texts(1, "a", "b", "c", key=keyring.key(1))])
    [part] = (await log.read(1, 2, 1, MIB)).slices
    assert (part.first, part.records, part.encrypted) == (2, ["k", b"b"], True)


async def test_large_entries_are_encrypted_piece_by_piece(log, keyring):
    await log.append([entry(1, *(("k", bytes([i]) * (300 * KIB)) for i in range(10)), key=keyring.key(1))])
    slices = (await log.read(1, 1, *GENEROUS)).slices
    assert len(slices) > 2
    assert all(part.encrypted for part in slices)
    assert [data[0] for part in slices for data in part.records[1::2]] == list(range(10))


async def test_without_its_key_nothing_is_read(log, keyring):
    await log.append([texts(1, "a", key=keyring.key(1))])
    keyring.disable(1)
    with pytest.raises(KeyUnavailable) as refused:
        await log.read(1, 1, *GENEROUS)
    assert isinstance(refused.value.reason, Disabled)
    bounds = await log.bounds(1)
    assert (bounds.first_offset, bounds.next_offset) == (1, 2)
    assert await log.find(1, 0) == 1
    assert await log.wait(1, 0, 0)
    keyring.enable(1)
    assert await all_texts(log, 1) == ["a"]


async def test_a_key_taken_away_closes_what_was_read_before(log, keyring):
    await log.append([texts(1, *map(str, range(100)), key=keyring.key(1))])
    assert len(await all_texts(log, 1)) == 100
    keyring.disable(1)
    with pytest.raises(KeyUnavailable):
        await log.read(1, 50, *GENEROUS)


async def test_a_read_stops_before_what_it_may_not_open(log, keyring):
    await log.append([texts(1, "a", key=keyring.key(1))])
    await log.append([texts(1, "b", key=keyring.key(2))])
    await log.append([texts(1, "c")])
    keyring.disable(2)
    batch = await log.read(1, 1, *GENEROUS)
    assert [part.records for part in batch.slices] == [["k", b"a"]]
    assert (batch.next_offset, batch.end_offset, batch.at_end) == (2, 4, False)
    with pytest.raises(KeyUnavailable):
        await log.read(1, 2, *GENEROUS)
    assert await shown(log, 1, 3) == [(["c"], False)]


async def test_a_sealed_shard_is_not_at_its_end_before_what_it_may_not_open(log, keyring):
    await log.append([texts(1, "a")])
    await log.append([texts(1, "b", key=keyring.key(2))])
    await log.seal([1], [])
    keyring.disable(2)
    assert not (await log.read(1, 1, *GENEROUS)).at_end
    keyring.enable(2)
    assert (await log.read(1, 1, *GENEROUS)).at_end


async def test_trim_drop_and_meters_need_no_key(log, keyring, clock):
    await log.append([texts(1, "a", key=keyring.key(1), meter_key="AK"), texts(2, "b", key=keyring.key(1))])
    keyring.disable(1)
    assert [row.meter_key for row in await log.meters(1, 0)] == ["AK"]
    clock.advance(1)
    assert (await log.trim(1, clock.now_ms(), 100)).records == 1
    assert (await log.drop(2, 100)).records == 1


async def test_a_repeat_by_a_producer_is_known_under_another_key(log, keyring):
    first = await log.append([texts(1, "a", key=keyring.key(1), producer=("p", 1))])
    assert await log.append([texts(1, "a", key=keyring.key(2), producer=("p", 1))]) == first
    assert await all_texts(log, 1) == ["a"]


# On the disk


def found(folder, word):
    return [path.name for path in folder.rglob("*") if path.is_file() and word in path.read_bytes()]


async def test_neither_key_nor_data_can_be_found_on_the_disk(on_disk, folder, keyring):
    partition_key = SECRET.decode() + "-key"
    for _ in range(20):
        await on_disk.append([entry(1, *((partition_key, SECRET) for _ in range(50)), key=keyring.key(1))])
    assert len(await all_texts(on_disk, 1)) == 1_000
    assert found(folder, SECRET) == []
    await on_disk.close()
    assert found(folder, SECRET) == []


async def test_the_search_would_find_it(on_disk, folder):
    await on_disk.append([entry(1, ("k", SECRET))])
    assert found(folder, SECRET) == ["data.mdb"]


async def test_a_log_opened_without_keys_shows_nothing(on_disk, folder, keyring):
    await on_disk.append([texts(1, "a", key=keyring.key(1))])
    await on_disk.append([texts(2, "b")])
    await on_disk.close()
    again = await reopened(folder, None)
    with pytest.raises(KeyUnavailable):
        await again.read(1, 1, *GENEROUS)
    assert await all_texts(again, 2) == ["b"]
    verified = await again.verify()
    assert (verified.records, verified.problems, verified.unopened) == (2, (), 1)
    await again.close()


async def test_verify_opens_what_it_can(on_disk, keyring):
    for number in (1, 2, 3):
        await on_disk.append([texts(1, "a", "b", key=keyring.key(number))])
    keyring.disable(2)
    verified = await on_disk.verify()
    assert (verified.batches, verified.records, verified.problems, verified.unopened) == (3, 6, (), 1)


def rewrite(folder, change):
    """Change the batches behind the log's back: change(txn, database)."""
    with lmdb.open(str(folder), max_dbs=8) as env:
        database = env.open_db(b"batches")
        with env.begin(write=True) as txn:
            change(txn, database)


def flip(at):
    def change(txn, database):
        value = bytearray(txn.get(batch_key(1, 1), db=database))
        value[at] ^= 1
        txn.put(batch_key(1, 1), bytes(value), db=database)

    return change


def swap(txn, database):
    one, two = batch_key(1, 1), batch_key(1, 2)
    first, second = txn.get(one, db=database), txn.get(two, db=database)
    txn.put(one, second, db=database)
    txn.put(two, first, db=database)


def move_to_the_other_shard(txn, database):
    txn.put(batch_key(2, 1), txn.get(batch_key(1, 1), db=database), db=database)


@pytest.mark.parametrize(
    ("change", "shard"),
    [(flip(-1), 1), (flip(BATCH_HEADER.size), 1), (flip(BATCH_HEADER.size + 20), 1), (flip(8), 1), (swap, 1),
     (move_to_the_other_shard, 2)],
    ids=["tag", "nonce", "ciphertext", "arrival", "swapped", "moved"],
)  # fmt: skip
async def test_a_batch_that_was_changed_or_moved_does_not_open(on_disk, folder, keyring, change, shard):
    for word in ("a", "b"):
        await on_disk.append([texts(1, word, key=keyring.key(1)), texts(2, word, key=keyring.key(1))])
    await on_disk.close()
    rewrite(folder, change)
    again = await reopened(folder, keyring)
    with pytest.raises(LogUnavailable, match="does not open"):
        await again.read(shard, 1, *GENEROUS)
    assert any("does not open" in problem for problem in (await again.verify()).problems)
    await again.close()


# Formats


async def test_what_the_format_before_wrote_is_read_trimmed_and_appended_to(on_disk, folder, clock, keyring):
    await on_disk.append([texts(1, "a", "b"), entry(2, (None, b""))])
    await on_disk.append([texts(1, "c")])
    await on_disk.close()

    def to_format_1(txn, database):
        for key, value in list(txn.cursor(database)):
            header = BATCH_HEADER.size
            txn.put(key, b"\x01" + value[1 : header - 4] + value[header:], db=database)

    rewrite(folder, to_format_1)
    again = await reopened(folder, keyring)
    assert await shown(again, 1) == [(["a", "b"], False), (["c"], False)]
    assert (await again.read(2, 1, *GENEROUS)).slices[0].records == [None, b""]
    await again.append([texts(1, "d", key=keyring.key(1)), texts(1, "e")])
    assert await all_texts(again, 1) == ["a", "b", "c", "d", "e"]
    verified = await again.verify()
    assert (verified.records, verified.problems) == (6, ())
    assert (await again.trim(1, 1 << 60, 2)).records == 2
    assert (await again.bounds(1)).first_offset == 3
    assert (await again.verify()).problems == ()
    await again.close()


async def test_sums_of_the_format_before_had_no_units_of_a_kib(on_disk, folder, clock, keyring):
    """They begin at 0 there, and go on."""
    clock.set(500_000 * HOUR_MS)
    await on_disk.append([texts(1, "a", "b", meter_key="A"), texts(2, "x", meter_key="A")])
    clock.advance(HOUR_MS)
    await on_disk.append([texts(1, "c", meter_key="A")])
    await on_disk.close()
    with lmdb.open(str(folder), max_dbs=8) as env:
        for name, shorten in ((b"shards", shorter_state), (b"meters", shorter)):
            database = env.open_db(name)
            with env.begin(write=True) as txn:
                for key, value in list(txn.cursor(database)):
                    packed = msgspec.msgpack.encode(shorten(msgspec.msgpack.decode(value[1:])))
                    txn.put(key, b"\x02" + packed, db=database)
    again = await reopened(folder, keyring)
    assert (await again.bounds(1)).totals == Totals(3, 6, 3, 0)
    await again.append([texts(1, "d", "e", meter_key="A"), texts(1, "f", meter_key="B")])
    assert [(r.hour_ms // HOUR_MS, r.meter_key, r.totals) for r in await again.meters(1, 0)] == [
        (500_000, "A", Totals(2, 4, 2, 0)),
        (500_001, "A", Totals(3, 6, 3, 2)),
        (500_001, "B", Totals(1, 2, 1, 1)),
    ]
    assert (await again.bounds(1)).totals == Totals(6, 12, 6, 3)
    assert (await again.trim(1, 1 << 60, 1 << 60)).records == 6
    assert (await again.verify()).problems == ()
    await again.close()


def shorter_state(state):
    return [*state[:3], state[3][:3], *state[4:6], shorter(state[6]), *state[7:]]


def shorter(rows):
    return {key: sums[:3] for key, sums in rows.items()}


async def test_a_log_of_the_format_before_is_marked_as_of_this_one(folder, clock):
    built = LmdbLog(str(folder), clock)
    await built.open()
    incarnation = built.incarnation()
    await built.close()

    def about(value=None):
        with lmdb.open(str(folder), max_dbs=8) as env:
            database = env.open_db(b"about")
            with env.begin(write=True) as txn:
                if value is not None:
                    txn.put(b"format", value, db=database)
                return txn.get(b"format", db=database)

    about(bytes([lmdb_format.OLDEST_FORMAT]))
    again = await reopened(folder, None)
    assert again.incarnation() == incarnation
    await again.close()
    assert about() == bytes([lmdb_format.FORMAT])
    about(bytes([lmdb_format.FORMAT + 1]))
    with pytest.raises(LogUnavailable, match="start the version that wrote them"):
        await reopened(folder, None)
