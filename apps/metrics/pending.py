"""What one process counted and Redis has not confirmed yet: bounded, and written so that a repeat does no harm.

A bucket is written whole under the process's own name, each second anew while it still grows. So an answer that got
lost only means writing the same again. What was confirmed is kept for RECALL_S more: a Redis that was killed starts
again without the last commands it confirmed, and is told them once more (recall). When Redis is away the newest
buckets are kept (Store.pending of each width, SAMPLES_MAX in all) and the oldest are given up and counted as lost:
seconds first, as coarser buckets hold their sums.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgpack

from apps.metrics import latency, layout
from apps.metrics.buckets import Points, encode, encode_shards, merge_beside, merge_then, point_of
from apps.metrics.counters import Labelled, Sample, Series, ShardSample, Stream
from apps.metrics.firehose import DELIVERY_KEYS_FROM, table_of
from apps.metrics.layout import Store
from apps.metrics.names import BY_NAME, SHARD_LEVEL, stored_under

SAMPLES_MAX = 100_000
"""About 30 MB."""

UPTIME_PENDING_MAX = 3_600

RECALL_S = 5
"""How long what Redis confirmed is kept. With `appendfsync everysec` it confirms before it writes, and while a slow disk
still syncs it puts the writing off for up to two seconds (flushAppendOnlyFile in its aof.c, which counts whole seconds
and looks about ten times in each)."""

MESSAGE_VERSION = 1

NOTHING_LABELLED: Mapping[Labelled, Sample] = {}


@dataclass(slots=True)
class Bucket:
    """What this process counted in one bucket of one store."""

    store: Store
    start_s: int
    process: str
    streams: dict[Stream, Points] = field(default_factory=dict)
    shards: dict[Stream, dict[int, ShardSample]] = field(default_factory=dict)
    unwritten: set[Stream] = field(default_factory=set)
    encoded: dict[Stream, bytes] = field(default_factory=dict)
    samples: int = 0

    @property
    def end_s(self) -> int:
        """The first second after it."""
        return self.start_s + self.store.width_s

    @property
    def name(self) -> str:
        """Its field in the hash."""
        return f"{self.start_s}:{self.process}"

    def add(self, stream: Stream, points: Points) -> None:
        """Count one second of a stream."""
        known = self.streams.setdefault(stream, {})
        before = len(known)
        merge_then(known, points)
        if stream[1] != layout.TEAM:  # sums of what is counted anyhow, and a handful at most
            self.samples += len(known) - before
        self.unwritten.add(stream)
        self.encoded.pop(stream, None)

    def stored(self, stream: Stream) -> bytes:
        """The stream's points as bytes, made once for the store and the live channel."""
        stored = self.encoded.get(stream)
        if stored is None:
            stored = self.encoded[stream] = encode(self.streams.get(stream, {}))
        return stored

    def due(self, newest: int) -> list[Stream]:
        """Streams to write now: all of a bucket that is over; of one that grows, each in its turn."""
        if self.end_s <= newest + 1 or self.store.every_s == 1:
            return list(self.unwritten)
        return [stream for stream in self.unwritten if (newest + stream[1]) % self.store.every_s == 0]


@dataclass(frozen=True, slots=True)
class Second:
    """A second to be published: what its bucket holds of these streams when the message is made."""

    bucket: Bucket
    serves: bool
    streams: tuple[Stream, ...]

    def messages(self, streams_max: int) -> Iterable[bytes]:
        """msgpack [version, process, serves, second, [[team, stream, points, shards], …]], so many streams in each."""
        bucket = self.bucket
        for first in range(0, max(len(self.streams), 1), streams_max):
            rows = [
                (*stream, bucket.stored(stream), encode_shards(bucket.shards.get(stream, {})))
                for stream in self.streams[first : first + streams_max]
            ]
            yield msgpack.packb((MESSAGE_VERSION, bucket.process, self.serves, bucket.start_s, rows))


class Pending:
    """The buckets of every store, oldest first. Not safe for threads: its owner is the flusher."""

    def __init__(self, *, serves: bool) -> None:
        self.serves = serves
        self.buckets: dict[int, dict[int, Bucket]] = {store.width_s: {} for store in layout.STORES}
        self.served: deque[int] = deque(maxlen=UPTIME_PENDING_MAX)
        self._served_lately: deque[int] = deque(maxlen=RECALL_S)
        self.unpublished: deque[Second] = deque(maxlen=layout.SECONDS.pending)
        self.lost = 0
        """Samples of one second given up since the start."""
        self.unknown: set[str] = set()
        """Names that are not in names.py: a mistake in the code that counts."""
        self._process = secrets.token_hex(4)
        self.newest = 0

    def add(
        self,
        second: int,
        samples: Mapping[Series, Sample],
        shards: Mapping[Stream, dict[int, ShardSample]],
        labelled: Mapping[Labelled, Sample] = NOTHING_LABELLED,
    ) -> None:
        """Count one second. A second that was given before is added to."""
        if second < self.newest:
            # The clock was set back. What was written under the old name must stay, so this is another writer now.
            self._process = secrets.token_hex(4)
        self.newest = second
        by_stream: dict[Stream, Points] = {}
        for (team_id, stream_id, name), sample in samples.items():
            metric = table_of(stream_id).get(name)
            number = latency.NUMBER_OF.get(name) if metric is None else metric.number
            if number is None:
                self.unknown.add(name)
                continue
            by_stream.setdefault((team_id, stream_id), {})[number] = point_of(sample)
        by_stream.update(_of_teams(by_stream))
        for store in layout.STORES:
            self._add_to(store, second, by_stream, shards)
        if labelled:
            self._add_labelled(second, labelled)
        if self.serves:
            self.served.append(second)
            self._served_lately.append(second)
        names = tuple(by_stream.keys() | shards.keys())
        self.unpublished.append(Second(self.buckets[1][second], self.serves, names))
        self._bound()

    def _add_labelled(self, second: int, labelled: Mapping[Labelled, Sample]) -> None:
        """Consumers and shards are kept from ten seconds on: a thousand shards, second by second, would fill Redis."""
        by_stream: dict[Stream, Points] = {}
        for (team_id, stream_id, name, label), sample in labelled.items():
            if name not in (BY_NAME if isinstance(label, str) else SHARD_LEVEL):
                self.unknown.add(name)
                continue
            by_stream.setdefault((team_id, stream_id), {})[stored_under(name, label)] = point_of(sample)
        self._add_to(layout.TENS, second, by_stream, {})

    def _add_to(
        self,
        store: Store,
        second: int,
        streams: Mapping[Stream, Points],
        shards: Mapping[Stream, dict[int, ShardSample]],
    ) -> None:
        start_s = second - second % store.width_s
        bucket = self.buckets[store.width_s].get(start_s)
        if bucket is None:
            bucket = self.buckets[store.width_s][start_s] = Bucket(store, start_s, self._process)
        for stream, points in streams.items():
            if store is layout.MINUTES:
                headline: Points = {number: point for number, point in points.items() if number in layout.HEADLINE}
                bucket.add(stream, headline)
            else:
                bucket.add(stream, points)
        if store is layout.SECONDS:
            for stream, counted in shards.items():
                known = bucket.shards.setdefault(stream, {})
                for index, sample in counted.items():
                    known.setdefault(index, ShardSample()).merge(sample)
                bucket.samples += len(counted)
                bucket.unwritten.add(stream)

    def recall(self) -> None:
        """Redis may have lost what it confirmed within RECALL_S: all that is held counts as unwritten again."""
        for buckets in self.buckets.values():
            for bucket in buckets.values():
                bucket.unwritten.update(bucket.streams, bucket.shards)
        self.served.extend([second for second in self._served_lately if second not in self.served])

    def forget_closed(self, recall_s: int = RECALL_S) -> None:
        """Drop the buckets that are written, cannot grow any more and need not be recalled."""
        for width_s, buckets in self.buckets.items():
            over_s = self.newest - width_s - recall_s
            closed = [b for b in buckets.values() if not b.unwritten and b.end_s <= over_s]
            for bucket in closed:
                del buckets[bucket.start_s]

    def _bound(self) -> None:
        for store in layout.STORES:
            buckets = self.buckets[store.width_s]
            while len(buckets) > store.pending + 2:
                self._give_up(store.width_s)
        if self._held() > SAMPLES_MAX:
            self.forget_closed(recall_s=0)  # what Redis has confirmed goes before what it has not
        held = self._held()
        for store in layout.STORES:
            while held > SAMPLES_MAX and len(self.buckets[store.width_s]) > 1:
                held -= self._give_up(store.width_s)
        while self.unpublished and self.unpublished[0].bucket.start_s not in self.buckets[1]:
            self.unpublished.popleft()

    def _held(self) -> int:
        return sum(bucket.samples for buckets in self.buckets.values() for bucket in buckets.values())

    def _give_up(self, width_s: int) -> int:
        buckets = self.buckets[width_s]
        bucket = buckets.pop(next(iter(buckets)))
        if width_s == 1 and bucket.unwritten:
            self.lost += bucket.samples
        return bucket.samples


def _of_teams(by_stream: Mapping[Stream, Points]) -> dict[Stream, Points]:
    """Headline figures of each team's data streams together, under layout.TEAM."""
    found: dict[Stream, Points] = {}
    for (team_id, stream_id), points in by_stream.items():
        if layout.TEAM < stream_id < DELIVERY_KEYS_FROM:
            headline: Points = {number: point for number, point in points.items() if number in layout.HEADLINE}
            if headline:
                merge_beside(found.setdefault((team_id, layout.TEAM), {}), headline)
    return found
