"""A queue against a plain model: receives, late and wrong handles, dead letters, time, resharding, crashes.

The log, the store and the receiving are real; the stream's rows are plain objects, and the snapshots of stream and queue
go stale at will. A crash drops everything a process remembers and opens what it has stored.
"""

import asyncio
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from apps.base.clock import FakeClock
from apps.base.errors import InternalFailure
from apps.queues.deliveries import Place
from apps.queues.operations import records as operations
from apps.queues.receiving import Receiving
from apps.queues.store import QueueStore, Store
from apps.queues.upkeep import _look_after
from apps.queues.views import QueueView, QueueViews
from apps.recordlog.interface import LogUnavailable, Successor
from apps.runtime import Call
from apps.streams.catalog import Catalog
from apps.streams.operations import records as streams
from apps.streams.shapes import PutRecordRequest
from tests.stateful.test_data_plane import LAST, PRINCIPAL, Rows
from tests.support.runtimes import memory_runtime

ARN = "arn:aws:kinesis:us-east-1:123456789012:queue/q"
DAY_MS = 86_400_000
KINDS = st.sampled_from([False, False, True])
"""Dead letters?"""

GONE, STALE = "ResourceNotFoundException", "InvalidArgumentException"

NAMES = {
    (True, "receive"): operations.receive_dead_letter_queue_records,
    (False, "receive"): operations.receive_queue_records,
    (True, "acknowledge"): operations.acknowledge_dead_letter_queue_records,
    (False, "acknowledge"): operations.acknowledge_queue_records,
    (True, "visibility"): operations.update_dead_letter_queue_records_visibility,
    (False, "visibility"): operations.update_queue_records_visibility,
    (True, "restore"): operations.restore_dead_letter_queue_records,
}


@dataclass
class Known:
    """What the model knows of a record. at_ms: visible from then on; handle: the one that is good."""

    arrival_ms: int
    count: int = 0
    at_ms: int = 0
    dead: bool = False
    handle: str | None = None
    first_ms: int | None = None
    handed_out: bool = False
    acknowledged: bool = False
    given_back: bool = False


class Views:
    """The queue's settings, and a snapshot of them that may be older."""

    def __init__(self):
        self.now = QueueView(1, 0, 1, "123456789012", ARN, "q", "q", 1, "s", 0, 30_000, 2)
        self.snapshot = self.now

    async def find(self, _call, arn, *, anew=False):
        if anew:
            self.snapshot = self.now
        assert arn == ARN
        return self.snapshot


class QueueMachine(RuleBasedStateMachine):
    """See the module's docstring."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.runtime = memory_runtime(self.clock, throttle=False)
        self.run(self.runtime.open())
        self.rows = Rows(self.clock)
        self.rows.find = lambda account_id, name, _now_ms: self.rows.read(account_id, name)
        self.views = Views()
        self.runtime._parts[Catalog] = self.rows
        self.runtime._parts[QueueViews] = self.views
        self.folder = tempfile.TemporaryDirectory()
        self.open_store()
        for shard in (self.rows.add(0, 2**127 - 1), self.rows.add(2**127, LAST)):
            self.run(self.runtime.record_log.create(shard.pk))
        self.run(self.rows.read(None, None))
        self.run(self.runtime.part(QueueStore).change(lambda changing: changing.make(1, 0)))
        self.known: dict[bytes, Known] = {}
        self.handles: list[tuple[str, bytes]] = []
        self.untold = None

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def open_store(self):
        self.runtime._parts[QueueStore] = Store(Path(self.folder.name), self.clock, lasts=False)

        async def receiving():
            self.runtime.part(Receiving).second_s = 0.0

        self.run(receiving())

    def call(self):
        return Call(self.runtime, PRINCIPAL, "r", self.clock.now_ms())

    @property
    def horizon_ms(self):
        return self.clock.now_ms() - DAY_MS

    def kind(self, record):
        """Where the model has it: new, flying, visible, dead flying, dead, or None."""
        now_ms, most = self.clock.now_ms(), self.views.now.max_receive_count
        if record.acknowledged or record.arrival_ms < self.horizon_ms:
            return None
        if not record.handed_out:
            return "new"
        if not record.dead and record.at_ms <= now_ms and record.count and most is not None and record.count >= most:
            record.dead = True
        flying = record.at_ms > now_ms
        return ("dead flying" if flying else "dead") if record.dead else ("flying" if flying else "visible")

    # The stream

    @initialize(data=st.data())
    def begin(self, data):
        for _ in range(3):
            self.put(data)

    @rule(data=st.data())
    def put(self, data):
        for _ in range(data.draw(st.integers(3, 8))):
            name = b"r%d" % len(self.known)
            at = str(data.draw(st.integers(0, LAST)))
            request = PutRecordRequest(data=name, partition_key=name.decode(), stream_name="s", explicit_hash_key=at)
            self.run(streams.put_record(self.call(), request))
            self.known[name] = Known(self.clock.now_ms())

    def let_time_pass(self, data):
        self.clock.advance(data.draw(st.sampled_from([1, 999, 5_000, 29_999, 30_000, 60_000, 3_600_000])))

    @precondition(lambda self: len(self.known) > 20)
    @rule()
    def let_a_day_pass(self):
        self.clock.advance(DAY_MS)

    @precondition(lambda self: self.untold is None and len(self.rows.shards) < 12)
    @rule(merge=st.booleans(), data=st.data())
    def seal_in_the_log(self, merge, data):
        open_now = sorted((s for s in self.rows.shards if s.closed_at_ms is None), key=lambda shard: shard.start_hash)
        at = data.draw(st.integers(0, len(open_now) - 1))
        if merge and len(open_now) > 1:
            parents = open_now[min(at, len(open_now) - 2) :][:2]
            ranges = [(parents[0].start_hash, parents[1].end_hash)]
        else:
            parents = [open_now[at]]
            middle = (parents[0].start_hash + parents[0].end_hash) // 2
            ranges = [(parents[0].start_hash, middle), (middle + 1, parents[0].end_hash)]
        children = [self.rows.add(*pair, parents=parents, opened=False) for pair in ranges]
        self.rows.version += 1
        for child in children:
            self.run(self.runtime.record_log.create(child.pk))
        heirs = [Successor(child.pk, child.start_hash, child.end_hash) for child in children]
        self.run(self.runtime.record_log.seal([parent.pk for parent in parents], heirs))
        self.untold = parents, children

    @precondition(lambda self: self.untold is not None)
    @rule(seen=st.booleans())
    def tell_the_rows(self, seen):
        parents, children = self.untold
        self.clock.advance(1_000)
        for parent in parents:
            parent.closed_at_ms = self.clock.now_ms()
        for child in children:
            child.opened_at_ms = self.clock.now_ms()
        self.rows.version += 1
        self.untold = None
        if seen:
            self.run(self.rows.read(None, None))

    @rule()
    def trim(self):
        for shard in self.rows.shards:
            self.run(self.runtime.record_log.trim(shard.pk, self.horizon_ms, 10_000))

    # The queue

    @rule(data=st.data())
    def consume(self, data):
        """Some steps of consumers one after the other: most of what happens to a queue."""
        steps = [
            self.receive, self.put, self.let_time_pass, self.receive, self.acknowledge, self.change_visibility, self.restore,
        ]  # fmt: skip
        for step in data.draw(st.lists(st.sampled_from(steps), min_size=6, max_size=15)):
            if self.handles or step in steps[:4]:
                step(data)

    def receive(self, data):
        limit, dead = data.draw(st.sampled_from([10, 1, 3])), data.draw(KINDS)
        visibility = data.draw(st.sampled_from([None, 0, 5, 43_200]))
        visible = {"dead"} if dead else {"new", "visible"}
        able = {name for name, record in self.known.items() if self.kind(record) in visible}
        params = {"QueueARN": ARN, "Limit": limit, "WaitTimeSeconds": 1}
        if visibility is not None:
            params["VisibilityTimeoutSeconds"] = visibility
        got = self.run(NAMES[dead, "receive"](self.call(), params))["QueueRecords"]
        names = [record["Data"] for record in got]
        assert len(set(names)) == len(names)
        assert set(names) <= able, (names, {name: self.known[name] for name in names})
        assert bool(names) == bool(able), able
        if all(self.kind(record) is not None or record.acknowledged for record in self.known.values()):
            assert len(names) == min(limit, len(able))  # else some of those claimed may be past the retention
        self.check_unanswered()
        lasts_ms = self.views.now.visibility_ms if visibility is None else visibility * 1_000
        for record in got:
            known = self.known[record["Data"]]
            known.count += 1
            known.handed_out, known.given_back = True, False
            known.first_ms = known.first_ms or self.clock.now_ms()
            known.at_ms, known.handle = self.clock.now_ms() + lasts_ms, record["ReceiptHandle"]
            assert record["ReceiveCount"] == known.count
            assert record["FirstReceiveTimestamp"] == known.first_ms
            assert record["ApproximateArrivalTimestamp"] == known.arrival_ms
            assert record["PartitionKey"].encode() == record["Data"]
            self.handles.append((record["ReceiptHandle"], record["Data"]))

    def check_unanswered(self):
        """A handle is never given out twice."""
        assert len({handle for handle, _ in self.handles}) == len(self.handles)

    @rule(limit=st.integers(1, 10), dead=st.booleans())
    def receive_while_the_log_is_away(self, limit, dead):
        """What was claimed is given back: as if it had not been received, but for its handles."""
        log, claimed = self.runtime.record_log, []
        store = self.runtime.part(QueueStore)
        change = store.change

        async def remember(run):
            answer = await change(run)
            claimed.extend(getattr(answer, "claims", ()))
            return answer

        async def away(*_arguments):
            raise LogUnavailable("away")

        read, log.read, store.change = log.read, away, remember
        try:
            self.run(NAMES[dead, "receive"](self.call(), {"QueueARN": ARN, "Limit": limit, "WaitTimeSeconds": 1}))
        except InternalFailure:
            assert claimed
        else:
            assert not claimed
        log.read, store.change = read, change
        for claim in claimed:
            [name] = self.run(self.names_at(claim.shard, claim.offset)) or [None]
            if name is None:
                continue
            known = self.known[name]
            known.handed_out, known.given_back, known.handle = True, True, None
            known.at_ms = self.clock.now_ms()
            if not known.count:
                known.first_ms = None

    async def names_at(self, shard, offset):
        batch = await self.runtime.record_log.read(shard, offset, 1, 10_000)
        return [part.records[1] for part in batch.slices if part.first == offset]

    def some_handles(self, data, most=4):
        """Rather newer ones; one of each record, so that no entry changes what the next one finds."""
        back = st.integers(1, min(len(self.handles), 15)) | st.integers(1, len(self.handles))
        chosen = [self.handles[-i] for i in data.draw(st.lists(back, min_size=1, max_size=most, unique=True))]
        return [(handle, name) for name, handle in {name: handle for handle, name in chosen}.items()]

    def expected(self, name, handle, *, dead):
        """None if the call is good for the record, else the entry's error code."""
        known = self.known[name]
        if known.acknowledged:
            return GONE
        kind = self.kind(known)
        if kind is None:
            return "past"
        if known.handle != handle:
            return STALE
        return None if known.dead == dead else STALE

    def entries(self, data, verb, dead, **more):
        """Do it; the names of the records for which it was done."""
        chosen = self.some_handles(data)
        before = [self.expected(name, handle, dead=dead) for handle, name in chosen]
        entries = [{"ReceiptHandle": handle, **more} for handle, _ in chosen]
        answer = self.run(NAMES[dead, verb](self.call(), {"QueueARN": ARN, "Entries": entries}))
        failed = {entry["ReceiptHandle"]: entry["ErrorCode"] for entry in answer["Failed"]}
        done = []
        for (handle, name), expected in zip(chosen, before, strict=True):
            if expected != "past":  # nothing is promised of those
                assert failed.get(handle) == expected, (name, self.known[name])
            if handle not in failed:
                done.append(self.known[name])
        return done

    def acknowledge(self, data):
        for known in self.entries(data, "acknowledge", data.draw(KINDS)):
            known.acknowledged = True

    def change_visibility(self, data):
        dead, seconds = data.draw(KINDS), data.draw(st.sampled_from([0, 1, 40]))
        for known in self.entries(data, "visibility", dead, VisibilityTimeoutSeconds=seconds):
            known.at_ms = self.clock.now_ms() + seconds * 1_000

    def restore(self, data):
        for known in self.entries(data, "restore", True):
            known.dead, known.count, known.handle, known.at_ms = False, 0, None, self.clock.now_ms()

    @rule(most=st.sampled_from([1, 2, 3, None]), visibility_s=st.sampled_from([1, 30]))
    def change_the_settings(self, most, visibility_s):
        """As a worker does it. What is due by the old settings is settled first, so that the model knows."""
        store, old = self.runtime.part(QueueStore), self.views.now
        self.run(store.change(lambda changing: changing.settle(1, old.max_receive_count)))
        for known in self.known.values():
            self.kind(known)
        new = replace(old, version=old.version + 1, max_receive_count=most, visibility_ms=visibility_s * 1_000)
        self.views.now = new
        self.run(store.change(lambda changing: changing.make(1, new.version)))
        after = None
        while True:
            after = self.run(store.change(lambda changing, after=after: changing.regroup(1, most, after)))
            if after is None:
                break

    @rule()
    def look_after(self):
        stream = SimpleNamespace(retention_hours=24, retention_floor_ms=0)
        queue = SimpleNamespace(
            pk=1, team_id=1, stream_id=1, queue_id="q", name="q", start_ms=0, stream=stream,
            max_receive_count=self.views.now.max_receive_count,
        )  # fmt: skip
        assert not self.run(_look_after(self.runtime, queue, self.rows.shards, self.clock.now_ms() + 10_000))
        sums = self.runtime.counters.drain_labelled()
        kinds = [self.kind(known) for known in self.known.values()]
        assert sums[1, 1, "VisibleQueueRecords", "q/q"].most == kinds.count("new") + kinds.count("visible")
        assert sums[1, 1, "InFlightQueueRecords", "q/q"].most == kinds.count("flying")
        assert sums[1, 1, "VisibleDeadLetterQueueRecords", "q/q"].most == kinds.count("dead")

    @rule()
    def crash(self):
        self.runtime._parts.pop(Receiving).close()
        self.runtime._parts.pop(QueueStore).close()
        self.views.snapshot = self.views.now
        self.open_store()

    @invariant()
    def the_counts_are_those_of_the_places(self):
        def places(looking):
            return [sum(1 for _ in looking._entries(1, place)) for place in Place], looking.state(1).counts

        counted, kept = self.runtime.part(QueueStore).look(places)
        assert counted == kept

    def teardown(self):
        """In the end everything still there can be received and acknowledged, once."""
        for _ in range(2):
            self.clock.advance(43_200_000 // 2 + 1)
        left = {name for name, known in self.known.items() if self.kind(known) is not None}
        for dead in (False, True):
            while True:
                got = self.run(NAMES[dead, "receive"](self.call(), {"QueueARN": ARN, "WaitTimeSeconds": 1}))[
                    "QueueRecords"
                ]
                if not got:
                    break
                left -= {record["Data"] for record in got}
                entries = [{"ReceiptHandle": record["ReceiptHandle"]} for record in got]
                answer = self.run(NAMES[dead, "acknowledge"](self.call(), {"QueueARN": ARN, "Entries": entries}))
                assert not answer["Failed"]
        assert not left
        self.runtime._parts.pop(Receiving).close()
        self.run(self.runtime.close())
        self.loop.close()
        self.folder.cleanup()


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=max(15, settings.default.max_examples // 4), stateful_step_count=25)
