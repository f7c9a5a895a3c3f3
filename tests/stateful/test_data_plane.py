"""Producers and a KCL-like consumer while shards are split and merged under them: nothing lost, order kept per key.

The rows are plain objects and the catalogue's snapshot goes stale at will, so that every state between "prepared",
"sealed" and "told" is met. Throttled entries are resent in their order, as a careful client does.
"""

import asyncio
from types import SimpleNamespace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from apps.accounts.models import Team
from apps.accounts.principal import Principal
from apps.base.clock import FakeClock
from apps.recordlog.interface import Successor
from apps.runtime import Call
from apps.streams.catalog import Catalog, view_of
from apps.streams.hashkeys import digest_of_key
from apps.streams.models import Stream
from apps.streams.operations import polling, records
from apps.streams.shapes import (
    GetRecordsRequest,
    GetShardIteratorRequest,
    PutRecordRequest,
    PutRecordsEntry,
    PutRecordsFailure,
    PutRecordsRequest,
)
from tests.support.runtimes import memory_runtime

PRINCIPAL = Principal(1, "123456789012", "AK")
KEYS = [f"key-{i}" for i in range(12)]
LAST = 2**128 - 1


class Rows:
    """The stream's rows, and a catalogue over them whose snapshot is as old as the test wants."""

    def __init__(self, clock):
        self.clock = clock
        self.version = 0
        self.shards = []
        self.snapshot = None

    def add(self, start, end, parents=(), opened=True):
        created_s = max([p.created_s for p in parents] + [self.clock.now_ms() // 1000 - 4]) + 1
        parent, adjacent = ([p.index for p in parents] + [None, None])[:2]
        shard = SimpleNamespace(
            pk=len(self.shards) + 1, index=len(self.shards), start_hash=start, end_hash=end, created_s=created_s,
            parent_index=parent, adjacent_parent_index=adjacent, closed_at_ms=None, expired_at_ms=None,
            opened_at_ms=self.clock.now_ms() if opened else None,
        )  # fmt: skip
        self.shards.append(shard)
        return shard

    def view(self):
        row = Stream(
            pk=1, team=Team(pk=1, account_id=PRINCIPAL.account_id), region="us-east-1", name="s", stream_id="x",
            status="UPDATING", created_at_ms=0, version=self.version,
        )  # fmt: skip
        return view_of(row, self.shards)

    # What the data plane asks of a Catalog:

    def peek(self, _account_id, _name, _now_ms):
        return self.snapshot

    async def read(self, _account_id, _name):
        self.snapshot = self.view()
        return self.snapshot

    async def refresh(self, _stream):
        return await self.read(None, None)


class Reader:
    """One shard of the consumer: where it is, and whether it has come to the end."""

    def __init__(self, token):
        self.token = token
        self.ended = False


class DataPlaneMachine(RuleBasedStateMachine):
    """See the module's docstring."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.runtime = memory_runtime(self.clock)
        self.run(self.runtime.open())
        self.rows = Rows(self.clock)
        self.runtime._parts[Catalog] = self.rows
        self.create(self.rows.add(0, 2**127 - 1), self.rows.add(2**127, LAST))
        self.run(self.rows.read(None, None))
        self.resharding = None
        self.next_number = 0
        self.waiting = []
        self.put = {key: [] for key in KEYS}
        self.numbers = {key: [0] for key in KEYS}
        self.seen = {key: [] for key in KEYS}
        self.readers = {}

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def create(self, *shards):
        for shard in shards:
            self.run(self.runtime.record_log.create(shard.pk))

    def call(self):
        return Call(self.runtime, PRINCIPAL, "r", self.clock.now_ms())

    def stored(self, key, number, sequence_number):
        self.put[key].append(number)
        self.numbers[key].append(int(sequence_number))

    # --- producers ---

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=8), pad=st.sampled_from([0, 0, 0, 200_000]))
    def put_records(self, keys, pad):
        for key in keys:
            self.waiting.append((key, self.next_number, pad))
            self.next_number += 1
        self.send()

    def send(self):
        batch, self.waiting = self.waiting[:500], self.waiting[500:]
        entries = [PutRecordsEntry(b"%d|" % number + bytes(pad), key) for key, number, pad in batch]
        if sum(len(e.data) for e in entries) > 9_000_000:
            batch, self.waiting = batch[:40], batch[40:] + self.waiting
            entries = entries[:40]
        answer = self.run(records.put_records(self.call(), PutRecordsRequest(entries, stream_name="s")))
        failed = []
        for (key, number, pad), result in zip(batch, answer.records, strict=True):
            if isinstance(result, PutRecordsFailure):
                failed.append((key, number, pad))
            else:
                self.stored(key, number, result.sequence_number)
        assert answer.failed_record_count == len(failed)
        self.waiting = failed + self.waiting

    @precondition(lambda self: not self.waiting)
    @rule(key=st.sampled_from(KEYS))
    def put_record(self, key):
        from apps.streams.errors import ProvisionedThroughputExceededException

        number, self.next_number = self.next_number, self.next_number + 1
        request = PutRecordRequest(b"%d|" % number, key, stream_name="s")
        try:
            self.stored(key, number, self.run(records.put_record(self.call(), request)).sequence_number)
        except ProvisionedThroughputExceededException:
            self.waiting.append((key, number, 0))

    # --- resharding, in the steps of lifecycle.py ---

    @precondition(lambda self: self.resharding is None)
    @rule(data=st.data())
    def prepare(self, data):
        shards = sorted((s for s in self.rows.shards if s.closed_at_ms is None), key=lambda s: s.start_hash)
        at = data.draw(st.integers(0, len(shards) - 1))
        if at + 1 < len(shards) and data.draw(st.booleans()):
            parents = shards[at : at + 2]
            ranges = [(parents[0].start_hash, parents[1].end_hash)]
        elif len(shards) < 6:
            parents = [shards[at]]
            middle = (shards[at].start_hash + shards[at].end_hash) // 2
            ranges = [(shards[at].start_hash, middle), (middle + 1, shards[at].end_hash)]
        else:
            return
        children = [self.rows.add(start, end, parents, opened=False) for start, end in ranges]
        self.create(*children)
        self.resharding = (parents, children, False)

    @precondition(lambda self: self.resharding is not None and not self.resharding[2])
    @rule()
    def seal(self):
        parents, children, _ = self.resharding
        heirs = [Successor(c.pk, c.start_hash, c.end_hash) for c in children]
        self.run(self.runtime.record_log.seal([p.pk for p in parents], heirs))
        self.resharding = (parents, children, True)

    @precondition(lambda self: self.resharding is not None and self.resharding[2])
    @rule()
    def tell(self):
        parents, children, _ = self.resharding
        for parent in parents:
            parent.closed_at_ms = max(self.clock.now_ms(), (children[0].created_s - 1) * 1000)
        for child in children:
            child.opened_at_ms = self.clock.now_ms()
        self.rows.version += 1
        self.resharding = None

    @rule()
    def look_again(self):
        self.run(self.rows.read(None, None))

    @rule(delta_ms=st.sampled_from([1, 50, 300, 1_500, -400]))
    def time_goes(self, delta_ms):
        self.clock.advance(delta_ms)

    # --- the consumer ---

    @rule(data=st.data(), limit=st.integers(1, 20))
    def consume(self, data, limit):
        ready = self.readable()
        if ready:
            self.read(data.draw(st.sampled_from(ready)), limit)

    def readable(self):
        """Shards whose parents are all read to their ends, as KCL goes."""
        view = self.rows.view()
        return [
            shard.index
            for shard in view.by_index.values()
            if shard.visible
            and not (shard.index in self.readers and self.readers[shard.index].ended)
            and all(
                parent in self.readers and self.readers[parent].ended
                for parent in (shard.parent_index, shard.adjacent_parent_index)
                if parent is not None
            )
        ]

    def read(self, index, limit):
        from apps.streams.errors import ProvisionedThroughputExceededException

        try:
            if index not in self.readers:
                started = GetShardIteratorRequest(str(index), "TRIM_HORIZON", stream_name="s")
                token = self.run(polling.get_shard_iterator(self.call(), started)).shard_iterator
                self.readers[index] = Reader(token)
            reader = self.readers[index]
            answer = self.run(polling.get_records(self.call(), GetRecordsRequest(reader.token, limit=limit)))
        except ProvisionedThroughputExceededException:
            return 0
        shard = self.rows.shards[index]
        for record in answer.records:
            assert shard.start_hash <= int.from_bytes(digest_of_key(record.partition_key)) <= shard.end_hash
            self.seen[record.partition_key].append(int(record.data.partition(b"|")[0]))
        reader.token = answer.next_shard_iterator
        reader.ended = not reader.token
        assert not reader.ended or answer.child_shards
        return len(answer.records)

    @invariant()
    def numbers_of_a_key_rise(self):
        for numbers in self.numbers.values():
            assert numbers == sorted(set(numbers))

    @invariant()
    def what_was_read_is_a_beginning_of_what_was_put(self):
        for key, seen in self.seen.items():
            assert self.put[key][: len(seen)] == seen

    def teardown(self):
        try:
            if self.resharding is not None:
                if not self.resharding[2]:
                    self.seal()
                self.tell()
            self.drain()
            assert self.seen == self.put
            assert all(numbers == sorted(numbers) for numbers in self.put.values())
        finally:
            self.run(self.runtime.close())
            self.loop.close()

    def drain(self):
        for _ in range(400):
            self.clock.advance(1_000)
            if self.waiting:
                self.send()
            self.run(self.rows.read(None, None))
            for index in self.readable():
                self.read(index, 10_000)
            if not self.waiting and sum(map(len, self.put.values())) == sum(map(len, self.seen.values())):
                return
        raise AssertionError("not drained")


TestDataPlane = DataPlaneMachine.TestCase
TestDataPlane.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
