"""Reading back through a real Valkey and the database."""

import pytest

from apps.accounts.models import Team
from apps.metrics import latency, layout, names, rollup, store
from apps.metrics.models import Rollup, Uptime
from apps.metrics.overview import overview, together
from apps.metrics.shard_load import shard_load

TEAM, STREAM = 1, 7


def now_s(clock):
    return clock.now_ms() // 1_000


def series(clock, seconds, metric="IncomingBytes", width_s=1, team=TEAM, stream=STREAM):
    number = names.BY_NAME[metric].number
    end = now_s(clock)
    found = store.history(team, stream, end - seconds, end, width_s, clock=clock)
    assert not found.away
    return [None if points is None else points.get(number, store.NOTHING)[:2] for points in found.buckets]


def test_zero_is_zero_and_nobody_is_a_gap(process, clock):
    process.counters.add(TEAM, STREAM, "IncomingBytes", 100)
    process.second()
    process.second()
    clock.advance(2_000)  # nobody is there for two seconds
    process.flusher._last = None
    process.counters.add(TEAM, STREAM, "IncomingBytes", 40)
    process.counters.add(TEAM, STREAM, "IncomingBytes", 60)
    process.second()
    assert series(clock, 6) == [None, (100, 1), (0, 0), None, None, (100, 2)]


def test_two_processes_are_added_up(process, second_process, clock):
    for each, size in ((process, 100), (second_process, 11)):
        each.counters.add(TEAM, STREAM, "IncomingBytes", size)
    clock.advance(1_000)
    process.flush()
    second_process.flush()
    assert series(clock, 1) == [(111, 2)]
    found = overview(TEAM, [STREAM], clock=clock)[STREAM]
    assert found.in_bytes_per_s == pytest.approx(111 / 60)


def test_another_teams_stream_answers_nothing(process, clock):
    process.counters.add(TEAM, STREAM, "IncomingBytes", 100)
    process.counters.add_shard_write(TEAM, STREAM, 0, 100, 1)
    process.second()
    assert series(clock, 1, team=2) == [(0, 0)]
    assert overview(2, [STREAM], clock=clock)[STREAM].in_bytes_per_s == 0
    clock.advance(2_000)
    assert shard_load(2, STREAM, clock=clock) == {}
    assert shard_load(TEAM, STREAM, clock=clock) != {}


def test_query_gives_tuples_and_refuses_what_it_cannot_answer(process, clock, monkeypatch):
    process.counters.add(TEAM, STREAM, "PutRecords.Latency", 3)
    process.counters.add(TEAM, STREAM, "PutRecords.Latency", 5)
    process.second()
    monkeypatch.setattr(store, "_CLOCK", clock)
    monkeypatch.setattr(store.history, "__kwdefaults__", {"clock": clock, "classes": False})
    end = now_s(clock)
    assert store.query(TEAM, STREAM, "PutRecords.Latency", end - 2, end, 1) == [None, (end - 1, 8, 2, 3, 5)]
    for wrong in (("Nonsense", 0, 10, 1), ("IncomingBytes", 0, 10, 7), ("IncomingBytes", 0, 601, 1)):
        with pytest.raises(ValueError):
            store.query(TEAM, STREAM, *wrong)


def test_ten_second_buckets_show_the_busiest_second(process, clock):
    clock.set(clock.now_ms() // 10_000 * 10_000)
    for size in (10, 90, 0, 20, 0, 0, 0, 0, 0, 0):
        if size:
            process.counters.add(TEAM, STREAM, "IncomingBytes", size)
        process.second()
    found = store.history(TEAM, STREAM, now_s(clock) - 10, now_s(clock), 10, clock=clock)
    (bucket,) = found.buckets
    assert bucket[1] == (120, 3, 10, 90, 90)


def latencies(clock, seconds, width_s):
    """p50 and p99 of the calls of PutRecords in each bucket, in ms."""
    end, name = now_s(clock), "PutRecords.Latency"
    number = names.BY_NAME[name].number
    found = store.history(TEAM, STREAM, end - seconds, end, width_s, clock=clock, classes=True)
    return [
        points and tuple(latency.percentile(points, name, number, percent) for percent in (50, 99))
        for points in found.buckets
    ]


def test_percentiles_come_from_the_calls_of_all_processes_and_seconds(process, second_process, clock, team_row):
    clock.set(clock.now_ms() // 600_000 * 600_000)
    for second in range(300):
        for each, ms, calls in ((process, 3, 6), (second_process, 5, 3)):
            for _ in range(calls):
                each.counters.add_latency(TEAM, STREAM, "PutRecords.Latency", ms)
        if second % 10 == 0:
            second_process.counters.add_latency(TEAM, STREAM, "PutRecords.Latency", 700)
        clock.advance(1_000)
        process.flush()
        second_process.flush()
    assert latencies(clock, 10, 1) == [(3, 700)] + [(3, 5)] * 9
    assert latencies(clock, 10, 10) == [(3, 700)]  # one call of 91 is slow
    clock.advance(6_000)
    process.flush(final=True)
    second_process.flush(final=True)
    run(clock)
    [stored] = Rollup.objects.filter(width_s=300, stream_id=STREAM).values_list("samples", flat=True)
    kept = store.decode(bytes(stored))
    assert [kept[number].count for number in (1_103, 1_105, 1_133)] == [1_800, 900, 30]
    clock.advance(294_000)
    median, high = latencies(clock, 600, 300)[0]
    assert (median, 640 <= high <= 700) == (3, True)
    found = store.history(TEAM, STREAM, now_s(clock) - 600, now_s(clock), 300, clock=clock)
    assert not latency.CLASS_NUMBERS & found.buckets[0].keys()  # read only where they are wanted


def test_a_late_flush_loses_no_class(process, clock):
    process.second()
    for ms in (1, 1, 1, 40):
        process.counters.add_latency(TEAM, STREAM, "PutRecords.Latency", ms)
    clock.advance(3_000)
    process.flush()
    kept = {}
    found = store.history(TEAM, STREAM, now_s(clock) - 3, now_s(clock), 1, clock=clock, classes=True)
    for points in found.buckets:
        rollup.merge_then(kept, points)
    assert (kept[1_101].count, kept[1_117].count) == (3, 1)


def test_buckets_leave_redis_by_themselves(process, clock, valkey):
    process.counters.add(TEAM, STREAM, "IncomingBytes", 1)
    process.counters.add_shard_write(TEAM, STREAM, 0, 100, 1)
    process.second()
    process.flush(final=True)
    with valkey.client() as client:
        keys = [key for key in client.keys("tg:*") if key != layout.LATE_KEY.encode()]
        assert len(keys) == 11
        assert all(0 < client.ttl(key) <= 7 * 3_600 for key in keys)


def test_without_redis_there_are_gaps_and_no_error(settings, clock, db):
    end = now_s(clock)  # tests/support/settings.py: nothing listens there
    found = store.history(TEAM, STREAM, end - 600, end, 60, clock=clock)
    assert found.away
    assert found.buckets == [None] * len(found.buckets)
    assert overview(TEAM, [STREAM])[STREAM].in_bytes_per_s is None
    assert shard_load(TEAM, STREAM) is None
    assert store.epoch() == ""


def test_the_epoch_lasts_until_redis_forgets(valkey):
    first = store.epoch()
    assert len(first) == 8
    assert store.epoch() == first
    with valkey.client() as client:
        client.flushall()
    assert store.epoch() not in ("", first)


def test_shard_load_counts_what_was_offered(process, clock):
    for _ in range(60):
        process.counters.add_shard_write(TEAM, STREAM, 0, 262_144, 100, 1_048_576, 400)
        process.counters.add_shard_read(TEAM, STREAM, 0, 1_000, 10)
        process.counters.add_shard_write(TEAM, STREAM, 5, 10, 900)
        process.second()
    clock.advance(1_000)
    found = shard_load(TEAM, STREAM, clock=clock)
    assert sorted(found) == [0, 5]
    assert found[0].last_60_s == found[0].last_10_s
    load = found[0].last_10_s
    assert (load.in_bytes_per_s, load.in_records_per_s, load.throttled_records_per_s) == (262_144, 100, 400)
    assert (load.out_bytes_per_s, load.out_records_per_s) == (1_000, 10)
    assert load.share == 1.25  # bytes, refused included
    assert found[5].last_10_s.share == 0.9  # records
    clock.advance(30_000)
    later = shard_load(TEAM, STREAM, clock=clock)[0]
    assert later.last_10_s.share == 0
    assert later.last_60_s.share == pytest.approx(1.25 / 2)


def test_overview_of_the_last_minute_and_hour(process, clock):
    clock.set(clock.now_ms() // 3_600_000 * 3_600_000 + 30 * 60_000)
    for n in range(90):
        process.counters.add(TEAM, STREAM, "IncomingBytes", 600)
        process.counters.add(TEAM, STREAM, "IncomingRecords", 6)
        process.counters.add(TEAM, STREAM, "GetRecords.Bytes", 300)
        process.counters.add(TEAM, STREAM, "SubscribeToShardEvent.Bytes", 60)
        process.counters.add(TEAM, STREAM, "WriteProvisionedThroughputExceeded", int(n < 5))
        process.counters.add(TEAM, STREAM, "GetRecords.IteratorAgeMilliseconds", 1_200 + n)
        process.second()
    found = overview(TEAM, [STREAM, 8], clock=clock)
    one = found[STREAM]
    assert one.in_bytes_per_s == pytest.approx(600, rel=0.02)
    assert one.in_records_per_s == pytest.approx(6, rel=0.02)
    assert one.out_bytes_per_s == pytest.approx(360, rel=0.02)
    assert (one.throttled_last_hour, one.throttled_last_minute) == (5, pytest.approx(2.5))
    assert one.age_ms == 1_289
    assert one.in_spark == [None] * 59 + [600]
    assert found[8].in_bytes_per_s == 0
    assert found[8].age_ms is None
    assert together(found.values()).in_spark == one.in_spark
    assert together(found.values()).age_ms == 1_289
    assert together([]).in_bytes_per_s == 0


def test_overview_is_two_exchanges(process, clock, monkeypatch):
    asked = []
    ask = store.ask
    monkeypatch.setattr(store, "ask", lambda commands: asked.append(len(commands)) or ask(commands))
    process.counters.add(TEAM, 3, "IncomingBytes", 60)
    process.second()
    found = overview(TEAM, range(1, 50), clock=clock)
    assert [stream for stream, one in found.items() if one.in_bytes_per_s] == [3]
    assert len(asked) == 2
    assert overview(TEAM, [], clock=clock) == {}
    with pytest.raises(ValueError):
        overview(TEAM, range(1_001), clock=clock)


# Rollups


def fill(process, minutes, size=60):
    """Traffic once a second for so many minutes."""
    for _ in range(minutes * 60):
        process.counters.add(TEAM, STREAM, "IncomingBytes", size)
        process.second()


def rows(width_s):
    return {
        r.start_s: store.decode(bytes(r.samples))[1][:2]
        for r in Rollup.objects.filter(width_s=width_s, stream_id=STREAM).order_by("start_s")
    }


@pytest.fixture
def team_row(db):
    return Team.objects.create(id=TEAM, account_id="123456789012", slug="first", name="First", created_at_ms=0)


def run(clock):
    return rollup.roll_up(clock, clock.now_ms() + 1_000_000)


def test_minutes_five_minutes_and_hours(process, clock, team_row):
    clock.set(clock.now_ms() // 3_600_000 * 3_600_000)
    start = now_s(clock)
    fill(process, 6)
    clock.advance(5_000)
    run(clock)
    assert rows(60) == {start + n * 60: (3_600, 60) for n in range(6)}
    assert rows(300) == {start: (18_000, 300)}
    assert rows(3_600) == {}
    # The rest of the hour passes without traffic, but served.
    for _ in range(54 * 6):
        clock.advance(10_000)
        process.flush()
    clock.advance(5_000)
    run(clock)
    assert rows(3_600) == {start: (21_600, 360)}
    assert rows(300) == {start: (18_000, 300), start + 300: (3_600, 60)}
    assert Uptime.objects.get(width_s=300, start_s=start).seconds == 300
    assert Uptime.objects.get(width_s=3_600, start_s=start).seconds > 360


def test_rolling_up_again_changes_nothing(process, clock, team_row):
    clock.set(clock.now_ms() // 600_000 * 600_000)
    fill(process, 5)
    clock.advance(6_000)
    run(clock)

    def kept():
        uptimes = Uptime.objects.order_by("width_s", "start_s").values_list("width_s", "start_s", "seconds")
        return list(Rollup.objects.order_by("id").values_list()), list(uptimes)

    before = kept()
    assert len(before[0]) == 12  # of the stream and of the team
    Uptime.objects.filter(width_s=60).order_by("-start_s")[0].delete()  # as if it had died before its last step
    assert run(clock) == 1
    assert kept() == before


def test_what_redis_lost_takes_nothing_away(process, clock, team_row, valkey):
    clock.set(clock.now_ms() // 600_000 * 600_000)
    fill(process, 2)
    clock.advance(6_000)
    run(clock)
    before = rows(60)
    with valkey.client() as client:
        client.flushall()
        client.sadd(layout.LATE_KEY, min(before))
        client.sadd(layout.active_key(min(before)), f"{TEAM}:{STREAM}")
        client.hset(
            layout.TENS.key(TEAM, STREAM, min(before)),
            f"{min(before)}:x",
            rollup.encode({1: rollup.Point(1, 1, 1, 1, 1)}),
        )
    run(clock)
    assert rows(60) == before


def test_minutes_that_come_late_are_taken(process, second_process, clock, team_row):
    clock.set(clock.now_ms() // 600_000 * 600_000)
    start = now_s(clock)
    for _ in range(6):  # this one cannot reach Redis
        second_process.counters.add(TEAM, STREAM, "IncomingBytes", 1_000)
        clock.advance(1_000)
        second_process.flusher.collect()
        process.flush()
    for _ in range(300):
        process.second()
        second_process.flusher.collect()
    clock.advance(6_000)
    run(clock)
    assert rows(60) == rows(300) == {}
    second_process.flush(final=True)  # now it can
    run(clock)
    assert rows(60) == rows(300) == {start: (6_000, 6)}


def test_a_long_range_is_one_series_of_database_and_redis(process, clock, team_row, valkey):
    clock.set(clock.now_ms() // 3_600_000 * 3_600_000)
    start = now_s(clock)
    fill(process, 7)
    clock.advance(6_000)
    run(clock)
    fill(process, 1)
    process.flush(final=True)
    with valkey.client() as client:  # what is in the database is not needed in Redis
        for key in client.keys("tg:m:10:*"):
            fields = [f for f in client.hkeys(key) if int(f.split(b":")[0]) < start + 420]
            if fields:
                client.hdel(key, *fields)
    end = now_s(clock)
    found = store.history(TEAM, STREAM, start - 60, end, 60, clock=clock)
    totals = [None if b is None else b.get(1, (0,))[0] for b in found.buckets]
    assert totals[:8] == [None] + [3_600] * 7
    assert sum(totals[8:]) == 3_600
    (wide,) = store.history(TEAM, STREAM, start, start + 3_600, 3_600, clock=clock).buckets
    assert wide[1].total == 8 * 3_600
    five = store.history(TEAM, STREAM, start, start + 600, 300, clock=clock).buckets
    assert [b[1].total for b in five] == [18_000, 10_800]


def test_a_team_that_is_gone_does_not_stop_the_others(process, clock, team_row):
    clock.set(clock.now_ms() // 600_000 * 600_000)
    process.counters.add(99, 12, "IncomingBytes", 5)
    fill(process, 1)
    clock.advance(6_000)
    run(clock)
    assert len(rows(60)) == 1
    assert not Rollup.objects.filter(stream_id=12).exists()


def test_old_rows_are_removed(clock, team_row):
    end = now_s(clock)
    for width_s, keep_s in layout.ROLLUP_KEEP_S.items():
        for start in (end - keep_s - 10, end - keep_s + 10):
            Rollup.objects.create(team_id=TEAM, stream_id=STREAM, width_s=width_s, start_s=start, samples=b"")
            Uptime.objects.create(width_s=width_s, start_s=start, seconds=1)
    assert rollup.prune(clock) == 6
    assert Rollup.objects.count() == Uptime.objects.count() == 3


def test_without_redis_the_rollup_waits(clock, db):
    assert rollup.roll_up(clock, clock.now_ms() + 1_000) == 0
