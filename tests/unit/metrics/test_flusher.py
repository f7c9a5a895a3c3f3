"""The flusher without Redis: to which second what is booked, what is kept, what is given up."""

import msgpack

from apps.base.clock import FakeClock
from apps.metrics import layout
from apps.metrics.buckets import decode
from apps.metrics.counters import Counters
from apps.metrics.firehose import DELIVERY_KEYS_FROM
from apps.metrics.flush import Flusher
from apps.metrics.pending import RECALL_S, SAMPLES_MAX

T = 1_795_163_467


class Redis:
    """Keeps what the steps say, as Redis would."""

    def __init__(self):
        self.hashes, self.bits, self.sets, self.published, self.ttl = {}, set(), {}, [], {}

    def take(self, flusher, **how):
        for step in flusher.steps(**how):
            for name, *arguments in step.commands:
                getattr(self, name)(*arguments)
            step.confirm()

    def HSET(self, key, field, value):  # noqa: N802
        self.hashes.setdefault(key, {})[field] = value

    def EXPIRE(self, key, seconds):  # noqa: N802
        self.ttl[key] = seconds

    def SETBIT(self, key, bit, _one):  # noqa: N802
        self.bits.add((key, bit))

    def SADD(self, key, *members):  # noqa: N802
        self.sets.setdefault(key, set()).update(members)

    def ZADD(self, key, score, member):  # noqa: N802
        self.sets.setdefault(key, set()).add(member)

    def ZREMRANGEBYSCORE(self, *_range):  # noqa: N802
        """Nobody grows old here."""

    def PUBLISH(self, channel, message):  # noqa: N802
        self.published.append(msgpack.unpackb(message, strict_map_key=False))

    def total(self, store, metric=1):
        """Of streams; the sums of teams lie beside them."""
        keys = [key for key in self.hashes if key.startswith(f"tg:m:{store.width_s}:") and ":0:" not in key]
        return sum(decode(v).get(metric, (0,))[0] for key in keys for v in self.hashes[key].values())


def make(serves=True):
    clock, counters = FakeClock(T * 1_000), Counters()
    return clock, counters, Flusher(counters, clock, serves=serves)


def tick(clock, flusher, redis=None, by_ms=1_000):
    clock.advance(by_ms)
    flusher.collect()
    if redis is not None:
        redis.take(flusher)


def test_a_second_is_stored_in_each_width_and_published():
    clock, counters, flusher = make()
    redis = Redis()
    counters.add(1, 7, "IncomingBytes", 100)
    counters.add_shard_write(1, 7, 3, 100, 1)
    tick(clock, flusher, redis)
    assert redis.total(layout.SECONDS) == redis.total(layout.MINUTES) == 100
    redis.take(flusher, final=True)
    assert redis.total(layout.TENS) == 100
    (message,) = redis.published
    assert message[2:4] == [True, T]
    assert {tuple(row[:2]) for row in message[4]} == {(1, layout.TEAM), (1, 7)}
    assert (layout.uptime_key(T), T % 3_600) in redis.bits
    assert redis.sets[layout.active_key(T)] == {"1:0", "1:7"}
    assert set(redis.hashes) == set(redis.ttl) - {layout.uptime_key(T), layout.active_key(T), "tg:total:1"}


def test_minutes_hold_headline_figures_alone():
    clock, counters, flusher = make()
    redis = Redis()
    counters.add(1, 7, "IncomingBytes", 100)
    counters.add(1, 7, "PutRecords.Latency", 4)
    tick(clock, flusher, redis)
    key = layout.MINUTES.key(1, 7, T)
    (stored,) = redis.hashes[key].values()
    assert set(decode(stored)) == {1}


def test_a_growing_bucket_is_written_anew_and_never_twice_counted():
    clock, counters, flusher = make()
    redis = Redis()
    for _ in range(25):
        counters.add(1, 7, "IncomingBytes", 10)
        tick(clock, flusher, redis)
    redis.take(flusher, final=True)
    assert [redis.total(store) for store in layout.STORES] == [250, 250, 250]
    assert all(len(buckets) <= RECALL_S + 3 for buckets in flusher.pending.buckets.values())


def test_a_late_flush_is_spread_over_the_seconds_it_missed():
    clock, counters, flusher = make()
    redis = Redis()
    tick(clock, flusher, redis)
    for _ in range(40):
        counters.add(1, 7, "IncomingBytes", 10)
    tick(clock, flusher, redis, by_ms=4_000)
    seconds = redis.hashes[layout.SECONDS.key(1, 7, T)]
    seconds |= redis.hashes.get(layout.SECONDS.key(1, 7, T + 10), {})
    assert sorted((int(f.split(":")[0]), decode(v)[1].total) for f, v in seconds.items()) == [
        (T + n, 100) for n in (1, 2, 3, 4)
    ]
    assert {bit for _, bit in redis.bits} == {(T + n) % 3_600 for n in range(5)}


def test_a_process_that_was_stopped_does_not_pretend_to_have_served():
    clock, counters, flusher = make()
    redis = Redis()
    tick(clock, flusher, redis)
    counters.add(1, 7, "IncomingBytes", 10)
    tick(clock, flusher, redis, by_ms=60_000)
    assert {bit for _, bit in redis.bits} == {T % 3_600, (T + 60) % 3_600}


def test_a_clock_that_steps_back_overwrites_nothing():
    clock, counters, flusher = make()
    redis = Redis()
    for _ in range(30):
        counters.add(1, 7, "IncomingBytes", 10)
        tick(clock, flusher, redis)
    clock.advance(-20_000)
    for _ in range(10):
        counters.add(1, 7, "IncomingBytes", 10)
        tick(clock, flusher, redis)
    redis.take(flusher, final=True)
    assert [redis.total(store) for store in layout.STORES] == [400, 400, 400]


def test_a_worker_counts_but_does_not_make_a_stream_served():
    clock, counters, flusher = make(serves=False)
    redis = Redis()
    counters.add(1, 7, "IncomingBytes", 10)
    tick(clock, flusher, redis)
    assert redis.total(layout.SECONDS) == 10
    assert not redis.bits
    assert redis.published[0][2] is False


def test_what_redis_did_not_take_is_kept_bounded_and_coarse_sums_survive():
    clock, counters, flusher = make()
    for _ in range(1_000):
        counters.add(1, 7, "IncomingBytes", 10)
        tick(clock, flusher)
    assert len(flusher.pending.buckets[1]) <= layout.SECONDS.pending + 2
    assert flusher.pending.lost == 1_000 - len(flusher.pending.buckets[1])
    redis = Redis()
    redis.take(flusher, final=True)
    assert redis.total(layout.TENS) == redis.total(layout.MINUTES) == 10_000
    assert 1_000 <= redis.total(layout.SECONDS) <= 1_220
    assert len(redis.published) <= layout.SECONDS.pending + 2
    # Minutes that the rollup may have passed are named to it.
    assert min(redis.sets[layout.LATE_KEY]) == T // 60 * 60


def test_many_streams_are_bounded_by_samples():
    clock, counters, flusher = make()
    for _ in range(8):
        for stream in range(5_000):
            counters.add(1, stream, "IncomingBytes", 1)
            counters.add(1, stream, "IncomingRecords", 1)
        tick(clock, flusher)
    held = sum(b.samples for buckets in flusher.pending.buckets.values() for b in buckets.values())
    assert held <= SAMPLES_MAX
    assert flusher.pending.lost > 0


def test_an_unconfirmed_step_is_offered_again():
    clock, counters, flusher = make()
    redis = Redis()
    counters.add(1, 7, "IncomingBytes", 10)
    tick(clock, flusher)
    for step in flusher.steps():  # Redis takes one and dies
        for name, *arguments in step.commands:
            getattr(redis, name)(*arguments)
        break
    flusher.failed(ConnectionError())
    tick(clock, flusher, redis)
    redis.take(flusher, final=True)
    assert [redis.total(store) for store in layout.STORES] == [10, 10, 10]


def test_a_redis_started_anew_is_told_what_the_last_one_may_have_forgotten():
    clock, counters, flusher = make()
    flusher.meet({"run_id": "a"})
    redis = Redis()
    for _ in range(60):
        counters.add(1, 7, "IncomingBytes", 10)
        counters.add_shard_write(1, 7, 3, 100, 1)
        flusher.meet({"run_id": "a"})
        tick(clock, flusher, redis)
    anew = Redis()
    flusher.meet({"run_id": "b"})
    anew.take(flusher, final=True)
    held_s = RECALL_S + 2
    assert anew.total(layout.SECONDS) == 10 * held_s
    assert len(anew.hashes[layout.shard_key(1, 7, T + 59)]) == held_s
    assert [anew.total(store) for store in (layout.TENS, layout.MINUTES)] == [170, 600]  # the last two of each
    assert anew.bits == {(layout.uptime_key(T), (T + 59 - n) % 3_600) for n in range(RECALL_S)}
    assert set(anew.hashes) <= set(anew.ttl)
    assert not anew.published
    again = Redis()
    flusher.meet({"run_id": "b"})
    again.take(flusher)
    assert not again.hashes


def test_what_redis_confirmed_goes_before_what_it_did_not():
    clock, counters, flusher = make()
    redis = Redis()
    for _ in range(8):
        for stream in range(5_000):
            counters.add(1, stream, "IncomingBytes", 1)
            counters.add(1, stream, "IncomingRecords", 1)
        tick(clock, flusher, redis)
    held = sum(b.samples for buckets in flusher.pending.buckets.values() for b in buckets.values())
    assert held <= SAMPLES_MAX
    assert flusher.pending.lost == 0


def test_a_full_redis_makes_it_thrifty():
    clock, counters, flusher = make()
    for share, stored, tens_ttl in ((0.4, True, 600 + 21_600), (0.6, True, 600 + 3_600), (0.75, False, 600 + 1_800)):
        redis = Redis()
        flusher.look({"maxmemory": 1_000, "used_memory": share * 1_000})
        counters.add(1, 7, "IncomingBytes", 10)
        tick(clock, flusher, redis)
        redis.take(flusher, final=True)
        assert bool(redis.total(layout.SECONDS)) is stored
        assert redis.ttl[layout.TENS.key(1, 7, T)] == tens_ttl
    redis = Redis()
    flusher.look({"maxmemory": 1_000, "used_memory": 900})
    counters.add(1, 7, "IncomingBytes", 10)
    tick(clock, flusher, redis)
    redis.take(flusher, final=True)
    assert {key for key in redis.hashes if key.startswith("tg:m:")} == {
        layout.MINUTES.key(1, stream, T) for stream in (layout.TEAM, 7)
    }
    assert redis.published
    flusher.look({"maxmemory": 0, "used_memory": 10**12})
    tick(clock, flusher, redis)
    assert flusher._thrift == 0


def test_an_unknown_metric_does_not_stop_the_others():
    clock, counters, flusher = make()
    redis = Redis()
    counters.add(1, 7, "NoSuchMetric", 10)
    counters.add(1, 7, "IncomingBytes", 10)
    tick(clock, flusher, redis)
    assert redis.total(layout.SECONDS) == 10
    assert flusher.pending.unknown == {"NoSuchMetric"}


def test_a_team_has_the_sum_of_its_data_streams():
    clock, counters, flusher = make()
    redis = Redis()
    for stream, size in ((7, 10), (8, 32), (DELIVERY_KEYS_FROM + 1, 500)):
        counters.add(1, stream, "IncomingBytes", size)
    counters.add(1, 7, "PutRecords.Latency", 3)
    tick(clock, flusher, redis)
    [stored] = redis.hashes[layout.SECONDS.key(1, layout.TEAM, T)].values()
    assert {number: point.total for number, point in decode(stored).items()} == {1: 42}
    [rows] = [message[4] for message in redis.published]
    assert {(team, stream) for team, stream, _, _ in rows} == {(1, 0), (1, 7), (1, 8), (1, DELIVERY_KEYS_FROM + 1)}
