"""The record logs against a plain list: hypothesis draws what happens, and both must say the same."""

import asyncio
import shutil
import tempfile
from dataclasses import astuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from apps.base.clock import FakeClock
from apps.base.units import HOUR_MS, MIB
from apps.recordlog.interface import Appended, Batch, Entry, KeyUnavailable, ShardClosed, Successor, UnknownShard
from apps.recordlog.lmdb import LmdbLog
from apps.recordlog.memory import MemoryLog
from apps.recordlog.stored_batch import kib_units, payload_units
from tests.support.keyrings import TestKeyring

SHARDS = (1, 2, 3)
CHILD = 9
HEIRS = (Successor(CHILD, 0, 2**128 - 1),)

shards = st.sampled_from(SHARDS)
keys = st.sampled_from(["k", "ключ", None])
sizes = st.sampled_from([0, 1, 3, 12, 12, 12, 12, 40_000, 700_000])
recipes = st.lists(st.tuples(keys, st.integers(0, 255), sizes), min_size=1, max_size=6)
"""(key, byte, size): the data is made from it, so that a failure can be printed."""
meter_keys = st.sampled_from(["A", "B"])


class Model:
    """One shard, told as plainly as can be: every record ever appended, with its arrival."""

    def __init__(self):
        self.records = []
        self.arrivals = []
        self.keys = []
        """The number of the data key that each record is under, 0 if it is not encrypted."""
        self.trimmed = 0
        self.floor_ms = 0
        self.sealed_at_ms = 0
        self.meters = {}
        self.producers = {}

    @property
    def end(self):
        return len(self.records) + 1

    def first_at(self, at_ms):
        stored = range(self.trimmed, len(self.records))
        return next((i + 1 for i in stored if self.arrivals[i] >= at_ms), self.end)


def cooked(recipe):
    return [(key, bytes([byte]) * size) for key, byte, size in recipe]


def key_number(stored):
    """What an entry is encrypted with: of three, one is plain."""
    return sum(len(data) for _, data in stored) % 3


def record_size(record):
    key, data = record
    return (0 if key is None else len(key.encode())) + len(data)


class LogMachine(RuleBasedStateMachine):
    """make_log and reopen are the engine's."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock(500_000 * HOUR_MS + HOUR_MS // 2)
        self.model = {shard: Model() for shard in (*SHARDS, CHILD)}
        self.keyring = TestKeyring()
        self.disabled = set()

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    @initialize()
    def make(self):
        self.log = self.make_log()
        self.run(self.log.open())
        for shard in self.model:
            self.run(self.log.create(shard))

    def entry(self, shard, stored, meter_key, producer=None):
        flat = [part for record in stored for part in record]
        number = key_number(stored)
        key = self.keyring.key(number) if number else None
        sizes = [record_size(record) for record in stored]
        units = sum(map(payload_units, sizes)), meter_key, producer, key, sum(map(kib_units, sizes))
        return Entry(shard, flat, len(stored), sum(sizes), *units)

    def expect(self, shard, stored, meter_key):
        """What appending now must answer; changes the model."""
        model = self.model[shard]
        if model.sealed_at_ms:
            return ShardClosed(HEIRS)
        model.floor_ms = arrival_ms = max(model.floor_ms, self.clock.now_ms())
        first = model.end
        model.records += stored
        model.keys += [key_number(stored)] * len(stored)
        model.arrivals += [arrival_ms] * len(stored)
        row = model.meters.setdefault((arrival_ms // HOUR_MS * HOUR_MS, meter_key), [0, 0, 0, 0])
        sizes = [record_size(record) for record in stored]
        units = sum(map(payload_units, sizes)), sum(map(kib_units, sizes))
        for i, more in enumerate((len(stored), sum(sizes), *units)):
            row[i] += more
        return Appended(first, arrival_ms)

    @rule(calls=st.lists(st.tuples(shards, recipes, meter_keys), min_size=1, max_size=4))
    def append_one_call(self, calls):
        calls = [(shard, cooked(recipe), meter_key) for shard, recipe, meter_key in calls]
        entries = [self.entry(*call) for call in calls]
        assert self.run(self.log.append(entries)) == [self.expect(*call) for call in calls]

    @rule(calls=st.lists(st.tuples(shards, recipes, meter_keys), min_size=2, max_size=5))
    def append_many_callers(self, calls):
        calls = [(shard, cooked(recipe), meter_key) for shard, recipe, meter_key in calls]

        async def all_at_once():
            return await asyncio.gather(*(self.log.append([self.entry(*call)]) for call in calls))

        assert self.run(all_at_once()) == [[self.expect(*call)] for call in calls]

    @rule(shard=shards, recipe=recipes, name=st.sampled_from(["p", "q"]), sequence=st.integers(1, 4))
    def append_as_producer(self, shard, recipe, name, sequence):
        model, stored = self.model[shard], cooked(recipe)
        last = model.producers.get(name)
        [result] = self.run(self.log.append([self.entry(shard, stored, "A", (name, sequence))]))
        if last is not None and sequence <= last[0]:
            assert result == last[1]
            return
        assert result == self.expect(shard, stored, "A")
        if isinstance(result, Appended):
            model.producers[name] = (sequence, result)

    @rule(shard=shards)
    def append_beside_an_unknown_shard(self, shard):
        with pytest.raises(UnknownShard):
            self.run(self.log.append([self.entry(shard, [("k", b"no")], "A"), self.entry(77, [("k", b"no")], "A")]))

    @rule(delta_ms=st.sampled_from([1, 10, 999, HOUR_MS, -5, -HOUR_MS]))
    def time_passes_or_steps_back(self, delta_ms):
        self.clock.advance(delta_ms)

    @precondition(lambda self: any(not self.model[shard].sealed_at_ms for shard in SHARDS))
    @rule(pair=st.lists(shards, min_size=1, max_size=2, unique=True))
    def seal(self, pair):
        models = [self.model[shard] for shard in pair]
        at_ms = max([self.clock.now_ms(), *(model.floor_ms for model in models)])
        for model in models:
            if not model.sealed_at_ms:
                model.sealed_at_ms = model.floor_ms = at_ms
                self.model[CHILD].floor_ms = max(self.model[CHILD].floor_ms, at_ms)
        assert self.run(self.log.seal(pair, HEIRS)) == [(model.end, model.sealed_at_ms) for model in models]

    @rule(shard=shards, back_ms=st.sampled_from([-1, 0, 5, 500, HOUR_MS]), at_most=st.sampled_from([1, 3, 1_000]))
    def trim(self, shard, back_ms, at_most):
        model, before_ms = self.model[shard], self.clock.now_ms() - back_ms
        trimmed = self.run(self.log.trim(shard, before_ms, at_most))
        gone = range(model.trimmed, model.trimmed + trimmed.records)
        assert all(model.arrivals[i] < before_ms for i in gone), "nothing younger goes"
        model.trimmed += trimmed.records
        assert trimmed.more == (model.first_at(0) < model.first_at(before_ms))
        assert trimmed.records or not trimmed.more
        model.producers = {n: last for n, last in model.producers.items() if last[1].arrival_ms >= before_ms}

    @rule(
        shard=shards,
        start=st.integers(1, 60),
        at_most=st.sampled_from([1, 2, 5, 10_000]),
        max_bytes=st.sampled_from([1, 30, 50_000, 800_000, 100 * MIB]),
    )
    def read(self, shard, start, at_most, max_bytes):
        model = self.model[shard]
        begin = max(start, model.trimmed + 1)
        closed_at = next(
            (i + 1 for i in range(begin - 1, len(model.keys)) if model.keys[i] in self.disabled), model.end
        )
        if begin == closed_at < model.end:
            with pytest.raises(KeyUnavailable):
                self.run(self.log.read(shard, start, at_most, max_bytes))
            return
        batch: Batch = self.run(self.log.read(shard, start, at_most, max_bytes))
        offset, size = begin, 0
        for part in batch.slices:
            assert part.first == offset
            for i in range(0, len(part.records), 2):
                record = (part.records[i], part.records[i + 1])
                assert record == model.records[offset - 1]
                assert part.arrival_ms == model.arrivals[offset - 1]
                assert part.encrypted == bool(model.keys[offset - 1])
                size += record_size(record)
                offset += 1
        got = offset - begin
        assert batch.next_offset == (offset if got else max(start, begin))
        assert got <= at_most
        assert offset <= closed_at or not got
        assert size <= max_bytes or got == 1
        if begin < model.end and got < at_most and offset < closed_at:
            assert size + record_size(model.records[offset - 1]) > max_bytes, "it could have taken one more"
        assert bool(got) == (begin < model.end)
        assert batch.end_offset == model.end
        assert batch.at_end == (bool(model.sealed_at_ms) and batch.next_offset >= model.end)
        assert batch.complete_to_ms == model.floor_ms

    @rule(shard=shards, back_ms=st.integers(-10, 2_000))
    def find(self, shard, back_ms):
        at_ms = self.clock.now_ms() - back_ms
        assert self.run(self.log.find(shard, at_ms)) == self.model[shard].first_at(at_ms)

    @rule(shard=shards, past=st.integers(0, 60))
    def wait_without_patience(self, shard, past):
        model = self.model[shard]
        assert self.run(self.log.wait(shard, past, 0)) == (model.end > past or bool(model.sealed_at_ms))

    @rule(number=st.sampled_from([1, 2]), enabled=st.booleans())
    def a_key_is_disabled_or_enabled(self, number, enabled):
        (self.disabled.discard if enabled else self.disabled.add)(number)
        (self.keyring.enable if enabled else self.keyring.disable)(number)

    @rule()
    def close_and_open_again(self):
        self.run(self.log.close())
        self.log = self.reopen()
        self.run(self.log.open())

    @invariant()
    def bounds_and_meters_are_the_lists(self):
        for shard in SHARDS if hasattr(self, "log") else ():
            model, bounds = self.model[shard], self.run(self.log.bounds(shard))
            stored = model.arrivals[model.trimmed :]
            assert (bounds.first_offset, bounds.next_offset) == (model.trimmed + 1, model.end)
            assert (bounds.oldest_ms, bounds.newest_ms) == ((stored or [0])[0], (model.arrivals or [0])[-1])
            assert bounds.sealed_at_ms == model.sealed_at_ms
            assert bounds.sealed == (HEIRS if model.sealed_at_ms else None)
            rows = self.run(self.log.meters(shard, 0))
            told = {(row.hour_ms, row.meter_key): row.totals for row in rows}
            assert {key: list(astuple(totals)) for key, totals in told.items()} == model.meters
            assert list(told) == sorted(told)
            assert bounds.totals.size_bytes == sum(map(record_size, model.records))
            assert bounds.totals.payload_units == sum(row[2] for row in model.meters.values())
            assert bounds.totals.kib_units == sum(row[3] for row in model.meters.values())

    def teardown(self):
        if hasattr(self, "log"):
            self.keyring.enable(*self.disabled)
            verified = self.run(self.log.verify())
            assert (verified.problems, verified.unopened) == ((), 0)
            self.run(self.log.close())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()


class MemoryMachine(LogMachine):
    def make_log(self):
        return MemoryLog(self.clock, self.keyring)

    def reopen(self):
        return self.log


class LmdbMachine(LogMachine):
    def make_log(self):
        self.folder = tempfile.mkdtemp(prefix="tidegate-machine-")
        return LmdbLog(self.folder, self.clock, self.keyring)

    def reopen(self):
        return LmdbLog(self.folder, self.clock, self.keyring)

    def teardown(self):
        super().teardown()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


SHORT = settings(max_examples=max(10, settings.default.max_examples // 4), stateful_step_count=30)
"""A machine's example is worth many of a plain property's."""

TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = SHORT
TestLmdbMachine = LmdbMachine.TestCase
TestLmdbMachine.settings = SHORT
